//! Approvals and calls that are killed at any moment, and decisions that meet (docs/design.md, section 13.1).

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::common::pages::{post, sign_in};
use crate::common::{Mana, hourly, request, rounds, send, wait_for};

const MISSIONS: usize = 100;

/// An endpoint that takes a moment, and the ids that it was called with.
fn endpoint() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let ids: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&ids);
    let answer = move |headers: HeaderMap| {
        heard.lock().unwrap().push(headers["webhook-id"].to_str().unwrap().to_owned());
        async move { tokio::time::sleep(Duration::from_millis(5)).await }
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
        });
    });
    (address, ids)
}

/// Missions of ada whose plans have these calls each; the ids of the steps are `it-<mission>-<step>`.
fn world(missions: usize, calls: &[Value], tools: &Value) -> Mana {
    let mana = Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9");
    let file = mana.dir.path().join("tools.json");
    std::fs::write(&file, tools.to_string()).unwrap();
    let mission = |m: usize| {
        let mut mission = hourly("ada", &format!("m{m}"), None, "2100-01-01T00:00:00.000Z");
        let step = |(n, call): (usize, &Value)| {
            json!({"id": format!("it-{m}-{n}"), "summary": "s", "rationale": "r", "status": "staged",
                   "intent": {"kind": "toolCall", "toolName": call[0], "params": call[1]}})
        };
        let plan: Vec<Value> = calls.iter().enumerate().map(step).collect();
        mission["data"]["iterations"] =
            json!([{"id": format!("it-{m}"), "overallStatus": "awaiting-review", "source": "server", "plan": plan}]);
        mission
    };
    let mana = mana.with("MANA_AI_TOOLS", file.display());
    mana.import(&(0..missions).map(mission).collect::<Vec<_>>());
    mana
}

/// The steps of all missions by their ids.
fn steps(mana: &Mana) -> BTreeMap<String, Value> {
    let missions = mana.run(&["missions", "--json"]).json();
    let plans = missions.iter().flat_map(|mission| mission["record"]["iterations"][0]["plan"].as_array().unwrap().clone());
    plans.map(|step| (step["id"].as_str().unwrap().to_owned(), step)).collect()
}

fn token(mana: &Mana) -> String {
    format!("Bearer {}", mana.run(&["token", "create", "--user", "ada"]).stdout.trim())
}

/// Each approved step of the log has its rows once; each endpoint was called, with one id for each step; and only a call
/// that a process died in has an outcome that nobody knows.
#[test]
fn whatever_is_killed_an_approved_step_is_carried_out_once() {
    let (address, called) = endpoint();
    let tool = |name: &str, idempotent: bool| {
        json!({"name": name, "module": "door", "description": "Ring.", "parameters": [],
               "execute": {"webhook": {"url": format!("http://{address}/"), "idempotent": idempotent}}})
    };
    let calls =
        [json!(["create_task", {"title": "t"}]), json!(["ring", {}]), json!(["ring_again", {}]), json!(["create_note", {"content": "n"}])];
    let mana = world(MISSIONS, &calls, &json!([tool("ring", false), tool("ring_again", true)]));
    let token = token(&mana);
    let mut rng = StdRng::seed_from_u64(7);
    let mut left: Vec<String> = steps(&mana).into_keys().collect();
    for _ in 0..rounds(50, 200) {
        let served = mana.serve();
        let url = served.url("/api/v1/me/reviews/steps/");
        let stop = std::time::Instant::now() + Duration::from_millis(rng.random_range(1..40));
        // Two devices approve, in an order of their own.
        let orders: Vec<Vec<String>> = (0..2)
            .map(|_| (0..8).map(|_| left.get(rng.random_range(0..left.len().max(1))).cloned().unwrap_or_default()).collect())
            .collect();
        let approving: Vec<_> = orders
            .into_iter()
            .map(|order| {
                let (url, token) = (url.clone(), token.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    let client = crate::common::http_client();
                    let approve = async |id: &String| {
                        let sent = client.post(format!("{url}{id}/approve")).header("authorization", &token).send().await;
                        sent.is_ok_and(|answer| answer.status() == 200)
                    };
                    runtime.block_on(async {
                        let mut done = Vec::new();
                        for id in order.iter().filter(|id| !id.is_empty()) {
                            if !approve(id).await {
                                break;
                            }
                            done.push(id.clone());
                        }
                        done
                    })
                })
            })
            .collect();
        std::thread::sleep(stop.saturating_duration_since(std::time::Instant::now()));
        // Dropped is killed.
        drop(served);
        let done: BTreeSet<String> = approving.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        left.retain(|id| !done.contains(id));
    }
    let served = mana.serve();
    for id in steps(&mana).keys() {
        let (status, text) =
            send("POST", &served.url(&format!("/api/v1/me/reviews/steps/{id}/approve")), &[("authorization", &token)], String::new());
        assert_eq!(status, 200, "{text}");
    }
    let settled = wait_for("every call to end", || {
        let steps = steps(&mana);
        steps.values().all(|step| step["status"] != "staged").then_some(steps)
    });
    drop(served);

    let rows = mana.run(&["export"]).json();
    let of = |table: &str| rows.iter().filter(|row| row["table"] == table).map(|row| row["recordId"].as_str().unwrap()).collect::<Vec<_>>();
    for table in ["tasks", "notes"] {
        let ids = of(table);
        assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (MISSIONS, MISSIONS), "{table}");
    }
    let called = called.lock().unwrap().clone();
    let known: BTreeSet<&String> = called.iter().collect();
    let mut unknown = 0;
    for (id, step) in &settled {
        match (id.rsplit_once('-').unwrap().1, step["status"].as_str().unwrap()) {
            ("0" | "3", status) => assert_eq!(status, "approved", "{step}"),
            (_, "approved") => assert!(known.contains(id), "{step}"),
            ("1", "failed") => {
                assert!(step["error"].as_str().unwrap().starts_with("outcome unknown"), "{step}");
                unknown += 1;
            }
            _ => panic!("{step}"),
        }
    }
    println!("{} calls of {} steps, {unknown} with an unknown outcome", called.len(), 2 * MISSIONS);
    assert!(known.len() <= 2 * MISSIONS && unknown < MISSIONS);
    assert_eq!(mana.integrity(), "ok");
}

