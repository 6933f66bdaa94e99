//! Putting a copy in the place of a database.
//!
//! The copy is examined under another name in the same directory and gets the name of the database in one step, so that
//! whatever is killed and when, the database is the old one or the new one. Nobody has it open meanwhile.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use rustix::fs::FlockOperation;

use super::backup::Progress;
use super::files::beside;
use super::{files, migrate};
use crate::domain::time;
use crate::durable::{chown_to_directory_owner, directory_of, draft_of, sync_directory};
use crate::store::SetAside;
use crate::store::Store;
use crate::store::sql::check;
use crate::store::sql::error::store_error;
use crate::store::{StoreError, StoreResult};

/// What a restored database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub rows: i64,
    /// When the last row came into the log.
    pub last: Option<Timestamp>,
    /// Rows that are kept and not used, since they break a limit of today.
    pub set_aside: Vec<SetAside>,
    /// Where the database is kept that was there before.
    pub kept: Option<PathBuf>,
}

/// Bytes that are copied at a time.
const CHUNK: usize = 1024 * 1024;

/// Files that SQLite keeps beside a database.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Nobody is signed in to a restored database, and how the calls under way in it ended, nobody knows.
const ANEW: &str = "DELETE FROM sessions; DELETE FROM sign_in_links; UPDATE outbox SET owner = 'a restored copy' WHERE next_at IS NOT NULL";

/// Puts a copy into a data directory; with `replace` also where there is a database, which is then kept under another name.
/// Whoever was signed in has to sign in again. It blocks.
///
/// # Errors
/// A copy that is no sound database of this program, a database that may not be replaced or is in use, a directory that
/// cannot be written. Nothing is changed then.
pub fn restore(data_dir: &Path, from: &Path, replace: bool, now: Timestamp, progress: Progress) -> StoreResult<Restored> {
    let path = data_dir.join(Store::FILE_NAME);
    files::directory(data_dir)?;
    let in_use = || StoreError::InUse { path: path.clone() };
    let _reserved = files::reserve_database(data_dir)?.ok_or_else(in_use)?;
    let there = path.metadata().is_ok_and(|file| file.len() > 0);
    if there && !replace {
        return Err(StoreError::Exists { path });
    }
    let unreadable = |error: std::io::Error| StoreError::Restore { path: from.to_owned(), reason: error.to_string() };
    let unusable = |error: std::io::Error| files::unusable(data_dir, &error);
    let source = from.canonicalize().map_err(unreadable)?;
    sweep(data_dir, &path, &source).map_err(unusable)?;
    let draft = draft_of(&path);
    let restored = take(&source, &draft, progress).and_then(|restored| {
        let kept = free_name(&path, now);
        let _closed = if there { close_for_good(&path)? } else { None };
        if there {
            std::fs::hard_link(&path, &kept).map_err(|error| StoreError::Directory {
                path: data_dir.to_owned(),
                reason: format!("the old database cannot be given a second name, {} ({error})", kept.display()),
            })?;
        }
        // The copy must not meet the log of another database, which a crash or damage has left.
        let back = |error| {
            // As long as the database is the old one, its log belongs to it.
            let _ = move_side_files(&kept, &path);
            unusable(error)
        };
        let aside = move_side_files(&path, &kept).map_err(back)?;
        std::fs::rename(&draft, &path).map_err(back)?;
        sync_directory(data_dir).map_err(unusable)?;
        Ok(Restored { kept: (there || aside).then_some(kept), ..restored })
    });
    if restored.is_err() {
        remove(&draft);
    }
    restored
}

/// Copies a file under its other name and makes a sound database of this program out of it.
fn take(from: &Path, draft: &Path, progress: Progress) -> StoreResult<Restored> {
    let refused = |reason: String| StoreError::Restore { path: from.to_owned(), reason };
    if !from.is_file() {
        return Err(refused(if from.is_dir() { "it is a directory" } else { "it is no file" }.into()));
    }
    // It may change while it is read. Ours say that they use one, also where the file itself cannot be written.
    if is_in_use(from) || File::open(beside(from, ".lock")).is_ok_and(|lock| lock.try_lock().is_err()) {
        return Err(refused("it is a database in use; make a copy with `mana-ai backup` first".into()));
    }
    copy(from, draft, progress)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let examine = || -> StoreResult<Restored> {
        let sqlite = |error| store_error(draft, error);
        let mut connection = Connection::open_with_flags(draft, flags).map_err(sqlite)?;
        connection.pragma_update(None, "trusted_schema", false).map_err(sqlite)?;
        // Takes in a write-ahead log that was copied too; afterwards the database is one file.
        connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(())).map_err(sqlite)?;
        let verified = migrate::verify(&connection, draft)?;
        let look = |connection: &Connection| {
            let found = check::file_and_log(&connection.into()).map_err(sqlite)?;
            found.findings.first().map_or(Ok(()), |finding| Err(refused(finding.text.clone()))).map(|()| found)
        };
        let mut found = look(&connection)?;
        migrate::drop_additions(&connection, &verified).map_err(sqlite)?;
        migrate::migrate(&mut connection, draft)?;
        if verified.version == migrate::LOG_MOVES {
            // Rows that were still to move have not been looked at.
            found = look(&connection)?;
        }
        connection.execute_batch(ANEW).map_err(sqlite)?;
        let last = "SELECT sync_at FROM sync_changes ORDER BY seq DESC LIMIT 1";
        let last: Option<i64> = connection.query_row(last, [], |row| row.get(0)).optional().map_err(sqlite)?;
        // As its readers expect it; else the first of them would have to change it while others wait.
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).map_err(sqlite)?;
        connection.close().map_err(|(_, error)| sqlite(error))?;
        Ok(Restored { rows: found.rows, last: last.map(time::from_micros), set_aside: found.set_aside, kept: None })
    };
    let restored = examine().map_err(|error| match error {
        StoreError::Restore { .. } => error,
        StoreError::NotOurs { .. } => refused("it is no database of mana-ai; give a file that `mana-ai backup` wrote".into()),
        StoreError::TooNew { found, known, .. } => refused(format!(
            "it has schema version {found}, but this program knows only up to {known}; use the newer mana-ai that wrote it"
        )),
        StoreError::Corrupt { reason, .. } => refused(format!("it is damaged: {reason}")),
        StoreError::Altered { what, .. } => refused(format!("it {what}")),
        StoreError::Full { .. } | StoreError::Io { .. } | StoreError::NoRoom { .. } => error,
        other => refused(other.to_string()),
    })?;
    File::open(draft).and_then(|file| file.sync_all()).map_err(|error| refused(error.to_string()))?;
    Ok(restored)
}

