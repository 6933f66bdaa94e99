//! Backups and restores that are killed at any moment.

use super::*;
use crate::common::faults::Killer;

#[test]
fn a_killed_backup_leaves_a_whole_file_or_none() {
    let mana = world("big", 5);
    enlarge(&mana, "big", 20_000, 200);
    let (log, before) = (export(&mana), files(mana.dir.path()));
    let started = Instant::now();
    backup(&mana);
    let step = started.elapsed() / rounds(12, 50) as u32;
    let (mut killed, mut whole) = (0, 0);
    for n in 0.. {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copy.db");
        let early = kill_after(start(mana.command(&["backup", file.to_str().unwrap()])), step * n);
        if file.exists() {
            assert_eq!(export(&restored(&file)), log, "killed after {:?}", step * n);
            whole += 1;
        }
        for path in names(dir.path(), "") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_draft = name.starts_with("copy.db.") && (name.ends_with(".part") || name.ends_with(".part-journal"));
            assert!(path == file || is_draft, "{name}");
        }
        assert!(files(mana.dir.path())[Store::FILE_NAME] == before[Store::FILE_NAME], "the source is untouched");
        killed += usize::from(early);
        // A next one does not mind what a killed one left.
        if !early {
            break;
        }
        if !file.exists() && n % 8 == 0 {
            assert_eq!(mana.run(&["backup", file.to_str().unwrap()]).code, Some(0));
        }
    }
    println!("{killed} kills, {whole} whole files");
    assert!(killed > 3 && whole > 0);
    assert_eq!(export(&mana), log);
    assert_sound(&mana);
}

#[test]
fn a_backup_that_is_stopped_leaves_nothing() {
    let mana = world("big", 5);
    enlarge(&mana, "big", 20_000, 200);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("copy.db");
    let mut stopped = 0;
    for signal in ["-INT", "-TERM"].repeat(10) {
        let child = start(mana.command(&["backup", file.to_str().unwrap()]));
        wait_for("the draft to grow", || {
            names(dir.path(), "").iter().any(|path| path.metadata().is_ok_and(|file| file.len() > 0)).then_some(())
        });
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let code = child.wait_with_output().unwrap().status.code();
        if code == Some(0) {
            std::fs::remove_file(&file).unwrap();
        } else {
            assert_eq!((code, names(dir.path(), "")), (Some(1), vec![]), "after {signal}");
            stopped += 1;
        }
    }
    assert!(stopped > 0);
}

#[test]
fn a_killed_restore_leaves_the_old_database_or_the_new_one() {
    let mana = world("old", 5);
    enlarge(&mana, "old", 3_000, 200);
    let new = world("new", 5);
    enlarge(&new, "new", 12_000, 400);
    let (old_copy, new_copy) = (backup(&mana), backup(&new));
    let (old_log, new_log) = (export(&mana), export(&new));
    let started = Instant::now();
    drop(restored(&new_copy.file));
    let step = started.elapsed() / rounds(12, 50) as u32;
    let (mut killed, mut became_new) = (0, 0);
    for n in 0.. {
        let early = kill_after(start(mana.command(&["restore", new_copy.file.to_str().unwrap(), "--replace"])), step * n);
        killed += usize::from(early);
        assert!(database(&mana).exists(), "killed after {:?}", step * n);
        let there = export(&mana);
        assert!(there == old_log || there == new_log, "killed after {:?}: a mix of {} rows", step * n, there.lines().count());
        assert_sound(&mana);
        if there == new_log {
            became_new += 1;
            let kept = kept(&mana);
            assert!(kept.iter().any(|file| export(&restored(file)) == old_log), "{kept:?}");
            // And back again for the next kill.
            restores(&mana, &old_copy.file, &["--replace"]);
            assert_eq!(export(&mana), old_log);
            assert!(drafts(&mana).is_empty(), "{:?}", drafts(&mana));
        }
        for file in self::kept(&mana) {
            std::fs::remove_file(file).unwrap();
        }
        if !early {
            break;
        }
    }
    println!("{killed} kills, {became_new} times the new one was there");
    assert!(killed > 3 && became_new > 0);
    restores(&mana, &new_copy.file, &["--replace"]);
    assert!(drafts(&mana).is_empty(), "{:?}", drafts(&mana));
    assert_eq!((export(&mana), export(&restored(&kept(&mana)[0]))), (new_log, old_log));
}

