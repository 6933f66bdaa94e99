//! What the log says about due missions: when a decision changes, and not at each tick that it stays as it was.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use crate::domain::decision::{Condition, Decision};
use crate::domain::ids::{MissionId, UserId};

/// The decisions that the log of this process has; those of missions that are not due any more are forgotten.
#[derive(Debug, Default)]
pub(super) struct ToldDecisions {
    in_round: WaitKinds,
    before: WaitKinds,
}

/// What a mission waits for; `None`: it ran.
type WaitKinds = HashMap<(UserId, MissionId), Option<Discriminant<Condition>>>;

impl ToldDecisions {
    /// Whether a decision is another than the last one about that mission. A run always is.
    pub fn is_news(&mut self, user: &UserId, mission: &MissionId, decision: &Decision) -> bool {
        let kind = match decision {
            Decision::Run => None,
            Decision::Wait(condition) => Some(discriminant(condition)),
        };
        let key = (user.clone(), mission.clone());
        let last = self.in_round.get(&key).or_else(|| self.before.get(&key)).copied();
        self.in_round.insert(key, kind);
        kind.is_none() || last != Some(kind)
    }

    /// Ends a round through all due missions.
    pub fn end_round(&mut self) {
        self.before = std::mem::take(&mut self.in_round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentState;

    #[test]
    fn a_decision_is_told_when_it_changes_and_a_run_each_time() {
        let mut told = ToldDecisions::default();
        let paused = Decision::Wait(Condition::NotPaused(AgentState::Paused));
        let budget = |used| Decision::Wait(Condition::Budget { used, allowed: Some(1) });
        let mut tick = |decided: &[(&str, Decision)]| -> Vec<bool> {
            let news = decided.iter().map(|(mission, decision)| told.is_news(&"anna".into(), &(*mission).into(), decision)).collect();
            told.end_round();
            news
        };
        assert_eq!(tick(&[("m", paused), ("n", paused)]), [true, true]);
        assert_eq!(tick(&[("m", paused), ("n", budget(1))]), [false, true]);
        assert_eq!(tick(&[("m", Decision::Run), ("n", budget(2))]), [true, false], "a mission may run again, and figures are no news");
        assert_eq!(tick(&[("m", Decision::Run)]), [true]);
        assert_eq!(tick(&[("m", paused), ("n", budget(2))]), [true, true], "one that was not due meanwhile is told again");
    }
}
