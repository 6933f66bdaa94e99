//! The end of a run in one transaction: the mission's new state, the log row, the attempt and the run (docs/design.md,
//! section 6).

use jiff::Timestamp;
use serde_json::Value;

use super::super::tx::{RunEnd, Tx, looked};
use super::super::{Attempt, Claimed, Close, Closed, IterationEnd, StoreResult, Table};
use super::edit::{Edit, append_edit, take_effect};
use super::fold::newest;
use super::lost::supersede;
use crate::domain::change::{Op, RUNNER_CLIENT};
use crate::domain::field;
use crate::domain::iterations::Iteration;
use crate::domain::raw::Raw;
use crate::domain::write_back::{Finished, Terms, write};
use crate::steps::{Effects, GoAhead, Occasion};
use crate::text;
use crate::text::catalog::Words;
use crate::text::told::Told;

/// Closes a claimed run, with the attempt that led there, at `now` of the runner.
pub fn close(tx: &impl Tx, run: &Claimed, owner: &str, attempt: Option<&Attempt>, close: Close, now: Timestamp) -> StoreResult<Closed> {
    if !tx.holds(&run.run_id, owner)? {
        return Ok(Closed::Lost);
    }
    if let Some(attempt) = attempt {
        tx.add_attempt(run, attempt)?;
    }
    match close {
        Close::Retry { at, reason } => wait(tx, run, Some(at), &reason, 1),
        Close::Release { at, reason } => wait(tx, run, at, &reason, 0),
        Close::Drop { reason } => drop_run(tx, run, now, reason),
        Close::Write(end) => write_back(tx, run, *end, now),
    }
}

fn wait(tx: &impl Tx, run: &Claimed, at: Option<Timestamp>, reason: &Told, failed: u32) -> StoreResult<Closed> {
    tx.let_wait(&run.run_id, at, &reason.text, failed)?;
    tx.note_said(&run.run_id, reason.stored().as_deref())?;
    Ok(Closed::Waiting)
}

fn drop_run(tx: &impl Tx, run: &Claimed, now: Timestamp, reason: Told) -> StoreResult<Closed> {
    let text = Some(reason.text.as_str());
    let end = RunEnd { outcome: "dropped", at: now, reason: text, note: None, missed: 0, iteration: None, failed_attempts: 0 };
    tx.end_run(&run.run_id, &end)?;
    tx.note_said(&run.run_id, reason.stored().as_deref())?;
    Ok(Closed::Dropped { reason: reason.text })
}

fn write_back(tx: &impl Tx, run: &Claimed, end: IterationEnd, now: Timestamp) -> StoreResult<Closed> {
    let due = &run.due;
    let IterationEnd { iteration, actor, failed, note, zone, bounds, go_ahead } = end;
    let newest = newest(tx, Table::Missions, &due.user_id, &due.mission_id)?;
    let space = newest.fold.live().and_then(|(record, _)| record.text(field::SPACE_ID));
    let (iteration, effects) = match go_ahead.filter(|_| newest.fold.live().is_some()) {
        Some(go_ahead) => carried_out(tx, run, &go_ahead, iteration, space.as_deref(), now)?,
        None => (iteration, Effects::default()),
    };
    let terms = Terms { now, wrote_at: tx.now(), zone: &zone, bounds };
    let finished = Finished { mission_id: &due.mission_id, scheduled_for: due.scheduled_for, iteration: &iteration };
    let write = match write(&newest.fold, &finished, &terms) {
        Ok(write) => write,
        Err(reason) => {
            let reason = Told::from(text::run::dropped(Words::ENGLISH, reason));
            return drop_run(tx, run, now, reason.after(failed));
        }
    };
    take_effect(tx, &due.user_id, &effects)?;
    append_edit(tx, edit_of(run, actor), newest, Op::Update, write.data, write.field_meta)?;
    supersede(tx, &due.user_id, &due.mission_id, &write.left)?;
    let without_time = write.bad_cadence.as_ref().map(|bad| text::run::without_time(Words::ENGLISH, bad));
    let note = Told::all(note.into_iter().chain(without_time));
    let iteration = Raw::of(&iteration);
    let end = RunEnd {
        outcome: if failed.is_some() { "failed" } else { "planned" },
        at: now,
        reason: failed.as_ref().map(|failed| failed.text.as_str()),
        note: note.as_ref().map(|note| note.text.as_str()),
        missed: write.missed,
        iteration: Some(iteration.get()),
        failed_attempts: u32::from(failed.is_some()),
    };
    tx.end_run(&run.run_id, &end)?;
    let said = Told { text: String::new(), said: failed.iter().chain(&note).flat_map(|told| told.said.clone()).collect() };
    tx.note_said(&run.run_id, said.stored().as_deref())?;
    Ok(Closed::Written { missed: write.missed, note: note.map(|note| note.text), outcomes: effects.outcomes })
}

/// The iteration after those of its steps that go ahead without review, and what they do.
fn carried_out(
    tx: &impl Tx,
    run: &Claimed,
    go_ahead: &GoAhead,
    iteration: Iteration,
    space: Option<&str>,
    now: Timestamp,
) -> StoreResult<(Iteration, Effects)> {
    let occasion = Occasion {
        user: &run.due.user_id,
        mission: &run.due.mission_id,
        iteration: iteration.id(),
        space,
        agent: None,
        client: RUNNER_CLIENT,
        now,
    };
    let carried = looked(tx, &run.due.user_id, |log| go_ahead.run(&iteration, occasion, log))?;
    Ok(carried.unwrap_or_else(|| (iteration, Effects::default())))
}

fn edit_of(run: &Claimed, actor: Value) -> Edit {
    Edit {
        table: Table::Missions,
        user_id: run.due.user_id.clone(),
        record_id: run.due.mission_id.to_string(),
        // The run's id: a second write of the same run could not enter the log.
        event_id: run.run_id.to_string(),
        client_id: RUNNER_CLIENT.into(),
        actor,
        origin: "agent",
    }
}
