//! Tools that an endpoint carries out: what it is sent, how often, and what the step says afterwards (docs/design.md,
//! section 13.2).

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::common::{Mana, Model, Reply, hourly, insert, wait_for};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A call as the endpoint got it.
#[derive(Clone)]
struct Got {
    id: String,
    signature: String,
    timestamp: String,
    body: String,
}

/// An endpoint that answers one call after the other from its script, and the last answer for ever.
#[derive(Clone)]
struct Endpoint {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Endpoint {
    fn start(answers: &[(u16, &str)]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    fn on(listener: TcpListener, answers: &[(u16, &str)]) -> Self {
        let answers: Vec<(u16, String)> = answers.iter().map(|(status, text)| (*status, (*text).to_owned())).collect();
        let got: Arc<Mutex<Vec<Got>>> = Arc::default();
        let heard = Arc::clone(&got);
        let answer = move |headers: HeaderMap, body: Bytes| {
            let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
            let mut heard = heard.lock().unwrap();
            let (status, text_of) = answers[heard.len().min(answers.len() - 1)].clone();
            heard.push(Got {
                id: text("webhook-id"),
                signature: text("webhook-signature"),
                timestamp: text("webhook-timestamp"),
                body: String::from_utf8(body.to_vec()).unwrap(),
            });
            async move { (StatusCode::from_u16(status).unwrap(), [("location", "/elsewhere")], text_of) }
        };
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
            });
        });
        Endpoint { address, got }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }
}

/// A mission of ada whose plan rings a bell, which `endpoint` does.
fn world(endpoint: SocketAddr, more: &Value) -> Mana {
    let mana = Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", "http://127.0.0.1:9").with("BELL_SECRET", SECRET);
    let mut webhook = json!({"url": format!("http://{endpoint}/bell"), "secretEnv": "BELL_SECRET", "headers": {"x-door": "front"}});
    webhook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let tools = json!([{
        "name": "ring_bell", "module": "door", "description": "Ring the bell.", "execute": {"webhook": webhook},
        "parameters": [{"name": "times", "type": "integer", "required": true, "description": "How often."}],
    }]);
    let file = mana.dir.path().join("tools.json");
    std::fs::write(&file, tools.to_string()).unwrap();
    let mut mission = hourly("ada", "m", None, "2100-01-01T00:00:00.000Z");
    let step = json!({
        "id": "it-0", "summary": "Ring", "rationale": "Guests", "status": "staged",
        "intent": {"kind": "toolCall", "toolName": "ring_bell", "params": {"times": 2}},
    });
    mission["data"]["iterations"] = json!([{"id": "it", "overallStatus": "awaiting-review", "source": "server", "plan": [step]}]);
    let mana = mana.with("MANA_AI_TOOLS", file.display());
    mana.import(&[mission]);
    mana
}

fn approve(mana: &Mana) -> Value {
    mana.run(&["approve", "it-0", "--user", "ada", "--json"]).json().remove(0)
}

fn step(mana: &Mana) -> Value {
    mana.mission("m")["iterations"][0]["plan"][0].clone()
}

#[test]
fn an_approved_step_is_called_once_with_a_signature_and_its_answer_is_the_result() {
    let endpoint = Endpoint::start(&[(200, "Rang twice")]);
    let mana = world(endpoint.address, &json!({}));
    assert_eq!(mana.run(&["reviews", "--json"]).json()[0]["steps"][0]["preview"], Value::Null);
    assert!(endpoint.got().is_empty());
    assert_eq!(approve(&mana)["status"], "approved");
    assert_eq!((&step(&mana)["result"]["message"], &step(&mana)["result"]["by"]), (&json!("Rang twice"), &json!("webhook")));
    assert_eq!(mana.mission("m")["iterations"][0]["overallStatus"], "approved");
    let got = endpoint.got();
    let sent: Value = serde_json::from_str(&got[0].body).unwrap();
    let expected = json!({
        "id": "it-0", "tool": "ring_bell", "params": {"times": 2}, "rationale": "Guests", "missionId": "m", "iterationId": "it",
        "agent": null, "user": "ada",
    });
    assert_eq!((got.len(), got[0].id.as_str(), &sent), (1, "it-0", &expected));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &base64_of(SECRET.strip_prefix("whsec_").unwrap()));
    let signed = format!("{}.{}.{}", got[0].id, got[0].timestamp, got[0].body);
    let tag = base64_of(got[0].signature.strip_prefix("v1,").unwrap());
    aws_lc_rs::hmac::verify(&key, signed.as_bytes(), &tag).unwrap();
    assert_eq!(approve(&mana)["changed"], false);
    assert_eq!(endpoint.got().len(), 1);
}

