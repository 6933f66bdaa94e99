//! The runner under a clock that the tests turn: gates, retries, breaker, claims, fairness (docs/design.md, section 6).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Model, Reply, append, asked_about, change, edit, hourly, insert};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use mana_ai::domain::backoff::Backoff;
use mana_ai::domain::breaker::Limits;
use mana_ai::domain::decision::{Ceilings, Condition, Decision};
use mana_ai::domain::mission::Mission;
use mana_ai::domain::step::StepStatus;
use mana_ai::metrics::Metrics;
use mana_ai::planner::{Planner, provider, tools::Catalog};
use mana_ai::runner::{RunOutcome, RunReport, Runner, RunnerSettings, TickStats};
use mana_ai::store::{Candidate, Claim, Close, Store};
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";

/// A store, a scripted model, and a clock; runners live and die in between.
struct House {
    /// Holds the database.
    _dir: tempfile::TempDir,
    store: Store,
    clock: Arc<Mutex<Timestamp>>,
    model: Model,
}

impl House {
    async fn new(model: Model, lines: impl IntoIterator<Item = Value>) -> Self {
        let (dir, store) = crate::common::store();
        append(&store, lines.into_iter().map(|line| change(&line))).await;
        House { _dir: dir, store, clock: Arc::new(Mutex::new(DUE.parse().unwrap())), model }
    }

    fn runner(&self) -> Arc<Runner> {
        self.runner_with(|_| ())
    }

    fn runner_with(&self, change: impl FnOnce(&mut RunnerSettings)) -> Arc<Runner> {
        let mut settings = RunnerSettings {
            max_parallel: 8,
            max_attempts: 3,
            iterations_kept: 100,
            first_step_status: StepStatus::Staged,
            backoff: Backoff { base: SignedDuration::from_secs(10), max: SignedDuration::from_secs(60) },
            breaker: Limits { failures: 100, cooldown: SignedDuration::from_secs(60) },
            ceilings: Ceilings { unreviewed_plans: 5, calls_per_day: 0, tokens_per_day: 0, longest_wait: SignedDuration::from_hours(1) },
            zone: TimeZone::UTC,
            executors: mana_ai::steps::Executors::none(TimeZone::UTC),
            private_key: None,
        };
        change(&mut settings);
        let server = provider::ProviderSettings {
            url: self.model.url().parse().unwrap(),
            api_key: None,
            model: "scripted".into(),
            timeout: Duration::from_secs(60),
            dialect: Default::default(),
            headers: Default::default(),
        };
        let planner = Planner::new(server, Catalog::builtin(), 16_384).unwrap();
        let clock = Arc::clone(&self.clock);
        let clock = Arc::new(move || *clock.lock().unwrap());
        Runner::new(self.store.clone(), planner, Arc::new(Metrics::new().unwrap()), settings, clock).unwrap()
    }

    fn advance(&self, seconds: i64) {
        *self.clock.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap()
    }

    async fn mission(&self, user: &str, id: &str) -> Value {
        Value::Object(self.store.snapshot::<Mission>(&user.into(), &id.into()).await.unwrap().unwrap().record.read())
    }

    async fn append(&self, lines: impl IntoIterator<Item = Value>) {
        append(&self.store, lines.into_iter().map(|line| change(&line))).await;
    }
}

async fn settle(runner: &Arc<Runner>) -> (TickStats, Vec<RunReport>) {
    runner.tick().await.unwrap().settle().await
}

fn model() -> Model {
    Model::start(Duration::ZERO, |_| Reply::task("x"))
}

/// A model that fails as often as told, and then plans.
fn recovering(failures: usize) -> Model {
    let left = AtomicUsize::new(failures);
    Model::start(Duration::ZERO, move |_| match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) {
        Ok(_) => Reply::raw(503, "busy"),
        Err(_) => Reply::task("x"),
    })
}

fn agent(id: &str, fields: Value) -> Value {
    insert("u", "agents", id, fields)
}

/// What the next tick decides about each mission of an agent.
async fn decided(fields: Value, missions: usize) -> BTreeMap<String, usize> {
    let missions = (0..missions).map(|n| hourly("u", &format!("m{n}"), Some("a"), DUE));
    let house = House::new(model(), std::iter::once(agent("a", fields)).chain(missions)).await;
    let (stats, _) = settle(&house.runner()).await;
    stats.decisions.iter().map(|(decision, n)| (decision.as_str().to_owned(), *n)).collect()
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(decision, n)| ((*decision).to_owned(), *n)).collect()
}

