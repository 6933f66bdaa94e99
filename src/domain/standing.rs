//! Where a mission stands: whether it runs, waits for its time, or waits for somebody.

use jiff::Timestamp;

use super::decision::Condition;
use super::mission::MissionState;

/// Where a mission stands, as one thing to be said about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does not run by itself.
    Inactive(MissionState),
    /// A plan of it is being made.
    Running,
    /// It does not run before somebody does something, or a limit of a day is over.
    Blocked(Condition),
    /// It is due, and something else is in its way for a while.
    Waiting(Condition),
    /// It is due, and nothing is in its way.
    Ready,
    /// It runs at that time.
    At(Timestamp),
    /// It runs only when somebody starts it.
    OnStart,
}

impl Standing {
    /// Where a mission stands; `obstacle` is the first condition that keeps it from running now, due or not.
    pub fn of(state: MissionState, obstacle: Option<Condition>, next_run_at: Option<Timestamp>, lacks_time: bool, now: Timestamp) -> Self {
        match (state, obstacle, next_run_at) {
            (MissionState::Active, Some(Condition::Idle { .. }), _) => Standing::Running,
            (MissionState::Active, Some(condition), _) if condition.needs_somebody() => Standing::Blocked(condition),
            (MissionState::Active, _, None) if lacks_time => Standing::Ready,
            (MissionState::Active, _, None) => Standing::OnStart,
            (MissionState::Active, _, Some(at)) if at > now => Standing::At(at),
            (MissionState::Active, Some(condition), _) => Standing::Waiting(condition),
            (MissionState::Active, None, _) => Standing::Ready,
            (state, ..) => Standing::Inactive(state),
        }
    }

    pub fn is_blocked(&self) -> bool {
        matches!(self, Standing::Blocked(_))
    }
}

impl Condition {
    /// Whether it holds again only after somebody did something, or a limit of a day is over.
    pub fn needs_somebody(&self) -> bool {
        match self {
            Condition::NotArchived(_)
            | Condition::NotPaused(_)
            | Condition::Budget { .. }
            | Condition::Review { .. }
            | Condition::Calls { .. }
            | Condition::Tokens { .. } => !self.holds(),
            Condition::Concurrency { .. }
            | Condition::Idle { .. }
            | Condition::Retry { .. }
            | Condition::Provider { .. }
            | Condition::Client { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentState;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn one_thing_is_said_about_a_mission() {
        use MissionState::{Active, Done};
        let now = at("2026-04-15T08:00:00Z");
        let (past, later) = (Some(at("2026-04-15T07:00:00Z")), at("2026-04-16T07:00:00Z"));
        let paused = Condition::NotPaused(AgentState::Paused);
        let review = Condition::Review { awaiting: 5, allowed: 5 };
        let down = Condition::Provider { closed_until: Some(later) };
        for (state, obstacle, next, lacks_time, expected) in [
            (Done, Some(paused), past, false, Standing::Inactive(Done)),
            (Active, Some(Condition::Idle { in_flight: true }), past, false, Standing::Running),
            // Whoever looks before it is due learns of it too.
            (Active, Some(paused), Some(later), false, Standing::Blocked(paused)),
            (Active, Some(review), past, false, Standing::Blocked(review)),
            (Active, Some(down), Some(later), false, Standing::At(later)),
            (Active, Some(down), past, false, Standing::Waiting(down)),
            (Active, None, past, false, Standing::Ready),
            (Active, None, None, true, Standing::Ready),
            (Active, None, None, false, Standing::OnStart),
        ] {
            assert_eq!(Standing::of(state, obstacle, next, lacks_time, now), expected);
        }
    }
}
