//! Runs: one for each due time of a mission that was claimed (docs/design.md, section 6).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::snapshots::Due;
use crate::domain::ids::{AgentId, IterationId, MissionId, RunId, UserId};
use crate::domain::iteration::Usage;
use crate::domain::iterations::Iteration;
use crate::domain::retention::RetentionBounds;
use crate::domain::round::Round;
use crate::domain::time;
use crate::steps::{GoAhead, StepOutcome};
use crate::text::told::{Saying, Told};

/// A due mission that passed its gates.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub due: Due,
    /// The bound of its agent, checked once more in the claiming transaction.
    pub max_in_flight: Option<u64>,
    /// Ids for the run and its iteration, should a new run be made.
    pub run_id: RunId,
    pub iteration_id: IterationId,
}

/// What came of a candidate.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    Claimed(Claimed),
    /// The agent reached its bound meanwhile, with so many runs in flight.
    AtLimit {
        in_flight: u64,
    },
    /// Another process claimed it, or it is not due any more.
    Gone,
}

/// A run that this process holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub run_id: RunId,
    pub iteration_id: IterationId,
    pub due: Due,
    /// Attempts that failed before.
    pub attempts: u32,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRun {
    pub id: RunId,
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub agent_id: Option<AgentId>,
    pub scheduled_for: Timestamp,
    /// The process that works on it; `None`: it waits for its next attempt.
    pub owner: Option<String>,
    pub next_attempt_at: Option<Timestamp>,
    pub attempts: u32,
    pub reason: Option<String>,
}

/// One request for a plan, as it went.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub latency_ms: u64,
    pub model: String,
    pub prompt_version: String,
    pub usage: Usage,
    /// Characters of the prompt.
    pub prompt_chars: u64,
    /// Linked records that were read for it; `None` in attempts of older versions.
    pub inputs: Option<u32>,
    /// The last row of the log that its inputs could know; `None` in attempts of older versions.
    pub log_seq: Option<i64>,
    /// Calls of the model that it took.
    pub calls: u32,
    /// The same one by one; empty in attempts of older versions.
    pub rounds: Vec<Round>,
    /// `None`: it gave a plan.
    pub error: Option<AttemptError>,
}

/// Why an attempt gave no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptError {
    /// The kind, as iterations name it; `None` in attempts of older versions.
    pub name: Option<String>,
    pub text: String,
}

/// A run that a process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub run_id: RunId,
    /// Attempts that failed.
    pub failed: u32,
    /// Whether the model was asked since the claim.
    pub asked: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedRun {
    pub at: Timestamp,
    /// `planned`, `failed` or `dropped`.
    pub outcome: String,
}

/// A run with its history.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    pub run: OpenRun,
    pub iteration_id: IterationId,
    pub claimed_at: Timestamp,
    pub missed_times: u32,
    pub interruptions: u32,
    pub note: Option<String>,
    /// What its reason says as values, where it does.
    pub said: Vec<Saying>,
    /// The same of its note.
    pub note_said: Vec<Saying>,
    /// When its iteration left the mission's record, which keeps a bounded number.
    pub superseded_at: Option<Timestamp>,
    /// How often its iteration came back after a client had overwritten it.
    pub restored: u32,
    pub finished: Option<FinishedRun>,
    pub attempts: Vec<Attempt>,
}

impl RunRow {
    /// The form in which commands and pages show it.
    pub fn to_json(&self) -> Value {
        let iso = |at: Timestamp| time::iso_millis(at);
        let attempts: Vec<Value> = self
            .attempts
            .iter()
            .map(|a| {
                json!({
                    "startedAt": iso(a.started_at), "finishedAt": iso(a.finished_at), "latencyMs": a.latency_ms, "model": a.model,
                    "promptVersion": a.prompt_version, "usage": a.usage.to_json(), "promptChars": a.prompt_chars, "inputs": a.inputs, "rounds": a.rounds,
                    "error": a.error.as_ref().map(|error| &error.text),
                })
            })
            .collect();
        json!({
            "id": self.run.id,
            "userId": self.run.user_id,
            "missionId": self.run.mission_id,
            "agentId": self.run.agent_id,
            "iterationId": self.iteration_id,
            "scheduledFor": iso(self.run.scheduled_for),
            "claimedAt": iso(self.claimed_at),
            "finishedAt": self.finished.as_ref().map(|f| iso(f.at)),
            "state": self.state(),
            "outcome": self.finished.as_ref().map(|f| f.outcome.clone()),
            "reason": self.run.reason,
            "note": self.note,
            "failedAttempts": self.run.attempts,
            "interruptions": self.interruptions,
            "missedTimes": self.missed_times,
            "supersededAt": self.superseded_at.map(iso),
            "restored": self.restored,
            "nextAttemptAt": self.run.next_attempt_at.map(iso),
            "tokens": self.tokens(),
            "attempts": attempts,
        })
    }

    /// Tokens of all its attempts.
    pub fn tokens(&self) -> u64 {
        self.attempts.iter().fold(0, |sum, attempt| sum.saturating_add(attempt.usage.total))
    }

    /// Where the run stands, in one word.
    pub fn state(&self) -> &str {
        match (&self.finished, &self.run.owner) {
            (Some(finished), _) => &finished.outcome,
            (None, Some(_)) => "in flight",
            (None, None) => "waiting",
        }
    }
}

/// How a run is to be closed, or set to wait.
#[derive(Debug, Clone)]
pub enum Close {
    /// Append an iteration to the mission.
    Write(Box<IterationEnd>),
    /// Try again at a time; the attempt counts.
    Retry { at: Timestamp, reason: Told },
    /// Give the claim back without an attempt; claimable again at a time.
    Release { at: Option<Timestamp>, reason: Told },
    /// End without a trace in the mission.
    Drop { reason: Told },
}

/// An iteration that a run ends with.
#[derive(Debug, Clone)]
pub struct IterationEnd {
    pub iteration: Iteration,
    pub actor: Value,
    /// Why the run failed, where the iteration says so.
    pub failed: Option<Told>,
    /// Kept on the run.
    pub note: Option<Told>,
    pub zone: TimeZone,
    pub bounds: RetentionBounds,
    /// What of it is carried out in the same transaction, without review.
    pub go_ahead: Option<GoAhead>,
}

/// What the closing transaction did.
#[derive(Debug, Clone, PartialEq)]
pub enum Closed {
    /// The iteration is in the log; `missed` due times were covered by this run.
    Written {
        missed: u32,
        note: Option<String>,
        /// What became of steps that went ahead without review.
        outcomes: Vec<(String, StepOutcome)>,
    },
    /// The plan was dropped, and why.
    Dropped {
        reason: String,
    },
    Waiting,
    /// Another process took the claim over: this one wrote nothing.
    Lost,
}
