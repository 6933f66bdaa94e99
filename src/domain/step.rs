//! A step of a plan, as every client reads and writes it (docs/design.md, section 13).
//!
//! The JSON names of a step occur only here. What stands in a record is kept as it is: a field or a status that this program
//! does not know passes through, in its place.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::ids::{IterationId, StepId};
use super::iteration::{MAX_MESSAGE, MAX_RATIONALE, MAX_STEP_SUMMARY, Step, cut};
use super::merge::Record;
use super::raw::{Raw, RawRecord};
use super::time;

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

/// One entry of an iteration's plan, whatever stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct IterationStep {
    entry: Entry,
    id: StepId,
    summary: String,
    rationale: String,
    status: String,
    decision: String,
    tool: Option<String>,
    params: Option<Value>,
}

/// An entry of a list that ought to hold objects.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry {
    Object(RawRecord),
    Other(Raw),
}

impl Entry {
    pub fn read(raw: Raw) -> Self {
        raw.object().map_or(Entry::Other(raw), Entry::Object)
    }

    pub fn get(&self, field: &str) -> Option<&Raw> {
        match self {
            Entry::Object(fields) => fields.get(field),
            Entry::Other(_) => None,
        }
    }

    /// A text; empty where there is none.
    pub fn text(&self, field: &str) -> String {
        self.get(field).and_then(Raw::text).unwrap_or_default().into_owned()
    }

    pub fn object_mut(&mut self) -> Option<&mut RawRecord> {
        match self {
            Entry::Object(fields) => Some(fields),
            Entry::Other(_) => None,
        }
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Entry::Object(fields) => fields.serialize(serializer),
            Entry::Other(raw) => raw.serialize(serializer),
        }
    }
}

impl Serialize for IterationStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entry.serialize(serializer)
    }
}

impl From<Raw> for IterationStep {
    fn from(raw: Raw) -> Self {
        IterationStep::of(Entry::read(raw))
    }
}

/// The field that remembers an approval until the step is released. Clients do not know it, and leave the step alone
/// for its status.
const DECISION: &str = "decision";
const APPROVE: &str = "approve";
/// How often a step is decided again, at most.
const MAX_EARLIER: usize = 20;
/// The same for a call that is on its way.
const CALLING: &str = "calling";
/// The field that says why its user rejected it.
const REASON: &str = "reason";
/// The field that counts, for each time that it was carried out and is decided again, the records that were written then.
const EARLIER: &str = "earlier";

impl IterationStep {
    fn of(entry: Entry) -> Self {
        let intent = entry.get("intent").and_then(Raw::object).unwrap_or_default();
        IterationStep {
            id: entry.text("id").into(),
            summary: entry.text("summary"),
            rationale: entry.text("rationale"),
            status: entry.text("status"),
            decision: entry.text(DECISION),
            tool: intent.text("toolName").map(|tool| tool.into_owned()),
            params: intent.value("params"),
            entry,
        }
    }

    /// The step at place `n` of a plan.
    pub(super) fn of_plan(iteration_id: &IterationId, n: usize, step: &Step, status: StepStatus<'_>) -> Self {
        let fields = json!({
            "id": format!("{iteration_id}-{n}"),
            "summary": cut(&step.summary, MAX_STEP_SUMMARY),
            "rationale": cut(&step.rationale, MAX_RATIONALE),
            "intent": {"kind": "toolCall", "toolName": step.tool, "params": step.params},
            "status": status.as_str(),
        });
        Raw::from(fields).into()
    }

    /// As it stands in the record, to be looked into.
    pub fn read(&self) -> Value {
        Raw::of(self).read()
    }

    /// Whether it is an object, and so can be reviewed.
    pub fn is_object(&self) -> bool {
        matches!(self.entry, Entry::Object(_))
    }

    pub fn id(&self) -> &StepId {
        &self.id
    }

    pub fn summary(&self) -> &str {
        &self.summary
    }

    pub fn rationale(&self) -> &str {
        &self.rationale
    }

