//! The program under load: built, started on a directory of its own, and killed at the end.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Builds the binary that is measured, in the profile of this example.
pub fn build() {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.args(["build", "--quiet", "--bin", "mana-ai", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo").success(), "the program does not build");
}

pub fn path() -> PathBuf {
    let example = std::env::current_exe().expect("a path of its own");
    example.ancestors().nth(2).expect("the folder of the profile").join("mana-ai")
}

/// A command of the program that ticks only when told to.
pub fn mana(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(path());
    command.env("MANA_AI_DATA_DIR", dir).env("TICK_ENABLED", "false").env("MANA_LLM_URL", "http://127.0.0.1:9").args(args);
    command
}

pub fn output(dir: &Path, args: &[&str]) -> String {
    output_with(dir, &[], args)
}

/// What it says with settings beside those of the load.
pub fn output_with(dir: &Path, settings: &[(&str, &str)], args: &[&str]) -> String {
    let output = mana(dir, args).envs(settings.iter().copied()).output().expect("the program runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub fn token(dir: &Path, user: &str) -> String {
    output(dir, &["token", "create", "--user", user]).trim().to_owned()
}

/// A server; it is killed when it goes out of scope.
pub struct Server {
    pub child: Child,
    pub url: String,
    /// From its start until it said that it listens.
    pub listened_after: Duration,
}

impl Server {
    pub fn start(dir: &Path, settings: &[(&str, &str)]) -> Self {
        static STARTS: AtomicUsize = AtomicUsize::new(0);
        let log = dir.join(format!("serve-{}.log", STARTS.fetch_add(1, Ordering::Relaxed)));
        let file = std::fs::File::create(&log).expect("a log");
        let started = Instant::now();
        let child = mana(dir, &["serve", "--port", "0", "--log", "info", "--log-format", "text"])
            .envs(settings.iter().copied())
            .stderr(file)
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut server = Server { child, url: String::new(), listened_after: Duration::ZERO };
        while server.url.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
            let text = std::fs::read_to_string(&log).expect("the log");
            if let Some(address) = text.split_once("address=").and_then(|(_, rest)| rest.split_whitespace().next()) {
                server.url = format!("http://{address}");
            }
            assert!(started.elapsed() < Duration::from_secs(60), "it does not listen: {text}");
        }
        server.listened_after = started.elapsed();
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A runtime for the side that makes the load.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// Has a server look for due missions, and answers its statistics.
pub async fn tick(url: &str, key: &str) -> Value {
    let request = reqwest::Client::new().post(format!("{url}/internal/tick")).header("x-service-key", key);
    request.send().await.expect("an answer").json().await.expect("statistics")
}

/// A model server that takes its time for the same plan of one task; its address.
pub fn model(runtime: &tokio::runtime::Runtime, thinking: Duration) -> String {
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let routes = Router::new().route("/v1/chat/completions", post(move || answer(thinking)));
    runtime.spawn(async move { axum::serve(listener, routes).await });
    url
}

async fn answer(thinking: Duration) -> Json<Value> {
    tokio::time::sleep(thinking).await;
    let step = json!({"summary": "a task", "toolName": "create_task", "params": {"title": "a task"}, "rationale": "because"});
    let plan = json!({"summary": "one task", "steps": [step]}).to_string();
    Json(json!({
        "model": "load", "choices": [{"message": {"role": "assistant", "content": plan}}],
        "usage": {"prompt_tokens": 500, "completion_tokens": 100, "total_tokens": 600},
    }))
}
