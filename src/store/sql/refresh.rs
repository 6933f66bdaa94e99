//! Snapshots: what a fold reads, and how it is written.

use super::changes::{COLUMNS, RECORD, columns, delta, from_text, log_end, place, record_from_text};
use super::removal::is_removed;
use super::snapshots::columns_of;
use super::{Store, server_snapshots};
use crate::domain::ids::UserId;
use crate::domain::merge::Fold;
use crate::store::db::{self, Db, OptionalExtension, Row, params};
use crate::store::script::{self, BatchBounds, Columns, Folded, Save};
use crate::store::tx::FoldRow;
use crate::store::{Refreshed, StoreResult, Table};

/// A batch ends at this many records, or this many bytes of their texts.
const BATCH_RECORDS: usize = 20_000;
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// New rows of one projected table.
pub(super) const NEW_ROWS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM sync_changes WHERE app_id = 'ai' AND table_name IN ('agents', 'aiMissions') AND table_name = ?1 AND seq > ?2 \
     ORDER BY seq LIMIT ?3"
);

/// The same where a file holds the log; the table is its number.
pub(super) const NEW_ROWS_OF_FILE: &str =
    concat!("SELECT ", columns!(), " FROM log_entries WHERE projection = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");

/// New rows of one record, for a write that cannot wait for the refresh; by the record, since the refresh may be far behind.
pub(super) const NEW_ROWS_OF_RECORD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM sync_changes WHERE user_id = ?3 AND app_id = 'ai' AND table_name = ?1 AND record_id = ?4 AND seq > ?2 ORDER BY seq"
);

impl Store {
    /// Folds the next new rows of a table, at most `limit`, and moves its cursor in the transaction that writes them.
    /// `false`: nothing is left to fold.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn refresh_batch(&self, table: Table, limit: u32) -> StoreResult<(Refreshed, bool)> {
        // Whoever comes second finds the rows folded; reading them twice would only take twice the memory.
        let _alone = self.shared.folding[table as usize].lock().await;
        let bounds = BatchBounds { rows: limit, records: BATCH_RECORDS, bytes: BATCH_BYTES };
        let Some(batch) = self.read_as_of_now(move |reads| script::fold_batch(reads, table, bounds)).await? else {
            return Ok((Refreshed::default(), false));
        };
        self.write(move |tx| script::write_batch(tx, table, batch)).await
    }

    /// How far a projection has read the log, and where the log ends.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn projected(&self, table: Table) -> StoreResult<(i64, i64)> {
        self.read(move |c| Ok((cursor(c, table)?.unwrap_or(0), log_end(c)?.seq))).await
    }
}

/// How far a projection has read the log; a database without the row was damaged.
pub(super) fn cursor(connection: &Db<'_>, table: Table) -> db::Result<Option<i64>> {
    let query = "SELECT seq FROM projection_cursors WHERE table_name = ?1";
    connection.prepare_cached(query)?.query_row([table.log_name()], |row| row.get(0)).optional()
}

/// What snapshots hold; the default where there is none.
pub(super) fn load(connection: &Db<'_>, table: Table, records: &[(&UserId, &str)]) -> db::Result<Vec<Folded>> {
    if connection.sqlite().is_none() {
        return server_snapshots::load(connection, table, records, |row, (user, id)| loaded(connection, table, user, id, row));
    }
    let (name, key) = columns_of(table);
    let query = format!("SELECT {STORED} FROM {name} s WHERE user_id = ?1 AND {key} = ?2");
    let mut statement = connection.prepare_cached(&query)?;
    let load = |(user, id): &(&UserId, &str)| {
        let mut rows = statement.query([user.as_str(), id])?;
        rows.next()?.map_or_else(|| Ok(Folded::default()), |row| loaded(connection, table, user, id, &row))
    };
    records.iter().map(load).collect()
}

/// What a fold needs of a snapshot.
pub(super) const STORED: &str = "s.record, s.field_meta, s.liveness, s.last_seq, s.last_applied_at";

/// Reads a row of [`STORED`].
fn loaded(connection: &Db<'_>, table: Table, user: &UserId, id: &str, row: &Row<'_>) -> db::Result<Folded> {
    let last_seq = row.get(3)?;
    let what = || format!("the snapshot of {} {id} of user {user}", table.log_name());
    let read = || -> db::Result<_> {
        Ok(match row.get_ref(2)?.as_str()? {
            "ended" => Fold::Ended,
            _ => Fold::Known {
                record: record_from_text(row.get_ref(0)?.as_str()?, what)?,
                stamps: from_text(row.get_ref(1)?.as_str()?, what)?,
            },
        })
    };
    match read() {
        Ok(fold) => Ok(Folded::stored(fold, last_seq, row.get(4)?)),
        // The log tells what a damaged snapshot should hold.
        Err(error) => {
            tracing::warn!(%error, "a snapshot is rebuilt from the log");
            Ok(fold(connection, table, user, id, last_seq)?.unwrap_or_default().rebuilt())
        }
    }
}

