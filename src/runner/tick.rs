//! One tick: brings the snapshots up to date, lists what is due, gates it, and claims what may run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use super::queue::in_turns;
use super::work::{Ending, Job, Settled};
use super::{Runner, lock, longest_wait};
use crate::domain::agent::Agent;
use crate::domain::backoff::still_waits;
use crate::domain::gate::{Check, Decision, Load, first_bite};
use crate::domain::time;
use crate::projection;
use crate::store::{Candidate, Claim, Due, OpenRun, StoreError, StoreResult, Table};

/// What a tick decided about a due mission, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub user_id: String,
    pub mission_id: String,
    pub agent_id: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// The run that was started, or is there since an earlier tick.
    pub run_id: Option<String>,
    pub verdict: Verdict,
}

impl Note {
    /// One line of the log, with ids only: titles and names are their user's.
    fn log(&self) {
        let (decision, why) = match &self.verdict {
            Verdict::Started => ("ran", None),
            Verdict::Skipped(check) => {
                let why = match check.decision {
                    Decision::SkippedArchived => "the agent is archived".into(),
                    Decision::SkippedPaused => "the agent is paused".into(),
                    _ => check.compared.clone(),
                };
                (check.decision.as_str(), Some(why))
            }
            Verdict::InFlight => ("in-flight", Some("a run of it is not done yet".into())),
            // The reason may repeat what the model server said, and stands on the run.
            Verdict::Deferred { until, .. } => ("deferred", until.map(|until| format!("waits until {}", time::iso_millis(until)))),
        };
        tracing::info!(user = self.user_id, mission = self.mission_id, agent = self.agent_id, run = self.run_id, decision, why, "decided");
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Started,
    /// A gate of the agent bit.
    Skipped(Check),
    /// A run of it is still in flight, or another process was first.
    InFlight,
    /// It waits for its next attempt, or for the model server.
    Deferred {
        until: Option<Timestamp>,
        why: String,
    },
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
    pub decisions: BTreeMap<Decision, usize>,
    /// Due missions that wait for their next attempt or for the model server.
    pub deferred: usize,
    /// Due missions that are being planned since an earlier tick.
    pub in_flight: usize,
}

impl TickStats {
    /// The wire form (DESIGN, section 6).
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

