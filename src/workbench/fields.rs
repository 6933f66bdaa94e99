//! The fields of a form.

use maud::{Markup, html};
use serde_json::Value;

use super::page::Failed;
use crate::domain::fields::whole;
use crate::domain::merge::Record;
use crate::text::catalog::{Words, text_id};

/// Names and values, in the order of the form; a name may come more than once.
pub(super) struct FormFields(pub Vec<(String, String)>);

impl FormFields {
    /// A field with the line ends that were in the record: browsers send CR LF.
    pub fn text(&self, name: &str) -> String {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.replace("\r\n", "\n")).unwrap_or_default()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What the form showed when it was made.
    ///
    /// # Errors
    /// When that is not there or damaged: without it nobody can tell what was edited.
    pub fn was(&self) -> Result<Record, Failed> {
        serde_json::from_str(&self.text("was")).map_err(|_| Failed::Form(text_id("common-form-without-was")))
    }

    /// A whole number, `None` where the field is empty.
    ///
    /// # Errors
    /// Words for the user.
    pub fn whole(&self, words: Words, name: &str, label: &str) -> Result<Option<u64>, String> {
        let text = self.text(name);
        match text.trim() {
            "" => Ok(None),
            number => {
                let given = || format!("{number:?}");
                number
                    .parse()
                    .map(Some)
                    .map_err(|_| words.with("common-not-a-number", [("label", label.into()), ("given", given().into())]))
            }
        }
    }
}

/// A text of a record as it stands in a form; what is no text is left to other clients.
pub(super) fn shown<'a>(record: &'a Record, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A value in a field for numbers, which shows nothing else.
pub(super) fn number_shown(value: &Value) -> String {
    if let Some(number) = whole(value) {
        return number.to_string();
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let is_number = text.parse::<f64>().is_ok_and(f64::is_finite)
        && text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit());
    if is_number { text } else { String::new() }
}

/// The part of a record that a form shows, as a hidden field of that form: what differs from it when the form comes back
/// was edited by the user, whatever others wrote meanwhile.
pub(super) fn as_it_was(record: &Record, fields: &[&str]) -> Markup {
    let part = Record::from_iter(fields.iter().filter_map(|field| Some(((*field).to_owned(), record.get(*field)?.clone()))));
    html! { input type="hidden" name="was" value=(Value::Object(part)); }
}

/// A text of one line or several. Browsers spell line ends in their own way, and leave them out of single lines; a text
/// that was not edited keeps its own.
///
/// What is no text shows as an empty field, and stays as it is while the field is empty.
pub(super) fn text_of(fields: &FormFields, was: &Record, field: &str, lines: LineMode) -> Value {
    let text = fields.text(field);
    let old = shown(was, field);
    let spelled = match lines {
        LineMode::One => old.replace(['\r', '\n'], ""),
        LineMode::Many => old.replace("\r\n", "\n").replace('\r', "\n"),
    };
    was.get(field).filter(|_| spelled == text).cloned().unwrap_or_else(|| text.into())
}

/// How many lines a field of a form takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum LineMode {
    One,
    Many,
}
