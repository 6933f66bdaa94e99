//! Why a step cannot be carried out, in words.

use serde_json::Value;

use super::catalog::{Words, text_id};
use crate::modules::FieldKind;
use crate::modules::effects::Obstacle;
use crate::modules::forms::{BadText, MOST};

/// One sentence for the user.
pub fn told(words: Words, obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::NotDescribed => words.say("obstacle-not-described").into(),
        Obstacle::Missing { param } => words.with("obstacle-missing", [("param", param.into())]),
        Obstacle::Wrong { param, kind } => {
            words.with("obstacle-wrong", [("param", param.into()), ("wanted", words.say(wanted(*kind)).into())])
        }
        Obstacle::NoRecord { table, id } => words.with("obstacle-no-record", [("table", table.into()), ("id", id.into())]),
        Obstacle::NothingToChoose { table } => words.with("obstacle-nothing-to-choose", [("table", table.into())]),
        Obstacle::NothingMatches { table, text } if text.is_empty() => words.with("obstacle-nothing-meant", [("table", table.into())]),
        Obstacle::NothingMatches { table, text } => {
            words.with("obstacle-nothing-matches", [("table", table.into()), ("text", format!("{text:?}").into())])
        }
        Obstacle::Refused { why } => words.with("obstacle-refused", [("why", why.into())]),
        Obstacle::Encrypted { field } => words.with("obstacle-encrypted", [("field", field.into())]),
    }
}

/// Why a text cannot be taken in.
pub fn bad_text(words: Words, bad: &BadText) -> String {
    match bad {
        BadText::Nothing => words.say("obstacle-text-nothing").into(),
        BadText::TooMany(n) => words.with("obstacle-text-too-many", [("n", (*n).into()), ("most", MOST.into())]),
        BadText::Csv { line, why } => words.with("obstacle-text-csv", [("line", (*line).into()), ("why", why.into())]),
        BadText::NoField { table, name } => {
            words.with("obstacle-text-no-field", [("table", table.into()), ("name", format!("{name:?}").into())])
        }
        BadText::TooDeep { line, deepest } => {
            words.with("obstacle-text-too-deep", [("line", (*line).into()), ("deepest", (*deepest).into())])
        }
        BadText::NoCalendar => words.say("obstacle-text-no-calendar").into(),
        BadText::NoTime(n) => words.with("obstacle-text-no-time", [("n", (*n).into())]),
    }
}

/// The fields that an undo left as they are, as the step keeps them.
pub fn kept(words: Words, fields: &[Value]) -> String {
    let text = |field: &Value, name: &str| field[name].as_str().unwrap_or_default().to_owned();
    let name =
        |field: &Value| words.with("obstacle-field-of", [("field", text(field, "field").into()), ("table", text(field, "table").into())]);
    let names: Vec<String> = fields.iter().map(name).collect();
    words.with("obstacle-kept", [("fields", names.join(", ").into())])
}

fn wanted(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Line | FieldKind::Text => text_id("obstacle-wanted-text"),
        FieldKind::Choice => text_id("obstacle-wanted-choice"),
        FieldKind::Flag => text_id("obstacle-wanted-flag"),
        FieldKind::Number => text_id("obstacle-wanted-number"),
        FieldKind::Amount => text_id("obstacle-wanted-amount"),
        FieldKind::Day => text_id("obstacle-wanted-day"),
        FieldKind::Time => text_id("obstacle-wanted-time"),
        FieldKind::Clock => text_id("obstacle-wanted-clock"),
        FieldKind::Link => text_id("obstacle-wanted-link"),
        FieldKind::List => text_id("obstacle-wanted-list"),
        FieldKind::Map => text_id("obstacle-wanted-map"),
    }
}
