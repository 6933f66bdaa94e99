//! One claimed run: looks at the mission once more, asks for a plan, and closes the run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::tick::{count, day_before};
use super::{Runner, lock};
use crate::domain::actor;
use crate::domain::agent::Agent;
use crate::domain::breaker::Leave;
use crate::domain::gate::{Load, first_bite};
use crate::domain::iteration::{Frame, Outcome, Plan};
use crate::domain::iterations::Iteration;
use crate::domain::mission::Mission;
use crate::domain::write_back::still_due;
use crate::inputs::{self, Reader, Resolved};
use crate::planner::prompt::Material;
use crate::planner::tools::Offered;
use crate::planner::{PlanError, Planned};
use crate::store::{Attempt, Claimed, Close, Closed, StoreError, StoreResult, Table};

/// A run in the queue, and who waits to hear of its end.
pub(super) struct Job {
    pub run: Claimed,
    pub settled: oneshot::Sender<Settled>,
    /// Where its trace goes on.
    pub span: Span,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    pub user_id: String,
    pub mission_id: String,
    pub ending: Ending,
    /// Whether the model gave a plan, written back or not.
    pub produced: bool,
    /// Whether its answer was no plan.
    pub parse_failure: bool,
    /// What went wrong, where something did.
    pub error: Option<String>,
    /// Its kind alone: the words may repeat what a model server said.
    pub error_kind: Option<String>,
    /// Tokens that this attempt took.
    pub tokens: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    Planned {
        summary: String,
        steps: usize,
        missed: u32,
        note: Option<String>,
    },
    /// The last attempt failed, and the mission says so.
    Failed {
        reason: String,
    },
    /// Nothing was written, because the mission moved on.
    Dropped {
        reason: String,
    },
    /// An attempt failed; there will be another.
    Retrying {
        at: Timestamp,
        reason: String,
    },
    /// The claim was given back without an attempt.
    Released {
        reason: String,
    },
    /// Another process took the claim over.
    Lost,
    /// The end could not be written; the claim is given back at the next tick.
    Broken {
        reason: String,
    },
}

/// What is known at the end of an attempt.
struct End<'a> {
    run: &'a Claimed,
    mission: &'a Mission,
    agent: Option<&'a Agent>,
    /// What was left out of the prompt.
    note: Option<String>,
    attempt: Attempt,
    frame: Frame,
}

/// Waits between tries to write the end of a run: a passing lock must not cost a plan.
const WRITE_TRIES: [Duration; 5] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(10), Duration::from_secs(20)];

impl Runner {
    /// Waits for a free planner and works on the run that is next in fairness.
    pub(super) async fn work_on_next(self: Arc<Self>) {
        // A closed semaphore says that the runner stops; it gives the queued claims back itself.
        let Ok(_permit) = self.planning.acquire().await else { return };
        let Some(Job { run, settled, span }) = lock(&self.queue).pop() else { return };
        let _busy = Busy::begin(&self, &run.run_id);
        if self.is_stopping() {
            return;
        }
        let started = Instant::now();
        let end = match self.work(&run).instrument(span.clone()).await {
            Ok(end) => end,
            Err(error) => self.broken(&run, &error),
        };
        span.record("ending", end.ending.word());
        if end.error.is_some() {
            span.record("otel.status_code", "ERROR");
        }
        // Whoever hears of the end may end the program, and the trace with it.
        drop(span);
        end.log(&run, started.elapsed());
        // Nobody may wait for it.
        let _ = settled.send(end);
    }

