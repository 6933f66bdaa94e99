//! When a mission runs next (docs/design.md, section 6).

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde_json::Value;

use super::change::Found;
use super::fields::whole;
use super::zone;

/// How often a mission runs.
#[derive(Debug, Clone)]
pub struct Cadence {
    kind: CadenceKind,
    /// Its own zone; `None` takes the configured one.
    zone: Option<TimeZone>,
}

#[derive(Debug, Clone)]
enum CadenceKind {
    Manual,
    Interval {
        every: SignedDuration,
    },
    Daily {
        hour: i8,
        minute: i8,
    },
    /// `day`: 0 is Sunday.
    Weekly {
        day: i8,
        hour: i8,
        minute: i8,
    },
    /// `every_hour`: its hour field is a wildcard or a step, so it follows the passing of time and not the clock on the wall.
    Cron {
        cron: Box<Cron>,
        every_hour: bool,
    },
}

/// Why a cadence cannot be followed. It counts as manual then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadCadence {
    #[error("the cadence is {0}, but must be an object with a `kind`")]
    NotAnObject(Found),
    #[error("the cadence kind is {0}, but must be manual, interval, daily, weekly or cron")]
    Kind(Found),
    #[error("`{field}` of the cadence is {found}, but must be {allowed}")]
    Field { field: &'static str, found: Found, allowed: &'static str },
    #[error("{name:?} isn't a time zone{}", .suggestion.as_ref().map_or_else(|| "; name one such as Europe/Berlin".into(), |zone| format!(". Did you mean {zone}?")))]
    Zone { name: String, suggestion: Option<String> },
    #[error("the cron expression {expression:?} cannot be read: {reason}")]
    Cron { expression: String, reason: CronFault },
}

/// Why a cron expression cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CronFault {
    #[error("it must have 5 fields: minute, hour, day of month, month, day of week")]
    Fields,
    /// What its reader says.
    #[error("{0}")]
    Unreadable(String),
}

/// The next time of a cadence after a run, and how many due times went by unserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumption {
    pub next: Option<Timestamp>,
    /// Counted up to [`MISSED_COUNTED`].
    pub missed: u32,
}

/// Beyond this many, missed times are no longer counted one by one.
pub const MISSED_COUNTED: u32 = 1_000;

/// A hundred years: no cadence is slower.
const MAX_MINUTES: u64 = 100 * 366 * 24 * 60;

impl Cadence {
    /// Reads a cadence as clients write it; null is manual.
    ///
    /// # Errors
    /// [`BadCadence`] says which field is wrong and what is allowed.
    pub fn read(value: &Value) -> Result<Self, BadCadence> {
        if value.is_null() {
            return Ok(Cadence { kind: CadenceKind::Manual, zone: None });
        }
        let Value::Object(object) = value else { return Err(BadCadence::NotAnObject(Found::value(value))) };
        let field = |field: &'static str, optional: bool, max: u64, allowed: &'static str| match object.get(field) {
            None | Some(Value::Null) if optional => Ok(0),
            found => {
                let found = found.unwrap_or(&Value::Null);
                whole(found).filter(|n| *n <= max).and_then(|n| i8::try_from(n).ok()).ok_or_else(|| BadCadence::Field {
                    field,
                    found: Found::value(found),
                    allowed,
                })
            }
        };
        let hour = || field("atHour", false, 23, "a whole number from 0 to 23");
        let minute = || field("atMinute", true, 59, "a whole number from 0 to 59");
        let name = object.get("kind").unwrap_or(&Value::Null);
        let kind = match name.as_str() {
            Some("manual") => CadenceKind::Manual,
            Some("interval") => {
                let found = object.get("everyMinutes").unwrap_or(&Value::Null);
                let minutes = whole(found).filter(|n| (1..=MAX_MINUTES).contains(n)).ok_or_else(|| BadCadence::Field {
                    field: "everyMinutes",
                    found: Found::value(found),
                    allowed: "a whole number of at least 1",
                })?;
                CadenceKind::Interval { every: SignedDuration::from_mins(minutes as i64) }
            }
            Some("daily") => CadenceKind::Daily { hour: hour()?, minute: minute()? },
            Some("weekly") => CadenceKind::Weekly {
                day: field("dayOfWeek", false, 6, "a whole number from 0 (Sunday) to 6")?,
                hour: hour()?,
                minute: minute()?,
            },
            Some("cron") => {
                let found = object.get("expression").unwrap_or(&Value::Null);
                let expression = found.as_str().ok_or_else(|| BadCadence::Field {
                    field: "expression",
                    found: Found::value(found),
                    allowed: "a cron expression of 5 fields",
                })?;
                CadenceKind::Cron {
                    cron: Box::new(parse_cron(expression)?),
                    every_hour: expression.split_whitespace().nth(1).is_some_and(|hours| hours.starts_with('*')),
                }
            }
            _ => return Err(BadCadence::Kind(Found::value(name))),
        };
        let zone = match object.get("timeZone") {
            None | Some(Value::Null) => None,
            // Some clients say so that there is none.
            Some(Value::String(name)) if name.trim().is_empty() => None,
            Some(Value::String(name)) => Some(
                zone::find(name)
                    .ok_or_else(|| BadCadence::Zone { name: name.chars().take(80).collect(), suggestion: zone::suggest(name) })?,
            ),
            Some(found) => {
                return Err(BadCadence::Field {
                    field: "timeZone",
                    found: Found::value(found),
                    allowed: "an IANA time zone such as Europe/Berlin",
                });
            }
        };
        Ok(Cadence { kind, zone })
    }

