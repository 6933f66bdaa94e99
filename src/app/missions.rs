//! What people do with their missions.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, AppError, edit_by};
use crate::domain::cadence::Cadence;
use crate::domain::edits::{changed, created, differing};
use crate::domain::field;
use crate::domain::ids::{IterationId, MissionId, StepId, UserId};
use crate::domain::merge::Record;
use crate::domain::mission::{Mission, MissionState};
use crate::domain::raw::RawRecord;
use crate::domain::schedule::first_time;
use crate::domain::standing::Standing;
use crate::domain::time;
use crate::runner::{Explanation, Rules, explain};
use crate::steps::Foreseen;
use crate::store::{FailedTry, Longest, RecordPart, RunRow, Snapshot, SomePlans, StoreError, StoreResult, Table};

/// What decides whether a mission runs, besides its plans.
const DECIDES: [&str; 5] = [field::STATE, field::NEXT_RUN_AT, field::CADENCE, field::AGENT_ID, field::TITLE];
/// What a copy of a mission has of it.
const COPIED: [&str; 6] = [field::TITLE, field::OBJECTIVE, field::CONCEPT, field::CADENCE, field::INPUTS, field::AGENT_ID];

/// How much of a mission is wanted.
pub struct ViewBounds {
    pub fields: &'static [&'static str],
    pub longest: Longest,
    /// Plans to pass over, the newest first, and how many are wanted.
    pub skip: usize,
    pub plans: usize,
    /// Runs claimed before this time.
    pub before: Timestamp,
    pub runs: u32,
}

/// A mission, its plans and runs, and why it runs or not.
pub struct MissionView {
    pub part: RecordPart,
    pub plans: SomePlans,
    pub steps: StepsAhead,
    pub why: Explanation,
    /// Fields that a device wrote whose clock was ahead, each with its stamp.
    pub ahead: Vec<(String, String)>,
    pub runs: Vec<RunRow>,
}

/// What is to come of the steps of some plans.
#[derive(Debug, Default)]
pub struct StepsAhead {
    /// What approving each would do, by the id of its plan.
    pub foreseen: BTreeMap<IterationId, Vec<Foreseen>>,
    /// The tries of calls that are still on the way, by the id of the step.
    pub tries: BTreeMap<StepId, Vec<FailedTry>>,
}

/// What became of a wish to run a mission at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunNow {
    /// It is due, and looked for.
    Due,
    /// A plan of it is being made already; nothing was changed.
    UnderWay,
    /// It would not run, for a reason that time alone does not end; nothing was changed.
    NotNow(Standing),
}

impl App {
    /// A mission's record as it is now.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be read.
    pub async fn mission(&self, user: &UserId, id: &MissionId) -> Result<Record, AppError> {
        Ok(self.store.newest(Table::Missions, user, id).await?.ok_or(AppError::NotFound)?.read())
    }

