//! Why a step cannot be carried out, in words.

use serde_json::Value;

use super::catalog::{Words, text_id};
use super::module;
use crate::modules::FieldKind;
use crate::modules::effects::Obstacle;
use crate::modules::forms::{BadText, MOST};

/// One sentence for the user.
pub fn told(words: Words, obstacle: &Obstacle) -> String {
    sentence(words, obstacle, &Naming::Page(words))
}

/// The same in English with the names of tables and parameters as programs write them, for logs, commands and JSON.
pub fn for_programs(obstacle: &Obstacle) -> String {
    sentence(Words::ENGLISH, obstacle, &Naming::Programs)
}

/// How tables and their fields are named.
enum Naming {
    Page(Words),
    Programs,
}

impl Naming {
    fn param(&self, name: &str) -> String {
        match self {
            Naming::Page(words) => words.marked(&module::param(*words, name, name)),
            Naming::Programs => format!("`{name}`"),
        }
    }

    fn table(&self, name: &str) -> String {
        match self {
            Naming::Page(words) => module::table_named(*words, name),
            Naming::Programs => name.to_owned(),
        }
    }
}

fn sentence(words: Words, obstacle: &Obstacle, named: &Naming) -> String {
    match obstacle {
        Obstacle::NotDescribed => words.say("obstacle-not-described").into(),
        Obstacle::Missing { param } => words.with("obstacle-missing", [("param", named.param(param).into())]),
        Obstacle::Wrong { param, kind } => {
            words.with("obstacle-wrong", [("param", named.param(param).into()), ("wanted", words.say(wanted(*kind)).into())])
        }
        Obstacle::NoRecord { table, id } => words.with("obstacle-no-record", [("table", named.table(table).into()), ("id", id.into())]),
        Obstacle::NothingToChoose { table } => words.with("obstacle-nothing-to-choose", [("table", named.table(table).into())]),
        Obstacle::NothingMatches { table, text } if text.is_empty() => {
            words.with("obstacle-nothing-meant", [("table", named.table(table).into())])
        }
        Obstacle::NothingMatches { table, text } => {
            words.with("obstacle-nothing-matches", [("table", named.table(table).into()), ("text", words.quoted(text).into())])
        }
        Obstacle::Refused { why } => words.with("obstacle-refused", [("why", why.into())]),
        Obstacle::Encrypted { field } => words.with("obstacle-encrypted", [("field", named.param(field).into())]),
    }
}

/// Why a text cannot be taken in.
pub fn bad_text(words: Words, bad: &BadText) -> String {
    match bad {
        BadText::Nothing => words.say("obstacle-text-nothing").into(),
        BadText::TooMany(n) => words.with("obstacle-text-too-many", [("n", (*n).into()), ("most", MOST.into())]),
        BadText::Csv { line, why } => words.with("obstacle-text-csv", [("line", (*line).into()), ("why", why.into())]),
        BadText::NoField { table, called, name } => {
            let table = module::table_called(words, table, called);
            words.with("obstacle-text-no-field", [("table", table.into()), ("name", words.quoted(name).into())])
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
    kept_fields(words, fields, &Naming::Page(words))
}

/// The same as programs write it.
pub fn kept_for_programs(fields: &[Value]) -> String {
    kept_fields(Words::ENGLISH, fields, &Naming::Programs)
}

fn kept_fields(words: Words, fields: &[Value], named: &Naming) -> String {
    let text = |field: &Value, name: &str| field[name].as_str().unwrap_or_default().to_owned();
    let name = |field: &Value| {
        let (field, table) = (named.param(&text(field, "field")), named.table(&text(field, "table")));
        words.with("obstacle-field-of", [("field", field.into()), ("table", table.into())])
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::language::Language;

    #[test]
    fn pages_name_fields_and_tables_in_their_own_words() {
        let german = Words::of(Language::German);
        let wrong = Obstacle::Wrong { param: "dueDate".into(), kind: FieldKind::Day };
        let none = Obstacle::NothingToChoose { table: "calendars".into() };
        for (obstacle, page, programs) in [
            (Obstacle::Missing { param: "eventType".into() }, "„Ereignis“ fehlt.", "`eventType` is missing."),
            (wrong, "„Fällig am“ muss ein Datum wie 2026-04-15 sein.", "`dueDate` must be a date such as 2026-04-15."),
            (
                none,
                "Es gibt noch keinen Eintrag in Kalender, zu dem es gehören könnte.",
                "There is nothing in calendars to put it into; create one first.",
            ),
        ] {
            assert_eq!((told(german, &obstacle).as_str(), for_programs(&obstacle).as_str()), (page, programs));
        }
        let own = Obstacle::Missing { param: "doorbell".into() };
        assert_eq!(told(Words::ENGLISH, &own), "“doorbell” is missing.");
        let unknown = BadText::NoField { table: "tasks".into(), called: "Tasks".into(), name: "wann".into() };
        assert_eq!(bad_text(german, &unknown), "Zeile 1: Aufgaben haben kein Feld „wann“");
    }
}
