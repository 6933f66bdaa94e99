//! The page of a run: each question to the model, what came back, what the check said of it, and the prompt on request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::pages::sign_in;
use crate::common::{Mana, Model, Reply, Served, edit, hourly, insert, request};
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";

fn note(id: &str, title: &str, content: Value) -> Value {
    let mut line = insert("ada", "notes", id, json!({"title": title, "content": content}));
    line["appId"] = "notes".into();
    line
}

/// A mission of Ada with inputs, and her agent.
fn mission(inputs: &[&str]) -> [Value; 2] {
    let mut mission = hourly("ada", "dev-m-0", Some("mira"), DUE);
    mission["data"]["title"] = "Tidy the shelf".into();
    mission["data"]["inputs"] = inputs.iter().map(|id| json!({"module": "notes", "table": "notes", "id": id})).collect();
    [insert("ada", "agents", "mira", json!({"name": "Mira", "systemPrompt": "Be kind."})), mission]
}

struct Shown {
    mana: Mana,
    served: Served,
    cookie: String,
    run: Value,
}

/// Runs what is due, and signs Ada in.
fn shown(mana: Mana) -> Shown {
    let mana = mana.with("TICK_ENABLED", "false");
    mana.run(&["tick", "--now", "2026-04-15T08:00:30Z"]);
    let run = mana.run(&["runs", "--json"]).json().remove(0);
    let served = mana.serve();
    let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
    Shown { mana, served, cookie, run }
}

impl Shown {
    fn page(&self, rest: &str) -> (u16, String) {
        let path = format!("/runs/{}{rest}", self.run["id"].as_str().unwrap());
        let (status, body) = request("GET", &self.served.url(&path), &[("cookie", &self.cookie)]);
        (status, body.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&"))
    }
}

#[test]
fn each_question_is_told_with_its_tools_and_what_the_check_said() {
    let asked = AtomicUsize::new(0);
    let model = Model::start(Duration::ZERO, move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => {
            let call = |name: &str, arguments: Value| json!({"id": name, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}});
            let task = call("create_task", json!({"title": "t", "priority": "PIN 4711", "rationale": "r"}));
            let calls = [task, call("pin_4711", json!({"rationale": "r"}))];
            let message = json!({"role": "assistant", "content": "PIN 4711", "tool_calls": calls});
            let usage = json!({"prompt_tokens": 70, "completion_tokens": 30, "total_tokens": 100});
            let body = json!({"model": "m", "choices": [{"message": message}], "usage": usage});
            Reply::Raw { status: 200, content_type: "application/json", body: body.to_string() }
        }
        _ => Reply::task("dust"),
    });
    let mana = Mana::new().with("MANA_LLM_URL", model.url());
    mana.import(&[note("n", "Shelf", "two metres".into())]);
    mana.import(&mission(&["n"]));
    let shown = shown(mana);
    let rounds = shown.run["attempts"][0]["rounds"].as_array().unwrap();
    assert_eq!((rounds.len(), &rounds[0]["promptTokens"], &rounds[0]["completionTokens"]), (2, &json!(70), &json!(30)), "{rounds:?}");
    assert_eq!((&rounds[0]["answer"]["tools"], &rounds[1]["answer"]["problems"]), (&json!(["create_task", null]), &json!([])));
    let problems = json!([{"step": 1, "kind": "no-choice", "param": "priority"}, {"step": 2, "kind": "unknown-tool"}]);
    assert_eq!(rounds[0]["answer"]["problems"], problems);
    let (_, page) = shown.page("");
    let fault = "Step 1: A value is none of the choices. (priority)";
    let unknown = "<code>create_task</code>, unknown tool";
    let places: Vec<_> =
        ["1 linked record read", "Question 1", "70 input tokens, 30 output", unknown, fault, "Question 2", "found nothing wrong"]
            .map(|part| page.find(part).unwrap_or_else(|| panic!("{part:?} is not in {page}")))
            .into();
    assert!(places.is_sorted(), "{places:?}: {page}");
    // What a model says may be what a note held.
    let kept = shown.mana.run(&["runs", "--json"]).stdout;
    assert!(!kept.contains("4711") && !page.contains("4711"), "{kept}");
}

