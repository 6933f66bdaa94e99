//! Appending to the log (docs/design.md, section 2).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::super::tx::{NewRow, Tx};
use super::super::{Appended, Pull, StoreError, StoreResult};
use crate::domain::ceilings::LogCeilings;
use crate::domain::change::{Change, Op};
use crate::domain::ids::UserId;
use crate::domain::limits::Admitted;
use crate::domain::merge::{future_stamps, own_stamp};
use crate::domain::time;

/// What a client of a user pushed.
pub struct ClientPush {
    pub changes: Vec<Admitted>,
    pub ceilings: LogCeilings,
    /// What the client asks for afterwards; it names the user.
    pub then: Pull,
}

/// Appends what clients pushed, as far as the ceilings of each user allow, and answers what each push did.
pub fn push(tx: &impl Tx, pushes: &[ClientPush]) -> StoreResult<Vec<Appended>> {
    let changes: Vec<&Admitted> = pushes.iter().flat_map(|push| &push.changes).collect();
    let mut are_new = append_pushed(tx, &changes)?.into_iter();
    let appended: Vec<Appended> = pushes.iter().map(|push| Appended::of(are_new.by_ref().take(push.changes.len()))).collect();
    let grown = pushes.iter().zip(&appended).filter(|(_, appended)| appended.added > 0);
    check_ceilings(tx, &grown.map(|(push, _)| (&push.then.user_id, &push.ceilings)).collect())?;
    Ok(appended)
}

/// Checks what users have in the log.
pub(super) fn check_ceilings(tx: &impl Tx, users: &BTreeMap<&UserId, &LogCeilings>) -> StoreResult<()> {
    let ceilings = users.values().filter(|ceilings| ceilings.bound_the_log());
    let bounded: Vec<&UserId> = users.iter().filter(|(_, ceilings)| ceilings.bound_the_log()).map(|(user, _)| *user).collect();
    let usage = tx.log_usage(&bounded)?;
    ceilings.zip(usage).try_for_each(|(ceilings, usage)| ceilings.check(usage)).map_err(StoreError::OverCeiling)
}

/// Appends changes as they are, and answers the `seq` of each; `None` where its user's log has a row of its event id.
pub fn append(tx: &impl Tx, changes: &[Admitted]) -> StoreResult<Vec<Option<i64>>> {
    let timed = changes.iter().map(|change| Ok((Cow::Borrowed(change), tx.next_sync_at()?))).collect::<StoreResult<Vec<_>>>()?;
    insert(tx, &timed)
}

/// Appends changes of clients, and answers which are new.
fn append_pushed(tx: &impl Tx, changes: &[&Admitted]) -> StoreResult<Vec<bool>> {
    let (mut are_new, mut rest) = (Vec::with_capacity(changes.len()), changes);
    while !rest.is_empty() {
        let (run, after) = rest.split_at(independent(rest));
        are_new.extend(append_run(tx, run)?);
        rest = after;
    }
    Ok(are_new)
}

/// How many of the first changes can be looked up before any of them is in the log.
fn independent(changes: &[&Admitted]) -> usize {
    let mut records = HashSet::new();
    let all = changes.iter().map(|admitted| admitted.change());
    let depends = all.map(|change| {
        let is_first = records.insert((&change.user_id, &change.app_id, &change.table, &change.record_id));
        !is_first && is_timeless_insert(change)
    });
    depends.take_while(|depends| !depends).count()
}

fn is_timeless_insert(change: &Change) -> bool {
    change.op == Op::Insert && change.data.as_ref().is_some_and(|data| own_stamp(data).is_none())
}

/// Appends changes of clients. A later insert of a record that says no time of its own counts from the time of its row
/// (docs/design.md, section 3, rule 2); that is spelled out, since other clients see the rows but not which came first.
fn append_run(tx: &impl Tx, run: &[&Admitted]) -> StoreResult<Vec<bool>> {
    let timeless: Vec<&Change> = run.iter().map(|admitted| admitted.change()).filter(|change| is_timeless_insert(change)).collect();
    let mut have_records = tx.have_records(&timeless)?.into_iter();
    let timed = run.iter().map(|&admitted| {
        let (change, sync_at) = (admitted.change(), tx.next_sync_at()?);
        if !is_timeless_insert(change) || !have_records.next().unwrap_or(false) {
            return Ok((Cow::Borrowed(admitted), sync_at));
        }
        let stamped = admitted.stamped(&time::stamp(time::from_micros(sync_at)));
        let refused = |refusal| StoreError::Refused { table: change.table.clone(), record: change.record_id.clone(), refusal };
        Ok((Cow::Owned(stamped.map_err(refused)?), sync_at))
    });
    let timed = timed.collect::<StoreResult<Vec<_>>>()?;
    Ok(insert(tx, &timed)?.into_iter().map(|seq| seq.is_some()).collect())
}

/// Appends changes with their `sync_at`.
pub(super) fn insert(tx: &impl Tx, timed: &[(Cow<'_, Admitted>, i64)]) -> StoreResult<Vec<Option<i64>>> {
    let rows = timed.iter().map(|(admitted, sync_at)| {
        let created_at = admitted.change().created_at.map_or(*sync_at, time::to_micros);
        NewRow { row: admitted.stored(), created_at, sync_at: *sync_at }
    });
    let seqs = tx.insert(&rows.collect::<Vec<_>>())?;
    for ((admitted, _), _) in timed.iter().zip(&seqs).filter(|(_, seq)| seq.is_some()) {
        tx.count_oddities(admitted.replaced(), future_stamps(&admitted.change().field_meta, tx.now()));
    }
    Ok(seqs)
}
