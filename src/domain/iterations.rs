//! The iterations of a mission's record, as every client reads and writes them (docs/design.md, sections 6 and 13).
//!
//! The JSON names of an iteration occur only here. What stands in a record is kept as it is: a field or
//! a status that this program does not know passes through, in its place.

use std::sync::OnceLock;

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::field;
use super::ids::IterationId;
use super::iteration::{Frame, IterationOutcome, MAX_MESSAGE, MAX_STEPS, MAX_SUMMARY, cut};
use super::raw::{Raw, RawRecord};
use super::step::{Entry, IterationStep, StepStatus};
use super::time;

/// Where an iteration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IterationStatus<'a> {
    Running,
    AwaitingReview,
    Approved,
    Rejected,
    Failed,
    /// A word that this program does not know; empty where there is none.
    Other(&'a str),
}

impl<'a> IterationStatus<'a> {
    const KNOWN: [IterationStatus<'static>; 5] = [
        IterationStatus::Running,
        IterationStatus::AwaitingReview,
        IterationStatus::Approved,
        IterationStatus::Rejected,
        IterationStatus::Failed,
    ];

    /// The word in the record.
    pub fn as_str(self) -> &'a str {
        match self {
            IterationStatus::Running => "running",
            IterationStatus::AwaitingReview => "awaiting-review",
            IterationStatus::Approved => "approved",
            IterationStatus::Rejected => "rejected",
            IterationStatus::Failed => "failed",
            IterationStatus::Other(word) => word,
        }
    }

    pub(super) fn read(word: &'a str) -> Self {
        Self::KNOWN.into_iter().find(|status| status.as_str() == word).unwrap_or(IterationStatus::Other(word))
    }
}

/// One entry of a record's `iterations`, whatever stands there.
#[derive(Debug, Clone)]
pub struct Iteration {
    entry: Entry,
    /// The entries of the plan, once somebody asked for them: from then on they stand for the field. `None` where it is no list.
    steps: OnceLock<Option<Vec<IterationStep>>>,
    id: IterationId,
    status: String,
    started: String,
    summary: String,
    model: String,
    feedback: String,
}

impl From<Raw> for Iteration {
    fn from(raw: Raw) -> Self {
        let entry = Entry::read(raw);
        Iteration {
            steps: OnceLock::new(),
            id: entry.text(field::ID).into(),
            status: entry.text("overallStatus"),
            started: entry.text("startedAt"),
            summary: entry.text("summary"),
            model: entry.text("model"),
            feedback: entry.text("userFeedback"),
            entry,
        }
    }
}

impl PartialEq for Iteration {
    fn eq(&self, other: &Self) -> bool {
        Raw::of(self) == Raw::of(other)
    }
}

impl From<Value> for Iteration {
    fn from(value: Value) -> Self {
        Raw::from(value).into()
    }
}

impl Serialize for Iteration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (Entry::Object(fields), Some(Some(steps))) = (&self.entry, self.steps.get()) else { return self.entry.serialize(serializer) };
        let mut map = serializer.serialize_map(None)?;
        for (field, value) in fields.iter() {
            match field.as_str() {
                PLAN => map.serialize_entry(PLAN, steps)?,
                _ => map.serialize_entry(field, value)?,
            }
        }
        map.end()
    }
}

impl From<Iteration> for Raw {
    fn from(iteration: Iteration) -> Self {
        Raw::of(&iteration)
    }
}

const PLAN: &str = "plan";

impl Iteration {
    /// What a run leaves behind; its steps begin as `first`.
    pub fn of_run(frame: &Frame, outcome: &IterationOutcome, first: StepStatus<'_>) -> Self {
        let (steps, summary, status) = match outcome {
            IterationOutcome::Planned(plan) => {
                let step = |(n, step)| IterationStep::of_plan(&frame.id, n, step, first);
                let steps: Vec<IterationStep> = plan.steps.iter().take(MAX_STEPS).enumerate().map(step).collect();
                // A plan without steps asks nothing of the user, so there is nothing to review.
                let status = if steps.is_empty() { IterationStatus::Approved } else { IterationStatus::AwaitingReview };
                (steps, cut(&plan.summary, MAX_SUMMARY).to_owned(), status)
            }
            IterationOutcome::Failed(details) => {
                (Vec::new(), format!("The run failed: {}", cut(&details.message, MAX_MESSAGE)), IterationStatus::Failed)
            }
        };
        let mut iteration = json!({
            "id": frame.id,
            "startedAt": time::iso_millis(frame.started_at),
            "finishedAt": time::iso_millis(frame.finished_at),
            PLAN: [],
            "summary": summary,
            "overallStatus": status.as_str(),
            "source": "server",
            "model": frame.model,
            "promptVersion": frame.prompt_version,
            "usage": frame.usage.to_json(),
        });
        if let IterationOutcome::Failed(details) = outcome {
            let message = cut(&details.message, MAX_MESSAGE);
            iteration["errorDetails"] = json!({"name": details.name, "message": message, "phase": details.phase});
        }
        Iteration { steps: Some(steps).into(), ..Iteration::from(iteration) }
    }