#[tokio::test]
async fn the_first_gate_that_bites_decides() {
    assert_eq!(decided(json!({}), 1).await, counts(&[("ran", 1)]));
    assert_eq!(decided(json!({"state": "archived", "maxTokensPerDay": 0}), 2).await, counts(&[("skipped-archived", 2)]));
    assert_eq!(decided(json!({"state": "paused", "maxTokensPerDay": 0}), 1).await, counts(&[("skipped-paused", 1)]));
    assert_eq!(decided(json!({"maxConcurrentMissions": 2}), 3).await, counts(&[("ran", 2), ("skipped-concurrency", 1)]));
    assert_eq!(decided(json!({"maxTokensPerDay": 0}), 1).await, counts(&[("skipped-budget", 1)]));
}

#[tokio::test]
async fn a_mission_whose_agent_is_gone_runs_without_gate() {
    let house = House::new(model(), [hourly("u", "m", Some("nobody"), DUE), hourly("u", "n", None, DUE)]).await;
    let (stats, _) = settle(&house.runner()).await;
    assert_eq!((stats.written_back, stats.decisions.len()), (2, 0));
}

#[tokio::test]
async fn the_budget_is_a_rolling_day() {
    let house = House::new(model(), [agent("a", json!({"maxTokensPerDay": 100})), hourly("u", "m", Some("a"), DUE)]).await;
    let runner = house.runner();
    assert_eq!(settle(&runner).await.0.written_back, 1, "the first run uses 100 tokens");
    house.advance(24 * 3600 - 1);
    assert_eq!(settle(&runner).await.0.written_back, 0, "one second less than a day later");
    house.advance(2);
    assert_eq!(settle(&runner).await.0.written_back, 1, "a day later");
}

#[tokio::test]
async fn a_failed_attempt_waits_and_is_tried_again_also_after_a_restart() {
    let house = House::new(recovering(1), [hourly("u", "m", None, DUE)]).await;
    let runner = house.runner();
    let (_, settled) = settle(&runner).await;
    let RunOutcome::Retrying { at, .. } = settled[0].outcome else { panic!("{settled:?}") };
    let wait = at.duration_since(house.now());
    assert!((SignedDuration::from_secs(5)..=SignedDuration::from_secs(10)).contains(&wait), "{wait}");
    runner.stop(Duration::ZERO).await.unwrap();

    let runner = house.runner();
    *house.clock.lock().unwrap() = at - SignedDuration::from_millis(1);
    let tick = runner.tick().await.unwrap();
    assert_eq!(tick.notes[0].decision, Decision::Wait(Condition::Retry { failed: 1, at: Some(at), waits: true }));
    *house.clock.lock().unwrap() = at;
    assert_eq!(settle(&runner).await.0.written_back, 1);
    let run = house.store.runs(None, None, 10).await.unwrap().remove(0);
    assert_eq!((run.attempts.len(), run.run.attempts), (2, 1));
    assert!(run.attempts[0].error.is_some() && run.attempts[1].error.is_none());
}

