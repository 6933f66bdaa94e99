//! Field-level last-write-wins over the change log (DESIGN, section 3).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::change::Op;
use super::time;

/// A merged record: field → value.
pub type Record = Map<String, Value>;
/// Field → time at which its winning value was written, as the client spelled it.
pub type Stamps = BTreeMap<String, String>;

/// What one log row says about its record.
#[derive(Debug, Clone)]
pub struct Delta {
    pub op: Op,
    pub data: Option<Record>,
    pub field_meta: Stamps,
    pub created_at: Timestamp,
}

/// The state of one record after a prefix of its rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Fold {
    /// No row yet.
    #[default]
    Unseen,
    /// At least one row, and no delete. The record may still be absent by its `deletedAt`.
    Known { record: Record, stamps: Stamps },
    /// A delete row ended it for good.
    Ended,
}

impl Fold {
    /// Folds in the next row of the record, in log order.
    pub fn apply(&mut self, record_id: &str, delta: Delta) {
        if delta.op == Op::Delete {
            *self = Fold::Ended;
            return;
        }
        match self {
            Fold::Ended => {}
            Fold::Unseen => {
                let mut record = Record::new();
                record.insert("id".into(), Value::String(record_id.into()));
                record.extend(delta.data.unwrap_or_default());
                *self = Fold::Known { record, stamps: delta.field_meta };
            }
            Fold::Known { record, stamps } => {
                let Delta { data, mut field_meta, created_at, .. } = delta;
                for (field, value) in data.unwrap_or_default() {
                    let stamp = field_meta.remove(&field).unwrap_or_else(|| time::stamp(created_at));
                    let wins = stamps.get(&field).is_none_or(|old| compare_stamps(&stamp, old).is_ge());
                    if wins {
                        stamps.insert(field.clone(), stamp);
                        record.insert(field, value);
                    }
                }
            }
        }
    }

    /// The record and its stamps, or `None` where it is absent: never seen, ended, or deleted by `deletedAt`.
    pub fn live(&self) -> Option<(&Record, &Stamps)> {
        match self {
            Fold::Known { record, stamps } if !is_deleted(record) => Some((record, stamps)),
            _ => None,
        }
    }
}

/// Whether `deletedAt` holds something: null, an empty text, `false` and `0` do not count.
fn is_deleted(record: &Record) -> bool {
    match record.get("deletedAt") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(n)) => n.as_f64() != Some(0.0),
        Some(_) => true,
    }
}

/// Orders two stamps: as instants when both are RFC 3339, else as strings.
pub fn compare_stamps(a: &str, b: &str) -> Ordering {
    match (time::parse_rfc3339(a), time::parse_rfc3339(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// A stamp for a write at `now` that wins over `existing`, even where a client's clock runs ahead.
pub fn winning_stamp(now: Timestamp, existing: Option<&str>) -> String {
    let ours = time::iso_millis(now);
    let Some(existing) = existing else { return ours };
    if compare_stamps(&ours, existing).is_gt() {
        return ours;
    }
    // One step beyond, so that clients with a stricter tie rule agree; a stamp that is no time can only be equalled.
    time::parse_rfc3339(existing)
        .and_then(|at| at.checked_add(jiff::SignedDuration::from_millis(1)).ok())
        .map(time::iso_millis)
        .filter(|bumped| compare_stamps(bumped, existing).is_gt())
        .unwrap_or_else(|| existing.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn delta(op: Op, data: Value, meta: Value, created_at: &str) -> Delta {
        Delta {
            op,
            data: data.as_object().cloned(),
            field_meta: serde_json::from_value(meta).unwrap(),
            created_at: created_at.parse().unwrap(),
        }
    }

    fn fold(deltas: impl IntoIterator<Item = Delta>) -> Fold {
        let mut fold = Fold::default();
        for delta in deltas {
            fold.apply("r", delta);
        }
        fold
    }

    #[test]
    fn a_deleted_record_comes_back_when_a_newer_write_clears_deleted_at() {
        let rows = |cleared: &str| {
            fold([
                delta(Op::Insert, json!({"a": 1}), json!({}), "2026-01-01T00:00:00Z"),
                delta(Op::Update, json!({"deletedAt": "x"}), json!({"deletedAt": "2026-01-02T00:00:00Z"}), "2026-01-02T00:00:00Z"),
                delta(Op::Update, json!({"deletedAt": null}), json!({"deletedAt": cleared}), "2026-01-03T00:00:00Z"),
            ])
        };
        assert!(rows("2026-01-01T00:00:00Z").live().is_none());
        assert!(rows("2026-01-02T01:00:00+01:00").live().is_some(), "equal instants: the later row wins");
    }

    #[test]
    fn nothing_follows_a_delete() {
        let ended = fold([
            delta(Op::Delete, json!(null), json!({}), "2026-01-01T00:00:00Z"),
            delta(Op::Insert, json!({"a": 1}), json!({}), "2026-01-02T00:00:00Z"),
        ]);
        assert_eq!(ended, Fold::Ended);
    }

    #[test]
    fn stamps_that_are_no_times_compare_as_text() {
        assert_eq!(compare_stamps("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.000Z"), Ordering::Equal);
        assert_eq!(compare_stamps("zzz", "2026-01-01T00:00:00Z"), Ordering::Greater);
        assert_eq!(compare_stamps("2026-01-01", "2026-01-01T00:00:00Z"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn our_stamp_always_wins(existing in prop_oneof![
            "[ -~]{0,24}",
            (-377_705_000_000_000_i64..253_402_200_000_999).prop_map(|ms| time::iso_millis(Timestamp::from_millisecond(ms).unwrap())),
            Just("9999-12-30T22:00:00.999999999Z".to_string()),
            Just("2026-11-23T00:00:00.000999+01:00".to_string()),
        ]) {
            let now: Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
            let ours = winning_stamp(now, Some(&existing));
            prop_assert!(compare_stamps(&ours, &existing).is_ge(), "{ours} against {existing}");
        }
    }
}