#[test]
fn a_backup_that_is_killed_at_any_change_of_a_file_leaves_a_whole_file_or_none() {
    let killer = Killer::new();
    let mana = world("old", 5);
    let log = export(&mana);
    let mut whole = 0;
    for n in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("copy.db");
        let killed = killer.kills(mana.command(&["backup", file.to_str().unwrap()]), dir.path(), n);
        if file.exists() {
            assert_eq!(export(&restored(&file)), log, "killed at change {n}");
            whole += 1;
        }
        if !killed {
            assert!(n > 10 && whole > 1, "{n} changes, {whole} whole files");
            break;
        }
    }
    assert_eq!(export(&mana), log);
}

#[test]
fn a_restore_that_is_killed_at_any_change_of_a_file_leaves_the_old_database_or_the_new_one() {
    let killer = Killer::new();
    // The old one has rows in its write-ahead log, the new one is signed in to.
    let (killed_old, _) = killed_server(2);
    let old_files = files(killed_old.dir.path());
    assert!(old_files.contains_key("mana-ai.db-wal"));
    let old_log = export(&killed_old);
    let new = world("new", 5);
    assert_eq!(new.run(&["link"]).code, Some(0));
    let (new_log, copy) = (export(&new), backup(&new));
    let is_one_of_both = |mana: &Mana, n: usize| {
        let there = export(mana);
        assert!(there == old_log || there == new_log, "killed at change {n}: {} rows", there.lines().count());
        there == new_log
    };
    let (mut olds, mut news) = (0, 0);
    for n in (1..).step_by(rounds(2, 1)) {
        let mana = lay(&old_files);
        let killed = killer.kills(mana.command(&["restore", copy.file.to_str().unwrap(), "--replace"]), mana.dir.path(), n);
        let is_new = is_one_of_both(&mana, n);
        if is_new {
            assert_eq!(links(&mana), 0, "killed at change {n}");
            assert!(kept(&mana).iter().any(|file| export(&restored(file)) == old_log), "killed at change {n}: the old one is kept");
        }
        assert_sound(&mana);
        if !killed {
            break;
        }
        restores(&mana, &copy.file, &["--replace"]);
        assert!(drafts(&mana).is_empty(), "killed at change {n}: {:?}", drafts(&mana));
        assert_eq!(export(&mana), new_log);
        assert_eq!(kept(&mana).len(), 1 + usize::from(is_new), "killed at change {n}: {:?}", kept(&mana));
        let logs: Vec<String> = kept(&mana).iter().map(|file| export(&restored(file))).collect();
        assert!(logs.contains(&old_log), "killed at change {n}: the old one is kept");
        if is_new { news += 1 } else { olds += 1 }
    }
    println!("killed at {olds} changes before and {news} after the old one was replaced");
    assert!(olds > 10 && news > 0);
}

fn links(mana: &Mana) -> i64 {
    let connection = Connection::open(database(mana)).unwrap();
    let query = "SELECT (SELECT count(*) FROM sign_in_links) + (SELECT count(*) FROM sessions)";
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_restore_into_an_empty_directory_that_is_killed_at_any_change_of_a_file_can_be_done_again() {
    let killer = Killer::new();
    let new = world("new", 5);
    let (log, copy) = (export(&new), backup(&new));
    for n in (1..).step_by(rounds(2, 1)) {
        let mana = quiet();
        let killed = killer.kills(mana.command(&["restore", copy.file.to_str().unwrap()]), mana.dir.path(), n);
        if database(&mana).exists() {
            assert_eq!(export(&mana), log, "killed at change {n}");
            assert_sound(&mana);
            if !killed {
                break;
            }
        } else {
            restores(&mana, &copy.file, &[]);
            assert_eq!(export(&mana), log, "killed at change {n}");
        }
        restores(&mana, &copy.file, &["--replace"]);
        assert!(drafts(&mana).is_empty(), "killed at change {n}: {:?}", drafts(&mana));
    }
}
