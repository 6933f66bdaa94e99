//! The pool of connections that read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::Options;

pub(in crate::store) type Pool = r2d2::Pool<Manager>;

/// Makes connections that cannot write.
pub(in crate::store) struct Manager {
    path: PathBuf,
    busy_timeout: Duration,
}

impl r2d2::ManageConnection for Manager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        // Read-write at the file level, because a reader of a write-ahead log keeps its index up to date.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), rusqlite::Error> {
        connection.execute_batch("")
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}

/// A pool that opens its connections when they are first needed.
pub(in crate::store) fn pool(path: &Path, options: &Options) -> Pool {
    let manager = Manager { path: path.to_owned(), busy_timeout: options.busy_timeout };
    r2d2::Pool::builder()
        .max_size(options.readers.max(1))
        .min_idle(Some(0))
        .test_on_check_out(false)
        .connection_timeout(options.busy_timeout.max(Duration::from_secs(1)))
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .build_unchecked(manager)
}