#[tokio::test]
async fn the_last_failed_attempt_is_shown_to_the_user_and_the_next_time_starts_afresh() {
    let house = House::new(recovering(3), [hourly("u", "m", None, DUE)]).await;
    let runner = house.runner();
    for attempt in 1..=3 {
        let (_, settled) = settle(&runner).await;
        assert_eq!(matches!(settled[0].outcome, RunOutcome::Failed { .. }), attempt == 3, "attempt {attempt}: {settled:?}");
        house.advance(60);
    }
    let mission = house.mission("u", "m").await;
    assert_eq!((&mission["iterations"][0]["overallStatus"], &mission["nextRunAt"]), (&json!("failed"), &json!("2026-04-15T09:00:00.000Z")));
    house.advance(3600);
    assert_eq!(settle(&runner).await.0.written_back, 1);
    assert_eq!(house.mission("u", "m").await["iterations"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_open_breaker_defers_all_until_one_probe_gets_through() {
    let missions = (0..20).map(|n| hourly("u", &format!("m{n:02}"), None, DUE));
    let house = House::new(recovering(3), missions).await;
    let runner = house.runner_with(|settings| {
        settings.max_parallel = 1;
        settings.breaker.failures = 2;
        settings.backoff.base = SignedDuration::from_secs(1);
    });
    let (_, settled) = settle(&runner).await;
    let retrying = settled.iter().filter(|s| matches!(s.outcome, RunOutcome::Retrying { .. })).count();
    let released = settled.iter().filter(|s| matches!(s.outcome, RunOutcome::Released { .. })).count();
    assert_eq!((retrying, released, house.model.requests().len()), (2, 18, 2), "two failures open it; the others do not call");

    house.advance(30);
    let (stats, _) = settle(&runner).await;
    assert_eq!((stats.deferred, house.model.requests().len()), (20, 2), "while it is open");

    house.advance(30);
    settle(&runner).await;
    assert_eq!(house.model.requests().len(), 3, "after the cooldown one probe goes out, and fails");

    house.advance(60);
    settle(&runner).await;
    house.advance(60);
    settle(&runner).await;
    for n in 0..20 {
        let mission = house.mission("u", &format!("m{n:02}")).await;
        assert_eq!(mission["iterations"].as_array().unwrap().len(), 1, "m{n:02}");
    }
    let failed: u32 = house.store.runs(None, None, 100).await.unwrap().iter().map(|run| run.run.attempts).sum();
    assert_eq!(failed, 3, "only real calls count as attempts");
}

#[tokio::test]
async fn missed_times_run_once_and_are_counted() {
    let house = House::new(model(), [hourly("u", "m", None, DUE)]).await;
    house.advance(10 * 3600 + 60);
    let (stats, settled) = settle(&house.runner()).await;
    assert_eq!(stats.written_back, 1);
    assert!(matches!(settled[0].outcome, RunOutcome::Planned { missed: 10, .. }), "{settled:?}");
    assert_eq!(house.mission("u", "m").await["nextRunAt"], "2026-04-15T19:00:00.000Z");
}

#[tokio::test]
async fn an_edit_that_lands_while_the_model_thinks_survives() {
    let model = Model::held(|_| Reply::task("x"));
    let feedback = json!([{"id": "old", "overallStatus": "approved", "userFeedback": "more of this"}]);
    let house = House::new(
        model,
        [hourly("u", "m", None, DUE), edit("u", "m", json!({"iterations": [{"id": "old", "overallStatus": "awaiting-review"}]}), DUE)],
    )
    .await;
    let runner = house.runner();
    let tick = runner.tick().await.unwrap();
    while house.model.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house.append([edit("u", "m", json!({"iterations": feedback, "title": "New title"}), "2031-01-01T00:00:00Z")]).await;
    house.model.release();
    tick.settle().await;
    let mission = house.mission("u", "m").await;
    assert_eq!(mission["title"], "New title");
    let iterations = mission["iterations"].as_array().unwrap();
    assert_eq!((iterations.len(), &iterations[0]), (2, &feedback[0]), "beside the new iteration, though the client's clock is years ahead");
}

/// Changes a mission while the model thinks, and tells how the run ended.
async fn overtaken_by(line: Value) -> (RunOutcome, usize) {
    let model = Model::held(|_| Reply::task("x"));
    let house = House::new(model, [agent("b", json!({})), hourly("u", "m", None, DUE)]).await;
    let runner = house.runner();
    let tick = runner.tick().await.unwrap();
    while house.model.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house.append([line]).await;
    house.model.release();
    let (_, mut settled) = tick.settle().await;
    let rows = house.store.rows_after(Default::default(), 0, 100).await.unwrap();
    (settled.remove(0).outcome, rows.iter().filter(|row| row.change.client_id == "mana-ai-runner").count())
}

#[tokio::test]
async fn a_plan_for_a_mission_that_moved_on_is_dropped_with_the_reason() {
    for (line, why) in [
        (edit("u", "m", json!({"state": "paused"}), DUE), "paused"),
        (edit("u", "m", json!({"nextRunAt": "2027-01-01T00:00:00Z"}), DUE), "re-scheduled"),
        (edit("u", "m", json!({"deletedAt": DUE}), DUE), "deleted"),
    ] {
        let (ending, written) = overtaken_by(line).await;
        assert!(matches!(&ending, RunOutcome::Dropped { reason } if reason.contains(why)), "{why}: {ending:?}");
        assert_eq!(written, 0, "{why}");
    }
}

#[tokio::test]
async fn a_tick_starts_on_time_while_slow_runs_of_earlier_ones_are_in_flight() {
    let model = Model::held(|_| Reply::task("x"));
    let house = House::new(model, [agent("a", json!({})), hourly("u", "slow", Some("a"), DUE)]).await;
    let runner = house.runner();
    let first = runner.tick().await.unwrap();
    house.append([hourly("u", "late", Some("a"), DUE), hourly("u", "free", None, DUE)]).await;
    let second = runner.tick().await.unwrap();
    let decision = |id: &str| second.notes.iter().find(|note| note.mission_id == id).unwrap().decision;
    assert_eq!(decision("slow"), Decision::Wait(Condition::Idle { in_flight: true }));
    let busy = Condition::Concurrency { in_flight: 1, allowed: 1 };
    assert_eq!(decision("late"), Decision::Wait(busy), "its agent is busy since the tick before");
    assert_eq!(decision("free"), Decision::Run);
    house.model.release();
    assert_eq!((first.settle().await.0.written_back, second.settle().await.0.written_back), (1, 1));
    assert_eq!(settle(&runner).await.0.written_back, 1, "now the agent is free");
}

const RUN_OF_ANOTHER: &str = "00000000-0000-4000-8000-00000000dead";

/// Claims a mission as another process would, under a name whose lock nobody holds.
async fn claim_as(house: &House, owner: &str) -> mana_ai::store::Claimed {
    mana_ai::projection::refresh(&house.store).await.unwrap();
    let due = house.store.due(house.now(), None, 10).await.unwrap().remove(0);
    let candidate = Candidate { due, max_in_flight: None, run_id: RUN_OF_ANOTHER.into(), iteration_id: "i".into() };
    match house.store.claim(vec![candidate], owner.into(), house.now()).await.unwrap().remove(0) {
        Claim::Claimed(run) => run,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_claims_of_a_dead_process_are_taken_over_and_it_can_write_no_more() {
    let house = House::new(model(), [hourly("u", "m", None, DUE)]).await;
    let run = claim_as(&house, "dead").await;
    assert_eq!(settle(&house.runner()).await.0.written_back, 1);
    let row = house.store.runs(None, None, 10).await.unwrap().remove(0);
    assert_eq!((row.run.id.as_str(), row.interruptions), (RUN_OF_ANOTHER, 1), "the same run, gone on with");
    let close = Close::Retry { at: house.now(), reason: "a late one".into() };
    let closed = house.store.close(run, "dead".into(), None, close, house.now()).await.unwrap();
    assert_eq!(closed, mana_ai::store::Closed::Lost);
}

#[tokio::test]
async fn the_claims_of_a_process_that_lives_are_left_alone() {
    let house = House::new(model(), [hourly("u", "m", None, DUE)]).await;
    let living = house.store.show_presence().unwrap();
    claim_as(&house, living.owner()).await;
    let tick = house.runner().tick().await.unwrap();
    assert_eq!(tick.notes[0].decision, Decision::Wait(Condition::Idle { in_flight: true }));
    drop(living);
    assert_eq!(settle(&house.runner()).await.0.written_back, 1, "until it dies");
}

#[tokio::test]
async fn a_tick_that_is_cut_short_leaves_no_claim_behind() {
    let house = House::new(model(), [hourly("u", "m", None, DUE)]).await;
    mana_ai::projection::refresh(&house.store).await.unwrap();
    let due = house.store.due(house.now(), None, 10).await.unwrap().remove(0);
    let candidate = Candidate { due, max_in_flight: None, run_id: RUN_OF_ANOTHER.into(), iteration_id: "i".into() };
    // The claim is on its way to the disk, and nobody waits for it any more.
    let claim = house.store.claim(vec![candidate], "stopping".into(), house.now());
    tokio::select! {
        biased;
        // A machine may be so quick.
        _ = claim => {}
        () = std::future::ready(()) => {}
    }
    assert_eq!(house.store.give_all_back("stopping".into(), "the program was stopped").await.unwrap(), 1);
    assert_eq!(house.store.runs(None, None, 10).await.unwrap().remove(0).state(), "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_a_thousand_missions_starves_nobody() {
    let many = (0..1_000).map(|n| hourly("many", &format!("many-{n}"), None, DUE));
    let ones = |start: usize| (start..start + 10).map(|n| hourly(&format!("user-{n}"), &format!("one-{n}"), None, DUE));
    let model = Model::start(Duration::from_millis(2), |_| Reply::task("x"));
    let house = House::new(model, many.chain(ones(0))).await;
    let runner = house.runner();
    let first = runner.tick().await.unwrap();
    while house.model.requests().len() < 100 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    house.append(ones(10)).await;
    let second = runner.tick().await.unwrap();
    let asked_before = house.model.requests().len();
    assert_eq!(second.settle().await.0.written_back, 10);
    first.settle().await;
    let asked: Vec<String> = house.model.requests().iter().map(asked_about).collect();
    assert_eq!(asked.len(), 1_020);
    let last = |range: std::ops::Range<usize>| {
        asked.iter().rposition(|title| range.clone().any(|n| *title == format!("Mission one-{n}"))).unwrap()
    };
    let parallel = 8;
    assert!(last(0..10) < 2 * 11 + parallel, "10 users who were there from the start are served in the first rounds: {}", last(0..10));
    let wait = last(10..20) - asked_before;
    assert!(wait < 2 * 11 + 2 * parallel, "10 users who came in the middle are served in the next rounds: {wait}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_made_in_parallel_up_to_the_bound_and_not_beyond() {
    let model = Model::held(|_| Reply::task("x"));
    let agents = (0..100).map(|n| agent(&format!("a{n}"), json!({})));
    let missions = (0..100).map(|n| hourly("u", &format!("m{n}"), Some(&format!("a{n}")), DUE));
    let house = House::new(model, agents.chain(missions)).await;
    let runner = house.runner_with(|settings| settings.max_parallel = 20);
    let tick = runner.tick().await.unwrap();
    while house.model.requests().len() < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    house.model.release();
    assert_eq!(tick.settle().await.0.written_back, 100);
    assert_eq!(house.model.peak(), 20, "never more than the bound, and all of it is used");
}
