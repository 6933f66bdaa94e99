//! One change of one record, as the log keeps it and as the JSONL form spells it (docs/design.md, section 2).

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::ids::UserId;
use super::merge::{Delta, Stamps, stamp_of};
pub use super::op::Op;
use super::raw::{Raw, RawRecord};
use super::time;

/// The `clientId` of rows that the runner writes.
pub const RUNNER_CLIENT: &str = "mana-ai-runner";
/// The `clientId` of rows that the pages of this program write.
pub const WORKBENCH_CLIENT: &str = "workbench";

/// Whether this program wrote a row of this client: decided on the newest state of its record, so that nothing is lost by
/// oversight.
pub fn is_own_client(client_id: &str) -> bool {
    [RUNNER_CLIENT, WORKBENCH_CLIENT].contains(&client_id)
}

/// A change that is ready to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Event id, a UUID in lower case.
    pub event_id: String,
    pub app_id: String,
    pub table: String,
    pub record_id: String,
    pub user_id: UserId,
    pub space_id: Option<String>,
    pub op: Op,
    pub data: Option<RawRecord>,
    pub field_meta: Stamps,
    pub client_id: String,
    /// When the first server took it in; `None` asks the store for the time of its own row.
    pub created_at: Option<Timestamp>,
    pub schema_version: i64,
    pub actor: Option<Raw>,
    pub origin: Option<String>,
    /// The JSON columns as another database wrote them, where they are to be kept to the byte.
    pub verbatim: Option<Box<Verbatim>>,
}

/// The JSON columns of a row as texts; `None` is the null of SQL, which JSON's own null is not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verbatim {
    pub data: Option<String>,
    pub field_meta: Option<String>,
    pub actor: Option<String>,
}

/// The JSONL form, one object.
impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("Change", 14)?;
        line.serialize_field("eventId", &self.event_id)?;
        line.serialize_field("appId", &self.app_id)?;
        line.serialize_field("table", &self.table)?;
        line.serialize_field("recordId", &self.record_id)?;
        line.serialize_field("userId", &self.user_id)?;
        line.serialize_field("spaceId", &self.space_id)?;
        line.serialize_field("op", self.op.as_str())?;
        line.serialize_field("data", &self.data)?;
        line.serialize_field("fieldMeta", &self.field_meta)?;
        line.serialize_field("clientId", &self.client_id)?;
        line.serialize_field("schemaVersion", &self.schema_version)?;
        line.serialize_field("actor", &self.actor)?;
        line.serialize_field("origin", &self.origin)?;
        line.serialize_field("createdAt", &self.created_at.map(time::iso_micros))?;
        line.end()
    }
}

impl Change {
    /// The JSON columns of its row.
    pub fn texts(&self) -> Cow<'_, Verbatim> {
        match &self.verbatim {
            Some(texts) => Cow::Borrowed(texts),
            None => Cow::Owned(Verbatim {
                data: self.data.as_ref().map(|data| Raw::from(data).to_string()),
                field_meta: Some(stamps_text(&self.field_meta)),
                actor: self.actor.as_ref().map(Raw::to_string),
            }),
        }
    }

    /// What this change says about its record; `fallback` stands in for a creation time that is not set yet.
    pub fn delta(&self, fallback: Timestamp) -> Delta {
        Delta { op: self.op, data: self.data.clone(), field_meta: self.field_meta.clone(), created_at: self.created_at.unwrap_or(fallback) }
    }
}

/// Stamps as their column has them.
pub fn stamps_text(stamps: &Stamps) -> String {
    // Texts by texts can always be written.
    serde_json::to_string(stamps).unwrap_or_else(|_| "{}".into())
}

/// Why a line is not a change. The message names the field, what stands there and what is allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadChange {
    #[error("not a JSON object: {0}")]
    NotAnObject(String),
    #[error("`{field}` is missing")]
    Missing { field: &'static str },
    #[error("`{field}` is {found}, but must be {allowed}")]
    Wrong { field: &'static str, found: Found, allowed: &'static str },
}

/// A value as an error message shows it: its kind, and its text where that is short.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    Null,
    Flag(bool),
    Number(String),
    /// One of at most [`Found::SHORT`] characters.
    Text(String),
    LongText,
    Array,
    Object,
}

