//! Field-level last-write-wins over the change log (docs/design.md, section 3).
//!
//! The rules are those by which the existing web client takes in changes: after the same rows, a device and this program
//! hold the same record with the same stamps.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::field;
use super::op::Op;
pub use super::raw::Record;
use super::raw::{Raw, RawRecord};
use super::{json, time};

/// Field → time at which its winning value was written, as the client spelled it. In a record, the name of a nested field
/// is its whole path.
pub type Stamps = BTreeMap<String, String>;

/// A record nests no deeper than this, so that what was merged reads back.
const MAX_DEPTH: usize = 64;

/// A stamp further ahead than this is told to the operator: edits by clocks that are right will lose to it for so long.
pub const FUTURE: SignedDuration = SignedDuration::from_hours(24);

/// What one log row says about its record.
#[derive(Debug, Clone)]
pub struct Delta {
    pub op: Op,
    pub data: Option<RawRecord>,
    pub field_meta: Stamps,
    pub created_at: Timestamp,
}

/// The state of one record after a prefix of its rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Fold {
    /// No row yet that made it.
    #[default]
    Unseen,
    /// It was made. It may still be absent by its `deletedAt`.
    Known { record: RawRecord, stamps: Stamps },
    /// A delete without `deletedAt` ended it for good.
    Ended,
}

impl Fold {
    /// Folds in the next row of the record, in log order.
    pub fn apply(&mut self, record_id: &str, delta: Delta) {
        let Delta { op, data, mut field_meta, created_at } = delta;
        let row_time = || time::stamp(created_at);
        match (op, &mut *self) {
            (_, Fold::Ended) => {}
            (Op::Insert, Fold::Unseen) => {
                let data = data.unwrap_or_default();
                let own = own_stamp(&data);
                let stamp = |field: &String| Some((field.clone(), given(&mut field_meta, field).or_else(|| own.clone())?));
                let stamps = data.keys().filter(|field| *field != field::ID).filter_map(stamp).collect();
                let mut record = new_record(record_id);
                record.extend(data);
                *self = Fold::Known { record, stamps };
            }
            (Op::Insert, Fold::Known { record, stamps }) => {
                let data = data.unwrap_or_default();
                let own = own_stamp(&data).unwrap_or_else(row_time);
                for (field, value) in data {
                    let stamp = given(&mut field_meta, &field).unwrap_or_else(|| own.clone());
                    if field != field::ID && take_stamp(stamps, &field, stamp) {
                        record.insert(field, value);
                    }
                }
            }
            (Op::Update, _) => {
                let Some(data) = data.filter(|data| !data.is_empty()) else { return };
                if matches!(self, Fold::Unseen) {
                    *self = Fold::Known { record: new_record(record_id), stamps: Stamps::new() };
                }
                let Fold::Known { record, stamps } = self else { return };
                for (field, value) in data {
                    let stamp = given(&mut field_meta, &field).unwrap_or_else(row_time);
                    if field != field::ID && take_stamp(stamps, &field, stamp) {
                        set(record, field, value);
                    }
                }
            }
            (Op::Delete, _) => match data.and_then(|mut data| data.remove(field::DELETED_AT)).filter(Raw::holds_something) {
                None => *self = Fold::Ended,
                Some(at) => {
                    if let Fold::Known { record, stamps } = self
                        && take_stamp(stamps, field::DELETED_AT, stamp_of(&at).unwrap_or_else(row_time))
                    {
                        record.insert(field::DELETED_AT.into(), at);
                    }
                }
            },
        }
    }

    /// The record and its stamps, or `None` where it is absent: never seen, ended, or deleted by `deletedAt`.
    pub fn live(&self) -> Option<(&RawRecord, &Stamps)> {
        match self {
            Fold::Known { record, stamps } if !record.get(field::DELETED_AT).is_some_and(Raw::holds_something) => Some((record, stamps)),
            _ => None,
        }
    }
}

fn new_record(id: &str) -> RawRecord {
    RawRecord::from_iter([(field::ID.to_owned(), Raw::from(id))])
}

/// The stamp that a row gives to a field; an empty one is none.
fn given(field_meta: &mut Stamps, field: &str) -> Option<String> {
    field_meta.remove(field).filter(|stamp| !stamp.is_empty())
}

