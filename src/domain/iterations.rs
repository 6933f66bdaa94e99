//! The iterations of a mission's record, as every client reads and writes them (docs/design.md, sections 6 and 13).
//!
//! The JSON names of an iteration and of its steps occur only here. What stands in a record is kept as it is: a field or
//! a status that this program does not know passes through, in its place.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::iteration::{Frame, IterationOutcome, MAX_STEPS, Step};
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

    fn read(word: &'a str) -> Self {
        Self::KNOWN.into_iter().find(|status| status.as_str() == word).unwrap_or(IterationStatus::Other(word))
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepStatus<'a> {
    /// Held; it awaits review, or the review of the steps beside it.
    Staged,
    /// Released: a client may carry it out.
    Planned,
    /// Carried out.
    Approved,
    Rejected,
    Skipped,
    Failed,
    /// A word that this program does not know; empty where there is none.
    Other(&'a str),
}

impl<'a> StepStatus<'a> {
    const KNOWN: [StepStatus<'static>; 6] =
        [StepStatus::Staged, StepStatus::Planned, StepStatus::Approved, StepStatus::Rejected, StepStatus::Skipped, StepStatus::Failed];

    /// The word in the record.
    pub fn as_str(self) -> &'a str {
        match self {
            StepStatus::Staged => "staged",
            StepStatus::Planned => "planned",
            StepStatus::Approved => "approved",
            StepStatus::Rejected => "rejected",
            StepStatus::Skipped => "skipped",
            StepStatus::Failed => "failed",
            StepStatus::Other(word) => word,
        }
    }

    fn read(word: &'a str) -> Self {
        Self::KNOWN.into_iter().find(|status| status.as_str() == word).unwrap_or(StepStatus::Other(word))
    }

    /// Whether somebody carried it out, or gave it up: no review changes that.
    pub fn is_done(self) -> bool {
        matches!(self, StepStatus::Approved | StepStatus::Skipped | StepStatus::Failed)
    }
}

/// One entry of a record's `iterations`, whatever stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct Iteration(Value);

impl From<Value> for Iteration {
    fn from(value: Value) -> Self {
        Iteration(value)
    }
}

impl From<Iteration> for Value {
    fn from(iteration: Iteration) -> Self {
        iteration.0
    }
}

/// Characters of the texts of an iteration, so that a record can hold some of them; [`super::iteration::MAX_PARAMS_BYTES`]
/// bounds the rest.
const SUMMARY: usize = 4_000;
const STEP_SUMMARY: usize = 500;
const RATIONALE: usize = 2_000;
const MESSAGE: usize = 2_000;

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

impl Iteration {
    /// What a run leaves behind; its steps begin as `first`.
    pub fn of_run(frame: &Frame, outcome: &IterationOutcome, first: StepStatus<'_>) -> Self {
        let (plan, summary, status) = match outcome {
            IterationOutcome::Planned(plan) => {
                let step = |(n, step)| step_json(&frame.id, n, step, first);
                let steps: Vec<Value> = plan.steps.iter().take(MAX_STEPS).enumerate().map(step).collect();
                // A plan without steps asks nothing of the user, so there is nothing to review.
                let status = if steps.is_empty() { IterationStatus::Approved } else { IterationStatus::AwaitingReview };
                (steps, cut(&plan.summary, SUMMARY), status)
            }
            IterationOutcome::Failed(details) => {
                (Vec::new(), format!("The run failed: {}", cut(&details.message, MESSAGE)), IterationStatus::Failed)
            }
        };
        let mut iteration = json!({
            "id": frame.id,
            "startedAt": time::iso_millis(frame.started_at),
            "finishedAt": time::iso_millis(frame.finished_at),
            "plan": plan,
            "summary": summary,
            "overallStatus": status.as_str(),
            "source": "server",
            "model": frame.model,
            "promptVersion": frame.prompt_version,
            "usage": frame.usage.to_json(),
        });
        if let IterationOutcome::Failed(details) = outcome {
            iteration["errorDetails"] = json!({"name": details.name, "message": cut(&details.message, MESSAGE), "phase": details.phase});
        }
        Iteration(iteration)
    }

    /// The JSON, as it stands in the record.
    pub fn json(&self) -> &Value {
        &self.0
    }

    pub fn id(&self) -> &str {
        text(&self.0, "id")
    }

    pub fn status(&self) -> IterationStatus<'_> {
        IterationStatus::read(text(&self.0, "overallStatus"))
    }

    pub fn awaits_review(&self) -> bool {
        self.status() == IterationStatus::AwaitingReview
    }

    /// Whether a server wrote it; one without a source is a browser's.
    pub fn is_from_server(&self) -> bool {
        text(&self.0, "source") == "server"
    }

    /// The last sign of life of a client that runs the mission itself, right now; `None` where none does.
    pub fn running_on_a_client_since(&self) -> Option<Timestamp> {
        let runs = !self.is_from_server() && self.status() == IterationStatus::Running;
        ["phaseStartedAt", "startedAt"].into_iter().find_map(|field| time::parse_rfc3339(text(&self.0, field))).filter(|_| runs)
    }

    /// `startedAt` as it is written.
    pub fn started(&self) -> &str {
        text(&self.0, "startedAt")
    }

    pub fn started_at(&self) -> Option<Timestamp> {
        time::parse_rfc3339(self.started())
    }

    pub fn finished_at(&self) -> Option<Timestamp> {
        time::parse_rfc3339(text(&self.0, "finishedAt"))
    }

    pub fn summary(&self) -> &str {
        text(&self.0, "summary")
    }

    pub fn model(&self) -> &str {
        text(&self.0, "model")
    }

    pub fn total_tokens(&self) -> Option<u64> {
        self.0.pointer("/usage/totalTokens").and_then(Value::as_u64)
    }

    /// What its user said about it.
    pub fn feedback(&self) -> &str {
        text(&self.0, "userFeedback")
    }

    /// The same in an older name, which some clients wrote.
    pub fn older_feedback(&self) -> &str {
        text(&self.0, "feedback")
    }

    /// Why it failed; `None` where nothing says so.
    pub fn error(&self) -> Option<&str> {
        self.0.get("errorDetails").map(|details| text(details, "message"))
    }

    pub fn steps(&self) -> impl ExactSizeIterator<Item = IterationStep<'_>> {
        self.0.get("plan").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter().map(IterationStep)
    }

    /// Sets the status; an entry that is no object stays as it is.
    pub fn set_status(&mut self, status: IterationStatus<'_>) {
        self.set("overallStatus", json!(status.as_str()));
    }

    pub fn set_feedback(&mut self, feedback: &str) {
        self.set("userFeedback", json!(feedback));
    }

    fn set(&mut self, field: &str, value: Value) {
        if let Some(fields) = self.0.as_object_mut() {
            fields.insert(field.into(), value);
        }
    }

    /// The steps, to be changed; what is no object is passed over.
    pub fn steps_mut(&mut self) -> impl Iterator<Item = StepMut<'_>> {
        let steps = self.0.get_mut("plan").and_then(Value::as_array_mut);
        steps.into_iter().flatten().filter_map(Value::as_object_mut).map(StepMut)
    }
}

