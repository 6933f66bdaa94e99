//! The list of a user's missions.

use std::collections::{BTreeMap, BTreeSet};

use super::App;
use crate::domain::agent::AgentState;
use crate::domain::decision::Condition;
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::mission::MissionState;
use crate::domain::standing::Standing;
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

/// A mission in a list, and where it stands as far as its agent and its plans tell.
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
        let listed = |card: MissionCard| {
            let agent = card.agent_id.as_ref().and_then(|id| agents.get(id)).cloned();
            let review = Condition::Review { awaiting: card.awaiting_review, allowed: self.rules.ceilings.unreviewed_plans };
            let state = agent.as_ref().map_or(AgentState::Active, |agent| agent.state);
            let conditions = [Condition::NotArchived(state), Condition::NotPaused(state), review];
            let obstacle = conditions.into_iter().find(|condition| !condition.holds());
            ListedMission { standing: Standing::of(card.state, obstacle, card.next_run_at, false, self.now()), agent, card }
        };
        Ok(cards.into_iter().map(listed).collect())
    }
}
