//! Why a mission runs or does not, condition by condition, with the values compared (docs/design.md, sections 6 and 12).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::outage;
use super::tick::pending;
use crate::domain::agent::Agent;
use crate::domain::breaker;
use crate::domain::cadence::Cadence;
use crate::domain::decision::{self, Ceilings, Condition, Decision, Load, Plans, Situation, decide};
use crate::domain::ids::{MissionId, UserId};
use crate::domain::mission::{Mission, MissionState};
use crate::domain::time;
use crate::grants::{self, Grant, Skip};
use crate::store::{LoadQuery, RunRow, Snapshot, Store, StoreResult};
use crate::text::catalog::Words;
use crate::text::decision::{compared, name};
use crate::text::phrase::Phrase;

/// Runs that an explanation shows.
const RUNS_SHOWN: u32 = 5;

/// One thing that a run depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedStep {
    pub name: &'static str,
    pub passed: bool,
    /// The comparison in words.
    pub compared: Phrase,
}

/// Everything that decides about a mission at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub title: String,
    pub at: Timestamp,
    pub steps: Vec<ExplainedStep>,
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
    pub fn obstacle(&self) -> Option<&ExplainedStep> {
        self.steps.iter().find(|step| !step.passed)
    }

    pub fn to_json(&self) -> Value {
        let steps: Vec<Value> =
            self.steps.iter().map(|s| json!({"check": s.name, "passed": s.passed, "compared": s.compared.to_string()})).collect();
        json!({
            "userId": self.user_id,
            "missionId": self.mission_id,
            "title": self.title,
            "at": time::iso_millis(self.at),
            "wouldRun": self.obstacle().is_none(),
            "obstacle": self.obstacle().map(|s| s.name),
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

/// Explains a live mission at `now`, with the same decision as a tick; `plans` is what its plans come to, which need not all be
/// in the record.
///
/// # Errors
/// When the database cannot be read.
pub async fn explain(store: &Store, snapshot: &Snapshot<Mission>, plans: Plans, now: Timestamp, rules: &Rules) -> StoreResult<Explanation> {
    let (user, id) = (&snapshot.user_id, &snapshot.id);
    let mission = snapshot.read();
    let wanted = LoadQuery { user_id: user.clone(), agents: mission.agent_id.iter().cloned().collect() };
    let load = store.load(wanted, now).await?;
    let agent = mission.agent_id.as_ref().and_then(|id| Some((Agent::read(id, &load.agents.get(id)?.0).0, load.agents.get(id)?.1)));
    let run = load.open.iter().find(|run| &run.mission_id == id);
    let situation = Situation {
        agent: agent.as_ref().map(|(agent, tokens)| {
            // Its own run holds its place.
            let own = run.is_some_and(|run| run.owner.is_some() && run.agent_id.as_ref() == Some(&agent.id));
            (agent, Load { in_flight: load.in_flight(&agent.id).saturating_sub(own.into()), tokens: *tokens })
        }),
        plans,
        pending: run.map(pending),
        provider_closed_until: outage::closed_until(store, &rules.provider, &rules.breaker, now).await?,
        used: load.used,
        now,
        ceilings: &rules.ceilings,
    };
    let mut steps = vec![state(&mission), due(&mission, now), cadence(&mission)];
    if agent.is_none() {
        steps.push(without_agent(&mission));
    }
    let name_of_agent = agent.as_ref().map(|(agent, _)| agent.name.as_str());
    steps.extend(decision::conditions(&situation).iter().map(|condition| {
        let mut compared = compared(Words::ENGLISH, condition, name_of_agent);
        if let (Condition::Retry { at: Some(_), .. }, Some(reason)) = (condition, run.and_then(|run| run.reason.as_ref())) {
            compared = compared.text(format!(": {reason}"));
        }
        ExplainedStep { name: name(condition), passed: condition.holds(), compared }
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
        needs_start: mission.state == MissionState::Active
            && mission.next_run_at.is_none()
            && !mission.lacks_time()
            && decide(&situation) == Decision::Run,
        next_run_at,
        then: next_run_at.and_then(resumption).flatten(),
        grant,
        runs: store.runs_before(user, Some(id), Timestamp::MAX, RUNS_SHOWN).await?,
    })
}

fn without_agent(mission: &Mission) -> ExplainedStep {
    let compared = match &mission.agent_id {
        None => "no agent is set, so none of its gates applies".into(),
        Some(id) => format!("agent {id} does not exist, so none of its gates applies").into(),
    };
    ExplainedStep { name: "agent", passed: true, compared }
}

fn state(mission: &Mission) -> ExplainedStep {
    let state = mission.state;
    ExplainedStep { name: "state", passed: state == MissionState::Active, compared: format!("the mission is {}", state.as_str()).into() }
}

fn due(mission: &Mission, now: Timestamp) -> ExplainedStep {
    let compared = match mission.next_run_at {
        None if mission.lacks_time() => "no next time is set; the server sets the one of its schedule at its next tick".into(),
        None => "no next time is set".into(),
        Some(at) => Phrase::from("next time ").time(at).text(", now ").time(now),
    };
    ExplainedStep { name: "due", passed: mission.next_run_at.is_some_and(|at| at <= now), compared }
}

/// A broken cadence does not keep a mission from running once; it only has no time after that.
fn cadence(mission: &Mission) -> ExplainedStep {
    let compared = match Cadence::read(&mission.cadence) {
        Ok(_) => format!("cadence {}", mission.cadence).into(),
        Err(bad) => format!("{bad}; it counts as manual").into(),
    };
    ExplainedStep { name: "cadence", passed: true, compared }
}
