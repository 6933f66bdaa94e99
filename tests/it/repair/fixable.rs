//! What is folded, counted or made again.

use super::*;

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
        fixes(&world, sql, named);
    }
}

#[test]
fn records_that_are_no_longer_json_are_folded_again() {
    let world = world();
    for (column, text) in [("record", "not JSON"), ("record", "[1, 2]"), ("record", ""), ("record", "{"), ("field_meta", "not JSON")] {
        let sql = format!("UPDATE mission_snapshots SET {column} = '{text}' WHERE mission_id = 'two'");
        fixes(&world, &sql, "aiMissions two of user ada");
    }
    fixes(&world, "UPDATE agent_snapshots SET record = 'not JSON' WHERE agent_id = 'robin'", "agents robin of user ada");
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
        fixes(&world, sql, named);
    }
}

#[test]
fn snapshots_without_rows_are_taken_away() {
    let world = world();
    let mission = |user: &str, id: &str| {
        format!(
            "INSERT INTO mission_snapshots SELECT '{user}', '{id}', last_seq, last_applied_at, updated_at, liveness, state, agent_id, \
             next_run_at, awaiting_review, client_active_at, unscheduled, waiting_since, title_key, next_key, title, objective, field_meta, record, \
             bad_schedule FROM mission_snapshots WHERE user_id = 'ada' AND mission_id = 'two'"
        )
    };
    fixes(&world, &mission("ada", "ghost"), "aiMissions ghost of user ada");
    // An id that only another user has.
    fixes(&world, &mission("ben", "two"), "aiMissions two of user ben");
    fixes(&world, &mission("nobody", "two"), "aiMissions two of user nobody");
    // A record of that name in another table, and one that only differs in its case.
    fixes(&world, &mission("ada", "robin"), "aiMissions robin of user ada");
    fixes(&world, &mission("ada", "n"), "aiMissions n of user ada");
    fixes(&world, &mission("ada", "TWO"), "aiMissions TWO of user ada");
    let agent = "INSERT INTO agent_snapshots SELECT 'ben', agent_id, last_seq, last_applied_at, updated_at, liveness, state, name, role, avatar, \
         field_meta, record, name_key, max_tokens FROM agent_snapshots WHERE agent_id = 'robin'";
    fixes(&world, agent, "agents robin of user ben");
    let tombstone = "INSERT INTO mission_snapshots VALUES ('ada', 'ghost', 1, 1, 1, 'ended', 'active', NULL, NULL, 0, NULL, 0, NULL, '', 1, '', '', '{}', '{}', 0)";
    fixes(&world, tombstone, "aiMissions ghost of user ada");
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
        // Lists and decisions would be wrong.
        ("title = 'forged'", "two"),
        ("objective = ''", "two"),
        ("awaiting_review = awaiting_review + 1", "two"),
        ("awaiting_review = -1", "two"),
        ("client_active_at = 1", "two"),
        ("unscheduled = 1", "two"),
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
        fixes(&world, &sql, &format!("aiMissions {mission} of user"));
    }
    for set in [
        "state = 'paused'",
        "name = 'forged'",
        "avatar = 'x'",
        "state = 'active', liveness = 'deleted'",
        "liveness = 'ended'",
        "last_seq = 1000000",
        "last_applied_at = 0",
    ] {
        fixes(&world, &format!("UPDATE agent_snapshots SET {set} WHERE agent_id = 'robin'"), "agents robin of user ada");
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
        fixes(&world, sql, "active missions");
    }
}

#[test]
fn missions_that_are_not_counted_at_all_are_counted_again() {
    let world = world();
    fixes(&world, "DELETE FROM mission_counts WHERE state = 'active'", "active missions");
    fixes(&world, "DELETE FROM mission_counts", "active missions");
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
    fixes(&world, &attempt("nowhere"), "attempt");
    fixes(&world, &format!("{}; {}", attempt("nowhere"), attempt("nowhere else")), "attempts belong to no run");
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
         INSERT INTO agent_snapshots VALUES ('zoe', 'ghost', 1, 1, 1, 'live', 'active', '', '', '', '{}', '{}', '', NULL); \
         UPDATE projection_cursors SET seq = 1000000; \
         UPDATE mission_counts SET missions = 77; \
         INSERT INTO run_attempts SELECT 'nowhere', attempt, user_id, agent_id, started_at, finished_at, latency_ms, model, \
         prompt_version, prompt_tokens, completion_tokens, total_tokens, error, prompt_chars, calls, error_name, rounds, inputs, log_seq FROM run_attempts LIMIT 1",
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
    const AGENTS: usize = 10_300;
    let mana = quiet();
    mana.import(&(0..AGENTS).map(|n| insert("ada", "agents", &format!("a{n}"), json!({ "name": "A" }))).collect::<Vec<_>>());
    mana.run(&["agents"]);
    let before = state(&mana);
    damage(&mana, "UPDATE agent_snapshots SET name = 'B', state = 'paused'");
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
    behind_the_index(&mana, "log_rows_projected", row);
    let before = log(&mana);
    assert_eq!(mana.run(&["check"]).code, Some(1));
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert_eq!(mana.mission("hidden")["title"], "hidden");
    assert_eq!(log(&mana), before);
    assert_eq!((mana.integrity().as_str(), mana.run(&["check"]).code), ("ok", Some(0)));
}

// What cannot be fixed.
