//! Brings the schema of a Postgres database up to that of this program.

use std::path::Path;
use std::time::Duration;

use ::postgres::{Client, GenericClient};
use include_dir::{Dir, include_dir};

use super::{ORDER_LOCK, SCHEMA, rights, store_error};
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

/// The version of the schema that this program makes.
pub(super) fn newest() -> i64 {
    migrations().last().map_or(0, |(number, _)| *number)
}

/// Whether a schema of ours is there.
pub(super) fn is_there(client: &mut impl GenericClient) -> Result<bool, ::postgres::Error> {
    Ok(client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&format!("{SCHEMA}.schema_version")])?.get(0))
}

/// The version of the schema that is there.
pub(super) fn version(client: &mut impl GenericClient) -> Result<i64, ::postgres::Error> {
    Ok(client.query_one(&format!("SELECT version FROM {SCHEMA}.schema_version"), &[])?.get(0))
}

/// Applies what is missing, all in one transaction: Postgres takes back what a schema became as well.
///
/// # Errors
/// A schema that a newer program made, a role without the rights.
pub(super) fn migrate(client: &mut Client, path: &Path, patience: Duration) -> StoreResult<()> {
    let fail = |error| store_error(path, &error);
    rights::check(client, path)?;
    let last = newest();
    if is_there(client).map_err(fail)? && version(client).map_err(fail)? == last {
        return Ok(());
    }
    let mut transaction = client.transaction().map_err(fail)?;
    // Who waits for a lock on the log holds up those who come after.
    transaction.batch_execute(&format!("SET LOCAL lock_timeout TO {}", patience.as_millis())).map_err(fail)?;
    // Several instances may start at once.
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&ORDER_LOCK]).map_err(fail)?;
    // Where it is there, no right to make one is needed.
    let has_schema = "SELECT to_regnamespace($1) IS NOT NULL";
    if !transaction.query_one(has_schema, &[&SCHEMA]).map_err(fail)?.get::<_, bool>(0) {
        transaction.batch_execute(&format!("CREATE SCHEMA {SCHEMA}")).map_err(fail)?;
    }
    if !is_there(&mut transaction).map_err(fail)? {
        let begin = format!(
            "CREATE TABLE {SCHEMA}.schema_version (version BIGINT NOT NULL); INSERT INTO {SCHEMA}.schema_version (version) VALUES (0)"
        );
        transaction.batch_execute(&begin).map_err(fail)?;
    }
    // Functions that others call by their rows find nothing of theirs.
    transaction.batch_execute(&format!("SET LOCAL search_path TO {SCHEMA}, pg_temp")).map_err(fail)?;
    let found = version(&mut transaction).map_err(fail)?;
    if found > last {
        return Err(StoreError::TooNew { path: path.to_owned(), found, known: last });
    }
    for (number, sql) in migrations().into_iter().filter(|(number, _)| *number > found) {
        transaction.batch_execute(sql).map_err(fail)?;
        transaction.execute("UPDATE schema_version SET version = $1", &[&number]).map_err(fail)?;
    }
    transaction.commit().map_err(fail)
}
