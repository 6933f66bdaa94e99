//! The files of a data directory and the settings of each connection.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::error::{StoreError, StoreResult};
use super::{Options, Store};

/// After a checkpoint the write-ahead log file shrinks to this size, in bytes.
const WAL_LIMIT: i64 = 64 * 1024 * 1024;

/// Pages in the write-ahead log at which it is carried over into the file, which costs two more syncs: 16 MB.
const WAL_PAGES: i64 = 4_000;

/// Pages that the writer keeps at hand, in KB. A transaction that touches more writes some of them more than once.
const WRITER_CACHE_KB: i64 = 16 * 1024;

/// Makes the directory and an empty database file where they are missing, readable by their owner only.
/// SQLite gives its side files the mode of the database file.
pub(super) fn prepare(data_dir: &Path) -> StoreResult<PathBuf> {
    let failed = |error: std::io::Error| StoreError::Directory { path: data_dir.to_owned(), reason: error.to_string() };
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed)?;
    let path = data_dir.join(Store::FILE_NAME);
    if !path.exists() {
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed)?;
    }
    Ok(path)
}

/// Opens the database for writing. Nothing in the file changes yet.
pub(super) fn connect(path: &Path, options: &Options) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(options.busy_timeout)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|error| StoreError::sqlite(path, error))
}

/// Turns on the write-ahead log and says how durable a commit is.
pub(super) fn enter_wal(connection: &Connection, path: &Path, options: &Options) -> StoreResult<()> {
    let set = || {
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if mode != "wal" {
            connection.pragma_update(None, "journal_mode", "wal")?;
        }
        connection.pragma_update(None, "synchronous", if options.durable { "full" } else { "normal" })?;
        connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
        if let Some(pages) = options.max_pages {
            connection.pragma_update(None, "max_page_count", pages)?;
        }
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KB)?;
        connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)
    };
    set().map_err(|error| StoreError::sqlite(path, error))
}
