//! From whatever a model answers to a plan that can be used, or a failure that says why (docs/design.md, section 7).
//!
//! `tests/fixtures/model-answers.json` has the kinds of answers that small models give, each with its outcome. Whatever
//! is sent back can be repaired: the model's second answer is a good plan once, and the same mistake again once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{Model, Reply};
use mana_ai::domain::mission::Mission;
use mana_ai::domain::policy::Policy;
use mana_ai::inputs::Resolved;
use mana_ai::planner::dialect::Dialect;
use mana_ai::planner::prompt::Material;
use mana_ai::planner::provider::ProviderSettings;
use mana_ai::planner::tools::Catalog;
use mana_ai::planner::{PlanError, Planned, Planner};
use serde_json::{Value, json};

fn planner(model: &Model, dialect: Dialect) -> Planner {
    let settings = ProviderSettings {
        url: model.url().parse().unwrap(),
        api_key: None,
        model: "small".into(),
        timeout: Duration::from_secs(10),
        dialect,
        headers: [("x-team".parse().unwrap(), "garden".parse().unwrap())].into_iter().collect(),
    };
    Planner::new(settings, Catalog::builtin(), 16_384).unwrap()
}

async fn plan(planner: &Planner, mission: &Value) -> Planned {
    let (mission, _) = Mission::read("m", &mission.as_object().unwrap().into());
    let offered = planner.offered(&Policy::default());
    let inputs = Resolved::default();
    let now = "2026-04-15T08:00:00Z".parse().unwrap();
    planner.plan(&Material { agent: None, mission: &mission, inputs: &inputs, offered: &offered, budget: None, now }).await
}

/// An answer of the chat API.
fn message(message: Value) -> Reply {
    let body = json!({
        "model": "small", "choices": [{"message": message}],
        "usage": {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100},
    });
    Reply::Raw { status: 200, content_type: "application/json", body: body.to_string() }
}

fn answer(case: &Value) -> Reply {
    match case.get("calls") {
        Some(calls) => message(json!({"role": "assistant", "content": case["text"], "tool_calls": calls})),
        None => message(json!({"role": "assistant", "content": case["text"]})),
    }
}

