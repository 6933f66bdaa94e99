//! What the plans of some days came to: decisions of the user and tokens (docs/design.md, section 9).

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use jiff::Timestamp;

use super::loads::tokens;
use super::{Store, StoreResult};
use crate::domain::days::ZoneDays;
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

pub(super) const USER_QUARTERS: &str = "SELECT quarter, tokens FROM user_quarters WHERE user_id = ?1 AND quarter >= ?2 AND quarter < ?3";
pub(super) const AGENT_DAYS: &str = "SELECT agent_id, tokens FROM agent_days WHERE user_id = ?1 AND day >= ?2";
pub(super) const MISSION_DAYS: &str =
    "SELECT mission_id, tokens FROM mission_days WHERE user_id = ?1 AND day >= ?2 ORDER BY day DESC LIMIT ?3";
pub(super) const TOKENS_OF_MISSION: &str =
    "SELECT CAST(coalesce(sum(tokens), 0) AS BIGINT) FROM mission_days WHERE user_id = ?1 AND mission_id = ?2 AND day >= ?3";
/// Tokens in the part of a day of UTC that lies before the first day of a zone.
pub(super) const EARLIER_OF_AGENTS: &str = concat!(
    "SELECT coalesce(agent_id, ''), ",
    tokens!(),
    " FROM (SELECT agent_id, total_tokens FROM run_attempts WHERE user_id = ?1 AND finished_at >= ?2 AND finished_at < ?3 \
     UNION ALL SELECT agent_id, total_tokens FROM trials WHERE user_id = ?1 AND finished_at >= ?2 AND finished_at < ?3) AS a GROUP BY 1"
);
pub(super) const EARLIER_OF_MISSIONS: &str = concat!(
    "SELECT r.mission_id, ",
    tokens!(),
    " FROM run_attempts a JOIN runs r ON r.id = a.run_id WHERE a.user_id = ?1 AND a.finished_at >= ?2 AND a.finished_at < ?3 GROUP BY 1"
);
pub(super) const DECISIONS: &str = "SELECT at, verdict, agent_id, mission_id FROM decided_steps WHERE user_id = ?1 AND at >= ?2 \
     AND at < ?3 ORDER BY at DESC LIMIT ?4";
pub(super) const AGAINST: &str = "SELECT at, verdict, agent_id, tool, summary, reason, mission_id, iteration_id, \
     (SELECT r.id FROM runs r WHERE r.iteration_id = d.iteration_id AND r.user_id = ?1 LIMIT 1) FROM decided_steps d \
     WHERE user_id = ?1 AND at < ?2 AND verdict <> 'approved' ORDER BY at DESC LIMIT ?3";

/// A day, and a quarter of an hour, in microseconds. The days of every zone begin with a quarter.
const DAY: i64 = 86_400_000_000;
const QUARTER: i64 = 900_000_000;

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
    /// By the number of the day.
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
    /// What a user's plans came to in some days, and what trials of their agents took.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn insights(&self, user: &UserId, days: ZoneDays) -> StoreResult<Insights> {
        let user = user.to_owned();
        self.read(move |c| insights(c, &user, &days)).await
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

fn insights(c: &Db<'_>, user: &UserId, days: &ZoneDays) -> db::Result<Insights> {
    let (begin, end) = (time::to_micros(days.begin()), time::to_micros(days.end()));
    let mut found = Insights::default();
    let (mut agents, mut missions) = (HashMap::<AgentId, PlanTally>::new(), HashMap::<MissionId, PlanTally>::new());
    let mut statement = c.prepare_cached(USER_QUARTERS)?;
    let mut rows = statement.query(params![user, begin.div_euclid(QUARTER), end.div_euclid(QUARTER)])?;
    while let Some(row) = rows.next()? {
        let at = time::from_micros(row.get::<_, i64>(0)?.saturating_mul(QUARTER)).max(days.begin());
        if let Some(day) = days.number_of(at) {
            found.days.entry(day).or_default().tokens += row.get::<_, u64>(1)?;
        }
    }
    let since = begin.div_euclid(DAY);
    let mut statement = c.prepare_cached(AGENT_DAYS)?;
    let mut rows = statement.query(params![user, since])?;
    while let Some(row) = rows.next()? {
        let tokens: u64 = row.get(1)?;
        tally(&mut agents, row.get_ref(0)?.as_str()?, |tally| tally.tokens += tokens);
    }
    for (agent, tokens) in earlier::<AgentId>(c, EARLIER_OF_AGENTS, user, begin)? {
        if let Some(tally) = agents.get_mut(&agent) {
            tally.tokens = tally.tokens.saturating_sub(tokens);
        }
    }
    let mut statement = c.prepare_cached(DECISIONS)?;
    let mut rows = statement.query(params![user, begin, end, DECISIONS_COUNTED + 1])?;
    let mut counted = 0;
    while let Some(row) = rows.next()? {
        counted += 1;
        if counted > DECISIONS_COUNTED {
            found.has_more_decisions = true;
            break;
        }
        let verdict = row.get_ref(1)?.as_str()?;
        if let Some(day) = days.number_of(time::from_micros(row.get(0)?)) {
            found.days.entry(day).or_default().count(verdict);
        }
        tally(&mut agents, row.get_ref(2)?.as_str()?, |tally| tally.count(verdict));
        tally(&mut missions, row.get_ref(3)?.as_str()?, |tally| tally.count(verdict));
    }
    agents.retain(|_, tally| tally.tokens > 0 || tally.decided() > 0);
    found.agents = most(agents, |tally| (tally.tokens, tally.decided()));
    found.missions = missions_told(c, user, begin, missions)?;
    Ok(found)
}

