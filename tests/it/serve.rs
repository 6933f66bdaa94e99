//! The server: health, metrics, the internal tick, start and stop (docs/design.md, sections 9 to 11).

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::common::{Mana, Model, Reply, Served, get, hourly, insert, metric, request, wait_for};
use serde_json::{Value, json};

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";

fn quiet() -> Mana {
    Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9")
}

#[test]
fn health_and_metrics_need_no_key() {
    let served = quiet().serve_kept();
    let (status, body) = get(&served.0.url("/health"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["status"], &body["ok"], &body["service"]), (200, &json!("ok"), &json!(true), &json!("mana-ai")));
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    let (status, text) = get(&served.0.url("/metrics"));
    assert_eq!(status, 200);
    assert!(text.contains("mana_ai_process_resident_memory_bytes{service=\"mana-ai\"}"), "{text}");
    assert_eq!(metric(&served.0, "mana_ai_http_requests_total{method=\"GET\",path=\"/health\",status=\"200\""), 1.0);
    assert_eq!(get(&served.0.url("/nothing/here")).0, 404);
    assert_eq!(metric(&served.0, "mana_ai_http_requests_total{method=\"GET\",path=\"unmatched\""), 1.0);
    assert_eq!(request("DELETE", &served.0.url("/health"), &[]).0, 405);
}

#[test]
fn the_internal_tick_needs_the_service_key_and_answers_when_its_runs_settled() {
    let model = Model::start(Duration::from_millis(300), |_| Reply::task("x"));
    let mana = Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", model.url());
    mana.import(&[insert("u", "agents", "a", json!({})), hourly("u", "m", Some("a"), LONG_AGO)]);
    let served = mana.serve();
    let url = served.url("/internal/tick");
    for headers in [vec![], vec![("x-service-key", "")], vec![("x-service-key", "wrong")]] {
        let (status, body) = request("POST", &url, &headers);
        assert_eq!(status, 401);
        assert!(body.contains("X-Service-Key"));
    }
    let key = std::fs::read_to_string(mana.dir.path().join("service-key")).unwrap();
    let (status, body) = request("POST", &url, &[("x-service-key", key.trim())]);
    let stats: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &stats["plansWrittenBack"], &stats["decisions"]["ran"]), (200, &json!(1), &json!(1)));
    for (series, value) in [
        ("mana_ai_ticks_total", 1.0),
        ("mana_ai_plans_written_back_total", 1.0),
        ("mana_ai_snapshots_new_total", 2.0),
        ("mana_ai_agent_decisions_total{decision=\"ran\"", 1.0),
        ("mana_ai_tokens_used_total{agent_id=\"a\"", 100.0),
        ("mana_ai_tool_calls_total{outcome=\"deferred\",policy=\"propose\",tool=\"create_task\"", 1.0),
        ("mana_ai_missions{state=\"active\"", 1.0),
        ("mana_ai_runs_in_flight", 0.0),
        ("mana_ai_runs_total{outcome=\"planned\"", 1.0),
        ("mana_ai_log_rows", 3.0),
    ] {
        assert_eq!(metric(&served, series), value, "{series}");
    }
    assert!(metric(&served, "mana_ai_coalesced_times_total") > 100.0, "hourly since April");
    assert!(!served.log().contains(key.trim()), "no secret in the log");
}

#[test]
fn it_ticks_by_itself_and_shows_what_waits() {
    let model = Model::start(Duration::ZERO, |_| Reply::raw(503, "busy"));
    let mana = Mana::new().with("TICK_INTERVAL_MS", 50).with("MANA_LLM_URL", model.url()).with("BREAKER_FAILURES", 1);
    mana.import(&[hourly("u", "m", None, LONG_AGO), hourly("u", "n", None, LONG_AGO)]);
    let served = mana.serve();
    wait_for("the breaker to open", || (metric(&served, "mana_ai_breaker_state") == 2.0).then_some(()));
    wait_for("a few ticks", || (metric(&served, "mana_ai_ticks_total") > 5.0).then_some(()));
    assert!(model.requests().len() <= 2, "no storm of calls: {}", model.requests().len());
    assert_eq!(metric(&served, "mana_ai_runs_waiting"), 2.0);
    assert!(metric(&served, "mana_ai_oldest_due_age_seconds") > 1e6);
    assert!(metric(&served, "mana_ai_provider_errors_total") >= 1.0);
}

