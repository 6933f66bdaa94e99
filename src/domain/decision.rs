//! Whether a mission may run now (docs/design.md, section 6).
//!
//! One decision, read alike by the tick, the run that starts, `explain`, the log, the metric and the pages. Reasons are
//! values; `crate::text::decision` puts them into words.

use super::agent::{Agent, AgentState};
use super::backoff::still_waits;
use super::cadence::BadCadence;
use super::ids::AgentId;
use super::iterations::Iteration;
use super::mission::MissionState;
use jiff::{SignedDuration, Timestamp};

/// A client that runs a mission itself and has said nothing for this long has given up.
pub const CLIENT_SILENCE: SignedDuration = SignedDuration::from_secs(180);

/// The bounds that an installation sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Plans of a mission that may await review; 0: no limit.
    pub unreviewed_plans: u64,
    /// Calls of the model for one user in 24 hours; 0: no limit.
    pub calls_per_day: u64,
    /// Tokens of one user in 24 hours; 0: no limit.
    pub tokens_per_day: u64,
    /// No wait for another attempt is longer.
    pub longest_wait: SignedDuration,
}

/// What an agent has under way and has used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Its other runs in flight, those started in this tick included.
    pub in_flight: u64,
    /// Tokens that it used in the last 24 hours.
    pub tokens: u64,
}

/// What a user's missions used in the last 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    pub calls: u64,
    pub tokens: u64,
}

/// What a mission's iterations say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plans {
    /// How many await review.
    pub awaiting_review: u64,
    /// When a client that runs the mission itself was last heard of.
    pub client_active_at: Option<Timestamp>,
}

/// A run of the mission that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRun {
    /// Whether a process works on it.
    pub in_flight: bool,
    /// Attempts that failed.
    pub failed: u32,
    pub next_attempt_at: Option<Timestamp>,
}

/// Everything that decides about a due mission.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The agent that the mission is handed to; `None` where there is none, or it is gone.
    pub agent: Option<(&'a Agent, Load)>,
    pub plans: Plans,
    pub pending: Option<PendingRun>,
    /// Until when the circuit breaker lets no call through.
    pub provider_closed_until: Option<Timestamp>,
    pub used: Used,
    pub now: Timestamp,
    pub ceilings: &'a Ceilings,
}

/// One thing that a run depends on, with the values compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    NotArchived(AgentState),
    NotPaused(AgentState),
    /// Runs of the agent in flight.
    Concurrency {
        in_flight: u64,
        allowed: u64,
    },
    /// Tokens of the agent in 24 hours.
    Budget {
        used: u64,
        allowed: Option<u64>,
    },
    /// Plans of the mission that await review; `allowed` 0: no limit.
    Review {
        awaiting: u64,
        allowed: u64,
    },
    /// No run of it is in flight.
    Idle {
        in_flight: bool,
    },
    /// No failed attempt waits for its next time.
    Retry {
        failed: u32,
        at: Option<Timestamp>,
        waits: bool,
    },
    /// The circuit breaker lets calls through.
    Provider {
        closed_until: Option<Timestamp>,
    },
    /// No client runs it itself.
    Client {
        active_at: Option<Timestamp>,
        active: bool,
    },
    /// Calls of the model for the user in 24 hours; `allowed` 0: no limit.
    Calls {
        used: u64,
        allowed: u64,
    },
    /// Tokens of the user in 24 hours; `allowed` 0: no limit.
    Tokens {
        used: u64,
        allowed: u64,
    },
}

impl Ceilings {
    /// Whether nothing of a user runs who used so much in 24 hours.
    pub fn are_reached(&self, used: Used) -> bool {
        let Used { calls, tokens } = used;
        let conditions = [
            Condition::Calls { used: calls, allowed: self.calls_per_day },
            Condition::Tokens { used: tokens, allowed: self.tokens_per_day },
        ];
        conditions.iter().any(|condition| !condition.holds())
    }
}

