//! Agents by name and state, in an order that an index gives (docs/design.md, section 9).

use super::cards::agent;
use super::{AgentCard, LAST, Store, StoreResult};
use crate::domain::agent::AgentState;
use crate::domain::ids::{AgentId, UserId};
use crate::store::db::{Row, Value as Sql, params};

/// By what agents are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgentSort {
    #[default]
    Name,
    /// What changed last first.
    Changed,
}

/// What is asked of the list.
#[derive(Debug, Clone, Default)]
pub struct AgentsWanted {
    /// A part of the name, as [`search_key`](crate::store::search_key) makes it.
    pub search: String,
    pub state: Option<AgentState>,
    pub sort: AgentSort,
    /// A place in the order: the key and the id of an agent.
    pub after: Option<(String, AgentId)>,
}

pub(super) fn agents_where(sort: AgentSort) -> String {
    let (key, after, order) = match sort {
        AgentSort::Name => ("name_key", ">", ""),
        AgentSort::Changed => ("last_applied_at", "<", " DESC"),
    };
    format!(
        "SELECT agent_id, name, role, avatar, state, {key} FROM agent_snapshots WHERE user_id = ?1 AND liveness = 'live' \
         AND ({key}, agent_id) {after} (?2, ?3) AND (?4 = '' OR instr(name_key, ?4) > 0) AND (?5 = '' OR state = ?5) \
         ORDER BY {key}{order}, agent_id{order} LIMIT ?6"
    )
}

impl Store {
    /// Live agents of a user as they are wanted, at most `limit`, and the place after which further ones may follow.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn agents_where(
        &self,
        user: &UserId,
        wanted: AgentsWanted,
        limit: u32,
    ) -> StoreResult<(Vec<AgentCard>, Option<(String, AgentId)>)> {
        let user = user.to_owned();
        self.read(move |c| {
            let AgentsWanted { search, state, sort, after } = wanted;
            let (key, id) = match sort {
                AgentSort::Name => {
                    after.map(|(key, id)| (Sql::from(key), id)).unwrap_or_else(|| (Sql::from(String::new()), AgentId::default()))
                }
                AgentSort::Changed => {
                    let place = after.and_then(|(key, id)| Some((key.parse().ok()?, id))).unwrap_or((i64::MAX, AgentId::from(LAST)));
                    (Sql::from(place.0), place.1)
                }
            };
            let state = state.map_or("", AgentState::as_str);
            let listed = |row: &Row<'_>| {
                let key = match sort {
                    AgentSort::Name => row.get::<_, String>(5)?,
                    AgentSort::Changed => row.get::<_, i64>(5)?.to_string(),
                };
                Ok((key, agent(row)?))
            };
            let mut statement = c.prepare_cached(&agents_where(sort))?;
            let found = statement.query_map(params![user, key, id, search, state, limit], listed)?.collect::<Result<Vec<_>, _>>()?;
            let next = found.last().filter(|_| found.len() == limit as usize).map(|(key, card)| (key.clone(), card.id.clone()));
            Ok((found.into_iter().map(|(_, card)| card).collect(), next))
        })
        .await
    }
}
