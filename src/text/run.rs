//! What a run says about how it ended.

use super::catalog::{Words, text_id};
use super::phrase::Phrase;
use super::told::Told;
use crate::domain::cadence::BadCadence;
use crate::domain::round::{RoundFault, RoundProblem};
use crate::domain::write_back::DropReason;

/// Why a plan was dropped.
pub fn dropped(words: Words, reason: DropReason) -> Phrase {
    match reason {
        DropReason::Deleted => words.phrase("runs-dropped-deleted", [], []),
        DropReason::Became(state) => words.phrase("runs-dropped-state", [("state", state.as_str().into())], []),
        DropReason::Rescheduled { from, to: None } => words.phrase("runs-dropped-unscheduled", [], [("from", from)]),
        DropReason::Rescheduled { from, to: Some(to) } => words.phrase("runs-dropped-rescheduled", [], [("from", from), ("to", to)]),
    }
}

/// Why a run waits whose process ended.
pub fn process_ended(words: Words) -> Phrase {
    words.phrase("runs-process-ended", [], [])
}

/// Why a run waits whose plan could not be saved.
pub fn not_written(words: Words) -> Phrase {
    words.phrase("runs-not-written", [], [])
}

/// Why a run waits that a server gave back when it stopped.
pub fn server_stopped(words: Words) -> Phrase {
    words.phrase("runs-server-stopped", [], [])
}

/// Why a run was dropped while it waited.
pub fn orphaned(words: Words) -> Phrase {
    words.phrase("runs-orphaned", [], [])
}

/// Why a run was dropped before a plan was asked for.
pub fn deleted_before(words: Words) -> Phrase {
    words.phrase("runs-deleted-before", [], [])
}

/// Why a run waits whose mission has another agent now.
pub fn other_agent(words: Words) -> Phrase {
    words.phrase("runs-other-agent", [], [])
}

/// What kind of failure of the model or its server it was, by the name under which iterations keep it.
pub fn failure(name: &str) -> Option<&'static str> {
    Some(match name.strip_prefix("Provider:").unwrap_or(name) {
        "unreachable" => text_id("runs-failure-unreachable"),
        "timeout" => text_id("runs-failure-timeout"),
        "auth" => text_id("runs-failure-auth"),
        "rate-limited" => text_id("runs-failure-busy"),
        "rejected" => text_id("runs-failure-rejected"),
        "server" => text_id("runs-failure-server"),
        "malformed" => text_id("runs-failure-malformed"),
        "empty" => text_id("runs-failure-empty"),
        "machine" => text_id("runs-failure-machine"),
        "ParseFailure" => text_id("runs-failure-plan"),
        "ResultLost" => text_id("runs-failure-lost"),
        _ => return None,
    })
}

/// What was wrong with an answer of the model.
pub fn problem(words: Words, problem: &RoundProblem) -> String {
    let what = words.say(match problem.kind {
        RoundFault::NoJson => text_id("runs-problem-no-json"),
        RoundFault::BrokenJson => text_id("runs-problem-broken-json"),
        RoundFault::WrongForm => text_id("runs-problem-form"),
        RoundFault::TooManySteps => text_id("runs-problem-many"),
        RoundFault::CutOff => text_id("runs-problem-cut"),
        RoundFault::OnlyThoughts => text_id("runs-problem-thoughts"),
        RoundFault::UnknownTool => text_id("runs-problem-tool"),
        RoundFault::NoRationale => text_id("runs-problem-rationale"),
        RoundFault::Missing => text_id("runs-problem-missing"),
        RoundFault::WrongType => text_id("runs-problem-type"),
        RoundFault::NoChoice => text_id("runs-problem-choice"),
        RoundFault::TooLarge => text_id("runs-problem-large"),
        RoundFault::Twice => text_id("runs-problem-twice"),
        RoundFault::Rejected => text_id("runs-problem-rejected"),
    });
    let what = match &problem.param {
        None => what.into_owned(),
        Some(param) => words.with("runs-problem-param", [("what", what.into()), ("param", param.into())]),
    };
    match problem.step {
        None => what,
        Some(step) => words.with("runs-problem-step", [("n", step.into()), ("what", what.into())]),
    }
}

/// Why a mission has no next time after a run.
pub fn without_time(words: Words, bad: &BadCadence) -> Told {
    let text = words.with("runs-without-time", [("why", bad.to_string().into())]);
    Told::said(text, &words.phrase("runs-note-no-schedule", [], []))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::mission::MissionState;

    #[test]
    fn a_dropped_plan_says_why() {
        let from: Timestamp = "2026-04-15T08:00:00Z".parse().unwrap();
        for (reason, told) in [
            (DropReason::Deleted, "the mission was deleted meanwhile"),
            (DropReason::Became(MissionState::Paused), "the mission became paused meanwhile"),
            (DropReason::Rescheduled { from, to: None }, "the mission was re-scheduled meanwhile from 2026-04-15T08:00:00.000Z to no time"),
            (
                DropReason::Rescheduled { from, to: Some("2026-04-16T08:00:00Z".parse().unwrap()) },
                "the mission was re-scheduled meanwhile from 2026-04-15T08:00:00.000Z to 2026-04-16T08:00:00.000Z",
            ),
        ] {
            assert_eq!(dropped(Words::ENGLISH, reason).to_string(), told);
        }
    }
}
