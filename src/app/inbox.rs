//! The review inbox: the plans of a user that await review, one after the other, and decisions about a plan as it is shown.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};
use serde_json::Value;

use super::review::{Given, Reopens, Reviews};
use super::{App, AppError};
use crate::domain::ids::{AgentId, IterationId, MissionId, StepId, UserId};
use crate::domain::iterations::{self, Iteration};
use crate::domain::review::Review;
use crate::domain::step::IterationStep;
use crate::domain::time;
use crate::modules::{FieldKind, FieldSpec};
use crate::planner::tools::{ParamKind, Parameter};
use crate::steps::Foreseen;
use crate::store::{FailedTry, MissionCard, PlanCard, StoreResult, Table};

/// Missions whose waiting plans are counted.
const COUNTED: u32 = 1_000;
/// Bytes of a text that fits into one line of a form.
const ONE_LINE: usize = 120;
/// Plans of one mission that are looked through for the next.
const OF_MISSION: u32 = 100;

/// A plan, and where it stands in the inbox.
#[derive(Debug, Clone)]
pub struct InboxPlan {
    pub mission: MissionCard,
    /// The name of its agent.
    pub agent: Option<(AgentId, String)>,
    pub iteration: Iteration,
    /// What approving each step would do, by its place.
    pub foreseen: Vec<Foreseen>,
    pub tries: BTreeMap<StepId, Vec<FailedTry>>,
}

/// A place in the inbox: a plan, and since when its mission waited as the plan was shown. Missions come by that time, and the
/// plans of one mission by their age.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxPlace {
    pub mission: MissionId,
    pub plan: IterationId,
    pub since: i64,
}

/// A mission with its plans that await review.
#[derive(Debug, Clone)]
pub struct WaitingMission {
    pub mission: MissionCard,
    pub plans: Vec<PlanCard>,
}

/// What a decision about a plan changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDecision {
    /// Steps, by their places.
    pub changed: Vec<usize>,
    /// Whether some step is still undecided.
    pub awaits_review: bool,
}

impl Reviews {
    /// Writes a review into a mission, and tells which steps it changed, by their places. `set` are other parameters for a step.
    ///
    /// # Errors
    /// Where there is no such mission or step, a parameter does not fit its tool, or the database cannot be written.
    pub async fn decide_plan(
        &self,
        user: &UserId,
        mission: &MissionId,
        mut review: Review,
        set: Option<(StepId, Vec<(String, Given)>)>,
    ) -> Result<PlanDecision, AppError> {
        let iteration = review.iteration_id.clone();
        let before = self.steps(user, mission, &iteration).await?;
        if let Some((id, set)) = set {
            let step = before.iter().find(|step| *step.id() == id).ok_or(AppError::NotFound)?;
            review.params.insert(id, self.edited(step, &set)?);
        }
        self.decide(user, mission, review).await?;
        let after = self.store.newest(Table::Missions, user, mission).await?.map(|record| iterations::of_record(&record));
        let after = after.and_then(|all| all.into_iter().find(|known| *known.id() == iteration)).ok_or(AppError::NotFound)?;
        let changed = after.steps().zip(&before).enumerate().filter(|(_, (after, before))| after != before).map(|(place, _)| place);
        Ok(PlanDecision { changed: changed.collect(), awaits_review: after.awaits_review() })
    }

    /// The parameters of a step that a person can edit, as fields of a form, each with its value.
    pub fn editable(&self, step: &IterationStep) -> Vec<(FieldSpec, Option<Value>)> {
        let params = step.params().and_then(Value::as_object);
        let name = step.tool().unwrap_or_default();
        let tool = self.catalog.tools().iter().find(|tool| tool.name == name);
        let editable = |parameter: &Parameter| {
            let value = params.and_then(|params| params.get(&parameter.name));
            // A form has no field for a list or an object.
            let is_plain = !matches!(value, Some(Value::Array(_) | Value::Object(_)));
            is_plain.then(|| (self.field(name, parameter, value), value.cloned()))
        };
        tool.map(|tool| tool.parameters.iter().filter_map(editable).collect()).unwrap_or_default()
    }

    /// What a parameter holds: what the field of the record does into which it goes, else what its type says.
    fn field(&self, tool: &str, parameter: &Parameter, value: Option<&Value>) -> FieldSpec {
        let field = self.executors.modules().field_of(tool, &parameter.name);
        let is_long = value.and_then(Value::as_str).is_some_and(|text| text.len() > ONE_LINE || text.contains('\n'));
        let kind = match parameter.kind {
            _ if !parameter.allowed.is_empty() => FieldKind::Choice,
            ParamKind::Boolean => FieldKind::Flag,
            ParamKind::Number | ParamKind::Integer => FieldKind::Number,
            ParamKind::String if is_long => FieldKind::Text,
            ParamKind::String => field.map(|field| field.kind).filter(|kind| has_input(*kind, value)).unwrap_or(FieldKind::Line),
        };
        FieldSpec {
            name: parameter.name.clone(),
            kind,
            default: None,
            optional: !parameter.required,
            encrypted: false,
            role: None,
            choices: parameter.allowed.clone(),
        }
    }

