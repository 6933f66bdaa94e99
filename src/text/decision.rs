//! What a decision about a mission says to people.

use crate::domain::decision::{CLIENT_SILENCE, Condition};
use crate::domain::time::iso_millis;

/// The name of a condition, for a list of checks.
pub fn name(condition: &Condition) -> &'static str {
    match condition {
        Condition::NotArchived(_) => "agent archived",
        Condition::NotPaused(_) => "agent paused",
        Condition::Concurrency { .. } => "agent concurrency",
        Condition::Budget { .. } => "agent budget",
        Condition::Review { .. } => "review",
        Condition::Idle { .. } => "in flight",
        Condition::Retry { .. } => "retry",
        Condition::Provider { .. } => "model",
        Condition::Client { .. } => "client",
        Condition::Calls { .. } => "user calls",
        Condition::Tokens { .. } => "user tokens",
    }
}

/// The comparison in words. The agent's name is told where it is given; logs, which many may read, go without.
pub fn compared(condition: &Condition, agent: Option<&str>) -> String {
    match condition {
        Condition::NotArchived(state) | Condition::NotPaused(state) => match agent {
            Some(name) => format!("agent {name:?} is {}", state.as_str()),
            None => format!("the agent is {}", state.as_str()),
        },
        Condition::Concurrency { in_flight, allowed } => format!("{in_flight} of at most {allowed} runs in flight"),
        Condition::Budget { used, allowed: None } => format!("{used} tokens in the last 24 hours, no cap"),
        Condition::Budget { used, allowed: Some(cap) } => format!("{used} of {cap} tokens used in the last 24 hours"),
        Condition::Review { awaiting, allowed: 0 } => format!("{awaiting} plans await review, no limit"),
        Condition::Review { awaiting, allowed } if awaiting < allowed => {
            format!("{awaiting} plans await review, at {allowed} it waits (MAX_UNREVIEWED_PLANS)")
        }
        Condition::Review { awaiting, allowed } => {
            format!("{awaiting} plans await review, at {allowed} it waits (MAX_UNREVIEWED_PLANS); review one to go on")
        }
        Condition::Idle { in_flight: true } => "a run of it is in flight".into(),
        Condition::Idle { in_flight: false } => "no run of it is in flight".into(),
        Condition::Retry { at: None, .. } => "no failed attempt waits".into(),
        Condition::Retry { failed, at: Some(at), .. } => {
            format!("{failed} attempts failed, the next may start at {}", iso_millis(*at))
        }
        Condition::Provider { closed_until: None } => "the model server may be asked".into(),
        Condition::Provider { closed_until: Some(until) } => {
            format!("the model server failed repeatedly and is not asked before {}", iso_millis(*until))
        }
        Condition::Client { active_at: None, .. } => "no other client runs it".into(),
        Condition::Client { active_at: Some(at), active } => {
            let silence = CLIENT_SILENCE.as_secs();
            let since = iso_millis(*at);
            if *active {
                format!("a client runs it, last heard of at {since}; the server takes over after {silence} s of silence")
            } else {
                format!("a client that ran it was last heard of at {since}, which is not within the last {silence} s")
            }
        }
        Condition::Calls { used, allowed: 0 } => format!("{used} model calls of the user in the last 24 hours, no limit"),
        Condition::Calls { used, allowed } => {
            format!("{used} of {allowed} model calls of the user in the last 24 hours (USER_MAX_CALLS_PER_DAY)")
        }
        Condition::Tokens { used, allowed: 0 } => format!("{used} tokens of the user in the last 24 hours, no limit"),
        Condition::Tokens { used, allowed } => {
            format!("{used} of {allowed} tokens of the user in the last 24 hours (USER_MAX_TOKENS_PER_DAY)")
        }
    }
}
