//! What each step costs: `cargo bench --bench functions [-- NAME …]`. The method is told in README.md.

mod common;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::world::Log;
use common::{Report, Samples, grouped, memory_mb, number, percentiles, ratio, sample, shown};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mana_ai::domain::agent::Agent;
use mana_ai::domain::backoff::Backoff;
use mana_ai::domain::breaker::Limits;
use mana_ai::domain::cadence::Cadence;
use mana_ai::domain::change::Op;
use mana_ai::domain::decision::{Ceilings, Load, Plans, Situation, Used, decide};
use mana_ai::domain::merge::{Delta, Fold, compare_stamps};
use mana_ai::domain::raw::{Raw, RawRecord};
use mana_ai::domain::step::StepStatus;
use mana_ai::metrics::Metrics;
use mana_ai::planner::{Planner, provider, tools::Catalog};
use mana_ai::projection;
use mana_ai::runner::{Runner, RunnerSettings};
use mana_ai::store::{Options, Store};
use rusqlite::Connection;
use serde_json::json;
use tokio::runtime::Runtime;

const CEILINGS: Ceilings =
    Ceilings { unreviewed_plans: 5, calls_per_day: 10_000, tokens_per_day: 0, longest_wait: jiff::SignedDuration::from_hours(1) };
const BUDGET: Duration = Duration::from_secs(2);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    type Section = (&'static str, fn(&Runtime));
    let all: [Section; 6] = [("rules", rules), ("idle", idle), ("cold", cold), ("delta", delta), ("due", due), ("metrics", metrics)];
    let runtime = Runtime::new().expect("a runtime");
    for (name, run) in all {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            run(&runtime);
        }
    }
}

/// Sizes shrink by this, for a quick look.
fn scaled(size: u64) -> u64 {
    (size / number("MANA_BENCH_SHRINK", 1)).max(100)
}

fn open(dir: &Path) -> Store {
    Store::open(dir, &Options::default()).expect("the database")
}

fn bare(dir: &Path) -> Connection {
    Connection::open(dir.join(Store::FILE_NAME)).expect("the database")
}

fn runner(store: Store) -> Arc<Runner> {
    let server = provider::ProviderSettings {
        url: "http://127.0.0.1:9".parse().expect("an address"),
        api_key: None,
        model: "none".into(),
        timeout: Duration::from_secs(1),
        dialect: Default::default(),
        headers: Default::default(),
    };
    let planner = Planner::new(server, Catalog::builtin(), 16_384).expect("a planner");
    let second = jiff::SignedDuration::from_secs(1);
    let settings = RunnerSettings {
        max_parallel: 8,
        max_attempts: 5,
        iterations_kept: 100,
        first_step_status: StepStatus::Staged,
        backoff: Backoff { base: second, max: second },
        breaker: Limits { failures: 5, cooldown: second },
        ceilings: CEILINGS,
        zone: TimeZone::UTC,
        executors: mana_ai::steps::Executors::none(TimeZone::UTC),
        private_key: None,
    };
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    Runner::new(store, planner, metrics, settings, Arc::new(Timestamp::now)).expect("a runner")
}

/// The pure rules, without I/O.
fn rules(_: &Runtime) {
    let mut report = Report::new("The rules", &percentiles("a second"));
    let mut add = |name: &str, once: &mut dyn FnMut()| {
        let samples = sample(BUDGET / 4, once);
        report.samples(name, &samples, grouped((1.0 / samples.median().as_secs_f64()) as u64));
    };
    let delta = |n: u64| Delta {
        op: Op::Update,
        data: json!({"title": format!("Mission {n}"), "state": "active"}).as_object().map(RawRecord::from),
        field_meta: BTreeMap::from([("title".to_owned(), format!("2026-04-15T08:00:00.{n:03}Z"))]),
        created_at: "2026-04-15T08:00:00Z".parse().expect("a time"),
    };
    let changes: Vec<Delta> = (0..100).map(delta).collect();
    add("fold 100 changes of 2 fields", &mut || {
        let mut fold = Fold::default();
        changes.iter().for_each(|change| fold.apply("m", change.clone()));
        black_box(fold);
    });
    add("compare two stamps", &mut || {
        black_box(compare_stamps(black_box("2026-04-15T08:00:00.001Z"), black_box("2026-04-15T08:00:00.002Z")));
    });
    let agent = Agent::read("a", &Raw::from(json!({"name": "Penny", "maxTokensPerDay": 1000})).object().expect("an object")).0;
    let from: Timestamp = "2026-04-15T08:00:00Z".parse().expect("a time");
    add("decide about a mission", &mut || {
        let situation = Situation {
            agent: Some((black_box(&agent), Load { in_flight: 0, tokens: 10 })),
            plans: Plans::default(),
            pending: None,
            provider_closed_until: None,
            used: Used::default(),
            now: from,
            ceilings: &CEILINGS,
        };
        black_box(decide(&situation));
    });
    for (name, cadence) in [
        ("next time of a daily cadence", json!({"kind": "daily", "atHour": 8, "timeZone": "Europe/Berlin"})),
        ("next time of a cron cadence", json!({"kind": "cron", "expression": "30 8 * * 1-5", "timeZone": "Europe/Berlin"})),
    ] {
        let cadence = Cadence::read(&cadence).expect("a cadence");
        add(name, &mut || {
            black_box(cadence.next(black_box(from), &TimeZone::UTC));
        });
    }
    report.print();
}

