//! What may enter the log, so that everything in it reads back (docs/design.md, section 2).
//!
//! There is one set of limits and one check, [`read_back`], of a row as it is stored. [`admit`] makes the stored form of a
//! change and puts it to that check; every reader of the log puts a row to the same check, so that what an older program
//! let in is known when it is read, and set aside.
//!
//! What comes from outside in a change, and its bound:
//!
//! | what | bound |
//! |---|---|
//! | nesting of `data`, `fieldMeta`, `actor` | [`MAX_DEPTH`] levels |
//! | a dotted field name of an update | its parts and the levels of its value together: [`MAX_DEPTH`] |
//! | bytes of `data`, `fieldMeta` and `actor` together | [`MAX_ROW_BYTES`] |
//! | characters of an id: app, table, record, user, space, client | [`MAX_ID_CHARS`] |
//! | characters of `origin` | [`MAX_ORIGIN_CHARS`] |
//! | digits of a number | those of its row; it stays a text and is never computed with here |
//! | nesting of a plan step's parameters | [`MAX_PARAMS_DEPTH`] levels |
//! | changes of a push | `sync::push::MAX_CHANGES` |
//! | bytes of a line of an import | `exchange::lines::LONGEST`; of its file: those of the disk, since it is staged there |

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value;

use super::change::{Change, Op, Verbatim};
use super::json::{self, is_deeper};
use super::merge::{FieldMeta, Stamps};
use super::raw::{Raw, RawRecord};

/// Levels of objects and arrays in a column of a row.
pub const MAX_DEPTH: usize = 64;
/// Bytes of the JSON columns of a row together.
pub const MAX_ROW_BYTES: usize = 8 * 1024 * 1024;
/// Characters of an id.
pub const MAX_ID_CHARS: usize = 256;
/// Characters of an origin.
pub const MAX_ORIGIN_CHARS: usize = 64;
/// Levels of the parameters of a step: in the row they stand below data, iterations, iteration, plan, step and intent.
pub const MAX_PARAMS_DEPTH: usize = MAX_DEPTH - 6;

/// Stands in the column of the stamps, which is never null here, for the null of another database.
pub const NO_FIELD_META: &str = "";

/// A row as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    pub event_id: &'a str,
    pub app_id: &'a str,
    pub table: &'a str,
    pub record_id: &'a str,
    pub user_id: &'a str,
    pub space_id: Option<&'a str>,
    pub op: &'a str,
    pub data: Option<&'a str>,
    pub field_meta: &'a str,
    pub client_id: &'a str,
    pub schema_version: i64,
    pub actor: Option<&'a str>,
    pub origin: Option<&'a str>,
}

/// What a sound row says about its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    pub op: Op,
    pub data: Option<RawRecord>,
    pub field_meta: Stamps,
}

