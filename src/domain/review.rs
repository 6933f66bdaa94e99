//! What a user's review makes of an iteration (docs/design.md, section 13).
//!
//! Clients carry out a step as soon as it says `planned`, and look at an iteration only once. So the decisions on the
//! steps of one iteration are collected: an approved step stays `staged` and remembers the approval, until the last step
//! is decided; then all approved ones become `planned` at once.

use std::collections::BTreeMap;

use super::iterations::{Iteration, IterationStatus, StepMut, StepStatus};

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
    pub fn on(status: StepStatus<'_>, approved_in_advance: bool) -> Option<Self> {
        match status {
            done if done.is_done() => None,
            StepStatus::Rejected => Some(StepDecision::Reject),
            _ if approved_in_advance => Some(StepDecision::Approve),
            _ => Some(StepDecision::Undecided),
        }
    }
}

/// A review of one iteration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Review {
    pub iteration_id: String,
    /// By the ids of the steps; a step that is not named stays as it is.
    pub decisions: BTreeMap<String, StepDecision>,
    /// For all steps that have no decision of their own here. Approval does not reach a step that was rejected before.
    pub all: Option<StepDecision>,
    /// `None` leaves what was said before.
    pub feedback: Option<String>,
}

/// The iterations with the review in its place; `None` where there is no such iteration.
pub fn apply(iterations: &[Iteration], review: &Review) -> Option<Vec<Iteration>> {
    let mut iterations = iterations.to_vec();
    let iteration = iterations.iter_mut().find(|iteration| iteration.id() == review.iteration_id && iteration.json().is_object())?;
    if let Some(feedback) = &review.feedback {
        iteration.set_feedback(feedback);
    }
    if iteration.awaits_review() {
        for mut step in iteration.steps_mut() {
            decide(&mut step, review);
        }
        settle(iteration, review.all);
    }
    Some(iterations)
}

fn decide(step: &mut StepMut<'_>, review: &Review) {
    let Some(before) = StepDecision::on(step.status(), step.is_approved_in_advance()) else { return };
    let all = review.all.filter(|all| !(before == StepDecision::Reject && *all == StepDecision::Approve));
    let Some(decision) = review.decisions.get(step.id()).copied().or(all) else { return };
    step.approve_in_advance(decision == StepDecision::Approve);
    match decision {
        StepDecision::Reject => step.set_status(StepStatus::Rejected),
        // What an older version released stays so: clients may have carried it out already.
        _ if step.status() == StepStatus::Planned => {}
        _ => step.set_status(StepStatus::Staged),
    }
}

/// Settles the iteration once its last step is decided, and releases what was approved.
fn settle(iteration: &mut Iteration, all: Option<StepDecision>) {
    let decisions: Vec<_> =
        iteration.steps().map(|step| (step.status(), StepDecision::on(step.status(), step.is_approved_in_advance()))).collect();
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
    } else if any(StepDecision::Approve) || done(StepStatus::Approved) {
        IterationStatus::Approved
    } else if done(StepStatus::Failed) {
        IterationStatus::Failed
    } else if any(StepDecision::Reject) {
        IterationStatus::Rejected
    } else {
        // Nothing but skipped steps.
        IterationStatus::Approved
    };
    for mut step in iteration.steps_mut().filter(StepMut::is_approved_in_advance) {
        step.approve_in_advance(false);
        step.set_status(StepStatus::Planned);
    }
    iteration.set_status(overall);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    use StepDecision::{Approve, Reject, Undecided};

    /// Reviews the iteration that a review left behind, and tells the overall status, the steps and the feedback.
    fn again(iteration: &mut Iteration, decisions: &[(&str, StepDecision)], all: Option<StepDecision>, feedback: Option<&str>) -> String {
        let decisions = decisions.iter().map(|(id, decision)| ((*id).to_owned(), *decision)).collect();
        let review = Review { iteration_id: "it".into(), decisions, all, feedback: feedback.map(str::to_owned) };
        let before = [Iteration::from(json!({"id": "old"})), iteration.clone()];
        let after = apply(&before, &review).unwrap();
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
        assert!(!it.json().to_string().contains("decision"), "{}", it.json());
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
            let after = apply(&before, &review).unwrap();
            assert_eq!((after[0].status().as_str(), after[0].feedback()), (settled, "good"));
            assert_eq!(after[0].steps().next().unwrap().status(), StepStatus::Planned);
            assert_eq!(apply(&before, &Review { iteration_id: "other".into(), ..review }), None);
        }
    }
}
