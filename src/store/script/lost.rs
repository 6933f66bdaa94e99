//! Iterations that a client's write took out of a mission's record: noted where the write is folded in, and put back by a
//! row of this program (docs/design.md, section 6).

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::tx::Tx;
use super::super::{StoreResult, Table};
use super::edit::{Edit, append_edit};
use super::fold::newest;
use crate::domain::change::{Op, RUNNER_CLIENT};
use crate::domain::ids::{IterationId, MissionId, UserId};
use crate::domain::iterations::{self, Iteration};
use crate::domain::lost::{join, restore};
use crate::domain::merge::{Fold, Stamps, winning_stamp};
use crate::domain::raw::Raw;
use crate::domain::retention::{self, RetentionBounds};

/// An iteration that went so often is left to the client that takes it out.
const MAX_RESTORED: u32 = 5;

/// Iterations that rows of clients took out of a record, by their ids, with the row and how they last stood.
pub type Lost = BTreeMap<IterationId, (i64, Iteration)>;

/// A mission that lost iterations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lossy {
    pub user_id: UserId,
    pub mission_id: MissionId,
}

/// Puts back what a mission lost, in one row; a mission that ended stays gone. Answers how many iterations came back.
pub fn restore_iterations(tx: &impl Tx, of: &Lossy, event_id: String, actor: Value, bounds: RetentionBounds) -> StoreResult<usize> {
    let (user, mission) = (&of.user_id, &of.mission_id);
    let newest = newest(tx, Table::Missions, user, mission)?;
    let is_deleted = matches!(newest.fold, Fold::Known { .. }) && newest.fold.live().is_none();
    if is_deleted {
        return Ok(0);
    }
    let lost = tx.take_lost(user, mission)?.iter().map(|text| read(tx, text, mission)).collect::<StoreResult<Vec<_>>>()?;
    let Some((record, stamps)) = newest.fold.live() else { return Ok(0) };
    let known = iterations::of_record(record);
    let Some(whole) = restore(known.clone(), &lost) else { return Ok(0) };
    let kept = retention::bound(whole, bounds);
    let came_back: Vec<&Iteration> = kept.iterations.iter().filter(|iteration| !known.contains(iteration)).collect();
    supersede(tx, user, mission, &kept.left)?;
    for iteration in &came_back {
        tx.count_restored(user, mission, iteration.id())?;
    }
    if came_back.is_empty() {
        return Ok(0);
    }
    let edit = Edit {
        table: Table::Missions,
        user_id: user.clone(),
        record_id: mission.to_string(),
        event_id,
        client_id: RUNNER_CLIENT.into(),
        actor,
        origin: "system",
    };
    let stamp = winning_stamp(tx.now(), stamps.get(iterations::FIELD).map(String::as_str));
    let (count, data) = (came_back.len(), iterations::to_record(&kept.iterations));
    append_edit(tx, edit, newest, Op::Update, data, Stamps::from([(iterations::FIELD.to_owned(), stamp)]))?;
    Ok(count)
}

/// Notes what a fold found missing, where this program wrote it and did not let it go.
pub(super) fn note(tx: &impl Tx, user: &UserId, mission: &MissionId, lost: &Lost) -> StoreResult<()> {
    if lost.is_empty() {
        return Ok(());
    }
    let after = tx.come_back_after()?;
    for (id, (_, iteration)) in lost.iter().filter(|(_, (seq, _))| *seq > after) {
        let Some(written) = tx.written_iteration(user, mission, id, MAX_RESTORED)? else { continue };
        let whole = match tx.noted(user, mission, id)? {
            Some(noted) => Raw::of(&join(iteration, &read(tx, &noted, mission)?)),
            None => Raw::of(iteration),
        };
        // What somebody blew up comes back as it was written.
        let text = if whole.get().len() <= retention::MAX_BYTES { whole.get() } else { &written };
        tx.note_lost(user, mission, id, text)?;
    }
    Ok(())
}

/// Marks iterations that leave a record by its bounds, and keeps how they last stood.
pub(super) fn supersede(tx: &impl Tx, user: &UserId, mission: &MissionId, left: &[Iteration]) -> StoreResult<()> {
    for iteration in left {
        let text = Raw::of(iteration);
        tx.supersede(user, mission, iteration.id(), Some(text.get()).filter(|text| text.len() <= retention::MAX_BYTES))?;
    }
    Ok(())
}

fn read(tx: &impl Tx, text: &str, mission: &MissionId) -> StoreResult<Iteration> {
    let unreadable = |error: serde_json::Error| tx.unreadable(format!("a lost iteration of mission {mission}"), error.to_string());
    Raw::parse(text).map(Iteration::from).map_err(unreadable)
}
