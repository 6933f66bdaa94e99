//! The runs of a user's missions.

use std::collections::BTreeSet;

use super::{App, AppError};
use crate::domain::ids::{MissionId, RunId, UserId};
use crate::domain::iterations::Iteration;
use crate::runner::Recalled;
use crate::store::{
    AgentCard, Attempt, AuditRow, MissionCard, MissionSort, MissionsWanted, RunRow, RunsWanted, StoreError, StoreResult, WhichMissions,
    search_key,
};

/// Agents that a filter offers.
const AGENTS: u32 = 200;
/// Missions whose runs are looked into, for a text of their titles.
pub const TITLED: u32 = 20;
/// Reads of encrypted records that are looked through for those of a run.
const READS: u32 = 500;

/// Which runs are wanted.
#[derive(Debug, Clone)]
pub struct RunFilter {
    /// A part of the title of their missions, in whatever case.
    pub search: String,
    pub wanted: RunsWanted,
}

/// Some runs, their missions, as far as these are still there, and the agents that there are.
pub struct RunList {
    pub runs: Vec<RunRow>,
    /// Whether more missions have the text that was sought than were looked into.
    pub is_cut: bool,
    pub missions: Vec<MissionCard>,
    pub agents: Vec<AgentCard>,
}

/// A run with what stands around it.
pub struct RunView {
    pub run: RunRow,
    /// The plan as it was written; its steps are as they are now, where the mission still has it.
    pub iteration: Option<Iteration>,
    pub mission: Option<MissionCard>,
    pub agent: Option<AgentCard>,
    /// Encrypted records that it read.
    pub reads: Vec<AuditRow>,
}

/// The prompt of an attempt.
pub struct PromptView {
    pub attempt: Attempt,
    /// `None`: it cannot be written again.
    pub prompt: Option<Recalled>,
}

impl App {
    /// A user's runs, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn runs_list(&self, user: &UserId, RunFilter { search, wanted }: RunFilter, limit: u32) -> StoreResult<RunList> {
        self.refresh().await?;
        let search = search_key(&search);
        let (wanted, is_cut) = match search.is_empty() || wanted.missions.is_some() {
            true => (wanted, false),
            false => {
                let (titled, is_cut) = self.titled(user, search).await?;
                (RunsWanted { missions: Some(titled), ..wanted }, is_cut)
            }
        };
        let runs = self.store.runs_where(user, wanted, limit).await?;
        let ids: BTreeSet<MissionId> = runs.iter().map(|run| run.run.mission_id.clone()).collect();
        Ok(RunList {
            missions: self.store.mission_cards_of(user, ids.into_iter().collect()).await?,
            agents: self.store.agent_cards(user, "", AGENTS).await?,
            runs,
            is_cut,
        })
    }

    /// The missions whose titles have a text, those that changed last first; and whether there are more than were looked into.
    async fn titled(&self, user: &UserId, search: String) -> StoreResult<(Vec<MissionId>, bool)> {
        let titled = MissionsWanted {
            search,
            state: None,
            agent: None,
            which: WhichMissions::All,
            ceilings: self.rules.ceilings,
            now: self.now(),
            sort: MissionSort::Changed,
            after: None,
        };
        let (mut missions, _) = self.store.missions_where(user, titled, TITLED + 1).await?;
        let is_cut = missions.len() > TITLED as usize;
        missions.truncate(TITLED as usize);
        Ok((missions.into_iter().map(|mission| mission.id).collect(), is_cut))
    }

    /// A run with everything that is told about it.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be read.
    pub async fn run_view(&self, user: &UserId, id: &RunId) -> Result<RunView, AppError> {
        self.refresh().await?;
        let (run, written) = self.store.run(user, id).await?.ok_or(AppError::NotFound)?;
        let mission = self.store.mission_cards_of(user, vec![run.run.mission_id.clone()]).await?.pop();
        let now = self.store.plan(user, &run.run.mission_id, &run.iteration_id).await?;
        let reads = self.store.reads_of(user, Some(&run.run.mission_id), None, READS).await?;
        Ok(RunView {
            iteration: now.or(written),
            mission,
            agent: match &run.run.agent_id {
                None => None,
                Some(agent) => self.store.agent_cards_of(user, vec![agent.clone()]).await?.pop(),
            },
            reads: reads.into_iter().filter(|read| read.iteration_id == run.iteration_id).collect(),
            run,
        })
    }
    /// The prompt of attempt `n` of a run, from 1, written again of what the log held then.
    ///
    /// # Errors
    /// Where there is no such attempt, or the database cannot be read.
    pub async fn run_prompt(&self, user: &UserId, id: &RunId, n: usize) -> Result<PromptView, AppError> {
        let (mut run, _) = self.store.run(user, id).await?.ok_or(AppError::NotFound)?;
        let at = n.checked_sub(1).filter(|at| *at < run.attempts.len()).ok_or(AppError::NotFound)?;
        let attempt = run.attempts.swap_remove(at);
        // It may read as much as a run does, and whoever reloads it must not hold up others.
        let Ok(_permit) = self.recalls.acquire().await else { return Err(StoreError::Stopped.into()) };
        let prompt = self.runner.recall(&run, &attempt).await?;
        Ok(PromptView { attempt, prompt })
    }
}
