//! What lists and the change log show of records and rows: the starts of their texts, so that a page costs what it shows,
//! however large a record or a row is (docs/design.md, section 9).

use jiff::Timestamp;
use serde_json::Value;

use super::Table;
use super::{Store, StoreResult};
use crate::domain::agent::AgentState;
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::mission::MissionState;
use crate::domain::time;
use crate::store::db::{self, Row, ValueRef, params};

/// Characters of a row's data that are read.
pub const SHOWN_OF_ROW: usize = 4_000;

macro_rules! missions {
    ($rest:literal) => {
        concat!(
            "SELECT mission_id, title, objective, state, next_run_at, awaiting_review, waiting_since, agent_id FROM mission_snapshots \
             WHERE user_id = ?1 AND liveness = 'live' ",
            $rest
        )
    };
}

pub(super) const MISSIONS: &str = missions!("AND mission_id > ?2 ORDER BY mission_id LIMIT ?3");
pub(super) const MISSION: &str = missions!("AND mission_id = ?2");
pub(super) const MISSIONS_OF: &str = missions!("AND agent_id = ?2 ORDER BY mission_id LIMIT ?3");
pub(super) const NEXT: &str = missions!("AND state = 'active' AND next_run_at IS NOT NULL ORDER BY next_run_at LIMIT ?2");
/// What waits longest first, after a place in that order.
pub(super) const TO_REVIEW: &str =
    missions!("AND awaiting_review > 0 AND (waiting_since, mission_id) > (?2, ?3) ORDER BY waiting_since, mission_id LIMIT ?4");
pub(super) const TO_REVIEW_COUNT: &str = "SELECT CAST(coalesce(sum(awaiting_review), 0) AS BIGINT) FROM (SELECT awaiting_review FROM mission_snapshots \
     WHERE user_id = ?1 AND awaiting_review > 0 AND liveness = 'live' LIMIT ?2) AS waiting";

macro_rules! agents {
    ($rest:literal) => {
        concat!("SELECT agent_id, name, role, avatar, state FROM agent_snapshots WHERE user_id = ?1 AND liveness = 'live' ", $rest)
    };
}

pub(super) const AGENTS: &str = agents!("AND agent_id > ?2 ORDER BY agent_id LIMIT ?3");
pub(super) const AGENT: &str = agents!("AND agent_id = ?2");
/// Rows of one record before a row.
pub(super) const ROWS_OF: &str = "SELECT seq, sync_at, op, substr(client_id, 1, 200), CASE WHEN octet_length(actor) <= 8192 THEN actor END, \
     CASE WHEN octet_length(field_meta) <= 8192 THEN field_meta END, coalesce(octet_length(data), 0), substr(data, 1, ?6) \
     FROM sync_changes WHERE user_id = ?1 AND app_id = 'ai' AND table_name = ?2 AND record_id = ?3 AND seq < ?4 ORDER BY seq DESC LIMIT ?5";

/// A mission in a list; its texts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissionCard {
    pub id: MissionId,
    title: String,
    pub objective: String,
    pub state: MissionState,
    pub next_run_at: Option<Timestamp>,
    /// Plans that await review.
    pub awaiting_review: u64,
    /// Since when the oldest of them does, microseconds; 0 where it does not say.
    pub waiting_since: Option<i64>,
    pub agent_id: Option<AgentId>,
}

impl MissionCard {
    /// The title, or the id where there is none.
    pub fn label(&self) -> &str {
        if self.title.trim().is_empty() { &self.id } else { &self.title }
    }
}

/// An agent in a list; its texts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentCard {
    pub id: AgentId,
    pub name: String,
    pub role: String,
    pub avatar: String,
    pub state: AgentState,
}

/// A row of the log as a person looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct RowCard {
    pub seq: i64,
    pub sync_at: Timestamp,
    pub op: String,
    pub client_id: String,
    pub actor: Option<Value>,
    /// The fields that the row says it wrote, where it says so briefly.
    pub fields: Vec<String>,
    /// The start of its data, and how many bytes there are in all.
    pub data: String,
    pub data_bytes: u64,
}

