//! The form of a mission, the record that it stands for, and the next times of its rhythm.

use axum::extract::{Query, State};
use axum::response::Html;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::Shared;
use super::agent_form::select;
use super::fields::{Fields, Lines, as_it_was, shown, text_of};
use super::page::{Failed, csrf, moment, shorter};
use super::session::SignedIn;
use crate::domain::cadence::Cadence;
use crate::domain::fields::whole;
use crate::domain::merge::{Record, Stamps};
use crate::domain::{modules, record_text, time};
use crate::store::{Bounds, Linked, Store, Wanted};

/// The fields of a record that the form shows, and the time that follows from them.
const SHOWN: [&str; 7] = ["title", "objective", "conceptMarkdown", "agentId", "inputs", "cadence", "nextRunAt"];
/// A rhythm that this program cannot follow, and that another app may.
const FOREIGN: (&str, &str) = ("foreign", "As another app set it");
const KINDS: [(&str, &str); 5] = [
    ("manual", "Not by itself"),
    ("interval", "Every few minutes"),
    ("daily", "Daily"),
    ("weekly", "Weekly"),
    ("cron", "By cron expression"),
];
const DAYS: [(&str, &str); 7] =
    [("1", "Monday"), ("2", "Tuesday"), ("3", "Wednesday"), ("4", "Thursday"), ("5", "Friday"), ("6", "Saturday"), ("0", "Sunday")];
/// Agents, and records of each app, that a form offers.
const OFFERED: u32 = 100;
/// What finding out the titles of one table's records may cost.
const OFFERED_BOUNDS: Bounds = Bounds { rows: 10_000, bytes: 16 << 20 };
const TIMES_SHOWN: usize = 5;

/// A start for those who do not know what to write.
pub(super) struct Template {
    pub id: &'static str,
    pub title: &'static str,
    objective: &'static str,
    concept: &'static str,
    cadence: &'static str,
}

pub(super) const TEMPLATES: [Template; 4] = [
    Template {
        id: "spending",
        title: "Keep my spending under control",
        objective: "Look at what I spent this week and propose at most three things to change.",
        concept: "I want to notice early where money goes. Small, concrete steps; no lectures.",
        cadence: r#"{"kind": "weekly", "dayOfWeek": 0, "atHour": 18}"#,
    },
    Template {
        id: "week",
        title: "Plan my week",
        objective: "Propose a plan for the coming week from my open tasks and goals.",
        concept: "Two or three priorities a day, with room left for what comes up.",
        cadence: r#"{"kind": "cron", "expression": "0 17 * * 5"}"#,
    },
    Template {
        id: "reading",
        title: "Read more",
        objective: "Plan the next evenings with a book.",
        concept: "Half an hour is enough. Remind me of what I wanted to finish.",
        cadence: r#"{"kind": "daily", "atHour": 19}"#,
    },
    Template {
        id: "journal",
        title: "Look back on my notes",
        objective: "Find threads in my latest notes that deserve a next step.",
        concept: "Only what I wrote myself counts. One question is better than five tasks.",
        cadence: r#"{"kind": "weekly", "dayOfWeek": 6, "atHour": 9}"#,
    },
];

/// The record that a template starts with.
pub(super) fn from_template(id: &str) -> Record {
    let mut record = Record::new();
    if let Some(template) = TEMPLATES.iter().find(|template| template.id == id) {
        for (field, text) in [("title", template.title), ("objective", template.objective), ("conceptMarkdown", template.concept)] {
            record.insert(field.into(), json!(text));
        }
        record.insert("cadence".into(), serde_json::from_str(template.cadence).unwrap_or_default());
    }
    record
}

/// What the form offers to choose from.
pub(super) struct Choices {
    agents: Vec<(String, String)>,
    /// Value of the field, and what it is called.
    records: Vec<(String, String)>,
}

