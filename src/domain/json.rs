//! Texts of JSON: what every text here has to be, before it is read.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Takes the place of U+0000 and of half a surrogate pair.
pub const REPLACEMENT: &str = "\u{fffd}";

/// Reads a text. Half a surrogate pair, which no text here can hold, is read as U+0000; what enters the log has U+FFFD in its
/// place, and an id with it is refused (see [`admit`](super::limits::admit)).
///
/// # Errors
/// What is no JSON of this kind.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(&with_whole_escapes(text))
}

/// A value in which each key is a key. The JSON library takes an object with a key of its own for the text of another value,
/// so that what is read would be something else, and deeper, than what was bounded.
#[derive(Debug, PartialEq)]
pub struct Plain(pub Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Plain)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Plain(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Plain(value))) = fields.next_entry::<String, Plain>()? {
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

/// Whether a part of a description says nothing that reading it again would not say: it is left out where it is written.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A sound text without whitespace around its parts.
pub fn compact(text: &str) -> Cow<'_, str> {
    // Only what has parts has whitespace around them.
    if !text.starts_with(['{', '[']) {
        return Cow::Borrowed(text);
    }
    let (mut compact, mut copied) = (String::new(), 0);
    let (mut in_text, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b' ' | b'\n' | b'\r' | b'\t' if !in_text => {
                compact += &text[copied..at];
                copied = at + 1;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    compact += &text[copied..];
    Cow::Owned(compact)
}

/// Whether the objects and arrays of a text nest more than `most` levels deep; it need not be sound.
pub fn is_deeper(text: &str, most: usize) -> bool {
    let opens = |byte: &&u8| matches!(byte, b'{' | b'[');
    // Most texts have fewer brackets than that.
    if text.as_bytes().iter().filter(opens).count() <= most {
        return false;
    }
    let (mut depth, mut in_text, mut bytes) = (0_usize, false, text.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => drop(bytes.next()),
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > most {
            return true;
        }
    }
    false
}

/// A text with U+0000 in the place of each half of a surrogate pair. The library refuses those, although programs write them
/// that cut texts in the middle of a character.
pub fn with_whole_escapes(text: &[u8]) -> Cow<'_, [u8]> {
    let mut whole = Cow::Borrowed(text);
    let mut second = None;
    for (at, unit) in escapes(text) {
        let is_half = match unit {
            0xd800..0xdc00 if matches!(unit_at(text, at + 6), Some(0xdc00..0xe000)) => {
                second = Some(at + 6);
                false
            }
            0xdc00..0xe000 => second != Some(at),
            unit => matches!(unit, 0xd800..0xdc00),
        };
        if is_half {
            whole.to_mut()[at..at + 6].copy_from_slice(b"\\u0000");
        }
    }
    whole
}

/// The same for a text that is kept.
pub fn whole(text: String) -> String {
    match with_whole_escapes(text.as_bytes()) {
        Cow::Borrowed(_) => text,
        // An escape is ASCII, and so is what took its place.
        Cow::Owned(whole) => String::from_utf8(whole).unwrap_or(text),
    }
}

/// Puts U+FFFD in the place of each escaped U+0000, and changes nothing else.
pub fn replace_nul(text: &mut String) {
    let (mut replaced, mut copied) = (String::with_capacity(text.len()), 0);
    for (at, unit) in escapes(text.as_bytes()) {
        if unit == 0 {
            replaced += &text[copied..at];
            replaced += "\\ufffd";
            copied = at + 6;
        }
    }
    replaced += &text[copied..];
    *text = replaced;
}

/// A sound text in which each text within is spelled as this program does, with U+FFFD in the place of U+0000 and of half a
/// surrogate pair; and how many had one. An escape can have six times the bytes of its character.
pub fn respelled(text: &str) -> (Cow<'_, str>, u64) {
    if !text.contains("\\u") && !text.contains("\\/") {
        return (Cow::Borrowed(text), 0);
    }
    let (mut respelled, mut replaced, mut rest) = (String::with_capacity(text.len()), 0, text);
    while let Some(start) = rest.find('"') {
        let (before, from) = rest.split_at(start);
        let (quoted, after) = from.split_at(end_of_text(from.as_bytes()));
        respelled += before;
        match read::<String>(quoted.as_bytes()) {
            Ok(inside) if quoted.contains('\\') => {
                replaced += u64::from(inside.contains('\0'));
                respelled += &Value::String(inside.replace('\0', REPLACEMENT)).to_string();
            }
            _ => respelled += quoted,
        }
        rest = after;
    }
    respelled += rest;
    (Cow::Owned(respelled), replaced)
}

/// The length of the quoted text that JSON begins with.
fn end_of_text(json: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    json.len()
}

/// The escapes by number in a text, each with its place. Backslashes stand within quotes only, so that what is around them
/// need not be known.
fn escapes(text: &[u8]) -> impl Iterator<Item = (usize, u16)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        loop {
            let at = next + text.get(next..)?.iter().position(|byte| *byte == b'\\')?;
            next = at + 2;
            if let Some(unit) = unit_at(text, at) {
                return Some((at, unit));
            }
        }
    })
}

/// The number of an escape.
fn unit_at(text: &[u8], at: usize) -> Option<u16> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitespace_goes_only_from_around_the_parts() {
        for (text, expected) in
            [("{ \"a b\" :\n[1 ,\t2 ], \"c\\\" d\": \" \" }", "{\"a b\":[1,2],\"c\\\" d\":\" \"}"), ("[ ]", "[]"), ("\" a \"", "\" a \"")]
        {
            assert_eq!(compact(text), expected);
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_read_as_nul() {
        for (text, read_as) in [
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d""#, "\0"),
            (r#""\uDE00x""#, "\0x"),
            (r#""\ud83d\ud83d\ude00""#, "\0\u{1f600}"),
            (r#""\ude00\ud83d""#, "\0\0"),
            (r#""\ud83d\ude00\ude00""#, "\u{1f600}\0"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d""#, "\\\0"),
            (r#""\\ud83d\ude00""#, "\\ud83d\0"),
            (r#""\ud83dx\ude00 é""#, "\0x\0 é"),
        ] {
            assert_eq!(read::<String>(text.as_bytes()).unwrap(), read_as, "{text}");
        }
        for text in [r#""\ud8"#, r#""\u"#, "\"\\", r#""\ud83d"#, r#""\ud83d\u""#] {
            assert!(read::<String>(text.as_bytes()).is_err(), "{text}");
        }
        let mut text = r#"{"a\u0000":"\\u0000\\\u0000\u00000"}"#.to_owned();
        assert_eq!(respelled(&text), (Cow::Borrowed("{\"a\u{fffd}\":\"\\\\u0000\\\\\u{fffd}\u{fffd}0\"}"), 2));
        replace_nul(&mut text);
        assert_eq!(text, r#"{"a\ufffd":"\\u0000\\\ufffd\ufffd0"}"#);
    }

    #[test]
    fn texts_are_spelled_in_one_way_and_numbers_stay() {
        let (text, replaced) = respelled(r#"{"a\u00e9":[1.50,"\/\u007f\"","\ud83d!"],"b":"plain \n"}"#);
        assert_eq!((text.as_ref(), replaced), ("{\"aé\":[1.50,\"/\u{7f}\\\"\",\"\u{fffd}!\"],\"b\":\"plain \\n\"}", 1));
        assert_eq!(respelled(&text), (Cow::Borrowed(text.as_ref()), 0));
    }
}
