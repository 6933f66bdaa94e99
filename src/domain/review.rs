//! What a user's review makes of an iteration (docs/design.md, section 13).
//!
//! Clients carry out a step as soon as it says `planned`, and look at an iteration only once. So the decisions on the
//! steps of one iteration are collected: an approved step stays `staged` and remembers the approval, until the last step
//! is decided; then all approved ones become `planned` at once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ids::{IterationId, StepId};
use super::iterations::{Iteration, IterationStatus};
use super::merge::Record;
use super::step::{IterationStep, StepStatus};

/// A user's decision on a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepDecision {
    Approve,
    Reject,
    /// Not yet.
    Undecided,
}

impl StepDecision {
    /// All of them, with the names that forms use.
    const NAMED: [(&'static str, StepDecision); 3] =
        [("approve", StepDecision::Approve), ("reject", StepDecision::Reject), ("undecided", StepDecision::Undecided)];

    /// Reads the name in a form.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|(n, _)| *n == name).map(|(_, decision)| decision)
    }

    /// The name in a form.
    pub fn as_str(self) -> &'static str {
        Self::NAMED.into_iter().find(|(_, decision)| *decision == self).map_or("", |(name, _)| name)
    }

    /// What was decided about a step of an iteration that awaits review; `None` where no review decides about it any more.
    pub fn of(step: &IterationStep) -> Option<Self> {
        match step.status() {
            done if done.is_done() || step.is_called() => None,
            StepStatus::Rejected => Some(StepDecision::Reject),
            _ if step.is_approved_in_advance() => Some(StepDecision::Approve),
            _ => Some(StepDecision::Undecided),
        }
    }
}

/// A review of one iteration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Review {
    pub iteration_id: IterationId,
    /// By the ids of the steps; a step that is not named stays as it is.
    pub decisions: BTreeMap<StepId, StepDecision>,
    /// For all steps that have no decision of their own here. Approval does not reach a step that was rejected before.
    pub all: Option<StepDecision>,
    /// Why steps are rejected, by their ids.
    pub reasons: BTreeMap<StepId, String>,
    /// `None` leaves what was said before.
    pub feedback: Option<String>,
    /// Parameters to be used instead of the proposed ones, by the ids of the steps.
    pub params: BTreeMap<StepId, Record>,
}

/// Who carries out an approved step, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum CarriedOut {
    /// A device of the user, once the iteration is decided.
    ByClient,
    /// An endpoint, which is called after this; the step waits for its answer.
    Called,
    /// This program; the value is told on the step.
    Done(Value),
    /// This program tried.
    Failed(String),
}

/// The iterations with the review in its place; `None` where there is no such iteration. `carry_out` is asked about each
/// step that becomes approved.
pub fn apply(iterations: &[Iteration], review: &Review, carry_out: &mut dyn FnMut(&IterationStep) -> CarriedOut) -> Option<Vec<Iteration>> {
    let mut iterations = iterations.to_vec();
    let iteration = iterations.iter_mut().find(|iteration| *iteration.id() == review.iteration_id && iteration.is_object())?;
    if let Some(feedback) = &review.feedback {
        iteration.set_feedback(feedback);
    }
    if iteration.awaits_review() {
        for step in iteration.steps_mut() {
            decide(step, review, carry_out);
        }
        settle(iteration, review.all);
    }
    Some(iterations)
}

fn decide(step: &mut IterationStep, review: &Review, carry_out: &mut dyn FnMut(&IterationStep) -> CarriedOut) {
    let Some(before) = StepDecision::of(step) else { return };
    if let Some(params) = review.params.get(step.id()).filter(|_| step.status() != StepStatus::Planned) {
        step.edit(params);
    }
    let all = review.all.filter(|all| !(before == StepDecision::Reject && *all == StepDecision::Approve));
    let Some(decision) = review.decisions.get(step.id()).copied().or(all) else { return };
    // What an older version released stays so: clients may have carried it out already.
    let is_released = step.status() == StepStatus::Planned;
    if decision == StepDecision::Approve && !is_released {
        match carry_out(step) {
            CarriedOut::ByClient => {}
            CarriedOut::Called => return step.call(),
            CarriedOut::Done(result) => return step.succeed(&result),
            CarriedOut::Failed(why) => return step.fail(&why),
        }
    }
    step.approve_in_advance(decision == StepDecision::Approve);
    if decision != StepDecision::Reject {
        step.set_reason("");
    } else if let Some(reason) = review.reasons.get(step.id()) {
        step.set_reason(reason);
    }
    match decision {
        StepDecision::Reject => step.set_status(StepStatus::Rejected),
        _ if is_released => {}
        _ => step.set_status(StepStatus::Staged),
    }
}

