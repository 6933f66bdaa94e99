//! The tokens that an answer took: as the server counted them, else as the sizes tell.

use serde_json::Value;

use crate::domain::fields::whole;
use crate::domain::iteration::Usage;

/// No answer takes more tokens; a count beyond is a mistake, whatever the model.
const MAX_TOKENS: u64 = 1_000_000_000;

/// Bytes that one token stands for, on average over languages and JSON.
const BYTES_A_TOKEN: usize = 4;

/// The tokens that an answer says it took; `None` where it says nothing that can be used.
pub(super) fn told(answer: &Value) -> Option<Usage> {
    // A missing count is 0; one that no server can mean makes all of them doubtful.
    let count = |field: &str| match answer.get("usage").and_then(|usage| usage.get(field)) {
        None | Some(Value::Null) => Some(0),
        Some(value) => whole(value).filter(|count| *count <= MAX_TOKENS),
    };
    let (prompt, completion) = (count("prompt_tokens")?, count("completion_tokens")?);
    let total = count("total_tokens")?.max(prompt + completion);
    (total > 0).then_some(Usage { prompt, completion, total })
}

/// What so many bytes are in tokens, about.
pub(super) fn estimated(sent: usize, received: usize) -> Usage {
    let tokens = |bytes: usize| (bytes.div_ceil(BYTES_A_TOKEN) as u64).min(MAX_TOKENS);
    let (prompt, completion) = (tokens(sent), tokens(received));
    Usage { prompt, completion, total: prompt + completion }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(usage: &str) -> Option<u64> {
        let answer = serde_json::from_str(&format!(r#"{{"usage": {usage}}}"#)).unwrap();
        told(&answer).map(|usage| usage.total)
    }

    #[test]
    fn usage_that_is_missing_or_absurd_is_not_used() {
        assert_eq!(total(r#"{"prompt_tokens": 3, "completion_tokens": 4}"#), Some(7));
        assert_eq!(total(r#"{"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9}"#), Some(9));
        assert_eq!(total(r#"{"total_tokens": 9.0}"#), Some(9));
        for absurd in [
            "null",
            "7",
            "{}",
            r#"{"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}"#,
            r#"{"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 4611686018427387904}"#,
            r#"{"prompt_tokens": 9223372036854775807, "completion_tokens": 4, "total_tokens": 7}"#,
            r#"{"total_tokens": 1e300}"#,
            r#"{"total_tokens": -5}"#,
            r#"{"total_tokens": 1.5}"#,
            r#"{"total_tokens": "many"}"#,
        ] {
            assert_eq!(total(absurd), None, "{absurd}");
        }
        assert_eq!(estimated(400, 12), Usage { prompt: 100, completion: 3, total: 103 });
    }
}
