//! What people do with their agents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use uuid::Uuid;

use super::mission_list::ListedMission;
use super::{App, AppError, edit_by};
use crate::domain::agent::AgentState;
use crate::domain::edits::{changed, created, differing};
use crate::domain::field;
use crate::domain::ids::{AgentId, UserId};
use crate::domain::merge::Record;
use crate::domain::raw::RawRecord;
use crate::store::{AgentCard, AgentsWanted, StoreError, StoreResult, Table, search_key};

/// What stands around an agent: its missions, and what it used.
pub struct AgentView {
    pub missions: Vec<ListedMission>,
    /// Tokens of the last 24 hours.
    pub used: u64,
}

impl App {
    /// A user's agents as they are wanted, a text of their names in whatever case, at most `limit`; and the place after which
    /// further ones may follow.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn agents(
        &self,
        user: &UserId,
        wanted: AgentsWanted,
        limit: u32,
    ) -> StoreResult<(Vec<AgentCard>, Option<(String, AgentId)>)> {
        self.refresh().await?;
        self.store.agents_where(user, AgentsWanted { search: search_key(&wanted.search), ..wanted }, limit).await
    }

    /// An agent's record as it is now.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be read.
    pub async fn agent(&self, user: &UserId, id: &AgentId) -> Result<Record, AppError> {
        Ok(self.store.newest(Table::Agents, user, id).await?.ok_or(AppError::NotFound)?.read())
    }

    /// Some fields of an agent, whole.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be read.
    pub async fn agent_fields(&self, user: &UserId, id: &AgentId, fields: &'static [&'static str]) -> Result<Record, AppError> {
        self.fields(Table::Agents, user, id, fields).await
    }

    /// What agents are called, as far as they are there.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn agent_names(&self, user: &UserId, ids: BTreeSet<AgentId>) -> StoreResult<BTreeMap<AgentId, String>> {
        let cards = self.store.agent_cards_of(user, ids.into_iter().collect()).await?;
        Ok(cards.into_iter().map(|card| (card.id, card.name)).collect())
    }

    /// What stands around an agent, with at most `limit` of its missions.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn agent_view(&self, user: &UserId, id: &AgentId, limit: u32) -> StoreResult<AgentView> {
        self.refresh().await?;
        let missions = self.store.missions_of(user, id, limit).await?;
        Ok(AgentView { missions: self.listed(user, missions).await?, used: self.store.tokens_of(user, id, self.now()).await? })
    }

    /// Makes an agent of what a form says, and answers its id.
    ///
    /// # Errors
    /// When the database cannot be written, or refuses a text.
    pub async fn create_agent(&self, user: &UserId, mut record: Record) -> StoreResult<AgentId> {
        record.insert(field::STATE.into(), json!(AgentState::Active.as_str()));
        record.entry(field::MAX_CONCURRENT_MISSIONS).or_insert(json!(1));
        // An empty text is a field that was not filled in.
        record.retain(|field, value| *value != "" || field == field::ROLE);
        let id = AgentId::from(Uuid::new_v4().to_string());
        let record = created(record, user, self.now());
        self.store.edit::<StoreError>(edit_by(user, Table::Agents, &id), move |_| Ok(record.into())).await?;
        Ok(id)
    }

    /// Writes what was edited in a form: `was` is what the form showed, `after` what it says now.
    ///
    /// # Errors
    /// When the database cannot be written, or refuses a text.
    pub async fn save_agent(&self, user: &UserId, id: &AgentId, was: Record, after: Record) -> StoreResult<()> {
        let edited = move |now: Option<&RawRecord>| Ok(now.map(|_| changed(&was, after)).unwrap_or_default().into());
        self.store.edit::<StoreError>(edit_by(user, Table::Agents, id), edited).await
    }

    /// # Errors
    /// Where there is no such agent, or the database cannot be written.
    pub async fn set_agent_state(&self, user: &UserId, id: &AgentId, state: AgentState) -> Result<(), AppError> {
        self.agent(user, id).await?;
        let state = Record::from_iter([(field::STATE.to_owned(), json!(state.as_str()))]);
        Ok(self.store.edit::<StoreError>(edit_by(user, Table::Agents, id), move |before| Ok(differing(before, state))).await?)
    }
}