    async fn work(&self, run: &Claimed) -> StoreResult<Settled> {
        let now = self.now();
        let (user, id) = (&run.due.user_id, &run.due.mission_id);
        // What the user changed since the tick counts: a grant that was taken back must not be used.
        let Some(record) = self.store.newest(Table::Missions, user, id).await? else {
            return self.close(run, None, Close::Drop { reason: "the mission was deleted before it was planned".into() }).await;
        };
        let (mission, _) = Mission::read(id, &record);
        if let Err(reason) = still_due(&mission, run.due.scheduled_for) {
            return self.close(run, None, Close::Drop { reason }).await;
        }
        let (agent, used) = match self.admitted(run, &mission, now).await? {
            Ok(admitted) => admitted,
            Err(reason) => return self.close(run, None, Close::Release { at: None, reason }).await,
        };
        let leave = lock(&self.breaker).ask(now);
        self.show_breaker();
        if let Leave::Wait { until } = leave {
            let reason = "the model server is out of order".into();
            return self.close(run, None, Close::Release { at: Some(until), reason }).await;
        }
        let inputs =
            self.read_inputs(run, &mission, now).instrument(tracing::debug_span!("inputs", inputs = Empty, left_out = Empty)).await?;
        let policy = agent.as_ref().map(|agent| agent.policy.clone()).unwrap_or_default();
        let offered = self.planner.offered(&policy);
        let budget = agent.as_ref().and_then(|agent| Some((used, agent.max_tokens_per_day?)));
        let material = Material { agent: agent.as_ref(), mission: &mission, inputs: &inputs, offered: &offered, budget, now };
        let span = tracing::debug_span!("plan", model = Empty, rounds = Empty, tokens = Empty, otel.status_code = Empty);
        let planned = self.planner.plan(&material).instrument(span.clone()).await;
        span.record("model", &planned.model)
            .record("rounds", i64::from(planned.rounds))
            .record("tokens", planned.usage.total.cast_signed());
        if planned.outcome.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        drop(span);
        self.observe(agent.as_ref(), &planned);
        // Nothing ends before it began, whatever happened to the clock meanwhile.
        let finished_at = self.now().max(now);
        let attempt = Attempt {
            started_at: now,
            finished_at,
            latency_ms: u64::try_from(planned.latency.as_millis()).unwrap_or(u64::MAX),
            model: planned.model.clone(),
            prompt_version: self.planner.prompt_version().to_owned(),
            usage: planned.usage,
            prompt_chars: planned.prompt_chars,
            error: planned.outcome.as_ref().err().map(ToString::to_string),
        };
        let frame = Frame {
            id: run.iteration_id.clone(),
            started_at: now,
            finished_at,
            model: planned.model,
            prompt_version: attempt.prompt_version.clone(),
            usage: planned.usage,
        };
        let end = End { run, mission: &mission, agent: agent.as_ref(), note: note(&inputs, &planned.notes), attempt, frame };
        match planned.outcome {
            Ok(plan) => self.write_plan(end, &offered, plan).await,
            Err(error) => self.take_failure(end, &error).await,
        }
    }

    async fn read_inputs(&self, run: &Claimed, mission: &Mission, now: Timestamp) -> StoreResult<Resolved> {
        let private_key = self.settings.private_key.as_deref();
        let reader = Reader { user_id: &run.due.user_id, mission, iteration_id: &run.iteration_id, private_key, now };
        let resolved = inputs::resolve(&self.store, &reader).await?;
        Span::current().record("inputs", count(resolved.inputs.len())).record("left_out", count(resolved.left_out.len()));
        self.metrics.count_reads(&resolved.attempts);
        if let Some(skip) = resolved.skip {
            self.metrics.grant_skips_total.with_label_values(&[skip.as_str()]).inc();
        }
        Ok(resolved)
    }

    /// The agent of a run that waited in the queue, with the tokens that it used in the last 24 hours, unless it may not
    /// run any more.
    async fn admitted(&self, run: &Claimed, mission: &Mission, now: Timestamp) -> StoreResult<Result<(Option<Agent>, u64), String>> {
        if mission.agent_id != run.due.agent_id {
            return Ok(Err("the mission was handed to another agent".into()));
        }
        let Some(agent_id) = &mission.agent_id else { return Ok(Ok((None, 0))) };
        let Some(record) = self.store.newest(Table::Agents, &run.due.user_id, agent_id).await? else { return Ok(Ok((None, 0))) };
        let (agent, _) = Agent::read(agent_id, &record);
        let key = (run.due.user_id.clone(), agent_id.clone());
        let tokens = match agent.max_tokens_per_day {
            None => 0,
            Some(_) => self.store.tokens_since(vec![key.clone()], day_before(now)).await?.get(&key).copied().unwrap_or(0),
        };
        // The run itself holds its place; only what changed since the claim can bite.
        let load = Load { in_flight: 0, tokens_last_day: tokens };
        Ok(match first_bite(&agent, load) {
            Some(check) => Err(check.compared),
            None => Ok((Some(agent), tokens)),
        })
    }

