//! What one user sees of the database, page by page. No query here reads more for a longer log.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::loads::tokens;
use super::runs::{attempts_of, run_columns, run_row};
use super::snapshots::{all_query, snapshot};
use super::{LAST, RunRow, Snapshot, Store, StoreResult, Table};
use crate::domain::ids::{AgentId, IterationId, MissionId, RunId, UserId};
use crate::domain::iterations::Iteration;
use crate::domain::mission::Mission;
use crate::domain::raw::Raw;
use crate::domain::{iterations, time};
use crate::store::db::{OptionalExtension, params};

pub(super) const RECORDS: &str = "SELECT DISTINCT record_id FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 \
                     ORDER BY record_id LIMIT ?4";
pub(super) const OUTCOMES: &str = "SELECT claimed_at / 3600000000 * 3600000000, coalesce(outcome, 'open'), count(*) FROM runs \
     WHERE user_id = ?1 AND claimed_at >= ?2 GROUP BY 1, 2";
pub(super) const TOKENS: &str = concat!(
    "SELECT finished_at / 3600000000 * 3600000000, ",
    tokens!(),
    " FROM run_attempts WHERE user_id = ?1 AND finished_at >= ?2 GROUP BY 1"
);
/// Runs of one mission, and of all, before a moment; `{}` are the columns.
pub(super) const RUNS_OF: &str =
    "SELECT {} FROM runs WHERE user_id = ?1 AND claimed_at < ?2 AND mission_id = ?3 ORDER BY claimed_at DESC LIMIT ?4";
pub(super) const RUNS: &str =
    "SELECT {} FROM runs WHERE user_id = ?1 AND claimed_at < ?2 AND CAST(?3 AS TEXT) IS NULL ORDER BY claimed_at DESC LIMIT ?4";

/// A run of a user, with the iteration as it was written; `{}` are the columns.
pub(super) const RUN: &str = "SELECT {}, iteration FROM runs WHERE id = ?1 AND user_id = ?2";

/// Which runs are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhichRuns {
    All,
    /// Those that have not ended.
    Open,
    Planned,
    Failed,
    Dropped,
}

impl WhichRuns {
    /// Reads the word of a filter; all of them where it is another.
    pub fn parse(word: &str) -> Self {
        match word {
            "open" => WhichRuns::Open,
            "planned" => WhichRuns::Planned,
            "failed" => WhichRuns::Failed,
            "dropped" => WhichRuns::Dropped,
            _ => WhichRuns::All,
        }
    }

    fn filter(self) -> &'static str {
        match self {
            WhichRuns::All => "",
            WhichRuns::Open => " AND outcome IS NULL",
            WhichRuns::Planned => " AND outcome = 'planned'",
            WhichRuns::Failed => " AND outcome = 'failed'",
            WhichRuns::Dropped => " AND outcome = 'dropped'",
        }
    }
}

/// What is asked of the list of runs.
#[derive(Debug, Clone)]
pub struct RunsWanted {
    /// Those of some missions; `None`: of all.
    pub missions: Option<Vec<MissionId>>,
    pub agent: Option<AgentId>,
    pub which: WhichRuns,
    /// Claimed before this.
    pub before: Timestamp,
    pub oldest_first: bool,
    /// A place in that order: when a run was claimed, and which. A tick claims many at one moment.
    pub after: Option<(Timestamp, RunId)>,
}

/// Runs after a place in their order: each filter by itself is a range of an index; `{}` are the columns.
pub(super) fn runs_where(of_mission: bool, of_agent: bool, which: WhichRuns, oldest_first: bool) -> String {
    let mission = if of_mission { " AND mission_id = ?6" } else { " AND CAST(?6 AS TEXT) IS NULL" };
    let agent = if of_agent { " AND agent_id = ?7" } else { " AND CAST(?7 AS TEXT) IS NULL" };
    let (after, order) = if oldest_first { (">", "") } else { ("<", " DESC") };
    format!(
        "SELECT {{}} FROM runs WHERE user_id = ?1 AND (claimed_at, id) {after} (?2, ?3) AND claimed_at < ?4{mission}{agent}{} \
         ORDER BY claimed_at{order}, id{order} LIMIT ?5",
        which.filter()
    )
}

/// What the last hours of a user came to, each by the start of its hour.
#[derive(Debug, Clone, Default)]
pub struct Day {
    /// Runs by the hour in which they began and their outcome; `open` where they have none yet.
    pub runs: BTreeMap<i64, BTreeMap<String, u64>>,
    pub tokens: BTreeMap<i64, u64>,
}

