//! How a file holds the log: its rows name their table and their client by numbers (docs/design.md, section 2).
//!
//! `sync_changes` and `log_entries` are views that show the names.

use std::collections::{BTreeMap, HashMap};

use crate::domain::ceilings::LogUsage;
use crate::domain::ids::UserId;
use crate::domain::limits::Stored;
use crate::store::Table;
use crate::store::db::{self, Db, OptionalExtension, Row, params};
use crate::store::tx::{NewRow, PlacedRow};

/// Its trigger reads the log; where it fails with FAIL, nothing was written, and SQLite keeps no journal for it.
const INSERT: &str = "INSERT OR FAIL INTO log_rows (seq, user_no, app_no, table_no, client_no, projection, sync_at, created_at, \
     schema_version, op, id, record_id, space_id, origin, actor, field_meta, data) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, ?7), ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
const TABLE: &str = "SELECT no, app_no, user_no FROM log_tables WHERE user_id = ?1 AND app_id = ?2 AND table_name = ?3";
/// What belongs to a user, and to an app of theirs, has the number of the first table there.
const NEW_TABLE: &str = "INSERT INTO log_tables (no, user_no, app_no, user_id, app_id, table_name) \
     SELECT n, coalesce((SELECT user_no FROM log_tables WHERE user_id = ?1 LIMIT 1), n), \
     coalesce((SELECT app_no FROM log_tables WHERE user_id = ?1 AND app_id = ?2 LIMIT 1), n), ?1, ?2, ?3 \
     FROM (SELECT coalesce(max(no), 0) + 1 AS n FROM log_tables) RETURNING no, app_no, user_no";
const CLIENT: &str = "SELECT no FROM log_clients WHERE user_no = ?1 AND client_id = ?2";
const NEW_CLIENT: &str = "INSERT INTO log_clients (user_no, client_id) VALUES (?1, ?2) RETURNING no";
const COUNT: &str = "INSERT INTO user_log (user_id, rows, bytes) VALUES (?1, ?2, ?3) \
     ON CONFLICT (user_id) DO UPDATE SET rows = rows + excluded.rows, bytes = bytes + excluded.bytes";

/// The row of an event; none where its user has no rows.
pub(super) const EVENT: &str =
    "SELECT 1 FROM log_rows WHERE user_no = (SELECT user_no FROM log_tables WHERE user_id = ?1 LIMIT 1) AND id = ?2";

/// The numbers of a table of a user.
#[derive(Debug, Clone, Copy)]
struct TableNumbers {
    table: i64,
    app: i64,
    user: i64,
}

/// By which number rows are found that a projection reads; `None` where there are no snapshots of their table.
fn projection(app: &str, table: &str) -> Option<i64> {
    [Table::Agents, Table::Missions].into_iter().find(|of| app == "ai" && table == of.log_name()).map(projection_no)
}

/// The number of a projected table in the rows of the log.
pub(super) fn projection_no(table: Table) -> i64 {
    match table {
        Table::Agents => 1,
        Table::Missions => 2,
    }
}

/// Writes rows that the log does not have, and counts them for their users.
pub(super) fn insert(c: &Db<'_>, rows: &[PlacedRow<'_>]) -> db::Result<()> {
    let (mut tables, mut clients) = (HashMap::new(), HashMap::new());
    let mut grown: BTreeMap<&str, LogUsage> = BTreeMap::new();
    let mut insert = c.prepare_cached(INSERT)?;
    for PlacedRow { seq, new: NewRow { row, created_at, sync_at } } in rows {
        let key = (row.user_id, row.app_id, row.table);
        let of = match tables.get(&key) {
            Some(known) => *known,
            None => *tables.entry(key).or_insert(table_numbers(c, row)?),
        };
        let key = (of.user, row.client_id);
        let client = match clients.get(&key) {
            Some(known) => *known,
            None => *clients.entry(key).or_insert(client_number(c, of.user, row.client_id)?),
        };
        insert.execute(params![
            seq,
            of.user,
            of.app,
            of.table,
            client,
            projection(row.app_id, row.table),
            sync_at,
            created_at,
            row.schema_version,
            row.op,
            row.event_id,
            row.record_id,
            row.space_id,
            row.origin,
            row.actor,
            row.field_meta,
            row.data,
        ])?;
        let usage = grown.entry(row.user_id).or_default();
        usage.rows += 1;
        usage.bytes += contents(row);
    }
    let mut count = c.prepare_cached(COUNT)?;
    grown.iter().try_for_each(|(user, usage)| count.execute(params![user, usage.rows, usage.bytes]).map(drop))
}

/// The bytes of a row that count for its user.
fn contents(row: &Stored<'_>) -> u64 {
    [row.data, Some(row.field_meta), row.actor].into_iter().flatten().map(|text| text.len() as u64).sum()
}

