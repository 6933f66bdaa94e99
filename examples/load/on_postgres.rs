//! Postgres in place of the file, side by side: durable pushes of one change each, a cold projection and an idle tick; and what
//! Postgres takes from `pgbench` alone.

use std::path::Path;
use std::time::{Duration, Instant};

use mana_ai::projection;
use mana_ai::store::{Options, Store};

use crate::cluster::Cluster;
use crate::common::world::Log;
use crate::common::{Report, Samples, grouped, number, percentiles, shown};
use crate::program::{Server, output_with, runtime, tick, token};
use crate::pushes::{self, counted};

const CLIENTS: [usize; 3] = [1, 16, 64];
const INSTANCES: [usize; 2] = [2, 4];
const TICKS: usize = 50;
const KEY: &str = "load-has-no-secret";

/// The log's table as a server without an order of its own would have it: the rows of the program, with the indexes that its
/// pulls and records need.
const BARE_TABLE: &str = "CREATE TABLE sync_changes (
    seq bigserial PRIMARY KEY, id uuid NOT NULL DEFAULT gen_random_uuid(), app_id text NOT NULL, table_name text NOT NULL, record_id text NOT NULL,
    user_id text NOT NULL, space_id text, op text NOT NULL, data jsonb, field_meta jsonb DEFAULT '{}', client_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), sync_at timestamptz NOT NULL DEFAULT now(), schema_version int NOT NULL DEFAULT 1,
    actor jsonb, origin text, UNIQUE (user_id, id));
    CREATE INDEX ON sync_changes (user_id, app_id, sync_at);
    CREATE INDEX ON sync_changes (user_id, app_id, table_name, sync_at);
    CREATE INDEX ON sync_changes (user_id, app_id, table_name, record_id);";
const BARE_PUSH: &str = "INSERT INTO sync_changes (app_id, table_name, record_id, user_id, op, data, client_id) \
    VALUES ('notes', 'notes', gen_random_uuid()::text, 'u', 'insert', \
    jsonb_build_object('title', 'note', 'body', repeat('x', 200)), 'c' || :client_id);\n";

pub fn run() {
    let cluster = Cluster::start();
    pushes(&cluster);
    projections(&cluster);
}

fn pushes(cluster: &Cluster) {
    let seconds = Duration::from_secs(number("MANA_LOAD_SECONDS", 10));
    let mut report = Report::new("Durable pushes of one change, on the file and on Postgres", &percentiles("changes/s"));
    let mut row = |name: String, (times, seconds): (Vec<Duration>, f64)| {
        let rate = times.len() as f64 / seconds;
        report.samples(&name, &Samples::new(times), format!("{rate:.0}"));
    };
    for clients in CLIENTS {
        row(format!("the file, {}", counted(clients)), instances(None, 1, clients, seconds));
    }
    for clients in CLIENTS {
        let address = cluster.create(&format!("one_{clients}"));
        row(format!("Postgres, 1 instance, {}", counted(clients)), instances(Some(&address), 1, clients, seconds));
    }
    for count in INSTANCES {
        let address = cluster.create(&format!("several_{count}"));
        row(format!("Postgres, {count} instances, 64 clients"), instances(Some(&address), count, 64, seconds));
    }
    cluster.create("bare");
    cluster.connect("bare").batch_execute(BARE_TABLE).expect("a table");
    for clients in CLIENTS {
        row(format!("Postgres alone by pgbench, {}", counted(clients)), bare(cluster, clients, seconds));
    }
    report.print();
}

/// Clients that push, each to one of so many instances.
fn instances(address: Option<&str>, count: usize, clients: usize, length: Duration) -> (Vec<Duration>, f64) {
    let dir = tempfile::tempdir().expect("a directory");
    let settings: Vec<(&str, &str)> = address.map(|address| ("MANA_AI_DATABASE", address)).into_iter().collect();
    let token = token(dir.path(), "u");
    let servers: Vec<Server> = (0..count).map(|_| Server::start(dir.path(), &settings)).collect();
    let urls: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
    let pushed = pushes::push(&urls, &token, clients, length);
    let exported = output_with(dir.path(), &settings, &["export"]).lines().count();
    assert_eq!(exported, pushed.0.len(), "every change that was acknowledged is in the log, once");
    pushed
}

