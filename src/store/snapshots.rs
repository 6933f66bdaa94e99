//! Snapshots of agents and missions, folded from new log rows only (DESIGN, section 4).

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::changes::{delta, from_text, to_text};
use super::writer::Tx;
use super::{Store, StoreResult};
use crate::domain::agent::Agent;
use crate::domain::merge::{Delta, Fold, Record, Stamps};
use crate::domain::mission::Mission;
use crate::domain::time;

/// A projected table of the app `ai`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Agents,
    Missions,
}

impl Table {
    /// Its name in the change log.
    pub fn log_name(self) -> &'static str {
        match self {
            Table::Agents => "agents",
            Table::Missions => "aiMissions",
        }
    }

    /// Its snapshot table and the key column there.
    fn snapshots(self) -> (&'static str, &'static str) {
        match self {
            Table::Agents => ("agent_snapshots", "agent_id"),
            Table::Missions => ("mission_snapshots", "mission_id"),
        }
    }
}

/// What a refresh of one table did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Rows of the log that were folded in.
    pub rows: u64,
    pub new: u64,
    pub updated: u64,
    pub users: std::collections::BTreeSet<String>,
    /// Fields of a wrong type that were passed over, as (record id, field), in the records that this refresh touched.
    pub problems: Vec<(String, &'static str)>,
}

impl Refreshed {
    /// Adds what another batch did.
    pub fn absorb(&mut self, other: Refreshed) {
        self.rows += other.rows;
        self.new += other.new;
        self.updated += other.updated;
        self.users.extend(other.users);
        self.problems.extend(other.problems);
    }
}

/// A live record of a snapshot table.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub user_id: String,
    pub id: String,
    pub record: Record,
    pub field_meta: Stamps,
}

/// A due mission, as light as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub user_id: String,
    pub mission_id: String,
    pub agent_id: Option<String>,
    pub scheduled_for: Timestamp,
}

/// New rows of one projected table.
pub(super) const NEW_ROWS: &str = "SELECT seq, sync_at, record_id, user_id, op, data, field_meta, created_at FROM sync_changes \
     WHERE app_id = 'ai' AND table_name IN ('agents', 'aiMissions') AND table_name = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";

/// New rows of one record, for a write that cannot wait for the refresh.
const NEW_ROWS_OF_RECORD: &str = "SELECT seq, sync_at, record_id, user_id, op, data, field_meta, created_at FROM sync_changes \
     WHERE app_id = 'ai' AND table_name IN ('agents', 'aiMissions') AND table_name = ?1 AND seq > ?2 \
     AND +user_id = ?3 AND +record_id = ?4 ORDER BY seq";

pub(super) const DUE: &str = "SELECT user_id, mission_id, agent_id, next_run_at FROM mission_snapshots \
     WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL AND next_run_at <= ?1 ORDER BY next_run_at, user_id, mission_id";

