//! Traces: the spans of a tick and its runs, as a collector gets them by OTLP over HTTP.
#![cfg(feature = "otel")]

mod otlp;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::logged::Server;
use crate::common::{Mana, Model, Reply, asked_about, get, hourly, insert, wait_for};
use otlp::{Collector, Span};
use serde_json::{Value, json};

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";
const NAMES: [&str; 7] = ["tick", "refresh", "gate", "run", "inputs", "plan", "write-back"];

/// A server that traces, and ticks only when it is asked to.
fn traced(model: &Model, endpoint: &str) -> Mana {
    Mana::new()
        .with("TICK_ENABLED", "false")
        .with("MANA_LLM_URL", model.url())
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .with("RETRY_BASE_MS", 3_600_000)
}

fn planner() -> Model {
    Model::start(Duration::from_millis(20), |_| Reply::task("x"))
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

/// Checks that a span lies in the other one, as a direct child.
#[track_caller]
fn assert_child(child: &Span, parent: &Span) {
    assert_eq!((&child.trace, &child.parent), (&parent.trace, &parent.id), "{child:?} in {parent:?}");
    assert!(parent.start <= child.start && child.start <= child.end, "{child:?} in {parent:?}");
}

#[test]
fn a_tick_and_its_runs_are_one_trace() {
    let (model, collector) = (planner(), Collector::start());
    let mana = traced(&model, &collector.url());
    mana.import(&[
        insert("u", "agents", "a", json!({"name": "Penny"})),
        insert("u", "agents", "p", json!({"state": "paused"})),
        hourly("u", "m1", Some("a"), LONG_AGO),
        hourly("other", "m2", None, LONG_AGO),
        hourly("u", "skipped", Some("p"), LONG_AGO),
    ]);
    let server = Server::start(&mana, &[]);
    assert_eq!(server.tick()["plansWrittenBack"], 2);
    server.stop();

    for posted in collector.posted.lock().unwrap().iter() {
        assert_eq!((posted.path.as_str(), posted.content_type.as_str()), ("/v1/traces", "application/x-protobuf"));
    }
    let spans = collector.spans();
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(NAMES), "these and no others");
    assert_eq!(spans.iter().map(|span| &span.id).collect::<BTreeSet<_>>().len(), spans.len(), "each once");
    for span in &spans {
        assert_eq!((&span.service, span.trace.len(), span.id.len()), (&json!("mana-ai"), 16, 8), "{span:?}");
        assert!(span.start > 1_700_000_000_000_000_000 && span.start <= span.end, "{span:?}");
        assert_ne!(span.status, 2, "no error: {span:?}");
    }
    let ticks = named(&spans, "tick");
    assert_eq!(ticks.len(), 1);
    let tick = ticks[0];
    assert_eq!(tick.parent, b"", "the root");
    for name in ["refresh", "gate"] {
        let found = named(&spans, name);
        assert_eq!(found.len(), 1, "{name}");
        assert_child(found[0], tick);
        assert!(found[0].end <= tick.end, "{name}");
    }
    let runs = named(&spans, "run");
    assert_eq!(runs.len(), 2);
    let listed = mana.run(&["runs", "--json"]).json();
    for run in runs {
        assert_child(run, tick);
        let row = listed.iter().find(|row| row["id"] == run.attributes["run"]).unwrap_or_else(|| panic!("{run:?}"));
        assert_eq!((&run.attributes["user"], &run.attributes["mission"]), (&row["userId"], &row["missionId"]));
        assert_eq!(run.attributes.get("agent"), row.get("agentId").filter(|id| !id.is_null()), "{run:?}");
        for name in ["inputs", "plan", "write-back"] {
            let of_run: Vec<&Span> = named(&spans, name).into_iter().filter(|span| span.parent == run.id).collect();
            assert_eq!(of_run.len(), 1, "{name} of {run:?}");
            assert_child(of_run[0], run);
            assert!(of_run[0].end <= run.end, "{name}");
        }
        let plan = named(&spans, "plan").into_iter().find(|span| span.parent == run.id).unwrap();
        assert!(plan.end - plan.start >= 20_000_000, "it takes as long as the model: {plan:?}");
    }
    assert_eq!(named(&spans, "plan").len(), 2);
    let counts: Vec<&Value> = tick.attributes.values().collect();
    assert!(counts.contains(&&json!(3)), "how many were due: {tick:?}");
}

#[test]
fn each_tick_is_a_trace_of_its_own() {
    let (model, collector) = (planner(), Collector::start());
    let mana = traced(&model, &collector.url());
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let server = Server::start(&mana, &[]);
    for _ in 0..3 {
        server.tick();
    }
    server.stop();
    let spans = collector.spans();
    let ticks: BTreeSet<&Vec<u8>> = named(&spans, "tick").into_iter().map(|tick| &tick.trace).collect();
    assert_eq!(ticks.len(), 3);
    assert_eq!(named(&spans, "run").len(), 1);
}

