//! Records in the workbench: what people write, change, delete, bring in and take out (docs/design.md, section 13).

use crate::common::pages::{post, sign_in};
use crate::common::{Mana, Served, insert, request};
use serde_json::{Value, json};

/// A browser of ada.
struct Desk {
    mana: Mana,
    served: Served,
    cookie: String,
    csrf: String,
}

impl Desk {
    fn new(rows: &[Value]) -> Self {
        let mana = Mana::new().with("TICK_ENABLED", "false").with("MANA_AI_TIME_ZONE", "Europe/Berlin");
        if !rows.is_empty() {
            mana.import(rows);
        }
        let served = mana.serve();
        let cookie = sign_in(&served, mana.run(&["token", "create", "--user", "ada"]).stdout.trim());
        let mut desk = Desk { mana, served, cookie, csrf: String::new() };
        let page = desk.get("/records").1;
        desk.csrf = page.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
        desk
    }

    fn get(&self, path: &str) -> (u16, String) {
        request("GET", &self.served.url(path), &[("cookie", &self.cookie)])
    }

    /// Sends a form; answers the status, the page, and where it leads.
    fn post(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String, String) {
        let fields = [&[("csrf", self.csrf.as_str())], fields].concat();
        let fields: Vec<(String, String)> = fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let answer = post(&self.served.url(path), &self.cookie, &fields);
        (answer.status, answer.body, answer.location)
    }

    fn rows(&self, table: &str) -> Vec<Value> {
        self.mana.run(&["export", "--table", table]).json()
    }
}

fn note(user: &str, id: &str, data: Value) -> Value {
    let mut row = insert(user, "notes", id, data);
    row["appId"] = "notes".into();
    row
}

#[test]
fn a_note_is_written_found_changed_deleted_and_brought_back() {
    let desk = Desk::new(&[note("ben", "bens", json!({"title": "Secret of Ben"}))]);
    let (status, _, place) = desk.post("/records/notes/notes", &[("title", "Shopping"), ("content", "bread\r\nmilk")]);
    assert_eq!((status, place.as_str()), (303, "/records/notes/notes?added=1"));
    let row = desk.rows("notes").pop().unwrap();
    assert_eq!((&row["data"]["content"], &row["origin"], &row["userId"]), (&json!("bread\nmilk"), &json!("user"), &json!("ada")));
    assert_eq!((&row["data"]["spaceId"], &row["data"]["isPinned"]), (&json!("_personal:ada"), &json!(false)), "as clients write it");
    let id = row["recordId"].as_str().unwrap().to_owned();
    let list = desk.get("/records/notes/notes?q=BREAD").1;
    assert!(list.contains(&id) && !list.contains("Ben"), "{list}");
    assert!(desk.get("/records/notes/notes?q=cheese").1.contains("Nothing contains"));

    let of = format!("/records/notes/notes/r/{id}");
    assert_eq!(
        desk.post(&of, &[("title", "Groceries"), ("was:title", "Shopping"), ("content", "bread\nmilk"), ("was:content", "bread\nmilk")]).0,
        303
    );
    assert_eq!(desk.rows("notes").pop().unwrap()["data"], json!({"title": "Groceries"}), "what was not edited is not written");
    let (status, _, place) = desk.post(&format!("{of}/delete"), &[]);
    assert_eq!((status, place), (303, format!("/records/notes/notes?deleted={id}")));
    // Who is signed in keeps the navigation, and the way to what was deleted.
    let (status, gone) = desk.get(&of);
    assert!(status == 404 && gone.contains("<nav") && gone.contains("href=\"/deleted\""), "{gone}");
    assert_eq!(desk.post(&format!("{of}/undelete"), &[]).0, 303);
    assert!(desk.get(&of).1.contains("Groceries"));
    for path in ["/records/notes/notes/r/bens", "/records/notes/none", "/records/ai/agents", "/records/timeblocks/timeBlocks"] {
        assert_eq!(desk.get(path).0, 404, "{path}");
    }
    assert_eq!(desk.post("/records/notes/notes/r/bens/delete", &[]).0, 404);
}

