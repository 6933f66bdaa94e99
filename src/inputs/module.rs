//! The table of modules whose records a mission may link, and how each becomes a text.

use serde_json::Value;

use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;

/// One kind of record.
pub(super) struct Module {
    /// As inputs name it.
    pub name: &'static str,
    /// The app that keeps it.
    app: &'static str,
    /// Characters of content that a prompt takes.
    limit: usize,
    shape: Shape,
}

/// How a record reads.
#[derive(Clone, Copy)]
enum Shape {
    /// A title and its progress.
    Goal,
    /// A heading, a body, and facts beside it.
    Document,
    /// Every field that its user filled in.
    Profile,
}

const fn module(name: &'static str, app: &'static str, limit: usize, shape: Shape) -> Module {
    Module { name, app, limit, shape }
}

/// To add a module, add a line.
static MODULES: [Module; 8] = [
    module("goals", "companion", 500, Shape::Goal),
    module("notes", "notes", 500, Shape::Document),
    module("tasks", "todo", 500, Shape::Document),
    module("todo", "todo", 500, Shape::Document),
    module("calendar", "calendar", 500, Shape::Document),
    module("journal", "journal", 500, Shape::Document),
    module("kontext", "kontext", 1_500, Shape::Document),
    module("profile", "profile", 2_000, Shape::Profile),
];

const TITLE_LIMIT: usize = 200;
/// The first of these that is filled in is the heading; the same for the body.
const HEADINGS: [&str; 2] = ["title", "name"];
const BODIES: [&str; 4] = ["content", "description", "body", "text"];
const FACTS: [&str; 7] = ["status", "priority", "dueDate", "startTime", "endTime", "location", "mood"];
const GOAL: [&str; 8] = ["title", "progress", "current", "currentValue", "target", "targetValue", "period", "unit"];
/// Fields of a profile that say nothing about its user.
const BOOKKEEPING: [&str; 6] = ["id", "userId", "spaceId", "createdAt", "updatedAt", "deletedAt"];

/// The modules by name with the app that keeps their records, for those who choose inputs.
pub fn modules() -> impl Iterator<Item = (&'static str, &'static str)> {
    MODULES.iter().map(|module| (module.name, module.app))
}

/// How a record is called in a list to choose from; `None` where its heading is encrypted or missing.
pub fn heading(record: &Record) -> Option<&str> {
    let text = |field: &&str| record.get(*field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    HEADINGS.iter().find_map(text).filter(|text| !is_ciphertext(text))
}

impl Module {
    pub fn find(name: &str) -> Option<&'static Module> {
        MODULES.iter().find(|module| module.name == name)
    }

    pub fn app(&self) -> &'static str {
        self.app
    }

    /// The fields of a record that its text is made of; no other is ever decrypted.
    pub fn fields<'a>(&self, record: &'a Record) -> Vec<&'a str> {
        let used = |field: &str| match self.shape {
            Shape::Goal => GOAL.contains(&field),
            Shape::Document => HEADINGS.iter().chain(&BODIES).chain(&FACTS).any(|name| *name == field),
            Shape::Profile => !BOOKKEEPING.contains(&field),
        };
        record.keys().map(String::as_str).filter(|field| used(field)).collect()
    }

    /// Title and content; `None` where there is nothing to say.
    pub fn text(&self, record: &Record) -> Option<(String, String)> {
        let (title, content) = match self.shape {
            Shape::Goal => goal(record),
            Shape::Document => document(record),
            Shape::Profile => profile(record),
        };
        let empty = title.is_empty() && content.is_empty();
        (!empty).then(|| (cut(&title, TITLE_LIMIT), cut(&content, self.limit)))
    }
}

