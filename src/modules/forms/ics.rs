//! iCalendar (RFC 5545): the events of a calendar.

use icalendar::parser::{Component, Property, read_calendar, unfold};
use icalendar::{Component as _, Event};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{BadText, text};
use crate::domain::merge::Record;
use crate::domain::time;

/// Components within components; the library reads each level inside the one before it.
const DEEPEST: usize = 16;

/// Events as the parameters of the tool that makes them: title, startTime, endTime, isAllDay, location, description.
pub fn read(given: &str, zone: &TimeZone) -> Result<Vec<Record>, BadText> {
    let mut depth = 0_usize;
    for (n, line) in given.lines().enumerate() {
        if line.len() >= 6 && line.as_bytes()[..6].eq_ignore_ascii_case(b"BEGIN:") {
            depth += 1;
        } else if line.len() >= 4 && line.as_bytes()[..4].eq_ignore_ascii_case(b"END:") {
            depth = depth.saturating_sub(1);
        }
        if depth > DEEPEST {
            return Err(BadText::TooDeep { line: n + 1, deepest: DEEPEST });
        }
    }
    let unfolded = unfold(given);
    let calendar = read_calendar(&unfolded).map_err(|_| BadText::NoCalendar)?;
    let events = calendar.components.iter().filter(|component| component.name.as_str().eq_ignore_ascii_case("VEVENT"));
    events.enumerate().map(|(n, event)| record(event, zone).ok_or_else(|| BadText::NoTime(n + 1))).collect()
}

fn record(event: &Component<'_>, zone: &TimeZone) -> Option<Record> {
    let words = |name: &str| event.find_prop(name).map(|property| property.val.clone().unescape_text().as_str().to_owned());
    let (start, is_all_day) = moment(event.find_prop("DTSTART")?, zone)?;
    let end = match event.find_prop("DTEND").and_then(|property| moment(property, zone)) {
        Some((end, _)) => end,
        None if is_all_day => start.checked_add(SignedDuration::from_hours(24)).ok()?,
        None => start,
    };
    let mut record = Record::from_iter([
        ("title".to_owned(), Value::from(words("SUMMARY").filter(|title| !title.trim().is_empty()).unwrap_or_else(|| "Untitled".into()))),
        ("startTime".to_owned(), time::iso_millis(start).into()),
        ("endTime".to_owned(), time::iso_millis(end).into()),
        ("isAllDay".to_owned(), is_all_day.into()),
    ]);
    for (name, field) in [("LOCATION", "location"), ("DESCRIPTION", "description")] {
        if let Some(words) = words(name).filter(|words| !words.trim().is_empty()) {
            record.insert(field.to_owned(), words.into());
        }
    }
    Some(record)
}

/// The moment of a property, and whether it is a day: `20260420`, `20260420T080000Z`, or in the zone of its `TZID`, else the
/// user's.
fn moment(property: &Property<'_>, zone: &TimeZone) -> Option<(Timestamp, bool)> {
    let text = property.val.as_str();
    if text.len() == 8 {
        let date: Date = Date::strptime("%Y%m%d", text).ok()?;
        return Some((date.to_zoned(TimeZone::UTC).ok()?.timestamp(), true));
    }
    let (text, is_utc) = text.strip_suffix('Z').map_or((text, false), |text| (text, true));
    let local: DateTime = DateTime::strptime("%Y%m%dT%H%M%S", text).ok()?;
    let named = property.params.iter().find(|param| param.key.as_str().eq_ignore_ascii_case("TZID")).and_then(|param| param.val.as_ref());
    let zone = match (is_utc, named) {
        (true, _) => TimeZone::UTC,
        (false, Some(name)) => TimeZone::get(name.as_str().trim_matches('"')).unwrap_or_else(|_| zone.clone()),
        (false, None) => zone.clone(),
    };
    Some((local.to_zoned(zone).ok()?.timestamp(), false))
}

/// What stands around the events.
pub const BEGIN: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:mana-ai\r\n";
pub const END: &str = "END:VCALENDAR\r\n";

