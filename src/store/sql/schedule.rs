//! Missions whose next time is missing, or was set by a clock that was ahead.

use jiff::Timestamp;

use super::{Store, StoreResult};
use crate::domain::ids::{MissionId, RunId, UserId};
use crate::domain::time;
use crate::store::db::{self, params};

/// A mission that ran on a clock that was ahead.
#[derive(Debug, Clone)]
pub struct RanAhead {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub run_id: RunId,
    pub scheduled_for: Timestamp,
    pub finished_at: Timestamp,
}

pub(super) const UNSCHEDULED: &str = "SELECT user_id, mission_id FROM mission_snapshots \
     WHERE unscheduled = 1 AND (user_id, mission_id) > (?1, ?2) ORDER BY user_id, mission_id LIMIT ?3";
pub(super) const RAN_AHEAD: &str = "SELECT r.user_id, r.mission_id, r.id, r.scheduled_for, r.finished_at FROM runs r \
     WHERE r.finished_at IS NOT NULL AND (r.finished_at, r.id) > (?1, ?2) AND (SELECT m.next_run_at FROM mission_snapshots m \
     WHERE m.user_id = r.user_id AND m.mission_id = r.mission_id AND m.state = 'active' AND m.liveness = 'live') > ?3 \
     ORDER BY r.finished_at, r.id LIMIT ?4";

impl Store {
    /// Active missions without a next time whose schedule has one, as user and mission, after one of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn unscheduled(&self, after: (UserId, MissionId), limit: u32) -> StoreResult<Vec<(UserId, MissionId)>> {
        self.read(move |c| {
            let pair = |row: &db::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            c.prepare_cached(UNSCHEDULED)?.query_map(params![after.0, after.1, limit], pair)?.collect()
        })
        .await
    }

    /// Active missions of runs that ended later than a moment and a run then, which has not come yet at `now`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn ran_ahead(&self, after: (Timestamp, RunId), now: Timestamp, limit: u32) -> StoreResult<Vec<RanAhead>> {
        self.read(move |c| {
            let read = |row: &db::Row<'_>| {
                Ok(RanAhead {
                    user_id: row.get(0)?,
                    mission_id: row.get(1)?,
                    run_id: row.get(2)?,
                    scheduled_for: time::from_micros(row.get(3)?),
                    finished_at: time::from_micros(row.get(4)?),
                })
            };
            let (at, run) = (time::to_micros(after.0), after.1);
            c.prepare_cached(RAN_AHEAD)?.query_map(params![at, run, time::to_micros(now), limit], read)?.collect()
        })
        .await
    }
}