    async fn write_plan(&self, end: End<'_>, offered: &[Offered<'_>], plan: Plan) -> StoreResult<Settled> {
        self.metrics.plans_produced_total.inc();
        let (summary, steps) = (plan.summary.clone(), plan.steps.len());
        let tools: Vec<String> = plan.steps.iter().map(|step| step.tool.clone()).collect();
        let close = self.write(&end, &Outcome::Planned(plan), None);
        let mut settled = self.close(end.run, Some(end.attempt), close).await?;
        settled.produced = true;
        if let Ending::Planned { summary: s, steps: n, .. } = &mut settled.ending {
            (*s, *n) = (summary, steps);
            self.metrics.plans_written_back_total.inc();
            for tool in tools {
                let policy = offered.iter().find(|o| o.tool.name == tool).map_or("propose", |o| o.decision.as_str());
                self.metrics.tool_calls_total.with_label_values(&[tool.as_str(), policy, "deferred"]).inc();
            }
        }
        Ok(settled)
    }

    async fn take_failure(&self, end: End<'_>, error: &PlanError) -> StoreResult<Settled> {
        let reason = error.to_string();
        let parse_failure = error.provider_kind().is_none();
        if parse_failure {
            self.metrics.parse_failures_total.inc();
        } else {
            self.metrics.mission_errors_total.inc();
        }
        let failed = end.run.attempts + 1;
        let close = if failed >= self.settings.max_attempts {
            self.write(&end, &Outcome::Failed(error.details()), Some(reason.clone()))
        } else {
            self.metrics.retries_total.inc();
            let wait = self.settings.backoff.wait(failed, rand::random::<f64>());
            let asked = match error {
                PlanError::Provider(error) => error.retry_after.and_then(|wait| SignedDuration::try_from(wait).ok()),
                PlanError::Parse(_) => None,
            };
            let wait = asked.map_or(wait, |asked| wait.max(asked));
            Close::Retry { at: end.attempt.finished_at.checked_add(wait).unwrap_or(Timestamp::MAX), reason: reason.clone() }
        };
        let settled = self.close(end.run, Some(end.attempt), close).await?;
        Ok(Settled { parse_failure, error: Some(reason), error_kind: Some(error.details().name), ..settled })
    }

    fn write(&self, end: &End<'_>, outcome: &Outcome, failed: Option<String>) -> Close {
        let work = actor::Work { mission_id: &end.mission.id, iteration_id: &end.frame.id, rationale: &end.mission.objective };
        Close::Write {
            iteration: Iteration::of_run(&end.frame, outcome, self.settings.first_step_status),
            actor: actor::runner(end.agent, Some(work)),
            failed,
            note: end.note.clone(),
            zone: self.settings.zone.clone(),
            bounds: self.bounds(),
        }
    }

    /// Closes a run, patiently, and tells how it ended.
    async fn close(&self, run: &Claimed, attempt: Option<Attempt>, close: Close) -> StoreResult<Settled> {
        let tokens = attempt.as_ref().map_or(0, |attempt| attempt.usage.total);
        let closed = self.write_end(run, attempt, &close).instrument(tracing::debug_span!("write-back")).await?;
        Ok(Settled {
            user_id: run.due.user_id.clone(),
            mission_id: run.due.mission_id.clone(),
            ending: self.ending(closed, close),
            produced: false,
            parse_failure: false,
            error: None,
            error_kind: None,
            tokens,
        })
    }

    async fn write_end(&self, run: &Claimed, attempt: Option<Attempt>, close: &Close) -> StoreResult<Closed> {
        let mut tries = WRITE_TRIES.into_iter();
        loop {
            let now = self.now();
            let outcome = self.store.close(run.clone(), self.presence.owner().to_owned(), attempt.clone(), close.clone(), now).await;
            match outcome {
                Err(error) if error.is_passing() && !self.is_stopping() => match tries.next() {
                    Some(wait) => {
                        tracing::warn!(mission = run.due.mission_id, %error, "the end of a run cannot be written yet");
                        tokio::time::sleep(wait).await;
                    }
                    None => return Err(error),
                },
                outcome => return outcome,
            }
        }
    }

    fn ending(&self, closed: Closed, close: Close) -> Ending {
        let count = |outcome: &str| self.metrics.runs_total.with_label_values(&[outcome]).inc();
        match (closed, close) {
            (Closed::Written { missed, note }, Close::Write { failed, .. }) => {
                self.metrics.coalesced_times_total.inc_by(missed.into());
                match failed {
                    Some(reason) => {
                        count("failed");
                        Ending::Failed { reason }
                    }
                    None => {
                        count("planned");
                        Ending::Planned { summary: String::new(), steps: 0, missed, note }
                    }
                }
            }
            (Closed::Dropped { reason }, _) => {
                count("dropped");
                Ending::Dropped { reason }
            }
            (Closed::Waiting, Close::Retry { at, reason }) => Ending::Retrying { at, reason },
            (Closed::Waiting, Close::Release { reason, .. }) => Ending::Released { reason },
            _ => Ending::Lost,
        }
    }

    fn broken(&self, run: &Claimed, error: &StoreError) -> Settled {
        self.metrics.mission_errors_total.inc();
        tracing::error!(mission = run.due.mission_id, %error, "a run could not be finished; it is tried again");
        Settled {
            user_id: run.due.user_id.clone(),
            mission_id: run.due.mission_id.clone(),
            ending: Ending::Broken { reason: error.to_string() },
            produced: false,
            parse_failure: false,
            error: Some(error.to_string()),
            error_kind: None,
            tokens: 0,
        }
    }

    /// Feeds the breaker and the metrics with what a request came to.
    fn observe(&self, agent: Option<&Agent>, planned: &Planned) {
        self.metrics.planner_request_duration_seconds.observe(planned.latency.as_secs_f64());
        self.metrics.planner_rounds.observe(planned.rounds.into());
        self.metrics.prompt_injection_suspected_total.inc_by(planned.suspected_injections as u64);
        if planned.usage.total > 0 {
            self.metrics.count_tokens(agent.map_or(actor::LEGACY_AI, |agent| &agent.id), planned.usage.total);
        }
        let kind = planned.outcome.as_ref().err().and_then(PlanError::provider_kind);
        if let Some(kind) = kind {
            self.metrics.provider_errors_total.with_label_values(&[self.planner.provider_name().as_str(), kind.as_str()]).inc();
        }
        let mut breaker = lock(&self.breaker);
        match kind {
            Some(kind) if kind.is_provider_down() => breaker.failed(self.now()),
            _ => breaker.succeeded(),
        }
        drop(breaker);
        self.show_breaker();
    }

    fn show_breaker(&self) {
        let position = lock(&self.breaker).position();
        self.metrics.breaker_state.set(position as i64);
    }
}

