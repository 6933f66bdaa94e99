//! Approved means done: what people decide about plans, what the log has afterwards, and how it is taken back
//! (docs/design.md, section 13).

use crate::common::pages::{post, sign_in};
use crate::common::{Mana, Model, Reply, hourly, insert, metric, request, send};
use serde_json::{Value, json};

const LONG_AGO: &str = "2026-04-15T08:00:00.000Z";

fn answering(calls: Value) -> Model {
    let step = |call: &Value| json!({"summary": "s", "rationale": "because", "toolName": call[0], "params": call[1]});
    let steps: Vec<Value> = calls.as_array().unwrap().iter().map(step).collect();
    Model::start(std::time::Duration::ZERO, move |_| Reply::Plan(json!({"summary": "do", "steps": steps})))
}

/// A mission of ada, with an agent of this policy, whose plan has these calls; and the ids of its steps.
fn planned_with(mana: Mana, policy: Value, calls: Value, records: &[Value]) -> (Mana, Vec<String>) {
    let model = answering(calls);
    let mana = mana.with("MANA_LLM_URL", model.url()).with("MANA_AI_PLANNER", "json");
    let mut rows =
        vec![insert("ada", "agents", "mira", json!({"name": "Mira", "policy": policy})), hourly("ada", "m", Some("mira"), LONG_AGO)];
    rows.extend(records.iter().cloned());
    mana.import(&rows);
    mana.run(&["tick", "--json"]).json();
    let ids = plan(&mana).iter().map(|step| step["id"].as_str().unwrap().to_owned()).collect();
    (mana, ids)
}

fn planned(calls: Value, records: &[Value]) -> (Mana, Vec<String>) {
    planned_with(Mana::new(), json!({"defaultForAi": "propose"}), calls, records)
}

fn iteration(mana: &Mana) -> Value {
    mana.mission("m")["iterations"][0].clone()
}

fn plan(mana: &Mana) -> Vec<Value> {
    iteration(mana)["plan"].as_array().unwrap().clone()
}

