//! The records that a mission links, as texts for its prompt (DESIGN, section 8).
//!
//! This room replays records through the store and shapes them; it must not know the model or how a prompt looks.

use serde_json::Value;

use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::domain::mission::InputRef;
use crate::store::{Store, StoreResult};

/// A linked record that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub module: String,
    pub id: String,
    pub title: String,
    pub content: String,
}

/// What came of a mission's inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    pub inputs: Vec<Input>,
    /// Inputs of an unknown module, gone, or not readable.
    pub left_out: usize,
}

/// More inputs than this are left out: no prompt has room for them.
const MAX_INPUTS: usize = 50;

/// The app that keeps the records of a module, and how many characters of content a prompt takes.
fn module(name: &str) -> Option<(&'static str, usize)> {
    Some(match name {
        "goals" => ("companion", 500),
        "notes" => ("notes", 500),
        "tasks" | "todo" => ("todo", 500),
        "calendar" => ("calendar", 500),
        "journal" => ("journal", 500),
        "kontext" => ("kontext", 1_500),
        "profile" => ("profile", 2_000),
        _ => return None,
    })
}

/// Replays each input of a user's mission.
///
/// # Errors
/// When the database cannot be read; an input that cannot be read is left out instead.
pub async fn resolve(store: &Store, user: &str, inputs: &[InputRef]) -> StoreResult<Resolved> {
    let mut resolved = Resolved { inputs: Vec::new(), left_out: inputs.len().saturating_sub(MAX_INPUTS) };
    for input in inputs.iter().take(MAX_INPUTS) {
        match read(store, user, input).await? {
            Some(read) => resolved.inputs.push(read),
            None => resolved.left_out += 1,
        }
    }
    Ok(resolved)
}

async fn read(store: &Store, user: &str, input: &InputRef) -> StoreResult<Option<Input>> {
    let Some((app, limit)) = module(&input.module) else { return Ok(None) };
    let fold = store.replay(user, app, &input.table, &input.id).await?;
    let text = fold.live().and_then(|(record, _)| if input.module == "goals" { Some(goal(record)) } else { document(record) });
    Ok(text.map(|(title, content)| Input {
        module: input.module.clone(),
        id: input.id.clone(),
        title: cut(&title, 200),
        content: cut(&content, limit),
    }))
}

/// A goal as its progress.
fn goal(record: &Record) -> (String, String) {
    let number = |paths: &[&str]| {
        let root = Value::Object(record.clone());
        paths.iter().find_map(|path| root.pointer(path).filter(|v| v.is_number()).map(ToString::to_string))
    };
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
    (text(record.get("title")).unwrap_or_default(), content)
}

/// A record with a heading and a body; `None` where either is ciphertext.
fn document(record: &Record) -> Option<(String, String)> {
    let title = ["title", "name"].iter().find_map(|field| text(record.get(*field))).unwrap_or_default();
    let mut lines: Vec<String> =
        ["content", "description", "body", "text"].iter().find_map(|field| text(record.get(*field))).into_iter().collect();
    for field in ["status", "priority", "dueDate", "startTime", "endTime", "location", "mood"] {
        if let Some(value) = text(record.get(field)) {
            lines.push(format!("{field}: {value}"));
        }
    }
    let content = lines.join("\n");
    let encrypted = is_ciphertext(&title) || lines.iter().any(|line| line.contains("enc:1:"));
    let empty = title.is_empty() && content.is_empty();
    (!encrypted && !empty).then_some((title, content))
}

/// A value as text: itself, or JSON where it is something else.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
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

    fn record(value: Value) -> Record {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_goal_is_its_progress() {
        let goals = [
            (json!({"title": "Run", "currentValue": 3, "targetValue": 10, "period": "week"}), "Progress: 3 of 10 per week"),
            (json!({"title": "Run", "progress": {"current": 1, "target": 2}}), "Progress: 1 of 2"),
            (json!({"title": "Run", "target": {"value": 5, "period": "day"}}), "Progress: 0 of 5 per day"),
        ];
        for (goal_record, content) in goals {
            assert_eq!(goal(&record(goal_record)), ("Run".into(), content.into()));
        }
    }

    #[test]
    fn a_document_is_title_and_content_unless_encrypted() {
        let note = json!({"title": "T", "content": {"blocks": [1]}, "status": "open"});
        assert_eq!(document(&record(note)), Some(("T".into(), "{\"blocks\":[1]}\nstatus: open".into())));
        assert_eq!(document(&record(json!({"title": "T", "content": "enc:1:a.b"}))), None);
        assert_eq!(document(&record(json!({"title": "enc:1:a.b", "content": "plain"}))), None);
        assert_eq!(document(&record(json!({"x": 1}))), None);
    }
}
