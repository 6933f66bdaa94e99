//! Why a mission runs or does not, condition by condition, with the values compared (docs/design.md, sections 6 and 12).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::outage;
use super::tick::pending;
use crate::domain::agent::Agent;
use crate::domain::breaker;
use crate::domain::cadence::Cadence;
use crate::domain::decision::{self, Ceilings, Condition, Load, Plans, RunCheck, Situation};
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::mission::{Mission, MissionState};
use crate::domain::standing::{Standing, Untimed};
use crate::domain::time;
use crate::grants::{self, Grant, Skip};
use crate::store::{LoadQuery, OpenRun, RunRow, Snapshot, Store, StoreResult, UserLoad};
use crate::text::catalog::Words;
use crate::text::decision::{explained, name};

/// Runs that an explanation shows.
const RUNS_SHOWN: u32 = 5;

/// Everything that decides about a mission at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub title: String,
    pub at: Timestamp,
    pub steps: Vec<RunCheck>,
    /// What that comes to.
    pub standing: Standing,
    /// Its agent, where there is one.
    pub agent: Option<(AgentId, String)>,
    /// Whether it runs only when somebody starts it, and nothing else is in its way.
    pub needs_start: bool,
    /// When it runs next by what is known now; `None`: not by itself.
    pub next_run_at: Option<Timestamp>,
    /// The time of its cadence after that.
    pub then: Option<Timestamp>,
    /// What its grant allows, where it has one; whether its key opens here is for its run to find out.
    pub grant: Option<Result<Grant, Skip>>,
    /// The latest runs, newest first.
    pub runs: Vec<RunRow>,
}

impl Explanation {
    /// The first step that keeps it from running.
    pub fn obstacle(&self) -> Option<&RunCheck> {
        self.steps.iter().find(|step| !step.passes())
    }

    pub fn to_json(&self) -> Value {
        let told = |s: &RunCheck| json!({"check": name(s), "passed": s.passes(), "compared": explained(Words::ENGLISH, s).to_string()});
        let steps: Vec<Value> = self.steps.iter().map(told).collect();
        json!({
            "userId": self.user_id,
            "missionId": self.mission_id,
            "title": self.title,
            "at": time::iso_millis(self.at),
            "wouldRun": self.obstacle().is_none(),
            "obstacle": self.obstacle().map(name),
            "checks": steps,
            "nextRunAt": self.next_run_at.map(time::iso_millis),
            "then": self.then.map(time::iso_millis),
            "grant": self.grant.as_ref().map(|grant| match grant {
                Ok(grant) => json!({"usable": true, "records": grant.derivation.record_ids, "until": time::iso_millis(grant.expires_at)}),
                Err(skip) => json!({"usable": false, "reason": skip.as_str()}),
            }),
            "runs": self.runs.iter().map(RunRow::to_json).collect::<Vec<_>>(),
        })
    }
}

/// The rules by which missions run, for those who explain them.
#[derive(Debug, Clone)]
pub struct Rules {
    /// For cadences without a zone of their own.
    pub zone: TimeZone,
    pub ceilings: Ceilings,
    pub breaker: breaker::Limits,
    /// The model server's name.
    pub provider: String,
}

/// What decides about a mission; `agent` comes with the tokens that it used, `run` is the mission's own.
pub(super) fn situation<'a>(
    agent: Option<&'a (Agent, u64)>,
    run: Option<&OpenRun>,
    load: &UserLoad,
    plans: Plans,
    provider_closed_until: Option<Timestamp>,
    rules: &'a Rules,
    now: Timestamp,
) -> Situation<'a> {
    let agent = agent.map(|(agent, tokens)| {
        // Its own run holds its place.
        let own = run.is_some_and(|run| run.owner.is_some() && run.agent_id.as_ref() == Some(&agent.id));
        (agent, Load { in_flight: load.in_flight(&agent.id).saturating_sub(own.into()), tokens: *tokens })
    });
    let (pending, ceilings) = (run.map(pending), &rules.ceilings);
    Situation { agent, plans, pending, provider_closed_until, used: load.used, now, ceilings }
}

/// Explains a live mission at `now`, with the same decision as a tick; `plans` is what its plans come to, which need not all be
/// in the record.
///
/// # Errors
/// When the database cannot be read.
pub async fn explain(store: &Store, snapshot: &Snapshot<Mission>, plans: Plans, now: Timestamp, rules: &Rules) -> StoreResult<Explanation> {
    let (user, id) = (&snapshot.user_id, &snapshot.id);
    let mission = snapshot.read();
    let wanted = LoadQuery { user_id: user.clone(), agents: mission.agent_id.iter().cloned().collect(), ..LoadQuery::default() };
    let load = store.load(wanted, now).await?;
    let agent = mission.agent_id.as_ref().and_then(|id| Some((Agent::read(id, &load.agents.get(id)?.0).0, load.agents.get(id)?.1)));
    let run = load.open.iter().find(|run| &run.mission_id == id);
    let closed_until = outage::closed_until(store, &rules.provider, &rules.breaker, now).await?;
    let situation = situation(agent.as_ref(), run, &load, plans, closed_until, rules, now);
    let cadence = RunCheck::Cadence { written: mission.cadence.to_string(), bad: Cadence::read(&mission.cadence).err() };
    let mut steps =
        vec![RunCheck::State(mission.state), RunCheck::Due { at: mission.next_run_at, now, lacks: mission.lacks_time() }, cadence];
    if agent.is_none() {
        steps.push(RunCheck::NoAgent(mission.agent_id.clone()));
    }
    let conditions = decision::conditions(&situation);
    let obstacle = conditions.iter().find(|condition| !condition.holds()).copied();
    let name_of_agent = agent.as_ref().map(|(agent, _)| agent.name.clone());
    steps.extend(conditions.into_iter().map(|condition| {
        let waits = matches!(condition, Condition::Retry { at: Some(_), .. });
        let reason = run.filter(|_| waits).and_then(|run| run.reason.clone());
        RunCheck::Condition { condition, agent: name_of_agent.clone(), reason }
    }));
    let grant = match &mission.grant {
        None => None,
        Some(grant) => {
            let ends_at = store.grant_end(user, grant).await?;
            Some(grants::usable(grant, id, ends_at, now))
        }
    };
    let next_run_at = mission.next_run_at.filter(|_| mission.state == MissionState::Active);
    let resumption = |at: Timestamp| Some(Cadence::read(&mission.cadence).ok()?.resume(at, now.max(at), &rules.zone).next);
    Ok(Explanation {
        user_id: user.clone(),
        mission_id: id.clone(),
        title: mission.label().to_owned(),
        at: now,
        steps,
        standing: Standing::of(mission.state, obstacle, mission.next_run_at.ok_or_else(|| Untimed::of(&mission.cadence)), now),
        needs_start: mission.state == MissionState::Active && mission.next_run_at.is_none() && !mission.lacks_time() && obstacle.is_none(),
        agent: agent.map(|(agent, _)| (agent.id, agent.name)),
        next_run_at,
        then: next_run_at.and_then(resumption).flatten(),
        grant,
        runs: store.runs_before(user, Some(id), Timestamp::MAX, RUNS_SHOWN).await?,
    })
}