/// Target: within 1.5 times between the sizes, and under 2 ms.
fn idle(runtime: &Runtime) {
    let mut report = Report::new("An idle tick, by size of the log", &percentiles("to the smallest"));
    let mut smallest = None;
    for rows in [10_000, scaled(5_000_000)] {
        let dir = tempfile::tempdir().expect("a directory");
        let log = Log { users: 100, agents: 100, missions: 1_000, updates: 0, plans_every: 0, others: rows - 1_100, due_every: 0 };
        log.make(dir.path());
        let runner = runner(open(dir.path()));
        let tick = || {
            runtime.block_on(async { runner.tick().await.expect("a tick").settle().await });
        };
        tick();
        let samples = sample(BUDGET, tick);
        let base = *smallest.get_or_insert(samples.median());
        report.samples(&format!("{} rows", grouped(log.rows())), &samples, format!("{:.2}×", ratio(samples.median(), base)));
    }
    report.print();
}

/// Target: 300,000 rows a second, with memory that does not grow with the log.
fn cold(runtime: &Runtime) {
    let header = ["", "rows", "snapshots", "time", "rows/s", "SQLite alone", "of it", "more memory"];
    let mut report = Report::new("A cold projection, from the file to the snapshots", &header);
    let rows = scaled(1_000_000);
    for (name, missions, rows, plans_every) in [
        ("100 changes a mission", rows / 100, rows / 4, 0),
        ("100 changes a mission", rows / 100, rows, 0),
        ("10 changes a mission", rows / 10, rows, 0),
        ("9 changes a mission", rows * 12 / 1_000, rows * 106 / 1_000, 0),
        ("9 changes a mission, each 8th with plans", rows * 12 / 1_000, rows * 106 / 1_000, 8),
        ("one change a mission", rows, rows, 0),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        Log { users: 100, agents: 0, missions, updates: rows - missions, plans_every, others: 0, due_every: 0 }.make(dir.path());
        let alone = scan_and_fill(dir.path(), missions);
        let store = open(dir.path());
        let (_, before) = memory_mb(std::process::id());
        let started = Instant::now();
        let done = runtime.block_on(projection::refresh(&store)).expect("a refresh");
        let took = started.elapsed();
        let (_, after) = memory_mb(std::process::id());
        assert_eq!((done.rows, done.new), (rows, missions));
        report.row(&[
            name.into(),
            grouped(rows),
            grouped(missions),
            shown(took),
            grouped((rows as f64 / took.as_secs_f64()) as u64),
            grouped((rows as f64 / alone.as_secs_f64()) as u64),
            format!("{:.0} %", 100.0 * alone.as_secs_f64() / took.as_secs_f64()),
            format!("{:.0} MB", after - before),
        ]);
    }
    report.print();
}

/// What SQLite itself takes to read the columns of every row and to insert that many snapshots, and nothing else.
fn scan_and_fill(dir: &Path, snapshots: u64) -> Duration {
    let mut c = bare(dir);
    let started = Instant::now();
    let mut bytes = 0;
    {
        let query = "SELECT seq, sync_at, record_id, user_id, op, data, field_meta, created_at FROM sync_changes ORDER BY seq";
        let mut statement = c.prepare(query).expect("a statement");
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            bytes += row.get_ref(5).and_then(|value| Ok(value.as_str()?.len())).expect("a text");
        }
    }
    black_box(bytes);
    let tx = c.transaction().expect("a transaction");
    tx.execute(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1) \
         INSERT INTO mission_snapshots SELECT 'u' || (i % 100), 'm' || i, i, i, i, 'live', 'active', 'a', 1770000000000000 + i, 0, NULL, 0, NULL, \
         'mission ' || i, 1770000000000000 + i, 'Mission ' || i, 'Keep an eye', '{}', printf('%.*c', 500, 'x'), 0 FROM n",
        [snapshots],
    )
    .expect("snapshots");
    let took = started.elapsed();
    tx.rollback().expect("a rollback");
    took
}

