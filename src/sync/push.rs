//! What a client pushes, and the rows of the log that it becomes.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::change::{Change, Found, Op, read_stamp};
use crate::domain::field;
use crate::domain::field::DELETED_AT;
use crate::domain::ids::UserId;
use crate::domain::limits::{Admitted, LimitRefusal, admit, check_id};
use crate::domain::merge::Stamps;
use crate::domain::raw::{Raw, RawRecord};

/// The wire version that this program speaks.
const SCHEMA_VERSION: i64 = 1;
/// Changes that one push may carry.
pub const MAX_CHANGES: usize = 10_000;

/// Changes that a client made while nobody looked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// Who pushes; the header `X-Client-Id` beats it
    #[serde(default)]
    #[schema(min_length = 1, max_length = 256)]
    client_id: Option<String>,
    /// The app of the path, where it is given
    #[serde(default)]
    app_id: Option<String>,
    /// The last `syncedUntil` that the client got; nothing at first
    #[serde(default)]
    #[schema(format = DateTime)]
    since: Option<String>,
    /// Version of this form, 1
    #[serde(default)]
    #[schema(maximum = 1)]
    schema_version: Option<i64>,
    /// What changed, in the order in which it happened
    #[serde(default)]
    changes: Vec<ChangeIn>,
}

/// One change of one record.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeIn {
    /// A UUID that makes a second delivery of the change harmless
    #[serde(default)]
    #[schema(format = "uuid")]
    event_id: Option<String>,
    #[schema(min_length = 1, max_length = 256)]
    table: String,
    #[schema(min_length = 1, max_length = 256)]
    id: String,
    /// insert, update or delete
    #[schema(pattern = "^(insert|update|delete)$")]
    op: String,
    /// The fields of a new record
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    data: Option<RawRecord>,
    /// The fields that changed, each with the time at which the client wrote it
    #[serde(default)]
    fields: Option<BTreeMap<String, FieldIn>>,
    #[serde(default)]
    deleted_at: Option<String>,
    #[serde(default)]
    space_id: Option<String>,
    /// Who did it, as `{kind, principalId, displayName}`
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    actor: Option<RawRecord>,
    /// Any word; usually user, agent, system or migration
    #[serde(default)]
    #[schema(max_length = 64)]
    origin: Option<String>,
}

/// A field's new value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldIn {
    #[serde(default)]
    #[schema(value_type = Value)]
    value: Raw,
    /// When the client wrote it: a time, or an object with it as `at`; an empty one is none
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    at: Raw,
    /// The older name of `at`
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    updated_at: Raw,
}

/// A push that cannot be taken: nothing of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPush {
    #[error("no client is named; send the header X-Client-Id or `clientId`")]
    NoClient,
    #[error("{0}")]
    Client(LimitRefusal),
    #[error("`appId` is {0:?}, but the path names another app")]
    OtherApp(String),
    #[error("`schemaVersion` is {0}, but this server speaks version 1; update the server")]
    SchemaVersion(i64),
    #[error("a push takes at most {MAX_CHANGES} changes, and this one has {0}; send it in parts")]
    TooMany(usize),
    #[error("change {at}: {reason}")]
    Change { at: usize, reason: String },
}

/// A push as the log takes it.
#[derive(Debug)]
pub struct Pushed {
    pub client_id: String,
    /// The cursor's text.
    pub since: String,
    pub changes: Vec<Admitted>,
}

/// Who pushes where, as the request says.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    pub user_id: &'a UserId,
    pub app_id: &'a str,
    /// The header `X-Client-Id`.
    pub client_id: Option<&'a str>,
    /// The key of the database for the event ids that are made here.
    pub event_key: &'a [u8],
}

impl Push {
    /// Checks the push and spells it as rows. `now` (ISO) stands in where a delete has no time; `make_id` gives event ids.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(self, sender: Sender<'_>, now: &str, mut make_id: impl FnMut() -> Uuid) -> Result<Pushed, BadPush> {
        let client_id = sender.client_id.map(str::to_owned).or(self.client_id).filter(|id| !id.is_empty()).ok_or(BadPush::NoClient)?;
        check_id("clientId", &client_id).map_err(BadPush::Client)?;
        if let Some(app) = self.app_id.filter(|app| !app.is_empty() && app != sender.app_id) {
            return Err(BadPush::OtherApp(app));
        }
        let schema_version = self.schema_version.unwrap_or(SCHEMA_VERSION);
        if schema_version > SCHEMA_VERSION {
            return Err(BadPush::SchemaVersion(schema_version));
        }
        if self.changes.len() > MAX_CHANGES {
            return Err(BadPush::TooMany(self.changes.len()));
        }
        let read = |(at, change): (usize, ChangeIn)| {
            let change = change.read(sender, &client_id, now, &mut make_id);
            // A push names the record by another word than the log.
            let in_its_words = |refusal: LimitRefusal| refusal.to_string().replace("`recordId`", "`id`");
            change.and_then(|change| admit(change).map_err(in_its_words)).map_err(|reason| BadPush::Change { at, reason })
        };
        let changes = self.changes.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(Pushed { client_id, since: self.since.unwrap_or_default(), changes })
    }
}

