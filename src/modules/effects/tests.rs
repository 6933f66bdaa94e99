use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::*;
use serde_json::json;

/// Records by `app/table`, in their order.
#[derive(Default)]
struct Shelf(BTreeMap<String, Vec<(String, Record)>>);

impl Shelf {
    fn some(&self, table: &TableSpec) -> Vec<(String, Record)> {
        self.0.get(&format!("{}/{}", table.app, table.table)).cloned().unwrap_or_default()
    }
}

impl Records for Shelf {
    fn record(&self, table: &TableSpec, id: &str) -> Option<Record> {
        self.some(table).into_iter().find(|(known, _)| known == id).map(|(_, record)| record)
    }

    fn count(&self, table: &TableSpec) -> u64 {
        self.some(table).len() as u64
    }

    fn visit(&self, table: &TableSpec, newest_first: bool, visit: &mut dyn FnMut(&str, &Record) -> bool) {
        let mut some = self.some(table);
        if newest_first {
            some.reverse();
        }
        let _ = some.iter().all(|(id, record)| visit(id, record));
    }
}

fn shelf(records: &[(&str, &str, Value)]) -> Shelf {
    let mut shelf = Shelf::default();
    for (table, id, record) in records {
        shelf.0.entry((*table).to_owned()).or_default().push(((*id).to_owned(), record.as_object().unwrap().clone()));
    }
    shelf
}

fn run(tool: &str, params: Value, records: &Shelf) -> Result<Vec<RecordWrite>, Obstacle> {
    let call = ToolCall {
        tool,
        params: params.as_object().unwrap(),
        user: &"ada".into(),
        space: None,
        now: "2026-04-15T22:30:00Z".parse().unwrap(),
        zone: &TimeZone::get("Europe/Berlin").unwrap(),
    };
    let mut n = 0;
    writes(&Modules::builtin(), &call, records, &mut || {
        n += 1;
        format!("new-{n}")
    })
}

fn only(tool: &str, params: Value, records: &Shelf) -> Value {
    let mut written = run(tool, params, records).unwrap();
    assert_eq!(written.len(), 1);
    Value::Object(written.remove(0).fields)
}

#[test]
fn a_new_record_has_the_fields_and_defaults_that_clients_write() {
    assert_eq!(
        only("create_task", json!({"title": " Buy bread ", "dueDate": "2026-04-16T10:00:00Z"}), &shelf(&[("todo/tasks", "t", json!({}))])),
        json!({
            "title": "Buy bread", "priority": "medium", "isCompleted": false, "dueDate": "2026-04-16", "scheduledBlockId": null,
            "estimatedDuration": null, "order": 1, "spaceId": "_personal:ada", "authorId": "ada", "visibility": "space",
            "id": "new-1", "createdAt": "2026-04-15T22:30:00.000Z",
        })
    );
    let entry = only("create_journal_entry", json!({"content": "Rain, and a long walk."}), &Shelf::default());
    assert_eq!((&entry["entryDate"], &entry["wordCount"], &entry["title"]), (&json!("2026-04-15"), &json!(5), &Value::Null));
    let mood = only("log_mood", json!({"level": 7, "emotion": "calm"}), &Shelf::default());
    assert_eq!((&mood["date"], &mood["time"]), (&json!("2026-04-15"), &json!("00:30")));
    assert_eq!(
        only("add_transaction", json!({"type": "expense", "amount": -12.50, "description": "Tea"}), &Shelf::default())["amount"],
        json!(12.50)
    );
}

#[test]
fn an_event_comes_with_its_time_block_in_the_default_calendar() {
    let params = json!({"title": "Dentist", "startTime": "2026-04-20T08:00:00Z", "endTime": "2026-04-20T09:00:00Z"});
    assert_eq!(run("create_event", params.clone(), &Shelf::default()), Err(Obstacle::NothingToChoose { table: "calendars".into() }));
    let records =
        shelf(&[("calendar/calendars", "work", json!({"isDefault": false})), ("calendar/calendars", "home", json!({"isDefault": true}))]);
    let written = run("create_event", params, &records).unwrap();
    let [block, event] = written.as_slice() else { panic!("{written:?}") };
    assert_eq!((block.table.as_str(), event.table.as_str()), ("timeBlocks", "events"));
    assert_eq!((&event.fields["timeBlockId"], &event.fields["calendarId"]), (&json!(block.record_id), &json!("home")));
    assert_eq!(
        (&block.fields["sourceId"], &block.fields["startDate"], &block.fields["kind"], &block.fields["title"]),
        (&json!(event.record_id), &json!("2026-04-20T08:00:00Z"), &json!("scheduled"), &json!("Dentist"))
    );
}

