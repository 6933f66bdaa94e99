//! What a user sees first: what runs, what comes next, what happened, and what waits for them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::App;
use crate::domain::ids::{MissionId, UserId};
use crate::store::{Day, MissionCard, RunRow, StoreResult};

const NEXT: u32 = 50;
const RUNS: u32 = 30;

/// The state of a user's missions.
pub struct Overview {
    pub at: Timestamp,
    /// Active missions by their next time.
    pub next: Vec<MissionCard>,
    /// The newest runs.
    pub runs: Vec<RunRow>,
    /// The missions of those runs, as far as they are still there.
    pub of_runs: Vec<MissionCard>,
    pub day: Day,
    /// Whether the user has no mission at all.
    pub is_new: bool,
    /// Whether the database took a write that was just tried.
    pub can_write: bool,
}

impl App {
    /// # Errors
    /// When the database cannot be read.
    pub async fn overview(&self, user: &UserId) -> StoreResult<Overview> {
        let at = self.now();
        let can_write = self.store.probe().await.is_ok();
        if can_write {
            // What came since the last tick shows at once.
            self.refresh().await?;
        }
        let store = &self.store;
        let next = store.next_missions(user, NEXT).await?;
        let runs = store.runs_before(user, None, Timestamp::MAX, RUNS).await?;
        let ids: BTreeSet<MissionId> = runs.iter().map(|run| run.run.mission_id.clone()).collect();
        Ok(Overview {
            at,
            of_runs: store.mission_cards_of(user, ids.into_iter().collect()).await?,
            day: store.day_of(user, at.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN)).await?,
            is_new: next.is_empty() && store.mission_cards(user, "", 1).await?.is_empty(),
            next,
            runs,
            can_write,
        })
    }
}
