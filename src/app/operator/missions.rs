//! Agents and missions of every user.

use jiff::Timestamp;

use super::Operator;
use crate::domain::agent::Agent;
use crate::domain::decision;
use crate::domain::ids::{MissionId, UserId};
use crate::domain::mission::{Mission, MissionState};
use crate::runner::{Explanation, Rules, explain};
use crate::store::{Snapshot, StoreError, StoreResult};

/// Why there is no one mission of an id.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    #[error("several users have a mission {mission:?}; choose with --user: {}", users.join(", "))]
    Several { mission: String, users: Vec<String> },
    #[error("there is no mission {0:?}, or it is deleted; `mana-ai missions` lists all")]
    Nowhere(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Operator {
    /// Live agents, by user and id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn agents(&self, user: Option<UserId>) -> StoreResult<Vec<Snapshot<Agent>>> {
        self.refresh().await?;
        self.store.snapshots(user).await
    }

    /// Live missions, by user and id; only those that are due at a time, where one is given.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn missions(&self, user: Option<UserId>, due_at: Option<Timestamp>) -> StoreResult<Vec<(Snapshot<Mission>, Mission)>> {
        self.refresh().await?;
        let read = |snapshot: Snapshot<Mission>| {
            let mission = snapshot.read();
            (snapshot, mission)
        };
        let is_due =
            |mission: &Mission, now: Timestamp| mission.state == MissionState::Active && mission.next_run_at.is_some_and(|at| at <= now);
        let missions = self.store.snapshots(user).await?.into_iter().map(read);
        Ok(missions.filter(|(_, mission)| due_at.is_none_or(|now| is_due(mission, now))).collect())
    }

    /// The one mission of an id, as it stands now.
    ///
    /// # Errors
    /// Where there is none, or several users have one.
    pub async fn mission(&self, id: &MissionId, user: Option<&UserId>) -> Result<Snapshot<Mission>, NotFound> {
        self.refresh().await?;
        let mut found = self.store.missions_with_id(id).await?;
        found.retain(|snapshot| user.is_none_or(|user| *user == snapshot.user_id));
        if found.len() > 1 {
            let users = found.into_iter().map(|snapshot| snapshot.user_id.into()).collect();
            return Err(NotFound::Several { mission: id.to_string(), users });
        }
        found.pop().ok_or_else(|| NotFound::Nowhere(id.to_string()))
    }

    /// Why a mission runs at a time, or does not.
    ///
    /// # Errors
    /// Where there is no such mission, or the database cannot be read.
    pub async fn explain(&self, id: &MissionId, user: Option<&UserId>, now: Timestamp, rules: &Rules) -> Result<Explanation, NotFound> {
        let snapshot = self.mission(id, user).await?;
        let plans = decision::plans(&snapshot.read().iterations);
        Ok(explain(&self.store, &snapshot, plans, now, rules).await?)
    }
}
