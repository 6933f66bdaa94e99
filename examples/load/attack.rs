//! What a stranger or a user can hold in memory, and what honest devices notice of it.
//!
//! Each attack runs against a server of its own, beside two honest devices of another user. A peak beyond 150 MB and a push
//! of an honest device that is refused are failures; their p99 is wanted below 100 ms.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

use crate::attacks::{self, Attack, Caller, Then};
use crate::common::{Report, Samples, memory_mb, number, percentiles, shown};
use crate::program::{Server, mana, runtime, token};

const MOST_MB: f64 = 150.0;
/// Between a connection of an attack that ended and the next.
const PAUSE: Duration = Duration::from_millis(10);

pub fn run() {
    let length = Duration::from_secs(number("MANA_LOAD_SECONDS", 10));
    let dir = tempfile::tempdir().expect("a directory");
    fill(dir.path());
    let tokens = Tokens { attacker: token(dir.path(), "mallory"), honest: token(dir.path(), "ada") };
    let mut report = Report::new("Attacks, with two honest devices beside them", &percentiles("peak memory"));
    let chosen = std::env::var("MANA_LOAD_ATTACK").unwrap_or_default();
    let nobody = Caller { host: String::new(), token: String::new(), cookie: String::new() };
    let names: Vec<&str> = attacks::all(&nobody).iter().map(|attack| attack.name).filter(|name| name.contains(&chosen)).collect();
    let mut bad = Vec::new();
    let mut worst = (Duration::ZERO, "");
    for name in std::iter::once("nobody attacks").chain(names) {
        let seen = under(name, dir.path(), &tokens, length);
        let p99 = seen.times.at(0.99);
        report.samples(name, &seen.times, format!("{:.0} MB", seen.peak));
        worst = worst.max((p99, name));
        if seen.peak > MOST_MB {
            bad.push(format!("{name}: {:.0} MB", seen.peak));
        }
        bad.extend(seen.refused.first().map(|first| format!("{name}: {} honest pushes failed, the first by {first}", seen.refused.len())));
    }
    report.print();
    println!("\nthe highest p99 of honest pushes is {}, beside: {}", shown(worst.0), worst.1);
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

struct Tokens {
    attacker: String,
    honest: String,
}

struct Seen {
    times: Samples,
    refused: Vec<String>,
    /// In MB.
    peak: f64,
}

fn under(name: &str, dir: &Path, tokens: &Tokens, length: Duration) -> Seen {
    let server = Server::start(dir, &[]);
    let (runtime, http) = (runtime(), reqwest::Client::new());
    let host = server.url.trim_start_matches("http://").to_owned();
    let address: SocketAddr = host.parse().expect("an address");
    let caller = Caller { host, token: tokens.attacker.clone(), cookie: runtime.block_on(sign_in(&server.url, &tokens.attacker)) };
    let attack = attacks::all(&caller).into_iter().find(|attack| attack.name == name).map(Arc::new);
    let until = Instant::now() + length;
    for attack in attack.iter().flat_map(|attack| vec![attack; attack.connections]) {
        runtime.spawn(keep_on(address, Arc::clone(attack), until));
    }
    let url = format!("{}/sync/notes", server.url);
    let devices: Vec<_> =
        (0..2).map(|n| runtime.spawn(device(format!("{name} {n}"), url.clone(), tokens.honest.clone(), http.clone(), until))).collect();
    let (mut times, mut refused) = (Vec::new(), Vec::new());
    for device in devices {
        let (took, failed) = runtime.block_on(device).expect("a device that ends well");
        times.extend(took);
        refused.extend(failed);
    }
    let (peak, _) = memory_mb(server.child.id());
    runtime.shutdown_background();
    Seen { times: Samples::new(times), refused, peak }
}

/// A connection of an attack that is cut or refused comes again.
async fn keep_on(address: SocketAddr, attack: Arc<Attack>, until: Instant) {
    while Instant::now() < until {
        // How it ended is the server's affair.
        let _ = tokio::time::timeout_at(until.into(), once(address, &attack)).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(address: SocketAddr, attack: &Attack) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    if attack.then == Then::Stay {
        // Little room for what is never read, so that it waits in the server.
        socket.set_recv_buffer_size(4_096)?;
    }
    let mut stream = socket.connect(address).await?;
    stream.write_all(&attack.head).await?;
    for _ in 0..attack.chunks {
        tokio::time::sleep(attack.pause).await;
        stream.write_all(&attack.chunk).await?;
    }
    match attack.then {
        Then::Read => tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop),
        Then::Stay => std::future::pending().await,
    }
}

/// What the attacks ask for: 30 MB of notes, and a mission with large plans that were written again and again.
fn fill(dir: &Path) {
    let row = |app: &str, table: &str, id: &str, op: &str, data: Value| {
        let row = json!({
            "appId": app, "table": table, "recordId": id, "userId": "mallory", "op": op, "data": data, "clientId": "phone",
            "createdAt": "2026-04-15T07:00:00.000000Z",
        });
        format!("{row}\n")
    };
    let note = |n: usize| row("notes", "notes", &n.to_string(), "insert", json!({"title": n, "body": "words and words ".repeat(2_000)}));
    let iteration = |n: usize| {
        let step = |k: usize| {
            let intent = json!({"kind": "toolCall", "toolName": "create_task", "params": {"title": "x".repeat(300)}});
            json!({"id": format!("{n}-{k}"), "summary": "y".repeat(300), "rationale": "z".repeat(300), "intent": intent, "status": "staged"})
        };
        json!({
            "id": n.to_string(), "startedAt": "2026-04-15T07:00:00.000Z", "plan": (0..25).map(step).collect::<Vec<_>>(),
            "summary": "s".repeat(300), "overallStatus": "awaiting-review", "source": "server",
        })
    };
    let iterations: Vec<_> = (0..100).map(iteration).collect();
    let mission = row("ai", "aiMissions", "large", "insert", json!({"title": "Large", "state": "paused", "iterations": iterations}));
    let update = row("ai", "aiMissions", "large", "update", json!({"iterations": iterations}));
    let lines: String = (0..1_000).map(note).chain([mission]).chain(vec![update; 20]).collect();
    let file = dir.join("rows.jsonl");
    std::fs::write(&file, lines).expect("a file");
    let imported = mana(dir, &["import", &file.to_string_lossy()]).stdout(std::process::Stdio::null()).status();
    assert!(imported.expect("the program runs").success());
}

pub async fn sign_in(url: &str, token: &str) -> String {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let form = client.post(format!("{url}/login")).header("content-type", "application/x-www-form-urlencoded");
    let answer = form.body(format!("token={token}")).send().await.expect("an answer");
    let cookie = answer.headers().get("set-cookie").expect("a session").to_str().expect("text");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// Pushes a note and takes in what the other device pushed, fifty times a second at most.
async fn device(name: String, url: String, token: String, http: reqwest::Client, until: Instant) -> (Vec<Duration>, Vec<String>) {
    let (mut times, mut failed, mut since) = (Vec::new(), Vec::new(), "2026-04-15T07:00:00.000Z".to_owned());
    while Instant::now() < until {
        let change = json!({"table": "notes", "id": format!("{name} {}", times.len()), "op": "insert", "data": {"title": "a note"}});
        let body = json!({"clientId": name, "since": since, "changes": [change]});
        let started = Instant::now();
        match push(&http, &url, &token, &body).await {
            Ok(synced_until) => since = synced_until,
            Err(why) => failed.push(why),
        }
        times.push(started.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (times, failed)
}

/// The cursor to continue from, or what went wrong.
async fn push(http: &reqwest::Client, url: &str, token: &str, body: &Value) -> Result<String, String> {
    let answer = http.post(url).bearer_auth(token).json(body).send().await.map_err(|error| error.to_string())?;
    if answer.status() != 200 {
        return Err(format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default()));
    }
    let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
    answer["syncedUntil"].as_str().map(str::to_owned).ok_or_else(|| "no cursor".into())
}
