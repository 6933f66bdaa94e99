//! What can go wrong with the database, in words that say what to do.

use std::path::PathBuf;

use crate::domain::ceilings::OverCeiling;
use crate::domain::limits::LimitRefusal;

pub type StoreResult<T> = Result<T, StoreError>;

/// A failure of the database. Clones share the cause, since one commit may answer many writers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("cannot use the data directory {}: {reason}; check that it exists and that you may write there, or choose another with --data-dir", path.display())]
    Directory { path: PathBuf, reason: String },
    #[error("{} is not a database of mana-ai; move it away or choose another directory with --data-dir", path.display())]
    NotOurs { path: PathBuf },
    #[error("the database {} has schema version {found}, but this program knows only up to {known}; use the newer mana-ai that wrote it", path.display())]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[error("the database {} cannot be written; check the permissions of the file and its directory", path.display())]
    ReadOnly { path: PathBuf },
    #[error("the disk of {} is full; nothing of this write was kept, free some space and try again", path.display())]
    Full { path: PathBuf },
    #[error("the database {} is locked by another process; nothing of this write was kept, try again when that process is done", path.display())]
    Busy { path: PathBuf },
    #[error("the database {} is damaged: {reason}; stop mana-ai and restore a copy", path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error("the disk of {} failed ({reason}); nothing of this write was kept, check its free space, its limits and its health", path.display())]
    Io { path: PathBuf, reason: String },
    /// What the engine refused, and nothing above tells of.
    #[error("the database {} failed: {reason}", path.display())]
    Engine { path: PathBuf, reason: String },
    #[error("cannot write the copy {}: {reason}; choose a new file in a directory that you may write to, with room for it", path.display())]
    Backup { path: PathBuf, reason: String },
    #[error("{} exists already; --replace puts the copy in its place and keeps the old database beside it", path.display())]
    Exists { path: PathBuf },
    #[error("the database {} is in use; stop mana-ai and whatever else has it open, then try again. Nothing was changed", path.display())]
    InUse { path: PathBuf },
    #[error("cannot restore {}: {reason}. Nothing was changed", path.display())]
    Restore { path: PathBuf, reason: String },
    #[error("there is no database in {}; name its directory with --data-dir or MANA_AI_DATA_DIR, or start with `mana-ai init`", dir.display())]
    NoDatabase { dir: PathBuf },
    #[error("the database {} is gone, but its write-ahead log {} is there; put the database back, or move the log away to begin anew", path.display(), log.display())]
    LostDatabase { path: PathBuf, log: PathBuf },
    #[error("the database {} is being restored; try again when that is done", path.display())]
    BeingRestored { path: PathBuf },
    #[error("the database {} {what}; was it changed by another program?", path.display())]
    Altered { path: PathBuf, what: String },
    #[error("the database {} holds {what} that cannot be read: {reason}; `mana-ai check` tells more", path.display())]
    Unreadable { path: PathBuf, what: String, reason: String },
    #[error("a change of {table} {record} cannot be kept: {refusal}. Nothing of this write was kept")]
    Refused { table: String, record: String, refusal: LimitRefusal },
    #[error("the database {} has to be brought from schema version {from} to {to}, which takes about {} MB on its disk for a while, but only {} MB are free; free some space and try again. Nothing was changed", path.display(), needed >> 20, free >> 20)]
    NoRoom { path: PathBuf, from: i64, to: i64, needed: u64, free: u64 },
    #[error("the database {} is no longer the file at its path: it was moved, removed or replaced while it was open. Put it back, or stop mana-ai and start it on the file that is there. Nothing of this write was acknowledged", path.display())]
    Moved { path: PathBuf },
    #[error("nothing of this push was kept: {0}")]
    OverCeiling(OverCeiling),
    #[error("the database is closing")]
    Stopped,
}

impl StoreError {
    /// Whether the machine is to blame, and not what was to be read or written: another mission would meet the same.
    pub fn is_of_machine(&self) -> bool {
        matches!(
            self,
            StoreError::Busy { .. }
                | StoreError::Full { .. }
                | StoreError::Io { .. }
                | StoreError::ReadOnly { .. }
                | StoreError::Directory { .. }
                | StoreError::Corrupt { .. }
                | StoreError::BeingRestored { .. }
                | StoreError::Moved { .. }
                | StoreError::Stopped
        )
    }

    /// Whether the same write may succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::Busy { .. } | StoreError::Full { .. } | StoreError::Io { .. } | StoreError::Moved { .. })
    }
}
