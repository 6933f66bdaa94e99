//! Iterations that a client's write took out of a mission's record, noted where the write is folded in (docs/design.md,
//! section 6).

use std::collections::BTreeMap;

use super::super::StoreResult;
use super::super::tx::Tx;
use crate::domain::ids::{IterationId, MissionId, UserId};
use crate::domain::iterations::Iteration;
use crate::domain::lost::join;
use crate::domain::raw::Raw;
use crate::domain::retention;

/// An iteration that went so often is left to the client that takes it out.
const MAX_RESTORED: u32 = 5;

/// Iterations that rows of clients took out of a record, by their ids, with the row and how they last stood.
pub type Lost = BTreeMap<IterationId, (i64, Iteration)>;

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

pub(super) fn read(tx: &impl Tx, text: &str, mission: &MissionId) -> StoreResult<Iteration> {
    let unreadable = |error: serde_json::Error| tx.unreadable(format!("a lost iteration of mission {mission}"), error.to_string());
    Raw::parse(text).map(Iteration::from).map_err(unreadable)
}
