//! One claimed run: looks at the mission once more, asks for a plan, and closes the run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::notes::note;
use super::{Runner, count, lock};
use crate::domain::actor;
use crate::domain::agent::Agent;
use crate::domain::breaker::Permit;
use crate::domain::decision::{self, Condition, Decision, Load, Situation, decide};
use crate::domain::ids::{MissionId, RunId, UserId};
use crate::domain::iteration::{ErrorDetails, Frame, IterationOutcome, Plan, Usage};
use crate::domain::iterations::Iteration;
use crate::domain::mission::Mission;
use crate::domain::policy::ToolDecision;
use crate::domain::step::StepStatus;
use crate::domain::write_back::still_due;
use crate::inputs::{self, InputReader, Resolved};
use crate::planner::prompt::Material;
use crate::planner::provider::ProviderErrorKind;
use crate::planner::tools::Offered;
use crate::planner::{PlanError, Planned};
use crate::steps::{GoAhead, StepOutcome};
use crate::store::{Attempt, AttemptError, Claimed, Close, Closed, IterationEnd, LoadQuery, StoreError, StoreResult, Table};
use crate::text;
use crate::text::catalog::{Words, text_id};
use crate::text::decision::compared;
use crate::text::told::Told;

/// A run in the queue, and who waits to hear of its end.
pub(super) struct PlanJob {
    pub run: Claimed,
    pub settled: oneshot::Sender<RunReport>,
    /// Where its trace goes on.
    pub span: Span,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunReport {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub outcome: RunOutcome,
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
pub enum RunOutcome {
    Planned {
        summary: String,
        steps: usize,
        missed: u32,
        note: Option<String>,
        /// What became of steps that went ahead without review.
        outcomes: Vec<(String, StepOutcome)>,
    },
    /// The last attempt failed, and the mission says so.
    Failed { reason: String },
    /// Nothing was written, because the mission moved on.
    Dropped { reason: String },
    /// An attempt failed; there will be another.
    Retrying { at: Timestamp, reason: String },
    /// The claim was given back without an attempt.
    Released { reason: String },
    /// Another process took the claim over.
    Lost,
    /// The end could not be written; the claim is given back at the next tick.
    Broken { reason: String },
}

/// When a run may start after all, where that is known, and why it does not now.
type Later = (Option<Timestamp>, Told);

/// What is known at the end of an attempt.
struct AttemptEnd<'a> {
    run: &'a Claimed,
    mission: &'a Mission,
    agent: Option<&'a Agent>,
    /// What was left out of the prompt.
    note: Option<Told>,
    /// `None`: the model was not asked.
    attempt: Option<Attempt>,
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
        let Some(PlanJob { run, settled, span }) = lock(&self.queue).pop() else { return };
        let _busy = PlanningGuard::begin(&self, &run.run_id);
        if self.is_stopping() {
            return;
        }
        let started = Instant::now();
        let end = match self.work(&run).instrument(span.clone()).await {
            Ok(end) => end,
            Err(error) => self.broken(&run, &error),
        };
        span.record("ending", end.outcome.word());
        if end.error.is_some() {
            span.record("otel.status_code", "ERROR");
        }
        // Whoever hears of the end may end the program, and the trace with it.
        drop(span);
        end.log(&run, started.elapsed());
        // Nobody may wait for it.
        let _ = settled.send(end);
    }

