//! More callers than anyone would wish for, and a stop in the middle of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::faults::{Caller, assert_sound, logged, note, peak_memory, quiet};
use crate::common::{Mana, Model, Reply, Served, edit, get, hourly, wait_for};
use serde_json::json;

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";
const CONNECTIONS: usize = 10_000;

/// Raises the open files that a process may have as far as may be, and answers how many that are.
fn raise_open_files(process: u32) -> usize {
    let limits = || {
        let text = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap().to_owned();
        let mut numbers = line.split_whitespace().map(|word| word.parse().unwrap_or(1 << 20));
        (numbers.next().unwrap(), numbers.next().unwrap())
    };
    let (_, hard): (usize, usize) = limits();
    // Without the tool, the soft limit has to do.
    let _ = Command::new("prlimit").args([format!("--pid={process}"), format!("--nofile={hard}:{hard}")]).output();
    limits().0
}

fn connect(served: &Served, said: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect_timeout(&served.address, Duration::from_secs(60)).unwrap();
    connection.write_all(said).unwrap();
    connection
}

#[test]
fn thousands_of_idle_connections_hold_up_nobody() {
    let mana = quiet();
    let ada = Caller::new(&mana, "ada");
    let served = mana.serve();
    // Some are left for everything else.
    let possible = raise_open_files(std::process::id()).min(raise_open_files(served.child.id())).saturating_sub(300);
    let wanted = CONNECTIONS.min(possible);
    println!("{wanted} of {CONNECTIONS} connections: that is what the limit of open files allows here");
    assert!(wanted > 500, "the limit of open files is too low for this test");

    let mut idle = Vec::with_capacity(wanted);
    for n in 0..wanted {
        // Most say nothing, some stop in the middle of a request.
        let said: &[u8] = if n % 10 == 0 { b"POST /sync/notes HTTP/1.1\r\nhost: localhost\r\nauthor" } else { b"" };
        idle.push(connect(&served, said));
        if n % 100 == 99 {
            // It is answered in its turn, so those before it were taken in.
            assert_eq!(get(&served.url("/health")).0, 200);
        }
    }
    for (n, connection) in idle.iter_mut().enumerate().filter(|(n, _)| n % 10 == 0) {
        connection.write_all(b"i").unwrap_or_else(|error| panic!("connection {n}: {error}"));
    }
    assert_eq!(get(&served.url("/health")).0, 200);
    ada.pushed(&served, &[note("1"), note("2")]);
    assert_eq!(ada.pulled(&served, "").0, ["1", "2"]);
    assert!(peak_memory(&served) < 350, "{} MB", peak_memory(&served));

    drop(idle);
    wait_for("the connections to be closed", || (open_files(&served) < 100).then_some(()));
    ada.pushed(&served, &[note("3")]);
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(logged(&mana), ["1", "2", "3"]);
    assert_sound(&mana);
}

/// While the server is held up, the system takes in as many as the server asked it to; others wait for seconds.
#[test]
fn a_burst_of_connections_waits_in_line() {
    let served = quiet().serve_kept();
    let process = served.0.child.id().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &process]).status().unwrap().success());
    signal("-STOP");
    let burst: Vec<_> = (0..500).map_while(|_| TcpStream::connect_timeout(&served.0.address, Duration::from_millis(60_000)).ok()).collect();
    signal("-CONT");
    assert_eq!(burst.len(), 500, "the line of the server is short");
}

#[test]
fn a_server_without_free_descriptors_serves_whom_it_knows_and_goes_on_when_others_leave() {
    let mana = quiet();
    let ada = Caller::new(&mana, "ada");
    let served = mana.serve();
    let process = format!("--pid={}", served.child.id());
    let limited = Command::new("prlimit").args([&process, "--nofile=100:100"]).status();
    assert!(limited.is_ok_and(|status| status.success()), "this test needs prlimit, of the package util-linux");
    ada.pushed(&served, &[note("1")]);
    assert_eq!(ada.pulled(&served, "").0, ["1"]);
    let strangers: Vec<_> = (0..120).map(|_| connect(&served, b"")).collect();
    wait_for("the last descriptor to go", || (open_files(&served) >= 100).then_some(()));
    ada.pushed(&served, &[note("2")]);
    assert_eq!(ada.pulled(&served, "").0, ["1", "2"]);
    drop(strangers);
    assert_eq!(get(&served.url("/health")).0, 200);
    ada.pushed(&served, &[note("3")]);
    assert!(!served.log().contains("panicked"), "{}", served.log());
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(logged(&mana), ["1", "2", "3"]);
    assert_sound(&mana);
}