impl Store {
    /// Folds the next new rows of a table, at most `limit`, and moves its cursor in the same transaction.
    /// `false`: nothing is left to fold.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn refresh_batch(&self, table: Table, limit: u32) -> StoreResult<(Refreshed, bool)> {
        let idle = self
            .read(move |c| {
                let cursor = cursor(c, table)?;
                c.prepare_cached(NEW_ROWS)?.exists(params![table.log_name(), cursor, 1]).map(|new| !new)
            })
            .await?;
        if idle {
            return Ok((Refreshed::default(), false));
        }
        self.write(move |tx| refresh_batch(tx, table, limit)).await
    }

    /// The missions that are due at `now`, the longest waiting first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn due(&self, now: Timestamp) -> StoreResult<Vec<Due>> {
        self.read(move |c| c.prepare_cached(DUE)?.query_map([time::to_micros(now)], due)?.collect()).await
    }

    /// One live record of a table.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn snapshot(&self, table: Table, user: &str, id: &str) -> StoreResult<Option<Snapshot>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            let (name, key) = table.snapshots();
            let query =
                format!("SELECT user_id, {key}, record, field_meta FROM {name} WHERE user_id = ?1 AND {key} = ?2 AND liveness = 'live'");
            c.prepare_cached(&query)?.query_row([user, id], snapshot).optional()
        })
        .await
    }

    /// The newest state of one record, rows included that no refresh has seen yet; `None` where it is not alive.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn newest(&self, table: Table, user: &str, id: &str) -> StoreResult<Option<Record>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            // One state of the log for the snapshot and what is newer.
            let c = c.unchecked_transaction()?;
            Ok(newest(&c, table, &user, &id)?.fold.live().map(|(record, _)| record.clone()))
        })
        .await
    }

    /// Live records of a table, by user and id; of one user or all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn snapshots(&self, table: Table, user: Option<String>) -> StoreResult<Vec<Snapshot>> {
        self.read(move |c| {
            let (name, key) = table.snapshots();
            let query = format!(
                "SELECT user_id, {key}, record, field_meta FROM {name} \
                 WHERE liveness = 'live' AND (?1 IS NULL OR user_id = ?1) ORDER BY user_id, {key}"
            );
            c.prepare_cached(&query)?.query_map([user], snapshot)?.collect()
        })
        .await
    }

    /// The live missions with an id, of any user: what a person means who names a mission.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn missions_with_id(&self, id: &str) -> StoreResult<Vec<Snapshot>> {
        let id = id.to_owned();
        self.read(move |c| {
            let query = "SELECT user_id, mission_id, record, field_meta FROM mission_snapshots \
                         WHERE mission_id = ?1 AND liveness = 'live' ORDER BY user_id";
            c.prepare_cached(query)?.query_map([id], snapshot)?.collect()
        })
        .await
    }
}

fn refresh_batch(tx: &Tx<'_>, table: Table, limit: u32) -> StoreResult<(Refreshed, bool)> {
    let cursor = tx.sql(|c| cursor(c, table))?;
    let mut folds: HashMap<(String, String), Folded> = HashMap::new();
    let mut report = Refreshed::default();
    let mut last = cursor;
    let mut seen = 0;
    tx.sql(|c| {
        let mut statement = c.prepare_cached(NEW_ROWS)?;
        let mut rows = statement.query(params![table.log_name(), cursor, limit])?;
        while let Some(row) = rows.next()? {
            last = row.get("seq")?;
            let key = (row.get("user_id")?, row.get("record_id")?);
            let folded = match folds.entry(key) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => {
                    let (user, record) = entry.key();
                    let folded = load(c, table, user, record)?;
                    entry.insert(folded)
                }
            };
            seen += 1;
            report.rows += u64::from(folded.apply(row)?);
        }
        Ok(())
    })?;
    for ((user, record), folded) in folds {
        if folded.changed {
            report.new += u64::from(!folded.stored);
            report.updated += u64::from(folded.stored);
            report.problems.extend(save(tx, table, &user, &record, &folded)?);
        }
        report.users.insert(user);
    }
    tx.sql(|c| c.prepare_cached("UPDATE projection_cursors SET seq = ?2 WHERE table_name = ?1")?.execute(params![table.log_name(), last]))?;
    Ok((report, seen == limit))
}

/// The newest state of one record, rows included that no refresh has seen yet.
pub(super) fn newest(connection: &Connection, table: Table, user: &str, id: &str) -> rusqlite::Result<Folded> {
    let mut folded = load(connection, table, user, id)?;
    let mut statement = connection.prepare_cached(NEW_ROWS_OF_RECORD)?;
    let mut rows = statement.query(params![table.log_name(), cursor(connection, table)?, user, id])?;
    while let Some(row) = rows.next()? {
        folded.apply(row)?;
    }
    Ok(folded)
}

/// A record while it is being folded.
pub(super) struct Folded {
    pub fold: Fold,
    last_seq: i64,
    last_applied_at: i64,
    stored: bool,
    changed: bool,
}

impl Folded {
    /// Folds in a row; `false` where the snapshot already holds it.
    fn apply(&mut self, row: &Row<'_>) -> rusqlite::Result<bool> {
        let seq: i64 = row.get("seq")?;
        if seq <= self.last_seq {
            return Ok(false);
        }
        let record_id: String = row.get("record_id")?;
        self.take(&record_id, delta(row)?, seq, row.get("sync_at")?);
        Ok(true)
    }

    /// Folds in the change that became row `seq` at `sync_at`.
    pub(super) fn take(&mut self, record_id: &str, delta: Delta, seq: i64, sync_at: i64) {
        self.fold.apply(record_id, delta);
        self.last_seq = seq;
        self.last_applied_at = sync_at;
        self.changed = true;
    }
}

