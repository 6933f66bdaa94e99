//! What enters the log reads back, at every entrance; and a database that has rows of an older program which do not goes on
//! (docs/design.md, section 2).

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::common::{Mana, Model, Ran, Reply, Served, fixture, get, hourly, insert, metric};
use mana_ai::store::Store;
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";

fn quiet() -> Mana {
    Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9")
}

fn token(mana: &Mana, user: &str) -> String {
    let ran = mana.run(&["token", "create", "--user", user]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout.trim().to_owned()
}

/// Posts a body as it is and answers status and JSON.
fn post(served: &Served, token: &str, app: &str, body: String) -> (u16, Value) {
    let url = served.url(&format!("/sync/{app}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let request = crate::common::http_client().post(url).bearer_auth(token).header("content-type", "application/json").body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    })
}

fn pull(served: &Served, token: &str, app: &str, table: &str) -> Value {
    let (status, text) = crate::common::request(
        "GET",
        &served.url(&format!("/sync/{app}/pull?collection={table}")),
        &[("authorization", &format!("Bearer {token}"))],
    );
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn push_body(changes: &Value) -> String {
    json!({"clientId": "phone", "changes": changes}).to_string()
}

fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

/// A directory with the database that an older program left, whose log has rows that it could not read back (how it was
/// made: `fixtures/make-deep-answers`).
fn left_by_an_older_program(mana: &Mana) {
    let mut database = Vec::new();
    let packed = std::fs::File::open(fixture("tests/fixtures/deep-answers.db.gz")).unwrap();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut database).unwrap();
    std::fs::write(mana.dir.path().join(Store::FILE_NAME), database).unwrap();
}

fn says(ran: &Ran) -> Value {
    serde_json::from_str(ran.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

// Rows that are there already.

#[test]
fn a_mission_that_an_older_program_emptied_comes_back_and_runs() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    left_by_an_older_program(&mana);
    for (id, title) in [("tools", "Renamed"), ("json", "Mission json"), ("sound", "Mission sound")] {
        assert_eq!(mana.mission(id)["title"], title);
    }
    assert_eq!(mana.mission("tools")["objective"], "objective of tools");
    let stats = says(&mana.run(&["tick", "--now", "2026-04-15T09:30:00Z", "--json"]));
    assert_eq!((&stats["plansWrittenBack"], &stats["errors"]), (&json!(3), &json!([])), "{stats}");
    for id in ["tools", "json"] {
        assert_eq!(mana.mission(id)["iterations"].as_array().unwrap().len(), 1, "{id}");
    }
}

#[test]
fn rows_that_are_set_aside_are_told_and_hold_up_nothing() {
    let mana = quiet();
    left_by_an_older_program(&mana);
    let checked = mana.run(&["check", "--json"]);
    let check = says(&checked);
    assert_eq!((checked.code, &check["sound"]), (Some(0), &json!(true)), "{checked:?}");
    let set_aside = check["setAside"].as_array().unwrap();
    assert_eq!(set_aside.len(), 2, "{check}");
    assert!(set_aside.iter().all(|row| row.as_str().unwrap().contains("nests more than 64 levels")), "{check}");
    let shown = mana.run(&["check"]);
    assert!(shown.code == Some(0) && shown.stderr.contains("set aside") && shown.stdout.contains("Sound"), "{shown:?}");

    let exported = mana.run(&["export"]);
    assert!(exported.code == Some(0) && exported.stderr.matches("not exported: row").count() == 2, "{exported:?}");
    let csv = mana.run(&["export", "--format", "csv"]);
    assert!(csv.code == Some(0) && csv.stderr.matches("not exported: row").count() == 2, "{csv:?}");
    for text in [&exported.stdout, &csv.stdout] {
        let other = quiet();
        let imported = other.run_with(&["import", "-"], text);
        assert_eq!(imported.stderr, "5 changes imported, 0 known already\n");
        assert_eq!(other.run(&["export"]).stdout, exported.stdout);
    }

    let copy = mana.dir.path().join("copy.db");
    assert_eq!(mana.run(&["backup", copy.to_str().unwrap()]).code, Some(0));
    let restored = quiet();
    let ran = restored.run(&["restore", copy.to_str().unwrap()]);
    assert!(ran.code == Some(0) && ran.stderr.matches("set aside").count() == 2, "{ran:?}");
    assert_eq!(restored.run(&["export"]).stdout, exported.stdout);
    assert_eq!(restored.mission("tools")["title"], "Renamed");

    let served = mana.serve();
    let ada = token(&mana, "ada");
    let told = pull(&served, &ada, "ai", "aiMissions");
    let ids: Vec<&Value> = told["serverChanges"].as_array().unwrap().iter().map(|change| &change["id"]).collect();
    assert_eq!(ids, ["tools", "json", "tools"], "{told}");
    let (status, again) = post(
        &served,
        &ada,
        "ai",
        json!({"clientId": "phone", "since": told["syncedUntil"], "changes": [{"table": "aiMissions", "id": "tools", "op": "update", "fields": {"title": {"value": "Again"}}}]}).to_string(),
    );
    assert_eq!((status, &again["serverChanges"]), (200, &json!([])), "a client goes on after them");
    drop(served);
    assert_eq!(mana.mission("tools")["title"], "Again");
}

#[test]
fn rows_of_every_older_kind_are_set_aside_and_never_exported() {
    let mana = quiet();
    left_by_an_older_program(&mana);
    let row = |n: u32, columns: &str, values: &str| {
        format!(
            "INSERT INTO sync_changes (id, app_id, table_name, user_id, client_id, created_at, sync_at, record_id, op, {columns}) VALUES \
             ('0193e4c0-5c5c-4000-8000-{n:012}', 'notes', 'notes', 'ada', 'phone', {n}, {}, {values});",
            4_000_000_000_000_000_i64 + i64::from(n)
        )
    };
    let odd: Vec<String> = [
        ("data", format!("'{}', 'insert', '{{}}'", "r".repeat(300))),
        ("data", "'r', 'insert', '{\"__proto__\":1}'".into()),
        ("data", "'r', 'update', '{\"a..b\":1}'".into()),
        ("data", format!("'r', 'update', '{{\"a\":{}}}'", nested(64))),
        ("data", "'r', 'insert', '{\"a\":\"' || hex(zeroblob(5000000)) || '\"}'".into()),
        ("actor", format!("'r', 'insert', '{{\"a\":{}}}'", nested(64))),
        ("field_meta", "'r', 'insert', '{\"__proto__\":\"t\"}'".into()),
        ("space_id", format!("'r', 'insert', '{}'", "s".repeat(257))),
        ("data", "'a' || char(0), 'insert', '{}'".into()),
    ]
    .iter()
    .zip(1..)
    .map(|((columns, values), n)| row(n, columns, values))
    .collect();
    let sound = row(100, "data", "'sound', 'insert', '{\"a\":\"\\u0000\"}'");
    let connection = rusqlite::Connection::open(mana.dir.path().join(Store::FILE_NAME)).unwrap();
    connection.execute_batch(&odd.concat()).unwrap();
    connection.execute_batch(&sound).unwrap();
    drop(connection);
    let check = says(&mana.run(&["check", "--json"]));
    assert_eq!((check["setAside"].as_array().unwrap().len(), &check["sound"]), (2 + odd.len(), &json!(true)), "{check}");
    for format in ["jsonl", "csv"] {
        let exported = mana.run(&["export", "--format", format]);
        assert_eq!((exported.code, exported.stderr.lines().count()), (Some(0), 2 + odd.len()), "{}", exported.stderr);
        let imported = quiet().run_with(&["import", "-"], &exported.stdout);
        assert!(imported.code == Some(0) && imported.stderr.starts_with("6 changes imported"), "{imported:?}");
    }
}

// New rows.

#[test]
fn answers_that_nest_too_deep_are_no_plan() {
    let call = |arguments: String| {
        let function = json!({"name": "create_task", "arguments": arguments});
        let message = json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": function}]});
        Reply::Raw {
            status: 200,
            content_type: "application/json",
            body: json!({"model": "m", "choices": [{"message": message}]}).to_string(),
        }
    };
    let answer = move |request: &Value| {
        let levels = |n: usize| nested(n - 1);
        match crate::common::asked_about(request).as_str() {
            "Mission at the limit" => call(format!(r#"{{"title":"x","rationale":"r","more":{}}}"#, levels(58))),
            "Mission beyond" => call(format!(r#"{{"title":"x","rationale":"r","more":{}}}"#, levels(59))),
            "Mission far beyond" => call(format!(r#"{{"title":"x","rationale":"r","more":{}}}"#, levels(126))),
            "Mission as json" => {
                let step = format!(
                    r#"{{"summary":"x","toolName":"create_task","params":{{"title":"x","more":{}}},"rationale":"r"}}"#,
                    levels(122)
                );
                let content = format!(r#"{{"summary":"deep","steps":[{step}]}}"#);
                let body = json!({"model": "m", "choices": [{"message": {"role": "assistant", "content": content}}]}).to_string();
                Reply::Raw { status: 200, content_type: "application/json", body }
            }
            _ => call(r#"{"title":"half \ud83d nul \u0000","rationale":"r"}"#.into()),
        }
    };
    let model = Model::start(Duration::ZERO, answer);
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    let missions = ["at the limit", "beyond", "far beyond", "as json", "of cut texts"];
    mana.import(&missions.map(|id| hourly("u", id, None, DUE)));
    let stats = says(&mana.run(&["tick", "--now", DUE, "--json"]));
    assert_eq!((&stats["plansWrittenBack"], &stats["parseFailures"]), (&json!(2), &json!(3)), "{stats}");
    assert!(stats["errors"].to_string().contains("levels deep"), "{stats}");
    for id in ["beyond", "far beyond", "as json"] {
        assert_eq!(mana.mission(id)["title"], format!("Mission {id}"), "the mission stays whole");
    }
    let step = &mana.mission("of cut texts")["iterations"][0]["plan"][0];
    assert_eq!(step["intent"]["params"]["title"], "half \u{fffd} nul \u{fffd}");
    let check = says(&mana.run(&["check", "--json"]));
    assert_eq!((&check["sound"], &check["setAside"]), (&json!(true), &json!([])), "{check}");
    // What was exported enters another log.
    let imported = quiet().run_with(&["import", "-"], &mana.run(&["export"]).stdout);
    assert_eq!(imported.code, Some(0), "{imported:?}");
}

#[test]
fn a_push_is_held_to_the_limits_and_names_the_change() {
    let mana = quiet();
    let served = mana.serve();
    let token = token(&mana, "ada");
    let good = json!({"table": "notes", "id": "good", "op": "insert", "data": {"a": 1}});
    let refused = |change: String, reason: &str| {
        let body = format!(r#"{{"clientId":"phone","changes":[{good},{change}]}}"#);
        let (status, answer) = post(&served, &token, "notes", body);
        assert_eq!(status, 400, "{reason}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("change 1") && message.contains(reason), "{reason}: {message}");
    };
    let insert = |data: &str| format!(r#"{{"table":"notes","id":"n","op":"insert","data":{data}}}"#);
    let update = |name: &str| format!(r#"{{"table":"notes","id":"n","op":"update","fields":{{"{name}":{{"value":1}}}}}}"#);
    refused(insert(&format!(r#"{{"a":{}}}"#, nested(64))), "`data` nests more than 64 levels");
    refused(insert(r#"{"__proto__":{}}"#), "`__proto__`");
    refused(update("a..b"), "empty part");
    refused(update("a.__proto__.b"), "`__proto__`");
    refused(update(&vec!["a"; 65].join(".")), "more than 64 levels");
    refused(format!(r#"{{"table":"notes","id":"{}","op":"insert"}}"#, "n".repeat(257)), "256 characters");
    refused(r#"{"table":"notes","id":"n\u0000","op":"insert"}"#.into(), "U+0000");
    refused(r#"{"table":"notes","id":"n\ud800","op":"insert"}"#.into(), "half of a surrogate pair");
    refused(format!(r#"{{"table":"notes","id":"n","op":"insert","actor":{{"a":{}}}}}"#, nested(64)), "`actor` nests more than");
    refused(insert(&format!(r#"{{"a":"{}"}}"#, "x".repeat(8 * 1024 * 1024))), "8 MB");
    assert_eq!(mana.run(&["export"]).stdout, "", "nothing of a refused push is kept");

    let text = r#"{"a":"nul \u0000, half \udc00, whole \ud83d\ude00","k\ud800":"\\ud800"}"#;
    let deepest = format!(r#"{{"a":{}}}"#, nested(63));
    let (status, answer) =
        post(&served, &token, "notes", format!(r#"{{"clientId":"phone","changes":[{},{}]}}"#, insert(text), insert(&deepest)));
    assert_eq!(status, 200, "{answer}");
    let rows = mana.run(&["export"]).json();
    assert_eq!(rows[0]["data"], json!({"a": "nul \u{fffd}, half \u{fffd}, whole \u{1f600}", "k\u{fffd}": "\\ud800"}));
    assert_eq!(metric(&served, "mana_ai_texts_replaced_total"), 2.0);
    assert_eq!(rows.len(), 2);
}

#[test]
fn an_import_is_held_to_the_limits_and_names_the_line() {
    let line = |data: &str| insert("u", "notes", "n", json!("DATA")).to_string().replace("\"DATA\"", data);
    let csv = |data: &str| {
        format!(
            "app_id,table_name,record_id,user_id,op,data,created_at\nnotes,notes,n,u,insert,\"{}\",2026-04-15 08:00:00+00\n",
            data.replace('"', "\"\"")
        )
    };
    let deep = format!(r#"{{"a":{}}}"#, nested(64));
    let cut = r#"{"a":"x\u0000\ud800"}"#;
    for (deep, cut, at) in [(line(&deep), line(cut), "line 1"), (csv(&deep), csv(cut), "line 2")] {
        let mana = quiet();
        mana.run_with(&["import", "-"], &deep).fails(1, &format!("{at}: `data` nests more than 64 levels deep"));
        let ran = mana.run_with(&["import", "-"], &cut);
        assert!(ran.code == Some(0) && ran.stderr.contains("in 1 texts"), "{ran:?}");
        assert_eq!(mana.run(&["export"]).json()[0]["data"], json!({"a": "x\u{fffd}\u{fffd}"}));
        let csv = mana.run(&["export", "--format", "csv"]).stdout;
        assert!(csv.contains(r"x\ufffd\ufffd") || csv.contains("x\u{fffd}\u{fffd}"), "kept to the byte, but for what was replaced: {csv}");
    }
    let mana = quiet();
    let broken = insert("u", "notes", "n", json!({})).to_string().replace("\"n\"", r#""n\ud800""#);
    mana.run_with(&["import", "-"], &broken).fails(1, "line 1: `recordId` holds U+0000 or half of a surrogate pair");
    mana.run_with(&["import", "-"], &insert("u", "notes", &"n".repeat(257), json!({})).to_string()).fails(1, "256 characters");
}

#[test]
fn what_clients_really_send_is_taken() {
    let mana = quiet();
    let mut spelled = insert("u", "notes", "n", json!({"a": 1, "b": 2, "c": 3}));
    spelled["fieldMeta"] = json!({"a": {"at": "2026-04-15T08:00:00.000Z", "by": "x"}, "b": "", "c": {}});
    spelled["origin"] = json!("import-from-elsewhere");
    mana.import(&[spelled]);
    let csv = "app_id,table_name,record_id,user_id,op,data,field_timestamps,created_at,origin\n\
        notes,notes,m,u,insert,\"{\"\"a\"\":1}\",\"{\"\"a\"\": {\"\"at\"\":\"\"2026-04-15T08:00:00.000Z\"\"}, \"\"b\"\": \"\"\"\"}\",2026-04-15 08:00:00+00,robot\n";
    let ran = mana.run_with(&["import", "-"], csv);
    assert_eq!(ran.stderr, "1 changes imported, 0 known already\n");
    let rows = mana.run(&["export"]).json();
    let stamps = json!({"a": "2026-04-15T08:00:00.000Z"});
    assert_eq!((&rows[0]["fieldMeta"], &rows[0]["origin"]), (&stamps, &json!("import-from-elsewhere")));
    assert_eq!((&rows[1]["fieldMeta"], &rows[1]["origin"]), (&stamps, &json!("robot")));
    let again = mana.run_with(&["import", "-"], &mana.run(&["export", "--format", "csv"]).stdout);
    assert_eq!(again.stderr, "0 changes imported, 2 known already\n");
}

// Event ids.

#[test]
fn an_event_id_of_one_user_hides_nothing_of_another() {
    let mana = quiet();
    let served = mana.serve();
    let id = "0193e4c0-5c5c-4000-8000-00000000abcd";
    let change = |text: &str| json!([{"eventId": id, "table": "notes", "id": "n", "op": "insert", "data": {"text": text}}]);
    let (ada, ben) = (token(&mana, "ada"), token(&mana, "ben"));
    let answers = [(&ada, "of ada"), (&ben, "of ben"), (&ada, "again")].map(|(token, text)| {
        let (status, mut answer) = post(&served, token, "notes", push_body(&change(text)));
        answer["syncedUntil"].take();
        (status, answer)
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "no answer tells of another's id: {answers:?}");
    let rows = mana.run(&["export"]).json();
    assert_eq!(rows.iter().map(|row| &row["data"]["text"]).collect::<Vec<_>>(), ["of ada", "of ben"]);

    let mut lines = [insert("cleo", "notes", "n", json!({})), insert("ada", "notes", "n", json!({}))];
    lines.iter_mut().for_each(|line| line["eventId"] = json!(id));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    assert_eq!(mana.run_with(&["import", "-"], &text).stderr, "1 changes imported, 1 known already\n");
    assert_eq!(mana.run_with(&["import", "-"], &text).stderr, "0 changes imported, 2 known already\n");
}

#[test]
fn ids_made_of_what_a_push_says_differ_between_databases_and_survive_a_restart() {
    let body = || push_body(&json!([{"table": "notes", "id": "n", "op": "insert", "data": {"text": "known to all"}}]));
    let pushed = |mana: &Mana| {
        let served = mana.serve();
        assert_eq!(post(&served, &token(mana, "ada"), "notes", body()).0, 200);
        drop(served);
        let rows = mana.run(&["export"]).json();
        assert_eq!(rows.len(), 1, "the same push is known again");
        rows[0]["eventId"].clone()
    };
    let (one, other) = (quiet(), quiet());
    let first = pushed(&one);
    assert_eq!(pushed(&one), first);
    assert_ne!(pushed(&other), first);
    let copy = one.dir.path().join("copy.db");
    assert_eq!(one.run(&["backup", copy.to_str().unwrap()]).code, Some(0));
    let restored = quiet();
    assert_eq!(restored.run(&["restore", copy.to_str().unwrap()]).code, Some(0));
    assert_eq!(pushed(&restored), first, "the key stays in the file");
}

// Imports that wait.

#[test]
fn an_import_that_waits_for_its_input_holds_up_nobody() {
    let mana = quiet();
    let served = mana.serve();
    let token = token(&mana, "ada");
    let mut importing = mana.command(&["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = importing.stdin.take().unwrap();
    // More than every buffer on the way: the second half is only taken when the first was read.
    for n in 0..20_000 {
        writeln!(input, "{}", insert("ada", "notes", &format!("n{n}"), json!({"text": "x".repeat(100)}))).unwrap();
    }
    let mut push = 0;
    let mut go_on = || {
        push += 1;
        let change = json!([{"table": "notes", "id": format!("push {push}"), "op": "insert", "data": {"n": push}}]);
        assert_eq!(post(&served, &token, "notes", push_body(&change)).0, 200);
        assert_eq!(get(&served.url("/health")).0, 200);
    };
    (0..5).for_each(|_| go_on());
    assert_eq!(mana.run(&["export", "--table", "notes"]).json().len(), 5, "nothing of the import is there yet");
    let names = |mana: &Mana| {
        let entries = std::fs::read_dir(mana.dir.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("import-"))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&mana), [""; 0], "what is staged has no name, so that a crash leaves nothing");
    drop(input);
    let mut said = String::new();
    importing.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(importing.wait().unwrap().success() && said.starts_with("20000 changes imported"), "{said}");
    go_on();
    assert_eq!(mana.run(&["export", "--table", "notes"]).json().len(), 20_006);
}

#[test]
fn an_import_of_a_bad_file_takes_no_place_among_the_writers() {
    let mana = quiet();
    mana.import(&[insert("u", "notes", "n", json!({}))]);
    // Somebody writes all the time.
    let connection = rusqlite::Connection::open(mana.dir.path().join(Store::FILE_NAME)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    mana.run_with(&["import", "-"], "{\"half\": \n").fails(1, "line 1: not a JSON object");
}

#[test]
fn an_empty_file_of_a_killed_import_goes_with_the_next() {
    let mana = quiet();
    let stray = mana.dir.path().join("import-0123456789abcdef0123456789abcdef.part");
    let others = ["import-notes.part", "import-0123456789abcdef0123456789abcdef.txt"].map(|name| mana.dir.path().join(name));
    for file in others.iter().chain([&stray]) {
        std::fs::write(file, "").unwrap();
    }
    mana.import(&[insert("u", "notes", "n", json!({}))]);
    assert!(!stray.exists() && others.iter().all(|file| file.exists()));
}