impl Condition {
    /// Whether it lets the mission run.
    pub fn holds(&self) -> bool {
        let within = |used: u64, allowed: u64| allowed == 0 || used < allowed;
        match *self {
            Condition::NotArchived(state) => state != AgentState::Archived,
            Condition::NotPaused(state) => state != AgentState::Paused,
            Condition::Concurrency { in_flight, allowed } => in_flight < allowed,
            Condition::Budget { used, allowed } => allowed.is_none_or(|allowed| used < allowed),
            Condition::Review { awaiting: used, allowed } | Condition::Calls { used, allowed } | Condition::Tokens { used, allowed } => {
                within(used, allowed)
            }
            Condition::Idle { in_flight } => !in_flight,
            Condition::Retry { waits, .. } => !waits,
            Condition::Provider { closed_until } => closed_until.is_none(),
            Condition::Client { active, .. } => !active,
        }
    }

    /// When it holds again, where that is a matter of time alone.
    pub fn until(&self) -> Option<Timestamp> {
        match *self {
            Condition::Retry { at, waits: true, .. } => at,
            Condition::Provider { closed_until } => closed_until,
            Condition::Client { active_at: Some(at), active: true } => at.checked_add(CLIENT_SILENCE).ok(),
            _ => None,
        }
    }

    /// The label of a gate that does not hold; `None` for what is no gate.
    pub fn label(&self) -> Option<Label> {
        match self {
            Condition::NotArchived(_) => Some(Label::SkippedArchived),
            Condition::NotPaused(_) => Some(Label::SkippedPaused),
            Condition::Concurrency { .. } => Some(Label::SkippedConcurrency),
            Condition::Budget { .. } => Some(Label::SkippedBudget),
            Condition::Review { .. } => Some(Label::SkippedReview),
            _ => None,
        }
    }
}

/// A thing that decides about a mission, as an explanation shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum RunCheck {
    State(MissionState),
    /// `lacks`: the server sets the time of its schedule at its next tick.
    Due {
        at: Option<Timestamp>,
        now: Timestamp,
        lacks: bool,
    },
    /// The schedule as it is written, and why it cannot be followed.
    Cadence {
        written: String,
        bad: Option<BadCadence>,
    },
    /// There is no agent, or the one that is named is gone.
    NoAgent(Option<AgentId>),
    /// `agent`: its name; `reason`: why the last attempt failed.
    Condition {
        condition: Condition,
        agent: Option<String>,
        reason: Option<String>,
    },
}

impl RunCheck {
    /// Whether it lets the mission run now.
    pub fn passes(&self) -> bool {
        match self {
            RunCheck::State(state) => *state == MissionState::Active,
            RunCheck::Due { at, now, .. } => at.is_some_and(|at| at <= *now),
            // A mission with a broken schedule runs once; it only has no time after that.
            RunCheck::Cadence { .. } | RunCheck::NoAgent(_) => true,
            RunCheck::Condition { condition, .. } => condition.holds(),
        }
    }
}

/// What is decided about a due mission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Run,
    /// Not now: the first condition that does not hold.
    Wait(Condition),
}

impl Decision {
    /// What the metric and the charts count it as; `None`: they do not.
    pub fn label(&self) -> Option<Label> {
        match self {
            Decision::Run => Some(Label::Ran),
            Decision::Wait(condition) => condition.label(),
        }
    }

    /// One word for logs.
    pub fn word(&self) -> &'static str {
        match self {
            Decision::Wait(Condition::Idle { .. }) => "in-flight",
            _ => self.label().map_or("deferred", Label::as_str),
        }
    }
}

/// What a decision is counted as: the value of the metric label `decision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    Ran,
    SkippedArchived,
    SkippedPaused,
    SkippedConcurrency,
    SkippedBudget,
    SkippedReview,
}

impl Label {
    pub const ALL: [Label; 6] =
        [Label::Ran, Label::SkippedArchived, Label::SkippedPaused, Label::SkippedConcurrency, Label::SkippedBudget, Label::SkippedReview];

