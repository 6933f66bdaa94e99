//! Lets each user read only so much at a time, so that one who asks for a lot waits for themselves and for nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers that are made for one user at the same time: half of the readers of the database.
const OF_USER: usize = 2;
/// Answers that are made at the same time. Each holds what it reads as values, which are several times its text: some 6 MB.
const OF_ALL: usize = 8;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);
/// Entries that are kept before those that nobody uses are cleared away.
const SWEEP: usize = 1_024;

/// Whose answers are being made.
pub struct Turns {
    users: Mutex<HashMap<String, Weak<Semaphore>>>,
    all: Arc<Semaphore>,
    patience: Duration,
}

/// One answer may be made, until this is dropped.
pub struct Turn {
    _of_user: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// The user whom an answer is for: an extension of it, by which what it holds is counted.
#[derive(Debug, Clone)]
pub struct AnswerFor(pub String);

/// No turn came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait for an answer; try again later")]
pub struct Busy;

impl Default for Turns {
    fn default() -> Self {
        Turns::new(PATIENCE)
    }
}

impl Turns {
    /// Turns for which a request waits so long.
    pub fn new(patience: Duration) -> Self {
        Turns { users: Mutex::default(), all: Arc::new(Semaphore::new(OF_ALL)), patience }
    }

    /// Waits until an answer for this user may be made.
    ///
    /// # Errors
    /// When that does not come in time.
    pub async fn take(&self, user: &str) -> Result<Turn, Busy> {
        let of_user = self.of(user);
        let turn = async {
            let of_user = of_user.acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Turn { _of_user: of_user, _of_all: of_all })
        };
        tokio::time::timeout(self.patience, turn).await.ok().flatten().ok_or(Busy)
    }

    fn of(&self, user: &str) -> Arc<Semaphore> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = users.get(user).and_then(Weak::upgrade) {
            return known;
        }
        if users.len() >= SWEEP {
            users.retain(|_, turns| turns.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(OF_USER));
        users.insert(user.to_owned(), Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_user_waits_for_themselves_and_for_nobody_else() {
        let turns = Turns::default();
        let (first, _second) = (turns.take("ada").await.unwrap(), turns.take("ada").await.unwrap());
        assert!(turns.take("ada").await.is_err(), "it does not wait for ever");
        let waits = turns.take("ada");
        assert!(turns.take("ben").await.is_ok());
        drop(first);
        assert!(waits.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn all_users_together_have_so_many_and_no_entry_outlives_its_use() {
        let turns = Turns::default();
        let mut taken = Vec::new();
        for n in 0..OF_ALL {
            taken.push(turns.take(&n.to_string()).await.unwrap());
        }
        assert!(turns.take("one more").await.is_err());
        drop(taken);
        for n in 0..10 * SWEEP {
            turns.take(&n.to_string()).await.unwrap();
        }
        assert!(turns.users.lock().unwrap().len() <= SWEEP);
    }
}
