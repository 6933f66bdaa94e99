//! Reading the log from a cursor, for sync clients (docs/design.md, section 9).

use jiff::{SignedDuration, Timestamp};

use super::changes::{COLUMNS, log_end, log_row, place};
use super::{Store, StoreResult};
use crate::domain::ids::UserId;
use crate::domain::time;
use crate::store::db::{self, Db, DbRows, OptionalExtension, Row, params};
use crate::store::{Page, Pull};

/// Rows that one pull looks at, so that a client with a million rows of its own does not hold a reader.
const LOOKED_AT: usize = 20_000;
/// Bytes of rows after which a page ends, so that an answer that is not read holds little; a row that is larger comes alone.
const PAGE_BYTES: usize = 1024 * 1024;
/// Rows and bytes that are read in less time than a reader takes to begin.
const SHORT_ROWS: u64 = 64;
const SHORT_BYTES: u64 = 64 * 1024;
/// Rows that are younger were just written, and are in memory.
const JUST_WRITTEN: SignedDuration = SignedDuration::from_mins(1);

/// Which record a row is about, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub seq: i64,
    pub user_id: UserId,
    pub app_id: String,
    pub table: String,
    pub client_id: String,
}

/// Pulls of a whole app, or of one table of it: [`COLUMNS`]. The data of the client's own rows, which it does not get, stays where it is.
pub(super) fn pull_query(of_file: bool, of_table: bool) -> String {
    let columns = COLUMNS.replacen("data", "CASE WHEN client_id = ?4 THEN NULL ELSE data END AS data", 1);
    let (rows, of) = match (of_table, of_file) {
        (true, _) => ("sync_changes", "user_id = ?1 AND app_id = ?2 AND table_name = ?5"),
        (false, false) => ("sync_changes", "user_id = ?1 AND app_id = ?2"),
        (false, true) => ("log_entries", APP_OF_FILE),
    };
    format!("SELECT {columns} FROM {rows} WHERE {of} AND sync_at > ?3 ORDER BY sync_at")
}

/// How much there is for a client, its own rows included, as far as it may be little; nothing is read for it but lengths.
pub(super) fn new_of_app_query() -> String {
    format!(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM (SELECT coalesce(octet_length(data), 0) + octet_length(field_meta) \
         + coalesce(octet_length(actor), 0) AS bytes FROM log_rows WHERE {APP_OF_FILE} AND sync_at > ?3 LIMIT {})",
        SHORT_ROWS + 1
    )
}

/// The rows of an app, where a file holds the log.
const APP_OF_FILE: &str = "app_no = (SELECT app_no FROM log_tables WHERE user_id = ?1 AND app_id = ?2 LIMIT 1)";

pub(super) fn newest_of_app_query(of_file: bool) -> String {
    let (rows, of) = if of_file { ("log_rows", APP_OF_FILE) } else { ("log_order", "user_id = ?1 AND app_id = ?2") };
    format!("SELECT sync_at FROM {rows} WHERE {of} ORDER BY sync_at DESC LIMIT 1")
}

pub(super) const HEADS: &str = "SELECT seq, user_id, app_id, table_name, client_id FROM sync_changes WHERE seq > ?1 ORDER BY seq LIMIT ?2";

impl Store {
    /// Reads a page. Whoever continues from its `synced_until` misses nothing: rows get their `sync_at` in the order of
    /// their commits, and one statement sees one state of the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn pull(&self, pull: Pull) -> StoreResult<Page> {
        self.read(move |c| read_page(c, &pull)).await
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

/// Reads the page of a client that was here a moment ago, in the transaction that takes in what it pushed; `None` where it is
/// not read so soon. What fails here shows in the pull that follows.
pub(super) fn short_page(c: &Db<'_>, now: Timestamp, pull: &Pull) -> Option<Page> {
    let recent = now.checked_sub(JUST_WRITTEN).ok()?;
    if c.sqlite().is_none() || pull.since < time::to_micros(recent) {
        return None;
    }
    let read = || -> db::Result<Option<Page>> {
        let new = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (rows, bytes): (u64, u64) =
            c.prepare_cached(&new_of_app_query())?.query_row(params![pull.user_id, pull.app_id, pull.since], new)?;
        if rows <= SHORT_ROWS && bytes <= SHORT_BYTES { read_page(c, pull).map(Some) } else { Ok(None) }
    };
    read().ok().flatten()
}

fn read_page(c: &Db<'_>, pull: &Pull) -> db::Result<Page> {
    let (mut named, more) = (pull.tables.iter(), pull.tables.len() > 1);
    let table = named.next().filter(|_| !more);
    let mut statement = c.prepare_cached(&pull_query(c.sqlite().is_some(), table.is_some()))?;
    let rows = match table {
        Some(table) => statement.query(params![pull.user_id, pull.app_id, pull.since, pull.not_client, table])?,
        None => statement.query(params![pull.user_id, pull.app_id, pull.since, pull.not_client])?,
    };
    page(c, pull, rows)
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
        page.synced_until = row.get(place::SYNC_AT)?;
        if is_asked_for(pull, row)? {
            bytes += size(row)?;
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
    let newest = newest_of_app_query(connection.sqlite().is_some());
    connection.prepare_cached(&newest)?.query_row(params![pull.user_id, pull.app_id], |row| row.get(0)).optional()
}

/// The bytes of what clients wrote into a row.
fn size(row: &Row<'_>) -> db::Result<usize> {
    let bytes = |at: usize| -> db::Result<usize> { Ok(row.get_ref(at)?.as_bytes_or_null()?.map_or(0, <[u8]>::len)) };
    Ok(bytes(place::DATA)? + bytes(place::FIELD_META)? + bytes(place::ACTOR)?)
}

fn is_asked_for(pull: &Pull, row: &Row<'_>) -> db::Result<bool> {
    let own = pull.not_client.as_deref() == Some(row.get_ref(place::CLIENT_ID)?.as_str()?);
    Ok(!own && (pull.tables.is_empty() || pull.tables.contains(row.get_ref(place::TABLE)?.as_str()?)))
}
