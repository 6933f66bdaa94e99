//! A day of a whole installation under a clock that is turned: how large can one node grow, and what gives out first?
//!
//! `cargo run --release --example simulate -- --users 100 --missions 10 --changes 1000`

#[path = "../load/cluster.rs"]
#[allow(dead_code)]
mod cluster;
#[path = "../../benches/common/mod.rs"]
mod common;
mod log_in_parts;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use cluster::Cluster;
use common::world::Log;
use common::{Report, Samples, grouped, memory_mb, percentiles, shown};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mana_ai::domain::backoff::Backoff;
use mana_ai::domain::breaker::Limits;
use mana_ai::domain::ceilings::LogCeilings;
use mana_ai::domain::change::{Change, from_json};
use mana_ai::domain::decision::Ceilings;
use mana_ai::domain::limits::admit;
use mana_ai::domain::mission::Mission;
use mana_ai::metrics::Metrics;
use mana_ai::planner::{Planner, provider, tools::Catalog};
use mana_ai::runner::{Runner, RunnerSettings};
use mana_ai::store::{Options, Pull, Store, StoreError};
use serde_json::{Value, json};

#[derive(Parser, Clone)]
struct Args {
    /// Users
    #[arg(long, default_value_t = 100)]
    users: u64,
    /// Missions of each user, each planned once a day at a time of its own
    #[arg(long, default_value_t = 10)]
    missions: u64,
    /// Other changes of each user that are in the log already
    #[arg(long, default_value_t = 1_000)]
    changes: u64,
    /// Changes that each user pushes during the day, one at a time
    #[arg(long, default_value_t = 50)]
    pushes: u64,
    /// Minutes between ticks
    #[arg(long, default_value_t = 1)]
    tick_minutes: u64,
    /// Users who have missions; all, where it is not given
    #[arg(long)]
    planned: Option<u64>,
    /// Pushes that are under way at once
    #[arg(long, default_value_t = 1)]
    at_once: u64,
    /// On a Postgres of its own in place of the file
    #[arg(long)]
    postgres: bool,
    /// Parts of the log by the hash of the user, on Postgres; 0: it is whole
    #[arg(long, default_value_t = 0)]
    parts: u64,
}

const MINUTES: u64 = 24 * 60;
/// Users whose records are made together.
const RECORDS_AT_ONCE: usize = 500;
const START: &str = "2026-04-15T00:00:00Z";

fn main() {
    let args = Args::parse();
    day(args);
}

/// A database with the changes that are there before the day.
fn database(args: &Args, dir: &Path, cluster: Option<&Cluster>) -> Store {
    let Some(cluster) = cluster else {
        Log { users: args.users, agents: 0, missions: 0, updates: 0, plans_every: 0, others: args.users * args.changes, due_every: 0 }
            .make(dir);
        return Store::open(dir, &Options::default()).expect("the database");
    };
    let address = cluster.create("day");
    let store = Store::connect(&address, dir, &Options::default()).expect("the database");
    let mut client = cluster.connect("day");
    if args.parts > 0 {
        log_in_parts::divide(&mut client, args.parts);
    }
    log_in_parts::fill(&mut client, args.users, args.changes);
    store
}

fn day(args: Args) {
    // The client of Postgres may not block a thread that runs tasks.
    let cluster = args.postgres.then(Cluster::start);
    let dir = tempfile::tempdir().expect("a directory");
    let store = database(&args, dir.path(), cluster.as_ref());
    tokio::runtime::Runtime::new().expect("a runtime").block_on(play(args, store));
}

async fn play(args: Args, store: Store) {
    let planned_users = args.planned.unwrap_or(args.users).min(args.users);
    for first in (0..planned_users).step_by(RECORDS_AT_ONCE) {
        let some = (first..planned_users.min(first + RECORDS_AT_ONCE as u64)).flat_map(|user| records(user, args.missions));
        let some: Vec<_> = some.map(|change| Ok(admit(change).expect("within the limits"))).collect();
        store.append::<_, StoreError>(some).await.expect("records");
    }
    let clock = Arc::new(Mutex::new(START.parse::<Timestamp>().expect("a time")));
    let runner = runner(&store, &clock).await;
    let (mut ticks, mut pushes, mut planned) = (Vec::new(), Vec::new(), 0);
    // The peak that making the log took does not count.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (began, before) = (Instant::now(), processor_seconds());
    let mut pushed = 0;
    for minute in (0..MINUTES).step_by(usize::try_from(args.tick_minutes).expect("minutes")) {
        // Users are at work while the runner is.
        while pushed < args.users * args.pushes * minute / MINUTES {
            let some = (0..args.at_once).map(|n| push(&store, note((pushed + n) % args.users, pushed + n)));
            pushes.extend(futures_util::future::join_all(some).await);
            pushed += args.at_once;
        }
        *clock.lock().expect("the clock") = START.parse::<Timestamp>().expect("a time") + SignedDuration::from_mins(minute as i64);
        let started = Instant::now();
        let tick = runner.tick().await.expect("a tick");
        ticks.push(started.elapsed());
        let (stats, _) = tick.settle().await;
        assert!(stats.errors.is_empty(), "{:?}", stats.errors);
        planned += stats.written_back as u64;
    }
    let (took, processor) = (began.elapsed(), processor_seconds() - before);
    let (peak, _) = memory_mb(std::process::id());
    let due_in_the_day = planned_users * args.missions;
    assert_eq!(planned, due_in_the_day, "each mission once");
    let missions = store.snapshots::<Mission>(None).await.expect("missions");
    assert!(missions.iter().all(|m| mana_ai::domain::iterations::of_record(&m.record).len() == 1), "each mission has its one plan");
    let stats = store.stats().await.expect("a look");
    let mut report = Report::new(
        &format!(
            "A day of {} users, {} with {} missions, and {} changes each, {}: {} plans, {} pushes",
            grouped(args.users),
            grouped(planned_users),
            args.missions,
            grouped(args.changes),
            match (args.postgres, args.parts) {
                (false, _) => "on the file".to_owned(),
                (true, 0) => "on Postgres".to_owned(),
                (true, parts) => format!("on Postgres, the log in {parts} parts"),
            },
            grouped(planned),
            grouped(pushed)
        ),
        &percentiles(""),
    );
    report.samples("tick, until its runs are claimed", &Samples::new(ticks), String::new());
    report.samples("push of one change", &Samples::new(pushes), String::new());
    report.print();
    println!(
        "\nThe day's work took {} and {:.1} s of one processor, {:.3} % of a day; {} MB of database, {} rows, at most {peak:.0} MB of memory",
        shown(took),
        processor,
        100.0 * processor / 86_400.0,
        stats.database_bytes / 1_000_000,
        grouped(u64::try_from(stats.log_rows).unwrap_or_default()),
    );
}

