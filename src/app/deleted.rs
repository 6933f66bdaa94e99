//! What was deleted and can be brought back, for as long as the log has it.

use jiff::Timestamp;

use super::{App, edit_by};
use crate::domain::ids::{AgentId, UserId};
use crate::store::{AgentCard, DeletedRecord, MissionCard, StoreResult, Table};

/// Of what kind deleted things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedKind {
    Missions,
    Agents,
    Records,
}

impl DeletedKind {
    pub const ALL: [DeletedKind; 3] = [DeletedKind::Missions, DeletedKind::Agents, DeletedKind::Records];

    /// The word in an address.
    pub fn as_str(self) -> &'static str {
        match self {
            DeletedKind::Missions => "missions",
            DeletedKind::Agents => "agents",
            DeletedKind::Records => "records",
        }
    }
}

/// Deleted things, the last first.
#[derive(Debug, Default)]
pub struct DeletedThings {
    pub missions: Vec<(Timestamp, MissionCard)>,
    pub agents: Vec<(Timestamp, AgentCard)>,
    pub records: Vec<DeletedRecord>,
}

impl App {
    /// What a user deleted before a moment, of one kind or of each; at most `limit` of a kind.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn deleted(&self, user: &UserId, kind: Option<DeletedKind>, before: Timestamp, limit: u32) -> StoreResult<DeletedThings> {
        self.refresh().await?;
        let wanted = |one| kind.is_none_or(|kind| kind == one);
        let mut things = DeletedThings::default();
        if wanted(DeletedKind::Missions) {
            things.missions = self.store.deleted_missions(user, before, limit).await?;
        }
        if wanted(DeletedKind::Agents) {
            things.agents = self.store.deleted_agents(user, before, limit).await?;
        }
        if wanted(DeletedKind::Records) {
            for table in self.modules().tables().iter().filter(|table| !table.hidden) {
                self.store.refresh_records(user, &self.listed_table(table)).await?;
            }
            things.records = self.store.deleted_records(user, before, limit).await?;
        }
        Ok(things)
    }

    /// Brings a deleted agent back, as the clients' undo does.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn undelete_agent(&self, user: &UserId, id: &AgentId) -> StoreResult<()> {
        self.store.undelete(edit_by(user, Table::Agents, id)).await
    }
}
