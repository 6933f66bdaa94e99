//! The log of the program on its way to Postgres and back.

use super::*;

/// Pushes changes to a server as a client of a user.
fn push(mana: &Mana, url: &str, user: &str, changes: &Value) {
    let token = mana.run(&["token", "create", "--user", user]).stdout;
    let body = json!({"clientId": "phone, \"the\nblue one\"", "appId": "notes", "since": "", "changes": changes}).to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime
        .block_on(async { crate::common::http_client().post(url).bearer_auth(token.trim()).body(body).send().await.unwrap().status() });
    assert_eq!(status.as_u16(), 200);
}

/// A log of plans that a tick made and of changes that clients pushed.
fn written_by_the_program() -> Mana {
    let model = Model::start(Duration::ZERO, |_| Reply::task("Buy „Erde“, 2 bags,\nthe \"big\" ones\r\n\\.\n😀"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("TICK_ENABLED", "false");
    let due = "2026-04-15T08:00:00.000Z";
    mana.import(&[
        insert("ada", "agents", "a", json!({"name": "Penny, \"P\"", "maxConcurrentMissions": 9})),
        hourly("ada", "m1", Some("a"), due),
        hourly("ada", "m2", None, due),
        hourly("ben", "m3", None, due),
    ]);
    for now in ["2026-04-15T08:00:30Z", "2026-04-15T09:00:30.5Z"] {
        assert_eq!(mana.run(&["tick", "--now", now, "--json"]).json()[0]["plansWrittenBack"], 3);
    }
    let served = mana.serve();
    let actor = json!({"kind": "user", "principalId": "ada", "displayName": "Ada \"A\""});
    let numbers: Value = serde_json::from_str("[0.10, 1.0, 12345678901234567890123]").unwrap();
    push(
        &mana,
        &served.url("/sync/notes"),
        "ada",
        &json!([
            {"table": "notes", "id": "1", "op": "insert", "data": {"title": "a", "list": [1, 0.5, -7, 0.25, null], "z": {}, "numbers": numbers}, "spaceId": "s", "actor": actor, "origin": "user"},
            {"table": "notes", "id": "1", "op": "update", "fields": {"title": {"value": "b\r\n", "at": due}, "body": {"value": null, "updatedAt": due}}},
            {"table": "notes", "id": "2", "op": "insert", "data": {"title": "again"}},
            {"table": "notes", "id": "2", "op": "insert", "data": {"title": "and again"}},
            {"table": "folders", "id": "f", "op": "delete", "deletedAt": due},
        ]),
    );
    assert_eq!(served.terminate(), Some(0));
    mana
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn what_the_program_wrote_is_the_same_log_in_another_one_after_its_way_through_postgres() {
    let mana = written_by_the_program();
    let log = mana.run(&["export", "--format", "jsonl"]);
    assert_eq!(log.json().len(), 15);
    assert_eq!(log.stdout, mana.run(&["export"]).stdout);
    for json in JSON_TYPES {
        let database = Database::new();
        database.create("sync_changes", &format!("seq bigserial, {}", columns(json)));
        database.copy_in("sync_changes", &mana.run(&["export", "--format", "csv"]).stdout);
        let other = Mana::new();
        // As in a pipe.
        let ran = other.run_with(&["import", "-"], &database.copy_out("(SELECT * FROM sync_changes ORDER BY seq)"));
        assert!(ran.code == Some(0) && ran.stderr.contains("15 changes imported"), "{ran:?}");
        let there = other.run(&["export"]);
        // The type jsonb orders the keys in its own way.
        match json {
            "json" => same(&log.stdout, &there.stdout),
            _ => assert_eq!(log.json(), there.json()),
        }
        for command in ["missions", "agents"] {
            assert_eq!(mana.run(&[command, "--json"]).json(), other.run(&[command, "--json"]).json());
        }
        assert_eq!(other.run(&["check"]).code, Some(0));
    }
}

#[test]
#[ignore = "needs the Postgres server programs"]
fn a_part_of_the_log_goes_to_postgres_alone() {
    let mana = written_by_the_program();
    for (filter, expected) in [
        (&["--user", "ben"][..], "ben aiMissions 3\n"),
        (&["--app", "notes"], "ada folders 1\nada notes 4\n"),
        (&["--table", "agents"], "ada agents 1\n"),
        (&["--user", "ada", "--app", "ai", "--table", "aiMissions"], "ada aiMissions 6\n"),
        (&["--user", "nobody"], ""),
    ] {
        let database = Database::with_log("jsonb");
        let csv = mana.run(&[&["export", "--format", "csv"], filter].concat());
        assert_eq!(csv.code, Some(0), "{csv:?}");
        database.copy_in("sync_changes", &csv.stdout);
        let found = database
            .sql("SELECT user_id || ' ' || table_name || ' ' || count(*) FROM sync_changes GROUP BY user_id, table_name ORDER BY 1");
        assert_eq!(found, expected, "{filter:?}");
    }
}

/// Looks at a database before a move, by a role, with the settings of its sessions in the address.
fn doctor(database: &Database, role: &str) -> Ran {
    let options = database.settings.replace(' ', "%20").replace('=', "%3D");
    let url = format!("postgres://{role}:secret@/postgres?host={}&options={options}&sslmode=disable", POSTGRES.socket);
    let mana = Mana::new();
    let mut command = mana.command(&["doctor", "--json", "--database", &url]);
    let path = std::env::var("PATH").unwrap_or_default();
    let output = command.env("PATH", format!("{}:{path}", POSTGRES.socket)).output().unwrap();
    Ran { stdout: String::from_utf8(output.stdout).unwrap(), stderr: String::from_utf8(output.stderr).unwrap(), code: output.status.code() }
}

#[test]
#[ignore = "needs the postgresql package"]
fn a_doctor_looks_into_a_postgres_before_a_move() {
    let database = Database::with_log("jsonb");
    let columns = "app_id, table_name, record_id, user_id, op, data, field_meta, client_id, created_at, schema_version, id";
    let row = |id: u32, stamp: &str| {
        format!(
            "INSERT INTO sync_changes ({columns}) VALUES ('notes', 'notes', 'n', 'ada', 'insert', '{{\"title\": \"x\"}}', \
             '{{\"title\": {stamp}}}', 'c', '2026-04-15 08:00:00+00', 1, '00000000-0000-4000-8000-00000000000{id}')"
        )
    };
    database.sql(&row(1, "\"2026-04-15T08:00:00.000Z\""));
    let found = |ran: &Ran, check: &str| {
        let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines.into_iter().find(|line| line["check"] == check).unwrap_or_else(|| panic!("{ran:?}"))
    };
    let clean = doctor(&database, "postgres");
    assert_eq!(clean.code, Some(0), "{clean:?}");
    assert!(clean.json().iter().all(|line| line["status"] == "ok"), "{clean:?}");
    database.sql(&row(2, "{\"at\": \"2026-04-15T08:00:00.000Z\"}"));
    let told = doctor(&database, "postgres");
    assert!(
        found(&told, "rows")["found"].as_str().unwrap().starts_with("2 rows") && found(&told, "stamps")["status"] == "warn",
        "{told:?}"
    );

    // A role that may not see all rows is refused, and so is one that cannot be reached; neither looks like an empty log.
    let role = format!("reader_{}", database.name);
    database.sql(&format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {0} TO {role}; GRANT SELECT ON sync_changes TO {role}; \
         ALTER TABLE sync_changes ENABLE ROW LEVEL SECURITY",
        database.name
    ));
    for (role, says) in [(role.as_str(), "row-level security"), ("nobody_here", "psql says")] {
        let ran = doctor(&database, role);
        assert!(ran.code == Some(1) && ran.stdout.lines().count() == 1, "{ran:?}");
        assert!(found(&ran, "source")["found"].as_str().unwrap().contains(says), "{ran:?}");
        assert!(!ran.stdout.contains("secret") && !ran.stderr.contains("secret"), "{ran:?}");
    }
}
