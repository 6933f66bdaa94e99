//! An edit of an agent or a mission, decided on its newest state and written in the same transaction.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::automatic;
use super::changes::{append_admitted, append_one, last_seq, log_usage};
use super::outbox;
use super::refresh::{Folded, Save, newest, put};
use super::snapshots::Table;
use super::user_log::Logged;
use super::writer::Tx;
use super::{Store, StoreError, StoreResult};
use crate::domain::ceilings::LogCeilings;
use crate::domain::change::{Change, Op};
use crate::domain::edits::DELETED_AT;
use crate::domain::limits::Admitted;
use crate::domain::merge::{Fold, Stamps, winning_stamp};
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::time;
use crate::steps::{Effects, UserLog};

/// Who edits which record.
#[derive(Debug, Clone)]
pub struct Edit {
    pub table: Table,
    pub user_id: String,
    pub record_id: String,
    /// The id of the row that the edit becomes.
    pub event_id: String,
    pub client_id: String,
    pub actor: Value,
    /// Where it comes from: `user`, or `system` for what the program sets right by itself.
    pub origin: &'static str,
}

impl Store {
    /// Brings a deleted record back, as the clients' undo does; one that is not deleted, or ended for good, stays as it is.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn undelete(&self, edit: Edit) -> StoreResult<()> {
        self.write(move |tx| {
            let Edit { table, user_id, record_id, event_id, client_id, actor, origin } = edit;
            let newest = tx.sql(|c| newest(c, table, &user_id, &record_id))?;
            let stamp = match &newest.fold {
                Fold::Known { stamps, .. } if newest.fold.live().is_none() => {
                    winning_stamp(tx.now(), stamps.get(DELETED_AT).map(String::as_str))
                }
                _ => return Ok(()),
            };
            let change = Change {
                event_id,
                app_id: "ai".into(),
                table: table.log_name().into(),
                record_id: record_id.clone(),
                user_id: user_id.clone(),
                space_id: space_of(tx, table, &user_id, &record_id)?,
                op: Op::Update,
                data: Some(RawRecord::from_iter([(DELETED_AT.to_owned(), Raw::null())])),
                field_meta: Stamps::from([(DELETED_AT.to_owned(), stamp)]),
                client_id,
                created_at: None,
                schema_version: 1,
                verbatim: None,
                actor: Some(actor.into()),
                origin: Some(origin.into()),
            };
            append_to::<StoreError>(tx, table, newest, &change)
        })
        .await
    }

    /// Writes the fields that `decide` makes of the live record, `None` where there is none yet; no fields write nothing.
    /// Its fields win over what the record has, also where a client's clock is ahead.
    ///
    /// # Errors
    /// What `decide` says, or the database; nothing is written then.
    pub async fn edit<E>(
        &self,
        edit: Edit,
        decide: impl FnOnce(Option<&RawRecord>) -> Result<RawRecord, E> + Send + 'static,
    ) -> Result<(), E>
    where
        E: From<StoreError> + Send + 'static,
    {
        self.edit_with(edit, |record, _| Ok((decide(record)?, Effects::default()))).await.map(drop)
    }

    /// Like [`Store::edit`], with everything else that a decision about steps does in the same transaction; `decide` sees the
    /// user's log as it is then. Answers what was done.
    ///
    /// # Errors
    /// What `decide` says, or the database; nothing is written then.
    pub async fn edit_with<E>(
        &self,
        edit: Edit,
        decide: impl FnOnce(Option<&RawRecord>, &dyn UserLog) -> Result<(RawRecord, Effects), E> + Send + 'static,
    ) -> Result<Effects, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        self.write(move |tx| {
            let newest = tx.sql(|c| newest(c, edit.table, &edit.user_id, &edit.record_id))?;
            let log = Logged::new(tx.connection, &edit.user_id, tx.now());
            let decided = decide(newest.fold.live().map(|(record, _)| record), &log);
            tx.sql(|_| log.end())?;
            let (fields, effects) = decided?;
            take_effect(tx, &edit.user_id, &effects)?;
            write_fields(tx, edit, newest, fields)?;
            Ok(effects)
        })
        .await
    }
}

