//! What the plans of some days came to: decisions of the user and tokens (docs/design.md, section 9).

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use jiff::Timestamp;

use super::loads::tokens;
use super::{Store, StoreResult};
use crate::domain::decided::{Decisions, JudgedStep, StepVerdict};
use crate::domain::ids::{AgentId, IterationId, MissionId, RunId, StepId, UserId};
use crate::domain::time;
use crate::store::db::{self, Db, Row, params};
use crate::store::script::Save;
use crate::store::{Attempt, Claimed};

/// Decisions that are looked at, the newest.
pub const DECISIONS_COUNTED: usize = 10_000;
/// Days of missions that are looked at, the newest, for those that used most.
const DAYS_COUNTED: usize = 10_000;
/// Agents, and missions, that are told.
const TOLD: usize = 50;

pub(super) const AGENT_DAYS: &str = "SELECT day, agent_id, tokens FROM agent_days WHERE user_id = ?1 AND day >= ?2";
pub(super) const MISSION_DAYS: &str =
    "SELECT mission_id, tokens FROM mission_days WHERE user_id = ?1 AND day >= ?2 ORDER BY day DESC LIMIT ?3";
pub(super) const TOKENS_OF_MISSION: &str =
    "SELECT CAST(coalesce(sum(tokens), 0) AS BIGINT) FROM mission_days WHERE user_id = ?1 AND mission_id = ?2 AND day >= ?3";
pub(super) const DECISIONS: &str = "SELECT at, verdict, agent_id, mission_id FROM decided_steps WHERE user_id = ?1 AND at >= ?2 \
     ORDER BY at DESC LIMIT ?3";
pub(super) const AGAINST: &str = "SELECT at, verdict, agent_id, tool, summary, reason, mission_id, iteration_id, \
     (SELECT r.id FROM runs r WHERE r.iteration_id = d.iteration_id AND r.user_id = ?1 LIMIT 1) FROM decided_steps d \
     WHERE user_id = ?1 AND at < ?2 AND verdict <> 'approved' ORDER BY at DESC LIMIT ?3";

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// The day of a moment, counted from 1970, in UTC.
pub fn day_number(at: Timestamp) -> i64 {
    time::to_micros(at).div_euclid(DAY)
}

/// Decisions and tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanTally {
    pub approved: u64,
    /// Those that were taken back too.
    pub rejected: u64,
    pub tokens: u64,
}

impl PlanTally {
    pub fn decided(&self) -> u64 {
        self.approved + self.rejected
    }

    fn count(&mut self, verdict: &str) {
        if verdict == StepVerdict::Approved.as_str() {
            self.approved += 1;
        } else {
            self.rejected += 1;
        }
    }
}

/// What the plans of some days came to.
#[derive(Debug, Clone, Default)]
pub struct Insights {
    /// By the day, counted from 1970, in UTC.
    pub days: BTreeMap<i64, PlanTally>,
    /// Those with the most tokens first; the one without an id stands for missions without an agent.
    pub agents: Vec<(AgentId, PlanTally)>,
    pub missions: Vec<(MissionId, PlanTally)>,
    /// Whether there are so many decisions that only the newest count.
    pub has_more_decisions: bool,
}

/// A step that was rejected or taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct StepAgainst {
    pub mission_id: MissionId,
    pub iteration_id: IterationId,
    /// The run that made its plan, where it was one.
    pub run_id: Option<RunId>,
    pub at: Timestamp,
    pub step: JudgedStep,
}

impl Store {
    /// What a user's plans came to since a day, which is counted from 1970.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn insights(&self, user: &UserId, since: i64) -> StoreResult<Insights> {
        let user = user.to_owned();
        self.read(move |c| {
            let _state = c.one_state()?;
            insights(c, &user, since)
        })
        .await
    }

    /// Steps that a user rejected or took back before a moment, the last first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn steps_against(&self, user: &UserId, before: Timestamp, limit: u32) -> StoreResult<Vec<StepAgainst>> {
        let (user, before) = (user.to_owned(), time::to_micros(before));
        self.read(move |c| c.prepare_cached(AGAINST)?.query_map(params![user, before, limit], step_against)?.collect()).await
    }
}

