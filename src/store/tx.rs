//! What a transaction does to the database, as named operations: scripts are made of them, and an engine implements them.

use jiff::Timestamp;

use super::log::SetAside;
use super::runs::{Attempt, Candidate, Claimed, OpenRun};
use super::script::{Folded, Save};
use super::snapshots::Table;
use super::{Due, StoreError, StoreResult};
use crate::domain::ceilings::LogUsage;
use crate::domain::change::Change;
use crate::domain::decided::JudgedStep;
use crate::domain::ids::{AgentId, IterationId, MissionId, RunId, StepId, UserId};
use crate::domain::limits::Stored;
use crate::domain::merge::Delta;
use crate::steps::{OutboxCall, StepKey, UserLog};

/// A row on its way into the log; times are in microseconds.
pub(super) struct NewRow<'a> {
    pub row: Stored<'a>,
    pub created_at: i64,
    pub sync_at: i64,
}

/// The same with its place.
pub(super) struct PlacedRow<'a> {
    pub seq: i64,
    pub new: &'a NewRow<'a>,
}

/// A row of the log that is to be folded.
pub(super) struct FoldRow<'a> {
    pub seq: i64,
    pub sync_at: i64,
    pub user: &'a str,
    pub record: &'a str,
    pub client: &'a str,
    pub delta: Result<Delta, SetAside>,
}

/// One state of the database.
pub(super) trait Reads {
    /// How far a projection has read the log, a `seq`; 0 where nothing is known.
    fn cursor(&self, table: Table) -> StoreResult<i64>;

    /// How often rows went out of the log by now. What was read at another count may rest on rows that are gone.
    fn times_rows_went(&self) -> StoreResult<i64>;

    /// What the snapshot of each of these records holds; the default where there is none.
    fn stored(&self, table: Table, records: &[(&UserId, &str)]) -> StoreResult<Vec<Folded>>;

