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

/// Missions of which it is asked whether they are blocked, for one page.
const LOOKED_AT: usize = 200;

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
            ceilings: self.rules.ceilings,
            now: self.now(),
            sort,
            after,
        };
        let (rows, next) = self.missions_listed(user, wanted, limit).await?;
        Ok(MissionList { rows, next, agents: self.store.agent_cards(user, "", AGENTS).await? })
    }

    /// Missions as they are wanted, at most `limit`, and the place after which further ones may follow. Where the blocked ones are
    /// wanted, it is those whose pages say so.
    pub(super) async fn missions_listed(
        &self,
        user: &UserId,
        mut wanted: MissionsWanted,
        limit: u32,
    ) -> StoreResult<(Vec<ListedMission>, Option<(String, MissionId)>)> {
        let (mut rows, mut looked_at) = (Vec::new(), 0);
        loop {
            let more = limit.saturating_sub(rows.len() as u32);
            let (cards, next) = self.store.missions_where(user, wanted.clone(), more).await?;
            looked_at += cards.len();
            let listed = self.listed(user, cards).await?.into_iter();
            rows.extend(listed.filter(|row| wanted.which != WhichMissions::Blocked || row.standing.is_blocked()));
            wanted.after = next;
            if wanted.after.is_none() || rows.len() as u32 >= limit || looked_at >= LOOKED_AT {
                return Ok((rows, wanted.after));
            }
        }
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