impl Store {
    /// Runs of a user that were claimed before a moment, the newest first; of one mission or all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs_before(&self, user: &UserId, mission: Option<&MissionId>, before: Timestamp, limit: u32) -> StoreResult<Vec<RunRow>> {
        let (user, mission) = (user.to_owned(), mission.cloned());
        self.read(move |c| {
            let query = if mission.is_some() { RUNS_OF } else { RUNS }.replace("{}", &run_columns());
            let mut statement = c.prepare_cached(&query)?;
            let runs = statement.query_map(params![user, time::to_micros(before), mission, limit], run_row)?;
            let mut runs: Vec<RunRow> = runs.collect::<Result<_, _>>()?;
            attempts_of(c, &mut runs)?;
            Ok(runs)
        })
        .await
    }

    /// Runs of a user as they are wanted, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs_where(&self, user: &UserId, wanted: RunsWanted, limit: u32) -> StoreResult<Vec<RunRow>> {
        let user = user.to_owned();
        self.read(move |c| {
            let RunsWanted { missions, agent, which, before, oldest_first, after } = wanted;
            let first = if oldest_first { (i64::MIN, RunId::default()) } else { (i64::MAX, RunId::from(LAST)) };
            let (at, id) = after.map_or(first, |(at, id)| (time::to_micros(at), id));
            let before = time::to_micros(before);
            let query = runs_where(missions.is_some(), agent.is_some(), which, oldest_first).replace("{}", &run_columns());
            let mut statement = c.prepare_cached(&query)?;
            let mut runs: Vec<RunRow> = Vec::new();
            for mission in missions.map_or_else(|| vec![None], |missions| missions.into_iter().map(Some).collect()) {
                for run in statement.query_map(params![user, at, id, before, limit, mission, agent], run_row)? {
                    runs.push(run?);
                }
            }
            runs.sort_by(|a, b| (a.claimed_at, &a.run.id).cmp(&(b.claimed_at, &b.run.id)));
            if !oldest_first {
                runs.reverse();
            }
            runs.truncate(limit as usize);
            attempts_of(c, &mut runs)?;
            Ok(runs)
        })
        .await
    }

    /// A run of a user, and its iteration as it was written.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn run(&self, user: &UserId, id: &RunId) -> StoreResult<Option<(RunRow, Option<Iteration>)>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            let mut statement = c.prepare_cached(&RUN.replace("{}", &run_columns()))?;
            let mut rows = statement.query(params![id, user])?;
            let Some(row) = &rows.next()? else { return Ok(None) };
            let mut run = [run_row(row)?];
            let written: Option<String> = row.get("iteration")?;
            let written = written.and_then(|text| serde_json::from_str::<Raw>(&text).ok()).map(Iteration::from);
            attempts_of(c, &mut run)?;
            let [run] = run;
            Ok(Some((run, written)))
        })
        .await
    }

    /// The mission whose run left an iteration behind.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn mission_of_iteration(&self, user: &UserId, iteration: &IterationId) -> StoreResult<Option<MissionId>> {
        let (user, iteration) = (user.to_owned(), iteration.to_owned());
        let query = "SELECT mission_id FROM runs WHERE iteration_id = ?1 AND user_id = ?2 LIMIT 1";
        self.read(move |c| c.prepare_cached(query)?.query_row(params![iteration, user], |row| row.get(0)).optional()).await
    }

    /// The mission and the iteration that have an iteration or a step of this id, whoever planned it. Reads the user's missions
    /// one after the other.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn place_of_step(&self, user: &UserId, id: &str) -> StoreResult<Option<(MissionId, IterationId)>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            let mut statement = c.prepare_cached(&all_query(Table::Missions, true))?;
            let mut rows = statement.query([user])?;
            while let Some(row) = &rows.next()? {
                let Snapshot::<Mission> { id: mission, record, .. } = snapshot(row)?;
                let plans = iterations::of_record(&record);
                if let Some(plan) = plans.iter().find(|plan| *plan.id() == *id || plan.steps().any(|step| *step.id() == *id)) {
                    return Ok(Some((mission, plan.id().clone())));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Ids of a user's records in a table, in their order, deleted ones too.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn records(&self, user: &UserId, app: &str, table: &str, limit: u32) -> StoreResult<Vec<String>> {
        let (user, app, table) = (user.to_owned(), app.to_owned(), table.to_owned());
        self.read(move |c| c.prepare_cached(RECORDS)?.query_map(params![user, app, table, limit], |row| row.get(0))?.collect()).await
    }

    /// Users that have an agent or a mission, at most `limit`; each step jumps to the next user.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn users(&self, limit: u32) -> StoreResult<Vec<UserId>> {
        self.read(move |c| {
            let mut users = std::collections::BTreeSet::new();
            for table in ["agent_snapshots", "mission_snapshots"] {
                let query = format!(
                    "WITH RECURSIVE u (id) AS (SELECT min(user_id) FROM {table} UNION ALL \
                     SELECT (SELECT min(user_id) FROM {table} WHERE user_id > u.id) FROM u WHERE u.id IS NOT NULL) \
                     SELECT id FROM u WHERE id IS NOT NULL LIMIT ?1"
                );
                for user in c.prepare_cached(&query)?.query_map([limit], |row| row.get::<_, UserId>(0))? {
                    users.insert(user?);
                }
            }
            Ok(users.into_iter().take(limit as usize).collect())
        })
        .await
    }

    /// The runs of a user and the tokens that they took, by the hour, since a moment.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn day_of(&self, user: &UserId, since: Timestamp) -> StoreResult<Day> {
        let (user, since) = (user.to_owned(), time::to_micros(since));
        self.read(move |c| {
            let mut day = Day::default();
            let mut statement = c.prepare_cached(OUTCOMES)?;
            let mut rows = statement.query(params![user, since])?;
            while let Some(row) = &rows.next()? {
                *day.runs.entry(row.get(0)?).or_default().entry(row.get(1)?).or_default() += row.get::<_, u64>(2)?;
            }
            let mut statement = c.prepare_cached(TOKENS)?;
            day.tokens = statement.query_map(params![user, since], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
            Ok(day)
        })
        .await
    }
}
