//! Values of others as the text that they came in: every digit, escape and key stays as it was written, and a value that
//! nobody looks into is not read (docs/design.md, section 2).

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json::{self, Plain};

/// A record to be looked into: field → value. As it is kept, it is a [`RawRecord`].
pub type Record = Map<String, Value>;

/// A sound JSON text without whitespace around its parts.
#[derive(Clone)]
pub struct Raw(Box<RawValue>);

impl Raw {
    /// Reads a text.
    ///
    /// # Errors
    /// What is no JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// What `value` is written as.
    pub fn of(value: &impl Serialize) -> Self {
        // Only a map whose keys are no texts could not be written.
        Raw(serde_json::value::to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    pub fn null() -> Self {
        Raw(RawValue::NULL.to_owned())
    }

    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }

    pub fn is_null(&self) -> bool {
        self.get() == "null"
    }

    /// What a text holds; of another value `None`.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        let quoted = self.get().strip_prefix('"')?.strip_suffix('"')?;
        if quoted.contains('\\') { self.read().as_str().map(|text| text.to_owned().into()) } else { Some(quoted.into()) }
    }

    /// The value, to be looked into. Numbers are read as far as 64 bits hold them; where one is beyond that, the whole value
    /// is read as its text.
    pub fn read(&self) -> Value {
        let read = json::read::<Plain>(self.get().as_bytes());
        read.map_or_else(|_| Value::String(self.get().to_owned()), |Plain(value)| value)
    }

    /// The parts of an array; of another value `None`.
    pub fn items(&self) -> Option<Vec<Raw>> {
        let items: Vec<Box<RawValue>> = self.get().starts_with('[').then(|| serde_json::from_str(self.get()).ok())??;
        Some(items.into_iter().map(Raw).collect())
    }

    /// The fields of an object; of another value `None`.
    pub fn object(&self) -> Option<RawRecord> {
        self.get().starts_with('{').then(|| RawRecord::of_compact(self.get()).ok()).flatten()
    }

    /// What JavaScript takes for true: null, an empty text, `false` and `0` hold nothing.
    pub fn holds_something(&self) -> bool {
        match self.get() {
            "null" | "false" | "\"\"" => false,
            number if number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => number.parse() != Ok(0.0),
            _ => true,
        }
    }
}

impl From<&Value> for Raw {
    fn from(value: &Value) -> Self {
        Raw::of(value)
    }
}

impl From<Value> for Raw {
    fn from(value: Value) -> Self {
        Raw::from(&value)
    }
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Raw::of(&text)
    }
}

impl From<String> for Raw {
    fn from(text: String) -> Self {
        Raw::of(&text)
    }
}

impl From<&RawRecord> for Raw {
    fn from(record: &RawRecord) -> Self {
        Raw::of(record)
    }
}

impl FromIterator<Raw> for Raw {
    /// An array.
    fn from_iter<I: IntoIterator<Item = Raw>>(items: I) -> Self {
        Raw::of(&items.into_iter().collect::<Vec<_>>())
    }
}

/// The same value, however it is spelled.
impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get() || self.read() == other.read()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.get())
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match json::compact(raw.get()) {
            Cow::Borrowed(_) => Ok(Raw(raw)),
            Cow::Owned(text) => RawValue::from_string(text).map(Raw).map_err(serde::de::Error::custom),
        }
    }
}

impl Default for Raw {
    fn default() -> Self {
        Raw::null()
    }
}

/// A record as it is kept: its fields in their order, each as it was written.
#[derive(Clone, Default)]
pub struct RawRecord {
    fields: IndexMap<String, Raw>,
    bytes: usize,
}

impl RawRecord {
    /// The bytes of its names and values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn new() -> Self {
        RawRecord::default()
    }

    /// Reads an object without whitespace around its parts: a part of such a text, or the record of a snapshot.
    ///
    /// # Errors
    /// What is no JSON object.
    pub fn of_compact(text: &str) -> Result<Self, serde_json::Error> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let record = reader.deserialize_map(CompactFields)?;
        reader.end().map(|()| record)
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub fn get(&self, field: &str) -> Option<&Raw> {
        self.fields.get(field)
    }

    pub fn contains_key(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// Writes a field; one that is there keeps its place.
    pub fn insert(&mut self, field: String, value: impl Into<Raw>) {
        let value = value.into();
        let (name, size) = (field.len(), value.get().len());
        self.bytes += size;
        match self.fields.insert(field, value) {
            Some(old) => self.bytes -= old.get().len(),
            None => self.bytes += name,
        }
    }

    /// Takes a field out; the others keep their order.
    pub fn remove(&mut self, field: &str) -> Option<Raw> {
        let value = self.fields.shift_remove(field)?;
        self.bytes -= field.len() + value.get().len();
        Some(value)
    }

    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.fields.keys()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Raw)> {
        self.fields.iter()
    }

    /// Changes values in their places.
    pub fn change(&mut self, mut change: impl FnMut(&str, &mut Raw)) {
        self.fields.iter_mut().for_each(|(field, value)| change(field, value));
        *self = std::mem::take(&mut self.fields).into();
    }

    /// A text of a field; of another value `None`.
    pub fn text(&self, field: &str) -> Option<Cow<'_, str>> {
        self.get(field)?.text()
    }

    /// The value of a field, to be looked into.
    pub fn value(&self, field: &str) -> Option<Value> {
        self.get(field).map(Raw::read)
    }

    /// All fields, to be looked into (see [`Raw::read`]).
    pub fn read(&self) -> Record {
        self.iter().map(|(field, value)| (field.clone(), value.read())).collect()
    }
}

