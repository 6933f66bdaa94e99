//! Where a mission stands, in words.

use super::catalog::{Words, text_id};
use super::phrase::Phrase;
use crate::domain::decision::Condition;
use crate::domain::mission::MissionState;
use crate::domain::standing::Standing;

/// One sentence for the user; `agent` is the name of the mission's agent.
pub fn told(words: Words, standing: &Standing, agent: &str) -> Phrase {
    let named = |id| Phrase::from(words.with(id, [("agent", agent.into())]));
    match *standing {
        Standing::Inactive(MissionState::Paused) => words.say("mission-is-paused").into(),
        Standing::Inactive(MissionState::Done) => words.say("mission-is-done").into(),
        Standing::Inactive(MissionState::Archived) => words.say("mission-is-archived").into(),
        Standing::Inactive(_) => words.say("mission-is-unknown").into(),
        Standing::Running => words.say("mission-is-running").into(),
        Standing::Ready => words.say("mission-is-ready").into(),
        Standing::OnStart => words.say("mission-is-on-start").into(),
        Standing::BadSchedule => words.say("mission-bad-schedule-short").into(),
        Standing::At(at) => words.phrase("mission-is-at", [], [("at", at)]),
        Standing::Blocked(condition) | Standing::Waiting(condition) => match condition {
            Condition::NotArchived(_) => named(text_id("mission-agent-archived")),
            Condition::NotPaused(_) => named(text_id("mission-agent-paused")),
            Condition::Concurrency { .. } => named(text_id("mission-agent-busy")),
            Condition::Budget { .. } => named(text_id("mission-agent-spent")),
            Condition::Review { awaiting, .. } => words.with("mission-waits-for-review", [("n", awaiting.into())]).into(),
            Condition::Idle { .. } => words.say("mission-is-running").into(),
            Condition::Retry { at: Some(at), .. } => words.phrase("mission-tries-again", [], [("at", at)]),
            Condition::Retry { at: None, .. } => words.say("mission-is-ready").into(),
            Condition::Provider { closed_until: Some(at) } => words.phrase("mission-model-away", [], [("at", at)]),
            Condition::Provider { closed_until: None } => words.say("mission-is-ready").into(),
            Condition::Client { .. } => words.say("mission-on-device").into(),
            Condition::Calls { .. } | Condition::Tokens { .. } => words.say("mission-limit-reached").into(),
        },
    }
}