fn insights(c: &Db<'_>, user: &UserId, since: i64) -> db::Result<Insights> {
    let mut found = Insights::default();
    let (mut agents, mut missions) = (HashMap::<AgentId, PlanTally>::new(), HashMap::<MissionId, PlanTally>::new());
    let mut statement = c.prepare_cached(AGENT_DAYS)?;
    let mut rows = statement.query(params![user, since])?;
    while let Some(row) = rows.next()? {
        let tokens: u64 = row.get(2)?;
        found.days.entry(row.get(0)?).or_default().tokens += tokens;
        tally(&mut agents, row.get_ref(1)?.as_str()?, |tally| tally.tokens += tokens);
    }
    let mut statement = c.prepare_cached(DECISIONS)?;
    let mut rows = statement.query(params![user, since.saturating_mul(DAY), DECISIONS_COUNTED + 1])?;
    let mut counted = 0;
    while let Some(row) = rows.next()? {
        counted += 1;
        if counted > DECISIONS_COUNTED {
            found.has_more_decisions = true;
            break;
        }
        let verdict = row.get_ref(1)?.as_str()?;
        found.days.entry(row.get::<_, i64>(0)?.div_euclid(DAY)).or_default().count(verdict);
        tally(&mut agents, row.get_ref(2)?.as_str()?, |tally| tally.count(verdict));
        tally(&mut missions, row.get_ref(3)?.as_str()?, |tally| tally.count(verdict));
    }
    found.agents = most(agents, |tally| (tally.tokens, tally.decided()));
    found.missions = missions_told(c, user, since, missions)?;
    Ok(found)
}

/// Counts for an id; most come again and again.
fn tally<Id: From<String> + Borrow<str> + Hash + Eq>(of: &mut HashMap<Id, PlanTally>, id: &str, count: impl FnOnce(&mut PlanTally)) {
    if let Some(known) = of.get_mut(id) {
        return count(known);
    }
    let mut new = PlanTally::default();
    count(&mut new);
    of.insert(id.to_owned().into(), new);
}

/// The missions with the most decisions, and those with the most tokens.
fn missions_told(c: &Db<'_>, user: &UserId, since: i64, decided: HashMap<MissionId, PlanTally>) -> db::Result<Vec<(MissionId, PlanTally)>> {
    let mut used = HashMap::<MissionId, PlanTally>::new();
    let mut statement = c.prepare_cached(MISSION_DAYS)?;
    let mut rows = statement.query(params![user, since, DAYS_COUNTED])?;
    while let Some(row) = rows.next()? {
        let tokens: u64 = row.get(1)?;
        tally(&mut used, row.get_ref(0)?.as_str()?, |tally| tally.tokens += tokens);
    }
    let used = most(used, |tally| (tally.tokens, 0)).into_iter().map(|(id, _)| (decided.get(&id).copied().unwrap_or_default(), id));
    let mut told: HashMap<MissionId, PlanTally> = used.map(|(tally, id)| (id, tally)).collect();
    told.extend(most(decided, |tally| (tally.decided(), 0)));
    let mut statement = c.prepare_cached(TOKENS_OF_MISSION)?;
    for (id, tally) in &mut told {
        tally.tokens = statement.query_row(params![user, id, since], |row| row.get(0))?;
    }
    Ok(most(told, |tally| (tally.tokens, tally.decided())))
}

/// The first by a weight.
fn most<Id: Ord>(of: HashMap<Id, PlanTally>, weight: impl Fn(&PlanTally) -> (u64, u64)) -> Vec<(Id, PlanTally)> {
    let mut of: Vec<(Id, PlanTally)> = of.into_iter().collect();
    of.sort_unstable_by(|(a, x), (b, y)| weight(y).cmp(&weight(x)).then_with(|| a.cmp(b)));
    of.truncate(TOLD);
    of
}

fn step_against(row: &Row<'_>) -> db::Result<StepAgainst> {
    let at = time::from_micros(row.get(0)?);
    Ok(StepAgainst { at, step: decided_step(row)?, mission_id: row.get(6)?, iteration_id: row.get(7)?, run_id: row.get(8)? })
}

/// A row that begins with `at, verdict, agent_id, tool, summary, reason`.
fn decided_step(row: &Row<'_>) -> db::Result<JudgedStep> {
    let verdict: String = row.get(1)?;
    Ok(JudgedStep {
        verdict: StepVerdict::ALL.into_iter().find(|known| known.as_str() == verdict).unwrap_or(StepVerdict::Rejected),
        at: Some(time::from_micros(row.get(0)?)),
        agent_id: row.get(2)?,
        tool: row.get(3)?,
        summary: row.get(4)?,
        reason: row.get(5)?,
    })
}