/// Answers one after the other, and the last one from then on.
fn script(replies: Vec<fn() -> Reply>) -> Model {
    let asked = AtomicUsize::new(0);
    Model::start(Duration::ZERO, move |_| replies[asked.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1)]())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_answer_has_its_outcome() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../fixtures/model-answers.json")).unwrap();
    let bad = cases.iter().filter(|case| case["outcome"] == "sent back").count();
    assert!(bad >= 60, "{bad}");
    for case in cases {
        let kind = case["kind"].as_str().unwrap();
        for second_is_good in [true, false] {
            let (served, round) = (case.clone(), AtomicUsize::new(0));
            let model = Model::start(Duration::ZERO, move |_| match round.fetch_add(1, Ordering::SeqCst) {
                1 if second_is_good => Reply::task("repaired"),
                _ => answer(&served),
            });
            let planned = plan(&planner(&model, Dialect::Auto), &json!({"title": "t"})).await;
            if case["outcome"] == "accepted" {
                assert!(planned.outcome.is_ok() && planned.calls() == 1, "{kind}: {planned:?}");
                continue;
            }
            let reason = case["reason"].as_str().unwrap();
            assert_eq!((planned.calls(), planned.usage.total), (2, 200), "{kind}: {planned:?}");
            let told = model.requests()[1]["messages"][3]["content"].as_str().unwrap().to_owned();
            assert!(told.contains(&reason.replace('<', "&lt;")), "{kind}: the model is told {reason:?}: {told}");
            match planned.outcome {
                Ok(plan) => assert!(second_is_good && plan.steps[0].params["title"] == "repaired", "{kind}: {plan:?}"),
                Err(error) => assert!(!second_is_good && error.to_string().contains(reason), "{kind}: {error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_a_form_is_asked_in_another_and_that_is_remembered() {
    let refusals = [
        ("tools", 400, "registry.ollama.ai/library/llama2 does not support tools", 2),
        ("tools", 500, "tools param requires --jinja flag", 2),
        ("response_format", 422, "response_format is not supported", 1),
    ];
    for (field, status, says, first) in refusals {
        let model = Model::start(Duration::ZERO, move |request| match request.get(field) {
            Some(_) => Reply::Raw { status, content_type: "application/json", body: json!({"error": {"message": says}}).to_string() },
            None => Reply::task("x"),
        });
        let planner = planner(&model, Dialect::Auto);
        for _ in 0..2 {
            let planned = plan(&planner, &json!({"title": "t"})).await;
            assert_eq!(planned.outcome.unwrap().steps.len(), 1, "{field}");
        }
        assert_eq!(model.requests().len(), first + 1, "{field}: the second plan takes one request");
    }
    let tools = Model::start(Duration::ZERO, |_| Reply::raw(400, "no"));
    let planned = plan(&planner(&tools, Dialect::Tools), &json!({"title": "t"})).await;
    assert!(planned.outcome.is_err() && tools.requests().len() == 1, "tools means tools");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_dialect_holds_the_answer_to_a_schema_and_names_no_functions() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    plan(&planner(&model, Dialect::Json), &json!({"title": "t"})).await.outcome.unwrap();
    let request = model.requests().remove(0);
    assert_eq!((&request["response_format"]["type"], request.get("tools")), (&json!("json_schema"), None));
    assert!(request["messages"][0]["content"].as_str().unwrap().contains("one JSON object and nothing else"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_its_user_rejected_is_sent_back_once_and_then_taken_out() {
    let rejected = json!({"status": "rejected", "intent": {"kind": "toolCall", "toolName": "create_task", "params": {"title": "x"}}});
    let mission = json!({"title": "t", "iterations": [{"plan": [rejected]}]});
    let stubborn = script(vec![|| Reply::task("x")]);
    let planned = plan(&planner(&stubborn, Dialect::Auto), &mission).await;
    assert!(stubborn.requests()[1]["messages"][3]["content"].as_str().unwrap().contains("rejected this very step"));
    assert_eq!((planned.outcome.unwrap().steps.len(), planned.notes.len()), (0, 1));
    let willing = script(vec![|| Reply::task("x"), || Reply::task("y")]);
    let planned = plan(&planner(&willing, Dialect::Auto), &mission).await;
    assert_eq!((planned.outcome.unwrap().steps[0].params["title"].as_str(), planned.notes.len()), (Some("y"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_the_endpoint_can_be_wrong_says_what_to_do() {
    type Case = (u16, &'static str, &'static str, &'static str);
    let cases: [Case; 8] = [
        (401, "application/json", r#"{"error": {"message": "no"}}"#, "check MANA_LLM_API_KEY"),
        (404, "application/json", r#"{"error": {"message": "model 'small' not found"}}"#, "set MANA_LLM_MODEL to one that it has"),
        (404, "text/html", "<html>", "check that MANA_LLM_URL is the base address"),
        (429, "application/json", r#"{"error": {"message": "slow down"}}"#, "fewer requests"),
        (200, "text/html", "<html>", "something that is not JSON"),
        (200, "text/event-stream", "data: {}\n\n", "turn streaming off"),
        (200, "application/json", "{}", "without `choices`"),
        (503, "application/json", r#"{"detail": {"kind": "overloaded", "message": "loading"}}"#, "overloaded: loading"),
    ];
    for (status, content_type, body, says) in cases {
        let model = Model::start(Duration::ZERO, move |_| Reply::Raw { status, content_type, body: body.into() });
        let error = plan(&planner(&model, Dialect::Auto), &json!({"title": "t"})).await.outcome.unwrap_err().to_string();
        assert!(error.contains(says), "{status} {body}: {error}");
        assert_eq!(model.requests().len(), 1, "{status} {body}: asking in another form would not help");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_user_are_sent() {
    let seen: &'static Mutex<String> = Box::leak(Box::default());
    let app = axum::Router::new().fallback(move |headers: axum::http::HeaderMap| async move {
        *seen.lock().unwrap() = headers["x-team"].to_str().unwrap().to_owned();
        "{}"
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let settings = ProviderSettings {
        url: format!("http://{address}").parse().unwrap(),
        api_key: None,
        model: "small".into(),
        timeout: Duration::from_secs(10),
        dialect: Dialect::Auto,
        headers: [("x-team".parse().unwrap(), "garden".parse().unwrap())].into_iter().collect(),
    };
    plan(&Planner::new(settings, Catalog::builtin(), 16_384).unwrap(), &json!({"title": "t"})).await.outcome.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), "garden");
}

/// Whether a request has the part that an answer is for.
fn has(request: &Value, part: &str) -> bool {
    match part {
        "system" => request["messages"].as_array().unwrap().iter().any(|message| message["role"] == "system"),
        "json_schema" => request["response_format"]["type"] == "json_schema",
        field => request.get(field).is_some(),
    }
}

/// A server that gives the first of its answers that fits, each as often as it says.
async fn server_of(case: &Value) -> (std::net::SocketAddr, std::sync::Arc<Mutex<Vec<Value>>>) {
    let (answers, asked) = (case["answers"].as_array().unwrap().clone(), std::sync::Arc::new(Mutex::new(Vec::new())));
    let (given, seen) = (std::sync::Arc::new(Mutex::new(vec![0; answers.len()])), asked.clone());
    let app = axum::Router::new().fallback(move |axum::Json(request): axum::Json<Value>| {
        let (answers, given, seen) = (answers.clone(), given.clone(), seen.clone());
        async move {
            let mut given = given.lock().unwrap();
            let fits = |(n, answer): &(usize, &Value)| {
                given[*n] < answer["times"].as_i64().unwrap_or(i64::MAX) && answer["to"].as_str().is_none_or(|part| has(&request, part))
            };
            let (n, answer) = answers.iter().enumerate().find(fits).unwrap();
            given[n] += 1;
            seen.lock().unwrap().push(request);
            let mut response = axum::http::Response::builder().status(answer["status"].as_u64().unwrap() as u16);
            for (name, value) in answer["headers"].as_object().into_iter().flatten() {
                response = response.header(name, value.as_str().unwrap());
            }
            let body = answer["body"].as_str().map_or_else(|| answer["body"].to_string(), str::to_owned);
            response.body(axum::body::Body::from(body)).unwrap()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, asked)
}

/// `tests/fixtures/model-servers.json` has the ways of real servers: what they answer to which requests, and what comes of it.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_a_server_has_its_outcome() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../fixtures/model-servers.json")).unwrap();
    assert!(cases.len() >= 60, "{}", cases.len());
    for case in cases {
        let kind = case["kind"].as_str().unwrap();
        let (address, asked) = server_of(&case).await;
        let settings = ProviderSettings {
            url: format!("http://{address}").parse().unwrap(),
            api_key: None,
            model: "small".into(),
            timeout: Duration::from_secs(60),
            dialect: Dialect::parse(case["dialect"].as_str().unwrap_or("auto")).unwrap(),
            headers: Default::default(),
        };
        let planner = Planner::new(settings, Catalog::builtin(), 16_384).unwrap();
        let planned = plan(&planner, &json!({"title": "t"})).await;
        match (&planned.outcome, case["error"].as_str()) {
            (Ok(plan), None) => {
                assert_eq!(plan.steps.len() as u64, case["steps"].as_u64().unwrap(), "{kind}: {plan:?}");
                assert!(case["summary"].as_str().is_none_or(|summary| plan.summary == summary), "{kind}: {plan:?}");
                assert!(case["model"].as_str().is_none_or(|model| planned.model == model), "{kind}: {}", planned.model);
                let told = |words: &str| planned.notes.iter().any(|note| note.text.contains(words));
                assert!(case["note"].as_str().map_or(planned.notes.is_empty(), told), "{kind}: {:?}", planned.notes);
            }
            (Err(error), Some(words)) => {
                assert!(error.to_string().contains(words), "{kind}: {error}");
                if let (Some(millis), PlanError::Provider(error)) = (case["retryAfterMs"].as_u64(), error) {
                    assert_eq!(error.retry_after, Some(Duration::from_millis(millis)), "{kind}");
                }
            }
            (outcome, _) => panic!("{kind}: {outcome:?}"),
        }
        let first = asked.lock().unwrap().len() as u64;
        assert_eq!(first, case["requests"].as_u64().unwrap_or(1), "{kind}");
        if let Some(again) = case["again"].as_u64() {
            plan(&planner, &json!({"title": "t"})).await.outcome.unwrap();
            assert_eq!(asked.lock().unwrap().len() as u64 - first, again, "{kind}: what is refused is remembered, and nothing else");
        }
    }
}
