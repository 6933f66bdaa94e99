//! What a user's review makes of an iteration (DESIGN, sections 1 and 6).

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A user's word on a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Approve,
    Reject,
    /// Not yet.
    Undecided,
}

impl Word {
    /// Reads the name in a form.
    pub fn parse(name: &str) -> Option<Self> {
        [("approve", Word::Approve), ("reject", Word::Reject), ("undecided", Word::Undecided)]
            .into_iter()
            .find(|(n, _)| *n == name)
            .map(|(_, w)| w)
    }

    fn status(self) -> &'static str {
        match self {
            Word::Approve => "approved",
            Word::Reject => "rejected",
            Word::Undecided => "planned",
        }
    }
}

/// A review of one iteration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Review {
    pub iteration_id: String,
    /// By the ids of the steps; a step that is not named stays as it is.
    pub words: BTreeMap<String, Word>,
    /// For all steps that have no word of their own.
    pub all: Option<Word>,
    /// `None` leaves what was said before.
    pub feedback: Option<String>,
}

/// The iterations with the review in its place; `None` where there is no such iteration, or it is not up for review.
pub fn apply(iterations: &[Value], review: &Review) -> Option<Vec<Value>> {
    let mut iterations = iterations.to_vec();
    let iteration = iterations.iter_mut().find(|iteration| iteration["id"] == review.iteration_id.as_str())?;
    if let Some(feedback) = &review.feedback {
        iteration.as_object_mut()?.insert("userFeedback".into(), json!(feedback));
    }
    if iteration["overallStatus"] == "awaiting-review" {
        let steps = iteration.get_mut("plan").and_then(Value::as_array_mut);
        let mut statuses = Vec::new();
        for step in steps.into_iter().flatten().filter_map(Value::as_object_mut) {
            let id = step.get("id").and_then(Value::as_str).unwrap_or_default();
            if let Some(word) = review.words.get(id).copied().or(review.all) {
                step.insert("status".into(), json!(word.status()));
            }
            statuses.push(step.get("status").and_then(Value::as_str).unwrap_or("planned").to_owned());
        }
        let overall = match (statuses.is_empty(), review.all) {
            (false, _) => overall(&statuses),
            (true, Some(Word::Approve)) => "approved",
            (true, Some(Word::Reject)) => "rejected",
            (true, _) => "awaiting-review",
        };
        iteration["overallStatus"] = json!(overall);
    }
    Some(iterations)
}

/// What the states of the steps come to.
fn overall(statuses: &[String]) -> &'static str {
    let count = |status: &str| statuses.iter().filter(|s| *s == status).count();
    let (approved, rejected) = (count("approved"), count("rejected"));
    match statuses.len() {
        all if approved == all => "approved",
        all if rejected == all => "rejected",
        all if approved + rejected == all => "partially-approved",
        _ => "awaiting-review",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reviewed(words: &[(&str, Word)], all: Option<Word>, feedback: Option<&str>) -> String {
        let step = |id: &str| json!({"id": id, "status": "planned"});
        let iterations = [json!({"id": "old"}), json!({"id": "it", "overallStatus": "awaiting-review", "plan": [step("a"), step("b")]})];
        let words = words.iter().map(|(id, word)| ((*id).to_owned(), *word)).collect();
        let review = Review { iteration_id: "it".into(), words, all, feedback: feedback.map(str::to_owned) };
        let after = apply(&iterations, &review).unwrap();
        assert_eq!(after[0], iterations[0]);
        let (a, b) = (&after[1]["plan"][0]["status"], &after[1]["plan"][1]["status"]);
        format!("{} {} {} {}", after[1]["overallStatus"], a, b, after[1]["userFeedback"]).replace('"', "")
    }

    #[test]
    fn the_words_on_the_steps_decide_about_the_whole() {
        use Word::{Approve, Reject, Undecided};
        assert_eq!(reviewed(&[("a", Approve)], None, None), "awaiting-review approved planned null");
        assert_eq!(reviewed(&[("a", Approve), ("b", Reject)], None, Some("fewer")), "partially-approved approved rejected fewer");
        assert_eq!(reviewed(&[("a", Reject), ("b", Reject)], None, None), "rejected rejected rejected null");
        assert_eq!(reviewed(&[], Some(Approve), None), "approved approved approved null");
        assert_eq!(reviewed(&[("a", Undecided)], Some(Reject), None), "awaiting-review planned rejected null");
        assert_eq!(reviewed(&[("no such step", Reject)], None, Some("why?")), "awaiting-review planned planned why?");
    }

    #[test]
    fn what_is_settled_takes_feedback_and_no_other_word() {
        let iterations = [json!({"id": "it", "overallStatus": "approved", "plan": [{"id": "a", "status": "approved"}]})];
        let review = Review { iteration_id: "it".into(), all: Some(Word::Reject), feedback: Some("good".into()), ..Review::default() };
        let after = apply(&iterations, &review).unwrap();
        assert_eq!(after[0]["plan"][0]["status"], "approved");
        assert_eq!(after[0]["userFeedback"], "good");
        assert_eq!(apply(&iterations, &Review { iteration_id: "other".into(), ..review }), None);
    }
}
