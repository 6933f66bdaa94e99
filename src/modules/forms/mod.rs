//! Records as texts that people have elsewhere: Markdown, CSV and iCalendar, in and out.

mod csv_text;
mod ics;
mod markdown;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{FieldKind, FieldRole, FieldSpec, TableSpec};
use crate::domain::merge::Record;

/// Records of one text, at most.
pub const MOST: usize = 10_000;

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    Markdown,
    Csv,
    Ics,
}

impl TextForm {
    /// The forms that the records of a table have.
    pub fn of(table: &TableSpec) -> Vec<TextForm> {
        match (table.is_calendar(), table.role(FieldRole::Title).is_some()) {
            (true, _) => vec![TextForm::Ics, TextForm::Csv],
            (false, true) => vec![TextForm::Markdown, TextForm::Csv],
            (false, false) => vec![TextForm::Csv],
        }
    }

    /// The form that a text has: what the name of its file says, else as far as that can be seen.
    pub fn guess(columns: &TextColumns<'_>, text: &str, file: &str) -> TextForm {
        let forms = Self::of(columns.table);
        let named = file.rsplit_once('.').and_then(|(_, ending)| Self::parse(&ending.to_lowercase())).filter(|form| forms.contains(form));
        let start = text.trim_start_matches('\u{feff}').trim_start();
        match (named, forms.first()) {
            (Some(form), _) => form,
            (None, Some(TextForm::Ics)) if start.starts_with("BEGIN:VCALENDAR") => TextForm::Ics,
            (None, Some(TextForm::Markdown)) if !is_csv(columns, start) => TextForm::Markdown,
            (None, _) => TextForm::Csv,
        }
    }

    /// How files of it end.
    pub fn extension(self) -> &'static str {
        match self {
            TextForm::Markdown => "md",
            TextForm::Csv => "csv",
            TextForm::Ics => "ics",
        }
    }

    /// What it is called.
    pub fn label(self) -> &'static str {
        match self {
            TextForm::Markdown => "Markdown",
            TextForm::Csv => "CSV",
            TextForm::Ics => "iCalendar",
        }
    }

    pub fn parse(extension: &str) -> Option<Self> {
        [TextForm::Markdown, TextForm::Csv, TextForm::Ics].into_iter().find(|form| form.extension() == extension)
    }
}

/// The columns that a text may have: the fields of a table, by their names and by what pages call them.
pub struct TextColumns<'t> {
    table: &'t TableSpec,
    called: Vec<(String, &'t FieldSpec)>,
}

impl<'t> TextColumns<'t> {
    /// `called`: what the fields are called, besides their names and English labels.
    pub fn new(table: &'t TableSpec, called: impl IntoIterator<Item = (String, &'t FieldSpec)>) -> Self {
        TextColumns { table, called: called.into_iter().map(|(name, field)| (name.to_lowercase(), field)).collect() }
    }

    /// The field of a column, in whatever case.
    fn named(&self, column: &str) -> Option<&'t FieldSpec> {
        let column = column.trim().trim_matches('"').to_lowercase();
        self.table.named(&column).or_else(|| self.called.iter().find(|(name, _)| *name == column).map(|(_, field)| *field))
    }
}

/// Lines that are looked at.
const LOOKED_AT: usize = 5;
/// Characters of the name of a column.
const COLUMN: usize = 40;

/// Whether a text looks like CSV: its first line names fields, or its first lines have as many cells each. Prose has a space
/// after its commas, and a list has a mark before its items.
fn is_csv(columns: &TextColumns<'_>, start: &str) -> bool {
    let first = start.lines().next().unwrap_or_default();
    let cells: Vec<&str> = first.split([',', ';']).collect();
    let known = cells.iter().filter(|cell| columns.named(cell).is_some()).count();
    if known == cells.len() || (known > 0 && cells.len() > 1) {
        return true;
    }
    let is_marked = first.starts_with(['#', '-', '*', '+', '>']) || first.starts_with(|letter: char| letter.is_ascii_digit());
    let is_table = |delimiter: char| {
        let mut counts = start.lines().filter(|line| !line.trim().is_empty()).take(LOOKED_AT).map(|line| line.matches(delimiter).count());
        let count = counts.next().unwrap_or_default();
        let others: Vec<usize> = counts.collect();
        let has_words = first.contains(&format!("{delimiter} ")) || cells.iter().any(|cell| cell.chars().nth(COLUMN).is_some());
        count > 0 && !others.is_empty() && others.iter().all(|other| *other == count) && !has_words
    };
    !is_marked && (is_table(';') || is_table(','))
}

/// A text that cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    #[error("there is nothing in it to take")]
    Nothing,
    #[error("it has {0} records; {MOST} at most are taken at once")]
    TooMany(usize),
    /// What no CSV has, as its reader says it.
    #[error("line {line}: {why}")]
    Csv { line: usize, why: String },
    /// `called`: the English name of the table.
    #[error("line 1: {called} have no field {name:?}")]
    NoField { table: String, called: String, name: String },
    #[error("line {line}: it nests more than {deepest} levels")]
    TooDeep { line: usize, deepest: usize },
    #[error("it is no iCalendar file (BEGIN:VCALENDAR … END:VCALENDAR)")]
    NoCalendar,
    #[error("event {0} has no time")]
    NoTime(usize),
}

