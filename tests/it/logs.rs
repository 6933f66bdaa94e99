//! The log: its two forms, one line for each decision that changes and each end of a run, and nothing of a user in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::logged::Server;
use crate::common::terminal::{CTRL_C, Terminal, plain};
use crate::common::{Mana, Model, Reply, asked_about, edit, hourly, insert, request, wait_for};
use serde_json::{Value, json};

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";

/// An id that would forge a line, colour a terminal and end a string.
const HOSTILE: &str = "m\n2026-04-15T08:00:00.000000Z  INFO mana_ai: forged\r\n{\"message\":\"forged\"}\u{1b}]0;title\u{7}\u{9b}31m \"quoted\" 'x' \\ a=b,\t\u{2028}é";

/// A server that ticks only when it is asked to.
fn quiet(model: &Model) -> Mana {
    Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", model.url()).with("RETRY_BASE_MS", 3_600_000)
}

fn planner() -> Model {
    Model::start(Duration::ZERO, |_| Reply::task("x"))
}

/// The lines of a log in JSON, each of which was looked at.
#[track_caller]
fn objects(log: &str) -> Vec<Value> {
    assert!(log.is_empty() || log.ends_with('\n'), "{log}");
    let read = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let at = object["timestamp"].as_str().unwrap_or_else(|| panic!("{line}"));
        at.parse::<jiff::Timestamp>().unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(matches!(object["level"].as_str(), Some("ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE")), "{line}");
        assert!(object["target"].is_string() && object["message"].is_string(), "{line}");
        object
    };
    log.lines().map(read).collect()
}

/// Whether a line is one of a log in text: a time, and then a level.
fn is_text(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.next().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok())
        && words.next().is_some_and(|level| matches!(level, "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE"))
}

fn with_message<'a>(lines: &'a [Value], message: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["message"] == message).collect()
}

#[test]
fn it_is_json_in_a_file_and_text_where_that_is_asked_for() {
    let model = planner();
    for (args, variable, is_json) in [
        (&[][..], None, true),
        (&["--log-format", "auto"], None, true),
        (&["--log-format", "json"], Some("text"), true),
        (&["--log-format", "text"], None, false),
        (&[], Some("text"), false),
        (&[], Some("json"), true),
    ] {
        let mut mana = quiet(&model);
        if let Some(format) = variable {
            mana = mana.with("MANA_AI_LOG_FORMAT", format);
        }
        let server = Server::start(&mana, args);
        wait_for("the end of the start", || server.log().contains("mana-ai listens").then_some(()));
        server.tick();
        let log = server.stop();
        assert!(log.contains("mana-ai listens") && log.contains("stopped"), "{log}");
        assert!(!log.contains('\u{1b}'), "no colours in a file: {log}");
        if is_json {
            let lines = objects(&log);
            let listens = with_message(&lines, "mana-ai listens").remove(0);
            assert_eq!((&listens["level"], &listens["model"]), (&json!("INFO"), &json!("llama3.1:8b")), "fields are fields: {listens}");
        } else {
            assert!(log.lines().all(is_text), "{log}");
        }
    }
}

#[test]
fn it_is_text_on_a_terminal_and_json_where_that_is_asked_for() {
    let model = planner();
    for (format, is_json) in [(None, false), (Some("auto"), false), (Some("text"), false), (Some("json"), true)] {
        let mut mana = quiet(&model).with("PORT", 0);
        if let Some(format) = format {
            mana = mana.with("MANA_AI_LOG_FORMAT", format);
        }
        let mut terminal = Terminal::open(&mana.command(&["serve"]), "> /dev/null");
        terminal.shows("mana-ai listens");
        terminal.types(CTRL_C);
        terminal.shows("stopped");
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(0), "{screen}");
        let lines: Vec<String> = plain(&screen).lines().map(|line| line.trim_start_matches("^C").trim().to_owned()).collect();
        let lines = lines.iter().filter(|line| !line.is_empty());
        if is_json {
            assert!(!screen.contains('\u{1b}'), "no colours in JSON: {screen:?}");
            objects(&lines.map(|line| format!("{line}\n")).collect::<String>());
        } else {
            assert!(lines.clone().all(|line| is_text(line)), "{screen}");
        }
    }
}

