//! What people decide about plans, what becomes of it, and how it is taken back (docs/design.md, section 13).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{App, AppError, edit_by};
use crate::domain::actor;
use crate::domain::agent::Agent;
use crate::domain::change::WORKBENCH_CLIENT;
use crate::domain::field;
use crate::domain::ids::{IterationId, MissionId, StepId, UserId};
use crate::domain::iterations::{self, Iteration, to_record};
use crate::domain::merge::Record;
use crate::domain::mission::Mission;
use crate::domain::raw::RawRecord;
use crate::domain::review::{Review, StepDecision, apply, can_reopen, reopen};
use crate::domain::step::{self, IterationStep, StepStatus};
use crate::metrics::Metrics;
use crate::modules::effects::{FieldChange, Preview};
use crate::planner::check::unfit;
use crate::planner::tools::Catalog;
use crate::projection;
use crate::runner::Clock;
use crate::steps::{Carrier, Effects, Executors, Foreseen, KeptField, Occasion, StepKey, StepOutcome, TakeBack, UserLog};
use crate::store::{FailedTry, Store, StoreError, StoreResult, Table};
use crate::text;

/// Missions with plans that await review, as many as are listed.
const LISTED: u32 = 1_000;
/// After so many bytes of plans no further mission is looked at.
const LISTED_BYTES: usize = 8 * 1024 * 1024;

/// The plans of users: what waits, what is decided, and what is taken back. It needs neither a server nor a model.
pub struct Reviews {
    pub(super) store: Store,
    pub(super) executors: Executors,
    pub(super) catalog: Catalog,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// Told of calls that wait to be made.
    pub(super) calls: Notify,
}

/// A plan that awaits review.
#[derive(Debug, Clone)]
pub struct WaitingPlan {
    pub user_id: UserId,
    pub mission_id: MissionId,
    pub title: String,
    pub iteration: Iteration,
    /// What approving each step would do, by its place.
    pub foreseen: Vec<Foreseen>,
}

/// What became of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedStep {
    pub id: StepId,
    pub status: String,
    /// Whether the decision changed anything.
    pub changed: bool,
    /// Why it could not be carried out or taken back whole, or nothing.
    pub error: String,
}

impl DecidedStep {
    /// As `--json` and the routes show it.
    pub fn to_json(&self) -> Value {
        json!({"id": self.id, "status": self.status, "changed": self.changed, "error": self.error})
    }
}

impl WaitingPlan {
    /// As `--json` and the routes show it.
    pub fn to_json(&self) -> Value {
        let steps = self.iteration.steps().zip(&self.foreseen).map(|(step, foreseen)| {
            json!({
                "id": step.id(), "tool": step.tool(), "params": step.params(), "status": step.status().as_str(),
                "summary": step.summary(), "rationale": step.rationale(), "preview": preview_json(foreseen),
            })
        });
        json!({
            "userId": self.user_id, "missionId": self.mission_id, "iterationId": self.iteration.id(), "title": self.title,
            "steps": steps.collect::<Vec<_>>(),
        })
    }
}

fn preview_json(foreseen: &Foreseen) -> Value {
    let one = |preview: &Preview| {
        let change = |change: &FieldChange| (change.field.clone(), json!({"before": change.before, "after": change.after}));
        let fields: Record = preview.fields.iter().map(change).collect();
        json!({"app": preview.app, "table": preview.table, "recordId": preview.record_id, "fields": fields})
    };
    match foreseen {
        Foreseen::ByDevice | Foreseen::ByEndpoint => Value::Null,
        Foreseen::Fails(obstacle) => json!({"error": text::obstacle::for_programs(obstacle)}),
        Foreseen::Writes(previews) => previews.iter().map(one).collect(),
    }
}

/// A decision about steps, for people who name them by their ids.
#[derive(Debug, Clone, Default)]
pub struct StepReview {
    pub review: Review,
    /// Parameters to be given another value.
    pub set: Vec<(String, Given)>,
    /// Whose steps are meant, where several plans have steps of these ids.
    pub iteration: Option<IterationId>,
}