/// The stamp of all fields of an insert that have none of their own, out of its data.
pub fn own_stamp(data: &RawRecord) -> Option<String> {
    [field::UPDATED_AT, field::CREATED_AT].into_iter().find_map(|field| data.get(field).and_then(stamp_of))
}

/// A stamp as clients and older servers write it: a text, or an object whose `at` counts. An empty one is none.
pub fn stamp_of(stamp: &Raw) -> Option<String> {
    let text = match stamp.text() {
        Some(text) => text.into_owned(),
        None => stamp.object()?.text("at")?.into_owned(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// Whether a write with this stamp wins; the stamp is taken then.
fn take_stamp(stamps: &mut Stamps, field: &str, stamp: String) -> bool {
    match stamps.get_mut(field) {
        Some(old) if compare_stamps(&stamp, old).is_lt() => return false,
        Some(old) => *old = stamp,
        None => drop(stamps.insert(field.to_owned(), stamp)),
    }
    true
}

/// Writes a field of an update: a name with dots is a path. A parent that holds nothing becomes an object; where another
/// one is no object, or the path is none that a push may have, nothing is written.
fn set(record: &mut RawRecord, field: String, value: Raw) {
    if !field.contains('.') {
        record.insert(field, value);
        return;
    }
    let is_path = field.split('.').all(is_path_name);
    let depth = MAX_DEPTH.checked_sub(field.split('.').count());
    if is_path && depth.is_some_and(|depth| !json::is_deeper(value.get(), depth)) {
        set_part(record, &field, value);
    }
}

/// Answers whether it was written.
fn set_part(record: &mut RawRecord, path: &str, value: Raw) -> bool {
    let Some((name, rest)) = path.split_once('.') else {
        record.insert(path.to_owned(), value);
        return true;
    };
    let inside = match record.get(name).filter(|parent| parent.holds_something()) {
        None => Some(RawRecord::new()),
        Some(parent) => parent.object(),
    };
    let written = inside.and_then(|mut inside| set_part(&mut inside, rest, value).then_some(inside));
    let is_written = written.is_some();
    if let Some(inside) = written {
        record.insert(name.to_owned(), Raw::from(&inside));
    }
    is_written
}

/// What an edit of the fields in `after` writes, in the form of existing clients: inside objects only what differs, by its
/// path. Objects written whole would not merge with what another device changes inside them: which of the two a device
/// keeps would depend on the order in which it hears of them. A part that is gone becomes null. Where a name cannot stand
/// in a path, the object that has it is written whole.
pub fn by_paths(before: &Record, after: Record) -> Record {
    let mut written = Record::new();
    for (field, value) in after {
        match before.get(&field) {
            Some(old) => differences(field, old, value, &mut written),
            None => drop(written.insert(field, value)),
        }
    }
    written
}

fn differences(path: String, old: &Value, new: Value, written: &mut Record) {
    if *old == new {
        return;
    }
    let (Value::Object(had), Value::Object(has)) = (old, &new) else {
        written.insert(path, new);
        return;
    };
    let gone = || had.iter().filter(|(name, value)| !value.is_null() && !has.contains_key(*name)).map(|(name, _)| name);
    let other = has.iter().filter(|(name, value)| had.get(*name) != Some(*value)).map(|(name, _)| name);
    if !other.chain(gone()).all(|name| is_path_name(name)) {
        written.insert(path, new);
        return;
    }
    written.extend(gone().map(|name| (format!("{path}.{name}"), Value::Null)));
    let Value::Object(has) = new else { return };
    for (name, value) in has {
        differences(format!("{path}.{name}"), had.get(&name).unwrap_or(&Value::Null), value, written);
    }
}

fn is_path_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('.') && name != "__proto__"
}

/// Orders two stamps: as instants when both are times, else as strings.
pub fn compare_stamps(a: &str, b: &str) -> Ordering {
    // As clients spell them, times and texts have the same order.
    if a == b || (time::is_iso_millis(a) && time::is_iso_millis(b)) { a.cmp(b) } else { compare_spellings(a, b) }
}

fn compare_spellings(a: &str, b: &str) -> Ordering {
    match (time::parse_rfc3339(a), time::parse_rfc3339(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.cmp(b),
    }
}

/// Whether a stamp is so far ahead of `now` that the operator should know.
pub fn is_future(stamp: &str, now: Timestamp) -> bool {
    time::parse_rfc3339(stamp).is_some_and(|at| at.duration_since(now) > FUTURE)
}

/// How many stamps are so far ahead of `now`.
pub fn future_stamps(stamps: &Stamps, now: Timestamp) -> u64 {
    stamps.values().filter(|stamp| is_future(stamp, now)).count() as u64
}

/// The `field_meta` of a row, as it reads back: stamps of every form as texts, without those that count as none.
#[derive(Debug, Default, PartialEq)]
pub struct FieldMeta(pub Stamps);

impl<'de> Deserialize<'de> for FieldMeta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = FieldMeta;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of stamps or null")
            }
            fn visit_unit<E>(self) -> Result<FieldMeta, E> {
                Ok(FieldMeta::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FieldMeta, A::Error> {
                let mut stamps = Stamps::new();
                while let Some((field, stamp)) = map.next_entry::<String, Raw>()? {
                    stamps.extend(stamp_of(&stamp).map(|stamp| (field, stamp)));
                }
                Ok(FieldMeta(stamps))
            }
        }
        deserializer.deserialize_any(Fields)
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
        .and_then(|at| at.checked_add(SignedDuration::from_millis(1)).ok())
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
            data: data.as_object().map(RawRecord::from),
            field_meta: serde_json::from_value::<FieldMeta>(meta).unwrap().0,
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

    /// Rows as `[op, data, fieldMeta]`, each a minute after the one before; `expected` is `[record, stamps]` or null.
    fn check(rows: Value, expected: Value) {
        let rows = rows.as_array().unwrap();
        let fold = fold(rows.iter().enumerate().map(|(minute, row)| {
            let op = Op::parse(row[0].as_str().unwrap()).unwrap();
            delta(op, row[1].clone(), row[2].clone(), &format!("2026-01-01T00:{minute:02}:00Z"))
        }));
        let found = fold.live().map_or(Value::Null, |(record, stamps)| json!([record, stamps]));
        assert_eq!(found, expected, "{rows:?}");
    }

    #[test]
    fn a_delete_without_its_time_ends_a_record_for_good() {
        for end in [json!(null), json!({}), json!({"deletedAt": null}), json!({"deletedAt": ""}), json!({"deletedAt": 0})] {
            for before in [json!([]), json!([["insert", {"a": 1}, {}]])] {
                let mut rows = before.as_array().unwrap().clone();
                rows.push(json!(["delete", end, {}]));
                rows.push(json!(["insert", {"a": 2}, {}]));
                rows.push(json!(["update", {"deletedAt": null}, {}]));
                check(rows.into(), Value::Null);
            }
        }
    }

    #[test]
    fn a_delete_with_its_time_is_a_write_of_that_time() {
        let made = json!(["insert", {"a": 1, "updatedAt": "2026-01-01T00:00:00.000Z"}, {}]);
        let own = "2026-01-01T00:00:00.000Z";
        // Its own value counts, not the row's time nor its meta; an undo has to be newer than that.
        let gone = json!(["delete", {"deletedAt": "2026-01-01T00:00:30Z", "a": 7}, {"deletedAt": "2026-01-03T00:00:00Z"}]);
        let undo = |at: &str| json!(["update", {"deletedAt": null}, {"deletedAt": at}]);
        check(json!([made, gone]), Value::Null);
        check(json!([made, gone, undo("2026-01-01T00:00:29Z")]), Value::Null);
        let back = json!([{"id": "r", "a": 1, "updatedAt": own, "deletedAt": null}, {"a": own, "updatedAt": own, "deletedAt": "2026-01-01T00:00:31Z"}]);
        check(json!([made, gone, undo("2026-01-01T00:00:31Z")]), back.clone());
        check(json!([made, undo("2026-01-01T00:00:31Z"), gone]), back);
        // A tombstone takes edits, and a delete of a record that nobody saw is nothing.
        let edit = json!(["update", {"a": 2}, {"a": "2026-01-01T00:00:40Z"}]);
        let edited = json!([{"id": "r", "a": 2, "updatedAt": own, "deletedAt": null}, {"a": "2026-01-01T00:00:40Z", "updatedAt": own, "deletedAt": "2026-01-01T00:00:31Z"}]);
        check(json!([gone, made, gone, edit, undo("2026-01-01T00:00:31Z")]), edited);
        check(json!([gone, made]), json!([{"id": "r", "a": 1, "updatedAt": own}, {"a": own, "updatedAt": own}]));
        check(json!([gone, undo("2026-01-01T00:00:29Z"), gone]), Value::Null);
    }

    #[test]
    fn a_later_insert_is_a_write_field_by_field() {
        let t = |minute: u32| format!("2026-01-01T00:{minute:02}:00.000Z");
        // Without any time of its own, from the time of its row; the first one then has no stamp at all.
        check(json!([["insert", {"a": 1, "b": 1}, {}]]), json!([{"id": "r", "a": 1, "b": 1}, {}]));
        check(
            json!([["insert", {"a": 1, "b": 1}, {}], ["insert", {"id": "other", "a": 2}, {"id": t(9)}]]),
            json!([{"id": "r", "a": 2, "b": 1}, {"a": t(1)}]),
        );
        check(
            json!([["insert", {"a": 1, "updatedAt": "", "createdAt": t(5)}, {}], ["insert", {"a": 2, "c": 2, "updatedAt": {"at": t(4)}, "createdAt": t(9)}, {"c": ""}]]),
            json!([{"id": "r", "a": 1, "c": 2, "updatedAt": "", "createdAt": t(5)}, {"a": t(5), "c": t(4), "updatedAt": t(5), "createdAt": t(5)}]),
        );
        check(
            json!([["update", {"a": 1}, {}], ["insert", {"a": 2, "p.q": 2, "createdAt": t(0)}, {}]]),
            json!([{"id": "r", "a": 2, "p.q": 2, "createdAt": t(0)}, {"a": t(0), "p.q": t(0), "createdAt": t(0)}]),
        );
    }

    #[test]
    fn a_name_with_dots_in_an_update_is_a_path() {
        let t = "2026-01-01T00:00:00.000Z";
        for (parent, after) in [
            (json!(null), json!({"b": {"c": 1}})),
            (json!(""), json!({"b": {"c": 1}})),
            (json!(0), json!({"b": {"c": 1}})),
            (json!(false), json!({"b": {"c": 1}})),
            (json!({"x": 1, "b": null}), json!({"x": 1, "b": {"c": 1}})),
            (json!({"b": "enc:1:x"}), json!({"b": "enc:1:x"})),
            (json!([1]), json!([1])),
            (json!(true), json!(true)),
            (json!("daily"), json!("daily")),
        ] {
            check(
                json!([["update", {"a": parent}, {}], ["update", {"a.b.c": 1}, {"a.b.c": t}]]),
                json!([{"id": "r", "a": after}, {"a": t, "a.b.c": t}]),
            );
        }
        check(json!([["update", {"a.b": 1}, {"a.b": t}]]), json!([{"id": "r", "a": {"b": 1}}, {"a.b": t}]));
        // The stamps of a path and of its parent know nothing of each other.
        check(
            json!([["update", {"a.b": 1}, {"a.b": "2026-02-01T00:00:00Z"}], ["update", {"a": {}}, {"a": t}], ["update", {"a.b": 2}, {"a.b": t}]]),
            json!([{"id": "r", "a": {}}, {"a": t, "a.b": "2026-02-01T00:00:00Z"}]),
        );
    }

    #[test]
    fn a_path_that_no_push_may_have_writes_nothing() {
        let deep = vec!["a"; MAX_DEPTH].join(".");
        for path in ["a.", ".a", "a..b", ".", "__proto__.x", "a.__proto__", &format!("{deep}.a")] {
            let fold = fold([delta(Op::Update, json!({path: 1}), json!({}), "2026-01-01T00:00:00Z")]);
            assert_eq!(json!(fold.live().unwrap().0), json!({"id": "r"}), "{path}");
        }
        let nests = |value: Value| {
            let fold = fold([delta(Op::Update, json!({deep.as_str(): value}), json!({}), "2026-01-01T00:00:00Z")]);
            let text = json!(fold.live().unwrap().0).to_string();
            serde_json::from_str::<Value>(&text).unwrap();
            text.matches('{').count()
        };
        assert_eq!((nests(json!(1)), nests(json!([]))), (MAX_DEPTH, 1));
    }

    #[test]
    fn a_row_without_data_changes_nothing() {
        for nothing in [json!(null), json!({})] {
            check(json!([["update", nothing, {"a": "2026-01-01T00:00:00Z"}]]), Value::Null);
            check(json!([["insert", nothing, {"a": "2026-01-01T00:00:00Z"}]]), json!([{"id": "r"}, {}]));
            check(json!([["insert", {"a": 1}, {}], ["update", nothing, {"a": "2026-01-01T00:00:00Z"}]]), json!([{"id": "r", "a": 1}, {}]));
        }
    }

    #[test]
    fn stamps_of_every_form_are_read_and_empty_ones_are_none() {
        let text = r#"{"a": "t", "b": {"at": "t", "actor": {"at": "x"}}, "c": "", "d": {"at": ""}, "e": null, "f": 1e400, "g": [1], "h": {"at": 7}, "i": true}"#;
        let read: FieldMeta = serde_json::from_str(text).unwrap();
        assert_eq!(read.0, Stamps::from([("a".into(), "t".into()), ("b".into(), "t".into())]));
        assert_eq!(serde_json::from_str::<FieldMeta>("null").unwrap(), FieldMeta::default());
        assert!(serde_json::from_str::<FieldMeta>("[]").is_err());
    }

    #[test]
    fn a_stamp_more_than_a_day_ahead_is_told() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (stamp, told) in [("2026-01-02 02:00+0200", false), ("2026-01-02T00:00:00.001Z", true), ("2036-01-01", false)] {
            assert_eq!(is_future(stamp, now), told, "{stamp}");
        }
    }

    #[test]
    fn an_edit_writes_paths_and_takes_nothing_else_with_it() {
        let check = |before: Value, after: Value, expected: Value| {
            let written = by_paths(before.as_object().unwrap(), after.as_object().unwrap().clone());
            assert_eq!(Value::Object(written), expected);
        };
        let daily = json!({"cadence": {"kind": "daily", "atHour": 8, "timeZone": null}, "title": "a", "inputs": [1, 2]});
        check(daily.clone(), json!({"cadence": {"kind": "daily", "atHour": 9}}), json!({"cadence.atHour": 9}));
        check(daily.clone(), json!({"cadence": {"kind": "manual"}}), json!({"cadence.kind": "manual", "cadence.atHour": null}));
        check(daily.clone(), json!({"cadence": null, "inputs": [2], "title": "a"}), json!({"cadence": null, "inputs": [2]}));
        check(json!({"cadence": null}), json!({"cadence": {"kind": "manual"}}), json!({"cadence": {"kind": "manual"}}));
        check(json!({}), json!({"policy": {"tools": {}}}), json!({"policy": {"tools": {}}}));
        let policy = json!({"policy": {"tools": {"a": "auto", "b.c": "deny"}, "defaultForAi": "propose"}});
        let tools = |tools: Value| json!({"policy": {"tools": tools, "defaultForAi": "propose"}});
        check(policy.clone(), tools(json!({"a": "deny", "b.c": "deny"})), json!({"policy.tools.a": "deny"}));
        check(policy.clone(), tools(json!({"a": "auto"})), json!({"policy.tools": {"a": "auto"}}));
        check(
            policy,
            tools(json!({"a": "auto", "b.c": "deny", "": "auto"})),
            json!({"policy.tools": {"a": "auto", "b.c": "deny", "": "auto"}}),
        );
    }

    #[test]
    fn stamps_that_are_no_times_compare_as_text() {
        assert_eq!(compare_stamps("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.000Z"), Ordering::Equal);
        assert_eq!(compare_stamps("zzz", "2026-01-01T00:00:00Z"), Ordering::Greater);
        assert_eq!(compare_stamps("2026-01-01", "2026-01-01T00:00:00Z"), Ordering::Less);
    }

    proptest! {
        #[test]
        fn stamps_as_clients_spell_them_have_the_order_of_their_times(
            a in "[0-9]{4}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z",
            b in "2026-0[1-2]-[0-3][0-9]T2[0-4]:59:[5-6][0-9]\\.[0-9]{3}Z",
            c in "2026-0[1-2]-[0-3][0-9]T2[0-4]:59:[5-6][0-9]\\.[0-9]{3}Z",
        ) {
            prop_assert_eq!(compare_stamps(&a, &b), compare_spellings(&a, &b));
            prop_assert_eq!(compare_stamps(&b, &c), compare_spellings(&b, &c));
        }

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
