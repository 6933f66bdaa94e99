//! The record of every attempt to read an encrypted record (docs/design.md, section 8).

use jiff::Timestamp;

use super::{Store, StoreResult};
use crate::domain::ids::{IterationId, MissionId, UserId};
use crate::domain::time;
use crate::store::db::{self, Row, params};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStatus {
    Ok,
    Failed,
    /// The record is outside of the grant, so nothing was tried.
    ScopeViolation,
}

impl ReadStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            ReadStatus::Ok => "ok",
            ReadStatus::Failed => "failed",
            ReadStatus::ScopeViolation => "scope-violation",
        }
    }
}

/// An attempt that is about to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadAttempt {
    pub table: String,
    pub record_id: String,
    pub status: ReadStatus,
    /// Why it was not read.
    pub reason: Option<&'static str>,
}

/// For whom, and for what, records are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFor {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub iteration_id: IterationId,
}

/// An attempt as it was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    pub id: i64,
    pub mission_id: MissionId,
    pub iteration_id: IterationId,
    pub table: String,
    pub record_id: String,
    pub status: String,
    pub reason: Option<String>,
    pub at: Timestamp,
}

pub(super) const BY_USER: &str = "SELECT * FROM decrypt_audit WHERE user_id = ?1 AND id < ?3 ORDER BY id DESC LIMIT ?2";
pub(super) const BY_MISSION: &str =
    "SELECT * FROM decrypt_audit WHERE user_id = ?1 AND mission_id = ?4 AND id < ?3 ORDER BY id DESC LIMIT ?2";

const INSERT: &str = "INSERT INTO decrypt_audit (user_id, mission_id, iteration_id, table_name, record_id, status, reason, ts) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

impl Store {
    /// Writes attempts down, all or none. What was read may be used once this has succeeded.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn record_reads(&self, reader: ReadFor, attempts: Vec<ReadAttempt>, at: Timestamp) -> StoreResult<()> {
        self.write(move |tx| {
            tx.sql(|c| {
                let mut insert = c.prepare_cached(INSERT)?;
                for attempt in &attempts {
                    insert.execute(params![
                        reader.user_id,
                        reader.mission_id,
                        reader.iteration_id,
                        attempt.table,
                        attempt.record_id,
                        attempt.status.as_str(),
                        attempt.reason,
                        time::to_micros(at),
                    ])?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Attempts to read records of a user, of one mission or all, before one of them, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reads_of(
        &self,
        user: &UserId,
        mission: Option<&MissionId>,
        before: Option<i64>,
        limit: u32,
    ) -> StoreResult<Vec<AuditRow>> {
        let (user, mission, before) = (user.to_owned(), mission.cloned(), before.unwrap_or(i64::MAX));
        self.read(move |c| match mission {
            None => c.prepare_cached(BY_USER)?.query_map(params![user, limit, before], audit_row)?.collect(),
            Some(mission) => c.prepare_cached(BY_MISSION)?.query_map(params![user, limit, before, mission], audit_row)?.collect(),
        })
        .await
    }
}

fn audit_row(row: &Row<'_>) -> db::Result<AuditRow> {
    Ok(AuditRow {
        id: row.get("id")?,
        mission_id: row.get("mission_id")?,
        iteration_id: row.get("iteration_id")?,
        table: row.get("table_name")?,
        record_id: row.get("record_id")?,
        status: row.get("status")?,
        reason: row.get("reason")?,
        at: time::from_micros(row.get("ts")?),
    })
}
