use serde_json::json;

use super::*;
use crate::domain::merge::Record;
use crate::modules::Modules;
use crate::planner::tools::Catalog;

fn told(text: &str) -> String {
    match Template::read("shared.json", text.as_bytes()) {
        Ok(template) => template.id,
        Err(bad) => bad.to_string(),
    }
}

fn template() -> Value {
    json!({
        "format": 1, "name": "Tea",
        "agent": {"name": "Mo", "policy": {"tools": {"create_task": "propose"}, "defaultForAi": "deny"}},
        "records": [{"key": "n", "table": "notes/notes", "fields": {"title": {"en": "Tea", "de": "Tee"}, "content": "$day:-1"}}],
        "missions": [{"title": "Drink tea", "objective": "x", "cadence": {"kind": "manual"}, "inputs": ["n"]}],
    })
}

#[test]
fn each_builtin_file_reads_and_says_everything_in_both_languages() {
    let files: Vec<_> = BUILTIN.files().collect();
    assert!(files.len() >= 12);
    for file in files {
        let template = Template::read(file.path().to_str().unwrap(), file.contents()).unwrap();
        assert_eq!(format!("{}.json", template.id), file.path().to_str().unwrap());
        for language in Language::ALL {
            for wording in [&template.name, &template.tagline, &template.description, &template.agent.role, &template.agent.system_prompt] {
                assert!(!wording.told(language).is_empty(), "{} in {}", template.id, language.tag());
            }
        }
        assert_ne!(template.description.told(Language::English), template.description.told(Language::German));
        assert_eq!(template.modules.joined(&Modules::builtin(), &Catalog::builtin()).map(drop), Ok(()), "{}", template.id);
        assert!(!template.records.is_empty() && template.missions.iter().all(|mission| !mission.inputs.is_empty()), "{}", template.id);
    }
    assert_eq!(Template::builtin().len(), BUILTIN.files().count());
}

#[test]
fn what_is_wrong_is_told_with_the_file_and_the_field() {
    assert_eq!(told(&template().to_string()), "shared");
    for (pointer, value, says) in [
        ("/format", json!(2), "`format` must be 1"),
        ("/name", json!(""), "`name` must be one line"),
        ("/name", json!({"en": "a"}), "`name` lacks \"de\""),
        ("/name", json!({"en": "a", "de": "b", "fr": "c"}), "`name` has \"fr\", which is no field of it"),
        ("/agent", json!({"name": "x", "soul": 1, "policy": {}}), "`agent` has \"soul\""),
        ("/agent/policy/defaultForAi", json!("maybe"), "`agent.policy.defaultForAi` must be auto, propose or deny"),
        ("/agent/policy/tools/create_task", json!(true), "`agent.policy.tools.create_task` must be auto, propose or deny"),
        ("/agent/name", json!("enc:1:a.b\nx"), "`agent.name` must be one line"),
        ("/records/0/fields/title", json!("enc:1:a.b"), "`records[0].fields.title` is encrypted"),
        ("/records/0/fields/content", json!("$day:soon"), "`records[0].fields.content` must be $day:N"),
        ("/missions", json!([]), "has no missions"),
        ("/missions/0/cadence", json!({"kind": "daily"}), "`missions[0].cadence` cannot be read"),
        ("/missions/0/inputs/0", json!("m"), "`missions[0].inputs[0]` is \"m\", but no record has this key"),
        ("/missions/0/title", json!(7), "`missions[0].title` is the number 7, but must be a text"),
    ] {
        let mut wrong = template();
        *wrong.pointer_mut(pointer).unwrap() = value;
        let said = told(&wrong.to_string());
        assert!(said.starts_with("shared.json: ") && said.contains(says), "{said}");
    }
    assert!(told("{").starts_with("shared.json: is no JSON"));
    assert!(told(&format!("[\"{}\"]", "x".repeat(MAX_FILE))).contains("at most"));
    assert!(told(&"[".repeat(100).clone()).contains("shared.json: "));
    let destructive = told(&template().to_string().replace("\"defaultForAi\"", "\"allowDestructive\":[\"x\"],\"defaultForAi\""));
    assert!(destructive.contains("`agent.policy` has \"allowDestructive\""), "{destructive}");
}

#[test]
fn days_count_from_the_users_today() {
    let template = Template::read("t.json", template().to_string().as_bytes()).unwrap();
    let zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    // It is the 2nd in Berlin already.
    let suited = template.suited(Language::German, "2026-04-01T22:30:00Z".parse().unwrap(), &zone);
    assert_eq!(json!(suited.records[0].fields), json!({"title": "Tee", "content": "2026-04-01"}));
    assert_eq!((suited.agent["name"].as_str(), suited.missions[0].inputs.as_slice()), (Some("Mo"), &[0][..]));
}

#[test]
fn an_agent_of_somebody_becomes_a_file_that_tells_nothing_of_them() {
    let agent = json!({"id": "a-77", "name": "Mo", "role": "enc:1:x.y", "memory": "lives in Ulm", "authorId": "u-77", "spaceId": "_personal:u-77",
        "policy": {"tools": {"create_task": "auto", "x": 7}, "allowDestructive": ["x"]}, "scopeTagIds": ["t-77"]});
    let mission = |title: &str| {
        json!({"id": "m-77", "title": title, "objective": "enc:1:x.y", "cadence": {"kind": "daily", "atHour": 7}, "agentId": "a-77",
            "inputs": [{"module": "notes", "table": "notes", "id": "n-77"}], "iterations": [{"id": "i-77"}], "grant": {"wrappedKey": "w-77"}})
    };
    let record = |value: Value| value.as_object().unwrap().clone();
    let missions = [record(mission("Tea")), record(mission("enc:1:x.y"))];
    let file = own(&record(agent), &missions, &Modules::builtin(), &Catalog::builtin()).unwrap();
    assert!(!file.contains("77") && !file.contains("enc:1:") && !file.contains("Ulm") && !file.contains("allowDestructive"), "{file}");
    let template = Template::read("again.json", file.as_bytes()).unwrap();
    assert_eq!((template.agent.tools("auto"), template.agent.tools("deny")), (vec!["create_task"], vec!["x"]));
    assert_eq!((template.missions.len(), template.missions[0].title.told(Language::German)), (1, "Tea"));
    assert!(own(&Record::new(), &missions[1..], &Modules::builtin(), &Catalog::builtin()).is_none());
}
