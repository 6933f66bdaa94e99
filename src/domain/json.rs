//! Reading JSON of others, so that every key stays a key and every number as it was written.

use std::sync::LazyLock;

use regex::bytes::Regex;
use serde::de::{DeserializeOwned, Error};

/// Keys by which the JSON library spells numbers and raw texts for itself. It would take an object with one of them for
/// such a value, and so change it.
static KEYS_OF_THE_LIBRARY: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#""\$serde_json::private::(?:Number|RawValue)"\s*:"#).ok());

/// Why a text is not read.
pub const NOT_KEPT: &str = "a key that starts with `$serde_json::private::` cannot be kept; give it another name";

/// Whether the library would change an object of a text.
pub fn would_change(text: &[u8]) -> bool {
    KEYS_OF_THE_LIBRARY.as_ref().is_some_and(|keys| keys.is_match(text))
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
        for text in [r#"{"$serde_json::private::Number":"1"}"#, r#"[{"$serde_json::private::RawValue" : "[]"}]"#] {
            assert!(read::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