/// Settles the iteration once its last step is decided, and releases what was approved.
fn settle(iteration: &mut Iteration, all: Option<StepDecision>) {
    let is_called = iteration.steps().any(IterationStep::is_called);
    let decisions: Vec<_> = iteration.steps().map(|step| (step.status(), StepDecision::of(step))).collect();
    let any = |wanted: StepDecision| decisions.iter().any(|(_, decision)| *decision == Some(wanted));
    let done = |wanted: StepStatus<'_>| decisions.iter().any(|(status, _)| *status == wanted);
    let overall = if decisions.is_empty() {
        match all {
            Some(StepDecision::Approve) => IterationStatus::Approved,
            Some(StepDecision::Reject) => IterationStatus::Rejected,
            _ => return,
        }
    } else if any(StepDecision::Undecided) {
        return;
    } else if is_called || any(StepDecision::Approve) || done(StepStatus::Approved) {
        IterationStatus::Approved
    } else if done(StepStatus::Failed) {
        IterationStatus::Failed
    } else if any(StepDecision::Reject) {
        IterationStatus::Rejected
    } else {
        // Nothing but skipped steps.
        IterationStatus::Approved
    };
    for step in iteration.steps_mut().filter(|step| step.is_approved_in_advance()) {
        step.approve_in_advance(false);
        step.set_status(StepStatus::Planned);
    }
    iteration.set_status(overall);
}

/// Whether a step can be decided again: nothing came of it, or nothing is left of that, and no device has the steps beside it.
pub fn can_reopen(iteration: &Iteration, step: &IterationStep) -> bool {
    let is_released = || iteration.steps().any(|step| step.status() == StepStatus::Planned);
    let settled = [IterationStatus::Approved, IterationStatus::Rejected, IterationStatus::Failed].contains(&iteration.status());
    let is_open = iteration.awaits_review() || (settled && !is_released());
    let is_over = matches!(step.status(), StepStatus::Rejected | StepStatus::Failed) && step.can_repeat();
    is_open && (is_over || (step.is_approved_in_advance() && step.status() == StepStatus::Staged))
}

/// Takes decisions on steps back, so that their iteration awaits review again. Answers whether anything changed.
pub fn reopen(iteration: &mut Iteration, steps: &[StepId]) -> bool {
    let before = iteration.clone();
    let mut changed = false;
    for step in iteration.steps_mut().filter(|step| steps.contains(step.id()) && can_reopen(&before, step)) {
        step.reopen();
        changed = true;
    }
    if changed {
        iteration.set_status(IterationStatus::AwaitingReview);
    }
    changed
}