impl Store {
    /// Live missions of a user after an id, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn mission_cards(&self, user: &UserId, after: &str, limit: u32) -> StoreResult<Vec<MissionCard>> {
        let (user, after) = (user.to_owned(), after.to_owned());
        self.read(move |c| c.prepare_cached(MISSIONS)?.query_map(params![user, after, limit], mission)?.collect()).await
    }

    /// Those of some ids that are live missions of a user.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn mission_cards_of(&self, user: &UserId, ids: Vec<MissionId>) -> StoreResult<Vec<MissionCard>> {
        let user = user.to_owned();
        self.read(move |c| {
            let mut statement = c.prepare_cached(MISSION)?;
            let mut cards = Vec::with_capacity(ids.len());
            for id in &ids {
                cards.extend(statement.query_map(params![user, id], mission)?.next().transpose()?);
            }
            Ok(cards)
        })
        .await
    }

    /// The missions of a user that run next, the first first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_missions(&self, user: &UserId, limit: u32) -> StoreResult<Vec<MissionCard>> {
        let user = user.to_owned();
        self.read(move |c| c.prepare_cached(NEXT)?.query_map(params![user, limit], mission)?.collect()).await
    }

    /// Missions of a user with a plan that awaits review, what waits longest first, after a place in that order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn to_review(&self, user: &UserId, after: Option<(i64, MissionId)>, limit: u32) -> StoreResult<Vec<MissionCard>> {
        let (user, (since, id)) = (user.to_owned(), after.unwrap_or((i64::MIN, MissionId::default())));
        self.read(move |c| c.prepare_cached(TO_REVIEW)?.query_map(params![user, since, id, limit], mission)?.collect()).await
    }

    /// How many plans of a user await review, in at most so many missions.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn to_review_count(&self, user: &UserId, missions: u32) -> StoreResult<u64> {
        let user = user.to_owned();
        self.read(move |c| c.prepare_cached(TO_REVIEW_COUNT)?.query_row(params![user, missions], |row| row.get(0))).await
    }

    /// The live missions of an agent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn missions_of(&self, user: &UserId, agent: &AgentId, limit: u32) -> StoreResult<Vec<MissionCard>> {
        let (user, agent) = (user.to_owned(), agent.to_owned());
        self.read(move |c| c.prepare_cached(MISSIONS_OF)?.query_map(params![user, agent, limit], mission)?.collect()).await
    }

    /// Live agents of a user after an id, in the order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn agent_cards(&self, user: &UserId, after: &str, limit: u32) -> StoreResult<Vec<AgentCard>> {
        let (user, after) = (user.to_owned(), after.to_owned());
        self.read(move |c| c.prepare_cached(AGENTS)?.query_map(params![user, after, limit], agent)?.collect()).await
    }

    /// Those of some ids that are live agents of a user.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn agent_cards_of(&self, user: &UserId, ids: Vec<AgentId>) -> StoreResult<Vec<AgentCard>> {
        let user = user.to_owned();
        self.read(move |c| {
            let mut statement = c.prepare_cached(AGENT)?;
            let mut cards = Vec::with_capacity(ids.len());
            for id in &ids {
                cards.extend(statement.query_map(params![user, id], agent)?.next().transpose()?);
            }
            Ok(cards)
        })
        .await
    }

    /// Rows of one record before a row, the newest first; also those that are set aside.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rows_of(&self, user: &UserId, table: Table, id: &str, before: i64, limit: u32) -> StoreResult<Vec<RowCard>> {
        let (user, id) = (user.to_owned(), id.to_owned());
        self.read(move |c| {
            let shown = i64::try_from(SHOWN_OF_ROW).unwrap_or(i64::MAX);
            c.prepare_cached(ROWS_OF)?.query_map(params![user, table.log_name(), id, before, limit, shown], row_card)?.collect()
        })
        .await
    }
}

pub(super) fn mission(row: &Row<'_>) -> db::Result<MissionCard> {
    let state: String = row.get(3)?;
    Ok(MissionCard {
        id: row.get(0)?,
        title: row.get(1)?,
        objective: row.get(2)?,
        state: MissionState::ALL.into_iter().find(|known| known.as_str() == state).unwrap_or(MissionState::Unknown),
        next_run_at: row.get::<_, Option<i64>>(4)?.map(time::from_micros),
        awaiting_review: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        waiting_since: row.get(6)?,
        agent_id: row.get(7)?,
    })
}

pub(super) fn agent(row: &Row<'_>) -> db::Result<AgentCard> {
    let (name, state): (String, String) = (row.get(1)?, row.get(4)?);
    Ok(AgentCard {
        id: row.get(0)?,
        name: if name.is_empty() { "Unnamed".into() } else { name },
        role: row.get(2)?,
        avatar: row.get(3)?,
        state: AgentState::parse(&state).unwrap_or_default(),
    })
}

fn row_card(row: &Row<'_>) -> db::Result<RowCard> {
    // A damaged row is shown as far as it can be read.
    let lossy = |column: usize| {
        row.get_ref(column).map(|value| match value {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        })
    };
    let json = |column: usize| lossy(column).map(|text| serde_json::from_str::<Value>(&text).ok());
    Ok(RowCard {
        seq: row.get(0)?,
        sync_at: time::from_micros(row.get(1)?),
        op: row.get(2)?,
        client_id: lossy(3)?,
        actor: json(4)?.filter(|actor| !actor.is_null()),
        fields: json(5)?.and_then(|stamps| Some(stamps.as_object()?.keys().cloned().collect())).unwrap_or_default(),
        data_bytes: u64::try_from(row.get::<_, i64>(6)?).unwrap_or(0),
        data: lossy(7)?,
    })
}