/// Shows rows of the log, whose query has [`COLUMNS`](super::changes::COLUMNS) first.
pub(super) fn fold_row<'a>(row: &'a Row<'_>) -> db::Result<FoldRow<'a>> {
    Ok(FoldRow {
        delta: delta(row)?,
        seq: row.get(place::SEQ)?,
        sync_at: row.get(place::SYNC_AT)?,
        user: row.get_ref(place::USER_ID)?.as_str()?,
        record: row.get_ref(place::RECORD_ID)?.as_str()?,
        client: row.get_ref(place::CLIENT_ID)?.as_str()?,
    })
}

/// Writes snapshots of a table, but for those of which what is there knows more, and those of people who were removed.
pub(super) fn put(c: &Db<'_>, table: Table, saves: &[Save], updated_at: i64) -> db::Result<Vec<bool>> {
    match c.sqlite() {
        Some(_) => {
            let mut last: Option<(&UserId, bool)> = None;
            let mut put = Vec::with_capacity(saves.len());
            for save in saves {
                let is_out = match last {
                    Some((user, is_out)) if *user == save.user => is_out,
                    _ => is_removed(c, save.user.as_str())?,
                };
                last = Some((&save.user, is_out));
                put.push(!is_out && put_one(c, save, updated_at)?);
            }
            Ok(put)
        }
        None => server_snapshots::put(c, table, saves, updated_at),
    }
}

fn put_one(c: &Db<'_>, save: &Save, updated_at: i64) -> db::Result<bool> {
    let Save { user, id, record, stamps, liveness, state, last_seq, last_applied_at, columns, .. } = save;
    let key = params![user, id];
    let every = params![last_seq, last_applied_at, updated_at, stamps, record];
    // An upsert would keep a journal of its own.
    match columns {
        Columns::Agent { name, role, avatar, name_key, max_tokens } => {
            let before: Option<i64> = c.prepare_cached(AGENT_BEFORE)?.query_row(key, |row| row.get(0)).optional()?;
            if before.is_some_and(|seq| seq >= *last_seq) {
                return Ok(false);
            }
            let listed = params![liveness, state, name, role, avatar, name_key, max_tokens];
            c.prepare_cached(if before.is_some() { UPDATE_AGENT } else { INSERT_AGENT })?.execute([key, every, listed].concat())?;
        }
        Columns::Mission {
            agent_id,
            next_run_at,
            awaiting_review,
            client_active_at,
            unscheduled,
            bad_schedule,
            title,
            objective,
            waiting_since,
            title_key,
        } => {
            let listed = params![
                liveness,
                state,
                agent_id,
                next_run_at,
                awaiting_review,
                client_active_at,
                unscheduled,
                waiting_since,
                title_key,
                bad_schedule
            ];
            let shown = params![title, objective];
            let before = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, bool>(2)?));
            let before = c.prepare_cached(MISSION_BEFORE)?.query_row([key, listed].concat(), before).optional()?;
            let after = (*liveness == "live").then_some(*state);
            match before {
                Some((seq, ..)) if seq >= *last_seq => return Ok(false),
                // Most of its indexes stay as they are.
                Some((_, _, true)) => c.prepare_cached(UPDATE_TEXTS)?.execute([key, every, shown].concat())?,
                Some((_, state, false)) => {
                    count(c, state.as_deref(), after)?;
                    c.prepare_cached(UPDATE_MISSION)?.execute([key, every, shown, listed].concat())?
                }
                None => {
                    count(c, None, after)?;
                    c.prepare_cached(INSERT_MISSION)?.execute([key, every, shown, listed].concat())?
                }
            };
        }
    };
    Ok(true)
}

const AGENT_BEFORE: &str = "SELECT last_seq FROM agent_snapshots WHERE user_id = ?1 AND agent_id = ?2";
/// Its place in the log, its state where it lives, and whether it is listed as before.
const MISSION_BEFORE: &str = "SELECT last_seq, CASE liveness WHEN 'live' THEN state END, liveness = ?3 AND state = ?4 AND agent_id IS ?5 \
     AND next_run_at IS ?6 AND awaiting_review = ?7 AND client_active_at IS ?8 AND unscheduled = ?9 AND waiting_since IS ?10 \
     AND title_key = ?11 AND bad_schedule = ?12 FROM mission_snapshots WHERE user_id = ?1 AND mission_id = ?2";
const INSERT_AGENT: &str = "INSERT INTO agent_snapshots (user_id, agent_id, last_seq, last_applied_at, updated_at, field_meta, record, \
     liveness, state, name, role, avatar, name_key, max_tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
