//! Sync as devices do it: each pushes a few changes and takes in what the other devices of its user pushed.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Report, Samples, grouped, memory_mb, number, percentiles};
use crate::program::{Server, runtime, token};
use crate::pushes::exported;

pub fn run() {
    let seconds = number("MANA_LOAD_SECONDS", 10);
    let clients = usize::try_from(number("MANA_LOAD_CLIENTS", 200)).expect("a number of clients");
    let mut report = Report::new("Sync of devices, ten a user", &percentiles("pushes/s"));
    let alone = devices(&mut report, 1, seconds);
    let crowd = devices(&mut report, clients, seconds);
    report.print();
    println!("\nthe crowd pushes {:.1} times as often as one device alone", crowd / alone);
}

fn devices(report: &mut Report, clients: usize, seconds: u64) -> f64 {
    let dir = tempfile::tempdir().expect("a directory");
    let tokens: Vec<String> = (0..clients.div_ceil(10)).map(|n| token(dir.path(), &format!("user-{n}"))).collect();
    let server = Server::start(dir.path(), &[]);
    let (runtime, http) = (runtime(), reqwest::Client::new());
    let started = Instant::now();
    let until = started + Duration::from_secs(seconds);
    let url = format!("{}/sync/notes", server.url);
    let tasks: Vec<_> = (0..clients).map(|n| runtime.spawn(device(n, url.clone(), tokens[n / 10].clone(), http.clone(), until))).collect();
    let (mut times, mut rows) = (Vec::new(), 0);
    for task in tasks {
        let (took, sent) = runtime.block_on(task).expect("a device that ends well");
        times.extend(took);
        rows += sent;
    }
    let seconds = started.elapsed().as_secs_f64();
    let (peak, _) = memory_mb(server.child.id());
    assert_eq!(exported(dir.path()), rows, "every row that was acknowledged is in the log, once");
    let rate = times.len() as f64 / seconds;
    let name = format!("{clients} devices: {} rows/s, at most {peak:.0} MB", grouped((rows as f64 / seconds) as u64));
    report.samples(&name, &Samples::new(times), format!("{rate:.0}"));
    rate
}

/// Pushes one to four changes, takes in what others pushed, and continues from there.
async fn device(n: usize, url: String, token: String, http: reqwest::Client, until: Instant) -> (Vec<Duration>, usize) {
    let (mut times, mut since, mut sent) = (Vec::new(), String::new(), 0);
    while Instant::now() < until {
        let data = json!({"title": "a note", "body": "x".repeat(200)});
        let change = |k: usize| json!({"table": "notes", "id": format!("{n}-{}", sent + k), "op": "insert", "data": data});
        let changes: Vec<Value> = (0..1 + sent % 4).map(change).collect();
        let body = json!({"clientId": format!("device-{n}"), "appId": "notes", "since": since, "changes": changes});
        let started = Instant::now();
        let answer = http.post(&url).bearer_auth(&token).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "no push fails");
        let answer: Value = answer.json().await.expect("a whole answer");
        times.push(started.elapsed());
        since = answer["syncedUntil"].as_str().expect("a cursor").to_owned();
        sent += changes.len();
    }
    (times, sent)
}
