//! The removal of a person with everything (docs/design.md, section 12).
//!
//! A row in `removals` opens the guards of the append-only tables for that person's rows, and closes the door to new ones. What
//! they own then goes in bounded batches, so that nobody waits for long and a removal that was cut short goes on. The row stays.

use super::changes::{note_end, note_rows_went};
use super::refresh::count;
use super::{Store, StoreResult, log_rows, others};
use crate::domain::ids::UserId;
use crate::domain::time;
use crate::store::db::{self, Db, params};

/// What became of the wish to remove somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalStart {
    Begun,
    /// Nobody of this name has anything here.
    NoPerson,
    /// Somebody has to administer the server.
    LastAdmin,
}

/// One batch of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemovedBatch {
    pub rows: usize,
    /// Whether nothing is left.
    pub done: bool,
}

/// Rows and bytes of a batch, at most; one row may have more bytes.
const ROWS: usize = 500;
const BYTES: i64 = 4 << 20;

/// A table with rows of users.
struct OwnedRows {
    table: &'static str,
    key: &'static str,
    /// The bytes of a row, as far as they may be many.
    bytes: &'static str,
}

/// Every table with rows of users, in the order in which these go: what acts by itself first. A run goes after its attempts.
const OWNED: [OwnedRows; 21] = [
    OwnedRows { table: "sessions", key: "key_hash", bytes: "0" },
    OwnedRows { table: "sign_in_links", key: "code_hash", bytes: "0" },
    OwnedRows { table: "people", key: "user_id", bytes: "0" },
    OwnedRows { table: "outbox", key: "user_id, mission_id, iteration_id, step_id", bytes: "octet_length(body) + octet_length(tries)" },
    OwnedRows { table: "mission_snapshots", key: "user_id, mission_id", bytes: "octet_length(record) + octet_length(field_meta)" },
    OwnedRows { table: "agent_snapshots", key: "user_id, agent_id", bytes: "octet_length(record) + octet_length(field_meta)" },
    OwnedRows { table: "run_attempts", key: "run_id, attempt", bytes: "0" },
    OwnedRows { table: "runs", key: "id", bytes: "coalesce(octet_length(iteration), 0)" },
    OwnedRows { table: "decided_steps", key: "user_id, mission_id, iteration_id, step_id", bytes: "octet_length(reason)" },
    OwnedRows { table: "agent_days", key: "user_id, day, agent_id", bytes: "0" },
    OwnedRows { table: "user_quarters", key: "user_id, quarter", bytes: "0" },
    OwnedRows { table: "mission_days", key: "user_id, mission_id, day", bytes: "0" },
    OwnedRows { table: "record_lists", key: "user_id, app_id, table_name", bytes: "0" },
    OwnedRows { table: "record_cards", key: "user_id, app_id, table_name, record_id", bytes: "octet_length(search) + octet_length(shown)" },
    OwnedRows { table: "trials", key: "user_id, agent_id, finished_at", bytes: "0" },
    OwnedRows { table: "lost_iterations", key: "user_id, mission_id, iteration_id", bytes: "octet_length(iteration)" },
    OwnedRows { table: "grant_ends", key: "user_id, wrapped_key", bytes: "0" },
    OwnedRows { table: "automatic_steps", key: "user_id, agent_id, tool, at", bytes: "0" },
    OwnedRows { table: "decrypt_audit", key: "id", bytes: "0" },
    OwnedRows { table: "preferences", key: "user_id", bytes: "0" },
    OwnedRows {
        table: "sync_changes",
        key: "seq",
        bytes: "coalesce(octet_length(data), 0) + octet_length(field_meta) + coalesce(octet_length(actor), 0)",
    },
];

/// What is told of each user's log; it goes last, since the rows of the log do not count it down.
const USER_LOG: &str = "DELETE FROM user_log WHERE user_id = ?1";