    /// Some fields of a mission, whole.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be read.
    pub async fn mission_fields(&self, user: &UserId, id: &MissionId, fields: &'static [&'static str]) -> Result<Record, AppError> {
        self.fields(Table::Missions, user, id, fields).await
    }

    /// A mission with everything that is told about it.
    ///
    /// # Errors
    /// Where there is none, or the database cannot be read.
    pub async fn mission_view(&self, user: &UserId, id: &MissionId, wanted: ViewBounds) -> Result<MissionView, AppError> {
        self.refresh().await?;
        let part = self.store.part(Table::Missions, user, id, wanted.fields, wanted.longest).await?.ok_or(AppError::NotFound)?;
        let plans = self.store.some_plans(user, id, wanted.skip, wanted.plans).await?;
        let mut steps = StepsAhead::default();
        for plan in &plans.iterations {
            if plan.awaits_review() {
                steps.foreseen.insert(plan.id().to_owned(), self.reviews.foresee(user, id, plan).await?);
            }
            steps.tries.extend(self.reviews.tries(user, id, plan).await?);
        }
        Ok(MissionView {
            why: self.explain(user, id, &part, &plans).await?,
            ahead: self.store.future_fields(Table::Missions, user, id, self.now()).await?,
            runs: self.store.runs_before(user, Some(id), wanted.before, wanted.runs).await?,
            part,
            plans,
            steps,
        })
    }

    async fn explain(&self, user: &UserId, id: &MissionId, part: &RecordPart, plans: &SomePlans) -> StoreResult<Explanation> {
        let snapshot =
            Snapshot { user_id: user.to_owned(), id: id.to_owned(), record: part.record.clone(), field_meta: Default::default() };
        explain(&self.store, &snapshot, plans.plans, self.now(), &self.rules_now()).await
    }

    /// The rules with the model server as it is now.
    pub(super) fn rules_now(&self) -> Rules {
        Rules { provider: self.runner.provider_name(), ..self.rules.clone() }
    }

    /// Makes a mission of what a form says, and answers its id.
    ///
    /// # Errors
    /// When the database cannot be written, or refuses a text.
    pub async fn create_mission(&self, user: &UserId, record: Record) -> StoreResult<MissionId> {
        let id = MissionId::from(Uuid::new_v4().to_string());
        let record = created(record, user, self.now());
        self.store.edit::<StoreError>(edit_by(user, Table::Missions, &id), move |_| Ok(record.into())).await?;
        Ok(id)
    }

    /// Writes what was edited in a form: `was` is what the form showed, `after` what it says now.
    ///
    /// # Errors
    /// When the database cannot be written, or refuses a text.
    pub async fn save_mission(&self, user: &UserId, id: &MissionId, was: &Record, after: Record) -> StoreResult<()> {
        // A new schedule comes with its first time, also where that is the time that the form showed.
        let next = after.get(field::NEXT_RUN_AT).cloned();
        let mut fields = changed(was, after);
        fields.extend(next.map(|next| (field::NEXT_RUN_AT.to_owned(), next)));
        let (zone, now, mission_id) = (self.zone().clone(), self.now(), id.clone());
        let edited = move |record: Option<&RawRecord>| {
            let Some(record) = record else { return Ok(RawRecord::new()) };
            // A schedule that stays, and whose time is missing, gets it now and not with the next tick.
            if !fields.contains_key(field::NEXT_RUN_AT)
                && let Some(at) = first_time(&Mission::read(&mission_id, record).0, now, &zone)
            {
                fields.insert(field::NEXT_RUN_AT.into(), time::iso_millis(at).into());
            }
            Ok(fields.into())
        };
        self.store.edit::<StoreError>(edit_by(user, Table::Missions, id), edited).await
    }

    /// Sets the state as clients do: a mission that goes on starts from now, and one that is done waits for nothing.
    ///
    /// # Errors
    /// Where there is no such mission, or the database cannot be written.
    pub async fn set_mission_state(&self, user: &UserId, id: &MissionId, state: MissionState) -> Result<(), AppError> {
        let record = self.mission(user, id).await?;
        let mut fields = vec![(field::STATE, json!(state.as_str()))];
        match state {
            MissionState::Active => {
                let cadence = Cadence::read(record.get(field::CADENCE).unwrap_or(&Value::Null)).ok();
                let next = cadence.and_then(|cadence| cadence.next(self.now(), self.zone()));
                fields.push((field::NEXT_RUN_AT, next.map_or(Value::Null, |at| time::iso_millis(at).into())));
            }
            MissionState::Done => fields.push((field::NEXT_RUN_AT, Value::Null)),
            _ => {}
        }
        self.write(user, id, fields).await
    }

    /// Makes a mission due, and looks for due missions at once, in a task of its own.
    ///
    /// # Errors
    /// Where there is no such mission, or the database cannot be written.
    pub async fn run_mission_now(&self, user: &UserId, id: &MissionId) -> Result<RunNow, AppError> {
        if self.store.open_run(user, id).await?.is_some_and(|run| run.owner.is_some()) {
            return Ok(RunNow::UnderWay);
        }
        self.refresh().await?;
        let part = self.store.part(Table::Missions, user, id, &DECIDES, Longest::WHOLE).await?.ok_or(AppError::NotFound)?;
        let plans = self.store.some_plans(user, id, 0, 0).await?;
        let standing = self.explain(user, id, &part, &plans).await?.standing;
        if matches!(standing, Standing::Blocked(_) | Standing::Inactive(_)) {
            return Ok(RunNow::NotNow(standing));
        }
        self.write(user, id, [(field::NEXT_RUN_AT, json!(time::iso_millis(self.now())))]).await?;
        let runner = Arc::clone(&self.runner);
        tokio::spawn(async move {
            match runner.tick().await {
                Ok(tick) => drop(tick.settle().await),
                Err(error) => tracing::error!(%error, "a mission was to run now, but the tick failed; the next one tries again"),
            }
        });
        Ok(RunNow::Due)
    }

    /// Moves a mission that runs, or waits for another attempt, on to its next time: what the run under way comes to is
    /// dropped.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn cancel_run(&self, user: &UserId, id: &MissionId) -> StoreResult<()> {
        let Some(run) = self.store.open_run(user, id).await? else { return Ok(()) };
        let (zone, now, mission_id) = (self.zone().clone(), self.now(), id.clone());
        let cancelled = move |record: Option<&RawRecord>| {
            let Some(mission) = record.map(|record| Mission::read(&mission_id, record).0) else { return Ok(RawRecord::new()) };
            if mission.next_run_at != Some(run.scheduled_for) {
                return Ok(RawRecord::new());
            }
            let cadence = Cadence::read(&mission.cadence).ok();
            let next = cadence.and_then(|cadence| cadence.resume(run.scheduled_for, now.max(run.scheduled_for), &zone).next);
            let next = next.map_or(Value::Null, |at| time::iso_millis(at).into());
            Ok(differing(record, Record::from_iter([(field::NEXT_RUN_AT.to_owned(), next)])))
        };
        self.store.edit::<StoreError>(edit_by(user, Table::Missions, id), cancelled).await
    }

    /// Makes a paused mission like another one, without its plans, and answers its id.
    ///
    /// # Errors
    /// Where there is no such mission, or the database cannot be written.
    pub async fn duplicate_mission(
        &self,
        user: &UserId,
        id: &MissionId,
        title: impl FnOnce(&str) -> String,
    ) -> Result<MissionId, AppError> {
        let mut record = self.mission_fields(user, id, &COPIED).await?;
        record.remove(field::ID);
        let was = record.get(field::TITLE).and_then(Value::as_str).unwrap_or_default();
        record.insert(field::TITLE.into(), title(was).into());
        record.insert(field::STATE.into(), MissionState::Paused.as_str().into());
        record.insert(field::ITERATIONS.into(), Value::Array(Vec::new()));
        Ok(self.create_mission(user, record).await?)
    }

    /// # Errors
    /// Where there is no such mission, or the database cannot be written.
    pub async fn delete_mission(&self, user: &UserId, id: &MissionId) -> Result<(), AppError> {
        self.mission(user, id).await?;
        self.write(user, id, [(field::DELETED_AT, json!(time::iso_millis(self.now())))]).await
    }

    /// Brings a deleted mission back, as the clients' undo does.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn undelete_mission(&self, user: &UserId, id: &MissionId) -> StoreResult<()> {
        self.store.undelete(edit_by(user, Table::Missions, id)).await
    }

    /// Writes fields into a mission that is there.
    async fn write(&self, user: &UserId, id: &MissionId, fields: impl IntoIterator<Item = (&'static str, Value)>) -> Result<(), AppError> {
        let fields = Record::from_iter(fields.into_iter().map(|(field, value)| (field.to_owned(), value)));
        let edit = edit_by(user, Table::Missions, id);
        Ok(self.store.edit::<StoreError>(edit, move |before| Ok(differing(before, fields))).await?)
    }
}
