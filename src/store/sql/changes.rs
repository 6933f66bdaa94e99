//! The change log: appending and reading (docs/design.md, section 2).

use std::sync::atomic::Ordering;

use serde::de::DeserializeOwned;

use super::error::Unreadable;
use super::removal::is_removed;
use super::{LogRow, RowFilter, SetAside, Store, StoreResult, log_rows, server_rows};
use crate::domain::ceilings::LogUsage;
use crate::domain::change::{Change, Verbatim};
use crate::domain::ids::UserId;
use crate::domain::limits::{Contents, NO_FIELD_META, Stored, Unusable, read_back};
use crate::domain::merge::{Delta, Fold};
use crate::domain::raw::RawRecord;
use crate::domain::time;
use crate::store::db::{self, Db, FromSqlResult, OptionalExtension, Row, ToSql, Value, params};
use crate::store::tx::{NewRow, PlacedRow};

/// The columns of a row, in the order in which they are read here.
macro_rules! columns {
    () => {
        "op, data, field_meta, created_at, seq, sync_at, id, app_id, table_name, record_id, user_id, space_id, client_id, \
         schema_version, actor, origin"
    };
}
pub(super) use columns;

pub(in crate::store) const COLUMNS: &str = columns!();

/// Their places: a look-up by name costs more than a fold.
pub(in crate::store) mod place {
    pub const OP: usize = 0;
    pub const DATA: usize = 1;
    pub const FIELD_META: usize = 2;
    pub const CREATED_AT: usize = 3;
    pub const SEQ: usize = 4;
    pub const SYNC_AT: usize = 5;
    pub const ID: usize = 6;
    pub const APP_ID: usize = 7;
    pub const TABLE: usize = 8;
    pub const RECORD_ID: usize = 9;
    pub const USER_ID: usize = 10;
    pub const SPACE_ID: usize = 11;
    pub const CLIENT_ID: usize = 12;
    pub const SCHEMA_VERSION: usize = 13;
    pub const ACTOR: usize = 14;
    pub const ORIGIN: usize = 15;
}

/// An export reads no further row into a page of this many bytes.
const EXPORT_BYTES: usize = 8 * 1024 * 1024;

/// The rows of one record.
pub(super) const RECORD: &str =
    "SELECT {} FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 AND record_id = ?4 ORDER BY seq";

impl Store {
    /// What a user has in the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn log_usage(&self, user: UserId) -> StoreResult<LogUsage> {
        Ok(self.read(move |c| log_usage(c, &[&user])).await?.first().copied().unwrap_or_default())
    }

    /// Texts in which this process replaced what no text can hold, on their way into the log.
    pub fn replaced_texts(&self) -> u64 {
        self.shared.writer.oddities().replaced_texts.load(Ordering::Relaxed)
    }

    /// Stamps far ahead of the clock that this process took into the log.
    pub fn future_stamps(&self) -> u64 {
        self.shared.writer.oddities().future_stamps.load(Ordering::Relaxed)
    }

    /// Rows after `seq`, oldest first, of at most `limit`; those that are set aside are passed over.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rows_after(&self, filter: RowFilter, seq: i64, limit: u32) -> StoreResult<Vec<LogRow>> {
        let rows = self.read(move |c| page(c, &filter, seq, (limit, usize::MAX), log_row)).await?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// Rows after `seq`, oldest first, each or why it is set aside: at most `limit`, and fewer where they are large; none
    /// where there are no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn export_after(&self, filter: RowFilter, seq: i64, limit: u32) -> StoreResult<Vec<Result<LogRow, SetAside>>> {
        self.read(move |c| page(c, &filter, seq, (limit, EXPORT_BYTES), log_row)).await
    }

    /// Like [`Store::export_after`], with the JSON columns as they stand there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn export_verbatim_after(&self, filter: RowFilter, seq: i64, limit: u32) -> StoreResult<Vec<Result<LogRow, SetAside>>> {
        self.read(move |c| page(c, &filter, seq, (limit, EXPORT_BYTES), verbatim_row)).await
    }

    /// Folds the records of one user that a mission links, without a snapshot (docs/design.md, section 8).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn replay(&self, user: &UserId, app: &str, table: &str, record: &str) -> StoreResult<Fold> {
        let (user, app, table, record) = (user.to_owned(), app.to_owned(), table.to_owned(), record.to_owned());
        self.read(move |c| {
            let query = RECORD.replace("{}", COLUMNS);
            let mut fold = Fold::default();
            let mut statement = c.prepare_cached(&query)?;
            let mut rows = statement.query(params![user, app, table, record])?;
            while let Some(row) = &rows.next()? {
                if let Ok(delta) = delta(row)? {
                    fold.apply(&record, delta);
                }
            }
            Ok(fold)
        })
        .await
    }

    /// A fact that was set about this database.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn fact(&self, name: &'static str) -> StoreResult<Option<String>> {
        self.read(move |c| {
            c.prepare_cached("SELECT value FROM facts WHERE name = ?1")?.query_map([name], |row| row.get(0))?.next().transpose()
        })
        .await
    }

    /// Sets a fact about this database.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_fact(&self, name: &'static str, value: String) -> StoreResult<()> {
        self.write(move |tx| {
            tx.sql(|c| {
                c.prepare_cached("INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")?
                    .execute(params![name, value])
                    .map(drop)
            })
        })
        .await
    }
}

