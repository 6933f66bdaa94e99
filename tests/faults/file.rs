//! Database files that were damaged while nobody looked: what is found, what is said, and what is still there.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::faults::{Caller, assert_sound, kill, logged, note, quiet, start_in_vain};
use crate::common::{Mana, get, hourly, insert, wait_for};
use serde_json::json;

const PAGE: usize = 4_096;

fn database(mana: &Mana) -> PathBuf {
    mana.dir.path().join("mana-ai.db")
}

fn wal(mana: &Mana) -> PathBuf {
    mana.dir.path().join("mana-ai.db-wal")
}

/// A database of many small rows, at rest.
fn filled() -> (Mana, Vec<String>) {
    let mana = quiet();
    let notes = (0..3_000).map(|n| insert("ada", "notes", &format!("n{n}"), json!({"title": format!("note {n}")})));
    let missions = (0..100).map(|n| hourly("ada", &format!("m{n}"), None, "2100-01-01T00:00:00.000Z"));
    mana.import(&notes.chain(missions).collect::<Vec<_>>());
    assert_sound(&mana);
    let rows = logged(&mana);
    assert_eq!(rows.len(), 3_100);
    // A command leaves its last rows in the write-ahead log.
    let connection = rusqlite::Connection::open(database(&mana)).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    assert!(!wal(&mana).exists());
    (mana, rows)
}

/// Puts this database there, with the page at a part of it overwritten.
fn damage(mana: &Mana, good: &[u8], part: f64) {
    for side in [wal(mana), mana.dir.path().join("mana-ai.db-shm")] {
        let _ = std::fs::remove_file(side);
    }
    let mut bytes = good.to_vec();
    let pages = bytes.len() / PAGE;
    let at = (pages as f64 * part) as usize * PAGE;
    bytes[at..at + PAGE].fill(0x5a);
    std::fs::write(database(mana), bytes).unwrap();
}

/// The rows that an export still gives, which must be the first ones.
#[track_caller]
fn still_exported(mana: &Mana, rows: &[String]) -> usize {
    let ran = mana.run(&["export"]);
    let given: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["recordId"].as_str().unwrap().to_owned())
        .collect();
    assert!(rows.starts_with(&given), "rows out of order or made up");
    match ran.code {
        Some(0) => assert_eq!(given.len(), rows.len(), "an export that leaves rows out must not succeed: {}", ran.stderr),
        _ => says_damaged(mana, ran.code, &ran.stderr),
    }
    given.len()
}

#[track_caller]
fn says_damaged(mana: &Mana, code: Option<i32>, stderr: &str) {
    let path = database(mana);
    assert!(code == Some(1) && !stderr.contains("panicked"), "{code:?} {stderr}");
    assert!(stderr.contains(&format!("{} is damaged", path.display())), "names the file: {stderr}");
    assert!(stderr.contains("restore a copy"), "says what to do: {stderr}");
}

#[test]
fn a_damaged_page_is_found_and_made_no_worse() {
    let (mana, rows) = filled();
    let good = std::fs::read(database(&mana)).unwrap();
    for part in 1..16 {
        damage(&mana, &good, f64::from(part) / 16.0);
        let damaged = std::fs::read(database(&mana)).unwrap();
        let found = mana.run(&["check"]);
        assert!(found.code == Some(1) && !found.stderr.contains("panicked"), "part {part}: {found:?}");
        assert!(format!("{}{}", found.stdout, found.stderr).contains("damaged"), "part {part}: {found:?}");
        still_exported(&mana, &rows);
        assert!(std::fs::read(database(&mana)).unwrap() == damaged, "part {part}: looking changes nothing");
    }
    std::fs::write(database(&mana), &good).unwrap();
    assert_sound(&mana);
}

#[test]
fn what_a_check_finds_names_the_file_and_what_to_do() {
    let (mana, _) = filled();
    let good = std::fs::read(database(&mana)).unwrap();
    for part in 1..16 {
        damage(&mana, &good, f64::from(part) / 16.0);
        let found = mana.run(&["check"]);
        assert!(found.stderr.contains(mana.dir.path().to_str().unwrap()), "part {part}: {}", found.stderr);
        assert!(found.stderr.contains("copy"), "part {part}: {}", found.stderr);
    }
}

#[test]
fn a_server_on_a_damaged_file_answers_or_says_why_and_keeps_what_can_be_read() {
    let (mana, rows) = filled();
    let ada = Caller::new(&mana, "ada");
    let good = std::fs::read(database(&mana)).unwrap();
    for part in [0.25, 0.5, 0.75] {
        damage(&mana, &good, part);
        let readable = still_exported(&mana, &rows);
        let served = match mana.try_serve(&["--port", "0"]) {
            Ok(served) => served,
            Err((code, said)) => {
                says_damaged(&mana, code, &said);
                continue;
            }
        };
        assert!([200, 503].contains(&get(&served.url("/health")).0));
        let (status, answer) = ada.push(&served, &[note("new")]);
        assert!([200, 500, 503].contains(&status), "{answer}");
        if status != 200 {
            let named = format!("{} is damaged", database(&mana).display());
            assert!(served.log().contains(&named) && served.log().contains("restore a copy"), "{}", served.log());
        }
        assert!(!served.log().contains("panicked"), "{}", served.log());
        served.terminate();
        let log = mana.run(&["export"]).stdout;
        assert!(log.lines().count() >= readable, "part {part}: rows that could be read before can be read still");
    }
}