    /// As it stands in the record, to be looked into.
    pub fn read(&self) -> Value {
        Raw::of(self).read()
    }

    /// How many bytes it takes in the record.
    pub fn bytes(&self) -> usize {
        Raw::of(self).get().len()
    }

    /// Whether it is an object, and so can be reviewed.
    pub fn is_object(&self) -> bool {
        matches!(self.entry, Entry::Object(_))
    }

    pub fn id(&self) -> &IterationId {
        &self.id
    }

    pub fn status(&self) -> IterationStatus<'_> {
        IterationStatus::read(&self.status)
    }

    pub fn awaits_review(&self) -> bool {
        self.status() == IterationStatus::AwaitingReview
    }

    /// Whether a server wrote it; one without a source is a browser's.
    pub fn is_from_server(&self) -> bool {
        self.entry.text("source") == "server"
    }

    /// The last sign of life of a client that runs the mission itself, right now; `None` where none does.
    pub fn running_on_a_client_since(&self) -> Option<Timestamp> {
        let runs = self.status() == IterationStatus::Running && !self.is_from_server();
        let since = || ["phaseStartedAt", "startedAt"].into_iter().find_map(|field| time::parse_rfc3339(&self.entry.text(field)));
        runs.then(since).flatten()
    }

    /// `startedAt` as it is written.
    pub fn started(&self) -> &str {
        &self.started
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        time::parse_rfc3339(self.started())
    }

    pub fn finished_at(&self) -> Option<Timestamp> {
        time::parse_rfc3339(&self.entry.text("finishedAt"))
    }

    pub fn summary(&self) -> &str {
        &self.summary
    }

    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn total_tokens(&self) -> Option<u64> {
        self.entry.get("usage")?.object()?.value("totalTokens")?.as_u64()
    }

    /// What its user said about it.
    pub fn feedback(&self) -> &str {
        &self.feedback
    }

    /// The same in an older name, which some clients wrote.
    pub fn older_feedback(&self) -> String {
        self.entry.text("feedback")
    }

    /// Why it failed; `None` where nothing says so.
    pub fn error(&self) -> Option<String> {
        let details = self.entry.get("errorDetails")?.object().unwrap_or_default();
        Some(details.text("message").unwrap_or_default().into_owned())
    }

    /// The name of its failure; empty where nothing says so.
    pub fn error_name(&self) -> String {
        let details = self.entry.get("errorDetails").and_then(Raw::object).unwrap_or_default();
        details.text("name").unwrap_or_default().into_owned()
    }

    pub fn steps(&self) -> impl ExactSizeIterator<Item = &IterationStep> {
        self.steps.get_or_init(|| self.plan()).as_deref().unwrap_or_default().iter()
    }

    fn plan(&self) -> Option<Vec<IterationStep>> {
        Some(self.entry.get(PLAN)?.items()?.into_iter().map(IterationStep::from).collect())
    }

    /// Sets the status; an entry that is no object stays as it is.
    pub fn set_status(&mut self, status: IterationStatus<'_>) {
        if let Some(fields) = self.entry.object_mut() {
            fields.insert("overallStatus".into(), status.as_str());
            status.as_str().clone_into(&mut self.status);
        }
    }

    pub fn set_feedback(&mut self, feedback: &str) {
        if let Some(fields) = self.entry.object_mut() {
            fields.insert("userFeedback".into(), feedback);
            feedback.clone_into(&mut self.feedback);
        }
    }

    /// The steps, to be changed; what is no object is passed over.
    pub fn steps_mut(&mut self) -> impl Iterator<Item = &mut IterationStep> {
        self.steps.get_or_init(|| self.plan());
        let steps = self.steps.get_mut().and_then(Option::as_deref_mut);
        steps.unwrap_or_default().iter_mut().filter(|step| step.is_object())
    }
}

