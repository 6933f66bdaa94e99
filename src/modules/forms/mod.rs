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

    /// The form that a text has, as far as that can be seen.
    pub fn guess(table: &TableSpec, text: &str) -> TextForm {
        let forms = Self::of(table);
        let start = text.trim_start_matches('\u{feff}').trim_start();
        let first = start.lines().next().unwrap_or_default();
        let is_header = first.split([',', ';']).map(|cell| cell.trim().trim_matches('"')).all(|cell| table.named(cell).is_some());
        match forms.first() {
            Some(TextForm::Ics) if start.starts_with("BEGIN:VCALENDAR") => TextForm::Ics,
            Some(TextForm::Markdown) if !is_header => TextForm::Markdown,
            _ => TextForm::Csv,
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
    #[error("line 1: {table} have no field {name:?}")]
    NoField { table: String, name: String },
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
pub fn read(form: TextForm, table: &TableSpec, text: &str, zone: &TimeZone) -> Result<Vec<Record>, BadText> {
    let text = text.trim_start_matches('\u{feff}');
    let records = match form {
        TextForm::Markdown => markdown::read(table, text),
        TextForm::Csv => csv_text::read(table, text)?,
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
