//! The schedule in the form of a mission: what its fields show of a cadence, the cadence that they stand for, and its next times.
//!
//! A cadence may have what no field can show: keys of other apps, numbers in other spellings, values of a wrong type. Whoever
//! changes nothing in these fields changes nothing of the cadence, sound or not; whoever changes one of them keeps the rest.

use axum::extract::{Query, State};
use axum::response::Html;
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::Shared;
use super::agent_form::select;
use super::fields::{FormFields, number_shown};
use super::form_zone::FormZone;
use super::page::{moment, moment_in_zone};
use super::session::SignedIn;
use crate::app::App;
use crate::domain::cadence::Cadence;
use crate::text;
use crate::text::catalog::{Words, text_id};

/// A schedule that this program cannot follow, and that another app may.
const FOREIGN: (&str, &str) = ("foreign", text_id("missions-schedule-foreign"));
const MANUAL: &str = "manual";
const KINDS: [(&str, &str); 5] = [
    (MANUAL, text_id("missions-schedule-manual")),
    ("interval", text_id("missions-schedule-interval")),
    ("daily", text_id("missions-schedule-daily")),
    ("weekly", text_id("missions-schedule-weekly")),
    ("cron", text_id("missions-schedule-cron")),
];
const DAYS: [(&str, &str); 7] = [
    ("1", text_id("missions-monday")),
    ("2", text_id("missions-tuesday")),
    ("3", text_id("missions-wednesday")),
    ("4", text_id("missions-thursday")),
    ("5", text_id("missions-friday")),
    ("6", text_id("missions-saturday")),
    ("0", text_id("missions-sunday")),
];
const TIMES_SHOWN: usize = 5;

/// A field of the form, and of a cadence.
struct ScheduleInput {
    name: &'static str,
    label: &'static str,
    /// The kinds that have it.
    kinds: &'static [&'static str],
    /// What it shows where the cadence has none.
    otherwise: &'static str,
    value: CadenceForm,
}

#[derive(Clone, Copy, PartialEq)]
enum CadenceForm {
    Number { least: u64, most: u64 },
    Text,
}

const EVERY_MINUTES: ScheduleInput = ScheduleInput {
    name: "everyMinutes",
    label: text_id("missions-every-minutes"),
    kinds: &["interval"],
    otherwise: "60",
    value: CadenceForm::Number { least: 1, most: u64::MAX },
};
const DAY_OF_WEEK: ScheduleInput = ScheduleInput {
    name: "dayOfWeek",
    label: text_id("missions-weekday"),
    kinds: &["weekly"],
    otherwise: "1",
    value: CadenceForm::Number { least: 0, most: 6 },
};
const AT_HOUR: ScheduleInput = ScheduleInput {
    name: "atHour",
    label: text_id("missions-hour"),
    kinds: &["daily", "weekly"],
    otherwise: "8",
    value: CadenceForm::Number { least: 0, most: 23 },
};
const AT_MINUTE: ScheduleInput = ScheduleInput {
    name: "atMinute",
    label: text_id("missions-minute"),
    kinds: &["daily", "weekly"],
    otherwise: "0",
    value: CadenceForm::Number { least: 0, most: 59 },
};
const EXPRESSION: ScheduleInput = ScheduleInput {
    name: "expression",
    label: text_id("missions-expression"),
    kinds: &["cron"],
    otherwise: "0 8 * * 1-5",
    value: CadenceForm::Text,
};
const TIME_ZONE: ScheduleInput = ScheduleInput {
    name: "timeZone",
    label: text_id("missions-zone"),
    kinds: &["daily", "weekly", "cron"],
    otherwise: "",
    value: CadenceForm::Text,
};
const INPUTS: [&ScheduleInput; 6] = [&EVERY_MINUTES, &DAY_OF_WEEK, &AT_HOUR, &AT_MINUTE, &EXPRESSION, &TIME_ZONE];

impl ScheduleInput {
    fn is_of(&self, kind: &str) -> bool {
        self.kinds.contains(&kind)
    }

    fn is_optional(&self) -> bool {
        [AT_MINUTE.name, TIME_ZONE.name].contains(&self.name)
    }

