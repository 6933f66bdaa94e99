//! Reading JSON of others, so that every key stays a key and every number as it was written.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::Regex;
use serde::de::{DeserializeOwned, Error};

/// Keys by which the JSON library spells numbers and raw texts for itself. It would take an object with one of them for
/// such a value, and so change it.
const KEYS_OF_THE_LIBRARY: [&str; 2] = ["$serde_json::private::Number", "$serde_json::private::RawValue"];

/// What a text has to have before it is looked at key by key: the words, or something that is escaped by number.
static HINT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"serde_json::private|\\u00").ok());

/// A key as a text has it, escapes and all.
static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"("(?:[^"\\]|\\.)*")\s*:"#).ok());

/// Why a text is not read.
pub const NOT_KEPT: &str = "a key that starts with `$serde_json::private::` cannot be kept; give it another name";

/// Whether the library would change an object of a text.
pub fn would_change(text: &[u8]) -> bool {
    if HINT.as_ref().is_some_and(|hint| !hint.is_match(text)) {
        return false;
    }
    let is_of_the_library = |key: &[u8]| serde_json::from_slice::<String>(key).is_ok_and(|key| KEYS_OF_THE_LIBRARY.contains(&key.as_str()));
    KEY.as_ref().is_none_or(|keys| keys.captures_iter(text).any(|key| is_of_the_library(&key[1])))
}

/// Reads a text. Half a surrogate pair, which no text here can hold, is read as U+0000; what enters the log has U+FFFD in its
/// place, and an id with it is refused (see [`admit`](super::limits::admit)).
///
/// # Errors
/// What is no JSON of this kind, and an object that the library would change.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    let text = with_whole_escapes(text);
    if would_change(&text) { Err(serde_json::Error::custom(NOT_KEPT)) } else { serde_json::from_slice(&text) }
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

/// Puts U+FFFD in the place of each escaped U+0000.
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
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_and_keys_stay_as_they_are() {
        for text in [r#"{"a":0.10,"b":12345678901234567890123,"c":-0}"#, r#"["$serde_json::private::Number"]"#] {
            assert_eq!(read::<Value>(text.as_bytes()).unwrap().to_string(), text);
        }
        let escaped = r#"{"a \" b":{"\u0024serde_json::privat\u0065::Number":"7"}}"#;
        for text in [r#"{"$serde_json::private::Number":"1"}"#, r#"[{"$serde_json::private::RawValue" : "[]"}]"#, escaped] {
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
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
        replace_nul(&mut text);
        assert_eq!(text, r#"{"a\ufffd":"\\u0000\\\ufffd\ufffd0"}"#);
    }
}
