//! Wall clocks that jump: sync misses nothing, missions run once, and nothing waits for a time that was never meant.

use std::collections::HashSet;
use std::time::Duration;

use crate::common::faults::{Caller, Fault, Faults, assert_sound, note, quiet};
use crate::common::{Mana, Model, Reply, Served, hourly, insert, metric, wait_for};
use serde_json::{Value, json};

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";
const THREE_DAYS: i64 = 3 * 24 * 3_600;
const MINUTE: i64 = 60;

/// Waits until the server has looked for due missions again, twice to be sure that one look began after this.
fn wait_for_ticks(served: &Served) {
    let ticks = metric(served, "mana_ai_ticks_total");
    wait_for("two ticks", || (metric(served, "mana_ai_ticks_total") >= ticks + 2.0).then_some(()));
}

fn runs(mana: &Mana) -> Vec<Value> {
    mana.run(&["runs", "--json"]).json()
}

fn ticking(model: &Model) -> Mana {
    Mana::new().with("TICK_INTERVAL_MS", 30).with("MANA_LLM_URL", model.url())
}

#[test]
fn a_client_misses_nothing_while_the_clock_jumps() {
    let (faults, mana) = Faults::under(quiet());
    let ada = Caller::new(&mana, "ada");
    let mut served = mana.serve();
    let (mut until, mut pushed) = (String::new(), 0);
    let jumps = [0, -THREE_DAYS, 0, THREE_DAYS, -THREE_DAYS, THREE_DAYS, 0];
    for (at, jump) in jumps.into_iter().enumerate() {
        faults.set(Fault::Clock, jump);
        if at == 4 {
            // A new process on a clock that stands before the last row.
            assert_eq!(served.terminate(), Some(0));
            served = mana.serve();
        }
        for _ in 0..3 {
            let notes: Vec<_> = (0..4).map(|n| note(&(pushed + n).to_string())).collect();
            ada.pushed(&served, &notes);
            let (told, next) = ada.pulled(&served, &until);
            assert_eq!(told, (pushed..pushed + 4).map(|n| n.to_string()).collect::<Vec<_>>(), "at a jump of {jump} s");
            assert!(next > until, "{next} after {until}");
            let (again, same) = ada.pulled(&served, &next);
            assert_eq!((again, &same), (Vec::new(), &next));
            (until, pushed) = (next, pushed + 4);
        }
    }
    assert_eq!(served.terminate(), Some(0));
    let times: Vec<String> = mana.run(&["export"]).json().iter().map(|row| row["createdAt"].as_str().unwrap().to_owned()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "each row is later than the one before: {times:?}");
    assert_sound(&mana);
}

#[test]
fn each_due_time_runs_once_while_the_clock_jumps() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let (faults, mana) = Faults::under(ticking(&model));
    // Its times are half an hour from any jump, so that the time that the test takes does not matter.
    let first = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1_000 * 60 + 30);
    mana.import(&[insert("u", "agents", "a", json!({"maxTokensPerDay": 250})), hourly("u", "m", Some("a"), &first.to_string())]);
    let served = mana.serve();
    let planned = |times: f64| {
        wait_for("a plan", || (metric(&served, "mana_ai_plans_written_back_total") == times).then_some(()));
        wait_for_ticks(&served);
        assert_eq!(metric(&served, "mana_ai_plans_written_back_total"), times, "once");
    };
    planned(1.0);
    // Each way back, the next time that lies too far ahead becomes one an hour from then.
    faults.set(Fault::Clock, -THREE_DAYS);
    planned(1.0);
    assert!(metric(&served, "mana_ai_oldest_due_age_seconds") >= 0.0);
    for (jump, times) in [(0, 2.0), (THREE_DAYS, 3.0), (0, 3.0), (THREE_DAYS, 4.0)] {
        faults.set(Fault::Clock, jump);
        planned(times);
    }
    // 200 tokens since the jump, of 250; and 100 more go beyond.
    faults.set(Fault::Clock, THREE_DAYS + 61 * MINUTE);
    planned(5.0);
    faults.set(Fault::Clock, THREE_DAYS + 122 * MINUTE);
    wait_for_ticks(&served);
    planned(5.0);
    assert!(metric(&served, "mana_ai_agent_decisions_total{decision=\"skipped-budget\"") > 0.0);
    assert!(!served.log().contains("panicked"), "{}", served.log());
    assert_eq!(served.terminate(), Some(0));

    assert_eq!(mana.mission("m")["iterations"].as_array().unwrap().len(), 5);
    let runs = runs(&mana);
    let due: HashSet<&str> = runs.iter().map(|run| run["scheduledFor"].as_str().unwrap()).collect();
    assert_eq!((runs.len(), due.len()), (5, 5), "no due time has two runs: {runs:?}");
    let missed: Vec<_> = runs.iter().rev().map(|run| run["missedTimes"].as_i64().unwrap()).collect();
    assert!(missed[0] > 100 && missed[1..] == [71, 71, 71, 0], "missed times are run once: {missed:?}");
    assert_sound(&mana);
}

