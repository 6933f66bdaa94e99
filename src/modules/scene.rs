//! What the words of a description stand for, and how a value stands in its field.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::call::{Obstacle, Records, ToolCall};
use super::{FieldKind, FieldSpec, TableSpec};
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::domain::time;

/// What the words of a description stand for.
pub(super) struct Scene<'a> {
    pub call: &'a ToolCall<'a>,
    pub records: &'a dyn Records,
    /// The id of the new record.
    pub id: &'a str,
    /// The record that it is about.
    pub of: Option<&'a Record>,
    /// Records that are made with it.
    pub beside: Vec<(String, String)>,
    pub chosen: Option<String>,
}

/// A field, unless it holds what only a device can read.
pub(super) fn readable<'r>(record: &'r Record, field: &str) -> Result<Option<&'r Value>, Obstacle> {
    match record.get(field) {
        Some(Value::String(text)) if is_ciphertext(text) => Err(Obstacle::Encrypted { field: field.to_owned() }),
        value => Ok(value),
    }
}

impl Scene<'_> {
    /// What a template stands for, as the value of a field; `None`: nothing is given for it.
    pub fn value(&self, template: &Value, table: &TableSpec, field: &str, fields: &Record) -> Result<Option<Value>, Obstacle> {
        if let Value::Object(inner) = template {
            let part = |(name, template): (&String, &Value)| {
                let value = self.value(template, table, field, fields)?;
                Ok(value.filter(|value| !value.is_null()).map(|value| (name.clone(), value)))
            };
            let parts: Result<Vec<Option<(String, Value)>>, Obstacle> = inner.iter().map(part).collect();
            return Ok(Some(Value::Object(parts?.into_iter().flatten().collect())));
        }
        let Some(word) = template.as_str().and_then(|text| text.strip_prefix('$')) else { return Ok(Some(template.clone())) };
        let (word, about) = word.split_once(':').unwrap_or((word, ""));
        let now = self.call.now;
        let of = |field: &str| self.of.map_or(Ok(None), |of| readable(of, field)).map(|value| value.cloned());
        let text_of = || Ok(of(field)?.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default());
        Ok(match word {
            "now" => Some(time::iso_millis(now).into()),
            "today" => Some(now.strftime("%Y-%m-%d").to_string().into()),
            "clock" => Some(now.to_zoned(self.call.zone.clone()).strftime("%H:%M").to_string().into()),
            "zone" => Some(self.call.zone.iana_name().unwrap_or("UTC").into()),
            "period" => Some(self.period_start().into()),
            "count" => Some(self.records.count(table).into()),
            "words" => Some(fields.get(about).and_then(Value::as_str).unwrap_or_default().split_whitespace().count().into()),
            "id" => Some(self.id.into()),
            "default" => self.chosen.clone().map(Value::from),
            "param" => self.param(about),
            "of" => of(about)?,
            "after" => of(about)?.and_then(|seconds| seconds.as_f64()).and_then(|seconds| later(now, seconds)),
            "since" => of(about)?.and_then(|from| since(now, &from)),
            "more" => Some((of(field)?.and_then(|number| number.as_i64()).unwrap_or_default() + 1).into()),
            "append" => Some(appended(text_of()?, self.text_param(about)?).into()),
            "tag" => Some(tagged(text_of()?, self.text_param(about)?).into()),
            other => self.beside.iter().find(|(name, _)| name == other).map(|(_, id)| json!(id)),
        })
    }

    /// A parameter, or what stands after `=` where it is missing.
    fn param(&self, about: &str) -> Option<Value> {
        let (name, otherwise) = about.split_once('=').map_or((about, None), |(name, otherwise)| (name, Some(otherwise)));
        let otherwise = || otherwise.map(|text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
        self.call.params.get(name).filter(|value| !value.is_null()).cloned().or_else(otherwise)
    }

    /// The first day of the period that a goal counts in: the day, its Monday, or the first of its month.
    fn period_start(&self) -> String {
        let today = self.call.now.to_zoned(TimeZone::UTC).date();
        let start = match self.call.params.get("period").and_then(Value::as_str) {
            Some("week") => today.checked_sub(jiff::Span::new().days(today.weekday().to_monday_zero_offset())).unwrap_or(today),
            Some("month") => today.first_of_month(),
            _ => today,
        };
        start.to_string()
    }

    fn text_param(&self, name: &str) -> Result<&str, Obstacle> {
        self.call.params.get(name).and_then(Value::as_str).ok_or_else(|| Obstacle::Missing { param: name.to_owned() })
    }
}

