//! Putting back iterations that a client's write took out of a mission's record (docs/design.md, section 6).

use serde_json::Value;

use super::super::tx::Tx;
use super::super::{StoreResult, Table};
use super::edit::{Edit, append_edit};
use super::fold::newest;
use super::lost::{read, supersede};
use crate::domain::change::{Op, RUNNER_CLIENT};
use crate::domain::field;
use crate::domain::ids::{MissionId, UserId};
use crate::domain::iterations::{self, Iteration};
use crate::domain::lost::restore;
use crate::domain::merge::{Fold, Stamps, winning_stamp};
use crate::domain::retention::{self, RetentionBounds};

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
    let stamp = winning_stamp(tx.now(), stamps.get(field::ITERATIONS).map(String::as_str));
    let (count, data) = (came_back.len(), iterations::to_record(&kept.iterations));
    append_edit(tx, edit, newest, Op::Update, data, Stamps::from([(field::ITERATIONS.to_owned(), stamp)]))?;
    Ok(count)
}
