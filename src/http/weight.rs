//! What a body costs once it is read as JSON: a value takes much more memory than its text, so bodies are weighed before they
//! are read, and only so many are read at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// Values of one body: 32 bytes of the largest body for each.
const MAX_VALUES: usize = 1_000_000;
/// Bytes that a value takes beside its text.
const BYTES_OF_VALUE: usize = 128;
/// Bodies that weigh more than this have a gate of their own, so that a small one never waits for a large one.
const SMALL: usize = 2 * 1024 * 1024;
/// What may be held as values at the same time, in KB: of small bodies, and of large ones. A body that weighs more than its
/// gate is read alone.
const SMALL_KB: u32 = 32 * 1024;
const LARGE_KB: u32 = 64 * 1024;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(20);

/// The bodies that are held as values now.
pub(super) struct Parsing {
    small: Gate,
    large: Gate,
}

struct Gate {
    free: Arc<Semaphore>,
    most: u32,
}

impl Default for Parsing {
    fn default() -> Self {
        Parsing { small: Gate::of(SMALL_KB), large: Gate::of(LARGE_KB) }
    }
}

impl Parsing {
    /// Waits until a body of this weight may be held as values.
    pub async fn body(&self, weight: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let kilobytes = u32::try_from(weight / 1024 + 1).unwrap_or(u32::MAX);
        if weight > SMALL { self.large.enter(kilobytes).await } else { self.small.enter(kilobytes).await }
    }
}

impl Gate {
    fn of(most: u32) -> Self {
        Gate { free: Arc::new(Semaphore::new(most as usize)), most }
    }

    async fn enter(&self, kilobytes: u32) -> Result<OwnedSemaphorePermit, ApiError> {
        let turn = Arc::clone(&self.free).acquire_many_owned(kilobytes.min(self.most));
        match tokio::time::timeout(TURN, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(ApiError::unavailable("too many large requests are read at once; try again later")),
        }
    }
}

/// What a text weighs as values, in bytes.
pub(super) fn weigh(text: &[u8]) -> Result<usize, ApiError> {
    let values = count_values(text);
    if values > MAX_VALUES {
        return Err(ApiError::too_large("a push takes at most a million values; send it in parts"));
    }
    Ok(text.len().saturating_add(values.saturating_mul(BYTES_OF_VALUE)))
}

/// Not less than the values of a JSON text, be it sound or not.
fn count_values(text: &[u8]) -> usize {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts() {
        for (text, values) in [("[]", 2), ("[1,2,3]", 4), (r#"{"a":[1,"x,[{\",",{}],"b":2}"#, 7), (r#""\\",1"#, 2), ("", 1)] {
            assert_eq!(count_values(text.as_bytes()), values, "{text}");
        }
        assert!(weigh(format!("[{}0]", "0,".repeat(MAX_VALUES)).as_bytes()).is_err());
        assert!(weigh(&vec![b'x'; 32 << 20]).is_ok_and(|weight| weight < (33 << 20)), "texts weigh what they are");
    }
}
