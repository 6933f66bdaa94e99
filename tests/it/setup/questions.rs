//! The questions that `mana-ai init` asks on a terminal.

use super::*;

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
    for (question, answer) in [("server", "http://127.0.0.1:9"), ("model", "my \"own\" \\ model"), ("zone", "Asia/Tokyo"), ("port", "4001")]
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
