//! Proof that a process lives, by whose end its claims are taken over (docs/design.md, section 6).

use super::postgres::SessionLock;
use super::{ProcessLock, ProcessLockError, StoreError, StoreResult};

/// The presence of this process among those that share a database, for as long as it is held.
pub struct Presence(Proof);

enum Proof {
    /// A lock on a file beside the database.
    File(ProcessLock),
    /// A lock of a session with the server.
    Session(SessionLock),
}

/// The presence cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PresenceError {
    #[error(transparent)]
    File(#[from] ProcessLockError),
    #[error(transparent)]
    Session(#[from] StoreError),
}

impl From<ProcessLock> for Presence {
    fn from(lock: ProcessLock) -> Self {
        Presence(Proof::File(lock))
    }
}

impl From<SessionLock> for Presence {
    fn from(lock: SessionLock) -> Self {
        Presence(Proof::Session(lock))
    }
}

impl Presence {
    /// The name under which this process claims runs.
    pub fn owner(&self) -> &str {
        match &self.0 {
            Proof::File(lock) => lock.owner(),
            Proof::Session(lock) => lock.owner(),
        }
    }

    /// Whether the process of that name has ended.
    ///
    /// # Errors
    /// When nobody can tell.
    pub async fn has_ended(&self, owner: &str) -> StoreResult<bool> {
        match &self.0 {
            Proof::File(lock) => Ok(lock.has_ended(owner)),
            Proof::Session(lock) => {
                let (lock, owner) = (lock.clone(), owner.to_owned());
                tokio::task::spawn_blocking(move || lock.has_ended(&owner)).await.map_err(|_| StoreError::Stopped)?
            }
        }
    }

    /// Clears away what processes left that ended, and shows the presence again where the server forgot it.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn sweep(&self) -> StoreResult<()> {
        match &self.0 {
            Proof::File(lock) => {
                lock.sweep();
                Ok(())
            }
            Proof::Session(lock) => {
                let lock = lock.clone();
                tokio::task::spawn_blocking(move || lock.hold()).await.map_err(|_| StoreError::Stopped)?
            }
        }
    }

    /// Ends it, when the claims were given back.
    pub fn end(&self) {
        if let Proof::File(lock) = &self.0 {
            lock.end();
        }
    }
}