fn statuses(mana: &Mana) -> String {
    plan(mana).iter().map(|step| step["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

/// The rows of a table, in the order of the log.
fn rows(mana: &Mana, table: &str) -> Vec<Value> {
    mana.run(&["export", "--table", table]).json()
}

/// A command about steps of ada.
#[track_caller]
fn ada(mana: &Mana, args: &[&str]) -> Value {
    mana.run(&[args, &["--user", "ada", "--json"]].concat()).json().remove(0)
}

fn record(app: &str, table: &str, id: &str, data: Value) -> Value {
    let mut row = insert("ada", table, id, data);
    row["appId"] = app.into();
    row
}

#[test]
fn an_approved_task_is_in_the_log_once_and_a_second_approval_changes_nothing() {
    let (mana, steps) = planned(json!([["create_task", {"title": "Buy bread"}]]), &[]);
    let waiting = mana.run(&["reviews", "--json"]).json().remove(0);
    assert_eq!((&waiting["userId"], &waiting["missionId"]), (&json!("ada"), &json!("m")));
    let step = &waiting["steps"][0];
    assert_eq!((&step["tool"], &step["status"], &step["params"]["title"]), (&json!("create_task"), &json!("staged"), &json!("Buy bread")));
    assert_eq!(step["preview"][0]["fields"]["title"], json!({"before": null, "after": "Buy bread"}));
    assert_eq!(rows(&mana, "tasks").len(), 0, "a proposal writes nothing");

    let first = ada(&mana, &["approve", &steps[0]]);
    assert_eq!((&first["status"], &first["changed"]), (&json!("approved"), &json!(true)));
    let task = rows(&mana, "tasks").remove(0);
    assert_eq!((&task["data"]["title"], &task["data"]["priority"], &task["op"]), (&json!("Buy bread"), &json!("medium"), &json!("insert")));
    assert_eq!((&task["actor"]["displayName"], &task["origin"], &task["appId"]), (&json!("Mira"), &json!("agent"), &json!("todo")));
    let step = plan(&mana).remove(0);
    assert_eq!((&step["status"], &step["result"]["records"][0]["id"]), (&json!("approved"), &task["recordId"]));
    assert_eq!(iteration(&mana)["overallStatus"], "approved");

    assert_eq!(ada(&mana, &["approve", &steps[0]])["changed"], false);
    assert_eq!(rows(&mana, "tasks").len(), 1);
    assert_eq!(mana.run(&["reviews", "--json"]).json().len(), 0);
}

#[test]
fn what_needs_a_device_waits_for_it_and_what_cannot_be_done_says_why() {
    let calls = json!([["create_note", {"content": "x"}], ["append_to_note", {"noteId": "n", "content": "y"}], ["complete_task", {"taskId": "none"}]]);
    let (mana, steps) = planned(calls, &[record("notes", "notes", "n", json!({"content": "enc:1:x"}))]);
    assert_eq!(ada(&mana, &["approve", &steps[1]])["status"], "staged", "until the last step is decided");
    let failed = ada(&mana, &["approve", &steps[2]]);
    assert_eq!((&failed["status"], failed["error"].as_str().unwrap().contains("none")), (&json!("failed"), true));
    assert_eq!(ada(&mana, &["reject", &steps[0], "--feedback", "no notes"])["status"], "rejected");
    assert_eq!((statuses(&mana).as_str(), &iteration(&mana)["userFeedback"]), ("rejected planned failed", &json!("no notes")));
    assert_eq!(rows(&mana, "notes").len(), 1, "nothing but the note that was there");
}

#[test]
fn built_in_tools_may_be_left_to_the_devices() {
    let mana = Mana::new().with("MANA_AI_BUILTIN_TOOLS", "client");
    let (mana, steps) = planned_with(mana, json!({}), json!([["create_task", {"title": "t"}]]), &[]);
    assert_eq!(ada(&mana, &["approve", &steps[0]])["status"], "planned");
    assert_eq!(rows(&mana, "tasks").len(), 0);
}

#[test]
fn steps_of_others_are_not_found() {
    let (mana, steps) = planned(json!([["create_task", {"title": "t"}]]), &[]);
    mana.run(&["approve", &steps[0], "--user", "ben"]).fails(1, "no step");
    mana.run(&["undo", &steps[0], "--user", "ben"]).fails(1, "no step");
    mana.run(&["approve", "nonsense", "--user", "ada"]).fails(1, "no step");
    assert_eq!(mana.run(&["reviews", "--user", "ben", "--json"]).json().len(), 0);
    assert_eq!(rows(&mana, "tasks").len(), 0);
}

#[test]
fn a_step_is_edited_before_its_approval_and_what_was_proposed_stays() {
    let (mana, steps) = planned(json!([["create_task", {"title": "Buy bread", "priority": "low"}]]), &[]);
    let edit = |set: &str| mana.run(&["approve", &steps[0], "--user", "ada", "--set", set]);
    edit("priority=now").fails(2, "must be one of low, medium, high");
    edit("color=red").fails(2, "has no parameter `color`");
    edit("title=").fails(2, "is empty");
    assert_eq!(statuses(&mana), "staged");
    let iteration_id = iteration(&mana)["id"].as_str().unwrap().to_owned();
    let args = ["approve", "0", "--iteration", &iteration_id, "--set", "title=Buy rye bread", "--set", "priority=high"];
    assert_eq!(ada(&mana, &args)["status"], "approved");
    let step = plan(&mana).remove(0);
    assert_eq!(step["proposed"], json!({"title": "Buy bread", "priority": "low"}));
    let task = rows(&mana, "tasks").remove(0);
    assert_eq!((&task["data"]["title"], &task["data"]["priority"]), (&json!("Buy rye bread"), &json!("high")));
}

#[test]
fn a_step_that_was_undone_is_approved_again_and_undone_again() {
    let note = record("notes", "notes", "n", json!({"title": "Old"}));
    let (mana, steps) = planned(json!([["create_task", {"title": "t"}], ["update_note", {"noteId": "n", "title": "New"}]]), &[note]);
    let title = |mana: &Mana| {
        let titles = rows(mana, "notes");
        titles.iter().rev().find_map(|row| row["data"]["title"].as_str().map(str::to_owned)).unwrap()
    };
    let live = |mana: &Mana| {
        let mut tasks = std::collections::BTreeMap::new();
        for row in rows(mana, "tasks") {
            tasks.insert(row["recordId"].clone().to_string(), row["op"] != "delete");
        }
        (tasks.values().filter(|live| **live).count(), tasks.len())
    };
    for times in 1..=3 {
        for step in &steps {
            let approved = ada(&mana, &["approve", step]);
            assert_eq!((&approved["status"], &approved["changed"]), (&json!("approved"), &json!(true)), "time {times}");
        }
        assert_eq!((live(&mana), title(&mana).as_str()), ((1, times), "New"));
        assert_eq!(ada(&mana, &["approve", &steps[0]])["changed"], false);
        for step in &steps {
            let undone = ada(&mana, &["undo", step]);
            assert_eq!((&undone["status"], &undone["error"]), (&json!("rejected"), &json!("")), "time {times}");
        }
        assert_eq!((live(&mana), title(&mana).as_str()), ((0, times), "Old"));
    }
    assert_eq!(plan(&mana)[0]["earlier"], json!([1, 1]));
}

#[test]
fn a_step_is_undone_and_what_somebody_changed_since_stays() {
    let note = record("notes", "notes", "n", json!({"title": "Old", "content": "one"}));
    let calls = json!([["create_task", {"title": "t"}], ["update_note", {"noteId": "n", "title": "New", "content": "two"}]]);
    let (mana, steps) = planned(calls, &[note]);
    for step in &steps {
        assert_eq!(ada(&mana, &["approve", step])["status"], "approved");
    }
    let mut edit = record("notes", "notes", "n", json!({"content": "mine"}));
    edit["op"] = "update".into();
    edit["fieldMeta"] = json!({"content": "2100-01-01T00:00:00.000Z"});
    mana.import(&[edit]);

    assert_eq!(ada(&mana, &["undo", &steps[0]])["status"], "rejected");
    assert_eq!(rows(&mana, "tasks")[1]["op"], "delete");
    let kept = mana.run(&["undo", &steps[1], "--user", "ada", "--json"]);
    assert!(kept.code == Some(1) && kept.stderr.contains("not everything was undone"), "{kept:?}");
    let told: Value = serde_json::from_str(kept.stdout.trim()).unwrap();
    assert_eq!((&told["status"], &told["error"]), (&json!("approved"), &json!("`content` of notes changed since, and stays as it is")));
    let back = rows(&mana, "notes").pop().unwrap();
    assert_eq!((&back["data"], &back["origin"]), (&json!({"title": "Old"}), &json!("user")));
    let before = rows(&mana, "notes").len() + rows(&mana, "tasks").len();
    assert_eq!(ada(&mana, &["undo", &steps[0]])["changed"], false);
    assert_eq!(rows(&mana, "notes").len() + rows(&mana, "tasks").len(), before, "a second undo writes nothing");
}

/// Two steps of one record are taken back in their order, also one after the other.
#[test]
fn a_whole_iteration_is_undone() {
    let append = |text: &str| json!(["append_to_note", {"noteId": "n", "content": text}]);
    for whole in [true, false] {
        let note = record("notes", "notes", "n", json!({"content": "one"}));
        let (mana, steps) = planned(json!([append("two"), append("three")]), &[note]);
        ada(&mana, &["approve", &steps[0], &steps[1]]);
        assert_eq!(rows(&mana, "notes").pop().unwrap()["data"]["content"], "one\ntwo\nthree");
        let id = iteration(&mana)["id"].as_str().unwrap().to_owned();
        if whole {
            ada(&mana, &["undo", &id]);
        } else {
            ada(&mana, &["undo", &steps[1]]);
            assert_eq!(rows(&mana, "notes").pop().unwrap()["data"]["content"], "one\ntwo");
            ada(&mana, &["undo", &steps[0]]);
        }
        assert_eq!(
            (statuses(&mana).as_str(), &rows(&mana, "notes").pop().unwrap()["data"]["content"]),
            ("rejected rejected", &json!("one"))
        );
    }
}

/// The policy `auto` is for tools that may go ahead: within a limit, and never to destroy unless that is said.
#[test]
fn what_the_policy_allows_is_done_without_review() {
    let tasks: Vec<Value> = (0..3).map(|n| json!(["create_task", {"title": format!("t{n}")}])).collect();
    let calls = Value::Array([&tasks[..], &[json!(["undo_drink", {}]), json!(["create_note", {"content": "c"}])]].concat());
    let drink = record("drink", "drinkEntries", "d", json!({"name": "Tea"}));
    let policy = json!({"tools": {"create_task": "auto", "undo_drink": "auto"}, "defaultForAi": "propose"});
    let mana = Mana::new().with("MANA_AI_AUTO_STEPS_PER_HOUR", 2);
    let (mana, _) = planned_with(mana, policy.clone(), calls.clone(), std::slice::from_ref(&drink));
    assert_eq!(statuses(&mana), "approved approved staged staged staged");
    assert_eq!((rows(&mana, "tasks").len(), iteration(&mana)["overallStatus"].as_str()), (2, Some("awaiting-review")));
    assert_eq!(plan(&mana)[0]["result"]["automatic"], true);
    assert_eq!(rows(&mana, "drinkEntries").len(), 1);

    let mut policy = policy;
    policy["allowDestructive"] = json!(["undo_drink"]);
    let (mana, _) = planned_with(Mana::new(), policy, calls, &[drink]);
    assert_eq!(statuses(&mana), "approved approved approved approved staged");
    assert_eq!(rows(&mana, "drinkEntries").pop().unwrap()["op"], "delete");
}

#[test]
fn an_event_is_shown_as_people_know_it_and_its_times_are_edited_as_times() {
    let event = json!({"title": "Dentist", "startTime": "2026-04-18T10:00:00+02:00", "endTime": "2026-04-18T11:00:00+02:00"});
    let calendar = record("calendar", "calendars", "home", json!({"name": "Home", "isDefault": true}));
    let (mana, _) = planned(json!([["create_event", event]]), &[calendar]);
    let served = mana.serve();
    let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
    let page = request("GET", &served.url("/review"), &[("cookie", &cookie)]).1;
    let step = page.split("class=\"step open").nth(1).unwrap();
    for shown in ["Dentist", "2026-04-18 08:00 UTC", "2026-04-18 09:00 UTC"] {
        assert!(step.contains(shown), "{shown}: {step}");
    }
    for plumbing in ["Calendar id", "Time block id", "Source", ">Kind<", ">Type<"] {
        assert!(!step.contains(plumbing), "{plumbing}: {step}");
    }
    assert!(step.contains("name=\"param:startTime\" type=\"datetime-local\" value=\"2026-04-18T08:00\""), "{step}");
    // An open edit and an open rejection exclude each other.
    assert_eq!(step.matches("-folded\"").count(), 2, "{step}");
}

#[test]
fn an_event_of_whole_days_is_reviewed_by_its_days() {
    let event =
        json!({"title": "Fair", "startTime": "2026-04-18T00:00:00+02:00", "endTime": "2026-04-20T00:00:00+02:00", "isAllDay": true});
    let calendar = record("calendar", "calendars", "home", json!({"name": "Home", "isDefault": true}));
    let (mana, _) = planned(json!([["create_event", event]]), &[calendar]);
    let served = mana.serve();
    let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
    let page = request("GET", &served.url("/review"), &[("cookie", &cookie)]).1;
    let step = page.split("class=\"step open").nth(1).unwrap();
    for shown in [
        "<time datetime=\"2026-04-18\">",
        "<time datetime=\"2026-04-19\">",
        "name=\"param:startTime\" type=\"date\" value=\"2026-04-18\"",
        "name=\"param:endTime\" type=\"date\" value=\"2026-04-19\"",
    ] {
        assert!(step.contains(shown), "{shown}: {step}");
    }
    assert!(!step.contains("2026-04-18T") && !step.contains("UTC</time>"), "no time of day: {step}");
    let of = |mark: &str| step.split_once(mark).unwrap().1.split('"').next().unwrap();
    let fields = [
        ("csrf", of("name=\"csrf\" value=\"")),
        ("iteration", of("name=\"iteration\" value=\"")),
        ("edit", of("name=\"edit\" value=\"")),
        ("param:title", "Fair"),
        ("param:startTime", "2026-04-18"),
        ("param:endTime", "2026-04-20"),
        ("param:isAllDay", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = post(&served.url("/missions/m/review"), &cookie, &fields);
    assert_eq!(answer.status, 303, "{}", answer.body);
    let block = &rows(&mana, "timeBlocks").pop().unwrap()["data"];
    assert_eq!((&block["endDate"], &block["allDay"]), (&json!("2026-04-21T00:00:00.000Z"), &json!(true)), "{block}");
}

#[test]
fn a_run_that_failed_says_so_once() {
    let iteration = json!({"id": "it", "summary": "The run failed: the model said nonsense", "overallStatus": "failed", "plan": [],
        "errorDetails": {"name": "X", "message": "the model said nonsense", "phase": "plan"}});
    let mana = Mana::new();
    mana.import(&[insert("ada", "aiMissions", "m", json!({"title": "M", "state": "paused", "iterations": [iteration]}))]);
    let served = mana.serve();
    let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
    let page = request("GET", &served.url("/missions/m"), &[("cookie", &cookie)]).1;
    assert_eq!(page.matches("the model said nonsense").count(), 1, "{page}");
}

#[test]
fn the_routes_decide_like_the_commands() {
    let (mana, steps) = planned(json!([["create_task", {"title": "a"}], ["create_task", {"title": "b"}]]), &[]);
    let token = |user: &str| format!("Bearer {}", mana.run(&["token", "create", "--user", user]).stdout.trim());
    let (ada, ben) = (token("ada"), token("ben"));
    let served = mana.serve();
    let call = |token: &str, method: &str, path: &str, body: &str| {
        let (status, text) = send(method, &served.url(path), &[("authorization", token)], body.to_owned());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    let (status, listed) = call(&ada, "GET", "/api/v1/me/reviews", "");
    assert_eq!((status, listed["reviews"][0]["steps"].as_array().unwrap().len()), (200, 2));
    assert_eq!(call(&ben, "GET", "/api/v1/me/reviews", "").1["reviews"], json!([]));
    let of = |step: usize, what: &str| format!("/api/v1/me/reviews/steps/{}/{what}", steps[step]);
    assert_eq!(call(&ben, "POST", &of(0, "approve"), "").0, 404);
    assert_eq!(call(&ada, "POST", &of(0, "approve"), r#"{"params": {"priority": "now"}}"#).0, 400);
    assert_eq!(call(&ada, "POST", &of(0, "approve"), r#"{"param": {}}"#).0, 400);
    let (status, approved) = call(&ada, "POST", &of(0, "approve"), r#"{"params": {"title": "edited"}}"#);
    assert_eq!((status, &approved["status"]), (200, &json!("approved")));
    assert_eq!(call(&ada, "POST", &of(1, "reject"), r#"{"feedback": "no"}"#).1["status"], "rejected");
    assert_eq!(call(&ada, "POST", &of(0, "approve"), "").1["changed"], false);
    assert_eq!(call(&ada, "POST", &of(0, "undo"), "").1["status"], "rejected");
    let large = format!(r#"{{"feedback": "{}"}}"#, "x".repeat(100_000));
    assert_eq!(call(&ada, "POST", &of(0, "reject"), &large).0, 413);
    assert_eq!(request("POST", &served.url(&of(0, "undo")), &[]).0, 401);
    for (outcome, count) in [("executed", 1.0), ("undone", 1.0)] {
        let series = format!("mana_ai_tool_calls_total{{outcome=\"{outcome}\",policy=\"propose\",tool=\"create_task\"");
        assert_eq!(metric(&served, &series), count, "{series}");
    }
    assert_eq!(rows(&mana, "tasks").iter().map(|row| row["op"].as_str().unwrap()).collect::<Vec<_>>(), ["insert", "delete"]);
}

/// Parameters of any size and kind are refused with the reason, and nothing is written.
#[test]
fn hostile_parameters_are_refused_and_write_nothing() {
    let mut of_ben = insert("ben", "tasks", "bens", json!({"title": "his", "isCompleted": false}));
    of_ben["appId"] = "todo".into();
    let long = "x".repeat(1_100_000);
    let calls = [
        json!({"toolName": "complete_task", "params": {"taskId": "bens"}}),
        json!({"toolName": "create_task", "params": {"title": {"$now": 1}}}),
        json!({"toolName": "create_task", "params": {"title": "t", "dueDate": "../../etc/passwd"}}),
        json!({"toolName": "update_note", "params": {"noteId": ["n"], "content": "c"}}),
        json!({"toolName": "create_note", "params": {"content": long, "spaceId": "other", "id": "chosen", "authorId": "ben"}}),
        json!({"toolName": "drop_table", "params": {"table": "sync_changes"}}),
    ];
    let step = |(n, call): (usize, &Value)| {
        let mut intent = call.clone();
        intent["kind"] = "toolCall".into();
        json!({"id": format!("it-{n}"), "summary": "s", "intent": intent, "status": "staged"})
    };
    let plan: Vec<Value> = calls.iter().enumerate().map(step).collect();
    let mut mission = hourly("ada", "m", None, "2100-01-01T00:00:00.000Z");
    mission["data"]["iterations"] = json!([{"id": "it", "overallStatus": "awaiting-review", "source": "server", "plan": plan}]);
    let mana = Mana::new();
    mana.import(&[mission, of_ben]);
    let before = mana.run(&["export"]).json().len();
    let expected = ["failed", "failed", "failed", "failed", "approved", "planned"];
    for n in 0..calls.len() {
        ada(&mana, &["approve", &format!("it-{n}")]);
    }
    assert_eq!(statuses(&mana), expected.join(" "));
    let written: Vec<Value> = mana.run(&["export"]).json().split_off(before);
    let records: Vec<&Value> = written.iter().filter(|row| row["table"] != "aiMissions").collect();
    assert_eq!(records.len(), 1, "nothing but the note");
    let note = &records[0]["data"];
    assert!(note["id"] != "chosen" && note["spaceId"] == "_personal:ada" && note["authorId"] == "ada", "{:.300}", note.to_string());
}

/// Clients may give the steps of two plans the same id.
#[test]
fn steps_of_one_id_in_two_plans_are_two_steps() {
    let mission = |id: &str| {
        let step = json!({"id": "step-1", "summary": "s", "status": "staged",
                          "intent": {"kind": "toolCall", "toolName": "create_task", "params": {"title": id}}});
        let mut mission = hourly("ada", id, None, "2100-01-01T00:00:00.000Z");
        mission["data"]["iterations"] = json!([{"id": format!("it {id}"), "overallStatus": "awaiting-review", "plan": [step]}]);
        mission
    };
    let mana = Mana::new();
    mana.import(&[mission("m"), mission("other")]);
    for iteration in ["it m", "it other"] {
        assert_eq!(ada(&mana, &["approve", "step-1", "--iteration", iteration])["changed"], true);
    }
    let titles: std::collections::BTreeSet<String> = rows(&mana, "tasks").iter().map(|row| row["data"]["title"].to_string()).collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    ada(&mana, &["undo", "step-1", "--iteration", "it other"]);
    let deleted: Vec<Value> = rows(&mana, "tasks").into_iter().filter(|row| row["op"] == "delete").collect();
    assert_eq!((deleted.len(), &deleted[0]["recordId"]), (1, &rows(&mana, "tasks")[1]["recordId"]));
}
