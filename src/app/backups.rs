//! Backups that an administrator makes on the page.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::{App, AppError, WrongValue};
use crate::domain::ids::UserId;
use crate::domain::time;
use crate::store::{StoreError, StoreResult};

/// The fact that tells when the last backup was made.
const BACKED_UP: &str = "backed up at";
/// The directory of the page's backups, in the data directory.
const DIRECTORY: &str = "backups";
/// The name of a backup: when it was made, in UTC.
const NAME: &str = "mana-ai-%Y%m%dT%H%M%SZ.db";
/// Backups of the page that stay; the oldest go.
const KEPT: usize = 5;

impl App {
    /// Whether the database is a file, of which a backup can be made here.
    pub fn can_back_up(&self) -> bool {
        self.store.is_file()
    }

    /// When a backup was made here last; the command writes nothing into what it copies.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_backup(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.store.fact(BACKED_UP).await?.and_then(|at| time::parse_rfc3339(&at)))
    }

    /// Writes the database as it is now into a file of the data directory, and answers which.
    ///
    /// # Errors
    /// Where an administrator is needed, another backup is being made, or the file cannot be written.
    pub async fn back_up(&self, who: &UserId) -> Result<PathBuf, AppError> {
        self.as_admin(who).await?;
        if !self.can_back_up() {
            return Err(WrongValue::BackupElsewhere.into());
        }
        let Ok(_one) = self.backing_up.try_lock() else { return Err(WrongValue::BackupUnderWay.into()) };
        let now = self.now();
        let dir = self.data_dir.join(DIRECTORY);
        let file = dir.join(now.strftime(NAME).to_string());
        let kept_in = dir.clone();
        let made = tokio::task::spawn_blocking(move || std::fs::create_dir_all(&dir)).await.map_err(|_| StoreError::Stopped)?;
        made.map_err(|error| WrongValue::BackupNotMade(error.to_string()))?;
        self.store.backup(file.clone(), Box::new(|_, _| true)).await?;
        self.store.set_fact(BACKED_UP, time::iso_millis(now)).await?;
        let _ = tokio::task::spawn_blocking(move || remove_old(&kept_in)).await;
        Ok(file)
    }
}

/// Removes all but the newest of those that were made here; one that cannot be removed stays.
fn remove_old(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Somebody may keep others beside them, such as mana-ai-before-the-move.db.
        DateTime::strptime(NAME, &*name).is_ok()
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_ours).collect();
    // Their names are their times.
    files.sort();
    for old in files.iter().rev().skip(KEPT) {
        let _ = std::fs::remove_file(old);
    }
}