/// Copies a database file, with the write-ahead log that a raw copy of a database may have beside it.
fn copy(from: &Path, draft: &Path, mut progress: Progress) -> StoreResult<()> {
    let unreadable = |error: std::io::Error| StoreError::Restore { path: from.to_owned(), reason: error.to_string() };
    let dir = directory_of(draft);
    let unusable = |error: std::io::Error| files::unusable(&dir, &error);
    let wal = beside(from, "-wal");
    let mut parts = vec![(from.to_owned(), draft.to_owned())];
    if wal.exists() {
        parts.push((wal, beside(draft, "-wal")));
    }
    let total = parts.iter().map(|(part, _)| part.metadata().map_or(0, |file| file.len())).sum();
    let (mut done, mut chunk) = (0, vec![0; CHUNK]);
    for (from, to) in parts {
        let mut source = File::open(from).map_err(unreadable)?;
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(unusable)?;
        chown_to_directory_owner(&target, &dir).map_err(unusable)?;
        loop {
            let read = match source.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error)),
            };
            target.write_all(&chunk[..read]).map_err(unusable)?;
            done += read as u64;
            if !progress(done, total) {
                return Err(StoreError::Stopped);
            }
        }
    }
    Ok(())
}

/// Whether a program has a database open: SQLite then holds a lock on the file, by whatever name it was opened.
fn is_in_use(database: &Path) -> bool {
    OpenOptions::new().read(true).write(true).open(database).is_ok_and(|file| {
        // It is given back when the file is closed.
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    })
}

/// Makes one file of a database, and keeps every other program out of it for as long as the connection is open; `None` where
/// it is damaged, so that nobody can use it in any case.
fn close_for_good(path: &Path) -> StoreResult<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let close = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        // What turns out to be damaged stays as it is.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(connection)
    };
    match close() {
        Ok(connection) => Ok(Some(connection)),
        Err(error) => match store_error(path, error) {
            StoreError::Busy { path } => Err(StoreError::InUse { path }),
            error @ (StoreError::Full { .. } | StoreError::Io { .. }) => Err(error),
            _ if is_in_use(path) => Err(StoreError::InUse { path: path.to_owned() }),
            _ => Ok(None),
        },
    }
}

/// Moves what SQLite left beside a database to another name; `false` where there was nothing.
fn move_side_files(from: &Path, to: &Path) -> std::io::Result<bool> {
    let mut moved = false;
    for side in SIDE_FILES {
        match std::fs::rename(beside(from, side), beside(to, side)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            outcome => moved |= outcome.is_ok(),
        }
    }
    sync_directory(&directory_of(from))?;
    Ok(moved)
}

/// A name beside the database for the one that was there.
fn free_name(path: &Path, now: Timestamp) -> PathBuf {
    let name = format!(".replaced-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let mut kept = beside(path, &name);
    let mut more = 2;
    while kept.exists() {
        kept = beside(path, &format!("{name}-{more}"));
        more += 1;
    }
    kept
}

/// Clears away what restores left that were killed: their drafts, and second names of the database that they did not
/// replace. The copy that is to be restored stays, whatever its name.
fn sweep(data_dir: &Path, path: &Path, source: &Path) -> std::io::Result<()> {
    let identity = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    let (database, source) = (identity(path), identity(source));
    for entry in std::fs::read_dir(data_dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(Store::FILE_NAME)) else { continue };
        let this = identity(&entry.path());
        let is_second_name = rest.starts_with(".replaced-") && this == database;
        // A log that was moved already goes back, unless somebody wrote without it meanwhile.
        let modified = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
        let log = beside(&entry.path(), SIDE_FILES[0]);
        if is_second_name && !beside(path, SIDE_FILES[0]).exists() && log.exists() && modified(path) <= modified(&log) {
            move_side_files(&entry.path(), path)?;
        }
        if (is_draft(rest) || is_second_name) && this != source {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a name goes on after that of the database as [`draft_of`] makes it, or as SQLite names files beside such.
fn is_draft(rest: &str) -> bool {
    let rest = SIDE_FILES.iter().find_map(|side| rest.strip_suffix(side)).unwrap_or(rest);
    let id = rest.strip_prefix('.').and_then(|rest| rest.strip_suffix(".part"));
    id.is_some_and(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn remove(draft: &Path) {
    let _ = std::fs::remove_file(draft);
    for side in SIDE_FILES {
        let _ = std::fs::remove_file(beside(draft, side));
    }
}
