//! From the log to the snapshots: reads new rows only and keeps agents and missions folded (docs/design.md, section 4).
//!
//! This room decides in which steps a refresh goes and what it reports. Merging is a rule of the domain, and rows
//! and transactions are the store's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::store::{Refreshed, Store, StoreResult, Table};

/// Rows folded at a time; the store ends a batch earlier where it touches many records.
const BATCH: u32 = 500_000;
/// How often a long refresh tells of itself.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// What a refresh of both tables did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Users with new rows.
    pub users: usize,
    pub new: u64,
    pub updated: u64,
    pub rows: u64,
    /// Fields of a wrong type that were passed over.
    pub problems: usize,
}

impl Report {
    pub fn to_json(&self) -> Value {
        json!({
            "users": self.users,
            "newSnapshots": self.new,
            "updatedSnapshots": self.updated,
            "rowsApplied": self.rows,
            "fieldProblems": self.problems,
        })
    }
}

/// Folds everything that is new in the log into both snapshot tables, side by side.
///
/// # Errors
/// When the database cannot be written. What was folded by then stays, and the next refresh goes on from there.
pub async fn refresh(store: &Store) -> StoreResult<Report> {
    let (agents, missions) = tokio::try_join!(catch_up(store, Table::Agents, BATCH), catch_up(store, Table::Missions, BATCH))?;
    let mut both = agents;
    both.absorb(missions);
    for (record, field) in &both.problems {
        tracing::warn!(record, field, "a field has a wrong type; its default is used in its place");
    }
    Ok(Report { users: both.users.len(), new: both.new, updated: both.updated, rows: both.rows, problems: both.problems.len() })
}

/// Folds the new rows of one table, `batch` rows per transaction. Where that takes long, as after an upgrade that folds the
/// whole log again, it tells how far it is.
///
/// # Errors
/// When the database cannot be written.
pub async fn catch_up(store: &Store, table: Table, batch: u32) -> StoreResult<Refreshed> {
    let mut total = Refreshed::default();
    let mut told = Instant::now();
    loop {
        let (refreshed, more) = store.refresh_batch(table, batch).await?;
        total.absorb(refreshed);
        if !more {
            return Ok(total);
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let (row, of) = store.projected(table).await?;
            tracing::info!(table = table.log_name(), row, of, "folding the log into its snapshots");
        }
    }
}
