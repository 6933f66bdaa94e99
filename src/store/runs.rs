//! Runs: one row for each due time of a mission that was claimed (docs/design.md, section 6).

use jiff::Timestamp;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::{Value, json};

use super::snapshots::Due;
use super::writer::Tx;
use super::{Store, StoreResult};
use crate::domain::iteration::Usage;
use crate::domain::time;

/// A due mission that passed its gates.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub due: Due,
    /// The bound of its agent, checked once more in the claiming transaction.
    pub max_in_flight: Option<u64>,
    /// Ids for the run and its iteration, should a new run be made.
    pub run_id: String,
    pub iteration_id: String,
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
    pub run_id: String,
    pub iteration_id: String,
    pub due: Due,
    /// Attempts that failed before.
    pub attempts: u32,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenRun {
    pub id: String,
    pub user_id: String,
    pub mission_id: String,
    pub agent_id: Option<String>,
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
    /// Calls of the model that it took.
    pub calls: u32,
    /// `None`: it gave a plan.
    pub error: Option<String>,
}

/// A run that a process holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub run_id: String,
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
    pub iteration_id: String,
    pub claimed_at: Timestamp,
    pub missed_times: u32,
    pub interruptions: u32,
    pub note: Option<String>,
    /// When its iteration left the mission's record, which keeps a bounded number.
    pub superseded_at: Option<Timestamp>,
    /// How often its iteration came back after a client had overwritten it.
    pub restored: u32,
    pub finished: Option<FinishedRun>,
    pub attempts: Vec<Attempt>,
}

pub(super) const OPEN_COLUMNS: &str = "id, user_id, mission_id, agent_id, scheduled_for, owner, next_attempt_at, attempts, reason";

/// The latest runs, the newest first, of a user, of a mission, or of both: each combination is a statement with an index of
/// its own.
pub(super) fn latest(columns: &str, of_user: bool, of_mission: bool) -> String {
    let filter = match (of_user, of_mission) {
        (false, false) => "",
        (true, false) => "WHERE user_id = ?",
        (true, true) => "WHERE user_id = ? AND mission_id = ?",
        (false, true) => "WHERE mission_id = ?",
    };
    format!("SELECT {columns} FROM runs {filter} ORDER BY claimed_at DESC, id LIMIT ?")
}