pub(super) async fn choices(shared: &Shared, who: &SignedIn, record: &Record) -> Result<Choices, Failed> {
    let store = shared.runner.store();
    crate::projection::refresh(store).await?;
    let agents = store.agent_cards(&who.user, "", OFFERED).await?;
    let mut agents: Vec<(String, String)> = agents.iter().map(|agent| (agent.id.clone(), shorter(&agent.name, 80))).collect();
    let chosen = shown(record, "agentId");
    if !chosen.is_empty() && !agents.iter().any(|(id, _)| id == chosen) {
        agents.push((chosen.to_owned(), shorter(chosen, 80)));
    }
    let mut records = offered(store, &who.user).await?;
    for input in linked(record) {
        if !records.iter().any(|(value, _)| *value == input) {
            let name = input_of(&input).map_or_else(String::new, |v| format!("{}: {}", text(&v, "module"), shorter(text(&v, "id"), 60)));
            records.push((input, name));
        }
    }
    Ok(Choices { agents, records })
}

/// The records of each kind that can be linked, by their titles.
async fn offered(store: &Store, user: &str) -> Result<Vec<(String, String)>, Failed> {
    let mut offered = Vec::new();
    for kind in &modules::KINDS {
        for table in [kind.table].iter().chain(kind.aliases) {
            let ids = store.records(user, kind.app, table, OFFERED).await?;
            let wanted = ids.iter().map(|id| Wanted { app: kind.app.into(), tables: vec![(*table).to_owned()], id: id.clone() });
            let keep =
                |_: usize, _: &str, record: &Record, _: &Stamps| Some(record_text::heading(kind, record).map(|name| shorter(&name, 80)));
            let found = store.linked(user, wanted.collect(), OFFERED_BOUNDS, keep).await?;
            offered.extend(ids.iter().zip(found).filter_map(|(id, found)| {
                let name = match found {
                    Linked::Live(Some(name)) => name,
                    Linked::Live(None) => format!("{} (encrypted)", shorter(id, 40)),
                    Linked::TooLong => shorter(id, 40),
                    Linked::Absent | Linked::Refused => return None,
                };
                Some((reference(kind.module(), table, id), format!("{}: {name}", kind.module())))
            }));
        }
    }
    Ok(offered)
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn reference(module: &str, table: &str, id: &str) -> String {
    json!([module, table, id]).to_string()
}

fn input_of(reference: &str) -> Option<Value> {
    let [module, table, id] = serde_json::from_str::<[String; 3]>(reference).ok()?;
    Some(json!({"module": module, "table": table, "id": id}))
}

/// The inputs of a record as the form names them.
fn linked(record: &Record) -> Vec<String> {
    let inputs = record.get("inputs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    inputs.iter().map(|input| reference(text(input, "module"), text(input, "table"), text(input, "id"))).collect()
}

/// The form with a record, `was` being the one that it was first made from.
pub(super) fn form(
    who: &SignedIn,
    action: &str,
    label: &str,
    (record, was): (&Record, &Record),
    choices: &Choices,
    zone: &TimeZone,
    wrong: Option<&str>,
) -> Markup {
    let cadence = record.get("cadence").cloned().unwrap_or_default();
    let number = |field: &str, otherwise: &str| cadence.get(field).filter(|v| !v.is_null()).map_or_else(|| otherwise.to_owned(), plain);
    let kind = Some(text(&cadence, "kind")).filter(|kind| !kind.is_empty()).unwrap_or("manual");
    let foreign = !cadence.is_null() && !KINDS.iter().any(|(known, _)| text(&cadence, "kind") == *known);
    let kind = if foreign { FOREIGN.0 } else { kind };
    let kinds: Vec<(&str, &str)> = foreign.then_some(FOREIGN).into_iter().chain(KINDS).collect();
    let linked = linked(record);
    let agents: Vec<(&str, &str)> =
        [("", "Nobody: plain planning")].into_iter().chain(choices.agents.iter().map(|(id, name)| (id.as_str(), name.as_str()))).collect();
    html! {
        form.stack.mission method="post" action=(action) data-times="/missions/next-times" {
            (csrf(who))
            (as_it_was(was, &SHOWN))
            @if let Some(wrong) = wrong { p.wrong role="alert" { (wrong) } }
            label for="title" { "Title" }
            input #title name="title" value=(shown(record, "title")) dir="auto" required;
            label for="objective" { "Objective" }
            textarea #objective name="objective" rows="3" dir="auto" aria-describedby="objective-hint" { "\n" (shown(record, "objective")) }
            p #objective-hint .hint { "What each plan should achieve." }
            label for="concept" { "Concept" }
            textarea #concept name="conceptMarkdown" rows="5" dir="auto" aria-describedby="concept-hint" { "\n" (shown(record, "conceptMarkdown")) }
            p #concept-hint .hint { "Why you want this, and how. Markdown." }
            label for="agent" { "Agent" }
            (select("agent", "agentId", &agents, shown(record, "agentId")))
            fieldset {
                legend { "Rhythm" }
                div.columns.narrow {
                    div { label for="kind" { "Repeats" } (select("kind", "kind", &kinds, kind)) }
                    div data-for="interval" { label for="every" { "Minutes between" } input #every name="everyMinutes" type="number" min="1" value=(number("everyMinutes", "60")); }
                    div data-for="weekly" { label for="day" { "Weekday" } (select("day", "dayOfWeek", &DAYS, &number("dayOfWeek", "1"))) }
                    div data-for="daily weekly" { label for="hour" { "Hour" } input #hour name="atHour" type="number" min="0" max="23" value=(number("atHour", "8")); }
                    div data-for="daily weekly" { label for="minute" { "Minute" } input #minute name="atMinute" type="number" min="0" max="59" value=(number("atMinute", "0")); }
                    div data-for="cron" { label for="expression" { "Cron expression" } input #expression name="expression" value=(number("expression", "0 8 * * 1-5")) spellcheck="false"; }
                    div data-for="daily weekly cron" {
                        label for="zone" { "Time zone" }
                        input #zone name="timeZone" value=(text(&cadence, "timeZone")) placeholder=(zone.iana_name().unwrap_or("UTC")) spellcheck="false" data-own-zone[was.is_empty()];
                    }
                }
                div #times role="region" aria-label="Next times" aria-live="polite" { (times(&cadence, zone)) }
            }
            fieldset {
                legend { "Linked records" }
                @if choices.records.is_empty() { p.empty { "Your other apps have synced no goals, notes or tasks yet." } }
                div.choices { @for (value, name) in &choices.records {
                    label.choice { input type="checkbox" name="input" value=(value) checked[linked.contains(value)]; span dir="auto" { (name) } }
                } }
                p.hint { "Plans are made with these in view. Encrypted ones are read only under a grant of your client." }
            }
            button.primary { (label) }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The cadence of a form.
///
/// # Errors
/// What is wrong with it, in words.
fn cadence(fields: &Fields) -> Result<Value, String> {
    let mut cadence = Map::new();
    let kind = fields.text("kind");
    cadence.insert("kind".into(), json!(kind));
    let numbers: &[(&str, &str)] = match kind.as_str() {
        "interval" => &[("everyMinutes", "Minutes between")],
        "daily" => &[("atHour", "Hour"), ("atMinute", "Minute")],
        "weekly" => &[("dayOfWeek", "Weekday"), ("atHour", "Hour"), ("atMinute", "Minute")],
        _ => &[],
    };
    for (field, label) in numbers {
        if let Some(number) = fields.whole(field, label)? {
            cadence.insert((*field).to_owned(), json!(number));
        }
    }
    if kind == "cron" {
        cadence.insert("expression".into(), json!(fields.text("expression").trim()));
    }
    let zone = fields.text("timeZone");
    if !zone.trim().is_empty() && matches!(kind.as_str(), "daily" | "weekly" | "cron") {
        cadence.insert("timeZone".into(), json!(zone.trim()));
    }
    let cadence = Value::Object(cadence);
    Cadence::read(&cadence).map_err(|bad| bad.to_string())?;
    Ok(cadence)
}

/// The record of a form; `was` is what it showed of a mission that is there, and `now` gives a new or changed rhythm its
/// first time.
///
/// # Errors
/// What is wrong, in words, and the record as it was given.
pub(super) fn read(fields: &Fields, was: Option<&Record>, now: Timestamp, zone: &TimeZone) -> Result<Record, (String, Record)> {
    let is_new = was.is_none();
    let nothing = Record::new();
    let was = was.unwrap_or(&nothing);
    let mut record = Record::new();
    for (field, lines) in [("title", Lines::One), ("objective", Lines::Many), ("conceptMarkdown", Lines::Many)] {
        record.insert(field.into(), json!(text_of(fields, was, field, lines)));
    }
    let agent = fields.text("agentId");
    record.insert("agentId".into(), if agent.is_empty() { Value::Null } else { json!(agent) });
    record.insert("inputs".into(), inputs_of(fields, was));
    if shown(&record, "title").trim().is_empty() {
        record.insert("cadence".into(), as_typed(fields));
        return Err(("A mission needs a title.".into(), record));
    }
    if fields.text("kind") != FOREIGN.0 {
        let rhythm = match cadence(fields) {
            Ok(rhythm) => rhythm,
            Err(wrong) => {
                record.insert("cadence".into(), as_typed(fields));
                return Err((wrong, record));
            }
        };
        if is_new || !is_same(was.get("cadence").unwrap_or(&Value::Null), &rhythm) {
            let next = Cadence::read(&rhythm).ok().and_then(|cadence| cadence.next(now, zone));
            record.insert("cadence".into(), rhythm);
            record.insert("nextRunAt".into(), next.map_or(Value::Null, |at| time::iso_millis(at).into()));
        }
    }
    if is_new {
        record.insert("state".into(), json!("active"));
        record.insert("iterations".into(), json!([]));
    }
    Ok(record)
}

/// The rhythm with what was typed, sound or not, for the form to show again.
fn as_typed(fields: &Fields) -> Value {
    let field = |name: &str| (name.to_owned(), json!(fields.text(name)));
    Value::Object(["kind", "everyMinutes", "dayOfWeek", "atHour", "atMinute", "expression", "timeZone"].map(field).into_iter().collect())
}

/// The chosen inputs. Those that were there keep what else they say, and all keep their order where none was changed.
fn inputs_of(fields: &Fields, was: &Record) -> Value {
    let old = was.get("inputs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let references = linked(was);
    let known = |chosen: &str| references.iter().position(|reference| reference == chosen).and_then(|n| old.get(n)).cloned();
    let chosen: Vec<Value> = fields.all("input").filter_map(|chosen| known(chosen).or_else(|| input_of(chosen))).collect();
    let sorted = |mut references: Vec<String>| {
        references.sort_unstable();
        references
    };
    let chosen = json!(chosen);
    let same = sorted(references.clone()) == sorted(linked(&Record::from_iter([("inputs".to_owned(), chosen.clone())])));
    was.get("inputs").filter(|_| same).cloned().unwrap_or(chosen)
}

/// Whether the form says what the record says. Only what a form of this kind shows is compared; what else a rhythm has is
/// none of its business.
fn is_same(old: &Value, new: &Value) -> bool {
    let kind = |value: &Value| text(value, "kind").to_owned();
    let old_kind = Some(kind(old)).filter(|kind| !kind.is_empty()).unwrap_or_else(|| "manual".into());
    let shown: &[&str] = match kind(new).as_str() {
        "interval" => &["everyMinutes"],
        "daily" => &["atHour", "atMinute", "timeZone"],
        "weekly" => &["dayOfWeek", "atHour", "atMinute", "timeZone"],
        "cron" => &["expression", "timeZone"],
        _ => &[],
    };
    let spelled = |value: &Value, field: &str| match value.get(field) {
        None | Some(Value::Null) if field == "atMinute" => json!(0),
        None | Some(Value::Null) => json!(""),
        Some(found) => whole(found).map_or_else(|| found.clone(), Value::from),
    };
    old_kind == kind(new) && shown.iter().all(|field| spelled(old, field) == spelled(new, field))
}

/// The next times of what a form says, for the script to put in place.
pub(super) async fn next_times(State(shared): State<Shared>, _: SignedIn, Query(pairs): Query<Vec<(String, String)>>) -> Html<String> {
    let times = match cadence(&Fields(pairs)) {
        Ok(cadence) => times(&cadence, &shared.zone),
        Err(wrong) => html! { p.wrong { (wrong) } },
    };
    Html(times.into_string())
}

fn times(cadence: &Value, zone: &TimeZone) -> Markup {
    let cadence = Cadence::read(cadence);
    let mut at = Some(Timestamp::now());
    let next: Vec<Timestamp> = match &cadence {
        Err(_) => Vec::new(),
        Ok(cadence) => std::iter::from_fn(|| {
            at = cadence.next(at?, zone);
            at
        })
        .take(TIMES_SHOWN)
        .collect(),
    };
    html! {
        @match &cadence {
            Err(wrong) => p.wrong { (wrong) },
            Ok(_) if next.is_empty() => p.hint { "It runs only when you say so." },
            Ok(_) => { p.hint { "Next times" } ol.times { @for at in &next { li { (moment(*at)) } } } },
        }
    }
}
