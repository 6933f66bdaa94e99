//! Why a step cannot be carried out, in words.

use serde_json::Value;

use crate::modules::FieldKind;
use crate::modules::effects::Obstacle;

/// One sentence for the user.
pub fn told(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::NotDescribed => "No description says what this tool writes.".into(),
        Obstacle::Missing { param } => format!("`{param}` is missing."),
        Obstacle::Wrong { param, kind } => format!("`{param}` must be {}.", wanted(*kind)),
        Obstacle::NoRecord { table, id } => format!("There is no record {id} in {table}."),
        Obstacle::NothingToChoose { table } => format!("There is nothing in {table} to put it into; create one first."),
        Obstacle::NothingMatches { table, text } if text.is_empty() => format!("No record in {table} is the one that is meant."),
        Obstacle::NothingMatches { table, text } => format!("No record in {table} has the text {text:?}."),
        Obstacle::Refused { why } => format!("The log does not take it: {why}."),
        Obstacle::Encrypted { field } => format!("`{field}` is encrypted, so only a device of yours can change it."),
    }
}

/// The fields that an undo left as they are, as the step keeps them.
pub fn kept(fields: &[Value]) -> String {
    let text = |field: &Value, name: &str| field[name].as_str().unwrap_or_default().to_owned();
    let names: Vec<String> = fields.iter().map(|field| format!("`{}` of {}", text(field, "field"), text(field, "table"))).collect();
    format!("{} changed since, and stays as it is", names.join(", "))
}

fn wanted(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Line | FieldKind::Text => "a text",
        FieldKind::Choice => "one of the choices of this field",
        FieldKind::Flag => "true or false",
        FieldKind::Number => "a number",
        FieldKind::Amount => "a number other than 0",
        FieldKind::Day => "a date such as 2026-04-15",
        FieldKind::Time => "a time such as 2026-04-15T08:00:00Z",
        FieldKind::Clock => "a time of day such as 08:30",
        FieldKind::Link => "the id of a record",
        FieldKind::List => "a list",
        FieldKind::Map => "an object",
    }
}
