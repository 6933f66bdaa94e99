//! How often a cadence runs, as people say it.

use serde_json::Value;

use super::cadence::{BadCadence, Cadence};

/// A pattern of times that has words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repetition {
    /// Only when somebody starts it.
    Manual,
    Minutes(u64),
    Hours(u64),
    Days(u64),
    /// Every hour, at a minute.
    Hourly(u8),
    Daily(TimeOfDay),
    /// From Monday to Friday.
    Weekdays(TimeOfDay),
    /// On days of the week; 0 is Sunday.
    Weekly(Vec<u8>, TimeOfDay),
    /// On a day of each month.
    Monthly(u8, TimeOfDay),
    /// A cron expression for which there are no words.
    Expression(String),
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeOfDay {
    pub hour: u8,
    pub minute: u8,
}

impl Repetition {
    /// Reads a cadence as clients write it.
    ///
    /// # Errors
    /// Where it cannot be followed.
    pub fn read(cadence: &Value) -> Result<Self, BadCadence> {
        Cadence::read(cadence)?;
        let number = |field: &str| cadence[field].as_f64().map_or(0, |number| number as u64);
        let clock = || TimeOfDay { hour: number("atHour") as u8, minute: number("atMinute") as u8 };
        Ok(match cadence["kind"].as_str().unwrap_or_default() {
            "interval" => match number("everyMinutes") {
                minutes if minutes % (24 * 60) == 0 => Repetition::Days(minutes / (24 * 60)),
                minutes if minutes % 60 == 0 => Repetition::Hours(minutes / 60),
                minutes => Repetition::Minutes(minutes),
            },
            "daily" => Repetition::Daily(clock()),
            "weekly" => Repetition::Weekly(vec![number("dayOfWeek") as u8], clock()),
            "cron" => {
                let expression = cadence["expression"].as_str().unwrap_or_default();
                of_cron(expression).unwrap_or_else(|| Repetition::Expression(expression.split_whitespace().collect::<Vec<_>>().join(" ")))
            }
            _ => Repetition::Manual,
        })
    }

    /// Whether its times are those of a clock on the wall, so that their zone matters.
    pub fn has_zone(&self) -> bool {
        !matches!(self, Repetition::Manual | Repetition::Minutes(_) | Repetition::Hours(_) | Repetition::Days(_) | Repetition::Hourly(_))
    }
}

/// The common patterns. An expression is known to be sound.
fn of_cron(expression: &str) -> Option<Repetition> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [minute, hour, day, "*", weekday] = fields[..] else { return None };
    let number = |text: &str| text.parse::<u8>().ok();
    let step = |text: &str| text.strip_prefix("*/").and_then(|step| step.parse::<u64>().ok());
    let every_day = day == "*" && weekday == "*";
    match (number(minute), number(hour)) {
        (Some(minute), None) if every_day && hour == "*" => return Some(Repetition::Hourly(minute)),
        // Steps that do not divide the hour or the day begin anew with it.
        (Some(0), None) if every_day => return step(hour).filter(|step| 24 % step == 0).map(Repetition::Hours),
        (None, None) if every_day && hour == "*" => {
            return if minute == "*" {
                Some(Repetition::Minutes(1))
            } else {
                step(minute).filter(|step| 60 % step == 0).map(Repetition::Minutes)
            };
        }
        _ => {}
    }
    let clock = TimeOfDay { hour: number(hour)?, minute: number(minute)? };
    match (day, weekday) {
        ("*", "*") => Some(Repetition::Daily(clock)),
        (day, "*") => Some(Repetition::Monthly(number(day)?, clock)),
        ("*", days) => {
            let mut days = days_of_week(days)?;
            days.sort_unstable();
            days.dedup();
            Some(match days[..] {
                [1, 2, 3, 4, 5] => Repetition::Weekdays(clock),
                [0, 1, 2, 3, 4, 5, 6] => Repetition::Daily(clock),
                _ => Repetition::Weekly(days, clock),
            })
        }
        _ => None,
    }
}

/// Days of the week by number or English name; 7 is Sunday too.
fn days_of_week(list: &str) -> Option<Vec<u8>> {
    const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let day = |text: &str| {
        let named = NAMES.iter().position(|name| name.eq_ignore_ascii_case(text)).map(|day| day as u8);
        named.or_else(|| text.parse::<u8>().ok().filter(|day| *day <= 7))
    };
    let mut days = Vec::new();
    for part in list.split(',') {
        match part.split_once('-') {
            None => days.push(day(part)? % 7),
            Some((from, to)) => {
                let (from, to) = (day(from)?, day(to)?);
                (from <= to).then_some(())?;
                days.extend((from..=to).map(|day| day % 7));
            }
        }
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(cadence: Value, expected: Repetition) {
        assert_eq!(Repetition::read(&cadence).unwrap(), expected, "{cadence}");
    }

    #[test]
    fn a_schedule_is_told_as_people_say_it() {
        let seven = TimeOfDay { hour: 7, minute: 0 };
        check(Value::Null, Repetition::Manual);
        check(json!({"kind": "manual"}), Repetition::Manual);
        check(json!({"kind": "interval", "everyMinutes": 45}), Repetition::Minutes(45));
        check(json!({"kind": "interval", "everyMinutes": 120.0}), Repetition::Hours(2));
        check(json!({"kind": "interval", "everyMinutes": 2880}), Repetition::Days(2));
        check(json!({"kind": "daily", "atHour": 7}), Repetition::Daily(seven));
        check(json!({"kind": "weekly", "dayOfWeek": 1, "atHour": 7}), Repetition::Weekly(vec![1], seven));
        let cron = |expression: &str, expected| check(json!({"kind": "cron", "expression": expression}), expected);
        cron("0 7 * * *", Repetition::Daily(seven));
        cron("0 7 * * 1-5", Repetition::Weekdays(seven));
        cron("0 7 * * MON-FRI", Repetition::Weekdays(seven));
        cron("0 7 * * 6,0", Repetition::Weekly(vec![0, 6], seven));
        cron("0 7 * * 5-7", Repetition::Weekly(vec![0, 5, 6], seven));
        cron("30 9 1 * *", Repetition::Monthly(1, TimeOfDay { hour: 9, minute: 30 }));
        cron("*/15 * * * *", Repetition::Minutes(15));
        cron("* * * * *", Repetition::Minutes(1));
        cron("5 * * * *", Repetition::Hourly(5));
        cron("0 */6 * * *", Repetition::Hours(6));
        for odd in ["*/7 * * * *", "0 */5 * * *", "0 7,19 * * *", "0 7 1 1 *", "0 7 13 * 5", "0 7 L * *", "0 7 * * 5#2"] {
            cron(odd, Repetition::Expression(odd.into()));
        }
        assert!(Repetition::read(&json!({"kind": "hourly"})).is_err());
    }
}