#[test]
fn records_are_chosen_sorted_and_searched_and_what_is_deleted_stands_apart() {
    let task = |user: &str, id: &str, data: Value| {
        let mut row = insert(user, "tasks", id, data);
        row["appId"] = "todo".into();
        row
    };
    let desk = Desk::new(&[
        task("ada", "rent", json!({"title": "Pay the rent", "priority": "urgent", "isCompleted": false, "dueDate": "2026-04-30"})),
        task("ada", "bath", json!({"title": "Clean the bath", "priority": "low", "isCompleted": true, "dueDate": "2026-04-20"})),
        task("ada", "call", json!({"title": "Call Kim", "priority": "low", "isCompleted": false, "description": "about the rent"})),
        task("ada", "old", json!({"title": "Old", "priority": "low", "deletedAt": "2026-04-15T07:00:00.000Z"})),
        task("ben", "bens", json!({"title": "Rent of Ben", "priority": "low"})),
    ]);
    let listed = |query: &str| {
        let (status, page) = desk.get(&format!("/records/todo/tasks{query}"));
        assert_eq!(status, 200, "{query}");
        let ids = page.split("href=\"/records/todo/tasks/r/").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    for (query, ids) in [
        ("?sort=title", "call bath rent"),
        ("?sort=newest", "rent bath call"),
        ("?sort=oldest", "bath rent call"),
        ("?is-priority=low&sort=title", "call bath"),
        ("?is-priority=low&is-isCompleted=false", "call"),
        ("?is-isCompleted=true", "bath"),
        ("?q=RENT&sort=title", "call rent"),
        ("?q=rent&is-priority=urgent", "rent"),
        ("?q=nowhere", ""),
        ("?is-priority=medium", ""),
        ("?sort=title&key=call+kim&after=call", "bath rent"),
        // What nobody knows of is passed over.
        ("?sort=size&is-size=2&is-priority=&key=&after=x", "bath call rent"),
    ] {
        let found = listed(query);
        let unordered = |ids: &str| ids.split(' ').map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert!(if query.contains("sort=size") { unordered(&found) == unordered(ids) } else { found == ids }, "{query}: {found:?}");
    }
    assert_eq!(desk.get(&format!("/records/todo/tasks?q={}", "x".repeat(5_000))).0, 200);

    let deleted = desk.get("/deleted").1;
    assert!(deleted.contains("Old") && !deleted.contains("Pay the rent") && !deleted.contains("Ben"), "{deleted}");
    assert_eq!(desk.post("/records/todo/tasks/r/rent/delete", &[]).0, 303);
    let deleted = desk.get("/deleted?of=records").1;
    assert!(deleted.contains("Pay the rent") && deleted.contains("Old") && !deleted.contains("<h2>Agents"), "{deleted}");
    assert_eq!(desk.post("/records/todo/tasks/r/old/undelete", &[]).0, 303);
    assert!(!desk.get("/deleted").1.contains("Old"));
    assert_eq!(listed("?sort=title"), "call bath old");
}

#[test]
fn an_event_has_its_block_and_a_calendar_and_goes_with_them() {
    let desk = Desk::new(&[]);
    let fields = [("title", "Dentist"), ("startTime", "2026-04-20T10:00"), ("endTime", "2026-04-20T11:00")];
    assert_eq!(desk.post("/records/calendar/events", &fields).0, 303);
    let (event, block, calendar) = (desk.rows("events").remove(0), desk.rows("timeBlocks").remove(0), desk.rows("calendars").remove(0));
    assert_eq!(block["data"]["startDate"], "2026-04-20T08:00:00.000Z", "in the zone of the server");
    assert_eq!((&event["data"]["timeBlockId"], &event["data"]["calendarId"]), (&block["recordId"], &calendar["recordId"]));
    assert_eq!(calendar["data"]["isDefault"], true);
    let of = format!("/records/calendar/events/r/{}", event["recordId"].as_str().unwrap());
    let page = desk.get(&of).1;
    assert!(page.contains("name=\"startDate\" type=\"datetime-local\" value=\"2026-04-20T10:00\""), "{page}");
    let edit = [("title", "Dentist!"), ("was:title", "Dentist"), ("startDate", "2026-04-20T09:00"), ("was:startDate", "2026-04-20T10:00")];
    assert_eq!(desk.post(&of, &edit).0, 303);
    assert_eq!(desk.rows("events")[1]["data"], json!({"title": "Dentist!"}));
    assert_eq!(desk.rows("timeBlocks")[1]["data"], json!({"startDate": "2026-04-20T07:00:00.000Z", "title": "Dentist!"}));
    desk.post(&format!("{of}/delete"), &[]);
    assert_eq!((&desk.rows("events")[2]["op"], &desk.rows("timeBlocks")[2]["op"]), (&json!("delete"), &json!("delete")));
    desk.post(&format!("{of}/undelete"), &[]);
    assert_eq!((desk.rows("events").len(), desk.rows("timeBlocks").len()), (4, 4));
}

#[test]
fn what_does_not_fit_and_what_is_encrypted_is_not_written() {
    let desk = Desk::new(&[note("ada", "sealed", json!({"title": "Open", "content": "enc:1:abc"}))]);
    let (status, page, _) = desk.post("/records/finance/transactions", &[("type", "expense"), ("amount", "much"), ("description", "Tea")]);
    assert!(status == 422 && page.contains("must be a number") && page.contains("value=\"Tea\""), "{page}");
    assert_eq!(desk.rows("transactions").len(), 0);
    let of = "/records/notes/notes/r/sealed";
    assert!(desk.get(of).1.contains("Only your device can read"));
    assert_eq!(desk.post(of, &[("content", "guess"), ("was:content", "")]).0, 422);
    assert_eq!(desk.rows("notes").len(), 1);
}

#[test]
fn a_form_that_is_refused_shows_what_was_typed() {
    let desk = Desk::new(&[note("ada", "n", json!({"title": "Shopping", "content": "bread", "isPinned": true}))]);
    let mut task = insert("ada", "tasks", "t", json!({"title": "Rent", "description": "By bank", "dueDate": "2026-04-30"}));
    task["appId"] = "todo".into();
    desk.mana.import(&[task]);
    let typed = [("title", ""), ("was:title", "Rent"), ("description", "In cash"), ("was:description", "By bank")];
    let (status, page, _) = desk.post("/records/todo/tasks/r/t", &typed);
    assert!(status == 422 && page.contains("In cash") && !page.contains("value=\"Rent\" dir"), "{page}");
    // What it showed at first still tells what was edited.
    assert!(page.contains("name=\"was:title\" value=\"Rent\"") && page.contains("name=\"was:description\" value=\"By bank\""), "{page}");
    assert!(page.contains("role=\"alert\" tabindex=\"-1\" autofocus"), "{page}");
}

#[test]
fn the_tables_tell_how_much_they_hold_and_records_what_they_are_called() {
    let linked = |table: &str, id: &str| json!({"module": "notes", "table": table, "id": id});
    let inputs = json!([linked("notes", "titled"), linked("notes", "plain"), linked("notes", "empty"), linked("notes", "gone")]);
    let mission = insert("ada", "aiMissions", "m", json!({"title": "M", "state": "paused", "inputs": inputs}));
    let notes = [("titled", json!({"title": "Balcony"})), ("plain", json!({"content": "Water the mint.\nTwice."})), ("empty", json!({}))];
    let rows: Vec<Value> = notes.into_iter().map(|(id, data)| note("ada", id, data)).chain([mission]).collect();
    let desk = Desk::new(&rows);
    let tables = desk.get("/records").1;
    assert!(tables.contains("Notes</a> <span class=\"count\">3</span>"), "{tables}");
    let page = desk.get("/missions/m").1;
    for (id, name) in [("titled", "Balcony"), ("plain", "Water the mint."), ("empty", "Untitled")] {
        assert!(page.contains(&format!("Notes: <a href=\"/records/notes/notes/r/{id}\"><bdi>{name}</bdi></a>")), "{id}: {page}");
    }
    assert!(page.contains("notes: <bdi>gone</bdi>"), "{page}");
    let form = desk.get("/missions/new").1;
    let (_, of_notes) = form.split_once("Notes</legend>").unwrap();
    assert!(of_notes.contains(">Water the mint.<") && of_notes.contains(">Untitled<") && !form.contains("encrypted"), "{form}");
}

#[test]
fn columns_of_a_csv_are_called_as_in_either_language_and_none_is_taken_for_prose() {
    let desk = Desk::new(&[]);
    let import = |text: &str, file: &str| desk.post("/records/todo/tasks/import", &[("text", text), ("file", file)]);
    assert_eq!(import("Titel;Fällig am\nMiete;2026-04-30\n", "").2, "/records/todo/tasks?added=1");
    assert_eq!(desk.rows("tasks")[0]["data"]["dueDate"], "2026-04-30");
    for (text, file) in [("titel;fälligkeit\nMiete;morgen\n", ""), ("fälligkeit\nmorgen\n", "Aufgaben.csv")] {
        let (status, page, _) = import(text, file);
        assert!(status == 422 && page.contains("have no field &quot;fälligkeit&quot;"), "{page}");
    }
    assert_eq!(desk.rows("tasks").len(), 1, "nothing of it was kept");
    let help = request("GET", &desk.served.url("/records/todo/tasks/import"), &[("cookie", &desk.cookie), ("accept-language", "de")]).1;
    assert!(help.contains("Titel, ") && help.contains("Fällig am"), "{help}");
}

#[test]
fn texts_come_in_whole_or_not_at_all_and_go_out_as_they_came() {
    let desk = Desk::new(&[]);
    let import = |table: &str, text: &str| desk.post(&format!("/records/{table}/import"), &[("text", text)]);
    assert_eq!(import("notes/notes", "# One\r\n\r\nText\r\n\r\n# Two\r\n").2, "/records/notes/notes?added=2");
    assert_eq!(import("todo/tasks", "- [ ] Bread\n- [x] Milk\n").2, "/records/todo/tasks?added=2");
    assert_eq!(desk.get("/records/todo/tasks/export/md").1, "- [ ] Bread\n- [x] Milk\n");
    assert_eq!(
        import("finance/transactions", "type,amount,description\nexpense,12.50,Tea\nincome,3,Gift\n").2,
        "/records/finance/transactions?added=2"
    );
    let csv = desk.get("/records/finance/transactions/export/csv").1;
    assert!(csv.starts_with("type,amount,") && csv.contains("\nexpense,12.5,"), "{csv}");
    let (status, page, _) = import("finance/transactions", "type,amount,description\nexpense,1,Good\nexpense,much,Bad\n");
    assert!(status == 422 && page.contains("record 2: “Amount” must be a number"), "{page}");
    assert_eq!(desk.rows("transactions").len(), 2, "nothing of it was kept");
    let ics = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART:20260420T080000Z\r\nDTEND:20260420T090000Z\r\nSUMMARY:Dentist\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    assert_eq!(import("calendar/events", ics).2, "/records/calendar/events?added=1");
    let out = desk.get("/records/calendar/events/export/ics").1;
    assert!(out.contains("SUMMARY:Dentist") && out.contains("DTSTART:20260420T080000Z") && out.contains("DTEND:20260420T090000Z"), "{out}");
    assert_eq!(import("calendar/events", &"BEGIN:VEVENT\n".repeat(50_000)).0, 422);
    assert_eq!(desk.get("/health").0, 200);
}

#[test]
fn a_long_list_comes_in_at_once_and_in_its_order() {
    const TASKS: usize = 5_000;
    let desk = Desk::new(&[]);
    let text: String = (0..TASKS).map(|n| format!("- [ ] task {n}\n")).collect();
    let (status, _, place) = desk.post("/records/todo/tasks/import", &[("text", &text)]);
    assert_eq!((status, place), (303, format!("/records/todo/tasks?added={TASKS}")));
    let rows = desk.rows("tasks");
    assert!(rows.iter().enumerate().all(|(n, row)| row["data"]["order"] == n && row["data"]["title"] == format!("task {n}")));
    let page = desk.get("/records/todo/tasks").1;
    assert!(page.contains("task 4999") && page.contains("More"), "the newest first");
    assert_eq!(desk.get("/records/todo/tasks/export/md").1, text);
}

#[test]
fn forms_show_and_take_times_in_the_zone_of_their_user() {
    let desk = Desk::new(&[]);
    let fields = [("title", "Dentist"), ("startTime", "2026-04-20T10:00"), ("endTime", "2026-04-20T11:00")];
    let add = |zone: &[(&str, &str)]| {
        assert_eq!(desk.post("/records/calendar/events", &[&fields[..], zone].concat()).0, 303);
        desk.rows("timeBlocks").pop().unwrap()
    };
    assert_eq!(add(&[("form-zone", "America/New_York")])["data"]["startDate"], "2026-04-20T14:00:00.000Z", "the zone of the form");
    assert_eq!(add(&[("form-zone", "Mars/Olympus")])["data"]["startDate"], "2026-04-20T08:00:00.000Z", "of the server");
    let id = desk.rows("events").pop().unwrap()["recordId"].as_str().unwrap().to_owned();
    let page = |zone: &str| {
        let cookie = format!("{}; zone={zone}", desk.cookie);
        request("GET", &desk.served.url(&format!("/records/calendar/events/r/{id}")), &[("cookie", &cookie)]).1
    };
    let shows = |page: &str, time: &str, name: &str| {
        let field = page.split("name=\"startDate\" type=\"datetime-local\" value=\"").nth(1).unwrap_or_else(|| panic!("{page}"));
        assert!(field.starts_with(time), "{page}");
        assert_eq!(page.contains(&format!("({name})")), !name.is_empty(), "{name}");
        page.split("name=\"form-zone\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    assert_eq!(shows(&page("Asia/Tokyo"), "2026-04-20T17:00", ""), "Asia/Tokyo", "that of the browser");
    assert_eq!(shows(&page("<script>"), "2026-04-20T10:00", "Europe/Berlin"), "Europe/Berlin");
    assert_eq!(desk.post("/settings", &[("language", "en"), ("zone", "America/New_York")]).0, 303);
    assert_eq!(shows(&page("Asia/Tokyo"), "2026-04-20T04:00", "America/New_York"), "America/New_York", "the settings come first");
    let new = request("GET", &desk.served.url("/missions/new"), &[("cookie", &desk.cookie)]).1;
    assert!(new.contains("name=\"timeZone\" value=\"America/New_York\""), "{new}");
}

/// The inputs of a form, as name, type and value.
fn inputs(page: &str) -> Vec<(String, String, String)> {
    let of = |tag: &str, name: &str| {
        tag.split_once(&format!(" {name}=\"")).map_or(String::new(), |(_, rest)| rest.split('"').next().unwrap().to_owned())
    };
    let tags = page.split("<input ").skip(1).map(|rest| format!(" {}", rest.split('>').next().unwrap()));
    tags.map(|tag| (of(&tag, "name"), of(&tag, "type"), of(&tag, "value"))).collect()
}

#[test]
fn an_event_of_whole_days_is_edited_by_its_days_and_stays_one() {
    let mut calendar = insert("ada", "calendars", "c", json!({"name": "Mine", "isDefault": true}));
    calendar["appId"] = "calendar".into();
    let desk = Desk::new(&[calendar]);
    let times = [("startTime", "2026-04-20T09:00"), ("endTime", "2026-04-21T10:00"), ("isAllDay", "true"), ("title", "Fair")];
    let (status, body, _) = desk.post("/records/calendar/events", &times);
    assert_eq!(status, 303, "{body}");
    let id = desk.rows("events").pop().unwrap()["recordId"].as_str().unwrap().to_owned();
    let place = format!("/records/calendar/events/r/{id}");
    let block = || -> Value {
        let mut block = json!({});
        for row in desk.rows("timeBlocks") {
            block.as_object_mut().unwrap().extend(row["data"].as_object().unwrap().clone());
        }
        json!([block["startDate"], block["endDate"], block["allDay"]])
    };
    assert_eq!(block(), json!(["2026-04-20T00:00:00.000Z", "2026-04-22T00:00:00.000Z", true]));
    let form = || {
        let page = desk.get(&place).1;
        let shown = inputs(&page).into_iter().filter(|(name, ..)| name.ends_with("Date"));
        shown.map(|(name, kind, value)| format!("{name} {kind} {value}")).collect::<Vec<_>>()
    };
    let days = ["was:startDate hidden 2026-04-20", "startDate date 2026-04-20", "was:endDate hidden 2026-04-21", "endDate date 2026-04-21"];
    assert_eq!(form(), days);

    // What is not edited is not written; what is stays in days.
    let was = [("was:startDate", "2026-04-20"), ("was:endDate", "2026-04-21"), ("was:allDay", "true"), ("was:title", "Fair")];
    let save = |start: &str, end: &str, all_day: &str| {
        let fields = [&was[..], &[("startDate", start), ("endDate", end), ("allDay", all_day), ("title", "Fair")]].concat();
        let (status, body, _) = desk.post(&place, &fields);
        assert_eq!(status, 303, "{body}");
    };
    let before = desk.rows("timeBlocks").len();
    save("2026-04-20", "2026-04-21", "true");
    assert_eq!(desk.rows("timeBlocks").len(), before);
    save("2026-04-20", "2026-04-20", "true");
    assert_eq!(block(), json!(["2026-04-20T00:00:00.000Z", "2026-04-21T00:00:00.000Z", true]));
    let list = desk.get("/records/calendar/events").1;
    assert!(list.contains("<time datetime=\"2026-04-20\">") && !list.contains("2026-04-20T"), "{list}");

    // Where it takes whole days no more, it begins and ends with these days where its reader is.
    save("2026-04-20", "2026-04-20", "false");
    assert_eq!(block(), json!(["2026-04-19T22:00:00.000Z", "2026-04-20T22:00:00.000Z", false]));
    let times = form();
    assert!(times.contains(&"startDate datetime-local 2026-04-20T00:00".to_owned()), "{times:?}");
}
