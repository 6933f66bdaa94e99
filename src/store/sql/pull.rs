//! Reading the log from a cursor, for sync clients (docs/design.md, section 9).

use std::collections::BTreeSet;

use super::changes::{COLUMNS, log_end, log_row, places};
use super::{LogRow, Store, StoreResult};
use crate::domain::ids::UserId;
use crate::store::db::{self, Db, DbRows, OptionalExtension, Row, params};

/// Rows that one pull looks at, so that a client with a million rows of its own does not hold a reader.
const LOOKED_AT: usize = 20_000;
/// Bytes of data after which a page ends, so that an answer that is not read holds little; a row that is larger comes alone.
const PAGE_BYTES: usize = 1024 * 1024;

/// What a client asks for.
#[derive(Debug, Clone, Default)]
pub struct Pull {
    pub user_id: UserId,
    pub app_id: String,
    /// Only these tables; none: all of the app.
    pub tables: BTreeSet<String>,
    /// The cursor: rows after this `sync_at`, in microseconds.
    pub since: i64,
    /// The client that asks; its own rows are passed over.
    pub not_client: Option<String>,
    /// Rows that a page has at most.
    pub limit: usize,
}

/// Rows in the order of the log, and the cursor that accounts for all that were looked at.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub rows: Vec<LogRow>,
    /// Microseconds.
    pub synced_until: i64,
    /// Whether there may be more.
    pub has_more: bool,
}

/// Which record a row is about, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub user_id: UserId,
    pub app_id: String,
    pub table: String,
    pub client_id: String,
}

/// Pulls of a whole app, or of one table of it. The data of the client's own rows, which it does not get, stays where it is.
pub(super) fn pull_query(of_table: bool) -> String {
    let columns = COLUMNS.replacen("data", "CASE WHEN client_id = ?4 THEN NULL ELSE data END AS data", 1);
    let table = if of_table { " AND table_name = ?5" } else { "" };
    format!("SELECT {columns} FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 AND sync_at > ?3{table} ORDER BY sync_at")
}

pub(super) const NEWEST_OF_APP: &str = "SELECT sync_at FROM sync_changes WHERE user_id = ?1 AND app_id = ?2 ORDER BY sync_at DESC LIMIT 1";
pub(super) const HEADS: &str = "SELECT seq, user_id, app_id, table_name, client_id FROM sync_changes WHERE seq > ?1 ORDER BY seq LIMIT ?2";

impl Store {
    /// Reads a page. Whoever continues from its `synced_until` misses nothing: rows get their `sync_at` in the order of
    /// their commits, and one statement sees one state of the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn pull(&self, pull: Pull) -> StoreResult<Page> {
        self.read(move |c| {
            // One state of the log for all that follows.
            let _state = c.one_state()?;
            let (mut named, more) = (pull.tables.iter(), pull.tables.len() > 1);
            let table = named.next().filter(|_| !more);
            let mut statement = c.prepare_cached(&pull_query(table.is_some()))?;
            let rows = match table {
                Some(table) => statement.query(params![pull.user_id, pull.app_id, pull.since, pull.not_client, table])?,
                None => statement.query(params![pull.user_id, pull.app_id, pull.since, pull.not_client])?,
            };
            page(c, &pull, rows)
        })
        .await
    }

    /// The heads of rows after `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn heads_after(&self, seq: i64, limit: u32) -> StoreResult<Vec<Head>> {
        self.read(move |c| {
            let head = |row: &Row<'_>| {
                Ok(Head { seq: row.get(0)?, user_id: row.get(1)?, app_id: row.get(2)?, table: row.get(3)?, client_id: row.get(4)? })
            };
            c.prepare_cached(HEADS)?.query_map(params![seq, limit], head)?.collect()
        })
        .await
    }

    /// The last `seq` of the log, 0 where it is empty.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_seq(&self) -> StoreResult<i64> {
        Ok(self.read(log_end).await?.seq)
    }
}

fn page(connection: &Db<'_>, pull: &Pull, mut rows: DbRows<'_>) -> db::Result<Page> {
    let mut page = Page { synced_until: pull.since, ..Page::default() };
    let (mut looked_at, mut bytes) = (0, 0);
    while let Some(row) = &rows.next()? {
        if page.rows.len() >= pull.limit || looked_at >= LOOKED_AT || bytes >= PAGE_BYTES {
            page.has_more = true;
            break;
        }
        looked_at += 1;
        page.synced_until = row.get("sync_at")?;
        if is_asked_for(pull, row)? {
            bytes += row.get_ref("data")?.as_bytes_or_null()?.map_or(0, <[u8]>::len);
            // The cursor moves past a row that is set aside, so that it holds up no client.
            page.rows.extend(log_row(row)?);
        }
    }
    if !page.has_more {
        page.synced_until = match newest_of_app(connection, pull)? {
            Some(newest) => newest,
            // A cursor from beyond the log, as after a restore, must not skip what comes next.
            None => pull.since.min(log_end(connection)?.sync_at),
        };
    }
    Ok(page)
}

/// The newest row of the whole app, to which a page leads that nothing follows; its client does not look through the same
/// rows again, were there any for it or not.
///
/// Nothing is missed by that. A row gets its `sync_at` in the transaction that commits it, after every one before, so what
/// this state of the database does not have comes after the newest that it has. What it has up to there and after `since`
/// was looked at, since the page came to the end: it is in the page, or is the client's own, or of a table for which
/// this cursor does not speak.
fn newest_of_app(connection: &Db<'_>, pull: &Pull) -> db::Result<Option<i64>> {
    let newest = NEWEST_OF_APP.replace("sync_changes", places(connection));
    connection.prepare_cached(&newest)?.query_row(params![pull.user_id, pull.app_id], |row| row.get(0)).optional()
}

fn is_asked_for(pull: &Pull, row: &Row<'_>) -> db::Result<bool> {
    let own = pull.not_client.as_deref() == Some(row.get_ref("client_id")?.as_str()?);
    Ok(!own && (pull.tables.is_empty() || pull.tables.contains(row.get_ref("table_name")?.as_str()?)))
}
