//! What a user sees first: what runs, what comes next, what happened, and what waits for them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::App;
use super::mission_list::ListedMission;
use crate::domain::ids::{MissionId, UserId};
use crate::runner::Outage;
use crate::store::{AttemptError, Day, MissionCard, MissionSort, MissionsWanted, RunRow, StoreResult, WhichMissions};

const NEXT: u32 = 50;
const RUNS: u32 = 30;
/// Blocked missions that are told; one more is looked for.
const BLOCKED: usize = 4;

/// The state of a user's missions.
pub struct Overview {
    pub at: Timestamp,
    /// Active missions by their next time.
    pub next: Vec<MissionCard>,
    /// Some of the missions that wait for somebody.
    pub blocked: Vec<ListedMission>,
    pub more_blocked: bool,
    /// The newest runs.
    pub runs: Vec<RunRow>,
    /// The missions of those runs, as far as they are still there.
    pub of_runs: Vec<MissionCard>,
    pub day: Day,
    /// Whether the user has no mission at all.
    pub is_new: bool,
    /// Whether the database took a write that was just tried.
    pub can_write: bool,
    pub model: ModelHealth,
}

/// What is known of the model server.
#[derive(Debug, Clone)]
pub enum ModelHealth {
    /// It is left alone for a while.
    Away(Outage),
    /// The last request of this user's missions failed.
    Failing {
        at: Timestamp,
        error: AttemptError,
    },
    /// The last request of this user's missions was answered.
    Answered(Timestamp),
    Untried,
}

impl ModelHealth {
    fn of(outage: Option<Outage>, runs: &[RunRow]) -> Self {
        let last = runs.iter().flat_map(|run| &run.attempts).max_by_key(|attempt| attempt.finished_at);
        match (outage, last) {
            (Some(outage), _) => ModelHealth::Away(outage),
            (None, None) => ModelHealth::Untried,
            (None, Some(attempt)) => match &attempt.error {
                Some(error) => ModelHealth::Failing { at: attempt.finished_at, error: error.clone() },
                None => ModelHealth::Answered(attempt.finished_at),
            },
        }
    }
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
        let blocked = MissionsWanted {
            search: String::new(),
            state: None,
            agent: None,
            which: WhichMissions::Blocked,
            ceilings: self.rules.ceilings,
            now: at,
            sort: MissionSort::Title,
            after: None,
        };
        let (mut blocked, further) = self.missions_listed(user, blocked, BLOCKED as u32 + 1).await?;
        let more_blocked = blocked.len() > BLOCKED || further.is_some();
        blocked.truncate(BLOCKED);
        Ok(Overview {
            at,
            blocked,
            more_blocked,
            of_runs: store.mission_cards_of(user, ids.into_iter().collect()).await?,
            day: store.day_of(user, at.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN)).await?,
            is_new: next.is_empty() && store.mission_cards(user, "", 1).await?.is_empty(),
            model: ModelHealth::of(self.outage(), &runs),
            next,
            runs,
            can_write,
        })
    }
}
