//! Why a schedule cannot be followed, in words.

use super::catalog::{Words, text_id};
use crate::domain::cadence::{BadCadence, CronFault};
use crate::domain::change::Found;

/// One sentence without its full stop.
pub fn told(words: Words, bad: &BadCadence) -> String {
    match bad {
        BadCadence::NotAnObject(found) => words.with("missions-cadence-no-object", [("found", value(words, found).into())]),
        BadCadence::Kind(found) => words.with("missions-cadence-kind", [("found", value(words, found).into())]),
        BadCadence::Field { field, found, .. } => {
            let (label, allowed) = match *field {
                "atHour" => (text_id("missions-hour"), text_id("missions-cadence-hour")),
                "atMinute" => (text_id("missions-minute"), text_id("missions-cadence-minute")),
                "dayOfWeek" => (text_id("missions-weekday"), text_id("missions-cadence-day")),
                "everyMinutes" => (text_id("missions-every-minutes"), text_id("missions-cadence-minutes")),
                "expression" => (text_id("missions-expression"), text_id("missions-cadence-expression")),
                _ => (text_id("missions-zone"), text_id("missions-cadence-zone-name")),
            };
            // In English as programs say it, with the name of the field.
            let field = if words == Words::ENGLISH { format!("`{field}`") } else { words.marked(&words.say(label)) };
            words.with(
                "missions-cadence-field",
                [("field", field.into()), ("found", value(words, found).into()), ("allowed", words.say(allowed).into())],
            )
        }
        BadCadence::Zone { name, suggestion } => {
            let name = words.quoted(name);
            match suggestion {
                Some(zone) => words.with("missions-cadence-zone-meant", [("name", name.into()), ("zone", zone.into())]),
                None => words.with("missions-cadence-zone", [("name", name.into())]),
            }
        }
        BadCadence::Cron { expression, reason: CronFault::Fields } => {
            words.with("missions-cadence-cron-fields", [("expression", words.quoted(expression).into())])
        }
        BadCadence::Cron { expression, reason: CronFault::Unreadable(why) } => {
            // The words of the reader are English.
            let reason = if words == Words::ENGLISH { format!(": {why}") } else { String::new() };
            words.with("missions-cadence-cron", [("expression", words.quoted(expression).into()), ("reason", reason.into())])
        }
    }
}

/// A value that stands where another should.
pub fn value(words: Words, found: &Found) -> String {
    match found {
        Found::Null => words.say("missions-found-nothing").into(),
        Found::Flag(flag) => flag.to_string(),
        Found::Number(number) => words.with("missions-found-number", [("number", number.into())]),
        Found::Text(text) => words.quoted(text),
        Found::LongText => words.say("missions-found-text").into(),
        Found::Array => words.say("missions-found-list").into(),
        Found::Object => words.say("missions-found-object").into(),
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
            json!({"kind": "cron", "expression": "0 8 * * 9"}),
            json!({"kind": "daily", "atHour": 8, "timeZone": 3}),
            json!({"kind": "daily", "atHour": [8]}),
            json!({"kind": "daily", "atHour": 8, "timeZone": "Berlin"}),
            json!({"kind": "daily", "atHour": 8, "timeZone": "Mars/Olympus"}),
        ] {
            let bad = Cadence::read(&cadence).unwrap_err();
            assert_eq!(told(Words::ENGLISH, &bad), bad.to_string());
            assert_ne!(told(Words::of(Language::German), &bad), bad.to_string());
        }
    }

    #[test]
    fn german_names_the_fields_of_the_form() {
        let told = |cadence| told(Words::of(Language::German), &Cadence::read(&cadence).unwrap_err());
        assert_eq!(
            told(json!({"kind": "daily", "atHour": 27})),
            "„Stunde“ des Zeitplans ist 27, muss aber eine ganze Zahl von 0 bis 23 sein"
        );
        assert_eq!(told(json!({"kind": "cron", "expression": "0 8 * * 9"})), "der Cron-Ausdruck „0 8 * * 9“ ist ungültig");
        assert_eq!(
            told(json!({"kind": "cron", "expression": "0 8"})),
            "der Cron-Ausdruck „0 8“ braucht 5 Felder: Minute, Stunde, Tag, Monat, Wochentag"
        );
    }
}
