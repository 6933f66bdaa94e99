//! Instances that are killed, and start again at once.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{CALM, Faults};
use crate::program::mana;

const LOOK: Duration = Duration::from_millis(5);

/// Where the instances are reached; none for one that does not listen now.
pub struct Doors(Mutex<Vec<Option<String>>>);

impl Doors {
    pub fn new(count: usize) -> Self {
        Doors(Mutex::new(vec![None; count]))
    }

    fn set(&self, n: usize, url: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[n] = url;
    }

    /// One of those that listen.
    pub fn any(&self) -> Option<String> {
        let doors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let open: Vec<&String> = doors.iter().flatten().collect();
        (!open.is_empty()).then(|| open[rand::random_range(0..open.len())].clone())
    }

    pub fn wait_for_all(&self) {
        let started = Instant::now();
        while !self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().all(Option::is_some) {
            assert!(started.elapsed() < CALM, "not all instances listen");
            std::thread::sleep(LOOK);
        }
    }
}

/// A place for an instance.
pub struct Instance {
    child: Arc<Mutex<Option<Child>>>,
    wanted: Arc<AtomicBool>,
    keeper: JoinHandle<()>,
}

impl Instance {
    /// Keeps an instance running. `restarted` is odd while Postgres is away.
    pub fn start(
        n: usize,
        dir: &Path,
        address: &str,
        model: &str,
        doors: Arc<Doors>,
        restarted: Arc<AtomicU64>,
        faults: Arc<Faults>,
    ) -> Self {
        let (child, wanted) = (Arc::<Mutex<Option<Child>>>::default(), Arc::new(AtomicBool::new(true)));
        let place = Place { n, dir: dir.to_owned(), address: address.to_owned(), model: model.to_owned(), doors, restarted, faults };
        let keeper = {
            let (child, wanted) = (Arc::clone(&child), Arc::clone(&wanted));
            std::thread::spawn(move || (0..).take_while(|_| wanted.load(Ordering::SeqCst)).for_each(|start| place.live(start, &child)))
        };
        Instance { child, wanted, keeper }
    }

    pub fn kill(&self) {
        if let Some(child) = &mut *self.child.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = child.kill();
        }
    }

    pub fn end(&mut self) {
        self.wanted.store(false, Ordering::SeqCst);
        while !self.keeper.is_finished() {
            self.kill();
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
    }
}

struct Place {
    n: usize,
    dir: PathBuf,
    address: String,
    model: String,
    doors: Arc<Doors>,
    restarted: Arc<AtomicU64>,
    faults: Arc<Faults>,
}

impl Place {
    /// One life of an instance.
    fn live(&self, start: usize, child: &Mutex<Option<Child>>) {
        let log = self.dir.join(format!("instance-{}-{start}.log", self.n));
        let restarted = self.restarted.load(Ordering::SeqCst);
        *child.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.spawn(&log));
        let mut listened = false;
        let status = loop {
            if let Some(child) = &mut *child.lock().unwrap_or_else(PoisonError::into_inner)
                && let Some(status) = child.try_wait().expect("a child")
            {
                break status;
            }
            if !listened && let Some(address) = text(&log).split_once("address=").and_then(|(_, rest)| rest.split_whitespace().next()) {
                listened = true;
                self.doors.set(self.n, Some(format!("http://{address}")));
            }
            std::thread::sleep(LOOK);
        };
        self.doors.set(self.n, None);
        let postgres_was_there = restarted.is_multiple_of(2) && restarted == self.restarted.load(Ordering::SeqCst);
        self.judge(status, listened, postgres_was_there, &text(&log));
        let _ = std::fs::remove_file(&log);
    }

    fn spawn(&self, log: &Path) -> Child {
        let settings = [
            ("MANA_AI_DATABASE", self.address.as_str()),
            ("MANA_LLM_URL", self.model.as_str()),
            ("MANA_AI_PLANNER", "json"),
            ("TICK_ENABLED", "true"),
            ("TICK_INTERVAL_MS", "250"),
            // An instance that ends while the model is asked has spent an attempt.
            ("MAX_ATTEMPTS", "60000"),
            ("RETRY_BASE_MS", "100"),
            ("MAX_UNREVIEWED_PLANS", "0"),
            ("MAX_ITERATIONS_KEPT", "20"),
        ];
        let file = std::fs::File::create(log).expect("a log");
        mana(&self.dir, &["serve", "--port", "0", "--log", "info", "--log-format", "text"])
            .envs(settings)
            .stderr(file)
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    /// An instance ends when it is killed, or when it starts without Postgres; else never.
    fn judge(&self, status: ExitStatus, listened: bool, postgres_was_there: bool, log: &str) {
        let killed = status.signal() == Some(9);
        let tail = || log.lines().rev().take(5).collect::<Vec<_>>().join("\n");
        if log.contains("panicked at") {
            self.faults.add(format!("an instance panicked: {}", &log[log.find("panicked at").unwrap_or(0)..]));
        }
        if !killed && listened {
            self.faults.add(format!("an instance ended by itself ({status}):\n{}", tail()));
        }
        if !killed && !listened && postgres_was_there {
            self.faults.add(format!("an instance did not start ({status}):\n{}", tail()));
        }
        if !killed {
            std::thread::sleep(LOOK * 20);
        }
    }
}

fn text(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