impl Found {
    /// Characters of a text that is repeated.
    const SHORT: usize = 40;

    /// Describes a JSON value without repeating the whole of it.
    pub fn value(value: &Value) -> Self {
        match value {
            Value::Null => Found::Null,
            Value::Bool(flag) => Found::Flag(*flag),
            Value::Number(number) => Found::Number(number.to_string()),
            Value::String(text) if text.chars().count() <= Self::SHORT => Found::Text(text.clone()),
            Value::String(_) => Found::LongText,
            Value::Array(_) => Found::Array,
            Value::Object(_) => Found::Object,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Found::Null => f.write_str("null"),
            Found::Flag(flag) => flag.fmt(f),
            Found::Number(number) => write!(f, "the number {number}"),
            Found::Text(text) => write!(f, "{text:?}"),
            Found::LongText => f.write_str("a long text"),
            Found::Array => f.write_str("an array"),
            Found::Object => f.write_str("an object"),
        }
    }
}

/// Reads one change from its JSONL object. `make_id` gives an event id where the line has none.
///
/// # Errors
/// [`BadChange`] names the first field that cannot be taken.
pub fn from_json(mut object: RawRecord, make_id: impl FnOnce() -> String) -> Result<Change, BadChange> {
    let event_id = match take_text(&mut object, "eventId")? {
        Some(text) => uuid::Uuid::parse_str(&text).map(|id| id.to_string()).map_err(|_| wrong("eventId", &text.into(), "a UUID"))?,
        None => make_id(),
    };
    let op = required(&mut object, "op")?;
    let op = Op::parse(&op).ok_or_else(|| wrong("op", &op.into(), "insert, update or delete"))?;
    let created_at = required(&mut object, "createdAt")?;
    let created_at = time::parse_rfc3339(&created_at)
        .ok_or_else(|| wrong("createdAt", &created_at.into(), "an ISO time such as 2026-04-15T08:00:00.000000Z"))?;
    let origin = take_any_text(&mut object, "origin")?;
    let schema_version = match take(&mut object, "schemaVersion") {
        None => 1,
        Some(value) => value
            .read()
            .as_i64()
            .filter(|v| *v == 1)
            .ok_or_else(|| wrong("schemaVersion", &value, "1, the only version this program reads"))?,
    };
    let is_object = |value: &Raw| value.get().starts_with('{');
    let actor = match take(&mut object, "actor") {
        Some(value) if !is_object(&value) => return Err(wrong("actor", &value, "an object or null")),
        actor => actor,
    };
    let field_meta = take(&mut object, "fieldMeta").or_else(|| take(&mut object, "fieldTimestamps"));
    Ok(Change {
        event_id,
        app_id: required(&mut object, "appId")?,
        table: required(&mut object, "table")?,
        record_id: required(&mut object, "recordId")?,
        user_id: required(&mut object, "userId")?.into(),
        space_id: take_any_text(&mut object, "spaceId")?,
        op,
        data: match take(&mut object, "data") {
            None => None,
            Some(value) => Some(value.object().ok_or_else(|| wrong("data", &value, "an object of field values or null"))?),
        },
        field_meta: field_meta.map(|stamps| read_stamps(&stamps)).transpose()?.unwrap_or_default(),
        client_id: take_any_text(&mut object, "clientId")?.unwrap_or_else(|| "import".into()),
        created_at: Some(created_at),
        schema_version,
        actor,
        origin,
        verbatim: None,
    })
}

fn wrong(field: &'static str, found: &Raw, allowed: &'static str) -> BadChange {
    BadChange::Wrong { field, found: Found::value(&found.read()), allowed }
}

/// A field; one that is null is none.
fn take(object: &mut RawRecord, field: &str) -> Option<Raw> {
    object.remove(field).filter(|value| !value.is_null())
}

/// A text field that may be missing or null; an empty text is one too.
fn take_any_text(object: &mut RawRecord, field: &'static str) -> Result<Option<String>, BadChange> {
    let text = |value: Raw| value.text().map(|text| text.into_owned()).ok_or_else(|| wrong(field, &value, "a text"));
    take(object, field).map(text).transpose()
}

