//! Runs: one row for each due time of a mission that was claimed (docs/design.md, section 6).

use jiff::Timestamp;

use super::Store;
use super::changes::from_text;
use crate::domain::ids::{MissionId, UserId};
use crate::domain::iteration::Usage;
use crate::domain::round::Round;
use crate::domain::time;
use crate::store::db::{self, Db, OptionalExtension, Row, Value as Sql, params};
use crate::store::{Attempt, AttemptError, Claimed, FinishedRun, Held, OpenRun, RunRow, StoreResult};
use crate::text;
use crate::text::catalog::Words;
use crate::text::told::{Saying, Told};

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
    pub async fn open_run(&self, user: &UserId, mission: &MissionId) -> StoreResult<Option<OpenRun>> {
        let (user, mission) = (user.to_owned(), mission.to_owned());
        self.read(move |c| {
            let query = format!("SELECT {OPEN_COLUMNS} FROM runs WHERE user_id = ?1 AND mission_id = ?2 AND outcome IS NULL");
            c.prepare_cached(&query)?.query_row(params![user, mission], open_run).optional()
        })
        .await
    }

    /// The processes that hold claims.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn claim_holders(&self) -> StoreResult<Vec<String>> {
        self.read(|c| {
            let query = "SELECT DISTINCT owner FROM runs WHERE outcome IS NULL AND owner IS NOT NULL";
            c.prepare_cached(query)?.query_map(params![], |row| row.get(0))?.collect()
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
            let reason = Told::from(text::run::process_ended(Words::ENGLISH));
            tx.sql(|c| {
                c.prepare_cached(
                    "UPDATE runs SET owner = NULL, next_attempt_at = NULL, interruptions = interruptions + 1, \
                     attempts = attempts + CASE WHEN asked_at IS NULL THEN 0 ELSE 1 END, asked_at = NULL, \
                     reason = ?2, said = ?3 WHERE outcome IS NULL AND owner = ?1",
                )?
                .execute(params![owner, reason.text, reason.stored()])
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
    pub async fn give_back(&self, owner: &str, runs: Vec<(Held, Option<Timestamp>)>, reason: impl Into<Told>) -> StoreResult<usize> {
        let reason = reason.into();
        if runs.is_empty() {
            return Ok(0);
        }
        let owner = owner.to_owned();
        self.write(move |tx| {
            let update = "UPDATE runs SET owner = NULL, asked_at = NULL, attempts = ?3, next_attempt_at = ?4, reason = ?5, said = ?6 \
                          WHERE id = ?1 AND owner = ?2 AND outcome IS NULL";
            let give = |c: &Db<'_>, (run, at): &(Held, Option<Timestamp>)| {
                c.prepare_cached(update)?.execute(params![
                    run.run_id,
                    owner,
                    run.failed,
                    at.map(time::to_micros),
                    reason.text,
                    reason.stored()
                ])
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
    pub async fn give_all_back(&self, owner: String, reason: impl Into<Told>) -> StoreResult<usize> {
        let reason = reason.into();
        self.write(move |tx| {
            let update = "UPDATE runs SET owner = NULL, asked_at = NULL, next_attempt_at = NULL, reason = ?2, said = ?3 \
                          WHERE outcome IS NULL AND owner = ?1";
            tx.sql(|c| c.prepare_cached(update)?.execute(params![owner, reason.text, reason.stored()]))
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
            let end = "UPDATE runs SET outcome = 'dropped', finished_at = ?2, next_attempt_at = NULL, reason = ?3, said = ?4 \
                 WHERE id = ?1 AND outcome IS NULL AND owner IS NULL";
            let (at, reason) = (time::to_micros(now), Told::from(text::run::orphaned(Words::ENGLISH)));
            let drop = |c: &Db, id: &String| c.prepare_cached(end)?.execute(params![id, at, reason.text, reason.stored()]);
            tx.sql(|c| orphans.iter().map(|id| drop(c, id)).sum())
        })
        .await
    }

    /// The latest runs, newest first, of one mission or all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs(&self, user: Option<UserId>, mission: Option<MissionId>, limit: u32) -> StoreResult<Vec<RunRow>> {
        self.read(move |c| {
            let query = latest(&run_columns(), user.is_some(), mission.is_some());
            let given = [user.map(|id| Sql::from(String::from(id))), mission.map(|id| Sql::from(String::from(id))), Some(Sql::from(limit))];
            let mut statement = c.prepare_cached(&query)?;
            let mut runs: Vec<RunRow> =
                statement.query_map(given.into_iter().flatten().collect::<Vec<Sql>>(), run_row)?.collect::<Result<_, _>>()?;
            attempts_of(c, &mut runs)?;
            Ok(runs)
        })
        .await
    }
}

/// A count, also where an older program wrote something else.
fn natural(row: &Row<'_>, at: usize) -> db::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

pub(super) fn open_run(row: &Row<'_>) -> db::Result<OpenRun> {
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
    format!(
        "{OPEN_COLUMNS}, iteration_id, claimed_at, missed_times, interruptions, note, superseded_at, restored, finished_at, outcome, said"
    )
}

/// Adds the attempts of each run.
pub(super) fn attempts_of(c: &Db<'_>, runs: &mut [RunRow]) -> db::Result<()> {
    let attempts = "SELECT started_at, finished_at, latency_ms, model, prompt_version, prompt_tokens, completion_tokens, \
                    total_tokens, error, prompt_chars, calls, error_name, rounds, inputs, log_seq FROM run_attempts WHERE run_id = ?1 ORDER BY attempt";
    let mut attempts = c.prepare_cached(attempts)?;
    for run in runs {
        run.attempts = attempts.query_map([&run.run.id], attempt)?.collect::<Result<_, _>>()?;
    }
    Ok(())
}

pub(super) fn run_row(row: &Row<'_>) -> db::Result<RunRow> {
    let finished = match row.get::<_, Option<String>>("outcome")? {
        None => None,
        Some(outcome) => {
            Some(FinishedRun { at: time::from_micros(row.get::<_, Option<i64>>("finished_at")?.unwrap_or_default()), outcome })
        }
    };
    let said: Vec<Saying> = row.get::<_, Option<String>>("said")?.and_then(|said| serde_json::from_str(&said).ok()).unwrap_or_default();
    // They stand in one column: what a note says is told by its messages.
    let (note_said, said) = said.into_iter().partition(|saying| saying.id.starts_with("runs-note-"));
    Ok(RunRow {
        run: open_run(row)?,
        iteration_id: row.get("iteration_id")?,
        claimed_at: time::from_micros(row.get("claimed_at")?),
        missed_times: row.get("missed_times")?,
        interruptions: row.get("interruptions")?,
        note: row.get("note")?,
        said,
        note_said,
        superseded_at: row.get::<_, Option<i64>>("superseded_at")?.map(time::from_micros),
        restored: row.get("restored")?,
        finished,
        attempts: Vec::new(),
    })
}

/// Attempts of older versions have none.
fn rounds(row: &Row<'_>, at: usize) -> db::Result<Vec<Round>> {
    let Some(text) = row.get::<_, Option<String>>(at)? else { return Ok(Vec::new()) };
    from_text(&text, || "the rounds of an attempt".into())
}

fn attempt(row: &Row<'_>) -> db::Result<Attempt> {
    Ok(Attempt {
        started_at: time::from_micros(row.get(0)?),
        finished_at: time::from_micros(row.get(1)?),
        latency_ms: natural(row, 2)?,
        model: row.get(3)?,
        prompt_version: row.get(4)?,
        prompt_chars: natural(row, 9)?,
        usage: Usage { prompt: natural(row, 5)?, completion: natural(row, 6)?, total: natural(row, 7)? },
        error: match row.get(8)? {
            Some(text) => Some(AttemptError { name: row.get(11)?, text }),
            None => None,
        },
        calls: u32::try_from(natural(row, 10)?).unwrap_or(u32::MAX),
        rounds: rounds(row, 12)?,
        inputs: row.get(13)?,
        log_seq: row.get(14)?,
    })
}
