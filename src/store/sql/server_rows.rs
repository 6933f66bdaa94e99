//! Rows of the log on a server: many are looked up, or appended, with one statement; and what other tables use of it.

use std::collections::HashSet;

use aws_lc_rs::digest;
use serde::Serialize;
use uuid::Uuid;

use super::changes::KnownRow;
use crate::domain::ceilings::LogUsage;
use crate::domain::change::Change;
use crate::domain::ids::UserId;
use crate::store::db::{self, Db};
use crate::store::tx::{NewRow, PlacedRow};

/// What one statement carries: rows, and about so many bytes of texts.
const MOST_ROWS: usize = 1_000;
const MOST_BYTES: usize = 4 * 1024 * 1024;

// What is compared one by one is looked up in an index, also while a plan stays that was made when the log was small.
const LOOK_UP: &str = "SELECT (SELECT 1 FROM removals r WHERE r.user_id = g.user_id) IS NOT NULL, \
     (SELECT 1 FROM log_order o WHERE o.user_id = g.user_id AND o.id = g.id) IS NOT NULL \
     FROM json_to_recordset(CAST(CAST(?1 AS TEXT) AS JSON)) AS g (n BIGINT, user_id TEXT, id TEXT) ORDER BY g.n";

const HAVE_RECORDS: &str = "SELECT (SELECT 1 FROM log_order o WHERE o.user_id = g.user_id AND o.app_id = g.app_id \
     AND o.table_name = g.table_name AND o.record_id = g.id LIMIT 1) IS NOT NULL \
     FROM json_to_recordset(CAST(CAST(?1 AS TEXT) AS JSON)) AS g (n BIGINT, user_id TEXT, app_id TEXT, table_name TEXT, id TEXT) ORDER BY g.n";

const LOG_USAGE: &str = "SELECT coalesce(u.rows, 0), coalesce(u.bytes, 0) \
     FROM json_to_recordset(CAST(CAST(?1 AS TEXT) AS JSON)) AS g (n BIGINT, user_id TEXT) LEFT JOIN user_log u ON u.user_id = g.user_id ORDER BY g.n";

/// Rows and their places in the order; answers the places that were taken.
const INSERT: &str = "WITH given AS MATERIALIZED (SELECT * FROM json_to_recordset(CAST(CAST(?1 AS TEXT) AS JSON)) AS g (seq BIGINT, sync_at BIGINT, \
     row_id UUID, id TEXT, app_id TEXT, table_name TEXT, record_id TEXT, user_id TEXT, space_id TEXT, op TEXT, data TEXT, field_meta TEXT, \
     client_id TEXT, created_at BIGINT, schema_version BIGINT, actor TEXT, origin TEXT)), \
     new AS (INSERT INTO public.sync_changes (id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at, \
     schema_version, actor, origin) \
     SELECT row_id, app_id, table_name, record_id, user_id, space_id, op, CAST(data AS JSONB), CAST(nullif(field_meta, '') AS JSONB), client_id, \
     TIMESTAMPTZ 'epoch' + created_at * INTERVAL '1 microsecond', schema_version, CAST(actor AS JSONB), origin FROM given \
     ON CONFLICT DO NOTHING RETURNING id), \
     placed AS (INSERT INTO log_order (seq, sync_at, row_id, id, user_id, app_id, table_name, record_id, bytes) \
     SELECT g.seq, g.sync_at, g.row_id, g.id, g.user_id, g.app_id, g.table_name, g.record_id, \
     coalesce(octet_length(g.data), 0) + octet_length(g.field_meta) + coalesce(octet_length(g.actor), 0) \
     FROM given g JOIN new ON new.id = g.row_id RETURNING seq) \
     SELECT seq FROM placed";

/// What is looked up, and the place of its answer.
#[derive(Serialize, Default)]
pub(super) struct SoughtRow<'a> {
    pub n: usize,
    pub user_id: &'a str,
    pub app_id: &'a str,
    pub table_name: &'a str,
    pub id: &'a str,
}

#[derive(Serialize)]
struct GivenRow<'a> {
    seq: i64,
    sync_at: i64,
    row_id: String,
    id: &'a str,
    app_id: &'a str,
    table_name: &'a str,
    record_id: &'a str,
    user_id: &'a str,
    space_id: Option<&'a str>,
    op: &'a str,
    data: Option<&'a str>,
    field_meta: &'a str,
    client_id: &'a str,
    created_at: i64,
    schema_version: i64,
    actor: Option<&'a str>,
    origin: Option<&'a str>,
}

/// Looks new rows up in the log.
pub(super) fn look_up(c: &Db<'_>, rows: &[NewRow<'_>]) -> db::Result<Vec<KnownRow>> {
    let events = rows.iter().enumerate().map(|(n, NewRow { row, .. })| SoughtRow {
        n,
        user_id: row.user_id,
        id: row.event_id,
        ..SoughtRow::default()
    });
    ask(c, LOOK_UP, events, |row| Ok(KnownRow { user_is_removed: row.get(0)?, event: row.get(1)? }))
}

