//! An edit of an agent or a mission, decided on its newest state and written in the same transaction.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::super::tx::{Tx, looked};
use super::super::{StoreError, StoreResult, Table};
use super::fold::{Folded, Save, newest, put};
use super::push::{append, check_ceilings, insert};
use crate::domain::ceilings::LogCeilings;
use crate::domain::change::{Change, Op};
use crate::domain::field::DELETED_AT;
use crate::domain::ids::UserId;
use crate::domain::limits::{Admitted, LimitRefusal, admit};
use crate::domain::merge::{Fold, Stamps, winning_stamp};
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::time;
use crate::steps::{Effects, UserLog};

/// Who edits which record.
#[derive(Debug, Clone)]
pub struct Edit {
    pub table: Table,
    pub user_id: UserId,
    pub record_id: String,
    /// The id of the row that the edit becomes.
    pub event_id: String,
    pub client_id: String,
    pub actor: Value,
    /// Where it comes from: `user`, or `system` for what the program sets right by itself.
    pub origin: &'static str,
}

/// Writes what `decide` makes of the live record, `None` where there is none yet, with everything else that it does.
pub fn edit<E: From<StoreError>>(
    tx: &impl Tx,
    edit: Edit,
    decide: impl FnOnce(Option<&RawRecord>, &dyn UserLog) -> Result<(RawRecord, Effects), E>,
) -> Result<Effects, E> {
    let newest = newest(tx, edit.table, &edit.user_id, &edit.record_id)?;
    let decided = looked(tx, &edit.user_id, |log| decide(newest.fold.live().map(|(record, _)| record), log))?;
    let (fields, effects) = decided.transpose()?.unwrap_or_default();
    take_effect(tx, &edit.user_id, &effects)?;
    write_fields(tx, edit, newest, fields)?;
    Ok(effects)
}

/// Brings a deleted record back; one that is not deleted, or ended for good, stays as it is.
pub fn undelete(tx: &impl Tx, edit: Edit) -> StoreResult<()> {
    let newest = newest(tx, edit.table, &edit.user_id, &edit.record_id)?;
    let stamp = match &newest.fold {
        Fold::Known { stamps, .. } if newest.fold.live().is_none() => winning_stamp(tx.now(), stamps.get(DELETED_AT).map(String::as_str)),
        _ => return Ok(()),
    };
    let data = RawRecord::from_iter([(DELETED_AT.to_owned(), Raw::null())]);
    append_edit(tx, edit, newest, Op::Update, data, Stamps::from([(DELETED_AT.to_owned(), stamp)]))
}

/// Appends the rows that `decide` makes of a user's log, as far as the ceilings of the user allow. Answers how many are new.
pub fn append_decided<E: From<StoreError>>(
    tx: &impl Tx,
    user: &UserId,
    ceilings: &LogCeilings,
    decide: impl FnOnce(&dyn UserLog) -> Result<Vec<Admitted>, E>,
) -> Result<u64, E> {
    let rows = looked(tx, user, decide)?.transpose()?.unwrap_or_default();
    let added = append(tx, &rows)?.into_iter().flatten().count();
    if added > 0 {
        check_ceilings(tx, &BTreeMap::from([(user, ceilings)]))?;
    }
    Ok(added as u64)
}

/// Writes what a decision about a user's steps does.
pub(super) fn take_effect(tx: &impl Tx, user: &UserId, effects: &Effects) -> StoreResult<()> {
    append(tx, &effects.rows)?;
    for call in &effects.calls {
        tx.add_call(call)?;
    }
    if let Some(ended) = &effects.ended {
        tx.end_call(ended)?;
    }
    for (agent, tool) in &effects.automatic {
        tx.count_automatic(user, agent, tool)?;
    }
    Ok(())
}

fn write_fields(tx: &impl Tx, edit: Edit, newest: Folded, mut data: RawRecord) -> StoreResult<()> {
    if data.is_empty() {
        return Ok(());
    }
    let live = newest.fold.live();
    let none = Stamps::new();
    let stamps = live.map_or(&none, |(_, stamps)| stamps);
    let now = tx.now();
    let stamp = |field: &str| winning_stamp(now, stamps.get(field).map(String::as_str));
    let field_meta = match live {
        // As clients do it: the fields of a new record count from the record's own time.
        None => Stamps::new(),
        Some(_) => data.keys().map(|field| (field.clone(), stamp(field))).collect(),
    };
    let op = match live {
        None => Op::Insert,
        Some(_) if data.text(DELETED_AT).is_some() => {
            // What a delete writes is its own stamp.
            data.insert(DELETED_AT.to_owned(), stamp(DELETED_AT));
            Op::Delete
        }
        Some(_) => Op::Update,
    };
    append_edit(tx, edit, newest, op, data, field_meta)
}

/// Appends a change of a record and folds it into the record's newest state, which becomes its snapshot. A record that lives
/// in a space keeps living there.
pub(super) fn append_edit(tx: &impl Tx, edit: Edit, mut newest: Folded, op: Op, data: RawRecord, field_meta: Stamps) -> StoreResult<()> {
    let Edit { table, user_id, record_id, event_id, client_id, actor, origin } = edit;
    let refused = |refusal: LimitRefusal| StoreError::Refused { table: table.log_name().into(), record: record_id.clone(), refusal };
    let change = admit(Change {
        event_id,
        app_id: "ai".into(),
        table: table.log_name().into(),
        record_id: record_id.clone(),
        space_id: tx.space_of(table, &user_id, &record_id)?,
        user_id,
        op,
        data: Some(data),
        field_meta,
        client_id,
        created_at: None,
        schema_version: 1,
        verbatim: None,
        actor: Some(actor.into()),
        origin: Some(origin.into()),
    });
    let admitted = change.map_err(refused)?;
    let sync_at = tx.next_sync_at()?;
    // Where the log has this row already, so has the snapshot, or its next refresh.
    let Some(&[Some(seq)]) = insert(tx, &[(Cow::Borrowed(&admitted), sync_at)])?.first_chunk() else { return Ok(()) };
    let change = admitted.change();
    newest.take(&change.record_id, change.delta(time::from_micros(sync_at)), seq, sync_at);
    put(tx, table, &[Save::new(table, &change.user_id, &change.record_id, &newest).0])
}
