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

pub fn field(words: Words, field: &FieldSpec) -> String {
    named(words, "field", &field.name, &field.label())
}

/// A parameter of a tool, which is mostly named like the field that it writes; `called`: its name in English.
pub fn param(words: Words, name: &str, called: &str) -> String {
    named(words, "field", name, called)
}

/// A value of a field with choices.
pub fn choice(words: Words, choice: &str) -> String {
    named(words, "choice", choice, choice)
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
    use crate::modules::{FieldKind, Modules};
    use crate::text::catalog::tests::ids_of;

    const GERMAN: Words = Words::of(Language::German);

    /// Choices that are German in the first place.
    const GERMAN_CHOICES: [&str; 8] = ["dankbar", "glücklich", "zufrieden", "neutral", "nachdenklich", "traurig", "gestresst", "wütend"];

    #[test]
    fn whatever_is_built_in_has_a_name_in_each_language() {
        let modules = Modules::builtin();
        let mut named = BTreeSet::new();
        let mut name = |kind: &str, name: &str, called: &str| {
            let id = format!("modules-{kind}-{name}");
            assert_eq!(Words::ENGLISH.find(&id).as_deref(), Some(called), "{id}");
            named.insert(id);
        };
        for table in modules.tables() {
            if !table.hidden {
                name("table", &table.table, &table.label);
            }
            for field in table.fields.iter().filter(|field| field.kind != FieldKind::Link) {
                name("field", &field.name, &field.label());
                field.choices.iter().filter(|choice| !GERMAN_CHOICES.contains(&choice.as_str())).for_each(|c| name("choice", c, c));
            }
        }
        // As plain JSON, since this room does not know the planner.
        let tools: Vec<serde_json::Value> = serde_json::from_str(include_str!("../planner/tools.json")).unwrap();
        for tool in &tools {
            name("tool", tool["name"].as_str().unwrap(), tool["description"].as_str().unwrap());
            let module = tool["module"].as_str().unwrap();
            name("module", module, &super::module(Words::ENGLISH, module));
        }
        assert_eq!(named, ids_of("modules"));
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
        assert_eq!(module(GERMAN, "garden"), "garden");
    }
}