/// Why a change cannot enter the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitRefusal {
    #[error("`{0}` is empty")]
    EmptyId(&'static str),
    #[error("`{0}` has more than {MAX_ID_CHARS} characters")]
    LongId(&'static str),
    #[error("`{0}` holds U+0000 or half of a surrogate pair, which an id cannot have")]
    BrokenId(&'static str),
    #[error("`eventId` is not a UUID")]
    EventId,
    #[error("`schemaVersion` is {0}, but must be 1")]
    SchemaVersion(i64),
    #[error("`origin` has more than {MAX_ORIGIN_CHARS} characters")]
    LongOrigin,
    #[error("`{0}` nests more than {MAX_DEPTH} levels deep")]
    TooDeep(&'static str),
    #[error("its data, stamps and actor have {0} bytes together, but a row takes at most 8 MB")]
    TooLarge(usize),
    #[error("a field is named `__proto__`, or has that in its path; give it another name")]
    Proto,
    #[error("the path {0:?} has an empty part")]
    EmptyPart(String),
    #[error("the path {0:?} leads more than {MAX_DEPTH} levels deep")]
    LongPath(String),
    #[error("`{0}` would not read back as it is")]
    NotKept(&'static str),
}

/// Why a stored row is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It could not enter the log today: an older program let it in.
    #[error("{0}")]
    Refused(#[from] LimitRefusal),
    /// It cannot be read, which no program of ours has written.
    #[error("it has a {0} that cannot be read")]
    Damaged(&'static str),
}

/// Reads a row as it is stored, and checks that it keeps to the limits.
///
/// # Errors
/// The first limit that it breaks, or the column that cannot be read.
pub fn read_back(row: &Stored<'_>) -> Result<Contents, Unusable> {
    check_ids(row)?;
    let columns = [("data", row.data), ("field_meta", Some(row.field_meta)), ("actor", row.actor)];
    let bytes = columns.iter().map(|(_, text)| text.map_or(0, str::len)).sum();
    if bytes > MAX_ROW_BYTES {
        return Err(LimitRefusal::TooLarge(bytes).into());
    }
    for (column, text) in columns {
        if text.is_some_and(|text| is_deeper(text, MAX_DEPTH)) {
            return Err(LimitRefusal::TooDeep(column).into());
        }
    }
    let data: Option<RawRecord> = match row.data {
        None => None,
        // An import keeps the blanks of others in the log.
        Some(text) => serde_json::from_str(text).map_err(|_| Unusable::Damaged("data"))?,
    };
    let field_meta = match row.field_meta {
        NO_FIELD_META | "{}" => Stamps::new(),
        text => serde_json::from_str::<FieldMeta>(text).map_err(|_| Unusable::Damaged("field_meta"))?.0,
    };
    if row.actor.is_some_and(|text| !is_object_or_null(text)) {
        return Err(Unusable::Damaged("actor"));
    }
    let op = Op::parse(row.op).ok_or(Unusable::Damaged("op"))?;
    for (name, value) in data.iter().flat_map(RawRecord::iter) {
        check_field(op, name, value)?;
    }
    if field_meta.contains_key("__proto__") {
        return Err(LimitRefusal::Proto.into());
    }
    Ok(Contents { op, data, field_meta })
}

fn check_ids(row: &Stored<'_>) -> Result<(), LimitRefusal> {
    if uuid::Uuid::try_parse(row.event_id).is_err() {
        return Err(LimitRefusal::EventId);
    }
    for (name, id) in [("appId", row.app_id), ("table", row.table), ("recordId", row.record_id), ("userId", row.user_id)] {
        if id.is_empty() {
            return Err(LimitRefusal::EmptyId(name));
        }
        check_id(name, id)?;
    }
    // These may be empty in rows of other programs.
    check_id("spaceId", row.space_id.unwrap_or_default())?;
    check_id("clientId", row.client_id)?;
    if row.schema_version != 1 {
        return Err(LimitRefusal::SchemaVersion(row.schema_version));
    }
    if row.origin.is_some_and(|origin| exceeds(origin, MAX_ORIGIN_CHARS)) {
        return Err(LimitRefusal::LongOrigin);
    }
    Ok(())
}

/// Checks an id that may be empty.
///
/// # Errors
/// Too many characters, or one that no id can have.
pub fn check_id(name: &'static str, id: &str) -> Result<(), LimitRefusal> {
    if exceeds(id, MAX_ID_CHARS) {
        return Err(LimitRefusal::LongId(name));
    }
    if id.contains('\0') { Err(LimitRefusal::BrokenId(name)) } else { Ok(()) }
}

fn exceeds(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most
}

fn is_object_or_null(text: &str) -> bool {
    let text = text.trim_ascii();
    text == "null" || (text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// In an update a name with dots is a path (docs/design.md, section 3, rule 4).
fn check_field(op: Op, name: &str, value: &Raw) -> Result<(), LimitRefusal> {
    if name == "__proto__" {
        return Err(LimitRefusal::Proto);
    }
    if op != Op::Update || !name.contains('.') {
        return Ok(());
    }
    let told = || name.chars().take(80).collect();
    let mut parts = 0;
    for part in name.split('.') {
        parts += 1;
        match part {
            "" => return Err(LimitRefusal::EmptyPart(told())),
            "__proto__" => return Err(LimitRefusal::Proto),
            _ => {}
        }
    }
    // The record itself is the level above the first part.
    if MAX_DEPTH.checked_sub(parts).is_none_or(|depth| is_deeper(value.get(), depth)) {
        Err(LimitRefusal::LongPath(told()))
    } else {
        Ok(())
    }
}

/// Whether the objects and arrays of a value nest more than `most` levels deep.
pub fn nests_deeper(value: &Value, most: usize) -> bool {
    let inside: Vec<&Value> = match value {
        Value::Array(values) => values.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => return false,
    };
    most.checked_sub(1).is_none_or(|most| inside.into_iter().any(|value| nests_deeper(value, most)))
}

/// A change that the log can take: only [`admit`] makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    change: Change,
    texts: Verbatim,
    replaced: u64,
}

/// Makes the stored form of a change and checks it. U+0000 in its texts becomes U+FFFD; a reader of JSON puts U+0000 where half a
/// surrogate pair stood (see [`json::read`]).
///
/// # Errors
/// The first limit that the change breaks.
pub fn admit(mut change: Change) -> Result<Admitted, LimitRefusal> {
    let replaced = clean_change(&mut change);
    let mut texts = change.texts().into_owned();
    if change.verbatim.is_some() {
        for text in [&mut texts.data, &mut texts.field_meta, &mut texts.actor].into_iter().flatten() {
            json::replace_nul(text);
        }
    }
    let admitted = Admitted { change, texts, replaced };
    let Contents { op, data, field_meta } = read_back(&admitted.stored()).map_err(|unusable| match unusable {
        Unusable::Refused(refusal) => refusal,
        Unusable::Damaged(column) => LimitRefusal::NotKept(column),
    })?;
    let change = &admitted.change;
    let actor: Option<Raw> = match &admitted.texts.actor {
        None => None,
        Some(text) => serde_json::from_str(text).map_err(|_| LimitRefusal::NotKept("actor"))?,
    };
    for (column, same) in [
        ("op", op == change.op),
        ("data", data == change.data),
        ("field_meta", field_meta == change.field_meta),
        ("actor", actor == change.actor),
    ] {
        if !same {
            return Err(LimitRefusal::NotKept(column));
        }
    }
    Ok(admitted)
}

impl Admitted {
    /// What it changes.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Texts in which U+0000 was replaced.
    pub fn replaced(&self) -> u64 {
        self.replaced
    }

    /// As it is stored.
    pub fn stored(&self) -> Stored<'_> {
        let (change, texts) = (&self.change, &self.texts);
        Stored {
            event_id: &change.event_id,
            app_id: &change.app_id,
            table: &change.table,
            record_id: &change.record_id,
            user_id: &change.user_id,
            space_id: change.space_id.as_deref(),
            op: change.op.as_str(),
            data: texts.data.as_deref(),
            field_meta: texts.field_meta.as_deref().unwrap_or(NO_FIELD_META),
            client_id: &change.client_id,
            schema_version: change.schema_version,
            actor: texts.actor.as_deref(),
            origin: change.origin.as_deref(),
        }
    }

    /// Gives every field without a stamp this one.
    ///
    /// # Errors
    /// Where the row becomes too large by that.
    pub fn stamped(&self, stamp: &str) -> Result<Self, LimitRefusal> {
        let mut change = Change { verbatim: None, ..self.change.clone() };
        for field in change.data.iter().flat_map(|data| data.keys()) {
            change.field_meta.entry(field.clone()).or_insert_with(|| stamp.to_owned());
        }
        Ok(Admitted { replaced: self.replaced, ..admit(change)? })
    }
}

fn clean_change(change: &mut Change) -> u64 {
    let mut replaced = change.data.as_mut().map_or(0, clean_record);
    if change.field_meta.iter().any(|(field, stamp)| field.contains('\0') || stamp.contains('\0')) {
        let stamps = std::mem::take(&mut change.field_meta);
        change.field_meta =
            stamps.into_iter().map(|(field, stamp)| (cleaned(field, &mut replaced), cleaned(stamp, &mut replaced))).collect();
    }
    replaced += change.actor.as_mut().map_or(0, clean);
    change.origin = change.origin.take().map(|origin| cleaned(origin, &mut replaced));
    replaced
}

fn cleaned(text: String, replaced: &mut u64) -> String {
    if !text.contains('\0') {
        return text;
    }
    *replaced += 1;
    text.replace('\0', json::REPLACEMENT)
}

/// Spells the texts and keys of a value in one way, and counts those with U+0000, which is replaced.
fn clean(value: &mut Raw) -> u64 {
    let (text, replaced) = json::respelled(value.get());
    let cleaned = match text {
        Cow::Borrowed(_) => return 0,
        Cow::Owned(text) => Raw::parse(&text),
    };
    if let Ok(cleaned) = cleaned {
        *value = cleaned;
    }
    replaced
}

fn clean_record(record: &mut RawRecord) -> u64 {
    let mut replaced = 0;
    if record.iter().any(|(_, value)| value.get().contains('\\')) {
        record.change(|_, value| replaced += clean(value));
    }
    if record.keys().any(|key| key.contains('\0')) {
        *record = std::mem::take(record).into_iter().map(|(key, value)| (cleaned(key, &mut replaced), value)).collect();
    }
    replaced
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::change;

    fn line(field: &str, value: Value) -> RawRecord {
        let mut line = json!({
            "eventId": "0193e4c0-5c5c-4000-8000-00000000abcd", "appId": "ai", "table": "t", "recordId": "r", "userId": "u", "op": "update",
            "createdAt": "2026-04-15T08:00:00Z",
        });
        line[field] = value;
        RawRecord::from(line.as_object().unwrap())
    }

    fn admitted(field: &str, value: Value) -> Result<Admitted, LimitRefusal> {
        admit(change::from_json(line(field, value), String::new).unwrap())
    }

    #[track_caller]
    fn check(field: &str, value: Value, refusal: Option<LimitRefusal>) {
        assert_eq!(admitted(field, value).err(), refusal);
    }

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!([]), |inside, _| json!([inside]))
    }

    #[test]
    fn nesting_ends_at_its_limit() {
        for (field, key) in [("data", "data"), ("actor", "actor")] {
            check(field, json!({"a": nested(MAX_DEPTH - 1)}), None);
            check(field, json!({"a": nested(MAX_DEPTH)}), Some(LimitRefusal::TooDeep(key)));
            check(field, json!({"a": nested(500)}), Some(LimitRefusal::TooDeep(key)));
        }
        assert!(!nests_deeper(&nested(5), 5) && nests_deeper(&nested(5), 4) && !nests_deeper(&json!("x"), 0));
        // Brackets in texts do not nest.
        check("data", json!({"a": "[\\\"{".repeat(100)}), None);
    }

    #[test]
    fn ids_have_a_length_and_are_whole() {
        for field in ["appId", "table", "recordId", "userId", "spaceId", "clientId"] {
            check(field, json!("é".repeat(MAX_ID_CHARS)), None);
            check(field, json!("é".repeat(MAX_ID_CHARS + 1)), Some(LimitRefusal::LongId(field)));
            check(field, json!("a\0"), Some(LimitRefusal::BrokenId(field)));
        }
        check("origin", json!("r".repeat(MAX_ORIGIN_CHARS)), None);
        check("origin", json!("r".repeat(MAX_ORIGIN_CHARS + 1)), Some(LimitRefusal::LongOrigin));
    }

    #[test]
    fn a_row_has_a_size() {
        let around = r#"{"a":""}"#.len() + "{}".len();
        check("data", json!({"a": "x".repeat(MAX_ROW_BYTES - around)}), None);
        check("data", json!({"a": "x".repeat(MAX_ROW_BYTES - around + 1)}), Some(LimitRefusal::TooLarge(MAX_ROW_BYTES + 1)));
    }

    #[test]
    fn paths_lead_somewhere() {
        let empty = |name: &str| Some(LimitRefusal::EmptyPart(name.into()));
        for (name, refusal) in [
            ("a.b", None),
            ("", None),
            ("a..b", empty("a..b")),
            (".a", empty(".a")),
            ("a.", empty("a.")),
            ("__proto__", Some(LimitRefusal::Proto)),
            ("a.__proto__.b", Some(LimitRefusal::Proto)),
            ("a.proto", None),
        ] {
            check("data", json!({name: 1}), refusal);
        }
        let path = |parts: usize| vec!["a"; parts].join(".");
        check("data", json!({path(MAX_DEPTH): 1}), None);
        check("data", json!({path(MAX_DEPTH): []}), Some(LimitRefusal::LongPath(path(40) + ".")));
        check("data", json!({path(MAX_DEPTH + 1): 1}), Some(LimitRefusal::LongPath(path(40) + ".")));
        // Only updates have paths.
        let insert = RawRecord::from_iter(line("data", json!({"a..b": 1})).into_iter().chain([("op".into(), "insert".into())]));
        assert!(admit(change::from_json(insert, String::new).unwrap()).is_ok());
    }

    #[test]
    fn what_no_text_can_hold_is_replaced_and_counted() {
        let admitted = admitted("data", json!({"a": "x\0\0", "k\0": ["\0", 1, "y"]})).unwrap();
        assert_eq!(
            (admitted.replaced(), json!(admitted.change().data)),
            (3, json!({"a": "x\u{fffd}\u{fffd}", "k\u{fffd}": ["\u{fffd}", 1, "y"]}))
        );
        let verbatim = Verbatim { data: Some(r#"{"a" : "\u0000\\u0000"}"#.into()), field_meta: None, actor: None };
        let change = change::from_json(line("data", json!({"a": "\0\\u0000"})), String::new).unwrap();
        let kept = admit(Change { verbatim: Some(Box::new(verbatim)), ..change }).unwrap();
        assert_eq!(kept.stored().data, Some(r#"{"a" : "\ufffd\\u0000"}"#));
    }

    #[test]
    fn what_would_not_read_back_is_refused() {
        let change = change::from_json(line("data", json!({"a": 1})), String::new).unwrap();
        let other = Verbatim { data: Some(r#"{"a":2}"#.into()), field_meta: None, actor: None };
        assert_eq!(admit(Change { verbatim: Some(Box::new(other)), ..change }), Err(LimitRefusal::NotKept("data")));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![any::<String>().prop_map(Value::String), any::<i64>().prop_map(Value::from), Just(Value::Null), Just(json!("\0"))];
        leaf.prop_recursive(70, 200, 3, |inside| {
            prop_oneof![
                prop::collection::vec(inside.clone(), 0..3).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inside), 0..3).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_admitted_reads_back(value in any_json(), levels in 0_usize..80) {
            let value = (0..levels).fold(value, |inside, _| json!([inside]));
            if let Ok(admitted) = admitted("data", json!({"a": value})) {
                let contents = read_back(&admitted.stored()).unwrap();
                prop_assert_eq!(&contents.data, &admitted.change().data);
                prop_assert_eq!(admit(admitted.change().clone()).unwrap().replaced(), 0);
            }
        }
    }
}
