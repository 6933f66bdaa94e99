//! What a client is told.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Cursor;
use crate::domain::change::Op;
use crate::domain::field::DELETED_AT;
use crate::domain::raw::{Raw, RawRecord};
use crate::domain::time;
use crate::store::{LogRow, Page};

/// The rows that a client has not seen, and where it continues.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub server_changes: Vec<ChangeOut>,
    /// Always empty: fields merge by the time of their writing, so nothing conflicts
    #[schema(value_type = Vec<Object>)]
    pub conflicts: [Value; 0],
    /// The cursor to continue from
    pub synced_until: String,
    /// Whether there is more at once
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_more: Option<bool>,
}

/// A change that another client made.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeOut {
    pub event_id: String,
    pub schema_version: i64,
    pub table: String,
    pub id: String,
    /// insert, update or delete
    pub op: &'static str,
    /// The record of an insert
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub data: Option<RawRecord>,
    /// The fields of an update; of an insert only those that have a time of their own
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, FieldOut>>)]
    pub fields: Option<IndexMap<String, FieldOut>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub space_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub actor: Option<Raw>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A field's value and the time at which it was written.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldOut {
    #[schema(value_type = Value)]
    value: Raw,
    at: String,
    /// The older name of `at`
    updated_at: String,
}

impl Answer {
    /// Nothing yet: all after this place is still to be pulled.
    pub fn nothing_since(since: Cursor) -> Self {
        Answer { synced_until: since.to_string(), has_more: Some(true), conflicts: [], server_changes: Vec::new() }
    }

    pub fn new(page: Page) -> Self {
        Answer {
            synced_until: Cursor::at(page.synced_until).to_string(),
            has_more: page.has_more.then_some(true),
            conflicts: [],
            server_changes: page.rows.into_iter().map(ChangeOut::new).collect(),
        }
    }
}

impl ChangeOut {
    pub fn new(row: LogRow) -> Self {
        let change = row.change;
        let written = time::stamp(change.created_at.unwrap_or_else(|| time::from_micros(row.sync_at)));
        let data = change.data.unwrap_or_default();
        let fields = |with_all: bool| {
            let stamped = data.iter().filter_map(|(name, value)| {
                let at = change.field_meta.get(name).or(with_all.then_some(&written))?;
                Some((name.clone(), FieldOut { value: value.clone(), at: at.clone(), updated_at: at.clone() }))
            });
            stamped.collect::<IndexMap<_, _>>()
        };
        let (data, fields, deleted_at) = match change.op {
            Op::Insert => {
                let stamped = fields(false);
                (Some(data), (!stamped.is_empty()).then_some(stamped), None)
            }
            Op::Update => (None, Some(fields(true)), None),
            Op::Delete => {
                let at = data.text(DELETED_AT).map_or(written, |at| at.into_owned());
                (None, None, Some(at))
            }
        };
        ChangeOut {
            event_id: change.event_id,
            schema_version: change.schema_version,
            table: change.table,
            id: change.record_id,
            op: change.op.as_str(),
            data,
            fields,
            deleted_at,
            space_id: change.space_id,
            actor: change.actor,
            origin: change.origin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::change;
    use serde_json::json;

    fn told(op: &str, data: Value, field_meta: Value) -> Value {
        let line = json!({
            "eventId": "0193e4c0-5c5c-4000-8000-00000000abcd", "appId": "notes", "table": "notes", "recordId": "1", "userId": "u", "op": op,
            "data": data, "fieldMeta": field_meta, "clientId": "c", "createdAt": "2026-04-15T08:00:00.000000Z",
        });
        let change = change::from_json(line.as_object().unwrap().into(), String::new).unwrap();
        let told = serde_json::to_value(ChangeOut::new(LogRow { seq: 1, sync_at: 1, change })).unwrap();
        assert_eq!(
            (&told["schemaVersion"], &told["table"], &told["id"], &told["op"]),
            (&json!(1), &json!("notes"), &json!("1"), &json!(op))
        );
        told
    }

    #[test]
    fn an_insert_is_told_by_its_data() {
        let told = told("insert", json!({"a": 1}), json!({}));
        assert_eq!((&told["data"], told.get("fields"), told.get("actor")), (&json!({"a": 1}), None, None));
    }

    #[test]
    fn the_times_of_an_insert_are_told_where_it_has_any() {
        let told = told("insert", json!({"a": 1, "b": 2}), json!({"b": "t"}));
        assert_eq!(told["fields"], json!({"b": {"value": 2, "at": "t", "updatedAt": "t"}}));
        assert_eq!(told["data"], json!({"a": 1, "b": 2}));
    }

    #[test]
    fn an_update_is_told_by_its_fields_under_both_names_of_their_time() {
        let told = told("update", json!({"a": 1, "b": null}), json!({"a": "t"}));
        let now = "2026-04-15T08:00:00.000Z";
        assert_eq!(
            told["fields"],
            json!({"a": {"value": 1, "at": "t", "updatedAt": "t"}, "b": {"value": null, "at": now, "updatedAt": now}})
        );
        assert_eq!(told.get("data"), None);
    }

    #[test]
    fn a_delete_is_told_by_its_time() {
        assert_eq!(told("delete", json!({"deletedAt": "t"}), json!({}))["deletedAt"], "t");
        assert_eq!(told("delete", json!(null), json!({}))["deletedAt"], "2026-04-15T08:00:00.000Z");
    }
}
