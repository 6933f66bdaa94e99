//! Insights: what was decided and what it took, wherever the decision came from, and made again from the log.

use std::time::Duration;

use crate::common::pages::sign_in;
use crate::common::{Mana, Model, Reply, edit, hourly, insert, request};
use jiff::Timestamp;
use mana_ai::store::Store;
use rusqlite::Connection;
use serde_json::{Value, json};

fn page(mana: &Mana, path: &str) -> String {
    let served = mana.serve();
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout;
    let cookie = sign_in(&served, token.trim());
    let (status, body) = request("GET", &served.url(path), &[("cookie", &cookie)]);
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// What a page says, without its marks.
fn said(body: &str) -> String {
    let text: String = body.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn has(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// A mission whose plan has three steps: one approved and two rejected, one of them with a reason.
fn reviewed() -> Mana {
    let steps: Vec<Value> = ["bread", "milk", "gold"]
        .map(|title| json!({"summary": format!("Buy {title}"), "rationale": "r", "toolName": "create_task", "params": {"title": title}}))
        .into();
    let model = Model::start(Duration::ZERO, move |_| Reply::Plan(json!({"summary": "shop", "steps": steps})));
    let mana = Mana::new()
        .with("MANA_LLM_URL", model.url())
        .with("MANA_AI_PLANNER", "json")
        .with("TICK_ENABLED", "false")
        .with("MANA_LLM_PRICE_PER_MILLION_TOKENS", "2000 EUR");
    mana.import(&[insert("ada", "agents", "mira", json!({"name": "Mira"})), hourly("ada", "m", Some("mira"), "2026-04-15T08:00:00.000Z")]);
    mana.run(&["tick", "--json"]).json();
    let plan = mana.mission("m")["iterations"][0]["plan"].clone();
    for (step, decision) in [(0, "approve"), (1, "reject")] {
        let step = plan[step]["id"].as_str().unwrap();
        assert_eq!(mana.run(&[decision, step, "--user", "ada", "--json"]).code, Some(0));
    }
    let mut iterations = mana.mission("m")["iterations"].clone();
    iterations[0]["plan"][2]["status"] = "rejected".into();
    iterations[0]["plan"][2]["reason"] = "far too dear".into();
    let at = (Timestamp::now() + jiff::SignedDuration::from_secs(5)).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    mana.import(&[edit("ada", "m", json!({"iterations": iterations}), &at)]);
    mana
}

#[test]
fn a_page_tells_what_was_decided_what_it_took_and_why() {
    let mana = reviewed();
    let body = page(&mana, "/insights?days=7");
    let tokens = mana.run(&["runs", "--json"]).json()[0]["attempts"][0]["totalTokens"].as_u64();
    has(
        &said(&body),
        &["1 of 3 decided steps", "33 %", "Mira 33 % 1/3", "Mission m 33 % 1/3", "Buy gold", "far too dear", "No reason given", "EUR"],
    );
    assert!(tokens.is_none_or(|tokens| tokens > 0), "{tokens:?}");
    assert!(body.contains("href=\"/runs/"), "a rejected step leads to its plan: {body}");
    assert!(!said(&page(&mana, "/insights?days=7&before=1")).contains("Buy gold"), "before that, nothing was rejected");
}

#[test]
fn a_decision_of_another_device_counts_and_one_that_is_taken_back_does_not() {
    let mana = Mana::new().with("TICK_ENABLED", "false");
    let now = Timestamp::now();
    let at = |n: i64| (now + jiff::SignedDuration::from_secs(n - 60)).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
    let plan = |status: &str, a: &str, b: &str| {
        json!({"iterations": [{"id": "it", "overallStatus": status, "source": "server", "userFeedback": "no thanks", "plan": [
            {"id": "a", "summary": "Water the fern", "status": a, "intent": {"kind": "toolCall", "toolName": "create_task", "params": {}}},
            {"id": "b", "summary": "Sell the fern", "status": b},
        ]}]})
    };
    mana.import(&[hourly("ada", "m", None, "2026-04-15T08:00:00.000Z")]);
    mana.import(&[
        edit("ada", "m", plan("awaiting-review", "staged", "staged"), &at(1)),
        edit("ada", "m", plan("approved", "approved", "rejected"), &at(2)),
    ]);
    let text = said(&page(&mana, "/insights?days=7"));
    has(&text, &["1 of 2 decided steps", "No agent 50 % 1/2", "Sell the fern", "no thanks"]);
    assert!(!text.contains("Cost"), "without a price there are no costs: {text}");
    mana.import(&[edit("ada", "m", plan("awaiting-review", "approved", "staged"), &at(3))]);
    let text = said(&page(&mana, "/insights?days=7"));
    has(&text, &["1 of 1 decided steps", "You rejected nothing."]);
    assert_eq!(mana.run(&["check"]).code, Some(0));
}

#[test]
fn what_pages_tell_of_months_is_checked_and_made_again_from_the_log() {
    let mana = reviewed();
    let told = said(&page(&mana, "/insights?days=7"));
    assert_eq!(mana.run(&["check"]).code, Some(0));
    for damage in [
        "DELETE FROM decided_steps",
        "UPDATE decided_steps SET verdict = 'approved'",
        "UPDATE decided_steps SET at = at + 1",
        "INSERT INTO decided_steps SELECT user_id, mission_id, 'other', step_id, at, verdict, agent_id, tool, summary, reason FROM decided_steps",
        "DELETE FROM agent_days",
        "DELETE FROM user_quarters",
        "UPDATE mission_days SET tokens = tokens + 1",
        "INSERT INTO agent_days VALUES ('ada', 1, 'nobody', 5)",
        "UPDATE user_quarters SET quarter = quarter + 1",
    ] {
        Connection::open(mana.dir.path().join(Store::FILE_NAME)).unwrap().execute_batch(damage).unwrap();
        assert_eq!(mana.run(&["check"]).code, Some(1), "{damage}");
        assert_eq!(mana.run(&["check", "--repair"]).code, Some(0), "{damage}");
        assert_eq!(said(&page(&mana, "/insights?days=7")), told, "{damage}");
    }
}

/// The days are those of the reader, on whichever side of midnight UTC is.
#[test]
fn the_days_are_those_of_the_reader() {
    let mana = reviewed();
    let served = mana.serve();
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout;
    let cookie = sign_in(&served, token.trim());
    let page = |zone: &str| request("GET", &served.url("/insights?days=7"), &[("cookie", &format!("{cookie}; zone={zone}"))]).1;
    // They are never in the same day.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"] {
        let today = || Timestamp::now().in_tz(zone).unwrap().date();
        let (before, page, after) = (today(), page(zone), today());
        let rows: Vec<&str> = page.split("<th scope=\"row\"><time datetime=\"").skip(1).collect();
        let tokens = |day: jiff::civil::Date| rows.iter().any(|row| row.starts_with(&day.to_string()) && row.contains(">100</td>"));
        assert!(tokens(before) || tokens(after), "{zone} {before}: {page}");
        assert!(page.contains(&format!("time zone {zone}")), "{zone}: {page}");
        has(&said(&page), &["1 of 3 decided steps", "Mira 33 % 1/3 100", "Mission m 33 % 1/3 100"]);
    }
}
