//! Whether a due mission may run now: the gates of its agent (DESIGN, section 6).

use super::agent::{Agent, AgentState};

/// What happened to a due mission of an agent in a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    Ran,
    SkippedArchived,
    SkippedPaused,
    SkippedConcurrency,
    SkippedBudget,
}

impl Decision {
    pub const ALL: [Decision; 5] =
        [Decision::Ran, Decision::SkippedArchived, Decision::SkippedPaused, Decision::SkippedConcurrency, Decision::SkippedBudget];

    /// The value of the metric label `decision`.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Ran => "ran",
            Decision::SkippedArchived => "skipped-archived",
            Decision::SkippedPaused => "skipped-paused",
            Decision::SkippedConcurrency => "skipped-concurrency",
            Decision::SkippedBudget => "skipped-budget",
        }
    }
}

/// What an agent has under way and has used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Runs still in flight, those started in this tick included.
    pub in_flight: u64,
    /// Tokens used in the last 24 hours.
    pub tokens_last_day: u64,
}

/// One gate with the values that it compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The decision, should this gate bite.
    pub decision: Decision,
    pub passed: bool,
    /// The comparison in words.
    pub compared: String,
}

/// All gates in their order, each with its comparison.
pub fn checks(agent: &Agent, load: Load) -> [Check; 4] {
    let state = || format!("agent {:?} is {}", agent.name, agent.state.as_str());
    [
        Check { decision: Decision::SkippedArchived, passed: agent.state != AgentState::Archived, compared: state() },
        Check { decision: Decision::SkippedPaused, passed: agent.state != AgentState::Paused, compared: state() },
        Check {
            decision: Decision::SkippedConcurrency,
            passed: load.in_flight < agent.max_concurrent_missions,
            compared: format!("{} of at most {} runs in flight", load.in_flight, agent.max_concurrent_missions),
        },
        Check {
            decision: Decision::SkippedBudget,
            passed: agent.max_tokens_per_day.is_none_or(|cap| load.tokens_last_day < cap),
            compared: match agent.max_tokens_per_day {
                None => format!("{} tokens in the last 24 hours, no cap", load.tokens_last_day),
                Some(cap) => format!("{} of {cap} tokens used in the last 24 hours", load.tokens_last_day),
            },
        },
    ]
}

/// The first gate that bites, or `None` where the mission may run.
pub fn first_bite(agent: &Agent, load: Load) -> Option<Check> {
    checks(agent, load).into_iter().find(|check| !check.passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(agent: Value, in_flight: u64, tokens_last_day: u64, expected: Option<Decision>) {
        let (read, _) = Agent::read("a", agent.as_object().unwrap());
        let bite = first_bite(&read, Load { in_flight, tokens_last_day }).map(|c| c.decision);
        assert_eq!(bite, expected, "{agent}, {in_flight} in flight, {tokens_last_day} tokens");
    }

    #[test]
    fn each_gate_bites_at_its_limit_and_in_its_order() {
        check(json!({}), 0, 0, None);
        check(json!({"state": "archived", "maxTokensPerDay": 0}), 9, 9, Some(Decision::SkippedArchived));
        check(json!({"state": "paused", "maxTokensPerDay": 0}), 9, 9, Some(Decision::SkippedPaused));
        check(json!({"maxConcurrentMissions": 2, "maxTokensPerDay": 0}), 2, 0, Some(Decision::SkippedConcurrency));
        check(json!({"maxConcurrentMissions": 2}), 1, 0, None);
        check(json!({"maxConcurrentMissions": 0}), 0, 0, Some(Decision::SkippedConcurrency));
        check(json!({"maxTokensPerDay": 100}), 0, 99, None);
        check(json!({"maxTokensPerDay": 100}), 0, 100, Some(Decision::SkippedBudget));
        check(json!({"maxTokensPerDay": 0}), 0, 0, Some(Decision::SkippedBudget));
        check(json!({"maxTokensPerDay": null}), 0, u64::MAX, None);
    }
}