/// Target: 1,000 rows over 1,000 missions in under 25 ms.
fn delta(runtime: &Runtime) {
    let mut report = Report::new("A refresh of 1,000 new rows over 1,000 missions", &percentiles("to bare"));
    let dir = tempfile::tempdir().expect("a directory");
    Log { users: 100, agents: 0, missions: 1_000, updates: 0, plans_every: 0, others: scaled(1_000_000), due_every: 0 }.make(dir.path());
    let store = open(dir.path());
    runtime.block_on(projection::refresh(&store)).expect("a refresh");
    let mut c = bare(dir.path());
    c.busy_timeout(Duration::from_secs(5)).expect("a setting");
    let (mut ours, mut alone) = (Vec::new(), Vec::new());
    for round in 0..60 {
        c.execute(
            "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, sync_at) \
             SELECT lower(hex(randomblob(4)) || '-0000-4000-8000-' || hex(randomblob(6))), 'ai', 'aiMissions', mission_id, user_id, \
             'update', json_object('title', 'round ' || ?1), '{}', 'c', \
             top + row_number() OVER (), top + row_number() OVER () FROM mission_snapshots, (SELECT max(sync_at) top FROM sync_changes)",
            [round],
        )
        .expect("rows");
        let started = Instant::now();
        let tx = c.transaction().expect("a transaction");
        tx.execute("UPDATE mission_snapshots SET record = record || ' ', last_seq = last_seq + 0, updated_at = updated_at + 1", [])
            .expect("rows");
        tx.rollback().expect("a rollback");
        alone.push(started.elapsed());
        let started = Instant::now();
        let done = runtime.block_on(projection::refresh(&store)).expect("a refresh");
        ours.push(started.elapsed());
        assert_eq!(done.rows, 1_000);
    }
    let (ours, alone) = (Samples::new(ours), Samples::new(alone));
    report.samples("SQLite alone: 1,000 rows updated in place", &alone, "1.00×".into());
    report.samples("refresh", &ours, format!("{:.2}×", ratio(ours.median(), alone.median())));
    report.print();
}

/// Target: 1,000 due among a million in under 20 ms.
fn due(runtime: &Runtime) {
    let mut report = Report::new("Finding 1,000 due missions", &percentiles("to the smallest"));
    let mut smallest = None;
    for missions in [scaled(10_000), scaled(1_000_000)] {
        let dir = tempfile::tempdir().expect("a directory");
        let due = missions.min(1_000);
        Log { users: 100, agents: 0, missions, updates: 0, plans_every: 0, others: 0, due_every: missions / due }.make(dir.path());
        let store = open(dir.path());
        runtime.block_on(projection::refresh(&store)).expect("a refresh");
        let samples = sample(BUDGET, || {
            let found = runtime.block_on(store.due("2026-06-01T00:00:00Z".parse().expect("a time"), None, 10_000)).expect("due missions");
            assert_eq!(found.len() as u64, due);
        });
        let base = *smallest.get_or_insert(samples.median());
        report.samples(&format!("among {}", grouped(missions)), &samples, format!("{:.2}×", ratio(samples.median(), base)));
    }
    report.print();
}

/// Target: under 2 ms with 10,000 agents.
fn metrics(runtime: &Runtime) {
    let mut report = Report::new("A scrape, by number of agents that used tokens", &percentiles("size"));
    for agents in [10_u64, scaled(10_000)] {
        let dir = tempfile::tempdir().expect("a directory");
        Log { users: 100, agents, missions: 1_000, updates: 0, plans_every: 0, others: 0, due_every: 0 }.make(dir.path());
        let store = open(dir.path());
        runtime.block_on(projection::refresh(&store)).expect("a refresh");
        let runner = runner(store);
        (0..agents).for_each(|n| runner.metrics().count_tokens(&format!("00000000-0000-4000-8000-{n:012}"), 100));
        let scrape = || {
            runtime.block_on(runner.observe_store()).expect("a look at the store");
            runner.metrics().render().expect("a text")
        };
        let size = scrape().len();
        let samples = sample(BUDGET, || {
            black_box(scrape());
        });
        report.samples(&grouped(agents), &samples, format!("{} KB", size / 1024));
    }
    report.print();
}
