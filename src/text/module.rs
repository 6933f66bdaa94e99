//! What modules call their tables, fields, choices and tools. Users' own modules have names in their own words.

use super::catalog::Words;
use crate::modules::{FieldSpec, TableSpec};

pub fn table(words: Words, table: &TableSpec) -> String {
    named(words, "table", &table.table, &table.label)
}

/// A table of which only its names are at hand; `called`: what it is called in English.
pub fn table_called(words: Words, name: &str, called: &str) -> String {
    named(words, "table", name, called)
}

/// A table of which only its name is at hand.
pub fn table_named(words: Words, name: &str) -> String {
    words.find(&format!("modules-table-{name}")).unwrap_or_else(|| name.to_owned())
}

pub fn field(words: Words, field: &FieldSpec) -> String {
    param(words, &field.name, &field.label())
}

/// A parameter of a tool, which is mostly named like the field that it writes; `called`: its name where it has no text.
pub fn param(words: Words, name: &str, called: &str) -> String {
    words.find(&format!("modules-field-{name}")).unwrap_or_else(|| called.to_owned())
}

/// A value of a field with choices.
pub fn choice(words: Words, choice: &str) -> String {
    words.find(&format!("modules-choice-{choice}")).unwrap_or_else(|| choice.to_owned())
}

/// What a tool does.
pub fn tool(words: Words, name: &str, description: &str) -> String {
    named(words, "tool", name, description)
}

/// The module of a tool.
pub fn module(words: Words, name: &str) -> String {
    words.find(&format!("modules-module-{name}")).unwrap_or_else(|| name.to_owned())
}

/// The text of a built-in thing; what is called otherwise than the built-in one is somebody's own.
fn named(words: Words, kind: &str, name: &str, called: &str) -> String {
    let id = format!("modules-{kind}-{name}");
    let own = || called.to_owned();
    if Words::ENGLISH.find(&id).as_deref() == Some(called) { words.find(&id).unwrap_or_else(own) } else { own() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::language::Language;
    use crate::modules::Modules;
    use crate::text::catalog::tests::ids_of;

    const GERMAN: Words = Words::of(Language::German);

    /// Choices that are German in the first place.
    const GERMAN_CHOICES: [&str; 8] = ["dankbar", "glücklich", "zufrieden", "neutral", "nachdenklich", "traurig", "gestresst", "wütend"];

    #[test]
    fn whatever_is_built_in_has_a_name_in_each_language() {
        let modules = Modules::builtin();
        let named = std::cell::RefCell::new(BTreeSet::new());
        let known = |kind: &str, name: &str| {
            let id = format!("modules-{kind}-{name}");
            let text = Words::ENGLISH.find(&id).unwrap_or_else(|| panic!("no message {id}"));
            named.borrow_mut().insert(id);
            text
        };
        let name = |kind: &str, name: &str, called: &str| assert_eq!(known(kind, name), called, "{kind} {name}");
        let choice = |choice: &str| drop((!GERMAN_CHOICES.contains(&choice)).then(|| known("choice", choice)));
        // As plain JSON, since this room knows neither templates nor the planner.
        let templates = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/templates")).unwrap();
        let read = |path: std::path::PathBuf| serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(path).unwrap()).unwrap();
        let brought: Vec<serde_json::Value> = templates.map(|file| read(file.unwrap().path())["modules"].take()).collect();
        let of_templates = |list: &'static str| brought.iter().filter_map(move |modules| modules[list].as_array()).flatten().cloned();
        let described = |table: serde_json::Value| serde_json::from_value::<crate::modules::TableSpec>(table).unwrap();
        for table in modules.tables().iter().cloned().chain(of_templates("tables").map(described)) {
            if table.hidden {
                drop(known("table", &table.table))
            } else {
                name("table", &table.table, &table.label)
            }
            for field in &table.fields {
                known("field", &field.name);
                field.choices.iter().for_each(|one| choice(one));
            }
        }
        // Modules of records that a mission reads, as clients call them.
        let builtin: serde_json::Value = serde_json::from_str(include_str!("../modules/builtin.json")).unwrap();
        let inputs = builtin["tables"].as_array().unwrap().iter().filter_map(|table| table["input"]["modules"].as_array());
        inputs.flatten().for_each(|module| drop(known("module", module.as_str().unwrap())));
        let tools: Vec<serde_json::Value> = serde_json::from_str(include_str!("../planner/tools.json")).unwrap();
        for tool in tools.into_iter().chain(of_templates("catalog")) {
            name("tool", tool["name"].as_str().unwrap(), tool["description"].as_str().unwrap());
            let module = tool["module"].as_str().unwrap();
            known("module", module);
            for param in tool["parameters"].as_array().unwrap() {
                known("field", param["name"].as_str().unwrap());
                param["enum"].as_array().into_iter().flatten().for_each(|one| choice(one.as_str().unwrap()));
            }
        }
        assert_eq!(named.into_inner(), ids_of("modules"));
    }

    #[test]
    fn what_somebody_calls_otherwise_keeps_its_name() {
        let modules = Modules::builtin();
        let tasks = modules.tables().iter().find(|table| table.table == "tasks").unwrap();
        assert_eq!(super::table(GERMAN, tasks), "Aufgaben");
        let mut own = tasks.clone();
        own.label = "My errands".into();
        assert_eq!(super::table(GERMAN, &own), "My errands");
        assert_eq!(tool(GERMAN, "create_task", "Order a pizza."), "Order a pizza.");
        assert_eq!(module(GERMAN, "boats"), "boats");
    }
}
