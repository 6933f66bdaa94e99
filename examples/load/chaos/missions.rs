//! Missions that are due all the time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use mana_ai::domain::time::iso_millis;
use serde_json::{Value, json};
use uuid::Uuid;

use super::clients::Client;
use super::{CALM, Phase};

const APP: &str = "ai";
/// Missions of one user whose times the user sets, one after the other.
const BY_HAND: usize = 4;
const LOOK: Duration = Duration::from_millis(50);

/// The times of a user's missions.
#[derive(Default)]
pub struct Due {
    pub user: String,
    /// Of each mission whose times the user sets: all times that were acknowledged.
    pub by_hand: BTreeMap<String, Vec<Timestamp>>,
    /// The mission that runs every minute, and its first time.
    pub every_minute: (String, Option<Timestamp>),
}

/// Makes a user's missions and sets the next time of each as soon as it has run; sees that none is left waiting.
pub async fn keep(mut client: Client, n: usize) -> Due {
    let mut due = Due { user: client.user.clone(), every_minute: (format!("minutely-{n}"), None), ..Due::default() };
    let first = Timestamp::now() - SignedDuration::from_mins(90);
    let agent = format!("agent-{n}");
    let mut made = vec![insert("agents", &agent, json!({"name": agent, "maxConcurrentMissions": 2}))];
    made.push(mission(&due.every_minute.0, &agent, json!({"kind": "interval", "everyMinutes": 1}), json!(iso_millis(first))));
    let ids: Vec<String> = (0..BY_HAND).map(|k| format!("by-hand-{n}-{k}")).collect();
    made.extend(ids.iter().map(|id| mission(id, &agent, json!({"kind": "manual"}), Value::Null)));
    if client.push(APP, &made, &mut 0).await.is_none() {
        return due;
    }
    // Reads as the program keeps it, in milliseconds.
    due.every_minute.1 = iso_millis(first).parse().ok();
    let mut waiting = BTreeMap::new();
    loop {
        let mut changes = Vec::new();
        let (now, is_end) = (Timestamp::now(), client.phase() != Phase::Run);
        for id in ids.iter().filter(|id| !is_end && !waiting.contains_key(*id)) {
            let fields = json!({"nextRunAt": {"value": iso_millis(now), "at": iso_millis(now)}});
            changes.push((
                id.clone(),
                json!({"eventId": Uuid::new_v4().to_string(), "table": "aiMissions", "id": id, "op": "update", "fields": fields}),
            ));
        }
        if is_end && waiting.is_empty() {
            return due;
        }
        let (set, changes): (Vec<String>, Vec<Value>) = changes.into_iter().unzip();
        let Some(answer) = client.push(APP, &changes, &mut 0).await else { return due };
        for id in set {
            waiting.insert(id.clone(), Instant::now());
            due.by_hand.entry(id).or_default().extend(iso_millis(now).parse::<Timestamp>());
        }
        if let Some(until) = answer["syncedUntil"].as_str() {
            client.continue_from(until);
        }
        for change in answer["serverChanges"].as_array().into_iter().flatten() {
            if change["fields"]["nextRunAt"].as_object().is_some_and(|next| next["value"].is_null()) {
                waiting.remove(change["id"].as_str().unwrap_or_default());
            }
        }
        if let Some((late, _)) = waiting.iter().find(|(_, since)| since.elapsed() > CALM) {
            client.faults.add(format!("{late} is due and did not run for {CALM:?}"));
            return due;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn insert(table: &str, id: &str, data: Value) -> Value {
    json!({"table": table, "id": id, "op": "insert", "data": data})
}

fn mission(id: &str, agent: &str, cadence: Value, next: Value) -> Value {
    let data = json!({
        "title": id, "objective": format!("what {id} is for"), "state": "active", "nextRunAt": next, "cadence": cadence, "inputs": [],
        "iterations": [], "agentId": agent, "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
    });
    insert("aiMissions", id, data)
}