#[test]
fn the_prompt_of_an_attempt_is_as_it_was_sent_whatever_changed_since() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("dust"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("MANA_AI_PLANNER", "tools");
    mana.import(&[note("n", "Shelf", "two metres".into())]);
    mana.import(&mission(&["n"]));
    let shown = shown(mana);
    let sent = model.requests().remove(0);
    let later = "2027-01-01T00:00:00.000Z";
    let mut changed = edit("ada", "n", json!({"content": "three metres"}), later);
    changed["appId"] = "notes".into();
    changed["table"] = "notes".into();
    let mut agent = edit("ada", "mira", json!({"systemPrompt": "Be strict."}), later);
    agent["table"] = "agents".into();
    shown.mana.import(&[changed, agent, edit("ada", "dev-m-0", json!({"title": "Burn the shelf"}), later)]);
    assert_eq!(shown.mana.mission("dev-m-0")["title"], "Burn the shelf");
    let (_, page) = shown.page("/prompts/1");
    for message in sent["messages"].as_array().unwrap() {
        let text = message["content"].as_str().unwrap();
        assert!(page.contains(text), "{text} is not in {page}");
    }
    assert!(page.contains("two metres") && page.contains("as many as were sent") && page.contains("<code>create_task</code>"), "{page}");
    assert!(shown.page("").1.contains("/prompts/1"));
    assert_eq!(["/prompts/0", "/prompts/2", "/prompts/x"].map(|rest| shown.page(rest).0), [404, 404, 400]);
    let bens = sign_in(&shown.served, shown.mana.run(&["token", "create", "--user", "ben"]).stdout.trim());
    let path = format!("/runs/{}/prompts/1", shown.run["id"].as_str().unwrap());
    assert_eq!(request("GET", &shown.served.url(&path), &[("cookie", &bens)]).0, 404);
}