    /// Shows the rows of a table after a `seq` in their order, at most `limit`, for as long as `visit` wants more.
    fn new_rows(&self, table: Table, after: i64, limit: u32, visit: &mut dyn FnMut(FoldRow<'_>) -> StoreResult<bool>) -> StoreResult<()>;

    /// Shows the rows of one record after a `seq` in their order.
    fn rows_of(&self, table: Table, user: &UserId, id: &str, after: i64, visit: &mut dyn FnMut(FoldRow<'_>)) -> StoreResult<()>;
}

/// How a run ended.
pub(super) struct RunEnd<'a> {
    /// `planned`, `failed` or `dropped`.
    pub outcome: &'static str,
    pub at: Timestamp,
    pub reason: Option<&'a str>,
    pub note: Option<&'a str>,
    pub missed: u32,
    /// The iteration as it was written.
    pub iteration: Option<&'a str>,
    /// Attempts that failed, added to those before.
    pub failed_attempts: u32,
}

/// A transaction that writes.
pub(super) trait Tx: Reads {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// The error for data of our own that cannot be read.
    fn unreadable(&self, what: String, reason: String) -> StoreError;

    // The log

    /// The `sync_at` of the next row: max(now, last + 1), in microseconds (docs/design.md, section 2).
    fn next_sync_at(&self) -> StoreResult<i64>;

    /// Appends rows in their order and answers the `seq` of each; `None` where its user's log has a row of its event id.
    fn insert(&self, rows: &[NewRow<'_>]) -> StoreResult<Vec<Option<i64>>>;

    /// Whether the log has a row of the record of each of these.
    fn have_records(&self, changes: &[&Change]) -> StoreResult<Vec<bool>>;

    /// The space in which the newest row of a record of the app `ai` puts it.
    fn space_of(&self, table: Table, user: &UserId, id: &str) -> StoreResult<Option<String>>;

    /// What each of these users has in the log.
    fn log_usage(&self, users: &[&UserId]) -> StoreResult<Vec<LogUsage>>;

    /// Shows a user's log, as it is in this transaction.
    fn look(&self, user: &UserId, look: &mut dyn FnMut(&dyn UserLog)) -> StoreResult<()>;

    /// Counts what was odd in new rows: texts in which something was replaced, and stamps far ahead of the clock.
    fn count_oddities(&self, replaced_texts: u64, future_stamps: u64);

    // Snapshots

    /// Writes snapshots of a table, but for those of which what is there knows more. Answers of each whether it was written.
    fn put(&self, table: Table, saves: &[Save]) -> StoreResult<Vec<bool>>;

    /// Moves the cursor of a projection; it never goes back.
    fn move_cursor(&self, table: Table, seq: i64) -> StoreResult<()>;

    /// Notes when the key of a grant ends; the earliest stays.
    fn note_grant_end(&self, user: &UserId, wrapped_key: &[u8], at: Timestamp) -> StoreResult<()>;

    /// Notes what was decided about a step; `None`: it is undecided again.
    fn note_decision(
        &self,
        user: &UserId,
        mission: &MissionId,
        step: (&IterationId, &StepId),
        decided: Option<&JudgedStep>,
    ) -> StoreResult<()>;

    // Runs

    /// Whether a mission is still due for the time at which it was found.
    fn is_due(&self, due: &Due) -> StoreResult<bool>;

    /// Runs of an agent that processes work on.
    fn in_flight(&self, user: &UserId, agent: Option<&AgentId>) -> StoreResult<u64>;

    /// The run of a mission that has not ended, with the id of its iteration.
    fn open_run(&self, user: &UserId, mission: &MissionId) -> StoreResult<Option<(OpenRun, IterationId)>>;

    fn add_run(&self, run: &Candidate, owner: &str, now: Timestamp) -> StoreResult<()>;

    /// Claims a run that waits.
    fn resume_run(&self, run: &RunId, agent: Option<&AgentId>, owner: &str, now: Timestamp) -> StoreResult<()>;

    /// Whether a process holds a run.
    fn holds(&self, run: &RunId, owner: &str) -> StoreResult<bool>;

    /// Records an attempt of a run, numbered after the ones before, and counts its tokens.
    fn add_attempt(&self, run: &Claimed, attempt: &Attempt) -> StoreResult<()>;

    /// Lets a run go until a time; `failed_attempts` are added to those before.
    fn let_wait(&self, run: &RunId, at: Option<Timestamp>, reason: &str, failed_attempts: u32) -> StoreResult<()>;

    fn end_run(&self, run: &RunId, end: &RunEnd<'_>) -> StoreResult<()>;

    /// Keeps, beside the reason of a run, what it says as values.
    fn note_said(&self, run: &RunId, said: Option<&str>) -> StoreResult<()>;

    // Iterations that went

    /// The row after which lost iterations come back.
    fn come_back_after(&self) -> StoreResult<i64>;

    /// How this program wrote an iteration, unless it let it go or brought it back `most` times.
    fn written_iteration(&self, user: &UserId, mission: &MissionId, iteration: &IterationId, most: u32) -> StoreResult<Option<String>>;

    /// How a lost iteration is noted.
    fn noted(&self, user: &UserId, mission: &MissionId, iteration: &IterationId) -> StoreResult<Option<String>>;

    fn note_lost(&self, user: &UserId, mission: &MissionId, iteration: &IterationId, text: &str) -> StoreResult<()>;

    /// Takes what a mission lost out of the notes.
    fn take_lost(&self, user: &UserId, mission: &MissionId) -> StoreResult<Vec<String>>;

    /// Counts that an iteration came back.
    fn count_restored(&self, user: &UserId, mission: &MissionId, iteration: &IterationId) -> StoreResult<()>;

    /// Marks an iteration that left its record by the bounds of it, and keeps how it last stood where `text` tells.
    fn supersede(&self, user: &UserId, mission: &MissionId, iteration: &IterationId, text: Option<&str>) -> StoreResult<()>;

    // Steps

    /// Adds a call; a step that made one makes no other.
    fn add_call(&self, call: &OutboxCall) -> StoreResult<()>;

    fn end_call(&self, step: &StepKey) -> StoreResult<()>;

    /// Counts a step that an agent carried out without review.
    fn count_automatic(&self, user: &UserId, agent: &AgentId, tool: &str) -> StoreResult<()>;
}

/// Looks at a user's log in a transaction.
pub(super) fn looked<T>(tx: &impl Tx, user: &UserId, look: impl FnOnce(&dyn UserLog) -> T) -> StoreResult<Option<T>> {
    let (mut look, mut seen) = (Some(look), None);
    tx.look(user, &mut |log| seen = look.take().map(|look| look(log)))?;
    Ok(seen)
}
