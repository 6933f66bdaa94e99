//! `mana-ai doctor`: what it finds, says, and leaves alone.

use super::*;

const CHECKS: [&str; 12] =
    ["config", "directory", "database", "disk", "clock", "time-zone", "port", "service-key", "users", "grant-key", "tools", "model"];

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
    let too_long = r#"{"error": {"message": "This model's maximum context length is 4096 tokens.", "code": "context_length_exceeded"}}"#;
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
    let other = crate::common::serve_raw(200, &[], "hello");
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
        let provider = crate::common::serve_raw(status, &[], body);
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
    crate::common::faults::kill(served);
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