/// Pushes a change, and answers how long that took.
async fn push(store: &Store, change: Change) -> Duration {
    let (started, user) = (Instant::now(), change.user_id.clone());
    // Continues from the end: this is about writing.
    let then = Pull { user_id: user, app_id: change.app_id.clone(), since: i64::MAX, limit: 5_000, ..Pull::default() };
    store.push(vec![admit(change).expect("within the limits")], LogCeilings::default(), then).await.expect("a push");
    started.elapsed()
}

fn line(user: u64, app: &str, table: &str, id: String, data: Value) -> Change {
    let line = json!({
        "appId": app, "table": table, "recordId": id, "userId": format!("u{user}"), "op": "insert", "data": data,
        "createdAt": "2026-04-14T20:00:00.000000Z", "clientId": "simulation",
    });
    let object = line.as_object().cloned().unwrap_or_default();
    from_json(object.into(), || uuid::Uuid::new_v4().to_string()).expect("a change")
}

/// An agent and the missions of a user, spread over the day.
fn records(user: u64, missions: u64) -> Vec<Change> {
    let agent = json!({"name": "Penny", "state": "active", "maxConcurrentMissions": 100, "maxTokensPerDay": 10_000_000});
    let mission = |n: u64| {
        let minute = (user * 7 + n * 143) % MINUTES;
        let (hour, minute) = (minute / 60, minute % 60);
        line(
            user,
            "ai",
            "aiMissions",
            format!("m{user}-{n}"),
            json!({
                "title": format!("Mission {n}"), "objective": "Keep my spending under control", "conceptMarkdown": "x".repeat(400),
                "state": "active", "nextRunAt": format!("2026-04-15T{hour:02}:{minute:02}:00.000Z"), "agentId": "a",
                "cadence": {"kind": "daily", "atHour": hour, "atMinute": minute}, "iterations": [],
                "inputs": [{"module": "notes", "table": "notes", "id": format!("n{}", user)}],
            }),
        )
    };
    std::iter::once(line(user, "ai", "agents", "a".into(), agent)).chain((0..missions).map(mission)).collect()
}

fn note(user: u64, n: u64) -> Change {
    line(user, "notes", "notes", format!("new-{n}"), json!({"title": "a note", "body": "x".repeat(200)}))
}

/// A runner whose model answers at once, so that what is measured is ours.
async fn runner(store: &Store, clock: &Arc<Mutex<Timestamp>>) -> Arc<Runner> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address")).parse().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/chat/completions", post(answer))).await });
    let (api_key, model, timeout) = (None, "simulated".to_owned(), Duration::from_secs(60));
    let server = provider::ProviderSettings { url, api_key, model, timeout, dialect: Default::default(), headers: Default::default() };
    let planner = Planner::new(server, Catalog::builtin(), 16_384).expect("a planner");
    let minute = SignedDuration::from_mins(1);
    let settings = RunnerSettings {
        max_parallel: 8,
        max_attempts: 5,
        iterations_kept: 100,
        first_step_status: mana_ai::domain::step::StepStatus::Staged,
        backoff: Backoff { base: minute, max: minute },
        breaker: Limits { failures: 5, cooldown: minute },
        // Nobody reviews.
        ceilings: Ceilings { unreviewed_plans: 0, calls_per_day: 0, tokens_per_day: 0, longest_wait: SignedDuration::from_hours(1) },
        zone: TimeZone::UTC,
        executors: mana_ai::steps::Executors::none(TimeZone::UTC),
        private_key: None,
    };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let clock = Arc::clone(clock);
    Runner::new(store.clone(), planner, metrics, settings, Arc::new(move || *clock.lock().expect("the clock"))).expect("a runner")
}

async fn answer() -> Json<Value> {
    let step = json!({"summary": "a task", "toolName": "create_task", "params": {"title": "a task"}, "rationale": "because"});
    let plan = json!({"summary": "one task", "steps": [step]}).to_string();
    Json(json!({
        "model": "simulated", "choices": [{"message": {"role": "assistant", "content": plan}}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 100, "total_tokens": 600},
    }))
}

/// Processor time of this process so far, in seconds; the kernel counts in hundredths.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a kernel that tells");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12].iter().filter_map(|n| fields.get(*n)?.parse::<f64>().ok()).sum::<f64>() / 100.0
}