#[test]
fn a_server_that_ticks_by_itself_is_traced_and_need_not_be_stopped() {
    let (model, collector) = (planner(), Collector::start());
    let mana = traced(&model, &collector.url()).with("TICK_ENABLED", "true").with("TICK_INTERVAL_MS", 50);
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let _server = Server::start(&mana, &[]);
    wait_for("the run", || named(&collector.spans(), "run").first().map(|run| run.attributes["mission"].clone()));
    let spans = collector.spans();
    let run = named(&spans, "run")[0];
    let tick = wait_for("its tick", || collector.spans().into_iter().find(|span| span.id == run.parent));
    assert_eq!((tick.name.as_str(), &tick.trace), ("tick", &run.trace));
}

#[test]
fn what_is_under_way_at_the_end_is_sent_before_it() {
    let (model, collector) = (Model::start(Duration::from_millis(700), |_| Reply::task("x")), Collector::start());
    let mana = traced(&model, &collector.url()).with("TICK_ENABLED", "true").with("TICK_INTERVAL_MS", 3_600_000);
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let server = Server::start(&mana, &[]);
    wait_for("the model to be asked", || (!model.requests().is_empty()).then_some(()));
    server.stop();
    let spans = collector.spans();
    for name in NAMES {
        assert_eq!(named(&spans, name).len(), 1, "{name}");
    }
    assert_eq!(mana.mission("m")["iterations"].as_array().unwrap().len(), 1);
}

#[test]
fn a_run_that_is_cut_short_does_not_cost_the_rest() {
    let (model, collector) = (Model::held(|_| Reply::task("x")), Collector::start());
    let mana =
        traced(&model, &collector.url()).with("TICK_ENABLED", "true").with("TICK_INTERVAL_MS", 3_600_000).with("SHUTDOWN_GRACE_MS", 50);
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let server = Server::start(&mana, &[]);
    wait_for("the model to be asked", || (!model.requests().is_empty()).then_some(()));
    server.stop();
    let spans = collector.spans();
    for name in ["tick", "refresh", "gate", "inputs"] {
        assert_eq!(named(&spans, name).len(), 1, "{name}");
    }
}

#[test]
fn a_plan_that_fails_is_an_error() {
    let collector = Collector::start();
    let model = Model::start(Duration::ZERO, |request| match asked_about(request).as_str() {
        "Mission fails" => Reply::raw(500, "down"),
        "Mission talks" => Reply::raw(200, r#"{"choices": [{"message": {"content": "Hello!"}}]}"#),
        _ => Reply::task("x"),
    });
    for attempts in [1, 5] {
        let mana = traced(&model, &collector.url()).with("MAX_ATTEMPTS", attempts);
        mana.import(&["fails", "talks", "plans"].map(|id| hourly("u", id, None, LONG_AGO)));
        let server = Server::start(&mana, &[]);
        server.tick();
        server.stop();
        let spans = collector.spans();
        let runs = named(&spans, "run");
        for (mission, status) in [("fails", true), ("talks", true), ("plans", false)] {
            let run = runs.iter().rev().find(|run| run.attributes["mission"] == mission).unwrap();
            let plan = named(&spans, "plan").into_iter().find(|span| span.parent == run.id).unwrap();
            assert_eq!(plan.status == 2, status, "{mission}, {attempts} attempts: {plan:?}");
        }
    }
}

#[test]
fn nothing_of_a_user_and_no_secret_is_in_a_trace() {
    let collector = Collector::start();
    let model = Model::start(Duration::ZERO, |request| {
        let error = |status: u16| {
            let body = json!({"error": {"message": format!("tttitle sk-quite-secret {}", request["messages"][1]["content"])}});
            Reply::raw(status, &body.to_string())
        };
        let step = |tool: &str| json!({"summary": "pppplan", "toolName": tool, "params": {"title": "vvvalue"}, "rationale": "rrrationale"});
        match asked_about(request).as_str() {
            "tttitle echoed" => error(500),
            "tttitle refused" => error(422),
            "tttitle mistaken" => Reply::Plan(json!({"summary": "pppplan", "steps": [step("vvvalue")]})),
            _ => Reply::Plan(json!({"summary": "pppplan", "steps": [step("create_task")]})),
        }
    });
    let mission = |id: &str| {
        let mut mission = hourly("u", id, Some("a"), LONG_AGO);
        mission["data"]["title"] = json!(format!("tttitle {id}"));
        mission["data"]["objective"] = json!("ooobjective");
        mission["data"]["conceptMarkdown"] = json!("cccconcept");
        mission["data"]["inputs"] = json!([{"module": "notes", "table": "notes", "id": "n"}]);
        mission
    };
    let mut note = insert("u", "notes", "n", json!({"title": "nnnote", "content": "bbbody"}));
    note["appId"] = "notes".into();
    let mana = traced(&model, &collector.url())
        .with("MANA_LLM_API_KEY", "sk-quite-secret")
        .with("MANA_LLM_URL", model.url().replace("http://", "http://someone:pass-word@"))
        .with("MANA_AI_LOG", "trace")
        .with("MAX_ATTEMPTS", 1);
    mana.import(&[
        insert(
            "u",
            "agents",
            "a",
            json!({"name": "Penny", "memory": "mmmemory", "systemPrompt": "sssystemprompt", "maxConcurrentMissions": 9}),
        ),
        note,
        mission("plans"),
        mission("echoed"),
        mission("refused"),
        mission("mistaken"),
    ]);
    let server = Server::start(&mana, &[]);
    assert_eq!(server.tick()["dueMissionCount"], 4);
    server.stop();
    let key = std::fs::read_to_string(mana.dir.path().join("service-key")).unwrap();
    let bytes = collector.bytes();
    let sent = String::from_utf8_lossy(&bytes);
    assert!(sent.contains("mistaken"), "ids are there");
    for private in [
        "tttitle",
        "ooobjective",
        "cccconcept",
        "nnnote",
        "bbbody",
        "mmmemory",
        "sssystemprompt",
        "pppplan",
        "vvvalue",
        "rrrationale",
        "sk-quite-secret",
        "pass-word",
        key.trim(),
    ] {
        let at = sent.find(private).map(|at| sent[at.saturating_sub(200)..].chars().take(400).collect::<String>());
        assert_eq!(at, None, "{private}");
    }
    let names: BTreeSet<String> = collector.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, NAMES.map(str::to_owned).into(), "no spans of other crates, at any level of the log");
}

