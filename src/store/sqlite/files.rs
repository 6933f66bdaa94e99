//! The files of a data directory and the settings of each connection.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::OFlags;

use crate::durable::{chown_to_directory_owner, directory_of};
use crate::store::sql::error::store_error;
use crate::store::{Options, Store};
use crate::store::{StoreError, StoreResult};

/// After a checkpoint the write-ahead log file shrinks to this size, in bytes.
const WAL_LIMIT: i64 = 64 * 1024 * 1024;

/// Pages in the write-ahead log at which it is carried over into the file, which costs two more syncs: 16 MB.
const WAL_PAGES: i64 = 4_000;

/// Pages that the writer keeps at hand, in KB. A transaction that touches more writes some of them more than once.
const WRITER_CACHE_KB: i64 = 16 * 1024;

/// Makes the directory where it is missing, for its owner only.
pub(in crate::store) fn directory(data_dir: &Path) -> StoreResult<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|error| unusable(data_dir, &error))
}

/// Makes an empty database file where there is none, readable by its owner only.
/// SQLite gives its side files the mode of the database file.
pub(in crate::store) fn prepare(data_dir: &Path) -> StoreResult<PathBuf> {
    let path = data_dir.join(Store::FILE_NAME);
    if path.metadata().is_ok_and(|file| file.len() > 0) {
        return Ok(path);
    }
    // SQLite would clear away the log of a database that is not there any more, and its rows with it.
    let log = beside(&path, "-wal");
    if log.metadata().is_ok_and(|file| file.len() > 0) {
        return Err(StoreError::LostDatabase { path, log });
    }
    make(&path).map_err(|error| unusable(data_dir, &error))?;
    Ok(path)
}

/// Makes an empty file for the owner of its directory; one that is there already stays as it is.
fn make(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().create_new(true).append(true).mode(0o600).open(path) {
        Ok(file) => chown_to_directory_owner(&file, &directory_of(path)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The path with something after its name.
pub(in crate::store) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Says for as long as the file is open that a process uses the database, so that none puts another in its place.
/// Waits for a while for a restore that is under way.
pub(in crate::store) fn use_database(data_dir: &Path, options: &Options) -> StoreResult<File> {
    let file = lock_file(data_dir)?;
    let started = Instant::now();
    loop {
        match file.try_lock_shared() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(unusable(data_dir, &error)),
            Err(TryLockError::WouldBlock) if started.elapsed() >= options.busy_timeout => {
                return Err(StoreError::BeingRestored { path: data_dir.join(Store::FILE_NAME) });
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Keeps all processes from opening the database for as long as the file is open; `None` where one has it open.
pub(in crate::store) fn reserve_database(data_dir: &Path) -> StoreResult<Option<File>> {
    let file = lock_file(data_dir)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unusable(data_dir, &error)),
    }
}

fn lock_file(data_dir: &Path) -> StoreResult<File> {
    let path = lock_path(data_dir);
    let made = make(&path);
    // To lock a file it is enough to read it, should the directory have become read-only. A link would lead to another file.
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let open = |append| OpenOptions::new().read(true).append(append).custom_flags(no_link).open(&path);
    open(true).or_else(|_| open(false)).map_err(|error| unusable(data_dir, &made.err().unwrap_or(error)))
}

/// The file that tells who uses the database.
pub(in crate::store) fn lock_path(data_dir: &Path) -> PathBuf {
    data_dir.join(format!("{}.lock", Store::FILE_NAME))
}

/// What an error of a file in the data directory means.
pub(in crate::store) fn unusable(data_dir: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull => StoreError::Full { path: data_dir.to_owned() },
        _ => StoreError::Directory { path: data_dir.to_owned(), reason: error.to_string() },
    }
}

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// `None` where there is no file.
    pub fn of(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|file| FileId { device: file.dev(), inode: file.ino() })
    }
}

/// Opens the database for writing. Nothing in the file changes yet.
pub(in crate::store) fn connect(path: &Path, options: &Options) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(options.busy_timeout)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        // Else a plan depends on bound values, where a partial index is concerned, and a statement is prepared anew on each use.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|error| store_error(path, error))
}

/// Turns on the write-ahead log and says how durable a commit is.
pub(in crate::store) fn enter_wal(connection: &Connection, path: &Path, options: &Options) -> StoreResult<()> {
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
    // SQLite does not wait by itself for another process that enters at the same time.
    let started = Instant::now();
    loop {
        match set() {
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) && started.elapsed() < options.busy_timeout =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            outcome => return outcome.map_err(|error| store_error(path, error)),
        }
    }
}
