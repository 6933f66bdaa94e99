//! Copies of a whole database, while it is in use.

use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::files;
use crate::durable;
use crate::store::Store;
use crate::store::{StoreError, StoreResult};

/// Hears how many bytes of how many, by estimate, are written, and answers whether to go on.
pub type Progress = Box<dyn FnMut(u64, u64) -> bool + Send>;

/// Steps of SQLite between two reports.
const REPORT_EVERY: i32 = 100_000;

impl Store {
    /// Writes a copy of the database as it is now; writers go on meanwhile. The file appears whole or not at all, is
    /// readable by its owner only, and never takes the place of another.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub async fn backup(&self, to: PathBuf, progress: Progress) -> StoreResult<()> {
        let from = self.path().to_owned();
        if !self.is_file() {
            return Err(StoreError::Backup { path: to, reason: "the database is in Postgres, whose own `pg_dump` copies it".into() });
        }
        tokio::task::spawn_blocking(move || copy(&from, &to, progress)).await.map_err(|_| StoreError::Stopped)?
    }
}

fn copy(from: &Path, to: &Path, progress: Progress) -> StoreResult<()> {
    let failed = |error: std::io::Error| StoreError::Backup { path: to.to_owned(), reason: error.to_string() };
    if to.exists() {
        return Err(StoreError::Backup { path: to.to_owned(), reason: "there is a file of that name already".into() });
    }
    let draft = durable::draft_of(to);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    let written = write_copy(from, &draft, progress)
        .and_then(|()| File::open(&draft).and_then(|file| file.sync_all()).and_then(|()| durable::put(&draft, to)).map_err(failed));
    if written.is_err() {
        for left in [draft.clone(), files::beside(&draft, "-journal")] {
            let _ = std::fs::remove_file(left);
        }
    }
    written
}

fn write_copy(from: &Path, draft: &Path, mut progress: Progress) -> StoreResult<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = || {
        let mut connection = Connection::open_with_flags(from, flags)?;
        let pages = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
        let expected: u64 = connection.query_row(pages, [], |row| row.get(0))?;
        let growing = draft.to_owned();
        let report = move || !progress(growing.metadata().map_or(0, |file| file.len()), expected);
        connection.progress_handler(REPORT_EVERY, Some(report))?;
        // A name is bytes, and one that starts with `file:` would be read as an address.
        let name = std::path::absolute(draft).unwrap_or_else(|_| draft.to_owned());
        let name = ToSqlOutput::Borrowed(ValueRef::Text(name.as_os_str().as_bytes()));
        connection.execute("VACUUM INTO ?1", [name]).map(drop)
    };
    copy().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => StoreError::Stopped,
        _ => StoreError::Backup { path: draft.to_owned(), reason: error.to_string() },
    })
}
