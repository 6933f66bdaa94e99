//! What became of proposed steps, told row by row of a mission's log: who reads the rows in their order comes to the same,
//! however often they stop in between (docs/design.md, section 13).

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::field;
use super::ids::{AgentId, IterationId, StepId};
use super::iteration::{MAX_STEP_SUMMARY, MAX_STEPS, cut};
use super::iterations::{Iteration, IterationStatus};
use super::raw::{Raw, RawRecord};
use super::step::{IterationStep, StepStatus};

/// Iterations that one row may decide about; what a row changes beyond them is not told.
const MAX_ITERATIONS: usize = 200;
/// Bytes of an id and of the name of a tool.
const MAX_NAME: usize = 200;
/// Characters of a reason.
const MAX_REASON: usize = 1_000;

/// What its user decided about a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepVerdict {
    Approved,
    Rejected,
    /// Approved, and taken back after it was carried out.
    TakenBack,
}

impl StepVerdict {
    pub const ALL: [StepVerdict; 3] = [StepVerdict::Approved, StepVerdict::Rejected, StepVerdict::TakenBack];

    pub fn as_str(self) -> &'static str {
        match self {
            StepVerdict::Approved => "approved",
            StepVerdict::Rejected => "rejected",
            StepVerdict::TakenBack => "taken back",
        }
    }

    /// What somebody decided about a step; `None` where nobody did, or not yet. What an agent carried out by itself was decided
    /// by nobody.
    fn of(iteration: &Iteration, step: &IterationStep) -> Option<Self> {
        match (step.status(), iteration.status()) {
            _ if step.undone().is_some() => Some(StepVerdict::TakenBack),
            (StepStatus::Rejected, _) => Some(StepVerdict::Rejected),
            (StepStatus::Approved | StepStatus::Failed, _) => (!step.is_automatic()).then_some(StepVerdict::Approved),
            (StepStatus::Skipped, _) => None,
            _ if step.is_called() || step.is_approved_in_advance() => Some(StepVerdict::Approved),
            (_, IterationStatus::Rejected) => Some(StepVerdict::Rejected),
            (StepStatus::Planned, IterationStatus::Approved) => Some(StepVerdict::Approved),
            _ => None,
        }
    }
}

/// A step that was decided; its texts are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedStep {
    pub verdict: StepVerdict,
    /// When the row was written that decided it; `None`: before, so the time that is known stays.
    pub at: Option<Timestamp>,
    /// The agent that the mission had then.
    pub agent_id: AgentId,
    pub tool: String,
    pub summary: String,
    /// Why, in the words of the user.
    pub reason: String,
}

impl JudgedStep {
    fn of(iteration: &Iteration, step: &IterationStep, agent_id: &AgentId) -> Option<Self> {
        let verdict = StepVerdict::of(iteration, step)?;
        let reason = match verdict {
            StepVerdict::Approved => String::new(),
            _ => Some(step.reason()).filter(|reason| !reason.is_empty()).unwrap_or_else(|| iteration.feedback().to_owned()),
        };
        Some(JudgedStep {
            verdict,
            at: None,
            agent_id: agent_id.clone(),
            tool: step.tool().filter(|tool| tool.len() <= MAX_NAME).unwrap_or_default().to_owned(),
            summary: cut(step.summary(), MAX_STEP_SUMMARY).to_owned(),
            reason: cut(&reason, MAX_REASON).to_owned(),
        })
    }
}

/// The steps whose decision changed; `None` for one that is undecided again.
pub type Decisions = BTreeMap<(IterationId, StepId), Option<JudgedStep>>;

/// Adds what a row changed that was written at a time: `before` are the iterations before it, `record` is what it left.
pub fn note(decisions: &mut Decisions, before: Option<&Raw>, record: &RawRecord, at: Timestamp) {
    let items = |list: Option<&Raw>| list.and_then(Raw::items).unwrap_or_default();
    let (before, after) = (items(before), items(record.get(field::ITERATIONS)));
    // What is spelled alike was not changed, and need not be read; mostly it is all but the end.
    let same = before.iter().zip(&after).take_while(|(before, after)| before.get() == after.get()).count();
    let (before, after) = (before.into_iter().skip(same).collect::<Vec<_>>(), after.into_iter().skip(same).collect::<Vec<_>>());
    let known: HashSet<&str> = before.iter().map(Raw::get).collect();
    let changed: Vec<Iteration> =
        after.into_iter().filter(|raw| !known.contains(raw.get())).take(MAX_ITERATIONS).map(Iteration::from).collect();
    if changed.is_empty() {
        return;
    }
    let before: Vec<Iteration> = before.into_iter().map(Iteration::from).collect();
    let before: HashMap<&IterationId, &Iteration> = before.iter().rev().map(|iteration| (iteration.id(), iteration)).collect();
    let agent = AgentId::from(record.text(field::AGENT_ID).filter(|id| id.len() <= MAX_NAME).unwrap_or_default().into_owned());
    for iteration in changed.iter().filter(|iteration| is_name(iteration.id())) {
        let was = before.get(iteration.id()).map(|iteration| decided(iteration, &agent)).unwrap_or_default();
        for (step, decision) in decided(iteration, &agent) {
            let was = was.get(&step).cloned().flatten();
            if was == decision {
                continue;
            }
            let key = (iteration.id().clone(), step);
            let decision = decision.map(|decision| {
                let is_same = was.is_some_and(|was| was.verdict == decision.verdict);
                let known = decisions.get(&key).and_then(Option::as_ref).and_then(|known| known.at);
                JudgedStep { at: if is_same { known } else { Some(at) }, ..decision }
            });
            decisions.insert(key, decision);
        }
    }
}