fn goal(record: &Record) -> (String, String) {
    let root = Value::Object(record.clone());
    let number = |paths: &[&str]| paths.iter().find_map(|path| root.pointer(path).filter(|v| v.is_number()).map(ToString::to_string));
    let current = number(&["/progress/current", "/currentValue", "/current"]).unwrap_or_else(|| "0".into());
    let target = number(&["/progress/target", "/targetValue", "/target/value", "/target"]);
    let period = record.get("period").or_else(|| record.get("target")?.get("period")).and_then(Value::as_str);
    let mut content = format!("Progress: {current}");
    if let Some(target) = target {
        content += &format!(" of {target}");
    }
    if let Some(period) = period {
        content += &format!(" per {period}");
    }
    (first(record, &["title"]), content)
}

fn document(record: &Record) -> (String, String) {
    let body = Some(first(record, &BODIES)).filter(|body| !body.is_empty());
    let facts = FACTS.iter().filter_map(|field| Some(format!("{field}: {}", text(record.get(*field)?)?)));
    (first(record, &HEADINGS), body.into_iter().chain(facts).collect::<Vec<_>>().join("\n"))
}

fn profile(record: &Record) -> (String, String) {
    let said = |(field, value): (&String, &Value)| {
        let counts = !BOOKKEEPING.contains(&field.as_str()) && !HEADINGS.contains(&field.as_str());
        text(value).filter(|_| counts).map(|text| format!("{field}: {text}"))
    };
    (first(record, &HEADINGS), record.iter().filter_map(said).collect::<Vec<_>>().join("\n"))
}

/// The first of some fields that is filled in.
fn first(record: &Record, fields: &[&str]) -> String {
    fields.iter().find_map(|field| text(record.get(*field)?)).unwrap_or_default()
}

/// A value as text: itself, or JSON where it is something else.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()).filter(|t| !t.is_empty()),
        other => Some(other.to_string()),
    }
}

fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(module: &str, record: Value) -> Option<(String, String)> {
        Module::find(module).unwrap().text(record.as_object().unwrap())
    }

    fn said(title: &str, content: &str) -> Option<(String, String)> {
        Some((title.into(), content.into()))
    }

    #[test]
    fn a_goal_is_its_progress() {
        for (goal, content) in [
            (json!({"title": "Run", "currentValue": 3, "targetValue": 10, "period": "week"}), "Progress: 3 of 10 per week"),
            (json!({"title": "Run", "progress": {"current": 1, "target": 2}}), "Progress: 1 of 2"),
            (json!({"title": "Run", "target": {"value": 5, "period": "day"}}), "Progress: 0 of 5 per day"),
        ] {
            assert_eq!(read("goals", goal), said("Run", content));
        }
    }

    #[test]
    fn a_document_is_heading_body_and_facts() {
        let note = json!({"title": "T", "content": {"blocks": [1]}, "status": "open", "secret": "not shown"});
        assert_eq!(read("notes", note), said("T", "{\"blocks\":[1]}\nstatus: open"));
        assert_eq!(read("calendar", json!({"name": "N", "startTime": "9:00"})), said("N", "startTime: 9:00"));
        assert_eq!(read("journal", json!({"x": 1})), None);
    }

    #[test]
    fn a_profile_is_every_field_that_was_filled_in() {
        let profile = json!({"id": "p", "name": "Ada", "about": "Likes maps", "empty": "", "hobbies": ["chess"], "createdAt": "2026"});
        assert_eq!(read("profile", profile), said("Ada", "about: Likes maps\nhobbies: [\"chess\"]"));
    }

    #[test]
    fn only_fields_that_are_shown_are_decrypted() {
        let record = json!({"id": "n", "title": "a", "content": "b", "secret": "c", "status": "d"});
        let record = record.as_object().unwrap();
        assert_eq!(Module::find("notes").unwrap().fields(record), ["title", "content", "status"]);
        assert_eq!(Module::find("profile").unwrap().fields(record), ["title", "content", "secret", "status"]);
    }

    #[test]
    fn content_is_cut_at_the_limit_of_its_module() {
        for (module, limit) in [("notes", 500), ("kontext", 1_500), ("profile", 2_000)] {
            let (_, content) = read(module, json!({"content": "é".repeat(3_000)})).unwrap();
            assert_eq!(content.chars().count(), limit + 1, "{module}: the limit and an ellipsis");
        }
    }
}