#[test]
fn a_prompt_that_is_asked_for_opens_nothing_that_is_encrypted() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/grants.json")).unwrap();
    let case = &vectors["cases"][0];
    let model = Model::start(Duration::ZERO, |_| Reply::task("dust"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("MANA_AI_PRIVATE_KEY_PEM", vectors["privateKeyPem"].as_str().unwrap());
    let [agent, mut mission] = mission(&["n0"]);
    mission["data"]["grant"] =
        json!({"wrappedKey": case["wrappedKey"], "derivation": case["derivation"], "issuedAt": DUE, "expiresAt": "2099-01-01T00:00:00Z"});
    let mut sealed = insert("ada", "notes", "n0", case["encrypted"].clone());
    sealed["appId"] = "notes".into();
    mana.import(&[agent, mission, sealed]);
    let shown = shown(mana);
    let prompt = model.requests().remove(0)["messages"][1]["content"].as_str().unwrap().to_owned();
    let secret = case["plain"].as_object().and_then(|plain| plain.values().find_map(Value::as_str)).unwrap();
    assert!(prompt.contains(secret), "{secret} is not in {prompt}");
    let (status, page) = shown.page("/prompts/1");
    assert_eq!(status, 200);
    assert!(!page.contains(secret) && !page.contains("enc:1:") && page.contains("1 encrypted record stays closed"), "{page}");
    assert!(page.contains("characters were sent") && page.contains("Tidy the shelf"), "{page}");
    assert_eq!(shown.page("").1.matches("1 attempt to read an encrypted record").count(), 1, "to look is no read");
}

/// Where parts stand in a page, in their order; `None`: one is not there.
fn order(page: &str, parts: &[&str]) -> Option<bool> {
    let main = page.split_once("<main").unwrap().1;
    let places: Option<Vec<usize>> = parts.iter().map(|part| main.find(part)).collect();
    Some(places?.is_sorted())
}

#[test]
fn runs_are_sought_by_the_title_of_their_mission_and_sorted_by_their_time() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("dust"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("TICK_ENABLED", "false");
    let [agent, mut shelf] = mission(&[]);
    shelf["data"]["cadence"] = json!({"kind": "daily", "atHour": 8});
    let mut garden = hourly("ada", "g", None, "2026-04-15T09:00:00.000Z");
    garden["data"]["title"] = "Water the garden".into();
    let mut others = hourly("ben", "b", None, DUE);
    others["data"]["title"] = "The shelf of Ben".into();
    mana.import(&[agent, shelf, garden, others]);
    for now in ["2026-04-15T08:00:30Z", "2026-04-15T09:00:30Z"] {
        mana.run(&["tick", "--now", now]);
    }
    let served = mana.serve();
    let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
    let page = |query: &str| request("GET", &served.url(&format!("/runs?{query}")), &[("cookie", &cookie)]).1;
    let links = |query: &str, title: &str| page(query).matches(&format!("<bdi>{title}</bdi>")).count();
    assert_eq!((links("", "Tidy the shelf"), links("", "Water the garden")), (1, 1));
    assert_eq!((links("q=SHELF", "Tidy the shelf"), links("q=SHELF", "Water the garden"), links("q=shelf", "The shelf of Ben")), (1, 0, 0));
    assert_eq!((links("q=nothing", "Tidy the shelf"), page("q=nothing").contains("No runs.")), (0, true));
    assert_eq!(links("q=garden&state=failed", "Water the garden"), 0);
    assert!(page("sort=oldest&q=e").contains("value=\"oldest\" selected"));
    let (first, garden) = ("<bdi>Tidy the shelf</bdi>", "<bdi>Water the garden</bdi>");
    assert_eq!([order(&page(""), &[garden, first]), order(&page("sort=oldest"), &[first, garden])], [Some(true); 2]);
    let newest = page("q=e");
    let runs: Vec<&str> = newest.match_indices("href=\"/runs/").map(|(at, _)| &newest[at..at + 50]).collect();
    let oldest = page("q=e&sort=oldest");
    let turned: Vec<&str> = oldest.match_indices("href=\"/runs/").map(|(at, _)| &oldest[at..at + 50]).collect();
    assert!(runs.len() == 2 && runs.first() == turned.last() && runs.last() == turned.first(), "{runs:?} {turned:?}");
}

#[test]
fn agents_are_sought_by_name_chosen_by_state_and_sorted_by_their_last_change() {
    let mana = Mana::new().with("TICK_ENABLED", "false");
    let agent = |id: &str, name: &str, state: &str| insert("ada", "agents", id, json!({"name": name, "state": state}));
    mana.import(&[agent("1", "Zora", "active"), agent("2", "Mira", "paused"), agent("3", "Anna", "active")]);
    let mut changed = edit("ada", "2", json!({"role": "cook"}), "2027-01-01T00:00:00.000Z");
    changed["table"] = "agents".into();
    mana.import(&[changed]);
    let served = mana.serve();
    let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
    let page = |query: &str| request("GET", &served.url(&format!("/agents?{query}")), &[("cookie", &cookie)]).1;
    assert_eq!(order(&page(""), &["<bdi>Anna", "<bdi>Mira", "<bdi>Zora"]), Some(true));
    assert_eq!(order(&page("sort=changed"), &["<bdi>Mira", "<bdi>Anna", "<bdi>Zora"]), Some(true));
    let active = page("state=active");
    assert!(order(&active, &["<bdi>Anna", "<bdi>Zora"]) == Some(true) && !active.contains("<bdi>Mira"), "{active}");
    let paused = page("state=paused&q=MIR&sort=changed");
    assert!(paused.contains("<bdi>Mira") && !paused.contains("<bdi>Anna") && paused.contains("value=\"paused\" selected"), "{paused}");
    assert!(page("state=archived").contains("No agent matches."));
}

/// However many runs began at one moment, the pages of a list have each of them once.
#[test]
fn a_list_of_runs_that_began_together_loses_none_where_its_page_is_turned() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("dust"));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("TICK_ENABLED", "false");
    mana.import(&(0..120).map(|n| hourly("ada", &format!("m{n}"), None, DUE)).collect::<Vec<_>>());
    mana.run(&["tick", "--now", "2026-04-15T08:00:30Z"]);
    let served = mana.serve();
    let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
    for query in ["", "&sort=oldest", "&sort=oldest&state=planned"] {
        let (mut seen, mut next) = (Vec::new(), format!("/runs?{query}"));
        loop {
            let page = request("GET", &served.url(&next), &[("cookie", &cookie)]).1;
            seen.extend(page.split("href=\"/runs/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()));
            let Some(further) = page.split("href=\"/runs?at=").nth(1) else { break };
            next = format!("/runs?at={}", further.split('"').next().unwrap().replace("&amp;", "&"));
        }
        let all: std::collections::BTreeSet<&String> = seen.iter().collect();
        assert_eq!((seen.len(), all.len()), (120, 120), "{query}");
    }
}