fn page<T>(
    connection: &Db<'_>,
    filter: &RowFilter,
    seq: i64,
    (limit, most): (u32, usize),
    read: fn(&Row<'_>) -> db::Result<T>,
) -> db::Result<Vec<T>> {
    let mut query = format!("SELECT {COLUMNS} FROM sync_changes WHERE seq > ?1");
    let mut given: Vec<&dyn ToSql> = vec![&seq];
    let user = filter.user.as_ref().map(|user| user as &dyn ToSql);
    let [app, table] = [&filter.app, &filter.table].map(|name| name.as_ref().map(|name| name as &dyn ToSql));
    for (column, value) in [("user_id", user), ("app_id", app), ("table_name", table)] {
        if let Some(value) = value {
            given.push(value);
            // The plus keeps SQLite on the order of the log, so that a page costs what it reads.
            let plus = if connection.sqlite().is_some() { "+" } else { "" };
            query += &format!(" AND {plus}{column} = ?{}", given.len());
        }
    }
    query += &format!(" ORDER BY seq LIMIT {limit}");
    let mut statement = connection.prepare_cached(&query)?;
    let mut rows = statement.query(given.as_slice())?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    while bytes < most
        && let Some(row) = &rows.next()?
    {
        // A damaged row is told by whoever reads it.
        bytes += row.get_ref(place::DATA)?.as_bytes_or_null().ok().flatten().map_or(0, <[u8]>::len);
        page.push(read(row)?);
    }
    Ok(page)
}

/// What each of these users has in the log.
pub(super) fn log_usage(c: &Db<'_>, users: &[&UserId]) -> db::Result<Vec<LogUsage>> {
    let usage = |row: &Row<'_>| Ok(LogUsage { rows: row.get(0)?, bytes: row.get(1)? });
    if c.sqlite().is_none() {
        return server_rows::log_usage(c, users, usage);
    }
    let mut query = c.prepare_cached("SELECT rows, bytes FROM user_log WHERE user_id = ?1")?;
    users.iter().map(|user| Ok(query.query_row([user], usage).optional()?.unwrap_or_default())).collect()
}

/// Whether the log has a row of the record of each of these.
pub(super) fn have_records(c: &Db<'_>, changes: &[&Change]) -> db::Result<Vec<bool>> {
    if c.sqlite().is_none() {
        return server_rows::have_records(c, changes);
    }
    let mut query = c.prepare_cached(&RECORD.replace("{}", "1"))?;
    changes.iter().map(|change| query.exists(params![change.user_id, change.app_id, change.table, change.record_id])).collect()
}

/// What the log has of a new row.
#[derive(Debug, Clone, Copy)]
pub(super) struct KnownRow {
    /// Its user was removed.
    pub user_is_removed: bool,
    /// Its user's log has a row of its event id.
    pub event: bool,
}

/// Looks new rows up in the log.
pub(super) fn look_up(c: &Db<'_>, rows: &[NewRow<'_>]) -> db::Result<Vec<KnownRow>> {
    if c.sqlite().is_none() {
        return server_rows::look_up(c, rows);
    }
    let mut is_there = c.prepare_cached(log_rows::EVENT)?;
    let mut last = None;
    let known = rows.iter().map(|NewRow { row, .. }| {
        // Most come from one user.
        let user_is_removed = match last {
            Some((user, is_removed)) if user == row.user_id => is_removed,
            _ => is_removed(c, row.user_id)?,
        };
        last = Some((row.user_id, user_is_removed));
        Ok(KnownRow { user_is_removed, event: is_there.exists([row.user_id, row.event_id])? })
    });
    known.collect()
}

