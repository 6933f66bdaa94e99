//! A plan that leads to nothing: what the model makes of a mission with an agent that is still being written.

use uuid::Uuid;

use super::Runner;
use crate::domain::agent::Agent;
use crate::domain::ids::{IterationId, UserId};
use crate::domain::mission::Mission;
use crate::inputs::{self, InputReader};
use crate::planner::Planned;
use crate::planner::prompt::Material;
use crate::store::StoreResult;

impl Runner {
    /// Plans a mission with an agent as it is given. Nothing is written: encrypted records stay closed, since to read one would be
    /// noted, and what it took is the caller's to note.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rehearse(&self, user: &UserId, agent: &Agent, mission: &Mission) -> StoreResult<Planned> {
        let now = self.now();
        let mission = Mission { grant: None, ..mission.clone() };
        let iteration_id = IterationId::from(Uuid::new_v4().to_string());
        let reader = InputReader {
            user_id: user,
            mission: &mission,
            iteration_id: &iteration_id,
            private_key: None,
            kinds: &self.kinds,
            upto: i64::MAX,
            now,
        };
        let inputs = inputs::resolve(&self.store, &reader).await?;
        let offered = self.planner.offered(&agent.policy);
        let material = Material { agent: Some(agent), mission: &mission, inputs: &inputs, offered: &offered, budget: None, now };
        let planned = self.planner.plan(&material).await;
        self.observe(Some(agent), &planned).await;
        Ok(planned)
    }
}
