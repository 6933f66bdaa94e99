//! The database behind typed methods.
//!
//! What a transaction does is a script over named operations ([`tx`]); what an operation is in SQL, the engine knows. This
//! room knows records, changes and runs; it must not know HTTP, the planner or the command line, and no connection or row
//! leaves it.

mod db;
mod error;
mod log;
mod postgres;
mod presence;
mod runs;
mod script;
mod snapshots;
mod sql;
mod sqlite;
mod tx;

pub use error::{StoreError, StoreResult};
pub use log::{Appended, LogRow, Page, Pull, PushOutcome, RowFilter, SetAside};
pub use presence::{Presence, PresenceError};
pub use runs::{Attempt, AttemptError, Candidate, Claim, Claimed, Close, Closed, FinishedRun, Held, IterationEnd, OpenRun, RunRow};
pub use script::{Edit, Lossy, Refreshed, search_key};
pub use snapshots::{Due, DueKey, Projectable, Snapshot, Table};
pub use sql::*;
pub use sqlite::{Examined, ProcessLock, ProcessLockError, Progress, Restored, SCHEMA_VERSION, examine, is_open, restore};
