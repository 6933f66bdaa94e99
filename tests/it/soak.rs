//! A day and a night in a few seconds: a clock that is turned, a model that fails by seed, a runner that dies, users at work.
//! Each due time of each mission gets one iteration, and nothing that a user wrote is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Model, Reply, append, change, edit, hourly, insert, rounds};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mana_ai::domain::backoff::Backoff;
use mana_ai::domain::breaker::Limits;
use mana_ai::domain::decision::Ceilings;
use mana_ai::domain::mission::Mission;
use mana_ai::domain::raw::Raw;
use mana_ai::domain::step::StepStatus;
use mana_ai::metrics::Metrics;
use mana_ai::planner::{Planner, provider, tools::Catalog};
use mana_ai::runner::{Runner, RunnerSettings};
use mana_ai::store::{RowFilter, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const START: &str = "2026-04-15T00:00:00.000Z";
const MISSIONS: usize = 12;
const MINUTES: i64 = 24 * 60;

fn runner(store: &Store, model: &Model, clock: &Arc<Mutex<Timestamp>>) -> Arc<Runner> {
    let minutes = SignedDuration::from_mins;
    let settings = RunnerSettings {
        max_parallel: 4,
        max_attempts: 3,
        iterations_kept: 20,
        first_step_status: StepStatus::Staged,
        backoff: Backoff { base: minutes(2), max: minutes(10) },
        breaker: Limits { failures: 5, cooldown: minutes(5) },
        // It lives for months of its own time, and nobody reviews.
        ceilings: Ceilings { unreviewed_plans: 0, calls_per_day: 0, tokens_per_day: 0, longest_wait: SignedDuration::from_hours(1) },
        zone: TimeZone::UTC,
        executors: mana_ai::steps::Executors::none(TimeZone::UTC),
        private_key: None,
    };
    let server = provider::ProviderSettings {
        url: model.url().parse().unwrap(),
        api_key: None,
        model: "scripted".into(),
        timeout: Duration::from_secs(30),
        dialect: Default::default(),
        headers: Default::default(),
    };
    let planner = Planner::new(server, Catalog::builtin(), 16_384).unwrap();
    let clock = Arc::clone(clock);
    let clock = Arc::new(move || *clock.lock().unwrap());
    Runner::new(store.clone(), planner, Arc::new(Metrics::new().unwrap()), settings, clock).unwrap()
}

/// Fails now and then, in bursts, so that the breaker has something to do.
fn moody_model(seed: u64) -> Model {
    let asked = AtomicU64::new(0);
    Model::start(Duration::ZERO, move |_| {
        let n = asked.fetch_add(1, Ordering::SeqCst);
        let burst = StdRng::seed_from_u64(seed ^ (n / 12)).random_range(0..6) == 0;
        if burst { Reply::raw(503, "busy") } else { Reply::task("water the plants") }
    })
}

async fn live_a_day(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let model = moody_model(seed);
    let (_dir, store) = crate::common::store();
    let missions = (0..MISSIONS).map(|n| hourly(&format!("u{}", n % 3), &format!("m{n}"), (n % 2 == 0).then_some("a"), START));
    let agents = (0..3).map(|u| insert(&format!("u{u}"), "agents", "a", json!({"name": "Penny", "maxConcurrentMissions": 2})));
    append(&store, missions.chain(agents).map(|line| change(&line))).await;
    let clock = Arc::new(Mutex::new(START.parse::<Timestamp>().unwrap()));
    let mut house = runner(&store, &model, &clock);
    let mut feedback: BTreeMap<String, String> = BTreeMap::new();
    let mut restarts = 0;
    for minute in 0..MINUTES {
        let now: Timestamp = START.parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute);
        *clock.lock().unwrap() = now;
        // The program is down for an hour: what was missed runs once.
        if (300..360).contains(&minute) {
            continue;
        }
        if rng.random_range(0..200) == 0 {
            drop(house);
            house = runner(&store, &model, &clock);
            restarts += 1;
        }
        if rng.random_range(0..20) == 0 {
            let n = rng.random_range(0..MISSIONS);
            let (id, text) = (format!("m{n}"), format!("said in minute {minute}"));
            let at = mana_ai::domain::time::iso_millis(now);
            append(&store, [change(&edit(&format!("u{}", n % 3), &id, json!({"userNote": text}), &at))]).await;
            feedback.insert(id, text);
        }
        let (stats, _) = house.tick().await.unwrap().settle().await;
        assert!(stats.written_back <= stats.due, "{stats:?}");
    }
    assert!(restarts > 0 && !feedback.is_empty(), "seed {seed} is too quiet");

    let rows = store.rows_after(RowFilter { table: Some("aiMissions".into()), ..RowFilter::default() }, 0, 1_000_000).await.unwrap();
    let written: Vec<Value> = rows
        .iter()
        .filter(|row| row.change.client_id == "mana-ai-runner")
        .filter_map(|row| row.change.actor.as_ref())
        .map(Raw::read)
        .collect();
    let iterations: BTreeSet<&str> = written.iter().filter_map(|actor| actor["iterationId"].as_str()).collect();
    assert_eq!(iterations.len(), written.len(), "no iteration is written twice");
    let runs = store.runs(None, None, 1_000_000).await.unwrap();
    let ended: Vec<_> = runs.iter().filter(|run| run.finished.as_ref().is_some_and(|f| f.outcome != "dropped")).collect();
    let times: BTreeSet<_> = ended.iter().map(|run| (&run.run.mission_id, run.run.scheduled_for)).collect();
    assert_eq!((times.len(), ended.len()), (written.len(), written.len()), "one run and one iteration for each due time");
    for mission in store.snapshots::<Mission>(None).await.unwrap() {
        let of_it: Vec<_> = ended.iter().filter(|run| run.run.mission_id == mission.id).collect();
        let covered: i64 = of_it.iter().map(|run| 1 + i64::from(run.missed_times)).sum();
        assert_eq!(covered, 24, "{}: every hour is served, or covered by a later run", mission.id);
        assert_eq!(mission.record.text("userNote").as_deref(), feedback.get(mission.id.as_str()).map(String::as_str));
    }
    let check = store.check_projection(store.check_log().await.unwrap()).await.unwrap();
    assert!(check.findings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hour_of_a_day_is_served_once_whatever_happens() {
    for seed in 1..=rounds(1, 20) as u64 {
        live_a_day(seed).await;
    }
}
