//! Where a mission stands: whether it runs, waits for its time, or waits for somebody.

use jiff::Timestamp;
use serde_json::Value;

use super::cadence::Cadence;
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
    /// The same, since its schedule cannot be followed.
    BadSchedule,
}

/// What a mission without a next time is without it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untimed {
    OnStart,
    /// The server sets the time at its next tick.
    Lacks,
    BadSchedule,
}

impl Untimed {
    /// What a schedule makes of it.
    pub fn of(cadence: &Value) -> Self {
        match Cadence::read(cadence) {
            Ok(cadence) if cadence.is_manual() => Untimed::OnStart,
            Ok(_) => Untimed::Lacks,
            Err(_) => Untimed::BadSchedule,
        }
    }
}

impl Standing {
    /// Where a mission stands; `obstacle` is the first condition that keeps it from running now, due or not.
    pub fn of(state: MissionState, obstacle: Option<Condition>, next_run_at: Result<Timestamp, Untimed>, now: Timestamp) -> Self {
        match (state, obstacle, next_run_at) {
            (MissionState::Active, Some(Condition::Idle { .. }), _) => Standing::Running,
            (MissionState::Active, Some(condition), _) if condition.needs_somebody() => Standing::Blocked(condition),
            (MissionState::Active, _, Err(Untimed::Lacks)) => Standing::Ready,
            (MissionState::Active, _, Err(Untimed::OnStart)) => Standing::OnStart,
            (MissionState::Active, _, Err(Untimed::BadSchedule)) => Standing::BadSchedule,
            (MissionState::Active, _, Ok(at)) if at > now => Standing::At(at),
            (MissionState::Active, Some(condition), _) => Standing::Waiting(condition),
            (MissionState::Active, None, _) => Standing::Ready,
            (state, ..) => Standing::Inactive(state),
        }
    }

    /// Whether it does not run by itself before somebody does something, though it should.
    pub fn is_blocked(&self) -> bool {
        matches!(self, Standing::Blocked(_) | Standing::BadSchedule)
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
        let (past, later) = (Ok(at("2026-04-15T07:00:00Z")), at("2026-04-16T07:00:00Z"));
        let paused = Condition::NotPaused(AgentState::Paused);
        let review = Condition::Review { awaiting: 5, allowed: 5 };
        let down = Condition::Provider { closed_until: Some(later) };
        for (state, obstacle, next, expected) in [
            (Done, Some(paused), past, Standing::Inactive(Done)),
            (Active, Some(Condition::Idle { in_flight: true }), past, Standing::Running),
            // Whoever looks before it is due learns of it too.
            (Active, Some(paused), Ok(later), Standing::Blocked(paused)),
            (Active, Some(review), past, Standing::Blocked(review)),
            (Active, Some(down), Ok(later), Standing::At(later)),
            (Active, Some(down), past, Standing::Waiting(down)),
            (Active, None, past, Standing::Ready),
            (Active, None, Err(Untimed::Lacks), Standing::Ready),
            (Active, None, Err(Untimed::OnStart), Standing::OnStart),
            (Active, None, Err(Untimed::BadSchedule), Standing::BadSchedule),
            (Active, Some(paused), Err(Untimed::BadSchedule), Standing::Blocked(paused)),
        ] {
            assert_eq!(Standing::of(state, obstacle, next, now), expected);
        }
    }
}