fn base64_of(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[test]
fn a_refusal_is_for_good_and_a_redirect_is_not_followed() {
    for (status, expected) in [(422, "failed"), (409, "failed"), (302, "staged"), (500, "staged")] {
        let endpoint = Endpoint::start(&[(status, "No bell")]);
        let mana = world(endpoint.address, &json!({}));
        let approved = approve(&mana);
        assert_eq!(approved["status"], expected, "{status}");
        let told = approved["error"].as_str().unwrap();
        assert_eq!(told.starts_with("not taken yet, and tried again: the endpoint answered"), expected == "staged", "{told}");
        if expected == "failed" {
            assert_eq!(step(&mana)["error"], format!("the endpoint answered {}: No bell", StatusCode::from_u16(status).unwrap()));
            assert_eq!(mana.mission("m")["iterations"][0]["overallStatus"], "failed");
        }
        assert_eq!(endpoint.got().len(), 1);
    }
}

/// A decision anew is a call anew: the endpoint must not take it for the one that it refused.
#[test]
fn a_step_that_failed_is_approved_again_with_another_id() {
    let endpoint = Endpoint::start(&[(422, "Nobody home"), (422, "Still nobody"), (200, "Rang")]);
    let mana = world(endpoint.address, &json!({"idempotent": true}));
    for (status, said) in [("failed", "Nobody home"), ("failed", "Still nobody"), ("approved", "")] {
        let approved = approve(&mana);
        // An approval that is sent twice repeats nothing.
        assert_eq!(approve(&mana)["changed"], false);
        mana.run(&["undo", "it-0", "--user", "ada", "--json"]);
        assert_eq!(
            (approved["status"].as_str().unwrap(), approved["error"].as_str().unwrap().contains(said)),
            (status, true),
            "{approved}"
        );
    }
    let ids: Vec<String> = endpoint.got().iter().map(|got| got.id.clone()).collect();
    assert_eq!(ids, ["it-0", "it-0-again-1", "it-0-again-2"]);
    assert!(endpoint.got().iter().all(|got| got.body.contains(&format!("\"id\":\"{}\"", got.id))));
    assert_eq!((&step(&mana)["result"]["message"], &step(&mana)["error"]), (&json!("Rang"), &Value::Null));
    assert_eq!(approve(&mana)["changed"], false);
}

/// What only reads needs no review where the policy says so: the answer is there for the next plan.
#[test]
fn a_tool_that_only_reads_is_called_with_the_plan_and_its_answer_is_in_the_next_prompt() {
    let endpoint = Endpoint::start(&[(200, "Rain until noon")]);
    let call = json!({"summary": "look", "steps": [{"summary": "Look out", "rationale": "r", "toolName": "look_out", "params": {}}]});
    let model = Model::start(std::time::Duration::ZERO, move |_| Reply::Plan(call.clone()));
    let mana = Mana::new().with("TICK_ENABLED", "false").with("MANA_LLM_URL", model.url()).with("MANA_AI_PLANNER", "json");
    let tools = json!([{
        "name": "look_out", "module": "door", "description": "Look out.", "readOnly": true,
        "execute": {"webhook": {"url": format!("http://{}/sky", endpoint.address)}},
    }]);
    let file = mana.dir.path().join("tools.json");
    std::fs::write(&file, tools.to_string()).unwrap();
    let mana = mana.with("MANA_AI_TOOLS", file.display());
    let agent = insert("ada", "agents", "a", json!({"name": "A", "policy": {"tools": {"look_out": "auto"}}}));
    mana.import(&[agent, hourly("ada", "m", Some("a"), "2026-04-15T08:00:00.000Z")]);
    mana.run(&["tick", "--now", "2026-04-15T08:00:30Z"]);
    wait_for("the answer", || {
        mana.run(&["tick", "--now", "2026-04-15T08:01:00Z"]);
        (step(&mana)["status"] == "approved").then_some(())
    });
    assert_eq!(step(&mana)["result"]["message"], "Rain until noon");
    mana.run(&["tick", "--now", "2026-04-15T09:00:30Z"]);
    let prompts = model.requests();
    assert!(prompts.last().unwrap()["messages"].to_string().contains("Rain until noon"), "{prompts:?}");
}

#[test]
fn a_tick_makes_the_calls_whose_time_has_come() {
    let endpoint = Endpoint::start(&[(503, "later"), (200, "")]);
    let mana = world(endpoint.address, &json!({}));
    assert_eq!(approve(&mana)["status"], "staged");
    wait_for("the second try", || {
        mana.run(&["tick", "--json"]).json();
        (step(&mana)["status"] == "approved").then_some(())
    });
    assert_eq!(endpoint.got().len(), 2);
}

#[test]
fn a_server_tries_again_what_did_not_work_with_the_same_id() {
    let endpoint = Endpoint::start(&[(503, "later"), (200, "")]);
    let mana = world(endpoint.address, &json!({}));
    let served = mana.serve();
    assert_eq!(approve(&mana)["changed"], true);
    wait_for("the second try", || (step(&mana)["status"] == "approved").then_some(()));
    assert_eq!(step(&mana)["result"]["message"], "Done");
    let ids: Vec<String> = endpoint.got().iter().map(|got| got.id.clone()).collect();
    assert_eq!(ids, ["it-0", "it-0"]);
    drop(served);
}

/// A process that dies in a call leaves an outcome that nobody knows: only what says that it is idempotent is called again.
#[test]
fn an_outcome_that_nobody_knows_is_told_unless_the_tool_is_idempotent() {
    for idempotent in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mana = world(listener.local_addr().unwrap(), &json!({"idempotent": idempotent}));
        let mut served = mana.serve();
        let mut approving = mana.command(&["approve", "it-0", "--user", "ada"]).spawn().unwrap();
        // Somebody calls, and hears nothing.
        let (call, _) = listener.accept().unwrap();
        served.child.kill().unwrap();
        approving.kill().unwrap();
        served.child.wait().unwrap();
        approving.wait().unwrap();
        drop((call, served));
        let endpoint = Endpoint::on(listener, &[(204, "")]);
        let served = mana.serve();
        let expected = if idempotent { "approved" } else { "failed" };
        wait_for("the end of the call", || (step(&mana)["status"] == expected).then_some(()));
        if !idempotent {
            assert!(step(&mana)["error"].as_str().unwrap().starts_with("outcome unknown"), "{}", step(&mana));
        }
        assert_eq!(endpoint.got().len(), usize::from(idempotent));
        drop(served);
    }
}

#[test]
fn a_webhook_that_cannot_be_called_stops_the_start() {
    let mana = world("127.0.0.1:9".parse().unwrap(), &json!({"secretEnv": "NOT_SET"}));
    mana.run(&["serve", "--port", "0"]).fails(2, "the variable NOT_SET, which its `secretEnv` names, is not set");
}
