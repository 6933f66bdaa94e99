//! What decides about a mission, through the binary: review, clients at work, ceilings, an outage that several processes
//! know of, data and numbers that nobody can use, clocks, and a machine that runs out (docs/design.md, section 6).

use std::process::Command;
use std::time::Duration;

use crate::common::{Mana, Model, Reply, edit, hourly, insert, wait_for};
use mana_ai::store::Store;
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";
const NOW: &str = "2026-04-15T08:00:30Z";

fn model() -> Model {
    Model::start(Duration::ZERO, |_| Reply::task("x"))
}

fn failing() -> Model {
    Model::start(Duration::ZERO, |_| Reply::raw(500, "down"))
}

fn mana(model: &Model) -> Mana {
    Mana::new().with("MANA_LLM_URL", model.url()).with("RETRY_BASE_MS", 1_000)
}

/// The statistics of a tick, whether it had errors or not.
#[track_caller]
fn tick(mana: &Mana, now: &str) -> Value {
    let ran = mana.run(&["tick", "--now", now, "--json"]);
    serde_json::from_str(ran.stdout.trim()).unwrap_or_else(|_| panic!("{ran:?}"))
}

fn explain(mana: &Mana, id: &str, now: &str) -> Value {
    mana.run(&["explain", id, "--now", now, "--json"]).json().remove(0)
}

fn runs(mana: &Mana) -> Vec<Value> {
    mana.run(&["runs", "--json"]).json()
}

fn rows_of_program(mana: &Mana) -> Vec<Value> {
    mana.run(&["export"]).json().into_iter().filter(|row| row["clientId"] == "mana-ai-runner").collect()
}

fn sql(mana: &Mana, text: &str) {
    rusqlite::Connection::open(mana.dir.path().join(Store::FILE_NAME)).unwrap().execute_batch(text).unwrap();
}

fn iterations(count: usize, status: &str) -> Value {
    (0..count).map(|n| json!({"id": format!("i{n}"), "overallStatus": status, "source": "server", "plan": []})).collect()
}

#[test]
fn a_mission_whose_plans_nobody_reviews_waits_with_or_without_an_agent() {
    let model = model();
    let mana = mana(&model);
    mana.import(&[
        insert("u", "agents", "a", json!({"name": "Penny"})),
        hourly("u", "m", Some("a"), DUE),
        hourly("u", "n", None, DUE),
        edit("u", "m", json!({"iterations": iterations(5, "awaiting-review")}), DUE),
        edit("u", "n", json!({"iterations": iterations(5, "awaiting-review")}), DUE),
        hourly("u", "o", None, DUE),
        edit("u", "o", json!({"iterations": iterations(4, "awaiting-review")}), DUE),
    ]);
    let stats = tick(&mana, NOW);
    assert_eq!((&stats["decisions"], &stats["plansWrittenBack"]), (&json!({"skipped-review": 2}), &json!(1)));
    assert_eq!(model.requests().len(), 1, "only the mission with room for one more plan");
    let why = explain(&mana, "n", NOW);
    assert_eq!((&why["wouldRun"], &why["obstacle"]), (&json!(false), &json!("review")));
    assert_eq!(explain(&mana, "o", "2026-04-15T09:00:30Z")["obstacle"], "review", "that plan was the fifth");
    mana.import(&[edit("u", "m", json!({"iterations": iterations(5, "approved")}), NOW)]);
    assert_eq!(tick(&mana, NOW)["decisions"], json!({"ran": 1, "skipped-review": 1}));
    let mana = mana.with("MAX_UNREVIEWED_PLANS", 0);
    assert_eq!(tick(&mana, NOW)["plansWrittenBack"], 1, "0 is no limit");
}

