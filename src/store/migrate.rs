//! Brings a database up to the schema of this program.

use std::path::Path;

use include_dir::{Dir, include_dir};
use rusqlite::{Connection, TransactionBehavior};

use super::error::{StoreError, StoreResult};

static SCHEMA: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/schema");

/// The number of the last migration that this program knows.
pub const SCHEMA_VERSION: i64 = 7;

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

/// Checks that a database is one of this program, and that its tables, indexes and triggers are those of its version and
/// no others: a copy may come from anywhere, and a trigger of its own would run with ours. Answers the version.
///
/// # Errors
/// A file that is not ours, or that a newer program wrote.
pub(super) fn verify(connection: &Connection, path: &Path) -> StoreResult<i64> {
    let sqlite = |error| StoreError::sqlite(path, error);
    let found = version(connection).map_err(sqlite)?;
    if pragma(connection, "application_id").map_err(sqlite)? != APPLICATION_ID {
        return Err(StoreError::NotOurs { path: path.to_owned() });
    }
    if found > SCHEMA_VERSION {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    let fresh = Connection::open_in_memory().map_err(sqlite)?;
    for (_, sql) in migrations().into_iter().filter(|(number, _)| *number <= found) {
        fresh.execute_batch(sql).map_err(sqlite)?;
    }
    if schema(connection).map_err(sqlite)? != schema(&fresh).map_err(sqlite)? {
        return Err(StoreError::NotOurs { path: path.to_owned() });
    }
    Ok(found)
}

/// Everything that a database defines, as text.
fn schema(connection: &Connection) -> rusqlite::Result<Vec<(String, String, Option<String>)>> {
    let mut statement = connection.prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Applies what is missing, each migration in a transaction of its own, so that a crash leaves a known version.
///
/// # Errors
/// A file that is not ours or that a newer program wrote is refused untouched.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> StoreResult<()> {
    let sqlite = |error| StoreError::sqlite(path, error);
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
    for (number, sql) in migrations().into_iter().filter(|(number, _)| *number > found) {
        apply(connection, number, sql).map_err(sqlite)?;
    }
    Ok(())
}

fn apply(connection: &mut Connection, number: i64, sql: &str) -> rusqlite::Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been first.
    if version(&tx)? < number {
        tx.execute_batch(sql)?;
        tx.pragma_update(None, "user_version", number)?;
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
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps_up_to_the_known_version() {
        let numbers: Vec<i64> = migrations().into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, (1..=SCHEMA_VERSION).collect::<Vec<_>>());
    }
}
