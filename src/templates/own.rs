//! A template made of an agent that is there: what others may see, and nothing that tells whose it is.

use serde_json::{Map, Value, json};

use super::{FORMAT, Template, TemplateModules};
use crate::domain::agent::Agent;
use crate::domain::field;
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::modules::Modules;
use crate::planner::tools::Catalog;

/// The largest file, in bytes.
pub const MAX_FILE: usize = 256 * 1024;

/// The file of an agent and its missions: without ids, records, plans and memory, and without texts that are encrypted, but
/// with the modules of this server that it needs elsewhere. `None`: the title of no mission can be read.
pub fn own(agent: &Record, missions: &[Record], modules: &Modules, catalog: &Catalog) -> Option<String> {
    let missions: Vec<Value> = missions.iter().filter_map(mission).collect();
    if missions.is_empty() {
        return None;
    }
    let plain = |field: &str| agent.get(field).and_then(Value::as_str).filter(|text| !text.is_empty() && !is_ciphertext(text));
    let (read, _) = Agent::read("", &agent.into());
    let name: String = read.name.lines().next().unwrap_or_default().chars().take(200).collect();
    let mut told = Map::from_iter([("name".to_owned(), json!(name))]);
    for (name, field) in [("avatar", field::AVATAR), ("role", field::ROLE), ("systemPrompt", field::SYSTEM_PROMPT)] {
        told.extend(plain(field).map(|text| (name.to_owned(), json!(text))));
    }
    told.insert("policy".into(), policy(agent.get(field::POLICY)));
    told.extend(read.max_tokens_per_day.map(|tokens| ("maxTokensPerDay".to_owned(), json!(tokens))));
    let icon = plain(field::AVATAR).map(|icon| ("icon".to_owned(), json!(icon)));
    let rest = [("agent".to_owned(), Value::Object(told)), ("missions".to_owned(), missions.into())];
    let file = |modules: Option<Value>| {
        let mut file = Map::from_iter([("format".to_owned(), json!(FORMAT)), ("name".to_owned(), json!(name))]);
        file.extend(icon.clone());
        file.extend(modules.map(|modules| ("modules".to_owned(), modules)));
        file.extend(rest.clone());
        serde_json::to_string_pretty(&file).ok()
    };
    // A module of the operator's may be what no template can bring.
    let brought = TemplateModules::needed(&read.policy, modules, catalog).written();
    let with_modules = brought.and_then(|modules| file(Some(modules)).filter(|text| Template::read("", text.as_bytes()).is_ok()));
    with_modules.or_else(|| file(None))
}

fn mission(record: &Record) -> Option<Value> {
    let plain = |field: &str| record.get(field).and_then(Value::as_str).filter(|text| !is_ciphertext(text));
    let title: String = plain(field::TITLE)?.trim().lines().next()?.chars().take(200).collect();
    let cadence = record.get(field::CADENCE).filter(|cadence| !cadence.is_null()).cloned();
    Some(json!({
        "title": title,
        "objective": plain(field::OBJECTIVE).unwrap_or_default(),
        "conceptMarkdown": plain(field::CONCEPT).unwrap_or_default(),
        "cadence": cadence.unwrap_or_else(|| json!({"kind": "manual"})),
    }))
}

/// The known decisions of a policy; without one, everything is proposed.
fn policy(given: Option<&Value>) -> Value {
    let known = |value: &Value| ["auto", "propose", "deny"].iter().any(|decision| value == decision);
    let decisions = |name: &str| {
        let all = given.and_then(|policy| policy.get(name)).and_then(Value::as_object);
        Map::from_iter(all.into_iter().flatten().map(|(tool, decided)| {
            let decided = if known(decided) { decided.clone() } else { json!("deny") };
            (tool.clone(), decided)
        }))
    };
    let rest = given.map_or(json!("propose"), |policy| policy.get("defaultForAi").cloned().unwrap_or(json!("propose")));
    let rest = if known(&rest) { rest } else { json!("deny") };
    let mut policy = Map::from_iter([("tools".to_owned(), Value::Object(decisions("tools"))), ("defaultForAi".to_owned(), rest)]);
    let by_module = decisions("defaultsByModule");
    if !by_module.is_empty() {
        policy.insert("defaultsByModule".into(), Value::Object(by_module));
    }
    Value::Object(policy)
}
