//! Times as this program reads, compares and writes them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::Offset;

/// Reads a time in the spellings that real programs write: RFC 3339 with `T`, `t` or a space, seconds optional, and an
/// offset as `Z`, `+02:00`, `+0200` or `+00`. Anything else is `None`, above all a number, and a time without offset.
///
/// Every time that comes from outside is read here, so that it means the same wherever it stands. Most are the 24
/// characters of [`iso_millis`], and merging reads two of them for each field, so this is by hand.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let mut rest = text.as_bytes();
    let year = i16::try_from(digits(&mut rest, 4)?).ok()?;
    let (month, day) = (after(&mut rest, b'-')?, after(&mut rest, b'-')?);
    let separator;
    (separator, rest) = rest.split_first()?;
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let hour = two(&mut rest)?;
    let minute = after(&mut rest, b':')?;
    let (mut second, mut nanosecond) = (0, 0);
    if rest.first() == Some(&b':') {
        // A leap second is the last one of its minute.
        second = after(&mut rest, b':').map(|s| if s == 60 { 59 } else { s })?;
        nanosecond = fraction(&mut rest)?;
    }
    let offset = offset(rest)?;
    let civil = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
    Offset::from_seconds(offset).ok()?.to_timestamp(civil).ok()
}

/// Takes `count` digits from the front.
fn digits(rest: &mut &[u8], count: usize) -> Option<i32> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    taken.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + i32::from(digit - b'0')))
}

fn two(rest: &mut &[u8]) -> Option<i8> {
    digits(rest, 2).and_then(|n| i8::try_from(n).ok())
}

/// Takes a sign and the two digits after it.
fn after(rest: &mut &[u8], sign: u8) -> Option<i8> {
    *rest = rest.strip_prefix(&[sign])?;
    two(rest)
}

/// Takes a fraction of a second, where there is one, as nanoseconds; finer digits are dropped.
fn fraction(rest: &mut &[u8]) -> Option<i32> {
    let Some(after_dot) = rest.strip_prefix(b".") else { return Some(0) };
    let count = after_dot.iter().take_while(|digit| digit.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (mut fraction, left) = after_dot.split_at(count);
    *rest = left;
    let kept = count.min(9);
    let nanos = digits(&mut fraction, kept)?;
    Some((kept..9).fold(nanos, |n, _| n * 10))
}

/// The seconds of an offset that is all the rest.
fn offset(rest: &[u8]) -> Option<i32> {
    let (sign, mut rest) = match rest {
        b"Z" | b"z" => return Some(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = two(&mut rest)?;
    let minutes = match rest {
        [] => 0,
        [b':', ..] => after(&mut rest, b':')?,
        _ => two(&mut rest)?,
    };
    // Postgres tells the local time of a city before it had a zone to the second.
    let seconds = if rest.first() == Some(&b':') { after(&mut rest, b':')? } else { 0 };
    let all = i32::from(hours) * 3_600 + i32::from(minutes) * 60 + i32::from(seconds);
    (rest.is_empty() && hours < 24 && minutes < 60 && seconds < 60).then_some(sign * all)
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

/// Whether a text looks like `2026-04-15T08:00:00.000Z`, as [`iso_millis`] writes a time. Such texts have the order of their
/// times; a second 60, which counts as 59, is left out.
pub fn is_iso_millis(text: &str) -> bool {
    let fits = |(byte, wanted): (&u8, &u8)| if *wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() == 24 && text.as_bytes().iter().zip(b"0000-00-00T00:00:00.000Z").all(fits) && text.as_bytes()[17] < b'6'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_as_real_programs_write_them() {
        for (text, read) in [
            ("2026-04-15T08:00:00Z", "2026-04-15T08:00:00.000000Z"),
            ("2026-04-15t08:00:00.123456789+02:00", "2026-04-15T06:00:00.123456Z"),
            ("2026-04-15 08:00:00z", "2026-04-15T08:00:00.000000Z"),
            ("2026-04-15T08:00Z", "2026-04-15T08:00:00.000000Z"),
            ("2026-04-15 10:00+0200", "2026-04-15T08:00:00.000000Z"),
            ("2026-04-15 08:00:00.01+00", "2026-04-15T08:00:00.010000Z"),
            ("2026-04-15 13:30:00.123456+05:30", "2026-04-15T08:00:00.123456Z"),
            ("2026-04-15 10:00:00+02", "2026-04-15T08:00:00.000000Z"),
            ("1893-03-31 23:59:59+00:53:28", "1893-03-31T23:06:31.000000Z"),
            ("2026-04-15T00:30:00-0930", "2026-04-15T10:00:00.000000Z"),
            ("2026-04-15T08:00:00.1234567890123Z", "2026-04-15T08:00:00.123456Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000000Z"),
            ("2024-02-29T00:00:00-23:59", "2024-02-29T23:59:00.000000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(parse_rfc3339(text).map(iso_micros).as_deref(), Some(read), "{text}");
        }
    }

    #[test]
    fn what_does_not_say_its_moment_is_no_time() {
        for text in [
            "2026-04-15T08:00:00",
            "2026-04-15",
            "20260415T080000Z",
            "2026-04-15T08:00:00Z[Europe/Berlin]",
            "2026-04-15T08:00:00 Z",
            "2026-04-15T08:00:00.Z",
            "2026-04-15T08:00.5Z",
            "2026-04-15T08Z",
            "2026-04-15_08:00:00Z",
            "2026-02-29T08:00:00Z",
            "2026-04-15T24:00:00Z",
            "2026-04-15T08:60:00Z",
            "2026-04-15T08:00:61Z",
            "2026-04-15T08:00:00+2",
            "2026-04-15T08:00:00+02:0",
            "2026-04-15T08:00:00+24:00",
            "2026-04-15T08:00:00+02:60",
            "2026-04-15T08:00:00ZZ",
            "+002026-04-15T08:00:00Z",
            "-2026-04-15T08:00:00Z",
            "9999-12-31T23:59:59Z",
            "1776240000000",
            "1776240000",
            "２026-04-15T08:00:00Z",
            "",
            "yesterday, about ten",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_this_program_writes_reads_back(micros in -377_705_000_000_000_000_i64..253_402_200_000_999_999) {
            let at = from_micros(micros);
            // Years before 0 have a sign, which no client writes.
            prop_assume!(iso_micros(at).starts_with(|c: char| c.is_ascii_digit()));
            prop_assert_eq!(parse_rfc3339(&iso_micros(at)), Some(at));
            prop_assert_eq!(parse_rfc3339(&stamp(at)), Some(at));
        }

        #[test]
        fn any_text_is_read_without_harm(text in "[0-9TZtz: .+-]{0,36}|\\PC{0,30}") {
            let ours = parse_rfc3339(&text);
            let by_jiff = text.parse::<Timestamp>().ok();
            prop_assert!(ours.is_none() || by_jiff.is_none() || ours == by_jiff, "{text}: {ours:?}, {by_jiff:?}");
        }
    }

    #[test]
    fn stamps_keep_what_the_row_knew() {
        assert_eq!(stamp(from_micros(1_776_240_000_010_000)), "2026-04-15T08:00:00.010Z");
        assert_eq!(stamp(from_micros(1_776_240_000_010_001)), "2026-04-15T08:00:00.010001Z");
    }
}