#[test]
fn the_server_leaves_a_mission_to_the_client_that_runs_it_until_that_is_silent() {
    let model = model();
    let mana = mana(&model);
    let running =
        json!([{"id": "c", "overallStatus": "running", "startedAt": DUE, "phaseStartedAt": "2026-04-15T08:01:00.000Z", "plan": []}]);
    let ours = json!([{"id": "s", "overallStatus": "running", "source": "server", "startedAt": "2026-04-15T08:01:00.000Z", "plan": []}]);
    mana.import(&[
        hourly("u", "m", None, DUE),
        edit("u", "m", json!({"iterations": running}), DUE),
        hourly("u", "n", None, DUE),
        edit("u", "n", json!({"iterations": ours}), DUE),
    ]);
    let stats = tick(&mana, "2026-04-15T08:03:59Z");
    assert_eq!((&stats["deferred"], &stats["plansWrittenBack"]), (&json!(1), &json!(1)), "{stats}");
    let why = explain(&mana, "m", "2026-04-15T08:03:59Z");
    assert_eq!(why["obstacle"], "client");
    assert!(why.to_string().contains("after 180 s of silence"), "{why}");
    assert_eq!(tick(&mana, "2026-04-15T08:04:00Z")["plansWrittenBack"], 1, "180 s after it was last heard of");
}

#[test]
fn explain_and_other_processes_know_that_the_model_server_is_down() {
    let model = failing();
    let mana = mana(&model).with("BREAKER_FAILURES", 1).with("BREAKER_COOLDOWN_MS", 60_000);
    mana.import(&[hourly("u", "m", None, DUE)]);
    tick(&mana, NOW);
    mana.import(&[hourly("u", "n", None, DUE)]);
    let why = explain(&mana, "n", NOW);
    assert_eq!((&why["wouldRun"], &why["obstacle"]), (&json!(false), &json!("model")));
    assert_eq!((&tick(&mana, NOW)["deferred"], model.requests().len()), (&json!(2), 1), "another process asks nobody either");
    let later = "2026-04-15T08:01:31Z";
    assert_eq!(explain(&mana, "n", later)["wouldRun"], true, "after the cooldown");
    tick(&mana, later);
    assert_eq!(model.requests().len(), 2, "one probe, and it fails");
    let other = self::model();
    let mana = mana.with("MANA_LLM_URL", other.url());
    mana.import(&[hourly("u", "p", None, DUE)]);
    assert_eq!(explain(&mana, "p", later)["wouldRun"], true, "another server is another matter");
    tick(&mana, later);
    assert_eq!(mana.mission("p")["iterations"].as_array().unwrap().len(), 1);
}

#[test]
fn a_user_has_a_ceiling_of_calls_and_tokens_and_others_go_on() {
    for (setting, value, obstacle) in [("USER_MAX_CALLS_PER_DAY", 1, "user calls"), ("USER_MAX_TOKENS_PER_DAY", 100, "user tokens")] {
        let model = model();
        let mana = mana(&model).with(setting, value).with("MAX_PARALLEL_PLANS", 1);
        mana.import(&[hourly("u", "m", None, DUE), hourly("u", "n", None, DUE), hourly("other", "o", None, DUE)]);
        assert_eq!(tick(&mana, NOW)["plansWrittenBack"], 2, "{setting}: one of each user");
        let stats = tick(&mana, NOW);
        assert_eq!((&stats["deferred"], model.requests().len()), (&json!(1), 2), "{setting}: {stats}");
        let left = ["m", "n"].into_iter().find(|id| mana.mission(id)["iterations"] == json!([])).unwrap();
        assert_eq!(explain(&mana, left, NOW)["obstacle"], obstacle);
        assert_eq!(explain(&mana, left, "2026-04-16T08:00:31Z")["wouldRun"], true, "{setting}: a day later");
    }
}

