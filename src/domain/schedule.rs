//! Next times that the program sets outside of a run (docs/design.md, section 6).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::cadence::Cadence;
use super::mission::{Mission, MissionState};
use super::time::iso_millis;

/// By so much a clock may be corrected without a new next time.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// The next time of a mission that has none and whose schedule has times. Some clients leave it to the server.
pub fn first_time(mission: &Mission, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    mission.lacks_time().then(|| Cadence::read(&mission.cadence).ok()?.next(now, zone)).flatten()
}

/// The next time of a mission whose time was set by a clock that was ahead: it lies further ahead than the schedule's own
/// next time, and is the one that the program set after the run for `scheduled_for`, which ended at `finished_at`. No
/// mark tells who set a time; but what the program sets follows from these two. A time of the user's own stays.
pub fn time_again(
    mission: &Mission,
    scheduled_for: Timestamp,
    finished_at: Timestamp,
    now: Timestamp,
    zone: &TimeZone,
) -> Option<Timestamp> {
    let set = mission.next_run_at.filter(|_| mission.state == MissionState::Active)?;
    let cadence = Cadence::read(&mission.cadence).ok()?;
    let next = cadence.next(now, zone)?;
    let by_program = cadence.resume(scheduled_for, finished_at, zone).next?;
    (iso_millis(by_program) == iso_millis(set) && set.duration_since(next) > SLACK).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn mission(record: Value) -> Mission {
        Mission::read("m", &record.as_object().unwrap().into()).0
    }

    #[test]
    fn a_schedule_with_times_gets_its_first() {
        let first = |cadence: Value, more: Value| {
            let mut record = json!({"state": "active", "cadence": cadence});
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            first_time(&mission(record), at("2026-04-15T08:00:00Z"), &TimeZone::UTC).map(iso_millis)
        };
        let cron = json!({"kind": "cron", "expression": "30 9 * * *"});
        assert_eq!(first(cron.clone(), json!({})), Some("2026-04-15T09:30:00.000Z".into()));
        assert_eq!(first(cron.clone(), json!({"nextRunAt": ""})), Some("2026-04-15T09:30:00.000Z".into()));
        assert_eq!(first(json!({"kind": "interval", "everyMinutes": 60}), json!({})), Some("2026-04-15T09:00:00.000Z".into()));
        assert_eq!(first(cron.clone(), json!({"nextRunAt": "2030-01-01T00:00:00Z"})), None);
        assert_eq!(first(cron, json!({"state": "paused"})), None);
        for none in [json!({"kind": "manual"}), json!(null), json!({"kind": "cron", "expression": "0 0 30 2 *"}), json!({"kind": "cron"})] {
            assert_eq!(first(none, json!({})), None);
        }
    }

    /// The next time of a mission that ran for 8 o'clock on a clock that showed `ran`, and is looked at on another.
    fn again(cadence: Value, set: &str, ran: &str, now: &str) -> Option<String> {
        let mission = mission(json!({"state": "active", "cadence": cadence, "nextRunAt": set}));
        time_again(&mission, at("2026-04-15T08:00:00Z"), at(ran), at(now), &TimeZone::UTC).map(iso_millis)
    }

    #[test]
    fn a_time_that_a_clock_set_that_was_ahead_is_set_anew() {
        let hourly = json!({"kind": "interval", "everyMinutes": 60});
        let daily = json!({"kind": "daily", "atHour": 8});
        let (ahead, now) = ("2030-04-15T08:00:10Z", "2026-04-15T08:05:00Z");
        assert_eq!(again(hourly.clone(), "2030-04-15T09:00:00.000Z", ahead, now), Some("2026-04-15T09:05:00.000Z".into()));
        assert_eq!(again(daily, "2030-04-16T08:00:00Z", ahead, now), Some("2026-04-16T08:00:00.000Z".into()));
        let chosen = "2030-05-01T00:00:00.000Z";
        assert_eq!(again(hourly.clone(), chosen, ahead, now), None, "the user chose another time");
        let right = "2026-04-15T08:00:10Z";
        assert_eq!(again(hourly.clone(), "2026-04-15T09:00:00.000Z", right, "2026-04-15T07:59:50Z"), None, "a corrected clock");
        assert_eq!(again(hourly, "2026-04-15T09:00:00.000Z", right, now), None);
        let yearly = json!({"kind": "cron", "expression": "0 8 15 4 *"});
        assert_eq!(again(yearly, "2027-04-15T08:00:00.000Z", right, now), None, "far ahead, and right");
    }
}