/// The iterations with the end of a step's call in its place; `None` where the step no longer waits for it.
pub fn conclude(
    iterations: &[Iteration],
    iteration_id: &IterationId,
    step_id: &StepId,
    result: &Result<Value, String>,
) -> Option<Vec<Iteration>> {
    let mut iterations = iterations.to_vec();
    let iteration = iterations.iter_mut().find(|iteration| iteration.id() == iteration_id)?;
    let step = iteration.steps_mut().find(|step| step.id() == step_id && step.is_called())?;
    match result {
        Ok(result) => step.succeed(result),
        Err(why) => step.fail(why),
    }
    if !iteration.awaits_review() {
        let went_well = |step: &IterationStep| step.is_called() || matches!(step.status(), StepStatus::Approved | StepStatus::Planned);
        let status = if iteration.steps().any(went_well) { IterationStatus::Approved } else { IterationStatus::Failed };
        iteration.set_status(status);
    } else {
        settle(iteration, None);
    }
    Some(iterations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use StepDecision::{Approve, Reject, Undecided};

    /// Reviews the iteration that a review left behind, and tells the overall status, the steps and the feedback.
    fn again(iteration: &mut Iteration, decisions: &[(&str, StepDecision)], all: Option<StepDecision>, feedback: Option<&str>) -> String {
        let decisions = decisions.iter().map(|(id, decision)| ((*id).into(), *decision)).collect();
        let review = Review { iteration_id: "it".into(), decisions, all, feedback: feedback.map(str::to_owned), ..Review::default() };
        let before = [Iteration::from(json!({"id": "old"})), iteration.clone()];
        let after = apply(&before, &review, &mut |_| CarriedOut::ByClient).unwrap();
        assert_eq!(after[0], before[0]);
        *iteration = after[1].clone();
        let steps: Vec<String> = after[1]
            .steps()
            .map(|step| format!("{}{}", step.status().as_str(), if step.is_approved_in_advance() { "+" } else { "" }))
            .collect();
        format!("{} [{}] {}", after[1].status().as_str(), steps.join(" "), after[1].feedback()).trim_end().to_owned()
    }

    fn iteration(statuses: &[&str]) -> Iteration {
        let ids = ["a", "b", "c"];
        let step = |(n, status): (usize, &&str)| json!({"id": ids[n], "status": status, "kept": true});
        let plan: Vec<Value> = statuses.iter().enumerate().map(step).collect();
        json!({"id": "it", "overallStatus": "awaiting-review", "plan": plan}).into()
    }

    fn reviewed(statuses: &[&str], decisions: &[(&str, StepDecision)], all: Option<StepDecision>) -> String {
        again(&mut iteration(statuses), decisions, all, None)
    }

    #[test]
    fn approved_steps_are_released_together_when_the_last_one_is_decided() {
        let mut it = iteration(&["staged", "staged", "staged"]);
        assert_eq!(again(&mut it, &[("a", Approve)], None, None), "awaiting-review [staged+ staged staged]");
        assert_eq!(again(&mut it, &[("b", Reject)], None, Some("fewer")), "awaiting-review [staged+ rejected staged] fewer");
        assert_eq!(again(&mut it, &[("c", Approve)], None, None), "approved [planned rejected planned] fewer");
        assert!(!it.read().to_string().contains("decision"), "{}", it.read());
    }

    #[test]
    fn a_decision_can_be_taken_back_until_then() {
        let mut it = iteration(&["staged", "staged"]);
        again(&mut it, &[("a", Approve)], None, None);
        assert_eq!(again(&mut it, &[("a", Undecided)], None, None), "awaiting-review [staged staged]");
        again(&mut it, &[("a", Reject)], None, None);
        assert_eq!(again(&mut it, &[("a", Approve)], None, None), "awaiting-review [staged+ staged]");
        assert_eq!(again(&mut it, &[("a", Reject), ("b", Reject)], None, None), "rejected [rejected rejected]");
    }

    #[test]
    fn approve_all_never_overrides_a_rejection() {
        assert_eq!(reviewed(&["staged", "staged"], &[], Some(Approve)), "approved [planned planned]");
        assert_eq!(reviewed(&["rejected", "staged"], &[], Some(Approve)), "approved [rejected planned]");
        assert_eq!(reviewed(&["staged", "staged"], &[("b", Reject)], Some(Approve)), "approved [planned rejected]");
        assert_eq!(reviewed(&["rejected", "rejected"], &[], Some(Approve)), "rejected [rejected rejected]");
        assert_eq!(reviewed(&["staged", "staged"], &[("a", Undecided)], Some(Approve)), "awaiting-review [staged staged+]");
    }

    #[test]
    fn reject_all_leaves_nothing_to_carry_out() {
        let mut it = iteration(&["staged", "staged"]);
        again(&mut it, &[("a", Approve)], None, None);
        assert_eq!(again(&mut it, &[], Some(Reject), None), "rejected [rejected rejected]");
    }

    #[test]
    fn a_rejection_says_why_until_it_is_taken_back() {
        let before = [iteration(&["staged", "staged"])];
        let reasons = [("a".into(), "too big".to_owned())].into();
        let review = Review { iteration_id: "it".into(), all: Some(Reject), reasons, ..Review::default() };
        let mut after = apply(&before, &review, &mut |_| CarriedOut::ByClient).unwrap();
        assert_eq!(after[0].steps().map(IterationStep::reason).collect::<Vec<_>>(), ["too big", ""]);
        assert_eq!(after[0].status(), IterationStatus::Rejected);
        assert!(reopen(&mut after[0], &["a".into()]));
        assert_eq!(again(&mut after[0], &[], None, None), "awaiting-review [staged rejected]");
        assert!(!after[0].read().to_string().contains("too big"));
        assert!(!reopen(&mut after[0], &["a".into(), "no such step".into()]), "nothing was decided");
    }

    #[test]
    fn what_was_carried_out_or_released_is_not_reopened() {
        let all = ["a", "b", "c"].map(StepId::from);
        for (statuses, overall, after) in [
            (["approved", "rejected"], "approved", "awaiting-review [approved staged]"),
            (["planned", "rejected"], "approved", "approved [planned rejected]"),
            (["rejected", "failed"], "failed", "awaiting-review [staged staged]"),
            (["rejected", "skipped"], "running", "running [rejected skipped]"),
        ] {
            let mut it = iteration(&statuses);
            it.set_status(IterationStatus::read(overall));
            reopen(&mut it, &all);
            let steps: Vec<&str> = it.steps().map(|step| step.status().as_str()).collect();
            assert_eq!(format!("{} [{}]", it.status().as_str(), steps.join(" ")), after);
        }
    }

    #[test]
    fn a_step_that_was_undone_or_failed_is_decided_again_and_what_it_was_is_counted() {
        let plan = json!([
            {"id": "a", "status": "rejected", "result": {"records": [{"app": "x", "table": "y", "id": "z"}]}, "undone": {"by": "user"}},
            {"id": "b", "status": "failed", "error": "no such note"},
        ]);
        let mut it: Iteration = json!({"id": "it", "overallStatus": "approved", "plan": plan}).into();
        assert!(reopen(&mut it, &["a", "b"].map(StepId::from)));
        let staged = |id: &str, earlier: Value| json!({"id": id, "status": "staged", "earlier": earlier});
        assert_eq!(it.read()["plan"], json!([staged("a", json!([1])), staged("b", json!([0]))]));
        let fails = |_: &IterationStep| CarriedOut::Failed("again".into());
        let review = Review { iteration_id: "it".into(), all: Some(Approve), ..Review::default() };
        let mut after = apply(&[it], &review, &mut { fails }).unwrap().remove(0);
        assert_eq!(after.status(), IterationStatus::Failed);
        assert!(reopen(&mut after, &["a".into()]));
        assert_eq!(after.steps().map(IterationStep::earlier).collect::<Vec<_>>(), [vec![1, 0], vec![0]]);
        // Not without end, and not what changed since in part.
        let many = json!({"id": "a", "status": "failed", "earlier": vec![0; 20]});
        let kept = json!({"id": "b", "status": "approved", "undone": {"kept": [{}]}});
        let mut it: Iteration = json!({"id": "it", "overallStatus": "failed", "plan": [many, kept]}).into();
        assert!(!reopen(&mut it, &["a", "b"].map(StepId::from)));
    }

    #[test]
    fn steps_that_an_older_version_released_are_reviewed_for_what_they_are() {
        assert_eq!(reviewed(&["planned", "planned"], &[("a", Approve)], None), "awaiting-review [planned+ planned]");
        assert_eq!(reviewed(&["planned", "planned"], &[("a", Approve), ("b", Reject)], None), "approved [planned rejected]");
        assert_eq!(reviewed(&["approved", "planned"], &[], Some(Reject)), "approved [approved rejected]", "what was carried out stays");
        assert_eq!(reviewed(&["failed", "rejected"], &[("b", Reject)], None), "failed [failed rejected]");
        assert_eq!(reviewed(&["skipped", "skipped"], &[("a", Reject)], None), "approved [skipped skipped]");
    }

    #[test]
    fn what_nobody_knows_is_decided_like_any_other() {
        assert_eq!(reviewed(&["queued", ""], &[("a", Approve)], None), "awaiting-review [queued+ ]".replace("queued", "staged"));
        assert_eq!(reviewed(&["queued", ""], &[], Some(Approve)), "approved [planned planned]");
        assert_eq!(reviewed(&[], &[], Some(Reject)), "rejected []");
        assert_eq!(reviewed(&[], &[("a", Reject)], None), "awaiting-review []");
        assert_eq!(reviewed(&["staged", "staged"], &[("no such step", Reject)], None), "awaiting-review [staged staged]");
    }

    #[test]
    fn what_is_settled_takes_feedback_and_no_other_decision() {
        for settled in ["approved", "rejected", "failed", "partially-approved", "running"] {
            let before = [json!({"id": "it", "overallStatus": settled, "plan": [{"id": "a", "status": "planned"}]}).into()];
            let review = Review { iteration_id: "it".into(), all: Some(Reject), feedback: Some("good".into()), ..Review::default() };
            let after = apply(&before, &review, &mut |_| CarriedOut::ByClient).unwrap();
            assert_eq!((after[0].status().as_str(), after[0].feedback()), (settled, "good"));
            assert_eq!(after[0].steps().next().unwrap().status(), StepStatus::Planned);
            assert_eq!(apply(&before, &Review { iteration_id: "other".into(), ..review }, &mut |_| CarriedOut::ByClient), None);
        }
    }

    #[test]
    fn a_step_that_is_carried_out_here_says_what_came_of_it_and_is_decided_once() {
        let before = [iteration(&["staged", "staged", "staged"])];
        let mut asked = Vec::new();
        let mut carry_out = |step: &IterationStep| {
            asked.push(step.id().to_owned());
            match step.id().as_str() {
                "a" => CarriedOut::Done(json!({"message": "done"})),
                "b" => CarriedOut::Failed("no such note".into()),
                _ => CarriedOut::ByClient,
            }
        };
        let review = Review { iteration_id: "it".into(), all: Some(Approve), ..Review::default() };
        let after = apply(&before, &review, &mut carry_out).unwrap();
        let again = apply(&after, &review, &mut carry_out).unwrap();
        assert_eq!((asked.as_slice(), &again), (&["a", "b", "c"].map(StepId::from)[..], &after));
        let steps: Vec<String> = after[0].steps().map(|step| step.status().as_str().to_owned()).collect();
        assert_eq!((steps.join(" ").as_str(), after[0].status().as_str()), ("approved failed planned", "approved"));
        let plan = after[0].read()["plan"].clone();
        assert_eq!((&plan[0]["result"]["message"], &plan[1]["error"]), (&json!("done"), &json!("no such note")));
    }
}
