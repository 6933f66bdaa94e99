//! What a decision about a mission says to people.

use super::phrase::Phrase;
use crate::domain::decision::{CLIENT_SILENCE, Condition};

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
pub fn compared(condition: &Condition, agent: Option<&str>) -> Phrase {
    let words = match condition {
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
            let attempts = if *failed == 1 { "1 attempt".to_owned() } else { format!("{failed} attempts") };
            return Phrase::from(format!("{attempts} failed, the next may start at ")).time(*at);
        }
        Condition::Provider { closed_until: None } => "the model server may be asked".into(),
        Condition::Provider { closed_until: Some(until) } => {
            return Phrase::from("the model server failed repeatedly and is not asked before ").time(*until);
        }
        Condition::Client { active_at: None, .. } => "no other client runs it".into(),
        Condition::Client { active_at: Some(at), active } => {
            let silence = CLIENT_SILENCE.as_secs();
            return if *active {
                let then = format!("; the server takes over after {silence} s of silence");
                Phrase::from("a client runs it, last heard of at ").time(*at).text(then)
            } else {
                let when = format!(", which is not within the last {silence} s");
                Phrase::from("a client that ran it was last heard of at ").time(*at).text(when)
            };
        }
        Condition::Calls { used, allowed: 0 } => format!("{used} model calls of the user in the last 24 hours, no limit"),
        Condition::Calls { used, allowed } => {
            format!("{used} of {allowed} model calls of the user in the last 24 hours (USER_MAX_CALLS_PER_DAY)")
        }
        Condition::Tokens { used, allowed: 0 } => format!("{used} tokens of the user in the last 24 hours, no limit"),
        Condition::Tokens { used, allowed } => {
            format!("{used} of {allowed} tokens of the user in the last 24 hours (USER_MAX_TOKENS_PER_DAY)")
        }
    };
    words.into()
}