#[test]
fn a_terminal_that_wants_no_colours_gets_none() {
    let model = planner();
    let mana = quiet(&model).with("PORT", 0).with("NO_COLOR", 1);
    let mut terminal = Terminal::open(&mana.command(&["serve"]), "> /dev/null");
    terminal.shows("mana-ai listens");
    terminal.types(CTRL_C);
    let (_, screen) = terminal.end();
    assert!(!screen.contains('\u{1b}'), "{screen:?}");
}

#[test]
fn a_form_that_is_not_known_stops_the_start() {
    let model = planner();
    quiet(&model).run(&["serve", "--log-format", "xml"]).fails(2, "--log-format is \"xml\"");
    quiet(&model).with("MANA_AI_LOG_FORMAT", "logfmt").run(&["serve"]).fails(2, "MANA_AI_LOG_FORMAT is \"logfmt\"");
    let shown = quiet(&model).run(&["config", "--json"]).json();
    let shown = shown.iter().find(|line| line["key"] == "log_format").unwrap();
    assert_eq!((&shown["value"], &shown["variable"]), (&json!("auto"), &json!("MANA_AI_LOG_FORMAT")));
}

#[test]
fn a_command_that_prints_json_keeps_its_log_apart() {
    let model = planner();
    let mana = quiet(&model);
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let ran = mana.run(&["tick", "--json", "--log", "info"]);
    assert_eq!(ran.json().len(), 1);
    assert!(!objects(&ran.stderr).is_empty(), "{ran:?}");
    let ran = mana.run(&["missions", "--json", "--log", "trace", "--log-format", "text"]);
    assert_eq!(ran.json().len(), 1);
}

/// A world with a mission for each decision that a first tick can come to.
fn world(mana: &Mana) {
    // One attempt fails, so that this mission waits for its next one.
    mana.import(&[hourly("u", "waits", None, LONG_AGO)]);
    mana.run(&["tick", "--llm-url", "http://127.0.0.1:9"]);
    mana.import(&[
        insert("u", "agents", "busy", json!({"name": "Busy", "maxConcurrentMissions": 1})),
        insert("other", "agents", "busy", json!({"name": "Busy", "maxConcurrentMissions": 1})),
        insert("u", "agents", "paused", json!({"name": "Paused", "state": "paused"})),
        insert("u", "agents", "archived", json!({"name": "Archived", "state": "archived"})),
        insert("u", "agents", "empty", json!({"name": "Empty", "maxTokensPerDay": 0})),
        hourly("u", "free", None, LONG_AGO),
        hourly("u", "first", Some("busy"), "2026-04-15T07:00:00.000Z"),
        hourly("u", "second", Some("busy"), LONG_AGO),
        hourly("u", "of-paused", Some("paused"), LONG_AGO),
        hourly("u", "of-archived", Some("archived"), LONG_AGO),
        hourly("u", "of-empty", Some("empty"), LONG_AGO),
        hourly("other", "theirs", Some("busy"), LONG_AGO),
        hourly("other", "later", None, "2099-01-01T00:00:00.000Z"),
    ]);
}

/// What was decided about each mission, with its agent.
type Decided = BTreeMap<String, (Option<String>, String)>;

fn decided(lines: &[&Value]) -> Decided {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    lines.iter().map(|line| (text(&line["mission"]).unwrap(), (text(&line["agent"]), text(&line["decision"]).unwrap()))).collect()
}

