//! Transactions of SQLite that write.

use std::fs::File;
use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior};

use super::files::FileId;
use crate::store::db;
use crate::store::sql::error::store_error;
use crate::store::sql::writer::{End, Transactions};
use crate::store::{StoreError, StoreResult};

/// The one connection that writes to a file.
pub(in crate::store) struct FileTransactions {
    pub connection: Connection,
    pub path: PathBuf,
    /// The file that was opened.
    pub file: Option<FileId>,
    /// Says for as long as it is open that the database is in use.
    pub _in_use: File,
}

impl FileTransactions {
    /// Whether the open file is still the one at its path: what is written to another one, nobody finds.
    fn check(&self) -> StoreResult<()> {
        if FileId::of(&self.path) == self.file { Ok(()) } else { Err(StoreError::Moved { path: self.path.clone() }) }
    }
}

impl Transactions for FileTransactions {
    fn run(&mut self, jobs: &mut dyn FnMut(db::Db<'_>) -> StoreResult<End>) -> StoreResult<()> {
        self.check()?;
        let path = self.path.clone();
        let fail = |error| store_error(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        match jobs(db::Db::from(&*transaction))? {
            End::Commit => transaction.commit().map_err(fail)?,
            End::RollBack => transaction.rollback().map_err(fail)?,
        }
        // The file may have gone meanwhile: then it has these rows, but nobody is told that they are kept.
        self.check()
    }
}