struct CompactFields;

impl<'de> Visitor<'de> for CompactFields {
    type Value = RawRecord;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawRecord, A::Error> {
        let mut fields = IndexMap::new();
        while let Some((field, value)) = map.next_entry::<String, Box<RawValue>>()? {
            fields.insert(field, Raw(value));
        }
        Ok(fields.into())
    }
}

impl From<&Record> for RawRecord {
    fn from(record: &Record) -> Self {
        record.iter().map(|(field, value)| (field.clone(), Raw::from(value))).collect()
    }
}

impl From<Record> for RawRecord {
    fn from(record: Record) -> Self {
        RawRecord::from(&record)
    }
}

impl FromIterator<(String, Raw)> for RawRecord {
    fn from_iter<I: IntoIterator<Item = (String, Raw)>>(fields: I) -> Self {
        fields.into_iter().collect::<IndexMap<_, _>>().into()
    }
}

impl From<IndexMap<String, Raw>> for RawRecord {
    fn from(fields: IndexMap<String, Raw>) -> Self {
        let bytes = fields.iter().map(|(field, value)| field.len() + value.get().len()).sum();
        RawRecord { fields, bytes }
    }
}

impl PartialEq for RawRecord {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl fmt::Debug for RawRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields.fmt(f)
    }
}

impl Serialize for RawRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RawRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IndexMap::deserialize(deserializer).map(RawRecord::from)
    }
}

impl Extend<(String, Raw)> for RawRecord {
    fn extend<I: IntoIterator<Item = (String, Raw)>>(&mut self, fields: I) {
        fields.into_iter().for_each(|(field, value)| self.insert(field, value));
    }
}

impl IntoIterator for RawRecord {
    type Item = (String, Raw);
    type IntoIter = indexmap::map::IntoIter<String, Raw>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(text: &str) -> RawRecord {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_digit_and_key_stays_as_it_was_written() {
        for text in [
            r#"{"a":0.10,"b":12345678901234567890123,"c":-0,"d":1e400,"e":"\u00e9\/"}"#,
            r#"{"a":{"$serde_json::private::Number":"1"},"b":[{"$serde_json::private::RawValue":"[]"}]}"#,
        ] {
            assert_eq!(serde_json::to_string(&record(text)).unwrap(), text);
        }
        assert_eq!(serde_json::to_string(&record("{\"a\" : [1.0,\n {\"b c\": \" \\\" x\"} ]}")).unwrap(), r#"{"a":[1.0,{"b c":" \" x"}]}"#);
    }

    #[test]
    fn a_record_knows_its_size() {
        let mut record = record(r#"{"a":1,"bc":[10]}"#);
        assert_eq!(record.bytes(), 8);
        record.insert("a".into(), "xyz");
        record.insert("d".into(), Raw::null());
        assert_eq!(record.bytes(), 17);
        record.change(|_, value| *value = Raw::null());
        record.remove("bc");
        record.extend([("e".to_owned(), Raw::null())]);
        assert_eq!(record.bytes(), 15);
    }

    #[test]
    fn a_value_is_read_as_far_as_numbers_go() {
        let record = record(r#"{"a":0.10,"b":{"c":[1e400]},"d":"\ud83d!"}"#);
        assert_eq!(Value::Object(record.read()), json!({"a": 0.1, "b": "{\"c\":[1e400]}", "d": "\0!"}));
        assert_eq!((record.text("a"), record.text("d").as_deref(), record.text("e")), (None, Some("\0!"), None));
    }

    #[test]
    fn a_value_is_read_no_deeper_than_it_was_bounded() {
        let mut hidden = "1".to_owned();
        for _ in 0..12 {
            let inside = serde_json::to_string(&format!("{}{hidden}{}", "[".repeat(100), "]".repeat(100))).unwrap();
            hidden = format!(r#"{{"$serde_json::private::RawValue":{inside}}}"#);
        }
        let Value::Object(read) = Raw::parse(&hidden).unwrap().read() else { unreachable!() };
        assert!(read.len() == 1 && read["$serde_json::private::RawValue"].is_string());
        for text in ["null", "true", "-7", "18446744073709551615", "0.5", "\"a\"", r#"[1,{"b":[null]}]"#] {
            assert_eq!(Raw::parse(text).unwrap().read(), serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn values_are_the_same_in_another_spelling() {
        let raw = |text: &str| Raw::parse(text).unwrap();
        assert_eq!(raw(r#""\u00e9""#), raw("\"é\""));
        assert_eq!(raw("[1, 2]").get(), "[1,2]");
        assert_ne!(raw("[1]"), raw("[2]"));
    }

    #[test]
    fn what_javascript_takes_for_false_holds_nothing() {
        for nothing in ["null", "false", "0", "-0.0", "0e7", "\"\""] {
            assert!(!Raw::parse(nothing).unwrap().holds_something(), "{nothing}");
        }
        for something in ["true", "1e-300", "\"0\"", "[]", "{}", "-1"] {
            assert!(Raw::parse(something).unwrap().holds_something(), "{something}");
        }
    }
}
