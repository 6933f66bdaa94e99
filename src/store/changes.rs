//! The change log: appending and reading (DESIGN, section 2).

use rusqlite::{Connection, Row, ToSql, params};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::writer::Tx;
use super::{Store, StoreError, StoreResult};
use crate::domain::change::{Change, Op, Verbatim};
use crate::domain::merge::{Delta, FieldMeta, Fold, own_stamp};
use crate::domain::time;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Appended {
    /// Rows that are new in the log.
    pub added: u64,
    /// Rows whose event id the log already had.
    pub known: u64,
}

/// A row with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    pub seq: i64,
    /// Microseconds, strictly increasing with `seq`.
    pub sync_at: i64,
    /// `created_at` is always set.
    pub change: Change,
}

/// Which rows a reader of the log wants; `None` takes all.
#[derive(Debug, Clone, Default)]
pub struct RowFilter {
    pub user: Option<String>,
    pub app: Option<String>,
    pub table: Option<String>,
}

/// The columns of a row, those of [`delta`] first.
pub(super) const COLUMNS: &str = "op, data, field_meta, created_at, seq, sync_at, id, app_id, table_name, record_id, user_id, space_id, \
     client_id, schema_version, actor, origin";

/// The rows of one record.
pub(super) const RECORD: &str =
    "SELECT {} FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3 AND record_id = ?4 ORDER BY seq";

/// Stands in `field_meta`, which is never null here, for the null of another database.
pub(super) const NO_FIELD_META: &str = "";

const INSERT: &str = "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, \
     client_id, created_at, sync_at, schema_version, actor, origin) \
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15 \
     WHERE NOT EXISTS (SELECT 1 FROM sync_changes WHERE id = ?1)";

impl Store {
    /// Appends all changes in one transaction, in their order; changes whose event id is known are passed over.
    ///
    /// # Errors
    /// The first error of `changes` or of the database; nothing is kept then.
    pub async fn append<I, E>(&self, changes: I) -> Result<Appended, E>
    where
        I: IntoIterator<Item = Result<Change, E>> + Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.write(move |tx| {
            let mut appended = Appended::default();
            for change in changes {
                let new = append_one(tx, &change?)?;
                appended.added += u64::from(new);
                appended.known += u64::from(!new);
            }
            Ok(appended)
        })
        .await
    }

    /// Appends what a client pushed, all in one transaction; changes whose event id is known are passed over.
    ///
    /// # Errors
    /// When the database cannot be written; nothing is kept then.
    pub async fn push(&self, changes: Vec<Change>) -> StoreResult<Appended> {
        self.write(move |tx| {
            let mut appended = Appended::default();
            for change in changes {
                let new = push_one(tx, change)?;
                appended.added += u64::from(new);
                appended.known += u64::from(!new);
            }
            Ok(appended)
        })
        .await
    }

    /// Rows after `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rows_after(&self, filter: RowFilter, seq: i64, limit: u32) -> StoreResult<Vec<LogRow>> {
        self.read(move |c| page(c, &filter, seq, limit, log_row)).await
    }

    /// Like [`Store::rows_after`], with the JSON columns as they stand there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rows_verbatim_after(&self, filter: RowFilter, seq: i64, limit: u32) -> StoreResult<Vec<LogRow>> {
        self.read(move |c| page(c, &filter, seq, limit, verbatim_row)).await
    }

    /// Folds the records of one user that a mission links, without a snapshot (DESIGN, section 8).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn replay(&self, user: &str, app: &str, table: &str, record: &str) -> StoreResult<Fold> {
        let (user, app, table, record) = (user.to_owned(), app.to_owned(), table.to_owned(), record.to_owned());
        self.read(move |c| {
            let query = RECORD.replace("{}", COLUMNS);
            let mut fold = Fold::default();
            let mut statement = c.prepare_cached(&query)?;
            let mut rows = statement.query(params![user, app, table, record])?;
            while let Some(row) = rows.next()? {
                fold.apply(&record, delta(row)?);
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
                c.prepare_cached("INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2")?
                    .execute(params![name, value])
                    .map(drop)
            })
        })
        .await
    }
}

fn page<T>(
    connection: &Connection,
    filter: &RowFilter,
    seq: i64,
    limit: u32,
    read: fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut query = format!("SELECT {COLUMNS} FROM sync_changes WHERE seq > ?1");
    let mut given: Vec<&dyn ToSql> = vec![&seq];
    for (column, value) in [("user_id", &filter.user), ("app_id", &filter.app), ("table_name", &filter.table)] {
        if let Some(value) = value {
            given.push(value);
            // The plus keeps SQLite on the order of the log, so that a page costs what it reads.
            query += &format!(" AND +{column} = ?{}", given.len());
        }
    }
    query += &format!(" ORDER BY seq LIMIT {limit}");
    connection.prepare_cached(&query)?.query_map(given.as_slice(), read)?.collect()
}