#[test]
fn a_decision_on_a_due_mission_is_one_line_when_it_changes() {
    let (asked, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (tell, gate) = (Arc::clone(&asked), Arc::clone(&go));
    let model = Model::start(Duration::ZERO, move |_| {
        tell.store(true, Ordering::SeqCst);
        wait_for("the test to let the model answer", || gate.load(Ordering::SeqCst).then_some(()));
        Reply::task("x")
    });
    let mana = quiet(&model);
    world(&mana);
    let server = Server::start(&mana, &[]);
    let first = server.ticking();
    wait_for("the model to be asked", || asked.load(Ordering::SeqCst).then_some(()));
    wait_for("the first tick", || (with_message(&objects(&server.log()), "decided").len() == 8).then_some(()));
    server.tick();
    go.store(true, Ordering::SeqCst);
    first.join().unwrap();
    let lines = objects(&server.stop());
    let all = with_message(&lines, "decided");
    assert_eq!(all.len(), 11, "what waits for the same as before is not told again: {all:#?}");

    let entry = |mission: &str, agent: Option<&str>, decision: &str| (mission.to_owned(), (agent.map(str::to_owned), decision.to_owned()));
    let same = [
        entry("second", Some("busy"), "skipped-concurrency"),
        entry("of-paused", Some("paused"), "skipped-paused"),
        entry("of-archived", Some("archived"), "skipped-archived"),
        entry("of-empty", Some("empty"), "skipped-budget"),
        entry("waits", None, "deferred"),
    ];
    let started = |decision: &str| -> Decided {
        [entry("free", None, decision), entry("first", Some("busy"), decision), entry("theirs", Some("busy"), decision)].into()
    };
    assert_eq!(decided(&all[..8]), started("ran").into_iter().chain(same).collect());
    assert_eq!(decided(&all[8..]), started("in-flight"));
    let runs = mana.run(&["runs", "--json"]).json();
    for line in all {
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["user"], if line["mission"] == "theirs" { "other" } else { "u" });
        assert_eq!(line.get("agent").is_some(), line["agent"].is_string(), "absent, and not null: {line}");
        if line["decision"] == "ran" {
            let run = runs.iter().find(|run| run["missionId"] == line["mission"]).unwrap();
            assert_eq!(line["run"], run["id"]);
        } else {
            let known = runs.iter().any(|run| (&run["id"], &run["missionId"]) == (&line["run"], &line["mission"]));
            assert!(line.get("run").is_none() || known, "a run that is there since an earlier tick, or none: {line}");
            assert!(line["decision"] == "in-flight" || line["why"].as_str().is_some_and(|why| !why.is_empty()), "{line}");
        }
    }
}

#[test]
fn a_server_that_ticks_by_itself_tells_its_decisions_too() {
    let model = planner();
    let mana = quiet(&model).with("TICK_ENABLED", "true").with("TICK_INTERVAL_MS", 50);
    world(&mana);
    let server = Server::start(&mana, &[]);
    wait_for("a run to settle", || server.log().contains("a run settled").then_some(()));
    let lines = objects(&server.stop());
    let ran: Vec<&Value> = with_message(&lines, "decided").into_iter().filter(|line| line["decision"] == "ran").collect();
    let runs: BTreeSet<&str> = ran.iter().map(|line| line["run"].as_str().unwrap()).collect();
    assert_eq!(runs.len(), ran.len(), "each run is started once");
    for decision in ["ran", "deferred", "skipped-paused", "skipped-archived", "skipped-budget"] {
        assert!(lines.iter().any(|line| line["decision"] == decision), "{decision}");
    }
}

#[test]
fn at_level_warn_decisions_are_not_told() {
    let model = planner();
    let mana = quiet(&model);
    world(&mana);
    let server = Server::start(&mana, &["--log", "warn"]);
    server.tick();
    let log = server.stop();
    objects(&log);
    assert!(!log.contains("decided") && !log.contains("a run settled"), "{log}");
}

