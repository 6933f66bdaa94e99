//! Appending to the log (docs/design.md, section 2).

use super::super::tx::Tx;
use super::super::{Appended, StoreError, StoreResult};
use crate::domain::ceilings::LogCeilings;
use crate::domain::change::Op;
use crate::domain::ids::UserId;
use crate::domain::limits::Admitted;
use crate::domain::merge::{future_stamps, own_stamp};
use crate::domain::time;

/// Appends what clients pushed.
pub fn push(tx: &impl Tx, changes: Vec<Admitted>) -> StoreResult<Appended> {
    let mut appended = Appended::default();
    for change in changes {
        appended.count(push_one(tx, change)?);
    }
    Ok(appended)
}

/// The same, as far as the ceilings of the user allow.
pub fn push_within(tx: &impl Tx, user: &UserId, changes: Vec<Admitted>, ceilings: &LogCeilings) -> StoreResult<Appended> {
    let appended = push(tx, changes)?;
    if appended.added > 0 {
        check_ceilings(tx, user, ceilings)?;
    }
    Ok(appended)
}

pub(super) fn check_ceilings(tx: &impl Tx, user: &UserId, ceilings: &LogCeilings) -> StoreResult<()> {
    ceilings.check(tx.log_usage(user)?).map_err(StoreError::OverCeiling)
}

/// Appends a change as it is, and answers its `seq`; `None` where its user's log has a row of its event id.
pub fn append(tx: &impl Tx, change: &Admitted) -> StoreResult<Option<i64>> {
    let sync_at = tx.next_sync_at()?;
    insert(tx, change, sync_at)
}

/// Appends a change of a client. A later insert of a record that says no time of its own counts from the time of its row
/// (docs/design.md, section 3, rule 2); that is spelled out, since other clients see the rows but not which came first.
fn push_one(tx: &impl Tx, mut admitted: Admitted) -> StoreResult<bool> {
    let sync_at = tx.next_sync_at()?;
    let change = admitted.change();
    let says_no_time = change.data.as_ref().is_some_and(|data| own_stamp(data).is_none());
    if change.op == Op::Insert && says_no_time && tx.has_record(&change.user_id, &change.app_id, &change.table, &change.record_id)? {
        let (table, record) = (change.table.clone(), change.record_id.clone());
        let stamped = admitted.stamped(&time::stamp(time::from_micros(sync_at)));
        admitted = stamped.map_err(|refusal| StoreError::Refused { table, record, refusal })?;
    }
    Ok(insert(tx, &admitted, sync_at)?.is_some())
}

pub(super) fn insert(tx: &impl Tx, change: &Admitted, sync_at: i64) -> StoreResult<Option<i64>> {
    let created_at = change.change().created_at.map_or(sync_at, time::to_micros);
    let seq = tx.insert(&change.stored(), created_at, sync_at)?;
    if seq.is_some() {
        tx.count_oddities(change.replaced(), future_stamps(&change.change().field_meta, tx.now()));
    }
    Ok(seq)
}