impl Store {
    /// The run of a mission that has not ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_run(&self, user: &str, mission: &str) -> StoreResult<Option<OpenRun>> {
        let (user, mission) = (user.to_owned(), mission.to_owned());
        self.read(move |c| {
            let query = format!("SELECT {OPEN_COLUMNS} FROM runs WHERE user_id = ?1 AND mission_id = ?2 AND outcome IS NULL");
            c.prepare_cached(&query)?.query_row([user, mission], open_run).optional()
        })
        .await
    }

    /// Claims what is still due and still within the bound of its agent, all in one transaction.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is claimed then.
    pub async fn claim(&self, candidates: Vec<Candidate>, owner: String, now: Timestamp) -> StoreResult<Vec<Claim>> {
        self.write(move |tx| candidates.into_iter().map(|candidate| tx.sql(|c| claim(c, candidate, &owner, now))).collect()).await
    }

    /// The processes that hold claims.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn claim_holders(&self) -> StoreResult<Vec<String>> {
        self.read(|c| {
            let query = "SELECT DISTINCT owner FROM runs WHERE outcome IS NULL AND owner IS NOT NULL";
            c.prepare_cached(query)?.query_map([], |row| row.get(0))?.collect()
        })
        .await
    }

    /// Notes, durably, that the model is asked now for a run that this process holds: should the program not live to write
    /// how it went, that counts as an attempt. `false`: another process took the run over.
    ///
    /// # Errors
    /// When the database cannot be written: then the answer could not be written either, and the model is not asked.
    pub async fn begin_attempt(&self, run: &Claimed, owner: String, now: Timestamp) -> StoreResult<bool> {
        let id = run.run_id.clone();
        self.write(move |tx| {
            let update = "UPDATE runs SET asked_at = ?3 WHERE id = ?1 AND owner = ?2 AND outcome IS NULL";
            tx.sql(|c| Ok(c.prepare_cached(update)?.execute(params![id, owner, time::to_micros(now)])? == 1))
        })
        .await
    }

    /// Makes the claims of a process that ended claimable again, at once. Answers how many there were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn release_claims_of(&self, owner: String) -> StoreResult<usize> {
        self.write(move |tx| {
            tx.sql(|c| {
                c.prepare_cached(
                    "UPDATE runs SET owner = NULL, next_attempt_at = NULL, interruptions = interruptions + 1, \
                     attempts = attempts + (asked_at IS NOT NULL), asked_at = NULL, \
                     reason = 'the process that planned it ended' WHERE outcome IS NULL AND owner = ?1",
                )?
                .execute([owner])
            })
        })
        .await
    }

    /// The claims of a process.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn held_by(&self, owner: &str) -> StoreResult<Vec<Held>> {
        let owner = owner.to_owned();
        self.read(move |c| {
            let query = "SELECT id, attempts, asked_at IS NOT NULL FROM runs WHERE outcome IS NULL AND owner = ?1";
            let held = |row: &Row<'_>| Ok(Held { run_id: row.get(0)?, failed: row.get(1)?, asked: row.get(2)? });
            c.prepare_cached(query)?.query_map([owner], held)?.collect()
        })
        .await
    }

    /// Gives claims of a process that lives back, each with the attempts that failed by now and the time of its next.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn give_back(&self, owner: &str, runs: Vec<(Held, Option<Timestamp>)>, reason: &'static str) -> StoreResult<usize> {
        if runs.is_empty() {
            return Ok(0);
        }
        let owner = owner.to_owned();
        self.write(move |tx| {
            let update = "UPDATE runs SET owner = NULL, asked_at = NULL, attempts = ?3, next_attempt_at = ?4, reason = ?5 \
                          WHERE id = ?1 AND owner = ?2 AND outcome IS NULL";
            let give = |c: &Connection, (run, at): &(Held, Option<Timestamp>)| {
                c.prepare_cached(update)?.execute(params![run.run_id, owner, run.failed, at.map(time::to_micros), reason])
            };
            tx.sql(|c| runs.iter().map(|run| give(c, run)).sum())
        })
        .await
    }

    /// Gives all claims of a process that lives back, also those that are still on their way to the disk: a tick that was cut
    /// short does not learn of its own.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn give_all_back(&self, owner: String, reason: &'static str) -> StoreResult<usize> {
        self.write(move |tx| {
            let update = "UPDATE runs SET owner = NULL, asked_at = NULL, next_attempt_at = NULL, reason = ?2 \
                          WHERE outcome IS NULL AND owner = ?1";
            tx.sql(|c| c.prepare_cached(update)?.execute(params![owner, reason]))
        })
        .await
    }

    /// Ends waiting runs whose mission does not wait for them any more, at most `limit`. Answers how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn drop_orphans(&self, now: Timestamp, limit: u32) -> StoreResult<usize> {
        let orphans = self
            .read(move |c| {
                let query = "SELECT id FROM runs WHERE outcome IS NULL AND owner IS NULL AND NOT EXISTS (SELECT 1 FROM mission_snapshots m \
                     WHERE m.user_id = runs.user_id AND m.mission_id = runs.mission_id AND m.state = 'active' \
                     AND m.liveness = 'live' AND m.next_run_at = runs.scheduled_for) LIMIT ?1";
                c.prepare_cached(query)?.query_map([limit], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
            })
            .await?;
        if orphans.is_empty() {
            return Ok(0);
        }
        self.write(move |tx| {
            let end = "UPDATE runs SET outcome = 'dropped', finished_at = ?2, next_attempt_at = NULL, reason = \
                 'the mission was deleted, paused or re-scheduled while it waited for its next attempt' \
                 WHERE id = ?1 AND outcome IS NULL AND owner IS NULL";
            tx.sql(|c| orphans.iter().map(|id| c.prepare_cached(end)?.execute(params![id, time::to_micros(now)])).sum())
        })
        .await
    }

    /// The latest runs, newest first, of one mission or all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs(&self, user: Option<String>, mission: Option<String>, limit: u32) -> StoreResult<Vec<RunRow>> {
        self.read(move |c| {
            let query = latest(&run_columns(), user.is_some(), mission.is_some());
            let given = [user.map(Sql::from), mission.map(Sql::from), Some(Sql::from(limit))];
            let mut statement = c.prepare_cached(&query)?;
            let mut runs: Vec<RunRow> =
                statement.query_map(params_from_iter(given.into_iter().flatten()), run_row)?.collect::<Result<_, _>>()?;
            attempts_of(c, &mut runs)?;
            Ok(runs)
        })
        .await
    }
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
                    "promptVersion": a.prompt_version, "usage": a.usage.to_json(), "promptChars": a.prompt_chars, "error": a.error,
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

