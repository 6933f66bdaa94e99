//! A template for one user: in their language, with days and times that count from their today.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::part::{BadTemplate, FileFault, FilePart};
use super::{Template, TemplateRecord};
use crate::domain::field;
use crate::domain::language::Language;
use crate::domain::merge::Record;
use crate::domain::time;

/// Days before or after today that a template can name.
const MAX_DAYS: i64 = 3_660;

/// What a template makes for somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Suited {
    pub agent: Record,
    pub records: Vec<Sample>,
    pub missions: Vec<SuitedMission>,
}

/// A sample record.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// `app/table`
    pub table: String,
    pub fields: Record,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SuitedMission {
    /// Without what follows from ids and the time.
    pub record: Record,
    /// Places among the sample records.
    pub inputs: Vec<usize>,
}

/// Checks a field of a record: a word that counts from today, or a value.
pub(super) fn check(part: &FilePart<'_>) -> Result<(), BadTemplate> {
    if is_wording(part.value) {
        return part.wording().map(drop);
    }
    match part.value.as_str().and_then(|text| text.strip_prefix('$')) {
        Some(word) if moment(word).is_none() => Err(part.wrong(FileFault::NoMoment)),
        _ => Ok(()),
    }
}

fn is_wording(value: &Value) -> bool {
    value.as_object().is_some_and(|texts| texts.contains_key("en") || texts.contains_key("de"))
}

/// The days from today of a word, and the time of day where it names one.
fn moment(word: &str) -> Option<(i64, Option<Time>)> {
    let (days, clock) = match word.split_once(':')? {
        ("day", days) => (days, None),
        ("time", rest) => rest.split_once(' ').map(|(days, clock)| (days, Some(clock)))?,
        _ => return None,
    };
    let days = days.parse::<i64>().ok().filter(|days| days.abs() <= MAX_DAYS)?;
    Some((days, clock.map(|clock| format!("{clock}:00").parse()).transpose().ok()?))
}

fn value(given: &Value, language: Language, today: Date, zone: &TimeZone) -> Value {
    if is_wording(given) {
        return given.get(language.tag()).or_else(|| given.get("en")).cloned().unwrap_or_default();
    }
    let Some((days, clock)) = given.as_str().and_then(|text| text.strip_prefix('$')).and_then(moment) else { return given.clone() };
    let day = today.checked_add(Span::new().days(days)).unwrap_or(today);
    match clock {
        None => day.to_string().into(),
        Some(clock) => day.to_datetime(clock).to_zoned(zone.clone()).map_or(Value::Null, |at| time::iso_millis(at.timestamp()).into()),
    }
}

impl Template {
    /// What it makes for somebody at a time.
    pub fn suited(&self, language: Language, now: Timestamp, zone: &TimeZone) -> Suited {
        let today = now.to_zoned(zone.clone()).date();
        let of_text = |texts: &[(&str, &str)]| {
            let given = texts.iter().filter(|(_, text)| !text.is_empty());
            Record::from_iter(given.map(|(field, text)| ((*field).to_owned(), (*text).into())))
        };
        let mut agent = of_text(&[
            (field::NAME, self.agent.name.told(language)),
            (field::AVATAR, &self.agent.avatar),
            (field::SYSTEM_PROMPT, self.agent.system_prompt.told(language)),
        ]);
        agent.insert(field::ROLE.into(), self.agent.role.told(language).into());
        agent.insert(field::POLICY.into(), Value::Object(self.agent.policy.clone()));
        agent.extend(self.agent.max_tokens_per_day.map(|tokens| (field::MAX_TOKENS_PER_DAY.to_owned(), json!(tokens))));
        let sample = |record: &TemplateRecord| Sample {
            table: record.table.clone(),
            fields: record.fields.iter().map(|(name, given)| (name.clone(), value(given, language, today, zone))).collect(),
        };
        let missions = self.missions.iter().map(|mission| {
            let mut record = Record::new();
            for (field, wording) in
                [(field::TITLE, &mission.title), (field::OBJECTIVE, &mission.objective), (field::CONCEPT, &mission.concept)]
            {
                record.insert(field.into(), wording.told(language).into());
            }
            record.insert(field::CADENCE.into(), mission.cadence.clone());
            let place = |key: &String| self.records.iter().position(|record| record.key == *key);
            SuitedMission { record, inputs: mission.inputs.iter().filter_map(place).collect() }
        });
        Suited { agent, records: self.records.iter().map(sample).collect(), missions: missions.collect() }
    }
}
