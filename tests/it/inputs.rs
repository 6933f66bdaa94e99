//! What a mission's inputs say in its prompt, in the shapes that clients write (docs/records.md, sections 4 and 8).

use std::time::Duration;

use crate::common::{Mana, Model, Reply, edit, hourly, insert};
use serde_json::{Value, json};

const DUE: &str = "2026-04-15T08:00:00.000Z";
const NOW: &str = "2026-04-15T08:00:30Z";

fn record(app: &str, table: &str, id: &str, data: Value) -> Value {
    let mut line = insert("u", table, id, data);
    line["appId"] = app.into();
    line
}

fn delete(app: &str, table: &str, id: &str) -> Value {
    let mut line = record(app, table, id, json!({"deletedAt": "2026-04-14T08:00:00.000Z"}));
    line["op"] = "delete".into();
    line["createdAt"] = "2026-04-14T08:00:00.000000Z".into();
    line
}

/// The prompt of a mission with inputs, and what its run notes.
fn prompt(records: &[Value], inputs: &[[&str; 3]], grant: Value) -> (String, Value) {
    let model = Model::start(Duration::ZERO, |_| Reply::task("x"));
    let vectors = vectors();
    let mana = Mana::new().with("MANA_LLM_URL", model.url()).with("MANA_AI_PRIVATE_KEY_PEM", vectors["privateKeyPem"].as_str().unwrap());
    let mut mission = hourly("u", "dev-m-0", None, DUE);
    mission["data"]["inputs"] = inputs.iter().map(|[module, table, id]| json!({"module": module, "table": table, "id": id})).collect();
    mission["data"]["grant"] = grant;
    mana.import(&[records, &[mission]].concat());
    let ran = mana.run(&["tick", "--now", NOW, "--json"]);
    assert_eq!(ran.json()[0]["plansWrittenBack"], 1, "{ran:?}");
    let request = model.requests().remove(0);
    let note = mana.run(&["runs", "--json"]).json().remove(0)["note"].clone();
    (request["messages"][1]["content"].as_str().unwrap().to_owned(), note)
}