#[test]
fn a_server_on_a_file_without_its_head_does_not_start_and_leaves_it_as_it_is() {
    let (mana, _) = filled();
    for (fill, said) in [(0x5a, "is not a database of mana-ai"), (0, "is not a database of mana-ai")] {
        let mut bytes = std::fs::read(database(&mana)).unwrap();
        bytes[..PAGE].fill(fill);
        std::fs::write(database(&mana), &bytes).unwrap();
        let (code, stderr) = start_in_vain(mana.command(&["serve", "--port", "0"]));
        assert!(code == Some(1) && stderr.contains(said), "{code:?} {stderr}");
        assert!(std::fs::read(database(&mana)).unwrap() == bytes);
    }
}

#[test]
fn a_file_that_was_cut_off_is_found() {
    let (mana, rows) = filled();
    let mut bytes = std::fs::read(database(&mana)).unwrap();
    bytes.truncate(bytes.len() / 2 / PAGE * PAGE + 100);
    std::fs::write(database(&mana), &bytes).unwrap();
    let found = mana.run(&["check"]);
    assert!(found.code == Some(1) && !found.stderr.contains("panicked"), "{found:?}");
    assert!(format!("{}{}", found.stdout, found.stderr).contains("damaged"), "{found:?}");
    still_exported(&mana, &rows);
}

/// A directory whose server was killed while three clients pushed, with the write-ahead log that it left. Each push has
/// three notes, named by the push.
fn killed_in_the_middle() -> (Mana, Vec<String>) {
    let mana = quiet();
    let served = mana.serve();
    let (stop, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for client in 0..3 {
            let ada = Caller::new(&mana, "ada");
            let (stop, acknowledged, served) = (&stop, &acknowledged, &served);
            scope.spawn(move || {
                for n in 0.. {
                    let push: Vec<_> = (0..3).map(|part| note(&format!("{client}-{n}/{part}"))).collect();
                    match ada.try_push(served, &push) {
                        Some((200, _)) => acknowledged.lock().unwrap().push(format!("{client}-{n}")),
                        _ => return,
                    }
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        wait_for("some pushes", || (acknowledged.lock().unwrap().len() > 30).then_some(()));
        std::process::Command::new("kill").args(["-KILL", &served.child.id().to_string()]).status().unwrap();
        stop.store(true, Ordering::SeqCst);
    });
    kill(served);
    (mana, acknowledged.into_inner().unwrap())
}

fn push_of(record: &str) -> &str {
    record.split('/').next().unwrap()
}

#[test]
fn a_write_ahead_log_that_was_cut_off_leaves_whole_pushes_in_the_order_of_their_commits() {
    let (mana, acknowledged) = killed_in_the_middle();
    let files = ["mana-ai.db", "mana-ai.db-wal"];
    let read = |name: &str| std::fs::read(mana.dir.path().join(name)).unwrap();
    let [db, log] = files.map(read);
    assert!(log.len() < 1_000 * (PAGE + 24), "nothing of it is in the database yet");
    let restore = |wal_bytes: &[u8], keep_index: bool| {
        std::fs::write(database(&mana), &db).unwrap();
        std::fs::write(wal(&mana), wal_bytes).unwrap();
        if !keep_index {
            let _ = std::fs::remove_file(mana.dir.path().join("mana-ai.db-shm"));
        }
    };

    // Whole, and without its index.
    restore(&log, false);
    let all = logged(&mana);
    let kept: HashSet<&str> = all.iter().map(|record| push_of(record)).collect();
    assert!(acknowledged.iter().all(|push| kept.contains(push.as_str())), "what was acknowledged is there");

    let frame = PAGE + 24;
    let cuts = [
        0,
        1,
        31,
        32,
        33,
        frame,
        log.len() / 3,
        log.len() / 2 + 7,
        log.len() / 2 / frame * frame + 32,
        log.len() - frame - 1,
        log.len() - 1,
    ];
    let mut lengths = HashSet::new();
    for cut in cuts {
        for keep_index in [false, true] {
            restore(&log[..cut], keep_index);
            let left = logged(&mana);
            assert!(all.starts_with(&left), "cut at {cut}: {} rows are not the first ones", left.len());
            assert_eq!(left.len() % 3, 0, "cut at {cut}: pushes are there whole");
            assert_sound(&mana);
            lengths.insert(left.len());
        }
    }
    assert!(lengths.len() > 3, "the cuts made a difference: {lengths:?}");

    for garbage in [vec![0x5a; 3 * frame], vec![0; frame], vec![0xff; 17]] {
        restore(&[log.as_slice(), &garbage].concat(), false);
        assert_eq!(logged(&mana), all);
        assert_sound(&mana);
    }

    // And it goes on from the last cut.
    restore(&log[..log.len() / 2], false);
    let left = logged(&mana).len();
    let ada = Caller::new(&mana, "ada");
    let served = mana.serve();
    let (told, until) = ada.pulled(&served, "");
    assert_eq!(told, all[..left]);
    ada.pushed(&served, &[note("new")]);
    assert_eq!(ada.pulled(&served, &until).0, ["new"]);
    kill(served);
    assert_eq!(logged(&mana).len(), left + 1);
    assert_sound(&mana);
}

#[test]
fn a_damaged_frame_in_the_write_ahead_log_ends_it_there() {
    let (mana, _) = killed_in_the_middle();
    let [db, mut log] = [database(&mana), wal(&mana)].map(|path| std::fs::read(path).unwrap());
    let all = logged(&mana);
    let middle = log.len() / 2;
    log[middle] ^= 0xff;
    std::fs::write(database(&mana), &db).unwrap();
    std::fs::write(wal(&mana), &log).unwrap();
    let left = logged(&mana);
    assert!(all.starts_with(&left) && left.len() < all.len() && left.len().is_multiple_of(3), "{} of {}", left.len(), all.len());
    assert_sound(&mana);
}
