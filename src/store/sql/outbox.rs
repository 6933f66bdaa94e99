//! Calls that leave this machine: committed before they are made, closed after it (docs/design.md, section 13.1).

use jiff::Timestamp;
use serde::Deserialize;

use super::changes::from_text;
use super::writer::SqlTx;
use super::{Store, StoreResult};
use crate::domain::time;
use crate::steps::{OutboxCall, StepKey};
use crate::store::db::{self, OptionalExtension, Row, params};

/// A call that this process has to make.
#[derive(Debug, Clone, PartialEq)]
pub struct DueCall {
    pub call: OutboxCall,
    /// How often it was tried before.
    pub tried: u32,
}

/// A call that a process was making.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldCall {
    pub owner: String,
    pub call: OutboxCall,
}

/// A try of a call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FailedTry {
    /// RFC 3339
    pub at: String,
    pub error: String,
}

const COLUMNS: &str = "user_id, mission_id, iteration_id, step_id, tool, body, tried, owner";
/// Which call is meant.
const KEY: &str = "user_id = ?1 AND mission_id = ?2 AND iteration_id = ?3 AND step_id = ?4";
pub(super) const DUE: &str = "SELECT user_id, mission_id, iteration_id, step_id FROM outbox WHERE next_at IS NOT NULL AND owner IS NULL AND next_at <= ?1 ORDER BY next_at LIMIT ?2";
pub(super) const HELD: &str = "SELECT {} FROM outbox WHERE owner IS NOT NULL";

fn key(row: &Row<'_>) -> db::Result<StepKey> {
    Ok(StepKey { user_id: row.get(0)?, mission_id: row.get(1)?, iteration_id: row.get(2)?, step_id: row.get(3)? })
}

fn call(row: &Row<'_>) -> db::Result<OutboxCall> {
    Ok(OutboxCall { step: key(row)?, tool: row.get(4)?, body: row.get(5)? })
}

/// Adds a call; a step whose call is on its way makes no other.
pub(super) fn add(tx: &SqlTx<'_>, call: &OutboxCall) -> StoreResult<()> {
    let insert = "INSERT INTO outbox (user_id, mission_id, iteration_id, step_id, tool, body, next_at) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (user_id, mission_id, iteration_id, step_id) DO UPDATE \
                  SET tool = excluded.tool, body = excluded.body, tries = '[]', tried = 0, next_at = excluded.next_at WHERE outbox.next_at IS NULL";
    let OutboxCall { step: StepKey { user_id, mission_id, iteration_id, step_id }, tool, body } = call;
    let now = time::to_micros(tx.now());
    tx.sql(|c| c.prepare_cached(insert)?.execute(params![user_id, mission_id, iteration_id, step_id, tool, body, now]).map(drop))
}

pub(super) fn end(tx: &SqlTx<'_>, step: &StepKey) -> StoreResult<()> {
    let update = format!("UPDATE outbox SET next_at = NULL, owner = NULL, body = '' WHERE {KEY}");
    let StepKey { user_id, mission_id, iteration_id, step_id } = step;
    tx.sql(|c| c.prepare_cached(&update)?.execute(params![user_id, mission_id, iteration_id, step_id]).map(drop))
}

impl Store {
    /// Takes calls whose time has come, at most `limit`; nobody else makes them.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn claim_calls(&self, owner: &str, now: Timestamp, limit: u32) -> StoreResult<Vec<DueCall>> {
        let due = self
            .read(move |c| {
                let mut statement = c.prepare_cached(DUE)?;
                let due = statement.query_map(params![time::to_micros(now), limit], key)?;
                due.collect::<db::Result<Vec<StepKey>>>()
            })
            .await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let owner = owner.to_owned();
        self.write(move |tx| {
            let claim = format!("UPDATE outbox SET owner = ?5 WHERE {KEY} AND next_at IS NOT NULL AND owner IS NULL RETURNING {COLUMNS}");
            let mut claimed = Vec::with_capacity(due.len());
            for StepKey { user_id, mission_id, iteration_id, step_id } in due {
                let row = |row: &Row<'_>| Ok(DueCall { call: call(row)?, tried: row.get(6)? });
                let given = params![user_id, mission_id, iteration_id, step_id, owner];
                let found: Vec<DueCall> = tx.sql(|c| c.prepare_cached(&claim)?.query_map(given, row)?.collect())?;
                claimed.extend(found);
            }
            Ok(claimed)
        })
        .await
    }

    /// Sets a call to be made again at a time, after a try that failed.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn retry_call(&self, call: &OutboxCall, at: Timestamp, error: String) -> StoreResult<()> {
        let StepKey { user_id, mission_id, iteration_id, step_id } = call.step.clone();
        self.write(move |tx| {
            let tried = serde_json::json!({"at": time::iso_millis(tx.now()), "error": error}).to_string();
            let update = format!(
                "UPDATE outbox SET owner = NULL, next_at = ?5, tried = tried + 1, tries = CASE tries WHEN '[]' THEN '[' ELSE substr(tries, 1, length(tries) - 1) || ',' END || CAST(?6 AS TEXT) || ']' \
                 WHERE {KEY} AND next_at IS NOT NULL"
            );
            let given = params![user_id, mission_id, iteration_id, step_id, time::to_micros(at), tried];
            tx.sql(|c| c.prepare_cached(&update)?.execute(given).map(drop))
        })
        .await
    }

    /// Calls that processes are making right now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn held_calls(&self) -> StoreResult<Vec<HeldCall>> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&HELD.replace("{}", COLUMNS))?;
            let held = statement.query_map(params![], |row| Ok(HeldCall { owner: row.get(7)?, call: call(row)? }))?;
            held.collect()
        })
        .await
    }

    /// The tries of a step's call that failed, in their order; none where it makes no call.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tries_of_call(&self, step: StepKey) -> StoreResult<Vec<FailedTry>> {
        self.read(move |c| {
            let query = format!("SELECT tries FROM outbox WHERE {KEY}");
            let StepKey { user_id, mission_id, iteration_id, step_id } = &step;
            let tries =
                c.prepare_cached(&query)?.query_row(params![user_id, mission_id, iteration_id, step_id], |row| row.get::<_, String>(0));
            let Some(tries) = tries.optional()? else { return Ok(Vec::new()) };
            from_text(&tries, || format!("the tries of step {step_id} of user {user_id}"))
        })
        .await
    }
}
