//! Why a mission runs or does not, gate by gate, with the values compared (DESIGN, sections 6 and 12).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::tick::day_before;
use crate::domain::agent::Agent;
use crate::domain::backoff::still_waits;
use crate::domain::cadence::Cadence;
use crate::domain::gate::{self, Load};
use crate::domain::mission::{Mission, MissionState};
use crate::domain::time;
use crate::store::{OpenRun, RunRow, Snapshot, Store, StoreResult, Table};

/// Runs that an explanation shows.
const RUNS_SHOWN: u32 = 5;

/// One thing that a run depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub name: &'static str,
    pub passed: bool,
    /// The comparison in words.
    pub compared: String,
}

/// Everything that decides about a mission at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub user_id: String,
    pub mission_id: String,
    pub title: String,
    pub at: Timestamp,
    pub steps: Vec<Step>,
    /// When it runs next by what is known now; `None`: not by itself.
    pub next_run_at: Option<Timestamp>,
    /// The time of its cadence after that.
    pub then: Option<Timestamp>,
    /// The latest runs, newest first.
    pub runs: Vec<RunRow>,
}

impl Explanation {
    /// The first step that keeps it from running.
    pub fn obstacle(&self) -> Option<&Step> {
        self.steps.iter().find(|step| !step.passed)
    }

    pub fn to_json(&self) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(|s| json!({"check": s.name, "passed": s.passed, "compared": s.compared})).collect();
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
            "runs": self.runs.iter().map(RunRow::to_json).collect::<Vec<_>>(),
        })
    }
}

/// Explains a live mission at `now`, with the same gates as a tick; `longest_wait` as [`super::longest_wait`] gives it.
///
/// # Errors
/// When the database cannot be read.
pub async fn explain(
    store: &Store,
    snapshot: &Snapshot,
    now: Timestamp,
    zone: &TimeZone,
    longest_wait: SignedDuration,
) -> StoreResult<Explanation> {
    let (user, id) = (&snapshot.user_id, &snapshot.id);
    let (mission, _) = Mission::read(id, &snapshot.record);
    let open = store.open_runs().await?;
    let run = open.iter().find(|run| &run.user_id == user && &run.mission_id == id);
    let mut steps = vec![state(&mission), due(&mission, now), cadence(&mission)];
    steps.push(in_flight(run));
    steps.extend(agent_gates(store, user, &mission, &open, now).await?);
    steps.push(ready(run, now, longest_wait));
    let next_run_at = mission.next_run_at.filter(|_| mission.state == MissionState::Active);
    let resumption = |at: Timestamp| Some(Cadence::read(&mission.cadence).ok()?.resume(at, now.max(at), zone).next);
    Ok(Explanation {
        user_id: user.clone(),
        mission_id: id.clone(),
        title: mission.label().to_owned(),
        at: now,
        steps,
        next_run_at,
        then: next_run_at.and_then(resumption).flatten(),
        runs: store.runs(Some(user.clone()), Some(id.clone()), RUNS_SHOWN).await?,
    })
}

fn state(mission: &Mission) -> Step {
    let state = mission.state;
    Step { name: "state", passed: state == MissionState::Active, compared: format!("the mission is {}", state.as_str()) }
}

fn due(mission: &Mission, now: Timestamp) -> Step {
    let compared = match mission.next_run_at {
        None => "no next time is set".into(),
        Some(at) => format!("next time {}, now {}", time::iso_millis(at), time::iso_millis(now)),
    };
    Step { name: "due", passed: mission.next_run_at.is_some_and(|at| at <= now), compared }
}

/// A broken cadence does not keep a mission from running once; it only has no time after that.
fn cadence(mission: &Mission) -> Step {
    let compared = match Cadence::read(&mission.cadence) {
        Ok(_) => format!("cadence {}", mission.cadence),
        Err(bad) => format!("{bad}; it counts as manual"),
    };
    Step { name: "cadence", passed: true, compared }
}

fn in_flight(run: Option<&OpenRun>) -> Step {
    let busy = run.is_some_and(|run| run.owner.is_some());
    let compared = if busy { "a run of it is in flight" } else { "no run of it is in flight" };
    Step { name: "in flight", passed: !busy, compared: compared.into() }
}

async fn agent_gates(store: &Store, user: &str, mission: &Mission, open: &[OpenRun], now: Timestamp) -> StoreResult<Vec<Step>> {
    const NAMES: [&str; 4] = ["agent archived", "agent paused", "agent concurrency", "agent budget"];
    let free = |compared: &str| vec![Step { name: "agent", passed: true, compared: compared.into() }];
    let Some(agent_id) = &mission.agent_id else { return Ok(free("no agent is set, so no gate applies")) };
    let Some(row) = store.snapshot(Table::Agents, user, agent_id).await? else {
        return Ok(free(&format!("agent {agent_id} does not exist, so no gate applies")));
    };
    let (agent, _) = Agent::read(agent_id, &row.record);
    let key = (user.to_owned(), agent_id.clone());
    let load = Load {
        in_flight: open.iter().filter(|r| r.owner.is_some() && r.user_id == user && r.agent_id.as_ref() == Some(agent_id)).count() as u64,
        tokens_last_day: store.tokens_since(vec![key.clone()], day_before(now)).await?.get(&key).copied().unwrap_or(0),
    };
    let checks = gate::checks(&agent, load).into_iter().zip(NAMES);
    Ok(checks.map(|(check, name)| Step { name, passed: check.passed, compared: check.compared }).collect())
}

fn ready(run: Option<&OpenRun>, now: Timestamp, longest_wait: SignedDuration) -> Step {
    let waits = run.filter(|run| run.owner.is_none()).and_then(|run| Some((run, run.next_attempt_at?)));
    let compared = match waits {
        None => "no failed attempt waits".into(),
        Some((run, at)) => format!(
            "{} attempts failed, the next may start at {}: {}",
            run.attempts,
            time::iso_millis(at),
            run.reason.as_deref().unwrap_or("no reason given")
        ),
    };
    Step { name: "retry", passed: waits.is_none_or(|(_, at)| !still_waits(at, now, longest_wait)), compared }
}