    pub fn as_str(self) -> &'static str {
        match self {
            Label::Ran => "ran",
            Label::SkippedArchived => "skipped-archived",
            Label::SkippedPaused => "skipped-paused",
            Label::SkippedConcurrency => "skipped-concurrency",
            Label::SkippedBudget => "skipped-budget",
            Label::SkippedReview => "skipped-review",
        }
    }
}

/// Decides about a due mission.
pub fn decide(situation: &Situation<'_>) -> Decision {
    conditions(situation).into_iter().find(|condition| !condition.holds()).map_or(Decision::Run, Decision::Wait)
}

/// Every condition in its order, each with the values compared.
pub fn conditions(situation: &Situation<'_>) -> Vec<Condition> {
    let Situation { agent, plans, pending, provider_closed_until, used, now, ceilings } = *situation;
    let mut conditions = Vec::with_capacity(11);
    if let Some((agent, load)) = agent {
        conditions.extend([
            Condition::NotArchived(agent.state),
            Condition::NotPaused(agent.state),
            Condition::Concurrency { in_flight: load.in_flight, allowed: agent.max_concurrent_missions },
            Condition::Budget { used: load.tokens, allowed: agent.max_tokens_per_day },
        ]);
    }
    let at = pending.filter(|run| !run.in_flight).and_then(|run| run.next_attempt_at);
    conditions.extend([
        Condition::Review { awaiting: plans.awaiting_review, allowed: ceilings.unreviewed_plans },
        Condition::Idle { in_flight: pending.is_some_and(|run| run.in_flight) },
        Condition::Retry {
            failed: pending.map_or(0, |run| run.failed),
            at,
            waits: at.is_some_and(|at| still_waits(at, now, ceilings.longest_wait)),
        },
        Condition::Provider { closed_until: provider_closed_until },
        Condition::Client {
            active_at: plans.client_active_at,
            active: plans.client_active_at.is_some_and(|at| now.duration_since(at).abs() < CLIENT_SILENCE),
        },
        Condition::Calls { used: used.calls, allowed: ceilings.calls_per_day },
        Condition::Tokens { used: used.tokens, allowed: ceilings.tokens_per_day },
    ]);
    conditions
}

/// What the iterations of a mission's record say, where only that matters.
pub fn plans(iterations: &[Iteration]) -> Plans {
    Plans {
        awaiting_review: iterations.iter().filter(|iteration| iteration.awaits_review()).count() as u64,
        client_active_at: iterations.iter().filter_map(Iteration::running_on_a_client_since).max(),
    }
}

