//! Where several missions of a user stand, by the same decision as a tick.

use jiff::Timestamp;
use serde_json::Value;

use super::explain::{Rules, situation};
use super::outage;
use crate::domain::agent::Agent;
use crate::domain::decision::{Plans, conditions};
use crate::domain::field;
use crate::domain::ids::UserId;
use crate::domain::mission::MissionState;
use crate::domain::standing::{Standing, Untimed};
use crate::store::{LoadQuery, Longest, MissionCard, Store, StoreResult, Table};

/// Tells where each of these missions of a user stands at `now`, in their order.
///
/// # Errors
/// When the database cannot be read.
pub async fn standings(store: &Store, user: &UserId, cards: &[MissionCard], now: Timestamp, rules: &Rules) -> StoreResult<Vec<Standing>> {
    let agents = cards.iter().filter_map(|card| card.agent_id.clone()).collect();
    let load = store.load(LoadQuery { user_id: user.clone(), agents, ..LoadQuery::default() }, now).await?;
    let closed_until = outage::closed_until(store, &rules.provider, &rules.breaker, now).await?;
    let mut standings = Vec::with_capacity(cards.len());
    for card in cards {
        let is_active = card.state == MissionState::Active;
        let agent = card.agent_id.as_ref().and_then(|id| Some((Agent::read(id, &load.agents.get(id)?.0).0, load.agents.get(id)?.1)));
        let run = load.open.iter().find(|run| run.mission_id == card.id);
        // Only a mission that is due may have been taken on by a device.
        let plans = match card.next_run_at.filter(|at| is_active && *at <= now) {
            Some(_) => store.some_plans(user, &card.id, 0, 0).await?.plans,
            None => Plans { awaiting_review: card.awaiting_review, client_active_at: None },
        };
        let conditions = conditions(&situation(agent.as_ref(), run, &load, plans, closed_until, rules, now));
        let obstacle = conditions.into_iter().find(|condition| !condition.holds());
        let untimed = match card.next_run_at {
            None if is_active => {
                let part = store.part(Table::Missions, user, &card.id, &[field::CADENCE], Longest::WHOLE).await?;
                part.map_or(Untimed::OnStart, |part| Untimed::of(&part.record.value(field::CADENCE).unwrap_or(Value::Null)))
            }
            _ => Untimed::OnStart,
        };
        standings.push(Standing::of(card.state, obstacle, card.next_run_at.ok_or(untimed), now));
    }
    Ok(standings)
}
