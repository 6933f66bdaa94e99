//! Times as this program reads, compares and writes them.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

/// Parses an RFC 3339 date-time such as `2026-04-15T08:00:00.010Z`; anything else is `None`.
///
/// jiff reads more forms than RFC 3339 allows (basic format, zone annotations), so the shape is checked first.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let b = text.as_bytes();
    let shaped = b.len() >= 20
        && b[4] == b'-'
        && b[7] == b'-'
        && matches!(b[10], b'T' | b't')
        && b[13] == b':'
        && b[16] == b':'
        && b[..4].iter().all(u8::is_ascii_digit)
        && !text.contains(['[', ' ']);
    if shaped { text.parse().ok() } else { None }
}

/// Microseconds since the epoch: the unit in which the store keeps every time.
pub fn to_micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The time at `micros` since the epoch; a value out of range becomes the nearest time that can be told.
pub fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// ISO time with milliseconds, the form that clients write: `2026-04-15T08:00:00.010Z`.
pub fn iso_millis(at: Timestamp) -> String {
    DateTimePrinter::new().precision(Some(3)).timestamp_to_string(&at)
}

/// ISO time with microseconds, the form of `createdAt` in exports: `2026-04-15T08:00:00.010000Z`.
pub fn iso_micros(at: Timestamp) -> String {
    DateTimePrinter::new().precision(Some(6)).timestamp_to_string(&at)
}

/// A row's time as a field stamp: milliseconds where that loses nothing, else microseconds.
pub fn stamp(at: Timestamp) -> String {
    if to_micros(at) % 1_000 == 0 { iso_millis(at) } else { iso_micros(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc_3339_counts_as_a_time() {
        for (text, ok) in [
            ("2026-04-15T08:00:00Z", true),
            ("2026-04-15t08:00:00.123456789+02:00", true),
            ("2026-04-15T08:00:00", false),
            ("2026-04-15", false),
            ("20260415T080000Z", false),
            ("2026-04-15T08:00:00Z[Europe/Berlin]", false),
            ("2026-04-15 08:00:00Z", false),
            ("", false),
            ("yesterday, about ten", false),
        ] {
            assert_eq!(parse_rfc3339(text).is_some(), ok, "{text}");
        }
    }

    #[test]
    fn stamps_keep_what_the_row_knew() {
        assert_eq!(stamp(from_micros(1_776_240_000_010_000)), "2026-04-15T08:00:00.010Z");
        assert_eq!(stamp(from_micros(1_776_240_000_010_001)), "2026-04-15T08:00:00.010001Z");
    }
}
