//! What becomes of the database that was replaced.

use super::*;

#[test]
fn the_write_ahead_log_of_a_killed_server_goes_with_the_old_database() {
    for with_index in [true, false] {
        let (mana, ids) = killed_server(40);
        if !with_index {
            std::fs::remove_file(beside(&database(&mana), "-shm")).unwrap();
        }
        let new = world("new", 7);
        let copy = backup(&new);
        restores(&mana, &copy.file, &["--replace"]);
        assert_eq!(export(&mana), export(&new), "nothing of the old log gets into the new database");
        let [old] = kept(&mana).try_into().expect("one file");
        has_all(&export(&restored(&old)), &ids);
        restores(&mana, &old, &["--replace"]);
        has_all(&export(&mana), &ids);
        assert_sound(&mana);
    }
}

#[test]
fn a_write_ahead_log_without_its_database_does_not_get_into_the_new_one() {
    let new = world("new", 7);
    enlarge(&new, "new", 200, 200);
    let copy = backup(&new);
    // Somebody moved a database away, or emptied it, and left what was beside it.
    for emptied in [false, true] {
        let (mana, _) = killed_server(40);
        if emptied {
            std::fs::write(database(&mana), b"").unwrap();
        } else {
            std::fs::remove_file(database(&mana)).unwrap();
        }
        restores(&mana, &copy.file, &[]);
        assert_eq!(export(&mana), export(&new));
        assert_sound(&mana);
    }
}

#[test]
fn a_journal_without_its_database_does_not_get_into_the_new_one() {
    let new = world("new", 7);
    let copy = backup(&new);
    // A journal of another program that was cut short: rolled back, it would bring its pages.
    let victim = tempfile::tempdir().unwrap();
    let path = victim.path().join("db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = delete; PRAGMA cache_size = 1; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))")
        .unwrap();
    connection.execute_batch("BEGIN; UPDATE t SET x = randomblob(100000); INSERT INTO t VALUES (randomblob(200000))").unwrap();
    let journal = std::fs::read(beside(&path, "-journal")).unwrap();
    assert!(journal.len() > PAGE);
    let mana = quiet();
    std::fs::write(beside(&database(&mana), "-journal"), &journal).unwrap();
    restores(&mana, &copy.file, &[]);
    assert_eq!(export(&mana), export(&new));
    assert_sound(&mana);
}

#[test]
fn a_damaged_database_can_be_replaced_and_is_kept() {
    let new = world("new", 7);
    let (log, copy) = (export(&new), backup(&new));
    let old = world("old", 300);
    let whole = std::fs::read(database(&old)).unwrap();
    let pages = whole.len() / PAGE;
    let cut = |length: usize| whole[..length].to_vec();
    let smashed = |from: usize, length: usize, fill: u8| {
        let mut bytes = whole.clone();
        bytes[from..][..length].fill(fill);
        bytes
    };
    let mut damaged = vec![
        b"just a text\n".to_vec(),
        vec![0; 100],
        vec![0; 10 * PAGE],
        cut(1),
        cut(100),
        cut(PAGE),
        cut(pages / 2 * PAGE + 100),
        cut(whole.len() - 1),
        smashed(0, PAGE, 0x5a),
        smashed(0, PAGE, 0),
        smashed(100, PAGE - 100, 0x5a),
        smashed(PAGE, 4 * PAGE, 0x5a),
        smashed(PAGE, whole.len() - PAGE, 0xff),
    ];
    damaged.extend((0..8).map(|part| smashed(pages * part / 8 * PAGE, PAGE, 0x5a)));
    for (n, bytes) in damaged.iter().enumerate() {
        let mana = lay(&BTreeMap::from([(Store::FILE_NAME.to_owned(), bytes.clone())]));
        restore(&mana, &copy.file, &[]).fails(1, "--replace");
        restores(&mana, &copy.file, &["--replace"]);
        assert_eq!(export(&mana), log, "damage {n}");
        assert_sound(&mana);
        // What SQLite tried to fix it with may be kept beside it.
        let old = kept(&mana).into_iter().min().unwrap();
        let kept = std::fs::read(old).unwrap();
        // Where SQLite could still open it, it may have written its head.
        assert!(kept.len() == bytes.len() && kept.get(100..) == bytes.get(100..), "damage {n} is kept as it was");
    }
}