impl Store {
    /// Begins to remove a person: from now on nothing of theirs runs, and nothing comes in.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin_removal(&self, user: &UserId) -> StoreResult<RemovalStart> {
        let user = user.to_owned();
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            tx.sql(|c| {
                let known = "SELECT EXISTS (SELECT 1 FROM people WHERE user_id = ?1) OR EXISTS (SELECT 1 FROM user_log WHERE user_id = ?1) \
                             OR EXISTS (SELECT 1 FROM removals WHERE user_id = ?1 AND done_at IS NULL)";
                if !c.query_row(known, [&user], |row| row.get::<_, bool>(0))? {
                    return Ok(RemovalStart::NoPerson);
                }
                let start = begin(c, &user, now)?;
                if start == RemovalStart::Begun && c.sqlite().is_none() {
                    // Who is removed here comes in again by an invitation alone.
                    c.execute("DELETE FROM gone_users WHERE user_id = ?1", [&user])?;
                }
                Ok(start)
            })
        })
        .await
    }

    /// Removes some of what a person owns whose removal began; once nothing is left, the removal is done.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove_batch(&self, user: &UserId) -> StoreResult<RemovedBatch> {
        let user = user.to_owned();
        self.write(move |tx| {
            let now = time::to_micros(tx.now());
            tx.sql(|c| {
                let begun = "SELECT EXISTS (SELECT 1 FROM removals WHERE user_id = ?1 AND done_at IS NULL)";
                if !c.query_row(begun, [&user], |row| row.get(0))? {
                    return Ok(RemovedBatch { rows: 0, done: true });
                }
                // What goes is overwritten in the file.
                let secure = |on: &str| match c.sqlite() {
                    Some(c) => c.query_row(&format!("PRAGMA secure_delete = {on}"), [], |_| Ok(())),
                    None => Ok(()),
                };
                secure("ON")?;
                let batch = remove(c, &user);
                secure("OFF")?;
                let batch = batch?;
                if batch.done {
                    // Who is let in again finds nothing of what was.
                    note_rows_went(c)?;
                    c.execute(USER_LOG, [&user])?;
                    if !(c.sqlite().is_none() && others::let_in_again(c, &user)?) {
                        c.execute("UPDATE removals SET done_at = ?2 WHERE user_id = ?1", params![user, now])?;
                    }
                }
                Ok(batch)
            })
        })
        .await
    }

    /// People whose removal is under way, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn removals(&self, limit: u32) -> StoreResult<Vec<UserId>> {
        let query = "SELECT user_id FROM removals WHERE done_at IS NULL ORDER BY user_id LIMIT ?1";
        self.read(move |c| c.prepare_cached(query)?.query_map([limit], |row| row.get(0))?.collect()).await
    }
}

/// Marks somebody as one who is being removed, unless nobody else could administer the server.
pub(super) fn begin(c: &Db<'_>, user: &UserId, now: i64) -> db::Result<RemovalStart> {
    if is_last_admin(c, user)? {
        return Ok(RemovalStart::LastAdmin);
    }
    let mark = "INSERT INTO removals (user_id, asked_at) VALUES (?1, ?2) ON CONFLICT (user_id) DO UPDATE SET done_at = NULL";
    c.execute(mark, params![user, now])?;
    note_end(c)?;
    for table in ["sessions", "sign_in_links", "people"] {
        c.execute(&format!("DELETE FROM {table} WHERE user_id = ?1"), [user])?;
    }
    Ok(RemovalStart::Begun)
}

fn remove(c: &Db<'_>, user: &UserId) -> db::Result<RemovedBatch> {
    let mut rows = 0;
    for owned in &OWNED {
        if rows >= ROWS {
            break;
        }
        let gone = c
            .prepare_cached(&batch_of(owned))?
            .query_map(params![user, ROWS - rows, BYTES], |row| row.get::<_, Option<String>>(0))?
            .collect::<db::Result<Vec<_>>>()?;
        for state in gone.iter().flatten() {
            count(c, Some(state), None)?;
        }
        rows += gone.len();
        // Large rows fill a batch as many do.
        if !gone.is_empty() && owned.bytes != "0" {
            break;
        }
    }
    if rows == 0 && c.sqlite().is_some() {
        rows = log_rows::forget(c, user, ROWS)?;
    }
    Ok(RemovedBatch { rows, done: rows == 0 })
}

