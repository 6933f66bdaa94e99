//! Snapshots of agents and missions: what is kept, and looking it up (docs/design.md, section 4).

use jiff::Timestamp;

use super::changes::{from_text, record_from_text};
use super::{Due, DueKey, Projectable, Snapshot, Store, StoreResult, Table, script};
use crate::domain::decision::Plans;
use crate::domain::ids::{MissionId, UserId};
use crate::domain::merge::{Stamps, is_future};
use crate::domain::mission::Mission;
use crate::domain::raw::RawRecord;
use crate::domain::time;
use crate::store::db::{self, OptionalExtension, Row, params};

/// The table of snapshots, and the key column there.
pub(super) fn columns_of(table: Table) -> (&'static str, &'static str) {
    match table {
        Table::Agents => ("agent_snapshots", "agent_id"),
        Table::Missions => ("mission_snapshots", "mission_id"),
    }
}

pub(super) const DUE: &str = "SELECT user_id, mission_id, agent_id, next_run_at, awaiting_review, client_active_at FROM mission_snapshots \
     WHERE state = 'active' AND liveness = 'live' AND next_run_at IS NOT NULL AND next_run_at <= ?1 \
     AND (next_run_at, user_id, mission_id) > (?2, ?3, ?4) ORDER BY next_run_at, user_id, mission_id LIMIT ?5";

/// Live records of a table, of one user or of all: two statements, so that those of one user are a range of the key.
pub(super) fn all_query(table: Table, of_user: bool) -> String {
    let (name, key) = columns_of(table);
    let of_user = if of_user { " AND user_id = ?1" } else { "" };
    format!("SELECT user_id, {key}, record, field_meta FROM {name} WHERE liveness = 'live'{of_user} ORDER BY user_id, {key}")
}

pub(super) const WITH_ID: &str = "SELECT user_id, mission_id, record, field_meta FROM mission_snapshots \
                         WHERE mission_id = ?1 AND liveness = 'live' ORDER BY user_id";

impl Store {
    /// The missions that are due at `now`, the longest waiting first, after a place among them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn due(&self, now: Timestamp, after: Option<DueKey>, limit: u32) -> StoreResult<Vec<Due>> {
        self.read(move |c| {
            let (at, user, mission) = after.map_or_else(
                || (i64::MIN, UserId::default(), MissionId::default()),
                |key| (time::to_micros(key.scheduled_for), key.user_id, key.mission_id),
            );
            c.prepare_cached(DUE)?.query_map(params![time::to_micros(now), at, user, mission, limit], due)?.collect()
        })
        .await
    }

    /// One live record.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn snapshot<T: Projectable>(&self, user: &UserId, id: &T::Id) -> StoreResult<Option<Snapshot<T>>> {
        let (user, id) = (user.to_owned(), id.to_string());
        self.read(move |c| {
            let (name, key) = columns_of(T::TABLE);
            let query =
                format!("SELECT user_id, {key}, record, field_meta FROM {name} WHERE user_id = ?1 AND {key} = ?2 AND liveness = 'live'");
            c.prepare_cached(&query)?.query_row(params![user, id], snapshot).optional()
        })
        .await
    }

    /// The fields of a live record whose stamps are far ahead of `now`, with their stamps (docs/design.md, section 3).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn future_fields(&self, table: Table, user: &UserId, id: &str, now: Timestamp) -> StoreResult<Vec<(String, String)>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            let (name, key) = columns_of(table);
            let query = format!("SELECT field_meta FROM {name} WHERE user_id = ?1 AND {key} = ?2 AND liveness = 'live'");
            let text: Option<String> = c.prepare_cached(&query)?.query_row(params![user, id], |row| row.get(0)).optional()?;
            let what = || format!("the snapshot of {} {id} of user {user}", table.log_name());
            let stamps: Stamps = text.map(|text| from_text(&text, what)).transpose()?.unwrap_or_default();
            Ok(stamps.into_iter().filter(|(_, stamp)| is_future(stamp, now)).collect())
        })
        .await
    }

    /// The newest state of one record, rows included that no refresh has seen yet; `None` where it is not alive.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn newest(&self, table: Table, user: &UserId, id: &str) -> StoreResult<Option<RawRecord>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        let newest = self.read_as_of_now(move |reads| script::newest(reads, table, &user, &id)).await?;
        Ok(newest.fold.live().map(|(record, _)| record.clone()))
    }

    /// Live records, by user and id; of one user or all.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn snapshots<T: Projectable>(&self, user: Option<UserId>) -> StoreResult<Vec<Snapshot<T>>> {
        self.read(move |c| {
            let query = all_query(T::TABLE, user.is_some());
            c.prepare_cached(&query)?.query_map(Vec::from_iter(user), snapshot)?.collect()
        })
        .await
    }

    /// The live missions with an id, of any user: what a person means who names a mission.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn missions_with_id(&self, id: &MissionId) -> StoreResult<Vec<Snapshot<Mission>>> {
        let id = id.to_owned();
        self.read(move |c| c.prepare_cached(WITH_ID)?.query_map([id], snapshot)?.collect()).await
    }
}

pub(super) fn snapshot<T: Projectable>(row: &Row<'_>) -> db::Result<Snapshot<T>> {
    let (user_id, id): (UserId, String) = (row.get(0)?, row.get(1)?);
    let what = || format!("a snapshot ({id} of user {user_id})");
    let (record, field_meta) = (record_from_text(row.get_ref(2)?.as_str()?, what)?, from_text(row.get_ref(3)?.as_str()?, what)?);
    Ok(Snapshot { user_id, id: id.into(), record, field_meta })
}

fn due(row: &Row<'_>) -> db::Result<Due> {
    let plans = Plans { awaiting_review: row.get(4)?, client_active_at: row.get::<_, Option<i64>>(5)?.map(time::from_micros) };
    Ok(Due { user_id: row.get(0)?, mission_id: row.get(1)?, agent_id: row.get(2)?, scheduled_for: time::from_micros(row.get(3)?), plans })
}
