//! Reading JSON of others, so that every key stays a key and every number as it was written.

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

/// Reads a text.
///
/// # Errors
/// What is no JSON of this kind, and an object that the library would change.
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T, serde_json::Error> {
    if would_change(text) { Err(serde_json::Error::custom(NOT_KEPT)) } else { serde_json::from_slice(text) }
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
}
