//! `mana-ai init`: the directory, its keys and its file.

use super::*;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};

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
    let vectors: Value = serde_json::from_str(&read(crate::common::fixture("tests/vectors/grants.json"))).unwrap();
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
        crate::common::request("GET", &served.url("/api/v1/me/ai-audit"), &[("authorization", &format!("Bearer {}", token.trim()))]);
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
    let (status, body) = crate::common::request("POST", &served.url("/internal/tick"), &[("x-service-key", before[0].trim())]);
    assert_eq!(status, 200, "{body}");
    let token = mana.run(&["token", "create", "--user", "me"]).stdout;
    let (status, _) =
        crate::common::request("GET", &served.url("/api/v1/me/ai-audit"), &[("authorization", &format!("Bearer {}", token.trim()))]);
    assert_eq!(status, 200);
    assert_eq!(KEYS.iter().map(|name| read(mana.dir.path().join(name))).collect::<Vec<_>>(), before);
    for key in &before {
        assert!(!served.log().contains(key.lines().nth(1).unwrap_or(key.trim())), "no key in the log");
    }
}

#[test]
fn a_grant_for_its_public_key_is_opened_by_the_runner() {
    let vectors: Value = serde_json::from_str(&read(crate::common::fixture("tests/vectors/grants.json"))).unwrap();
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
