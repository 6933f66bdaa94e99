//! What can go wrong with the database, in words that say what to do.

use std::path::PathBuf;

use crate::domain::ceilings::OverCeiling;
use crate::domain::limits::LimitRefusal;

pub type StoreResult<T> = Result<T, StoreError>;

/// A failure of the database. Clones share the cause, since one commit may answer many writers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("cannot use the data directory {}: {reason}; {}", path.display(), advice::DIRECTORY)]
    Directory { path: PathBuf, reason: String },
    #[error("{} is not a database of mana-ai; {}", path.display(), advice::NOT_OURS)]
    NotOurs { path: PathBuf },
    #[error("the database {} has schema version {found}, but this program knows only up to {known}; {}", path.display(), advice::TOO_NEW)]
    TooNew { path: PathBuf, found: i64, known: i64 },
    #[error("the database {} cannot be written; {}", path.display(), advice::READ_ONLY)]
    ReadOnly { path: PathBuf },
    #[error("the disk of {} is full; {}", path.display(), advice::FULL)]
    Full { path: PathBuf },
    #[error("the database {} is locked by another process; {}", path.display(), advice::BUSY)]
    Busy { path: PathBuf },
    #[error("the database {} is damaged: {reason}; {}", path.display(), advice::CORRUPT)]
    Corrupt { path: PathBuf, reason: String },
    #[error("the disk of {} failed ({reason}); {}", path.display(), advice::IO)]
    Io { path: PathBuf, reason: String },
    /// What the engine refused, and nothing above tells of.
    #[error("the database {} failed: {reason}", path.display())]
    Engine { path: PathBuf, reason: String },
    #[error("cannot write the copy {}: {reason}; {}", path.display(), advice::BACKUP)]
    Backup { path: PathBuf, reason: String },
    #[error("{} exists already; {}", path.display(), advice::EXISTS)]
    Exists { path: PathBuf },
    #[error("the database {} is in use; {}", path.display(), advice::IN_USE)]
    InUse { path: PathBuf },
    #[error("cannot restore {}: {reason}. Nothing was changed", path.display())]
    Restore { path: PathBuf, reason: String },
    #[error("there is no database in {}; {}", dir.display(), advice::NO_DATABASE)]
    NoDatabase { dir: PathBuf },
    #[error("the database {} is gone, but its write-ahead log {} is there; {}", path.display(), log.display(), advice::LOST_DATABASE)]
    LostDatabase { path: PathBuf, log: PathBuf },
    #[error("the database {} is being restored; {}", path.display(), advice::BEING_RESTORED)]
    BeingRestored { path: PathBuf },
    #[error("the database {} {what}; {}", path.display(), advice::ALTERED)]
    Altered { path: PathBuf, what: String },
    #[error("the database {} holds {what} that cannot be read: {reason}; {}", path.display(), advice::UNREADABLE)]
    Unreadable { path: PathBuf, what: String, reason: String },
    #[error("a change of {table} {record} cannot be kept: {refusal}. Nothing of this write was kept")]
    Refused { table: String, record: String, refusal: LimitRefusal },
    #[error("the database {} has to be brought from schema version {from} to {to}, which takes about {} MB on its disk for a while, but only {} MB are free; {}", path.display(), needed >> 20, free >> 20, advice::NO_ROOM)]
    NoRoom { path: PathBuf, from: i64, to: i64, needed: u64, free: u64 },
    #[error("the database {} is no longer the file at its path: it was moved, removed or replaced while it was open. Put it back, or stop mana-ai and start it on the file that is there. Nothing of this write was acknowledged", path.display())]
    Moved { path: PathBuf },
    #[error("nothing of this push was kept: {0}")]
    OverCeiling(OverCeiling),
    #[error("{user} was removed from this server with everything; an invitation or a link (`mana-ai link --user`) lets them in again")]
    Removed { user: String },
    #[error("cannot reach the database {}: {reason}; {}", path.display(), advice::UNREACHABLE)]
    Unreachable { path: PathBuf, reason: String },
    #[error("the role of {} may not do what is needed: {reason}; {}", path.display(), advice::FORBIDDEN)]
    Forbidden { path: PathBuf, reason: String },
    #[error("the role {role} of {} lacks {what}; who administers that database gives it by: {grants}", path.display())]
    Lacking { path: PathBuf, role: String, what: String, grants: String },
    #[error("`{address}` is no address of a database: {reason}; {}", advice::ADDRESS)]
    Address { address: String, reason: String },
    #[error("the database {} {what}, so no other one can move in; {}", path.display(), advice::NOT_EMPTY)]
    NotEmpty { path: PathBuf, what: &'static str },
    #[error("{table} is not the same in {} as where it came from; {}", path.display(), advice::MOVED_OTHERWISE)]
    MovedOtherwise { path: PathBuf, table: &'static str },
    #[error("another database moved only half into {}; {}", path.display(), advice::HALF_MOVED)]
    HalfMoved { path: PathBuf },
    /// What a write says fits no type of the engine, such as a number beyond the digits that it keeps.
    #[error("the database {} cannot hold what this write says: {reason}. Nothing of this write was kept", path.display())]
    Unfit { path: PathBuf, reason: String },
    #[error("the database is closing")]
    Stopped,
}

/// What users can do about each error, as its message ends.
mod advice {
    pub const DIRECTORY: &str = "check that it exists and that you may write there, or choose another with --data-dir";
    pub const NOT_OURS: &str = "move it away or choose another directory with --data-dir";
    pub const TOO_NEW: &str = "use the newer mana-ai that wrote it";
    pub const READ_ONLY: &str = "check the permissions of the file and its directory";
    pub const FULL: &str = "nothing of this write was kept, free some space and try again";
    pub const BUSY: &str = "nothing of this write was kept, try again when that process is done";
    pub const CORRUPT: &str = "stop mana-ai and restore a copy";
    pub const IO: &str = "nothing of this write was kept, check its free space, its limits and its health";
    pub const BACKUP: &str = "choose a new file in a directory that you may write to, with room for it";
    pub const EXISTS: &str = "--replace puts the copy in its place and keeps the old database beside it";
    pub const IN_USE: &str = "stop mana-ai and whatever else has it open, then try again. Nothing was changed";
    pub const NO_DATABASE: &str =
        "name its directory with --data-dir or MANA_AI_DATA_DIR; a new one is set up by `mana-ai init` and made by `mana-ai serve`";
    pub const LOST_DATABASE: &str = "put the database back, or move the log away to begin anew";
    pub const BEING_RESTORED: &str = "try again when that is done";
    pub const ALTERED: &str = "was it changed by another program?";
    pub const UNREADABLE: &str = "`mana-ai check` tells more";
    pub const NO_ROOM: &str = "free some space and try again. Nothing was changed";
    pub const UNREACHABLE: &str = "check that the server runs and lets this machine in";
    pub const NOT_EMPTY: &str = "choose a new one. Nothing was changed";
    pub const MOVED_OTHERWISE: &str = "was one of them in use meanwhile? Stop every mana-ai on both and run the command again";
    pub const HALF_MOVED: &str = "run `mana-ai move` again, which goes on where it stopped";
    pub const FORBIDDEN: &str = "nothing of this write was kept, `mana-ai doctor` tells what the role lacks";
    pub const ADDRESS: &str = "give one such as postgres://user@host/database";
}

impl StoreError {
    /// What its user can do, as the message ends; `None` where it says nothing of that.
    pub fn advice(&self) -> Option<&'static str> {
        Some(match self {
            StoreError::Directory { .. } => advice::DIRECTORY,
            StoreError::NotOurs { .. } => advice::NOT_OURS,
            StoreError::TooNew { .. } => advice::TOO_NEW,
            StoreError::ReadOnly { .. } => advice::READ_ONLY,
            StoreError::Full { .. } => advice::FULL,
            StoreError::Busy { .. } => advice::BUSY,
            StoreError::Corrupt { .. } => advice::CORRUPT,
            StoreError::Io { .. } => advice::IO,
            StoreError::Backup { .. } => advice::BACKUP,
            StoreError::Exists { .. } => advice::EXISTS,
            StoreError::InUse { .. } => advice::IN_USE,
            StoreError::NoDatabase { .. } => advice::NO_DATABASE,
            StoreError::LostDatabase { .. } => advice::LOST_DATABASE,
            StoreError::BeingRestored { .. } => advice::BEING_RESTORED,
            StoreError::Altered { .. } => advice::ALTERED,
            StoreError::Unreadable { .. } => advice::UNREADABLE,
            StoreError::NoRoom { .. } => advice::NO_ROOM,
            StoreError::Unreachable { .. } => advice::UNREACHABLE,
            StoreError::Forbidden { .. } => advice::FORBIDDEN,
            StoreError::Address { .. } => advice::ADDRESS,
            _ => return None,
        })
    }

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
                | StoreError::Unreachable { .. }
                | StoreError::Forbidden { .. }
                | StoreError::Lacking { .. }
                | StoreError::Stopped
        )
    }

    /// Whether the same write may succeed a little later.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            StoreError::Busy { .. }
                | StoreError::Full { .. }
                | StoreError::Io { .. }
                | StoreError::Moved { .. }
                | StoreError::Unreachable { .. }
                | StoreError::Forbidden { .. }
        )
    }
}
