//! Agents and missions as they are kept beside the log (docs/design.md, section 4).

use std::ops::Deref;

use jiff::Timestamp;

use crate::domain::agent::Agent;
use crate::domain::decision::Plans;
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::merge::Stamps;
use crate::domain::mission::Mission;
use crate::domain::raw::RawRecord;

/// A projected table of the app `ai`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Agents,
    Missions,
}

impl Table {
    /// Its name in the change log.
    pub fn log_name(self) -> &'static str {
        match self {
            Table::Agents => "agents",
            Table::Missions => "aiMissions",
        }
    }
}

/// What a snapshot table keeps.
pub trait Projectable: Sized + Send + 'static {
    const TABLE: Table;
    type Id: Deref<Target = str> + From<String> + Send;

    /// Reads a merged record; fields of a wrong type take their default.
    fn of(id: &Self::Id, record: &RawRecord) -> Self;
}

impl Projectable for Agent {
    const TABLE: Table = Table::Agents;
    type Id = AgentId;

    fn of(id: &AgentId, record: &RawRecord) -> Self {
        Agent::read(id, record).0
    }
}

impl Projectable for Mission {
    const TABLE: Table = Table::Missions;
    type Id = MissionId;

    fn of(id: &MissionId, record: &RawRecord) -> Self {
        Mission::read(id, record).0
    }
}

/// A live record of a snapshot table.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot<T: Projectable> {
    pub user_id: UserId,
    pub id: T::Id,
    pub record: RawRecord,
    pub field_meta: Stamps,
}

impl<T: Projectable> Snapshot<T> {
    /// What its record says.
    pub fn read(&self) -> T {
        T::of(&self.id, &self.record)
    }
}

/// A due mission, as light as the index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub agent_id: Option<AgentId>,
    pub scheduled_for: Timestamp,
    pub plans: Plans,
}

/// Where a due mission stands among all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueKey {
    pub scheduled_for: Timestamp,
    pub user_id: UserId,
    pub mission_id: MissionId,
}

impl Due {
    pub fn key(&self) -> DueKey {
        DueKey { scheduled_for: self.scheduled_for, user_id: self.user_id.clone(), mission_id: self.mission_id.clone() }
    }
}