    async fn work(&self, run: &Claimed) -> StoreResult<RunReport> {
        let now = self.now();
        let (user, id) = (&run.due.user_id, &run.due.mission_id);
        let log_seq = self.store.last_seq().await?;
        // What the user changed since the tick counts: a grant that was taken back must not be used.
        let Some(record) = self.store.newest(Table::Missions, user, id).await? else {
            return self.close(run, None, Close::Drop { reason: text::run::deleted_before(Words::ENGLISH).into() }).await;
        };
        let (mission, _) = Mission::read(id, &record);
        if let Err(reason) = still_due(&mission, run.due.scheduled_for, now) {
            return self.close(run, None, Close::Drop { reason: text::run::dropped(Words::ENGLISH, reason).into() }).await;
        }
        let (agent, tokens) = match self.admitted(run, &mission, now).await? {
            Ok(admitted) => admitted,
            Err((at, reason)) => return self.close(run, None, Close::Release { at, reason }).await,
        };
        if run.attempts >= self.settings.max_attempts {
            return self.give_up(run, &mission, agent.as_ref(), now).await;
        }
        if let Permit::Wait { until } = self.may_call(now).await {
            let reason = compared(Words::ENGLISH, &Condition::Provider { closed_until: Some(until) }, None).into();
            return self.close(run, None, Close::Release { at: Some(until), reason }).await;
        }
        let inputs = self
            .read_inputs(run, &mission, (log_seq, now))
            .instrument(tracing::debug_span!("inputs", inputs = Empty, left_out = Empty))
            .await?;
        let policy = agent.as_ref().map(|agent| agent.policy.clone()).unwrap_or_default();
        let offered = self.planner.offered(&policy);
        let budget = agent.as_ref().and_then(|agent| Some((tokens, agent.max_tokens_per_day?)));
        let material = Material { agent: agent.as_ref(), mission: &mission, inputs: &inputs, offered: &offered, budget, now };
        if !self.store.begin_attempt(run, self.presence.owner().to_owned(), now).await? {
            return Ok(self.settled(run, RunOutcome::Lost));
        }
        let span = tracing::debug_span!("plan", model = Empty, rounds = Empty, tokens = Empty, otel.status_code = Empty);
        let planned = self.planner.plan(&material).instrument(span.clone()).await;
        span.record("model", &planned.model)
            .record("rounds", i64::from(planned.calls()))
            .record("tokens", planned.usage.total.cast_signed());
        if planned.outcome.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        drop(span);
        self.observe(agent.as_ref(), &planned).await;
        if let Some(reason) = planned.outcome.as_ref().err().and_then(PlanError::of_machine) {
            let reason = Told::in_short(reason, text_id("runs-failure-machine"));
            return self.put_off(run, reason).await;
        }
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
            inputs: u32::try_from(inputs.inputs.len()).ok(),
            log_seq: Some(log_seq),
            calls: planned.calls(),
            rounds: planned.rounds,
            error: planned.outcome.as_ref().err().map(|error| {
                let ErrorDetails { name, message: text, .. } = error.details();
                AttemptError { name: Some(name), text }
            }),
        };
        let frame = Frame {
            id: run.iteration_id.clone(),
            started_at: now,
            finished_at,
            model: planned.model,
            prompt_version: self.planner.prompt_version().to_owned(),
            usage: planned.usage,
        };
        let end = AttemptEnd {
            run,
            mission: &mission,
            agent: agent.as_ref(),
            note: note(&inputs, &planned.notes),
            attempt: Some(attempt),
            frame,
        };
        match planned.outcome {
            Ok(plan) => self.write_plan(end, &offered, plan).await,
            Err(error) => self.take_failure(end, &error).await,
        }
    }

    async fn read_inputs(&self, run: &Claimed, mission: &Mission, (upto, now): (i64, Timestamp)) -> StoreResult<Resolved> {
        let private_key = self.settings.private_key.as_deref();
        let reader =
            InputReader { user_id: &run.due.user_id, mission, iteration_id: &run.iteration_id, private_key, kinds: &self.kinds, upto, now };
        let resolved = inputs::resolve(&self.store, &reader).await?;
        Span::current().record("inputs", count(resolved.inputs.len())).record("left_out", count(resolved.left_out.len()));
        self.metrics.count_reads(&resolved.attempts);
        if let Some(skip) = resolved.skip {
            self.metrics.grant_skips_total.with_label_values(&[skip.as_str()]).inc();
        }
        Ok(resolved)
    }

    /// The agent of a run that waited in the queue, with the tokens that it used in the last 24 hours; or why the run has
    /// to wait after all, and until when.
    async fn admitted(&self, run: &Claimed, mission: &Mission, now: Timestamp) -> StoreResult<Result<(Option<Agent>, u64), Later>> {
        if mission.agent_id != run.due.agent_id {
            return Ok(Err((None, text::run::other_agent(Words::ENGLISH).into())));
        }
        let user = &run.due.user_id;
        let record = match &mission.agent_id {
            None => None,
            Some(id) => self.store.newest(Table::Agents, user, id).await?,
        };
        let agent = mission.agent_id.as_ref().zip(record).map(|(id, record)| Agent::read(id, &record).0);
        let wanted =
            LoadQuery { user_id: user.clone(), agents: agent.iter().map(|agent| agent.id.clone()).collect(), ..LoadQuery::default() };
        let load = self.store.load(wanted, now).await?;
        let tokens = agent.as_ref().and_then(|agent| load.agents.get(&agent.id)).map_or(0, |(_, tokens)| *tokens);
        let situation = Situation {
            // The run itself holds its place, and it is the one that is in flight.
            agent: agent.as_ref().map(|agent| (agent, Load { in_flight: 0, tokens })),
            plans: decision::plans(&mission.iterations),
            pending: None,
            // The breaker is asked last, since its answer may be a leave that has to be used.
            provider_closed_until: None,
            used: load.used,
            now,
            ceilings: &self.settings.ceilings,
        };
        Ok(match decide(&situation) {
            Decision::Run => Ok((agent, tokens)),
            Decision::Wait(condition) => {
                let name = agent.as_ref().map(|agent| agent.name.as_str());
                Err((condition.until(), compared(Words::ENGLISH, &condition, name).into()))
            }
        })
    }

    /// Fails a run for good whose attempts all ended without a word that could be saved.
    async fn give_up(&self, run: &Claimed, mission: &Mission, agent: Option<&Agent>, now: Timestamp) -> StoreResult<RunReport> {
        let message = format!("{} attempts ended before their result could be saved; the log of the server tells more", run.attempts);
        let frame = Frame {
            id: run.iteration_id.clone(),
            started_at: now,
            finished_at: now,
            model: self.planner.model(),
            prompt_version: self.planner.prompt_version().to_owned(),
            usage: Usage::default(),
        };
        let end = AttemptEnd { run, mission, agent, note: None, attempt: None, frame };
        let details = ErrorDetails { name: "ResultLost".into(), message: message.clone(), phase: "finalizing".into() };
        let close =
            self.write(&end, &IterationOutcome::Failed(details), Some(Told::in_short(message.as_str(), text_id("runs-failure-lost"))));
        let settled = self.close(run, None, close).await?;
        Ok(RunReport { error: Some(message), error_kind: Some("ResultLost".into()), ..settled })
    }

    /// Gives a run back that this machine could not carry out; it is no failed attempt.
    async fn put_off(&self, run: &Claimed, reason: Told) -> StoreResult<RunReport> {
        let wait = self.settings.backoff.wait(1, rand::random::<f64>());
        self.metrics.mission_errors_total.inc();
        tracing::warn!(mission = run.due.mission_id.as_str(), reason = reason.text, "this machine could not ask the model");
        let close = Close::Release { at: self.now().checked_add(wait).ok(), reason: reason.clone() };
        Ok(RunReport { error: Some(reason.text), error_kind: Some("Machine".into()), ..self.close(run, None, close).await? })
    }

    async fn write_plan(&self, end: AttemptEnd<'_>, offered: &[Offered<'_>], plan: Plan) -> StoreResult<RunReport> {
        self.metrics.plans_produced_total.inc();
        let (summary, steps) = (plan.summary.clone(), plan.steps.len());
        let tools: Vec<String> = plan.steps.iter().map(|step| step.tool.clone()).collect();
        let policy = |tool: &str| offered.iter().find(|o| o.tool.name == tool).map_or(ToolDecision::Propose, |o| o.decision);
        let mut close = self.write(&end, &IterationOutcome::Planned(plan), None);
        if let Close::Write(write) = &mut close {
            let decisions: Vec<_> = tools.iter().map(|tool| (tool.clone(), policy(tool))).collect();
            let executors = self.settings.executors.clone();
            // Where clients review by themselves, they carry out everything.
            let is_held = self.settings.first_step_status == StepStatus::Staged;
            let is_auto = is_held && decisions.iter().any(|(_, decision)| *decision == ToolDecision::Auto);
            write.go_ahead = is_auto.then(|| GoAhead { executors, agent: end.agent.cloned(), decisions });
        }
        let mut settled = self.close(end.run, end.attempt, close).await?;
        settled.produced = true;
        if let RunOutcome::Planned { summary: s, steps: n, outcomes, .. } = &mut settled.outcome {
            (*s, *n) = (summary, steps);
            self.metrics.plans_written_back_total.inc();
            let count = |tool: &str, outcome: &str| {
                self.metrics.tool_calls_total.with_label_values(&[tool, policy(tool).as_str(), outcome]).inc();
            };
            outcomes.iter().for_each(|(tool, outcome)| count(tool, outcome.as_str()));
            let mut went_ahead = outcomes.clone();
            for tool in tools {
                match went_ahead.iter().position(|(name, _)| *name == tool) {
                    Some(place) => drop(went_ahead.remove(place)),
                    None => count(&tool, "deferred"),
                }
            }
        }
        Ok(settled)
    }

    async fn take_failure(&self, end: AttemptEnd<'_>, error: &PlanError) -> StoreResult<RunReport> {
        let reason = error.told();
        let parse_failure = error.provider_kind().is_none();
        if parse_failure {
            self.metrics.parse_failures_total.inc();
        } else {
            self.metrics.mission_errors_total.inc();
        }
        let failed = end.run.attempts + 1;
        let close = if failed >= self.settings.max_attempts {
            self.write(&end, &IterationOutcome::Failed(error.details()), Some(reason.clone()))
        } else {
            self.metrics.retries_total.inc();
            let wait = self.settings.backoff.wait(failed, rand::random::<f64>());
            let asked = match error {
                PlanError::Provider(error) => error.retry_after.and_then(|wait| SignedDuration::try_from(wait).ok()),
                PlanError::Parse(_) => None,
            };
            let wait = asked.map_or(wait, |asked| wait.max(asked));
            Close::Retry { at: end.frame.finished_at.checked_add(wait).unwrap_or(Timestamp::MAX), reason: reason.clone() }
        };
        let settled = self.close(end.run, end.attempt, close).await?;
        Ok(RunReport { parse_failure, error: Some(reason.text), error_kind: Some(error.details().name), ..settled })
    }

    fn write(&self, end: &AttemptEnd<'_>, outcome: &IterationOutcome, failed: Option<Told>) -> Close {
        let work = actor::Work { mission_id: &end.mission.id, iteration_id: &end.frame.id, rationale: &end.mission.objective };
        Close::Write(Box::new(IterationEnd {
            iteration: Iteration::of_run(&end.frame, outcome, self.settings.first_step_status),
            actor: actor::runner(end.agent, Some(work)),
            failed,
            note: end.note.clone(),
            zone: self.settings.zone.clone(),
            bounds: self.bounds(),
            go_ahead: None,
        }))
    }

    /// Closes a run, patiently, and tells how it ended.
    async fn close(&self, run: &Claimed, attempt: Option<Attempt>, close: Close) -> StoreResult<RunReport> {
        let tokens = attempt.as_ref().map_or(0, |attempt| attempt.usage.total);
        let closed = self.write_end(run, attempt, &close).instrument(tracing::debug_span!("write-back")).await?;
        Ok(RunReport { tokens, ..self.settled(run, self.outcome(closed, close)) })
    }

    fn settled(&self, run: &Claimed, outcome: RunOutcome) -> RunReport {
        RunReport {
            user_id: run.due.user_id.clone(),
            mission_id: run.due.mission_id.clone(),
            outcome,
            produced: false,
            parse_failure: false,
            error: None,
            error_kind: None,
            tokens: 0,
        }
    }

    async fn write_end(&self, run: &Claimed, attempt: Option<Attempt>, close: &Close) -> StoreResult<Closed> {
        let mut tries = WRITE_TRIES.into_iter();
        loop {
            let now = self.now();
            let outcome = self.store.close(run.clone(), self.presence.owner().to_owned(), attempt.clone(), close.clone(), now).await;
            match outcome {
                Err(error) if error.is_passing() && !self.is_stopping() => match tries.next() {
                    Some(wait) => {
                        tracing::warn!(mission = run.due.mission_id.as_str(), %error, "the end of a run cannot be written yet");
                        tokio::time::sleep(wait).await;
                    }
                    None => return Err(error),
                },
                outcome => return outcome,
            }
        }
    }

    fn outcome(&self, closed: Closed, close: Close) -> RunOutcome {
        let count = |label: &str| self.metrics.runs_total.with_label_values(&[label]).inc();
        match (closed, close) {
            (Closed::Written { missed, note, outcomes }, Close::Write(write)) => {
                self.metrics.coalesced_times_total.inc_by(missed.into());
                match write.failed {
                    Some(reason) => {
                        count("failed");
                        RunOutcome::Failed { reason: reason.text }
                    }
                    None => {
                        count("planned");
                        RunOutcome::Planned { summary: String::new(), steps: 0, missed, note, outcomes }
                    }
                }
            }
            (Closed::Dropped { reason }, _) => {
                count("dropped");
                RunOutcome::Dropped { reason }
            }
            (Closed::Waiting, Close::Retry { at, reason }) => RunOutcome::Retrying { at, reason: reason.text },
            (Closed::Waiting, Close::Release { reason, .. }) => RunOutcome::Released { reason: reason.text },
            _ => RunOutcome::Lost,
        }
    }

    fn broken(&self, run: &Claimed, error: &StoreError) -> RunReport {
        self.metrics.mission_errors_total.inc();
        tracing::error!(mission = run.due.mission_id.as_str(), %error, "a run could not be finished; it is tried again");
        if error.is_of_machine() {
            lock(&self.blameless).insert(run.run_id.clone());
        }
        RunReport { error: Some(error.to_string()), ..self.settled(run, RunOutcome::Broken { reason: error.to_string() }) }
    }

    /// Feeds the breaker and the metrics with what a request came to.
    pub(super) async fn observe(&self, agent: Option<&Agent>, planned: &Planned) {
        self.metrics.planner_request_duration_seconds.observe(planned.latency.as_secs_f64());
        self.metrics.planner_rounds.observe(planned.calls().into());
        self.metrics.prompt_injection_suspected_total.inc_by(planned.suspected_injections as u64);
        if planned.usage.total > 0 {
            self.metrics.count_tokens(agent.map_or(actor::LEGACY_AI, |agent| agent.id.as_str()), planned.usage.total);
        }
        let kind = planned.outcome.as_ref().err().and_then(PlanError::provider_kind);
        if let Some(kind) = kind {
            self.metrics.provider_errors_total.with_label_values(&[self.planner.provider_name().as_str(), kind.as_str()]).inc();
        }
        // What this machine could not do tells nothing of the model server.
        if planned.outcome.as_ref().err().and_then(PlanError::of_machine).is_none() {
            self.called(kind.is_some_and(ProviderErrorKind::is_provider_down)).await;
        }
    }
}

