//! Load on the sync server: many clients that push and pull at the same time, through real sockets, on a durable store.
//!
//! `cargo bench --bench sync_load`, with `MANA_LOAD_CLIENTS` (200) and `MANA_LOAD_SECONDS` (20). The same work by one
//! client alone, whose every push is a commit of its own, is what the crowd is measured against.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mana(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mana-ai"));
    command.env("MANA_AI_DATA_DIR", dir).env("TICK_ENABLED", "false").env("MANA_LLM_URL", "http://127.0.0.1:9").args(args);
    command
}

fn serve(dir: &Path) -> Server {
    let log = dir.join("serve.log");
    let child = mana(dir, &["serve", "--port", "0"]).stderr(std::fs::File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
    let mut server = Server { child, url: String::new() };
    while server.url.is_empty() {
        std::thread::sleep(Duration::from_millis(10));
        let text = std::fs::read_to_string(&log).unwrap();
        if let Some((_, rest)) = text.split_once("address=") {
            server.url = format!("http://{}", rest.split_whitespace().next().unwrap());
        }
    }
    server
}

fn memory_mb(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// One client: pushes a few changes, takes in what others pushed, and continues from there.
async fn client(n: usize, url: String, token: String, http: reqwest::Client, until: Instant) -> (Vec<Duration>, usize) {
    let (mut times, mut since, mut sent) = (Vec::new(), String::new(), 0);
    while Instant::now() < until {
        let changes: Vec<Value> = (0..1 + sent % 4)
            .map(|k| json!({"table": "notes", "id": format!("{n}-{}", sent + k), "op": "insert", "data": {"title": "a note", "body": "x".repeat(200)}}))
            .collect();
        let body = json!({"clientId": format!("client-{n}"), "appId": "notes", "since": since, "changes": changes});
        let started = Instant::now();
        let answer = http.post(&url).bearer_auth(&token).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "no push fails");
        let answer: Value = answer.json().await.expect("a whole answer");
        times.push(started.elapsed());
        since = answer["syncedUntil"].as_str().unwrap().to_owned();
        sent += changes.len();
    }
    (times, sent)
}

/// The times of all pushes, and how many rows they were.
fn run(name: &str, clients: usize, seconds: u64) -> f64 {
    let dir = tempfile::tempdir().unwrap();
    // Each user has ten devices.
    let users: Vec<String> = (0..clients.div_ceil(10)).map(|n| format!("user-{n}")).collect();
    let token = |user: &String| String::from_utf8(mana(dir.path(), &["token", "create", "--user", user]).output().unwrap().stdout).unwrap();
    let tokens: Vec<String> = users.iter().map(|user| token(user).trim().to_owned()).collect();
    let server = serve(dir.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let http = reqwest::Client::new();
    let url = format!("{}/sync/notes", server.url);
    let tasks: Vec<_> = (0..clients).map(|n| runtime.spawn(client(n, url.clone(), tokens[n / 10].clone(), http.clone(), until))).collect();
    let (mut times, mut rows) = (Vec::new(), 0);
    for task in tasks {
        let (took, sent) = runtime.block_on(task).expect("a client that ends well");
        times.extend(took);
        rows += sent;
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    let kept = String::from_utf8(mana(dir.path(), &["export"]).output().unwrap().stdout).unwrap().lines().count();
    assert_eq!(kept, rows, "every row that was acknowledged is in the log, once");
    let rate = times.len() as f64 / seconds;
    println!(
        "{name}: {clients} clients, {} pushes, {rows} rows, 0 errors, 0 lost; {rate:.0} pushes/s; ms: p50 {:.1}, p95 {:.1}, p99 {:.1}, max {:.1}; peak memory {:.0} MB",
        times.len(),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0),
        memory_mb(&server)
    );
    rate
}

fn main() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default);
    let seconds = number("MANA_LOAD_SECONDS", 20);
    let clients = usize::try_from(number("MANA_LOAD_CLIENTS", 200)).unwrap();
    let alone = run("alone", 1, seconds.min(10));
    let crowd = run("crowd", clients, seconds);
    println!("the crowd pushes {:.1} times as often as one client alone", crowd / alone);
}