/// A model that plans, and says this of the tokens that it took.
fn with_usage(usage: &'static str) -> Model {
    Model::start(Duration::ZERO, move |_| {
        let plan = json!({"summary": "s", "steps": []}).to_string();
        let body = format!(r#"{{"choices": [{{"message": {{"content": {}}}}}], "usage": {usage}}}"#, json!(plan));
        Reply::Raw { status: 200, content_type: "application/json", body }
    })
}

#[test]
fn counts_of_tokens_that_nobody_can_mean_are_estimated_and_the_run_says_so() {
    for usage in [r#"{"total_tokens": 4611686018427387904}"#, r#"{"total_tokens": 9223372036854775807}"#, r#"{"total_tokens": "many"}"#] {
        let model = with_usage(usage);
        let mana = mana(&model);
        mana.import(&[insert("u", "agents", "a", json!({"maxTokensPerDay": 1_000_000})), hourly("u", "m", Some("a"), DUE)]);
        for hour in 8..11 {
            assert_eq!(tick(&mana, &format!("2026-04-15T{hour:02}:00:30Z"))["decisions"], json!({"ran": 1}), "{usage}");
        }
        let run = runs(&mana).remove(0);
        let tokens = run["tokens"].as_u64().unwrap();
        assert!((100..100_000).contains(&tokens), "{usage}: {run}");
        assert!(run["note"].as_str().unwrap().contains("estimated from the sizes"), "{run}");
    }
}

#[test]
fn what_an_older_program_counted_overflows_no_sum() {
    let model = model();
    let mana = mana(&model);
    mana.import(&[
        insert("u", "agents", "a", json!({"maxTokensPerDay": 50})),
        hourly("u", "m", Some("a"), DUE),
        hourly("v", "o", None, DUE),
    ]);
    tick(&mana, NOW);
    sql(
        &mana,
        "UPDATE run_attempts SET total_tokens = 9223372036854775807, calls = 9223372036854775807;
         INSERT INTO run_attempts SELECT run_id, 2, user_id, agent_id, started_at, finished_at, latency_ms, model, prompt_version,
             -5, completion_tokens, total_tokens, error, prompt_chars, calls, error_name, rounds, inputs, log_seq FROM run_attempts;",
    );
    let stats = tick(&mana, "2026-04-15T09:00:30Z");
    assert_eq!((&stats["errors"], &stats["decisions"]), (&json!([]), &json!({"skipped-budget": 1})), "{stats}");
    assert_eq!(explain(&mana, "m", "2026-04-15T09:00:30Z")["obstacle"], "agent budget");
    assert!(!runs(&mana).is_empty());
}

#[test]
fn one_users_broken_data_stops_nobody_else() {
    let model = model();
    let mana = mana(&model);
    mana.import(&[
        insert("bad", "agents", "a", json!({"name": "Penny"})),
        hourly("bad", "m", Some("a"), DUE),
        insert("good", "agents", "a", json!({"name": "Penny"})),
        hourly("good", "n", Some("a"), DUE),
    ]);
    mana.run(&["missions", "--json"]).json();
    // Bytes that are no text.
    sql(&mana, "UPDATE agent_snapshots SET record = CAST(x'7bff' AS TEXT) WHERE user_id = 'bad'");
    let stats = tick(&mana, NOW);
    assert_eq!((&stats["plansWrittenBack"], stats["errors"].as_array().unwrap().len()), (&json!(1), 1), "{stats}");
    assert!(stats["errors"][0].as_str().unwrap().starts_with("user bad: "), "{stats}");
}

#[test]
fn one_users_claim_that_fails_stops_nobody_elses() {
    let model = model();
    let mana = mana(&model);
    mana.import(&[hourly("bad", "m", None, DUE), hourly("good", "n", None, DUE)]);
    sql(&mana, "CREATE TRIGGER t BEFORE INSERT ON runs WHEN NEW.user_id = 'bad' BEGIN SELECT RAISE(ABORT, 'out of luck'); END;");
    let stats = tick(&mana, NOW);
    assert_eq!((&stats["plansWrittenBack"], stats["errors"].as_array().unwrap().len()), (&json!(1), 1), "{stats}");
    assert!(stats["errors"][0].as_str().unwrap().contains("out of luck"), "{stats}");
}

#[test]
fn a_result_that_cannot_be_saved_counts_as_an_attempt_and_the_model_is_not_asked_for_ever() {
    let model = model();
    let mana = mana(&model).with("MAX_ATTEMPTS", 2);
    mana.import(&[hourly("u", "m", None, DUE)]);
    sql(&mana, "CREATE TRIGGER t BEFORE INSERT ON run_attempts BEGIN SELECT RAISE(ABORT, 'out of luck'); END;");
    for (now, failed) in [(NOW, 1), ("2026-04-15T08:00:30Z", 1), ("2026-04-15T08:01:30Z", 2)] {
        tick(&mana, now);
        let run = runs(&mana).remove(0);
        assert_eq!((&run["failedAttempts"], &run["state"]), (&json!(failed), &json!("waiting")), "{now}: {run}");
    }
    assert_eq!(model.requests().len(), 2, "it waited in between");
    tick(&mana, "2026-04-15T08:10:30Z");
    assert_eq!(model.requests().len(), 2, "MAX_ATTEMPTS");
    let mission = mana.mission("m");
    assert_eq!((&mission["iterations"][0]["overallStatus"], &mission["nextRunAt"]), (&json!("failed"), &json!("2026-04-15T09:00:00.000Z")));
}

#[test]
fn a_schedule_without_a_next_time_gets_it_by_a_row_of_the_program() {
    let model = model();
    let mana = mana(&model);
    let mission = |id: &str, cadence: Value| insert("u", "aiMissions", id, json!({"title": id, "state": "active", "cadence": cadence}));
    mana.import(&[
        mission("c", json!({"kind": "cron", "expression": "30 9 * * *"})),
        mission("i", json!({"kind": "interval", "everyMinutes": 60})),
        mission("m", json!({"kind": "manual"})),
        mission("b", json!({"kind": "cron", "expression": "never"})),
    ]);
    for _ in 0..2 {
        tick(&mana, NOW);
    }
    let next = |id: &str| mana.mission(id)["nextRunAt"].clone();
    assert_eq!((next("c"), next("i")), (json!("2026-04-15T09:30:00.000Z"), json!("2026-04-15T09:00:30.000Z")));
    assert_eq!((next("m"), next("b")), (Value::Null, Value::Null), "a manual one is its user's, and a broken one nobody can follow");
    let rows = rows_of_program(&mana);
    assert_eq!(rows.len(), 2, "once each: {rows:?}");
    assert_eq!((&rows[0]["actor"]["principalId"], &rows[0]["origin"]), (&json!("system:mission-runner"), &json!("system")));
    assert_eq!(rows[0]["data"].as_object().unwrap().len(), 1);
    assert_eq!(tick(&mana, "2026-04-15T09:30:00Z")["plansWrittenBack"], 2);
}

#[test]
fn a_next_time_that_a_clock_set_that_was_years_ahead_is_set_anew() {
    let model = model();
    let mana = mana(&model);
    mana.import(&[
        insert("u", "agents", "a", json!({"maxTokensPerDay": 150})),
        hourly("u", "m", Some("a"), DUE),
        hourly("u", "n", None, DUE),
    ]);
    assert_eq!(tick(&mana, "2030-04-15T08:00:30Z")["plansWrittenBack"], 2);
    assert_eq!(mana.mission("m")["nextRunAt"], "2030-04-15T09:00:00.000Z");
    mana.import(&[edit("u", "n", json!({"nextRunAt": "2030-05-01T00:00:00.000Z"}), "2099-01-01T00:00:00.000Z")]);
    tick(&mana, NOW);
    assert_eq!(mana.mission("m")["nextRunAt"], "2026-04-15T09:00:30.000Z");
    assert_eq!(mana.mission("n")["nextRunAt"], "2030-05-01T00:00:00.000Z", "its user's own choice");
    for hour in [9, 10] {
        assert_eq!(
            tick(&mana, &format!("2026-04-15T{hour:02}:00:30Z"))["decisions"],
            json!({"ran": 1}),
            "the budget of the day is of this day"
        );
    }
    assert_eq!(tick(&mana, "2026-04-15T11:00:30Z")["decisions"], json!({"skipped-budget": 1}));
}

/// A client presses "run now" while the mission is planned: it moves the next time to that moment.
#[test]
fn run_now_during_a_run_keeps_its_plan() {
    let (go, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let (asked, was_asked) = std::sync::mpsc::channel::<()>();
    let model = Model::start(Duration::ZERO, move |_| {
        asked.send(()).unwrap();
        gate.lock().unwrap().recv().unwrap();
        Reply::task("x")
    });
    let mana = mana(&model);
    mana.import(&[hourly("u", "m", None, DUE)]);
    let ticking = mana.command(&["tick", "--now", NOW]).stdout(std::process::Stdio::null()).spawn().unwrap();
    was_asked.recv().unwrap();
    mana.import(&[edit("u", "m", json!({"nextRunAt": "2026-04-15T08:00:20.000Z"}), "2026-04-15T08:00:20.000Z")]);
    go.send(()).unwrap();
    assert!(ticking.wait_with_output().unwrap().status.success());
    let mission = mana.mission("m");
    assert_eq!((mission["iterations"].as_array().unwrap().len(), &mission["nextRunAt"]), (1, &json!("2026-04-15T09:00:00.000Z")));
    assert_eq!(runs(&mana)[0]["outcome"], "planned");
}

#[test]
fn a_machine_without_free_descriptors_is_no_failure_of_the_model_or_the_mission() {
    let model = model();
    let mana = mana(&model)
        .with("TICK_ENABLED", "false")
        .with("RETRY_BASE_MS", 1)
        .with("BREAKER_FAILURES", 1)
        .with("MANA_SERVICE_KEY", "a key of the service");
    mana.import(&[hourly("u", "m", None, DUE)]);
    let served = mana.serve();
    let limit = |files: usize| {
        let set = [format!("--pid={}", served.child.id()), format!("--nofile={files}:")];
        assert!(Command::new("prlimit").args(set).status().expect("prlimit").success());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = crate::common::http_client();
    let tick = || {
        runtime.block_on(async {
            let request = client.post(served.url("/internal/tick")).header("X-Service-Key", "a key of the service");
            request.send().await.unwrap().json::<Value>().await.unwrap()
        })
    };
    // The connections are there before the last descriptor goes, and are used again: the database's, and ours.
    runtime.block_on(async { client.get(served.url("/health")).send().await.unwrap().text().await.unwrap() });
    let tokens: Vec<String> = (0..8).map(|n| mana.run(&["token", "create", "--user", &n.to_string()]).stdout.trim().to_owned()).collect();
    let descriptors = format!("/proc/{}/fd", served.child.id());
    // A connection opens the log when it first reads.
    let of_database = || {
        let opened = std::fs::read_dir(&descriptors).unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        opened.filter(|file| file.ends_with("mana-ai.db-wal")).count()
    };
    wait_for("a writer and four readers", || {
        let pull = |token: &String| client.get(served.url("/sync/notes/pull?collection=notes")).bearer_auth(token).send();
        runtime.block_on(futures_util::future::join_all(tokens.iter().chain(&tokens).map(pull)));
        (of_database() >= 5).then_some(())
    });
    // The next descriptor would be the lowest free one.
    let free = (0..).find(|n| !std::fs::exists(format!("/proc/{}/fd/{n}", served.child.id())).unwrap_or(true));
    limit(free.unwrap());
    let stats = tick();
    assert!(stats["errors"].to_string().contains("this machine has no free descriptor"), "{stats}\n{}", served.log());
    let run = runs(&mana).remove(0);
    assert_eq!((&run["failedAttempts"], &run["attempts"], &run["state"]), (&json!(0), &json!([]), &json!("waiting")), "{run}");
    assert!(run["reason"].as_str().unwrap().contains("this machine"), "{run}");
    limit(1_000);
    wait_for("the plan", || (tick()["plansWrittenBack"] == 1).then_some(()));
    assert_eq!(crate::common::metric(&served, "mana_ai_breaker_state"), 0.0);
}
