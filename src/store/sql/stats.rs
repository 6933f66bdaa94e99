//! Figures about the database for operators, each cheap enough for every scrape.

use jiff::Timestamp;

use super::{Store, StoreResult};
use crate::domain::time;
use crate::store::db::params;

/// Rows that wait are counted up to here.
const MOST_WAITING: u32 = 100_000;

/// A look at the database.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Live missions by state.
    pub missions: Vec<(String, i64)>,
    /// Runs that a process works on.
    pub in_flight: i64,
    /// Runs that wait for their next attempt.
    pub waiting: i64,
    /// The due time of the mission that waits longest, or will run next.
    pub first_due: Option<Timestamp>,
    /// Rows in the log.
    pub log_rows: i64,
    /// Rows of other programs that wait for their place in the log, up to [`MOST_WAITING`].
    pub arrivals: i64,
    /// Size of the database file, in bytes.
    pub database_bytes: i64,
    /// Size of the write-ahead log, in bytes.
    pub wal_bytes: i64,
}

impl Store {
    /// Takes a look.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stats(&self) -> StoreResult<Stats> {
        let wal = self.path().with_extension("db-wal");
        self.read(move |c| {
            let missions = c
                .prepare_cached("SELECT state, missions FROM mission_counts ORDER BY state")?
                .query_map(params![], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let (in_flight, waiting) = c
                .prepare_cached("SELECT count(owner), count(*) - count(owner) FROM runs WHERE outcome IS NULL")?
                .query_row(params![], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let first_due: Option<i64> = c
                .prepare_cached(
                    "SELECT min(next_run_at) FROM mission_snapshots WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL",
                )?
                .query_row(params![], |row| row.get(0))?;
            let size = match c.sqlite() {
                Some(_) => "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
                None => "SELECT pg_database_size(current_database())",
            };
            let waiting_rows = format!("SELECT count(*) FROM (SELECT 1 FROM arrivals LIMIT {MOST_WAITING}) AS a");
            let arrivals = match c.sqlite() {
                Some(_) => 0,
                None => c.query_row(&waiting_rows, params![], |row| row.get(0))?,
            };
            Ok(Stats {
                arrivals,
                missions,
                in_flight,
                waiting,
                first_due: first_due.map(time::from_micros),
                log_rows: c.prepare_cached("SELECT CAST(coalesce(sum(rows), 0) AS BIGINT) FROM user_log")?.query_row(params![], |row| row.get(0))?,
                database_bytes: c.query_row(size, params![], |row| row.get(0))?,
                wal_bytes: std::fs::metadata(wal).map_or(0, |m| i64::try_from(m.len()).unwrap_or(i64::MAX)),
            })
        })
        .await
    }

    /// Writes something durable, to learn whether that works.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn probe(&self) -> StoreResult<()> {
        self.set_fact("last write probe", time::iso_millis((self.shared.clock)())).await
    }
}
