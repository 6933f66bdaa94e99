//! Templates: each makes what it says, in both languages; a file of somebody is checked before anything is written.

use std::time::Duration;

use mana_ai::modules::Modules;
use mana_ai::templates::Template;
use serde_json::{Value, json};

use crate::common::pages::{FormAnswer, post, sign_in};
use crate::common::{Mana, Model, Reply, Served, hourly, insert, request};

/// A server with somebody who is signed in.
pub(crate) struct Desk {
    pub mana: Mana,
    pub served: Served,
    cookie: String,
    pub token: String,
}

impl Desk {
    pub fn new(mana: Mana) -> Self {
        let mana = mana.with("TICK_ENABLED", "false").with("MANA_AI_TIME_ZONE", "Europe/Berlin");
        let served = mana.serve();
        let token = mana.run(&["token", "create", "--user", "u"]).stdout.trim().to_owned();
        let cookie = sign_in(&served, &token);
        Desk { mana, served, cookie, token }
    }

    /// The same server, started again.
    pub fn restarted(self) -> Self {
        drop(self.served);
        Desk::new(self.mana)
    }

    pub fn page(&self, path: &str, language: &str) -> (u16, String) {
        request("GET", &self.served.url(path), &[("cookie", &self.cookie), ("accept-language", language)])
    }

    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> FormAnswer {
        let (_, page) = self.page("/templates/import", "en");
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let fields = [("csrf", csrf)].into_iter().chain(fields.iter().copied()).map(|(name, value)| (name.to_owned(), value.to_owned()));
        post(&self.served.url(path), &self.cookie, &fields.collect::<Vec<_>>())
    }

    pub fn rows(&self) -> Vec<Value> {
        self.mana.run(&["export"]).json()
    }
}

fn table(row: &Value) -> String {
    format!("{}/{}", row["appId"].as_str().unwrap(), row["table"].as_str().unwrap())
}

