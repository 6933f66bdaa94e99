//! How much one user may put into the log.

use super::ids::UserId;

use std::collections::HashMap;

use jiff::Timestamp;

/// The ceilings of every user; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCeilings {
    /// Rows in the log.
    pub rows: Option<u64>,
    /// Bytes of their contents.
    pub bytes: Option<u64>,
    /// Rows that may be pushed in a minute.
    pub rows_per_minute: Option<u64>,
}

/// What a user has in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogUsage {
    pub rows: u64,
    pub bytes: u64,
}

/// A ceiling that a push would pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverCeiling {
    Rows {
        allowed: u64,
    },
    Bytes {
        allowed: u64,
    },
    RowsPerMinute {
        allowed: u64,
        /// Seconds until there is room again.
        again_in: u64,
    },
}

impl std::fmt::Display for OverCeiling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OverCeiling::Rows { allowed } => write!(f, "this user may have {allowed} rows in the log (USER_MAX_ROWS)"),
            OverCeiling::Bytes { allowed } => write!(f, "this user may have {allowed} bytes in the log (USER_MAX_BYTES)"),
            OverCeiling::RowsPerMinute { allowed, again_in } => {
                write!(f, "this user may push {allowed} rows a minute (USER_MAX_ROWS_PER_MINUTE); go on in {again_in} seconds")
            }
        }
    }
}

impl LogCeilings {
    /// Whether they bound what a user has in the log.
    pub fn bound_the_log(&self) -> bool {
        self.rows.is_some() || self.bytes.is_some()
    }

    /// Checks what a user would have after a push.
    ///
    /// # Errors
    /// The ceiling that it passes.
    pub fn check(&self, usage: LogUsage) -> Result<(), OverCeiling> {
        if let Some(allowed) = self.rows.filter(|allowed| usage.rows > *allowed) {
            return Err(OverCeiling::Rows { allowed });
        }
        match self.bytes.filter(|allowed| usage.bytes > *allowed) {
            Some(allowed) => Err(OverCeiling::Bytes { allowed }),
            None => Ok(()),
        }
    }
}

/// Rows that users pushed in the minute that runs.
#[derive(Debug, Default)]
pub struct PushRates {
    minute: i64,
    rows: HashMap<UserId, u64>,
}

impl PushRates {
    /// Counts rows of a user. A push alone may be larger than the ceiling, else a client that cannot split it would wait for ever.
    ///
    /// # Errors
    /// When the minute's rows are used up; nothing is counted then.
    pub fn count(&mut self, user: &UserId, rows: u64, allowed: Option<u64>, now: Timestamp) -> Result<(), OverCeiling> {
        let Some(allowed) = allowed else { return Ok(()) };
        let (minute, second) = (now.as_second().div_euclid(60), now.as_second().rem_euclid(60));
        if minute != self.minute {
            // A clock that goes back begins a minute too.
            self.minute = minute;
            self.rows.clear();
        }
        let used = self.rows.get(user).copied().unwrap_or_default();
        let then = used.saturating_add(rows);
        if used > 0 && then > allowed {
            return Err(OverCeiling::RowsPerMinute { allowed, again_in: u64::try_from(60 - second).unwrap_or(60) });
        }
        if rows > 0 {
            self.rows.insert(user.to_owned(), then);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_stays_below_each_ceiling() {
        let ceilings = LogCeilings { rows: Some(10), bytes: Some(100), rows_per_minute: None };
        for (rows, bytes, expected) in [
            (10, 100, Ok(())),
            (11, 100, Err(OverCeiling::Rows { allowed: 10 })),
            (10, 101, Err(OverCeiling::Bytes { allowed: 100 })),
            (u64::MAX, u64::MAX, Err(OverCeiling::Rows { allowed: 10 })),
        ] {
            assert_eq!(ceilings.check(LogUsage { rows, bytes }), expected, "{rows} {bytes}");
        }
        assert_eq!(LogCeilings::default().check(LogUsage { rows: u64::MAX, bytes: u64::MAX }), Ok(()));
    }

    #[test]
    fn a_minute_has_so_many_rows_and_the_next_one_again() {
        let mut rates = PushRates::default();
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut count = |user: &str, rows, second| rates.count(&user.into(), rows, Some(10), at(second)).is_ok();
        assert!(count("ada", 6, 0) && count("ada", 4, 1) && !count("ada", 1, 2), "used up");
        assert!(count("ada", 0, 2) && count("ben", 10, 2), "no row, and somebody else");
        assert!(count("ada", 500, 60), "the next minute, also more than it holds where that is one push");
        assert!(!count("ada", 1, 119) && count("ada", 1, 120));
        let refused = rates.count(&"ada".into(), 20, Some(10), at(135)).unwrap_err();
        assert_eq!(refused, OverCeiling::RowsPerMinute { allowed: 10, again_in: 45 });
        assert_eq!(rates.count(&"ada".into(), u64::MAX, None, at(136)), Ok(()));
    }
}