const UPDATE_AGENT: &str = "UPDATE agent_snapshots SET last_seq = ?3, last_applied_at = ?4, updated_at = ?5, field_meta = ?6, record = ?7, \
     liveness = ?8, state = ?9, name = ?10, role = ?11, avatar = ?12, name_key = ?13, max_tokens = ?14 WHERE user_id = ?1 AND agent_id = ?2";
const INSERT_MISSION: &str = "INSERT INTO mission_snapshots (user_id, mission_id, last_seq, last_applied_at, updated_at, field_meta, record, \
     title, objective, liveness, state, agent_id, next_run_at, awaiting_review, client_active_at, unscheduled, waiting_since, \
     title_key, bad_schedule, next_key) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, coalesce(?13, 9223372036854775807))";
const UPDATE_MISSION: &str = "UPDATE mission_snapshots SET last_seq = ?3, last_applied_at = ?4, updated_at = ?5, field_meta = ?6, \
     record = ?7, title = ?8, objective = ?9, liveness = ?10, state = ?11, agent_id = ?12, next_run_at = ?13, awaiting_review = ?14, \
     client_active_at = ?15, unscheduled = ?16, waiting_since = ?17, title_key = ?18, bad_schedule = ?19, \
     next_key = coalesce(?13, 9223372036854775807) WHERE user_id = ?1 AND mission_id = ?2";
const UPDATE_TEXTS: &str = "UPDATE mission_snapshots SET last_seq = ?3, last_applied_at = ?4, updated_at = ?5, field_meta = ?6, record = ?7, \
     title = ?8, objective = ?9 WHERE user_id = ?1 AND mission_id = ?2";

/// Counts a live mission that had one state before and has another now.
pub(super) fn count(c: &Db<'_>, before: Option<&str>, after: Option<&str>) -> db::Result<()> {
    if before == after {
        return Ok(());
    }
    let changes = [(before, -1), (after, 1)];
    changes.into_iter().try_for_each(|(state, by)| state.map_or(Ok(()), |state| add_missions(c, state, by)))
}

/// Counts live missions by state, so that a scrape never counts them; a trigger would slow each write.
pub(super) fn add_missions(c: &Db<'_>, state: &str, by: i64) -> db::Result<()> {
    let add = "UPDATE mission_counts SET missions = missions + ?2 WHERE state = ?1";
    c.prepare_cached(add)?.execute(params![state, by]).map(drop)
}

/// The rows of a record up to `upto`, folded; `None` where they make no record.
pub(super) fn fold(connection: &Db<'_>, table: Table, user: &UserId, id: &str, upto: i64) -> db::Result<Option<Folded>> {
    let mut statement = connection.prepare_cached(&RECORD.replace("{}", COLUMNS))?;
    let mut rows = statement.query(params![user, "ai", table.log_name(), id])?;
    let mut folded = Folded::default();
    while let Some(row) = &rows.next()? {
        let seq: i64 = row.get(place::SEQ)?;
        if seq <= upto
            && let Ok(delta) = delta(row)?
        {
            folded.take(id, delta, seq, row.get(place::SYNC_AT)?);
        }
    }
    Ok(Some(folded).filter(Folded::is_to_be_saved))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::removal::let_in_again;
    use super::*;
    use crate::domain::limits::admit;
    use crate::domain::{agent, change};
    use crate::store::{Options, StoreError};

    async fn add_agent(store: &Store, id: &str) {
        let line = json!({
            "appId": "ai", "table": "agents", "recordId": id, "userId": "anna", "op": "insert", "data": {"name": id, "role": "r"},
            "createdAt": "2026-04-15T07:00:00.000000Z", "clientId": "test",
        });
        let change = change::from_json(line.as_object().unwrap().into(), || uuid::Uuid::new_v4().to_string()).unwrap();
        store.append([Ok::<_, StoreError>(admit(change).unwrap())]).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_folded_of_rows_that_went_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &Options::default()).unwrap();
        let anna = UserId::from("anna");
        let bounds = BatchBounds { rows: 10, records: 10, bytes: 1_000 };
        add_agent(&store, "old").await;
        let batch = store.read_as_of_now(move |reads| script::fold_batch(reads, Table::Agents, bounds)).await.unwrap().unwrap();

        store.begin_removal(&anna).await.unwrap();
        while !store.remove_batch(&anna).await.unwrap().done {}
        let anna_comes = anna.clone();
        assert!(store.write(move |tx| tx.sql(|c| let_in_again(c, &anna_comes))).await.unwrap());
        add_agent(&store, "new").await;

        let (refreshed, more) = store.write(move |tx| script::write_batch(tx, Table::Agents, batch)).await.unwrap();
        assert_eq!((refreshed.new, more), (1, false));
        let agents = store.snapshots::<agent::Agent>(Some(anna)).await.unwrap();
        assert_eq!(agents.iter().map(|agent| agent.id.as_str()).collect::<Vec<_>>(), ["new"]);
    }
}
