//! What helps to set the program up and to look after it: init, doctor, health, completions, man pages and the version.

mod common;
mod faults;
mod terminal;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use common::{Mana, Model, Ran, Reply, copy_program, get, hourly, insert, wait_for};
use faults::{Fault, Faults};
use serde_json::{Value, json};
use terminal::{CTRL_C, ENTER, Terminal, plain, quoted};

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

mod init {
    use super::*;
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rsa::KeyPair;
    use aws_lc_rs::signature::KeyPair as _;
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

    /// A data directory that is not there yet, and its path.
    fn fresh(mana: &Mana) -> (std::path::PathBuf, String) {
        let dir = mana.dir.path().join("data");
        let text = dir.display().to_string();
        (dir, text)
    }

    #[test]
    fn a_directory_can_be_moved_with_its_file() {
        let mana = Mana::new();
        std::fs::write(mana.dir.path().join("tools.json"), "[]").unwrap();
        assert_eq!(mana.run(&["init", "--data-dir", "first", "--tools-file", "tools.json"]).code, Some(0));
        std::fs::rename(mana.dir.path().join("first"), mana.dir.path().join("second")).unwrap();
        let checks = mana.run(&["doctor", "--json", "--data-dir", "second"]).stdout;
        let status = |check: &str| {
            let lines = checks.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            lines.into_iter().find(|line| line["check"] == check).unwrap()["status"].clone()
        };
        assert_eq!((status("grant-key"), status("tools")), (json!("ok"), json!("ok")), "{checks}");
        std::fs::remove_file(mana.dir.path().join("second/grant-key.pem")).unwrap();
        mana.run(&["config", "--data-dir", "second"]).fails(2, "second/grant-key.pem, which cannot be read");
    }

    #[test]
    fn a_key_that_was_pasted_in_part_is_not_shown() {
        let mana = Mana::new();
        std::fs::write(mana.dir.path().join(FILE), "private_key_pem = \"MIIEvSECRET\"").unwrap();
        let ran = mana.run(&["config"]);
        assert!(ran.code == Some(2) && ran.stderr.contains("********") && !ran.stderr.contains("SECRET"), "{ran:?}");
    }

    #[test]
    fn a_lost_key_is_made_anew_with_its_public_half() {
        let mana = Mana::new();
        std::fs::write(mana.dir.path().join("grant-public.pem"), "OLD").unwrap();
        initialised(&mana, &[]);
        assert!(read(mana.dir.path().join("grant-public.pem")).starts_with("-----BEGIN PUBLIC KEY-----"));
    }

    #[test]
    fn secrets_of_the_environment_stay_there() {
        let mana = Mana::new().with("MANA_LLM_API_KEY", "sk-from-outside");
        let ran = initialised(&mana, &[]);
        assert!(ran.stdout.contains("Left in the environment, and needed there: MANA_LLM_API_KEY."), "{ran:?}");
        assert!(!read(mana.dir.path().join(FILE)).contains("sk-from-outside"));
    }

    #[test]
    fn without_a_terminal_and_with_nothing_given_it_takes_the_defaults() {
        let mana = Mana::new();
        let before = values(&mana);
        let ran = initialised(&mana, &[]);
        assert!(ran.stdout.contains("mana-ai") && ran.stdout.contains("serve"), "the next step: {ran:?}");
        let file = read(mana.dir.path().join(FILE));
        file.parse::<toml::Table>().unwrap();
        let mut after = values(&mana);
        assert_eq!(settings_in(&file, &before).into_keys().collect::<Vec<_>>(), before.keys().cloned().collect::<Vec<_>>());
        assert_eq!(after.insert("private_key_pem".into(), Value::Null), Some(json!("********")));
        assert_eq!(after, before);
    }

    #[test]
    fn each_setting_stands_under_a_comment_with_its_variable_and_its_default() {
        let mana = Mana::new();
        initialised(&mana, &[]);
        let file = read(mana.dir.path().join(FILE));
        let shown = mana.run(&["config", "--json"]).json();
        let keys: BTreeSet<&str> = shown.iter().map(|line| line["key"].as_str().unwrap()).collect();
        let mut comment = String::new();
        for line in file.lines() {
            if let Some((key, set)) = setting_of(line, &keys) {
                let about = shown.iter().find(|line| line["key"] == key).unwrap();
                assert!(comment.contains(about["variable"].as_str().unwrap()), "{key}: {comment:?}");
                assert!(comment.split_whitespace().count() >= 4, "it tells what {key} is: {comment:?}");
                if !set
                    && about["source"] == "default"
                    && let Some(default) = about["value"].as_str()
                {
                    assert!(format!("{comment}{line}").contains(default), "the default {default:?} of {key}: {comment:?}, {line:?}");
                }
                comment.clear();
            } else {
                comment += line;
            }
        }
    }

    #[test]
    fn what_is_commented_out_is_right_when_it_is_taken_in() {
        let mana = Mana::new();
        let before = values(&mana);
        initialised(&mana, &[]);
        let path = mana.dir.path().join(FILE);
        let with_defaults: BTreeSet<&str> = before.iter().filter(|(_, value)| value.is_string()).map(|(key, _)| key.as_str()).collect();
        let taken_in = |line: &str| match setting_of(line, &with_defaults) {
            Some((_, false)) => format!("{}\n", line.trim_start_matches(['#', ' '])),
            _ => format!("{line}\n"),
        };
        let text: String = read(&path).lines().map(taken_in).collect();
        std::fs::write(&path, text).unwrap();
        let mut after = values(&mana);
        after.insert("private_key_pem".into(), Value::Null);
        assert_eq!(after, before);
    }

    #[test]
    fn flags_and_variables_are_taken_and_kept() {
        let mana = Mana::new().with("MANA_LLM_MODEL", "variable:1b").with("PORT", 4000);
        initialised(&mana, &["--llm-url", "http://flag.example:11434", "--time-zone", "Europe/Berlin", "--port", "4001"]);
        let later = output(mana.command(&["config", "--json"]).env_remove("MANA_LLM_MODEL").env_remove("PORT"));
        let later = in_force(&later);
        for (key, value) in
            [("llm_url", "http://flag.example:11434"), ("llm_model", "variable:1b"), ("time_zone", "Europe/Berlin"), ("port", "4001")]
        {
            assert_eq!(later[key].0, value, "{key}");
            assert!(later[key].1.ends_with(FILE), "{key} comes from {}", later[key].1);
        }
    }

