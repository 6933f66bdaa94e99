//! Durable pushes of one change each: 64 clients at the same time against one commit for each change.
//!
//! Target: at least 20 times the commits of one-commit-per-change.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use serde_json::json;

use crate::common::{Report, Samples, number, percentiles};
use crate::program::{Server, output, runtime, token};

const CLIENTS: usize = 64;

pub fn run() {
    let seconds = Duration::from_secs(number("MANA_LOAD_SECONDS", 10));
    let mut report = Report::new("Durable pushes of one change", &percentiles("a second"));
    let mut row = |name: &str, (times, seconds): (Vec<Duration>, f64)| {
        let rate = times.len() as f64 / seconds;
        report.samples(name, &Samples::new(times), format!("{rate:.0}"));
        rate
    };
    let bare = row("SQLite alone, a commit for each change", commits(seconds, 1));
    row("SQLite alone, 64 changes a commit, per commit", commits(seconds, CLIENTS));
    row("1 client", clients(1, seconds));
    let crowd = row("64 clients", clients(CLIENTS, seconds));
    report.print();
    println!("\n64 clients push {:.1} times as many changes as SQLite commits one by one", crowd / bare);
}

/// A bare loop over the same table and indexes, with the same durability.
fn commits(length: Duration, changes: usize) -> (Vec<Duration>, f64) {
    let dir = tempfile::tempdir().expect("a directory");
    output(dir.path(), &["missions"]);
    let mut c = Connection::open(dir.path().join("mana-ai.db")).expect("the database");
    c.pragma_update(None, "synchronous", "full").expect("a setting");
    let (started, mut times) = (Instant::now(), Vec::new());
    let mut n = 0_i64;
    while started.elapsed() < length {
        let before = Instant::now();
        let tx = c.transaction().expect("a transaction");
        for _ in 0..changes {
            n += 1;
            tx.prepare_cached(
                "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
                 VALUES (?1, 'notes', 'notes', ?1, 'u', 'insert', ?2, 'c', ?3, ?3)",
            )
            .and_then(|mut insert| insert.execute(params![format!("id-{n}"), data(n).to_string(), n]))
            .expect("a row");
        }
        tx.commit().expect("a commit");
        times.push(before.elapsed());
    }
    (times, started.elapsed().as_secs_f64())
}

fn data(n: i64) -> serde_json::Value {
    json!({"title": format!("note {n}"), "body": "x".repeat(200)})
}

fn clients(count: usize, length: Duration) -> (Vec<Duration>, f64) {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path(), "u");
    let server = Server::start(dir.path(), &[]);
    let (runtime, http) = (runtime(), reqwest::Client::new());
    let url = format!("{}/sync/notes", server.url);
    let started = Instant::now();
    let tasks: Vec<_> = (0..count).map(|n| runtime.spawn(client(n, http.clone(), url.clone(), token.clone(), started + length))).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(runtime.block_on(task).expect("a client that ends well"));
    }
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(exported(dir.path()), times.len(), "every change that was acknowledged is in the log, once");
    (times, seconds)
}

/// Continues from the end, so that the answer is small: this is about writing.
async fn client(n: usize, http: reqwest::Client, url: String, token: String, until: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < until {
        let id = format!("{n}-{}", times.len());
        let change = json!({"table": "notes", "id": id, "op": "insert", "data": data(n as i64)});
        let body = json!({"clientId": format!("c{n}"), "appId": "notes", "since": "2099-01-01T00:00:00.000Z", "changes": [change]});
        let before = Instant::now();
        let answer = http.post(&url).bearer_auth(&token).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "no push fails");
        answer.bytes().await.expect("a whole answer");
        times.push(before.elapsed());
    }
    times
}

pub fn exported(dir: &Path) -> usize {
    output(dir, &["export"]).lines().count()
}