    /// Its own zone.
    pub fn zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// Whether it has no times of its own.
    pub fn is_manual(&self) -> bool {
        matches!(self.kind, CadenceKind::Manual)
    }

    /// The first time strictly after `from`; wall-clock kinds without a zone of their own use `zone`.
    /// `None`: never again by itself.
    pub fn next(&self, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(zone);
        match &self.kind {
            CadenceKind::Manual => None,
            CadenceKind::Interval { every } => from.checked_add(*every).ok(),
            CadenceKind::Daily { hour, minute } => next_day(from, zone, *hour, *minute, |_| true),
            CadenceKind::Weekly { day, hour, minute } => {
                next_day(from, zone, *hour, *minute, |date| date.weekday().to_sunday_zero_offset() == *day)
            }
            CadenceKind::Cron { cron, every_hour: true } => next_cron_by_time(cron, from, zone),
            CadenceKind::Cron { cron, every_hour: false } => next_cron(cron, from, zone),
        }
    }

    /// Where to go on after a run that was scheduled for `scheduled` and ends at `now`: the first time of the series
    /// strictly after `now`. Times in between run once, by the run that just ended, and are counted as missed.
    pub fn resume(&self, scheduled: Timestamp, now: Timestamp, zone: &TimeZone) -> Resumption {
        if let CadenceKind::Interval { every } = self.kind {
            let late = now.duration_since(scheduled).as_micros().max(0);
            let missed = late / every.as_micros().max(1);
            let next = i64::try_from((missed + 1) * every.as_micros())
                .ok()
                .and_then(|micros| scheduled.checked_add(SignedDuration::from_micros(micros)).ok());
            return Resumption { next, missed: missed.min(MISSED_COUNTED.into()) as u32 };
        }
        let mut missed = 0;
        let mut next = self.next(scheduled, zone);
        while let Some(at) = next.filter(|at| *at <= now) {
            missed += 1;
            next = if missed < MISSED_COUNTED { self.next(at, zone) } else { self.next(now, zone) };
        }
        Resumption { next, missed }
    }
}

fn parse_cron(expression: &str) -> Result<Cron, BadCadence> {
    let bad = |reason| BadCadence::Cron { expression: expression.chars().take(80).collect(), reason };
    if expression.split_whitespace().count() != 5 {
        return Err(bad(CronFault::Fields));
    }
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
        .parse(expression)
        .map_err(|error| bad(CronFault::Unreadable(error.to_string())))
}

/// A local time that a gap skips moves forward by the gap; one that occurs twice takes the first.
fn instant(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_ambiguous_timestamp(local).compatible().ok()
}