    fn count(&mut self, settled: &Settled) {
        self.produced += usize::from(settled.produced);
        self.written_back += usize::from(matches!(settled.ending, Ending::Planned { .. }));
        self.parse_failures += usize::from(settled.parse_failure);
        if let Some(error) = &settled.error {
            self.errors.push(format!("mission {}: {error}", settled.mission_id));
        }
    }
}

/// A tick whose runs may still be under way.
pub struct Tick {
    pub stats: TickStats,
    pub notes: Vec<Note>,
    started: Instant,
    runs: Vec<oneshot::Receiver<Settled>>,
    duration: prometheus::Histogram,
}

impl Tick {
    /// Waits until every run that this tick started has settled, and completes the statistics.
    pub async fn settle(mut self) -> (TickStats, Vec<Settled>) {
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

impl Runner {
    /// Scans once and starts what may run. Ticks do not overlap; the runs of an earlier one may still be in flight.
    ///
    /// # Errors
    /// When the database fails; nothing was started then, and the next tick sees the same.
    pub async fn tick(self: &Arc<Self>) -> StoreResult<Tick> {
        self.scan().instrument(tracing::debug_span!("tick", due = Empty)).await
    }

    async fn scan(self: &Arc<Self>) -> StoreResult<Tick> {
        let _scan = self.scanning.lock().await;
        if self.is_stopping() {
            return Err(StoreError::Stopped);
        }
        let started = Instant::now();
        let now = self.now();
        self.metrics.ticks_total.inc();
        self.refresh().instrument(tracing::debug_span!("refresh", rows = Empty)).await?;
        self.restore_lost().await?;
        self.take_over().await?;
        self.store.drop_orphans(now).await?;
        let due = self.store.due(now).await?;
        Span::current().record("due", count(due.len()));
        let mut stats = TickStats {
            scanned_at: now,
            due: due.len(),
            produced: 0,
            written_back: 0,
            parse_failures: 0,
            errors: Vec::new(),
            decisions: BTreeMap::new(),
            deferred: 0,
            in_flight: 0,
        };
        let (candidates, mut notes) = self.gate(due, now).instrument(tracing::debug_span!("gate")).await?;
        let (runs, claimed) = self.claim_and_start(candidates, now).await?;
        notes.extend(claimed);
        for note in &notes {
            note.log();
            match &note.verdict {
                Verdict::Started if note.agent.is_some() => *stats.decisions.entry(Decision::Ran).or_default() += 1,
                Verdict::Started => {}
                Verdict::Skipped(check) => *stats.decisions.entry(check.decision).or_default() += 1,
                Verdict::InFlight => stats.in_flight += 1,
                Verdict::Deferred { .. } => stats.deferred += 1,
            }
        }
        for (decision, count) in &stats.decisions {
            self.metrics.agent_decisions_total.with_label_values(&[decision.as_str()]).inc_by(*count as u64);
        }
        let counts = decisions_of_users(&notes);
        if !counts.is_empty()
            && let Err(error) = self.store.count_decisions(counts, now).await
        {
            // The runs are under way; a chart without this hour is no reason to call the tick failed.
            tracing::warn!(%error, "the decisions of a tick are not counted for their users");
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

    /// Frees the claims of processes that are proven dead, and claims of this one that no task works on any more.
    async fn take_over(&self) -> StoreResult<()> {
        for owner in self.store.claim_holders().await? {
            if self.presence.has_ended(&owner) {
                let released = self.store.release_claims_of(owner).await?;
                self.metrics.takeovers_total.inc_by(released as u64);
                tracing::info!(runs = released, "took over the runs of a process that ended");
            }
        }
        self.presence.sweep();
        let active: Vec<String> = lock(&self.active).iter().cloned().collect();
        let stray = self.store.give_back(self.presence.owner().to_owned(), active, "its plan could not be written").await?;
        if stray > 0 {
            tracing::warn!(runs = stray, "gave back runs whose end could not be written");
        }
        Ok(())
    }

    /// Passes due missions through the gates of their agents, users in turn.
    async fn gate(&self, due: Vec<Due>, now: Timestamp) -> StoreResult<(Vec<(Candidate, Option<String>)>, Vec<Note>)> {
        let open = self.store.open_runs().await?;
        let mut loads = in_flight(&open);
        let open: HashMap<_, _> = open.iter().map(|run| ((run.user_id.as_str(), run.mission_id.as_str()), run)).collect();
        let agents = self.agents(&due, now).await?;
        let closed_until = lock(&self.breaker).closed_until(now);
        let longest = longest_wait(&self.settings.backoff, &self.settings.breaker);
        let (mut candidates, mut notes) = (Vec::new(), Vec::new());
        for due in in_turns(due, |due| due.user_id.clone()) {
            let agent = due.agent_id.as_ref().and_then(|id| agents.get(&(due.user_id.clone(), id.clone())));
            let run = open.get(&(due.user_id.as_str(), due.mission_id.as_str())).copied();
            let load = agent.map(|(agent, tokens)| {
                let in_flight = loads.entry((due.user_id.clone(), agent.id.clone())).or_default();
                (agent, Load { in_flight: *in_flight, tokens_last_day: *tokens }, in_flight)
            });
            let name = load.as_ref().map(|(agent, ..)| agent.name.clone());
            let verdict = if run.is_some_and(|run| run.owner.is_some()) {
                Some(Verdict::InFlight)
            } else if let Some(check) = load.as_ref().and_then(|(agent, load, _)| first_bite(agent, *load)) {
                Some(Verdict::Skipped(check))
            } else {
                not_ready(run, closed_until, now, longest)
            };
            match verdict {
                Some(verdict) => {
                    let run_id = run.map(|run| run.id.clone());
                    notes.push(Note {
                        user_id: due.user_id,
                        mission_id: due.mission_id,
                        agent_id: due.agent_id,
                        agent: name,
                        run_id,
                        verdict,
                    });
                }
                None => {
                    let max_in_flight = load.map(|(agent, _, in_flight)| {
                        *in_flight += 1;
                        agent.max_concurrent_missions
                    });
                    let (run_id, iteration_id) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
                    candidates.push((Candidate { due, max_in_flight, run_id, iteration_id }, name));
                }
            }
        }
        Ok((candidates, notes))
    }

    /// The agents of the users with due missions, read once per user, each with its tokens of the last 24 hours.
    async fn agents(&self, due: &[Due], now: Timestamp) -> StoreResult<HashMap<(String, String), (Agent, u64)>> {
        let wanted: std::collections::HashSet<(&str, &str)> =
            due.iter().filter_map(|due| Some((due.user_id.as_str(), due.agent_id.as_deref()?))).collect();
        let users: std::collections::BTreeSet<&str> = wanted.iter().map(|(user, _)| *user).collect();
        let mut agents = HashMap::new();
        for user in users {
            for row in self.store.snapshots(Table::Agents, Some(user.to_owned())).await? {
                if wanted.contains(&(user, row.id.as_str())) {
                    let (agent, _) = Agent::read(&row.id, &row.record);
                    agents.insert((row.user_id, row.id), (agent, 0));
                }
            }
        }
        let capped = agents.iter().filter(|(_, (agent, _))| agent.max_tokens_per_day.is_some()).map(|(key, _)| key.clone()).collect();
        for (key, tokens) in self.store.tokens_since(capped, day_before(now)).await? {
            if let Some((_, used)) = agents.get_mut(&key) {
                *used = tokens;
            }
        }
        Ok(agents)
    }

    async fn claim_and_start(
        self: &Arc<Self>,
        candidates: Vec<(Candidate, Option<String>)>,
        now: Timestamp,
    ) -> StoreResult<(Vec<oneshot::Receiver<Settled>>, Vec<Note>)> {
        if candidates.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let (candidates, names): (Vec<_>, Vec<_>) = candidates.into_iter().unzip();
        let claims = self.store.claim(candidates.clone(), self.presence.owner().to_owned(), now).await?;
        let (mut runs, mut notes) = (Vec::new(), Vec::new());
        for ((candidate, agent), claim) in candidates.into_iter().zip(names).zip(claims) {
            let (user_id, mission_id) = (candidate.due.user_id, candidate.due.mission_id);
            let agent_id = candidate.due.agent_id;
            let mut run_id = None;
            let verdict = match claim {
                Claim::Claimed(run) => {
                    let (settled, receiver) = oneshot::channel();
                    let span = tracing::debug_span!(
                        parent: None,
                        "run",
                        user = user_id,
                        mission = mission_id,
                        agent = agent_id,
                        run = run.run_id,
                        ending = Empty,
                        otel.status_code = Empty
                    );
                    // A tick is over before its runs are, so it is not kept open by them. Without a collector there is no trace.
                    let _ = span.set_parent(Span::current().context());
                    run_id = Some(run.run_id.clone());
                    lock(&self.active).insert(run.run_id.clone());
                    lock(&self.queue).push(&user_id, Job { run, settled, span });
                    runs.push(receiver);
                    Verdict::Started
                }
                Claim::AtLimit => {
                    let bound = candidate.max_in_flight.unwrap_or_default();
                    let compared = format!("{bound} of at most {bound} runs in flight, counting other processes");
                    Verdict::Skipped(Check { decision: Decision::SkippedConcurrency, passed: false, compared })
                }
                Claim::Gone => Verdict::InFlight,
            };
            notes.push(Note { user_id, mission_id, agent_id, agent, run_id, verdict });
        }
        // One task for each run: it waits for its turn and then takes whichever run is next in fairness.
        for _ in 0..runs.len() {
            let runner = Arc::clone(self);
            tokio::spawn(async move { runner.work_on_next().await });
        }
        Ok((runs, notes))
    }
}

/// A number as traces have it.
pub(super) fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How often each thing was decided for each user, for the user to see.
fn decisions_of_users(notes: &[Note]) -> Vec<(String, &'static str, u64)> {
    let mut counts: BTreeMap<(&str, &'static str), u64> = BTreeMap::new();
    for note in notes {
        let decision = match &note.verdict {
            Verdict::Started => Decision::Ran,
            Verdict::Skipped(check) => check.decision,
            Verdict::InFlight | Verdict::Deferred { .. } => continue,
        };
        *counts.entry((&note.user_id, decision.as_str())).or_default() += 1;
    }
    counts.into_iter().map(|((user, decision), count)| (user.to_owned(), decision, count)).collect()
}

/// Runs in flight by user and agent.
fn in_flight(open: &[OpenRun]) -> HashMap<(String, String), u64> {
    let mut counts = HashMap::new();
    for run in open.iter().filter(|run| run.owner.is_some()) {
        if let Some(agent) = &run.agent_id {
            *counts.entry((run.user_id.clone(), agent.clone())).or_default() += 1;
        }
    }
    counts
}

/// Why a mission that passed its gates has to wait all the same.
fn not_ready(run: Option<&OpenRun>, closed_until: Option<Timestamp>, now: Timestamp, longest: SignedDuration) -> Option<Verdict> {
    if let Some(at) = run.and_then(|run| run.next_attempt_at).filter(|at| still_waits(*at, now, longest)) {
        let why = run.and_then(|run| run.reason.clone()).unwrap_or_default();
        return Some(Verdict::Deferred { until: Some(at), why });
    }
    closed_until.map(|until| Verdict::Deferred { until: Some(until), why: "the model server is out of order".into() })
}

/// The start of the budget's rolling day.
pub(super) fn day_before(now: Timestamp) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN)
}