/// What the user should know about a plan: what its prompt went without, and what was done to it.
fn note(inputs: &Resolved, notes: &[String]) -> Option<String> {
    let all: Vec<String> = inputs.note().into_iter().chain(notes.iter().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

impl Settled {
    /// One line of the log, without what is its user's.
    fn log(&self, run: &Claimed, took: Duration) {
        let reason = match &self.ending {
            // The next tick decides on it again, and tells why.
            Ending::Planned { .. } | Ending::Lost | Ending::Released { .. } => None,
            Ending::Failed { .. } | Ending::Retrying { .. } => self.error_kind.as_deref(),
            Ending::Dropped { reason } | Ending::Broken { reason } => Some(reason.as_str()),
        };
        tracing::info!(
            user = self.user_id,
            mission = self.mission_id,
            agent = run.due.agent_id,
            run = run.run_id,
            ending = self.ending.word(),
            reason,
            tokens = self.tokens,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "a run settled"
        );
    }
}

impl Ending {
    /// One word for logs.
    pub fn word(&self) -> &'static str {
        match self {
            Ending::Planned { .. } => "planned",
            Ending::Failed { .. } => "failed",
            Ending::Dropped { .. } => "dropped",
            Ending::Retrying { .. } => "retrying",
            Ending::Released { .. } => "released",
            Ending::Lost => "lost",
            Ending::Broken { .. } => "broken",
        }
    }
}

/// Counts a plan as under way for as long as it lives, however its task ends.
struct Busy<'a> {
    runner: &'a Runner,
    run_id: String,
}

impl<'a> Busy<'a> {
    fn begin(runner: &'a Runner, run_id: &str) -> Self {
        runner.busy.send_modify(|busy| *busy += 1);
        Busy { runner, run_id: run_id.to_owned() }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        lock(&self.runner.active).remove(&self.run_id);
        self.runner.busy.send_modify(|busy| *busy -= 1);
    }
}
