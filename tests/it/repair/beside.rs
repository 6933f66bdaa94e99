//! Checks and repairs beside a busy server, and their end by a kill.

use super::*;

/// Clients that push new missions and edit their own, and what the last edit of each said.
struct Pushing {
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<std::collections::BTreeMap<String, usize>>>,
    runtime: tokio::runtime::Runtime,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Pushing {
    fn start(mana: &Mana, url: &str, clients: usize) -> Self {
        let (stop, last) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let token = mana.run(&["token", "create", "--user", "ada"]).stdout.trim().to_owned();
        let http = crate::common::http_client();
        let clients = (0..clients)
            .map(|client| {
                let request = http.post(format!("{url}/sync/ai")).bearer_auth(&token);
                runtime.spawn(push_on(client, request, Arc::clone(&stop), Arc::clone(&last)))
            })
            .collect();
        Pushing { stop, last, runtime, clients }
    }

    fn edits(&self) -> usize {
        self.last.lock().unwrap().values().sum()
    }

    fn end(self) -> std::collections::BTreeMap<String, usize> {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            self.runtime.block_on(client).unwrap();
        }
        self.last.lock().unwrap().clone()
    }
}

async fn push_on(
    client: usize,
    request: reqwest::RequestBuilder,
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<std::collections::BTreeMap<String, usize>>>,
) {
    for n in 1.. {
        // Ten edits to a mission, then the next one.
        let id = format!("pushed-{client}-{}", n / 10);
        let change = if n == 1 || n % 10 == 0 {
            json!({"table": "aiMissions", "id": id, "op": "insert", "data": {"title": n, "state": "active", "nextRunAt": DUE}})
        } else {
            let at = format!("2099-01-01T00:00:00.{:03}Z", n % 10);
            json!({"table": "aiMissions", "id": id, "op": "update", "fields": {"title": {"value": n, "at": at}}})
        };
        let body = json!({"clientId": format!("device-{client}"), "since": "2100-01-01T00:00:00.000Z", "changes": [change]});
        let answer = request.try_clone().unwrap().json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        last.lock().unwrap().insert(id, n);
        if stop.load(Ordering::SeqCst) {
            return;
        }
    }
}

#[track_caller]
fn has_the_last_edits(mana: &Mana, last: &std::collections::BTreeMap<String, usize>) {
    let missions = mana.run(&["missions", "--json"]).json();
    let titles: std::collections::HashMap<&str, &Value> =
        missions.iter().map(|mission| (mission["id"].as_str().unwrap(), &mission["record"]["title"])).collect();
    for (id, n) in last {
        assert_eq!(titles.get(id.as_str()), Some(&&json!(n)), "{id}");
    }
}

#[test]
fn a_check_beside_a_busy_server_finds_nothing_that_is_not_wrong() {
    let (served, mana) = quiet().serve_kept();
    let pushing = Pushing::start(&mana, &served.url(""), 8);
    wait_for("pushes", || (pushing.edits() > 20).then_some(()));
    for args in [&["check", "--json"][..], &["check", "--repair", "--json"]].iter().cycle().take(12) {
        let said = says(&mana.run(args));
        assert!(said["sound"] == true && said["repaired"] == json!([]), "{said}");
    }
    let last = pushing.end();
    has_the_last_edits(&mana, &last);
    assert_eq!(served.terminate(), Some(0));
}

