//! What costs one user more when others have more: the same things, asked of a small installation and of a large one. What
//! that user waits for must not grow; a tick decides about the missions of all. `MANA_BENCH_SHRINK` makes the large one smaller.

use std::path::Path;
use std::time::{Duration, Instant};

use mana_ai::store::{Options, Store};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::attack::sign_in;
use crate::common::world::Log;
use crate::common::{Report, Samples, grouped, number, ratio, shown};
use crate::program::{Server, output, runtime, tick, token};

/// More than this many times as long is growth.
const SAME: f64 = 1.5;
const TIMES: usize = 41;
const KEY: &str = "measured-with-a-key-of-its-own";

/// What others have.
struct Others {
    users: u64,
    /// Each is due, and has an agent that is paused.
    missions: u64,
    notes: u64,
    ended_runs: u64,
    open_runs: u64,
}

/// Times by what was done.
type Measured = Vec<(String, Duration)>;

pub fn run() {
    let shrink = number("MANA_BENCH_SHRINK", 1).max(1);
    let scaled = |size: u64| (size / shrink).max(100);
    let small = Others { users: 10, missions: 100, notes: 10_000.min(scaled(1_000_000)), ended_runs: 100, open_runs: 10 };
    let large = Others {
        users: scaled(100_000),
        missions: scaled(100_000),
        notes: scaled(1_000_000),
        ended_runs: scaled(1_000_000),
        open_runs: scaled(100_000) / 2,
    };
    let title = |of: &Others| {
        let Others { users, missions, notes, ended_runs, open_runs } = of;
        let [users, missions, notes, ended, open] = [users, missions, notes, ended_runs, open_runs].map(|n| grouped(*n));
        format!("{users} users, {missions} due but blocked missions, {notes} notes, {ended} ended and {open} open runs")
    };
    println!("\nWhat one user waits for beside others: {}, and {}", title(&small), title(&large));
    let (of_small, of_large) = (measure(&small), measure(&large));
    let mut report = Report::new("Growth", &["", "few others", "many others", "times"]);
    let mut grown = Vec::new();
    for ((name, few), (_, many)) in of_small.into_iter().zip(of_large) {
        let times = ratio(many, few);
        report.row(&[name.clone(), shown(few), shown(many), format!("{times:.2}")]);
        if times > SAME && many > Duration::from_millis(1) {
            grown.push(name);
        }
    }
    report.print();
    println!("\nmore than {SAME} times as long, and above 1 ms: {}", if grown.is_empty() { "nothing".into() } else { grown.join(", ") });
}

/// The median of each thing that one user does.
fn measure(others: &Others) -> Measured {
    let dir = tempfile::tempdir().expect("a directory");
    make(dir.path(), others);
    let runtime = runtime();
    let token = token(dir.path(), "me");
    let server = Server::start(dir.path(), &[("MANA_SERVICE_KEY", KEY)]);
    let cookie = runtime.block_on(sign_in(&server.url, &token));
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let mut measured = Vec::new();
    let mut add = |name: &str, once: &mut dyn FnMut(usize)| {
        // What has to be read or folded once is no part of it.
        once(0);
        let time = |n| {
            let started = Instant::now();
            once(n);
            started.elapsed()
        };
        measured.push((name.to_owned(), Samples::new((1..=TIMES).map(time).collect()).median()));
    };
    let push = |app: &str, change: Value| {
        let body = json!({"clientId": "phone", "appId": app, "since": "2099-01-01T00:00:00.000Z", "changes": [change]});
        let request = http.post(format!("{}/sync/{app}", server.url)).bearer_auth(&token).json(&body);
        assert_eq!(runtime.block_on(request.send()).expect("an answer").status(), 200, "no push fails");
    };
    add("push one change", &mut |n| {
        push("notes", json!({"table": "notes", "id": format!("new-{n}"), "op": "insert", "data": {"title": "a note"}}));
    });
    add("pull 1,000 rows from the start", &mut |_| {
        let url = format!("{}/sync/notes/pull?collection=notes&since=1970-01-01T00:00:00.000Z", server.url);
        let answer = runtime.block_on(http.get(url).bearer_auth(&token).header("x-client-id", "desk").send()).expect("an answer");
        assert_eq!(answer.status(), 200);
        runtime.block_on(answer.bytes()).expect("a body");
    });
    add("idle tick", &mut |_| drop(runtime.block_on(tick(&server.url, KEY))));
    add("push a change of a mission, and tick", &mut |n| {
        let at = jiff::Timestamp::now().to_string();
        let fields = json!({"title": {"value": format!("Mission, edited {n} times"), "updatedAt": at}});
        push("ai", json!({"table": "aiMissions", "id": "mine-1", "op": "update", "fields": fields}));
        runtime.block_on(tick(&server.url, KEY));
    });
    for page in
        ["/", "/missions", "/missions/mine-1", "/runs", "/review", "/insights", "/calendar", "/records", "/records/notes/notes", "/deleted"]
    {
        add(&format!("page {page}"), &mut |_| {
            let answer = runtime.block_on(http.get(format!("{}{page}", server.url)).header("cookie", &cookie).send()).expect("an answer");
            assert!([200, 303].contains(&answer.status().as_u16()), "{page}");
            runtime.block_on(answer.bytes()).expect("a body");
        });
    }
    drop(server);
    for command in ["missions", "runs", "agents"] {
        add(&format!("mana-ai {command} --user me"), &mut |_| drop(output(dir.path(), &[command, "--user", "me", "--json"])));
    }
    add("mana-ai explain", &mut |_| drop(output(dir.path(), &["explain", "mine-1", "--user", "me", "--json"])));
    measured
}

