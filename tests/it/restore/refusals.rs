//! Files that are no copies, and disks that are full.

use super::*;

#[test]
fn a_file_that_is_no_database_of_this_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    refuses(&dir.path().join("missing"), "No such file");
    refuses(dir.path(), "directory");
    refuses(&file("empty", b""), "no database of mana-ai");
    refuses(&file("text", b"just a text\n"), "no database of mana-ai");
    refuses(&file("long text", "just a text\n".repeat(2_000).as_bytes()), "no database of mana-ai");
    refuses(&file("zeros", &[0; 64 * 1024]), "no database of mana-ai");
    refuses(&file("magic", b"SQLite format 3\0"), "no database of mana-ai");

    let foreign = dir.path().join("foreign");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO notes VALUES (1, 'x')")
        .unwrap();
    refuses(&foreign, "no database of mana-ai");
    Connection::open(&foreign).unwrap().execute_batch("PRAGMA application_id = 0x4d414e41; PRAGMA user_version = 1").unwrap();
    refuses(&foreign, "of mana-ai");
}

#[test]
fn a_copy_that_was_cut_off_is_refused() {
    let new = world("new", 300);
    let copy = backup(&new);
    let whole = std::fs::read(&copy.file).unwrap();
    let pages = whole.len() / PAGE;
    for length in
        [1, 16, 99, 100, 511, 512, PAGE - 1, PAGE, PAGE + 1, pages / 2 * PAGE, pages / 2 * PAGE + 100, whole.len() - PAGE, whole.len() - 1]
    {
        std::fs::write(&copy.file, &whole[..length]).unwrap();
        refuses(&copy.file, "cannot restore");
    }
}

#[test]
fn a_copy_with_a_damaged_page_is_refused() {
    let copy = backup(&world("new", 300));
    let whole = std::fs::read(&copy.file).unwrap();
    let pages = whole.len() / PAGE;
    assert!(pages > 20);
    for fill in [0, 0x5a, 0xff] {
        for page in (0..pages).step_by(pages / 8) {
            let mut bytes = whole.clone();
            bytes[page * PAGE..][..PAGE].fill(fill);
            std::fs::write(&copy.file, bytes).unwrap();
            refuses(&copy.file, "cannot restore");
        }
    }
}

#[test]
fn a_copy_with_a_flipped_byte_is_refused_or_its_log_can_be_read() {
    let copy = backup(&world("new", 100));
    let whole = std::fs::read(&copy.file).unwrap();
    let mut taken = 0;
    // The same places each time.
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let places: Vec<usize> = (0..100).chain((0..rounds(60, 1_000)).map(|_| random(whole.len()))).collect();
    let mut wrong = Vec::new();
    for place in places {
        let flip = 1 << random(8);
        let mut bytes = whole.clone();
        bytes[place] ^= flip;
        std::fs::write(&copy.file, bytes).unwrap();
        let mana = quiet();
        let ran = restore(&mana, &copy.file, &[]);
        if ran.code != Some(0) {
            ran.fails(1, "cannot restore");
            assert_eq!(files(mana.dir.path()).len(), 0);
            continue;
        }
        taken += 1;
        // What was made out of the log can be made again; the log itself has to be sound.
        let [repaired, exported] = [mana.run(&["check", "--repair"]), mana.run(&["export"])];
        if repaired.code != Some(0) || exported.code != Some(0) || exported.stdout.lines().count() != 103 {
            wrong.push(format!("byte {place} with {flip:#x}: {}{}", repaired.stderr, exported.stderr));
        }
    }
    assert!(wrong.is_empty(), "taken, but not sound:\n{}", wrong.join(""));
    println!("{taken} were taken");
}

#[test]
fn a_copy_of_a_newer_program_is_refused() {
    let copy = forged(&format!("PRAGMA user_version = {}", SCHEMA_VERSION + 1));
    refuses(&copy.file, "newer");
    let copy = forged("PRAGMA user_version = 1000; CREATE TABLE more (x)");
    refuses(&copy.file, "newer");
}