/// A text with another one in a line of its own.
pub(super) fn appended(mut text: String, more: &str) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text + more
}

/// A text that has a tag, as clients write it: after an empty line, unless it is there already.
pub(super) fn tagged(text: String, tag: &str) -> String {
    let tag = format!("#{}", tag.trim().trim_start_matches('#').replace(char::is_whitespace, "_"));
    let is_there = text.split_whitespace().any(|word| word.to_lowercase() == tag.to_lowercase());
    match text.trim_end() {
        _ if is_there => text,
        "" => tag,
        body => format!("{body}\n\n{tag}"),
    }
}

/// Seconds from a moment to now.
fn since(now: Timestamp, from: &Value) -> Option<Value> {
    let from = time::parse_rfc3339(from.as_str()?)?;
    Some(now.duration_since(from).as_secs().max(0).into())
}

pub(super) fn later(now: Timestamp, seconds: f64) -> Option<Value> {
    let wait = SignedDuration::try_from_secs_f64(seconds).ok().filter(|wait| wait.is_positive())?;
    now.checked_add(wait).ok().map(|at| time::iso_millis(at).into())
}

/// A value as its field holds it.
pub(super) fn fitting(field: &FieldSpec, value: Value) -> Result<Value, Obstacle> {
    let wrong = || Obstacle::Wrong { param: field.name.clone(), kind: field.kind };
    let text = |value: &Value| value.as_str().map(|text| text.trim().to_owned());
    if value.is_null() {
        return Ok(value);
    }
    Ok(match field.kind {
        FieldKind::Text => value.as_str().map(Value::from).ok_or_else(wrong)?,
        FieldKind::Line | FieldKind::Link => text(&value).map(Value::from).ok_or_else(wrong)?,
        FieldKind::Choice => text(&value).filter(|text| field.choices.contains(text)).map(Value::from).ok_or_else(wrong)?,
        FieldKind::Flag => value.as_bool().map(Value::from).ok_or_else(wrong)?,
        FieldKind::Number => Some(value).filter(Value::is_number).ok_or_else(wrong)?,
        FieldKind::Amount => amount(value).ok_or_else(wrong)?,
        FieldKind::Day => text(&value).as_deref().and_then(day).map(Value::from).ok_or_else(wrong)?,
        FieldKind::Time => text(&value).filter(|text| time::parse_rfc3339(text).is_some()).map(Value::from).ok_or_else(wrong)?,
        FieldKind::Clock => text(&value).filter(|text| is_clock(text)).map(Value::from).ok_or_else(wrong)?,
        FieldKind::Map => Some(value).filter(Value::is_object).ok_or_else(wrong)?,
        FieldKind::List => Some(value).filter(Value::is_array).ok_or_else(wrong)?,
    })
}

/// A positive number, spelled as it was.
pub(super) fn amount(value: Value) -> Option<Value> {
    let number = value.as_f64().filter(|number| number.is_finite() && *number != 0.0)?;
    if number > 0.0 { Some(value) } else { value.to_string().trim_start_matches('-').parse().ok().map(Value::Number) }
}

/// The day of a date or of a moment.
pub(super) fn day(text: &str) -> Option<String> {
    let date: jiff::civil::Date = text.get(..10)?.parse().ok()?;
    (text.len() == 10 || text.as_bytes().get(10) == Some(&b'T')).then(|| date.to_string())
}

pub(super) fn is_clock(text: &str) -> bool {
    text.len() == 5 && text.parse::<jiff::civil::Time>().is_ok()
}
