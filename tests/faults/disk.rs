//! Disks that fail while the program runs: what is refused, what is kept, and that it goes on (docs/design.md, section 1).

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::common::faults::{Caller, Fault, Faults, NO_SPACE, READ_ONLY, assert_sound, kill, logged, note, quiet, start_in_vain};
use crate::common::{Mana, Model, Reply, Served, copy_program, get, hourly, metric, wait_for};

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";

/// The outcome of a health check, which looks anew once a second.
fn wait_for_health(served: &Served, status: u16) {
    wait_for(&format!("a health of {status}"), || (get(&served.url("/health")).0 == status).then_some(()));
}

#[test]
fn a_push_that_cannot_be_synced_is_refused_whole_and_taken_later() {
    let (faults, mana) = Faults::under(quiet());
    let ada = Caller::new(&mana, "ada");
    let served = mana.serve();
    ada.pushed(&served, &[note("before")]);
    let push = [note("1"), note("2"), note("3")];

    faults.set(Fault::Fsync, 0);
    ada.refused(&served, &push);
    let (status, body) = get(&served.url("/health"));
    assert!(status == 503 && body.contains("the database cannot be written"), "{status} {body}");
    assert_eq!(ada.pulled(&served, "").0, ["before"], "nobody is told of what was refused");
    assert!(served.log().contains("nothing of this write was kept, check its free space, its limits and its health"), "{}", served.log());

    faults.clear(Fault::Fsync);
    wait_for_health(&served, 200);
    ada.pushed(&served, &push);
    assert_eq!(ada.pulled(&served, "").0, ["before", "1", "2", "3"]);
    kill(served);
    assert_eq!(logged(&mana), ["before", "1", "2", "3"]);
    assert_sound(&mana);
}

#[test]
fn a_crash_after_failed_syncs_keeps_what_was_acknowledged_and_nothing_by_halves() {
    let (faults, mana) = Faults::under(quiet());
    let ada = Caller::new(&mana, "ada");
    let mut kept = Vec::new();
    for round in 0..5 {
        let served = mana.serve();
        let id = format!("kept {round}");
        ada.pushed(&served, &[note(&id)]);
        kept.push(id);
        let push = [note(&format!("a {round}")), note(&format!("b {round}")), note(&format!("c {round}"))];
        faults.set(Fault::Fsync, 0);
        ada.refused(&served, &push);
        ada.refused(&served, &push);
        kill(served);
        faults.clear(Fault::Fsync);

        let log = logged(&mana);
        let of_push = log.len() - kept.len();
        assert!(of_push == 0 || of_push == push.len(), "{of_push} of {} rows of a push that was refused: {log:?}", push.len());
        let served = mana.serve();
        ada.pushed(&served, &push);
        kill(served);
        kept.extend(push.iter().map(|note| note["id"].as_str().unwrap().to_owned()));
        assert_eq!(logged(&mana), kept);
        assert_sound(&mana);
    }
}

#[test]
fn checkpoints_that_fail_lose_nothing() {
    let (faults, mana) = Faults::under(quiet());
    let ada = Caller::new(&mana, "ada");
    let served = mana.serve();
    faults.set(Fault::Fsync, 1);
    let wal = || std::fs::metadata(mana.dir.path().join("mana-ai.db-wal")).unwrap().len();
    let mut pushed = Vec::new();
    // Twice the pages that start a checkpoint.
    while wal() < 2_000 * 4_096 {
        let notes: Vec<_> = (0..200).map(|n| note(&format!("{} {n}", pushed.len()))).collect();
        ada.pushed(&served, &notes);
        pushed.extend(notes.iter().map(|note| note["id"].as_str().unwrap().to_owned()));
        assert!(pushed.len() < 40_000, "checkpoints went through, and the write-ahead log does not grow");
    }
    let end = pushed.len().to_string();
    faults.clear(Fault::Fsync);
    ada.pushed(&served, &[note(&end)]);
    pushed.push(end);
    kill(served);
    assert_eq!(logged(&mana), pushed);
    assert_sound(&mana);
}

#[test]
fn a_disk_that_fills_up_refuses_pushes_until_there_is_room() {
    let (faults, mana) = Faults::under(quiet());
    let ada = Caller::new(&mana, "ada");
    let served = mana.serve();
    ada.pushed(&served, &[note("before")]);
    let push = [note("1"), note("2")];

    faults.set(Fault::Write, NO_SPACE);
    ada.refused(&served, &push);
    wait_for_health(&served, 503);
    assert_eq!(ada.pulled(&served, "").0, ["before"], "reading goes on");
    let said = format!("the disk of {}/mana-ai.db is full; nothing of this write was kept, free some space", mana.dir.path().display());
    assert!(served.log().contains(&said), "{}", served.log());

    faults.clear(Fault::Write);
    ada.pushed(&served, &push);
    wait_for_health(&served, 200);
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(logged(&mana), ["before", "1", "2"]);
    assert_sound(&mana);
}