#[test]
fn a_database_with_any_damage_in_its_head_can_be_replaced() {
    let new = world("new", 7);
    let (log, copy) = (export(&new), backup(&new));
    let whole = std::fs::read(database(&world("old", 10))).unwrap();
    let mut stuck = Vec::new();
    for place in 0..100 {
        let values = [0, whole[place] ^ 1, 0x5a, 0xff];
        // Half of them, in turns.
        for value in values.into_iter().skip(place % 2).step_by(rounds(2, 1)) {
            let mut bytes = whole.clone();
            if bytes[place] == value {
                continue;
            }
            bytes[place] = value;
            let mana = lay(&BTreeMap::from([(Store::FILE_NAME.to_owned(), bytes)]));
            let ran = restore(&mana, &copy.file, &["--replace"]);
            if ran.code != Some(0) {
                stuck.push(format!("byte {place} = {value:#x}: {}", ran.stderr));
                continue;
            }
            assert_eq!(export(&mana), log, "byte {place} = {value:#x}");
            assert!(!kept(&mana).is_empty());
        }
    }
    assert!(stuck.is_empty(), "{} databases cannot be replaced:\n{}", stuck.len(), stuck.join(""));
}

#[test]
fn the_rows_in_the_write_ahead_log_of_a_damaged_database_are_kept_too() {
    let (mana, ids) = killed_server(5);
    // A command may close the log when it ends, so it looks at a copy.
    let log = export(&lay(&files(mana.dir.path())));
    let db = std::fs::read(database(&mana)).unwrap();
    let wal = std::fs::read(beside(&database(&mana), "-wal")).unwrap();
    // A part of the catalog that the write-ahead log does not have.
    let pages: Vec<usize> = {
        let look = lay(&files(mana.dir.path()));
        let connection = Connection::open(database(&look)).unwrap();
        let mut statement = connection.prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema' AND pageno > 1").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let logged: BTreeSet<usize> =
        (32..wal.len()).step_by(PAGE + 24).map(|at| u32::from_be_bytes(wal[at..at + 4].try_into().unwrap()) as usize).collect();
    let page = *pages.iter().find(|page| !logged.contains(page)).expect("a page of the catalog");
    let at = (page - 1) * PAGE;
    let mut bytes = db.clone();
    bytes[at..at + PAGE].fill(0x5a);
    let damaged = lay(&BTreeMap::from([("mana-ai.db".to_owned(), bytes), ("mana-ai.db-wal".to_owned(), wal)]));
    assert_eq!(damaged.run(&["export"]).code, Some(1), "it is damaged");

    let new = world("new", 7);
    restores(&damaged, &backup(&new).file, &["--replace"]);
    assert_eq!(export(&damaged), export(&new));
    let old = kept(&damaged).into_iter().find(|path| !path.to_str().unwrap().ends_with("-wal")).unwrap();
    // With the page fixed, everything is there.
    let mut fixed = std::fs::read(&old).unwrap();
    fixed[at..at + PAGE].copy_from_slice(&db[at..at + PAGE]);
    std::fs::write(&old, fixed).unwrap();
    let there = export(&restored(&old));
    assert_eq!(there, log);
    has_all(&there, &ids);
}

#[test]
fn a_database_of_another_program_or_a_newer_one_can_be_replaced_and_is_kept() {
    let new = world("new", 7);
    let copy = backup(&new);
    for sql in ["PRAGMA user_version = 1000", "PRAGMA application_id = 1", "DROP TABLE sessions"] {
        let mana = world("old", 5);
        Connection::open(database(&mana)).unwrap().execute_batch(sql).unwrap();
        settle(&mana);
        restores(&mana, &copy.file, &["--replace"]);
        assert_eq!(export(&mana), export(&new));
        let [old] = kept(&mana).try_into().unwrap();
        let rows = Connection::open(old).unwrap().query_row("SELECT count(*) FROM sync_changes", [], |row| row.get(0));
        assert_eq!(rows, Ok(8), "{sql}");
    }
}
