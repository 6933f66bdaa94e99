//! Durable pushes of one change each: 1, 16 and 64 clients at the same time against one commit for each change, on the disk
//! as it is and on one whose sync takes 8 ms, a turn of a hard disk.
//!
//! Target: at least 20 times the commits of one-commit-per-change, where the disk is what one waits for.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use serde_json::json;

use crate::common::{Report, Samples, number, percentiles};
use crate::program::{Server, output, runtime, token};

const CLIENTS: [usize; 3] = [1, 16, 64];
/// Changes of a large commit of SQLite alone: what 64 clients may share.
const GROUP: usize = 64;
/// The argument with which this program runs the loop of bare commits alone, under another disk.
pub const BARE: &str = "bare-commits";

pub fn run() {
    let dir = tempfile::tempdir().expect("a directory");
    let slow = slow_disk(dir.path());
    measure("Durable pushes of one change, on this disk", &[]);
    let slow = slow.display().to_string();
    measure(
        "Durable pushes of one change, on a disk whose sync takes 8 ms",
        &[("LD_PRELOAD", slow.as_str()), ("MANA_SYNC_MICROS", "8000")],
    );
}

/// How many clients, in words.
pub fn counted(clients: usize) -> String {
    format!("{clients} client{}", if clients == 1 { "" } else { "s" })
}

/// Builds what makes each sync slower.
fn slow_disk(dir: &Path) -> PathBuf {
    let (source, library) = (concat!(env!("CARGO_MANIFEST_DIR"), "/examples/load/slow_disk.c"), dir.join("slow_disk.so"));
    let made = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(made.expect("a C compiler").success());
    library
}

fn measure(title: &str, disk: &[(&str, &str)]) {
    let seconds = Duration::from_secs(number("MANA_LOAD_SECONDS", 10));
    let mut report = Report::new(title, &percentiles("changes/s"));
    let mut row = |name: &str, changes: usize, (times, seconds): (Vec<Duration>, f64)| {
        let rate = (times.len() * changes) as f64 / seconds;
        report.samples(name, &Samples::new(times), format!("{rate:.0}"));
        rate
    };
    let bare = row("SQLite alone, a commit for each change", 1, commits(seconds, 1, disk));
    let groups = row("SQLite alone, 64 changes a commit", GROUP, commits(seconds, GROUP, disk));
    let rates = CLIENTS.map(|count| row(&counted(count), 1, clients(count, seconds, disk)));
    report.print();
    let crowd = rates[CLIENTS.len() - 1];
    println!(
        "\n64 clients push {:.1} times as many changes as SQLite commits one by one; SQLite alone could commit {:.1} times as many",
        crowd / bare,
        groups / bare
    );
}

/// A bare loop over the same table and indexes, with the same durability, in a process of its own.
pub fn commits(length: Duration, changes: usize, disk: &[(&str, &str)]) -> (Vec<Duration>, f64) {
    let dir = tempfile::tempdir().expect("a directory");
    output(dir.path(), &["tick"]);
    let mut command = Command::new(std::env::current_exe().expect("a path of its own"));
    command.arg(BARE).arg(dir.path()).args([length.as_secs().to_string(), changes.to_string()]).envs(disk.iter().copied());
    let output = command.output().expect("the loop runs");
    let nanos = String::from_utf8(output.stdout).expect("text");
    let times: Vec<Duration> = nanos.lines().map(|line| Duration::from_nanos(line.parse().expect("a number"))).collect();
    let seconds = times.iter().sum::<Duration>().as_secs_f64();
    (times, seconds)
}

/// Commits until the time is over, and prints how many nanoseconds each commit took.
pub fn bare_commits(dir: &str, seconds: &str, changes: &str) {
    let (length, changes) = (Duration::from_secs(seconds.parse().expect("seconds")), changes.parse::<usize>().expect("changes"));
    let mut c = Connection::open(Path::new(dir).join("mana-ai.db")).expect("the database");
    c.pragma_update(None, "synchronous", "full").expect("a setting");
    let (started, mut times) = (Instant::now(), Vec::new());
    let mut n = 0_i64;
    while started.elapsed() < length {
        let before = Instant::now();
        let tx = c.transaction().expect("a transaction");
        for _ in 0..changes {
            n += 1;
            tx.prepare_cached(
                "INSERT INTO log_rows (user_no, app_no, table_no, client_no, sync_at, schema_version, op, id, record_id, field_meta, data) \
                 VALUES (1, 1, 1, 1, ?3, 1, 'insert', ?1, ?1, '{}', ?2)",
            )
            .and_then(|mut insert| insert.execute(params![format!("id-{n}"), data(n).to_string(), n]))
            .expect("a row");
        }
        tx.commit().expect("a commit");
        times.push(before.elapsed());
    }
    times.iter().for_each(|time| println!("{}", time.as_nanos()));
}

fn data(n: i64) -> serde_json::Value {
    json!({"title": format!("note {n}"), "body": "x".repeat(200)})
}

fn clients(count: usize, length: Duration, disk: &[(&str, &str)]) -> (Vec<Duration>, f64) {
    let dir = tempfile::tempdir().expect("a directory");
    let token = token(dir.path(), "u");
    let server = Server::start(dir.path(), disk);
    let pushed = push(&[&server.url], &token, count, length);
    assert_eq!(exported(dir.path()), pushed.0.len(), "every change that was acknowledged is in the log, once");
    pushed
}

/// Clients that push as quickly as they are answered, each to one of these servers.
pub fn push(urls: &[&str], token: &str, count: usize, length: Duration) -> (Vec<Duration>, f64) {
    let (runtime, http) = (runtime(), reqwest::Client::new());
    let url = |n: usize| format!("{}/sync/notes", urls[n % urls.len()]);
    let started = Instant::now();
    let tasks: Vec<_> = (0..count).map(|n| runtime.spawn(client(n, http.clone(), url(n), token.to_owned(), started + length))).collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(runtime.block_on(task).expect("a client that ends well"));
    }
    (times, started.elapsed().as_secs_f64())
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
