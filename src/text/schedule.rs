//! How often a mission runs, in words.

use super::catalog::{Words, text_id};
use crate::domain::repetition::{Repetition, TimeOfDay};

const DAYS: [&str; 7] = [
    text_id("mission-day-0"),
    text_id("mission-day-1"),
    text_id("mission-day-2"),
    text_id("mission-day-3"),
    text_id("mission-day-4"),
    text_id("mission-day-5"),
    text_id("mission-day-6"),
];

/// A schedule, such as "Every weekday at 07:00"; the zone is told where its times are those of a clock on the wall.
pub fn told(words: Words, repetition: &Repetition, zone: &str) -> String {
    let every = every(words, repetition);
    if repetition.has_zone() { words.with("mission-in-zone", [("every", every.into()), ("zone", zone.into())]) } else { every }
}

fn every(words: Words, repetition: &Repetition) -> String {
    let clock = |at: &TimeOfDay| format!("{:02}:{:02}", at.hour, at.minute);
    match repetition {
        Repetition::Manual => words.say("mission-every-manual").into(),
        Repetition::Minutes(n) => words.with("mission-every-minutes", [("n", (*n).into())]),
        Repetition::Hours(n) => words.with("mission-every-hours", [("n", (*n).into())]),
        Repetition::Days(n) => words.with("mission-every-days", [("n", (*n).into())]),
        Repetition::Hourly(minute) => words.with("mission-every-hour-at", [("minute", format!("{minute:02}").into())]),
        Repetition::Daily(at) => words.with("mission-every-day-at", [("at", clock(at).into())]),
        Repetition::Weekdays(at) => words.with("mission-every-weekday-at", [("at", clock(at).into())]),
        Repetition::Weekly(days, at) => words.with("mission-every-week-at", [("days", list(words, days).into()), ("at", clock(at).into())]),
        Repetition::Monthly(day, at) => words.with("mission-every-month-at", [("day", (*day).into()), ("at", clock(at).into())]),
        Repetition::Expression(expression) => words.with("mission-every-cron", [("expression", expression.into())]),
    }
}

/// Names of days, the week beginning on Monday.
fn list(words: Words, days: &[u8]) -> String {
    let mut days = days.to_vec();
    days.sort_by_key(|day| (*day + 6) % 7);
    let names: Vec<_> = days.iter().filter_map(|day| DAYS.get(usize::from(*day))).map(|id| words.say(id)).collect();
    match names.split_last() {
        Some((last, first)) if !first.is_empty() => {
            words.with("mission-days-and", [("first", first.join(", ").into()), ("last", last.clone().into())])
        }
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::language::Language;
    use serde_json::json;

    #[test]
    fn a_schedule_has_words_in_both_languages() {
        for (cadence, english, german) in [
            (
                json!({"kind": "cron", "expression": "0 7 * * 1-5"}),
                "Every weekday at 07:00, Europe/Berlin",
                "Montag bis Freitag um 07:00 (Europe/Berlin)",
            ),
            (
                json!({"kind": "weekly", "dayOfWeek": 0, "atHour": 9}),
                "Every Sunday at 09:00, Europe/Berlin",
                "Jeden Sonntag um 09:00 (Europe/Berlin)",
            ),
            (
                json!({"kind": "cron", "expression": "30 18 * * 0,1,4"}),
                "Every Monday, Thursday and Sunday at 18:30, Europe/Berlin",
                "Jeden Montag, Donnerstag und Sonntag um 18:30 (Europe/Berlin)",
            ),
            (
                json!({"kind": "cron", "expression": "0 8 1 * *"}),
                "On day 1 of each month at 08:00, Europe/Berlin",
                "Am 1. jedes Monats um 08:00 (Europe/Berlin)",
            ),
            (json!({"kind": "interval", "everyMinutes": 60}), "Every hour", "Jede Stunde"),
            (json!({"kind": "interval", "everyMinutes": 90}), "Every 90 minutes", "Alle 90 Minuten"),
            (json!({"kind": "manual"}), "Not by itself", "Nicht von selbst"),
            (
                json!({"kind": "cron", "expression": "0 7,19 * * *"}),
                "Cron: 0 7,19 * * *, Europe/Berlin",
                "Cron-Ausdruck: 0 7,19 * * * (Europe/Berlin)",
            ),
        ] {
            let repetition = Repetition::read(&cadence).unwrap();
            let told = [Language::English, Language::German].map(|language| told(Words::of(language), &repetition, "Europe/Berlin"));
            assert_eq!(told, [english.to_owned(), german.to_owned()]);
        }
    }
}
