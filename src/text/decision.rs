//! What a decision about a mission says to people.

use std::borrow::Cow;

use super::cadence;
use super::catalog::{Words, text_id};
use super::phrase::Phrase;
use crate::domain::decision::{CLIENT_SILENCE, Condition, RunCheck};

/// The name of a check, for programs.
pub fn name(check: &RunCheck) -> &'static str {
    match check {
        RunCheck::State(_) => "state",
        RunCheck::Due { .. } => "due",
        RunCheck::Cadence { .. } => "cadence",
        RunCheck::NoAgent(_) => "agent",
        RunCheck::Condition { condition, .. } => match condition {
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
        },
    }
}

/// The title of a check, for people.
pub fn title(words: Words, check: &RunCheck) -> Cow<'static, str> {
    words.say(match check {
        RunCheck::State(_) => "decision-title-state",
        RunCheck::Due { .. } => "decision-title-due",
        RunCheck::Cadence { .. } => "decision-title-cadence",
        RunCheck::NoAgent(_) => "decision-title-agent",
        RunCheck::Condition { condition, .. } => match condition {
            Condition::NotArchived(_) => "decision-title-archived",
            Condition::NotPaused(_) => "decision-title-paused",
            Condition::Concurrency { .. } => "decision-title-concurrency",
            Condition::Budget { .. } => "decision-title-budget",
            Condition::Review { .. } => "decision-title-review",
            Condition::Idle { .. } => "decision-title-idle",
            Condition::Retry { .. } => "decision-title-retry",
            Condition::Provider { .. } => "decision-title-model",
            Condition::Client { .. } => "decision-title-client",
            Condition::Calls { .. } => "decision-title-calls",
            Condition::Tokens { .. } => "decision-title-tokens",
        },
    })
}

/// A check with its values, in words.
pub fn explained(words: Words, check: &RunCheck) -> Phrase {
    match check {
        RunCheck::State(state) => words.with("decision-state", [("state", state.as_str().into())]).into(),
        RunCheck::Due { at: None, lacks: true, .. } => words.say("decision-due-soon").into(),
        RunCheck::Due { at: None, .. } => words.say("decision-due-never").into(),
        RunCheck::Due { at: Some(at), now, .. } => words.phrase("decision-due", [], [("at", *at), ("now", *now)]),
        RunCheck::Cadence { written, bad: None } => words.with("decision-cadence", [("cadence", written.into())]).into(),
        RunCheck::Cadence { bad: Some(bad), .. } => words.with("decision-cadence-bad", [("why", cadence::told(words, bad).into())]).into(),
        RunCheck::NoAgent(None) => words.say("decision-agent-none").into(),
        RunCheck::NoAgent(Some(id)) => words.with("decision-agent-gone", [("agent", id.as_str().into())]).into(),
        RunCheck::Condition { condition, agent, reason } => {
            let phrase = compared(words, condition, agent.as_deref());
            match reason {
                Some(reason) => phrase.text(format!(": {reason}")),
                None => phrase,
            }
        }
    }
}