    /// What the field shows of a cadence, as a browser sends it back.
    fn shown(&self, cadence: &Value) -> String {
        let found = cadence.get(self.name).filter(|value| !value.is_null());
        let shown = found.map(|value| match self.value {
            CadenceForm::Number { .. } => number_shown(value),
            // A field of one line has no line ends.
            CadenceForm::Text => value.as_str().map_or_else(|| value.to_string(), str::to_owned).replace(['\r', '\n'], ""),
        });
        match (shown, self.is_of(kind_shown(cadence))) {
            (Some(shown), true) => shown,
            // Where the cadence needs it and lacks it, the field is empty: what is typed there is an edit.
            (None, true) if !self.is_optional() => String::new(),
            (None, _) => self.otherwise.to_owned(),
            // A browser sends no form that has a wrong number in a hidden field.
            (Some(shown), false) if self.allows(&shown) => shown,
            (Some(_), false) => self.otherwise.to_owned(),
        }
    }

    fn allows(&self, shown: &str) -> bool {
        match self.value {
            CadenceForm::Number { least, most } => shown.parse().is_ok_and(|number: u64| (least..=most).contains(&number)),
            CadenceForm::Text => true,
        }
    }

    fn number(&self, words: Words, cadence: &Value) -> Markup {
        let (least, most) = match self.value {
            CadenceForm::Number { least, most } => (Some(least), Some(most).filter(|most| *most < u64::MAX)),
            CadenceForm::Text => (None, None),
        };
        html! {
            div data-for=(self.kinds.join(" ")) {
                label for=(self.name) { (words.say(self.label)) }
                input id=(self.name) name=(self.name) type="number" min=[least] max=[most] value=(self.shown(cadence));
            }
        }
    }
}

/// The kind that the form shows of a cadence.
fn kind_shown(cadence: &Value) -> &str {
    let kind = cadence.get("kind").and_then(Value::as_str).unwrap_or_default();
    match KINDS.iter().any(|(known, _)| *known == kind) {
        true => kind,
        false if cadence.is_null() => MANUAL,
        false => FOREIGN.0,
    }
}

/// The fields with a cadence. `is_new`: the user's own zone is offered, else that of the browser.
pub(super) fn fieldset(who: &SignedIn, cadence: &Value, app: &App, is_new: bool) -> Markup {
    let words = who.words;
    let zone = match TIME_ZONE.shown(cadence) {
        none if none.is_empty() && is_new => who.zone.clone().unwrap_or_default(),
        zone => zone,
    };
    let kind = kind_shown(cadence);
    let named = |(value, id): (&'static str, &'static str)| (value, words.say(id));
    let kinds: Vec<_> = Some(FOREIGN).filter(|_| kind == FOREIGN.0).into_iter().chain(KINDS).map(named).collect();
    let day = DAY_OF_WEEK.shown(cadence);
    // A day that is none is shown as it is: the first of the list would not be what the cadence says.
    let name = if day.is_empty() { words.say("missions-choose-day") } else { day.clone().into() };
    let unknown = Some((day.as_str(), name)).filter(|_| !DAYS.iter().any(|(known, _)| *known == day));
    let days: Vec<_> = unknown.into_iter().chain(DAYS.map(named)).collect();
    html! {
        fieldset {
            legend { (words.say("missions-schedule")) }
            div.columns.narrow {
                div { label for="kind" { (words.say("missions-repeats")) } (select("kind", "kind", &kinds, kind)) }
                (EVERY_MINUTES.number(words, cadence))
                div data-for="weekly" { label for="day" { (words.say(DAY_OF_WEEK.label)) } (select("day", DAY_OF_WEEK.name, &days, &day)) }
                (AT_HOUR.number(words, cadence))
                (AT_MINUTE.number(words, cadence))
                div data-for="cron" {
                    label for="expression" { (words.say(EXPRESSION.label)) }
                    input #expression name=(EXPRESSION.name) value=(EXPRESSION.shown(cadence)) spellcheck="false";
                }
                div data-for=(TIME_ZONE.kinds.join(" ")) {
                    label for="zone" { (words.say(TIME_ZONE.label)) }
                    input #zone name=(TIME_ZONE.name) value=(zone) placeholder=(app.zone().iana_name().unwrap_or("UTC")) spellcheck="false" data-own-zone[is_new];
                }
            }
            div #times role="region" aria-label=(words.say("missions-next-times")) aria-live="polite" { (times(who, cadence, app)) }
        }
    }
}

/// What a form says about the cadence that it showed.
pub(super) enum ScheduleEdit {
    /// Nothing new.
    Same,
    /// The same in the spelling that every client can read.
    Respelled(Value),
    /// Another cadence, which comes with its first time.
    Edited(Value),
}