impl ChangeIn {
    fn read(self, sender: Sender<'_>, client_id: &str, now: &str, make_id: impl FnOnce() -> Uuid) -> Result<Change, String> {
        let op = Op::parse(&self.op).ok_or_else(|| format!("`op` is {:?}, but must be insert, update or delete", self.op))?;
        let given_id =
            self.event_id.map(|id| Uuid::parse_str(&id).map_err(|_| format!("`eventId` is {id:?}, but must be a UUID"))).transpose()?;
        let mut data = self.data.unwrap_or_default();
        let mut field_meta = Stamps::new();
        for (name, field) in self.fields.unwrap_or_default() {
            let stamp = |value: &Raw| {
                read_stamp(value)
                    .map_err(|other| format!("the time of the field {name:?} is {}, but must be an ISO time", Found::value(&other.read())))
            };
            if let Some(at) = stamp(&field.at)?.or(stamp(&field.updated_at)?) {
                field_meta.insert(name.clone(), at);
            }
            data.insert(name, field.value);
        }
        if op == Op::Delete {
            data.insert(DELETED_AT.into(), self.deleted_at.unwrap_or_else(|| now.to_owned()));
        }
        let in_data = data.text(field::SPACE_ID).map(|space| space.into_owned());
        let event_id = given_id.unwrap_or_else(|| match op {
            Op::Insert => insert_id(sender, client_id, &self.table, &self.id, &data),
            Op::Update | Op::Delete => make_id(),
        });
        Ok(Change {
            event_id: event_id.to_string(),
            app_id: sender.app_id.to_owned(),
            table: self.table,
            record_id: self.id,
            user_id: sender.user_id.to_owned(),
            space_id: self.space_id.or(in_data).filter(|space| !space.is_empty()),
            op,
            data: (!data.is_empty()).then_some(data),
            field_meta,
            client_id: client_id.to_owned(),
            created_at: None,
            schema_version: SCHEMA_VERSION,
            verbatim: None,
            actor: self.actor.as_ref().map(Raw::from),
            origin: self.origin,
        })
    }
}