impl Store {
    /// Appends the rows that `decide` makes of a user's log as it is then, as far as the ceilings of the user allow. Answers
    /// how many are new.
    ///
    /// # Errors
    /// What `decide` says, the ceiling that they would pass, or the database; nothing is written then.
    pub async fn append_decided<E>(
        &self,
        user: &str,
        ceilings: LogCeilings,
        decide: impl FnOnce(&dyn UserLog) -> Result<Vec<Admitted>, E> + Send + 'static,
    ) -> Result<u64, E>
    where
        E: From<StoreError> + Send + 'static,
    {
        let user = user.to_owned();
        self.write(move |tx| {
            let log = Logged::new(tx.connection, &user, tx.now());
            let rows = decide(&log);
            tx.sql(|_| log.end())?;
            let mut added = 0;
            for row in rows? {
                added += u64::from(append_admitted(tx, &row)?);
            }
            if added > 0 {
                ceilings.check(tx.sql(|c| log_usage(c, &user))?).map_err(StoreError::OverCeiling)?;
            }
            Ok(added)
        })
        .await
    }
}

/// Writes what a decision about a user's steps does.
pub(super) fn take_effect(tx: &Tx<'_>, user: &str, effects: &Effects) -> StoreResult<()> {
    for row in &effects.rows {
        append_admitted(tx, row)?;
    }
    for call in &effects.calls {
        outbox::add(tx, call)?;
    }
    if let Some(ended) = &effects.ended {
        outbox::end(tx, ended)?;
    }
    for (agent, tool) in &effects.automatic {
        automatic::count(tx, user, agent, tool)?;
    }
    Ok(())
}

fn write_fields<E: From<StoreError>>(tx: &Tx<'_>, edit: Edit, newest: Folded, mut data: RawRecord) -> Result<(), E> {
    let Edit { table, user_id, record_id, event_id, client_id, actor, origin } = edit;
    let live = newest.fold.live();
    if data.is_empty() {
        return Ok(());
    }
    let none = Stamps::new();
    let stamps = live.map_or(&none, |(_, stamps)| stamps);
    let now = tx.now();
    let stamp = |field: &String| winning_stamp(now, stamps.get(field).map(String::as_str));
    let field_meta = match live {
        // As clients do it: the fields of a new record count from the record's own time.
        None => Stamps::new(),
        Some(_) => data.keys().map(|field| (field.clone(), stamp(field))).collect(),
    };
    let op = match live {
        None => Op::Insert,
        Some(_) if data.text(DELETED_AT).is_some() => {
            // What a delete writes is its own stamp.
            data.insert(DELETED_AT.to_owned(), stamp(&DELETED_AT.to_owned()));
            Op::Delete
        }
        Some(_) => Op::Update,
    };
    let change = Change {
        event_id,
        app_id: "ai".into(),
        table: table.log_name().into(),
        record_id: record_id.clone(),
        user_id: user_id.clone(),
        space_id: space_of(tx, table, &user_id, &record_id)?,
        op,
        data: Some(data),
        field_meta,
        client_id,
        created_at: None,
        schema_version: 1,
        verbatim: None,
        actor: Some(actor.into()),
        origin: Some(origin.into()),
    };
    append_to(tx, table, newest, &change)
}

/// Appends a change of a record and folds it into the record's newest state, which becomes its snapshot.
pub(super) fn append_to<E: From<StoreError>>(tx: &Tx<'_>, table: Table, mut newest: Folded, change: &Change) -> Result<(), E> {
    // Where the log has this row already, so has the snapshot, or its next refresh.
    let Some(admitted) = append_one(tx, change)? else { return Ok(()) };
    let change = admitted.change();
    let seq = tx.sql(last_seq)?;
    let sync_at = tx.sql(|c| c.prepare_cached("SELECT sync_at FROM sync_changes WHERE seq = ?1")?.query_row([seq], |row| row.get(0)))?;
    newest.take(&change.record_id, change.delta(time::from_micros(sync_at)), seq, sync_at);
    let (snapshot, _) = Save::new(table, &change.user_id, &change.record_id, &newest);
    Ok(put(tx, table, &snapshot)?)
}

/// A record that lives in a space keeps living there.
pub(super) fn space_of(tx: &Tx<'_>, table: Table, user: &str, id: &str) -> StoreResult<Option<String>> {
    let query = "SELECT space_id FROM sync_changes WHERE table_name = ?1 AND record_id = ?2 AND user_id = ?3 AND app_id = 'ai' \
                 ORDER BY created_at DESC, seq DESC LIMIT 1";
    let space = |c: &Connection| c.prepare_cached(query)?.query_row(params![table.log_name(), id, user], |row| row.get(0)).optional();
    Ok(tx.sql(space)?.flatten())
}
