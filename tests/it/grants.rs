//! Encrypted inputs: read under a grant for exactly that record, and never without a trace (docs/design.md, section 8).

use std::time::Duration;

use crate::common::{Mana, Model, Ran, Reply, edit, get, hourly, insert, metric, request};
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";
const NOW: &str = "2026-04-15T08:00:30Z";

/// The cases that another implementation made.
struct Vectors(Value);

impl Vectors {
    fn load() -> Self {
        let path = format!("{}/tests/vectors/grants.json", env!("CARGO_MANIFEST_DIR"));
        Vectors(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    fn pem(&self) -> &str {
        self.0["privateKeyPem"].as_str().unwrap()
    }

    fn case(&self, n: usize) -> &Value {
        &self.0["cases"][n]
    }

    fn grant(&self, n: usize) -> Value {
        let case = self.case(n);
        json!({
            "wrappedKey": case["wrappedKey"], "derivation": case["derivation"],
            "issuedAt": "2026-04-01T00:00:00.000Z", "expiresAt": "2026-05-01T00:00:00.000Z",
        })
    }

    /// Texts that must appear nowhere but in a prompt, or nowhere at all.
    fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> = self.pem().lines().filter(|line| line.len() > 40).map(str::to_owned).collect();
        for case in self.0["cases"].as_array().unwrap() {
            let hex = case["mdkHex"].as_str().unwrap();
            let bytes: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect();
            secrets.extend([hex.to_owned(), format!("{bytes:?}"), bytes.iter().map(|b| format!("\\x{b:02x}")).collect()]);
            secrets.push(case["masterKeyHex"].as_str().unwrap().to_owned());
        }
        secrets
    }
}

fn mana(model: &Model, pem: &str) -> Mana {
    Mana::new().with("MANA_LLM_URL", model.url()).with("MANA_AI_PRIVATE_KEY_PEM", pem).with("TICK_ENABLED", "false")
}

fn planner() -> Model {
    Model::start(Duration::ZERO, |_| Reply::task("x"))
}

fn prompt_of(request: &Value) -> String {
    let text = |n: usize| request["messages"][n]["content"].as_str().unwrap().to_owned();
    text(0) + &text(1)
}

fn record(user: &str, app: &str, table: &str, id: &str, data: &Value) -> Value {
    let mut line = insert(user, table, id, data.clone());
    line["appId"] = app.into();
    line
}

fn input(module: &str, table: &str, id: &str) -> Value {
    json!({"module": module, "table": table, "id": id})
}

/// A due mission with inputs and a grant.
fn mission(user: &str, id: &str, inputs: Value, grant: Value) -> Value {
    let mut line = hourly(user, id, None, DUE);
    line["data"]["inputs"] = inputs;
    line["data"]["grant"] = grant;
    line
}

/// What the audit tells a user, through the server.
fn audit(mana: &Mana, user: &str, query: &str) -> Vec<Value> {
    let served = mana.serve();
    let (status, body) = request("GET", &served.url(&format!("/api/v1/me/ai-audit{query}")), &[("authorization", &bearer(mana, user))]);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["rows"].as_array().unwrap().clone()
}

fn bearer(mana: &Mana, user: &str) -> String {
    let ran = mana.run(&["token", "create", "--user", user]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    format!("Bearer {}", ran.stdout.trim())
}

fn tick(mana: &Mana) -> Ran {
    let ran = mana.run(&["tick", "--now", NOW, "--json", "--log", "trace"]);
    assert_eq!(ran.json()[0]["plansWrittenBack"], 1, "{ran:?}");
    ran
}

#[test]
fn encrypted_inputs_reach_the_prompt_under_a_grant_and_the_user_sees_each_read() {
    let (vectors, model) = (Vectors::load(), planner());
    let mana = mana(&model, vectors.pem()).with("MANA_LLM_API_KEY", "sk-quite-secret");
    let case = vectors.case(1);
    mana.import(&[
        record("u", "notes", "notes", "n1", &case["encrypted"]),
        record("u", "todo", "tasks", "t1", &case["encrypted"]),
        record("u", "notes", "notes", "outside", &case["encrypted"]),
        record("u", "companion", "goals", "g1", &json!({"title": "Sparen", "currentValue": 2, "targetValue": 9})),
        mission(
            "u",
            "dev-m-1",
            json!([
                input("notes", "notes", "n1"),
                input("tasks", "tasks", "t1"),
                input("notes", "notes", "outside"),
                input("goals", "goals", "g1")
            ]),
            vectors.grant(1),
        ),
    ]);
    let ran = tick(&mana);
    let prompt = prompt_of(&model.requests()[0]);
    for text in ["[notes n1] Steuer", "[tasks t1] Steuer", "Belege sortieren\nstatus: open\ndueDate: 2026-05-01", "[goals g1] Sparen"] {
        assert!(prompt.contains(text), "{text}\n{prompt}");
    }
    assert!(!prompt.contains("outside]") && prompt.contains("1 linked input could not be read"), "{prompt}");
    for secret in vectors.secrets() {
        assert!(!prompt.contains(&secret) && !ran.stderr.contains(&secret), "{secret}");
    }
    assert!(ran.stderr.contains("TRACE"), "the log shows all there is");
    for private in ["Belege", "Steuer", "Sparen", "sk-quite-secret"] {
        assert!(!ran.stderr.contains(private), "{private}\n{}", ran.stderr);
    }
    let rows = audit(&mana, "u", "");
    let seen: Vec<_> = rows.iter().map(|row| (row["recordId"].clone(), row["status"].clone(), row["reason"].clone())).collect();
    assert_eq!(
        seen,
        [
            (json!("outside"), json!("scope-violation"), json!("not-in-grant")),
            (json!("t1"), json!("ok"), Value::Null),
            (json!("n1"), json!("ok"), Value::Null),
        ]
    );
    let run = mana.run(&["runs", "--json"]).json().remove(0);
    assert_eq!(rows[0]["missionId"], "dev-m-1");
    assert_eq!(rows[0]["iterationId"], run["iterationId"]);
    assert_eq!(rows[0]["ts"], "2026-04-15T08:00:30.000Z");
    assert_eq!(run["note"], "1 linked input was left out (notes outside: it is outside of the grant)");
}

#[test]
fn a_grant_that_was_issued_here_is_told_and_used() {
    let (vectors, model) = (Vectors::load(), planner());
    let mana = mana(&model, vectors.pem());
    let case = vectors.case(1);
    std::fs::write(mana.dir.path().join("master"), case["masterKeyHex"].as_str().unwrap()).unwrap();
    std::fs::write(mana.dir.path().join("public.pem"), vectors.0["publicKeyPem"].as_str().unwrap()).unwrap();
    let issue = |extra: &[&str]| {
        let args = ["grant", "issue", "--master-key", "master", "--mission", "dev-m-1", "--record", "tasks:t1", "--record", "notes:n1"];
        mana.run(&[&args, extra].concat())
    };
    for (extra, allowed) in [(["--ttl", "1h"], true), (["--ttl", "30d"], true), (["--ttl", "59m"], false), (["--ttl", "721h"], false)] {
        let ran = issue(&extra);
        assert_eq!(ran.code, Some(if allowed { 0 } else { 2 }), "{ran:?}");
    }
    let grant = issue(&["--public-key", "public.pem"]).json().remove(0);
    std::fs::write(mana.dir.path().join("grant.json"), grant.to_string()).unwrap();
    let told = mana.run(&["grant", "inspect", "grant.json", "--json"]).json().remove(0);
    assert_eq!(
        (&told["usable"], &told["missionId"], &told["recordIds"]),
        (&json!(true), &json!("dev-m-1"), &json!(["tasks:t1", "notes:n1"]))
    );
    let late = mana.run(&["grant", "inspect", "grant.json", "--json", "--now", "2099-01-01T00:00:00Z"]).json().remove(0);
    assert_eq!((&late["usable"], &late["reason"]), (&json!(false), &json!("expired")));
    let elsewhere = mana.run(&["grant", "inspect", "grant.json", "--mission", "other"]);
    assert!(elsewhere.stdout.contains("no: the grant is for another mission"), "{elsewhere:?}");
    mana.import(&[
        record("u", "notes", "notes", "n1", &case["encrypted"]),
        mission("u", "dev-m-1", json!([input("notes", "notes", "n1")]), grant),
    ]);
    assert_eq!(mana.run(&["tick", "--json"]).json()[0]["plansWrittenBack"], 1);
    assert!(prompt_of(&model.requests()[0]).contains("Belege sortieren"));
    for secret in vectors.secrets() {
        assert!(!format!("{told}{elsewhere:?}").contains(&secret), "{secret}");
    }
}

#[test]
fn whatever_is_wrong_no_plaintext_leaves_and_the_mission_runs_with_the_rest() {
    let vectors = Vectors::load();
    let good = vectors.case(0)["encrypted"].clone();
    let grant = vectors.grant(0);
    let wrapped = grant["wrappedKey"].as_str().unwrap().to_owned();
    let with = |base: &Value, pointer: &str, value: Value| {
        let mut changed = base.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let content = good["content"].as_str().unwrap();
    let (head, tail) = content.split_once('.').unwrap();
    let tampered = format!("{head}.{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    let cases = [
        ("tampered", with(&good, "/content", json!(tampered)), grant.clone(), "n0", ("failed", "not-authentic")),
        ("long iv", with(&good, "/content", json!(format!("enc:1:AAAA{}", &content[6..]))), grant.clone(), "n0", ("failed", "bad-iv")),
        ("short iv", with(&good, "/title", json!("enc:1:AAAA.AAAA")), grant.clone(), "n0", ("failed", "bad-iv")),
        ("no dot", with(&good, "/title", json!("enc:1:AAAA")), grant.clone(), "n0", ("failed", "bad-format")),
        (
            "truncated key",
            good.clone(),
            with(&grant, "/wrappedKey", json!(wrapped[..wrapped.len() - 8])),
            "n0",
            ("failed", "wrap-rejected"),
        ),
        ("expired", good.clone(), with(&grant, "/expiresAt", json!("2026-04-15T08:00:30Z")), "n0", ("failed", "expired")),
        ("other mission", good.clone(), vectors.grant(1), "n0", ("failed", "wrong-mission")),
        ("malformed", good.clone(), json!("grant"), "n0", ("failed", "malformed")),
        ("outside", good.clone(), grant.clone(), "n9", ("scope-violation", "not-in-grant")),
        ("table", good.clone(), with(&grant, "/derivation/tables", json!(["tasks"])), "n0", ("scope-violation", "not-in-grant")),
    ];
    for (name, note, grant, id, (status, reason)) in cases {
        let model = planner();
        let mana = mana(&model, vectors.pem());
        mana.import(&[
            record("u", "notes", "notes", id, &note),
            record("u", "companion", "goals", "g", &json!({"title": "Run", "currentValue": 1})),
            mission("u", "dev-m-0", json!([input("notes", "notes", id), input("goals", "goals", "g")]), grant),
        ]);
        let served = mana.serve();
        // The vectors' grant has a fixed time, so the tick that reads it has one too.
        let ran = tick(&mana);
        let prompt = prompt_of(&model.requests()[0]);
        assert!(prompt.contains("[goals g] Run") && prompt.contains("1 linked input could not be read"), "{name}: {prompt}");
        for text in ["Einkauf", "Milch", "enc:1:"] {
            assert!(!prompt.contains(text) && !ran.stderr.contains(text), "{name}: {text}");
        }
        let (_, body) = request("GET", &served.url("/api/v1/me/ai-audit"), &[("authorization", &bearer(&mana, "u"))]);
        let rows = serde_json::from_str::<Value>(&body).unwrap()["rows"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 1, "{name}: {body}");
        assert_eq!((&rows[0]["status"], &rows[0]["reason"]), (&json!(status), &json!(reason)), "{name}");
    }
}

#[test]
fn an_edited_expiry_reopens_no_grant() {
    let (vectors, model) = (Vectors::load(), planner());
    let ended = |at: &str| {
        let mut grant = vectors.grant(0);
        grant["expiresAt"] = at.into();
        grant
    };
    let change = |data: Value| edit("u", "dev-m-0", data, "2026-04-15T07:00:00Z");
    let later = json!({"grant": ended("2030-01-01T00:00:00Z")});
    // What is folded before the next rows come, then those rows; and whether the note is read.
    let cases = [
        (
            "the field, in one batch",
            ended("2026-04-10T00:00:00Z"),
            None,
            vec![change(json!({"grant.expiresAt": "2030-01-01T00:00:00Z"}))],
            false,
        ),
        (
            "the field, after a refresh",
            ended("2026-04-10T00:00:00Z"),
            Some(vec![]),
            vec![change(json!({"grant.expiresAt": "2030-01-01T00:00:00Z"}))],
            false,
        ),
        ("the whole grant", ended("2026-04-10T00:00:00Z"), Some(vec![]), vec![change(later.clone())], false),
        (
            "shorter for a while",
            ended("2026-05-01T00:00:00Z"),
            Some(vec![edit("u", "dev-m-0", json!({"grant.expiresAt": "2026-04-10T00:00:00Z"}), "2026-04-09T00:00:00Z")]),
            vec![change(later)],
            false,
        ),
        (
            "gone for a while",
            ended("2026-05-01T00:00:00Z"),
            Some(vec![change(json!({"grant": null}))]),
            vec![edit("u", "dev-m-0", json!({"grant": vectors.grant(0)}), "2026-04-15T07:30:00Z")],
            true,
        ),
    ];
    for (name, grant, folded, rows, read) in cases {
        let mana = mana(&model, vectors.pem());
        let line = mission("u", "dev-m-0", json!([input("notes", "notes", "n0")]), grant);
        mana.import(&[record("u", "notes", "notes", "n0", &vectors.case(0)["encrypted"]), line]);
        for rows in folded.into_iter().chain([rows]) {
            // Nothing is due yet; what is there is folded.
            assert_eq!(mana.run(&["tick", "--now", "2026-04-15T06:00:00Z"]).code, Some(0));
            mana.import(&rows);
        }
        tick(&mana);
        let expected = if read { (json!("ok"), Value::Null) } else { (json!("failed"), json!("expired")) };
        let row = audit(&mana, "u", "").remove(0);
        assert_eq!((row["status"].clone(), row["reason"].clone()), expected, "{name}");
    }
}

#[test]
fn without_a_private_key_the_mission_still_runs() {
    let (vectors, model) = (Vectors::load(), planner());
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    mana.import(&[
        record("u", "notes", "notes", "n0", &vectors.case(0)["encrypted"]),
        record("u", "notes", "notes", "plain", &json!({"title": "Offen", "content": "lesbar"})),
        mission("u", "dev-m-0", json!([input("notes", "notes", "n0"), input("notes", "notes", "plain")]), vectors.grant(0)),
    ]);
    tick(&mana);
    let prompt = prompt_of(&model.requests()[0]);
    assert!(prompt.contains("[notes plain] Offen") && prompt.contains("1 linked input could not be read"), "{prompt}");
    assert_eq!(audit(&mana, "u", "?missionId=dev-m-0")[0]["reason"], "not-configured");
}

#[test]
fn reads_are_counted_by_the_server_that_made_them() {
    let (vectors, model) = (Vectors::load(), planner());
    let mana = mana(&model, vectors.pem());
    let far = |mut grant: Value| {
        grant["expiresAt"] = "2099-01-01T00:00:00Z".into();
        grant
    };
    let note = &vectors.case(0)["encrypted"];
    mana.import(&[
        record("u", "notes", "notes", "n0", note),
        record("u", "notes", "notes", "n9", note),
        mission("u", "dev-m-0", json!([input("notes", "notes", "n0"), input("notes", "notes", "n9")]), far(vectors.grant(0))),
        mission("u", "old", json!([input("notes", "notes", "n0")]), vectors.grant(1)),
    ]);
    let served = mana.serve();
    let key = std::fs::read_to_string(mana.dir.path().join("service-key")).unwrap();
    let (status, body) = request("POST", &served.url("/internal/tick"), &[("x-service-key", key.trim())]);
    assert_eq!(status, 200, "{body}");
    for (series, value) in [
        ("mana_ai_decrypts_total{table=\"notes\"", 1.0),
        ("mana_ai_grant_scope_violations_total{table=\"notes\"", 1.0),
        ("mana_ai_grant_skips_total{reason=\"expired\"", 1.0),
        ("mana_ai_grant_skips_total{reason=\"malformed\"", 0.0),
    ] {
        assert_eq!(metric(&served, series), value, "{series}");
    }
    let (_, metrics) = get(&served.url("/metrics"));
    for secret in vectors.secrets() {
        assert!(!served.log().contains(&secret) && !metrics.contains(&secret), "{secret}");
    }
}

#[test]
fn a_wrong_private_key_stops_the_start_without_telling_it() {
    let mana = Mana::new().with("MANA_AI_PRIVATE_KEY_PEM", "-----BEGIN PRIVATE KEY-----\\nc2VjcmV0\\n-----END PRIVATE KEY-----");
    let ran = mana.run(&["tick"]);
    ran.fails(2, "MANA_AI_PRIVATE_KEY_PEM is not an RSA key of at least 2048 bits");
    assert!(!ran.stderr.contains("c2VjcmV0"));
}

#[test]
fn a_new_grant_makes_the_next_run_read_again() {
    let (vectors, model) = (Vectors::load(), planner());
    let mana = mana(&model, vectors.pem());
    let case = vectors.case(0);
    let mut expired = vectors.grant(0);
    expired["expiresAt"] = "2026-04-15T08:00:00Z".into();
    mana.import(&[
        record("u", "notes", "notes", "n0", &case["encrypted"]),
        mission("u", "dev-m-0", json!([input("notes", "notes", "n0")]), expired),
    ]);
    tick(&mana);
    std::fs::write(mana.dir.path().join("master"), case["masterKeyHex"].as_str().unwrap()).unwrap();
    let records = case["derivation"]["recordIds"].as_array().unwrap().iter().flat_map(|id| ["--record", id.as_str().unwrap()]);
    let args: Vec<&str> = ["grant", "issue", "--master-key", "master", "--mission", "dev-m-0"].into_iter().chain(records).collect();
    let fresh = mana.run(&args).json().remove(0);
    mana.import(&[edit("u", "dev-m-0", json!({"grant": fresh}), "2026-04-15T08:30:00Z")]);
    mana.run(&["tick", "--now", "2026-04-15T09:00:30Z"]);
    let prompts: Vec<_> = model.requests().iter().map(|request| prompt_of(request).contains("Milch & Käse")).collect();
    assert_eq!(prompts, [false, true]);
}

#[test]
fn a_grant_that_is_taken_back_while_its_run_waits_is_not_used() {
    let vectors = Vectors::load();
    let model = Model::held(|_| Reply::task("x"));
    let mana = mana(&model, vectors.pem()).with("MAX_PARALLEL_PLANS", 1);
    let mut grant = vectors.grant(0);
    grant["expiresAt"] = "2099-01-01T00:00:00Z".into();
    let mut second = mission("u", "dev-m-0", json!([input("notes", "notes", "n0")]), grant);
    second["data"]["nextRunAt"] = "2026-04-15T08:30:00.000Z".into();
    mana.import(&[record("u", "notes", "notes", "n0", &vectors.case(0)["encrypted"]), hourly("u", "first", None, DUE), second]);
    let served = mana.serve();
    let key = std::fs::read_to_string(mana.dir.path().join("service-key")).unwrap();
    let url = served.url("/internal/tick");
    let ticking = std::thread::spawn(move || request("POST", &url, &[("x-service-key", key.trim())]));
    crate::common::wait_for("the first plan", || (model.requests().len() == 1).then_some(()));
    mana.import(&[edit("u", "dev-m-0", json!({"grant": null}), "2026-04-15T09:00:00Z")]);
    model.release();
    assert_eq!(ticking.join().unwrap().0, 200);
    let prompts: Vec<String> = model.requests().iter().map(prompt_of).collect();
    assert!(prompts.len() == 2 && prompts[1].contains("Mission dev-m-0"), "{prompts:?}");
    assert!(!prompts[1].contains("Einkauf") && prompts[1].contains("1 linked input could not be read"), "{}", prompts[1]);
}
