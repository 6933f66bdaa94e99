//! What the log says about due missions: when a decision changes, and not at each tick while it stays the same.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};

use super::tick::Note;
use crate::domain::decision::{Condition, Decision};
use crate::domain::ids::{AgentId, MissionId, UserId};

/// Missions of a user that are remembered; decisions about further ones are told each time.
const MOST_OF_USER: usize = 10_000;

/// The decisions that the log of this process has; those about missions that are not due any more are forgotten.
#[derive(Debug, Default)]
pub(super) struct ToldDecisions(HashMap<UserId, ToldUser>);

#[derive(Debug, Default)]
struct ToldUser {
    /// Told since the user's due missions were last gone through to the end.
    now: HashMap<MissionId, WaitKind>,
    /// Told before that, and not come to again yet.
    before: HashMap<MissionId, WaitKind>,
}

/// The agent, and what the mission waits for; `None`: it ran.
type WaitKind = (Option<AgentId>, Option<Discriminant<Condition>>);

impl ToldDecisions {
    /// Whether a decision is another than the last one about that mission. A run always is.
    pub fn is_news(&mut self, note: &Note) -> bool {
        let condition = match &note.decision {
            Decision::Run => None,
            Decision::Wait(condition) => Some(discriminant(condition)),
        };
        let kind = (note.agent_id.clone(), condition);
        let ToldUser { now, before } = self.0.entry(note.user_id.clone()).or_default();
        let last = now.remove(&note.mission_id).or_else(|| before.remove(&note.mission_id));
        let is_news = condition.is_none() || last.as_ref() != Some(&kind);
        if now.len() + before.len() < MOST_OF_USER {
            now.insert(note.mission_id.clone(), kind);
        }
        is_news
    }

    /// Ends a round through due missions; `goes_on` says of a user whether there are more of theirs than it took.
    pub fn end_round(&mut self, goes_on: impl Fn(&UserId) -> bool) {
        self.0.retain(|user, of_user| {
            if goes_on(user) {
                return true;
            }
            of_user.before = std::mem::take(&mut of_user.now);
            !of_user.before.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::AgentState;

    const PAUSED: Decision = Decision::Wait(Condition::NotPaused(AgentState::Paused));

    fn note(mission: &str, agent: &str, decision: Decision) -> Note {
        Note {
            user_id: "anna".into(),
            mission_id: mission.into(),
            agent_id: Some(agent.into()),
            agent: None,
            run_id: None,
            decision,
            reason: None,
        }
    }

    #[test]
    fn a_decision_is_told_when_it_changes_and_a_run_each_time() {
        let mut told = ToldDecisions::default();
        let budget = |used| Decision::Wait(Condition::Budget { used, allowed: Some(1) });
        let mut tick = |decided: &[(&str, &str, Decision)]| -> Vec<bool> {
            let news = decided.iter().map(|(mission, agent, decision)| told.is_news(&note(mission, agent, *decision))).collect();
            told.end_round(|_| false);
            news
        };
        assert_eq!(tick(&[("m", "a", PAUSED), ("n", "a", PAUSED)]), [true, true]);
        assert_eq!(tick(&[("m", "a", PAUSED), ("n", "a", budget(1))]), [false, true]);
        assert_eq!(tick(&[("m", "b", PAUSED), ("n", "a", budget(2))]), [true, false], "another agent is news, and figures are not");
        assert_eq!(tick(&[("m", "b", Decision::Run)]), [true]);
        assert_eq!(tick(&[("m", "b", Decision::Run)]), [true], "a mission may run again");
        assert_eq!(tick(&[("m", "b", PAUSED), ("n", "a", budget(2))]), [true, true], "one that was not due meanwhile is told again");
        assert_eq!((tick(&[]), told.0.len()), (vec![], 0));
    }

    #[test]
    fn whoever_has_more_than_a_round_takes_is_told_them_once() {
        let mut told = ToldDecisions::default();
        let mut news = Vec::new();
        // The last round finds that nothing is left, and the next begins anew.
        for round in [&["a", "b"][..], &["c"], &[]].into_iter().cycle().take(9) {
            // A round may take several ticks.
            news.push(round.iter().chain(round).filter(|mission| told.is_news(&note(mission, "x", PAUSED))).count());
            told.end_round(|_| !round.is_empty());
        }
        assert_eq!(news, [2, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn no_more_than_a_bound_is_remembered_of_a_user() {
        let mut told = ToldDecisions::default();
        let ids: Vec<String> = (0..MOST_OF_USER + 5).map(|n| n.to_string()).collect();
        let mut round = || {
            let news = ids.iter().filter(|id| told.is_news(&note(id, "a", PAUSED))).count();
            told.end_round(|_| false);
            (news, told.0.values().map(|user| user.now.len() + user.before.len()).sum::<usize>())
        };
        assert_eq!(round(), (MOST_OF_USER + 5, MOST_OF_USER));
        assert_eq!(round(), (5, MOST_OF_USER));
    }
}
