//! What helps to set the program up and to look after it: init, doctor, health, completions, man pages and the version.

mod doctor;
mod health;
mod init;
mod questions;
mod shells;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::faults::{Fault, Faults};
use crate::common::terminal::{CTRL_C, ENTER, Terminal, plain, quoted};
use crate::common::{Mana, Model, Ran, Reply, copy_program, get, hourly, insert, wait_for};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::{Value, json};

const FILE: &str = "mana-ai.toml";
const KEYS: [&str; 3] = ["service-key", "token-key.pem", "grant-key.pem"];

/// A port that nobody listens on, and that the system gives to nobody who asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = std::process::id().wrapping_mul(101).wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst));
        let port = 20_000 + u16::try_from(n % 10_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn mode(path: impl AsRef<Path>) -> u32 {
    path.as_ref().metadata().unwrap().permissions().mode() & 0o777
}

/// Every file below a directory with its mode and what is in it.
fn tree(dir: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        all.insert(path.display().to_string(), (mode(&path), bytes));
        if path.is_dir() {
            all.extend(tree(&path));
        }
    }
    all
}

fn output(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    Ran { stdout: String::from_utf8(stdout).unwrap(), stderr: String::from_utf8(stderr).unwrap(), code: status.code() }
}

/// A model server as most are: it lists its models, calls the first tool that it is offered, and wants a key where it has one.
struct ModelServer {
    url: String,
    /// The path and the body of each request.
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl ModelServer {
    /// `list` is the body of `/v1/models`.
    fn start(list: String, key: Option<&'static str>) -> Self {
        let asked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let heard = Arc::clone(&asked);
        let answer = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let known = key.is_none_or(|key| headers.get("authorization").is_some_and(|given| *given == format!("Bearer {key}")));
            let answer = match uri.path() {
                _ if !known => (StatusCode::UNAUTHORIZED, r#"{"error": {"message": "who are you?"}}"#.to_owned()),
                "/v1/models" => (StatusCode::OK, list.clone()),
                "/v1/chat/completions" => (StatusCode::OK, calls_its_tool(&body).to_string()),
                _ => (StatusCode::NOT_FOUND, "{}".to_owned()),
            };
            heard.lock().unwrap().push((uri.path().to_owned(), body));
            std::future::ready((answer.0, [("content-type", "application/json")], answer.1))
        };
        let (ready, address) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
            });
        });
        ModelServer { url: format!("http://{}", address.recv().unwrap()), asked }
    }

    fn with_models(models: &[&str]) -> Self {
        let models: Vec<Value> = models.iter().map(|id| json!({"id": id, "object": "model"})).collect();
        Self::start(json!({"object": "list", "data": models}).to_string(), None)
    }
}

/// The answer of a model that calls the first tool of a request, and proposes nothing where tools are only told of.
fn calls_its_tool(request: &Value) -> Value {
    if request.get("tools").is_none() {
        let plan = json!({"summary": "nothing to do", "steps": []}).to_string();
        return json!({"model": "scripted", "choices": [{"message": {"role": "assistant", "content": plan}, "finish_reason": "stop"}]});
    }
    let function = &request["tools"][0]["function"];
    let argument = |property: &Value| match property["type"].as_str() {
        _ if property["enum"].is_array() => property["enum"][0].clone(),
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("ok"),
    };
    let required = function["parameters"]["required"].as_array().cloned().unwrap_or_default();
    let names = required.iter().filter_map(Value::as_str);
    let arguments: serde_json::Map<_, _> =
        names.map(|name| (name.to_owned(), argument(&function["parameters"]["properties"][name]))).collect();
    let call = json!({"id": "call-1", "type": "function", "function": {"name": function["name"], "arguments": Value::Object(arguments).to_string()}});
    json!({
        "model": "scripted", "choices": [{"message": {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100},
    })
}

fn json_reply(status: u16, body: impl ToString) -> Reply {
    Reply::Raw { status, content_type: "application/json", body: body.to_string() }
}

/// A model that calls tools.
fn sound_model() -> Model {
    Model::start(Duration::ZERO, |request| json_reply(200, calls_its_tool(request)))
}

/// What `config` shows to be in force: key → value and where it comes from.
fn in_force(ran: &Ran) -> BTreeMap<String, (Value, String)> {
    let entry =
        |line: Value| (line["key"].as_str().unwrap().to_owned(), (line["value"].clone(), line["source"].as_str().unwrap().to_owned()));
    ran.json().into_iter().map(entry).collect()
}

fn values(mana: &Mana) -> BTreeMap<String, Value> {
    in_force(&mana.run(&["config", "--json"])).into_iter().map(|(key, (value, _))| (key, value)).collect()
}

/// The setting of a line of the file, and whether it is set there.
fn setting_of<'a>(line: &'a str, keys: &BTreeSet<&str>) -> Option<(&'a str, bool)> {
    let text = line.trim_start_matches(['#', ' ']);
    let (key, _) = text.split_once('=')?;
    keys.contains(key.trim()).then_some((key.trim(), !line.starts_with('#')))
}

/// The settings that the file names, and whether it sets them.
fn settings_in(file: &str, values: &BTreeMap<String, Value>) -> BTreeMap<String, bool> {
    let keys: BTreeSet<&str> = values.keys().map(String::as_str).collect();
    let mut found = BTreeMap::new();
    for (key, set) in file.lines().filter_map(|line| setting_of(line, &keys)) {
        assert_eq!(found.insert(key.to_owned(), set), None, "{key} stands there twice:\n{file}");
    }
    found
}

/// Puts a value into the file, in the place of the one that is there.
fn set(mana: &Mana, key: &str, value: &str) {
    let path = mana.dir.path().join(FILE);
    let text = if path.exists() { read(&path) } else { String::new() };
    let others = text.lines().filter(|line| line.split_once('=').is_none_or(|(name, _)| name.trim() != key));
    let text: String = others.map(|line| format!("{line}\n")).collect();
    std::fs::write(path, format!("{text}{key} = {value}\n")).unwrap();
}

#[track_caller]
fn initialised(mana: &Mana, args: &[&str]) -> Ran {
    let ran = mana.run(&[&["init"], args].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

/// The grant key of every healthy server, since making one takes longer than all else here.
static GRANT_KEY: OnceLock<String> = OnceLock::new();

/// A server that was set up and has run.
fn healthy(model: &str) -> Mana {
    let mana = Mana::new().with("MANA_LLM_URL", model).with("PORT", free_port());
    std::fs::set_permissions(mana.dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let key = mana.dir.path().join("grant-key.pem");
    if let Some(made) = GRANT_KEY.get() {
        std::fs::write(&key, made).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    initialised(&mana, &[]);
    GRANT_KEY.get_or_init(|| read(&key));
    mana.import(&[insert("u", "agents", "a", json!({})), hourly("u", "m", Some("a"), "2026-04-15T08:00:00.000Z")]);
    mana
}

/// A data directory that is not there yet, and its path.
fn fresh(mana: &Mana) -> (std::path::PathBuf, String) {
    let dir = mana.dir.path().join("data");
    let text = dir.display().to_string();
    (dir, text)
}