/// The event id of an insert that brings none, made of what it says (RFC 9562, version 8) and a key, so that nobody can tell
/// it before. An answer that got lost makes a client push again; a second insert without stamps would undo edits that were
/// made between the two.
fn insert_id(sender: Sender<'_>, client_id: &str, table: &str, id: &str, data: &RawRecord) -> Uuid {
    let said = Raw::of(&(sender.user_id, sender.app_id, client_id, table, id, data));
    let key = hmac::Key::new(hmac::HMAC_SHA256, sender.event_key);
    let tag = hmac::sign(&key, said.get().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&tag.as_ref()[..16]);
    Uuid::new_v8(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use serde_json::{Value, json};

    static USER: LazyLock<UserId> = LazyLock::new(|| "u".into());

    fn sender() -> Sender<'static> {
        Sender { user_id: &USER, app_id: "notes", client_id: None, event_key: &[7; 32] }
    }

    fn read(body: Value) -> Result<Pushed, BadPush> {
        let push: Push = serde_json::from_value(body).unwrap();
        push.read(sender(), "2026-04-15T08:00:00.000Z", || Uuid::from_u128(7))
    }

    fn one(change: Value) -> Result<Change, BadPush> {
        read(json!({"clientId": "c", "changes": [change]})).map(|pushed| pushed.changes[0].change().clone())
    }

    #[test]
    fn each_operation_becomes_a_row() {
        let row = one(json!({"table": "notes", "id": "1", "op": "insert", "data": {"title": "a", "spaceId": "s"}})).unwrap();
        assert_eq!(
            (row.op, row.data, row.field_meta.len(), row.space_id),
            (Op::Insert, json!({"title": "a", "spaceId": "s"}).as_object().map(RawRecord::from), 0, Some("s".into()))
        );
        let fields = json!({"a": {"value": 1, "at": "t1", "updatedAt": "t0"}, "b": {"value": null, "updatedAt": "t2"}, "c": {"value": []}});
        let row = one(json!({"table": "notes", "id": "1", "op": "update", "fields": fields, "spaceId": "top", "origin": "user"})).unwrap();
        assert_eq!(json!(row.data), json!({"a": 1, "b": null, "c": []}));
        assert_eq!(json!(row.field_meta), json!({"a": "t1", "b": "t2"}));
        assert_eq!((row.space_id.as_deref(), row.origin.as_deref(), row.actor), (Some("top"), Some("user"), None));
        let row = one(json!({"table": "notes", "id": "1", "op": "delete", "deletedAt": "t3"})).unwrap();
        assert_eq!(json!(row.data), json!({"deletedAt": "t3"}));
        let row = one(json!({"table": "notes", "id": "1", "op": "delete"})).unwrap();
        assert_eq!(json!(row.data), json!({"deletedAt": "2026-04-15T08:00:00.000Z"}));
    }

    #[test]
    fn the_same_insert_has_the_same_id_and_another_has_another() {
        let id = |data: Value| one(json!({"table": "notes", "id": "1", "op": "insert", "data": data})).unwrap().event_id;
        assert_eq!(id(json!({"a": 1})), id(json!({"a": 1})));
        assert_ne!(id(json!({"a": 1})), id(json!({"a": 2})));
        let given = "0193e4c0-5c5c-4000-8000-00000000abcd";
        let row = one(json!({"eventId": given.to_uppercase(), "table": "notes", "id": "1", "op": "insert"})).unwrap();
        assert_eq!((row.event_id.as_str(), row.data), (given, None));
        assert_eq!(one(json!({"table": "t", "id": "1", "op": "update"})).unwrap().event_id, Uuid::from_u128(7).to_string());
    }

    #[test]
    fn what_cannot_be_taken_says_why() {
        let change = json!({"table": "notes", "id": "1", "op": "update"});
        for (body, message) in [
            (json!({"changes": []}), "X-Client-Id"),
            (json!({"clientId": "", "changes": []}), "X-Client-Id"),
            (json!({"clientId": "c", "appId": "todo"}), "\"todo\""),
            (json!({"clientId": "c", "schemaVersion": 2}), "version 1"),
            (json!({"clientId": "c".repeat(257), "changes": []}), "256 characters"),
            (json!({"clientId": "c", "changes": [change, {"table": "", "id": "1", "op": "update"}]}), "change 1: `table`"),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "", "op": "update"}]}), "`id` is empty"),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "1".repeat(257), "op": "update"}]}), "256 characters"),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "a\0", "op": "update"}]}), "U+0000"),
            (
                json!({"clientId": "c", "changes": [change, {"table": "t", "id": "1", "op": "update", "fields": {"a..b": {"value": 1}}}]}),
                "change 1: the path",
            ),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "1", "op": "insert", "data": {"__proto__": 1}}]}), "`__proto__`"),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "1", "op": "update", "fields": {"a": {"at": 5}}}]}), "the number 5"),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "1", "op": "upsert"}]}), "insert, update or delete"),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "1", "op": "update", "origin": "m".repeat(65)}]}), "`origin`"),
            (json!({"clientId": "c", "changes": [{"table": "t", "id": "1", "op": "update", "eventId": "x"}]}), "UUID"),
            (json!({"clientId": "c", "changes": vec![change.clone(); MAX_CHANGES + 1]}), "in parts"),
        ] {
            let error = read(body.clone()).unwrap_err().to_string();
            assert!(error.contains(message), "{message}: {error}");
        }
    }

    #[test]
    fn times_are_read_as_clients_spell_them() {
        let fields = json!({
            "a": {"value": 1, "at": {"at": "t1", "by": "x"}}, "b": {"value": 2, "at": "", "updatedAt": "t2"}, "c": {"value": 3, "at": {}},
            "d": {"value": 4, "at": null},
        });
        let row = one(json!({"table": "notes", "id": "1", "op": "update", "fields": fields, "origin": "robot"})).unwrap();
        assert_eq!((json!(row.field_meta), row.origin.as_deref()), (json!({"a": "t1", "b": "t2"}), Some("robot")));
    }

    #[test]
    fn nobody_without_the_key_can_tell_an_id() {
        let id = |event_key: &[u8]| insert_id(Sender { event_key, ..sender() }, "c", "notes", "1", &RawRecord::new());
        assert_ne!(id(&[1; 32]), id(&[2; 32]));
    }

    #[test]
    fn the_header_beats_the_body() {
        let push: Push = serde_json::from_value(json!({"clientId": "body", "since": "s"})).unwrap();
        let pushed = push.read(Sender { client_id: Some("header"), ..sender() }, "", Uuid::nil).unwrap();
        assert_eq!((pushed.client_id.as_str(), pushed.since.as_str()), ("header", "s"));
    }
}