/// The same rows by `pgbench`, which tells how many microseconds each transaction took.
fn bare(cluster: &Cluster, clients: usize, length: Duration) -> (Vec<Duration>, f64) {
    let (script, log) = (cluster.socket().join("push.sql"), format!("pushes_{clients}"));
    std::fs::write(&script, BARE_PUSH).expect("a script");
    let mut pgbench = cluster.command("pgbench");
    pgbench.arg("-h").arg(cluster.socket()).args(["-U", "postgres", "-n", "-M", "prepared", "-c", &clients.to_string()]);
    pgbench.args(["-j", &clients.min(2).to_string(), "-T", &length.as_secs().to_string(), "-l", "--log-prefix", &log, "-f"]);
    let made = pgbench.arg(&script).arg("bare").output().expect("pgbench");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let logs = std::fs::read_dir(cluster.socket()).expect("a directory").filter_map(Result::ok);
    let logs = logs.filter(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{log}.")));
    let lines: String = logs.map(|entry| std::fs::read_to_string(entry.path()).expect("a log")).collect();
    let micros = |line: &str| line.split_whitespace().nth(2)?.parse().ok().map(Duration::from_micros);
    (lines.lines().filter_map(micros).collect(), length.as_secs_f64())
}

fn projections(cluster: &Cluster) {
    let records = number("MANA_LOAD_RECORDS", 10_000);
    let log = Log { users: 100, agents: 0, missions: records, updates: records * 9, plans_every: 0, others: 0, due_every: 0 };
    let title = format!("{} rows over {} missions", grouped(log.rows()), grouped(records));
    let mut report = Report::new(&title, &["", "on the file", "on Postgres"]);
    let (file, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    log.make(file.path());
    let address = cluster.create("projected");
    let settings = [("MANA_AI_DATABASE", address.as_str())];
    let rows = file.path().join("log.jsonl");
    std::fs::write(&rows, output_with(file.path(), &[], &["export"])).expect("a file");
    let import = |dir: &Path, settings: &[(&str, &str)]| {
        let started = Instant::now();
        output_with(dir, settings, &["import", rows.to_str().expect("a path")]);
        started.elapsed()
    };
    let again = tempfile::tempdir().expect("a directory");
    let imports = [import(again.path(), &[]), import(other.path(), &settings)];
    report.row(&["import".into(), shown(imports[0]), shown(imports[1])]);
    let options = Options::default();
    let here = cold(&Store::open(file.path(), &options).expect("the database"), &log);
    let there = cold(&Store::connect(&address, other.path(), &options).expect("the database"), &log);
    let told = |took: Duration| format!("{}, {} rows/s", shown(took), grouped((log.rows() as f64 / took.as_secs_f64()) as u64));
    report.row(&["cold projection".into(), told(here), told(there)]);
    let [here, there] = [idle_ticks(file.path(), &[]), idle_ticks(other.path(), &settings)];
    for (name, part) in [("idle tick by HTTP, p50", 0.5), ("idle tick by HTTP, p99", 0.99)] {
        report.row(&[name.into(), shown(here.at(part)), shown(there.at(part))]);
    }
    report.print();
}

fn cold(store: &Store, log: &Log) -> Duration {
    let started = Instant::now();
    let done = runtime().block_on(projection::refresh(store)).expect("a refresh");
    assert_eq!((done.rows, done.new), (log.rows(), log.missions));
    started.elapsed()
}

fn idle_ticks(dir: &Path, settings: &[(&str, &str)]) -> Samples {
    let settings: Vec<(&str, &str)> = settings.iter().copied().chain([("MANA_SERVICE_KEY", KEY)]).collect();
    let (server, runtime) = (Server::start(dir, &settings), runtime());
    let once = || {
        let started = Instant::now();
        assert_eq!(runtime.block_on(tick(&server.url, KEY))["dueMissionCount"], 0);
        started.elapsed()
    };
    once();
    Samples::new((0..TICKS).map(|_| once()).collect())
}