    pub fn status(&self) -> StepStatus<'_> {
        StepStatus::read(&self.status)
    }

    /// Whether its user approved it and it waits for the decisions on the steps beside it.
    pub fn is_approved_in_advance(&self) -> bool {
        self.decision == APPROVE
    }

    /// Whether its user approved it and its call is on the way.
    pub fn is_called(&self) -> bool {
        self.decision == CALLING
    }

    /// Whether this program carried it out, and says what came of it.
    pub fn has_result(&self) -> bool {
        self.entry.get("result").is_some()
    }

    fn result(&self) -> Option<RawRecord> {
        self.entry.get("result")?.object()
    }

    /// Whether it was carried out without review.
    pub fn is_automatic(&self) -> bool {
        self.result().and_then(|result| result.value("automatic")) == Some(Value::Bool(true))
    }

    /// What came of it, in words.
    pub fn outcome(&self) -> String {
        match self.entry.get("result") {
            Some(result) => result.object().unwrap_or_default().text("message").unwrap_or_default().into_owned(),
            None => self.error(),
        }
    }

    /// The records that carrying it out wrote: app, table and id.
    pub fn written(&self) -> Vec<(String, String, String)> {
        let records = self.result().and_then(|result| result.get("records")?.items()).unwrap_or_default();
        let record = |record: Raw| {
            let fields = record.object()?;
            let part = |name: &str| fields.text(name).map(|text| text.into_owned());
            Some((part("app")?, part("table")?, part("id")?))
        };
        records.into_iter().filter_map(record).collect()
    }

    /// The records that were written each time before this one that it was carried out.
    pub fn earlier(&self) -> Vec<usize> {
        let counts = self.entry.get(EARLIER).and_then(Raw::items).unwrap_or_default();
        counts
            .iter()
            .map(|count| count.read().as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(0))
            .take(MAX_EARLIER)
            .collect()
    }

    /// What was said when it was taken back.
    pub fn undone(&self) -> Option<Value> {
        self.entry.get("undone").map(Raw::read)
    }

    /// The fields that stayed when it was taken back, since somebody had changed them.
    pub fn kept(&self) -> Vec<Value> {
        let kept = self.undone().and_then(|undone| undone.get("kept").and_then(Value::as_array).cloned());
        kept.unwrap_or_default()
    }

    /// Why it could not be carried out; empty where nothing says so.
    pub fn error(&self) -> String {
        self.entry.text("error")
    }

    /// Why its user rejected it; empty where they did not say.
    pub fn reason(&self) -> String {
        self.entry.text(REASON)
    }

    /// Whether it stands for a call, or a note.
    pub fn has_intent(&self) -> bool {
        self.entry.get("intent").is_some()
    }

    pub fn tool(&self) -> Option<&str> {
        self.tool.as_deref()
    }

    pub fn params(&self) -> Option<&Value> {
        self.params.as_ref()
    }

    fn insert(&mut self, field: &str, value: impl Into<Raw>) {
        if let Some(fields) = self.entry.object_mut() {
            fields.insert(field.into(), value);
        }
    }

    fn decide(&mut self, decision: Option<&str>) {
        decision.unwrap_or_default().clone_into(&mut self.decision);
        match (decision, self.entry.object_mut()) {
            (Some(decision), Some(fields)) => fields.insert(DECISION.into(), decision),
            (None, Some(fields)) => drop(fields.remove(DECISION)),
            (_, None) => {}
        }
    }

    pub fn set_status(&mut self, status: StepStatus<'_>) {
        self.insert("status", status.as_str());
        status.as_str().clone_into(&mut self.status);
    }

    /// Remembers or forgets an approval.
    pub fn approve_in_advance(&mut self, approved: bool) {
        self.decide(approved.then_some(APPROVE));
    }

    /// Remembers why it was rejected, or forgets it.
    pub fn set_reason(&mut self, reason: &str) {
        match (reason, self.entry.object_mut()) {
            ("", Some(fields)) => drop(fields.remove(REASON)),
            (reason, _) => self.insert(REASON, cut(reason, MAX_RATIONALE)),
        }
    }

    /// Whether it was not repeated too often.
    pub fn can_repeat(&self) -> bool {
        self.earlier().len() < MAX_EARLIER
    }

    /// Waits for a decision again. What comes of it then is told apart from what came of it before.
    pub fn reopen(&mut self) {
        if self.has_result() || self.status() == StepStatus::Failed {
            let mut earlier = self.earlier();
            earlier.push(self.written().len());
            self.insert(EARLIER, json!(earlier));
            if let Some(fields) = self.entry.object_mut() {
                ["result", "error", "undone"].into_iter().for_each(|field| drop(fields.remove(field)));
            }
        }
        self.decide(None);
        self.set_reason("");
        self.set_status(StepStatus::Staged);
    }

    /// Another value for its parameters; the first ones stay beside them.
    pub fn edit(&mut self, params: &Record) {
        let Some(mut intent) = self.entry.get("intent").and_then(Raw::object) else { return };
        let was = intent.get("params").cloned();
        let is = Raw::from(&RawRecord::from(params));
        intent.insert("params".into(), is.clone());
        self.insert("intent", &intent);
        self.params = Some(Value::Object(params.clone()));
        if let Some(was) = was.filter(|was| *was != is && self.entry.get("proposed").is_none()) {
            self.insert("proposed", was);
        }
    }

    /// It is approved, and its call is on the way.
    pub fn call(&mut self) {
        self.decide(Some(CALLING));
        self.set_status(StepStatus::Staged);
    }

    /// It was carried out; `result` tells what came of it.
    pub fn succeed(&mut self, result: &Value) {
        self.decide(None);
        self.insert("result", result);
        self.set_status(StepStatus::Approved);
    }

    /// It could not be carried out.
    pub fn fail(&mut self, why: &str) {
        self.decide(None);
        self.insert("error", cut(why, MAX_MESSAGE));
        self.set_status(StepStatus::Failed);
    }

    /// What came of it was taken back; a part that somebody changed since may have stayed.
    pub fn take_back(&mut self, undone: &Value, is_whole: bool) {
        self.insert("undone", undone);
        if is_whole {
            self.set_status(StepStatus::Rejected);
        }
    }
}

/// What is said on a step that was taken back, and of the fields that stayed.
pub fn undone(by: &str, kept: Vec<Value>, at: Timestamp) -> Value {
    let mut undone = json!({"at": time::iso_millis(at), "by": by});
    if !kept.is_empty() {
        undone["kept"] = kept.into();
    }
    undone
}
