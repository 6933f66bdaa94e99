//! Every page for one user with 100,000 missions, 1,000,000 runs and 10,000 notes: how long the server takes for it, and how many
//! bytes it has. `MANA_BENCH_SHRINK` makes it smaller.

use std::path::Path;
use std::time::{Duration, Instant};

use mana_ai::store::{Options, Store};
use rusqlite::{Connection, params};

use crate::attack::sign_in;
use crate::common::world::Log;
use crate::common::{Report, Samples, grouped, number, shown};
use crate::program::{Server, runtime, token};

/// What a page may take, and how large it may be.
const LONGEST: Duration = Duration::from_millis(50);
const LARGEST: usize = 500_000;
const TIMES: usize = 15;

/// Pages that stand for a route with parts, or that a route has in several ways.
const MORE: [&str; 20] = [
    "/missions?q=mission%20777",
    "/missions?q=nowhere",
    "/missions?sort=changed",
    "/missions?sort=next&state=active",
    "/missions?which=blocked",
    "/runs?state=failed",
    "/runs?mission=m1",
    "/runs?agent=a1",
    "/runs?q=mission%207",
    "/runs?sort=oldest&state=failed",
    "/agents?sort=changed&state=active",
    "/insights?days=7",
    "/insights?days=90",
    "/deleted?of=records",
    "/agents?q=agent%201",
    "/records/notes/notes?sort=title",
    "/records/notes/notes?q=nowhere",
    "/records/notes/notes?is-isPinned=true",
    "/review/all?n=100",
    "/missions/m1?before=1",
];

pub fn run() {
    let shrink = number("MANA_BENCH_SHRINK", 1).max(1);
    let scaled = |size: u64| (size / shrink).max(200);
    let dir = tempfile::tempdir().expect("a directory");
    let (missions, runs, notes) = (scaled(100_000), scaled(1_000_000), scaled(10_000));
    let log = Log { users: 1, agents: 20, missions, updates: missions / 20, plans_every: 1, others: notes, due_every: 0 };
    log.make(dir.path());
    fill(dir.path(), missions, runs, notes);
    let runtime = runtime();
    let token = token(dir.path(), "u0");
    let server = Server::start(dir.path(), &[]);
    let cookie = runtime.block_on(sign_in(&server.url, &token));
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let get = |path: &str| {
        let started = Instant::now();
        let request = http.get(format!("{}{path}", server.url)).header("cookie", &cookie);
        let body = runtime.block_on(async {
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            (status, answer.bytes().await.expect("a body"))
        });
        (started.elapsed(), body)
    };
    // What came since the start is folded once, and a list of records is made where somebody looks at it first.
    get("/missions");
    println!("\nthe first look at {} notes: {}", grouped(notes), shown(get("/records/notes/notes").0));
    get("/deleted");
    let title = format!("Pages: {} missions, {} runs, {} notes of one user", grouped(missions), grouped(runs), grouped(notes));
    let mut report = Report::new(&title, &["", "p50", "max", "bytes"]);
    let mut bad = Vec::new();
    for path in routes().iter().map(String::as_str).chain(MORE) {
        let (status, body) = get(path).1;
        assert!([200, 303].contains(&status), "{path}: {status} {}", String::from_utf8_lossy(&body));
        let times = Samples::new((0..TIMES).map(|_| get(path).0).collect());
        let is_bad = times.median() > LONGEST || body.len() > LARGEST;
        bad.extend(is_bad.then(|| path.to_owned()));
        report.row(&[path.to_owned(), shown(times.median()), shown(times.max()), grouped(body.len() as u64)]);
    }
    report.print();
    println!(
        "\nabove {} or {} bytes: {}",
        shown(LONGEST),
        grouped(LARGEST as u64),
        if bad.is_empty() { "none".into() } else { bad.join(", ") }
    );
}

/// The pages of the workbench, with ids in the places of ids.
fn routes() -> Vec<String> {
    let source = include_str!("../../src/workbench/mod.rs");
    let routes = source.lines().filter(|line| line.contains("get(")).filter_map(|line| line.split_once(".route(\"")?.1.split_once('"'));
    let of = |route: &str| {
        let record = route.replace("{app}", "notes").replace("{table}", "notes");
        let id = match route.split('/').nth(1) {
            Some("agents") => "a1",
            Some("runs") => "r1",
            Some("records") => "n1",
            Some("templates") => "habit-coach",
            _ => "m1",
        };
        record.replace("{id}", id).replace("{n}", "1")
    };
    let is_page =
        |route: &str| !["/assets", "/live", "/offline", "/link", "/who", "/remove", "{form}"].iter().any(|part| route.contains(part));
    routes.map(|(route, _)| route).filter(|route| is_page(route)).map(of).collect()
}

