//! How long a failed attempt waits before the next (docs/design.md, section 6).

use jiff::{SignedDuration, Timestamp};

/// The bounds of the waiting time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub base: SignedDuration,
    /// No wait is longer.
    pub max: SignedDuration,
}

impl Backoff {
    /// The wait after `failed` failed attempts (1 after the first): base doubled each time, capped, and then spread
    /// over its upper half by `jitter` in 0..=1, so that missions that failed together do not come back together.
    pub fn wait(&self, failed: u32, jitter: f64) -> SignedDuration {
        let doubled = 2_i64.checked_pow(failed.saturating_sub(1)).unwrap_or(i64::MAX);
        let millis = i64::try_from(self.base.as_millis()).unwrap_or(i64::MAX).saturating_mul(doubled);
        let capped = i128::from(millis).min(self.max.as_millis()) as f64;
        SignedDuration::from_millis((capped * (0.5 + jitter.clamp(0.0, 1.0) / 2.0)) as i64)
    }
}

/// By so much a clock may be corrected without ending every wait.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// Whether a wait that ends `at` still goes on at `now`. No wait is longer than `longest`; one that seems so was set by a
/// clock that was ahead, and is over.
pub fn still_waits(at: Timestamp, now: Timestamp, longest: SignedDuration) -> bool {
    at > now && at.duration_since(now) <= longest.saturating_add(SLACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_its_time_or_was_set_by_a_wrong_clock() {
        let now: Timestamp = "2026-04-15T08:00:00Z".parse().unwrap();
        let hour = SignedDuration::from_hours(1);
        for (at, waits) in [(now, false), (now + hour, true), (now + hour * 2, false), (now - hour, false)] {
            assert_eq!(still_waits(at, now, hour), waits, "{at}");
        }
    }

    #[test]
    fn waits_double_up_to_the_cap_and_spread_over_the_upper_half() {
        let backoff = Backoff { base: SignedDuration::from_secs(30), max: SignedDuration::from_hours(1) };
        for (failed, jitter, seconds) in [
            (1, 1.0, 30),
            (2, 1.0, 60),
            (3, 1.0, 120),
            (5, 1.0, 480),
            (8, 1.0, 3600),
            (200, 1.0, 3600),
            (1, 0.0, 15),
            (2, 0.5, 45),
            (0, 1.0, 30),
        ] {
            assert_eq!(backoff.wait(failed, jitter), SignedDuration::from_secs(seconds), "{failed} failures, jitter {jitter}");
        }
    }
}
