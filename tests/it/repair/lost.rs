//! What cannot be fixed, and is left as it is.

use super::*;

/// Changes the log as only a damage can.
fn rewrite(mana: &Mana, sql: &str) {
    let connection = direct(mana);
    let query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'log_%_no_%'";
    let triggers = connection.prepare(query).unwrap().query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect();
    let triggers: Vec<(String, String)> = Result::unwrap(triggers);
    assert_eq!(triggers.len(), 9);
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    for (_, sql) in &triggers {
        connection.execute_batch(sql).unwrap();
    }
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
    rewrite(&mana, "UPDATE log_rows SET sync_at = 1 WHERE seq = 4");
    let said = needs_a_backup(&mana, "row 4 of the log");
    assert!(!said["repaired"].to_string().contains("of the log"), "{said}");

    let mana = laid(world.path());
    rewrite(&mana, "UPDATE log_rows SET sync_at = (SELECT sync_at FROM log_rows WHERE seq = 2) WHERE seq = 3");
    needs_a_backup(&mana, "row 3 of the log");
}

#[test]
fn what_can_be_fixed_is_fixed_beside_what_cannot() {
    let world = world();
    let mana = laid(world.path());
    rewrite(&mana, "UPDATE log_rows SET sync_at = 1 WHERE seq = 4");
    damage(&mana, "UPDATE mission_snapshots SET record = '{}' WHERE mission_id = 'later'; UPDATE mission_counts SET missions = 9");
    let ran = mana.run(&["check", "--repair", "--json"]);
    let said = says(&ran);
    let repaired = said["repaired"].to_string();
    assert!(ran.code == Some(1) && repaired.contains("aiMissions later") && repaired.contains("active missions"), "{ran:?}");
    assert_eq!(mana.mission("later")["title"], "Mission later");
    needs_a_backup(&mana, "row 4 of the log");
}

#[test]
fn rows_that_are_filed_under_others_are_not_fixed() {
    let world = world();
    for (sql, named) in [
        ("UPDATE log_rows SET app_no = app_no + 1 WHERE seq = 4", "row 4 of the log"),
        ("UPDATE log_rows SET user_no = user_no + 1 WHERE seq = 4", "row 4 of the log"),
        ("UPDATE log_rows SET projection = NULL WHERE seq = 4", "row 4 of the log"),
        ("UPDATE log_rows SET client_no = 1000 WHERE seq = 4", "row 4 of the log"),
        ("UPDATE log_rows SET table_no = 1000 WHERE seq = 4", "row 4 of the log"),
        ("UPDATE log_tables SET user_id = 'eve' WHERE no = (SELECT table_no FROM log_rows WHERE seq = 4)", "the log of user"),
        // A number that whoever comes next would get.
        (
            "UPDATE log_tables SET user_no = user_no + 100, app_no = app_no + 100; UPDATE log_clients SET user_no = user_no + 100; \
             UPDATE log_rows SET user_no = user_no + 100, app_no = app_no + 100",
            "the log of user",
        ),
        ("INSERT INTO log_clients (no, user_no, client_id) VALUES (900, 100, 'phone')", "clients of the log"),
    ] {
        let mana = laid(world.path());
        rewrite(&mana, sql);
        println!("{sql}");
        needs_a_backup(&mana, named);
    }
}

#[test]
fn an_event_that_is_twice_in_the_log_is_not_fixed() {
    let world = world();
    let mana = laid(world.path());
    let connection = direct(&mana);
    let index = "log_rows_event";
    let query = "SELECT rootpage, sql FROM sqlite_schema WHERE name = ?1";
    let (root, text): (i64, String) = connection.query_row(query, [index], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    connection.execute_batch("PRAGMA writable_schema = on").unwrap();
    connection.execute("DELETE FROM sqlite_schema WHERE name = ?1", [index]).unwrap();
    drop(connection);
    rewrite(&mana, "UPDATE log_rows SET id = (SELECT id FROM log_rows WHERE seq = 2) WHERE seq = 3");
    let connection = direct(&mana);
    connection.execute_batch("PRAGMA writable_schema = on").unwrap();
    let back = "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('index', ?1, 'log_rows', ?2, ?3)";
    connection.execute(back, rusqlite::params![index, root, text]).unwrap();
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
            let of_row = |no: &str| format!("no = (SELECT {no} FROM log_rows WHERE seq = 4)");
            let (table, row) = match column {
                "user_id" => ("log_tables", of_row("table_no")),
                "client_id" => ("log_clients", of_row("client_no")),
                _ => ("log_rows", "seq = 4".to_owned()),
            };
            rewrite(&mana, &format!("UPDATE {table} SET {column} = {text} WHERE {row}"));
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
        rewrite(&mana, &format!("UPDATE log_rows SET {column} = '{{\"title\": \"cut of' WHERE seq = 4"));
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
        let leaf = "SELECT pageno FROM dbstat WHERE name = 'log_rows' AND pagetype = 'leaf' LIMIT 1 OFFSET 5";
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
