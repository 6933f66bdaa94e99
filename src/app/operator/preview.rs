//! A look at what the model would be asked about a mission, without a run.

use jiff::Timestamp;
use uuid::Uuid;

use super::Operator;
use crate::domain::agent::Agent;
use crate::domain::ids::IterationId;
use crate::domain::mission::Mission;
use crate::domain::record_kind::Kinds;
use crate::grants::PrivateKey;
use crate::inputs::{self, InputReader, Resolved};
use crate::store::{Snapshot, StoreResult, Table};

/// What the model would be asked with.
pub struct PlanPreview {
    pub mission: Mission,
    pub agent: Option<Agent>,
    pub inputs: Resolved,
    /// Tokens that the agent used, and may use.
    pub budget: Option<(u64, u64)>,
}

impl Operator {
    /// Reads what a mission's next prompt would be made of. Encrypted records are read under the mission's grant, each attempt
    /// noted; a dry run leaves them closed.
    ///
    /// # Errors
    /// When the database cannot be read, or an attempt not be noted.
    pub async fn preview(
        &self,
        of: &Snapshot<Mission>,
        (key, dry_run): (Option<&PrivateKey>, bool),
        kinds: &Kinds,
        now: Timestamp,
    ) -> StoreResult<PlanPreview> {
        let mission = of.read();
        let agent = match &mission.agent_id {
            None => None,
            Some(id) => self.store.newest(Table::Agents, &of.user_id, id).await?.map(|record| Agent::read(id, &record).0),
        };
        let budget = match agent.as_ref().and_then(|agent| Some((agent, agent.max_tokens_per_day?))) {
            None => None,
            Some((agent, cap)) => Some((self.store.tokens_of(&of.user_id, &agent.id, now).await?, cap)),
        };
        let readable = Mission { grant: mission.grant.clone().filter(|_| !dry_run), ..mission.clone() };
        let iteration_id = IterationId::from(Uuid::new_v4().to_string());
        let reader = InputReader {
            user_id: &of.user_id,
            mission: &readable,
            iteration_id: &iteration_id,
            private_key: key,
            kinds,
            upto: i64::MAX,
            now,
        };
        let inputs = inputs::resolve(&self.store, &reader).await?;
        Ok(PlanPreview { mission, agent, inputs, budget })
    }
}