/// What stands in an iteration, by its steps.
fn decided(iteration: &Iteration, agent: &AgentId) -> BTreeMap<StepId, Option<JudgedStep>> {
    let steps = iteration.steps().take(MAX_STEPS).filter(|step| is_name(step.id()));
    steps.map(|step| (step.id().clone(), JudgedStep::of(iteration, step, agent))).collect()
}

fn is_name(id: &str) -> bool {
    (1..=MAX_NAME).contains(&id.len())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(steps: &Value, status: &str, feedback: &str) -> RawRecord {
        let iteration = json!({"id": "it", "overallStatus": status, "userFeedback": feedback, "plan": steps});
        RawRecord::from_iter([
            (field::AGENT_ID.to_owned(), Raw::from("penny")),
            (field::ITERATIONS.to_owned(), Raw::from(json!([{"id": "old"}, iteration]))),
        ])
    }

    fn at(n: i64) -> Timestamp {
        Timestamp::from_second(n).unwrap()
    }

    /// What rows come to, each written at its number; told after each of them in `cuts`.
    fn told(rows: &[RawRecord], decisions: &mut Decisions, from: usize) -> String {
        for n in from..rows.len() {
            note(decisions, n.checked_sub(1).and_then(|n| rows[n].get(field::ITERATIONS)), &rows[n], at(n as i64));
        }
        let one = |((_, step), decided): (&(IterationId, StepId), &Option<JudgedStep>)| match decided {
            None => format!("{step} open"),
            Some(decided) => {
                let at = decided.at.map_or("-".to_owned(), |at| at.as_second().to_string());
                format!("{step} {} at {at} {} {}", decided.verdict.as_str(), decided.agent_id, decided.reason).trim_end().to_owned()
            }
        };
        decisions.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    fn check(rows: &[(Value, &str, &str)], expected: &str) {
        let rows: Vec<RawRecord> = rows.iter().map(|(steps, status, feedback)| record(steps, status, feedback)).collect();
        assert_eq!(told(&rows, &mut Decisions::new(), 0), expected);
    }

    #[test]
    fn a_decision_counts_from_the_row_that_made_it() {
        let step = |status: &str| json!([{"id": "a", "status": status}]);
        let review = "awaiting-review";
        check(&[(step("staged"), review, "")], "");
        check(&[(step("staged"), review, ""), (step("approved"), "approved", "")], "a approved at 1 penny");
        check(&[(step("staged"), review, ""), (step("rejected"), "rejected", "too dear")], "a rejected at 1 penny too dear");
        check(&[(step("rejected"), review, ""), (step("rejected"), "rejected", "too dear")], "a rejected at 0 penny too dear");
        check(&[(step("rejected"), "rejected", ""), (step("staged"), review, "")], "a open");
        check(
            &[(step("rejected"), "rejected", ""), (step("staged"), review, ""), (step("rejected"), "rejected", "")],
            "a rejected at 2 penny",
        );
    }

    #[test]
    fn what_nobody_decided_does_not_count() {
        let of = |step: Value, status: &str| vec![(json!([step]), status.to_owned())];
        for (row, expected) in [
            (of(json!({"id": "a", "status": "planned"}), "awaiting-review"), ""),
            (of(json!({"id": "a", "status": "planned"}), "approved"), "a approved at 0 penny"),
            (of(json!({"id": "a", "status": "skipped"}), "approved"), ""),
            (of(json!({"id": "a", "status": "staged", "decision": "approve"}), "awaiting-review"), "a approved at 0 penny"),
            (of(json!({"id": "a", "status": "staged"}), "rejected"), "a rejected at 0 penny"),
            (of(json!({"id": "a", "status": "approved", "result": {"automatic": true}}), "approved"), ""),
            (of(json!({"id": "a", "status": "rejected", "undone": {"by": "user"}}), "approved"), "a taken back at 0 penny"),
            (of(json!({"id": "", "status": "rejected"}), "rejected"), ""),
            (of(json!({"id": "x".repeat(300), "status": "rejected"}), "rejected"), ""),
            (of(json!(7), "rejected"), ""),
        ] {
            let rows: Vec<(Value, &str, &str)> = row.iter().map(|(steps, status)| (steps.clone(), status.as_str(), "")).collect();
            check(&rows, expected);
        }
    }

    /// A fold that goes on from what was stored comes to the same as one that reads everything at once.
    #[test]
    fn stopping_in_between_changes_nothing() {
        let states = [
            ("staged", "awaiting-review", ""),
            ("rejected", "rejected", ""),
            ("rejected", "rejected", "why"),
            ("approved", "approved", "why"),
        ];
        let rows: Vec<RawRecord> = (0..200_usize)
            .map(|n| {
                let (status, overall, feedback) = states[n * n % 7 % states.len()];
                record(&json!([{"id": "a", "status": status}, {"id": "b", "status": "staged"}]), overall, feedback)
            })
            .collect();
        let mut whole = Decisions::new();
        told(&rows, &mut whole, 0);
        let mut stored: BTreeMap<_, JudgedStep> = BTreeMap::new();
        for n in 0..rows.len() {
            let mut one = Decisions::new();
            told(&rows[..=n], &mut one, n);
            for (key, decided) in one {
                let at = decided.as_ref().and_then(|decided| decided.at).or_else(|| stored.get(&key)?.at);
                match decided {
                    Some(decided) => drop(stored.insert(key, JudgedStep { at, ..decided })),
                    None => drop(stored.remove(&key)),
                }
            }
        }
        let whole: BTreeMap<_, JudgedStep> = whole.into_iter().filter_map(|(key, decided)| Some((key, decided?))).collect();
        assert_eq!(stored, whole);
        assert!(!whole.is_empty());
    }
}