fn step_json(iteration_id: &str, n: usize, step: &Step, status: StepStatus<'_>) -> Value {
    json!({
        "id": format!("{iteration_id}-{n}"),
        "summary": cut(&step.summary, STEP_SUMMARY),
        "rationale": cut(&step.rationale, RATIONALE),
        "intent": {"kind": "toolCall", "toolName": step.tool, "params": step.params},
        "status": status.as_str(),
    })
}

/// A step of an iteration, whatever stands there.
#[derive(Debug, Clone, Copy)]
pub struct IterationStep<'a>(&'a Value);

impl<'a> IterationStep<'a> {
    /// The JSON, as it stands in the record.
    pub fn json(self) -> &'a Value {
        self.0
    }

    pub fn id(self) -> &'a str {
        text(self.0, "id")
    }

    pub fn summary(self) -> &'a str {
        text(self.0, "summary")
    }

    pub fn rationale(self) -> &'a str {
        text(self.0, "rationale")
    }

    pub fn status(self) -> StepStatus<'a> {
        StepStatus::read(text(self.0, "status"))
    }

    /// Whether its user approved it and it waits for the decisions on the steps beside it.
    pub fn is_approved_in_advance(self) -> bool {
        text(self.0, DECISION) == APPROVE
    }

    /// Whether its user approved it and its call is on the way.
    pub fn is_called(self) -> bool {
        text(self.0, DECISION) == CALLING
    }

    /// Whether this program carried it out, and says what came of it.
    pub fn has_result(self) -> bool {
        self.0.get("result").is_some()
    }

    /// Whether it was carried out without review.
    pub fn is_automatic(self) -> bool {
        self.0.pointer("/result/automatic").and_then(Value::as_bool) == Some(true)
    }

    /// What came of it, in words.
    pub fn outcome(self) -> &'a str {
        match self.0.get("result") {
            Some(result) => text(result, "message"),
            None => text(self.0, "error"),
        }
    }

    /// The records that carrying it out wrote: app, table and id.
    pub fn written(self) -> Vec<(String, String, String)> {
        written(self.0.get("result"))
    }

    /// What was said when it was taken back.
    pub fn undone(self) -> Option<&'a Value> {
        self.0.get("undone")
    }

    /// Whether it stands for a call, or a note.
    pub fn has_intent(self) -> bool {
        self.0.get("intent").is_some()
    }

    pub fn tool(self) -> Option<&'a str> {
        self.0.pointer("/intent/toolName")?.as_str()
    }

    pub fn params(self) -> Option<&'a Value> {
        self.0.pointer("/intent/params")
    }
}