/// The records that a text has, as a form for one record would be filled in.
///
/// # Errors
/// The first place that cannot be read.
pub fn read(form: TextForm, columns: &TextColumns<'_>, text: &str, zone: &TimeZone) -> Result<Vec<Record>, BadText> {
    let text = text.trim_start_matches('\u{feff}');
    let records = match form {
        TextForm::Markdown => markdown::read(columns.table, text),
        TextForm::Csv => csv_text::read(columns, text)?,
        TextForm::Ics => ics::read(text, zone)?,
    };
    match records.len() {
        0 => Err(BadText::Nothing),
        n if n > MOST => Err(BadText::TooMany(n)),
        _ => Ok(records),
    }
}

/// Makes a text of records, one after the other.
pub struct FormWriter<'a> {
    form: TextForm,
    table: &'a TableSpec,
    text: String,
}

impl<'a> FormWriter<'a> {
    pub fn new(form: TextForm, table: &'a TableSpec) -> Self {
        let text = match form {
            TextForm::Markdown => String::new(),
            TextForm::Csv => csv_text::header(table),
            TextForm::Ics => ics::BEGIN.to_owned(),
        };
        FormWriter { form, table, text }
    }

    pub fn add(&mut self, record: &Record) {
        self.text += &match self.form {
            TextForm::Markdown => markdown::write(self.table, record),
            TextForm::Csv => csv_text::write(self.table, record),
            TextForm::Ics => ics::write(record),
        };
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn finish(mut self) -> String {
        if self.form == TextForm::Ics {
            self.text += ics::END;
        }
        self.text
    }
}

/// A text as the value of a field; what is no such value stays a text, and is refused with its field.
pub fn value(field: &FieldSpec, text: &str) -> Value {
    let given = text.trim();
    match field.kind {
        _ if given.is_empty() => Value::Null,
        FieldKind::Text => text.into(),
        FieldKind::Flag => match given.to_lowercase().as_str() {
            "true" | "yes" | "1" | "on" | "x" => true.into(),
            "false" | "no" | "0" => false.into(),
            _ => given.into(),
        },
        FieldKind::Number | FieldKind::Amount => serde_json::from_str(given).unwrap_or_else(|_| given.into()),
        FieldKind::List => match serde_json::from_str(given) {
            Ok(list @ Value::Array(_)) => list,
            _ => given.split(',').map(|part| Value::from(part.trim())).collect(),
        },
        FieldKind::Map => serde_json::from_str(given).unwrap_or_else(|_| given.into()),
        _ => given.into(),
    }
}

/// The text of a value.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::Modules;

    #[test]
    fn the_form_of_a_text_is_seen() {
        let modules = Modules::builtin();
        let tasks = modules.table("todo/tasks").unwrap();
        let columns = TextColumns::new(tasks, [("Fällig am".to_owned(), tasks.field("dueDate").unwrap())]);
        for (text, file, expected) in [
            ("title,dueDate\nRent,2026-04-30", "", TextForm::Csv),
            ("Title;Fällig am\nRent;2026-04-30", "", TextForm::Csv),
            // Not every column is known; who reads it is told which.
            ("title;when\nRent;tomorrow", "", TextForm::Csv),
            ("what;when\nRent;tomorrow\nTea;today", "", TextForm::Csv),
            ("what\nRent", "tasks.CSV", TextForm::Csv),
            ("title,dueDate\nRent,2026-04-30", "list.md", TextForm::Markdown),
            ("what;when", "", TextForm::Markdown),
            ("- Rent, soon\n- Tea, green", "", TextForm::Markdown),
            ("# Rent, tea\nMilk, bread", "", TextForm::Markdown),
            ("Pay the rent, please\nBuy tea, too", "", TextForm::Markdown),
            ("", "", TextForm::Markdown),
        ] {
            assert_eq!(TextForm::guess(&columns, text, file), expected, "{text:?} {file:?}");
        }
    }

    #[test]
    fn a_column_may_be_called_as_pages_call_it() {
        let modules = Modules::builtin();
        let tasks = modules.table("todo/tasks").unwrap();
        let columns = TextColumns::new(tasks, [("Fällig am".to_owned(), tasks.field("dueDate").unwrap())]);
        let records = read(TextForm::Csv, &columns, "title;FÄLLIG AM\nRent;2026-04-30\n", &TimeZone::UTC).unwrap();
        assert_eq!(records, [Record::from_iter([("title".into(), "Rent".into()), ("dueDate".into(), "2026-04-30".into())])]);
        let unknown = read(TextForm::Csv, &columns, "title;when\nRent;tomorrow\n", &TimeZone::UTC).unwrap_err();
        assert_eq!(unknown, BadText::NoField { table: "tasks".into(), called: "Tasks".into(), name: "when".into() });
    }
}