#[test]
fn a_plan_that_finds_the_disk_full_is_written_once_when_there_is_room() {
    let model = Model::held(|_| Reply::task("x"));
    let (faults, mana) = Faults::under(Mana::new().with("TICK_INTERVAL_MS", 50).with("MANA_LLM_URL", model.url()));
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let served = mana.serve();
    // A run that is in flight has not written yet that it asks.
    wait_for("the model to be asked", || (model.requests().len() == 1).then_some(()));
    faults.set(Fault::Write, NO_SPACE);
    model.release();
    wait_for("the plan to find no room", || served.log().contains("the end of a run cannot be written yet").then_some(()));
    let ticks = metric(&served, "mana_ai_ticks_total");
    wait_for("ticks to go on", || (metric(&served, "mana_ai_ticks_total") > ticks + 2.0).then_some(()));

    faults.clear(Fault::Write);
    wait_for("the plan to be written", || (metric(&served, "mana_ai_plans_written_back_total") == 1.0).then_some(()));
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(mana.mission("m")["iterations"].as_array().unwrap().len(), 1);
    assert_eq!(model.requests().len(), 1, "a plan that is there is not asked for again");
    let run = mana.run(&["runs", "--json"]).json().remove(0);
    assert_eq!((run["state"].as_str(), run["failedAttempts"].as_u64()), (Some("planned"), Some(0)), "{run}");
    assert_sound(&mana);
}

#[test]
fn a_disk_that_is_full_at_a_tick_delays_the_mission_until_there_is_room() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let (faults, mana) = Faults::under(Mana::new().with("TICK_INTERVAL_MS", 50).with("MANA_LLM_URL", model.url()));
    let in_an_hour = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    mana.import(&[hourly("u", "m", None, &in_an_hour.to_string())]);
    let served = mana.serve();
    wait_for("the mission to be seen", || (metric(&served, "mana_ai_missions{state=\"active\"") == 1.0).then_some(()));
    faults.set(Fault::Write, NO_SPACE);
    faults.set(Fault::Clock, 2 * 3_600);
    wait_for("a tick to fail", || served.log().contains("a tick failed; the next one tries again").then_some(()));
    assert_eq!(model.requests().len(), 0, "what cannot be claimed is not planned");
    faults.clear(Fault::Write);
    wait_for("the plan to be written", || (metric(&served, "mana_ai_plans_written_back_total") == 1.0).then_some(()));
    assert_eq!(served.terminate(), Some(0));
    assert_eq!((mana.mission("m")["iterations"].as_array().unwrap().len(), model.requests().len()), (1, 1));
    assert_sound(&mana);
}

#[test]
fn a_disk_that_becomes_read_only_refuses_pushes_and_says_where() {
    let (faults, mana) = Faults::under(quiet());
    let ada = Caller::new(&mana, "ada");
    let served = mana.serve();
    ada.pushed(&served, &[note("before")]);
    faults.set(Fault::Write, READ_ONLY);
    ada.refused(&served, &[note("1")]);
    wait_for_health(&served, 503);
    assert_eq!(ada.pulled(&served, "").0, ["before"], "reading goes on");
    let said = format!("the disk of {}/mana-ai.db failed", mana.dir.path().display());
    assert!(served.log().contains(&said), "{}", served.log());
    faults.clear(Fault::Write);
    ada.pushed(&served, &[note("2")]);
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(logged(&mana), ["before", "2"]);
    assert_sound(&mana);
}

fn set_modes(mana: &Mana, dir: u32, file: u32) {
    let set = |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    set(mana.dir.path(), dir);
    for entry in std::fs::read_dir(mana.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        set(&path, if path.is_dir() { dir } else { file });
    }
}

/// Root may write everywhere, so the command runs as nobody where the tests run as root.
fn serve_as_nobody(mana: &Mana) -> (Option<i32>, String) {
    let root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0";
    // The directory of the program may be closed to others.
    let program = std::env::temp_dir().join(format!("mana-ai-{}-serve", std::process::id()));
    copy_program(&program);
    let mut command = Command::new(&program);
    if root {
        use std::os::unix::process::CommandExt;
        command.uid(65_534).gid(65_534);
    }
    command.args(["serve", "--port", "0", "--data-dir"]).arg(mana.dir.path()).current_dir("/").env_clear();
    let ended = start_in_vain(command);
    std::fs::remove_file(program).unwrap();
    ended
}

#[test]
fn a_server_that_may_not_write_does_not_start_and_says_what_to_check() {
    for (dir, file) in [(0o555, 0o444), (0o755, 0o444), (0o555, 0o666)] {
        let mana = quiet();
        mana.import(&[hourly("u", "m", None, LONG_AGO)]);
        set_modes(&mana, dir, file);
        let (code, stderr) = serve_as_nobody(&mana);
        set_modes(&mana, 0o755, 0o644);
        assert_eq!(code, Some(1), "{dir:o} {file:o}: {stderr}");
        assert!(stderr.contains(mana.dir.path().to_str().unwrap()), "{dir:o} {file:o}: {stderr}");
        assert!(stderr.contains("check the permissions") || stderr.contains("check that you may write there"), "{stderr}");
        assert!(!stderr.contains("mana-ai listens") && !stderr.contains("panicked"), "{dir:o} {file:o}: {stderr}");
        assert_eq!(logged(&mana), ["m"]);
    }
}