#[test]
fn stopping_lets_a_plan_finish_within_the_grace() {
    let model = Model::start(Duration::from_millis(800), |_| Reply::task("x"));
    let mana = Mana::new().with("TICK_INTERVAL_MS", 50).with("MANA_LLM_URL", model.url());
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let served = mana.serve();
    wait_for("the model to be asked", || (!model.requests().is_empty()).then_some(()));
    assert_eq!(served.terminate(), Some(0));
    assert_eq!(mana.mission("m")["iterations"].as_array().unwrap().len(), 1);
}

#[test]
fn a_plan_beyond_the_grace_is_left_claimable_and_made_once() {
    let slow = Model::held(|_| Reply::task("slow"));
    let mana = Mana::new()
        .with("TICK_INTERVAL_MS", 50)
        .with("SHUTDOWN_GRACE_MS", 100)
        .with("MAX_PARALLEL_PLANS", 1)
        .with("MANA_LLM_URL", slow.url());
    mana.import(&[hourly("u", "m", None, LONG_AGO), hourly("u", "queued", None, LONG_AGO)]);
    let served = mana.serve();
    wait_for("the model to be asked", || (!slow.requests().is_empty()).then_some(()));
    assert_eq!(served.terminate(), Some(0));
    for run in mana.run(&["runs", "--json"]).json() {
        assert_eq!((&run["state"], &run["failedAttempts"], &run["interruptions"]), (&json!("waiting"), &json!(0), &json!(0)), "{run}");
    }
    let quick = Model::start(Duration::ZERO, |_| Reply::task("quick"));
    let ran = mana.with("MANA_LLM_URL", quick.url()).run_kept(&["tick", "--json"]);
    assert_eq!(ran.0.json()[0]["plansWrittenBack"], 2);
    for id in ["m", "queued"] {
        assert_eq!(ran.1.mission(id)["iterations"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_command_beside_a_live_server_takes_nothing_over() {
    let model = Model::held(|_| Reply::task("x"));
    let mana = Mana::new().with("TICK_INTERVAL_MS", 50).with("MANA_LLM_URL", model.url());
    mana.import(&[hourly("u", "m", None, LONG_AGO)]);
    let _served = mana.serve();
    wait_for("the model to be asked", || (!model.requests().is_empty()).then_some(()));
    let stats = mana.run(&["tick", "--json"]).json().remove(0);
    assert_eq!((&stats["inFlight"], &stats["plansProduced"]), (&json!(1), &json!(0)), "{stats}");
    model.release();
    wait_for("the plan", || (!mana.mission("m")["iterations"].as_array().unwrap().is_empty()).then_some(()));
    assert_eq!(model.requests().len(), 1);
}

#[test]
fn a_port_in_use_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    quiet().run(&["serve", "--port", &port]).fails(1, &format!("cannot listen on 127.0.0.1:{port}"));
}

#[test]
fn a_wrong_setting_stops_the_start() {
    quiet().with("TICK_INTERVAL_MS", "soon").run(&["serve"]).fails(2, "TICK_INTERVAL_MS is \"soon\" (from the environment), but must be");
    quiet().run(&["serve", "--max-attempts", "0"]).fails(2, "--max-attempts is \"0\" (given on the command line), but must be");
    let mana = quiet();
    std::fs::write(mana.dir.path().join("mana-ai.toml"), "tick_intervall_ms = 5").unwrap();
    mana.run(&["config"]).fails(2, "\"tick_intervall_ms\", which is no setting");
}

#[test]
fn config_shows_what_is_in_force_and_masks_secrets() {
    let mana = quiet().with("MANA_SERVICE_KEY", "a-very-secret-service-key").with("PORT", 4000);
    std::fs::write(mana.dir.path().join("mana-ai.toml"), "port = 5000\ntime_zone = \"Europe/Berlin\"\nmax_attempts = 7\n").unwrap();
    let ran = mana.run(&["config", "--max-attempts", "9", "--json"]);
    assert!(!ran.stdout.contains("a-very-secret"));
    let shown = |key: &str| ran.json().into_iter().find(|line| line["key"] == key).unwrap();
    assert_eq!((&shown("port")["value"], &shown("port")["source"]), (&json!("4000"), &json!("environment")));
    assert_eq!((&shown("max_attempts")["value"], &shown("max_attempts")["source"]), (&json!("9"), &json!("flag")));
    assert_eq!(shown("time_zone")["value"], "Europe/Berlin");
    assert_eq!((&shown("service_key")["value"], &shown("llm_url")["source"]), (&json!("********"), &json!("environment")));
    assert!(mana.run(&["config"]).stdout.contains("mana-ai.toml"));
}

#[test]
fn cors_answers_only_configured_origins() {
    let served = quiet().with("CORS_ORIGINS", "https://app.example.com").serve_kept();
    let allowed = |origin: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let response = crate::common::http_client().get(served.0.url("/health")).header("origin", origin).send().await.unwrap();
            response.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
        })
    };
    assert_eq!(allowed("https://app.example.com").as_deref(), Some("https://app.example.com"));
    assert_eq!(allowed("https://evil.example.com"), None);
}

