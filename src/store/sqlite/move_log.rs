//! Moves the rows of the log out of the one table that they were in up to schema 29 (docs/design.md, section 2).
//!
//! A batch that moved is gone from the old table, so the file does not grow by a second log, and whoever is interrupted goes on
//! where they stopped.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::migrate::MANY_ROWS;
use crate::store::sql::changes::COLUMNS;

/// Rows and bytes of a batch, at most; one row may have more bytes.
const ROWS: u32 = 20_000;
const BYTES: u64 = 32 << 20;
/// Memory for pages, in KiB: each row touches pages of its own in three indexes.
const CACHE_KIB: i64 = 128 << 10;
/// Rows after which it is told how far it has come.
const TOLD_EACH: i64 = 250_000;

/// The trigger by which rows come in, as it became later.
const NEXT_NUMBER: &str = include_str!("../../../schema/0032_next_number.sql");

/// Moves all rows; `is_due` says of a transaction whether they still have to, since another process may do the same.
pub(super) fn move_log(
    connection: &mut Connection,
    path: &Path,
    is_due: impl Fn(&Connection) -> rusqlite::Result<bool>,
) -> rusqlite::Result<()> {
    let cache: i64 = connection.pragma_query_value(None, "cache_size", |row| row.get(0))?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    // What a person who is removed later wrote must not stay where it was.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    let moved = move_all(connection, path, is_due);
    connection.pragma_update_and_check(None, "secure_delete", false, |_| Ok(()))?;
    connection.pragma_update(None, "cache_size", cache)?;
    moved
}

fn move_all(connection: &mut Connection, path: &Path, is_due: impl Fn(&Connection) -> rusqlite::Result<bool>) -> rusqlite::Result<()> {
    let (mut moved, mut told, mut rows) = (0, 0, None);
    loop {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !is_due(&tx)? {
            return Ok(());
        }
        let rows = match rows {
            Some(rows) => rows,
            None => *rows.insert(tx.query_row("SELECT count(*) FROM old_sync_changes", [], |row| row.get::<_, i64>(0))?),
        };
        if moved == 0 && rows >= MANY_ROWS {
            tracing::warn!(
                path = %path.display(), rows,
                "the rows of the change log move into a smaller form; this takes a while and no more room, and an interruption loses nothing"
            );
        }
        let batch = move_batch(&tx)?;
        tx.commit()?;
        moved += batch;
        if batch == 0 {
            if rows >= MANY_ROWS {
                tracing::warn!(path = %path.display(), rows, "the rows of the change log have moved");
            }
            return Ok(());
        }
        if moved - told >= TOLD_EACH {
            told = moved;
            tracing::warn!(moved, rows, "the rows of the change log move");
        }
    }
}

/// How many rows of the next batch have moved.
fn move_batch(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    let Some(last) = last_of_batch(tx)? else { return Ok(0) };
    // The trigger of this version reads the tables of all users for each row. Outside the transaction it stays as it is.
    let of_version: String = tx.query_row("SELECT sql FROM sqlite_schema WHERE name = 'sync_changes_insert'", [], |row| row.get(0))?;
    tx.execute_batch(NEXT_NUMBER)?;
    let moved = format!("INSERT INTO sync_changes ({COLUMNS}) SELECT {COLUMNS} FROM old_sync_changes WHERE seq <= ?1 ORDER BY seq");
    tx.execute(&moved, [last])?;
    tx.execute_batch(&format!("DROP TRIGGER sync_changes_insert; {of_version}"))?;
    // Its own count tells the rows of the table, not those of what its inserts set off.
    tx.execute("DELETE FROM old_sync_changes WHERE seq <= ?1", [last]).map(|rows| i64::try_from(rows).unwrap_or(i64::MAX))
}

fn last_of_batch(tx: &Transaction<'_>) -> rusqlite::Result<Option<i64>> {
    let mut sizes = tx.prepare_cached(
        "SELECT seq, coalesce(octet_length(data), 0) + octet_length(field_meta) + coalesce(octet_length(actor), 0) FROM old_sync_changes \
         ORDER BY seq LIMIT ?1",
    )?;
    let (mut last, mut bytes) = (None, 0);
    let mut rows = sizes.query(params![ROWS])?;
    while bytes < BYTES
        && let Some(row) = rows.next()?
    {
        last = Some(row.get(0)?);
        bytes += row.get::<_, u64>(1)?;
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::migrate::{SCHEMA_VERSION, fresh, migrate, verify};

    /// A file of schema 29 with the rows of a few users, and another of what comes after it.
    fn old(path: &Path, rows: u32) -> Connection {
        fresh(29).unwrap().execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "user_version", 29).unwrap();
        connection.pragma_update(None, "application_id", 0x4d41_4e41).unwrap();
        connection
            .execute(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) \
                 INSERT INTO sync_changes (seq, id, app_id, table_name, record_id, user_id, space_id, op, data, field_meta, client_id, created_at, \
                 sync_at, actor, origin) SELECT i * 2, 'event ' || i, iif(i % 3 = 0, 'ai', 'notes'), iif(i % 3 = 0, 'aiMissions', 'n' || (i % 4)), \
                 'record ' || (i / 7), 'user ' || (i % 5), iif(i % 2 = 0, NULL, 's'), iif(i % 7 = 0, 'insert', 'update'), \
                 json_object('text', printf('%.*c', iif(i = 40, 17000000, 2000), 'x')), iif(i % 2 = 0, '{}', '{\"text\":\"t\"}'), 'client ' || (i % 6), \
                 i + i % 2, i, iif(i % 9 = 0, '{\"kind\":\"agent\"}', NULL), 'user' FROM n",
                [rows],
            )
            .unwrap();
        connection
    }

    fn rows(c: &Connection, query: &str) -> Vec<String> {
        let mut statement = c.prepare(query).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|n| row.get(n)).collect::<Result<Vec<rusqlite::types::Value>, _>>();
        statement.query_map([], |r| Ok(format!("{:?}", row(r)?))).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn rows_move_as_they_are_and_go_on_where_they_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mana-ai.db");
        let count = ROWS + 10;
        let mut connection = old(&path, count);
        let log = format!("SELECT {COLUMNS} FROM sync_changes ORDER BY seq");
        let (before, used) = (rows(&connection, &log), rows(&connection, "SELECT * FROM user_log ORDER BY 1"));
        let bytes = path.metadata().unwrap().len();

        // Interrupted after the first batch, which ends by its bytes.
        connection.execute_batch(include_str!("../../../schema/0030_log_by_numbers.sql")).unwrap();
        connection.pragma_update(None, "user_version", 30).unwrap();
        let tx = connection.transaction().unwrap();
        let first = move_batch(&tx).unwrap();
        assert!(first > 40 && first < i64::from(ROWS) / 2, "{first}");
        tx.commit().unwrap();
        verify(&connection, &path).unwrap();
        // The second never commits.
        connection.transaction().and_then(|tx| move_batch(&tx)).unwrap();
        drop(connection);

        let mut connection = Connection::open(&path).unwrap();
        migrate(&mut connection, &path).unwrap();
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, SCHEMA_VERSION);
        assert!(rows(&connection, &log) == before, "each row is there once, as it was");
        assert_eq!(rows(&connection, "SELECT * FROM user_log ORDER BY 1"), used);
        // The pages of a batch are not full.
        let after = path.metadata().unwrap().len();
        assert!(after < bytes + 2 * BYTES && 2 * BYTES < bytes, "no more room than for a batch: {bytes}, {after}");
    }
}