#[test]
fn the_level_of_the_log_does_not_matter() {
    let (model, collector) = (planner(), Collector::start());
    for level in ["error", "warn", "off", "hyper=trace"] {
        let before = collector.spans().len();
        let mana = traced(&model, &collector.url());
        mana.import(&[hourly("u", "m", None, LONG_AGO)]);
        let server = Server::start(&mana, &["--log", level]);
        server.tick();
        server.stop();
        let spans = collector.spans().split_off(before);
        let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, BTreeSet::from(NAMES), "at {level}");
    }
}

#[test]
fn hostile_ids_arrive_to_the_letter() {
    const ID: &str = "m\n\u{1b}[31m\"quoted\" \\ \u{2028}é";
    let (model, collector) = (planner(), Collector::start());
    let mana = traced(&model, &collector.url());
    mana.import(&[insert(ID, "agents", ID, json!({})), hourly(ID, ID, Some(ID), LONG_AGO)]);
    let server = Server::start(&mana, &[]);
    server.tick();
    server.stop();
    let spans = collector.spans();
    let run = named(&spans, "run")[0];
    for key in ["user", "mission", "agent"] {
        assert_eq!(run.attributes[key], ID, "{key}");
    }
}

#[test]
fn a_tick_from_the_command_line_is_traced() {
    let model = planner();
    // Nothing may be lost when the program ends at once, so it is done a few times.
    for _ in 0..10 {
        let collector = Collector::start();
        let mana = traced(&model, "").with("MANA_AI_LOG", "error");
        mana.import(&[hourly("u", "m", None, LONG_AGO)]);
        let ran = mana.run(&["tick", "--json", "--otlp-endpoint", &collector.url()]);
        assert_eq!(ran.json()[0]["plansWrittenBack"], 1);
        let spans = collector.spans();
        for name in NAMES {
            assert_eq!(named(&spans, name).len(), 1, "{name}");
        }
    }
}

#[test]
fn without_an_endpoint_nothing_is_sent_and_a_wrong_one_stops_the_start() {
    let (model, collector) = (planner(), Collector::start());
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url());
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    assert_eq!(mana.run(&["tick", "--json"]).json()[0]["plansWrittenBack"], 1);
    assert_eq!(collector.requests(), 0);
    let shown = mana.run(&["config", "--json"]).json();
    let shown = shown.iter().find(|line| line["key"] == "otlp_endpoint").unwrap();
    assert_eq!(shown["variable"], "OTEL_EXPORTER_OTLP_ENDPOINT");
    for wrong in ["collector", "ftp://collector", "127.0.0.1:4318", "unix:/run/x"] {
        let mana = traced(&model, wrong);
        mana.run(&["serve"]).fails(2, &format!("OTEL_EXPORTER_OTLP_ENDPOINT is {wrong:?}"));
    }
    let shown = traced(&model, "http://someone:pass-word@127.0.0.1:9/?key=query-secret").run(&["config", "--json"]);
    assert!(
        shown.stdout.contains("127.0.0.1:9") && !shown.stdout.contains("pass-word") && !shown.stdout.contains("query-secret"),
        "{shown:?}"
    );
}