/// The field that remembers an approval until the step is released. Clients do not know it, and leave the step alone
/// for its status.
const DECISION: &str = "decision";
const APPROVE: &str = "approve";
/// The same for a call that is on its way.
const CALLING: &str = "calling";

fn written(result: Option<&Value>) -> Vec<(String, String, String)> {
    let records = result.and_then(|result| result.get("records")).and_then(Value::as_array);
    let record = |record: &Value| {
        let part = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((part("app")?, part("table")?, part("id")?))
    };
    records.into_iter().flatten().filter_map(record).collect()
}

/// A step that is being reviewed.
#[derive(Debug)]
pub struct StepMut<'a>(&'a mut Map<String, Value>);

impl StepMut<'_> {
    fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn id(&self) -> &str {
        self.text("id")
    }

    pub fn status(&self) -> StepStatus<'_> {
        StepStatus::read(self.text("status"))
    }

    pub fn is_approved_in_advance(&self) -> bool {
        self.text(DECISION) == APPROVE
    }

    /// Takes the place of this step by another state of it.
    pub fn become_like(&mut self, other: IterationStep<'_>) {
        if let Some(fields) = other.0.as_object() {
            self.0.clone_from(fields);
        }
    }

    pub fn set_status(&mut self, status: StepStatus<'_>) {
        self.0.insert("status".into(), json!(status.as_str()));
    }

    pub fn tool(&self) -> Option<&str> {
        self.0.get("intent")?.get("toolName")?.as_str()
    }

    pub fn params(&self) -> Option<&Map<String, Value>> {
        self.0.get("intent")?.get("params")?.as_object()
    }

    pub fn rationale(&self) -> &str {
        self.text("rationale")
    }

    /// Another value for its parameters; the first ones stay beside them.
    pub fn edit(&mut self, params: Map<String, Value>) {
        let Some(intent) = self.0.get_mut("intent").and_then(Value::as_object_mut) else { return };
        let was = intent.insert("params".into(), Value::Object(params));
        if let Some(was) = was.filter(|was| Some(was) != intent.get("params")) {
            self.0.entry("proposed").or_insert(was);
        }
    }

    /// It is approved, and its call is on the way.
    pub fn call(&mut self) {
        self.0.insert(DECISION.into(), json!(CALLING));
        self.set_status(StepStatus::Staged);
    }

    pub fn is_called(&self) -> bool {
        self.text(DECISION) == CALLING
    }

    /// It was carried out; `result` tells what came of it.
    pub fn succeed(&mut self, result: Value) {
        self.0.shift_remove(DECISION);
        self.0.insert("result".into(), result);
        self.set_status(StepStatus::Approved);
    }

    /// It could not be carried out.
    pub fn fail(&mut self, why: &str) {
        self.0.shift_remove(DECISION);
        self.0.insert("error".into(), json!(cut(why, MESSAGE)));
        self.set_status(StepStatus::Failed);
    }

    /// What came of it was taken back; a part that somebody changed since may have stayed.
    pub fn take_back(&mut self, undone: Value, is_whole: bool) {
        self.0.insert("undone".into(), undone);
        if is_whole {
            self.set_status(StepStatus::Rejected);
        }
    }

    /// The records that carrying it out wrote: app, table and id.
    pub fn written(&self) -> Vec<(String, String, String)> {
        written(self.0.get("result"))
    }

    /// Remembers or forgets an approval.
    pub fn approve_in_advance(&mut self, approved: bool) {
        if approved {
            self.0.insert(DECISION.into(), json!(APPROVE));
        } else {
            self.0.shift_remove(DECISION);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::iteration::{ErrorDetails, Plan, Usage};

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
            Iteration::of_run(&frame(), &outcome, StepStatus::Staged).json(),
            &json!({
                "id": "it", "startedAt": "2026-04-15T08:00:00.000Z", "finishedAt": "2026-04-15T08:00:02.500Z",
                "plan": [{"id": "it-0", "summary": "s", "rationale": "r", "status": "staged",
                          "intent": {"kind": "toolCall", "toolName": "create_task", "params": {}}}],
                "summary": "do", "overallStatus": "awaiting-review", "source": "server", "model": "m", "promptVersion": "v",
                "usage": {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15},
            })
        );
        assert_eq!(Iteration::of_run(&frame(), &outcome, StepStatus::Planned).json()["plan"][0]["status"], "planned");
        let empty = Iteration::of_run(&frame(), &IterationOutcome::Planned(Plan::default()), StepStatus::Staged);
        assert_eq!(empty.status(), IterationStatus::Approved);
    }

    #[test]
    fn a_failure_is_shown_to_the_user() {
        let details = ErrorDetails { name: "Unreachable".into(), message: "no answer".into(), phase: "planner".into() };
        let iteration = Iteration::of_run(&frame(), &IterationOutcome::Failed(details), StepStatus::Staged);
        assert_eq!(iteration.status(), IterationStatus::Failed);
        assert_eq!(iteration.json()["errorDetails"], json!({"name": "Unreachable", "message": "no answer", "phase": "planner"}));
    }

    #[test]
    fn words_and_fields_of_others_pass_through() {
        let odd = json!({"z": 1, "overallStatus": "paused", "plan": [{"b": 2, "status": "queued", "a": [null]}, 7], "source": 3});
        let mut iteration = Iteration::from(odd.clone());
        assert_eq!(iteration.status(), IterationStatus::Other("paused"));
        let step = iteration.steps().next().unwrap();
        assert_eq!((step.status(), step.id(), step.tool(), iteration.steps().len()), (StepStatus::Other("queued"), "", None, 2));
        assert_eq!(iteration.steps_mut().count(), 1);
        iteration.set_status(IterationStatus::Rejected);
        let text = Value::from(iteration).to_string();
        assert_eq!(text, odd.to_string().replace("paused", "rejected"), "in the same order");
        for none in [json!(null), json!(7), json!([]), json!("x")] {
            let mut iteration = Iteration::from(none.clone());
            assert_eq!((iteration.status(), iteration.steps().len()), (IterationStatus::Other(""), 0));
            iteration.set_status(IterationStatus::Approved);
            assert_eq!(iteration.json(), &none);
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