#[test]
fn a_habit_is_logged_with_its_time() {
    let records = shelf(&[("habits/habits", "h", json!({"title": "Stretch", "color": "#fff", "icon": "star", "defaultDuration": 600}))]);
    let written = run("log_habit", json!({"habitId": "h"}), &records).unwrap();
    assert_eq!(written[0].fields["endDate"], "2026-04-15T22:40:00.000Z");
    assert_eq!((&written[0].fields["title"], &written[1].fields["habitId"]), (&json!("Stretch"), &json!("h")));
    let none = run("log_habit", json!({"habitId": "other"}), &records);
    assert_eq!(none, Err(Obstacle::NoRecord { table: "habits".into(), id: "other".into() }));
}

#[test]
fn a_change_writes_what_it_changes_and_never_over_ciphertext() {
    let records = shelf(&[
        ("notes/notes", "plain", json!({"title": "a", "content": "b"})),
        ("notes/notes", "sealed", json!({"title": "a", "content": "enc:1:x"})),
    ]);
    let written = run("update_note", json!({"noteId": "plain", "content": "c"}), &records).unwrap();
    assert_eq!((Value::Object(written[0].fields.clone()), written[0].op), (json!({"content": "c"}), Op::Update));
    let sealed = |params: Value| run("update_note", params, &records);
    assert_eq!(sealed(json!({"noteId": "sealed", "content": "c"})), Err(Obstacle::Encrypted { field: "content".into() }));
    assert!(sealed(json!({"noteId": "sealed", "title": "c"})).is_ok(), "the title is plain");
    assert_eq!(sealed(json!({"content": "c"})), Err(Obstacle::Missing { param: "noteId".into() }));
}

#[test]
fn texts_grow_and_counts_go_up() {
    let records = shelf(&[
        ("notes/notes", "n", json!({"title": "a", "content": "one\n\n#Done"})),
        ("notes/notes", "sealed", json!({"content": "enc:1:x"})),
        ("places/places", "p", json!({"name": "Park", "visitCount": 2})),
        ("places/places", "hidden", json!({"name": "enc:1:x"})),
    ]);
    let content = |tool: &str, params: Value| only(tool, params, &records)["content"].clone();
    assert_eq!(content("append_to_note", json!({"noteId": "n", "content": "two"})), "one\n\n#Done\ntwo");
    assert_eq!(content("add_tag_to_note", json!({"noteId": "n", "tag": "#to read"})), "one\n\n#Done\n\n#to_read");
    assert_eq!(content("add_tag_to_note", json!({"noteId": "n", "tag": "done"})), "one\n\n#Done");
    let sealed = run("append_to_note", json!({"noteId": "sealed", "content": "two"}), &records);
    assert_eq!(sealed, Err(Obstacle::Encrypted { field: "content".into() }));
    let visit = run("visit_place", json!({"placeId": "p"}), &records).unwrap();
    assert_eq!((&visit[0].fields["title"], &visit[0].fields["sourceId"]), (&json!("Park"), &json!("p")));
    assert_eq!(Value::Object(visit[1].fields.clone()), json!({"visitCount": 3, "lastVisitedAt": "2026-04-15T22:30:00.000Z"}));
    assert_eq!(run("visit_place", json!({"placeId": "hidden"}), &records), Err(Obstacle::Encrypted { field: "name".into() }));
}

#[test]
fn records_are_found_by_their_text_or_their_age() {
    let records = shelf(&[
        ("todo/tasks", "bread", json!({"title": "Buy bread"})),
        ("todo/tasks", "milk", json!({"title": "BUY milk", "isCompleted": false})),
        ("todo/tasks", "done", json!({"title": "buy soap", "isCompleted": true})),
        ("drink/drinkEntries", "old", json!({})),
        ("drink/drinkEntries", "new", json!({})),
    ]);
    let buy = run("complete_tasks_by_title", json!({"titleMatch": "buy "}), &records).unwrap();
    assert_eq!(buy.iter().map(|write| write.record_id.as_str()).collect::<Vec<_>>(), ["bread", "milk"]);
    let none = run("complete_tasks_by_title", json!({"titleMatch": "sell"}), &records);
    assert_eq!(none, Err(Obstacle::NothingMatches { table: "tasks".into(), text: "sell".into() }));
    let sealed = shelf(&[("todo/tasks", "t", json!({"title": "enc:1:x"}))]);
    assert_eq!(run("complete_tasks_by_title", json!({"titleMatch": "buy"}), &sealed), Err(Obstacle::Encrypted { field: "title".into() }));
    let undone = run("undo_drink", json!({}), &records).unwrap();
    assert_eq!((undone[0].record_id.as_str(), undone[0].op), ("new", Op::Delete));
}

