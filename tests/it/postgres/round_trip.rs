//! Logs of every kind come back the same, or are refused.

use super::*;

#[test]
#[ignore = "needs the Postgres server programs"]
fn every_byte_of_a_log_comes_back_from_both_types_of_json() {
    for json in JSON_TYPES {
        let database = Database::with_log(json);
        database.fill(&odd_rows());
        comes_back_the_same(&database);
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn json_keeps_its_blanks_its_order_and_its_doubles() {
    let database = Database::with_log("json");
    let mut rows: Vec<Row> =
        odd_json_texts().iter().map(|text| row([("data", Some(text.as_str())), ("actor", Some(text.as_str()))])).collect();
    rows.push(row([(
        "field_meta",
        Some("\n{ \"zz\":\"2026-04-15T08:00:00.000Z\",\"a\" : \"\\u0032026-04-15T08:00:00Z\", \"zz\": \"1\" }\t"),
    )]));
    rows.push(row([("data", Some(" null\n")), ("field_meta", Some("\tnull ")), ("actor", Some("null\r\n"))]));
    database.fill(&rows);
    comes_back_the_same(&database);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn times_come_back_to_the_microsecond_from_sessions_of_any_zone() {
    let times = [
        "2026-04-15 08:00:00+00",
        "2026-04-15 08:00:00.1+00",
        "2026-04-15 08:00:00.000001+00",
        "2026-04-15 08:00:00.123456+00",
        "2026-10-25 00:30:00.5+00",
        "2026-10-25 01:30:00.5+00",
        "1970-01-01 00:00:00+00",
        "1969-12-31 23:59:59.999999+00",
        "1900-02-28 12:00:00+00",
        "1893-03-31 23:06:31+00",
        "1800-01-01 00:00:00.000001+00",
        "0001-01-01 12:00:00+00",
        "2099-12-31 23:59:59.999999+00",
        "9999-12-30 12:00:00.000001+00",
    ];
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"] {
        let database = Database::with_log("jsonb").set("TimeZone", zone);
        database.fill(&times.map(|at| row([("created_at", Some(at))])));
        let mana = comes_back_the_same(&database);
        let first = &mana.run(&["export"]).json()[0];
        assert_eq!(first["createdAt"], "2026-04-15T08:00:00.000000Z", "{zone}");
    }
}

/// Checks that a log comes back the same, or that its import names line 2 and keeps nothing; never a third.
#[track_caller]
fn comes_back_or_is_refused(database: &Database) {
    let mana = Mana::new();
    let ran = imported(&mana, &database.log("sync_changes"));
    if ran.code == Some(0) {
        comes_back_the_same(database);
    } else {
        ran.fails(1, "line 2: ");
        assert_eq!(mana.run(&["export"]).stdout, "", "nothing of the file is kept");
    }
}

/// Checks that a row of Postgres with this cell comes back the same, or is refused by its line.
#[track_caller]
fn never_bent(column: &'static str, cell: Option<&str>) {
    println!("{column} {:.60?}", cell);
    let database = Database::with_log("json");
    database.sql("ALTER TABLE sync_changes ALTER client_id DROP NOT NULL, ALTER schema_version DROP NOT NULL");
    database.fill(&[row([(column, cell)])]);
    comes_back_or_is_refused(&database);
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn times_that_only_postgres_can_tell_are_refused_and_never_bent() {
    for time in [
        "10000-01-01 00:00:00+00",
        "294276-12-31 00:00:00+00",
        "0044-03-15 12:00:00+00 BC",
        "4713-01-01 00:00:00+00 BC",
        "infinity",
        "-infinity",
    ] {
        never_bent("created_at", Some(time));
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn json_that_the_log_cannot_keep_is_refused_and_never_bent() {
    for depth in [64, 1_000] {
        never_bent("data", Some(&nested("[", "]", depth)));
    }
    never_bent("data", Some("{\"__proto__\": 1}"));
    for json in ["[]", "\"text\"", "1", "true", "[{\"a\": 1}]"] {
        for column in ["data", "field_meta", "actor"] {
            never_bent(column, Some(json));
        }
    }
    never_bent("field_meta", Some("{\"a\": 5}"));
    never_bent("field_meta", Some("{\"a\": null}"));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn cells_that_the_log_cannot_keep_are_refused_and_never_bent() {
    for column in ["app_id", "table_name", "record_id", "user_id", "op"] {
        never_bent(column, Some(""));
    }
    never_bent("schema_version", Some("2"));
    never_bent("origin", Some("robot"));
    never_bent("origin", Some(""));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_null_that_the_log_does_not_have_takes_its_default() {
    let mana = Mana::new();
    let csv =
        "app_id,table_name,record_id,user_id,op,client_id,schema_version,created_at\nnotes,notes,n,ada,insert,,,2026-04-15 08:00:00+00\n";
    assert_eq!(imported(&mana, csv).code, Some(0));
    let row = mana.run(&["export"]).json().remove(0);
    assert_eq!((&row["clientId"], &row["schemaVersion"]), (&json!("import"), &json!(1)));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn keys_by_which_the_json_library_spells_values_come_back_too() {
    for name in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        let (flat, nested) = (format!("{{\"{name}\": \"1\"}}"), format!("{{\"a\": [{{\"{name}\": \"no number\"}}]}}"));
        let database = Database::with_log("jsonb");
        database.fill(&[&flat, &nested].map(|json| row([("data", Some(json.as_str())), ("actor", Some(json.as_str()))])));
        comes_back_the_same(&database);
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn numbers_beyond_every_float_come_back_too() {
    for (json, numbers) in [("json", "1e400, -1E+999, 1e308000"), ("jsonb", "1e400, -1E+999, 1e30000")] {
        let database = Database::with_log(json);
        database.fill(&[row([("data", Some(&*format!("{{\"n\": [{numbers}]}}")))])]);
        comes_back_the_same(&database);
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn times_of_another_date_style_come_back_or_are_refused() {
    for style in ["ISO,DMY", "SQL,MDY", "SQL,DMY", "German", "Postgres,MDY", "Postgres,DMY"] {
        for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata"] {
            println!("{style} {zone}");
            let database = Database::with_log("jsonb").set("TimeZone", zone);
            database.fill(&[row([("created_at", Some("2026-04-05 08:00:00.123456+00"))]), row([])]);
            comes_back_or_is_refused(&database.set("DateStyle", style));
        }
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn an_older_table_with_columns_of_its_own_in_another_order_loses_only_those() {
    let database = Database::new();
    database.create(
        "old",
        "origin text, note_of_old text, actor json, created_at timestamptz, data json, seq bigserial, field_timestamps json, user_id text, client_id text, \
         record_id text, \"device, \"\"name\"\"\" text, table_name text, space_id text, app_id text, op text, schema_version integer, id uuid",
    );
    database.create("sync_changes", &columns("json"));
    database.fill(&odd_rows());
    let to = COLUMNS.join(", ").replace("field_meta", "field_timestamps");
    let from = COLUMNS.join(", ");
    database.sql(&format!(
        "INSERT INTO old ({to}, note_of_old, \"device, \"\"name\"\"\") SELECT {from}, E'a \"note\",\nwith lines', 'x' FROM sync_changes ORDER BY id"
    ));
    let mana = Mana::new();
    let ran = imported(&mana, &database.copy_out("(SELECT * FROM old ORDER BY id)"));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for column in ["note_of_old", "device, "] {
        assert_eq!(ran.stderr.matches(column).count(), 1, "{ran:?}");
    }
    database.sql("CREATE TABLE back (LIKE sync_changes)");
    database.copy_in_file("back", &mana.run(&["export", "--format", "csv"]).stdout);
    same(&database.log("sync_changes"), &database.log("back"));
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn quotes_around_every_cell_change_nothing() {
    let database = Database::with_log("json");
    database.fill(&odd_rows());
    let (mana, quoted) = (Mana::new(), Mana::new());
    let what = format!("(SELECT {} FROM sync_changes ORDER BY id)", COLUMNS.join(", "));
    assert_eq!(imported(&mana, &database.copy_out(&what)).code, Some(0));
    let csv = database.sql(&format!("COPY {what} TO STDOUT WITH (FORMAT csv, HEADER, FORCE_QUOTE *)"));
    assert!(csv.contains("\n\"00000000-"));
    assert_eq!(imported(&quoted, &csv).code, Some(0));
    let export = |mana: &Mana| mana.run(&["export", "--format", "csv"]).stdout;
    same(&export(&mana), &export(&quoted));
}

/// Checks that a row which the log does not take is named by its line, behind rows of several lines.
#[track_caller]
fn bad_cell(column: &'static str, cell: &str, message: &str) {
    let database = Database::with_log("json");
    let lines = "first\nsecond\r\nthird\n\n\\.\n\u{2028}";
    let long = row([("record_id", Some(lines)), ("space_id", Some(lines)), ("data", Some("{\n  \"a\":\r\n 1\n}\n"))]);
    database.fill(&[row([]), long.clone(), row([]), long, row([("client_id", Some("the bad one")), (column, Some(cell))]), row([])]);
    let csv = database.log("sync_changes");
    let line = csv.lines().position(|line| line.contains("the bad one")).unwrap() + 1;
    assert_eq!(line, 34, "{csv}");

    let mana = Mana::new();
    let ran = imported(&mana, &csv);
    ran.fails(1, &format!("line {line}: "));
    ran.fails(1, message);
    assert_eq!(mana.run(&["export", "--format", "csv"]).stdout, COLUMNS.join(",") + "\n", "nothing of the file is kept");
    let ran = mana.run(&["import", "there.csv", "--skip-bad"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains(&format!("line {line}: ")), "{ran:?}");
    assert!(ran.stderr.contains("5 changes imported, 0 known already, 1 bad lines skipped"), "{ran:?}");
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_bad_cell_is_named_by_the_line_that_an_editor_shows() {
    bad_cell("op", "upsert", "upsert");
    bad_cell("data", "[1]", "data");
    bad_cell("field_meta", "{\"a\": 5}", "the number 5");
    bad_cell("created_at", "infinity", "infinity");
    bad_cell("record_id", "", "is missing");
    bad_cell("origin", &"robot".repeat(20), "`origin` has more than 64 characters");
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn what_is_no_utf_8_or_has_no_header_is_refused() {
    let database = Database::with_log("jsonb");
    database.fill(&[row([]), row([("record_id", Some("Grüße"))])]);
    let mana = Mana::new();
    let file = mana.dir.path().join("latin.csv");
    let latin = database.psql("COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER, ENCODING 'LATIN1')").output().unwrap().stdout;
    assert!(latin.contains(&0xfc));
    std::fs::write(&file, latin).unwrap();
    mana.run(&["import", "latin.csv"]).fails(1, "line 3: ");
    imported(&mana, &database.sql("COPY sync_changes TO STDOUT WITH (FORMAT csv)")).fails(1, "line 1: ");
    imported(&mana, &database.sql("COPY sync_changes TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';')")).fails(1, "line 1: ");
    imported(&mana, &database.sql("COPY sync_changes TO STDOUT")).fails(1, "line 1: ");
    assert_eq!(mana.run(&["export"]).stdout, "");
}