/// Notes what was decided about a step.
pub(super) fn note_decision(
    c: &Db<'_>,
    user: &UserId,
    mission: &MissionId,
    (iteration, step): (&IterationId, &StepId),
    decided: Option<&JudgedStep>,
) -> db::Result<()> {
    let Some(JudgedStep { verdict, at, agent_id, tool, summary, reason }) = decided else {
        let delete = "DELETE FROM decided_steps WHERE user_id = ?1 AND mission_id = ?2 AND iteration_id = ?3 AND step_id = ?4";
        return c.prepare_cached(delete)?.execute(params![user, mission, iteration, step]).map(drop);
    };
    // Where the time is not new, there is a row.
    let write = match at {
        Some(_) => {
            "INSERT INTO decided_steps (user_id, mission_id, iteration_id, step_id, verdict, agent_id, tool, summary, reason, at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (user_id, mission_id, iteration_id, step_id) \
             DO UPDATE SET verdict = ?5, agent_id = ?6, tool = ?7, summary = ?8, reason = ?9, at = ?10"
        }
        None => {
            "UPDATE decided_steps SET verdict = ?5, agent_id = ?6, tool = ?7, summary = ?8, reason = ?9, at = coalesce(?10, at) \
             WHERE user_id = ?1 AND mission_id = ?2 AND iteration_id = ?3 AND step_id = ?4"
        }
    };
    let at = at.map(time::to_micros);
    c.prepare_cached(write)?
        .execute(params![user, mission, iteration, step, verdict.as_str(), agent_id, tool, summary, reason, at])
        .map(drop)
}

/// Whether the decisions of a mission are those that its rows tell.
pub(super) fn decisions_are(c: &Db<'_>, user: &UserId, mission: &str, save: Option<&Save>) -> db::Result<bool> {
    let mut statement = c.prepare_cached(
        "SELECT at, verdict, agent_id, tool, summary, reason, iteration_id, step_id FROM decided_steps WHERE user_id = ?1 AND mission_id = ?2",
    )?;
    let stored = statement.query_map(params![user, mission], |row| Ok(((row.get(6)?, row.get(7)?), Some(decided_step(row)?))))?;
    let stored: Decisions = stored.collect::<Result<_, _>>()?;
    let none = Decisions::new();
    let told = save.map_or(&none, |save| &save.decisions);
    Ok(told.iter().filter(|(_, decided)| decided.is_some()).eq(&stored))
}

/// Counts the tokens of an attempt.
pub(super) fn count_tokens(c: &Db<'_>, run: &Claimed, attempt: &Attempt) -> db::Result<()> {
    let tokens = attempt.usage.total.min(MOST_TOKENS);
    if tokens == 0 {
        return Ok(());
    }
    let (user, day) = (&run.due.user_id, day_number(attempt.finished_at));
    let agent = run.due.agent_id.as_deref().unwrap_or_default();
    c.prepare_cached(
        "INSERT INTO agent_days (user_id, day, agent_id, tokens) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (user_id, day, agent_id) DO UPDATE SET tokens = agent_days.tokens + excluded.tokens",
    )?
    .execute(params![user, day, agent, tokens])?;
    c.prepare_cached(
        "INSERT INTO mission_days (user_id, mission_id, day, tokens) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (user_id, mission_id, day) DO UPDATE SET tokens = mission_days.tokens + excluded.tokens",
    )?
    .execute(params![user, run.due.mission_id, day, tokens])?;
    Ok(())
}

/// More of one attempt is no count of tokens, as where they are summed up.
const MOST_TOKENS: u64 = 1_000_000_000;

macro_rules! days {
    ($key:literal, $from:literal) => {
        concat!(
            "SELECT a.user_id, a.finished_at / 86400000000, ",
            $key,
            ", ",
            tokens!(),
            " FROM ",
            $from,
            " GROUP BY 1, 2, 3 HAVING ",
            tokens!(),
            " > 0"
        )
    };
}

const DAYS_OF_AGENTS: &str = days!("coalesce(a.agent_id, '')", "run_attempts a");
const DAYS_OF_MISSIONS: &str = days!("r.mission_id", "run_attempts a JOIN runs r ON r.id = a.run_id");

/// Counts the tokens of each day again.
pub(super) fn count_days(c: &Db<'_>) -> db::Result<()> {
    c.execute_batch(&format!(
        "DELETE FROM agent_days; INSERT INTO agent_days (user_id, day, agent_id, tokens) {DAYS_OF_AGENTS}; \
         DELETE FROM mission_days; INSERT INTO mission_days (user_id, day, mission_id, tokens) {DAYS_OF_MISSIONS};"
    ))
}

/// Whether the tokens of each day are those of its attempts.
pub(super) fn days_are_right(c: &Db<'_>) -> db::Result<bool> {
    let differ = |there: &str, told: &str| {
        let there = format!("SELECT {there}");
        c.query_row(&format!("SELECT EXISTS ({there} EXCEPT {told}) OR EXISTS ({told} EXCEPT {there})"), params![], |row| {
            row.get::<_, bool>(0)
        })
    };
    Ok(!differ("user_id, day, agent_id, tokens FROM agent_days", DAYS_OF_AGENTS)?
        && !differ("user_id, day, mission_id, tokens FROM mission_days", DAYS_OF_MISSIONS)?)
}