/// Appends one change in the running transaction; `false` where its event id is known.
pub(super) fn append_one(tx: &Tx<'_>, change: &Change) -> StoreResult<bool> {
    let sync_at = tx.sql(|_| tx.next_sync_at())?;
    insert(tx, change, sync_at)
}

/// Appends a change of a client. A later insert of a record that says no time of its own counts from the time of its row
/// (docs/design.md, section 3, rule 2); that is spelled out, since other clients see the rows but not which came first.
fn push_one(tx: &Tx<'_>, mut change: Change) -> StoreResult<bool> {
    let sync_at = tx.sql(|_| tx.next_sync_at())?;
    if change.op == Op::Insert && change.data.as_ref().is_some_and(|data| own_stamp(data).is_none()) && is_known(tx, &change)? {
        let stamp = time::stamp(time::from_micros(sync_at));
        for field in change.data.iter().flat_map(|data| data.keys()).filter(|field| *field != "id") {
            change.field_meta.entry(field.clone()).or_insert_with(|| stamp.clone());
        }
    }
    insert(tx, &change, sync_at)
}

/// Whether the log has a row of this change's record.
fn is_known(tx: &Tx<'_>, change: &Change) -> StoreResult<bool> {
    let query = RECORD.replace("{}", "1");
    tx.sql(|c| c.prepare_cached(&query)?.exists(params![change.user_id, change.app_id, change.table, change.record_id]))
}

fn insert(tx: &Tx<'_>, change: &Change, sync_at: i64) -> StoreResult<bool> {
    let texts = change.texts();
    tx.sql(|c| {
        let added = c.prepare_cached(INSERT)?.execute(params![
            change.event_id,
            change.app_id,
            change.table,
            change.record_id,
            change.user_id,
            change.space_id,
            change.op.as_str(),
            texts.data,
            texts.field_meta.as_deref().unwrap_or(NO_FIELD_META),
            change.client_id,
            change.created_at.map_or(sync_at, time::to_micros),
            sync_at,
            change.schema_version,
            texts.actor,
            change.origin,
        ])?;
        Ok(added == 1)
    })
}

pub(super) fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    let Delta { op, data, field_meta, created_at } = delta(row)?;
    Ok(LogRow {
        seq: row.get("seq")?,
        sync_at: row.get("sync_at")?,
        change: Change {
            event_id: row.get("id")?,
            app_id: row.get("app_id")?,
            table: row.get("table_name")?,
            record_id: row.get("record_id")?,
            user_id: row.get("user_id")?,
            space_id: row.get("space_id")?,
            op,
            data,
            field_meta,
            client_id: row.get("client_id")?,
            created_at: Some(created_at),
            schema_version: row.get("schema_version")?,
            actor: row.get::<_, Option<String>>("actor")?.map(|text| from_text(&text)).filter(|v: &Value| !v.is_null()),
            origin: row.get("origin")?,
            verbatim: None,
        },
    })
}

/// A row with its JSON columns as they stand there.
fn verbatim_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    let mut read = log_row(row)?;
    let field_meta: String = row.get("field_meta")?;
    let field_meta = Some(field_meta).filter(|text| text != NO_FIELD_META);
    read.change.verbatim = Some(Box::new(Verbatim { data: row.get("data")?, field_meta, actor: row.get("actor")? }));
    Ok(read)
}

/// The part of a row that a fold needs, from a query whose first columns are `op, data, field_meta, created_at`: by place,
/// since a look-up by name costs more than the fold.
pub(super) fn delta(row: &Row<'_>) -> rusqlite::Result<Delta> {
    Ok(Delta {
        // The schema allows no other.
        op: Op::parse(row.get_ref(0)?.as_str()?).unwrap_or(Op::Update),
        data: row.get_ref(1)?.as_str_or_null()?.and_then(from_text),
        field_meta: from_text::<FieldMeta>(row.get_ref(2)?.as_str()?).0,
        created_at: time::from_micros(row.get(3)?),
    })
}

/// JSON text for a column.
pub(super) fn to_text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

/// Reads a column that this program wrote; damaged text reads as the default, since a fold must go on.
pub(super) fn from_text<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

/// The last `seq` of the log, 0 where it is empty.
pub(super) fn last_seq(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM sync_changes")?.query_row([], |row| row.get(0))
}