/// Snapshots by the program itself, and runs, tokens and decisions by SQL.
fn fill(dir: &Path, missions: u64, runs: u64, notes: u64) {
    let c = Connection::open(dir.join(Store::FILE_NAME)).expect("the database");
    for (pragma, value) in [("synchronous", "off"), ("cache_size", "-1000000")] {
        c.pragma_update(None, pragma, value).expect("a faster mode");
    }
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)";
    // Some of each were deleted.
    for (app, table, prefix, of) in [("ai", "aiMissions", "m", missions), ("notes", "notes", "n", notes)] {
        let deleted = format!(
            "{numbers}, base (at) AS (SELECT max(sync_at) + 1 FROM sync_changes) \
             INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
             SELECT lower(hex(randomblob(4)) || '-0000-4000-8000-' || hex(randomblob(6))), ?2, ?3, ?4 || (?5 - 1 - i), 'u0', 'delete', json_object('deletedAt', '2026-04-15T08:00:00.000Z'), 'bench', \
             at + i, at + i FROM n, base"
        );
        c.execute(&deleted, params![(of / 50).max(1), app, table, prefix, of]).expect("deleted records");
    }
    drop(c);
    let store = Store::open(dir, &Options { durable: false, ..Options::default() }).expect("the database");
    runtime().block_on(mana_ai::projection::refresh(&store)).expect("snapshots");
    drop(store);
    let c = Connection::open(dir.join(Store::FILE_NAME)).expect("the database");
    for (pragma, value) in [("synchronous", "off"), ("cache_size", "-1000000")] {
        c.pragma_update(None, pragma, value).expect("a faster mode");
    }
    let now = jiff::Timestamp::now().as_microsecond();
    let step = 90 * 86_400_000_000_i64 / i64::try_from(runs).expect("a number");
    c.execute(
        &format!(
            "{numbers} INSERT INTO runs (id, user_id, mission_id, agent_id, iteration_id, scheduled_for, claimed_at, finished_at, outcome, reason, \
             iteration) SELECT 'r' || i, 'u0', 'm' || (i % ?2), 'a' || (i % ?2 % 20), 'it-' || i, ?3 - i * ?4, ?3 - i * ?4, ?3 - i * ?4 + 2000000, \
             iif(i % 10 = 0, 'failed', 'planned'), iif(i % 10 = 0, 'the model server did not answer in time', NULL), \
             json_object('id', 'it-' || i, 'source', 'server', 'overallStatus', 'approved', 'summary', 'Two things stand out', 'plan', json('[]')) FROM n"
        ),
        params![runs, missions, now, step],
    )
    .expect("runs");
    c.execute_batch(
        "INSERT INTO run_attempts (run_id, attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, prompt_version, prompt_tokens, \
         completion_tokens, total_tokens, error, prompt_chars, rounds, log_seq) SELECT id, 1, user_id, agent_id, claimed_at, finished_at, 2000, 'model', 'v', 700, 50, 750, \
         reason, 2000, '[{\"asFunctions\":true,\"latencyMs\":2000,\"promptTokens\":700,\"completionTokens\":50,\"answer\":null}]', \
         (SELECT max(seq) FROM sync_changes) FROM runs; \
         INSERT INTO user_quarters (user_id, quarter, tokens) SELECT user_id, finished_at / 900000000, sum(total_tokens) FROM run_attempts GROUP BY 1, 2; \
         INSERT INTO agent_days (user_id, day, agent_id, tokens) SELECT user_id, finished_at / 86400000000, agent_id, sum(total_tokens) FROM run_attempts \
         GROUP BY 1, 2, 3; \
         INSERT INTO mission_days (user_id, mission_id, day, tokens) SELECT user_id, mission_id, finished_at / 86400000000, count(*) * 750 FROM runs \
         GROUP BY 1, 2, 3; \
         INSERT OR IGNORE INTO decided_steps (user_id, mission_id, iteration_id, step_id, at, verdict, agent_id, tool, summary, reason) \
         SELECT user_id, mission_id, iteration_id, 's', finished_at, iif(rowid % 5 = 0, 'rejected', 'approved'), agent_id, 'create_task', \
         'Write a task about it', iif(rowid % 5 = 0, 'Not this week, please', '') FROM runs WHERE rowid % 5 < 2; \
         ANALYZE",
    )
    .expect("what follows from them");
}
