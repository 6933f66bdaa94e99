//! `check` and `check --repair`: whatever does not follow from the log is named, and made again from it; the log itself
//! stays as it is, and what is wrong with it is not pretended away (docs/design.md, section 12).

mod common;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Mana, Model, Ran, Reply, edit, hourly, insert, metric, wait_for};
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

/// Agents and missions of every kind, some of them planned: file of a sound database.
fn world() -> tempfile::TempDir {
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
    settle(&mana);
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(database(&mana), dir.path().join("sound.db")).unwrap();
    dir
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
    "SELECT user_id, agent_id, record, field_meta, liveness, state, last_seq, last_applied_at FROM agent_snapshots ORDER BY 1, 2",
    "SELECT user_id, mission_id, record, field_meta, liveness, state, agent_id, next_run_at, last_seq, last_applied_at \
     FROM mission_snapshots ORDER BY 1, 2",
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
fn fixes(sound: &Path, sql: &str, named: &str) {
    let mana = laid(sound);
    let before = state(&mana);
    damage(&mana, sql);
    let damaged = tables(&mana);
    assert!(damaged != before.tables, "{sql}: it changes nothing");

    let found = mana.run(&["check", "--json"]);
    let check = says(&found);
    assert!(found.code == Some(1) && texts(&check["findings"]).iter().any(|text| text.contains(named)), "{sql}: {found:?}");
    assert!(check["repaired"] == json!([]) && found.stderr.contains("--repair"), "{sql}: {found:?}");
    let told = mana.run(&["check"]);
    assert!(told.code == Some(1) && told.stdout.contains(named), "{sql}: {told:?}");
    assert_eq!(tables(&mana), damaged, "{sql}: a check alone fixes nothing");

    let repaired = mana.run(&["check", "--repair", "--json"]);
    let repair = says(&repaired);
    assert_eq!(repaired.code, Some(0), "{sql}: {repaired:?}");
    assert!(texts(&repair["repaired"]).iter().any(|text| text.contains(named)), "{sql}: {repair}");
    let again = says(&mana.run(&["check", "--json"]));
    assert!(again["sound"] == true && again["repaired"] == json!([]), "{sql}: {again}");
    assert_eq!(state(&mana), before, "{sql}");
    assert_eq!(mana.integrity(), "ok");
}

#[test]
fn records_that_were_forged_are_folded_again() {
    let world = world();
    for (sql, named) in [
        (
            "UPDATE mission_snapshots SET record = '{\"id\": \"two\", \"title\": \"forged\"}' WHERE mission_id = 'two'",
            "aiMissions two of user ada",
        ),
        (
            "UPDATE mission_snapshots SET record = json_set(record, '$.objective', 'forged') WHERE user_id = 'ben' AND mission_id = 'one'",
            "aiMissions one of user ben",
        ),
        (
            "UPDATE mission_snapshots SET record = json_set(record, '$.iterations', json('[]')) WHERE user_id = 'ada' AND mission_id = 'one'",
            "aiMissions one of user ada",
        ),
        ("UPDATE mission_snapshots SET record = '{}', field_meta = '{}' WHERE mission_id = 'later'", "aiMissions later of user ben"),
        (
            "UPDATE mission_snapshots SET field_meta = json_set(field_meta, '$.title', '2099-01-01T00:00:00.000Z') WHERE mission_id = 'two'",
            "aiMissions two of user ada",
        ),
        ("UPDATE agent_snapshots SET record = json_set(record, '$.memory', 'forged') WHERE agent_id = 'robin'", "agents robin of user ada"),
        (
            "UPDATE agent_snapshots SET record = json_set(record, '$.maxTokensPerDay', 1) WHERE agent_id = 'robin'",
            "agents robin of user ada",
        ),
        ("UPDATE mission_snapshots SET record = '{\"id\": \"ended\"}' WHERE mission_id = 'ended'", "aiMissions ended of user ada"),
    ] {
        fixes(world.path(), sql, named);
    }
}

#[test]
fn records_that_are_no_longer_json_are_folded_again() {
    let world = world();
    for (column, text) in [("record", "not JSON"), ("record", "[1, 2]"), ("record", ""), ("record", "{"), ("field_meta", "not JSON")] {
        let sql = format!("UPDATE mission_snapshots SET {column} = '{text}' WHERE mission_id = 'two'");
        fixes(world.path(), &sql, "aiMissions two of user ada");
    }
    fixes(world.path(), "UPDATE agent_snapshots SET record = 'not JSON' WHERE agent_id = 'robin'", "agents robin of user ada");
}

#[test]
fn records_that_are_no_longer_text_are_folded_again() {
    let world = world();
    let mut wrong = Vec::new();
    for (table, column) in [
        ("mission_snapshots", "record"),
        ("mission_snapshots", "field_meta"),
        ("mission_snapshots", "state"),
        ("mission_snapshots", "agent_id"),
        ("agent_snapshots", "record"),
        ("agent_snapshots", "field_meta"),
        ("agent_snapshots", "state"),
    ] {
        let mana = laid(world.path());
        let before = state(&mana);
        // As a bit that a disk flipped leaves it.
        damage(&mana, &format!("UPDATE {table} SET {column} = CAST(x'7b22ff227d' AS TEXT)"));
        let [found, repaired] = [mana.run(&["check", "--json"]), mana.run(&["check", "--repair", "--json"])];
        assert!(!found.stderr.contains("panicked") && !repaired.stderr.contains("panicked"), "{found:?} {repaired:?}");
        if found.code != Some(1) || !found.stdout.contains("two of user ada") && !found.stdout.contains("robin of user ada") {
            wrong.push(format!("{table}.{column}: check does not name it: {found:?}"));
        }
        if repaired.code != Some(0) || state(&mana) != before {
            wrong.push(format!("{table}.{column}: not fixed: {repaired:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn snapshots_that_are_missing_are_made_again() {
    let world = world();
    for (sql, named) in [
        ("DELETE FROM mission_snapshots WHERE user_id = 'ada' AND mission_id = 'one'", "aiMissions one of user ada"),
        ("DELETE FROM mission_snapshots WHERE mission_id = 'ended'", "aiMissions ended of user ada"),
        ("DELETE FROM agent_snapshots WHERE agent_id = 'robin'", "agents robin of user ada"),
        ("DELETE FROM mission_snapshots", "aiMissions later of user ben"),
        ("DELETE FROM mission_snapshots; DELETE FROM agent_snapshots", "agents gone of user ada"),
    ] {
        fixes(world.path(), sql, named);
    }
}

#[test]
fn snapshots_without_rows_are_taken_away() {
    let world = world();
    let mission = |user: &str, id: &str| {
        format!(
            "INSERT INTO mission_snapshots (user_id, mission_id, record, field_meta, liveness, state, agent_id, next_run_at, last_seq, \
             last_applied_at, updated_at) SELECT '{user}', '{id}', record, field_meta, liveness, state, agent_id, next_run_at, last_seq, \
             last_applied_at, updated_at FROM mission_snapshots WHERE user_id = 'ada' AND mission_id = 'two'"
        )
    };
    fixes(world.path(), &mission("ada", "ghost"), "aiMissions ghost of user ada");
    // An id that only another user has.
    fixes(world.path(), &mission("ben", "two"), "aiMissions two of user ben");
    fixes(world.path(), &mission("nobody", "two"), "aiMissions two of user nobody");
    // A record of that name in another table, and one that only differs in its case.
    fixes(world.path(), &mission("ada", "robin"), "aiMissions robin of user ada");
    fixes(world.path(), &mission("ada", "n"), "aiMissions n of user ada");
    fixes(world.path(), &mission("ada", "TWO"), "aiMissions TWO of user ada");
    let agent = "INSERT INTO agent_snapshots SELECT 'ben', agent_id, record, field_meta, liveness, state, last_seq, last_applied_at, updated_at \
         FROM agent_snapshots WHERE agent_id = 'robin'";
    fixes(world.path(), agent, "agents robin of user ben");
    let tombstone = "INSERT INTO mission_snapshots (user_id, mission_id, record, field_meta, liveness, state, last_seq, last_applied_at, \
                     updated_at) VALUES ('ada', 'ghost', '{}', '{}', 'ended', 'active', 1, 1, 1)";
    fixes(world.path(), tombstone, "aiMissions ghost of user ada");
}

#[test]
fn columns_that_do_not_follow_from_the_record_are_set_again() {
    let world = world();
    for (set, mission) in [
        // It would not run, or at another time, or under another agent.
        ("state = 'paused'", "two"),
        ("state = 'nonsense'", "two"),
        ("next_run_at = NULL", "two"),
        ("next_run_at = next_run_at + 1", "two"),
        ("next_run_at = -1", "two"),
        ("next_run_at = 9223372036854775807", "later"),
        ("agent_id = 'gone'", "two"),
        ("agent_id = NULL", "one"),
        ("liveness = 'deleted'", "two"),
        ("liveness = 'ended'", "two"),
        // It would run though it must not.
        ("state = 'active'", "paused"),
        ("liveness = 'live'", "deleted"),
        ("liveness = 'live'", "ended"),
        // How far it was folded.
        ("last_seq = last_seq + 1000000", "two"),
        ("last_seq = 9223372036854775807", "two"),
        ("last_seq = last_seq - 1", "two"),
        ("last_seq = 0", "two"),
        ("last_seq = -1", "two"),
        ("last_applied_at = last_applied_at + 1", "two"),
    ] {
        let sql = format!("UPDATE mission_snapshots SET {set} WHERE mission_id = '{mission}'");
        println!("{sql}");
        fixes(world.path(), &sql, &format!("aiMissions {mission} of user"));
    }
    for set in
        ["state = 'paused'", "state = 'active', liveness = 'deleted'", "liveness = 'ended'", "last_seq = 1000000", "last_applied_at = 0"]
    {
        fixes(world.path(), &format!("UPDATE agent_snapshots SET {set} WHERE agent_id = 'robin'"), "agents robin of user ada");
    }
}

#[test]
fn missions_that_were_counted_wrong_are_counted_again() {
    let world = world();
    for sql in [
        "UPDATE mission_counts SET missions = missions + 5 WHERE state = 'active'",
        "UPDATE mission_counts SET missions = -1 WHERE state = 'active'",
        "UPDATE mission_counts SET missions = 0",
        "UPDATE mission_counts SET missions = missions + 1 WHERE state = 'active'; UPDATE mission_counts SET missions = missions - 1 WHERE state = 'paused'",
    ] {
        fixes(world.path(), sql, "active missions");
    }
}

#[test]
fn missions_that_are_not_counted_at_all_are_counted_again() {
    let world = world();
    fixes(world.path(), "DELETE FROM mission_counts WHERE state = 'active'", "active missions");
    fixes(world.path(), "DELETE FROM mission_counts", "active missions");
}

#[test]
fn attempts_without_a_run_are_taken_away() {
    let world = world();
    let attempt = |run: &str| {
        format!(
            "INSERT INTO run_attempts (run_id, attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, prompt_version, \
             total_tokens) VALUES ('{run}', 1, 'ada', 'robin', 1, 1, 1, 'm', 'v', 999999)"
        )
    };
    fixes(world.path(), &attempt("nowhere"), "attempt");
    fixes(world.path(), &format!("{}; {}", attempt("nowhere"), attempt("nowhere else")), "attempts belong to no run");
}

#[test]
fn a_projection_that_read_beyond_the_log_is_set_back() {
    let world = world();
    for (sql, named) in [
        ("UPDATE projection_cursors SET seq = seq + 100 WHERE table_name = 'aiMissions'", "aiMissions"),
        ("UPDATE projection_cursors SET seq = 9223372036854775807 WHERE table_name = 'agents'", "agents"),
    ] {
        let mana = laid(world.path());
        let before = state(&mana);
        damage(&mana, sql);
        let found = says(&mana.run(&["check", "--json"]));
        assert!(texts(&found["findings"]).iter().any(|text| text.contains(named) && text.contains("the log ends")), "{sql}: {found}");
        let repaired = mana.run(&["check", "--repair", "--json"]);
        assert!(repaired.code == Some(0) && texts(&says(&repaired)["repaired"]).iter().any(|text| text.contains(named)), "{repaired:?}");
        assert_eq!(state(&mana), before, "{sql}");
        // What comes later is seen.
        mana.import(&[
            hourly("ada", "new", Some("fresh"), DUE),
            insert("ada", "agents", "fresh", json!({"name": "Fresh"})),
            edit("ada", "two", json!({"title": "later"}), "2099-01-01T00:00:00.000Z"),
        ]);
        assert_eq!((mana.mission("new")["title"].as_str(), mana.mission("two")["title"].as_str()), (Some("Mission new"), Some("later")));
        assert!(mana.run(&["agents"]).stdout.contains("Fresh"));
        assert_eq!(mana.run(&["check"]).code, Some(0));
    }
}

#[test]
fn rows_that_a_projection_passed_over_are_folded() {
    let world = world();
    let mana = laid(world.path());
    damage(&mana, "UPDATE projection_cursors SET seq = seq + 3 WHERE table_name = 'aiMissions'");
    mana.import(&[hourly("ada", "new", None, DUE), edit("ada", "two", json!({"title": "later"}), "2099-01-01T00:00:00.000Z")]);
    for n in 0..5 {
        mana.import(&[hourly("ada", &format!("after-{n}"), None, DUE)]);
    }
    let found = mana.run(&["check", "--json"]);
    assert!(found.code == Some(1) && found.stdout.contains("aiMissions new of user ada"), "{found:?}");
    let before = log(&mana);
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert_eq!(mana.mission("two")["title"], "later");
    let due = mana.run(&["missions", "--due", "--now", DUE, "--json"]).json();
    assert!(["new", "after-0", "after-4"].iter().all(|id| due.iter().any(|mission| mission["id"] == *id)), "{due:?}");
    assert_eq!(log(&mana), before);
}

#[test]
fn a_record_that_was_ahead_of_its_log_takes_what_comes_after_a_repair() {
    let world = world();
    let mana = laid(world.path());
    damage(&mana, "UPDATE mission_snapshots SET last_seq = 1000000 WHERE mission_id = 'two'");
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    mana.import(&[edit("ada", "two", json!({"title": "later"}), "2099-01-01T00:00:00.000Z")]);
    assert_eq!(mana.mission("two")["title"], "later");
    assert_eq!(mana.run(&["check"]).code, Some(0));
}

#[test]
fn everything_that_is_wrong_is_fixed_at_once() {
    let world = world();
    let mana = laid(world.path());
    let before = state(&mana);
    damage(
        &mana,
        "UPDATE mission_snapshots SET record = '{}' WHERE mission_id = 'two'; \
         DELETE FROM mission_snapshots WHERE mission_id = 'later'; \
         UPDATE mission_snapshots SET next_run_at = 0, state = 'active' WHERE mission_id = 'paused'; \
         INSERT INTO agent_snapshots VALUES ('zoe', 'ghost', '{}', '{}', 'live', 'active', 1, 1, 1); \
         UPDATE projection_cursors SET seq = 1000000; \
         UPDATE mission_counts SET missions = 77; \
         INSERT INTO run_attempts SELECT 'nowhere', attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, \
         prompt_version, prompt_tokens, completion_tokens, total_tokens, error, prompt_chars, calls FROM run_attempts LIMIT 1",
    );
    let found = says(&mana.run(&["check", "--json"]));
    let named = ["aiMissions two", "aiMissions later", "aiMissions paused", "agents ghost", "the log ends", "active missions", "no run"];
    for name in named {
        assert!(texts(&found["findings"]).iter().any(|text| text.contains(name)), "{name}: {found}");
    }
    let repaired = mana.run(&["check", "--repair"]);
    assert_eq!(repaired.code, Some(0), "{repaired:?}");
    // A table may break its lines.
    let shown: String =
        repaired.stdout.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    for name in named {
        assert!(shown.contains(name), "{name}: {}", repaired.stdout);
    }
    assert!(shown.contains("Sound"), "{}", repaired.stdout);
    assert_eq!(state(&mana), before);
    // Nothing is left to fix.
    let after = tables(&mana);
    let again = says(&mana.run(&["check", "--repair", "--json"]));
    assert!(again["sound"] == true && again["repaired"] == json!([]), "{again}");
    assert_eq!(tables(&mana), after);
}

#[test]
fn more_damage_than_is_told_is_fixed_too() {
    const MISSIONS: usize = 10_300;
    let mana = quiet();
    mana.import(&(0..MISSIONS).map(|n| hourly("ada", &format!("m{n}"), None, DUE)).collect::<Vec<_>>());
    mana.run(&["missions"]);
    let before = state(&mana);
    damage(&mana, "UPDATE mission_snapshots SET next_run_at = NULL, state = 'paused'");
    assert_eq!(mana.run(&["check"]).code, Some(1));
    let repaired = mana.run(&["check", "--repair"]);
    assert_eq!(repaired.code, Some(0), "{}", repaired.stderr);
    assert!(state(&mana) == before, "not all were fixed");
    assert_eq!(mana.run(&["check"]).code, Some(0));
}

/// Changes a database while an index of it does not look.
fn behind_the_index(mana: &Mana, index: &str, sql: &str) {
    let connection = direct(mana);
    let row = |c: &Connection| -> (String, String, String, i64, Option<String>) {
        let query = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = ?1";
        c.query_row(query, [index], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))).unwrap()
    };
    let entry = row(&connection);
    connection.execute_batch("PRAGMA writable_schema = on").unwrap();
    connection.execute("DELETE FROM sqlite_schema WHERE name = ?1", [index]).unwrap();
    drop(connection);
    damage(mana, sql);
    let connection = direct(mana);
    connection.execute_batch("PRAGMA writable_schema = on").unwrap();
    let (kind, name, table, root, text) = entry;
    let back = "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?1, ?2, ?3, ?4, ?5)";
    connection.execute(back, rusqlite::params![kind, name, table, root, text]).unwrap();
}

#[test]
fn an_index_that_misses_a_row_is_made_again() {
    let world = world();
    // A due mission that no scan would find.
    let mana = laid(world.path());
    let hide = "UPDATE mission_snapshots SET next_run_at = NULL WHERE mission_id = 'two'";
    let due = direct(&mana).query_row("SELECT next_run_at FROM mission_snapshots WHERE mission_id = 'two'", [], |row| row.get::<_, i64>(0));
    damage(&mana, hide);
    let back = format!("UPDATE mission_snapshots SET next_run_at = {} WHERE mission_id = 'two'", due.unwrap());
    behind_the_index(&mana, "mission_snapshots_due", &back);
    let found = mana.run(&["check", "--json"]);
    assert!(found.code == Some(1) && found.stdout.contains("mission_snapshots_due"), "{found:?}");
    let repaired = mana.run(&["check", "--repair", "--json"]);
    assert!(repaired.code == Some(0) && says(&repaired)["repaired"].to_string().contains("mission_snapshots_due"), "{repaired:?}");
    assert_eq!(mana.integrity(), "ok");

    // A row of the log that no projection would see.
    let mana = laid(world.path());
    let row = "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
         SELECT '11111111-1111-4111-8111-111111111111', 'ai', 'aiMissions', 'hidden', 'ada', 'insert', '{\"title\": \"hidden\"}', 'phone', \
         sync_at + 1, sync_at + 1 FROM sync_changes ORDER BY seq DESC LIMIT 1";
    behind_the_index(&mana, "sync_changes_projected", row);
    let before = log(&mana);
    assert_eq!(mana.run(&["check"]).code, Some(1));
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert_eq!(mana.mission("hidden")["title"], "hidden");
    assert_eq!(log(&mana), before);
    assert_eq!((mana.integrity().as_str(), mana.run(&["check"]).code), ("ok", Some(0)));
}

// What cannot be fixed.

/// Changes the log as only a damage can.
fn rewrite(mana: &Mana, sql: &str) {
    let connection = direct(mana);
    let query = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'sync_changes_no_%'";
    let triggers: Vec<String> = connection.prepare(query).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(triggers.len(), 3);
    let drop = "DROP TRIGGER sync_changes_no_update; DROP TRIGGER sync_changes_no_delete; DROP TRIGGER sync_changes_no_replace";
    connection.execute_batch(drop).unwrap();
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection.execute_batch(&triggers.join(";")).unwrap();
}

/// Checks that a repair does not pretend, leaves the log as it is, and says that a backup is needed.
#[track_caller]
fn needs_a_backup(mana: &Mana, named: &str) -> Value {
    let before = log(mana);
    let found = mana.run(&["check", "--json"]);
    assert!(found.code == Some(1) && says(&found)["findings"].to_string().contains(named), "{found:?}");
    let repaired = mana.run(&["check", "--repair", "--json"]);
    let repair = says(&repaired);
    assert!(repaired.code == Some(1) && texts(&repair["findings"]).iter().any(|text| text.contains(named)), "{repaired:?}");
    assert!(!texts(&repair["repaired"]).iter().any(|text| text.contains(named)), "{repair}");
    assert!(repaired.stderr.contains("backup") && repaired.stderr.contains("mana-ai restore"), "{repaired:?}");
    let shown = mana.run(&["check", "--repair"]);
    assert!(shown.code == Some(1) && !shown.stdout.contains("Sound"), "{shown:?}");
    assert_eq!(log(mana), before, "the log is never touched");
    repair
}

#[test]
fn values_that_are_odd_are_no_findings() {
    let mana = quiet();
    let line = |id: &str, at: &str, data: &str| {
        format!(
            "{{\"appId\":\"ai\",\"table\":\"aiMissions\",\"recordId\":\"{id}\",\"userId\":\"ada\",\"op\":\"update\",\"clientId\":\"c\",\
             \"createdAt\":\"{at}\",\"data\":{data}}}\n"
        )
    };
    let values = [
        r#"{"n":0.10,"m":1e5,"big":12345678901234567890123,"small":-0.0,"tiny":1e-400}"#,
        r#"{"a":1,"a":2,"id":"another","title":null}"#,
        r#"{"title":"\u0000\ud83d\ude00\u2028","":"no name","nextRunAt":"not a time","state":5,"agentId":{}}"#,
        r#"{ "title" : "spaces" , "cadence" : [ [ [ [ ] ] ] ] , "iterations" : "none" }"#,
        r#"{"nextRunAt":"2026-04-15T10:00:00.123456789+02:00","state":"active","deletedAt":""}"#,
        r#"{"nextRunAt":"9999-12-31T23:59:59Z","deletedAt":0}"#,
        "null",
        "{}",
    ];
    for (n, value) in values.iter().enumerate() {
        let lines = line("all", "2026-04-15T08:00:00.000000Z", value) + &line(&format!("m{n}"), "2026-04-15T08:00:00.000001Z", value);
        let imported = mana.run_with(&["import", "-"], &lines);
        assert_eq!(imported.code, Some(0), "{value}: {imported:?}");
        let said = says(&mana.run(&["check", "--json"]));
        assert_eq!(said["sound"], true, "{value}: {said}");
    }
    // The same when all is made anew.
    let before = state(&mana);
    damage(&mana, "DELETE FROM mission_snapshots");
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert_eq!(state(&mana), before);
}

#[test]
fn a_log_that_is_out_of_order_is_not_fixed() {
    let world = world();
    let mana = laid(world.path());
    rewrite(&mana, "UPDATE sync_changes SET sync_at = 1 WHERE seq = 4");
    let said = needs_a_backup(&mana, "row 4 of the log");
    assert!(!said["repaired"].to_string().contains("of the log"), "{said}");

    let mana = laid(world.path());
    rewrite(&mana, "UPDATE sync_changes SET sync_at = (SELECT sync_at FROM sync_changes WHERE seq = 2) WHERE seq = 3");
    needs_a_backup(&mana, "row 3 of the log");
}

#[test]
fn what_can_be_fixed_is_fixed_beside_what_cannot() {
    let world = world();
    let mana = laid(world.path());
    rewrite(&mana, "UPDATE sync_changes SET sync_at = 1 WHERE seq = 4");
    damage(&mana, "UPDATE mission_snapshots SET record = '{}' WHERE mission_id = 'later'; UPDATE mission_counts SET missions = 9");
    let ran = mana.run(&["check", "--repair", "--json"]);
    let said = says(&ran);
    let repaired = said["repaired"].to_string();
    assert!(ran.code == Some(1) && repaired.contains("aiMissions later") && repaired.contains("active missions"), "{ran:?}");
    assert_eq!(mana.mission("later")["title"], "Mission later");
    needs_a_backup(&mana, "row 4 of the log");
}

#[test]
fn an_event_that_is_twice_in_the_log_is_not_fixed() {
    let world = world();
    let mana = laid(world.path());
    let connection = direct(&mana);
    let index = "sqlite_autoindex_sync_changes_1";
    let (root, text): (i64, String) = connection
        .query_row(
            "SELECT i.rootpage, t.sql FROM sqlite_schema i, sqlite_schema t WHERE i.name = ?1 AND t.name = 'sync_changes'",
            [index],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    connection.execute_batch("PRAGMA writable_schema = on").unwrap();
    connection.execute("DELETE FROM sqlite_schema WHERE name = ?1", [index]).unwrap();
    connection
        .execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ',' || char(10) || '    UNIQUE (user_id, id)', '') WHERE name = 'sync_changes'",
            [],
        )
        .unwrap();
    drop(connection);
    rewrite(&mana, "UPDATE sync_changes SET id = (SELECT id FROM sync_changes WHERE seq = 2) WHERE seq = 3");
    let connection = direct(&mana);
    connection.execute_batch("PRAGMA writable_schema = on").unwrap();
    connection.execute("UPDATE sqlite_schema SET sql = ?1 WHERE name = 'sync_changes'", [text]).unwrap();
    let back = "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage) VALUES ('index', ?1, 'sync_changes', ?2)";
    connection.execute(back, rusqlite::params![index, root]).unwrap();
    drop(connection);
    assert_ne!(mana.integrity(), "ok");
    // Rows are found by indexes, so nothing is made again while one of them is wrong.
    damage(&mana, "UPDATE mission_snapshots SET record = '{}' WHERE mission_id = 'later'");
    needs_a_backup(&mana, index);
    assert_eq!(mana.mission("later").get("title"), None);
}

#[test]
fn rows_of_the_log_that_cannot_be_read_are_not_fixed() {
    let world = world();
    let mut wrong = Vec::new();
    for column in ["data", "field_meta", "client_id", "actor", "space_id", "user_id", "record_id", "id"] {
        for text in ["CAST(x'7b22ff227d' AS TEXT)", "'not JSON'", "'{\"open'"] {
            let mana = laid(world.path());
            rewrite(&mana, &format!("UPDATE sync_changes SET {column} = {text} WHERE seq = 4"));
            let [exported, check, repaired] = [&["export"][..], &["check"], &["check", "--repair"]].map(|args| mana.run(args));
            for ran in [&exported, &check, &repaired] {
                assert!(!ran.stderr.contains("panicked"), "{column} = {text}: {ran:?}");
            }
            // A log of which every row can be given out may be called sound.
            let is_json = |line: &str| serde_json::from_str::<Value>(line).is_ok();
            let well = exported.code == Some(0) && exported.stdout.lines().all(is_json);
            if !well && (check.code != Some(1) || repaired.code != Some(1)) {
                wrong.push(format!("{column} = {text}: {:?} {} but export: {:?}", check.code, check.stdout, exported.stderr));
            } else if !well && !repaired.stderr.contains("mana-ai restore") {
                wrong.push(format!("{column} = {text}: does not say what to do: {}", repaired.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rows_of_the_log_that_are_no_json_are_found() {
    let world = world();
    let mut wrong = Vec::new();
    for column in ["data", "field_meta", "actor"] {
        let mana = laid(world.path());
        rewrite(&mana, &format!("UPDATE sync_changes SET {column} = '{{\"title\": \"cut of' WHERE seq = 4"));
        for args in [&["check"][..], &["check", "--repair"]] {
            let ran = mana.run(args);
            if ran.code != Some(1) {
                wrong.push(format!("{column}: {args:?} says {}", ran.stdout));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_damaged_page_of_the_log_is_not_fixed_and_made_no_worse() {
    const PAGE: usize = 4_096;
    let mana = quiet();
    let notes = (0..2_000).map(|n| insert("ada", "notes", &format!("n{n}"), json!({"title": format!("note {n}")})));
    mana.import(&notes.chain([hourly("ada", "m", None, DUE)]).collect::<Vec<_>>());
    mana.run(&["missions"]);
    settle(&mana);
    let page: usize = {
        let connection = direct(&mana);
        let leaf = "SELECT pageno FROM dbstat WHERE name = 'sync_changes' AND pagetype = 'leaf' LIMIT 1 OFFSET 5";
        connection.query_row(leaf, [], |row| row.get(0)).unwrap()
    };
    let mut bytes = std::fs::read(database(&mana)).unwrap();
    bytes[(page - 1) * PAGE..][..PAGE].fill(0x5a);
    std::fs::write(database(&mana), &bytes).unwrap();
    let readable = mana.run(&["export"]).stdout;
    for args in [&["check"][..], &["check", "--repair"]] {
        let ran = mana.run(args);
        assert!(ran.code == Some(1) && !ran.stderr.contains("panicked"), "{ran:?}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains("damaged") && ran.stderr.contains("restore"), "{ran:?}");
        assert!(!ran.stdout.contains("Sound"), "{ran:?}");
    }
    let after = mana.run(&["export"]).stdout;
    assert!(after.starts_with(&readable), "rows that could be read before can be read still");
}

// Beside a server.

/// Clients that push new missions and edit their own, and what the last edit of each said.
struct Pushing {
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<std::collections::BTreeMap<String, usize>>>,
    runtime: tokio::runtime::Runtime,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Pushing {
    fn start(mana: &Mana, url: &str, clients: usize) -> Self {
        let (stop, last) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let token = mana.run(&["token", "create", "--user", "ada"]).stdout.trim().to_owned();
        let http = reqwest::Client::new();
        let clients = (0..clients)
            .map(|client| {
                let request = http.post(format!("{url}/sync/ai")).bearer_auth(&token);
                runtime.spawn(push_on(client, request, Arc::clone(&stop), Arc::clone(&last)))
            })
            .collect();
        Pushing { stop, last, runtime, clients }
    }

    fn edits(&self) -> usize {
        self.last.lock().unwrap().values().sum()
    }

    fn end(self) -> std::collections::BTreeMap<String, usize> {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            self.runtime.block_on(client).unwrap();
        }
        self.last.lock().unwrap().clone()
    }
}

async fn push_on(
    client: usize,
    request: reqwest::RequestBuilder,
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<std::collections::BTreeMap<String, usize>>>,
) {
    for n in 1.. {
        // Ten edits to a mission, then the next one.
        let id = format!("pushed-{client}-{}", n / 10);
        let change = if n == 1 || n % 10 == 0 {
            json!({"table": "aiMissions", "id": id, "op": "insert", "data": {"title": n, "state": "active", "nextRunAt": DUE}})
        } else {
            let at = format!("2099-01-01T00:00:00.{:03}Z", n % 10);
            json!({"table": "aiMissions", "id": id, "op": "update", "fields": {"title": {"value": n, "at": at}}})
        };
        let body = json!({"clientId": format!("device-{client}"), "since": "2100-01-01T00:00:00.000Z", "changes": [change]});
        let answer = request.try_clone().unwrap().json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        last.lock().unwrap().insert(id, n);
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

#[track_caller]
fn has_the_last_edits(mana: &Mana, last: &std::collections::BTreeMap<String, usize>) {
    let missions = mana.run(&["missions", "--json"]).json();
    let titles: std::collections::HashMap<&str, &Value> =
        missions.iter().map(|mission| (mission["id"].as_str().unwrap(), &mission["record"]["title"])).collect();
    for (id, n) in last {
        assert_eq!(titles.get(id.as_str()), Some(&&json!(n)), "{id}");
    }
}

#[test]
fn a_check_beside_a_busy_server_finds_nothing_that_is_not_wrong() {
    let (served, mana) = quiet().serve_kept();
    let pushing = Pushing::start(&mana, &served.url(""), 8);
    wait_for("pushes", || (pushing.edits() > 20).then_some(()));
    for args in [&["check", "--json"][..], &["check", "--repair", "--json"]].iter().cycle().take(12) {
        let said = says(&mana.run(args));
        assert!(said["sound"] == true && said["repaired"] == json!([]), "{said}");
    }
    let last = pushing.end();
    has_the_last_edits(&mana, &last);
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn a_repair_beside_a_busy_server_fixes_and_loses_nothing() {
    let (served, mana) = quiet().serve_kept();
    mana.import(&[hourly("ben", "steady", None, DUE), insert("ben", "agents", "robin", json!({"name": "Robin"}))]);
    mana.run(&["missions"]);
    let pushing = Pushing::start(&mana, &served.url(""), 6);
    wait_for("pushes", || (pushing.edits() > 20).then_some(()));
    let mut fixed = 0;
    for round in 0..6 {
        let edits = pushing.edits();
        damage(
            &mana,
            "BEGIN IMMEDIATE; \
             UPDATE mission_snapshots SET record = '{}', next_run_at = NULL WHERE user_id = 'ben'; \
             UPDATE mission_snapshots SET state = 'paused' WHERE user_id = 'ada' AND rowid % 3 = 0; \
             DELETE FROM mission_snapshots WHERE user_id = 'ada' AND rowid % 7 = 0; \
             DELETE FROM agent_snapshots; \
             INSERT INTO mission_snapshots (user_id, mission_id, record, field_meta, liveness, state, next_run_at, last_seq, \
             last_applied_at, updated_at) VALUES ('zoe', 'ghost', '{}', '{}', 'live', 'active', 1, 1, 1, 1); \
             UPDATE projection_cursors SET seq = (SELECT max(seq) + 40 FROM sync_changes); \
             UPDATE mission_counts SET missions = missions + 3; \
             INSERT INTO run_attempts (run_id, attempt, user_id, started_at, finished_at, latency_ms, model, prompt_version) \
             VALUES ('nowhere', 1, 'ada', 1, 1, 1, 'm', 'v'); \
             COMMIT",
        );
        let ran = mana.run(&["check", "--repair", "--json"]);
        let said = says(&ran);
        assert_eq!(ran.code, Some(0), "round {round}: {ran:?}");
        fixed += said["repaired"].as_array().unwrap().len();
        // The server goes on.
        wait_for("more pushes", || (pushing.edits() > edits + 20).then_some(()));
        let again = says(&mana.run(&["check", "--json"]));
        assert_eq!(again["sound"], true, "round {round}: {again}");
    }
    assert!(fixed > 6 * 5, "{fixed} findings were fixed");
    let last = pushing.end();
    has_the_last_edits(&mana, &last);
    assert_eq!(mana.mission("steady")["title"], "Mission steady");
    assert_eq!(says(&mana.run(&["check", "--json"]))["sound"], true);
    let active = mana.run(&["missions", "--json"]).json().len();
    wait_for("the server to know it", || (metric(&served, "mana_ai_missions{state=\"active\"") == active as f64).then_some(()));
    assert_eq!(served.terminate(), Some(0));
    let rows = mana.run(&["export"]).json();
    for id in last.keys() {
        assert!(rows.iter().any(|row| row["recordId"] == id.as_str()));
    }
}

#[test]
fn two_repairs_at_the_same_time_leave_a_sound_database() {
    let world = world();
    for _ in 0..4 {
        let mana = laid(world.path());
        let before = state(&mana);
        damage(&mana, "UPDATE mission_snapshots SET record = '{}'; UPDATE mission_counts SET missions = 9; DELETE FROM agent_snapshots");
        let repair =
            || mana.command(&["check", "--repair"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let repairs: Vec<_> = (0..3).map(|_| repair()).collect();
        for mut repair in repairs {
            assert!(repair.wait().unwrap().success());
        }
        assert_eq!(state(&mana), before);
    }
}

#[test]
fn a_killed_repair_leaves_all_or_nothing_of_it() {
    const MISSIONS: usize = 1_500;
    let mana = quiet();
    mana.import(&(0..MISSIONS).map(|n| hourly("ada", &format!("m{n}"), None, DUE)).collect::<Vec<_>>());
    mana.run(&["missions"]);
    let before = state(&mana);
    let hurt = "UPDATE mission_snapshots SET record = '{}', next_run_at = NULL";
    damage(&mana, hurt);
    let started = Instant::now();
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    let step = started.elapsed() / 15;
    let (mut killed, mut fixed) = (0, 0);
    for n in 0.. {
        damage(&mana, hurt);
        let damaged = tables(&mana);
        let mut repair =
            mana.command(&["check", "--repair"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(step * n);
        let early = repair.try_wait().unwrap().is_none();
        repair.kill().unwrap();
        repair.wait().unwrap();
        let there = tables(&mana);
        assert!(there == damaged || there == before.tables, "killed after {:?}: a repair in part", step * n);
        fixed += usize::from(there == before.tables);
        killed += usize::from(early);
        if !early {
            break;
        }
    }
    assert!(killed > 3 && fixed > 0, "{killed} kills");
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert!(state(&mana) == before);
}

// Repairs keep what is due.

#[test]
fn a_mission_that_was_hidden_by_a_damage_runs_after_its_repair_once() {
    let world = world();
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    std::fs::copy(world.path().join("sound.db"), database(&mana)).unwrap();
    let tick = |now: &str| -> Value { serde_json::from_str(&mana.run(&["tick", "--now", now, "--json"]).stdout).unwrap() };
    damage(
        &mana,
        "UPDATE mission_snapshots SET next_run_at = NULL WHERE mission_id = 'two'; DELETE FROM mission_snapshots WHERE user_id = 'ben'",
    );
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    let stats = tick("2026-04-15T09:00:00Z");
    assert_eq!((&stats["dueMissionCount"], &stats["plansWrittenBack"]), (&json!(3), &json!(3)), "{stats}");
    let stats = tick("2026-04-15T09:00:00Z");
    assert_eq!(stats["dueMissionCount"], 0, "{stats}");
    // Forged back into the past, it is fixed before it runs again.
    damage(&mana, "UPDATE mission_snapshots SET next_run_at = 1 WHERE mission_id = 'two'");
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert_eq!(tick("2026-04-15T09:00:00Z")["dueMissionCount"], 0);
    assert_eq!(mana.mission("two")["iterations"].as_array().unwrap().len(), 2);
}