/// How far a projection has read the log.
fn cursor(connection: &Connection, table: Table) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT seq FROM projection_cursors WHERE table_name = ?1")?.query_row([table.log_name()], |row| row.get(0))
}

fn load(connection: &Connection, table: Table, user: &str, id: &str) -> rusqlite::Result<Folded> {
    let (name, key) = table.snapshots();
    let query = format!("SELECT record, field_meta, liveness, last_seq, last_applied_at FROM {name} WHERE user_id = ?1 AND {key} = ?2");
    let stored = connection
        .prepare_cached(&query)?
        .query_row([user, id], |row| {
            let ended = row.get_ref("liveness")?.as_str()? == "ended";
            let fold = if ended {
                Fold::Ended
            } else {
                Fold::Known { record: from_text(row.get_ref("record")?.as_str()?), stamps: from_text(row.get_ref("field_meta")?.as_str()?) }
            };
            Ok(Folded { fold, last_seq: row.get("last_seq")?, last_applied_at: row.get("last_applied_at")?, stored: true, changed: false })
        })
        .optional()?;
    Ok(stored.unwrap_or(Folded { fold: Fold::Unseen, last_seq: 0, last_applied_at: 0, stored: false, changed: false }))
}

/// Writes a snapshot with the columns that the due scan and the lists need; answers its fields of a wrong type.
pub(super) fn save(tx: &Tx<'_>, table: Table, user: &str, id: &str, folded: &Folded) -> StoreResult<Vec<(String, &'static str)>> {
    let empty = (Record::new(), Stamps::new());
    let (record, stamps, liveness) = match &folded.fold {
        Fold::Known { record, stamps } => (record, stamps, if folded.fold.live().is_some() { "live" } else { "deleted" }),
        Fold::Ended | Fold::Unseen => (&empty.0, &empty.1, "ended"),
    };
    let updated_at = time::to_micros(tx.now());
    let (record_text, stamps_text) = (to_text(record), to_text(stamps));
    let problems = tx.sql(|c| match table {
        Table::Agents => {
            let (agent, problems) = Agent::read(id, record);
            c.prepare_cached(
                "INSERT INTO agent_snapshots (user_id, agent_id, record, field_meta, liveness, state, last_seq, last_applied_at, updated_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (user_id, agent_id) DO UPDATE SET record = ?3, field_meta = ?4, \
                 liveness = ?5, state = ?6, last_seq = ?7, last_applied_at = ?8, updated_at = ?9",
            )?
            .execute(params![
                user, id, record_text, stamps_text, liveness, agent.state.as_str(), folded.last_seq, folded.last_applied_at, updated_at
            ])?;
            Ok(problems)
        }
        Table::Missions => {
            let (mission, problems) = Mission::read(id, record);
            c.prepare_cached(
                "INSERT INTO mission_snapshots (user_id, mission_id, record, field_meta, liveness, state, last_seq, last_applied_at, \
                 updated_at, agent_id, next_run_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                 ON CONFLICT (user_id, mission_id) DO UPDATE SET record = ?3, field_meta = ?4, liveness = ?5, state = ?6, last_seq = ?7, \
                 last_applied_at = ?8, updated_at = ?9, agent_id = ?10, next_run_at = ?11",
            )?
            .execute(params![
                user, id, record_text, stamps_text, liveness, mission.state.as_str(), folded.last_seq, folded.last_applied_at, updated_at,
                mission.agent_id, mission.next_run_at.map(time::to_micros)
            ])?;
            Ok(problems)
        }
    })?;
    Ok(problems.into_iter().map(|problem| (id.to_owned(), problem.field)).collect())
}

fn snapshot(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    Ok(Snapshot {
        user_id: row.get(0)?,
        id: row.get(1)?,
        record: from_text(row.get_ref(2)?.as_str()?),
        field_meta: from_text(row.get_ref(3)?.as_str()?),
    })
}

fn due(row: &Row<'_>) -> rusqlite::Result<Due> {
    Ok(Due { user_id: row.get(0)?, mission_id: row.get(1)?, agent_id: row.get(2)?, scheduled_for: time::from_micros(row.get(3)?) })
}
