//! One tick: brings the snapshots up to date, lists what is due, decides, and claims what may run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::queue::in_turns;
use super::work::{PlanJob, RunOutcome, RunReport};
use super::{Runner, count, lock};
use crate::domain::agent::Agent;
use crate::domain::decision::{Condition, Decision, Label, Load, PendingRun, Situation, decide};
use crate::domain::ids::{AgentId, MissionId, RunId, UserId};
use crate::domain::time;
use crate::projection;
use crate::store::{Candidate, Claim, Due, LoadQuery, OpenRun, StoreError, StoreResult, UserLoad};
use crate::text::catalog::Words;
use crate::text::decision::compared;

/// Claims that share a transaction: it must not hold up pushes.
const CLAIMS: usize = 500;
/// Errors that the statistics of a tick tell; the log has them all.
const ERRORS: usize = 100;

/// What a tick decided about a due mission, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub agent_id: Option<AgentId>,
    /// The name of the agent, where there is one.
    pub agent: Option<String>,
    /// The run that was started, or is there since an earlier tick.
    pub run_id: Option<RunId>,
    /// [`Decision::Run`]: a run was started.
    pub decision: Decision,
    /// What the run that is there since an earlier tick says. It may repeat what the model server said.
    pub reason: Option<String>,
}

impl Note {
    /// One line of the log, with ids only: titles and names are their user's.
    fn log(&self) {
        let why = match &self.decision {
            Decision::Run => None,
            Decision::Wait(condition) => Some(compared(Words::ENGLISH, condition, None).to_string()),
        };
        let decision = self.decision.word();
        tracing::info!(
            user = self.user_id.as_str(),
            mission = self.mission_id.as_str(),
            agent = self.agent_id.as_deref(),
            run = self.run_id.as_deref(),
            decision,
            why,
            "decided"
        );
    }
}

/// The statistics of a tick.
#[derive(Debug, Clone, PartialEq)]
pub struct TickStats {
    pub scanned_at: Timestamp,
    pub due: usize,
    pub produced: usize,
    pub written_back: usize,
    pub parse_failures: usize,
    pub errors: Vec<String>,
    pub decisions: BTreeMap<Label, usize>,
    /// Due missions that wait for something other than a gate.
    pub deferred: usize,
    /// Due missions that are being planned since an earlier tick.
    pub in_flight: usize,
}

impl TickStats {
    fn new(scanned_at: Timestamp) -> Self {
        TickStats {
            scanned_at,
            due: 0,
            produced: 0,
            written_back: 0,
            parse_failures: 0,
            errors: Vec::new(),
            decisions: BTreeMap::new(),
            deferred: 0,
            in_flight: 0,
        }
    }

    /// The wire form (docs/design.md, section 6).
    pub fn to_json(&self) -> Value {
        let decisions: serde_json::Map<_, _> = self.decisions.iter().map(|(d, n)| (d.as_str().to_owned(), json!(n))).collect();
        json!({
            "scannedAt": time::iso_millis(self.scanned_at),
            "dueMissionCount": self.due,
            "plansProduced": self.produced,
            "plansWrittenBack": self.written_back,
            "parseFailures": self.parse_failures,
            "errors": self.errors,
            "decisions": decisions,
            "deferred": self.deferred,
            "inFlight": self.in_flight,
        })
    }

    fn error(&mut self, error: String) {
        if self.errors.len() < ERRORS {
            self.errors.push(error);
        }
    }

    fn count(&mut self, settled: &RunReport) {
        self.produced += usize::from(settled.produced);
        self.written_back += usize::from(matches!(settled.outcome, RunOutcome::Planned { .. }));
        self.parse_failures += usize::from(settled.parse_failure);
        if let Some(error) = &settled.error {
            self.error(format!("mission {}: {error}", settled.mission_id));
        }
    }

    fn count_decision(&mut self, note: &Note) {
        match note.decision {
            Decision::Wait(Condition::Idle { .. }) => self.in_flight += 1,
            // A mission without an agent runs outside the count.
            Decision::Run if note.agent.is_none() => {}
            decision => match decision.label() {
                Some(label) => *self.decisions.entry(label).or_default() += 1,
                None => self.deferred += 1,
            },
        }
    }
}

