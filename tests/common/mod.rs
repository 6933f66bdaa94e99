//! What the integration tests share: stores, the program itself, and a model server with scripted answers.
#![allow(dead_code)]

pub mod engine;
pub mod faults;
pub mod logged;
pub mod pages;
pub mod terminal;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use mana_ai::domain::change::{self, Change};
use mana_ai::domain::limits::{Admitted, admit};
use mana_ai::store::{Options, Store, StoreError};
use serde_json::{Value, json};

/// A store in a directory of its own, without waiting for the disk.
pub fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    (dir, store)
}

pub fn open(dir: &Path) -> Store {
    engine::open(dir, &Options { durable: false, ..Options::default() })
}

/// The change that a line of JSONL stands for.
pub fn change(line: &Value) -> Change {
    change::from_json(line.as_object().unwrap().into(), || uuid::Uuid::new_v4().to_string()).unwrap()
}

/// A line that creates a record of the app `ai`.
pub fn insert(user: &str, table: &str, id: &str, data: Value) -> Value {
    json!({
        "appId": "ai", "table": table, "recordId": id, "userId": user, "op": "insert", "data": data,
        "createdAt": "2026-04-15T07:00:00.000000Z", "clientId": "test",
    })
}

/// A line that changes fields of a mission, written at a time.
pub fn edit(user: &str, id: &str, data: Value, at: &str) -> Value {
    let stamps: serde_json::Map<_, _> = data.as_object().unwrap().keys().map(|field| (field.clone(), json!(at))).collect();
    json!({
        "appId": "ai", "table": "aiMissions", "recordId": id, "userId": user, "op": "update", "data": data,
        "fieldMeta": stamps, "createdAt": at, "clientId": "phone", "origin": "user",
    })
}

/// An active mission that is due since `at` and then every hour.
pub fn hourly(user: &str, id: &str, agent: Option<&str>, at: &str) -> Value {
    insert(
        user,
        "aiMissions",
        id,
        json!({
            "title": format!("Mission {id}"), "objective": format!("objective of {id}"), "state": "active", "nextRunAt": at,
            "cadence": {"kind": "interval", "everyMinutes": 60}, "inputs": [], "iterations": [], "agentId": agent,
        }),
    )
}

pub async fn append(store: &Store, changes: impl IntoIterator<Item = Change>) {
    let changes: Vec<Result<Admitted, StoreError>> = changes.into_iter().map(|change| Ok(admit(change).unwrap())).collect();
    store.append(changes).await.unwrap();
}