/// The iterations of a mission's record.
pub fn of_record(record: &RawRecord) -> Vec<Iteration> {
    record.get(field::ITERATIONS).and_then(Raw::items).unwrap_or_default().into_iter().map(Iteration::from).collect()
}

/// Iterations as what is written into a mission's record.
pub fn to_record(iterations: &[Iteration]) -> RawRecord {
    RawRecord::from_iter([(field::ITERATIONS.to_owned(), Raw::of(&iterations))])
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::domain::iteration::{ErrorDetails, Plan, Step, Usage};

    fn frame() -> Frame {
        Frame {
            id: "it".into(),
            started_at: "2026-04-15T08:00:00Z".parse().unwrap(),
            finished_at: "2026-04-15T08:00:02.5Z".parse().unwrap(),
            model: "m".into(),
            prompt_version: "v".into(),
            usage: Usage { prompt: 10, completion: 5, total: 15 },
        }
    }

    #[test]
    fn a_plan_awaits_review_and_an_empty_one_does_not() {
        let step = Step { summary: "s".into(), tool: "create_task".into(), params: Map::new(), rationale: "r".into() };
        let outcome = IterationOutcome::Planned(Plan { summary: "do".into(), steps: vec![step] });
        assert_eq!(
            Iteration::of_run(&frame(), &outcome, StepStatus::Staged).read(),
            json!({
                "id": "it", "startedAt": "2026-04-15T08:00:00.000Z", "finishedAt": "2026-04-15T08:00:02.500Z",
                "plan": [{"id": "it-0", "summary": "s", "rationale": "r", "status": "staged",
                          "intent": {"kind": "toolCall", "toolName": "create_task", "params": {}}}],
                "summary": "do", "overallStatus": "awaiting-review", "source": "server", "model": "m", "promptVersion": "v",
                "usage": {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15},
            })
        );
        assert_eq!(Iteration::of_run(&frame(), &outcome, StepStatus::Planned).read()["plan"][0]["status"], "planned");
        let empty = Iteration::of_run(&frame(), &IterationOutcome::Planned(Plan::default()), StepStatus::Staged);
        assert_eq!(empty.status(), IterationStatus::Approved);
    }

    #[test]
    fn a_failure_is_shown_to_the_user() {
        let details = ErrorDetails { name: "Unreachable".into(), message: "no answer".into(), phase: "planner".into() };
        let iteration = Iteration::of_run(&frame(), &IterationOutcome::Failed(details), StepStatus::Staged);
        assert_eq!(iteration.status(), IterationStatus::Failed);
        assert_eq!(iteration.read()["errorDetails"], json!({"name": "Unreachable", "message": "no answer", "phase": "planner"}));
    }

    #[test]
    fn words_and_fields_of_others_pass_through() {
        let odd = json!({"z": 1, "overallStatus": "paused", "plan": [{"b": 2, "status": "queued", "a": [null]}, 7], "source": 3});
        let mut iteration = Iteration::from(odd.clone());
        assert_eq!(iteration.status(), IterationStatus::Other("paused"));
        let step = iteration.steps().next().unwrap();
        assert_eq!((step.status(), step.id().as_str(), step.tool(), iteration.steps().len()), (StepStatus::Other("queued"), "", None, 2));
        assert_eq!(iteration.steps_mut().count(), 1);
        iteration.set_status(IterationStatus::Rejected);
        let text = Raw::from(iteration).to_string();
        assert_eq!(text, odd.to_string().replace("paused", "rejected"), "in the same order");
        for none in [json!(null), json!(7), json!([]), json!("x")] {
            let mut iteration = Iteration::from(none.clone());
            assert_eq!((iteration.status(), iteration.steps().len()), (IterationStatus::Other(""), 0));
            iteration.set_status(IterationStatus::Approved);
            assert_eq!(iteration.read(), none);
        }
    }

    #[test]
    fn a_client_that_runs_the_mission_gives_signs_of_life() {
        let since = |extra: Value| {
            let mut iteration = json!({"overallStatus": "running", "startedAt": "2026-04-15T08:00:00Z"});
            iteration.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            Iteration::from(iteration).running_on_a_client_since().map(time::iso_millis)
        };
        assert_eq!(since(json!({})).unwrap(), "2026-04-15T08:00:00.000Z");
        assert_eq!(since(json!({"phaseStartedAt": "2026-04-15T08:01:00Z"})).unwrap(), "2026-04-15T08:01:00.000Z");
        assert_eq!(since(json!({"source": "server"})), None);
        assert_eq!(since(json!({"overallStatus": "approved"})), None);
    }
}