/// The rows of all, and the runs of all by SQL.
fn make(dir: &Path, others: &Others) {
    let Others { users, missions, notes, ended_runs, open_runs } = *others;
    Log { users, agents: users, missions, updates: 0, plans_every: 0, others: notes, due_every: 1 }.make(dir);
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)";
    let rows = |app: &str, table: &str, user: &str, id: &str, op: &str, data: &str| {
        format!(
            "{numbers}, base (at) AS (SELECT max(sync_at) + 1 FROM sync_changes) \
             INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
             SELECT lower(hex(randomblob(4)) || '-0000-4000-8000-' || hex(randomblob(6))), '{app}', '{table}', {id}, {user}, '{op}', {data}, \
             'bench', at + i, at + i FROM n, base"
        )
    };
    let c = quick(dir);
    let mine = "json_object('title', 'Mission ' || i, 'objective', 'Keep an eye on it', 'state', 'active', 'cadence', \
                json('{\"kind\": \"daily\", \"atHour\": 8}'), 'nextRunAt', '2099-01-01T08:00:00.000Z', 'inputs', json('[]'), \
                'iterations', json('[]'), 'agentId', 'mine')";
    for (query, count) in [
        (rows("ai", "agents", "'u' || i", "'a' || i", "update", "json_object('state', 'paused')"), users),
        (rows("ai", "agents", "'me'", "'mine'", "insert", "json_object('name', 'Mine', 'state', 'active')"), 1),
        (rows("ai", "aiMissions", "'me'", "'mine-' || i", "insert", mine), 20),
        (rows("notes", "notes", "'me'", "'mine-' || i", "insert", "json_object('title', 'a note of mine')"), 100),
    ] {
        c.execute(&query, [count]).expect("rows");
    }
    drop(c);
    let store = Store::open(dir, &Options { durable: false, ..Options::default() }).expect("the database");
    runtime().block_on(mana_ai::projection::refresh(&store)).expect("snapshots");
    drop(store);
    let c = quick(dir);
    let now = jiff::Timestamp::now().as_microsecond();
    let run = |user: &str, mission: &str, agent: &str, id: &str, ended: bool| {
        let (finished, outcome) = if ended { ("?2 - i * 1000000 + 2000000", "'planned'") } else { ("NULL", "NULL") };
        format!(
            "{numbers} INSERT INTO runs (id, user_id, mission_id, agent_id, iteration_id, scheduled_for, claimed_at, finished_at, outcome, \
             next_attempt_at) SELECT '{id}' || i, {user}, {mission}, {agent}, '{id}-it-' || i, ?2 - i * 1000000, ?2 - i * 1000000, {finished}, \
             {outcome}, iif({outcome} IS NULL, 4000000000000000, NULL) FROM n"
        )
    };
    let (user, mission) = (format!("'u' || (i % {users})"), format!("'m' || (i % {missions})"));
    let agent = format!("'a' || (i % {users})");
    for (query, count) in [
        (run(&user, &mission, &agent, "r", true), ended_runs),
        (run(&user, &mission, &agent, "open-", false), open_runs),
        (run("'me'", "'mine-' || (i % 20)", "'mine'", "mine-", true), 50),
    ] {
        c.execute(&query, params![count, now]).expect("runs");
    }
    c.execute_batch(
        "INSERT INTO run_attempts (run_id, attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, prompt_version, prompt_tokens, \
         completion_tokens, total_tokens) SELECT id, 1, user_id, agent_id, claimed_at, claimed_at + 2000000, 2000, 'model', 'v', 700, 50, 750 \
         FROM runs WHERE outcome IS NOT NULL",
    )
    .expect("attempts");
}

/// A connection to a database that is thrown away.
fn quick(dir: &Path) -> Connection {
    let c = Connection::open(dir.join(Store::FILE_NAME)).expect("the database");
    for (pragma, value) in [("synchronous", "off"), ("cache_size", "-1000000")] {
        c.pragma_update(None, pragma, value).expect("a faster mode");
    }
    c
}
