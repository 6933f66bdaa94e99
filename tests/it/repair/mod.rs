//! `check` and `check --repair`: whatever does not follow from the log is named, and made again from it; the log itself
//! stays as it is, and what is wrong with it is not pretended away (docs/design.md, section 12).

mod beside;
mod fixable;
mod lost;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Mana, Model, Ran, Reply, edit, hourly, insert, metric, rounds, wait_for};
use mana_ai::store::Store;
use rusqlite::Connection;
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";

fn quiet() -> Mana {
    Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9")
}

fn database(mana: &Mana) -> PathBuf {
    mana.dir.path().join(Store::FILE_NAME)
}

/// The database, for whoever damages it: no key between tables is minded.
fn direct(mana: &Mana) -> Connection {
    let connection = Connection::open(database(mana)).unwrap();
    connection.busy_timeout(Duration::from_secs(60)).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
}

#[track_caller]
fn damage(mana: &Mana, sql: &str) {
    direct(mana).execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

fn settle(mana: &Mana) {
    direct(mana).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    assert!(!mana.dir.path().join("mana-ai.db-wal").exists());
}

/// A sound database, which tests damage copies of.
struct World {
    dir: tempfile::TempDir,
    state: State,
}

impl World {
    fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Agents and missions of every kind, some of them planned.
fn world() -> World {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    let mut paused = hourly("ada", "paused", None, DUE);
    paused["data"]["state"] = json!("paused");
    let mut deleted = hourly("ada", "deleted", None, DUE);
    deleted["data"]["deletedAt"] = json!("2026-04-15T07:30:00.000Z");
    let ended = json!({
        "appId": "ai", "table": "aiMissions", "recordId": "ended", "userId": "ada", "op": "delete", "clientId": "phone",
        "createdAt": "2026-04-15T07:30:00.000000Z",
    });
    let lines = [
        insert("ada", "agents", "robin", json!({"name": "Robin", "memory": "likes tea", "maxTokensPerDay": 1_000_000})),
        insert("ada", "agents", "gone", json!({"name": "Gone", "state": "archived"})),
        hourly("ada", "one", Some("robin"), DUE),
        hourly("ada", "two", None, DUE),
        hourly("ben", "one", None, DUE),
        hourly("ben", "later", None, "2100-01-01T00:00:00.000Z"),
        paused,
        deleted,
        hourly("ada", "ended", None, DUE),
        ended,
        edit("ada", "two", json!({"title": "Two, edited"}), "2026-04-15T07:40:00.000Z"),
        insert("ada", "notes", "n", json!({"title": "a note"})),
    ];
    mana.import(&lines);
    let stats: Value = serde_json::from_str(&mana.run(&["tick", "--now", DUE, "--json"]).stdout).unwrap();
    assert_eq!(stats["plansWrittenBack"], 3, "{stats}");
    assert_eq!(mana.run(&["check"]).code, Some(0));
    let state = state(&mana);
    settle(&mana);
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(database(&mana), dir.path().join("sound.db")).unwrap();
    World { dir, state }
}

/// A directory of its own with this database.
fn laid(sound: &Path) -> Mana {
    let mana = quiet();
    std::fs::copy(sound.join("sound.db"), database(&mana)).unwrap();
    mana
}

/// What one looks at before and after: the log, the due missions, and every table that was made out of the log.
#[derive(Debug, PartialEq)]
struct State {
    log: String,
    due: String,
    agents: String,
    tables: Vec<String>,
}

const TABLES: [&str; 5] = [
    "SELECT user_id, agent_id, record, field_meta, liveness, state, name, role, avatar, last_seq, last_applied_at FROM agent_snapshots ORDER BY 1, 2",
    "SELECT user_id, mission_id, record, field_meta, liveness, state, agent_id, next_run_at, awaiting_review, client_active_at, \
     unscheduled, waiting_since, title_key, title, objective, last_seq, last_applied_at FROM mission_snapshots ORDER BY 1, 2",
    "SELECT * FROM mission_counts ORDER BY state",
    "SELECT * FROM runs ORDER BY id",
    "SELECT * FROM run_attempts ORDER BY run_id, attempt",
];

fn dump(connection: &Connection, query: &str) -> String {
    let mut statement = connection.prepare(query).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values = (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap()));
        Ok(values.collect::<Vec<_>>().join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

fn tables(mana: &Mana) -> Vec<String> {
    TABLES.iter().map(|query| dump(&direct(mana), query)).collect()
}

/// The rows of the log, to the byte.
fn log(mana: &Mana) -> String {
    dump(&direct(mana), "SELECT * FROM sync_changes ORDER BY seq")
}

#[track_caller]
fn state(mana: &Mana) -> State {
    let said = |args: &[&str]| {
        let ran = mana.run(args);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    };
    State {
        log: log(mana),
        due: said(&["missions", "--due", "--now", "2026-04-15T09:00:00Z", "--json"]),
        agents: said(&["agents", "--json"]),
        tables: tables(mana),
    }
}

/// What `check --json` says.
#[track_caller]
fn says(ran: &Ran) -> Value {
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    let line = serde_json::from_str(ran.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let Value::Object(said) = &line else { panic!("{line}") };
    assert_eq!(said.keys().collect::<Vec<_>>(), ["sound", "rows", "records", "findings", "repaired", "setAside"]);
    assert_eq!(said["sound"] == true, said["findings"].as_array().unwrap().is_empty(), "{line}");
    assert_eq!(said["sound"] == true, ran.code == Some(0), "{ran:?}");
    line
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Checks that a damage is found by this name, and fixed: all is as it was before.
#[track_caller]
fn fixes(sound: &World, sql: &str, named: &str) {
    let mana = laid(sound.path());
    damage(&mana, sql);
    let damaged = tables(&mana);
    assert!(damaged != sound.state.tables, "{sql}: it changes nothing");

    let found = mana.run(&["check", "--json"]);
    let check = says(&found);
    assert!(found.code == Some(1) && texts(&check["findings"]).iter().any(|text| text.contains(named)), "{sql}: {found:?}");
    assert!(check["repaired"] == json!([]) && found.stderr.contains("--repair"), "{sql}: {found:?}");
    assert_eq!(tables(&mana), damaged, "{sql}: a check alone fixes nothing");

    let repaired = mana.run(&["check", "--repair", "--json"]);
    let repair = says(&repaired);
    assert_eq!(repaired.code, Some(0), "{sql}: {repaired:?}");
    assert!(texts(&repair["repaired"]).iter().any(|text| text.contains(named)), "{sql}: {repair}");
    let again = says(&mana.run(&["check", "--json"]));
    assert!(again["sound"] == true && again["repaired"] == json!([]), "{sql}: {again}");
    assert_eq!(state(&mana), sound.state, "{sql}");
    assert_eq!(mana.integrity(), "ok");
}