fn next_day(from: Timestamp, zone: &TimeZone, hour: i8, minute: i8, wanted: impl Fn(Date) -> bool) -> Option<Timestamp> {
    // From the day before, because a gap may have moved a time of that day beyond `from`.
    let mut day = zone.to_datetime(from).date().yesterday().ok()?;
    for _ in 0..10 {
        if wanted(day)
            && let Some(at) = instant(day.at(hour, minute, 0, 0), zone).filter(|at| *at > from)
        {
            return Some(at);
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// Cron fields name local times, so they are searched on the local clock and resolved in the zone afterwards.
fn next_cron(cron: &Cron, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    // After a recent change of the clock, times before it may still lie ahead.
    let changed =
        zone.preceding(from).next().map(|change| change.timestamp()).filter(|at| from.duration_since(*at) < SignedDuration::from_hours(25));
    let start = changed.and_then(|at| at.checked_sub(1.nanosecond()).ok()).unwrap_or(from);
    let mut local = zone.to_datetime(start);
    loop {
        local = cron.find_next_occurrence(&local, false).ok()?;
        if let Some(at) = instant(local, zone).filter(|at| *at > from) {
            return Some(at);
        }
    }
}

/// Where the hour is a wildcard or a step, an hour that comes twice is gone through twice, and one that is skipped has no
/// times, as cronie does. Between two changes of the clock, local times are a fixed distance from the instants.
fn next_cron_by_time(cron: &Cron, from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let (mut start, mut since, mut offset) = (from, from, zone.to_offset(from));
    for _ in 0..CHANGES_SEARCHED {
        let change = zone.following(since).next().map(|change| change.timestamp());
        let local = cron.find_next_occurrence(&offset.to_datetime(start), false).ok()?;
        let at = offset.to_timestamp(local).ok()?;
        let Some(change) = change.filter(|change| at >= *change) else { return Some(at) };
        // Its own moment is told by the clock after it.
        (start, since, offset) = (change.checked_sub(1.nanosecond()).ok()?, change, zone.to_offset(change));
    }
    None
}

/// Changes of the clock within which a time is searched: a 29th of February may be 8 years away, and a zone may change its
/// clock a few times a year.
const CHANGES_SEARCHED: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time;
    use serde_json::json;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn check(cadence: Value, zone: &str, from: &str, expected: &[&str]) {
        let cadence = Cadence::read(&cadence).unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let mut from = at(from);
        for expected in expected {
            from = cadence.next(from, &zone).unwrap();
            assert_eq!(from, at(expected), "{}", time::iso_millis(from));
        }
    }

    #[test]
    fn a_skipped_local_time_moves_forward_by_the_gap() {
        let expected = ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"];
        check(json!({"kind": "daily", "atHour": 2, "atMinute": 30}), "Europe/Berlin", "2026-03-27T12:00:00Z", &expected);
        check(json!({"kind": "cron", "expression": "30 2 * * *"}), "Europe/Berlin", "2026-03-27T12:00:00Z", &expected);
        check(json!({"kind": "cron", "expression": "30 2 * * *"}), "Europe/Berlin", "2026-03-29T01:10:00Z", &expected[1..]);
    }

    #[test]
    fn a_repeated_local_time_takes_the_first() {
        let expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        check(json!({"kind": "daily", "atHour": 2, "atMinute": 30}), "Europe/Berlin", "2026-10-24T12:00:00Z", &expected);
        check(json!({"kind": "cron", "expression": "30 2 * * *"}), "Europe/Berlin", "2026-10-24T12:00:00Z", &expected);
        check(
            json!({"kind": "cron", "expression": "*/30 2 * * *"}),
            "Europe/Berlin",
            "2026-10-25T00:10:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"],
        );
    }

    #[test]
    fn a_wildcard_hour_goes_on_through_both_hours_and_over_the_gap() {
        let every = |expression: &str, zone: &str, from: &str, expected: &[&str]| {
            check(json!({"kind": "cron", "expression": expression}), zone, from, expected);
        };
        let twice = ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
        every("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", &twice);
        every("0 */1 * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", &["2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"]);
        every(
            "30 */2 * * *",
            "Europe/Berlin",
            "2026-10-24T23:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T03:30:00Z"],
        );
        every(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:15:00Z",
            &["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        );
        every("15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00:00Z", &["2026-04-04T14:15:00Z", "2026-04-04T15:45:00Z"]);
        every("0 * 29 2 *", "Europe/Berlin", "2026-01-01T00:00:00Z", &["2028-02-28T23:00:00Z"]);
        let never = Cadence::read(&json!({"kind": "cron", "expression": "0 * 30 2 *"})).unwrap();
        assert_eq!(never.next(at("2026-01-01T00:00:00Z"), &TimeZone::get("Europe/Berlin").unwrap()), None);
    }

    #[test]
    fn a_whole_skipped_day_is_crossed() {
        // Samoa had no 30 December 2011.
        check(
            json!({"kind": "cron", "expression": "0 12 * * *"}),
            "Pacific/Apia",
            "2011-12-30T00:00:00Z",
            &["2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"],
        );
    }

    #[test]
    fn the_cadences_own_zone_comes_first() {
        check(
            json!({"kind": "daily", "atHour": 8, "timeZone": "Asia/Tokyo"}),
            "Europe/Berlin",
            "2026-04-15T00:00:00Z",
            &["2026-04-15T23:00:00Z"],
        );
        check(json!({"kind": "weekly", "dayOfWeek": 0, "atHour": 8}), "UTC", "2026-04-19T08:00:00Z", &["2026-04-26T08:00:00Z"]);
    }

    #[test]
    fn cron_knows_steps_lists_and_names() {
        check(
            json!({"kind": "cron", "expression": "*/15 9-10 * * MON,fri"}),
            "UTC",
            "2026-04-13T09:50:00Z",
            &["2026-04-13T10:00:00Z", "2026-04-13T10:15:00Z"],
        );
        check(json!({"kind": "cron", "expression": "0 0 29 2 *"}), "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
        check(
            json!({"kind": "cron", "expression": "0 0 13 * 5"}),
            "UTC",
            "2026-04-12T00:00:00Z",
            &["2026-04-13T00:00:00Z", "2026-04-17T00:00:00Z"],
        );
        let never = Cadence::read(&json!({"kind": "cron", "expression": "0 0 30 2 *"})).unwrap();
        assert_eq!(never.next(at("2026-01-01T00:00:00Z"), &TimeZone::UTC), None);
    }

    fn bad(cadence: Value, expected: &str) {
        assert_eq!(Cadence::read(&cadence).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_broken_cadence_says_what_is_allowed() {
        bad(json!("daily"), "the cadence is \"daily\", but must be an object with a `kind`");
        bad(json!({"kind": "hourly"}), "the cadence kind is \"hourly\", but must be manual, interval, daily, weekly or cron");
        bad(json!({"kind": "daily"}), "`atHour` of the cadence is null, but must be a whole number from 0 to 23");
        bad(json!({"kind": "daily", "atHour": 24}), "`atHour` of the cadence is the number 24, but must be a whole number from 0 to 23");
        bad(
            json!({"kind": "interval", "everyMinutes": 0}),
            "`everyMinutes` of the cadence is the number 0, but must be a whole number of at least 1",
        );
        bad(
            json!({"kind": "weekly", "dayOfWeek": 7, "atHour": 1}),
            "`dayOfWeek` of the cadence is the number 7, but must be a whole number from 0 (Sunday) to 6",
        );
        bad(
            json!({"kind": "daily", "atHour": 8, "timeZone": "Mars/Olympus"}),
            "\"Mars/Olympus\" isn't a time zone; name one such as Europe/Berlin",
        );
        bad(
            json!({"kind": "cron", "expression": "* * * * * *"}),
            "the cron expression \"* * * * * *\" cannot be read: it must have 5 fields: minute, hour, day of month, month, day of week",
        );
        assert!(Cadence::read(&json!({"kind": "cron", "expression": "99 * * * *"})).is_err());
    }

    fn resume(cadence: Value, scheduled: &str, now: &str, next: &str, missed: u32) {
        let resumption = Cadence::read(&cadence).unwrap().resume(at(scheduled), at(now), &TimeZone::UTC);
        assert_eq!(resumption, Resumption { next: Some(at(next)), missed });
    }

    #[test]
    fn missed_times_are_counted_and_run_once() {
        let hourly = json!({"kind": "interval", "everyMinutes": 60});
        resume(hourly.clone(), "2026-04-15T08:00:00Z", "2026-04-15T08:00:10Z", "2026-04-15T09:00:00Z", 0);
        resume(hourly.clone(), "2026-04-15T08:00:00Z", "2026-04-15T11:30:00Z", "2026-04-15T12:00:00Z", 3);
        resume(hourly, "2026-04-15T08:00:00Z", "2026-04-15T09:00:00Z", "2026-04-15T10:00:00Z", 1);
        let daily = json!({"kind": "daily", "atHour": 8});
        resume(daily, "2026-04-15T08:00:00Z", "2026-04-18T09:00:00Z", "2026-04-19T08:00:00Z", 3);
        let cron = json!({"kind": "cron", "expression": "* * * * *"});
        resume(cron, "2026-04-15T08:00:00Z", "2026-04-18T09:00:30Z", "2026-04-18T09:01:00Z", MISSED_COUNTED);
    }
}
