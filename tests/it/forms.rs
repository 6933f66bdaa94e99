//! The forms of the workbench: what comes back as it was shown changes nothing of a record, whatever shape the record has, and
//! what is broken is told and can be repaired there.

use crate::common::pages::{post, sign_in};
use crate::common::{Mana, Served, insert, metric, request};
use regex::Regex;
use serde_json::{Map, Value, json};

const FAR: &str = "2099-01-01T00:00:00.000Z";

/// A signed-in user of a server, with forms as a browser sends them.
struct Desk {
    mana: Mana,
    served: Served,
    cookie: String,
}

type Fields = Vec<(String, String)>;

impl Desk {
    fn new(lines: &[Value]) -> Self {
        Self::with(Mana::new(), lines)
    }

    fn with(mana: Mana, lines: &[Value]) -> Self {
        let mana = mana.with("TICK_ENABLED", "false");
        mana.import(lines);
        let served = mana.serve();
        let token = mana.run(&["token", "create", "--user", "u"]).stdout;
        let cookie = sign_in(&served, token.trim());
        Desk { mana, served, cookie }
    }

    fn page(&self, path: &str) -> String {
        let (status, body) = request("GET", &self.served.url(path), &[("cookie", &self.cookie)]);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Fills the form of a page and sends it; fields that are not named stay as they are shown.
    fn fill(&self, path: &str, edits: &[(&str, &str)]) -> (u16, String) {
        let page = self.page(path);
        let (action, mut fields) = form(&page);
        for (name, value) in edits {
            match fields.iter_mut().find(|(field, _)| field == name) {
                Some((_, shown)) => *shown = (*value).to_owned(),
                None => panic!("{path} has no field {name}"),
            }
        }
        let answer = post(&self.served.url(&action), &self.cookie, &fields);
        (answer.status, answer.body)
    }

    fn records(&self, kind: &str) -> Map<String, Value> {
        let found = self.mana.run(&[kind, "--json"]).json();
        found.into_iter().map(|line| (line["id"].as_str().unwrap().to_owned(), line["record"].clone())).collect()
    }

    fn rows(&self) -> usize {
        self.mana.run(&["export"]).json().len()
    }
}

/// The large form of a page: where it goes, and its fields as a browser sends them back.
fn form(page: &str) -> (String, Fields) {
    let form = page.split("<form").find(|form| form.contains("name=\"was\"")).unwrap();
    let form = form.split("</form>").next().unwrap();
    let attribute =
        |tag: &str, name: &str| Regex::new(&format!("\\s{name}=\"([^\"]*)\"")).unwrap().captures(tag).map(|found| plain(&found[1]));
    let mut fields = Fields::new();
    let controls = Regex::new(r"(?s)<input([^>]*)>|<textarea([^>]*)>\n?(.*?)</textarea>|<select([^>]*)>(.*?)</select>").unwrap();
    for control in controls.captures_iter(form) {
        if let Some(tag) = control.get(1).map(|tag| tag.as_str()) {
            let is_choice = attribute(tag, "type").is_some_and(|kind| kind == "checkbox" || kind == "radio");
            if is_choice && !tag.contains(" checked") {
                continue;
            }
            fields.push((attribute(tag, "name").unwrap(), attribute(tag, "value").unwrap_or_default()));
        } else if let Some(tag) = control.get(2).map(|tag| tag.as_str()) {
            fields.push((attribute(tag, "name").unwrap(), plain(&control[3]).replace('\n', "\r\n")));
        } else {
            let options: Vec<&str> = control[5].split("<option").skip(1).collect();
            let chosen = options.iter().find(|option| option.split('>').next().unwrap().contains(" selected")).unwrap_or(&options[0]);
            fields.push((attribute(&control[4], "name").unwrap(), attribute(chosen.split('>').next().unwrap(), "value").unwrap()));
        }
    }
    (attribute(form, "action").unwrap(), fields)
}

fn plain(html: &str) -> String {
    html.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

fn mission(id: &str, cadence: Value) -> Value {
    let data = json!({"title": "T", "state": "active", "nextRunAt": FAR, "inputs": [], "iterations": [], "cadence": cadence});
    insert("u", "aiMissions", id, data)
}

/// The schedules that no field can show, or not as they are.
fn odd_schedules() -> Vec<Value> {
    vec![
        json!(null),
        json!(""),
        json!("daily"),
        json!(7),
        json!([]),
        json!({}),
        json!({"kind": "moon", "phase": "full"}),
        json!({"kind": "daily"}),
        json!({"kind": "daily", "atHour": 8, "timeZone": null, "note": {"by": "phone"}}),
        json!({"kind": "daily", "atHour": 8.0, "atMinute": null}),
        json!({"kind": "daily", "atHour": "8", "atMinute": "five"}),
        json!({"kind": "daily", "atHour": 25, "a.b": 1}),
        json!({"kind": "daily", "atHour": 8, "timeZone": "Mars/Olympus"}),
        json!({"kind": "daily", "atHour": 8, "timeZone": 7}),
        json!({"kind": "weekly", "dayOfWeek": 7, "atHour": 8}),
        json!({"kind": "weekly", "dayOfWeek": [1, 3], "atHour": 8}),
        json!({"kind": "interval", "everyMinutes": 90.0, "jitter": 5}),
        json!({"kind": "interval", "everyMinutes": -5, "atHour": 99}),
        json!({"kind": "cron", "expression": "0 0 8 * * *"}),
        json!({"kind": "cron", "expression": "0 8 * * *\n"}),
        json!({"kind": "cron", "expression": {"hour": 8}, "everyMinutes": -1}),
    ]
}

#[test]
fn a_schedule_that_nobody_edits_stays_to_the_letter() {
    let lines: Vec<Value> = odd_schedules().into_iter().enumerate().map(|(n, cadence)| mission(&format!("m{n}"), cadence)).collect();
    let mut dotted = mission("dotted", json!({"kind": "daily", "atHour": 8}));
    dotted["data"]["cadence.atHour"] = json!(9);
    let desk = Desk::new(&[lines, vec![dotted]].concat());
    let before = desk.records("missions");
    for id in before.keys() {
        let (status, body) = desk.fill(&format!("/missions/{id}/edit"), &[("title", "Renamed")]);
        assert_eq!(status, 303, "{id} {}: {body}", before[id]["cadence"]);
    }
    let written = desk.mana.run(&["export"]).json().split_off(before.len());
    assert!(written.len() == before.len() && written.iter().all(|row| row["data"] == json!({"title": "Renamed"})), "{written:?}");
    assert_eq!(desk.fill("/missions/m0/edit", &[]).0, 303);
    assert_eq!(desk.rows(), 2 * before.len(), "a form that comes back as it was writes nothing");
    let after = desk.records("missions");
    for (id, mut expected) in before {
        expected["title"] = json!("Renamed");
        assert_eq!(after[&id], expected, "{id}");
    }
}

#[test]
fn numbers_that_no_float_holds_stay_to_the_letter() {
    let desk = Desk::new(&[]);
    let odd = r#"{"kind":"interval","everyMinutes":1e400,"note":12345678901234567890123.10}"#;
    let line = mission("m", json!("odd")).to_string().replace("\"odd\"", odd);
    let file = desk.mana.dir.path().join("odd.jsonl");
    std::fs::write(&file, line).unwrap();
    assert_eq!(desk.mana.run(&["import", file.to_str().unwrap()]).code, Some(0));
    let (status, body) = desk.fill("/missions/m/edit", &[("title", "Renamed")]);
    assert_eq!(status, 303, "{body}");
    let exported = desk.mana.run(&["export"]).stdout;
    assert_eq!(exported.matches(odd).count(), 1, "{exported}");
    assert!(exported.lines().last().unwrap().contains(r#""data":{"title":"Renamed"}"#), "{exported}");
    let shown = desk.mana.run(&["missions", "--json"]).stdout;
    assert!(shown.contains(odd), "{shown}");
}

#[test]
fn a_broken_schedule_is_told_and_repaired_by_the_form() {
    let cases = [
        (json!({"kind": "daily", "atHour": 25, "x": 1}), vec![("atHour", "9")], json!({"kind": "daily", "atHour": 9, "x": 1})),
        (json!({"kind": "daily"}), vec![("atHour", "8")], json!({"kind": "daily", "atHour": 8})),
        (json!({"kind": "daily", "atHour": "8"}), vec![("kind", "manual")], json!({"kind": "manual", "atHour": null})),
        (
            json!({"kind": "weekly", "dayOfWeek": 7, "atHour": 8}),
            vec![("dayOfWeek", "0")],
            json!({"kind": "weekly", "dayOfWeek": 0, "atHour": 8}),
        ),
        (
            json!({"kind": "daily", "atHour": 8, "timeZone": 7}),
            vec![("timeZone", "")],
            json!({"kind": "daily", "atHour": 8, "timeZone": null}),
        ),
        (
            json!({"kind": "cron", "expression": "0 8 * * *", "timeZone": "Mars/Olympus"}),
            vec![("timeZone", "Europe/Berlin")],
            json!({"kind": "cron", "expression": "0 8 * * *", "timeZone": "Europe/Berlin"}),
        ),
        (json!("daily"), vec![("kind", "interval")], json!({"kind": "interval", "everyMinutes": 60})),
        (
            json!({"kind": "moon", "phase": "full"}),
            vec![("kind", "daily")],
            json!({"kind": "daily", "atHour": 8, "atMinute": 0, "phase": null}),
        ),
    ];
    let lines: Vec<Value> = cases.iter().enumerate().map(|(n, (cadence, ..))| mission(&format!("m{n}"), cadence.clone())).collect();
    let desk = Desk::new(&lines);
    let told = "The schedule can't be followed";
    for (n, (cadence, edits, _)) in cases.iter().enumerate() {
        assert!(desk.page(&format!("/missions/m{n}")).contains(told), "{cadence}");
        let (status, body) = desk.fill(&format!("/missions/m{n}/edit"), edits);
        assert_eq!(status, 303, "{cadence}: {body}");
        assert!(!desk.page(&format!("/missions/m{n}")).contains(told), "{cadence}");
    }
    let records = desk.records("missions");
    for (n, (cadence, _, expected)) in cases.iter().enumerate() {
        let record = &records[&format!("m{n}")];
        assert_eq!(&record["cadence"], expected, "{cadence}");
        assert_ne!(record["nextRunAt"], FAR, "a new schedule comes with its first time: {cadence}");
    }
    // What is still wrong after an edit is refused, with what was typed.
    let (status, body) = desk.fill("/missions/m0/edit", &[("atHour", "24")]);
    assert!(status == 422 && body.contains("from 0 to 23") && body.contains("value=\"24\""), "{status}: {body}");
}

#[test]
fn what_other_apps_say_of_a_schedule_survives_an_edit() {
    let desk = Desk::new(&[
        mission("hour", json!({"kind": "daily", "atHour": 8.0, "atMinute": 30, "timeZone": "Europe/Berlin", "note": {"by": "phone"}})),
        mission("kind", json!({"kind": "interval", "everyMinutes": 60, "jitter": 5})),
        mission("blank", json!({"kind": "daily", "atHour": 8, "timeZone": "", "note": 1})),
        insert(
            "u",
            "aiMissions",
            "timeless",
            json!({"title": "T", "state": "active", "cadence": {"kind": "interval", "everyMinutes": 60.0, "jitter": 5}}),
        ),
    ]);
    for (id, edits) in
        [("hour", vec![("atMinute", "45")]), ("kind", vec![("kind", "daily"), ("atHour", "7")]), ("blank", vec![]), ("timeless", vec![])]
    {
        assert_eq!(desk.fill(&format!("/missions/{id}/edit"), &edits).0, 303, "{id}");
    }
    let records = desk.records("missions");
    let hour = json!({"kind": "daily", "atHour": 8.0, "atMinute": 45, "timeZone": "Europe/Berlin", "note": {"by": "phone"}});
    assert_eq!(records["hour"]["cadence"], hour);
    let kind = json!({"kind": "daily", "everyMinutes": null, "jitter": 5, "atHour": 7, "atMinute": 0});
    assert_eq!(records["kind"]["cadence"], kind);
    // A blank zone, which stops some clients, becomes none; the schedule is the same, and so is its time.
    assert_eq!(records["blank"]["cadence"], json!({"kind": "daily", "atHour": 8, "timeZone": null, "note": 1}));
    assert_eq!(records["blank"]["nextRunAt"], FAR);
    // A sound schedule without a time gets its first.
    assert_eq!(records["timeless"]["cadence"], json!({"kind": "interval", "everyMinutes": 60.0, "jitter": 5}));
    assert!(records["timeless"]["nextRunAt"].is_string(), "{}", records["timeless"]);
}

#[test]
fn what_no_field_can_show_survives_a_save() {
    let inputs = json!([7, {"module": "goals", "table": "goals", "id": "g", "x": 1}, {"module": "goals", "table": "goals", "id": "g"}, "x", {"module": "notes"}]);
    let policy = json!({
        "tools": {"create_task": "auto", "tool_of_another_app": "deny", "create_note": "ask", "odd": null},
        "defaultsByModule": {"notes": "deny"}, "defaultForAi": "never", "x": [1],
    });
    let desk = Desk::new(&[
        insert(
            "u",
            "aiMissions",
            "m",
            json!({"title": 5, "objective": {"text": "o"}, "conceptMarkdown": "c", "agentId": 9, "inputs": inputs, "state": "paused"}),
        ),
        insert(
            "u",
            "agents",
            "a",
            json!({"name": "A", "avatar": 1, "memory": ["m"], "policy": policy, "maxConcurrentMissions": "two", "maxTokensPerDay": 1000.0}),
        ),
        insert("u", "agents", "b", json!({"name": "B", "policy": {"tools": "all"}, "maxConcurrentMissions": 1.5, "maxTokensPerDay": -1})),
    ]);
    let (missions, agents) = (desk.records("missions"), desk.records("agents"));
    let expect = |path: &str, edits: &[(&str, &str)], mut record: Value, changes: Value| {
        let (status, body) = desk.fill(path, edits);
        assert_eq!(status, 303, "{path}: {body}");
        record.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let kind = path.split('/').nth(1).unwrap();
        assert_eq!(desk.records(kind)[record["id"].as_str().unwrap()], record, "{path} {edits:?}");
        record
    };
    let m = expect("/missions/m/edit", &[("conceptMarkdown", "d")], missions["m"].clone(), json!({"conceptMarkdown": "d"}));
    // Two that name the same record are one choice.
    let (action, mut fields) = form(&desk.page("/missions/m/edit"));
    fields.retain(|(name, _)| name != "input");
    assert_eq!(post(&desk.served.url(&action), &desk.cookie, &fields).status, 303);
    let mut without = m;
    without["inputs"] = json!([7, "x", {"module": "notes"}]);
    assert_eq!(desk.records("missions")["m"], without);

    let a = expect("/agents/a", &[("role", "r")], agents["a"].clone(), json!({"role": "r"}));
    expect("/agents/b", &[("role", "r")], agents["b"].clone(), json!({"role": "r"}));
    let mut changed = policy.clone();
    changed["tools"]["create_task"] = json!("deny");
    let a = expect("/agents/a", &[("tool:create_task", "deny")], a, json!({"policy": changed}));
    expect(
        "/agents/a",
        &[("maxTokensPerDay", "500"), ("maxConcurrentMissions", "2")],
        a,
        json!({"maxTokensPerDay": 500, "maxConcurrentMissions": 2}),
    );
}

#[test]
fn a_form_that_does_not_say_what_it_showed_is_told_and_writes_nothing() {
    let desk = Desk::new(&[mission("m", json!({"kind": "daily", "atHour": 8})), insert("u", "agents", "a", json!({"name": "A"}))]);
    let rows = desk.rows();
    for path in ["/missions/m/edit", "/agents/a"] {
        for damaged in ["", "{\"title\": ", "[]", "7"] {
            let (status, body) = desk.fill(path, &[("was", damaged)]);
            assert!(status == 400 && body.contains("reload the page"), "{path} {damaged:?} {status}: {body}");
        }
    }
    assert_eq!(desk.rows(), rows);
}

#[test]
fn times_far_ahead_are_told_by_the_page_the_doctor_and_the_metric() {
    let mission = |id: &str| insert("u", "aiMissions", id, json!({"title": "M", "state": "paused"}));
    let desk = Desk::new(&[mission("ahead"), mission("now")]);
    let change = |id: &str, at: &str| json!({"table": "aiMissions", "id": id, "op": "update", "fields": {"title": {"value": "T", "at": at}, "objective": {"value": "O", "at": at}}});
    let tomorrow = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(23)).unwrap().to_string();
    let body = json!({"clientId": "phone", "changes": [change("ahead", "2099-01-01T00:00:00.000Z"), change("now", &tomorrow)]});
    let token = desk.mana.run(&["token", "create", "--user", "u"]).stdout;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let status = runtime.block_on(async {
        let request = crate::common::http_client().post(desk.served.url("/sync/ai")).bearer_auth(token.trim());
        request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap().status()
    });
    assert_eq!(status, 200);
    assert_eq!(metric(&desk.served, "mana_ai_future_stamps_total"), 2.0);
    let told = "A device whose clock was ahead edited";
    assert!(desk.page("/missions/ahead").contains(told) && !desk.page("/missions/now").contains(told));
    let findings = desk.mana.run(&["doctor", "--json"]).stdout;
    let clock: Value = serde_json::from_str(findings.lines().find(|line| line.contains(r#""check":"clock""#)).unwrap()).unwrap();
    let found = clock["found"].as_str().unwrap();
    assert!(clock["status"] == "warn" && found.contains("2 times of edits") && found.contains("aiMissions ahead"), "{clock}");
}

#[test]
fn a_mission_without_a_schedule_says_so_unless_something_else_is_in_its_way() {
    let mission = |id: &str, agent: Value| {
        insert("u", "aiMissions", id, json!({"title": id, "state": "active", "cadence": {"kind": "manual"}, "agentId": agent}))
    };
    let agent = insert("u", "agents", "asleep", json!({"name": "Asleep", "state": "paused"}));
    let desk = Desk::new(&[agent, mission("free", Value::Null), mission("held", json!("asleep"))]);
    let says = |id: &str| desk.page(&format!("/missions/{id}")).contains("Runs only when you start it.");
    assert_eq!((says("free"), says("held")), (true, false));
}

#[test]
fn the_list_says_of_a_mission_what_its_page_says() {
    let mission = |id: &str, cadence: Value, agent: Value| {
        insert("u", "aiMissions", id, json!({"title": id, "state": "active", "cadence": cadence, "agentId": agent}))
    };
    let due = |id: &str, agent: &str| {
        let mut row = mission(id, json!({"kind": "interval", "everyMinutes": 60}), json!(agent));
        row["data"]["nextRunAt"] = "2026-04-15T08:00:00.000Z".into();
        row
    };
    let agent = |id: &str, more: Value| {
        let mut row = insert("u", "agents", id, json!({"name": id, "state": "active"}));
        row["data"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let rows = [
        agent("spent", json!({"maxTokensPerDay": 0})),
        agent("ready", json!({})),
        due("used-up", "spent"),
        due("waiting", "ready"),
        mission("broken", json!({"kind": "daily", "atHour": 99}), Value::Null),
        mission("by-hand", json!({"kind": "manual"}), Value::Null),
    ];
    let mana = Mana::new().with("MANA_LLM_URL", "http://127.0.0.1:9").with("BREAKER_FAILURES", 1).with("BREAKER_COOLDOWN_MS", 600_000);
    let desk = Desk::with(mana, &rows);
    let key = std::fs::read_to_string(desk.mana.dir.path().join("service-key")).unwrap();
    assert_eq!(request("POST", &desk.served.url("/internal/tick"), &[("x-service-key", key.trim())]).0, 200);
    let list = desk.page("/missions");
    for (id, says) in [
        ("used-up", "Agent spent has used its daily tokens."),
        ("waiting", "next try"),
        ("broken", "Invalid schedule; doesn&#39;t run by itself."),
        ("by-hand", "Runs only when you start it."),
    ] {
        let card = list.split("<li class=\"card\">").find(|card| card.contains(&format!("/missions/{id}\""))).unwrap();
        let (card, says) = (card.replace('\'', "&#39;"), says);
        assert!(card.contains(says), "{id}: {card}");
        assert_eq!(card.contains("badge blocked"), ["used-up", "broken"].contains(&id), "{id}: {card}");
        assert!(desk.page(&format!("/missions/{id}")).replace('\'', "&#39;").contains(says), "{id}");
    }
    // Nor does somebody wait in vain who only begins.
    let start = desk.page("/start/plan/used-up");
    assert!(
        start.contains("has used its daily tokens") && start.contains("Try again now") && !start.contains("Starts in a moment"),
        "{start}"
    );
    // The time of what is due has come.
    assert!(desk.page("/missions/used-up").contains("Due since"));
}

#[test]
fn the_calendar_goes_by_the_day_of_its_reader() {
    let tomorrow = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).tomorrow().unwrap();
    let next = tomorrow.date().at(23, 30, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().to_string();
    let mission = json!({"title": "m", "state": "active", "nextRunAt": next, "cadence": {"kind": "manual"}, "agentId": "asleep"});
    let agent = insert("u", "agents", "asleep", json!({"name": "Asleep", "state": "paused"}));
    let mut desk = Desk::new(&[agent, insert("u", "aiMissions", "m", mission)]);
    let page = desk.page("/calendar");
    assert!(page.contains(&format!("datetime=\"{}\"", tomorrow.date())) && page.contains(">23:30</time>"), "{page}");
    assert!(page.contains("badge blocked"), "its agent is paused: {page}");
    desk.cookie += "; zone=Europe/Berlin";
    let page = desk.page("/calendar");
    assert!(page.contains(&format!("datetime=\"{}\"", tomorrow.date().tomorrow().unwrap())), "{page}");
    assert!(page.contains("Europe/Berlin") && !page.contains(">23:30</time>"), "{page}");
}

#[test]
fn the_overview_names_a_model_server_that_is_down_and_never_a_next_try_that_is_past() {
    let nobody = "http://127.0.0.1:9";
    let mana = Mana::new().with("MANA_LLM_URL", nobody).with("BREAKER_FAILURES", 1).with("BREAKER_COOLDOWN_MS", 1_000);
    let mission = json!({"title": "m", "state": "active", "nextRunAt": "2026-04-15T08:00:00.000Z", "cadence": {"kind": "manual"}});
    let desk = Desk::with(mana, &[insert("u", "aiMissions", "m", mission)]);
    assert!(desk.page("/").contains("Running normally."));
    let key = std::fs::read_to_string(desk.mana.dir.path().join("service-key")).unwrap();
    assert_eq!(request("POST", &desk.served.url("/internal/tick"), &[("x-service-key", key.trim())]).0, 200);
    let page = desk.page("/");
    assert!(page.contains("Can't reach the model: <bdi>127.0.0.1:9</bdi>."), "{page}");
    // Whether it is back is tried from there; the run waits, and does not run.
    assert!(page.contains("action=\"/settings/model\"") && page.contains("<button class=\"\">Test connection</button>"), "{page}");
    assert!(page.contains("Nothing is running.") && page.contains("<h2>Waiting for another attempt</h2>"), "{page}");
    crate::common::wait_for("the cooldown to end", || desk.page("/").contains("The next plan tries again.").then_some(()));
}

#[test]
fn the_day_of_the_next_run_is_not_said_again_for_the_one_after() {
    let at = |hour: i8| jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).tomorrow().unwrap().date().at(hour, 0, 0, 0);
    let at = |hour: i8| at(hour).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().to_string();
    let mission = |id: &str, hour: i8| {
        let cadence = json!({"kind": "interval", "everyMinutes": 60});
        insert("u", "aiMissions", id, json!({"title": id, "state": "active", "nextRunAt": at(hour), "cadence": cadence}))
    };
    let desk = Desk::new(&[mission("by-day", 8), mission("at-midnight", 23)]);
    let then =
        |id: &str| desk.page(&format!("/missions/{id}")).split(", then ").nth(1).unwrap().split("</time>").next().unwrap().to_owned();
    assert!(then("by-day").ends_with(">09:00") && then("by-day").contains("class=\"clock\""), "{}", then("by-day"));
    assert!(!then("at-midnight").contains("class=\"clock\""), "{}", then("at-midnight"));
}

#[test]
fn tokens_of_a_trial_are_told_with_those_of_its_agent() {
    let model =
        crate::common::Model::start(std::time::Duration::ZERO, |_| crate::common::Reply::Plan(json!({"summary": "s", "steps": []})));
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("MANA_AI_PLANNER", "json");
    let agent = insert("u", "agents", "mira", json!({"name": "Mira", "state": "active"}));
    let desk = Desk::with(mana, &[agent, insert("u", "aiMissions", "m", json!({"title": "m", "state": "active", "agentId": "mira"}))]);
    let (action, mut fields) = form(&desk.page("/agents/mira"));
    fields.retain(|(name, _)| name != "mission");
    fields.push(("mission".to_owned(), "m".to_owned()));
    let tried = post(&desk.served.url(&format!("{action}/try")), &desk.cookie, &fields);
    assert!(tried.status == 200 && model.requests().len() == 1, "{}: {}", tried.status, tried.body);
    let page = desk.page("/insights?days=7");
    let rows: Vec<&str> = page.split("<tr>").filter(|row| row.contains(">100</td>")).collect();
    assert!(rows.iter().any(|row| row.contains("Mira")) && rows.iter().any(|row| row.contains("<time datetime=")), "{page}");
    assert_eq!(desk.mana.run(&["check"]).code, Some(0));
}
