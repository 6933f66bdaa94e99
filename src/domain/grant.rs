//! How long the key of a grant may be used (docs/design.md, section 8).
//!
//! A key ends at the earliest `expiresAt` that any grant with it ever had in the log of its user: a later text beside the
//! same key is an edit, and not a new grant.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::field;
use super::merge::Delta;
use super::raw::RawRecord;
use super::time;

/// The field of a mission that holds its grant.
const FIELD: &str = field::GRANT;
/// A key wrapped by RSA of 8,192 bits. Nothing longer opens.
const MAX_WRAPPED: usize = 1024;

/// Wrapped keys, and when they end.
pub type Ends = BTreeMap<Vec<u8>, Timestamp>;

/// The wrapped key of a grant.
pub fn wrapped_key(grant: &Value) -> Option<Vec<u8>> {
    grant.get("wrappedKey").and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok())
}

/// A time of a grant: `issuedAt` or `expiresAt`.
pub fn instant(grant: &Value, field: &str) -> Option<Timestamp> {
    grant.get(field).and_then(Value::as_str).and_then(time::parse_rfc3339)
}

/// Whether a change writes a grant or a part of one.
pub fn is_written_by(delta: &Delta) -> bool {
    let names = |field: &String| field.strip_prefix(FIELD).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    delta.data.as_ref().is_some_and(|data| data.keys().any(names))
}

/// Notes when the key of a mission's grant ends. A grant that no key or no time can be read of opens nothing.
pub fn note(ends: &mut Ends, mission: &RawRecord) {
    let term = mission.value(FIELD).and_then(|grant| Some((wrapped_key(&grant)?, instant(&grant, "expiresAt")?)));
    if let Some((key, at)) = term.filter(|(key, _)| key.len() <= MAX_WRAPPED) {
        ends.entry(key).and_modify(|end| *end = at.min(*end)).or_insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn granted(grant: Value) -> RawRecord {
        RawRecord::from_iter([("grant".to_owned(), grant.into())])
    }

    #[test]
    fn a_key_ends_at_the_earliest_time_it_ever_had() {
        let mut ends = Ends::new();
        for (key, at) in [
            ("AQID", "2026-05-01T00:00:00Z"),
            ("AQID", "2026-04-01T00:00:00+02:00"),
            ("AQID", "2030-01-01T00:00:00Z"),
            ("AQIE", "2030-01-01T00:00:00Z"),
        ] {
            note(&mut ends, &granted(json!({"wrappedKey": key, "expiresAt": at})));
        }
        for unusable in [json!(7), json!({"wrappedKey": "AQID"}), json!({"wrappedKey": "AQID", "expiresAt": "soon"})] {
            note(&mut ends, &granted(unusable));
        }
        let ends: Vec<_> = ends.into_iter().map(|(key, at)| (key, at.to_string())).collect();
        assert_eq!(ends, [(vec![1, 2, 3], "2026-03-31T22:00:00Z".to_owned()), (vec![1, 2, 4], "2030-01-01T00:00:00Z".to_owned())]);
    }

    #[test]
    fn a_path_into_the_grant_writes_it() {
        let writes = |field: &str| {
            let data = [(field.to_owned(), json!(1).into())].into_iter().collect();
            is_written_by(&Delta {
                op: crate::domain::change::Op::Update,
                data: Some(data),
                field_meta: Default::default(),
                created_at: Timestamp::UNIX_EPOCH,
            })
        };
        assert!(writes("grant") && writes("grant.expiresAt"));
        assert!(!writes("grants") && !writes("title"));
    }
}