fn vectors() -> Value {
    let path = format!("{}/tests/vectors/grants.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn event() -> Value {
    json!({"calendarId": "personal-calendar", "timeBlockId": "b", "title": "Dentist", "description": null, "location": "Mill Lane",
           "color": null, "reminders": null, "createdAt": "2026-04-10T08:00:00.000Z"})
}

fn block() -> Value {
    json!({"startDate": "2026-04-18T10:00:00.000Z", "endDate": "2026-04-18T10:30:00.000Z", "allDay": false, "isLive": false, "timezone": null,
           "recurrenceRule": null, "kind": "scheduled", "type": "event", "sourceModule": "calendar", "sourceId": "e", "title": "Dentist",
           "createdAt": "2026-04-10T08:00:00.000Z"})
}

#[test]
fn every_module_reads_as_its_clients_write_it() {
    let records = [
        record(
            "todo",
            "tasks",
            "open",
            json!({"title": "Taxes", "priority": "high", "isCompleted": false, "dueDate": "2026-05-01",
            "projectId": "p", "metadata": {"labelIds": ["l1", "l2", "gone"]}, "scheduledBlockId": "tb",
            "subtasks": [{"id": "1", "title": "Find receipts", "isCompleted": true, "order": 0}, {"id": "2", "title": "Scan them", "isCompleted": false, "order": 1}]}),
        ),
        record(
            "todo",
            "tasks",
            "done",
            json!({"title": "Lamp", "priority": "low", "isCompleted": true, "completedAt": "2026-04-12T08:00:00.000Z"}),
        ),
        record("todo", "projects", "p", json!({"name": "Household"})),
        record("tags", "tags", "l1", json!({"name": "money"})),
        record("tags", "tags", "l2", json!({"name": "boring"})),
        record("timeblocks", "timeBlocks", "tb", json!({"startDate": "2026-04-20T09:00:00.000Z", "endDate": null})),
        record(
            "companion",
            "companionGoals",
            "water",
            json!({"title": "Water", "metric": {"source": "event_count", "eventType": "DrinkLogged",
            "filterField": "drinkType", "filterValue": "water"}, "target": {"value": 8, "period": "day", "comparison": "gte"}, "currentValue": 3, "status": "active"}),
        ),
        record("companion", "goals", "old", json!({"title": "Read", "currentValue": 8, "targetValue": 20, "period": "day"})),
        record("calendar", "events", "e", event()),
        record("timeblocks", "timeBlocks", "b", block()),
        record(
            "journal",
            "journalEntries",
            "j",
            json!({"title": null, "content": "Slept well.", "entryDate": "2026-04-14", "mood": "zufrieden", "tags": ["sleep"]}),
        ),
        record("kontext", "kontextDoc", "singleton", json!({"content": "Two children, one dog."})),
        record(
            "profile",
            "userContext",
            "singleton",
            json!({"userId": "u", "about": {"bio": "Carpenter", "languages": ["de", "en"]},
            "routine": {"bedtime": "22:30"}, "interests": [], "freeform": "", "interview": {"answeredIds": ["q1"]}}),
        ),
        record("notes", "notes", "n", json!({"title": "", "content": "Just a text", "isPinned": false, "isArchived": false})),
    ];
    let (prompt, note) = prompt(
        &records,
        &[
            ["todo", "tasks", "open"],
            ["tasks", "tasks", "done"],
            ["goals", "companionGoals", "water"],
            ["goals", "goals", "old"],
            ["calendar", "events", "e"],
            ["journal", "journalEntries", "j"],
            ["kontext", "kontextDoc", "singleton"],
            ["profile", "userContext", "singleton"],
            ["notes", "notes", "n"],
        ],
        Value::Null,
    );
    assert_eq!(note, Value::Null);
    for text in [
        "[todo open] Taxes\nstatus: open\npriority: high\ndueDate: 2026-05-01\nsubtasks: \n- [x] Find receipts\n- [ ] Scan them\n\
         startTime: 2026-04-20T09:00:00.000Z\nproject: Household\nlabel: money\nlabel: boring\n",
        "[tasks done] Lamp\nstatus: completed\npriority: low\ncompletedAt: 2026-04-12T08:00:00.000Z\n",
        "[goals water] Water\nProgress: 3 of 8 per day\nstatus: active\ncounts: DrinkLogged\nwhere: water\n",
        "[goals old] Read\nProgress: 8 of 20 per day\n",
        "[calendar e] Dentist\nlocation: Mill Lane\nstartTime: 2026-04-18T10:00:00.000Z\nendTime: 2026-04-18T10:30:00.000Z\n",
        "[journal j] \nSlept well.\ndate: 2026-04-14\nmood: zufrieden\ntags: sleep\n",
        "[kontext singleton] \nTwo children, one dog.\n",
        "about: bio: Carpenter; languages: de, en\nroutine: bedtime: 22:30\n",
        "[notes n] \nJust a text\n",
    ] {
        assert!(prompt.contains(text), "{text}\n---\n{prompt}");
    }
}

#[test]
fn a_table_by_another_name_is_the_same_record() {
    let records = [
        record("journal", "journalEntries", "j", json!({"content": "By its app.", "entryDate": "2026-04-14"})),
        record(
            "companion",
            "companionGoals",
            "g",
            json!({"title": "By its module", "currentValue": 1, "target": {"value": 2, "period": "week"}}),
        ),
        record("kontext", "kontext", "k", json!({"content": "By an older name."})),
        record("todo", "projects", "p", json!({"name": "By the client's own name"})),
        record("notes", "notes", "n", json!({"title": "not this one"})),
        record("notes", "drafts", "n", json!({"title": "By the table that is named"})),
    ];
    let inputs = [
        ["journal", "journal", "j"],
        ["goals", "goals", "g"],
        ["kontext", "kontextDoc", "k"],
        ["todo", "todoProjects", "p"],
        ["notes", "drafts", "n"],
    ];
    let (prompt, note) = prompt(&records, &inputs, Value::Null);
    assert_eq!(note, Value::Null);
    for text in ["By its app.", "By its module", "By an older name.", "By the client's own name", "By the table that is named"] {
        assert!(prompt.contains(text), "{text}\n{prompt}");
    }
}

#[test]
fn deleted_records_are_left_out_and_counted() {
    let records = [
        record("calendar", "events", "e", event()),
        record("timeblocks", "timeBlocks", "b", block()),
        delete("timeblocks", "timeBlocks", "b"),
        record("todo", "tasks", "t", json!({"title": "Deleted task", "isCompleted": false})),
        delete("todo", "tasks", "t"),
        record("notes", "notes", "n", json!({"title": "Deleted by a field", "deletedAt": "2026-04-14T08:00:00.000Z"})),
        record("companion", "companionGoals", "g", json!({"title": "Deleted goal"})),
        delete("companion", "companionGoals", "g"),
    ];
    let inputs = [
        ["calendar", "events", "e"],
        ["todo", "tasks", "t"],
        ["notes", "notes", "n"],
        ["goals", "companionGoals", "g"],
        ["moon", "phases", "x"],
        ["notes", "notes", "never-there"],
    ];
    let (prompt, note) = prompt(&records, &inputs, Value::Null);
    assert!(prompt.contains("[calendar e] Dentist\nlocation: Mill Lane\n</user_data>"), "the event goes without its block: {prompt}");
    assert!(!prompt.contains("Deleted") && prompt.contains("5 linked inputs could not be read"), "{prompt}");
    assert!(note.as_str().unwrap().contains("moon x: its module is unknown; "), "{note}");
}

/// A block with an encrypted field, and the event that it belongs to.
#[test]
fn what_a_linked_record_encrypts_is_read_only_where_the_grant_names_that_record() {
    let vectors = vectors();
    let case = &vectors["cases"][0];
    let sealed = case["encrypted"]["title"].as_str().unwrap();
    let grant = |tables: &[&str], ids: &[&str]| {
        let mut derivation = case["derivation"].clone();
        derivation["tables"] = json!(tables);
        derivation["recordIds"] = json!(ids);
        json!({"wrappedKey": case["wrappedKey"], "derivation": derivation, "issuedAt": "2026-04-01T00:00:00.000Z", "expiresAt": "2026-05-01T00:00:00.000Z"})
    };
    let mut sealed_block = block();
    sealed_block["startDate"] = sealed.into();
    let records = [record("calendar", "events", "e", event()), record("timeblocks", "timeBlocks", "b", sealed_block)];
    let plain = case["plain"]["title"].as_str().unwrap();
    for (name, grant, read) in [
        ("none", Value::Null, false),
        ("the event alone", grant(&["events"], &["events:e"]), false),
        ("another block", grant(&["timeBlocks"], &["timeBlocks:other"]), false),
        ("the block", grant(&["events", "timeBlocks"], &["events:e", "timeBlocks:b"]), true),
    ] {
        let (prompt, note) = prompt(&records, &[["calendar", "events", "e"]], grant);
        assert!(
            prompt.contains("[calendar e] Dentist\nlocation: Mill Lane\n") && prompt.contains("endTime: 2026-04-18T10:30"),
            "{name}: {prompt}"
        );
        assert_eq!(prompt.contains(&format!("startTime: {plain}")), read, "{name}: {prompt}");
        assert!(!prompt.contains("enc:1:") && note.is_null(), "{name}: {note} {prompt}");
    }
}

#[test]
fn a_record_with_thousands_of_changes_and_a_large_one_are_read() {
    let mut records = vec![
        record("notes", "notes", "busy", json!({"title": "Busy", "content": ""})),
        record("notes", "notes", "large", json!({"title": "Large", "content": "word ".repeat(400_000)})),
        record("notes", "notes", "huge", json!({"title": "Huge", "content": {"text": "x".repeat(2_000_000)}})),
    ];
    for n in 0..3_000 {
        let at = format!("2026-04-14T{:02}:{:02}:{:02}Z", 1 + n / 3600, n / 60 % 60, n % 60);
        let mut line = edit("u", "busy", json!({"content": format!("version {n}")}), &at);
        (line["appId"], line["table"]) = ("notes".into(), "notes".into());
        records.push(line);
    }
    let inputs = [["notes", "notes", "busy"], ["notes", "notes", "large"], ["notes", "notes", "huge"]];
    let (prompt, note) = prompt(&records, &inputs, Value::Null);
    assert!(prompt.contains("[notes busy] Busy\nversion 2999\n"), "{prompt}");
    assert!(prompt.contains("[notes large] Large\nword word ") && prompt.len() < 10_000, "{}", prompt.len());
    assert!(note.as_str().unwrap().contains("notes huge: it is too large"), "{note}");
}
