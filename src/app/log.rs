//! The log: what devices push and pull, and what is shown of it.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use super::App;
use crate::domain::ids::{MissionId, UserId};
use crate::domain::limits::Admitted;
use crate::store::{AuditRow, EventKey, MissionCard, Page, Pull, RowCard, StoreError, StoreResult, Table};

/// Attempts to read encrypted records that are looked through for one page.
const READS_SOUGHT: u32 = 1_000;

/// Attempts to read encrypted records, and among what one may choose.
pub struct ReadsView {
    pub rows: Vec<AuditRow>,
    /// The line before which older ones are; `None`: there are no older ones.
    pub next: Option<i64>,
    /// The missions of the lines that were looked through, as far as they are still there.
    pub missions: Vec<MissionCard>,
    /// The tables of those lines.
    pub tables: BTreeSet<String>,
}

impl App {
    /// Whether there is room for another write, or one had better come back later.
    pub fn has_room(&self) -> bool {
        !self.store.is_overloaded()
    }

    /// By which ids are made for changes that come without one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn event_key(&self) -> StoreResult<EventKey> {
        self.store.event_key().await
    }

    /// Takes the changes of a client in, all or none. They are on disk when this answers, with what the client asks for afterwards
    /// where that is short.
    ///
    /// # Errors
    /// When the user has reached a ceiling, a change is refused, or the database cannot be written.
    pub async fn push(&self, changes: Vec<Admitted>, then: Pull) -> StoreResult<Option<Page>> {
        let rows = changes.len() as u64;
        let counted = {
            let mut rates = self.push_rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.count(&then.user_id, rows, self.ceilings.rows_per_minute, self.now())
        };
        counted.map_err(StoreError::OverCeiling)?;
        self.store.push(changes, self.ceilings, then).await.map(|taken| taken.page)
    }

    /// A page of the log from a cursor.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn pull(&self, pull: Pull) -> StoreResult<Page> {
        self.store.pull(pull).await
    }

    /// The number of the last row of the log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_seq(&self) -> StoreResult<i64> {
        self.store.last_seq().await
    }

    /// The changes of a record before row `before`, the newest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn history(&self, user: &UserId, table: Table, id: &str, before: i64, limit: u32) -> StoreResult<Vec<RowCard>> {
        self.store.rows_of(user, table, id, before, limit).await
    }

    /// The attempts to read encrypted records of a user, the newest first, at most `limit`: those of one mission or of all,
    /// before line `before`.
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
        self.store.reads_of(user, mission, before, limit).await
    }

    /// The attempts to read encrypted records, of one mission and one table or of all, before line `before`, the newest first.
    /// There may be older ones where none is found.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reads_view(
        &self,
        user: &UserId,
        (mission, table): (Option<&MissionId>, Option<&str>),
        before: Option<i64>,
        limit: usize,
    ) -> StoreResult<ReadsView> {
        self.refresh().await?;
        let mut rows = self.store.reads_of(user, mission, before, READS_SOUGHT).await?;
        let mut next = rows.last().filter(|_| rows.len() == READS_SOUGHT as usize).map(|row| row.id);
        let tables = rows.iter().map(|row| row.table.clone()).collect();
        let missions: BTreeSet<MissionId> = rows.iter().map(|row| row.mission_id.clone()).collect();
        rows.retain(|row| table.is_none_or(|table| row.table == table));
        if rows.len() > limit {
            rows.truncate(limit);
            next = rows.last().map(|row| row.id);
        }
        let missions = self.store.mission_cards_of(user, missions.into_iter().collect()).await?;
        Ok(ReadsView { rows, next, missions, tables })
    }
}
