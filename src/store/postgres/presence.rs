//! Proof that a process lives: an advisory lock of a session, which the server gives up when the session ends.

use std::sync::{Arc, Mutex, PoisonError};

use ::postgres::Client;
use uuid::Uuid;

use super::{ServerAddress, store_error};
use crate::store::db::Blocking;
use crate::store::{StoreError, StoreResult};

const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended($1, 4101))";
const UNLOCK: &str = "SELECT pg_advisory_unlock(hashtextextended($1, 4101))";

/// The presence of this process among those that share a database.
#[derive(Clone)]
pub(in crate::store) struct SessionLock {
    owner: Arc<str>,
    address: Arc<ServerAddress>,
    /// Holds the lock; anew after the server was away.
    session: Arc<Mutex<Option<Blocking>>>,
}

impl SessionLock {
    /// Takes a lock under a new name. It blocks.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn show(address: &Arc<ServerAddress>) -> StoreResult<Self> {
        let lock = SessionLock { owner: Uuid::new_v4().to_string().into(), address: Arc::clone(address), session: Arc::default() };
        lock.hold()?;
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
        self.with(|_| Ok(()))
    }

    /// Whether the process of that name has ended: its lock can be had. It blocks.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub fn has_ended(&self, owner: &str) -> StoreResult<bool> {
        if *owner == *self.owner {
            return Ok(false);
        }
        self.with(|client| {
            let ended: bool = client.query_one(LOCK, &[&owner])?.get(0);
            if ended {
                client.query_one(UNLOCK, &[&owner])?;
            }
            Ok(ended)
        })
    }

    fn with<T>(&self, run: impl FnOnce(&mut Client) -> Result<T, ::postgres::Error>) -> StoreResult<T> {
        let fail = |error| store_error(&self.address.shown, &error);
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if session.as_ref().is_none_or(Blocking::is_closed) {
            let mut opened = self.address.connect()?;
            let client = opened.client().map_err(|_| StoreError::Stopped)?;
            let held: bool = client.query_one(LOCK, &[&&*self.owner]).map_err(fail)?.get(0);
            if !held {
                // The server has not noticed yet that the old session ended.
                return Err(StoreError::Busy { path: self.address.shown.clone() });
            }
            *session = Some(opened);
        }
        match session.as_mut().and_then(|session| session.client().ok()) {
            Some(client) => run(client).map_err(fail),
            None => Err(StoreError::Stopped),
        }
    }
}
