//! Crashes: the program is killed at random moments, and afterwards nothing is lost, nothing is there twice, and the
//! database is sound (docs/design.md, section 6).

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Mana, Model, Reply, edit, hourly, insert, rounds};
use serde_json::{Value, json};

const MISSIONS: usize = 60;

fn start(mana: &Mana, args: &[&str]) -> Child {
    mana.command(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Lets the program run for a while and kills it, unless it ended before.
fn kill_after(mut child: Child, wait: Duration) -> bool {
    std::thread::sleep(wait);
    let early = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    early
}

fn mission(n: usize) -> String {
    format!("mission-{n:02}")
}

fn user(n: usize) -> String {
    format!("user-{}", n % 6)
}

/// The due time of a round: in the past, and another one each round.
fn due(round: usize) -> String {
    format!("2026-04-15T08:{:02}:{:02}.000Z", round / 60, round % 60)
}

/// Whether every mission has had all its runs: none of them has a next time.
fn all_planned(mana: &Mana) -> bool {
    mana.run(&["missions", "--json"]).json().iter().all(|mission| mission["record"]["nextRunAt"].is_null())
}

#[test]
fn a_killed_runner_plans_every_due_time_once() {
    let model = Model::start(Duration::from_millis(20), |_| Reply::task("x"));
    let mana = Mana::new()
        .with("MANA_LLM_URL", model.url())
        .with("TICK_INTERVAL_MS", 20)
        .with("PORT", 0)
        .with("MAX_PARALLEL_PLANS", 8)
        // A program that ends while the model is asked has spent an attempt.
        .with("MAX_ATTEMPTS", 60_000)
        .with("MAX_UNREVIEWED_PLANS", 0)
        .with("MAX_ITERATIONS_KEPT", 1_000);
    let agents = (0..6).map(|n| insert(&user(n), "agents", &format!("agent-{n}"), json!({"maxConcurrentMissions": 100})));
    let missions = (0..MISSIONS).map(|n| {
        let mut line = hourly(&user(n), &mission(n), (n % 3 > 0).then(|| format!("agent-{}", n % 6)).as_deref(), &due(0));
        line["data"]["cadence"] = json!({"kind": "manual"});
        line
    });
    mana.import(&agents.chain(missions).collect::<Vec<_>>());

    let (wanted, mut kills, mut round) = (rounds(30, 200), 0, 0);
    loop {
        // Every round makes all missions due once more, and kills the program until all of them were planned.
        let mut longest = 150;
        while !all_planned(&mana) {
            let args: &[&str] = if kills % 3 == 2 { &["tick"] } else { &["serve"] };
            kills += usize::from(kill_after(start(&mana, args), Duration::from_millis(rand::random_range(5..longest))));
            // On a busy machine, it takes longer to start than that.
            longest += 25;
            assert_eq!(mana.integrity(), "ok", "after kill {kills}");
        }
        if kills >= wanted {
            break;
        }
        round += 1;
        assert!(round < 3_600, "{kills} kills after {round} rounds");
        let edits: Vec<_> = (0..MISSIONS)
            .map(|n| edit(&user(n), &mission(n), json!({"nextRunAt": due(round)}), &due(round).replace("2026", "2099")))
            .collect();
        mana.import(&edits);
    }

    // The log of each mission is: due, planned, due, planned … – so each due time has one iteration and no other.
    let mut logs: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in mana.run(&["export", "--table", "aiMissions"]).json() {
        logs.entry(row["recordId"].as_str().unwrap().to_owned()).or_default().push(row);
    }
    assert_eq!(logs.len(), MISSIONS);
    for (id, rows) in &logs {
        assert_eq!(rows.len(), 2 * (round + 1), "{id}: one due time and one plan a round");
        for (n, row) in rows.iter().enumerate() {
            if n % 2 == 0 {
                assert_eq!(row["data"]["nextRunAt"], due(n / 2), "{id}");
            } else {
                assert_eq!((&row["clientId"], &row["data"]["nextRunAt"]), (&json!("mana-ai-runner"), &Value::Null), "{id}");
                assert_eq!(row["data"]["iterations"].as_array().unwrap().len(), n / 2 + 1, "{id}");
            }
        }
        let iterations = mana_iterations(rows);
        assert_eq!(iterations.len(), round + 1, "{id}: iterations are all different");
    }
    let runs = mana.run(&["runs", "--limit", "100000", "--json"]).json();
    assert_eq!(runs.len(), MISSIONS * (round + 1));
    assert!(runs.iter().all(|run| run["state"] == "planned"));
    println!("{kills} kills, {} rounds of {MISSIONS} missions, {} requests to the model", round + 1, model.requests().len());
}

/// The ids of the iterations that the last row of a mission has.
fn mana_iterations(rows: &[Value]) -> std::collections::BTreeSet<&str> {
    rows.last().unwrap()["data"]["iterations"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect()
}

#[test]
fn a_killed_import_keeps_all_or_nothing() {
    const LINES: usize = 5_000;
    let mana = Mana::new();
    let file = mana.dir.path().join("log.jsonl");
    let line = |n: usize| {
        let mut line = insert("u", "agents", &format!("a{n}"), json!({"name": "Agent", "memory": "x".repeat(200)}));
        line["eventId"] = json!(format!("00000000-0000-4000-8000-{n:012}"));
        format!("{line}\n")
    };
    std::fs::write(&file, (0..LINES).map(line).collect::<String>()).unwrap();
    let args = ["import", file.to_str().unwrap()];
    let started = Instant::now();
    assert_eq!(Mana::new().run(&args).code, Some(0));
    let step = started.elapsed() / rounds(10, 40) as u32;
    let mut killed = 0;
    for wait in (0..).map(|n| step * n) {
        let early = kill_after(start(&mana, &args), wait);
        assert_eq!(mana.integrity(), "ok");
        let kept = mana.run(&["export"]).stdout.lines().count();
        assert!(kept == 0 || kept == LINES, "{kept} of {LINES} lines were kept");
        killed += usize::from(early);
        if !early {
            break;
        }
    }
    assert!(killed > 2, "the import was over before it could be killed");
    assert_eq!(mana.run(&args).code, Some(0));
    assert_eq!(mana.run(&["export"]).stdout.lines().count(), LINES);
}
