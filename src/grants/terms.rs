//! A grant as the user's client wrote it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::ids::MissionId;
use crate::domain::{grant, time};

const VERSION: &str = "v1";

/// What a mission's key is derived from, and so what it covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    pub mission_id: MissionId,
    pub tables: Vec<String>,
    /// As `table:id`.
    pub record_ids: Vec<String>,
}

/// A grant that is well formed; whether it may be used is another question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The mission key, wrapped for this server.
    pub wrapped_key: Vec<u8>,
    pub derivation: Derivation,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A grant that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a grant: `{field}` must be {expected}")]
pub struct Malformed {
    pub field: &'static str,
    pub expected: &'static str,
}

impl Grant {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// The first field that is missing or of a wrong form.
    pub fn read(value: &Value) -> Result<Self, Malformed> {
        let instant = |field| grant::instant(value, field).ok_or(Malformed { field, expected: "an RFC 3339 time" });
        Ok(Grant {
            wrapped_key: grant::wrapped_key(value).ok_or(Malformed { field: "wrappedKey", expected: "a base64 text" })?,
            derivation: Derivation::read(value.get("derivation").unwrap_or(&Value::Null))?,
            issued_at: instant("issuedAt")?,
            expires_at: instant("expiresAt")?,
        })
    }

    /// The JSON form, as it goes into the field `grant` of a mission.
    pub fn to_json(&self) -> Value {
        json!({
            "wrappedKey": STANDARD.encode(&self.wrapped_key),
            "derivation": {
                "version": VERSION, "missionId": self.derivation.mission_id,
                "tables": self.derivation.tables, "recordIds": self.derivation.record_ids,
            },
            "issuedAt": time::iso_millis(self.issued_at),
            "expiresAt": time::iso_millis(self.expires_at),
        })
    }
}

impl Derivation {
    fn read(value: &Value) -> Result<Self, Malformed> {
        if value.get("version").and_then(Value::as_str) != Some(VERSION) {
            return Err(Malformed { field: "derivation.version", expected: "\"v1\"" });
        }
        let mission_id = value.get("missionId").and_then(Value::as_str).filter(|id| !id.is_empty());
        Ok(Derivation {
            mission_id: mission_id.ok_or(Malformed { field: "derivation.missionId", expected: "a text" })?.into(),
            tables: names(value, "tables", &[',', ':'])
                .ok_or(Malformed { field: "derivation.tables", expected: "a list of names without commas and colons" })?,
            record_ids: names(value, "recordIds", &[','])
                .ok_or(Malformed { field: "derivation.recordIds", expected: "a list of names without commas" })?,
        })
    }

    /// Whether both the table and the record are named.
    pub fn covers(&self, table: &str, id: &str) -> bool {
        let names = |record: &String| record.strip_prefix(table).and_then(|rest| rest.strip_prefix(':')) == Some(id);
        self.tables.iter().any(|t| t == table) && self.record_ids.iter().any(names)
    }

    /// The text that ties the key to what it covers, the same in every implementation.
    pub fn info(&self) -> String {
        format!("mana-ai-mission-grant:v1:tables={}:ids={}", sorted(&self.tables), sorted(&self.record_ids))
    }
}

/// Sorted as JavaScript sorts, by UTF-16 code units, since that is what clients do.
fn sorted(items: &[String]) -> String {
    let mut items: Vec<&str> = items.iter().map(String::as_str).collect();
    items.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    items.join(",")
}

/// Names of a scope. One with a comma could stand for two others, an empty one for none, and both scopes would have the
/// same key; one of a table with a colon could name the records of another.
fn names(value: &Value, field: &str, refused: &[char]) -> Option<Vec<String>> {
    let name = |item: &Value| item.as_str().filter(|name| !name.is_empty() && !name.contains(refused)).map(str::to_owned);
    value.get(field)?.as_array()?.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_reads_as_it_was_written() {
        let grant = Grant {
            wrapped_key: vec![1, 2, 3],
            derivation: Derivation { mission_id: "m".into(), tables: vec!["notes".into()], record_ids: vec!["notes:1".into()] },
            issued_at: "2026-04-01T00:00:00Z".parse().unwrap(),
            expires_at: "2026-04-02T00:00:00Z".parse().unwrap(),
        };
        assert_eq!(Grant::read(&grant.to_json()), Ok(grant));
    }

    #[test]
    fn a_name_that_another_scope_could_spell_is_refused() {
        let read =
            |tables: Value, ids: Value| Derivation::read(&json!({"version": "v1", "missionId": "m", "tables": tables, "recordIds": ids}));
        assert!(read(json!(["notes"]), json!(["notes:a", "notes:b"])).is_ok());
        assert_eq!(read(json!(["notes"]), json!(["notes:a,notes:b"])).unwrap_err().field, "derivation.recordIds");
        assert_eq!(read(json!(["notes"]), json!([""])).unwrap_err().field, "derivation.recordIds");
        for tables in [json!(["notes,tasks"]), json!([""]), json!(["notes:a"])] {
            assert_eq!(read(tables, json!([])).unwrap_err().field, "derivation.tables");
        }
    }

    #[test]
    fn names_sort_by_utf16_units() {
        // U+FF61 sorts before U+1F600 by code point, and after it by UTF-16 units.
        assert_eq!(sorted(&["\u{ff61}".into(), "\u{1f600}".into(), "b".into(), "B".into()]), "B,b,\u{1f600},\u{ff61}");
    }
}