#[test]
fn a_timer_stops_the_one_that_runs() {
    let running =
        json!({"isLive": true, "type": "timeEntry", "sourceModule": "times", "sourceId": "e", "startDate": "2026-04-15T22:00:00.000Z"});
    let records = shelf(&[
        ("timeblocks/timeBlocks", "b", running),
        ("timeblocks/timeBlocks", "other", json!({"isLive": true, "type": "habit", "sourceModule": "habits"})),
        ("times/timeEntries", "e", json!({"timeBlockId": "b", "duration": 0})),
    ]);
    let stopped = run("stop_timer", json!({}), &records).unwrap();
    let fields = |write: &RecordWrite| Value::Object(write.fields.clone());
    assert_eq!(
        stopped.iter().map(|write| (write.record_id.as_str(), fields(write))).collect::<Vec<_>>(),
        [("b", json!({"endDate": "2026-04-15T22:30:00.000Z", "isLive": false})), ("e", json!({"duration": 1_800}))]
    );
    let started = run("start_timer", json!({"description": "Write"}), &records).unwrap();
    assert_eq!(
        started.iter().map(|write| write.table.as_str()).collect::<Vec<_>>(),
        ["timeBlocks", "timeEntries", "timeBlocks", "timeEntries"]
    );
    assert_eq!(
        (&started[2].fields["title"], &started[2].fields["isLive"], &started[2].fields["endDate"]),
        (&json!("Write"), &json!(true), &Value::Null)
    );
    assert_eq!((&started[3].fields["visibility"], &started[3].fields["source"]), (&json!("private"), &json!({"app": "timer"})));
    let first = run("start_timer", json!({}), &Shelf::default()).unwrap();
    assert_eq!((first.len(), &first[0].fields["title"]), (2, &json!("Time Entry")));
    assert!(matches!(run("stop_timer", json!({}), &Shelf::default()), Err(Obstacle::NothingMatches { .. })));
}

#[test]
fn a_goal_comes_of_a_template_or_of_a_title_and_an_event() {
    let goal = only("create_goal", json!({"templateId": "tpl-places-weekly", "targetValue": 5}), &Shelf::default());
    assert_eq!(
        (&goal["title"], &goal["moduleId"], &goal["currentPeriodStart"]),
        (&json!("Visit places"), &json!("places"), &json!("2026-04-13"))
    );
    assert_eq!(goal["metric"], json!({"source": "event_count", "eventType": "PlaceVisited"}));
    assert_eq!(goal["target"], json!({"value": 5, "period": "week", "comparison": "gte"}));
    let missing = run("create_goal", json!({"title": "Read"}), &Shelf::default());
    assert_eq!(missing, Err(Obstacle::Missing { param: "eventType".into() }));
}

#[test]
fn what_does_not_fit_its_field_is_refused() {
    for (tool, params, param) in [
        ("create_task", json!({"title": "t", "priority": "now"}), "priority"),
        ("create_task", json!({"title": "t", "dueDate": "tomorrow"}), "dueDate"),
        ("create_place", json!({"name": "n", "latitude": "north", "longitude": 1}), "latitude"),
        ("add_transaction", json!({"type": "expense", "amount": 0, "description": "d"}), "amount"),
    ] {
        let Err(Obstacle::Wrong { param: wrong, .. }) = run(tool, params, &Shelf::default()) else { panic!("{tool} {param}") };
        assert_eq!(wrong, param);
    }
    assert_eq!(run("create_task", json!({}), &Shelf::default()), Err(Obstacle::Missing { param: "title".into() }));
    assert_eq!(run("paint_wall", json!({}), &Shelf::default()), Err(Obstacle::NotDescribed));
}