#[test]
fn a_copy_with_a_schema_of_its_own_is_refused() {
    for sql in [
        // What would run when the program reads or writes.
        "CREATE TRIGGER more AFTER DELETE ON sessions BEGIN DELETE FROM facts; END",
        "CREATE TRIGGER more AFTER INSERT ON log_rows BEGIN UPDATE mission_counts SET missions = 0; END",
        "CREATE VIEW more AS SELECT * FROM sync_changes",
        "DROP VIEW sync_changes; CREATE VIEW sync_changes AS SELECT * FROM log_entries",
        "ALTER TABLE facts RENAME TO other; CREATE VIEW facts AS SELECT * FROM other",
        "CREATE VIRTUAL TABLE more USING fts5(x)",
        "CREATE INDEX more ON log_rows (upper(actor))",
        "CREATE UNIQUE INDEX more ON runs (mission_id)",
        "CREATE TABLE more (x, y GENERATED ALWAYS AS (upper(x)))",
        "ALTER TABLE runs ADD COLUMN more TEXT",
        "ALTER TABLE runs ADD COLUMN more TEXT GENERATED ALWAYS AS (upper(note))",
        "ALTER TABLE runs DROP COLUMN note",
        "ALTER TABLE runs RENAME COLUMN note TO more",
        // What would be missing.
        "DROP TRIGGER log_rows_no_delete",
        "DROP INDEX runs_one_open_per_mission",
        "DROP TABLE facts",
        "DROP TRIGGER log_rows_no_update; CREATE TRIGGER log_rows_no_update BEFORE UPDATE ON log_rows BEGIN SELECT 1; END",
        // Versions whose schema is another.
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 0",
    ] {
        let copy = forged(sql);
        println!("{sql}");
        refuses(&copy.file, "of mana-ai");
    }
}

#[test]
fn what_a_replicator_or_an_operator_added_does_no_harm_and_is_left_behind() {
    let copy = forged(
        "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER); CREATE TABLE _litestream_lock (id INTEGER); \
         CREATE INDEX by_actor ON log_rows (actor); ANALYZE",
    );
    let mana = quiet();
    restores(&mana, &copy.file, &[]);
    assert_sound(&mana);
    let names = Connection::open(mana.dir.path().join(Store::FILE_NAME))
        .unwrap()
        .prepare("SELECT name FROM sqlite_schema")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<Vec<String>, _>>()
        .unwrap();
    assert!(names.len() > 20 && !names.iter().any(|name| name.starts_with('_') || name == "by_actor"), "{names:?}");
}

#[test]
fn a_copy_whose_catalog_was_forged_is_refused() {
    let copy = backup(&world("new", 5));
    let whole = std::fs::read(&copy.file).unwrap();
    for sql in [
        // Two names for one table.
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'log_rows') WHERE name = 'facts'",
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'facts') WHERE name = 'sessions'",
        "UPDATE sqlite_schema SET rootpage = 100000 WHERE name = 'runs'",
        "UPDATE sqlite_schema SET rootpage = 0 WHERE name = 'runs'",
        "UPDATE sqlite_schema SET tbl_name = 'runs' WHERE name = 'log_rows_no_delete'",
        "UPDATE sqlite_schema SET sql = NULL WHERE name = 'runs'",
        "DELETE FROM sqlite_schema WHERE name = 'mission_snapshots_due'",
        "INSERT INTO sqlite_schema SELECT * FROM sqlite_schema WHERE name = 'runs_by_time'",
    ] {
        std::fs::write(&copy.file, &whole).unwrap();
        let connection = Connection::open(&copy.file).unwrap();
        connection.execute_batch("PRAGMA writable_schema = on").unwrap();
        connection.execute(sql, []).unwrap_or_else(|error| panic!("{sql}: {error}"));
        drop(connection);
        println!("{sql}");
        refuses(&copy.file, "cannot restore");
    }
}

#[test]
fn a_copy_whose_log_is_out_of_order_is_refused() {
    let order = "SELECT sql FROM sqlite_schema WHERE name = 'log_rows_no_update'";
    let copy = backup(&world("new", 5));
    let connection = Connection::open(&copy.file).unwrap();
    let trigger: String = connection.query_row(order, [], |row| row.get(0)).unwrap();
    connection.execute_batch("DROP TRIGGER log_rows_no_update; UPDATE log_rows SET sync_at = 1 WHERE seq = 4").unwrap();
    connection.execute_batch(&trigger).unwrap();
    drop(connection);
    refuses(&copy.file, "row 4 of the log");
}

