//! Times of what takes whole days: forms show and take days, of which the last is meant too. What is stored goes from the begin of
//! the first day to the begin of the day after the last, in no zone, as iCalendar has it; others end it within the last day.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::domain::time;
use crate::modules::{FieldKind, FieldSpec};

/// What says that something takes whole days, when it begins, and when it ends: in a record, and in the parameters of a tool.
const NAMES: [[&str; 3]; 2] = [["allDay", "startDate", "endDate"], ["isAllDay", "startTime", "endTime"]];

/// A time of something that may take whole days.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    First,
    Last,
}

/// Which time a field is.
fn bound(field: &FieldSpec) -> Option<Bound> {
    let is = |place: usize| field.kind == FieldKind::Time && NAMES.iter().any(|names| names[place] == field.name);
    if is(1) { Some(Bound::First) } else { is(2).then_some(Bound::Last) }
}

/// Whether a field says that something takes whole days.
pub(super) fn is_switch(field: &FieldSpec) -> bool {
    field.kind == FieldKind::Flag && NAMES.iter().any(|[switch, ..]| *switch == field.name)
}

/// Whether a field is one of the times that become days.
pub(super) fn is_time(field: &FieldSpec) -> bool {
    bound(field).is_some()
}

/// The field as something has it that takes whole days.
pub(super) fn in_days(field: &FieldSpec, takes_whole_days: bool) -> FieldSpec {
    let kind = if takes_whole_days && is_time(field) { FieldKind::Day } else { field.kind };
    FieldSpec { kind, ..field.clone() }
}

/// What takes whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WholeDays {
    first: Option<Date>,
}

impl WholeDays {
    /// Of values by their names; `None` where they take no whole days.
    pub fn of<'v>(values: impl Iterator<Item = (&'v str, &'v Value)> + Clone) -> Option<Self> {
        let named = |place: usize, name: &str| NAMES.iter().any(|names| names[place] == name);
        let takes_whole_days = values.clone().any(|(name, value)| named(0, name) && *value == Value::Bool(true));
        let first = values.clone().find(|(name, _)| named(1, name)).and_then(|(_, value)| written_day(value));
        takes_whole_days.then_some(WholeDays { first })
    }

    /// A value as it is shown: of a time its day.
    pub fn shown(self, name: &str, value: &Value) -> Value {
        let is = |place: usize| NAMES.iter().any(|names| names[place] == name);
        let day = written_day(value).filter(|_| is(1) || is(2));
        let day = day.map(|day| if is(2) { self.last(day, value) } else { day });
        day.map_or_else(|| value.clone(), |day| day.to_string().into())
    }

    /// The last day of what ends at a time of this day.
    fn last(self, day: Date, stored: &Value) -> Date {
        let is_begin = stored.as_str().and_then(|text| text.get(11..16)) == Some("00:00");
        // What begins and ends at once takes the day on which it does.
        if is_begin && self.first.is_some_and(|first| first < day) { day.yesterday().unwrap_or(day) } else { day }
    }
}

/// The day that a stored time names, in the zone in which it is written.
fn written_day(stored: &Value) -> Option<Date> {
    stored.as_str()?.get(..10)?.parse().ok()
}

/// What is stored of a time that a form says: a day, or a time in the zone of the form. `None` where it is neither, or no such
/// field.
pub(super) fn stored(field: &FieldSpec, text: &str, takes_whole_days: bool, zone: &TimeZone) -> Option<Value> {
    let (bound, text) = (bound(field)?, text.trim());
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let at: Timestamp = match (day, takes_whole_days) {
        (Some(day), true) => begin(bound, day)?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        (Some(day), false) => begin(bound, day)?.to_zoned(zone.clone()).ok()?.timestamp(),
        (None, true) => {
            let local: DateTime = text.parse().ok()?;
            // The end of a day is where the next one begins.
            let is_begin = bound == Bound::Last && local.time() == Time::midnight();
            let day = if is_begin { local.date().yesterday().ok()? } else { local.date() };
            begin(bound, day)?.to_zoned(TimeZone::UTC).ok()?.timestamp()
        }
        (None, false) => text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp(),
    };
    Some(time::iso_millis(at).into())
}

/// Where a first day begins, or the day after a last one.
fn begin(bound: Bound, day: Date) -> Option<DateTime> {
    let day = if bound == Bound::Last { day.checked_add(1.day()).ok()? } else { day };
    Some(day.to_datetime(Time::midnight()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(name: &str) -> FieldSpec {
        serde_json::from_value(json!({"name": name, "kind": "time"})).unwrap()
    }

    #[test]
    fn whole_days_are_shown_as_days_and_stay_what_they_are() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (start, end, days) in [
            ("2026-04-20T00:00:00.000Z", "2026-04-21T00:00:00.000Z", ["2026-04-20", "2026-04-20"]),
            ("2026-04-20T00:00:00+02:00", "2026-04-22T00:00:00+02:00", ["2026-04-20", "2026-04-21"]),
            ("2026-04-20T00:00:00Z", "2026-04-20T23:59:00Z", ["2026-04-20", "2026-04-20"]),
            ("2026-04-20T00:00:00Z", "2026-04-20T00:00:00Z", ["2026-04-20", "2026-04-20"]),
            ("2026-04-20", "2026-04-21", ["2026-04-20", "2026-04-21"]),
        ] {
            let values = [("allDay", json!(true)), ("startDate", json!(start)), ("endDate", json!(end))];
            let whole = WholeDays::of(values.iter().map(|(name, value)| (*name, value))).unwrap();
            let shown = ["startDate", "endDate"].map(|name| whole.shown(name, &values.iter().find(|(of, _)| *of == name).unwrap().1));
            assert_eq!(shown, days.map(|day| json!(day)), "{start} {end}");
            let kept = stored(&field("endDate"), days[1], true, &zone).unwrap();
            assert_eq!(whole.shown("endDate", &kept), json!(days[1]), "{kept}");
        }
        let is_whole = |switch: &str, value: Value| WholeDays::of([(switch, &value)].into_iter()).is_some();
        assert!(is_whole("isAllDay", json!(true)) && !is_whole("allDay", json!(false)) && !is_whole("isLive", json!(true)));
        let whole = WholeDays { first: None };
        assert_eq!(
            (whole.shown("startDate", &json!("soon")), whole.shown("title", &json!("2026-04-20T"))),
            (json!("soon"), json!("2026-04-20T"))
        );
    }

    #[test]
    fn what_becomes_whole_days_or_ceases_to_goes_by_the_days_of_the_form() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        for (name, text, takes_whole_days, kept_as) in [
            ("startDate", "2026-04-20T00:30", true, "2026-04-20T00:00:00.000Z"),
            ("endDate", "2026-04-20T23:30", true, "2026-04-21T00:00:00.000Z"),
            ("endDate", "2026-04-21T00:00", true, "2026-04-21T00:00:00.000Z"),
            ("startDate", "2026-04-20", false, "2026-04-19T22:00:00.000Z"),
            ("endDate", "2026-04-20", false, "2026-04-20T22:00:00.000Z"),
            ("endDate", "2026-04-20T10:00", false, "2026-04-20T08:00:00.000Z"),
        ] {
            assert_eq!(stored(&field(name), text, takes_whole_days, &zone), Some(json!(kept_as)), "{name} {text}");
        }
        assert_eq!(stored(&field("startDate"), "soon", true, &zone), None);
        assert_eq!(stored(&field("completedAt"), "2026-04-20", true, &zone), None);
        assert_eq!(stored(&field("endDate"), "9999-12-31", true, &zone), None);
    }
}