#[test]
fn the_path_of_the_endpoint_is_kept() {
    let model = planner();
    for (base, path) in [("/", "/v1/traces"), ("/otlp", "/otlp/v1/traces"), ("/otlp/", "/otlp/v1/traces")] {
        let collector = Collector::start();
        let mana = traced(&model, &format!("{}{base}", collector.url()));
        let server = Server::start(&mana, &[]);
        server.tick();
        server.stop();
        let posted = collector.posted.lock().unwrap();
        assert!(!posted.is_empty() && posted.iter().all(|posted| posted.path == path), "{base}: {:?}", posted.first().map(|p| &p.path));
    }
}

/// The lines of a log that speak of the collector.
fn about_traces(log: &str) -> Vec<&str> {
    let about = |line: &&str| {
        let line = line.to_lowercase();
        ["otlp", "trace", "span", "export", "collector", "opentelemetry"].iter().any(|word| line.contains(word))
    };
    log.lines().filter(about).collect()
}

/// Checks that missions run and ticks come on time, whatever the collector does, for as long as `until` says.
fn runs_go_on(endpoint: &str, until: impl Fn() -> bool) -> String {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let mana = traced(&model, endpoint).with("TICK_ENABLED", "true").with("TICK_INTERVAL_MS", 20).with("OTEL_BSP_SCHEDULE_DELAY", 100);
    let due = |n: usize| hourly("u", &format!("m{n}"), None, LONG_AGO);
    mana.import(&(0..20).map(due).collect::<Vec<_>>());
    let server = Server::start(&mana, &[]);
    wait_for("all plans", || (model.requests().len() == 20).then_some(()));
    let mut n = 20;
    loop {
        // As long as it takes, new missions run at once.
        mana.import(&[due(n)]);
        n += 1;
        wait_for("the next plan", || (model.requests().len() == n).then_some(()));
        if until() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(get(&server.url("/health")).0, 200);
    let log = server.stop();
    assert_eq!(mana.run(&["runs", "--limit", "1000", "--json"]).json().iter().filter(|run| run["state"] == "planned").count(), n);
    assert!(!log.contains("panicked"), "{log}");
    log
}

#[test]
fn a_collector_that_is_away_costs_no_run_and_one_warning_a_minute() {
    // Whoever comes is sent away, and counted.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let came = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&came);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            drop(connection);
            *counted.lock().unwrap() += 1;
        }
    });
    let started = std::time::Instant::now();
    let log = runs_go_on(&format!("http://someone:pass-word@{address}/?key=query-secret"), || *came.lock().unwrap() >= 4);
    let minutes = usize::try_from(started.elapsed().as_secs() / 60).unwrap();
    let told = about_traces(&log);
    assert!((1..=1 + minutes).contains(&told.len()), "{told:#?}");
    assert!(told[0].contains("WARN"), "{}", told[0]);
    assert!(!log.contains("pass-word") && !log.contains("query-secret"), "{told:#?}");
}

#[test]
fn a_collector_that_answers_with_errors_costs_no_run_and_one_warning_a_minute() {
    for status in [500, 503, 401, 404, 302] {
        let collector = Collector::answering(status, Duration::ZERO);
        let started = std::time::Instant::now();
        let log = runs_go_on(&collector.url(), || collector.requests() >= 3);
        let minutes = usize::try_from(started.elapsed().as_secs() / 60).unwrap();
        let told = about_traces(&log);
        assert!((1..=1 + minutes).contains(&told.len()), "{status}: {told:#?}");
    }
}

#[test]
fn a_collector_that_does_not_answer_costs_no_run() {
    let collector = Collector::answering(200, Duration::from_secs(3_600));
    let log = runs_go_on(&collector.url(), || collector.requests() >= 1);
    let told = about_traces(&log);
    assert!(told.len() <= 2, "{told:#?}");
}

#[test]
fn a_collector_that_is_away_holds_up_no_start_and_no_end() {
    let model = planner();
    let mana = traced(&model, "http://127.0.0.1:9");
    let server = Server::start(&mana, &[]);
    server.tick();
    let log = server.stop();
    assert!(log.contains("stopped"), "{log}");
    assert!(about_traces(&log).len() <= 1, "{log}");
}