#[test]
fn a_copy_with_rows_at_the_ends_of_numbers_is_refused_or_goes_on() {
    let row = |seq: i64, sync_at: i64| {
        format!(
            "INSERT INTO sync_changes (seq, id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at) \
             VALUES ({seq}, '{}', 'ai', 'aiMissions', 'edge', 'ada', 'insert', '{{}}', 'phone', {sync_at}, {sync_at})",
            uuid::Uuid::new_v4()
        )
    };
    let mut wrong = Vec::new();
    let far = 4_000_000_000_000_000;
    for (seq, sync_at) in [(1_000, i64::MAX), (i64::MAX, far), (i64::MAX, i64::MAX), (-1, -1), (0, i64::MIN), (1_000, far)] {
        let copy = forged(&row(seq, sync_at));
        let mana = world("old", 5);
        let before = files(mana.dir.path());
        let ran = restore(&mana, &copy.file, &["--replace"]);
        if ran.code != Some(0) {
            ran.fails(1, "cannot restore");
            assert!(files(mana.dir.path()) == before);
            continue;
        }
        let line = insert("ada", "notes", "after", json!({"title": "x"})).to_string();
        let ran = mana.run_with(&["import", "-"], &line);
        let log = mana.run(&["export"]);
        if ran.code != Some(0) || log.code != Some(0) || !log.stdout.lines().last().unwrap().contains("\"after\"") {
            wrong.push(format!("seq {seq}, sync_at {sync_at}: {}{}", ran.stderr, log.stderr));
            continue;
        }
        assert_sound(&mana);
    }
    assert!(wrong.is_empty(), "the log of a copy that was taken does not go on:\n{}", wrong.join("\n"));
}

#[test]
fn a_copy_with_a_text_that_is_no_text_is_refused_or_its_log_can_be_read() {
    let copy = backup(&world("new", 100));
    let whole = std::fs::read(&copy.file).unwrap();
    let place = |text: &str| whole.windows(text.len()).position(|window| window == text.as_bytes()).expect("the text is in the file");
    // A bit of a row that no index holds.
    let mut wrong = Vec::new();
    for place in [place("new note 50"), place("title\":\"new note 50")] {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x80;
        std::fs::write(&copy.file, bytes).unwrap();
        let mana = quiet();
        let ran = restore(&mana, &copy.file, &[]);
        if ran.code == Some(0) {
            let [check, export] = [mana.run(&["check"]), mana.run(&["export"])];
            if export.code != Some(0) {
                wrong.push(format!("check says {:?} {}, export {:?} {}", check.code, check.stdout, export.code, export.stderr));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a command under a bound on the size of files, in blocks of 512 bytes, which stands for a full disk.
fn bounded(mana: &Mana, args: &[&str], blocks: u64) -> std::process::Output {
    let command = mana.command(args);
    let mut bounded = Command::new("sh");
    bounded.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""));
    bounded.arg(command.get_program()).args(command.get_args()).env("MANA_AI_DATA_DIR", mana.dir.path());
    bounded.output().unwrap()
}

#[test]
fn a_disk_that_is_full_leaves_the_old_database() {
    let mana = world("old", 5);
    let new = world("new", 5);
    enlarge(&new, "new", 500, 200);
    let (copy, before) = (backup(&new), files(mana.dir.path()));
    let size = copy.file.metadata().unwrap().len();
    for blocks in [0, 1, 100, size / 512 - 1] {
        let output = bounded(&mana, &["restore", copy.file.to_str().unwrap(), "--replace"], blocks);
        assert_eq!(output.status.code(), Some(1), "{blocks}: {output:?}");
        assert!(files(mana.dir.path()) == before, "{blocks}: {:?}", names(mana.dir.path(), ""));
    }
    restores(&mana, &copy.file, &["--replace"]);
    assert_eq!(export(&mana), export(&new));
}

#[test]
fn a_disk_that_is_full_leaves_no_backup_in_part() {
    let mana = world("old", 5);
    enlarge(&mana, "old", 500, 200);
    let log = export(&mana);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copy.db");
    for blocks in [0, 1, 100, 300] {
        let output = bounded(&mana, &["backup", file.to_str().unwrap()], blocks);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && !said.contains("panicked"), "{blocks}: {said}");
        assert_eq!(names(dir.path(), "").len(), 0, "{blocks}: {:?}", names(dir.path(), ""));
    }
    assert_eq!(mana.run(&["backup", file.to_str().unwrap()]).code, Some(0));
    assert_eq!(export(&restored(&file)), log);
}

#[test]
fn a_copy_that_looks_like_litter_is_not_cleared_away() {
    let new = world("new", 5);
    let log = export(&new);
    let mana = world("old", 5);
    for name in ["mana-ai.db.mine.part", &format!("mana-ai.db.{}.part", uuid::Uuid::new_v4().simple())] {
        let file = mana.dir.path().join(name);
        std::fs::copy(backup(&new).file, &file).unwrap();
        restores(&mana, &file, &["--replace"]);
        assert_eq!(export(&mana), log);
        assert_eq!(export(&restored(&file)), log, "the copy is still there");
    }
}