#[test]
fn every_template_makes_sound_rows_and_its_first_run_ends_in_a_plan() {
    let model = Model::start(Duration::ZERO, |_| Reply::task("Do this"));
    let desk = Desk::new(Mana::new().with("MANA_LLM_URL", model.url()).with("MANA_LLM_CONTEXT_TOKENS", "32768"));
    let templates = Template::builtin();
    let known = |modules: Modules, template: &Template| modules.joined(&template.modules.described).unwrap();
    let modules = templates.iter().fold(Modules::builtin(), known);
    assert!(templates.len() >= 12);
    for template in &templates {
        let before = desk.rows().len();
        let answer = desk.post(&format!("/templates/{}", template.id), &[]);
        assert_eq!(answer.status, 303, "{}: {}", template.id, answer.body);
        let rows = &desk.rows()[before..];
        let mut keys = Vec::new();
        for row in rows {
            assert_eq!((&row["op"], &row["clientId"], &row["actor"]["principalId"]), (&json!("insert"), &json!("workbench"), &json!("u")));
            let data = row["data"].as_object().unwrap();
            assert!(data["createdAt"].is_string() && data["spaceId"] == "_personal:u", "{row}");
            if row["appId"] == "ai" {
                continue;
            }
            let described = modules.table(&table(row)).unwrap();
            for name in data.keys().filter(|name| !["id", "spaceId", "authorId", "visibility", "createdAt"].contains(&name.as_str())) {
                assert!(described.field(name).is_some(), "{}: {name} of {row}", template.id);
            }
            assert!(!row["data"].to_string().contains("$day") && !row["data"].to_string().contains("$time"), "{row}");
            keys.push(row["recordId"].clone());
        }
        let mission = rows.iter().find(|row| row["table"] == "aiMissions").unwrap();
        let agent = rows.iter().find(|row| row["table"] == "agents").unwrap();
        assert_eq!(mission["data"]["agentId"], agent["recordId"]);
        assert!(mission["data"]["nextRunAt"].is_string() && agent["data"]["policy"]["tools"]["create_task"].is_string());
        let inputs = mission["data"]["inputs"].as_array().unwrap();
        assert!(!inputs.is_empty() && inputs.iter().all(|input| keys.contains(&input["id"])), "{}: {inputs:?}", template.id);
    }
    // All of them run at once, and every input is read.
    let ahead = "2099-01-01T00:00:00.000Z";
    let ran = desk.mana.run(&["tick", "--now", ahead, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let missions = desk.mana.run(&["missions", "--json"]).json();
    assert_eq!(missions.len(), templates.len());
    for mission in &missions {
        let iterations = mission["record"]["iterations"].as_array().unwrap();
        assert_eq!(iterations.len(), 1, "{mission}");
        assert_eq!(iterations[0]["overallStatus"], "awaiting-review", "{mission}");
    }
    for request in model.requests() {
        let prompt = request["messages"].to_string();
        assert!(!prompt.contains("could not be read") && !prompt.contains("left out"), "{prompt}");
    }
}

#[test]
fn a_template_runs_by_the_clock_of_who_makes_it() {
    let mut desk = Desk::new(Mana::new());
    let cadences = |desk: &Desk| -> Vec<Value> {
        let missions = desk.mana.run(&["missions", "--json"]).json();
        missions.iter().map(|mission| mission["record"]["cadence"].clone()).collect()
    };
    assert_eq!(desk.post("/templates/habit-coach", &[]).status, 303);
    assert!(cadences(&desk).iter().all(|cadence| cadence.get("timeZone").is_none()), "nobody knows it: the server's counts");
    let known = cadences(&desk).len();
    desk.cookie += "; zone=America/New_York";
    assert_eq!(desk.post("/templates/habit-coach", &[]).status, 303);
    let in_zone = cadences(&desk).iter().filter(|cadence| cadence["timeZone"] == "America/New_York").count();
    assert_eq!(in_zone, known, "{:?}", cadences(&desk));
}

#[test]
fn a_template_speaks_the_language_of_who_makes_it() {
    let desk = Desk::new(Mana::new());
    for (language, name, others) in [("de", "Vorräte", "Pantry"), ("en", "Pantry", "Vorräte")] {
        let (status, page) = desk.page("/templates/weekly-meal-plan", language);
        assert!(status == 200 && page.contains(name) && !page.contains(others), "{page}");
        let (_, list) = desk.page("/templates", language);
        assert_eq!(list.matches("<li class=\"card\">").count(), Template::builtin().len());
    }
    for template in Template::builtin() {
        let (status, page) = desk.page(&format!("/templates/{}", template.id), "de");
        assert!(status == 200 && page.contains("Beispiele"), "{}: {page}", template.id);
    }
    assert_eq!(desk.page("/templates/none", "en").0, 404);
}

#[test]
fn a_file_is_shown_before_it_is_taken_and_a_bad_one_is_refused_with_its_place() {
    let desk = Desk::new(Mana::new());
    let mut file = json!({
        "format": 1, "name": "Tea & <b>cake</b>",
        "agent": {"name": "Mo", "policy": {"tools": {"create_note": "auto"}, "defaultForAi": "deny"}},
        "records": [{"key": "n", "table": "notes/notes", "fields": {"title": "Green tea"}}],
        "missions": [{"title": "Drink tea", "objective": "x", "cadence": {"kind": "manual"}, "inputs": ["n"]}],
    });
    let before = desk.rows().len();
    let shown = desk.post("/templates/import", &[("text", &file.to_string())]);
    assert!(shown.status == 200 && shown.body.contains("Does by itself") && shown.body.contains("&lt;b&gt;cake"), "{}", shown.body);
    assert_eq!(desk.rows().len(), before, "nothing is written yet");
    let made = desk.post("/templates/import/create", &[("text", &file.to_string())]);
    assert!(made.status == 303 && made.location.starts_with("/missions/"), "{}", made.body);
    assert_eq!(desk.rows().len(), before + 3);
    for (pointer, value, says) in [
        ("/agent/policy/tools/create_note", json!("always"), "`agent.policy.tools.create_note` must be auto, propose or deny"),
        ("/agent/policy/tools", json!({"format_disk": "auto"}), "`agent.policy.tools` has &quot;format_disk&quot;"),
        ("/records/0/table", json!("ai/agents"), "`records[0].table` is &quot;ai/agents&quot;"),
        ("/records/0/table", json!("timeblocks/timeBlocks"), "`records[0].table` is"),
        ("/records/0/fields", json!({"owner": "zora"}), "`records[0].fields` has &quot;owner&quot;"),
        ("/missions/0/inputs", json!(["x"]), "`missions[0].inputs[0]`"),
    ] {
        let good = file.clone();
        *file.pointer_mut(pointer).unwrap() = value;
        for path in ["/templates/import", "/templates/import/create"] {
            let refused = desk.post(path, &[("text", &file.to_string())]);
            assert!(refused.status == 422 && refused.body.contains(says), "{}", refused.body);
        }
        file = good;
    }
    // A value that does not fit its field is told too, and nothing of the file is kept.
    file["records"] = json!([{"key": "n", "table": "finance/transactions", "fields": {"type": "gift", "amount": 3, "description": "x"}}]);
    let refused = desk.post("/templates/import/create", &[("text", &file.to_string())]);
    assert!(refused.status == 422 && refused.body.contains("record 1: “Type” must be one of the choices"), "{}", refused.body);
    assert_eq!(desk.rows().len(), before + 3);
    // Without the token of the session, nothing is taken.
    let foreign = post(&desk.served.url("/templates/habit-coach"), &desk.cookie, &[]);
    assert_eq!(foreign.status, 403);
}

#[test]
fn files_of_the_data_directory_stand_on_the_shelf_and_broken_ones_are_named() {
    let mana = Mana::new();
    let dir = mana.dir.path().join("templates");
    std::fs::create_dir(&dir).unwrap();
    let file = |name: &str| {
        json!({"format": 1, "name": name, "agent": {"name": "Mo", "policy": {"tools": {}, "defaultForAi": "propose"}},
            "missions": [{"title": "Drink tea", "objective": "x", "cadence": {"kind": "manual"}}]})
    };
    std::fs::write(dir.join("tea.json"), file("Tea for all").to_string()).unwrap();
    std::fs::write(dir.join("habit-coach.json"), file("Our own coach").to_string()).unwrap();
    std::fs::write(dir.join("broken.json"), r#"{"format": 1, "name": 5}"#).unwrap();
    std::fs::write(dir.join("large.json"), vec![b' '; 300_000]).unwrap();
    let desk = Desk::new(mana);
    let (_, page) = desk.page("/templates", "en");
    assert!(page.contains("Tea for all") && page.contains("Our own coach") && !page.contains("Habit coach"), "{page}");
    assert!(page.contains("broken.json: `name` is the number 5, but must be a text") && page.contains("large.json"), "{page}");
    assert_eq!(desk.post("/templates/tea", &[]).status, 303);
}

#[test]
fn an_agent_goes_out_as_a_file_without_a_word_about_its_user() {
    let mana = Mana::new();
    let mut mission = hourly("u", "m-77", Some("a-77"), "2099-01-01T00:00:00.000Z");
    mission["data"]["inputs"] = json!([{"module": "notes", "table": "notes", "id": "n-77"}]);
    let agent = json!({"name": "Möwe 7!", "role": "Sees far", "memory": "lives in Ulm", "systemPrompt": "enc:1:abc.def"});
    mana.import(&[insert("u", "agents", "a-77", agent), mission, insert("zora", "agents", "a-9", json!({"name": "of zora"}))]);
    let desk = Desk::new(mana);
    let (status, file) = desk.page("/agents/a-77/template", "en");
    assert_eq!(status, 200, "{file}");
    assert!(
        !file.contains("a-77") && !file.contains("n-77") && !file.contains("Ulm") && !file.contains("enc:1") && file.contains("Sees far"),
        "{file}"
    );
    let shown = desk.post("/templates/import", &[("text", &file)]);
    assert!(shown.status == 200 && shown.body.contains("Mission m"), "{}", shown.body);
    assert_eq!(desk.page("/agents/a-9/template", "en").0, 404);
}