/// A tick whose runs may still be under way.
pub struct Tick {
    pub stats: TickStats,
    pub notes: Vec<Note>,
    started: Instant,
    runs: Vec<oneshot::Receiver<RunReport>>,
    duration: prometheus::Histogram,
}

impl Tick {
    /// Waits until every run that this tick started has settled, and completes the statistics.
    pub async fn settle(mut self) -> (TickStats, Vec<RunReport>) {
        let mut all = Vec::with_capacity(self.runs.len());
        for run in self.runs {
            // A run without an answer was cut short by the end of the program.
            if let Ok(settled) = run.await {
                self.stats.count(&settled);
                all.push(settled);
            }
        }
        self.duration.observe(self.started.elapsed().as_secs_f64());
        (self.stats, all)
    }
}

/// What a tick has come to by now.
pub(super) struct TickOutcome {
    stats: TickStats,
    notes: Vec<Note>,
    runs: Vec<oneshot::Receiver<RunReport>>,
}

impl TickOutcome {
    /// One user's data cannot be used; everybody else's missions go on.
    pub(super) fn user_failed(&mut self, user: &UserId, error: &StoreError) {
        tracing::error!(user = user.as_str(), %error, "the missions of a user are skipped in this tick");
        self.stats.error(format!("user {user}: {error}"));
    }
}

/// A due mission that may run, with the name of its agent.
struct Startable {
    candidate: Candidate,
    agent: Option<String>,
}

impl Runner {
    /// Scans once and starts what may run. Ticks do not overlap; the runs of an earlier one may still be in flight.
    ///
    /// # Errors
    /// When the database fails; nothing was started then, and the next tick sees the same.
    pub async fn tick(self: &Arc<Self>) -> StoreResult<Tick> {
        self.scan().instrument(tracing::debug_span!("tick", due = Empty)).await
    }

    async fn scan(self: &Arc<Self>) -> StoreResult<Tick> {
        let mut progress = self.scanning.lock().await;
        if self.is_stopping() {
            return Err(StoreError::Stopped);
        }
        let started = Instant::now();
        let now = self.now();
        self.metrics.ticks_total.inc();
        self.refresh().instrument(tracing::debug_span!("refresh", rows = Empty)).await?;
        let mut outcome = TickOutcome { stats: TickStats::new(now), notes: Vec::new(), runs: Vec::new() };
        self.upkeep(&mut progress, now, &mut outcome).await?;
        let due = progress.due.next(&self.store, now).await?;
        Span::current().record("due", count(due.len()));
        outcome.stats.due = due.len();
        let admitted = self.decide(due, now, &mut outcome).instrument(tracing::debug_span!("gate")).await?;
        self.claim_and_start(admitted, now, &mut outcome).await?;
        let TickOutcome { mut stats, notes, runs } = outcome;
        for note in &notes {
            if progress.told.is_news(note) {
                note.log();
            }
            stats.count_decision(note);
            if let Some(label) = note.decision.label().filter(|_| note.agent.is_some()) {
                self.metrics.agent_decisions_total.with_label_values(&[label.as_str()]).inc();
            }
        }
        let progress = &mut *progress;
        if progress.due.is_at_start() {
            progress.told.end_round(|user| progress.due.goes_on_with(user));
        }
        self.metrics.last_tick_timestamp_seconds.set(now.as_second() as f64);
        Ok(Tick { stats, notes, started, runs, duration: self.metrics.tick_duration_seconds.clone() })
    }

    async fn refresh(&self) -> StoreResult<()> {
        let report = projection::refresh(&self.store).await?;
        Span::current().record("rows", report.rows.cast_signed());
        self.metrics.snapshots_new_total.inc_by(report.new);
        self.metrics.snapshots_updated_total.inc_by(report.updated);
        self.metrics.snapshot_rows_applied_total.inc_by(report.rows);
        self.metrics.field_problems_total.inc_by(report.problems as u64);
        Ok(())
    }