/// The value of a parameter, as somebody gives it.
#[derive(Debug, Clone)]
pub enum Given {
    /// As it is typed: its tool knows whether it is a number.
    Text(String),
    Value(Value),
    /// It is left out.
    Nothing,
}

/// Which steps await a decision again once they were taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopens {
    Nothing,
    /// Those of which nothing was there to undo.
    WhatWroteNothing,
    /// Also those that are undone now.
    All,
}

impl Reviews {
    pub fn new(store: Store, executors: Executors, catalog: Catalog, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Reviews { store, executors, catalog, metrics, clock, calls: Notify::new() }
    }

    pub(super) fn executors(&self) -> &Executors {
        &self.executors
    }

    /// The same decisions with what has become of their steps since.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn as_they_are(
        &self,
        user: &UserId,
        decided: Vec<DecidedStep>,
        iteration: Option<&IterationId>,
    ) -> Result<Vec<DecidedStep>, AppError> {
        let mut now = Vec::with_capacity(decided.len());
        for step in decided {
            let (mission, iteration) = self.place_of(user, iteration.map_or(&*step.id, |iteration| iteration)).await?;
            let Some(after) = self.step(user, &mission, &iteration, &step.id).await? else { continue };
            let error = match self.store.tries_of_call(key(user, &mission, &iteration, &step.id)).await?.pop() {
                Some(last) if after.status() == StepStatus::Staged => format!("not taken yet, and tried again: {}", last.error),
                _ => after.error(),
            };
            now.push(DecidedStep { status: after.status().as_str().to_owned(), error, ..step });
        }
        Ok(now)
    }

    /// The plans of a user that await review, each with what its steps would change.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waiting(&self, user: &UserId) -> StoreResult<Vec<WaitingPlan>> {
        projection::refresh(&self.store).await?;
        let (mut plans, mut bytes) = (Vec::new(), 0);
        for card in self.store.to_review(user, None, LISTED).await? {
            if bytes > LISTED_BYTES {
                break;
            }
            let Some(record) = self.store.newest(Table::Missions, user, &card.id).await? else { continue };
            let (mission, _) = Mission::read(&card.id, &record);
            for iteration in mission.iterations.iter().filter(|iteration| iteration.awaits_review()) {
                let foreseen = self.foresee(user, &card.id, iteration).await?;
                bytes += iteration.bytes();
                plans.push(WaitingPlan {
                    user_id: user.to_owned(),
                    mission_id: card.id.clone(),
                    title: mission.label().to_owned(),
                    iteration: iteration.clone(),
                    foreseen,
                });
            }
        }
        Ok(plans)
    }

    /// What approving each step of a plan would do now.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn foresee(&self, user: &UserId, mission: &MissionId, iteration: &Iteration) -> StoreResult<Vec<Foreseen>> {
        let (executors, now) = (self.executors.clone(), (self.clock)());
        let (user_id, mission, iteration) = (user.to_owned(), mission.to_owned(), iteration.clone());
        let look = move |log: &dyn UserLog| {
            let occasion = Occasion {
                user: &user_id,
                mission: &mission,
                iteration: iteration.id(),
                space: None,
                agent: None,
                client: WORKBENCH_CLIENT,
                now,
            };
            let carrier = Carrier::new(&executors, occasion, log);
            iteration.steps().map(|step| carrier.foresee(step)).collect()
        };
        self.store.look(user, now, look).await
    }

    /// The tries of calls that are still on the way, by their steps.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn tries(&self, user: &UserId, mission: &MissionId, iteration: &Iteration) -> StoreResult<BTreeMap<StepId, Vec<FailedTry>>> {
        let mut tries = BTreeMap::new();
        for step in iteration.steps().filter(|step| step.is_called()) {
            tries.insert(step.id().to_owned(), self.store.tries_of_call(key(user, mission, iteration.id(), step.id())).await?);
        }
        Ok(tries)
    }

    /// The mission and the iteration of a step or of an iteration.
    async fn place_of(&self, user: &UserId, id: &str) -> Result<(MissionId, IterationId), AppError> {
        projection::refresh(&self.store).await?;
        let of_step = id.rsplit_once('-').map(|(iteration, _)| iteration);
        for iteration in [Some(id), of_step].into_iter().flatten().map(IterationId::from) {
            if let Some(mission) = self.store.mission_of_iteration(user, &iteration).await? {
                return Ok((mission, iteration));
            }
        }
        // A client may have planned it, or its run is older than the runs that are kept.
        self.store.place_of_step(user, id).await?.ok_or(AppError::NotFound)
    }

    /// Writes a review into a mission, on its newest state: a plan that arrived meanwhile stays. What it approves is
    /// carried out in the same transaction, where the log is all that it takes; calls are made afterwards, and the rest
    /// waits for a device.
    ///
    /// # Errors
    /// Where there is no such mission, or the database cannot be written.
    pub async fn decide(&self, user: &UserId, id: &MissionId, review: Review) -> Result<(), AppError> {
        let record = self.store.newest(Table::Missions, user, id).await?.ok_or(AppError::NotFound)?;
        let (mission, _) = Mission::read(id, &record);
        let agent = match &mission.agent_id {
            None => None,
            Some(agent) => self.store.newest(Table::Agents, user, agent).await?.map(|record| Agent::read(agent, &record).0),
        };
        let (executors, now) = (self.executors.clone(), (self.clock)());
        let (user_id, mission_id) = (user.clone(), id.clone());
        let reviewed = move |before: Option<&RawRecord>, log: &dyn UserLog| {
            let Some(record) = before else { return Ok(Default::default()) };
            let iterations = iterations::of_record(record);
            let space = record.text(field::SPACE_ID);
            let occasion = Occasion {
                user: &user_id,
                mission: &mission_id,
                iteration: &review.iteration_id,
                space: space.as_deref(),
                agent: agent.as_ref(),
                client: WORKBENCH_CLIENT,
                now,
            };
            let mut carrier = Carrier::new(&executors, occasion, log);
            let after = apply(&iterations, &review, &mut |step| carrier.carry_out(step)).filter(|after| *after != iterations);
            let Some(after) = after else { return Ok(Default::default()) };
            Ok((to_record(&after), carrier.effects()))
        };
        let effects = self.store.edit_with::<StoreError>(edit_by(user, Table::Missions, id), reviewed).await?;
        self.count(&effects);
        self.calls.notify_one();
        Ok(())
    }

    /// Decides about steps, and tells what became of each.
    ///
    /// # Errors
    /// Where the user has no such step, a parameter does not fit its tool, or the database cannot be written; decisions
    /// about the steps before it stand.
    pub async fn decide_steps(&self, user: &UserId, steps: &[StepId], wanted: &StepReview) -> Result<Vec<DecidedStep>, AppError> {
        let mut decided = Vec::with_capacity(steps.len());
        for id in steps {
            let (mission, iteration) = self.place_of(user, wanted.iteration.as_ref().map_or(&**id, |iteration| iteration)).await?;
            let before = self.step(user, &mission, &iteration, id).await?.ok_or(AppError::NotFound)?;
            // One that failed may have had an effect, so an approval that is sent twice does not repeat it: its user takes it back first.
            if before.undone().is_some() && wanted.review.decisions.get(id).or(wanted.review.all.as_ref()) == Some(&StepDecision::Approve) {
                self.take_back(user, &mission, &iteration, std::slice::from_ref(id), Reopens::WhatWroteNothing).await?;
            }
            let mut review = Review { iteration_id: iteration.clone(), ..wanted.review.clone() };
            review.decisions.retain(|step, _| step == id);
            if !wanted.set.is_empty() {
                review.params = BTreeMap::from([(id.clone(), self.edited(&before, &wanted.set)?)]);
            }
            self.decide(user, &mission, review).await?;
            let after = self.step(user, &mission, &iteration, id).await?.ok_or(AppError::NotFound)?;
            decided.push(told(id, &before, &after, String::new()));
        }
        Ok(decided)
    }

    /// The parameters of a step with others in their place, as its tool takes them.
    pub(super) fn edited(&self, step: &IterationStep, set: &[(String, Given)]) -> Result<Record, AppError> {
        let mut params = step.params().and_then(Value::as_object).cloned().unwrap_or_default();
        let name = step.tool().unwrap_or_default();
        let tool = self.catalog.tools().iter().find(|tool| tool.name == name);
        let tool = tool
            .ok_or_else(|| AppError::Parameter(format!("the tool {name:?} is not in the catalog, so its parameters stay as they are")))?;
        for (name, given) in set {
            let parameter = tool.parameters.iter().find(|parameter| parameter.name == *name);
            let parameter = parameter.ok_or_else(|| AppError::Parameter(format!("{} has no parameter `{name}`", tool.name)))?;
            let value = match given {
                Given::Nothing => {
                    params.remove(name);
                    continue;
                }
                Given::Text(text) => parameter.read(text),
                Given::Value(value) => value.clone(),
            };
            params.insert(name.clone(), value);
        }
        match unfit(tool, &params).into_iter().next() {
            Some(unfit) => Err(unfit.into()),
            None => Ok(params),
        }
    }

    /// Takes back what steps wrote into the log: one step, or a whole iteration. What somebody changed since stays, and is
    /// told. A step that failed awaits a decision again.
    ///
    /// # Errors
    /// Where the user has no such step or iteration, or the database cannot be written.
    pub async fn undo(&self, user: &UserId, id: &str, iteration: Option<&IterationId>) -> Result<Vec<DecidedStep>, AppError> {
        let (mission, iteration) = self.place_of(user, iteration.map_or(id, |iteration| iteration)).await?;
        let before = self.steps(user, &mission, &iteration).await?;
        let wanted: Vec<StepId> = match before.iter().any(|step| *step.id() == *id) {
            true => vec![id.into()],
            false => before.iter().map(|step| step.id().clone()).collect(),
        };
        let has_failed = |step: &IterationStep| *step.id() == *id && step.status() == StepStatus::Failed;
        let reopens = if before.iter().any(has_failed) { Reopens::WhatWroteNothing } else { Reopens::Nothing };
        self.take_back(user, &mission, &iteration, &wanted, reopens).await?;
        let after = self.steps(user, &mission, &iteration).await?;
        let of = |id: &StepId| Some((before.iter().find(|step| step.id() == id)?, after.iter().find(|step| step.id() == id)?));
        let told = wanted.iter().filter_map(|id| {
            let (before, after) = of(id)?;
            Some(told(id, before, after, not_undone(before, after)))
        });
        Ok(told.collect())
    }

    /// Undoes what steps wrote, and lets some of them await a decision again.
    pub(super) async fn take_back(
        &self,
        user: &UserId,
        mission: &MissionId,
        iteration: &IterationId,
        steps: &[StepId],
        reopens: Reopens,
    ) -> Result<(), AppError> {
        let (steps, iteration_id, user_id, mission_id, now) =
            (steps.to_vec(), iteration.clone(), user.to_owned(), mission.clone(), (self.clock)());
        let undone = move |before: Option<&RawRecord>, log: &dyn UserLog| {
            let Some(record) = before else { return Ok(Default::default()) };
            let mut iterations = iterations::of_record(record);
            let mut effects = Effects::default();
            let Some(iteration) = iterations.iter_mut().find(|iteration| *iteration.id() == iteration_id) else {
                return Ok(Default::default());
            };
            let over = iteration.clone();
            let mut back = TakeBack::new(&user_id, &mission_id, WORKBENCH_CLIENT, actor::user(&user_id), log, iteration);
            let mut plan: Vec<_> = iteration.steps_mut().filter(|step| steps.iter().any(|id| id == step.id())).collect();
            let mut changed = false;
            // The last first, so that each finds what it left.
            for step in plan.iter_mut().rev().filter(|step| step.status() == StepStatus::Approved) {
                let refused = |refusal| StoreError::Refused { table: "steps".into(), record: step.id().to_string(), refusal };
                let Some(back) = back.step(step).map_err(refused)? else { continue };
                changed = true;
                effects.rows.extend(back.rows);
                effects.outcomes.push((step.tool().unwrap_or_default().to_owned(), StepOutcome::Undone));
                step.take_back(&undone_by_user(&back.kept, now), back.kept.is_empty());
            }
            let is_meant = |step: &&IterationStep| match reopens {
                Reopens::Nothing => false,
                Reopens::WhatWroteNothing => can_reopen(&over, step),
                Reopens::All => true,
            };
            let again: Vec<StepId> = over.steps().filter(is_meant).map(|step| step.id().clone()).filter(|id| steps.contains(id)).collect();
            changed |= reopen(iteration, &again);
            if !changed {
                return Ok(Default::default());
            }
            Ok((to_record(&iterations), effects))
        };
        let effects = self.store.edit_with::<StoreError>(edit_by(user, Table::Missions, mission), undone).await?;
        self.count(&effects);
        Ok(())
    }

    pub(super) fn count(&self, effects: &Effects) {
        for (tool, outcome) in &effects.outcomes {
            self.metrics.tool_calls_total.with_label_values(&[tool.as_str(), "propose", outcome.as_str()]).inc();
        }
    }

    pub(super) async fn steps(&self, user: &UserId, mission: &MissionId, iteration: &IterationId) -> StoreResult<Vec<IterationStep>> {
        let Some(record) = self.store.newest(Table::Missions, user, mission).await? else { return Ok(Vec::new()) };
        let iterations = iterations::of_record(&record);
        let found = iterations.iter().find(|known| known.id() == iteration);
        Ok(found.map(|found| found.steps().cloned().collect()).unwrap_or_default())
    }

    async fn step(&self, user: &UserId, mission: &MissionId, iteration: &IterationId, step: &StepId) -> StoreResult<Option<IterationStep>> {
        Ok(self.steps(user, mission, iteration).await?.into_iter().find(|known| known.id() == step))
    }
}

