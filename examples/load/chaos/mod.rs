//! Several instances on one Postgres while instances are killed and Postgres is cut off, over and over: nothing that was
//! acknowledged is lost, nobody who follows the log misses a row or sees one twice, and every mission runs once for each time.
//!
//! `MANA_CHAOS_KILLS`, `MANA_CHAOS_RESTARTS`, `MANA_CHAOS_INSTANCES` and `MANA_CHAOS_CLIENTS` say how much of it.

mod checks;
mod clients;
mod instances;
mod missions;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::cluster::Cluster;
use crate::common::{Report, Samples, grouped, number, percentiles, shown};
use crate::program::{model, output_with, runtime, token};
use clients::{Client, Seen};
use instances::{Doors, Instance};

const DATABASE: &str = "chaos";
const THINKING: Duration = Duration::from_millis(100);
/// How long everything may take to calm down in the end.
const CALM: Duration = Duration::from_secs(120);
/// Clients of one user.
const OF_A_USER: usize = 5;
const MISSION_USERS: usize = 4;
/// Other programs that write into the log.
const OTHERS: usize = 4;

/// What everybody does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Writes, and takes in.
    Run,
    /// Ends what was begun.
    End,
    /// Takes in what is left.
    TakeIn,
}

/// What went wrong.
#[derive(Default)]
struct Faults(Mutex<Vec<String>>);

impl Faults {
    fn add(&self, fault: impl Into<String>) {
        self.0.lock().expect("no panic elsewhere").push(fault.into());
    }
}

pub fn run() {
    let [kills, restarts] = [("MANA_CHAOS_KILLS", 200), ("MANA_CHAOS_RESTARTS", 10)].map(|(name, count)| number(name, count));
    let [count, clients] = [("MANA_CHAOS_INSTANCES", 4), ("MANA_CHAOS_CLIENTS", 50)]
        .map(|(name, count)| usize::try_from(number(name, count)).expect("a number"));
    let title = format!("{kills} kills of {count} instances and {restarts} restarts of Postgres, under {clients} clients");
    let mut report = Report::new(&title, &percentiles("in all"));
    let mut cluster = Cluster::start();
    let address = cluster.create(DATABASE);
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = runtime();
    let model = model(&runtime, THINKING);
    let (faults, restarted) = (Arc::new(Faults::default()), Arc::new(AtomicU64::new(0)));
    let doors = Arc::new(Doors::new(count));
    let users: Vec<String> = (0..clients.div_ceil(OF_A_USER)).map(|n| format!("user-{n}")).collect();
    let tokens: Vec<String> = users.iter().map(|user| token(dir.path(), user)).collect();
    let mut running: Vec<Instance> = (0..count)
        .map(|n| Instance::start(n, dir.path(), &address, &model, Arc::clone(&doors), Arc::clone(&restarted), Arc::clone(&faults)))
        .collect();
    doors.wait_for_all();

    let (phase, phases) = watch::channel(Phase::Run);
    let started = Instant::now();
    let client = |n: usize| Client::new(n, &users[n / OF_A_USER], &tokens[n / OF_A_USER], &doors, phases.clone(), &faults);
    let listeners: Vec<_> = (0..clients).map(|n| runtime.spawn(client(n).run(n % OF_A_USER))).collect();
    let keepers: Vec<_> = (0..MISSION_USERS)
        .map(|n| {
            let user = format!("keeper-{n}");
            let client = Client::new(clients + n, &user, &token(dir.path(), &user), &doors, phases.clone(), &faults);
            runtime.spawn(missions::keep(client, n))
        })
        .collect();
    let writing = Arc::new(AtomicBool::new(true));
    let others: Vec<_> = (0..OTHERS)
        .map(|n| {
            let (address, users, writing) = (address.clone(), users.clone(), Arc::clone(&writing));
            std::thread::spawn(move || clients::write_beside(n, &address, &users, &writing))
        })
        .collect();

    let mut longest_away = Duration::ZERO;
    for kill in 1..=kills {
        std::thread::sleep(Duration::from_millis(rand::random_range(100..1_000)));
        running[rand::random_range(0..count)].kill();
        if kill * restarts / kills > (kill - 1) * restarts / kills {
            restarted.fetch_add(1, Ordering::SeqCst);
            let away = Instant::now();
            cluster.cut_off();
            std::thread::sleep(Duration::from_millis(rand::random_range(0..1_000)));
            cluster.start_again();
            longest_away = longest_away.max(away.elapsed());
            restarted.fetch_add(1, Ordering::SeqCst);
        }
    }
    let chaos = started.elapsed();
    doors.wait_for_all();
    std::thread::sleep(Duration::from_secs(2));
    writing.store(false, Ordering::SeqCst);
    phase.send_replace(Phase::End);
    let foreign: Vec<_> = others.into_iter().map(|other| other.join().expect("a writer that ends well")).collect();
    let due: Vec<_> = keepers.into_iter().map(|keeper| runtime.block_on(keeper).expect("a client that ends well")).collect();
    checks::wait_until_calm(&mut cluster.connect(DATABASE), &faults);
    phase.send_replace(Phase::TakeIn);
    let seen: Vec<Seen> = listeners.into_iter().map(|client| runtime.block_on(client).expect("a client that ends well")).collect();
    running.iter_mut().for_each(Instance::end);

    let log = checks::Log::read(&mut cluster.connect(DATABASE));
    log.check(&seen, &foreign, &faults);
    let runs = checks::runs(&mut cluster.connect(DATABASE), &due, &faults);
    let exported = output_with(dir.path(), &[("MANA_AI_DATABASE", &address)], &["export"]).lines().count();
    if exported != log.len() {
        faults.add(format!("{exported} rows were exported of {}", log.len()));
    }
    let said = output_with(dir.path(), &[("MANA_AI_DATABASE", &address)], &["check"]);

    let mut acknowledged: Vec<Duration> = seen.iter().flat_map(|seen| seen.acknowledged.iter().copied()).collect();
    acknowledged.sort_unstable();
    let gap = acknowledged.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    let changes: usize = seen.iter().map(|seen| seen.pushed.len()).sum();
    report.samples(
        "pushes, from the first try",
        &Samples::new(seen.iter().flat_map(|seen| seen.times.clone()).collect()),
        grouped(changes as u64),
    );
    report.print();
    let repeated: usize = seen.iter().map(|seen| seen.repeated).sum();
    let (committed, open) = foreign.iter().fold((0, 0), |(sure, open), rows| (sure + rows.committed.len(), open + rows.unknown.len()));
    println!(
        "\n{} of chaos; {} rows in the log: {} changes of clients, whose pushes were repeated {repeated} times, and {} rows of other \
         programs, beside {open} whose commit was not heard of; {} clients followed the log; {} runs of missions, interrupted {} times; \
         at most {} without an acknowledged push, where Postgres was away for up to {}; {}",
        shown(chaos),
        grouped(log.len() as u64),
        grouped(changes as u64),
        grouped(committed as u64),
        seen.len(),
        grouped(runs.planned as u64),
        runs.interruptions,
        shown(gap),
        shown(longest_away),
        said.trim()
    );
    if acknowledged.is_empty() || committed == 0 || seen.iter().any(|seen| seen.told.is_empty()) || runs.planned == 0 {
        faults.add("somebody did nothing");
    }
    let faults = faults.0.lock().expect("no panic elsewhere");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.iter().take(30).cloned().collect::<Vec<_>>().join("\n"));
}
