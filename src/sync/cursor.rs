//! A client's place in the log.

use std::fmt;

use crate::domain::time;

/// The `sync_at` of the last row that a client was told of, in microseconds; 0: none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor(i64);

impl Cursor {
    pub const START: Cursor = Cursor(0);

    pub fn at(sync_at: i64) -> Self {
        Cursor(sync_at.max(0))
    }

    /// Reads the text form; an empty text is the start. `None` where it is no time.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "" => Some(Cursor::START),
            // A "+" of an offset that a client forgot to escape arrives as a space; the one before the hours is meant.
            text => {
                let (date, time_of_day) = text.split_at_checked(11)?;
                time::parse_rfc3339(&(date.to_owned() + &time_of_day.replace(' ', "+"))).map(|at| Cursor::at(time::to_micros(at)))
            }
        }
    }

    pub fn micros(self) -> i64 {
        self.0
    }
}

/// The text form: an ISO time with microseconds, which a client gives back as it is.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&time::iso_micros(time::from_micros(self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        let cursor = Cursor::at(1_776_240_000_010_001);
        assert_eq!(cursor.to_string(), "2026-04-15T08:00:00.010001Z");
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        assert_eq!(Cursor::parse(""), Some(Cursor::START));
        assert_eq!(Cursor::parse("1970-01-01T00:00:00.000Z"), Some(Cursor::START));
        assert_eq!(Cursor::parse("2026-04-15T10:00:00.010001 02:00"), Some(cursor));
        assert_eq!(Cursor::parse("2026-04-15 10:00:00.010001 0200"), Some(cursor));
        assert_eq!(Cursor::parse("2026"), None);
        assert_eq!(Cursor::parse("1900-01-01T00:00:00Z"), Some(Cursor::START));
        assert_eq!(Cursor::parse("yesterday"), None);
    }

    #[test]
    fn a_client_that_keeps_only_milliseconds_is_told_twice_rather_than_never() {
        assert!(Cursor::parse("2026-04-15T08:00:00.010Z") < Some(Cursor::at(1_776_240_000_010_001)));
    }
}