/// Decisions of two devices and the page about one plan: one outcome for each step, and none is lost.
#[test]
fn decisions_that_meet_have_one_outcome() {
    const STEPS: usize = 12;
    let calls: Vec<Value> = (0..STEPS).map(|n| json!(["create_task", {"title": format!("t{n}")}])).collect();
    let mana = world(1, &calls, &json!([]));
    let token = token(&mana);
    let served = mana.serve();
    // The page decides by its form, as a browser sends it.
    let cookie = sign_in(&served, token.trim_start_matches("Bearer "));
    let page = request("GET", &served.url("/missions/m0"), &[("cookie", &cookie)]).1;
    let csrf = page.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    let review = served.url("/missions/m0/review");
    let by_page = std::thread::spawn(move || {
        for n in (0..STEPS).rev() {
            let decision = if n % 2 == 0 { "approve" } else { "reject" };
            let fields = [("csrf", csrf.as_str()), ("iteration", "it-0"), (&format!("step:it-0-{n}"), decision)];
            let fields: Vec<(String, String)> = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(post(&review, &cookie, &fields).status, 303);
        }
    });
    let deciding: Vec<_> = ["approve", "reject"]
        .into_iter()
        .map(|decision| {
            let (url, token) = (served.url("/api/v1/me/reviews/steps/"), token.clone());
            std::thread::spawn(move || {
                for n in 0..STEPS {
                    let (status, text) = send("POST", &format!("{url}it-0-{n}/{decision}"), &[("authorization", &token)], String::new());
                    assert_eq!(status, 200, "{text}");
                }
            })
        })
        .collect();
    deciding.into_iter().chain([by_page]).for_each(|thread| thread.join().unwrap());
    drop(served);
    let steps = steps(&mana);
    let approved: BTreeSet<&str> =
        steps.values().filter(|step| step["status"] == "approved").map(|step| step["id"].as_str().unwrap()).collect();
    assert!(steps.values().all(|step| step["status"] == "approved" || step["status"] == "rejected"), "{steps:?}");
    let tasks = mana.run(&["export", "--table", "tasks"]).json();
    assert_eq!(tasks.len(), approved.len());
    let records: BTreeSet<&str> = tasks.iter().map(|row| row["recordId"].as_str().unwrap()).collect();
    let told: BTreeSet<&str> = steps.values().filter_map(|step| step["result"]["records"][0]["id"].as_str()).collect();
    assert_eq!(records, told);
}