    /// Takes decisions back: what was carried out is undone, and steps await a decision again, unless a device has them. Steps
    /// are named by their places.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn reconsider(
        &self,
        user: &UserId,
        mission: &MissionId,
        iteration: &IterationId,
        places: &[usize],
        reopens: Reopens,
    ) -> Result<(), AppError> {
        let steps = self.steps(user, mission, iteration).await?;
        let wanted: Vec<StepId> = places.iter().filter_map(|place| Some(steps.get(*place)?.id().clone())).collect();
        self.take_back(user, mission, iteration, &wanted, reopens).await
    }
}

impl App {
    /// How many plans of a user await review, as the last refresh left it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn plans_waiting(&self, user: &UserId) -> StoreResult<u64> {
        self.store.to_review_count(user, COUNTED).await
    }

    /// The missions of a user with plans that await review, what waits longest first, after a place in that order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn waiting_missions(&self, user: &UserId, after: Option<(i64, MissionId)>, limit: u32) -> StoreResult<Vec<WaitingMission>> {
        self.refresh().await?;
        let mut waiting = Vec::new();
        for mission in self.store.to_review(user, after, limit).await? {
            let plans = self.store.waiting_plans(user, &mission.id, OF_MISSION).await?;
            waiting.push(WaitingMission { mission, plans });
        }
        Ok(waiting)
    }

    /// The first plan of the inbox; `None` where nothing waits.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn first_plan(&self, user: &UserId) -> StoreResult<Option<InboxPlace>> {
        self.refresh().await?;
        self.first_after(user, None).await
    }

    async fn first_after(&self, user: &UserId, after: Option<(i64, MissionId)>) -> StoreResult<Option<InboxPlace>> {
        let Some(mission) = self.store.to_review(user, after, 1).await?.pop() else { return Ok(None) };
        let plan = self.store.waiting_plans(user, &mission.id, 1).await?.pop();
        Ok(plan.map(|plan| InboxPlace { mission: mission.id, plan: plan.id, since: mission.waiting_since.unwrap_or(0) }))
    }

    /// The plan after a place, whether that still waits or not; after the last one comes the first. `None` where no other one
    /// waits.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn next_plan(&self, user: &UserId, place: &InboxPlace) -> StoreResult<Option<InboxPlace>> {
        self.refresh().await?;
        let plans = self.store.waiting_plans(user, &place.mission, OF_MISSION).await?;
        let at = plans.iter().position(|plan| plan.id == place.plan);
        if let Some(plan) = plans.get(at.map_or(0, |at| at + 1)) {
            return Ok(Some(InboxPlace { plan: plan.id.clone(), ..place.clone() }));
        }
        let next = self.first_after(user, Some((place.since, place.mission.clone()))).await?;
        let next = match next {
            None => self.first_after(user, None).await?,
            next => next,
        };
        Ok(next.filter(|next| next.plan != place.plan || next.mission != place.mission))
    }

    /// One plan of a mission, as the last refresh left it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn plan(&self, user: &UserId, mission: &MissionId, plan: &IterationId) -> StoreResult<Option<Iteration>> {
        self.store.plan(user, mission, plan).await
    }

    /// A plan with all that a decision about it needs; `None` where it is not there any more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn inbox_plan(&self, user: &UserId, mission: &MissionId, plan: &IterationId) -> StoreResult<Option<InboxPlan>> {
        self.refresh().await?;
        let Some(card) = self.store.mission_cards_of(user, vec![mission.clone()]).await?.pop() else { return Ok(None) };
        let Some(iteration) = self.store.plan(user, mission, plan).await? else { return Ok(None) };
        let agent = match &card.agent_id {
            None => None,
            Some(id) => self.store.agent_cards_of(user, vec![id.clone()]).await?.pop().map(|agent| (agent.id, agent.name)),
        };
        Ok(Some(InboxPlan {
            foreseen: self.reviews().foresee(user, mission, &iteration).await?,
            tries: self.reviews().tries(user, mission, &iteration).await?,
            mission: card,
            agent,
            iteration,
        }))
    }
}

/// Whether a form has an input of its own for a value of that kind: those for days and times show nothing of another text.
fn has_input(kind: FieldKind, value: Option<&Value>) -> bool {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    match kind {
        FieldKind::Choice => false,
        FieldKind::Time => text.is_empty() || time::parse_rfc3339(text).is_some(),
        FieldKind::Day => text.is_empty() || text.parse::<Date>().is_ok_and(|day| day.to_string() == text),
        FieldKind::Clock => text.is_empty() || text.parse::<Time>().is_ok(),
        _ => true,
    }
}
