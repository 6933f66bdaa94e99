//! The days of somebody's zone, counted from 1970, with the moments at which they begin.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// Some days that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneDays {
    /// Where each begins, and where the last one ends.
    bounds: Vec<Timestamp>,
    /// The number of the first.
    first: i64,
}

impl ZoneDays {
    /// So many days of a zone, the last of which is that of a moment.
    pub fn up_to(now: Timestamp, zone: &TimeZone, count: u16) -> Self {
        let before = i64::from(count.max(1)) - 1;
        let first = now.to_zoned(zone.clone()).date().saturating_sub(before.days());
        let begin = |n: i64| first.saturating_add(n.days()).to_zoned(zone.clone()).map_or(now, |begin| begin.timestamp());
        ZoneDays { bounds: (0..=before + 1).map(begin).collect(), first: number(first) }
    }

    /// When the first begins.
    pub fn begin(&self) -> Timestamp {
        self.bounds.first().copied().unwrap_or(Timestamp::MIN)
    }

    /// When the last one ends.
    pub fn end(&self) -> Timestamp {
        self.bounds.last().copied().unwrap_or(Timestamp::MAX)
    }

    /// The number of the last.
    pub fn last(&self) -> i64 {
        self.first.saturating_add(self.bounds.len() as i64).saturating_sub(2)
    }

    /// The number of the day of a moment, where it is one of these.
    pub fn number_of(&self, at: Timestamp) -> Option<i64> {
        let begun = self.bounds.partition_point(|begin| *begin <= at);
        (1..self.bounds.len()).contains(&begun).then(|| self.first.saturating_add(begun as i64).saturating_sub(1))
    }
}

/// The number of a day; 1970 begins with 0.
fn number(day: Date) -> i64 {
    day.duration_since(Date::constant(1970, 1, 1)).as_hours().div_euclid(24)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn days(zone: &str, now: &str, count: u16) -> ZoneDays {
        ZoneDays::up_to(at(now), &TimeZone::get(zone).unwrap(), count)
    }

    #[test]
    fn a_day_is_that_of_its_zone() {
        let utc = days("UTC", "1970-01-03T12:00:00Z", 2);
        assert_eq!((utc.begin(), utc.end(), utc.last()), (at("1970-01-02T00:00:00Z"), at("1970-01-04T00:00:00Z"), 2));
        // Half an hour into the day of the clocks going forward, which has 23 hours.
        let berlin = days("Europe/Berlin", "2026-03-28T23:30:00Z", 3);
        assert_eq!((berlin.begin(), berlin.end()), (at("2026-03-26T23:00:00Z"), at("2026-03-29T22:00:00Z")));
        let last = berlin.last();
        for (moment, number) in [
            ("2026-03-26T22:59:59Z", None),
            ("2026-03-26T23:00:00Z", Some(last - 2)),
            ("2026-03-28T22:59:59Z", Some(last - 1)),
            ("2026-03-28T23:00:00Z", Some(last)),
            ("2026-03-29T21:59:59Z", Some(last)),
            ("2026-03-29T22:00:00Z", None),
        ] {
            assert_eq!(berlin.number_of(at(moment)), number, "{moment}");
        }
        // Days that begin at a quarter of an hour of UTC.
        assert_eq!(days("Asia/Kathmandu", "2026-04-15T18:20:00Z", 1).begin(), at("2026-04-15T18:15:00Z"));
    }

    #[test]
    fn there_is_a_day_at_every_end_of_time() {
        for now in [Timestamp::MIN, Timestamp::MAX] {
            let days = ZoneDays::up_to(now, &TimeZone::UTC, 0);
            assert!(days.begin() <= now && days.end() >= days.begin());
        }
    }
}