fn claim(c: &Connection, candidate: Candidate, owner: &str, now: Timestamp) -> rusqlite::Result<Claim> {
    let Candidate { due, max_in_flight, run_id, iteration_id } = candidate;
    let (scheduled, now) = (time::to_micros(due.scheduled_for), time::to_micros(now));
    let still_due = "SELECT 1 FROM mission_snapshots WHERE user_id = ?1 AND mission_id = ?2 AND next_run_at = ?3 \
                     AND state = 'active' AND liveness = 'live'";
    if !c.prepare_cached(still_due)?.exists(params![due.user_id, due.mission_id, scheduled])? {
        return Ok(Claim::Gone);
    }
    if let Some(bound) = max_in_flight {
        let in_flight = "SELECT count(*) FROM runs WHERE outcome IS NULL AND owner IS NOT NULL AND user_id = ?1 AND agent_id IS ?2";
        let in_flight: u64 = c.prepare_cached(in_flight)?.query_row(params![due.user_id, due.agent_id], |row| row.get(0))?;
        if in_flight >= bound {
            return Ok(Claim::AtLimit { in_flight });
        }
    }
    let open =
        "SELECT id, iteration_id, attempts, owner, scheduled_for FROM runs WHERE user_id = ?1 AND mission_id = ?2 AND outcome IS NULL";
    let open = c
        .prepare_cached(open)?
        .query_row(params![due.user_id, due.mission_id], |row| {
            let free = row.get::<_, Option<String>>(3)?.is_none() && row.get::<_, i64>(4)? == scheduled;
            Ok((free, Claimed { run_id: row.get(0)?, iteration_id: row.get(1)?, due: due.clone(), attempts: row.get(2)? }))
        })
        .optional()?;
    match open {
        Some((false, _)) => Ok(Claim::Gone),
        Some((true, claimed)) => {
            let resume =
                "UPDATE runs SET owner = ?2, claimed_at = ?3, next_attempt_at = NULL, asked_at = NULL, agent_id = ?4 WHERE id = ?1";
            c.prepare_cached(resume)?.execute(params![claimed.run_id, owner, now, due.agent_id])?;
            Ok(Claim::Claimed(claimed))
        }
        None => {
            let insert = "INSERT INTO runs (id, user_id, mission_id, agent_id, iteration_id, scheduled_for, owner, claimed_at) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            c.prepare_cached(insert)?.execute(params![
                run_id,
                due.user_id,
                due.mission_id,
                due.agent_id,
                iteration_id,
                scheduled,
                owner,
                now
            ])?;
            Ok(Claim::Claimed(Claimed { run_id, iteration_id, due, attempts: 0 }))
        }
    }
}

