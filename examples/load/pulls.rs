//! Pulls of 1,000 rows from the start, by 1 and 16 clients, against SQLite alone reading the same rows.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::common::world::Log;
use crate::common::{Report, Samples, number, percentiles};
use crate::program::{Server, runtime, token};
use crate::pushes::counted;

const ROWS: usize = 1_000;
const CLIENTS: [usize; 2] = [1, 16];

pub fn run() {
    let length = Duration::from_secs(number("MANA_LOAD_SECONDS", 10));
    let dir = tempfile::tempdir().expect("a directory");
    // A user among others, with as many rows as a pull asks for.
    let users = 100;
    Log { users, agents: 0, missions: 0, updates: 0, plans_every: 0, others: users * ROWS as u64, due_every: 0 }.make(dir.path());
    let mut report = Report::new("Pulls of 1,000 rows", &percentiles("pulls/s"));
    let mut row = |name: &str, times: Vec<Duration>, seconds: f64| {
        let rate = times.len() as f64 / seconds;
        report.samples(name, &Samples::new(times), format!("{rate:.0}"));
    };
    let alone = reads(dir.path(), length);
    let seconds = alone.iter().sum::<Duration>().as_secs_f64();
    row("SQLite alone, on one core", alone, seconds);
    let token = token(dir.path(), "u1");
    let server = Server::start(dir.path(), &[]);
    for count in CLIENTS {
        let (runtime, http) = (runtime(), reqwest::Client::new());
        let started = Instant::now();
        let pulls = |_| runtime.spawn(client(http.clone(), server.url.clone(), token.clone(), started + length));
        let tasks: Vec<_> = (0..count).map(pulls).collect();
        let times = tasks.into_iter().flat_map(|task| runtime.block_on(task).expect("a client that ends well")).collect();
        row(&counted(count), times, started.elapsed().as_secs_f64());
    }
    report.print();
}

/// Reads every column of the rows of the user, again and again.
fn reads(dir: &Path, length: Duration) -> Vec<Duration> {
    let c = Connection::open(dir.join("mana-ai.db")).expect("the database");
    let query = "SELECT * FROM sync_changes WHERE user_id = 'u1' AND app_id = 'notes' AND sync_at > 0 ORDER BY sync_at LIMIT 1000";
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < length {
        let before = Instant::now();
        let mut statement = c.prepare_cached(query).expect("a query");
        let (columns, mut bytes, mut read) = (statement.column_count(), 0, 0);
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            read += 1;
            for column in 0..columns {
                bytes += row.get_ref(column).expect("a cell").as_bytes_or_null().map_or(8, |bytes| bytes.map_or(0, <[u8]>::len));
            }
        }
        assert!(read == ROWS && bytes > ROWS * 100, "{read} rows of {bytes} bytes");
        times.push(before.elapsed());
    }
    times
}

async fn client(http: reqwest::Client, url: String, token: String, until: Instant) -> Vec<Duration> {
    let url = format!("{url}/sync/notes/pull?collection=notes&since=1970-01-01T00:00:00.000Z");
    let mut times = Vec::new();
    while Instant::now() < until {
        let before = Instant::now();
        let request = http.get(&url).bearer_auth(&token).header("x-client-id", "desk");
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "no pull fails");
        let body = answer.bytes().await.expect("a whole answer");
        assert!(body.len() > ROWS * 100, "a whole page");
        times.push(before.elapsed());
    }
    times
}