impl App {
    /// The plans of users.
    pub fn reviews(&self) -> &Reviews {
        &self.reviews
    }
}

fn key(user: &UserId, mission: &MissionId, iteration: &IterationId, step: &StepId) -> StepKey {
    StepKey { user_id: user.to_owned(), mission_id: mission.to_owned(), iteration_id: iteration.to_owned(), step_id: step.to_owned() }
}

fn undone_by_user(kept: &[KeptField], now: Timestamp) -> Value {
    let field = |kept: &KeptField| json!({"app": kept.app, "table": kept.table, "id": kept.id, "field": kept.field, "now": kept.now});
    step::undone("user", kept.iter().map(field).collect(), now)
}

/// Why a step was not taken back, or not whole.
fn not_undone(before: &IterationStep, after: &IterationStep) -> String {
    match after.kept() {
        kept if !kept.is_empty() => text::obstacle::kept_for_programs(&kept),
        _ if before != after || after.undone().is_some() => String::new(),
        _ if after.status() == StepStatus::Approved => "what it did is not in the log, so it cannot be undone here".into(),
        _ => "it was not carried out".into(),
    }
}

fn told(id: &StepId, before: &IterationStep, after: &IterationStep, error: String) -> DecidedStep {
    DecidedStep {
        id: id.clone(),
        status: after.status().as_str().to_owned(),
        changed: before != after,
        error: if error.is_empty() { after.error() } else { error },
    }
}
