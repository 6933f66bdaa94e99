//! The end of a run in one transaction: the mission's new state, the log row, the attempt and the run (docs/design.md, section 6).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::params;
use serde_json::Value;

use super::changes::to_text;
use super::edit::{append_to, space_of, take_effect};
use super::lost::supersede;
use super::refresh::newest;
use super::runs::{Attempt, Claimed, add_attempt};
use super::snapshots::Table;
use super::user_log::Logged;
use super::writer::Tx;
use super::{Store, StoreError, StoreResult};
use crate::domain::change::{Change, Op, RUNNER_CLIENT};
use crate::domain::iterations::Iteration;
use crate::domain::retention::RetentionBounds;
use crate::domain::time;
use crate::domain::write_back::{Finished, Terms, write};
use crate::steps::{Effects, GoAhead, Occasion, StepOutcome};

/// How a run is to be closed, or set to wait.
#[derive(Debug, Clone)]
pub enum Close {
    /// Append an iteration to the mission.
    Write(Box<IterationEnd>),
    /// Try again at a time; the attempt counts.
    Retry { at: Timestamp, reason: String },
    /// Give the claim back without an attempt; claimable again at a time.
    Release { at: Option<Timestamp>, reason: String },
    /// End without a trace in the mission.
    Drop { reason: String },
}

/// An iteration that a run ends with.
#[derive(Debug, Clone)]
pub struct IterationEnd {
    pub iteration: Iteration,
    pub actor: Value,
    /// Why the run failed, where the iteration says so.
    pub failed: Option<String>,
    /// Kept on the run.
    pub note: Option<String>,
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

impl Store {
    /// Closes a claimed run, with the attempt that led there, at `now` of the runner.
    ///
    /// # Errors
    /// When the database cannot be written; the run is still claimed then.
    pub async fn close(&self, run: Claimed, owner: String, attempt: Option<Attempt>, close: Close, now: Timestamp) -> StoreResult<Closed> {
        self.write(move |tx| {
            if !holds(tx, &run, &owner)? {
                return Ok(Closed::Lost);
            }
            if let Some(attempt) = &attempt {
                add_attempt(tx, &run, attempt)?;
            }
            match close {
                Close::Retry { at, reason } => wait(tx, &run, Some(at), &reason, 1),
                Close::Release { at, reason } => wait(tx, &run, at, &reason, 0),
                Close::Drop { reason } => drop_run(tx, &run, now, reason),
                Close::Write(end) => write_back(tx, &run, *end, now),
            }
        })
        .await
    }
}

fn holds(tx: &Tx<'_>, run: &Claimed, owner: &str) -> StoreResult<bool> {
    tx.sql(|c| c.prepare_cached("SELECT 1 FROM runs WHERE id = ?1 AND owner = ?2 AND outcome IS NULL")?.exists(params![run.run_id, owner]))
}

fn wait(tx: &Tx<'_>, run: &Claimed, at: Option<Timestamp>, reason: &str, attempts: u32) -> StoreResult<Closed> {
    let update = "UPDATE runs SET owner = NULL, next_attempt_at = ?2, reason = ?3, attempts = attempts + ?4 WHERE id = ?1";
    tx.sql(|c| c.prepare_cached(update)?.execute(params![run.run_id, at.map(time::to_micros), reason, attempts]))?;
    Ok(Closed::Waiting)
}

fn drop_run(tx: &Tx<'_>, run: &Claimed, now: Timestamp, reason: String) -> StoreResult<Closed> {
    let update = "UPDATE runs SET outcome = 'dropped', owner = NULL, finished_at = ?2, reason = ?3 WHERE id = ?1";
    tx.sql(|c| c.prepare_cached(update)?.execute(params![run.run_id, time::to_micros(now), reason]))?;
    Ok(Closed::Dropped { reason })
}

fn write_back(tx: &Tx<'_>, run: &Claimed, end: IterationEnd, now: Timestamp) -> StoreResult<Closed> {
    let due = &run.due;
    let IterationEnd { iteration, actor, failed, note, zone, bounds, go_ahead } = end;
    let terms = Terms { now, wrote_at: tx.now(), zone: &zone, bounds };
    let failed = failed.as_deref();
    let newest = tx.sql(|c| newest(c, Table::Missions, &due.user_id, &due.mission_id))?;
    let (iteration, effects) = match (go_ahead, newest.fold.live()) {
        (Some(go_ahead), Some((record, _))) => {
            let log = Logged::new(tx.connection, &due.user_id, tx.now());
            let space = record.text("spaceId");
            let occasion = Occasion {
                user: &due.user_id,
                mission: &due.mission_id,
                iteration: iteration.id(),
                space: space.as_deref(),
                agent: None,
                client: RUNNER_CLIENT,
                now,
            };
            let carried = go_ahead.run(&iteration, occasion, &log);
            tx.sql(|_| log.end())?;
            carried
        }
        _ => (iteration, Effects::default()),
    };
    let finished = Finished { mission_id: &due.mission_id, scheduled_for: due.scheduled_for, iteration: &iteration };
    let write = match write(&newest.fold, &finished, &terms) {
        Ok(write) => write,
        Err(reason) => {
            return drop_run(tx, run, now, failed.map_or(reason.clone(), |error| format!("{reason}; before that: {error}")));
        }
    };
    take_effect(tx, &due.user_id, &effects)?;
    let change = Change {
        // The run's id: a second write of the same run could not enter the log.
        event_id: run.run_id.clone(),
        app_id: "ai".into(),
        table: Table::Missions.log_name().into(),
        record_id: due.mission_id.clone(),
        user_id: due.user_id.clone(),
        space_id: space_of(tx, Table::Missions, &due.user_id, &due.mission_id)?,
        op: Op::Update,
        data: Some(write.data),
        field_meta: write.field_meta,
        client_id: RUNNER_CLIENT.into(),
        created_at: None,
        schema_version: 1,
        verbatim: None,
        actor: Some(actor.into()),
        origin: Some("agent".into()),
    };
    append_to::<StoreError>(tx, Table::Missions, newest, &change)?;
    supersede(tx, &due.user_id, &due.mission_id, &write.left)?;
    let update = "UPDATE runs SET outcome = ?2, owner = NULL, finished_at = ?3, reason = ?4, note = ?5, missed_times = ?6, iteration = ?7, \
                  attempts = attempts + ?8 WHERE id = ?1";
    let outcome = if failed.is_some() { "failed" } else { "planned" };
    let notes: Vec<String> = note.into_iter().chain(write.note).collect();
    let note = (!notes.is_empty()).then(|| notes.join("; "));
    tx.sql(|c| {
        c.prepare_cached(update)?.execute(params![
            run.run_id,
            outcome,
            time::to_micros(now),
            failed,
            note,
            write.missed,
            to_text(&iteration),
            u32::from(failed.is_some()),
        ])
    })?;
    Ok(Closed::Written { missed: write.missed, note, outcomes: effects.outcomes })
}
