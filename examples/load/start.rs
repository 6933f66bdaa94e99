//! From the start of `serve` to the first answer of `/health`, on a database of a million rows; memory when idle.
//!
//! Targets: 100 ms; 25 MB; a binary of 20 MB.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::world::Log;
use crate::common::{Report, Samples, grouped, memory_mb, number, percentiles};
use crate::program::{Server, output, path};

pub fn run() {
    let rows = number("MANA_LOAD_ROWS", 1_000_000);
    let mut report = Report::new("From start to the first healthy answer", &percentiles("idle memory"));
    for rows in [1_000, rows] {
        let dir = tempfile::tempdir().expect("a directory");
        let missions = rows / 100;
        Log {
            users: 100,
            agents: 100,
            missions,
            updates: rows / 10,
            plans_every: 0,
            others: rows - rows / 10 - missions - 100,
            due_every: 0,
        }
        .make(dir.path());
        // The first start folds the log; what is measured is every start after that.
        let first = idle(dir.path());
        output(dir.path(), &["missions", "--due"]);
        let times = (0..20).map(|_| healthy(dir.path())).collect();
        let name = format!("{} rows", grouped(rows));
        report.samples(&name, &Samples::new(times), format!("{:.1} MB, {first:.1} MB after a cold projection", idle(dir.path())));
    }
    report.print();
    let size = std::fs::metadata(path()).expect("the program").len();
    println!("\nthe binary has {:.1} MB", size as f64 / 1e6);
}

fn healthy(dir: &Path) -> Duration {
    let started = Instant::now();
    let server = Server::start(dir, &[("TICK_ENABLED", "true")]);
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("a connection");
    write!(stream, "GET /health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    started.elapsed()
}

/// Resident memory after two ticks, in MB.
fn idle(dir: &Path) -> f64 {
    let server = Server::start(dir, &[("TICK_ENABLED", "true"), ("TICK_INTERVAL_MS", "2000")]);
    std::thread::sleep(Duration::from_secs(7));
    memory_mb(server.child.id()).1
}