/// The budgets' rolling day: after the first moment, and up to the second. What a clock that was ahead wrote lies beyond
/// it, and does not count until it is that time.
pub fn day(now: Timestamp) -> (Timestamp, Timestamp) {
    let from = now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN);
    (from, now.checked_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const CEILINGS: Ceilings =
        Ceilings { unreviewed_plans: 5, calls_per_day: 100, tokens_per_day: 1_000, longest_wait: SignedDuration::from_hours(1) };

    fn now() -> Timestamp {
        "2026-04-15T08:00:00Z".parse().unwrap()
    }

    fn free() -> Situation<'static> {
        Situation {
            agent: None,
            plans: Plans::default(),
            pending: None,
            provider_closed_until: None,
            used: Used::default(),
            now: now(),
            ceilings: &CEILINGS,
        }
    }

    fn gate(agent: Value, in_flight: u64, tokens: u64, awaiting_review: u64, expected: Label) {
        let (read, _) = Agent::read("a", &agent.as_object().unwrap().into());
        let plans = Plans { awaiting_review, client_active_at: None };
        let decision = decide(&Situation { agent: Some((&read, Load { in_flight, tokens })), plans, ..free() });
        assert_eq!(decision.label(), Some(expected), "{agent}, {in_flight} in flight, {tokens} tokens, {awaiting_review} to review");
    }

    #[test]
    fn each_gate_holds_up_at_its_limit_and_in_its_order() {
        gate(json!({}), 0, 0, 0, Label::Ran);
        gate(json!({"state": "archived", "maxTokensPerDay": 0}), 9, 9, 9, Label::SkippedArchived);
        gate(json!({"state": "paused", "maxTokensPerDay": 0}), 9, 9, 9, Label::SkippedPaused);
        gate(json!({"maxConcurrentMissions": 2, "maxTokensPerDay": 0}), 2, 0, 9, Label::SkippedConcurrency);
        gate(json!({"maxConcurrentMissions": 2}), 1, 0, 0, Label::Ran);
        gate(json!({"maxConcurrentMissions": 0}), 0, 0, 0, Label::SkippedConcurrency);
        gate(json!({"maxTokensPerDay": 100}), 0, 99, 0, Label::Ran);
        gate(json!({"maxTokensPerDay": 100}), 0, 100, 9, Label::SkippedBudget);
        gate(json!({"maxTokensPerDay": 0}), 0, 0, 0, Label::SkippedBudget);
        gate(json!({"maxTokensPerDay": null}), 0, u64::MAX, 4, Label::Ran);
        gate(json!({}), 0, 0, 5, Label::SkippedReview);
    }

    #[test]
    fn unreviewed_plans_hold_up_missions_without_an_agent_too_unless_there_is_no_limit() {
        let plans = Plans { awaiting_review: 5, client_active_at: None };
        assert_eq!(decide(&Situation { plans, ..free() }).label(), Some(Label::SkippedReview));
        let ceilings = Ceilings { unreviewed_plans: 0, ..CEILINGS };
        assert_eq!(decide(&Situation { plans, ceilings: &ceilings, ..free() }), Decision::Run);
    }

    fn waits(situation: Situation<'_>, expected: Condition, until: Option<Timestamp>) {
        assert_eq!(decide(&situation), Decision::Wait(expected));
        assert_eq!((expected.until(), expected.label()), (until, None));
    }

    #[test]
    fn after_the_gates_come_what_is_under_way_and_the_ceilings_of_the_user() {
        let minute = SignedDuration::from_mins(1);
        let pending = |in_flight, next_attempt_at| Some(PendingRun { in_flight, failed: 2, next_attempt_at });
        waits(Situation { pending: pending(true, None), ..free() }, Condition::Idle { in_flight: true }, None);
        let at = now() + minute;
        let retry = Condition::Retry { failed: 2, at: Some(at), waits: true };
        waits(Situation { pending: pending(false, Some(at)), provider_closed_until: Some(at), ..free() }, retry, Some(at));
        waits(Situation { provider_closed_until: Some(at), ..free() }, Condition::Provider { closed_until: Some(at) }, Some(at));
        let heard = now() - minute;
        let plans = Plans { awaiting_review: 0, client_active_at: Some(heard) };
        waits(Situation { plans, ..free() }, Condition::Client { active_at: Some(heard), active: true }, Some(heard + CLIENT_SILENCE));
        let used = Used { calls: 100, tokens: 1_000 };
        waits(Situation { used, ..free() }, Condition::Calls { used: 100, allowed: 100 }, None);
        let used = Used { calls: 99, tokens: 1_000 };
        waits(Situation { used, ..free() }, Condition::Tokens { used: 1_000, allowed: 1_000 }, None);
        for over in [
            Situation { pending: pending(false, Some(now())), ..free() },
            // Set by a clock that was ahead.
            Situation { pending: pending(false, Some(now() + minute * 300)), ..free() },
            Situation { plans: Plans { awaiting_review: 0, client_active_at: Some(now() - CLIENT_SILENCE) }, ..free() },
            Situation { plans: Plans { awaiting_review: 0, client_active_at: Some(now() + minute * 300) }, ..free() },
        ] {
            assert_eq!(decide(&over), Decision::Run, "{over:?}");
        }
    }
}
