//! What the tests of faults share: the shim before the C library, and a caller of the sync routes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Mana, Served};

pub const NO_SPACE: i64 = 28;
pub const READ_ONLY: i64 = 30;

/// Faults that can be switched while the program runs.
pub struct Faults {
    dir: tempfile::TempDir,
}

#[derive(Clone, Copy)]
pub enum Fault {
    /// 0: no sync succeeds; 1: none of the database file, as at a checkpoint.
    Fsync,
    /// The number of the error that every write to the database meets.
    Write,
    /// Seconds that the wall clock is off.
    Clock,
}

impl Fault {
    fn file(self) -> &'static str {
        match self {
            Fault::Fsync => "fsync",
            Fault::Write => "write",
            Fault::Clock => "clock",
        }
    }
}

/// Makes what is put before the C library, and answers its path.
fn shim(dir: &Path) -> PathBuf {
    let library = dir.join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/shim.c");
    let made = Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
    assert!(made.expect("a C compiler").success());
    library
}

/// Kills a program before one of its changes of files.
pub struct Killer {
    library: PathBuf,
    _dir: tempfile::TempDir,
}

impl Killer {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Killer { library: shim(dir.path()), _dir: dir }
    }

    /// Runs a command and kills it before its n-th change of a file in `dir`; `false` where it was done before.
    pub fn kills(&self, mut command: Command, dir: &Path, n: usize) -> bool {
        command.env("LD_PRELOAD", &self.library);
        command.env("MANA_KILL_IN", dir).env("MANA_KILL_AT", n.to_string());
        let output = command.stdin(Stdio::null()).output().unwrap();
        match output.status.code() {
            None => true,
            Some(0) => false,
            Some(_) => panic!("{output:?}"),
        }
    }
}

impl Faults {
    /// Puts the faults, all off, under the program.
    pub fn under(mana: Mana) -> (Faults, Mana) {
        let dir = tempfile::tempdir().unwrap();
        let library = shim(dir.path());
        let path = |fault: Fault| dir.path().join(fault.file()).display().to_string();
        let mana = mana
            .with("MANA_FAULT_FSYNC", path(Fault::Fsync))
            .with("MANA_FAULT_WRITE", path(Fault::Write))
            .with("MANA_FAULT_CLOCK", path(Fault::Clock))
            .with("LD_PRELOAD", library.display());
        (Faults { dir }, mana)
    }

    pub fn set(&self, fault: Fault, number: i64) {
        // Never seen half written.
        let draft = self.dir.path().join("draft");
        std::fs::write(&draft, number.to_string()).unwrap();
        std::fs::rename(draft, self.dir.path().join(fault.file())).unwrap();
    }

    pub fn clear(&self, fault: Fault) {
        std::fs::remove_file(self.dir.path().join(fault.file())).unwrap();
    }
}

/// A user's client.
pub struct Caller {
    token: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Caller {
    pub fn new(mana: &Mana, user: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let token = mana.run(&["token", "create", "--user", user]).stdout.trim().to_owned();
        Caller { token, client: super::http_client(), runtime }
    }

    fn send(&self, request: reqwest::RequestBuilder) -> Option<(u16, Value)> {
        self.runtime.block_on(async {
            let response = request.bearer_auth(&self.token).send().await.ok()?;
            let says_when = response.headers().contains_key("retry-after");
            assert!(response.status() != 503 || says_when, "it does not say when to come back");
            Some((response.status().as_u16(), response.json().await.ok()?))
        })
    }

    /// Pushes notes in one push; `None` where no whole answer came.
    pub fn try_push(&self, served: &Served, notes: &[Value]) -> Option<(u16, Value)> {
        let body = json!({"clientId": "phone", "changes": notes});
        self.send(self.client.post(served.url("/sync/notes")).json(&body))
    }

    pub fn push(&self, served: &Served, notes: &[Value]) -> (u16, Value) {
        self.try_push(served, notes).expect("an answer")
    }

    /// Pushes notes that must be taken.
    #[track_caller]
    pub fn pushed(&self, served: &Served, notes: &[Value]) {
        let (status, answer) = self.push(served, notes);
        assert_eq!(status, 200, "{answer}");
    }

    /// Pushes notes that must be refused for now.
    #[track_caller]
    pub fn refused(&self, served: &Served, notes: &[Value]) {
        let (status, answer) = self.push(served, notes);
        assert_eq!((status, &answer["error"]["code"]), (503, &json!("unavailable")), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("try again later"), "{answer}");
    }

    /// The ids that another client is told after a cursor, and its next cursor.
    #[track_caller]
    pub fn pulled(&self, served: &Served, since: &str) -> (Vec<String>, String) {
        let url = served.url(&format!("/sync/notes/pull?collection=notes&since={since}"));
        let (status, answer) = self.send(self.client.get(url).header("X-Client-Id", "laptop")).expect("an answer");
        assert_eq!(status, 200, "{answer}");
        let ids = answer["serverChanges"].as_array().unwrap().iter().map(|change| change["id"].as_str().unwrap().to_owned());
        (ids.collect(), answer["syncedUntil"].as_str().unwrap().to_owned())
    }
}

/// A note that enters the log once, however often it is pushed.
pub fn note(id: &str) -> Value {
    json!({"eventId": uuid::Uuid::new_v4().to_string(), "table": "notes", "id": id, "op": "insert", "data": {"title": id}})
}

/// A server that only syncs.
pub fn quiet() -> Mana {
    Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9")
}

/// The records of the log in its order.
#[track_caller]
pub fn logged(mana: &Mana) -> Vec<String> {
    mana.run(&["export"]).json().iter().map(|row| row["recordId"].as_str().unwrap().to_owned()).collect()
}

/// Checks that the file, the log and the snapshots are sound.
#[track_caller]
pub fn assert_sound(mana: &Mana) {
    let check = mana.run(&["check", "--json"]).json().remove(0);
    assert_eq!(check["sound"], true, "{check}");
}

/// The most memory that the server had, in MB.
pub fn peak_memory(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// What a server said that must not start, and how it ended; one that starts all the same is stopped.
pub fn start_in_vain(mut serve: Command) -> (Option<i32>, String) {
    let mut child = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Without effect on one that ended.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Ends the server like a power cut ends a machine.
pub fn kill(mut served: Served) {
    served.child.kill().unwrap();
    served.child.wait().unwrap();
}
