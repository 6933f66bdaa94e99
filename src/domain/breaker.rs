//! A circuit breaker: after failures in a row, calls stop for a while, then one probe decides (docs/design.md, section 6).

use jiff::{SignedDuration, Timestamp};

use super::backoff::still_waits;

/// When the breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open.
    pub cooldown: SignedDuration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    Closed {
        failures: u32,
    },
    Open {
        until: Timestamp,
    },
    /// One probe is under way; should it never report, the next may go at `until`.
    HalfOpen {
        until: Timestamp,
    },
}

/// Its state as operators see it; the number is the value of the gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Closed = 0,
    HalfOpen = 1,
    Open = 2,
}

/// Whether a call may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    Go,
    /// Not before this time.
    Wait {
        until: Timestamp,
    },
}

#[derive(Debug, Clone)]
pub struct Breaker {
    limits: Limits,
    state: BreakerState,
}

impl Breaker {
    pub fn new(limits: Limits) -> Self {
        Breaker { limits, state: BreakerState::Closed { failures: 0 } }
    }

    pub fn position(&self) -> Position {
        match self.state {
            BreakerState::Closed { .. } => Position::Closed,
            BreakerState::HalfOpen { .. } => Position::HalfOpen,
            BreakerState::Open { .. } => Position::Open,
        }
    }

    /// Until when no call goes out, seen from `now`; it changes nothing.
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self.state {
            BreakerState::Open { until } | BreakerState::HalfOpen { until } if still_waits(until, now, self.limits.cooldown) => Some(until),
            _ => None,
        }
    }

    /// Asks whether a call may go out. After the cooldown one caller gets it, as the probe.
    pub fn try_acquire(&mut self, now: Timestamp) -> Permit {
        match (self.state, self.closed_until(now)) {
            (BreakerState::Closed { .. }, _) => Permit::Go,
            (_, Some(until)) => Permit::Wait { until },
            (_, None) => {
                self.state = BreakerState::HalfOpen { until: self.later(now) };
                Permit::Go
            }
        }
    }

    /// Until when no call goes out, whatever the clock says; `None` where it is closed.
    pub fn until(&self) -> Option<Timestamp> {
        match self.state {
            BreakerState::Open { until } | BreakerState::HalfOpen { until } => Some(until),
            BreakerState::Closed { .. } => None,
        }
    }

    /// Another process found the provider down; this one leaves it alone as well, unless it knows better already.
    pub fn close_until(&mut self, until: Timestamp) {
        if matches!(self.state, BreakerState::Closed { .. }) {
            self.state = BreakerState::Open { until };
        }
    }

    /// A call reached the provider.
    pub fn succeeded(&mut self) {
        self.state = BreakerState::Closed { failures: 0 };
    }

    /// A call did not reach the provider, or it answered with a failure of its own.
    pub fn failed(&mut self, now: Timestamp) {
        self.state = match self.state {
            BreakerState::Closed { failures } if failures + 1 < self.limits.failures => BreakerState::Closed { failures: failures + 1 },
            BreakerState::Open { until } => BreakerState::Open { until },
            BreakerState::Closed { .. } | BreakerState::HalfOpen { .. } => BreakerState::Open { until: self.later(now) },
        };
    }

    fn later(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.limits.cooldown).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn open_at_100() -> Breaker {
        let mut breaker = Breaker::new(Limits { failures: 3, cooldown: SignedDuration::from_secs(60) });
        for _ in 0..3 {
            assert_eq!(breaker.try_acquire(at(100)), Permit::Go);
            breaker.failed(at(100));
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let mut breaker = Breaker::new(Limits { failures: 3, cooldown: SignedDuration::from_secs(60) });
        breaker.failed(at(0));
        breaker.failed(at(0));
        breaker.succeeded();
        breaker.failed(at(0));
        breaker.failed(at(0));
        assert_eq!(breaker.position(), Position::Closed);
        breaker.failed(at(0));
        assert_eq!(breaker.position(), Position::Open);
    }

    #[test]
    fn after_the_cooldown_one_probe_goes() {
        let mut breaker = open_at_100();
        assert_eq!(breaker.try_acquire(at(159)), Permit::Wait { until: at(160) });
        assert_eq!(breaker.try_acquire(at(160)), Permit::Go);
        assert_eq!(breaker.try_acquire(at(161)), Permit::Wait { until: at(220) });
        breaker.succeeded();
        assert_eq!((breaker.position(), breaker.try_acquire(at(161))), (Position::Closed, Permit::Go));
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_a_lost_one_gives_way() {
        let mut failed = open_at_100();
        failed.try_acquire(at(160));
        failed.failed(at(165));
        assert_eq!(failed.try_acquire(at(170)), Permit::Wait { until: at(225) });
        let mut lost = open_at_100();
        lost.try_acquire(at(160));
        assert_eq!(lost.try_acquire(at(220)), Permit::Go);
    }

    #[test]
    fn late_failures_do_not_prolong_it() {
        let mut breaker = open_at_100();
        breaker.failed(at(150));
        assert_eq!(breaker.closed_until(at(150)), Some(at(160)));
    }
}
