//! SQLite: the file and what is of a file alone. The queries are in [`sql`](super::sql).

mod backup;
mod examine;
pub(in crate::store) mod files;
pub(in crate::store) mod migrate;
mod move_log;
mod process_lock;
mod readers;
mod restore;
mod transactions;

pub use backup::Progress;
pub use examine::{Examined, examine, is_open};
pub use migrate::SCHEMA_VERSION;
pub use process_lock::{ProcessLock, ProcessLockError};
pub(super) use readers::{Pool, pool};
pub use restore::{Restored, restore};
pub(super) use transactions::FileTransactions;
