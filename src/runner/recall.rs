//! The prompt of an attempt, written once more of what the log held when it began.
//!
//! Prompts are not kept: they would be a second copy of what users trust us with, and outlive a grant. The log has every row in
//! the order in which it came, so the prompt can be made again, but for records that are encrypted.

use super::Runner;
use crate::domain::agent::Agent;
use crate::domain::mission::Mission;
use crate::domain::raw::RawRecord;
use crate::inputs::{self, InputReader, Why};
use crate::planner::dialect::RequestForm;
use crate::planner::prompt::Material;
use crate::store::{Attempt, Bounds, Linked, RunRow, StoreResult, Table, Wanted};

/// What the mission and its agent may cost.
const BOUNDS: Bounds = Bounds { rows: 100_000, bytes: 64 << 20, upto: i64::MAX };

/// A prompt that was written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    pub system: String,
    pub user: String,
    /// Names of the tools that go out as functions beside it.
    pub functions: Vec<String>,
    /// Characters, as those of an attempt are counted.
    pub chars: u64,
    /// Linked records that stay closed here, since they are encrypted.
    pub sealed: usize,
    /// Names how it is worded now.
    pub prompt_version: String,
}

impl Runner {
    /// Writes the prompt of an attempt again. Nothing is decrypted, and nothing noted. `None`: the log does not have the mission
    /// any more, or its history is too long to read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn recall(&self, run: &RunRow, attempt: &Attempt) -> StoreResult<Option<Recalled>> {
        let (user, id, now) = (&run.run.user_id, &run.run.mission_id, attempt.started_at);
        let Some(upto) = attempt.log_seq else { return Ok(None) };
        let Some(record) = self.as_of(run, Table::Missions, id, upto).await? else { return Ok(None) };
        let mission = Mission { grant: None, ..Mission::read(id, &record).0 };
        let agent = match &mission.agent_id {
            None => None,
            Some(agent) => self.as_of(run, Table::Agents, agent, upto).await?.map(|record| Agent::read(agent, &record).0),
        };
        let budget = match agent.as_ref().and_then(|agent| Some((agent, agent.max_tokens_per_day?))) {
            None => None,
            Some((agent, most)) => Some((self.store.tokens_of(user, &agent.id, now).await?, most)),
        };
        let reader = InputReader {
            user_id: user,
            mission: &mission,
            iteration_id: &run.iteration_id,
            private_key: None,
            kinds: &self.kinds,
            upto,
            now,
        };
        let inputs = inputs::resolve(&self.store, &reader).await?;
        let offered = self.planner.offered(&agent.as_ref().map(|agent| agent.policy.clone()).unwrap_or_default());
        let material = Material { agent: agent.as_ref(), mission: &mission, inputs: &inputs, offered: &offered, budget, now };
        let prompt = self.planner.prompt(&material);
        let as_functions = attempt.rounds.first().is_some_and(|round| round.as_functions);
        let functions = offered.iter().filter(|_| as_functions).map(|offered| offered.tool.name.clone()).collect();
        Ok(Some(Recalled {
            system: prompt.system(if as_functions { RequestForm::Tools } else { RequestForm::Plain }),
            functions,
            chars: prompt.chars(),
            user: prompt.user,
            sealed: inputs.left_out.iter().filter(|left_out| left_out.why == Why::NoGrant).count(),
            prompt_version: self.planner.prompt_version().to_owned(),
        }))
    }

    async fn as_of(&self, run: &RunRow, table: Table, id: &str, upto: i64) -> StoreResult<Option<RawRecord>> {
        let wanted = Wanted { app: "ai".into(), tables: vec![table.log_name().to_owned()], id: id.to_owned() };
        let keep = |_: usize, _: &str, record: &RawRecord, _: &_| Some(record.clone());
        let found = self.store.linked(&run.run.user_id, vec![wanted], Bounds { upto, ..BOUNDS }, keep).await?.pop();
        Ok(match found {
            Some(Linked::Live(record)) => Some(record),
            _ => None,
        })
    }
}