impl RunReport {
    /// One line of the log, without what is its user's.
    fn log(&self, run: &Claimed, took: Duration) {
        let reason = match &self.outcome {
            // The next tick decides on it again, and tells why.
            RunOutcome::Planned { .. } | RunOutcome::Lost | RunOutcome::Released { .. } => None,
            RunOutcome::Failed { .. } | RunOutcome::Retrying { .. } => self.error_kind.as_deref(),
            RunOutcome::Dropped { reason } | RunOutcome::Broken { reason } => Some(reason.as_str()),
        };
        tracing::info!(
            user = self.user_id.as_str(),
            mission = self.mission_id.as_str(),
            agent = run.due.agent_id.as_deref(),
            run = run.run_id.as_str(),
            ending = self.outcome.word(),
            reason,
            tokens = self.tokens,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "a run settled"
        );
    }
}

impl RunOutcome {
    /// One word for logs.
    pub fn word(&self) -> &'static str {
        match self {
            RunOutcome::Planned { .. } => "planned",
            RunOutcome::Failed { .. } => "failed",
            RunOutcome::Dropped { .. } => "dropped",
            RunOutcome::Retrying { .. } => "retrying",
            RunOutcome::Released { .. } => "released",
            RunOutcome::Lost => "lost",
            RunOutcome::Broken { .. } => "broken",
        }
    }
}

/// Counts a plan as under way for as long as it lives, however its task ends.
struct PlanningGuard<'a> {
    runner: &'a Runner,
    run_id: RunId,
}

impl<'a> PlanningGuard<'a> {
    fn begin(runner: &'a Runner, run_id: &RunId) -> Self {
        runner.busy.send_modify(|busy| *busy += 1);
        PlanningGuard { runner, run_id: run_id.to_owned() }
    }
}

impl Drop for PlanningGuard<'_> {
    fn drop(&mut self) {
        lock(&self.runner.active).remove(&self.run_id);
        self.runner.busy.send_modify(|busy| *busy -= 1);
    }
}
