//! A message with its arguments, as a value that can be stored.

use std::collections::BTreeMap;

use fluent_bundle::FluentValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A message with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saying {
    pub id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, SayingArg>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub times: BTreeMap<String, Timestamp>,
}

/// An argument of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SayingArg {
    Number(i64),
    Text(String),
}

impl SayingArg {
    pub fn of(value: &FluentValue<'_>) -> Self {
        match value {
            FluentValue::Number(number) if number.value.fract() == 0.0 && number.value.abs() < i64::MAX as f64 => {
                SayingArg::Number(number.value as i64)
            }
            FluentValue::String(text) => SayingArg::Text(text.to_string()),
            other => SayingArg::Text(format!("{other:?}")),
        }
    }

    pub fn value(&self) -> FluentValue<'_> {
        match self {
            SayingArg::Number(number) => (*number).into(),
            SayingArg::Text(text) => text.as_str().into(),
        }
    }
}
