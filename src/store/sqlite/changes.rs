//! The change log: appending and reading (docs/design.md, section 2).

use std::sync::atomic::Ordering;

use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::error::Unreadable;
use super::{LogRow, RowFilter, SetAside, Store, StoreResult};
use crate::domain::ceilings::LogUsage;
use crate::domain::change::{Change, Verbatim};
use crate::domain::ids::UserId;
use crate::domain::limits::{Contents, NO_FIELD_META, Stored, Unusable, read_back};
use crate::domain::merge::{Delta, Fold};
use crate::domain::raw::RawRecord;
use crate::domain::time;
use crate::store::db::{self, Db, FromSqlResult, OptionalExtension, Row, ToSql, Value, params};

/// The columns of a row, in the order in which they are read here.
macro_rules! columns {
    () => {
        "op, data, field_meta, created_at, seq, sync_at, id, app_id, table_name, record_id, user_id, space_id, client_id, \
         schema_version, actor, origin"
    };
}
pub(super) use columns;

pub(super) const COLUMNS: &str = columns!();

/// Their places: a look-up by name costs more than a fold.
pub(super) mod place {
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

/// Its triggers make it several writes; where one fails with FAIL, nothing was written, and SQLite keeps no journal for it.
const INSERT: &str = "INSERT OR FAIL INTO sync_changes (seq, id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, \
     client_id, created_at, sync_at, schema_version, actor, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

impl Store {
    /// What a user has in the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn log_usage(&self, user: UserId) -> StoreResult<LogUsage> {
        self.read(move |c| log_usage(c, &user)).await
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

pub(super) fn log_usage(connection: &Db<'_>, user: &UserId) -> db::Result<LogUsage> {
    let mut query = connection.prepare_cached("SELECT rows, bytes FROM user_log WHERE user_id = ?1")?;
    let usage = query.query_row([user], |row| Ok(LogUsage { rows: row.get(0)?, bytes: row.get(1)? })).optional()?;
    Ok(usage.unwrap_or_default())
}

/// Writes a row that was put to the limits; `false` where its user's log has a row of its event id.
pub(super) fn insert(c: &Db<'_>, row: &Stored<'_>, seq: i64, created_at: i64, sync_at: i64) -> db::Result<bool> {
    let is_there = "SELECT 1 FROM sync_changes WHERE user_id = ?1 AND id = ?2";
    if c.prepare_cached(is_there)?.exists([row.user_id, row.event_id])? {
        return Ok(false);
    }
    let given = params![
        seq,
        row.event_id,
        row.app_id,
        row.table,
        row.record_id,
        row.user_id,
        row.space_id,
        row.op,
        row.data,
        row.field_meta,
        row.client_id,
        created_at,
        sync_at,
        row.schema_version,
        row.actor,
        row.origin,
    ];
    insert_given(c, (row.user_id, row.event_id), given)
}

/// Writes a row as another database has it, of the values of [`COLUMNS`].
pub(super) fn insert_values(c: &Db<'_>, row: &[Value]) -> db::Result<()> {
    use place::*;
    let as_inserted = [
        SEQ,
        ID,
        APP_ID,
        TABLE,
        RECORD_ID,
        USER_ID,
        SPACE_ID,
        OP,
        DATA,
        FIELD_META,
        CLIENT_ID,
        CREATED_AT,
        SYNC_AT,
        SCHEMA_VERSION,
        ACTOR,
        ORIGIN,
    ];
    let given = as_inserted.map(|at| &row[at] as &dyn ToSql);
    let (Value::Text(user), Value::Text(event)) = (&row[USER_ID], &row[ID]) else { return Err(db::Error::InvalidQuery) };
    insert_given(c, (user, event), &given).map(drop)
}

fn insert_given(c: &Db<'_>, id: (&str, &str), given: &[&dyn ToSql]) -> db::Result<bool> {
    match c.sqlite() {
        Some(_) => c.prepare_cached(INSERT)?.execute(given).map(|_| true),
        None => insert_in_order(c, id, given),
    }
}

/// The row under a UUID, and its place in the order. Postgres keeps the ids of all users in one column.
const INSERT_IN_ORDER: &str = "WITH new AS (INSERT INTO public.sync_changes (id, app_id, table_name, record_id, user_id, space_id, op, data, \
     field_meta, client_id, created_at, schema_version, actor, origin) VALUES (CAST(CAST(?17 AS TEXT) AS UUID), ?3, ?4, ?5, ?6, ?7, ?8, \
     CAST(CAST(?9 AS TEXT) AS JSONB), CAST(nullif(CAST(?10 AS TEXT), '') AS JSONB), ?11, TIMESTAMPTZ 'epoch' + CAST(?12 AS BIGINT) * INTERVAL '1 microsecond', \
     CAST(?14 AS BIGINT), CAST(CAST(?15 AS TEXT) AS JSONB), ?16) ON CONFLICT DO NOTHING RETURNING id) \
     INSERT INTO log_order (seq, sync_at, row_id, id, user_id, app_id, table_name, record_id, bytes) \
     SELECT CAST(?1 AS BIGINT), CAST(?13 AS BIGINT), new.id, CAST(?2 AS TEXT), CAST(?6 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS TEXT), \
     CAST(?5 AS TEXT), coalesce(octet_length(CAST(?9 AS TEXT)), 0) + octet_length(CAST(?10 AS TEXT)) \
     + coalesce(octet_length(CAST(?15 AS TEXT)), 0) FROM new";

fn insert_in_order(c: &Db<'_>, (user, event): (&str, &str), given: &[&dyn ToSql]) -> db::Result<bool> {
    // What is no UUID, or is one of another user's rows already, has one made of the user and the id.
    let own = Uuid::try_parse(event).ok();
    let mut made = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in [user, "\0", event] {
        made.update(part.as_bytes());
    }
    let made = made.finish().as_ref().first_chunk::<16>().map(|bytes| Uuid::new_v8(*bytes));
    for id in own.into_iter().chain(made) {
        let id = id.to_string();
        let given: Vec<&dyn ToSql> = given.iter().copied().chain([&id as &dyn ToSql]).collect();
        if c.prepare_cached(INSERT_IN_ORDER)?.execute(given)? == 1 {
            return Ok(true);
        }
    }
    Ok(false)
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
pub(super) fn delta(row: &Row<'_>) -> db::Result<Result<Delta, SetAside>> {
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
fn places(connection: &Db<'_>) -> &'static str {
    if connection.sqlite().is_some() { "sync_changes" } else { "log_order" }
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

/// The last `seq` that the log had, 0 where it never had a row.
pub(super) fn last_seq(connection: &Db<'_>) -> db::Result<i64> {
    let query = format!("SELECT max(coalesce((SELECT max(seq) FROM {}), 0), (SELECT seq FROM log_end))", places(connection));
    connection.prepare_cached(&query)?.query_row(params![], |row| row.get(0))
}

/// The last `sync_at` that the log had, 0 where it never had a row.
pub(super) fn last_sync_at(connection: &Db<'_>) -> db::Result<i64> {
    let last = format!("SELECT sync_at FROM {} ORDER BY seq DESC LIMIT 1", places(connection));
    let query = format!("SELECT max(coalesce(({last}), 0), (SELECT sync_at FROM log_end))");
    connection.prepare_cached(&query)?.query_row(params![], |row| row.get(0))
}