    /// Decides about due missions, users in turn; each user's data is read once.
    async fn decide(&self, due: Vec<Due>, now: Timestamp, outcome: &mut TickOutcome) -> StoreResult<Vec<Startable>> {
        let mut users = HashMap::new();
        for (user, load) in self.store.loads(wanted(&due), now).await? {
            match load {
                Ok(load) => drop(users.insert(user, Loads::new(load))),
                Err(error) => outcome.user_failed(&user, &error),
            }
        }
        let provider_closed_until = lock(&self.breaker).closed_until(now);
        let mut admitted = Vec::new();
        for due in in_turns(due, |due| due.user_id.clone()) {
            let Some(loads) = users.get_mut(&due.user_id) else { continue };
            let run = loads.open.get(&due.mission_id);
            let agent = due.agent_id.as_ref().and_then(|id| loads.agents.get_mut(id));
            let situation = Situation {
                agent: agent.as_ref().map(|(agent, load)| {
                    // Its own run holds its place.
                    let own = run.is_some_and(|run| run.owner.is_some() && run.agent_id.as_ref() == Some(&agent.id));
                    (agent, Load { in_flight: load.in_flight.saturating_sub(own.into()), ..*load })
                }),
                plans: due.plans,
                pending: run.map(pending),
                provider_closed_until,
                used: loads.used,
                now,
                ceilings: &self.settings.ceilings,
            };
            let decision = decide(&situation);
            let name = agent.as_ref().map(|(agent, _)| agent.name.clone());
            if decision == Decision::Run {
                let max_in_flight = agent.map(|(agent, load)| {
                    load.in_flight += 1;
                    agent.max_concurrent_missions
                });
                let (run_id, iteration_id) = (Uuid::new_v4().to_string().into(), Uuid::new_v4().to_string().into());
                admitted.push(Startable { candidate: Candidate { due, max_in_flight, run_id, iteration_id }, agent: name });
            } else {
                let (run_id, reason) = run.map(|run| (run.id.clone(), run.reason.clone())).unzip();
                let Due { user_id, mission_id, agent_id, .. } = due;
                outcome.notes.push(Note { user_id, mission_id, agent_id, agent: name, run_id, decision, reason: reason.flatten() });
            }
        }
        Ok(admitted)
    }

    async fn claim_and_start(self: &Arc<Self>, admitted: Vec<Startable>, now: Timestamp, outcome: &mut TickOutcome) -> StoreResult<()> {
        let mut admitted = admitted.into_iter();
        loop {
            let batch: Vec<Startable> = admitted.by_ref().take(CLAIMS).collect();
            if batch.is_empty() {
                return Ok(());
            }
            let claims = match self.claim(&batch, now, outcome).await {
                Ok(claims) => claims,
                Err(error) if outcome.runs.is_empty() => return Err(error),
                Err(error) => {
                    tracing::error!(%error, "a tick could not claim all that may run; the next one goes on");
                    outcome.stats.error(error.to_string());
                    return Ok(());
                }
            };
            for (admitted, claim) in batch.into_iter().zip(claims) {
                if let Some(claim) = claim {
                    self.start(admitted, claim, outcome);
                }
            }
        }
    }

    /// Claims a batch; `None` for missions of a user whose claims failed while those of others did not.
    async fn claim(&self, batch: &[Startable], now: Timestamp, outcome: &mut TickOutcome) -> StoreResult<Vec<Option<Claim>>> {
        let owner = self.presence.owner();
        let candidates = batch.iter().map(|admitted| admitted.candidate.clone()).collect();
        let error = match self.store.claim(candidates, owner.to_owned(), now).await {
            Ok(claims) => return Ok(claims.into_iter().map(Some).collect()),
            Err(error) if error.is_of_machine() || batch.len() == 1 => return Err(error),
            Err(error) => error,
        };
        tracing::warn!(%error, "missions cannot be claimed together; each is claimed by itself");
        let (mut claims, mut failed, mut any) = (Vec::with_capacity(batch.len()), HashSet::new(), false);
        for Startable { candidate, .. } in batch {
            let user = &candidate.due.user_id;
            let claim = match failed.contains(user) {
                true => None,
                false => match self.store.claim(vec![candidate.clone()], owner.to_owned(), now).await {
                    Ok(mut claim) => claim.pop(),
                    Err(error) => {
                        outcome.user_failed(user, &error);
                        failed.insert(user);
                        None
                    }
                },
            };
            any |= claim.is_some();
            claims.push(claim);
        }
        if any { Ok(claims) } else { Err(error) }
    }

