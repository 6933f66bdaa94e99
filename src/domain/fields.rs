//! Reading fields of a merged record that clients may have filled with anything (docs/design.md, section 4).

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::change::Found;
use super::raw::{Raw, RawRecord};
use super::time;

/// A field that held something unusable, and what was taken in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldProblem {
    pub field: &'static str,
    pub found: Found,
    pub used: &'static str,
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is {}; {} is used in its place", self.field, self.found, self.used)
    }
}

/// Reads typed fields and collects what was wrong, instead of failing.
pub struct FieldReader<'a> {
    record: &'a RawRecord,
    problems: Vec<FieldProblem>,
}

impl<'a> FieldReader<'a> {
    pub fn new(record: &'a RawRecord) -> Self {
        FieldReader { record, problems: Vec::new() }
    }

    pub fn into_problems(self) -> Vec<FieldProblem> {
        self.problems
    }

    /// The value of a field; a missing field and null are the same.
    pub fn value(&self, field: &str) -> Option<Value> {
        self.raw(field).map(Raw::read)
    }

    /// The same as it is written.
    pub fn raw(&self, field: &str) -> Option<&'a Raw> {
        self.record.get(field).filter(|value| !value.is_null())
    }

    /// Notes that `field` cannot be used.
    pub fn report(&mut self, field: &'static str, value: &Value, used: &'static str) {
        self.problems.push(FieldProblem { field, found: Found::value(value), used });
    }

    /// The field as `read` understands it. A value that it does not understand is reported with what is `used` instead.
    pub fn read<T>(&mut self, field: &'static str, used: &'static str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.value(field)?;
        let taken = read(&value);
        if taken.is_none() {
            self.report(field, &value, used);
        }
        taken
    }

    /// A text; empty where it is missing.
    pub fn text(&mut self, field: &'static str) -> String {
        self.optional_text(field).unwrap_or_default()
    }

    /// A text that is not empty.
    pub fn optional_text(&mut self, field: &'static str) -> Option<String> {
        self.read(field, "an empty text", |v| v.as_str().map(str::to_owned)).filter(|t| !t.is_empty())
    }

    /// A whole number of at least `least`.
    pub fn whole(&mut self, field: &'static str, least: u64, used: &'static str) -> Option<u64> {
        self.read(field, used, |v| whole(v).filter(|n| *n >= least))
    }

    /// An RFC 3339 time, to the microsecond, the unit of the store.
    pub fn time(&mut self, field: &'static str) -> Option<Timestamp> {
        self.read(field, "no time", |v| match v.as_str() {
            Some("") => Some(None),
            text => text.and_then(time::parse_rfc3339).map(|at| Some(time::from_micros(time::to_micros(at)))),
        })
        .flatten()
    }

    /// An array; empty where it is missing.
    pub fn array(&mut self, field: &'static str) -> Vec<Raw> {
        let Some(value) = self.raw(field) else { return Vec::new() };
        value.items().unwrap_or_else(|| {
            self.report(field, &value.read(), "an empty list");
            Vec::new()
        })
    }
}

/// A number without a fraction, also where JSON spells it `3.0`.
pub fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && *f >= 0.0 && *f < 9e15).map(|f| f as u64))
}

/// Whether a value is ciphertext of the clients (`enc:1:…`), which must never reach a prompt.
pub fn is_ciphertext(value: &str) -> bool {
    value.trim_start().starts_with("enc:1:")
}
