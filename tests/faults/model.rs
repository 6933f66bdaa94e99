//! Model servers that misbehave on the wire: what the run says, that others go on, and that memory is bounded.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::common::faults::{assert_sound, peak_memory};
use crate::common::{Mana, asked_about, hourly, metric, wait_for};
use serde_json::{Value, json};

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";
const NOW: &str = "2026-04-15T08:00:30Z";

/// A model server that does to each request what the mission's title says.
fn model() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            std::thread::spawn(|| answer(connection.unwrap()));
        }
    });
    address
}

/// Answers one request; where the client goes away, there is nothing left to do.
fn answer(mut connection: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).ok()? > 0 && line.trim() != "" {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let title = asked_about(&serde_json::from_slice(&body).ok()?);
    let mut say = |bytes: &[u8]| connection.write_all(bytes).and_then(|()| connection.flush()).ok();
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
    let without_end = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let started = Instant::now();
    let flood = |say: &mut dyn FnMut(&[u8]) -> Option<()>| {
        for _ in 0..10_000 {
            say(&[b' '; 65_536])?;
        }
        Some(())
    };
    match title.trim_start_matches("Mission ") {
        "hangs" => wait_for_end(&mut reader),
        "drips" => {
            say(head(100_000).as_bytes())?;
            while started.elapsed() < Duration::from_secs(60) {
                say(b" ")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        "breaks-off" => {
            say(head(1_000).as_bytes())?;
            say(br#"{"choices": ["#)?;
        }
        "hangs-up" => {}
        "never-ends" => {
            say(without_end.as_bytes())?;
            flood(&mut say)?;
        }
        "never-ends-its-head" => {
            say(b"HTTP/1.1 200 OK\r\nx-more: ")?;
            flood(&mut say)?;
        }
        "is-no-http" => say(b"\x16\x03\x01 220 mail.example.com ESMTP\r\n\r\n")?,
        _ => {
            let plan = json!({"summary": "one task", "steps": []}).to_string();
            let answer = json!({"choices": [{"message": {"role": "assistant", "content": plan}}]}).to_string();
            say(head(answer.len()).as_bytes())?;
            say(answer.as_bytes())?;
        }
    }
    Some(())
}

fn wait_for_end(reader: &mut impl Read) {
    let _ = reader.read(&mut [0]);
}

/// Those that never answer are given up soon; the others have all the time that a busy machine may need.
fn mana(patience_ms: u32) -> Mana {
    Mana::new().with("MANA_LLM_URL", format!("http://{}", model())).with("MANA_LLM_TIMEOUT_MS", patience_ms).with("BREAKER_FAILURES", 1_000)
}

/// The run of a mission at a model that misbehaves, after one tick.
fn run(how: &str) -> Value {
    let mana = mana(if matches!(how, "hangs" | "drips") { 700 } else { 120_000 });
    mana.import(&[hourly("u", how, None, LONG_AGO)]);
    let ran = mana.run(&["tick", "--now", NOW]);
    assert!(ran.code == Some(1) && !ran.stderr.contains("panicked"), "{ran:?}");
    let run = mana.run(&["runs", "--json"]).json().remove(0);
    assert_eq!((&run["state"], &run["failedAttempts"]), (&json!("waiting"), &json!(1)), "{run}");
    assert!(run["nextAttemptAt"].as_str().unwrap() > NOW, "{run}");
    assert_eq!(run["attempts"][0]["error"], run["reason"]);
    assert_sound(&mana);
    run
}

#[track_caller]
fn says(how: &str, words: &[&str]) {
    let run = run(how);
    let reason = run["reason"].as_str().unwrap();
    assert!(words.iter().all(|word| reason.contains(word)), "{reason}");
}

#[test]
fn a_model_that_hangs_is_said_to_be_late() {
    says("hangs", &["did not answer within 0.7 s", "MANA_LLM_TIMEOUT_MS"]);
}

#[test]
fn a_model_that_drips_is_said_to_be_late() {
    says("drips", &["did not answer within 0.7 s", "MANA_LLM_TIMEOUT_MS"]);
}

#[test]
fn an_answer_without_end_is_said_to_be_too_long() {
    says("never-ends", &["answered more than 4 MB"]);
}

/// It was reached, so its address and whether it runs are not what to check.
#[track_caller]
fn was_reached(how: &str) {
    let run = run(how);
    let reason = run["reason"].as_str().unwrap();
    assert!(!reason.contains("cannot be reached") && !reason.contains("check that it runs"), "{reason}");
}

#[test]
fn an_answer_that_breaks_off_is_said_to_have_broken_off() {
    was_reached("breaks-off");
}

#[test]
fn a_model_that_hangs_up_is_said_to_have_hung_up() {
    was_reached("hangs-up");
}

#[test]
fn a_server_that_speaks_something_else_is_said_to_be_no_model_server() {
    was_reached("is-no-http");
    was_reached("never-ends-its-head");
}

#[test]
fn models_that_misbehave_hold_up_nobody_else_and_fill_no_memory() {
    // Whatever is late on a busy machine is tried again, as often as it takes.
    let mana =
        mana(2_000).with("TICK_INTERVAL_MS", 50).with("MAX_PARALLEL_PLANS", 3).with("MAX_ATTEMPTS", 1_000).with("RETRY_BASE_MS", 1_000);
    let bad = ["hangs", "drips", "breaks-off", "hangs-up", "never-ends", "never-ends-its-head", "is-no-http"];
    let bad_missions = bad.iter().map(|how| hourly(&format!("user of {how}"), how, None, LONG_AGO));
    let good_missions = (0..12).map(|n| hourly(&format!("user {n}"), &format!("good-{n}"), None, LONG_AGO));
    mana.import(&bad_missions.chain(good_missions).collect::<Vec<_>>());
    let served = mana.serve();
    wait_for("the good ones", || (metric(&served, "mana_ai_plans_written_back_total") == 12.0).then_some(()));
    let failed = || mana.run(&["runs", "--json"]).json().iter().filter(|run| run["failedAttempts"].as_i64() > Some(0)).count();
    wait_for("the bad ones to fail", || (failed() >= bad.len()).then_some(()));
    assert!(peak_memory(&served) < 200, "{} MB", peak_memory(&served));
    assert!(!served.log().contains("panicked"), "{}", served.log());
    assert_eq!(served.terminate(), Some(0));
    for run in mana.run(&["runs", "--json"]).json() {
        let good = run["missionId"].as_str().unwrap().starts_with("good");
        assert_eq!(run["state"], if good { "planned" } else { "waiting" }, "{run}");
        assert!(good || run["failedAttempts"].as_i64() > Some(0), "{run}");
    }
    assert_sound(&mana);
}
