//! What is to run in the next days.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use super::App;
use super::mission_list::ListedMission;
use crate::domain::cadence::Cadence;
use crate::domain::field;
use crate::domain::ids::UserId;
use crate::store::{Longest, StoreResult, Table};

/// Missions that are looked at: those that run next.
const MISSIONS: u32 = 100;
/// Runs of one mission that are counted.
const RUNS: usize = 2_000;

/// The runs of a mission on one day.
#[derive(Debug, Clone)]
pub struct ComingRuns {
    pub mission: ListedMission,
    pub first: Timestamp,
    /// Whether its time has come already.
    pub is_due: bool,
    pub runs: usize,
}

impl App {
    /// What runs in the next days by the schedules as they are, by the days of a zone.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn coming_runs(&self, user: &UserId, days: i64, of_days: &TimeZone) -> StoreResult<BTreeMap<Date, Vec<ComingRuns>>> {
        self.refresh().await?;
        let (now, zone) = (self.now(), self.zone());
        let end = now.to_zoned(of_days.clone()).checked_add(days.days()).map_or(Timestamp::MAX, |end| end.timestamp());
        let mut coming: BTreeMap<Date, Vec<ComingRuns>> = BTreeMap::new();
        let next = self.store.next_missions(user, MISSIONS).await?;
        for listed in self.listed(user, next).await? {
            let mission = &listed.card;
            let part = self.store.part(Table::Missions, user, &mission.id, &[field::CADENCE], Longest::WHOLE).await?;
            let cadence = part.and_then(|part| Cadence::read(&part.record.value(field::CADENCE).unwrap_or(Value::Null)).ok());
            let next = |at: &Timestamp| cadence.as_ref()?.next(*at, zone);
            let times = std::iter::successors(mission.next_run_at.map(|at| at.max(now)), next).take(RUNS).take_while(|at| *at < end);
            let mut by_day: BTreeMap<Date, (Timestamp, usize)> = BTreeMap::new();
            for at in times {
                by_day.entry(at.to_zoned(of_days.clone()).date()).or_insert((at, 0)).1 += 1;
            }
            for (day, (first, runs)) in by_day {
                coming.entry(day).or_default().push(ComingRuns { mission: listed.clone(), first, runs, is_due: first <= now });
            }
        }
        coming.values_mut().for_each(|runs| runs.sort_by_key(|run| run.first));
        Ok(coming)
    }
}
