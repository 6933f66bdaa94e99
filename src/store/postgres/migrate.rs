//! Brings the schema of a Postgres database up to that of this program.

use std::path::Path;

use ::postgres::Client;
use include_dir::{Dir, include_dir};

use super::{ORDER_LOCK, SCHEMA, store_error};
use crate::store::{StoreError, StoreResult};

static MIGRATIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/schema/postgres");

/// The migrations with their numbers, in order.
fn migrations() -> Vec<(i64, &'static str)> {
    let mut found: Vec<_> = MIGRATIONS
        .files()
        .filter_map(|file| Some((file.path().to_str()?.split('_').next()?.parse().ok()?, file.contents_utf8()?)))
        .collect();
    found.sort_unstable();
    found
}

/// Applies what is missing, all in one transaction: Postgres takes back what a schema became as well.
///
/// # Errors
/// A schema that a newer program made, a role without the rights.
pub(super) fn migrate(client: &mut Client, path: &Path) -> StoreResult<()> {
    let fail = |error| store_error(path, &error);
    let mut transaction = client.transaction().map_err(fail)?;
    // Several instances may start at once.
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ORDER_LOCK]).map_err(fail)?;
    let is_there = "SELECT to_regclass($1) IS NOT NULL";
    let known: bool = transaction.query_one(is_there, &[&format!("{SCHEMA}.schema_version")]).map_err(fail)?.get(0);
    if !known {
        let begin = format!(
            "CREATE SCHEMA IF NOT EXISTS {SCHEMA}; CREATE TABLE {SCHEMA}.schema_version (version BIGINT NOT NULL); \
             INSERT INTO {SCHEMA}.schema_version (version) VALUES (0)"
        );
        transaction.batch_execute(&begin).map_err(fail)?;
    }
    transaction.batch_execute(&format!("SET LOCAL search_path TO {SCHEMA}")).map_err(fail)?;
    let found: i64 = transaction.query_one("SELECT version FROM schema_version", &[]).map_err(fail)?.get(0);
    let migrations = migrations();
    let last = migrations.last().map_or(0, |(number, _)| *number);
    if found > last {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: last });
    }
    for (number, sql) in migrations.into_iter().filter(|(number, _)| *number > found) {
        transaction.batch_execute(sql).map_err(fail)?;
        transaction.execute("UPDATE schema_version SET version = $1", &[&number]).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}