fn open_files(served: &Served) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", served.child.id())).unwrap().count()
}

/// Clients that push one note after another until the server goes, and what they were told is kept.
fn push_until_the_end(served: &Served, callers: &[Caller], meanwhile: impl FnOnce(&Mutex<Vec<String>>)) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (client, caller) in callers.iter().enumerate() {
            let (acknowledged, over) = (&acknowledged, &over);
            scope.spawn(move || {
                for n in 0..1_000_000 {
                    let id = format!("{client}-{n}");
                    match caller.try_push(served, &[note(&id)]) {
                        Some((200, _)) => acknowledged.lock().unwrap().push(id),
                        Some((503, _)) => {}
                        Some((status, answer)) => panic!("{status} {answer}"),
                        None => return,
                    }
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        meanwhile(&acknowledged);
        over.store(true, Ordering::SeqCst);
    });
    acknowledged.into_inner().unwrap()
}

#[test]
fn a_stop_under_load_keeps_every_promise() {
    const MISSIONS: usize = 50;
    let model = Model::start(Duration::from_millis(150), |_| Reply::task("x"));
    let mana = Mana::new().with("TICK_INTERVAL_MS", 50).with("MANA_LLM_URL", model.url()).with("SHUTDOWN_GRACE_MS", 5_000);
    mana.import(&(0..MISSIONS).map(|n| hourly(&format!("user {}", n % 7), &format!("m{n}"), None, LONG_AGO)).collect::<Vec<_>>());
    let callers: Vec<Caller> = (0..20).map(|n| Caller::new(&mana, &format!("user {}", n % 7))).collect();
    let mut served = mana.serve();
    let process = served.child.id();
    let acknowledged = push_until_the_end(&served, &callers, |acknowledged| {
        wait_for("some pushes and some plans", || (acknowledged.lock().unwrap().len() > 200 && model.requests().len() > 10).then_some(()));
        Command::new("kill").args(["-TERM", &process.to_string()]).status().unwrap();
        let stat = format!("/proc/{process}/stat");
        // Its parent has not asked for its end yet, so it stays as a zombie.
        wait_for("the server to end", || std::fs::read_to_string(&stat).unwrap().contains(") Z").then_some(()));
    });
    assert_eq!(served.child.wait().unwrap().code(), Some(0), "{}", served.log());
    assert!(!served.log().contains("panicked"), "{}", served.log());

    let log: BTreeSet<String> = logged(&mana).into_iter().collect();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !log.contains(*id)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let runs = mana.run(&["runs", "--limit", "1000", "--json"]).json();
    let states = runs.iter().fold(BTreeMap::new(), |mut states: BTreeMap<&str, usize>, run| {
        *states.entry(run["state"].as_str().unwrap()).or_default() += 1;
        states
    });
    assert!(states.keys().all(|state| ["planned", "waiting"].contains(state)), "claims are given back: {states:?}");
    assert!(states.contains_key("waiting"), "the stop came in the middle: {states:?}");
    assert_sound(&mana);

    let served = mana.serve();
    wait_for("all missions", || {
        let missions = mana.run(&["missions", "--due", "--json"]).json();
        missions.is_empty().then_some(())
    });
    assert_eq!(served.terminate(), Some(0));
    for mission in mana.run(&["missions", "--json"]).json() {
        assert_eq!(mission["record"]["iterations"].as_array().unwrap().len(), 1, "{mission}");
    }
    let runs = mana.run(&["runs", "--limit", "1000", "--json"]).json();
    assert!(runs.len() == MISSIONS && runs.iter().all(|run| run["state"] == "planned"), "one run for each: {runs:?}");
    assert_sound(&mana);

    // And it goes on with the next time.
    mana.import(&[edit("user 0", "m0", json!({"nextRunAt": "2026-04-15T09:00:00.000Z"}), "2100-01-01T00:00:00.000Z")]);
    assert_eq!(mana.run(&["tick", "--json"]).json()[0]["plansWrittenBack"], 1);
}
