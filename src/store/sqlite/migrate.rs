//! Brings a database up to the schema of this program.

use std::path::Path;

use include_dir::{Dir, include_dir};
use rusqlite::{Connection, TransactionBehavior};

use super::move_log::move_log;
use crate::store::sql::error::store_error;
use crate::store::{StoreError, StoreResult};

static SCHEMA: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/schema");

/// What all migrations make together: a new database needs none of the way there.
const WHOLE: &str = include_str!("../../../schema/whole.sql");

/// The number of the last migration that this program knows.
pub const SCHEMA_VERSION: i64 = 32;

/// The migration that writes the log anew.
const LOG_ANEW: i64 = 11;
/// The version in which rows of the log may still have to move.
pub(in crate::store) const LOG_MOVES: i64 = 30;
/// A log with fewer rows is written anew in less than a moment, and nobody has to be told.
pub(super) const MANY_ROWS: i64 = 10_000;

/// Marks a SQLite file as ours: "MANA" in ASCII.
const APPLICATION_ID: i64 = 0x4d41_4e41;

/// The migrations with their numbers, in order.
fn migrations() -> Vec<(i64, &'static str)> {
    let mut found: Vec<_> = SCHEMA
        .files()
        .filter_map(|file| {
            let number = file.path().file_name()?.to_str()?.split('_').next()?.parse().ok()?;
            Some((number, file.contents_utf8()?))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Checks that a database is one of this program, with all that its version defines and nothing that would run by itself: a
/// copy may come from anywhere, and a trigger of its own would run with ours. Further tables and indexes do no harm, such as
/// those of a replicator.
///
/// # Errors
/// A file that is not ours, that a newer program wrote, or that defines what it must not.
pub(in crate::store) fn verify(connection: &Connection, path: &Path) -> StoreResult<Verified> {
    let sqlite = |error| store_error(path, error);
    let found = version(connection).map_err(sqlite)?;
    if pragma(connection, "application_id").map_err(sqlite)? != APPLICATION_ID {
        return Err(StoreError::NotOurs { path: path.to_owned() });
    }
    if found > SCHEMA_VERSION {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    let altered = |what: String| StoreError::Altered { path: path.to_owned(), what };
    let (there, ours) = (schema(connection).map_err(sqlite)?, schema(&fresh(found).map_err(sqlite)?).map_err(sqlite)?);
    if let Some(missing) = ours.iter().find(|object| !there.contains(object)) {
        return Err(altered(format!("lacks the {} {} of mana-ai, or has another of that name", missing.kind, missing.name)));
    }
    let additions: Vec<Object> = there.into_iter().filter(|object| !ours.contains(object)).collect();
    match additions.iter().find(|object| !object.is_harmless()) {
        Some(object) => Err(altered(format!("has a {} {}, which is not of mana-ai", object.kind, object.name))),
        None => Ok(Verified { version: found, additions }),
    }
}

/// A database of this program.
pub(in crate::store) struct Verified {
    pub version: i64,
    /// What it has besides what that version defines.
    additions: Vec<Object>,
}

/// Takes away what a copy has besides what its version defines.
pub(in crate::store) fn drop_additions(connection: &Connection, verified: &Verified) -> rusqlite::Result<()> {
    for Object { kind, name, .. } in verified.additions.iter().filter(|object| !object.name.starts_with("sqlite_")) {
        connection.execute_batch(&format!("DROP {kind} IF EXISTS \"{}\"", name.replace('"', "\"\"")))?;
    }
    Ok(())
}

/// An empty database of a version.
pub(in crate::store) fn fresh(version: i64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    if version == SCHEMA_VERSION {
        connection.execute_batch(WHOLE)?;
        return Ok(connection);
    }
    for (_, sql) in migrations().into_iter().filter(|(number, _)| *number <= version) {
        connection.execute_batch(sql)?;
    }
    Ok(connection)
}

/// Something that a database defines.
#[derive(PartialEq)]
struct Object {
    kind: String,
    name: String,
    table: String,
    sql: Option<String>,
}

impl Object {
    /// Whether it only holds data: no trigger, no view, no virtual table, no index that computes.
    fn is_harmless(&self) -> bool {
        let sql = self.sql.as_deref().unwrap_or_default().to_ascii_uppercase();
        match self.kind.as_str() {
            "table" => !sql.contains("VIRTUAL") && !sql.contains("GENERATED") && !sql.contains(" AS "),
            "index" => sql.matches('(').count() <= 1 && !sql.contains(" UNIQUE ") && !sql.contains(" WHERE "),
            _ => false,
        }
    }
}

/// Everything that a database defines.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    let mut statement = connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?;
    statement.query_map([], |row| Ok(Object { kind: row.get(0)?, name: row.get(1)?, table: row.get(2)?, sql: row.get(3)? }))?.collect()
}

/// Applies what is missing, each migration in a transaction of its own, so that a crash leaves a known version.
///
/// # Errors
/// A file that is not ours or that a newer program wrote is refused untouched.
pub(in crate::store) fn migrate(connection: &mut Connection, path: &Path) -> StoreResult<()> {
    let sqlite = |error| store_error(path, error);
    // In one state of the file, since another process may be making it.
    let state = connection.transaction().map_err(sqlite)?;
    let found = version(&state).map_err(sqlite)?;
    let foreign = pragma(&state, "application_id").map_err(sqlite)? != APPLICATION_ID;
    let empty = !state.prepare("SELECT 1 FROM sqlite_schema").and_then(|mut s| s.exists([])).map_err(sqlite)?;
    drop(state);
    if foreign && !empty {
        return Err(StoreError::NotOurs { path: path.to_owned() });
    }
    if found > SCHEMA_VERSION {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    if empty {
        apply(connection, 0, SCHEMA_VERSION, WHOLE).map_err(sqlite)?;
    }
    let found = version(connection).map_err(sqlite)?;
    for (number, sql) in migrations().into_iter().filter(|(number, _)| *number > found) {
        let rows = if number == LOG_ANEW && found > 0 { rows_to_copy(connection, path, found)? } else { 0 };
        if rows >= MANY_ROWS {
            tracing::warn!(path = %path.display(), from = found, to = number, rows, "rewriting the change log; this takes a while, and an interruption loses nothing");
        }
        if number == LOG_MOVES + 1 {
            move_log(connection, path, |c| Ok(version(c)? == LOG_MOVES)).map_err(sqlite)?;
        }
        apply(connection, number - 1, number, sql).map_err(sqlite)?;
        if rows >= MANY_ROWS {
            tracing::warn!(path = %path.display(), rows, "the change log is rewritten");
        }
    }
    Ok(())
}

/// The rows of the log, where the disk has room for a second log beside the first.
fn rows_to_copy(connection: &Connection, path: &Path, from: i64) -> StoreResult<i64> {
    let sqlite = |error| store_error(path, error);
    let last = "SELECT coalesce((SELECT seq FROM sync_changes ORDER BY seq DESC LIMIT 1), 0)";
    let rows = connection.query_row(last, [], |row| row.get(0)).map_err(sqlite)?;
    let bytes = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes: i64 = connection.query_row(bytes, [], |row| row.get(0)).map_err(sqlite)?;
    // Once in the file, and once in the write-ahead log until it is carried over.
    let needed = bytes.unsigned_abs().saturating_mul(2);
    // Where it cannot be told, the disk says so itself when it is full.
    let free = rustix::fs::statvfs(path).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    if rows > 0 && free < needed {
        return Err(StoreError::NoRoom { path: path.to_owned(), from, to: LOG_ANEW, needed, free });
    }
    Ok(rows)
}

fn apply(connection: &mut Connection, from: i64, to: i64, sql: &str) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been first.
    if version(&tx)? == from {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", to)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    tx.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    pragma(connection, "user_version")
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use rusqlite::{StatementStatus, params};

    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps_up_to_the_known_version() {
        let numbers: Vec<i64> = migrations().into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
    }

    /// The statements that make a database like this one: each table with its indexes and triggers, and last the rows.
    fn statements(c: &Connection) -> String {
        let objects = "SELECT sql FROM sqlite_schema o WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
             ORDER BY (SELECT rowid FROM sqlite_schema WHERE type IN ('table', 'view') AND name = o.tbl_name), rowid";
        let mut made: Vec<String> = texts(c, objects);
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid";
        for table in texts(c, tables) {
            let columns = texts(c, &format!("SELECT name FROM pragma_table_info('{table}')"));
            let values: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
            let rows = texts(c, &format!("SELECT '(' || {} || ')' FROM {table}", values.join(" || ', ' || ")));
            if !rows.is_empty() {
                made.push(format!("INSERT INTO {table} ({}) VALUES {}", columns.join(", "), rows.join(", ")));
            }
        }
        made.iter().map(|sql| format!("{sql};\n")).collect()
    }

    fn texts(c: &Connection, query: &str) -> Vec<String> {
        let mut statement = c.prepare(query).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_new_database_is_what_the_migrations_make() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/whole.sql");
        let migrated = Connection::open_in_memory().unwrap();
        for (_, sql) in migrations() {
            migrated.execute_batch(sql).unwrap();
        }
        let expected = format!(
            "-- What all migrations make together. It is written by a test: MANA_WRITE_README=1 cargo test --lib a_new_database\n\n{}",
            statements(&migrated)
        );
        if std::env::var_os("MANA_WRITE_README").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == expected, "write it anew with MANA_WRITE_README=1");
        let new = Connection::open_in_memory().unwrap();
        new.execute_batch(&expected).unwrap();
        assert_eq!(statements(&new), statements(&migrated));
        assert!(schema(&new).unwrap() == schema(&migrated).unwrap());
    }

    #[test]
    fn a_row_that_comes_in_by_the_view_reads_nothing_of_others() {
        let c = fresh(SCHEMA_VERSION).unwrap();
        let insert = "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
                      VALUES (?1, 'notes', 'notes', 'n', ?2, 'insert', '{}', 'c', ?1, ?1)";
        let mut statement = c.prepare(insert).unwrap();
        let mut scanned = |row: u32, user: &str| {
            statement.execute(params![row, user]).unwrap();
            statement.reset_status(StatementStatus::FullscanStep)
        };
        for row in 1..=100 {
            scanned(row, &format!("user {row}"));
        }
        assert!(scanned(101, "user 1") < 10 && scanned(102, "another") < 10, "not with the tables of all users");
    }
}
