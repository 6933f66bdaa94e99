//! Iterations that a client's write took out of a record, and how they come back (docs/design.md, section 6).
//!
//! Clients send `iterations` as a whole with every edit of it, so a device that was offline overwrites what it has not
//! seen: plans that it lacks, and decisions of which it knows nothing. What is settled beats what is not.

use std::collections::{HashMap, HashSet};

use super::ids::{IterationId, StepId};
use super::iterations::{Iteration, IterationStatus};
use super::raw::Raw;
use super::step::{IterationStep, StepStatus};

/// What the server wrote and the list `after` lacks, or has less settled than `before`, as it stood before.
pub fn lost(before: &Raw, after: &Raw) -> Vec<Iteration> {
    let [before, after] = [before, after].map(|list| list.items().unwrap_or_default());
    // Most of what stands in both is spelled alike, and need not be read.
    let kept: HashSet<&str> = after.iter().map(Raw::get).collect();
    let changed: Vec<Iteration> = before.into_iter().filter(|raw| !kept.contains(raw.get())).map(Iteration::from).collect();
    if changed.is_empty() {
        return changed;
    }
    let after: Vec<Iteration> = after.into_iter().map(Iteration::from).collect();
    let after: HashMap<&IterationId, &Iteration> = after.iter().rev().map(|iteration| (iteration.id(), iteration)).collect();
    let is_lost = |iteration: &Iteration| {
        iteration.is_from_server()
            && !iteration.id().is_empty()
            && after.get(iteration.id()).is_none_or(|now| is_more_settled(iteration, now))
    };
    changed.into_iter().filter(is_lost).collect()
}

/// A record's iterations with those that were lost in their places; `None` where nothing is missing.
pub fn restore(mut now: Vec<Iteration>, lost: &[Iteration]) -> Option<Vec<Iteration>> {
    let mut changed = false;
    for iteration in lost {
        match now.iter_mut().find(|other| other.id() == iteration.id()) {
            Some(other) if is_more_settled(iteration, other) => *other = join(other, iteration),
            Some(_) => continue,
            None => {
                let later = |other: &Iteration| other.started_at().zip(iteration.started_at()).is_some_and(|(a, b)| a > b);
                let place = now.iter().position(later).unwrap_or(now.len());
                now.insert(place, iteration.clone());
            }
        }
        changed = true;
    }
    changed.then_some(now)
}

/// Two states of one iteration as one: the more settled whole, `a` where they are equal, with the more settled of each step.
pub fn join(a: &Iteration, b: &Iteration) -> Iteration {
    let (mut whole, other) = if rank(b) > rank(a) { (b.clone(), a) } else { (a.clone(), b) };
    let steps: HashMap<&StepId, &IterationStep> = other.steps().map(|step| (step.id(), step)).collect();
    for step in whole.steps_mut() {
        let rank = rank_of(step);
        if let Some(other) = steps.get(step.id()).filter(|other| rank_of(other) > rank) {
            *step = (*other).clone();
        }
    }
    whole
}

/// Whether `a` knows of a decision or an outcome that `b` does not.
fn is_more_settled(a: &Iteration, b: &Iteration) -> bool {
    let steps: HashMap<&StepId, u8> = b.steps().map(|step| (step.id(), rank_of(step))).collect();
    rank(a) > rank(b) || a.steps().any(|step| steps.get(step.id()).is_some_and(|other| rank_of(step) > *other))
}

fn rank(iteration: &Iteration) -> u8 {
    match iteration.status() {
        IterationStatus::Running | IterationStatus::Other("") => 0,
        IterationStatus::AwaitingReview => 1,
        IterationStatus::Approved | IterationStatus::Rejected | IterationStatus::Failed | IterationStatus::Other(_) => 2,
    }
}

fn rank_of(step: &IterationStep) -> u8 {
    match step.status() {
        StepStatus::Staged | StepStatus::Other("") => u8::from(step.is_approved_in_advance()),
        StepStatus::Planned | StepStatus::Other(_) => 2,
        StepStatus::Rejected => 3,
        StepStatus::Approved | StepStatus::Skipped | StepStatus::Failed => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// `id:status[:step statuses]`, in short.
    fn iterations(text: &str) -> Vec<Iteration> {
        let one = |text: &str| {
            let mut parts = text.split(':');
            let (id, status) = (parts.next().unwrap(), parts.next().unwrap());
            let steps = parts.next().unwrap_or_default().split(',').filter(|s| !s.is_empty()).enumerate();
            let plan: Vec<Value> = steps
                .map(|(n, status)| match status.strip_suffix('+') {
                    Some(status) => json!({"id": n.to_string(), "status": status, "decision": "approve"}),
                    None => json!({"id": n.to_string(), "status": status}),
                })
                .collect();
            let day = id.bytes().next().unwrap() - b'a' + 1;
            let source = if id.len() > 1 { "browser" } else { "server" };
            json!({"id": id, "startedAt": format!("2026-04-{day:02}T08:00:00Z"), "overallStatus": status, "source": source, "plan": plan})
                .into()
        };
        text.split_whitespace().map(one).collect()
    }

    fn short(all: &[Iteration]) -> String {
        let step = |step: &IterationStep| format!("{}{}", step.status().as_str(), if step.is_approved_in_advance() { "+" } else { "" });
        let one = |iteration: &Iteration| {
            let steps: Vec<String> = iteration.steps().map(step).collect();
            format!("{}:{}:{}", iteration.id(), iteration.status().as_str(), steps.join(","))
        };
        all.iter().map(one).collect::<Vec<_>>().join(" ").replace(": ", " ").trim_end_matches(':').to_owned()
    }

    /// What a client makes of `before`, and what stands there when the lost ones are back.
    fn check(before: &str, after: &str, expected: &str) {
        let (before, after) = (iterations(before), iterations(after));
        let list = |iterations: &[Iteration]| Raw::of(&iterations);
        let missing = lost(&list(&before), &list(&after));
        let restored = restore(after.clone(), &missing);
        assert_eq!(short(restored.as_deref().unwrap_or(&after)), expected);
        if let Some(restored) = restored {
            assert_eq!(lost(&list(&before), &list(&restored)), [], "nothing is lost any more");
            assert_eq!(restore(restored, &missing), None, "and doing it twice changes nothing");
        }
    }

    #[test]
    fn what_a_device_did_not_know_comes_back_in_its_place() {
        check("a:approved b:awaiting-review", "", "a:approved b:awaiting-review");
        check("a:approved b:failed c:approved", "a:approved c:approved", "a:approved b:failed c:approved");
        check("a:approved b:failed", "a:approved bb:running", "a:approved bb:running b:failed");
        check("aa:approved b:failed", "", "b:failed");
        check("a:approved", "a:approved dd:approved", "a:approved dd:approved");
    }

    #[test]
    fn what_is_settled_beats_what_is_not() {
        check("a:approved:planned,rejected", "a:awaiting-review:staged,staged", "a:approved:planned,rejected");
        check("a:awaiting-review:staged+,staged", "a:awaiting-review:staged,staged", "a:awaiting-review:staged+,staged");
        check("a:awaiting-review:staged,rejected", "a:awaiting-review:staged+,staged", "a:awaiting-review:staged+,rejected");
        check("a:approved:planned", "a:approved:approved", "a:approved:approved");
        check("a:approved:approved", "a:approved:planned", "a:approved:approved");
        check("a:approved:planned", "a:failed:failed", "a:failed:failed");
        check("a:approved:approved", "a:rejected:rejected", "a:rejected:approved");
        check("a:awaiting-review:approved", "a:approved:planned", "a:approved:approved");
    }
}