/// Writes rows that the log does not have.
pub(super) fn insert(c: &Db<'_>, rows: &[PlacedRow<'_>]) -> db::Result<()> {
    if c.sqlite().is_none() {
        return server_rows::insert(c, rows);
    }
    log_rows::insert(c, rows)
}

/// Writes rows as another database has them, of the values of [`COLUMNS`].
pub(super) fn insert_values(c: &Db<'_>, rows: &[Vec<Value>]) -> db::Result<()> {
    let new = rows.iter().map(|row| new_row(row)).collect::<db::Result<Vec<_>>>()?;
    let places = rows.iter().map(|row| integer(row, place::SEQ));
    let placed = new.iter().zip(places).map(|(new, seq)| Ok(PlacedRow { seq: seq?, new }));
    insert(c, &placed.collect::<db::Result<Vec<_>>>()?)
}

fn new_row(values: &[Value]) -> db::Result<NewRow<'_>> {
    use place::*;
    let cell = |at: usize| match &values[at] {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text.as_str())),
        other => Err(db::Error::InvalidColumnType(at, "a text".into(), other.data_type())),
    };
    let text = |at: usize| cell(at)?.ok_or(db::Error::InvalidColumnType(at, "a text".into(), db::Type::Null));
    let row = Stored {
        event_id: text(ID)?,
        app_id: text(APP_ID)?,
        table: text(TABLE)?,
        record_id: text(RECORD_ID)?,
        user_id: text(USER_ID)?,
        space_id: cell(SPACE_ID)?,
        op: text(OP)?,
        data: cell(DATA)?,
        field_meta: text(FIELD_META)?,
        client_id: text(CLIENT_ID)?,
        schema_version: integer(values, SCHEMA_VERSION)?,
        actor: cell(ACTOR)?,
        origin: cell(ORIGIN)?,
    };
    Ok(NewRow { row, created_at: integer(values, CREATED_AT)?, sync_at: integer(values, SYNC_AT)? })
}

fn integer(values: &[Value], at: usize) -> db::Result<i64> {
    match &values[at] {
        Value::Integer(number) => Ok(*number),
        other => Err(db::Error::InvalidColumnType(at, "a number".into(), other.data_type())),
    }
}

/// A row, or why it is set aside. Its query has [`COLUMNS`] first.
pub(super) fn log_row(row: &Row<'_>) -> db::Result<Result<LogRow, SetAside>> {
    let seq = row.get(place::SEQ)?;
    Ok(whole_row(row).map_err(|why| SetAside { seq, why }))
}

fn whole_row(row: &Row<'_>) -> Result<LogRow, Unusable> {
    let stored = stored(row)?;
    let Contents { op, data, field_meta } = read_back(&stored)?;
    let actor = match stored.actor {
        None => None,
        Some(text) => serde_json::from_str(text).map_err(|_| Unusable::Damaged("actor"))?,
    };
    let micros = |at: usize, name: &'static str| row.get(at).map_err(|_| Unusable::Damaged(name));
    Ok(LogRow {
        seq: micros(place::SEQ, "seq")?,
        sync_at: micros(place::SYNC_AT, "sync_at")?,
        change: Change {
            event_id: stored.event_id.to_owned(),
            app_id: stored.app_id.to_owned(),
            table: stored.table.to_owned(),
            record_id: stored.record_id.to_owned(),
            user_id: stored.user_id.into(),
            space_id: stored.space_id.map(str::to_owned),
            op,
            data,
            field_meta,
            client_id: stored.client_id.to_owned(),
            created_at: Some(time::from_micros(micros(place::CREATED_AT, "created_at")?)),
            schema_version: stored.schema_version,
            actor,
            origin: stored.origin.map(str::to_owned),
            verbatim: None,
        },
    })
}

/// A row as it stands there, of texts that are read only where they are asked for.
fn stored<'a>(row: &'a Row<'_>) -> Result<Stored<'a>, Unusable> {
    let cell = |at: usize, name: &'static str| -> Result<Option<&'a str>, Unusable> {
        let text = row.get_ref(at).map(|value| -> FromSqlResult<_> { value.as_str_or_null() });
        text.ok().and_then(FromSqlResult::ok).ok_or(Unusable::Damaged(name))
    };
    let text = |at: usize, name: &'static str| cell(at, name)?.ok_or(Unusable::Damaged(name));
    Ok(Stored {
        event_id: text(place::ID, "id")?,
        app_id: text(place::APP_ID, "app_id")?,
        table: text(place::TABLE, "table_name")?,
        record_id: text(place::RECORD_ID, "record_id")?,
        user_id: text(place::USER_ID, "user_id")?,
        space_id: cell(place::SPACE_ID, "space_id")?,
        op: text(place::OP, "op")?,
        data: cell(place::DATA, "data")?,
        field_meta: text(place::FIELD_META, "field_meta")?,
        client_id: text(place::CLIENT_ID, "client_id")?,
        schema_version: row.get(place::SCHEMA_VERSION).map_err(|_| Unusable::Damaged("schema_version"))?,
        actor: cell(place::ACTOR, "actor")?,
        origin: cell(place::ORIGIN, "origin")?,
    })
}