/// Deletes a batch of a table and answers, of each live mission, its state.
fn batch_of(OwnedRows { table, key, bytes }: &OwnedRows) -> String {
    let told = if *table == "mission_snapshots" { "CASE liveness WHEN 'live' THEN state END" } else { "NULL" };
    format!(
        "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM (SELECT {key}, bytes, CAST(sum(bytes) OVER (ROWS UNBOUNDED PRECEDING) AS BIGINT) \
         AS upto FROM (SELECT {key}, CAST({bytes} AS BIGINT) AS bytes FROM {table} WHERE user_id = ?1 LIMIT ?2) AS first) AS summed \
         WHERE upto - bytes < ?3) RETURNING {told}"
    )
}

/// Whether nobody but perhaps this person administers the server.
pub(super) fn has_no_other_admin(c: &Db<'_>, user: &UserId) -> db::Result<bool> {
    let none = "SELECT NOT EXISTS (SELECT 1 FROM people WHERE role = 'admin' AND user_id <> ?1)";
    c.query_row(none, [user], |row| row.get(0))
}

/// Whether nobody but this person administers the server.
fn is_last_admin(c: &Db<'_>, user: &UserId) -> db::Result<bool> {
    let is_admin = "SELECT EXISTS (SELECT 1 FROM people WHERE role = 'admin' AND user_id = ?1)";
    Ok(c.query_row(is_admin, [user], |row| row.get(0))? && has_no_other_admin(c, user)?)
}

/// Whether somebody was removed, or is being removed.
pub(super) fn is_removed(c: &Db<'_>, user: &str) -> db::Result<bool> {
    c.prepare_cached("SELECT 1 FROM removals WHERE user_id = ?1")?.exists([user])
}

/// Lets somebody in again who was removed; `false` while their removal is under way.
pub(super) fn let_in_again(c: &Db<'_>, user: &UserId) -> db::Result<bool> {
    c.execute("DELETE FROM removals WHERE user_id = ?1 AND done_at IS NOT NULL", [user])?;
    Ok(!is_removed(c, user.as_str())?)
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::{OWNED, batch_of};
    use crate::store::sqlite::migrate::{SCHEMA_VERSION, fresh};

    fn texts(c: &Connection, query: &str) -> Vec<String> {
        c.prepare(query).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_table_with_a_user_is_known_to_the_removal() {
        let c = fresh(SCHEMA_VERSION).unwrap();
        let of_users = texts(
            &c,
            "SELECT m.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS column WHERE m.type = 'table' AND column.name LIKE '%user%'",
        );
        assert!(of_users.len() > 10, "{of_users:?}");
        for table in of_users {
            // The log is a view of three; what is named there goes with its last row.
            let others = ["removals", "user_log", "log_rows", "log_tables", "log_clients"];
            let known = OWNED.iter().any(|owned| owned.table == table) || others.contains(&table.as_str());
            assert!(known, "{table} has rows of users that a removal would leave");
        }
    }

    #[test]
    fn a_batch_reads_only_what_the_person_owns() {
        let c = fresh(SCHEMA_VERSION).unwrap();
        for owned in OWNED.iter().filter(|owned| !["sessions", "sign_in_links"].contains(&owned.table)) {
            let plan: Vec<String> = c
                .prepare(&format!("EXPLAIN QUERY PLAN {}", batch_of(owned)))
                .unwrap()
                .query_map(params!["u", 1, 1], |row| row.get(3))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let plan = plan.join("\n");
            if owned.table == "sync_changes" {
                // What is scanned afterwards are the rows that were found: its view deletes them one by one.
                let found =
                    plan.starts_with("SEARCH r USING INTEGER PRIMARY KEY (rowid=?)") && plan.contains("SEARCH t USING COVERING INDEX");
                assert!(found && !plan.contains("SCAN r") && !plan.contains("SCAN t"), "{plan}");
                continue;
            }
            assert!(!plan.contains(&format!("SCAN {}", owned.table)) && plan.contains("(user_id=?"), "{}: {plan}", owned.table);
        }
    }
}