fn table_numbers(c: &Db<'_>, row: &Stored<'_>) -> db::Result<TableNumbers> {
    let read = |row: &Row<'_>| Ok(TableNumbers { table: row.get(0)?, app: row.get(1)?, user: row.get(2)? });
    let key = [row.user_id, row.app_id, row.table];
    match c.prepare_cached(TABLE)?.query_row(key, read).optional()? {
        Some(known) => Ok(known),
        None => c.prepare_cached(NEW_TABLE)?.query_row(key, read),
    }
}

fn client_number(c: &Db<'_>, user: i64, client: &str) -> db::Result<i64> {
    match c.prepare_cached(CLIENT)?.query_row(params![user, client], |row| row.get(0)).optional()? {
        Some(known) => Ok(known),
        None => c.prepare_cached(NEW_CLIENT)?.query_row(params![user, client], |row| row.get(0)),
    }
}

/// Rows that are filed under another user, app or projection than that of their table, or under none.
const MISFILED: &str = "SELECT r.seq FROM log_rows r LEFT JOIN log_tables t ON t.no = r.table_no LEFT JOIN log_clients c ON c.no = r.client_no \
     WHERE r.user_no IS NOT t.user_no OR r.app_no IS NOT t.app_no OR c.user_no IS NOT t.user_no OR r.projection IS NOT \
     CASE WHEN t.app_id = 'ai' THEN CASE t.table_name WHEN 'agents' THEN 1 WHEN 'aiMissions' THEN 2 END END ORDER BY r.seq LIMIT 100";
/// Users whose log has two numbers, or one that is, or could come to be, another's: it has to be that of a table of theirs.
const SHARED: &str = "SELECT user_id FROM log_tables GROUP BY user_id HAVING count(DISTINCT user_no) > 1 \
     UNION SELECT user_id FROM log_tables GROUP BY user_id, app_id HAVING count(DISTINCT app_no) > 1 \
     UNION SELECT user_id FROM log_tables t WHERE t.no NOT BETWEEN 1 AND 4611686018427387903 \
     OR NOT EXISTS (SELECT 1 FROM log_tables f WHERE f.no = t.user_no AND f.user_id = t.user_id) \
     OR NOT EXISTS (SELECT 1 FROM log_tables f WHERE f.no = t.app_no AND f.user_id = t.user_id AND f.app_id = t.app_id) \
     ORDER BY user_id LIMIT 100";
/// Clients of nobody, which would become those of whoever gets the number.
const OF_NOBODY: &str = "SELECT count(*) FROM log_clients c WHERE c.no NOT BETWEEN 1 AND 4611686018427387903 \
     OR NOT EXISTS (SELECT 1 FROM log_tables f WHERE f.no = c.user_no AND f.user_no = c.user_no)";

/// What is wrong with how rows are filed: they would be read by others, or by nobody. A copy that an older program made has
/// one table, in which nothing can be.
pub(super) fn misfiled(c: &Db<'_>) -> db::Result<Vec<String>> {
    if !c.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'log_rows')", params![], |row| row.get(0))? {
        return Ok(Vec::new());
    }
    let row = |row: &Row<'_>| Ok(format!("row {} of the log is not filed under its user, app and table", row.get::<_, i64>(0)?));
    let mut found = c.prepare_cached(MISFILED)?.query_map(params![], row)?.collect::<db::Result<Vec<_>>>()?;
    let user = |row: &Row<'_>| {
        let user = String::from_utf8_lossy(row.get_ref(0)?.as_bytes()?).into_owned();
        Ok(format!("the log of user {user} is not filed apart from that of others"))
    };
    for text in c.prepare_cached(SHARED)?.query_map(params![], user)? {
        found.push(text?);
    }
    let of_nobody: i64 = c.prepare_cached(OF_NOBODY)?.query_row(params![], |row| row.get(0))?;
    if of_nobody > 0 {
        found.push(format!("{of_nobody} clients of the log belong to no user"));
    }
    Ok(found)
}

/// Forgets names of somebody whose rows have gone, at most `limit`, and answers how many; 0 once there are none. The first table
/// goes last, since its number is that of the user.
pub(super) fn forget(c: &Db<'_>, user: &UserId, limit: usize) -> db::Result<usize> {
    let clients = "DELETE FROM log_clients WHERE no IN (SELECT no FROM log_clients \
                   WHERE user_no = (SELECT user_no FROM log_tables WHERE user_id = ?1 LIMIT 1) LIMIT ?2)";
    let tables = "DELETE FROM log_tables WHERE no IN (SELECT no FROM log_tables WHERE user_id = ?1 ORDER BY no DESC LIMIT ?2)";
    match c.execute(clients, params![user, limit])? {
        0 => c.execute(tables, params![user, limit]),
        gone => Ok(gone),
    }
}