/// A row with its JSON columns as they stand there.
fn verbatim_row(row: &Row<'_>) -> db::Result<Result<LogRow, SetAside>> {
    let seq = row.get(place::SEQ)?;
    let verbatim = || {
        let (mut read, stored) = (whole_row(row)?, stored(row)?);
        let field_meta = Some(stored.field_meta).filter(|text| *text != NO_FIELD_META);
        let [data, field_meta, actor] = [stored.data, field_meta, stored.actor].map(|text| text.map(str::to_owned));
        read.change.verbatim = Some(Box::new(Verbatim { data, field_meta, actor }));
        Ok(read)
    };
    Ok(verbatim().map_err(|why| SetAside { seq, why }))
}

/// The part of a row that a fold needs, or why the fold passes over the row. Its query has [`COLUMNS`] first.
pub(in crate::store) fn delta(row: &Row<'_>) -> db::Result<Result<Delta, SetAside>> {
    let created_at = time::from_micros(row.get(place::CREATED_AT)?);
    let delta = stored(row).and_then(|stored| read_back(&stored));
    Ok(match delta {
        Ok(Contents { op, data, field_meta }) => Ok(Delta { op, data, field_meta, created_at }),
        Err(why) => Err(SetAside { seq: row.get(place::SEQ)?, why }),
    })
}

/// Reads a column that this program wrote; `what` names its row for whoever reads the error.
pub(super) fn from_text<T: DeserializeOwned>(text: &str, what: impl FnOnce() -> String) -> db::Result<T> {
    serde_json::from_str(text).map_err(|error| Unreadable::new(what(), &error).into())
}

/// The same for a record.
pub(super) fn record_from_text(text: &str, what: impl FnOnce() -> String) -> db::Result<RawRecord> {
    RawRecord::of_compact(text).map_err(|error| Unreadable::new(what(), &error).into())
}

/// What has the place of every row. On Postgres a row may be gone whose place is still there.
pub(super) fn places(connection: &Db<'_>) -> &'static str {
    if connection.sqlite().is_some() { "log_rows" } else { "log_order" }
}

/// Counts how often rows went.
const ROWS_WENT: &str = "rows went";

/// How often rows went out of the log by now.
pub(super) fn times_rows_went(connection: &Db<'_>) -> db::Result<i64> {
    let query = "SELECT CAST(value AS BIGINT) FROM facts WHERE name = ?1";
    Ok(connection.prepare_cached(query)?.query_row([ROWS_WENT], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Notes that rows of the log went.
pub(super) fn note_rows_went(connection: &Db<'_>) -> db::Result<()> {
    let count = "INSERT INTO facts (name, value) VALUES (?1, '1') \
                 ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(facts.value AS BIGINT) + 1 AS TEXT)";
    connection.prepare_cached(count)?.execute([ROWS_WENT]).map(drop)
}

/// Notes how far the log has come, before rows of it go.
pub(super) fn note_end(connection: &Db<'_>) -> db::Result<()> {
    let note = format!(
        "UPDATE log_end SET seq = max(seq, (SELECT coalesce(max(seq), 0) FROM {places})), \
         sync_at = max(sync_at, coalesce((SELECT sync_at FROM {places} ORDER BY seq DESC LIMIT 1), 0))",
        places = places(connection)
    );
    connection.execute(&note, params![]).map(drop)
}

/// The last place that the log had.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogEnd {
    pub seq: i64,
    pub sync_at: i64,
}

/// The last place that the log had, of zeros where it never had a row.
pub(super) fn log_end(connection: &Db<'_>) -> db::Result<LogEnd> {
    let places = places(connection);
    let query = format!(
        "SELECT max(coalesce((SELECT max(seq) FROM {places}), 0), seq), \
         max(coalesce((SELECT sync_at FROM {places} ORDER BY seq DESC LIMIT 1), 0), sync_at) FROM log_end"
    );
    connection.prepare_cached(&query)?.query_row(params![], |row| Ok(LogEnd { seq: row.get(0)?, sync_at: row.get(1)? }))
}
