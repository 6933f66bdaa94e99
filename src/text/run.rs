//! What a run says about how it ended.

use super::catalog::Words;
use super::phrase::Phrase;
use crate::domain::cadence::BadCadence;
use crate::domain::write_back::DropReason;

/// Why a plan was dropped.
pub fn dropped(words: Words, reason: DropReason) -> Phrase {
    match reason {
        DropReason::Deleted => words.say("runs-dropped-deleted").into(),
        DropReason::Became(state) => words.with("runs-dropped-state", [("state", state.as_str().into())]).into(),
        DropReason::Rescheduled { from, to: None } => words.phrase("runs-dropped-unscheduled", [], [("from", from)]),
        DropReason::Rescheduled { from, to: Some(to) } => words.phrase("runs-dropped-rescheduled", [], [("from", from), ("to", to)]),
    }
}

/// Why a mission has no next time after a run.
pub fn without_time(words: Words, bad: &BadCadence) -> String {
    words.with("runs-without-time", [("why", bad.to_string().into())])
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
