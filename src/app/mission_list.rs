//! The list of a user's missions.

use std::collections::{BTreeMap, BTreeSet};

use super::App;
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::mission::MissionState;
use crate::domain::standing::Standing;
use crate::runner::standings;
use crate::store::{AgentCard, MissionCard, MissionSort, MissionsWanted, StoreResult, WhichMissions, search_key};

/// Agents that a filter offers.
const AGENTS: u32 = 200;

/// Which missions are listed, and in which order.
#[derive(Debug, Clone)]
pub struct MissionFilter {
    /// A part of the title, in whatever case.
    pub search: String,
    pub state: Option<MissionState>,
    pub agent: Option<AgentId>,
    pub which: WhichMissions,
    pub sort: MissionSort,
    /// A place in that order.
    pub after: Option<(String, MissionId)>,
}

/// A mission in a list, and where it stands.
#[derive(Debug, Clone)]
pub struct ListedMission {
    pub card: MissionCard,
    pub agent: Option<AgentCard>,
    pub standing: Standing,
}

/// Missions, the place after which further ones follow, and the agents that there are.
pub struct MissionList {
    pub rows: Vec<ListedMission>,
    pub next: Option<(String, MissionId)>,
    pub agents: Vec<AgentCard>,
}

impl App {
    /// Missions of a user by a filter, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn mission_list(&self, user: &UserId, filter: MissionFilter, limit: u32) -> StoreResult<MissionList> {
        self.refresh().await?;
        let MissionFilter { search, state, agent, which, sort, after } = filter;
        let wanted = MissionsWanted {
            search: search_key(&search),
            state,
            agent,
            which,
            unreviewed_plans: self.rules.ceilings.unreviewed_plans,
            sort,
            after,
        };
        let (cards, next) = self.store.missions_where(user, wanted, limit).await?;
        Ok(MissionList { rows: self.listed(user, cards).await?, next, agents: self.store.agent_cards(user, "", AGENTS).await? })
    }

    /// Missions with their agents, and where they stand.
    pub(super) async fn listed(&self, user: &UserId, cards: Vec<MissionCard>) -> StoreResult<Vec<ListedMission>> {
        let ids: BTreeSet<AgentId> = cards.iter().filter_map(|card| card.agent_id.clone()).collect();
        let agents = self.store.agent_cards_of(user, ids.into_iter().collect()).await?;
        let agents: BTreeMap<AgentId, AgentCard> = agents.into_iter().map(|agent| (agent.id.clone(), agent)).collect();
        let standings = standings(&self.store, user, &cards, self.now(), &self.rules_now()).await?;
        let listed = |(card, standing): (MissionCard, Standing)| ListedMission {
            standing,
            agent: card.agent_id.as_ref().and_then(|id| agents.get(id)).cloned(),
            card,
        };
        Ok(cards.into_iter().zip(standings).map(listed).collect())
    }
}
