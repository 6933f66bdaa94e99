//! What requests and answers may hold in memory, over all connections.
//!
//! Whoever reads a body or makes an answer takes a share first. An answer keeps its share until the socket has taken its
//! last byte. One user, and everybody who is not known, can take a part of the whole only, so that nobody shuts out the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;

/// All bodies and answers.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Those of one user: the largest push, and some answers beside it.
const MAX_OF_USER: usize = 48 * 1024 * 1024;
/// Those of everybody who is not known.
const MAX_OF_OTHERS: usize = 16 * 1024 * 1024;

/// For whom bytes are held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    User(String),
    /// Whoever did not say who they are, and forms that no page has read yet.
    Others,
}

impl Owner {
    fn most(&self) -> usize {
        match self {
            Owner::User(_) => MAX_OF_USER,
            Owner::Others => MAX_OF_OTHERS,
        }
    }
}

/// No room is left for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("memory limit for requests and answers reached; try again later")]
pub(super) struct UsedUp;

/// The room and who holds how much of it.
#[derive(Default)]
pub(super) struct Budget {
    held: Mutex<HeldBytes>,
}

#[derive(Default)]
struct HeldBytes {
    total: usize,
    by_owner: HashMap<Owner, usize>,
}

impl Budget {
    /// A share of nothing yet.
    pub fn share(self: &Arc<Self>, owner: Owner) -> Share {
        Share { budget: Arc::clone(self), owner, bytes: 0 }
    }

    fn held(&self) -> MutexGuard<'_, HeldBytes> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that are held now.
    #[cfg(test)]
    fn in_use(&self) -> usize {
        self.held().total
    }
}

/// Bytes that somebody holds; dropping it gives them back.
pub(super) struct Share {
    budget: Arc<Budget>,
    owner: Owner,
    bytes: usize,
}

impl Share {
    /// Makes the share at least this large.
    pub fn grow_to(&mut self, bytes: usize) -> Result<(), UsedUp> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let mut held = self.budget.held();
        let total = held.total.saturating_add(more);
        let of_owner = held.by_owner.get(&self.owner).copied().unwrap_or_default().saturating_add(more);
        if total > MAX_BYTES || of_owner > self.owner.most() {
            return Err(UsedUp);
        }
        held.total = total;
        held.by_owner.insert(self.owner.clone(), of_owner);
        self.bytes = bytes;
        Ok(())
    }

    /// Gives back what is beyond this many bytes.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less == 0 {
            return;
        }
        self.bytes -= less;
        let mut held = self.budget.held();
        held.total = held.total.saturating_sub(less);
        let left = held.by_owner.get_mut(&self.owner).map(|of_owner| {
            *of_owner = of_owner.saturating_sub(less);
            *of_owner
        });
        if left == Some(0) {
            held.by_owner.remove(&self.owner);
        }
    }

    /// The bytes of an answer, which keep the share for as long as they are in memory.
    pub fn hold(mut self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        self.shrink_to(bytes.as_ref().len());
        Bytes::from_owner(KeptShare { bytes, _share: self })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

struct KeptShare<T> {
    bytes: T,
    _share: Share,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for KeptShare<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> Owner {
        Owner::User("ada".into())
    }

    #[test]
    fn nobody_takes_more_than_their_part_and_all_comes_back() {
        let budget = Arc::new(Budget::default());
        let mut first = budget.share(ada());
        first.grow_to(MAX_OF_USER).unwrap();
        assert!(budget.share(ada()).grow_to(1).is_err(), "her part is used up");
        let mut second = budget.share(Owner::User("ben".into()));
        second.grow_to(MAX_BYTES - MAX_OF_USER).unwrap();
        assert!(second.grow_to(MAX_BYTES - MAX_OF_USER + 1).is_err() && budget.share(Owner::Others).grow_to(1).is_err(), "all is used up");
        first.shrink_to(10);
        assert_eq!(budget.in_use(), MAX_BYTES - MAX_OF_USER + 10);
        assert!(budget.share(Owner::Others).grow_to(MAX_OF_OTHERS + 1).is_err());
        drop((first, second));
        assert!(budget.in_use() == 0 && budget.held().by_owner.is_empty());
    }

    #[test]
    fn an_answer_holds_its_share_until_its_last_byte_is_gone() {
        let budget = Arc::new(Budget::default());
        let mut share = budget.share(ada());
        share.grow_to(1_000).unwrap();
        let mut bytes = share.hold(vec![7; 100]);
        assert_eq!(budget.in_use(), 100, "what was not needed is given back");
        let rest = bytes.split_off(60);
        drop(bytes);
        assert_eq!(budget.in_use(), 100);
        drop(rest);
        assert_eq!(budget.in_use(), 0);
    }
}
