//! Why a schedule cannot be followed, in words.

use super::catalog::Words;
use crate::domain::cadence::BadCadence;

/// One sentence without its full stop.
pub fn told(words: Words, bad: &BadCadence) -> String {
    match bad {
        BadCadence::NotAnObject(found) => words.with("missions-cadence-no-object", [("found", found.to_string().into())]),
        BadCadence::Kind(found) => words.with("missions-cadence-kind", [("found", found.to_string().into())]),
        BadCadence::Field { field, found, .. } => {
            let allowed = words.say(match *field {
                "atHour" => "missions-cadence-hour",
                "atMinute" => "missions-cadence-minute",
                "dayOfWeek" => "missions-cadence-day",
                "everyMinutes" => "missions-cadence-minutes",
                "expression" => "missions-cadence-expression",
                _ => "missions-cadence-zone-name",
            });
            words.with(
                "missions-cadence-field",
                [("field", (*field).into()), ("found", found.to_string().into()), ("allowed", allowed.into())],
            )
        }
        BadCadence::Zone { name, suggestion } => {
            let name = words.quoted(name);
            match suggestion {
                Some(zone) => words.with("missions-cadence-zone-meant", [("name", name.into()), ("zone", zone.into())]),
                None => words.with("missions-cadence-zone", [("name", name.into())]),
            }
        }
        BadCadence::Cron { expression, reason } => {
            words.with("missions-cadence-cron", [("expression", words.quoted(expression).into()), ("reason", reason.into())])
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::cadence::Cadence;
    use crate::domain::language::Language;

    #[test]
    fn pages_say_in_english_what_the_error_says() {
        for cadence in [
            json!(5),
            json!({"kind": "yearly"}),
            json!({"kind": "daily"}),
            json!({"kind": "daily", "atHour": 8, "atMinute": 60}),
            json!({"kind": "weekly", "atHour": 8, "dayOfWeek": 7}),
            json!({"kind": "interval", "everyMinutes": 0}),
            json!({"kind": "cron"}),
            json!({"kind": "cron", "expression": "0 8 * *"}),
            json!({"kind": "daily", "atHour": 8, "timeZone": 3}),
            json!({"kind": "daily", "atHour": 8, "timeZone": "Berlin"}),
            json!({"kind": "daily", "atHour": 8, "timeZone": "Mars/Olympus"}),
        ] {
            let bad = Cadence::read(&cadence).unwrap_err();
            assert_eq!(told(Words::ENGLISH, &bad), bad.to_string());
            assert_ne!(told(Words::of(Language::German), &bad), bad.to_string());
        }
    }
}
