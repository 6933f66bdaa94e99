//! The form of a mission, and the record that it stands for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::Shared;
use super::agent_form::select;
use super::fields::{FormFields, LineMode, as_it_was, shown, text_of};
use super::page::{Failed, csrf, rich, shorter};
use super::schedule_form::{self, ScheduleEdit};
use super::session::SignedIn;
use crate::app::{App, Heading, Linkable};
use crate::domain::cadence::Cadence;
use crate::domain::field;
use crate::domain::merge::Record;
use crate::domain::time;
use crate::store::AgentsWanted;
use crate::text::catalog::Words;
use crate::text::module;

/// The fields of a record that the form shows, and the time that follows from them.
pub(super) const SHOWN: [&str; 7] =
    [field::TITLE, field::OBJECTIVE, field::CONCEPT, field::AGENT_ID, field::INPUTS, field::CADENCE, field::NEXT_RUN_AT];
/// Agents that a form offers.
const OFFERED: u32 = 100;

/// What the form offers to choose from.
pub(super) struct Choices {
    agents: Vec<(String, String)>,
    /// By module, each as the value of the field and what it is called.
    records: BTreeMap<String, Vec<(String, String)>>,
}

pub(super) async fn choices(shared: &Shared, who: &SignedIn, record: &Record) -> Result<Choices, Failed> {
    let agents = shared.app.agents(&who.user, AgentsWanted::default(), OFFERED).await?.0;
    let mut agents: Vec<(String, String)> = agents.iter().map(|agent| (agent.id.to_string(), shorter(&agent.name, 80))).collect();
    let chosen = shown(record, field::AGENT_ID);
    if !chosen.is_empty() && !agents.iter().any(|(id, _)| id == chosen) {
        agents.push((chosen.to_owned(), shorter(chosen, 80)));
    }
    let mut records = BTreeMap::<String, Vec<(String, String)>>::new();
    let mut offer = |module: &str, value: String, name: String| {
        let of_module = records.entry(module::module(who.words, module)).or_default();
        if !of_module.iter().any(|(known, _)| *known == value) {
            of_module.push((value, name));
        }
    };
    for linkable in shared.app.linkable(&who.user).await? {
        offer(&linkable.module, reference(&linkable.module, &linkable.table, &linkable.id), called(who.words, &linkable));
    }
    for input in inputs(record) {
        if let Some(value) = reference_of(input) {
            offer(text(input, "module"), value, shorter(text(input, field::ID), 60));
        }
    }
    Ok(Choices { agents, records })
}

