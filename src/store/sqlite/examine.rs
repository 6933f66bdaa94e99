//! A look at a database from outside, that changes nothing: no directory, no file, no schema.

use std::fs::{File, TryLockError};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{files, migrate};
use crate::domain::merge::{future_stamps, is_future};
use crate::domain::time;
use crate::store::Store;
use crate::store::db::{self, params};
use crate::store::sql::changes::{COLUMNS, delta, place};
use crate::store::sql::error::store_error;
use crate::store::{StoreError, StoreResult};

/// What a look at a database tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// The version of its schema.
    pub version: i64,
    pub rows: i64,
    pub last_sync_at: Option<Timestamp>,
    /// Rows that break a limit of today; nothing is made of them.
    pub set_aside: u64,
    /// Stamps far ahead of the clock, and the place of the last: table, record, stamp.
    pub future_stamps: u64,
    pub in_future: Option<(String, String, String)>,
    /// The size of its file.
    pub bytes: u64,
}

/// Whether a process of ours has the database of a directory open.
pub fn is_open(data_dir: &Path) -> bool {
    File::open(files::lock_path(data_dir)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Opens a database so that nothing is left beside it. One that nobody has open has no log, and is read as a file that
/// stays as it is, since SQLite would make one else.
fn open(path: &Path) -> rusqlite::Result<Connection> {
    if files::beside(path, "-wal").exists() {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        return Ok(connection);
    }
    let name: String = path.as_os_str().as_bytes().iter().map(|byte| format!("%{byte:02x}")).collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)
}

/// Looks at the database of a directory; `None` where there is none. It blocks.
///
/// # Errors
/// A file that cannot be read, is not ours, is newer than this program, or is damaged.
pub fn examine(data_dir: &Path, now: Timestamp) -> StoreResult<Option<Examined>> {
    let path = data_dir.join(Store::FILE_NAME);
    let Some(bytes) = path.metadata().ok().map(|file| file.len()).filter(|bytes| *bytes > 0) else { return Ok(None) };
    let sqlite = |error| store_error(&path, error);
    // Nobody puts another in its place meanwhile.
    let lock = File::open(files::lock_path(data_dir)).ok();
    if lock.as_ref().is_some_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock))) {
        return Err(StoreError::BeingRestored { path });
    }
    let connection = open(&path).map_err(sqlite)?;
    connection.pragma_update(None, "query_only", true).map_err(sqlite)?;
    connection.pragma_update(None, "trusted_schema", false).map_err(sqlite)?;
    let version = migrate::verify(&connection, &path)?.version;
    let said: String = connection.pragma_query_value(None, "quick_check", |row| row.get(0)).map_err(sqlite)?;
    if said != "ok" {
        return Err(StoreError::Corrupt { path, reason: said.lines().next().unwrap_or_default().to_owned() });
    }
    let last = "SELECT sync_at FROM sync_changes ORDER BY seq DESC LIMIT 1";
    let last: Option<i64> = connection.query_row(last, [], |row| row.get(0)).optional().map_err(sqlite)?;
    let last_sync_at = last.map(time::from_micros);
    let mut examined = Examined { version, rows: 0, last_sync_at, set_aside: 0, future_stamps: 0, in_future: None, bytes };
    look_at_rows(&connection, now, &mut examined).map_err(sqlite)?;
    Ok(Some(examined))
}

fn look_at_rows(connection: &rusqlite::Connection, now: Timestamp, examined: &mut Examined) -> rusqlite::Result<()> {
    let mut statement = db::Db::from(connection).prepare_cached(&format!("SELECT {COLUMNS} FROM sync_changes ORDER BY seq"))?;
    let mut rows = statement.query(params![])?;
    while let Some(row) = &rows.next()? {
        examined.rows += 1;
        let Ok(delta) = delta(row)? else {
            examined.set_aside += 1;
            continue;
        };
        let future = future_stamps(&delta.field_meta, now);
        if future > 0 {
            examined.future_stamps += future;
            let stamp = delta.field_meta.into_values().find(|stamp| is_future(stamp, now)).unwrap_or_default();
            examined.in_future = Some((row.get(place::TABLE)?, row.get(place::RECORD_ID)?, stamp));
        }
    }
    Ok(())
}
