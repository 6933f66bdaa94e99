//! Proof that a process lives: an advisory lock of a session, which the server gives up when the session ends.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::postgres::Client;
use uuid::Uuid;

use super::{ServerAddress, store_error};
use crate::store::db::Blocking;
use crate::store::{StoreError, StoreResult};

const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended($1, 4101))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended($1, 4101))";

/// Between two looks of a process whether it still holds its lock.
const LOOK: Duration = Duration::from_secs(1);
/// Who lives has its lock again within this time after the server was away.
const AGAIN: Duration = Duration::from_secs(3);

/// The presence of this process among those that share a database.
#[derive(Clone)]
pub(in crate::store) struct SessionLock {
    owner: Arc<str>,
    address: Arc<ServerAddress>,
    /// Holds the lock; anew after the server was away.
    session: Arc<Mutex<Option<HeldSession>>>,
}

struct HeldSession {
    session: Blocking,
    since: Instant,
}

impl SessionLock {
    /// Takes a lock under a new name, and keeps it for as long as what it answers is held. It blocks.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn show(address: &Arc<ServerAddress>) -> StoreResult<Self> {
        let lock = SessionLock { owner: Uuid::new_v4().to_string().into(), address: Arc::clone(address), session: Arc::default() };
        lock.hold()?;
        let (owner, address, session) = (Arc::clone(&lock.owner), Arc::clone(&lock.address), Arc::downgrade(&lock.session));
        let keep = move || {
            while let Some(session) = session.upgrade() {
                let lock = SessionLock { owner: Arc::clone(&owner), address: Arc::clone(&address), session };
                if let Err(error) = lock.hold() {
                    tracing::debug!(%error, "this process shows later that it lives");
                }
                drop(lock);
                std::thread::sleep(LOOK);
            }
        };
        std::thread::Builder::new().name("store-presence".into()).spawn(keep).map_err(|_| StoreError::Stopped)?;
        Ok(lock)
    }

    /// The name under which this process claims runs.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Takes the lock again where the session ended. It blocks.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn hold(&self) -> StoreResult<()> {
        let ask = || self.with(|client, _| client.batch_execute("SELECT 1"));
        // The first question to a session that ended tells that it did.
        ask().or_else(|_| ask())
    }

    /// Whether the process of that name has ended: its lock can be had. It blocks.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn has_ended(&self, owner: &str) -> StoreResult<bool> {
        if *owner == *self.owner {
            return Ok(false);
        }
        let look = || {
            self.with(|client, since| {
                let ended: bool = client.query_one(LOCK, &[&owner])?.get(0);
                if ended {
                    client.query_one(UNLOCK, &[&owner])?;
                }
                Ok((ended, since))
            })
        };
        let (ended, since) = look()?;
        // The server may just be back, and that process not here yet.
        let early = AGAIN.saturating_sub(since.elapsed());
        if !ended || early.is_zero() {
            return Ok(ended);
        }
        std::thread::sleep(early);
        look().map(|(ended, _)| ended)
    }

    fn with<T>(&self, run: impl FnOnce(&mut Client, Instant) -> Result<T, ::postgres::Error>) -> StoreResult<T> {
        let fail = |error| store_error(&self.address.shown, &error);
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_none_or(|held| held.session.is_closed()) {
            let mut session = self.address.connect()?;
            let client = session.client().map_err(|_| StoreError::Stopped)?;
            let is_ours: bool = client.query_one(LOCK, &[&&*self.owner]).map_err(fail)?.get(0);
            if !is_ours {
                // The server has not noticed yet that the old session ended.
                return Err(StoreError::Busy { path: self.address.shown.clone() });
            }
            *held = Some(HeldSession { session, since: Instant::now() });
        }
        match held.as_mut().and_then(|HeldSession { session, since }| Some((session.client().ok()?, *since))) {
            Some((client, since)) => run(client, since).map_err(fail),
            None => Err(StoreError::Stopped),
        }
    }
}
