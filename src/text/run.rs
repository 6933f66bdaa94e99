//! What a run says about how it ended.

use crate::domain::cadence::BadCadence;
use crate::domain::time;
use crate::domain::write_back::DropReason;

/// Why a plan was dropped.
pub fn dropped(reason: DropReason) -> String {
    match reason {
        DropReason::Deleted => "the mission was deleted meanwhile".into(),
        DropReason::Became(state) => format!("the mission became {} meanwhile", state.as_str()),
        DropReason::Rescheduled { from, to } => {
            let to = to.map_or("no time".into(), time::iso_millis);
            format!("the mission was re-scheduled meanwhile from {} to {to}", time::iso_millis(from))
        }
    }
}

/// Why a mission has no next time after a run.
pub fn without_time(bad: &BadCadence) -> String {
    format!("{bad}; the mission will not run again until its cadence is set")
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
            assert_eq!(dropped(reason), told);
        }
    }
}