/// What a server answers to these bytes, up to the end of the connection.
fn said(served: &Served, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(served.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    socket.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = socket.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn http_2_is_not_spoken() {
    let (served, _mana) = quiet().serve_kept();
    // Without an upgrade, with settings and the head of a request behind them; and by an upgrade.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let answer = said(&served, preface);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer:?}");
    let upgrade = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close, upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n";
    assert!(said(&served, upgrade).starts_with("HTTP/1.1 200"));
    assert!(said(&served, b"GET /health HTTP/2.0\r\nhost: localhost\r\n\r\n").starts_with("HTTP/1.1 4"));
    let head = format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "x".repeat(20_000));
    assert!(said(&served, head.as_bytes()).starts_with("HTTP/1.1 431"), "the head of a request is bounded");
}

#[test]
fn only_hosts_that_the_server_knows_are_served() {
    let (served, _mana) = quiet().with("MANA_AI_PUBLIC_URL", "https://mana.example.com").serve_kept();
    let ask = |target: &str, host: &str| said(&served, format!("GET {target} HTTP/1.1\r\n{host}connection: close\r\n\r\n").as_bytes());
    for host in ["localhost:1", "127.0.0.1", "[::1]:3067", "mana.example.com", "MANA.example.com:443"] {
        let answer = ask("/health", &format!("host: {host}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    for (target, host) in [
        ("/health", "host: rebound.example.com\r\n"),
        ("/login", "host: localhost.evil.com\r\n"),
        ("/assets/workbench.js", "host: 192.0.2.7:3067\r\n"),
        ("/metrics", ""),
        ("http://evil.example.com/health", "host: localhost\r\n"),
    ] {
        let answer = ask(target, host);
        assert!(answer.starts_with("HTTP/1.1 421") && answer.contains("MANA_AI_PUBLIC_URL"), "{target} {host}: {answer}");
    }
    quiet().with("MANA_AI_PUBLIC_URL", "mana.example.com").run(&["serve"]).fails(2, "MANA_AI_PUBLIC_URL is \"mana.example.com\"");
}

#[test]
fn forms_are_small_and_never_unpacked() {
    let (served, _mana) = quiet().serve_kept();
    let post = |path: &str, headers: &str, body: &[u8]| {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             content-length: {}\r\n{headers}\r\n",
            body.len()
        );
        said(&served, &[head.as_bytes(), body].concat())
    };
    let token = |bytes: usize| format!("token={}", "x".repeat(bytes)).into_bytes();
    assert!(post("/login", "", &token(100)).starts_with("HTTP/1.1 401"), "a token that is none");
    for path in ["/login", "/missions", "/who", "/logout"] {
        assert!(post(path, "", &token(65_537)).starts_with("HTTP/1.1 413"), "{path}");
        assert!(post(path, "content-encoding: gzip\r\n", &token(10)).starts_with("HTTP/1.1 415"), "{path}");
    }
    assert!(post("/missions", "cookie: a=b\r\n", &token(3 << 20)).starts_with("HTTP/1.1 413"), "also those that carry a record");
}

#[test]
fn nothing_is_acknowledged_into_a_file_that_is_not_at_its_path() {
    let mana = quiet();
    let token = mana.run(&["token", "create", "--user", "ada"]).stdout.trim().to_owned();
    let served = mana.serve();
    let push = |id: &str| {
        let body = json!({"clientId": "c", "changes": [{"table": "notes", "id": id, "op": "insert", "data": {}}]}).to_string();
        let head = format!(
            "POST /sync/notes HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        said(&served, head.as_bytes())
    };
    let path = mana.dir.path().join("mana-ai.db");
    let away = mana.dir.path().join("away.db");
    let refused = |what: &str| {
        let answer = push(what);
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("is no longer the file at its path"), "{what}: {answer}");
        wait_for("health to say so", || {
            let (status, body) = get(&served.url("/health"));
            (status == 503 && body.contains("is no longer the file at its path")).then_some(())
        });
    };
    assert!(push("before").starts_with("HTTP/1.1 200"));
    std::fs::rename(&path, &away).unwrap();
    refused("moved");
    std::fs::write(&path, "").unwrap();
    refused("another file in its place");
    std::fs::copy(&away, &path).unwrap();
    refused("a copy in its place");
    std::fs::remove_file(&path).unwrap();
    refused("nothing in its place");
    std::fs::rename(&away, &path).unwrap();
    assert!(push("after").starts_with("HTTP/1.1 200"), "put back, it goes on");
    wait_for("health", || (get(&served.url("/health")).0 == 200).then_some(()));
    served.terminate();
    let ids: Vec<_> = mana.run(&["export"]).json().into_iter().map(|row| row["recordId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["before", "after"], "what was acknowledged, and nothing else");
}

/// It needs as long as the server waits for a request, which is to be about half a minute.
#[test]
fn strangers_that_never_send_a_request_are_sent_away_after_a_while() {
    let (served, _mana) = quiet().serve_kept();
    let started = Instant::now();
    let connect = |said: &str| {
        let mut connection = TcpStream::connect(served.address).unwrap();
        connection.write_all(said.as_bytes()).unwrap();
        connection
    };
    let silent = connect("");
    let half_head = connect("GET /health HTTP/1.1\r\nhost: localhost\r\n");
    let mut answered = connect("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(answered.read(&mut [0; 4_096]).unwrap() > 0);
    let mut kept = Vec::new();
    for (who, mut connection) in [("silent", silent), ("half a head", half_head), ("idle after an answer", answered)] {
        let left = Duration::from_secs(120).saturating_sub(started.elapsed()).max(Duration::from_millis(1));
        connection.set_read_timeout(Some(left)).unwrap();
        // An answer such as 408 may come before the end.
        if connection.read_to_end(&mut Vec::new()).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock) {
            kept.push(who);
        }
    }
    assert!(kept.is_empty(), "still connected after {} s: {kept:?}", started.elapsed().as_secs());
}