/// The same as the page of a mission says it below the title of the check, where numbers have groups and settings no names.
pub fn on_page(words: Words, check: &RunCheck) -> Phrase {
    let used = |id, used: u64, allowed: Option<u64>| match allowed {
        None => words.phrase(id, [("used", used.into())], []),
        Some(allowed) => words.phrase(id, [("used", used.into()), ("allowed", allowed.into())], []),
    };
    let limited = |n: u64, allowed: u64| match allowed {
        0 => used(text_id("decision-page-budget-none"), n, None),
        allowed => used(text_id("decision-page-budget"), n, Some(allowed)),
    };
    match check {
        RunCheck::Due { at: Some(at), now, .. } => words.phrase("decision-page-due", [], [("at", *at), ("now", *now)]),
        // What its reason says at length stands with its run.
        RunCheck::Condition { condition, agent, .. } => match *condition {
            Condition::Concurrency { in_flight, allowed } => {
                words.phrase("decision-page-concurrency", [("running", in_flight.into()), ("allowed", allowed.into())], [])
            }
            Condition::Budget { used: n, allowed: None } => limited(n, 0),
            Condition::Budget { used: n, allowed: Some(cap) } => used(text_id("decision-page-budget"), n, Some(cap)),
            Condition::Calls { used, allowed } | Condition::Tokens { used, allowed } => limited(used, allowed),
            Condition::Review { awaiting, allowed: 0 } => words.phrase("decision-page-review-none", [("awaiting", awaiting.into())], []),
            Condition::Review { awaiting, allowed } => {
                let is_below = awaiting < allowed;
                let id = if is_below { text_id("decision-page-review-below") } else { text_id("decision-page-review-reached") };
                words.phrase(id, [("awaiting", awaiting.into()), ("allowed", allowed.into())], [])
            }
            Condition::Idle { in_flight: true } => words.phrase("decision-page-running", [], []),
            Condition::Idle { in_flight: false } => words.phrase("decision-page-idle", [], []),
            Condition::Retry { failed, at: Some(at), .. } => {
                words.phrase("decision-page-failed", [("failed", failed.into())], [("at", at)])
            }
            _ => compared(words, condition, agent.as_deref()),
        },
        other => explained(words, other),
    }
}

/// The comparison in words. The agent's name is told where it is given; logs, which many may read, go without.
pub fn compared(words: Words, condition: &Condition, agent: Option<&str>) -> Phrase {
    let of = |id, used: u64, allowed: u64| words.phrase(id, [("used", used.into()), ("allowed", allowed.into())], []);
    let used = |id, used: u64| words.phrase(id, [("used", used.into())], []);
    match *condition {
        Condition::NotArchived(state) | Condition::NotPaused(state) => match agent {
            Some(name) => {
                words.phrase("decision-agent-named", [("agent", words.quoted(name).into()), ("state", state.as_str().into())], [])
            }
            None => words.phrase("decision-agent", [("state", state.as_str().into())], []),
        },
        Condition::Concurrency { in_flight, allowed } => {
            words.phrase("decision-concurrency", [("running", in_flight.into()), ("allowed", allowed.into())], [])
        }
        Condition::Budget { used: n, allowed: None } => used(text_id("decision-budget-none"), n),
        Condition::Budget { used, allowed: Some(cap) } => of(text_id("decision-budget"), used, cap),
        Condition::Review { awaiting, allowed: 0 } => words.phrase("decision-review-none", [("awaiting", awaiting.into())], []),
        Condition::Review { awaiting, allowed } => {
            let id = if awaiting < allowed { text_id("decision-review-below") } else { text_id("decision-review-reached") };
            words.phrase(id, [("awaiting", awaiting.into()), ("allowed", allowed.into())], [])
        }
        Condition::Idle { in_flight: true } => words.phrase("decision-running", [], []),
        Condition::Idle { in_flight: false } => words.phrase("decision-idle", [], []),
        Condition::Retry { at: None, .. } => words.phrase("decision-retry-none", [], []),
        Condition::Retry { failed, at: Some(at), .. } => words.phrase("decision-retry", [("failed", failed.into())], [("at", at)]),
        Condition::Provider { closed_until: None } => words.phrase("decision-model", [], []),
        Condition::Provider { closed_until: Some(until) } => words.phrase("decision-model-closed", [], [("until", until)]),
        Condition::Client { active_at: None, .. } => words.phrase("decision-client-none", [], []),
        Condition::Client { active_at: Some(at), active } => {
            let id = if active { text_id("decision-client") } else { text_id("decision-client-silent") };
            words.phrase(id, [("seconds", CLIENT_SILENCE.as_secs().into())], [("at", at)])
        }
        Condition::Calls { used: n, allowed: 0 } => used(text_id("decision-calls-none"), n),
        Condition::Calls { used, allowed } => of(text_id("decision-calls"), used, allowed),
        Condition::Tokens { used: n, allowed: 0 } => used(text_id("decision-tokens-none"), n),
        Condition::Tokens { used, allowed } => of(text_id("decision-tokens"), used, allowed),
    }
}