#[test]
fn each_end_of_a_run_is_one_line_with_the_id_of_the_run() {
    let model = Model::start(Duration::from_millis(30), |request| match asked_about(request).as_str() {
        "Mission fails" => Reply::raw(500, "down"),
        "Mission talks" => {
            Reply::raw(200, r#"{"choices": [{"message": {"content": "Hello!"}}], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}"#)
        }
        _ => Reply::task("x"),
    });
    let mana = quiet(&model).with("MAX_ATTEMPTS", 1);
    mana.import(&[
        insert("u", "agents", "a", json!({"maxConcurrentMissions": 9})),
        hourly("u", "plans", Some("a"), LONG_AGO),
        hourly("u", "alone", None, LONG_AGO),
        hourly("u", "fails", Some("a"), LONG_AGO),
        hourly("u", "talks", Some("a"), LONG_AGO),
    ]);
    let server = Server::start(&mana, &[]);
    server.tick();
    let lines = objects(&server.stop());
    let settled = with_message(&lines, "a run settled");
    let runs = mana.run(&["runs", "--json"]).json();
    assert_eq!(settled.len(), runs.len());
    for run in &runs {
        let lines: Vec<&&Value> = settled.iter().filter(|line| line["run"] == run["id"]).collect();
        assert_eq!(lines.len(), 1, "{run}");
        let line = lines[0];
        assert_eq!((&line["level"], &line["user"], &line["mission"]), (&json!("INFO"), &run["userId"], &run["missionId"]));
        assert_eq!(
            (&line["ending"], &line["tokens"], line.get("agent")),
            (&run["state"], &run["tokens"], run.get("agentId").filter(|id| !id.is_null()))
        );
        let took = line["duration_ms"].as_u64().unwrap_or_else(|| panic!("{line}"));
        assert!((30..60_000).contains(&took), "{line}");
        let reason = line["reason"].as_str().unwrap_or_default();
        assert_eq!(reason.is_empty(), run["state"] == "planned", "{line}");
    }
    let of = |mission: &str| settled.iter().find(|line| line["mission"] == mission).unwrap();
    assert_ne!(of("fails")["reason"], of("talks")["reason"], "what failed is told");
    assert_eq!((&of("plans")["tokens"], &of("plans")["ending"]), (&json!(100), &json!("planned")));
}

#[test]
fn a_run_that_is_tried_again_or_dropped_tells_why() {
    let (asked, go) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (tell, gate) = (Arc::clone(&asked), Arc::clone(&go));
    let model = Model::start(Duration::ZERO, move |request| {
        if asked_about(request) == "Mission retries" {
            return Reply::raw(500, "down");
        }
        tell.store(true, Ordering::SeqCst);
        wait_for("the test to let the model answer", || gate.load(Ordering::SeqCst).then_some(()));
        Reply::task("x")
    });
    let mana = quiet(&model).with("MAX_PARALLEL_PLANS", 1);
    mana.import(&[hourly("u", "retries", None, "2026-04-15T07:00:00.000Z"), hourly("u", "dropped", None, LONG_AGO)]);
    let server = Server::start(&mana, &[]);
    let ticking = server.ticking();
    wait_for("the model to be asked", || asked.load(Ordering::SeqCst).then_some(()));
    mana.import(&[edit("u", "dropped", json!({"state": "paused"}), "2026-04-16T08:00:00.000Z")]);
    go.store(true, Ordering::SeqCst);
    ticking.join().unwrap();
    let lines = objects(&server.stop());
    let settled = with_message(&lines, "a run settled");
    for (mission, ending) in [("retries", "retrying"), ("dropped", "dropped")] {
        let line = settled.iter().find(|line| line["mission"] == mission).unwrap();
        assert_eq!(line["ending"], ending);
        assert!(line["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{line}");
        let runs = mana.run(&["runs", "--mission", mission, "--json"]).json();
        assert_eq!(line["run"], runs[0]["id"]);
    }
}

#[test]
fn an_agent_that_is_gone_is_told_alike_in_both_lines() {
    let model = planner();
    let mana = quiet(&model);
    mana.import(&[hourly("u", "m", Some("gone"), LONG_AGO)]);
    let server = Server::start(&mana, &[]);
    server.tick();
    let lines = objects(&server.stop());
    let agent = |message: &str| with_message(&lines, message)[0].get("agent").cloned();
    assert_eq!(agent("decided"), agent("a run settled"));
}

/// Missions with hostile ids for all that the log tells: a run, a skip, and a field of a wrong type.
fn hostile_world(mana: &Mana) {
    let mut odd = hourly(HOSTILE, "odd", None, LONG_AGO);
    odd["recordId"] = json!(format!("odd{HOSTILE}"));
    odd["data"]["title"] = json!(3);
    mana.import(&[
        insert(HOSTILE, "agents", HOSTILE, json!({"name": HOSTILE, "maxConcurrentMissions": 1})),
        hourly(HOSTILE, HOSTILE, Some(HOSTILE), "2026-04-15T07:00:00.000Z"),
        hourly(HOSTILE, &format!("second{HOSTILE}"), Some(HOSTILE), LONG_AGO),
        insert(HOSTILE, "agents", &format!("paused{HOSTILE}"), json!({"name": HOSTILE, "state": "paused"})),
        hourly(HOSTILE, &format!("third{HOSTILE}"), Some(&format!("paused{HOSTILE}")), LONG_AGO),
        odd,
    ]);
}

#[test]
fn hostile_ids_break_no_line_of_json() {
    let model = planner();
    let mana = quiet(&model);
    hostile_world(&mana);
    let server = Server::start(&mana, &["--log", "mana_ai=trace"]);
    server.tick();
    let lines = objects(&server.stop());
    assert!(with_message(&lines, "forged").is_empty());
    assert_eq!(with_message(&lines, "decided").len(), 4);
    for message in ["decided", "a run settled"] {
        let all = with_message(&lines, message);
        let line = all.iter().find(|line| line["mission"] == HOSTILE).unwrap_or_else(|| panic!("{all:#?}"));
        assert_eq!((&line["user"], &line["agent"]), (&json!(HOSTILE), &json!(HOSTILE)), "to the letter");
    }
}

#[test]
fn hostile_ids_break_no_line_of_text() {
    let model = planner();
    let mana = quiet(&model);
    hostile_world(&mana);
    let server = Server::start(&mana, &["--log", "mana_ai=trace", "--log-format", "text"]);
    server.tick();
    let log = server.stop();
    for line in log.split('\n').filter(|line| !line.is_empty()) {
        assert!(is_text(line), "{line:?}");
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}'), "{line:?}");
        assert!(!line.contains("INFO mana_ai: forged") || line.contains("mission=") || line.contains("record="), "{line:?}");
    }
    assert_eq!(log.lines().filter(|line| line.contains(" decided ")).count(), 4, "{log}");
}

#[test]
fn hostile_ids_do_nothing_to_a_terminal() {
    let model = planner();
    let mana = quiet(&model).with("TICK_ENABLED", "true").with("PORT", 0);
    hostile_world(&mana);
    let mut terminal = Terminal::open(&mana.command(&["serve", "--log", "mana_ai=trace"]), "> /dev/null");
    terminal.shows("a run settled");
    terminal.types(CTRL_C);
    let (_, screen) = terminal.end();
    assert!(!screen.contains("\u{1b}]0;") && !screen.contains('\u{9b}') && !screen.contains('\u{7}'), "{screen:?}");
    let lines: Vec<String> = plain(&screen).lines().map(|line| line.trim_start_matches("^C").trim().to_owned()).collect();
    assert!(lines.iter().filter(|line| !line.is_empty()).all(|line| is_text(line)), "{screen}");
}

/// What users wrote, and secrets: none of it is for a log.
const PRIVATE: [&str; 16] = [
    "tttitle",
    "ooobjective",
    "cccconcept",
    "sssystemprompt",
    "mmmemory",
    "nnnote",
    "bbbody",
    "fffeedback",
    "pppplan",
    "rrrationale",
    "kkkind",
    "vvvalue",
    "sk-quite-secret",
    "header-secret",
    "pass-word",
    "a-service-key-of-its-own",
];

/// A mission full of what is not for a log.
fn private_mission(id: &str) -> Value {
    let mut mission = hourly("u", id, Some("a"), LONG_AGO);
    mission["data"]["title"] = json!(format!("tttitle {id}"));
    mission["data"]["objective"] = json!("ooobjective");
    mission["data"]["conceptMarkdown"] = json!("# cccconcept");
    mission["data"]["inputs"] =
        json!([{"module": "notes", "table": "notes", "id": "n"}, {"module": "notes", "table": "notes", "id": "gone"}]);
    mission["data"]["iterations"] =
        json!([{"id": "i", "summary": "pppplan", "userFeedback": "fffeedback", "overallStatus": "rejected", "plan": []}]);
    mission
}

fn private_world(mana: &Mana) {
    let mut note = insert("u", "notes", "n", json!({"title": "nnnote", "content": "bbbody"}));
    note["appId"] = "notes".into();
    let mut broken = private_mission("broken");
    broken["data"]["cadence"] = json!({"kind": "kkkind", "everyMinutes": "vvvalue"});
    broken["data"]["state"] = json!("active");
    let mut odd = private_mission("odd");
    odd["data"]["title"] = json!(["tttitle"]);
    odd["data"]["inputs"] = json!([{"module": "vvvalue"}, "vvvalue"]);
    mana.import(&[
        insert("u", "agents", "a", json!({"systemPrompt": "sssystemprompt", "memory": "mmmemory", "maxConcurrentMissions": 99})),
        insert("u", "agents", "b", json!({"systemPrompt": 3, "memory": ["mmmemory"], "state": "vvvalue", "policy": "vvvalue"})),
        note,
        broken,
        odd,
        private_mission("plans"),
        private_mission("echoed"),
        private_mission("refused"),
        private_mission("talks"),
        private_mission("mistaken"),
    ]);
}

/// A model that repeats what it was told wherever it can.
fn parrot() -> Model {
    Model::start(Duration::ZERO, |request| {
        let prompt = format!("{} {}", request["messages"][0]["content"], request["messages"][1]["content"]);
        let plan = |tool: &str| {
            let step = json!({"summary": "pppplan", "toolName": tool, "params": {"title": "vvvalue"}, "rationale": "rrrationale"});
            Reply::Plan(json!({"summary": "pppplan", "steps": [step]}))
        };
        let error = json!({"error": {"message": prompt.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect::<String>() + " tttitle sk-quite-secret"}});
        let answer = |status: u16, body: String| Reply::Raw { status, content_type: "application/json", body };
        let mission = ["echoed", "refused", "talks", "mistaken"].into_iter().find(|id| prompt.contains(&format!("tttitle {id}")));
        match mission {
            Some("echoed") => answer(500, error.to_string()),
            Some("refused") => answer(422, error.to_string()),
            Some("talks") => answer(200, json!({"choices": [{"message": {"content": format!("tttitle pppplan {prompt}")}}]}).to_string()),
            Some("mistaken") => plan("vvvalue"),
            _ => plan("create_task"),
        }
    })
}

#[test]
fn nothing_of_a_user_and_no_secret_is_in_the_log() {
    let model = parrot();
    for level in ["info", "mana_ai=debug", "trace"] {
        for format in ["json", "text"] {
            let mana = quiet(&model)
                .with("MANA_LLM_API_KEY", "sk-quite-secret")
                .with("MANA_LLM_HEADERS", r#"{"x-key": "header-secret"}"#)
                .with("MANA_LLM_URL", model.url().replace("http://", "http://someone:pass-word@"))
                .with("BREAKER_FAILURES", 100)
                .with("MAX_ATTEMPTS", 1);
            private_world(&mana);
            let server = Server::start(&mana, &["--log", level, "--log-format", format]);
            let stats = server.tick();
            assert_eq!(stats["dueMissionCount"], 7, "{stats}");
            let token = mana.run(&["token", "create", "--user", "u"]).stdout.trim().to_owned();
            let link = mana.run(&["link", "--port", &server.port.to_string()]).stdout.trim().to_owned();
            let bearer = format!("Bearer {token}");
            request("GET", &link, &[]);
            request("GET", &server.url("/api/v1/me/ai-audit"), &[("authorization", &bearer)]);
            request("GET", &server.url("/sync/notes/pull?collection=notes&since="), &[("authorization", &bearer)]);
            request("GET", &server.url("/sync/notes/pull?collection=notes&since=vvvalue"), &[("authorization", "Bearer sk-quite-secret")]);
            request("POST", &server.url("/internal/tick"), &[("x-service-key", "a-service-key-of-its-own")]);
            let key = server.key.clone();
            let log = server.stop();
            assert!(log.contains("a run settled"), "{log}");
            let secret = link.rsplit(['/', '=']).next().unwrap();
            let keys = std::fs::read_to_string(mana.dir.path().join("token-key.pem")).unwrap();
            for private in PRIVATE.into_iter().chain([token.as_str(), &key, secret, keys.lines().nth(1).unwrap()]) {
                let told = log.lines().find(|line| line.contains(private));
                assert_eq!(told, None, "{private} at {level} in {format}");
            }
        }
    }
}

#[test]
fn addresses_in_the_log_have_no_passwords() {
    let model = planner();
    let away = "http://someone:pass-word@127.0.0.1:9/jwks?key=header-secret";
    let mana = quiet(&model).with("JWKS_URL", away).with("MANA_LLM_URL", away).with("MANA_SERVICE_KEY", "a-service-key-of-its-own");
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let mut server = Server::start(&mana, &["--log", "trace"]);
    server.key = "a-service-key-of-its-own".into();
    server.tick();
    let header = "eyJhbGciOiJFZERTQSIsImtpZCI6Im90aGVyIn0.eyJzdWIiOiJ1IiwiZXhwIjo5OTk5OTk5OTk5fQ.AAAA";
    let (status, _) = request("GET", &server.url("/api/v1/me/ai-audit"), &[("authorization", &format!("Bearer {header}"))]);
    assert_ne!(status, 200);
    let log = server.stop();
    assert!(log.contains("identity provider"), "{log}");
    for secret in ["pass-word", "header-secret", "a-service-key-of-its-own"] {
        assert_eq!(log.lines().find(|line| line.contains(secret)), None, "{secret}");
    }
}
