//! Claiming a run (docs/design.md, section 6).

use jiff::Timestamp;

use super::super::tx::Tx;
use super::super::{Candidate, Claim, Claimed, StoreResult};

/// Claims a candidate that is still due, and still within the bound of its agent.
pub fn claim(tx: &impl Tx, candidate: Candidate, owner: &str, now: Timestamp) -> StoreResult<Claim> {
    let due = &candidate.due;
    if !tx.is_due(due)? {
        return Ok(Claim::Gone);
    }
    if let Some(bound) = candidate.max_in_flight {
        let in_flight = tx.in_flight(&due.user_id, due.agent_id.as_ref())?;
        if in_flight >= bound {
            return Ok(Claim::AtLimit { in_flight });
        }
    }
    match tx.open_run(&due.user_id, &due.mission_id)? {
        Some((open, iteration_id)) if open.owner.is_none() && open.scheduled_for == due.scheduled_for => {
            tx.resume_run(&open.id, due.agent_id.as_ref(), owner, now)?;
            Ok(Claim::Claimed(Claimed { run_id: open.id, iteration_id, due: candidate.due, attempts: open.attempts }))
        }
        Some(_) => Ok(Claim::Gone),
        None => {
            tx.add_run(&candidate, owner, now)?;
            let Candidate { due, run_id, iteration_id, .. } = candidate;
            Ok(Claim::Claimed(Claimed { run_id, iteration_id, due, attempts: 0 }))
        }
    }
}