/// A count as the database keeps numbers.
fn integer(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count, also where an older program wrote something else.
fn natural(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

/// Records an attempt of a run, numbered after the ones before.
pub(super) fn add_attempt(tx: &Tx<'_>, run: &Claimed, attempt: &Attempt) -> StoreResult<()> {
    let insert = "INSERT INTO run_attempts (run_id, attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, prompt_version, \
                  prompt_tokens, completion_tokens, total_tokens, error, prompt_chars, calls) \
                  VALUES (?1, (SELECT 1 + count(*) FROM run_attempts WHERE run_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    tx.sql(|c| {
        c.prepare_cached(insert)?.execute(params![
            run.run_id,
            run.due.user_id,
            run.due.agent_id,
            time::to_micros(attempt.started_at),
            time::to_micros(attempt.finished_at),
            integer(attempt.latency_ms),
            attempt.model,
            attempt.prompt_version,
            integer(attempt.usage.prompt),
            integer(attempt.usage.completion),
            integer(attempt.usage.total),
            attempt.error,
            integer(attempt.prompt_chars),
            attempt.calls,
        ])
    })?;
    Ok(())
}

pub(super) fn open_run(row: &Row<'_>) -> rusqlite::Result<OpenRun> {
    Ok(OpenRun {
        id: row.get(0)?,
        user_id: row.get(1)?,
        mission_id: row.get(2)?,
        agent_id: row.get(3)?,
        scheduled_for: time::from_micros(row.get(4)?),
        owner: row.get(5)?,
        next_attempt_at: row.get::<_, Option<i64>>(6)?.map(time::from_micros),
        attempts: row.get(7)?,
        reason: row.get(8)?,
    })
}

/// The columns of [`run_row`].
pub(super) fn run_columns() -> String {
    format!("{OPEN_COLUMNS}, iteration_id, claimed_at, missed_times, interruptions, note, superseded_at, restored, finished_at, outcome")
}

/// Adds the attempts of each run.
pub(super) fn attempts_of(c: &Connection, runs: &mut [RunRow]) -> rusqlite::Result<()> {
    let attempts = "SELECT started_at, finished_at, latency_ms, model, prompt_version, prompt_tokens, completion_tokens, \
                    total_tokens, error, prompt_chars, calls FROM run_attempts WHERE run_id = ?1 ORDER BY attempt";
    let mut attempts = c.prepare_cached(attempts)?;
    for run in runs {
        run.attempts = attempts.query_map([&run.run.id], attempt)?.collect::<Result<_, _>>()?;
    }
    Ok(())
}

pub(super) fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    let finished = match row.get::<_, Option<String>>("outcome")? {
        None => None,
        Some(outcome) => {
            Some(FinishedRun { at: time::from_micros(row.get::<_, Option<i64>>("finished_at")?.unwrap_or_default()), outcome })
        }
    };
    Ok(RunRow {
        run: open_run(row)?,
        iteration_id: row.get("iteration_id")?,
        claimed_at: time::from_micros(row.get("claimed_at")?),
        missed_times: row.get("missed_times")?,
        interruptions: row.get("interruptions")?,
        note: row.get("note")?,
        superseded_at: row.get::<_, Option<i64>>("superseded_at")?.map(time::from_micros),
        restored: row.get("restored")?,
        finished,
        attempts: Vec::new(),
    })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        started_at: time::from_micros(row.get(0)?),
        finished_at: time::from_micros(row.get(1)?),
        latency_ms: natural(row, 2)?,
        model: row.get(3)?,
        prompt_version: row.get(4)?,
        prompt_chars: natural(row, 9)?,
        usage: Usage { prompt: natural(row, 5)?, completion: natural(row, 6)?, total: natural(row, 7)? },
        error: row.get(8)?,
        calls: u32::try_from(natural(row, 10)?).unwrap_or(u32::MAX),
    })
}