/// An event with the times of its block: id, title, startDate, endDate, allDay, location, description. One without a time is
/// nothing here.
pub fn write(record: &Record) -> String {
    let moment = |field: &str| time::parse_rfc3339(record.get(field)?.as_str()?);
    let Some(start) = moment("startDate") else { return String::new() };
    let is_all_day = record.get("allDay") == Some(&Value::Bool(true));
    let spelled = |at: Timestamp| at.strftime(if is_all_day { "%Y%m%d" } else { "%Y%m%dT%H%M%SZ" }).to_string();
    let mut event = Event::new();
    event.uid(&text(record.get("id"))).summary(&spelled_out(record.get("title")));
    for (name, at) in [("DTSTART", Some(start)), ("DTEND", moment("endDate"))] {
        let Some(at) = at else { continue };
        let mut property = icalendar::Property::new(name, spelled(at));
        if is_all_day {
            property.add_parameter("VALUE", "DATE");
        }
        event.append_property(property.done());
    }
    for (field, name) in [("location", "LOCATION"), ("description", "DESCRIPTION")] {
        let words = spelled_out(record.get(field));
        if !words.is_empty() {
            event.add_property(name, &words);
        }
    }
    // It is written into memory.
    event.done().try_into().unwrap_or_default()
}

/// A text whose backslashes are doubled (section 3.3.11); the library does the rest.
fn spelled_out(value: Option<&Value>) -> String {
    text(value).replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn events(body: &str) -> Value {
        let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n", body.replace('\n', "\r\n"));
        read(&text, &berlin()).unwrap().into_iter().map(Value::Object).collect()
    }

    #[test]
    fn times_are_read_in_their_zone() {
        let event = |start: &str| format!("BEGIN:VEVENT\nUID:1\n{start}\nDTEND:20260420T090000Z\nSUMMARY:A\\, b\nEND:VEVENT\n");
        for (start, expected) in [
            ("DTSTART:20260420T080000Z", "2026-04-20T08:00:00.000Z"),
            ("DTSTART;TZID=America/New_York:20260420T080000", "2026-04-20T12:00:00.000Z"),
            ("DTSTART:20260420T080000", "2026-04-20T06:00:00.000Z"),
        ] {
            let read = events(&event(start));
            assert_eq!((&read[0]["startTime"], &read[0]["title"]), (&json!(expected), &json!("A, b")), "{start}");
        }
        let day = events("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20260420\nSUMMARY:Day\nLOCATION:Here\nEND:VEVENT\n");
        let expected = json!({"title": "Day", "startTime": "2026-04-20T00:00:00.000Z", "endTime": "2026-04-21T00:00:00.000Z", "isAllDay": true, "location": "Here"});
        assert_eq!(day[0], expected);
    }

    #[test]
    fn what_is_no_calendar_or_nests_without_end_is_refused() {
        assert!(read("hello", &berlin()).is_err());
        let deep = "BEGIN:VEVENT\n".repeat(100_000);
        assert_eq!(read(&deep, &berlin()).unwrap_err(), BadText::TooDeep { line: 17, deepest: 16 });
        assert!(read("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:No time\nEND:VEVENT\nEND:VCALENDAR\n", &berlin()).is_err());
    }

    #[test]
    fn what_is_written_reads_back() {
        let record = json!({"id": "e", "title": "A, b; c\\n", "startDate": "2026-04-20T08:00:00.000Z", "endDate": "2026-04-20T09:00:00.000Z",
                            "location": "Room 1, left", "description": "two\nlines"});
        let read = read(&format!("{BEGIN}{}{END}", write(record.as_object().unwrap())), &berlin()).unwrap().remove(0);
        for (field, of) in [
            ("title", "title"),
            ("startTime", "startDate"),
            ("endTime", "endDate"),
            ("location", "location"),
            ("description", "description"),
        ] {
            assert_eq!(read[field], record[of], "{field}");
        }
    }
}
