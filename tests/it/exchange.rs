//! Import and export through the binary: nothing lost, nothing doubled, every bad line named (docs/design.md, sections 2 and 12).

use std::io::{Read, Write};
use std::process::Stdio;

use crate::common::{Mana, Ran, fixture, insert, vectors};
use mana_ai::store::Store;
use serde_json::{Value, json};

const WORLD: &str = "fixtures/demo/world.jsonl";

fn world() -> Vec<Value> {
    std::fs::read_to_string(fixture(WORLD)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_export_is_what_was_imported() {
    let mana = Mana::new();
    let file = fixture(WORLD);
    let first = mana.run(&["import", file.to_str().unwrap()]);
    assert_eq!(first.stderr, "41 changes imported, 0 known already\n");
    assert_eq!(mana.run(&["export"]).json(), world());
    let again = mana.run(&["import", file.to_str().unwrap()]);
    assert_eq!(again.stderr, "0 changes imported, 41 known already\n");
    assert_eq!(mana.run(&["export"]).json(), world());
    let goals = mana.run(&["export", "--app", "companion", "--user", "ben"]).json();
    assert_eq!(goals.iter().map(|row| &row["recordId"]).collect::<Vec<_>>(), ["goal-read"]);
    assert_eq!(mana.run(&["export", "--table", "notes"]).json().len(), 5);
}

#[test]
fn the_csv_of_a_real_postgres_gives_the_same_snapshots() {
    let (from_jsonl, from_csv) = (Mana::new(), Mana::new());
    assert_eq!(from_jsonl.run(&["import", fixture(WORLD).to_str().unwrap()]).code, Some(0));
    let ran = from_csv.run(&["import", fixture("tests/fixtures/world.postgres.csv").to_str().unwrap()]);
    assert_eq!(ran.stderr, "41 changes imported, 0 known already\n");
    for command in ["missions", "agents"] {
        let lines = from_jsonl.run(&[command, "--json"]).json();
        assert!(lines.len() >= 5);
        assert_eq!(lines, from_csv.run(&[command, "--json"]).json());
    }
}

#[test]
fn a_quote_that_stays_open_stops_an_import_in_any_case() {
    let mana = Mana::new();
    let row = |id: &str| format!("ai,notes,{id},ada,insert,2026-04-15 08:00:00+00\n");
    let csv = format!("app_id,table_name,record_id,user_id,op,created_at\n{}{}{}", row("a"), row("\"b"), row("c"));
    for args in [&["import", "-"][..], &["import", "-", "--skip-bad"]] {
        mana.run_with(args, &csv).fails(1, "line 3: a quote of this row is never closed");
    }
    assert_eq!(mana.run(&["export"]).stdout, "");
}

#[test]
fn a_line_that_is_too_long_is_a_bad_line() {
    let mana = Mana::new();
    let line = |id: &str, text: String| insert("u", "notes", id, json!({"text": text})).to_string();
    let file = [line("a", "x".into()), line("b", "x".repeat(50 * 1024 * 1024)), line("c", "x".into())].join("\n");
    mana.run_with(&["import", "-"], &file).fails(1, "line 2: longer than 49 MB");
    let kept = mana.run_with(&["import", "-", "--skip-bad"], &file);
    assert!(kept.code == Some(0) && kept.stderr.contains("2 changes imported, 0 known already, 1 bad lines skipped"), "{}", kept.stderr);
}

#[test]
fn what_is_not_there_is_not_called_empty() {
    let mana = Mana::new();
    for command in ["export", "missions", "agents", "runs", "check"] {
        mana.run(&[command, "--data-dir", "typo"]).fails(1, "there is no database in typo");
    }
    mana.run(&["backup", "copy.db", "--data-dir", "typo"]).fails(1, "there is no database in typo");
    assert!(!mana.dir.path().join("typo").exists() && !mana.dir.path().join("copy.db").exists());
}

#[test]
fn numbers_are_kept_as_they_were_written() {
    let mana = Mana::new();
    let data = r#"{"price":0.10,"id":12345678901234567890123,"large":1e+400,"zero":-0,"one":1.0}"#;
    let line = insert("u", "notes", "n", json!({})).to_string().replace("\"data\":{}", &format!("\"data\":{data}"));
    assert_eq!(mana.run_with(&["import", "-"], &line).code, Some(0));
    assert!(mana.run(&["export"]).stdout.contains(data));
    assert!(mana.run(&["export", "--format", "csv"]).stdout.contains(&data.replace('"', "\"\"")));
}

#[test]
fn due_missions_are_those_of_other_implementations() {
    for case in vectors("due").into_iter().step_by(5) {
        let mana = Mana::new();
        mana.import(case["changes"].as_array().unwrap());
        let due = mana.run(&["missions", "--due", "--now", case["now"].as_str().unwrap(), "--json"]).json();
        let mut expected: Vec<_> = case["expectedDue"].as_array().unwrap().iter().map(|m| m["id"].clone()).collect();
        expected.sort_by_key(|id| id.as_str().unwrap().to_owned());
        assert_eq!(due.iter().map(|m| m["id"].clone()).collect::<Vec<_>>(), expected, "{}", case["id"]);
    }
}

#[test]
fn a_deleted_mission_is_not_listed_and_conflicts_go_to_the_newer_write() {
    let mana = Mana::new();
    mana.run(&["import", fixture(WORLD).to_str().unwrap()]);
    let missions = mana.run(&["missions", "--json"]).json();
    assert_eq!(missions.len(), 10);
    assert!(missions.iter().all(|mission| mission["id"] != "mission-crypto"));
    let spending = missions.iter().find(|mission| mission["id"] == "mission-spending").unwrap();
    assert_eq!(spending["record"]["title"], "Keep spending under control (and still have fun)");
    assert!(spending["record"]["objective"].as_str().unwrap().contains("music and friends"));
    assert_eq!(spending["fieldMeta"]["title"], "2026-04-05T10:00:00.000Z");
    assert_eq!(mana.mission("mission-garden")["title"], "A green balcony");
}

fn good() -> String {
    format!("{}\n", insert("u", "agents", "a", json!({"name": "A"})))
}

fn bad_line(line: &str, message: &str) {
    let mana = Mana::new();
    let text = format!("{}{line}\n{}", good(), good());
    mana.run_with(&["import", "-"], &text).fails(1, message);
    assert_eq!(mana.run(&["export"]).stdout, "", "nothing of the file is kept");
    let ran = mana.run_with(&["import", "-", "--skip-bad"], &text);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(message) && ran.stderr.contains("2 changes imported, 0 known already, 1 bad lines skipped"), "{ran:?}");
    assert_eq!(mana.run(&["export"]).json().len(), 2);
}

#[test]
fn a_bad_line_is_named_and_costs_the_good_ones_nothing() {
    bad_line("{\"half\": ", "line 2: not a JSON object: EOF");
    bad_line("[]", "line 2: not a JSON object");
    let with = |field: &str, value: Value| {
        let mut line = insert("u", "agents", "a", json!({}));
        line[field] = value;
        line.to_string()
    };
    bad_line(&with("op", json!("upsert")), "line 2: `op` is \"upsert\", but must be insert, update or delete");
    bad_line(&with("data", json!("text")), "line 2: `data` is \"text\", but must be an object");
    bad_line(&with("fieldMeta", json!({"a": 5})), "line 2: `fieldMeta` is the number 5");
    bad_line(&with("recordId", json!("")), "line 2: `recordId` is missing");
    bad_line(&with("createdAt", json!("yesterday")), "line 2: `createdAt` is \"yesterday\"");
    bad_line(&with("eventId", json!("17")), "line 2: `eventId` is \"17\", but must be a UUID");
}

#[test]
fn files_that_cannot_be_read_say_so() {
    let mana = Mana::new();
    mana.run(&["import", "nowhere.jsonl"]).fails(1, "cannot open nowhere.jsonl");
    mana.run(&["import", "."]).fails(1, "cannot open .: it is a directory");
    mana.run(&["import"]).fails(2, "Usage");
    mana.run_with(&["import", "-"], "hello\n").fails(1, "neither JSONL");
    assert_eq!(mana.run_with(&["import", "-"], "").stderr, "0 changes imported, 0 known already\n");
}

#[test]
fn fields_of_a_wrong_type_do_not_stop_anything() {
    let mana = Mana::new();
    mana.import(&[
        insert(
            "u",
            "aiMissions",
            "m",
            json!({"title": 7, "state": ["active"], "nextRunAt": 12, "inputs": "x", "iterations": {}, "cadence": 5}),
        ),
        insert("u", "agents", "a", json!({"name": {}, "policy": 3, "maxConcurrentMissions": "two"})),
    ]);
    let ran = mana.run(&["missions"]);
    assert!(ran.code == Some(0) && ran.stdout.contains("unknown"), "{ran:?}");
    assert!(ran.stderr.contains("wrong type"), "{ran:?}");
    assert_eq!(mana.mission("m")["title"], 7, "the record itself passes through");
    assert!(mana.run(&["agents"]).stdout.contains("Unnamed"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mana = Mana::new();
    let lines: Vec<Value> = (0..3_000).map(|n| insert("u", "notes", &format!("n{n}"), json!({"text": "x".repeat(100)}))).collect();
    mana.import(&lines);
    let program = mana.command(&["export"]).get_program().to_owned();
    let shell = format!("{} export | head -1; exit ${{PIPESTATUS[0]}}", program.to_str().unwrap());
    let status = std::process::Command::new("bash").args(["-c", &shell]).env("MANA_AI_DATA_DIR", mana.dir.path()).output().unwrap();
    assert_eq!((status.status.code(), status.stderr.len()), (Some(0), 0));
}

#[test]
fn a_large_row_comes_back_from_an_export_that_escapes_each_byte_of_it() {
    let (mana, other) = (Mana::new(), Mana::new());
    // A line of 33 MB for a row of 5.5: an escape has six bytes.
    mana.import(&[insert("u", "notes", "n", json!({"a": "\u{7f}".repeat(5_500_000)}))]);
    let file = mana.dir.path().join("all");
    let ran = mana.run(&["export", "--output", file.to_str().unwrap()]);
    assert!(ran.code == Some(0) && ran.stderr.is_empty(), "{ran:?}");
    assert_eq!(other.run(&["import", file.to_str().unwrap()]).stderr, "1 changes imported, 0 known already\n");
    let data = |mana: &Mana| {
        let database = rusqlite::Connection::open(mana.dir.path().join(Store::FILE_NAME)).unwrap();
        database.query_row("SELECT data FROM sync_changes", [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert!(data(&mana) == data(&other));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Imports bytes from stdin, which come one by one at first.
fn import_bytes(mana: &Mana, bytes: &[u8]) -> Ran {
    let mut child = mana.command(&["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for byte in bytes.iter().take(5) {
        let _ = input.write_all(&[*byte]);
    }
    let _ = input.write_all(bytes.get(5..).unwrap_or_default());
    drop(input);
    Ran::new(child.wait_with_output().unwrap())
}

#[test]
fn compressed_files_are_told_by_their_first_bytes() {
    let world = std::fs::read(fixture(WORLD)).unwrap();
    let half = world.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let members = [gzip(&world[..half]), gzip(&world[half..])].concat();
    let frames = [zstd(&world[..half]), zstd(&world[half..])].concat();
    let marked = [b"\xef\xbb\xbf".as_slice(), &world].concat();
    for (what, packed) in [
        ("gzip", gzip(&world)),
        ("zstd", zstd(&world)),
        ("two gzip members", members),
        ("two zstd frames", frames),
        ("a byte order mark", marked.clone()),
        ("a byte order mark in gzip", gzip(&marked)),
    ] {
        let mana = Mana::new();
        assert_eq!(import_bytes(&mana, &packed).stderr, "41 changes imported, 0 known already\n", "{what}");
        // Its name says nothing else.
        let file = mana.dir.path().join("world.txt");
        std::fs::write(&file, &packed).unwrap();
        assert_eq!(mana.run(&["import", file.to_str().unwrap()]).stderr, "0 changes imported, 41 known already\n", "{what}");
    }
}

#[test]
fn an_export_is_compressed_by_the_end_of_its_name() {
    let mana = Mana::new();
    mana.import(&world());
    let (jsonl, csv) = (mana.run(&["export"]).stdout, mana.run(&["export", "--format", "csv"]).stdout);
    for name in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.CSV.GZ", "a.csv.zst"] {
        let path = mana.dir.path().join(name);
        let (format, expected) = if name.to_lowercase().contains("csv") { ("csv", &csv) } else { ("jsonl", &jsonl) };
        let args = ["export", "--format", format, "-o", path.to_str().unwrap()];
        let ran = mana.run(&args);
        assert!(ran.code == Some(0) && ran.stdout.is_empty(), "{ran:?}");
        let bytes = std::fs::read(&path).unwrap();
        let mut text = String::new();
        match name.to_lowercase().rsplit('.').next().unwrap() {
            "gz" => flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).map(drop).unwrap(),
            "zst" => text = String::from_utf8(zstd::decode_all(bytes.as_slice()).unwrap()).unwrap(),
            _ => text = String::from_utf8(bytes.clone()).unwrap(),
        }
        assert!(text == *expected, "{name}");
        mana.run(&args).fails(1, "is there already; choose another name");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
    mana.run(&["export", "-o", "nowhere/a.gz"]).fails(1, "cannot write nowhere/a.gz");
    let left: Vec<_> = std::fs::read_dir(mana.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{left:?}");
}

#[test]
fn files_in_another_encoding_or_cut_short_are_named_as_such() {
    let world = std::fs::read_to_string(fixture(WORLD)).unwrap();
    let units =
        |big: bool| world.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect::<Vec<u8>>();
    let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
    let wide = world.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<u8>>();
    let (little, big) = (units(false), units(true));
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() - 20].to_vec();
    let mut garbage = gzip(world.as_bytes());
    garbage.extend(b"garbage");
    for (bytes, message) in [
        (marked(b"\xff\xfe", little.clone()), "the file is UTF-16 text, and must be UTF-8"),
        (marked(b"\xfe\xff", big.clone()), "iconv -f UTF-16"),
        (little.clone(), "the file is UTF-16 text"),
        (big, "the file is UTF-16 text"),
        (gzip(&marked(b"\xff\xfe", little)), "the file is UTF-16 text"),
        (marked(b"\xff\xfe\0\0", wide), "the file is UTF-32 text"),
        (cut(gzip(world.as_bytes())), "the file cannot be read"),
        (cut(zstd(world.as_bytes())), "the file cannot be read"),
        (garbage, "the file cannot be read"),
    ] {
        let mana = Mana::new();
        import_bytes(&mana, &bytes).fails(1, message);
        assert_eq!(mana.run(&["export"]).stdout, "", "nothing of it is kept: {message}");
    }
}

/// The look at a log before it moves.
mod survey {
    use std::collections::BTreeMap;

    use super::*;

    const CHECKS: [&str; 11] =
        ["rows", "limits", "texts", "columns", "event-ids", "stamps", "clocks", "created-at", "spaces", "grants", "encrypted"];

    fn key() -> String {
        fixture("fixtures/demo/private-key.pem").to_str().unwrap().to_owned()
    }

    /// The findings by their checks, whose form was looked at.
    #[track_caller]
    fn findings(ran: &Ran) -> BTreeMap<String, Value> {
        let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &lines {
            assert_eq!(line.as_object().unwrap().keys().collect::<Vec<_>>(), ["check", "status", "found", "mend"]);
            assert_eq!(line["status"] == "ok", line["mend"].is_null(), "{line}");
        }
        let fails = lines.iter().any(|line| line["status"] == "fail");
        assert_eq!(ran.code, Some(i32::from(fails)), "{ran:?}");
        lines.into_iter().map(|line| (line["check"].as_str().unwrap().to_owned(), line)).collect()
    }

    fn line(app: &str, table: &str, id: &str, data: Value) -> Value {
        let id_of_event = uuid::Uuid::new_v4().to_string();
        json!({
            "eventId": id_of_event, "appId": app, "table": table, "recordId": id, "userId": "ada", "op": "insert", "data": data,
            "fieldMeta": {"title": "2026-04-15T08:00:00.000Z"}, "createdAt": "2026-04-15T07:00:00.000000Z", "clientId": "phone",
        })
    }

    fn mission(id: &str, data: Value) -> Value {
        let mut made = json!({"title": id, "createdAt": "2026-04-15T07:00:00.000Z"});
        made.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        line("ai", "aiMissions", id, made)
    }

    fn with(mut line: Value, field: &str, value: Value) -> Value {
        line[field] = value;
        line
    }

    fn jsonl(lines: &[Value]) -> String {
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// Checks that one check alone tells of the lines, beside sound ones, with these words.
    #[track_caller]
    fn check(lines: &[Value], name: &str, status: &str, words: &[&str]) {
        let mana = Mana::new().with("MANA_AI_PRIVATE_KEY_PEM", key());
        let sound = [mission("sound", json!({})), line("notes", "notes", "n", json!({"title": "x", "content": "y"}))];
        let ran = mana.run_with(&["doctor", "--database", "-", "--json"], &jsonl(&[&sound, lines].concat()));
        let found = findings(&ran);
        let told: Vec<&str> = found.values().filter(|line| line["status"] != "ok").map(|line| line["check"].as_str().unwrap()).collect();
        assert_eq!((told.as_slice(), &found[name]["status"]), (&[name][..], &json!(status)), "{found:?}");
        for word in words {
            assert!(found[name]["found"].as_str().unwrap().contains(word), "{word:?} in {}", found[name]);
        }
    }

    #[test]
    fn a_clean_log_has_nothing_to_tell_in_any_form_and_nothing_is_written() {
        let mana = Mana::new();
        let lines = jsonl(&[mission("m", json!({"inputs": []})), line("notes", "notes", "n", json!({"title": "x"}))]);
        std::fs::write(mana.dir.path().join("log.jsonl"), &lines).unwrap();
        let csv = "id,app_id,table_name,record_id,user_id,op,data,field_meta,client_id,created_at\n\
            00000000-0000-4000-8000-000000000001,notes,notes,n,ada,insert,\"{\"\"title\"\": \"\"x\"\"}\",\"{\"\"title\"\": \"\"2026-04-15T08:00:00.000Z\"\"}\",c,2026-04-15 08:00:00+00\n";
        std::fs::write(mana.dir.path().join("log.csv"), csv).unwrap();
        for (database, stdin, rows) in
            [("log.jsonl", "", "2 rows"), ("log.csv", "", "1 row"), ("-", lines.as_str(), "2 rows"), ("-", csv, "1 row")]
        {
            let found = findings(&mana.run_with(&["doctor", "--database", database, "--json"], stdin));
            assert!(found.len() == CHECKS.len() && CHECKS.iter().all(|name| found[*name]["status"] == "ok"), "{database}: {found:?}");
            assert!(found["rows"]["found"].as_str().unwrap().starts_with(rows), "{found:?}");
        }
        let files = std::fs::read_dir(mana.dir.path()).unwrap().count();
        assert_eq!(files, 2, "nothing was made");
    }

    #[test]
    fn it_needs_no_sound_configuration() {
        let mana = Mana::new().with("PORT", "none");
        let ran = mana.run_with(&["doctor", "--database", "-"], &jsonl(&[mission("m", json!({}))]));
        assert!(ran.code == Some(0) && ran.stdout.lines().count() == CHECKS.len(), "{ran:?}");
    }

    #[test]
    fn what_stops_an_import_fails() {
        let refused = mission("deep", json!({"x": (0..70).fold(json!(1), |inside, _| json!([inside]))}));
        check(&[with(mission("m", json!({})), "op", json!("upsert"))], "rows", "fail", &["1 row cannot be read", "line 3: `op`"]);
        check(&[with(mission("m", json!({})), "fieldMeta", json!({"a": 7}))], "rows", "fail", &["line 3: `fieldMeta`"]);
        check(&[with(mission("m", json!({})), "createdAt", json!(null))], "rows", "fail", &["line 3: `createdAt` is missing"]);
        check(&[refused.clone(), refused], "limits", "fail", &["2 rows", "line 3: `data` nests"]);
    }

    #[test]
    fn a_log_that_cannot_be_read_to_its_end_fails() {
        let mana = Mana::new();
        let csv = "app_id,table_name,record_id,user_id,op,created_at\nai,notes,\"n,ada,insert,2026-04-15 08:00:00+00\n";
        for (stdin, told) in [("hello\n", "neither JSONL"), (csv, "line 2: a quote of this row is never closed")] {
            let ran = mana.run_with(&["doctor", "--database", "-", "--json"], stdin);
            let found = findings(&ran);
            assert!(found.len() == 1 && found["source"]["found"].as_str().unwrap().contains(told), "{ran:?}");
        }
        mana.run(&["doctor", "--database", "nowhere.csv"]).fails(1, "cannot open nowhere.csv");
        mana.run(&["doctor", "--database", "postgres://u:pa@ss@h/db"]).fails(2, "write @ as %40");
    }

    #[test]
    fn what_will_not_work_as_expected_is_told() {
        let note = |id: &str| line("notes", "notes", id, json!({"title": "x"}));
        let repeated = note("r");
        check(&[repeated.clone(), repeated.clone()], "event-ids", "warn", &["1 row repeats", "(line 4)", "notes/notes r of ada"]);
        check(
            &[repeated.clone(), with(repeated, "userId", json!("ben")), with(note("s"), "eventId", json!(null))],
            "event-ids",
            "warn",
            &["1 row has no event id", "(line 5)"],
        );
        let stamps = json!({"title": {"at": "2026-04-15T08:00:00.000Z"}, "content": "", "color": "yesterday"});
        check(
            &[with(note("s"), "fieldMeta", stamps)],
            "stamps",
            "warn",
            &["title in notes/notes s", "content in", "color in", "objects", "empty", "no times"],
        );
        check(
            &[with(note("s"), "fieldMeta", json!({"title": {}}))],
            "stamps",
            "warn",
            &["1 row has empty stamps", "title in notes/notes s of ada (line 3)"],
        );
        check(
            &[with(note("f"), "fieldMeta", json!({"title": "2126-04-15T08:00:00.000Z"}))],
            "clocks",
            "warn",
            &["title 2126-04-15T08:00:00.000Z by client phone", "(line 3)"],
        );
        let deleted = with(with(note("f"), "op", json!("delete")), "data", json!({"deletedAt": "2126-04-15T08:00:00.000Z"}));
        check(&[note("f"), deleted], "clocks", "warn", &["deletedAt 2126", "(line 4)"]);
        check(&[with(note("f"), "createdAt", json!("2126-04-15T08:00:00Z"))], "clocks", "warn", &["the time of the row 2126"]);
        check(&[line("ai", "agents", "a", json!({"name": "A"}))], "created-at", "warn", &["1 new record", "ai/agents a of ada (line 3)"]);
        check(&[note("\0").clone()], "limits", "fail", &["recordId"]);
        check(&[with(note("t"), "data", json!({"title": "a\0b"}))], "texts", "warn", &["1 row", "notes/notes t"]);
    }

    #[test]
    fn columns_that_would_be_lost_are_told() {
        let csv = "app_id,table_name,record_id,user_id,op,created_at,shard,id\nnotes,notes,n,ada,delete,2026-04-15 08:00:00+00,7,00000000-0000-4000-8000-000000000001\n";
        let found = findings(&Mana::new().run_with(&["doctor", "--database", "-", "--json"], csv));
        assert_eq!((&found["columns"]["status"], &found["columns"]["found"]), (&json!("warn"), &json!("the log has no column shard")));
    }

    #[test]
    fn missions_of_several_members_are_told_once_each() {
        let edit = |user: &str| {
            with(with(with(mission("shared", json!({})), "userId", json!(user)), "op", json!("update")), "data", json!({"title": "y"}))
        };
        check(
            &[mission("shared", json!({})), edit("ben"), edit("ben"), edit("cleo")],
            "spaces",
            "warn",
            &["1 mission or agent", "ai/aiMissions shared of ada, ben, cleo"],
        );
        // Everybody has this one.
        let default = line("ai", "agents", "legacy:ai-default", json!({"name": "Mana", "createdAt": "2026-04-15T07:00:00.000Z"}));
        let lines =
            jsonl(&[default.clone(), with(with(default, "userId", json!("ben")), "eventId", json!(uuid::Uuid::new_v4().to_string()))]);
        let found = findings(&Mana::new().run_with(&["doctor", "--database", "-", "--json"], &lines));
        assert_eq!(found["spaces"]["status"], "ok");
    }

    #[test]
    fn grants_that_cannot_be_opened_are_told_with_the_reason() {
        let world = world();
        let granted = world.iter().find_map(|line| line["data"].get("grant")).unwrap();
        let grant = |id: &str, changed: &[(&str, Value)]| {
            let mut grant = granted.clone();
            grant["derivation"]["missionId"] = json!(id);
            for (pointer, value) in changed {
                *grant.pointer_mut(pointer).unwrap() = value.clone();
            }
            mission(id, json!({"grant": grant}))
        };
        let cases = [
            (grant("m", &[("/expiresAt", json!("2026-04-16T00:00:00Z"))]), "the grant's key expired"),
            (grant("m", &[("/derivation/missionId", json!("other"))]), "the grant is for another mission"),
            (grant("m", &[("/derivation/version", json!("v9"))]), "the grant cannot be read"),
            (grant("m", &[("/wrappedKey", json!("AAAA"))]), "does not open with this server's private key"),
        ];
        for (line, reason) in cases {
            check(&[line], "grants", "warn", &["1 grant cannot be opened", "mission m of ada", reason]);
        }
        // An edit by its path counts, and so does the end of the mission; a later time does not reopen a key.
        let expired = grant("m", &[("/expiresAt", json!("2026-04-16T00:00:00Z"))]);
        let update = |data: Value| {
            let at = data
                .as_object()
                .unwrap()
                .keys()
                .map(|field| (field.clone(), json!("2026-04-17T08:00:00.000Z")))
                .collect::<serde_json::Map<_, _>>();
            with(with(mission("m", json!({})), "op", json!("update")), "data", data)
                .as_object()
                .cloned()
                .map(|line| with(Value::Object(line), "fieldMeta", json!(at)))
                .unwrap()
        };
        for (data, status) in [
            (json!({"grant.expiresAt": "2099-01-01T00:00:00Z"}), "warn"),
            (json!({"grant": null}), "ok"),
            (json!({"deletedAt": "2026-04-17T08:00:00.000Z"}), "ok"),
        ] {
            let mana = Mana::new().with("MANA_AI_PRIVATE_KEY_PEM", key());
            let lines = jsonl(&[expired.clone(), update(data)]);
            let found = findings(&mana.run_with(&["doctor", "--database", "-", "--json"], &lines));
            assert_eq!(found["grants"]["status"], status, "{found:?}");
        }
    }

    #[test]
    fn encrypted_records_that_no_grant_opens_are_told_and_linked_ones_first() {
        let file = fixture(WORLD);
        let args = ["doctor", "--database", file.to_str().unwrap(), "--json"];
        let with_key = findings(&Mana::new().with("MANA_AI_PRIVATE_KEY_PEM", key()).run(&args));
        assert_eq!(with_key["grants"]["status"], "ok");
        let told = with_key["encrypted"]["found"].as_str().unwrap();
        assert!(
            told.starts_with("3 encrypted records are opened by no grant, such as notes note-diary of ben (linked to a mission)"),
            "{told}"
        );
        assert!(!told.contains("note-dreams") && !told.contains("note-caffeine"), "{told}");
        let without_key = findings(&Mana::new().run(&args));
        assert!(without_key["grants"]["found"].as_str().unwrap().contains("was not tried"), "{without_key:?}");
        // A record that the grant names, but that was sealed with another key.
        let other =
            std::fs::read_to_string(&file).unwrap().replace("\"title\":\"enc:1:huqBa34LS9g2knrY.", "\"title\":\"enc:1:AAAAAAAAAAAAAAAA.");
        let ran = Mana::new().with("MANA_AI_PRIVATE_KEY_PEM", key()).run_with(&["doctor", "--database", "-", "--json"], &other);
        assert!(findings(&ran)["encrypted"]["found"].as_str().unwrap().contains("note-dreams"), "{ran:?}");
    }
}