/// What a record that can be linked is called.
fn called(words: Words, record: &Linkable) -> String {
    match &record.heading {
        Heading::Text(text) => shorter(text, 80),
        Heading::Encrypted => words.with("missions-encrypted", [("name", shorter(&record.id, 40).into())]),
        Heading::Untitled => words.say("records-untitled").into_owned(),
        Heading::TooLong => shorter(&record.id, 40),
    }
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

/// How the form names an input; `None`: it is none that a form can show, and stays as it is.
fn reference_of(input: &Value) -> Option<String> {
    let id = Some(text(input, field::ID)).filter(|id| !id.is_empty())?;
    Some(reference(text(input, "module"), text(input, "table"), id))
}

fn inputs(record: &Record) -> &[Value] {
    record.get(field::INPUTS).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The inputs of a record as the form names them.
fn linked(record: &Record) -> Vec<String> {
    inputs(record).iter().filter_map(reference_of).collect()
}

/// The form with a record, `was` being the one that it was first made from.
pub(super) fn form(
    who: &SignedIn,
    action: &str,
    label: &str,
    (record, was): (&Record, &Record),
    choices: &Choices,
    app: &App,
    wrong: Option<&str>,
) -> Markup {
    let (words, linked) = (who.words, linked(record));
    // Where the form was come from: the mission, or the list.
    let back = action;
    let none = words.say("missions-no-agent");
    let agents: Vec<(&str, &str)> =
        [("", none.as_ref())].into_iter().chain(choices.agents.iter().map(|(id, name)| (id.as_str(), name.as_str()))).collect();
    html! {
        form.stack.mission method="post" action=(action) data-times="/missions/next-times" {
            (csrf(who))
            (as_it_was(was, &SHOWN))
            @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus { (wrong) } }
            label for="title" { (words.say("missions-title")) }
            input #title name=(field::TITLE) value=(shown(record, field::TITLE)) dir="auto" required[needs_title(was)];
            label for="objective" { (words.say("missions-goal")) }
            textarea #objective name=(field::OBJECTIVE) rows="3" dir="auto" aria-describedby="objective-hint" { "\n" (shown(record, field::OBJECTIVE)) }
            p #objective-hint .hint { (words.say("missions-goal-hint")) }
            label for="concept" { (words.say("missions-background")) }
            textarea #concept name=(field::CONCEPT) rows="5" dir="auto" aria-describedby="concept-hint" { "\n" (shown(record, field::CONCEPT)) }
            p #concept-hint .hint { (words.say("missions-background-hint")) }
            label for="agent" { (words.say("missions-agent")) }
            (select("agent", field::AGENT_ID, &agents, shown(record, field::AGENT_ID)))
            (schedule_form::fieldset(who, record.get(field::CADENCE).unwrap_or(&Value::Null), app, was.is_empty()))
            fieldset {
                legend { (words.with("missions-inputs", [("n", linked.len().into()), ("all", choices.records.values().map(Vec::len).sum::<usize>().into())])) }
                @if choices.records.is_empty() { p.empty { (nothing_to_read(words)) } }
                div.choices { @for (module, records) in &choices.records {
                    fieldset {
                        legend.hint dir="auto" { (module) }
                        @for (value, name) in records {
                            label.choice { input type="checkbox" name="input" value=(value) checked[linked.contains(value)]; span dir="auto" { (name) } }
                        }
                    }
                } }
                p.hint { (words.say("missions-inputs-hint")) }
            }
            div.actions { button.primary { (label) } a.button href=(back) { (words.say("common-cancel")) } }
        }
    }
}

fn nothing_to_read(words: Words) -> Markup {
    let note = html! { a href="/records/notes/notes" { (words.say("missions-write-note")) } };
    let import = html! { a href="/records" { (words.say("missions-import")) } };
    rich(words, "missions-nothing-to-read", [("note", note), ("import", import)])
}

/// A mission that came without a title may be edited without giving it one.
fn needs_title(was: &Record) -> bool {
    was.is_empty() || !shown(was, field::TITLE).trim().is_empty()
}

/// The record of a form; `was` is what it showed of a mission that is there, and `now` gives a new or changed schedule its
/// first time.
///
/// # Errors
/// What is wrong, in words, and the record as it was given.
pub(super) fn read(
    words: Words,
    fields: &FormFields,
    was: Option<&Record>,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Record, (String, Record)> {
    let is_new = was.is_none();
    let nothing = Record::new();
    let was = was.unwrap_or(&nothing);
    let mut record = Record::new();
    for (field, lines) in [(field::TITLE, LineMode::One), (field::OBJECTIVE, LineMode::Many), (field::CONCEPT, LineMode::Many)] {
        record.insert(field.into(), text_of(fields, was, field, lines));
    }
    let agent = fields.text(field::AGENT_ID);
    let agent = match was.get(field::AGENT_ID) {
        Some(old) if agent == shown(was, field::AGENT_ID) => old.clone(),
        _ if agent.is_empty() => Value::Null,
        _ => json!(agent),
    };
    record.insert(field::AGENT_ID.into(), agent);
    record.insert(field::INPUTS.into(), inputs_of(fields, was));
    let old = was.get(field::CADENCE).unwrap_or(&Value::Null);
    let no_title = needs_title(was) && shown(&record, field::TITLE).trim().is_empty();
    let mut wrong = no_title.then(|| words.say("missions-needs-title").into_owned());
    match schedule_form::read(words, fields, old) {
        Ok(ScheduleEdit::Same) if is_new => drop(record.insert(field::CADENCE.into(), json!({"kind": "manual"}))),
        Ok(ScheduleEdit::Same) => {}
        Ok(ScheduleEdit::Respelled(cadence)) => drop(record.insert(field::CADENCE.into(), cadence)),
        Ok(ScheduleEdit::Edited(cadence)) => {
            let next = Cadence::read(&cadence).ok().and_then(|cadence| cadence.next(now, zone));
            record.insert(field::CADENCE.into(), cadence);
            record.insert(field::NEXT_RUN_AT.into(), next.map_or(Value::Null, |at| time::iso_millis(at).into()));
        }
        Err(why) => drop(wrong.get_or_insert(why)),
    }
    if let Some(wrong) = wrong {
        record.insert(field::CADENCE.into(), schedule_form::as_typed(fields));
        record.shift_remove(field::NEXT_RUN_AT);
        return Err((wrong, record));
    }
    if is_new {
        record.insert(field::STATE.into(), json!("active"));
        record.insert(field::ITERATIONS.into(), json!([]));
    }
    Ok(record)
}

/// The chosen inputs: those that were there as they were, but for the ones that were taken away, and then the new ones.
fn inputs_of(fields: &FormFields, was: &Record) -> Value {
    let chosen: BTreeSet<&str> = fields.all("input").collect();
    let known: BTreeSet<String> = linked(was).into_iter().collect();
    let stays = |input: &&Value| reference_of(input).is_none_or(|reference| chosen.contains(reference.as_str()));
    let kept: Vec<&Value> = inputs(was).iter().filter(stays).collect();
    let added: Vec<Value> = chosen.iter().filter(|reference| !known.contains(**reference)).filter_map(|chosen| input_of(chosen)).collect();
    if added.is_empty() && kept.len() == inputs(was).len() {
        return was.get(field::INPUTS).cloned().unwrap_or_else(|| json!([]));
    }
    kept.into_iter().cloned().chain(added).collect()
}