    #[test]
    fn what_the_environment_says_besides_stays_in_force() {
        let mana = Mana::new()
            .with("MANA_LLM_API_KEY", "sk-quite-secret")
            .with("MANA_LLM_HEADERS", r#"{"x-team": "a\"b"}"#)
            .with("MANA_SERVICE_KEY", "a-service-key-of-its-own")
            .with("CORS_ORIGINS", "https://a.example,https://b.example")
            .with("MAX_ATTEMPTS", 3)
            .with("TICK_ENABLED", "false")
            .with("MANA_AI_LOG", "mana_ai=debug");
        let before = values(&mana);
        let ran = initialised(&mana, &["--yes"]);
        let mut after = values(&mana);
        after.insert("private_key_pem".into(), Value::Null);
        assert_eq!(after, before);
        for secret in ["sk-quite-secret", "a-service-key-of-its-own"] {
            assert!(!format!("{ran:?}").contains(secret), "{ran:?}");
        }
    }

    #[test]
    fn the_files_are_for_their_owner_only_whatever_the_mask() {
        let mana = Mana::new();
        let (dir, path) = fresh(&mana);
        let program = env!("CARGO_BIN_EXE_mana-ai");
        let mut shell = Command::new("sh");
        shell.env_clear().current_dir(mana.dir.path());
        let ran = output(shell.args(["-c", &format!("umask 000; exec {} init --data-dir {}", quoted(program), quoted(&path))]));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        for file in [&KEYS[..], &[FILE]].concat() {
            assert_eq!(mode(dir.join(file)), 0o600, "{file}");
        }
        assert_eq!(mode(dir.join("grant-public.pem")) & 0o022, 0, "others may read it, and not write it");
        let left: Vec<_> = tree(&dir).into_keys().filter(|name| name.contains("draft") || name.contains("part")).collect();
        assert_eq!(left, Vec::<String>::new());
    }

    /// The key of the runner in a data directory.
    fn grant_key(dir: &Path) -> KeyPair {
        let der = PrivatePkcs8KeyDer::from_pem_slice(read(dir.join("grant-key.pem")).as_bytes()).unwrap();
        KeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()
    }

    /// Checks that the two files of the grant key are halves of one key.
    #[track_caller]
    fn assert_halves(dir: &Path) {
        let public = SubjectPublicKeyInfoDer::from_pem_slice(read(dir.join("grant-public.pem")).as_bytes()).unwrap();
        let expected: PublicKeyX509Der<'_> = grant_key(dir).public_key().as_der().unwrap();
        assert!(public.as_ref() == expected.as_ref(), "the halves belong together");
    }

    #[test]
    fn the_grant_key_is_rsa_2048_in_pkcs8_and_the_other_file_is_its_public_half() {
        let mana = Mana::new();
        initialised(&mana, &[]);
        assert_eq!(grant_key(mana.dir.path()).public_modulus_len() * 8, 2048);
        assert_halves(mana.dir.path());
    }

    #[test]
    fn a_second_init_changes_nothing() {
        let mana = Mana::new();
        initialised(&mana, &[]);
        let before = tree(mana.dir.path());
        for args in [&["init"][..], &["init", "--yes"], &["init", "--yes", "--port", "4001", "--llm-model", "other"]] {
            let ran = mana.run(args);
            ran.fails(1, FILE);
            assert_eq!(ran.stdout, "");
        }
        let (code, screen) = Terminal::open(&mana.command(&["init"]), "").end();
        assert!(code == Some(1) && screen.contains(FILE), "it asks nothing: {screen}");
        assert_eq!(tree(mana.dir.path()), before);
    }

    #[test]
    fn a_file_of_the_user_is_left_alone_and_no_key_is_made_beside_it() {
        let mana = Mana::new();
        std::fs::write(mana.dir.path().join(FILE), "port = 4001\n").unwrap();
        let before = tree(mana.dir.path());
        mana.run(&["init"]).fails(1, FILE);
        assert_eq!(tree(mana.dir.path()), before);
    }

    #[test]
    fn keys_that_are_there_are_kept() {
        let mana = Mana::new();
        let token = mana.run(&["token", "create", "--user", "me"]).stdout;
        drop(mana.serve());
        let dir = mana.dir.path();
        let vectors: Value = serde_json::from_str(&read(common::fixture("tests/vectors/grants.json"))).unwrap();
        std::fs::write(dir.join("grant-key.pem"), vectors["privateKeyPem"].as_str().unwrap()).unwrap();
        let before: Vec<String> = KEYS.iter().map(|name| read(dir.join(name))).collect();
        let ran = mana.run(&["init"]);
        assert_eq!(KEYS.iter().map(|name| read(dir.join(name))).collect::<Vec<_>>(), before, "{ran:?}");
        if ran.code == Some(0) {
            assert_halves(dir);
        } else {
            ran.fails(1, "grant-key.pem");
        }
        let served = mana.serve();
        let (status, body) =
            common::request("GET", &served.url("/api/v1/me/ai-audit"), &[("authorization", &format!("Bearer {}", token.trim()))]);
        assert_eq!(status, 200, "a token from before is still taken: {body}");
    }

    #[test]
    fn wrong_values_stop_it_before_anything_is_written() {
        let mana = Mana::new();
        let (dir, path) = fresh(&mana);
        for (args, message) in [
            (["--port", "http"], "--port is \"http\""),
            (["--port", "65536"], "--port is \"65536\""),
            (["--time-zone", "Mars/Olympus"], "IANA time zone"),
            (["--llm-url", "ollama"], "--llm-url is \"ollama\""),
            (["--llm-model", ""], "the name of a model"),
        ] {
            mana.run(&[&["init", "--yes", "--data-dir", &path], &args[..]].concat()).fails(2, message);
            assert!(!dir.exists(), "{args:?}");
        }
        std::fs::write(&dir, "a file").unwrap();
        mana.run(&["init", "--data-dir", &path]).fails(1, &path);
        assert_eq!(read(&dir), "a file");
    }

    #[test]
    fn values_of_any_kind_are_kept_or_refused_and_never_break_the_file() {
        let models = [
            r#"a "quoted" one"#,
            r"back\slash\",
            r#"\"#,
            r#"""""#,
            "'''",
            "'",
            "two\nlines",
            "a\ttab",
            "#hash # more",
            "[table]",
            "a = 1",
            "ümläut ✓ 🎈",
            "\u{1b}[31mred",
            "\u{7f}",
            "x\r\ny",
            "x\u{0085}y",
            "{{brace}}",
            "$HOME `id` $(id)",
            "true",
            "12",
            "-",
            "a,b",
            "%s\\n",
        ];
        for model in models {
            let mana = Mana::new().with("MANA_LLM_MODEL", model);
            let ran = mana.run(&["init"]);
            if ran.code == Some(0) {
                let later = in_force(&output(mana.command(&["config", "--json"]).env_remove("MANA_LLM_MODEL")));
                assert_eq!(later["llm_model"].0, model);
                assert_eq!(later.len(), values(&mana).len());
            } else {
                assert!(matches!(ran.code, Some(1 | 2)) && !ran.stderr.contains("panicked"), "{model:?}: {ran:?}");
                assert!(!mana.dir.path().join(FILE).exists(), "{model:?}");
            }
        }
    }

    #[test]
    fn a_data_directory_of_any_name_is_named_right_in_the_file() {
        for name in ["it's a $HOME", r#"a "quoted" one"#, r"back\slash", "two\nlines", "ümläut ✓", "#hash", "%41"] {
            let mana = Mana::new();
            let dir = mana.dir.path().join(name);
            let dir = dir.to_str().unwrap();
            let ran = mana.run(&["init", "--data-dir", dir]);
            assert_eq!(ran.code, Some(0), "{name:?}: {ran:?}");
            let shown = in_force(&mana.run(&["config", "--json", "--data-dir", dir]));
            assert_eq!(shown["private_key_pem"].0, "********", "{name:?}: the key was read");
        }
    }

    #[test]
    fn a_relative_data_directory_can_be_used_from_everywhere() {
        let mana = Mana::new();
        let ran = output(mana.command(&["init", "--data-dir", "data"]).env_remove("MANA_AI_DATA_DIR"));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let (_, path) = fresh(&mana);
        let elsewhere = tempfile::tempdir().unwrap();
        let ran = output(mana.command(&["config", "--json", "--data-dir", &path]).current_dir(elsewhere.path()));
        assert_eq!(in_force(&ran)["private_key_pem"].0, "********");
        let ran = output(&mut mana.command(&["config", "--json", "--data-dir", "data"]));
        assert_eq!(in_force(&ran)["private_key_pem"].0, "********");
    }

    #[test]
    fn killed_at_any_moment_it_leaves_nothing_half_done() {
        let started = Instant::now();
        assert_eq!(Mana::new().run(&["init"]).code, Some(0));
        let step = started.elapsed() / 20;
        let mut killed = 0;
        for wait in (0..).map(|n| step * n) {
            let mana = Mana::new();
            let mut child = mana.command(&["init"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(wait);
            let early = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            let ran = mana.run(&["init"]);
            if ran.code != Some(0) {
                ran.fails(1, FILE);
            }
            for file in [&KEYS[..], &[FILE, "grant-public.pem"]].concat() {
                assert!(!read(mana.dir.path().join(file)).is_empty(), "{file} after {wait:?}");
            }
            assert_eq!(values(&mana)["private_key_pem"], "********", "after {wait:?}");
            killed += u32::from(early);
            if !early {
                break;
            }
        }
        assert!(killed > 2, "it was over before it could be killed");
    }

    #[test]
    fn of_two_at_the_same_time_one_wins() {
        for _ in 0..5 {
            let mana = Mana::new();
            let start = |port: &str| {
                mana.command(&["init", "--port", port]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            };
            let both = [start("4001"), start("4002")].map(|child| child.wait_with_output().unwrap());
            let won: Vec<_> = both.iter().map(|output| output.status.code() == Some(0)).collect();
            assert_eq!(won.iter().filter(|won| **won).count(), 1, "{both:?}");
            assert_eq!(values(&mana)["port"], if won[0] { "4001" } else { "4002" });
            assert_halves(mana.dir.path());
        }
    }

    #[test]
    fn serve_starts_from_it_with_its_keys() {
        let mana = Mana::new();
        initialised(&mana, &[]);
        let before: Vec<String> = KEYS.iter().map(|name| read(mana.dir.path().join(name))).collect();
        let served = mana.serve();
        assert_eq!(get(&served.url("/health")).0, 200);
        let (status, body) = common::request("POST", &served.url("/internal/tick"), &[("x-service-key", before[0].trim())]);
        assert_eq!(status, 200, "{body}");
        let token = mana.run(&["token", "create", "--user", "me"]).stdout;
        let (status, _) =
            common::request("GET", &served.url("/api/v1/me/ai-audit"), &[("authorization", &format!("Bearer {}", token.trim()))]);
        assert_eq!(status, 200);
        assert_eq!(KEYS.iter().map(|name| read(mana.dir.path().join(name))).collect::<Vec<_>>(), before);
        for key in &before {
            assert!(!served.log().contains(key.lines().nth(1).unwrap_or(key.trim())), "no key in the log");
        }
    }

    #[test]
    fn a_grant_for_its_public_key_is_opened_by_the_runner() {
        let vectors: Value = serde_json::from_str(&read(common::fixture("tests/vectors/grants.json"))).unwrap();
        let case = &vectors["cases"][0];
        let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
        let mana = Mana::new().with("MANA_LLM_URL", model.url());
        initialised(&mana, &[]);
        std::fs::write(mana.dir.path().join("master"), case["masterKeyHex"].as_str().unwrap()).unwrap();
        let args = ["grant", "issue", "--master-key", "master", "--mission", "dev-m-0", "--record", "notes:n0"];
        let grant = mana.run(&[&args[..], &["--public-key", "grant-public.pem"]].concat()).json().remove(0);
        let inspected = mana.run_with(&["grant", "inspect", "-", "--json"], &grant.to_string()).json().remove(0);
        assert_eq!(inspected["usable"], true, "{inspected}");
        let mut note = insert("u", "notes", "n0", case["encrypted"].clone());
        note["appId"] = "notes".into();
        let mut mission = hourly("u", "dev-m-0", None, "2026-04-15T08:00:00.000Z");
        mission["data"]["inputs"] = json!([{"module": "notes", "table": "notes", "id": "n0"}]);
        mission["data"]["grant"] = grant;
        mana.import(&[note, mission]);
        assert_eq!(mana.run(&["tick", "--json"]).json()[0]["plansWrittenBack"], 1);
        assert!(model.requests()[0]["messages"][1]["content"].as_str().unwrap().contains("Milch & Käse"), "the note was read");
        let issued_here = mana.run(&args).json().remove(0);
        let inspected = mana.run_with(&["grant", "inspect", "-", "--json"], &issued_here.to_string()).json().remove(0);
        assert_eq!(inspected["usable"], true, "{inspected}");
    }

    #[test]
    fn the_commands_that_it_prints_work_when_they_are_copied() {
        let model = sound_model();
        for name in ["data", "it's a \"$HOME\" \\ `id`"] {
            let home = tempfile::tempdir().unwrap();
            let bin = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mana-ai"), bin.path().join("mana-ai")).unwrap();
            let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
            let shell = |line: &str| {
                let mut shell = Command::new("sh");
                shell.env_clear().env("PATH", &path).env("HOME", home.path()).current_dir(home.path()).args(["-c", line]);
                shell
            };
            let port = free_port();
            let line = format!("mana-ai init --yes --llm-url {} --port {port} --data-dir {}", quoted(&model.url()), quoted(name));
            let ran = output(&mut shell(&line));
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let commands: Vec<&str> = ran.stdout.lines().filter(|line| line.starts_with(' ')).map(str::trim).collect();
            let (serve, others): (Vec<&str>, Vec<&str>) = commands.iter().partition(|line| line.contains(" serve"));
            assert_eq!(serve.len(), 1, "{}", ran.stdout);
            let mut server = shell(&format!("exec {}", serve[0])).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let answer = wait_for("the server", || {
                assert_eq!(server.try_wait().unwrap(), None, "{}", serve[0]);
                let up = std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
                up.then(|| get(&format!("http://127.0.0.1:{port}/health")))
            });
            assert_eq!(answer.0, 200);
            for line in others {
                let ran = output(&mut shell(line));
                assert_eq!(ran.code, Some(0), "{line}: {ran:?}");
            }
            server.kill().unwrap();
            server.wait().unwrap();
            let made: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(made, [std::ffi::OsString::from(name)], "no other directory was made");
        }
    }

    /// An init on a terminal, with stdout in the file `said`.
    fn asked(mana: &Mana, args: &[&str]) -> Terminal {
        Terminal::open(&mana.command(&[&["init"], args].concat()), "> said")
    }

    #[track_caller]
    fn done(mana: &Mana, terminal: Terminal) -> BTreeMap<String, Value> {
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(0), "{screen}");
        let said = read(mana.dir.path().join("said"));
        assert!(said.contains("serve") && !said.contains('\u{1b}'), "the next step on stdout, plain: {said:?}");
        values(mana)
    }

    #[test]
    fn on_a_terminal_enter_takes_the_defaults() {
        let mana = Mana::new().with("MANA_LLM_URL", "http://127.0.0.1:9").with("TZ", "UTC");
        let before = values(&mana);
        let mut terminal = asked(&mana, &[]);
        for (question, default) in [("server", "http://127.0.0.1:9"), ("model", "llama3.1:8b"), ("zone", "UTC"), ("port", "3067")] {
            terminal.shows(question);
            terminal.shows(default);
            terminal.types(ENTER);
        }
        let mut after = done(&mana, terminal);
        after.insert("private_key_pem".into(), Value::Null);
        assert_eq!(after, before);
    }

    #[test]
    fn the_zone_of_the_machine_is_a_good_guess_and_one_that_was_given_a_better_one() {
        for (machine, given, taken) in
            [("Asia/Tokyo", None, "Asia/Tokyo"), ("Asia/Tokyo", Some("Europe/Berlin"), "Europe/Berlin"), ("No/Where", None, "UTC")]
        {
            let mut mana = Mana::new().with("MANA_LLM_URL", "http://127.0.0.1:9").with("TZ", machine);
            if let Some(zone) = given {
                mana = mana.with("MANA_AI_TIME_ZONE", zone);
            }
            let mut terminal = asked(&mana, &[]);
            for question in ["server", "model", "zone", taken, "port"] {
                terminal.shows(question);
                if question != "zone" {
                    terminal.types(ENTER);
                }
            }
            assert_eq!(done(&mana, terminal)["time_zone"], taken, "{machine}");
        }
    }

    #[test]
    fn on_a_terminal_own_answers_are_taken() {
        let mana = Mana::new();
        let mut terminal = asked(&mana, &[]);
        for (question, answer) in
            [("server", "http://127.0.0.1:9"), ("model", "my \"own\" \\ model"), ("zone", "Asia/Tokyo"), ("port", "4001")]
        {
            terminal.shows(question);
            terminal.types(&format!("{answer}{ENTER}"));
        }
        let after = done(&mana, terminal);
        assert_eq!(
            (&after["llm_url"], &after["llm_model"], &after["time_zone"], &after["port"]),
            (&json!("http://127.0.0.1:9"), &json!("my \"own\" \\ model"), &json!("Asia/Tokyo"), &json!("4001"))
        );
    }

    #[test]
    fn a_wrong_answer_is_asked_again() {
        let mana = Mana::new();
        let mut terminal = asked(&mana, &[]);
        for (question, wrong, right) in [
            ("server", &["ollama", "ftp://h"][..], "http://127.0.0.1:9"),
            ("model", &[], "tiny"),
            ("zone", &["Mars/Olympus", "Berlin"], "Europe/Berlin"),
            ("port", &["http", "65536", "-1"], "4001"),
        ] {
            terminal.shows(question);
            for answer in wrong {
                terminal.types(&format!("{answer}{ENTER}"));
                terminal.shows(answer);
                terminal.shows(question);
            }
            terminal.types(&format!("{right}{ENTER}"));
        }
        let after = done(&mana, terminal);
        assert_eq!(
            (&after["llm_url"], &after["llm_model"], &after["time_zone"], &after["port"]),
            (&json!("http://127.0.0.1:9"), &json!("tiny"), &json!("Europe/Berlin"), &json!("4001"))
        );
    }

    #[test]
    fn the_models_of_the_server_are_offered() {
        let server = ModelServer::with_models(&["alpha:7b", "beta:3b", "gamma:1b"]);
        for (answer, chosen) in [("", "alpha:7b"), ("gamma:1b", "gamma:1b")] {
            let mana = Mana::new();
            let mut terminal = asked(&mana, &["--llm-url", &server.url]);
            terminal.shows("server");
            terminal.types(ENTER);
            for model in ["alpha:7b", "beta:3b", "gamma:1b"] {
                terminal.shows(model);
            }
            terminal.shows("model");
            terminal.types(&format!("{answer}{ENTER}"));
            for question in ["zone", "port"] {
                terminal.shows(question);
                terminal.types(ENTER);
            }
            assert_eq!(done(&mana, terminal)["llm_model"], chosen);
        }
    }

    #[test]
    fn a_list_of_models_that_is_of_no_use_is_no_hindrance() {
        let lists = [
            "<html>".to_owned(),
            "[]".to_owned(),
            json!({"data": []}).to_string(),
            json!({"data": [{"id": 3}, {"name": "x"}, "y", null]}).to_string(),
            json!({"data": [{"id": "\u{1b}]0;title\u{7}\u{1b}[31mred\nnext"}]}).to_string(),
            json!({"data": (0..5_000).map(|n| json!({"id": format!("model-{n}")})).collect::<Vec<_>>()}).to_string(),
        ];
        for list in lists {
            let server = ModelServer::start(list.clone(), None);
            let mana = Mana::new();
            let mut terminal = asked(&mana, &["--llm-url", &server.url]);
            terminal.shows("server");
            terminal.types(ENTER);
            terminal.shows("model");
            terminal.types(&format!("tiny{ENTER}"));
            for question in ["zone", "port"] {
                terminal.shows(question);
                terminal.types(ENTER);
            }
            assert!(!terminal.raw().contains("\u{1b}]0;"), "nothing of the server reaches the terminal as it is");
            assert_eq!(done(&mana, terminal)["llm_model"], "tiny", "{list:.80}");
        }
    }

    #[test]
    fn a_server_that_never_answers_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mana = Mana::new().with("MANA_LLM_TIMEOUT_MS", 500);
        let mut terminal = asked(&mana, &["--llm-url", &format!("http://{}", silent.local_addr().unwrap())]);
        for question in ["server", "model", "zone", "port"] {
            terminal.shows(question);
            terminal.types(ENTER);
        }
        done(&mana, terminal);
    }

    #[test]
    fn the_server_is_asked_with_its_key() {
        let server = ModelServer::start(json!({"data": [{"id": "behind-a-key"}]}).to_string(), Some("sk-quite-secret"));
        let mana = Mana::new().with("MANA_LLM_API_KEY", "sk-quite-secret");
        let mut terminal = asked(&mana, &["--llm-url", &server.url]);
        terminal.shows("server");
        terminal.types(ENTER);
        terminal.shows("behind-a-key");
        for question in ["model", "zone", "port"] {
            terminal.shows(question);
            terminal.types(ENTER);
        }
        let (_, screen) = terminal.end();
        assert!(!screen.contains("sk-quite-secret"));
    }

    /// Leaves at each question; nothing may be written then.
    #[track_caller]
    fn check_leave(keys: &str) {
        let questions = ["server", "model", "zone", "port"];
        for last in 0..questions.len() {
            let mana = Mana::new().with("MANA_LLM_URL", "http://127.0.0.1:9");
            let (dir, path) = fresh(&mana);
            let mut terminal = asked(&mana, &["--data-dir", &path]);
            for question in &questions[..last] {
                terminal.shows(question);
                terminal.types(ENTER);
            }
            terminal.shows(questions[last]);
            let (code, screen) = terminal.leave(keys);
            assert!(code != Some(0), "at {}: {screen}", questions[last]);
            assert!(!dir.exists(), "at {}", questions[last]);
            assert_eq!(read(mana.dir.path().join("said")), "");
            assert!(!screen.contains("panicked"), "{screen}");
        }
    }

    #[test]
    fn an_interrupt_at_a_question_writes_nothing() {
        check_leave(CTRL_C);
    }

    #[test]
    fn a_key_for_a_server_elsewhere_is_asked_for_and_not_shown() {
        let mana = Mana::new().with("MANA_LLM_TIMEOUT_MS", 300);
        let mut terminal = asked(&mana, &["--llm-url", "http://192.0.2.1:9"]);
        terminal.shows("server");
        terminal.types(ENTER);
        terminal.shows("key");
        terminal.types_until_it_shows(&format!("sk-typed \"secret\"{ENTER}"), "model");
        for question in ["model", "zone", "port"] {
            terminal.shows(question);
            terminal.types(ENTER);
        }
        let (code, screen) = terminal.end();
        let said = read(mana.dir.path().join("said"));
        assert!(code == Some(0) && !screen.contains("sk-typed") && !said.contains("sk-typed"), "{screen}{said}");
        let file: toml::Table = read(mana.dir.path().join(FILE)).parse().unwrap();
        assert_eq!(file["llm_api_key"].as_str(), Some("sk-typed \"secret\""));
    }

    #[test]
    fn one_can_leave_at_the_key_too() {
        let mana = Mana::new().with("MANA_LLM_TIMEOUT_MS", 300);
        let (dir, path) = fresh(&mana);
        let mut terminal = asked(&mana, &["--llm-url", "http://192.0.2.1:9", "--data-dir", &path]);
        terminal.shows("server");
        terminal.types(ENTER);
        terminal.shows("key");
        let (code, screen) = terminal.leave(CTRL_C);
        assert!(code != Some(0) && !dir.exists(), "{screen}");
    }

    #[test]
    fn with_yes_or_without_a_terminal_on_both_sides_nothing_is_asked() {
        for (args, redirect) in [(&["init", "--yes"][..], "> said"), (&["init"], "> said 2> log"), (&["init"], "> said < /dev/null")] {
            let mana = Mana::new();
            let terminal = Terminal::open(&mana.command(args), redirect);
            assert_eq!(done(&mana, terminal)["port"], "3067", "{args:?} {redirect}");
        }
    }

    #[test]
    fn the_screen_tells_the_next_step_as_stdout_would() {
        let mana = Mana::new();
        let (code, screen) = Terminal::open(&mana.command(&["init", "--yes"]), "").end();
        assert!(code == Some(0) && plain(&screen).contains(" serve"), "{screen}");
    }
}

mod doctor {
    use super::*;

    const CHECKS: [&str; 12] =
        ["config", "directory", "database", "disk", "clock", "time-zone", "port", "service-key", "users", "grant-key", "tools", "model"];

    /// A server that was set up and has run.
    fn healthy(model: &str) -> Mana {
        let mana = Mana::new().with("MANA_LLM_URL", model).with("PORT", free_port());
        std::fs::set_permissions(mana.dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        initialised(&mana, &[]);
        mana.import(&[insert("u", "agents", "a", json!({})), hourly("u", "m", Some("a"), "2026-04-15T08:00:00.000Z")]);
        mana
    }

    /// Brings the database into its one file, as the last one who closes it in good order does.
    fn close(mana: &Mana) {
        let direct = rusqlite::Connection::open(mana.dir.path().join("mana-ai.db")).unwrap();
        direct.query_row("SELECT count(*) FROM sync_changes", [], |row| row.get::<_, i64>(0)).unwrap();
        drop(direct);
        assert!(!mana.dir.path().join("mana-ai.db-wal").exists());
    }

    /// The checks of a doctor, by name, whose form was looked at.
    #[track_caller]
    fn checks(mana: &Mana) -> BTreeMap<String, Value> {
        checks_of(mana.run(&["doctor", "--json"]))
    }

    #[track_caller]
    fn checks_of(ran: Ran) -> BTreeMap<String, Value> {
        let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let names: Vec<&str> = lines.iter().map(|line| line["check"].as_str().unwrap()).collect();
        // A file that cannot be read at all leaves nothing else to look at.
        assert!(names == CHECKS || (names == ["config"] && lines[0]["status"] == "fail"), "{ran:?}");
        for line in &lines {
            let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["check", "status", "found", "mend"]);
            assert!(line["found"].as_str().is_some_and(|found| !found.is_empty()), "{line}");
            match line["status"].as_str().unwrap() {
                "ok" => assert_eq!(line["mend"], Value::Null, "{line}"),
                "warn" | "fail" => assert!(line["mend"].as_str().is_some_and(|fix| !fix.is_empty()), "{line}"),
                other => panic!("{other}: {line}"),
            }
        }
        let fails = lines.iter().any(|line| line["status"] == "fail");
        assert_eq!(ran.code, Some(i32::from(fails)), "{ran:?}");
        assert!(!ran.stderr.contains("panicked"), "{ran:?}");
        lines.into_iter().map(|line| (line["check"].as_str().unwrap().to_owned(), line)).collect()
    }

    /// Checks that this is told and that nothing else fails; answers what is told.
    #[track_caller]
    fn only(mana: &Mana, name: &str, statuses: &[&str], says: &str) -> String {
        let checks = checks(mana);
        let line = &checks[name];
        assert!(statuses.contains(&line["status"].as_str().unwrap()), "{name} should be {statuses:?}: {line}");
        let text = format!("{} {}", line["found"].as_str().unwrap(), line["mend"].as_str().unwrap_or_default());
        assert!(text.to_lowercase().contains(&says.to_lowercase()), "{says:?} in {line}");
        let others: Vec<&Value> = checks.values().filter(|line| line["check"] != name && line["status"] == "fail").collect();
        assert!(others.is_empty(), "{name} alone is broken: {others:?}");
        text
    }

    /// A look at one broken thing that must be told as a failure.
    #[track_caller]
    fn fails(mana: &Mana, name: &str, says: &str) -> String {
        only(mana, name, &["fail"], says)
    }

    /// A look at one thing that is not as it should be; whether that is a failure is open.
    #[track_caller]
    fn complains(mana: &Mana, name: &str, says: &str) -> String {
        only(mana, name, &["warn", "fail"], says)
    }

    #[test]
    fn where_all_is_well_it_says_so() {
        let model = sound_model();
        let mana = healthy(&model.url());
        let checks = checks(&mana);
        for (name, line) in &checks {
            assert_eq!(line["status"], "ok", "{name}: {line}");
        }
        let (request, full) = (model.requests().remove(0), model.requests().remove(1));
        assert_eq!((model.requests().len(), request["tools"].as_array().unwrap().len()), (2, 1), "a request with a tool, and a full one");
        let (size, large) = (request.to_string().len(), full.to_string().len());
        assert!(size < 4_000, "a small request: {size} bytes");
        // The default window has 4,096 tokens of some four bytes, less the room for an answer.
        assert!((10_000..24_000).contains(&large), "a full one: {large} bytes");
        assert_eq!(request["model"], "llama3.1:8b");
        assert!(!request.to_string().contains("objective of"), "nothing of a user goes to the model");
    }

    #[test]
    fn for_people_it_is_one_line_a_check() {
        let model = Model::start(Duration::ZERO, |_| json_reply(404, r#"{"error": {"message": "model\n\u001b[31m\"x\" not found\r\n"}}"#));
        let mana = healthy(&model.url());
        let ran = mana.run(&["doctor"]);
        assert_eq!(ran.code, Some(1));
        // What to do stands below it, further to the right.
        let lines: Vec<&str> = ran.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(lines.len(), CHECKS.len(), "{}", ran.stdout);
        assert!(ran.stdout.lines().count() <= 2 * CHECKS.len(), "{}", ran.stdout);
        for (line, name) in lines.iter().zip(CHECKS) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(words.contains(&name), "{name}: {line}");
            assert_eq!(words.iter().any(|word| word.trim_matches(':') == "fail"), name == "model", "{line}");
        }
        assert!(!ran.stdout.contains('\u{1b}'), "no colours in a file");
    }

    #[test]
    fn on_a_terminal_it_tells_the_same() {
        let model = sound_model();
        let mana = healthy(&model.url());
        let (code, screen) = Terminal::open(&mana.command(&["doctor"]), "").end();
        let screen = plain(&screen);
        assert!(code == Some(0) && CHECKS.iter().all(|name| screen.contains(name)), "{screen}");
    }

    #[test]
    fn a_model_server_that_is_away_is_told() {
        let mana = healthy(&format!("http://127.0.0.1:{}", free_port()));
        fails(&mana, "model", "MANA_LLM_URL");
    }

    #[test]
    fn what_a_model_server_answers_is_told_with_what_to_do() {
        for (status, body, says) in [
            (404, r#"{"error": {"message": "model \"llama3.1:8b\" not found, try pulling it first"}}"#, "MANA_LLM_MODEL"),
            (401, r#"{"error": {"message": "invalid api key"}}"#, "MANA_LLM_API_KEY"),
            (403, "", "MANA_LLM_API_KEY"),
            (200, "<html><body>hello</body></html>", "MANA_LLM_URL"),
            (200, "{}", "MANA_LLM_URL"),
            (200, r#"{"choices": [{"message": {"content": ""}}]}"#, "empty"),
            (500, "oh", "500"),
            (503, r#"{"error": "loading"}"#, "loading"),
            (302, "", "302"),
        ] {
            let model = Model::start(Duration::ZERO, move |_| json_reply(status, body));
            fails(&healthy(&model.url()), "model", says);
        }
    }

    /// A server that does as others do until a prompt is longer than 10,000 bytes.
    fn with_long_prompts(answer: impl Fn() -> Reply + Send + Sync + 'static) -> Model {
        Model::start(Duration::ZERO, move |request| if request.to_string().len() > 10_000 { answer() } else { Reply::task("x") })
    }

    #[test]
    fn a_model_server_that_does_not_take_a_full_prompt_is_told_with_what_to_do() {
        let reads = |tokens: u64| {
            let plan = json!({"summary": "none", "steps": []}).to_string();
            let usage = json!({"prompt_tokens": tokens, "completion_tokens": 30, "total_tokens": tokens + 30});
            json!({"choices": [{"message": {"role": "assistant", "content": plan}}], "usage": usage})
        };
        let too_long =
            r#"{"error": {"message": "This model's maximum context length is 4096 tokens.", "code": "context_length_exceeded"}}"#;
        let cut = r#"{"choices": [{"message": {"content": "{\"summ"}, "finish_reason": "length"}]}"#;
        let words = r#"{"choices": [{"message": {"content": "You have many notes."}}]}"#;
        for (status, body, says) in [
            // Ollama's window where nobody set another, and the next ones.
            (200, reads(4_096).to_string(), "read 4096 tokens"),
            (200, reads(4_095).to_string(), "OLLAMA_CONTEXT_LENGTH"),
            (200, reads(2_048).to_string(), "MANA_LLM_CONTEXT_TOKENS"),
            (200, reads(8_192).to_string(), "read 8192 tokens"),
            (400, too_long.to_owned(), "MANA_LLM_CONTEXT_TOKENS"),
            (413, String::new(), "MANA_LLM_CONTEXT_TOKENS"),
            (500, "CUDA error: out of memory".to_owned(), "out of memory"),
            (200, cut.to_owned(), "MANA_LLM_CONTEXT_TOKENS"),
            (200, words.to_owned(), "larger model"),
        ] {
            let model = with_long_prompts(move || json_reply(status, &body));
            let told = only(&healthy(&model.url()).with("MANA_LLM_CONTEXT_TOKENS", 16_384), "model", &["warn"], says);
            assert!(told.contains("gave a plan of 1 step"), "what works is told as well: {told}");
        }
        let model = with_long_prompts(move || json_reply(200, reads(14_000)));
        let told = only(&healthy(&model.url()).with("MANA_LLM_CONTEXT_TOKENS", 16_384), "model", &["ok"], "16384 tokens");
        assert!(told.contains("gave a plan of 1 step"), "{told}");
    }

    #[test]
    fn the_full_prompt_of_a_large_window_is_not_paid_for_as_a_whole() {
        let model = sound_model();
        checks(&healthy(&model.url()).with("MANA_LLM_CONTEXT_TOKENS", 1_000_000));
        let longest = model.requests().iter().map(|request| request.to_string().len()).max().unwrap();
        assert!((100_000..200_000).contains(&longest), "{longest} bytes");
    }

    #[test]
    fn a_model_server_that_hangs_is_told_in_its_time() {
        let model = Model::held(|_| Reply::task("x"));
        let mana = healthy(&model.url()).with("MANA_LLM_TIMEOUT_MS", 300);
        fails(&mana, "model", "MANA_LLM_TIMEOUT_MS");
    }

    #[test]
    fn a_model_that_calls_no_tool_is_told() {
        let words = json!({"choices": [{"message": {"role": "assistant", "content": "Hello! How can I help?"}}]});
        let model = Model::start(Duration::ZERO, move |_| json_reply(200, &words));
        complains(&healthy(&model.url()), "model", "plan");
        let mana = healthy(&model.url()).with("MANA_AI_PLANNER", "tools");
        complains(&mana, "model", "plan");
    }

    #[test]
    fn a_model_server_that_refuses_tools_is_told_and_is_of_use_with_json() {
        let model = Model::start(Duration::ZERO, |request| match request.get("tools") {
            Some(_) => json_reply(400, r#"{"error": {"message": "this model does not support tools"}}"#),
            None => Reply::task("x"),
        });
        let mana = healthy(&model.url());
        only(&mana, "model", &["ok", "warn"], "plan");
        fails(&mana.with("MANA_AI_PLANNER", "tools"), "model", "does not support tools");
    }

    #[test]
    fn the_model_is_asked_as_the_planner_asks_it() {
        let server = ModelServer::start(String::new(), Some("sk-quite-secret"));
        let mana = healthy(&server.url);
        fails(&mana, "model", "MANA_LLM_API_KEY");
        let mana = mana.with("MANA_LLM_API_KEY", "sk-quite-secret").with("MANA_LLM_MODEL", "tiny");
        assert_eq!(checks(&mana)["model"]["status"], "ok");
        let asked = server.asked.lock().unwrap();
        let (path, body) = asked.last().unwrap();
        assert_eq!((path.as_str(), &body["model"]), ("/v1/chat/completions", &json!("tiny")));
    }

    #[test]
    fn a_data_directory_that_is_missing_is_told_and_not_made() {
        let model = sound_model();
        let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("PORT", free_port());
        let missing = mana.dir.path().join("no/such");
        let mana = mana.with("MANA_AI_DATA_DIR", missing.display());
        complains(&mana, "directory", "no/such");
        assert_eq!(std::fs::read_dir(mana.dir.path()).unwrap().count(), 0, "nothing was made");
    }

    #[test]
    fn a_file_in_the_place_of_the_data_directory_is_told() {
        let model = sound_model();
        let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("PORT", free_port());
        let file = mana.dir.path().join("data");
        std::fs::write(&file, "").unwrap();
        let mana = mana.with("MANA_AI_DATA_DIR", file.display());
        fails(&mana, "directory", file.to_str().unwrap());
    }

    #[test]
    fn a_data_directory_that_cannot_be_written_is_told() {
        let model = sound_model();
        let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("PORT", free_port());
        let mode = |mode: u32| std::fs::set_permissions(mana.dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o555);
        // Whoever may write everywhere looks with the eyes of somebody who may not, through a copy that this one may run.
        let mut doctor = mana.command(&["doctor", "--json"]);
        let copy = tempfile::tempdir().unwrap();
        if std::fs::write(mana.dir.path().join("probe"), "").is_ok() {
            std::fs::remove_file(mana.dir.path().join("probe")).unwrap();
            std::fs::set_permissions(copy.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
            let program = copy.path().join("mana-ai");
            copy_program(&program);
            let mut other = Command::new("setpriv");
            other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program).args(doctor.get_args());
            other.env_clear().envs(doctor.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir("/");
            doctor = other;
        }
        let ran = output(&mut doctor);
        mode(0o755);
        let checks = checks_of(ran);
        assert_eq!(checks["directory"]["status"], "fail", "{}", checks["directory"]);
        let others: Vec<&Value> = checks.values().filter(|line| line["check"] != "directory" && line["status"] == "fail").collect();
        assert!(others.is_empty(), "{others:?}");
        assert_eq!(std::fs::read_dir(mana.dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_key_that_others_may_read_is_told() {
        let model = sound_model();
        for (file, name) in [("service-key", "service-key"), ("token-key.pem", "users"), ("grant-key.pem", "grant-key")] {
            let mana = healthy(&model.url());
            let path = mana.dir.path().join(file);
            for mode in [0o644, 0o640, 0o606] {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
                complains(&mana, name, "chmod 600");
            }
        }
    }

    #[test]
    fn keys_that_are_of_no_use_are_told() {
        let model = sound_model();
        for (file, name) in [("service-key", "service-key"), ("token-key.pem", "users"), ("grant-key.pem", "grant-key")] {
            for (text, what) in
                [("", "empty"), ("short", "short"), ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no key")]
            {
                if (file, what) == ("service-key", "no key") {
                    continue;
                }
                let mana = healthy(&model.url());
                std::fs::write(mana.dir.path().join(file), text).unwrap();
                fails(&mana, name, "");
            }
        }
    }

    #[test]
    fn a_private_key_that_cannot_be_read_is_told() {
        let model = sound_model();
        let mana = healthy(&model.url());
        std::fs::remove_file(mana.dir.path().join("grant-key.pem")).unwrap();
        fails(&mana, "grant-key", "private_key_pem");
        set(&mana, "private_key_pem", "\"/no/such/key.pem\"");
        fails(&mana, "grant-key", "private_key_pem");
        // A sound key of another kind.
        set(&mana, "private_key_pem", &format!("{:?}", mana.dir.path().join("token-key.pem").display().to_string()));
        fails(&mana, "grant-key", "RSA");
    }

    #[test]
    fn without_a_private_key_only_encrypted_inputs_are_missing() {
        let model = sound_model();
        let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("PORT", free_port());
        mana.import(&[insert("u", "agents", "a", json!({}))]);
        only(&mana, "grant-key", &["ok", "warn"], "");
    }

    #[test]
    fn a_damaged_database_is_told() {
        let model = sound_model();
        let damage = |hurt: &dyn Fn(&mut Vec<u8>)| {
            let mana = healthy(&model.url());
            mana.import(&(0..300).map(|n| insert("u", "agents", &format!("a{n}"), json!({"memory": "x".repeat(300)}))).collect::<Vec<_>>());
            close(&mana);
            let path = mana.dir.path().join("mana-ai.db");
            let mut bytes = std::fs::read(&path).unwrap();
            hurt(&mut bytes);
            std::fs::write(&path, bytes).unwrap();
            fails(&mana, "database", "mana-ai.db");
        };
        damage(&|bytes| bytes[..100].fill(b'x'));
        damage(&|bytes| bytes.iter_mut().skip(4_096).step_by(97).for_each(|byte| *byte ^= 0xff));
        damage(&|bytes| bytes.truncate(10_000));
        damage(&|bytes| *bytes = b"no database at all\n".repeat(100));
    }

    #[test]
    fn a_database_of_a_newer_program_and_one_of_another_program_are_told() {
        let model = sound_model();
        let with = |sql: &str| {
            let mana = healthy(&model.url());
            let direct = rusqlite::Connection::open(mana.dir.path().join("mana-ai.db")).unwrap();
            direct.execute_batch(sql).unwrap();
            drop(direct);
            mana
        };
        fails(&with("PRAGMA user_version = 9999"), "database", "newer");
        fails(&with("PRAGMA application_id = 7"), "database", "mana-ai.db");
    }

    #[test]
    fn a_log_of_the_future_is_told() {
        let model = sound_model();
        let mana = healthy(&model.url());
        let direct = rusqlite::Connection::open(mana.dir.path().join("mana-ai.db")).unwrap();
        let tomorrow = jiff::Timestamp::now().as_microsecond() + 24 * 3_600_000_000;
        direct
            .execute(
                "INSERT INTO sync_changes (id, app_id, table_name, record_id, user_id, op, data, client_id, created_at, sync_at)
                 VALUES ('00000000-0000-4000-8000-000000000001', 'notes', 'notes', 'n', 'u', 'insert', '{}', 'test', ?1, ?1)",
                [tomorrow],
            )
            .unwrap();
        drop(direct);
        complains(&mana, "clock", "clock");
    }

    #[test]
    fn a_clock_that_was_ahead_is_told_when_it_is_right_again() {
        let model = sound_model();
        let (faults, mana) = Faults::under(healthy(&model.url()));
        assert_eq!(checks(&mana)["clock"]["status"], "ok");
        faults.set(Fault::Clock, 24 * 3_600);
        mana.import(&[insert("u", "agents", "b", json!({}))]);
        faults.set(Fault::Clock, 0);
        complains(&mana, "clock", "clock");
    }

    #[test]
    fn a_wrong_time_zone_is_told() {
        let model = sound_model();
        let mana = healthy(&model.url());
        set(&mana, "time_zone", "\"Mars/Olympus\"");
        fails(&mana, "time-zone", "Mars/Olympus");
        fails(&healthy(&model.url()).with("MANA_AI_TIME_ZONE", "Berlin"), "time-zone", "Berlin");
    }

    #[test]
    fn a_wrong_setting_is_told() {
        let model = sound_model();
        for (line, says) in [
            ("max_attempts = 0", "max_attempts"),
            ("prot = 4000", "prot"),
            ("tick_interval_ms = \"soon\"", "tick_interval_ms"),
            ("cors_origins = \"nowhere\"", "cors_origins"),
        ] {
            let mana = healthy(&model.url());
            let (key, value) = line.split_once(" = ").unwrap();
            set(&mana, key, value);
            fails(&mana, "config", says);
        }
        let mana = healthy(&model.url());
        set(&mana, "log", "\"quite-a-secret\nport = ");
        let told = fails(&mana, "config", FILE);
        assert!(!told.contains("quite-a-secret"), "a broken line may hold a secret: {told}");
        let mana = healthy(&model.url()).with("MANA_AI_CONFIG", "/no/such/file.toml");
        fails(&mana, "config", "/no/such/file.toml");
    }

    #[test]
    fn a_port_that_another_program_has_is_told() {
        let model = sound_model();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        fails(&healthy(&model.url()).with("PORT", port), "port", &port.to_string());
        let other = common::serve_raw(200, &[], "hello");
        fails(&healthy(&model.url()).with("PORT", other.port()), "port", &other.port().to_string());
        let elsewhere = healthy(&model.url()).with("MANA_AI_HOST", "192.0.2.1");
        fails(&elsewhere, "port", "192.0.2.1");
    }

    #[test]
    fn a_port_that_our_own_server_has_is_well() {
        let model = sound_model();
        let mana = healthy(&model.url()).with("TICK_ENABLED", "false");
        let served = mana.serve();
        let ran = mana.run(&["doctor", "--json", "--port", &served.address.port().to_string()]);
        let checks = checks_of(ran);
        for (name, line) in &checks {
            assert_eq!(line["status"], "ok", "{name}: {line}");
        }
        let port = checks["port"]["found"].as_str().unwrap();
        assert!(port.contains("mana-ai"), "that it is ours is said: {port}");
        assert_eq!(get(&served.url("/health")).0, 200);
    }

    #[test]
    fn a_port_that_the_server_of_another_directory_has_is_told() {
        let model = sound_model();
        let (served, _theirs) = Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", model.url()).serve_kept();
        let mana = healthy(&model.url()).with("PORT", served.address.port());
        complains(&mana, "port", &served.address.port().to_string());
        mana.run(&["serve"]).fails(1, "cannot listen on");
    }

    #[test]
    fn any_free_port_is_well() {
        let model = sound_model();
        let mana = healthy(&model.url()).with("PORT", 0);
        assert_eq!(checks(&mana)["port"]["status"], "ok");
        let everywhere = healthy(&model.url()).with("MANA_AI_HOST", "0.0.0.0");
        assert_ne!(checks(&everywhere)["port"]["status"], "fail");
    }

    #[test]
    fn tools_that_are_of_no_use_are_told() {
        let model = sound_model();
        for text in [Some("[{\"name\": 3}]"), Some("no json"), Some(""), None] {
            let mana = healthy(&model.url()).with("MANA_AI_TOOLS", "tools.json");
            if let Some(text) = text {
                std::fs::write(mana.dir.path().join("tools.json"), text).unwrap();
            }
            fails(&mana, "tools", "tools.json");
        }
    }

    #[test]
    fn an_identity_provider_that_is_away_or_talks_nonsense_is_told() {
        let model = sound_model();
        let away = format!("http://127.0.0.1:{}/jwks", free_port());
        fails(&healthy(&model.url()).with("JWKS_URL", away), "users", "JWKS_URL");
        for (status, body) in [(200, "<html>"), (200, "{}"), (404, "{\"keys\": []}"), (200, "{\"keys\": []}")] {
            let provider = common::serve_raw(status, &[], body);
            complains(&healthy(&model.url()).with("JWKS_URL", format!("http://{provider}/jwks")), "users", "JWKS_URL");
        }
    }

    #[test]
    fn several_broken_things_are_told_at_once() {
        let mana = healthy("http://127.0.0.1:9").with("MANA_AI_TOOLS", "no-tools.json").with("JWKS_URL", "http://127.0.0.1:9/jwks");
        set(&mana, "time_zone", "\"Mars/Olympus\"");
        std::fs::write(mana.dir.path().join("service-key"), "short").unwrap();
        let checks = checks(&mana);
        let failed: Vec<&str> = CHECKS.into_iter().filter(|name| checks[*name]["status"] == "fail").collect();
        assert_eq!(failed, ["time-zone", "service-key", "users", "tools", "model"]);
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let echo = |text: String| move |_: &Value| json_reply(401, json!({"error": {"message": text}}));
        let all = "sk-quite-secret a-service-key-of-its-own pass-word query-secret header-secret";
        // What a server was sent, it may say again.
        let model = Model::start(Duration::ZERO, echo("sk-quite-secret header-secret".to_owned()));
        let url = |base: &str, path: &str| base.replace("http://", "http://someone:pass-word@") + path + "?key=query-secret";
        let with_secrets = |mana: Mana| {
            mana.with("MANA_LLM_API_KEY", "sk-quite-secret")
                .with("MANA_SERVICE_KEY", "a-service-key-of-its-own")
                .with("MANA_LLM_HEADERS", r#"{"x-key": "header-secret"}"#)
        };
        let port = free_port();
        let away = format!("http://127.0.0.1:{port}");
        let worlds = [
            with_secrets(healthy(&model.url())),
            with_secrets(healthy(&url(&model.url(), ""))).with("JWKS_URL", url(&away, "/jwks")),
            with_secrets(healthy(&url(&away, "/v1"))).with("OTEL_EXPORTER_OTLP_ENDPOINT", url(&away, "")),
            with_secrets(healthy(&model.url())).with("MANA_LLM_URL", "ftp://someone:pass-word@host/?key=query-secret"),
            with_secrets(healthy(&model.url())).with("MANA_LLM_HEADERS", "header-secret"),
            with_secrets(healthy(&model.url())).with("MANA_SERVICE_KEY", "pass-word"),
            with_secrets(healthy(&model.url())).with("MANA_AI_PRIVATE_KEY_PEM", "-----BEGIN PRIVATE KEY-----\\nquery-secret\\n"),
        ];
        for mana in worlds {
            let mut secrets: Vec<String> = all.split(' ').map(str::to_owned).collect();
            for name in KEYS {
                secrets.extend(read(mana.dir.path().join(name)).lines().filter(|line| !line.starts_with('-')).map(str::to_owned));
            }
            for args in [&["doctor"][..], &["doctor", "--json"], &["doctor", "--log", "trace"], &["health", "--log", "trace"]] {
                let ran = mana.run(args);
                let text = format!("{}\n{}", ran.stdout, ran.stderr);
                assert!(!text.trim().is_empty(), "{args:?}");
                for secret in &secrets {
                    assert!(!text.contains(secret), "{secret} of {args:?} in {text}");
                }
            }
        }
    }

    /// Checks that a doctor leaves every file as it is, and makes and removes none.
    #[track_caller]
    fn assert_leaves(mana: &Mana) -> BTreeMap<String, Value> {
        let before = tree(mana.dir.path());
        let checks = checks(mana);
        let after = tree(mana.dir.path());
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
        // The index of the write-ahead log is memory that readers share.
        for (name, file) in before.iter().filter(|(name, _)| !name.ends_with("-shm")) {
            assert!(after[name] == *file, "{name} changed");
        }
        checks
    }

    #[test]
    fn a_database_that_nobody_uses_is_left_as_it_is() {
        let model = sound_model();
        let mana = healthy(&model.url());
        close(&mana);
        assert_eq!(assert_leaves(&mana)["database"]["status"], "ok");
    }

    #[test]
    fn a_database_of_a_killed_server_is_left_as_it_is() {
        let model = sound_model();
        let mana = healthy(&model.url()).with("TICK_ENABLED", "false");
        let served = mana.serve();
        mana.import(&[insert("u", "agents", "b", json!({}))]);
        faults::kill(served);
        assert!(mana.dir.path().join("mana-ai.db-wal").metadata().unwrap().len() > 0, "rows that are only in the write-ahead log");
        let checks = assert_leaves(&mana);
        assert!(checks.values().all(|line| line["status"] == "ok"), "{checks:?}");
        assert_eq!(mana.run(&["agents", "--json"]).json().len(), 2);
    }

    #[test]
    fn whatever_is_missing_or_broken_is_not_made() {
        let mana = healthy("http://127.0.0.1:9").with("MANA_AI_TOOLS", "no-tools.json").with("JWKS_URL", "http://127.0.0.1:9/jwks");
        for name in KEYS.into_iter().chain(["grant-public.pem", "mana-ai.db", "mana-ai.db-wal", "mana-ai.db-shm"]) {
            let _ = std::fs::remove_file(mana.dir.path().join(name));
            let checks = assert_leaves(&mana);
            assert_eq!(checks["model"]["status"], "fail", "without {name}");
        }
        std::fs::write(mana.dir.path().join(FILE), "no toml").unwrap();
        assert_leaves(&mana);
    }

    #[test]
    fn on_a_bare_machine_it_tells_what_to_do_and_makes_nothing() {
        let mana = Mana::new();
        let ran = output(mana.command(&["doctor", "--json", "--llm-url", "http://127.0.0.1:9"]).env_remove("MANA_AI_DATA_DIR"));
        assert_eq!(std::fs::read_dir(mana.dir.path()).unwrap().count(), 0);
        let checks = checks_of(ran);
        assert_eq!(checks["model"]["status"], "fail");
        assert!(checks["directory"].to_string().contains("mana-ai-data"), "{}", checks["directory"]);
    }
}

mod health {
    use super::*;

    fn quiet() -> Mana {
        Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9")
    }

    fn asks(mana: &Mana, port: u16) -> Ran {
        mana.run(&["health", "--port", &port.to_string()])
    }

    #[test]
    fn a_running_server_is_well() {
        let (served, mana) = quiet().serve_kept();
        let ran = asks(&mana, served.address.port());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&answer["ok"], &answer["service"]), (&json!(true), &json!("mana-ai")));
        let file = mana.dir.path().join(FILE);
        std::fs::write(&file, format!("port = {}\n", served.address.port())).unwrap();
        assert_eq!(mana.run(&["health"]).code, Some(0), "the port of the file");
        let mana = mana.with("PORT", free_port());
        assert_eq!(mana.run(&["health"]).code, Some(1), "the port of the environment");
    }

    #[test]
    fn where_nobody_listens_that_is_told_and_nothing_is_made() {
        let mana = quiet();
        let port = free_port();
        let ran = output(mana.command(&["health", "--port", &port.to_string(), "--data-dir", "data"]).env_remove("MANA_AI_DATA_DIR"));
        ran.fails(1, &format!("127.0.0.1:{port}"));
        assert_eq!(std::fs::read_dir(mana.dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_answer_that_is_not_well_is_told() {
        let ill = r#"{"status":"unavailable","ok":false,"service":"mana-ai","reason":"the database cannot be written"}"#;
        let address = common::serve_raw(503, &[], ill);
        let ran = asks(&quiet(), address.port());
        ran.fails(1, "503");
        assert!(ran.stdout.contains("cannot be written") || ran.stderr.contains("cannot be written"), "{ran:?}");
        let hostile = common::serve_raw(503, &[], "\u{1b}[31mred\u{7}");
        let ran = asks(&quiet(), hostile.port());
        ran.fails(1, "503");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\u{1b}'), "{ran:?}");
    }

    #[test]
    fn another_program_on_the_port_is_not_well() {
        for (status, body) in [(200, "<html>hello</html>"), (200, ""), (200, r#"{"ok":false}"#), (404, "{}"), (302, "")] {
            let address = common::serve_raw(status, &[("location", "http://127.0.0.1:9/")], body);
            asks(&quiet(), address.port()).fails(1, "");
        }
    }

    #[test]
    fn a_server_that_never_answers_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        asks(&quiet(), silent.local_addr().unwrap().port()).fails(1, "");
    }

    #[test]
    fn a_server_whose_database_cannot_be_written_is_not_well() {
        let (faults, mana) = Faults::under(quiet());
        let served = mana.serve();
        assert_eq!(asks(&mana, served.address.port()).code, Some(0));
        faults.set(Fault::Write, faults::NO_SPACE);
        let ran = wait_for("the server to see it", || Some(asks(&mana, served.address.port())).filter(|ran| ran.code != Some(0)));
        ran.fails(1, "503");
        faults.set(Fault::Write, 0);
        wait_for("the server to be well again", || (asks(&mana, served.address.port()).code == Some(0)).then_some(()));
    }

    #[test]
    fn a_server_that_listens_everywhere_is_asked_here() {
        let mana = quiet().with("MANA_AI_HOST", "0.0.0.0");
        let served = mana.serve();
        assert_eq!(asks(&mana, served.address.port()).code, Some(0));
    }

    #[test]
    fn a_server_on_ipv6_is_asked_there() {
        for (host, here) in [("::1", "::1"), ("::", "::1")] {
            if TcpListener::bind((here, 0)).is_err() {
                // This machine has no IPv6; then the command has nothing to reach and says so.
                quiet().with("MANA_AI_HOST", host).run(&["health", "--port", "9"]).fails(1, "[::1]:9");
                continue;
            }
            let mana = quiet().with("MANA_AI_HOST", host);
            let served = mana.serve();
            assert_eq!(asks(&mana, served.address.port()).code, Some(0), "{host}");
        }
    }

    #[test]
    fn a_proxy_is_not_asked_for_this_machine() {
        let (served, mana) = quiet().serve_kept();
        let proxy = format!("http://127.0.0.1:{}", free_port());
        let mana = mana.with("HTTP_PROXY", &proxy).with("http_proxy", &proxy).with("ALL_PROXY", &proxy);
        assert_eq!(asks(&mana, served.address.port()).code, Some(0));
    }

    #[test]
    fn a_port_that_is_not_known_is_told() {
        quiet().run(&["health", "--port", "0"]).fails(1, "127.0.0.1:0");
    }
}

mod shells {
    use super::*;

    const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "elvish", "powershell"];

    /// The commands of a help text.
    fn commands(mana: &Mana, path: &[&str]) -> Vec<String> {
        let help = mana.run(&[path, &["--help"]].concat()).stdout;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        // Texts that go on stand further to the right.
        let named = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        named.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
    }

    /// Every command, the commands of commands too.
    fn all_commands(mana: &Mana) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for command in commands(mana, &[]) {
            let nested = commands(mana, &[&command]);
            all.push(vec![command.clone()]);
            all.extend(nested.into_iter().map(|name| vec![command.clone(), name]));
        }
        assert!(all.len() > 20, "{all:?}");
        all
    }

    /// Whether a program is installed here.
    fn installed(program: &str) -> bool {
        output(Command::new("sh").args(["-c", &format!("command -v {program}")])).code == Some(0)
    }

    #[test]
    fn completions_name_every_command_and_are_accepted_by_their_shell() {
        let mana = Mana::new();
        for shell in SHELLS {
            let ran = mana.run(&["completions", shell]);
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
            for command in all_commands(&mana) {
                assert!(ran.stdout.contains(command.last().unwrap()), "{command:?} for {shell}");
            }
            for text in ["data-dir", "mana-ai", "llm-model", "otlp-endpoint", "log-format"] {
                assert!(ran.stdout.contains(text), "{text} for {shell}");
            }
            assert!(!ran.stdout.contains("api-key"), "secrets have no flag");
            if matches!(shell, "bash" | "zsh" | "fish") && installed(shell) {
                let file = mana.dir.path().join(shell);
                std::fs::write(&file, &ran.stdout).unwrap();
                let read = output(Command::new(shell).arg("-n").arg(&file));
                assert_eq!((read.code, read.stderr.as_str()), (Some(0), ""), "{shell}");
            }
        }
        mana.run(&["completions", "tcsh"]).fails(2, "tcsh");
        mana.run(&["completions"]).fails(2, "<SHELL>");
    }

    #[test]
    fn bash_completes_commands_flags_and_files() {
        let mana = Mana::new();
        std::fs::write(mana.dir.path().join("completions"), mana.run(&["completions", "bash"]).stdout).unwrap();
        let completed = |words: &[&str]| {
            let script = r#"source ./completions
                name=$(complete -p mana-ai); name=${name##*-F }; name=${name%% *}
                COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
                "$name" mana-ai "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
                printf '%s\n' "${COMPREPLY[@]}""#;
            let ran = output(Command::new("bash").current_dir(mana.dir.path()).args(["-c", script, "bash"]).args(words));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
            ran.stdout.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(completed(&["mana-ai", "doc"]), ["doctor"]);
        assert_eq!(completed(&["mana-ai", "grant", "i"]), ["issue", "inspect"]);
        assert_eq!(completed(&["mana-ai", "doctor", "--js"]), ["--json"]);
        assert_eq!(completed(&["mana-ai", "import", "--skip"]), ["--skip-bad"]);
    }

    #[test]
    fn they_need_no_configuration_and_make_nothing() {
        let mana = Mana::new().with("PORT", "http").with("MANA_AI_CONFIG", "/no/such/file.toml");
        for args in [&["completions", "bash"][..], &["man"], &["--version"], &["--help"]] {
            let ran = mana.run(args);
            assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        }
        assert_eq!(std::fs::read_dir(mana.dir.path()).unwrap().count(), 0);
    }

    /// Checks that the programs which show a page have nothing to say against it.
    #[track_caller]
    fn accepted(page: &Path) {
        let name = page.display();
        assert!(!read(page).chars().any(|c| c.is_control() && c != '\n'), "{name}");
        if installed("groff") {
            let ran = output(Command::new("groff").args(["-man", "-ww", "-Tutf8", "-Kutf8", "-z"]).arg(page));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
        }
        if installed("man") {
            let ran = output(Command::new("man").args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(page).env("MANWIDTH", "80"));
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
        }
        if installed("mandoc") {
            let ran = output(Command::new("mandoc").args(["-man", "-Tlint", "-Werror"]).arg(page));
            assert_eq!(ran.code, Some(0), "{name}: {}", ran.stdout);
        }
    }

    /// The text of a page without the marks of its language.
    fn words(page: &str) -> String {
        page.replace(r"\-", "-").replace(r"\fB", "").replace(r"\fI", "").replace(r"\fR", "").replace(r"\&", "").replace(r"\*(Aq", "'")
    }

    #[test]
    fn the_main_page_tells_of_every_command() {
        let mana = Mana::new();
        let ran = mana.run(&["man"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let page = mana.dir.path().join("mana-ai.1");
        std::fs::write(&page, &ran.stdout).unwrap();
        accepted(&page);
        assert!(ran.stdout.contains(".TH mana-ai 1"), "{:.300}", ran.stdout);
        for command in commands(&mana, &[]) {
            assert!(words(&ran.stdout).contains(&format!("mana-ai-{command}(1)")), "{command}");
        }
    }

    #[test]
    fn every_command_has_a_page_with_its_flags() {
        let mana = Mana::new();
        let dir = mana.dir.path().join("man");
        let ran = mana.run(&["man", "man"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let mut expected: BTreeSet<String> = all_commands(&mana).iter().map(|path| format!("mana-ai-{}.1", path.join("-"))).collect();
        expected.insert("mana-ai.1".into());
        let made: BTreeSet<String> =
            std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(expected.is_subset(&made), "missing: {:?}", expected.difference(&made).collect::<Vec<_>>());
        for name in &made {
            accepted(&dir.join(name));
        }
        for path in all_commands(&mana) {
            let page = words(&read(dir.join(format!("mana-ai-{}.1", path.join("-")))));
            let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
            let help = mana.run(&args).stdout;
            let flags = help.split_whitespace().filter(|word| word.starts_with("--") && word.len() > 3);
            for flag in flags.map(|flag| flag.trim_end_matches(|c: char| !c.is_alphanumeric())) {
                assert!(page.contains(flag), "{flag} of {path:?}");
            }
        }
        assert_eq!(mana.run(&["man"]).stdout, read(dir.join("mana-ai.1")), "the main page is the same");
        let before = tree(&dir);
        assert_eq!(mana.run(&["man", "man"]).code, Some(0), "once more");
        assert_eq!(tree(&dir), before);
    }

    #[test]
    fn pages_that_cannot_be_written_are_told() {
        let mana = Mana::new();
        std::fs::write(mana.dir.path().join("file"), "").unwrap();
        mana.run(&["man", "file"]).fails(1, "file");
        mana.run(&["man", "file/below"]).fails(1, "file/below");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        let mana = Mana::new();
        for args in [&["man"][..], &["completions", "bash"]] {
            let mut child = mana.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            drop(child.stdout.take());
            let output = child.wait_with_output().unwrap();
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{args:?}");
        }
    }

    #[test]
    fn the_version_tells_the_commit_and_the_build() {
        let mana = Mana::new();
        let ran = mana.run(&["--version"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        let lines: Vec<&str> = ran.stdout.lines().collect();
        assert_eq!(lines.len(), 3, "{}", ran.stdout);
        assert_eq!(lines[0], concat!("mana-ai ", env!("CARGO_PKG_VERSION")));
        let commit = lines[1].strip_prefix("commit: ").unwrap();
        // A program that is being worked on is of no commit.
        let hash = commit.trim_end_matches("-dirty");
        let is_hash = (7..=40).contains(&hash.len()) && hash.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        assert!(is_hash || commit == "development", "{commit}");
        let build = lines[2].strip_prefix("build: ").unwrap();
        assert!(["debug, ", "release, "].iter().any(|profile| build.starts_with(profile)) && build.contains("rustc 1."), "{build}");
        let short = mana.run(&["-V"]).stdout;
        assert!(short.starts_with(&format!("mana-ai {}", env!("CARGO_PKG_VERSION"))), "{short}");
    }
}
