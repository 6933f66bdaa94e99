//! An agent tried on a mission before it is saved.

use std::sync::PoisonError;
use std::time::Duration;

use super::{App, AppError};
use crate::domain::agent::Agent;
use crate::domain::ids::{AgentId, MissionId, UserId};
use crate::domain::iteration::Plan;
use crate::domain::merge::Record;
use crate::domain::mission::Mission;
use crate::runner::Outage;
use crate::store::{LoadQuery, Table};

/// Trials at the same time, of all users.
pub(super) const TRIALS: usize = 2;
/// Trials that a user may begin in a minute.
const A_MINUTE: u64 = 3;

/// What a trial came to.
pub struct Trial {
    /// What the mission is called.
    pub mission: String,
    pub outcome: Result<Plan, TrialRefusal>,
    pub tokens: u64,
    pub took: Duration,
}

/// Why there is no plan.
pub enum TrialRefusal {
    /// Others are being tried.
    TooMany,
    /// The calls or tokens of the day are used up, of the user or the agent.
    UsedUp,
    /// The model server failed, and is not asked before a time.
    Away(Outage),
    /// What went wrong between the program and the model: the name of the failure, and what the program says.
    Failed { name: String, why: String },
}

impl App {
    /// Plans a mission of a user with an agent as a form has it. Nothing is written but what it took, which counts in the day.
    ///
    /// # Errors
    /// Where there is no such mission, or the database cannot be read.
    pub async fn try_agent(&self, user: &UserId, id: &AgentId, agent: &Record, mission: &MissionId) -> Result<Trial, AppError> {
        let record = self.store.newest(Table::Missions, user, mission).await?.ok_or(AppError::NotFound)?;
        let (mission, _) = Mission::read(mission, &record);
        let mut trial = Trial { mission: mission.label().to_owned(), outcome: Err(TrialRefusal::TooMany), tokens: 0, took: Duration::ZERO };
        let Ok(_permit) = self.trials.try_acquire() else { return Ok(trial) };
        let counted = self.trial_rates.lock().unwrap_or_else(PoisonError::into_inner).count(user, 1, Some(A_MINUTE), self.now());
        if counted.is_err() {
            return Ok(trial);
        }
        let (agent, _) = Agent::read(id, &agent.into());
        let used = self.store.load(LoadQuery { user_id: user.clone(), agents: [].into(), ..LoadQuery::default() }, self.now()).await?.used;
        let of_agent = self.store.tokens_of(user, id, self.now()).await?;
        let is_over = agent.max_tokens_per_day.is_some_and(|most| of_agent >= most);
        if is_over || self.rules.ceilings.are_reached(used) {
            trial.outcome = Err(TrialRefusal::UsedUp);
            return Ok(trial);
        }
        if let Some(outage) = self.runner.outage().filter(|outage| outage.until > self.now()) {
            trial.outcome = Err(TrialRefusal::Away(outage));
            return Ok(trial);
        }
        let planned = self.runner.rehearse(user, &agent, &mission).await?;
        trial.tokens = planned.usage.total;
        self.store.add_trial(user, id, self.now(), planned.usage.total, planned.calls()).await?;
        trial.took = planned.latency;
        trial.outcome = planned.outcome.map_err(|error| TrialRefusal::Failed { name: error.details().name, why: error.to_string() });
        Ok(trial)
    }
}