    /// Queues a claimed run, with a task that waits for its turn and then takes whichever run is next in fairness.
    fn start(self: &Arc<Self>, Startable { candidate, agent }: Startable, claim: Claim, outcome: &mut TickOutcome) {
        let Due { user_id, mission_id, agent_id, .. } = candidate.due;
        let mut run_id = None;
        let decision = match claim {
            Claim::Claimed(run) => {
                let (settled, receiver) = oneshot::channel();
                let span = tracing::debug_span!(
                    parent: None,
                    "run",
                    user = user_id.as_str(),
                    mission = mission_id.as_str(),
                    agent = agent_id.as_deref(),
                    run = run.run_id.as_str(),
                    ending = Empty,
                    otel.status_code = Empty
                );
                trace_below_tick(&span);
                run_id = Some(run.run_id.clone());
                lock(&self.active).insert(run.run_id.clone());
                lock(&self.queue).push(&user_id, PlanJob { run, settled, span });
                outcome.runs.push(receiver);
                let runner = Arc::clone(self);
                tokio::spawn(async move { runner.work_on_next().await });
                Decision::Run
            }
            Claim::AtLimit { in_flight } => {
                Decision::Wait(Condition::Concurrency { in_flight, allowed: candidate.max_in_flight.unwrap_or_default() })
            }
            Claim::Gone => Decision::Wait(Condition::Idle { in_flight: true }),
        };
        outcome.notes.push(Note { user_id, mission_id, agent_id, agent, run_id, decision, reason: None });
    }
}

/// What decides about the missions of one user.
struct Loads {
    agents: HashMap<AgentId, (Agent, Load)>,
    /// By mission.
    open: HashMap<MissionId, OpenRun>,
    used: crate::domain::decision::Used,
}

impl Loads {
    fn new(load: UserLoad) -> Self {
        let agents = load.agents.iter().map(|(id, (record, tokens))| {
            let load = Load { in_flight: load.in_flight(id), tokens: *tokens };
            (id.clone(), (Agent::read(id, record).0, load))
        });
        let agents = agents.collect();
        Loads { agents, open: load.open.into_iter().map(|run| (run.mission_id.clone(), run)).collect(), used: load.used }
    }
}

/// Shows a run below its tick in traces. A tick is over before its runs are, so no run keeps it open.
fn trace_below_tick(run: &Span) {
    #[cfg(feature = "otel")]
    {
        use tracing_opentelemetry::OpenTelemetrySpanExt;
        // Without a collector there is no trace.
        let _ = run.set_parent(Span::current().context());
    }
    #[cfg(not(feature = "otel"))]
    let _ = run;
}

/// A run that has not ended, as far as it decides.
pub(super) fn pending(run: &OpenRun) -> PendingRun {
    PendingRun { in_flight: run.owner.is_some(), failed: run.attempts, next_attempt_at: run.next_attempt_at }
}

/// The users of due missions, each with the agents that these name.
fn wanted(due: &[Due]) -> Vec<LoadQuery> {
    let mut users: BTreeMap<&UserId, LoadQuery> = BTreeMap::new();
    for due in due {
        let wanted = users.entry(&due.user_id).or_insert_with(|| LoadQuery {
            user_id: due.user_id.clone(),
            rest_decides: true,
            ..LoadQuery::default()
        });
        wanted.rest_decides &= due.agent_id.is_some();
        wanted.agents.extend(due.agent_id.clone());
    }
    users.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::decision::Plans;

    #[test]
    fn an_agent_at_rest_decides_nothing_about_a_mission_without_one() {
        let due = |user: &str, agent: Option<&str>| Due {
            user_id: user.into(),
            mission_id: "m".into(),
            agent_id: agent.map(AgentId::from),
            scheduled_for: Timestamp::UNIX_EPOCH,
            plans: Plans::default(),
        };
        let wanted = wanted(&[due("anna", Some("a")), due("ben", Some("a")), due("anna", None), due("ben", Some("b"))]);
        let wanted: Vec<_> = wanted.iter().map(|load| (load.user_id.as_str(), load.agents.len(), load.rest_decides)).collect();
        assert_eq!(wanted, [("anna", 1, false), ("ben", 2, true)]);
    }
}