/// A text field that may be missing, null or empty.
fn take_text(object: &mut RawRecord, field: &'static str) -> Result<Option<String>, BadChange> {
    Ok(take_any_text(object, field)?.filter(|text| !text.is_empty()))
}

fn required(object: &mut RawRecord, field: &'static str) -> Result<String, BadChange> {
    take_text(object, field)?.ok_or(BadChange::Missing { field })
}

fn read_stamps(value: &Raw) -> Result<Stamps, BadChange> {
    let mut stamps = Stamps::new();
    for (field, stamp) in value.object().ok_or_else(|| wrong("fieldMeta", value, STAMPS))? {
        if let Some(stamp) = read_stamp(&stamp).map_err(|other| wrong("fieldMeta", &other, STAMPS))? {
            stamps.insert(field, stamp);
        }
    }
    Ok(stamps)
}

const STAMPS: &str = "an object that gives each field an ISO time";

/// The time at which a field was written, as clients spell it: a text, or an object with it as `at`. An empty one is none.
///
/// # Errors
/// Gives back what is neither.
pub fn read_stamp(stamp: &Raw) -> Result<Option<String>, Raw> {
    let at = match stamp.object() {
        Some(mut object) => object.remove("at").unwrap_or_default(),
        None => stamp.clone(),
    };
    if at.is_null() || at.text().is_some() { Ok(stamp_of(&at)) } else { Err(at) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(line: Value, expected: &str) {
        let outcome = match from_json(line.as_object().unwrap().into(), || "made".into()) {
            Ok(change) => serde_json::to_string(&change).unwrap(),
            Err(error) => error.to_string(),
        };
        assert_eq!(outcome, expected);
    }

    fn with(field: &str, value: Value) -> Value {
        let mut line =
            json!({"appId": "ai", "table": "t", "recordId": "r", "userId": "u", "op": "insert", "createdAt": "2026-04-15T08:00:00Z"});
        line[field] = value;
        line
    }

    #[test]
    fn the_shortest_line_is_enough() {
        check(
            with("data", json!({"a": 1})),
            r#"{"eventId":"made","appId":"ai","table":"t","recordId":"r","userId":"u","spaceId":null,"op":"insert","data":{"a":1},"fieldMeta":{},"clientId":"import","schemaVersion":1,"actor":null,"origin":null,"createdAt":"2026-04-15T08:00:00.000000Z"}"#,
        );
    }

    #[test]
    fn each_wrong_field_is_named() {
        check(with("op", json!("upsert")), "`op` is \"upsert\", but must be insert, update or delete");
        check(with("data", json!([1])), "`data` is an array, but must be an object of field values or null");
        check(with("userId", json!("")), "`userId` is missing");
        check(with("recordId", json!(7)), "`recordId` is the number 7, but must be a text");
        check(with("eventId", json!("7")), "`eventId` is \"7\", but must be a UUID");
        check(with("fieldMeta", json!({"a": 1})), "`fieldMeta` is the number 1, but must be an object that gives each field an ISO time");
        check(with("createdAt", json!("soon")), "`createdAt` is \"soon\", but must be an ISO time such as 2026-04-15T08:00:00.000000Z");
        check(
            with("fieldMeta", json!({"a": {"at": 1}})),
            "`fieldMeta` is the number 1, but must be an object that gives each field an ISO time",
        );
        check(with("schemaVersion", json!(2)), "`schemaVersion` is the number 2, but must be 1, the only version this program reads");
    }

    #[test]
    fn stamps_of_every_form_are_taken_and_a_number_is_none() {
        let spelled = json!({"a": "t", "b": {"at": "t", "by": "x"}, "c": "", "d": {}, "e": null, "f": {"at": ""}, "g": {"at": null}});
        let change = from_json(with("fieldMeta", spelled).as_object().unwrap().into(), String::new).unwrap();
        assert_eq!(json!(change.field_meta), json!({"a": "t", "b": "t"}));
        check(
            with("createdAt", json!("2026-04-15 08:00:00")),
            "`createdAt` is \"2026-04-15 08:00:00\", but must be an ISO time such as 2026-04-15T08:00:00.000000Z",
        );
    }
}