#[test]
fn a_plan_does_not_end_before_it_began() {
    let model = Model::held(|_| Reply::task("x"));
    let (faults, mana) = Faults::under(ticking(&model));
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let served = mana.serve();
    wait_for("the model to be asked", || (model.requests().len() == 1).then_some(()));
    faults.set(Fault::Clock, -THREE_DAYS);
    model.release();
    wait_for("the plan", || (metric(&served, "mana_ai_plans_written_back_total") == 1.0).then_some(()));
    let attempt = runs(&mana).remove(0)["attempts"][0].clone();
    assert!(attempt["latencyMs"].as_i64().unwrap() < 60_000, "{attempt}");
    let iteration = mana.mission("m")["iterations"][0].clone();
    for times in [&attempt, &iteration] {
        assert!(times["finishedAt"].as_str() >= times["startedAt"].as_str(), "{times}");
    }
}

/// A mission whose first attempts fail: one on a clock three days ahead, then the clock is put right.
fn failing_ahead(settings: impl Fn(Mana) -> Mana) -> (Faults, Mana, Model) {
    let model = Model::start(Duration::ZERO, |_| Reply::raw(500, "down"));
    let (faults, mana) = Faults::under(settings(ticking(&model)));
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    faults.set(Fault::Clock, THREE_DAYS);
    (faults, mana, model)
}

#[test]
fn a_retry_does_not_wait_for_a_time_that_a_wrong_clock_set() {
    let settings = |mana: Mana| mana.with("RETRY_BASE_MS", 60_000).with("RETRY_MAX_MS", 60_000).with("BREAKER_FAILURES", 100);
    let (faults, mana, model) = failing_ahead(settings);
    let served = mana.serve();
    wait_for("the first attempt", || (metric(&served, "mana_ai_runs_waiting") == 1.0).then_some(()));
    wait_for_ticks(&served);
    assert_eq!(model.requests().len(), 1, "it waits");
    // Right again, and later than the longest wait, also of a server that asked for one.
    faults.set(Fault::Clock, 120 * MINUTE);
    for _ in 0..5 {
        wait_for_ticks(&served);
    }
    let asked = model.requests().len();
    assert!(asked <= 2, "no storm: {asked} requests");
    assert_eq!(asked, 2, "no wait is longer than RETRY_MAX_MS: {}", runs(&mana)[0]);
}

#[test]
fn a_breaker_does_not_stay_open_until_a_time_that_a_wrong_clock_set() {
    let settings = |mana: Mana| mana.with("RETRY_BASE_MS", 1_000).with("BREAKER_FAILURES", 1).with("BREAKER_COOLDOWN_MS", 60_000);
    let (faults, mana, model) = failing_ahead(settings);
    let served = mana.serve();
    wait_for("the breaker to open", || (metric(&served, "mana_ai_breaker_state") == 2.0).then_some(()));
    faults.set(Fault::Clock, 2 * MINUTE);
    // Another mission, which waits for nothing else.
    mana.import(&[hourly("other", "n", None, LONG_AGO)]);
    for _ in 0..5 {
        wait_for_ticks(&served);
    }
    let asked = model.requests().len();
    assert!((2..=3).contains(&asked), "after BREAKER_COOLDOWN_MS one probe goes out, and no storm: {asked} requests");
}

#[test]
fn a_clock_that_jumps_ahead_brings_one_retry_and_no_storm() {
    let model = Model::start(Duration::ZERO, |_| Reply::raw(500, "down"));
    let mana = ticking(&model).with("RETRY_BASE_MS", 60_000).with("RETRY_MAX_MS", 60_000).with("BREAKER_FAILURES", 100);
    let (faults, mana) = Faults::under(mana.with("MAX_ATTEMPTS", 50));
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let served = mana.serve();
    let waits = |attempts: usize| {
        wait_for("the attempt", || (model.requests().len() >= attempts && metric(&served, "mana_ai_runs_waiting") == 1.0).then_some(()));
        wait_for_ticks(&served);
        assert_eq!(model.requests().len(), attempts);
    };
    waits(1);
    for (jump, attempts) in [(THREE_DAYS, 2), (2 * THREE_DAYS, 3)] {
        faults.set(Fault::Clock, jump);
        waits(attempts);
    }
    faults.set(Fault::Clock, -THREE_DAYS);
    for _ in 0..5 {
        wait_for_ticks(&served);
    }
    assert!(model.requests().len() <= 4, "no storm on the way back: {}", model.requests().len());
    assert!(!served.log().contains("panicked"), "{}", served.log());
}