/// Whether the log has a row of the record of each of these.
pub(super) fn have_records(c: &Db<'_>, changes: &[&Change]) -> db::Result<Vec<bool>> {
    let records = changes.iter().enumerate().map(|(n, change)| SoughtRow {
        n,
        user_id: change.user_id.as_str(),
        app_id: &change.app_id,
        table_name: &change.table,
        id: &change.record_id,
    });
    ask(c, HAVE_RECORDS, records, |row| row.get(0))
}

/// What each of these users has in the log.
pub(super) fn log_usage(
    c: &Db<'_>,
    users: &[&UserId],
    read: impl FnMut(&db::Row<'_>) -> db::Result<LogUsage>,
) -> db::Result<Vec<LogUsage>> {
    ask(c, LOG_USAGE, users.iter().enumerate().map(|(n, user)| SoughtRow { n, user_id: user.as_str(), ..SoughtRow::default() }), read)
}

/// Asks with many keys at once; the query answers each in its place.
pub(super) fn ask<'a, T>(
    c: &Db<'_>,
    query: &str,
    keys: impl Iterator<Item = SoughtRow<'a>>,
    read: impl FnMut(&db::Row<'_>) -> db::Result<T>,
) -> db::Result<Vec<T>> {
    let keys: Vec<_> = keys.collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    c.prepare_cached(query)?.query_map([json(&keys)?], read)?.collect()
}

/// Appends rows that the log does not have.
///
/// # Errors
/// Those of the server, and where it has a row already that only this program makes.
pub(super) fn insert(c: &Db<'_>, rows: &[PlacedRow<'_>]) -> db::Result<()> {
    let bytes = |row: &PlacedRow<'_>| row.new.row.data.map_or(0, str::len) + row.new.row.field_meta.len();
    parts(rows, bytes).try_for_each(|rows| insert_together(c, rows))
}

/// What one statement after the other carries; what is too large for one goes alone.
pub(super) fn parts<T>(mut rows: &[T], bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut held = 0;
        let fits = |row: &&T| {
            held += bytes(row);
            held <= MOST_BYTES
        };
        let some = rows.iter().take(MOST_ROWS).take_while(fits).count().max(1);
        let (part, rest) = rows.split_at_checked(some)?;
        rows = rest;
        Some(part)
    })
}

/// The server keeps the rows of all users under UUIDs in one column: what is no UUID, or is one of another user's rows, has
/// one made of the user and the id.
fn insert_together(c: &Db<'_>, rows: &[PlacedRow<'_>]) -> db::Result<()> {
    let mut taken = HashSet::new();
    let own = |row: &PlacedRow<'_>| {
        let own = Uuid::try_parse(row.new.row.event_id).ok().filter(|id| taken.insert(*id));
        own.unwrap_or_else(|| made_id(row.new.row.user_id, row.new.row.event_id))
    };
    let placed = insert_under(c, rows.iter(), own)?;
    if placed.len() == rows.len() {
        return Ok(());
    }
    let rest: Vec<_> = rows.iter().filter(|row| !placed.contains(&row.seq)).collect();
    let placed = insert_under(c, rest.iter().copied(), |row| made_id(row.new.row.user_id, row.new.row.event_id))?;
    if placed.len() == rest.len() { Ok(()) } else { Err(db::Error::StatementChangedRows(placed.len())) }
}

fn made_id(user: &str, event: &str) -> Uuid {
    let mut made = digest::Context::new(&digest::SHA256);
    for part in [user, "\0", event] {
        made.update(part.as_bytes());
    }
    Uuid::new_v8(made.finish().as_ref().first_chunk().copied().unwrap_or_default())
}

fn insert_under<'a>(
    c: &Db<'_>,
    rows: impl Iterator<Item = &'a PlacedRow<'a>>,
    mut id: impl FnMut(&PlacedRow<'_>) -> Uuid,
) -> db::Result<HashSet<i64>> {
    let given: Vec<GivenRow<'_>> = rows
        .map(|placed| {
            let NewRow { row, created_at, sync_at } = placed.new;
            GivenRow {
                seq: placed.seq,
                sync_at: *sync_at,
                row_id: id(placed).to_string(),
                id: row.event_id,
                app_id: row.app_id,
                table_name: row.table,
                record_id: row.record_id,
                user_id: row.user_id,
                space_id: row.space_id,
                op: row.op,
                data: row.data,
                field_meta: row.field_meta,
                client_id: row.client_id,
                created_at: *created_at,
                schema_version: row.schema_version,
                actor: row.actor,
                origin: row.origin,
            }
        })
        .collect();
    c.prepare_cached(INSERT)?.query_map([json(&given)?], |row| row.get(0))?.collect()
}

pub(super) fn json(given: &impl Serialize) -> db::Result<String> {
    serde_json::to_string(given).map_err(|error| db::Error::ToSqlConversionFailure(Box::new(error)))
}
