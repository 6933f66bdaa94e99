//! Whether a tick has anything to put in order: one look in place of a query for each kind of work, since most ticks find none.

use jiff::Timestamp;

use super::{Store, StoreResult};
use crate::domain::time;
use crate::store::db::params;

/// Each has an index that holds such rows alone, or begins with them.
pub(super) const DISORDER: &str = "SELECT EXISTS (SELECT 1 FROM lost_iterations), \
     EXISTS (SELECT 1 FROM runs WHERE outcome IS NULL AND owner IS NOT NULL), EXISTS (SELECT 1 FROM runs WHERE outcome IS NULL AND owner IS NULL), \
     EXISTS (SELECT 1 FROM mission_snapshots WHERE unscheduled = 1), \
     EXISTS (SELECT 1 FROM runs WHERE finished_at IS NOT NULL AND finished_at > ?1)";

/// What there may be to put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disorder {
    /// Iterations that a client's write took out of a record.
    pub lost: bool,
    /// Runs that a process holds.
    pub claims: bool,
    /// Runs that wait for their next attempt.
    pub waiting: bool,
    /// Missions without the next time that their schedule has.
    pub unscheduled: bool,
    /// Runs that ended later than a moment.
    pub ran_ahead: bool,
}

impl Store {
    /// Looks for work; `future`: no run should have ended after it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn disorder(&self, future: Timestamp) -> StoreResult<Disorder> {
        self.read(move |c| {
            c.prepare_cached(DISORDER)?.query_row(params![time::to_micros(future)], |row| {
                Ok(Disorder {
                    lost: row.get(0)?,
                    claims: row.get(1)?,
                    waiting: row.get(2)?,
                    unscheduled: row.get(3)?,
                    ran_ahead: row.get(4)?,
                })
            })
        })
        .await
    }
}
