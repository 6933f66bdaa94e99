//! Directories that somebody has open.

use super::*;

#[test]
fn a_database_in_use_is_not_replaced() {
    let mana = world("old", 5);
    let new = world("new", 7);
    let copy = backup(&new);
    let says_in_use = || {
        for more in [&["--replace"][..], &[]] {
            let refused = restore(&mana, &copy.file, more);
            refused.fails(1, "in use");
            assert!(refused.stderr.contains("stop"), "says what to do: {refused:?}");
        }
        assert!(kept(&mana).is_empty() && drafts(&mana).is_empty());
    };
    let log = export(&mana);
    let served = mana.serve();
    says_in_use();
    assert_eq!(crate::common::get(&served.url("/health")).0, 200);
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(export(&mana), log);

    let mut importing = held_import(&mana, "during");
    says_in_use();
    drop(importing.stdin.take());
    assert!(importing.wait().unwrap().success());
    assert_eq!(export(&mana).lines().count(), log.lines().count() + 1, "the import went on");

    restores(&mana, &copy.file, &["--replace"]);
    assert_eq!(export(&mana), export(&new));
}

#[test]
fn a_server_that_died_does_not_keep_its_database_in_use() {
    let mana = world("old", 5);
    let copy = backup(&world("new", 7));
    kill(mana.serve());
    restores(&mana, &copy.file, &["--replace"]);
}

#[test]
fn an_empty_directory_in_use_takes_no_copy() {
    let mana = quiet();
    let copy = backup(&world("new", 7));
    let mut importing = held_import(&mana, "during");
    restore(&mana, &copy.file, &[]).fails(1, "in use");
    drop(importing.stdin.take());
    assert!(importing.wait().unwrap().success());
    assert_eq!(export(&mana).lines().count(), 1);
}

#[test]
fn the_database_of_a_running_server_is_no_copy() {
    let (served, source) = quiet().serve_kept();
    let into = quiet();
    restore(&into, &database(&source), &[]).fails(1, "in use");
    assert_eq!(files(into.dir.path()).len(), 0);
    drop(served);
}

#[test]
fn the_database_of_a_running_server_is_no_copy_under_another_name_either() {
    let (served, source) = quiet().serve_kept();
    source.import(&[insert("ada", "notes", "new", json!({"title": "x"}))]);
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("copy.db");
    std::os::unix::fs::symlink(database(&source), &other).unwrap();
    let into = quiet();
    let ran = restore(&into, &other, &[]);
    // Whatever is taken must be whole.
    assert!(ran.code != Some(0) || export(&into) == export(&source), "rows are missing: {ran:?}");
    drop(served);
}

#[test]
fn a_database_does_not_take_its_own_place() {
    let mana = world("old", 5);
    let before = files(mana.dir.path());
    restore(&mana, &database(&mana), &["--replace"]).fails(1, "mana-ai.db");
    assert!(files(mana.dir.path()) == before, "{:?}", names(mana.dir.path(), ""));
}

#[test]
fn a_database_that_another_program_reads_is_not_replaced() {
    let mana = world("old", 5);
    let (log, copy) = (export(&mana), backup(&world("new", 7)));
    let other = Connection::open(database(&mana)).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM sync_changes").unwrap();
    restore(&mana, &copy.file, &["--replace"]).fails(1, "in use");
    assert!(kept(&mana).is_empty() && drafts(&mana).is_empty());
    drop(other);
    assert_eq!(export(&mana), log);
    restores(&mana, &copy.file, &["--replace"]);
}

#[test]
fn whoever_looks_while_a_database_is_replaced_sees_the_old_one_or_the_new_one() {
    let mana = world("a", 5);
    let other = world("b", 300);
    let copies = [backup(&other), backup(&mana)];
    let logs = [export(&mana), export(&other)];
    let (done, looked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let replaced = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let log = export(&mana);
                    assert!(logs.contains(&log), "{} rows", log.lines().count());
                    looked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let mut replaced = 0;
        while replaced < 6 || looked.load(Ordering::SeqCst) < 20 {
            let ran = restore(&mana, &copies[replaced % 2].file, &["--replace"]);
            match ran.code {
                Some(0) => replaced += 1,
                _ => ran.fails(1, "in use"),
            }
        }
        done.store(true, Ordering::SeqCst);
        replaced
    });
    assert_eq!(export(&mana), logs[replaced % 2]);
    assert_eq!(kept(&mana).len(), replaced);
    assert_sound(&mana);
}

#[test]
fn commands_that_meet_a_restored_database_together_all_open_it() {
    let copy = backup(&world("new", 5));
    for round in 0..rounds(15, 40) {
        let mana = restored(&copy.file);
        std::thread::scope(|scope| {
            let looking: Vec<_> = (0..4).map(|_| scope.spawn(|| mana.run(&["tick", "--json"]))).collect();
            for ran in looking.into_iter().map(|looking| looking.join().unwrap()) {
                assert_eq!(ran.code, Some(0), "round {round}: {}", ran.stderr);
            }
        });
    }
}

#[test]
fn a_restored_database_that_another_process_writes_is_waited_for() {
    let mana = restored(&backup(&world("new", 5)).file);
    let other = Connection::open(database(&mana)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut export = mana.command(&["export"]);
    export.env("BUSY_TIMEOUT_MS", "600000");
    let mut looking = start(export);
    let started = Instant::now();
    // Well within the time that the command waits for another.
    while started.elapsed() < Duration::from_millis(700) && looking.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    other.execute_batch("COMMIT").unwrap();
    assert!(looking.wait().unwrap().success(), "it gave up after {:?}", started.elapsed());
}

#[test]
fn commands_that_make_a_database_together_all_open_it() {
    for round in 0..rounds(15, 40) {
        let mana = quiet();
        std::thread::scope(|scope| {
            let looking: Vec<_> = (0..4).map(|_| scope.spawn(|| mana.run(&["tick", "--json"]))).collect();
            for ran in looking.into_iter().map(|looking| looking.join().unwrap()) {
                assert_eq!(ran.code, Some(0), "round {round}: {}", ran.stderr);
            }
        });
    }
}

#[test]
fn of_two_restores_at_the_same_time_one_says_why_not() {
    let new = world("new", 5);
    enlarge(&new, "new", 2_000, 200);
    let (log, copy) = (export(&new), backup(&new));
    for _ in 0..5 {
        let mana = quiet();
        let ran = std::thread::scope(|scope| {
            [(); 3].map(|()| scope.spawn(|| restore(&mana, &copy.file, &[]))).map(|restoring| restoring.join().unwrap())
        });
        assert_eq!(ran.iter().filter(|ran| ran.code == Some(0)).count(), 1, "{ran:?}");
        for refused in ran.iter().filter(|ran| ran.code != Some(0)) {
            assert!(refused.stderr.contains("in use") || refused.stderr.contains("--replace"), "{refused:?}");
        }
        assert_eq!(export(&mana), log);
        assert!(kept(&mana).is_empty() && drafts(&mana).is_empty());
    }
}
