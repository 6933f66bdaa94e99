//! Copies and checks of a whole database, while it is in use.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::Store;
use super::changes::delta;
use super::error::{StoreError, StoreResult};
use super::refresh::newest;
use super::snapshots::Table;
use crate::domain::merge::Fold;

/// What a check looked at, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    pub rows: i64,
    /// Agents and missions that were folded again from the log.
    pub records: u64,
    /// What is wrong, a sentence each; at most a hundred.
    pub findings: Vec<String>,
}

const MOST_FINDINGS: usize = 100;

impl Store {
    /// Writes a copy of the database as it is now; writers go on meanwhile. The file appears whole or not at all, is
    /// readable by its owner only, and never takes the place of another.
    ///
    /// # Errors
    /// When the file is there already, or cannot be written.
    pub async fn backup(&self, to: PathBuf) -> StoreResult<()> {
        let from = self.path().to_owned();
        tokio::task::spawn_blocking(move || copy(&from, &to)).await.map_err(|_| StoreError::Stopped)?
    }

    /// Checks that the file is sound, that the log is in order, and that each snapshot is the fold of its rows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn check(&self) -> StoreResult<Check> {
        self.read(|c| {
            // One state of the database for all questions.
            let c = c.unchecked_transaction()?;
            let mut check = Check::default();
            integrity(&c, &mut check)?;
            order(&c, &mut check)?;
            for table in [Table::Agents, Table::Missions] {
                folds(&c, table, &mut check)?;
            }
            check.findings.truncate(MOST_FINDINGS);
            Ok(check)
        })
        .await
    }
}

fn copy(from: &Path, to: &Path) -> StoreResult<()> {
    let failed = |error: std::io::Error| StoreError::Backup { path: to.to_owned(), reason: error.to_string() };
    if to.exists() {
        return Err(failed(std::io::Error::from(std::io::ErrorKind::AlreadyExists)));
    }
    let mut draft = to.as_os_str().to_owned();
    draft.push(format!(".{}.part", uuid::Uuid::new_v4().simple()));
    let draft = PathBuf::from(draft);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed)?;
    let written = write_copy(from, &draft).and_then(|()| {
        File::open(&draft).and_then(|file| file.sync_all()).map_err(failed)?;
        // Unlike a rename, a link does not take the place of a file that came meanwhile.
        std::fs::hard_link(&draft, to).map_err(failed)
    });
    // Only what failed half-way is left without this.
    let _ = std::fs::remove_file(&draft);
    written?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}

fn write_copy(from: &Path, draft: &Path) -> StoreResult<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = || Connection::open_with_flags(from, flags)?.execute("VACUUM INTO ?1", [draft.to_string_lossy()]).map(drop);
    copy().map_err(|error| StoreError::Backup { path: draft.to_owned(), reason: error.to_string() })
}

fn integrity(connection: &Connection, check: &mut Check) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    for said in statement.query_map([], |row| row.get::<_, String>(0))? {
        let said = said?;
        if said != "ok" {
            check.findings.push(format!("the file is damaged: {said}"));
        }
    }
    Ok(())
}

fn order(connection: &Connection, check: &mut Check) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT seq, sync_at FROM sync_changes ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut last = i64::MIN;
    while let Some(row) = rows.next()? {
        let (seq, sync_at): (i64, i64) = (row.get(0)?, row.get(1)?);
        if sync_at <= last && check.findings.len() < MOST_FINDINGS {
            check.findings.push(format!("row {seq} of the log has a sync_at that is not after the one before it"));
        }
        last = sync_at;
        check.rows += 1;
    }
    Ok(())
}

/// Folds every record of a table from its first row, and compares.
fn folds(connection: &Connection, table: Table, check: &mut Check) -> rusqlite::Result<()> {
    let records = "SELECT DISTINCT user_id, record_id FROM sync_changes WHERE app_id = 'ai' AND table_name = ?1";
    let rows = "SELECT op, data, field_meta, created_at FROM sync_changes \
                WHERE user_id = ?1 AND app_id = 'ai' AND table_name = ?2 AND record_id = ?3 ORDER BY seq";
    let mut statement = connection.prepare(records)?;
    let mut records = statement.query([table.log_name()])?;
    while let Some(row) = records.next()? {
        let (user, record): (String, String) = (row.get(0)?, row.get(1)?);
        let mut fold = Fold::default();
        let mut statement = connection.prepare_cached(rows)?;
        let mut rows = statement.query(params![user, table.log_name(), record])?;
        while let Some(row) = rows.next()? {
            fold.apply(&record, delta(row)?);
        }
        check.records += 1;
        if newest(connection, table, &user, &record)?.fold.live() != fold.live() && check.findings.len() < MOST_FINDINGS {
            check.findings.push(format!("the snapshot of {} {record} of user {user} is not the fold of its rows", table.log_name()));
        }
    }
    Ok(())
}