/// Tokens that days of UTC have of the time before the first day of a zone.
fn earlier<Id: From<String> + Hash + Eq>(c: &Db<'_>, query: &str, user: &UserId, begin: i64) -> db::Result<HashMap<Id, u64>> {
    let day = begin.div_euclid(DAY).saturating_mul(DAY);
    let of_id = |row: &Row<'_>| Ok((row.get::<_, String>(0)?.into(), row.get(1)?));
    c.prepare_cached(query)?.query_map(params![user, day, begin], of_id)?.collect()
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

/// The missions with the most decisions, and those with the most tokens, from a moment on.
fn missions_told(c: &Db<'_>, user: &UserId, begin: i64, decided: HashMap<MissionId, PlanTally>) -> db::Result<Vec<(MissionId, PlanTally)>> {
    let since = begin.div_euclid(DAY);
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
    let earlier = earlier::<MissionId>(c, EARLIER_OF_MISSIONS, user, begin)?;
    let mut statement = c.prepare_cached(TOKENS_OF_MISSION)?;
    for (id, tally) in &mut told {
        let all: u64 = statement.query_row(params![user, id, since], |row| row.get(0))?;
        tally.tokens = all.saturating_sub(earlier.get(id).copied().unwrap_or_default());
    }
    told.retain(|_, tally| tally.tokens > 0 || tally.decided() > 0);
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
    let (user, at, tokens) = (&run.due.user_id, attempt.finished_at, attempt.usage.total.min(MOST_TOKENS));
    if tokens == 0 {
        return Ok(());
    }
    count_of_agent(c, user, run.due.agent_id.as_deref().unwrap_or_default(), at, tokens)?;
    c.prepare_cached(
        "INSERT INTO mission_days (user_id, mission_id, day, tokens) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (user_id, mission_id, day) DO UPDATE SET tokens = mission_days.tokens + excluded.tokens",
    )?
    .execute(params![user, run.due.mission_id, time::to_micros(at).div_euclid(DAY), tokens])?;
    Ok(())
}

/// Counts tokens of an agent, and of its user; no agent has no name.
pub(super) fn count_of_agent(c: &Db<'_>, user: &UserId, agent: &str, at: Timestamp, tokens: u64) -> db::Result<()> {
    let (micros, tokens) = (time::to_micros(at), tokens.min(MOST_TOKENS));
    if tokens == 0 {
        return Ok(());
    }
    c.prepare_cached(
        "INSERT INTO agent_days (user_id, day, agent_id, tokens) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (user_id, day, agent_id) DO UPDATE SET tokens = agent_days.tokens + excluded.tokens",
    )?
    .execute(params![user, micros.div_euclid(DAY), agent, tokens])?;
    c.prepare_cached(
        "INSERT INTO user_quarters (user_id, quarter, tokens) VALUES (?1, ?2, ?3) \
         ON CONFLICT (user_id, quarter) DO UPDATE SET tokens = user_quarters.tokens + excluded.tokens",
    )?
    .execute(params![user, micros.div_euclid(QUARTER), tokens])?;
    Ok(())
}

/// More of one attempt is no count of tokens, as where they are summed up.
const MOST_TOKENS: u64 = 1_000_000_000;

macro_rules! counted {
    ($keys:literal, $from:literal, $by:literal) => {
        concat!("SELECT ", $keys, ", ", tokens!(), " FROM ", $from, " GROUP BY ", $by, " HAVING ", tokens!(), " > 0")
    };
}

const QUARTERS_OF_USERS: &str = counted!(
    "a.user_id, a.finished_at / 900000000",
    "(SELECT user_id, finished_at, total_tokens FROM run_attempts UNION ALL SELECT user_id, finished_at, total_tokens FROM trials) AS a",
    "1, 2"
);
const DAYS_OF_AGENTS: &str = counted!(
    "a.user_id, a.finished_at / 86400000000, coalesce(a.agent_id, '')",
    "(SELECT user_id, agent_id, finished_at, total_tokens FROM run_attempts \
     UNION ALL SELECT user_id, agent_id, finished_at, total_tokens FROM trials) AS a",
    "1, 2, 3"
);
const DAYS_OF_MISSIONS: &str =
    counted!("a.user_id, a.finished_at / 86400000000, r.mission_id", "run_attempts a JOIN runs r ON r.id = a.run_id", "1, 2, 3");

/// Counts the tokens of each time again.
pub(super) fn count_days(c: &Db<'_>) -> db::Result<()> {
    c.execute_batch(&format!(
        "DELETE FROM user_quarters; INSERT INTO user_quarters (user_id, quarter, tokens) {QUARTERS_OF_USERS}; \
         DELETE FROM agent_days; INSERT INTO agent_days (user_id, day, agent_id, tokens) {DAYS_OF_AGENTS}; \
         DELETE FROM mission_days; INSERT INTO mission_days (user_id, day, mission_id, tokens) {DAYS_OF_MISSIONS};"
    ))
}

/// Whether the tokens of each time are those of its attempts and trials.
pub(super) fn days_are_right(c: &Db<'_>) -> db::Result<bool> {
    let differ = |there: &str, told: &str| {
        let there = format!("SELECT {there}");
        c.query_row(&format!("SELECT EXISTS ({there} EXCEPT {told}) OR EXISTS ({told} EXCEPT {there})"), params![], |row| {
            row.get::<_, bool>(0)
        })
    };
    Ok(!differ("user_id, quarter, tokens FROM user_quarters", QUARTERS_OF_USERS)?
        && !differ("user_id, day, agent_id, tokens FROM agent_days", DAYS_OF_AGENTS)?
        && !differ("user_id, day, mission_id, tokens FROM mission_days", DAYS_OF_MISSIONS)?)
}