/// Reads the fields; `was` is the cadence that they showed, null for a new mission.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(words: Words, fields: &FormFields, was: &Value) -> Result<ScheduleEdit, String> {
    let kind_was = kind_shown(was);
    let kind = if fields.has("kind") { fields.text("kind") } else { kind_was.to_owned() };
    let typed = |input: &ScheduleInput| fields.has(input.name) && fields.text(input.name) != input.shown(was);
    if kind == FOREIGN.0 || (kind == kind_was && !INPUTS.iter().any(|input| input.is_of(&kind) && typed(input))) {
        return Ok(respelled(was).map_or(ScheduleEdit::Same, ScheduleEdit::Respelled));
    }
    // What another app understands by a schedule of its own goes with it.
    let old = was.as_object().filter(|_| kind_was != FOREIGN.0);
    let mut cadence: Map<String, Value> = old.cloned().unwrap_or_default();
    cadence.insert("kind".into(), json!(kind));
    for input in INPUTS {
        let before = cadence.get(input.name).cloned();
        if input.is_of(&kind) && !typed(input) && (kind == kind_was || before.is_some()) {
            continue;
        }
        // In its place, so that the order of the keys stays.
        match said(words, fields, input)?.filter(|_| input.is_of(&kind)) {
            Some(value) => drop(cadence.insert(input.name.to_owned(), value)),
            None => drop(cadence.shift_remove(input.name)),
        }
    }
    let cadence = Value::Object(cadence);
    Cadence::read(&cadence).map_err(|bad| text::cadence::told(words, &bad))?;
    if cadence == *was {
        return Ok(ScheduleEdit::Same);
    }
    Ok(ScheduleEdit::Edited(respelled(&cadence).unwrap_or(cadence)))
}

/// What was typed into a field, `None` where it is empty.
fn said(words: Words, fields: &FormFields, input: &ScheduleInput) -> Result<Option<Value>, String> {
    match input.value {
        CadenceForm::Number { .. } => Ok(fields.whole(words, input.name, &words.say(input.label))?.map(Value::from)),
        CadenceForm::Text => Ok(Some(fields.text(input.name).trim().to_owned()).filter(|text| !text.is_empty()).map(Value::from)),
    }
}

/// A cadence without a blank time zone, which means none and which not every client can read; `None` where it has none.
fn respelled(cadence: &Value) -> Option<Value> {
    let blank = cadence.get(TIME_ZONE.name)?.as_str()?.trim().is_empty();
    let mut cadence = cadence.as_object().filter(|_| blank)?.clone();
    cadence.shift_remove(TIME_ZONE.name);
    Some(Value::Object(cadence))
}

/// The cadence with what was typed, sound or not, for the form to show again.
pub(super) fn as_typed(fields: &FormFields) -> Value {
    let field = |name: &str| (name.to_owned(), json!(fields.text(name)));
    Value::Object(std::iter::once("kind").chain(INPUTS.map(|input| input.name)).map(field).collect())
}

/// The next times of what a form says, for the script to put in place.
pub(super) async fn next_times(State(shared): State<Shared>, who: SignedIn, Query(pairs): Query<Vec<(String, String)>>) -> Html<String> {
    let (words, fields) = (who.words, FormFields(pairs));
    let times = match read(words, &fields, &Value::Null) {
        _ if fields.text("kind") == FOREIGN.0 => {
            html! { p.wrong { (words.say("missions-schedule-foreign-hint")) } }
        }
        Ok(ScheduleEdit::Edited(cadence)) => times(&who, &cadence, &shared.app),
        Ok(ScheduleEdit::Same | ScheduleEdit::Respelled(_)) => times(&who, &Value::Null, &shared.app),
        Err(wrong) => html! { p.wrong { (wrong) } },
    };
    Html(times.into_string())
}

fn times(who: &SignedIn, cadence: &Value, app: &App) -> Markup {
    let words = who.words;
    let cadence = Cadence::read(cadence);
    // Times of another zone than the schedule's say so.
    let zone = cadence.as_ref().ok().and_then(Cadence::zone).unwrap_or(app.zone());
    let spell = if FormZone::is_of(who, zone) { moment } else { moment_in_zone };
    let mut at = Some(app.now());
    let next: Vec<Timestamp> = match &cadence {
        Err(_) => Vec::new(),
        Ok(cadence) => std::iter::from_fn(|| {
            at = cadence.next(at?, app.zone());
            at
        })
        .take(TIMES_SHOWN)
        .collect(),
    };
    html! {
        @match &cadence {
            Err(bad) => p.wrong { (text::cadence::told(words, bad)) },
            Ok(_) if next.is_empty() => p.hint { (words.say("missions-manual")) },
            Ok(_) => { p.hint { (words.say("missions-next-times")) } ol.times { @for at in &next { li { (spell(*at)) } } } },
        }
    }
}