#[test]
fn a_repair_beside_a_busy_server_fixes_and_loses_nothing() {
    let (served, mana) = quiet().serve_kept();
    mana.import(&[hourly("ben", "steady", None, DUE), insert("ben", "agents", "robin", json!({"name": "Robin"}))]);
    mana.run(&["missions"]);
    let pushing = Pushing::start(&mana, &served.url(""), 6);
    wait_for("pushes", || (pushing.edits() > 20).then_some(()));
    let mut fixed = 0;
    for round in 0..6 {
        let edits = pushing.edits();
        damage(
            &mana,
            "BEGIN IMMEDIATE; \
             UPDATE mission_snapshots SET record = '{}', next_run_at = NULL WHERE user_id = 'ben'; \
             UPDATE mission_snapshots SET state = 'paused' WHERE user_id = 'ada' AND rowid % 3 = 0; \
             DELETE FROM mission_snapshots WHERE user_id = 'ada' AND rowid % 7 = 0; \
             DELETE FROM agent_snapshots; \
             INSERT INTO mission_snapshots VALUES ('zoe', 'ghost', 1, 1, 1, 'live', 'active', NULL, 1, 0, NULL, 0, NULL, '', 1, '', '', '{}', '{}', 0); \
             UPDATE projection_cursors SET seq = (SELECT max(seq) + 40 FROM sync_changes); \
             UPDATE mission_counts SET missions = missions + 3; \
             INSERT INTO run_attempts (run_id, attempt, user_id, started_at, finished_at, latency_ms, model, prompt_version) \
             VALUES ('nowhere', 1, 'ada', 1, 1, 1, 'm', 'v'); \
             COMMIT",
        );
        let ran = mana.run(&["check", "--repair", "--json"]);
        let said = says(&ran);
        assert_eq!(ran.code, Some(0), "round {round}: {ran:?}");
        fixed += said["repaired"].as_array().unwrap().len();
        // The server goes on.
        wait_for("more pushes", || (pushing.edits() > edits + 20).then_some(()));
        let again = says(&mana.run(&["check", "--json"]));
        assert_eq!(again["sound"], true, "round {round}: {again}");
    }
    assert!(fixed > 6 * 5, "{fixed} findings were fixed");
    let last = pushing.end();
    has_the_last_edits(&mana, &last);
    assert_eq!(mana.mission("steady")["title"], "Mission steady");
    assert_eq!(says(&mana.run(&["check", "--json"]))["sound"], true);
    let active = mana.run(&["missions", "--json"]).json().len();
    wait_for("the server to know it", || (metric(&served, "mana_ai_missions{state=\"active\"") == active as f64).then_some(()));
    assert_eq!(served.terminate(), Some(0));
    let rows = mana.run(&["export"]).json();
    for id in last.keys() {
        assert!(rows.iter().any(|row| row["recordId"] == id.as_str()));
    }
}

#[test]
fn two_repairs_at_the_same_time_leave_a_sound_database() {
    let world = world();
    for _ in 0..4 {
        let mana = laid(world.path());
        let before = state(&mana);
        damage(&mana, "UPDATE mission_snapshots SET record = '{}'; UPDATE mission_counts SET missions = 9; DELETE FROM agent_snapshots");
        let repair =
            || mana.command(&["check", "--repair"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let repairs: Vec<_> = (0..3).map(|_| repair()).collect();
        for mut repair in repairs {
            assert!(repair.wait().unwrap().success());
        }
        assert_eq!(state(&mana), before);
    }
}

#[test]
fn a_killed_repair_leaves_all_or_nothing_of_it() {
    const MISSIONS: usize = 1_500;
    let mana = quiet();
    mana.import(&(0..MISSIONS).map(|n| hourly("ada", &format!("m{n}"), None, DUE)).collect::<Vec<_>>());
    mana.run(&["missions"]);
    let before = state(&mana);
    let hurt = "UPDATE mission_snapshots SET record = '{}', next_run_at = NULL";
    damage(&mana, hurt);
    let started = Instant::now();
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    let step = started.elapsed() / rounds(10, 40) as u32;
    let (mut killed, mut fixed) = (0, 0);
    for n in 0.. {
        damage(&mana, hurt);
        let damaged = tables(&mana);
        let mut repair =
            mana.command(&["check", "--repair"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(step * n);
        let early = repair.try_wait().unwrap().is_none();
        repair.kill().unwrap();
        repair.wait().unwrap();
        let there = tables(&mana);
        assert!(there == damaged || there == before.tables, "killed after {:?}: a repair in part", step * n);
        fixed += usize::from(there == before.tables);
        killed += usize::from(early);
        if !early {
            break;
        }
    }
    assert!(killed > 3 && fixed > 0, "{killed} kills");
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert!(state(&mana) == before);
}

// Repairs keep what is due.

#[test]
fn a_mission_that_was_hidden_by_a_damage_runs_after_its_repair_once() {
    let world = world();
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    std::fs::copy(world.path().join("sound.db"), database(&mana)).unwrap();
    let tick = |now: &str| -> Value { serde_json::from_str(&mana.run(&["tick", "--now", now, "--json"]).stdout).unwrap() };
    damage(
        &mana,
        "UPDATE mission_snapshots SET next_run_at = NULL WHERE mission_id = 'two'; DELETE FROM mission_snapshots WHERE user_id = 'ben'",
    );
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    let stats = tick("2026-04-15T09:00:00Z");
    assert_eq!((&stats["dueMissionCount"], &stats["plansWrittenBack"]), (&json!(3), &json!(3)), "{stats}");
    let stats = tick("2026-04-15T09:00:00Z");
    assert_eq!(stats["dueMissionCount"], 0, "{stats}");
    // Forged back into the past, it is fixed before it runs again.
    damage(&mana, "UPDATE mission_snapshots SET next_run_at = 1 WHERE mission_id = 'two'");
    assert_eq!(mana.run(&["check", "--repair"]).code, Some(0));
    assert_eq!(tick("2026-04-15T09:00:00Z")["dueMissionCount"], 0);
    assert_eq!(mana.mission("two")["iterations"].as_array().unwrap().len(), 2);
}
