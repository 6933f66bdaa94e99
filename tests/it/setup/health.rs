//! `mana-ai health`.

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
    let address = crate::common::serve_raw(503, &[], ill);
    let ran = asks(&quiet(), address.port());
    ran.fails(1, "503");
    assert!(ran.stdout.contains("cannot be written") || ran.stderr.contains("cannot be written"), "{ran:?}");
    let hostile = crate::common::serve_raw(503, &[], "\u{1b}[31mred\u{7}");
    let ran = asks(&quiet(), hostile.port());
    ran.fails(1, "503");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\u{1b}'), "{ran:?}");
}

#[test]
fn another_program_on_the_port_is_not_well() {
    for (status, body) in [(200, "<html>hello</html>"), (200, ""), (200, r#"{"ok":false}"#), (404, "{}"), (302, "")] {
        let address = crate::common::serve_raw(status, &[("location", "http://127.0.0.1:9/")], body);
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
    faults.set(Fault::Write, crate::common::faults::NO_SPACE);
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