/// The cases of a vector file.
pub fn vectors(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The program on a data directory of its own.
pub struct Mana {
    pub dir: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl Ran {
    pub fn new(output: Output) -> Self {
        Ran {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }

    /// The output as JSON lines of a command that succeeded.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Checks that the command failed with a code and said this on stderr, and nothing on stdout.
    #[track_caller]
    pub fn fails(&self, code: i32, message: &str) {
        assert!(self.code == Some(code) && self.stderr.contains(message), "expected exit {code} and {message:?}: {self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

impl Default for Mana {
    fn default() -> Self {
        Self::new()
    }
}

impl Mana {
    pub fn new() -> Self {
        Mana { dir: tempfile::tempdir().unwrap(), settings: Vec::new() }
    }

    /// With a setting from the environment.
    pub fn with(mut self, variable: &str, value: impl ToString) -> Self {
        self.settings.push((variable.into(), value.to_string()));
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mana-ai"));
        command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        if let Some(address) = engine::address(self.dir.path()) {
            command.env("MANA_AI_DATABASE", address);
        }
        command.env("MANA_AI_DATA_DIR", self.dir.path()).envs(self.settings.iter().map(|(k, v)| (k, v)));
        command.current_dir(self.dir.path()).args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs a command that reads this from stdin.
    pub fn run_with(&self, args: &[&str], stdin: &str) -> Ran {
        use std::io::Write;
        let mut child = self.command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that fails at once may not read all.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        Ran::new(child.wait_with_output().unwrap())
    }

    /// Like [`Mana::serve`], keeping the directory for as long as the server.
    pub fn serve_kept(self) -> (Served, Mana) {
        (self.serve(), self)
    }

    /// Like [`Mana::run`], for a program that was just set up.
    pub fn run_kept(self, args: &[&str]) -> (Ran, Mana) {
        (self.run(args), self)
    }

    pub fn import(&self, lines: &[Value]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let ran = self.run_with(&["import", "-"], &text);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    /// The live missions by id.
    pub fn mission(&self, id: &str) -> Value {
        let missions = self.run(&["missions", "--json"]).json();
        missions.into_iter().find(|mission| mission["id"] == id).unwrap()["record"].clone()
    }

    pub fn store(&self) -> Store {
        open(self.dir.path())
    }

    /// What `PRAGMA integrity_check` says.
    pub fn integrity(&self) -> String {
        let connection = rusqlite::Connection::open(self.dir.path().join(Store::FILE_NAME)).unwrap();
        connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap()
    }

    /// Starts `serve` on a free port and waits until it listens.
    pub fn serve(&self) -> Served {
        self.serve_with(&["--port", "0"])
    }

    /// The same on the port of the settings.
    pub fn serve_on_its_port(self) -> (Served, Mana) {
        (self.serve_with(&[]), self)
    }

    fn serve_with(&self, more: &[&str]) -> Served {
        self.try_serve(more).unwrap_or_else(|(code, said)| panic!("the server ended with {code:?}: {said}"))
    }

    /// The same, or the exit code and the log of a server that ended before it listened.
    pub fn try_serve(&self, more: &[&str]) -> Result<Served, (Option<i32>, String)> {
        let log = self.dir.path().join("serve.log");
        let mut child = self
            .command(&[&["serve", "--log", "info", "--log-format", "text"], more].concat())
            .stderr(std::fs::File::create(&log).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let address = wait_for("the server to listen", || {
            let ended = child.try_wait().unwrap();
            let text = std::fs::read_to_string(&log).unwrap();
            let listens = text.lines().find_map(|line| line.split_once("mana-ai listens")?.1.split_once("address="));
            let address = listens.and_then(|(_, address)| address.split_whitespace().next()?.parse().ok());
            address.map(Ok).or_else(|| ended.map(|status| Err((status.code(), text))))
        });
        Ok(Served { child, address: address?, log })
    }
}

/// A running server; it is killed when it goes out of scope.
pub struct Served {
    pub child: Child,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Served {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Asks it to stop and waits for its end.
    pub fn terminate(mut self) -> Option<i32> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies the program to a place of its own, where any user may run it.
///
/// `cp` writes it, since a file that this process has open for writing passes for a moment to every child that another
/// test starts, and cannot be run until that child has closed it.
pub fn copy_program(to: &Path) {
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_mana-ai")).arg(to).status().unwrap();
    assert!(copied.success());
}

/// Polls until there is a value; the bound only keeps a broken program from hanging the tests.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(120) {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited in vain for {what}");
}

/// An answer of the scripted model.
pub enum Reply {
    Plan(Value),
    Raw { status: u16, content_type: &'static str, body: String },
}

impl Reply {
    /// One step that creates a task.
    pub fn task(title: &str) -> Self {
        Reply::Plan(json!({
            "summary": "one task", "steps": [{"summary": title, "toolName": "create_task", "params": {"title": title}, "rationale": "because"}],
        }))
    }

    pub fn raw(status: u16, body: &str) -> Self {
        Reply::Raw { status, content_type: "text/html", body: body.into() }
    }
}

type Answer = Box<dyn Fn(&Value) -> Reply + Send + Sync>;

/// A real HTTP server that answers like a model, in a thread of its own.
pub struct Model {
    pub address: SocketAddr,
    script: Arc<Script>,
}

struct Script {
    answer: Answer,
    delay: Duration,
    /// Whether requests are answered, or held until they may be.
    open: tokio::sync::watch::Sender<bool>,
    requests: Mutex<Vec<Value>>,
    /// Requests that are being answered now, and the most there were.
    busy: Mutex<(usize, usize)>,
}

impl Script {
    fn enter(&self) {
        let mut busy = self.busy.lock().unwrap();
        busy.0 += 1;
        busy.1 = busy.1.max(busy.0);
    }
}

impl Model {
    pub fn start(delay: Duration, answer: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(true, delay, answer)
    }

    /// Takes requests and answers none until [`Model::release`], so that a test can do something while the model thinks.
    pub fn held(answer: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        Self::with(false, Duration::ZERO, answer)
    }

    /// Answers what is held, and from now on everything at once.
    pub fn release(&self) {
        self.script.open.send_replace(true);
    }

    fn with(open: bool, delay: Duration, answer: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        let open = tokio::sync::watch::Sender::new(open);
        let script = Arc::new(Script { answer: Box::new(answer), delay, open, requests: Mutex::default(), busy: Mutex::default() });
        let served = Arc::clone(&script);
        let (ready, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let app = Router::new().route("/v1/chat/completions", post(Self::complete)).with_state(served);
                axum::serve(listener, app).await.unwrap();
            });
        });
        Model { address: address.recv().unwrap(), script }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn requests(&self) -> Vec<Value> {
        self.script.requests.lock().unwrap().clone()
    }

    /// How many requests it answered at the same time, at most.
    pub fn peak(&self) -> usize {
        self.script.busy.lock().unwrap().1
    }

    async fn complete(State(script): State<Arc<Script>>, Json(request): Json<Value>) -> Response {
        let reply = (script.answer)(&request);
        script.requests.lock().unwrap().push(request);
        script.enter();
        let _ = script.open.subscribe().wait_for(|open| *open).await;
        tokio::time::sleep(script.delay).await;
        script.busy.lock().unwrap().0 -= 1;
        match reply {
            Reply::Raw { status, content_type, body } => {
                (StatusCode::from_u16(status).unwrap(), [("content-type", content_type)], body).into_response()
            }
            Reply::Plan(plan) => Json(json!({
                "model": "scripted",
                "choices": [{"message": {"role": "assistant", "content": plan.to_string()}}],
                "usage": {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100},
            }))
            .into_response(),
        }
    }
}

/// The title of the mission in a request's prompt.
pub fn asked_about(request: &Value) -> String {
    let prompt = request["messages"][1]["content"].as_str().unwrap();
    mana_ai::planner::prompt::title(prompt).unwrap().to_owned()
}

/// A client for servers without TLS: to read the certificates of the system takes longer than a request.
pub fn http_client() -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([]).build().unwrap()
}

/// The same, for forms, whose answers tell where to go.
pub fn form_client() -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([]).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// How often a test tries what chance decides: `usual` times, or `thorough` times where `MANA_THOROUGH` is set.
pub fn rounds(usual: usize, thorough: usize) -> usize {
    if std::env::var_os("MANA_THOROUGH").is_some() { thorough } else { usual }
}

/// One request with a real client; answers status and body.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)]) -> (u16, String) {
    send(method, url, headers, String::new())
}

/// The same with a body.
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: String) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut request = http_client().request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    })
}

pub fn get(url: &str) -> (u16, String) {
    request("GET", url, &[])
}

/// The value of a series: its name, or its name and some of its labels, as in `name{a="b"`.
pub fn metric(served: &Served, series: &str) -> f64 {
    let (_, text) = get(&served.url("/metrics"));
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let is = |line: &&str| line.starts_with(&format!("{name}{{")) && labels.split(',').all(|label| line.contains(label));
    let line = text.lines().find(is).unwrap_or_else(|| panic!("{series} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A server that answers every request alike, in a thread of its own.
pub fn serve_raw(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> SocketAddr {
    let (ready, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            let app = Router::new().fallback(move || async move {
                let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
                for (name, value) in headers {
                    response.headers_mut().insert(*name, value.parse().unwrap());
                }
                response
            });
            axum::serve(listener, app).await.unwrap();
        });
    });
    address.recv().unwrap()
}
