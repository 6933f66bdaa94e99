//! The list of a table's records: search, filters by what its fields say, and an order.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Shared;
use super::fields::FormFields;
use super::form_zone::FormZone;
use super::page::{Failed, Response, button, csrf, moment, page, rich, segment, shorter};
use super::records::{LAST_NAME, heading, input, of_record, place, table};
use super::session::SignedIn;
use super::values::{amount, day_in_words, value};
use crate::app::{RecordFilter, RecordList};
use crate::domain::merge::Record;
use crate::domain::time;
use crate::modules::forms::TextForm;
use crate::modules::{FieldKind, FieldRole, FieldSpec, TableSpec};
use crate::store::RecordSort;
use crate::text::catalog::{Words, text_id};
use crate::text::module;

/// Records on one page.
const PAGE: usize = 50;
/// What stands before the name of a field by which records are chosen.
const CHOSEN: &str = "is-";

/// Which part of a table.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    q: String,
    sort: String,
    /// A place in that order.
    key: Option<String>,
    after: String,
    /// A record that was just deleted.
    deleted: String,
    /// How many were just added.
    added: usize,
    /// Everything that was asked, with what the fields of the table should be.
    #[serde(skip)]
    asked: BTreeMap<String, String>,
}

impl Part {
    /// What a field should be; empty where it may be anything.
    fn chosen(&self, field: &FieldSpec) -> &str {
        self.asked.get(&format!("{CHOSEN}{}", field.name)).map_or("", String::as_str)
    }

    fn sort(&self, table: &TableSpec) -> RecordSort {
        let (sort, _, _) = sorts(table).find(|(_, name, _)| *name == self.sort).unwrap_or((RecordSort::Changed, "", ""));
        sort
    }

    fn is_filtered(&self, table: &TableSpec) -> bool {
        table.facets().any(|field| !self.chosen(field).is_empty())
    }

    /// The same part from a place on.
    fn from(&self, table: &TableSpec, (key, id): &(String, String)) -> String {
        let chosen = table.facets().map(|field| (format!("{CHOSEN}{}", field.name), self.chosen(field)));
        let all = [("q".to_owned(), self.q.as_str()), ("sort".to_owned(), &self.sort)].into_iter().chain(chosen);
        let same: String = all.filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("&{name}={}", segment(value))).collect();
        format!("{}?key={}&after={}{same}", place(table), segment(key), segment(id))
    }
}

/// The orders of a table, each with its word in an address and what it is called.
fn sorts(table: &TableSpec) -> impl Iterator<Item = (RecordSort, &'static str, &'static str)> {
    let by_day = table.day().is_some();
    let all = [
        (RecordSort::Changed, "", text_id("records-by-change")),
        (RecordSort::Title, "title", text_id("records-by-title")),
        (RecordSort::NewestDay, "newest", text_id("records-by-newest")),
        (RecordSort::OldestDay, "oldest", text_id("records-by-oldest")),
    ];
    all.into_iter().filter(move |(sort, ..)| by_day || matches!(sort, RecordSort::Changed | RecordSort::Title))
}

pub(super) async fn list(
    State(shared): State<Shared>,
    who: SignedIn,
    Path((app, name)): Path<(String, String)>,
    Query(part): Query<Part>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    let part = Part { asked, ..part };
    let body = list_body(&shared, &who, table, &part, None, &FormFields(Vec::new())).await?;
    Ok(page(&who, &who.words.say("common-records"), &body))
}

pub(super) async fn list_body(
    shared: &Shared,
    who: &SignedIn,
    table: &TableSpec,
    part: &Part,
    wrong: Option<&str>,
    given: &FormFields,
) -> Result<Markup, Failed> {
    let filter = RecordFilter {
        search: part.q.clone(),
        facets: table.facets().filter_map(|field| table.facet(&field.name, part.chosen(field))).collect(),
        sort: part.sort(table),
        after: part.key.clone().map(|key| (key, part.after.clone())),
    };
    let list = shared.app.records(&who.user, table, filter, PAGE).await?;
    let (words, place) = (who.words, place(table));
    Ok(html! {
        p { a href="/records" { "← " (words.say("common-records")) } }
        div.head {
            h1 { (module::table(words, table)) }
            div.actions {
                a.button href={ (place) "/import" } { (words.say("records-import")) }
                @for form in TextForm::of(table) {
                    a.button href={ (place) "/export/" (form.extension()) } download { (words.with("records-export", [("form", form.label().into())])) }
                }
            }
        }
        @if !part.deleted.is_empty() {
            p.health role="status" {
                (words.say("records-deleted")) " "
                (button(who, &format!("{}/undelete", of_record(table, &part.deleted)), &words.say("records-undo"), &[], ""))
            }
        }
        @if part.added > 0 { p.health.good role="status" { (words.with("records-added", [("count", part.added.into())])) } }
        @if let Some(fields) = shared.app.modules().form(table) { (add_form(shared, who, table, &fields, wrong, given)) }
        (filters(words, table, part))
        (entries(words, table, &list, part))
        p { a href="/deleted?of=records" { (words.say("records-deleted-link")) } }
    })
}

fn filters(words: Words, table: &TableSpec, part: &Part) -> Markup {
    let option = |value: &str, chosen: &str, name: &str| html! { option value=(value) selected[value == chosen] { (name) } };
    html! {
        form.filter method="get" action=(place(table)) role="search" {
            div.row {
                label.aside for="q" { (words.say("records-search")) }
                input #q name="q" type="search" value=(part.q) placeholder=(words.say("records-search")) maxlength="200" dir="auto";
                button { (words.say("runs-filter")) }
            }
            details open[part.is_filtered(table) || !part.sort.is_empty()] {
                summary { (words.say("mission-filter")) }
                div.columns.narrow {
                    @for field in table.facets() {
                        @let (id, chosen) = (format!("is-{}", field.name), part.chosen(field));
                        div { label for=(id) { (module::field(words, field)) } select #(id) name=(id) {
                            (option("", chosen, &words.say("records-any")))
                            @if field.kind == FieldKind::Flag {
                                (option("true", chosen, &words.say("review-yes"))) (option("false", chosen, &words.say("review-no")))
                            } @else { @for choice in &field.choices { (option(choice, chosen, &module::choice(words, choice))) } }
                        } }
                    }
                    div { label for="sort" { (words.say("mission-sort")) } select #sort name="sort" {
                        @for (_, name, id) in sorts(table) { (option(name, &part.sort, &words.say(id))) }
                    } }
                }
                div.actions { button { (words.say("runs-filter")) } }
            }
        }
    }
}

fn entries(words: Words, table: &TableSpec, list: &RecordList, part: &Part) -> Markup {
    html! {
        @if list.records.is_empty() {
            p.empty {
                @if !part.q.is_empty() { (rich(words, "records-not-found", [("text", html! { bdi { (shorter(&part.q, 80)) } })])) }
                @else if part.is_filtered(table) || part.key.is_some() { (words.say("records-none-chosen")) " " a href=(place(table)) { (words.say("mission-show-all")) } }
                @else { (rich(words, "records-none", [("import", html! { a href={ (place(table)) "/import" } { (words.say("records-none-import")) } })])) }
            }
        }
        ul.plain.records { @for (id, record) in &list.records { li {
            a href=(of_record(table, id)) dir="auto" { (heading(words, table, record)) }
            (facts(words, table, record))
        } } }
        @if let Some(next) = &list.next { p { a.button href=(part.from(table, next)) { (words.say("common-more")) } } }
    }
}

/// What else a list tells of a record: its times, days, choices and numbers.
fn facts(words: Words, table: &TableSpec, record: &Record) -> Markup {
    let done = table.done.as_ref().is_some_and(|field| record.get(field) == Some(&Value::Bool(true)));
    let is_title = |field: &FieldSpec| table.role(FieldRole::Title).is_some_and(|title| title.name == field.name);
    let is_fact = |field: &&FieldSpec| {
        (matches!(field.kind, FieldKind::Day | FieldKind::Choice | FieldKind::Amount) || field.name == "target") && !is_title(field)
    };
    let starts = record.get("startDate").and_then(Value::as_str).and_then(|text| Some((text, time::parse_rfc3339(text)?)));
    let fact = |field: &FieldSpec| {
        let told = match record.get(&field.name)? {
            Value::Null => return None,
            Value::Object(aim) if aim.contains_key("value") => aimed_at(words, aim),
            number if field.kind == FieldKind::Amount => html! { (amount(words.language(), number)) },
            Value::String(text) => value(words, Some(field.kind), &shorter(text, 40).into()),
            other => value(words, Some(field.kind), other),
        };
        Some(html! { (module::field(words, field)) ": " (told) })
    };
    let start = starts.map(|(text, at)| match text.get(..10).and_then(|day| day.parse::<Date>().ok()) {
        // What takes whole days begins at no time of day.
        Some(day) if record.get("allDay") == Some(&Value::Bool(true)) => {
            html! { time datetime=(day.to_string()) { (day_in_words(words.language(), day)) } }
        }
        _ => moment(at),
    });
    let facts: Vec<Markup> = start.into_iter().chain(table.fields.iter().filter(is_fact).filter_map(fact)).collect();
    html! {
        @if done { " " span.badge.good { (words.say("common-state-done")) } }
        @if !facts.is_empty() { " " span.hint { @for (n, fact) in facts.iter().enumerate() { @if n > 0 { " · " } (fact) } } }
    }
}

/// What a goal is after: at least or at most so many in a while.
fn aimed_at(words: Words, aim: &Map<String, Value>) -> Markup {
    let word = |name: &str| aim.get(name).and_then(Value::as_str).map(|word| shorter(&module::choice(words, word), 40)).unwrap_or_default();
    html! { (word("comparison")) " " (value(words, Some(FieldKind::Number), &aim["value"])) " (" (word("period")) ")" }
}

fn add_form(shared: &Shared, who: &SignedIn, table: &TableSpec, fields: &[FieldSpec], wrong: Option<&str>, given: &FormFields) -> Markup {
    let (words, zone) = (who.words, &FormZone::of(who, &shared.app));
    let value = |field: &FieldSpec| given.text(&field.name);
    // What most records have is seen at once; the rest is folded away.
    let is_first =
        |field: &&FieldSpec| field.is_required() || field.role.is_some() || field.kind == FieldKind::Day || field.name == LAST_NAME;
    let (first, rest): (Vec<&FieldSpec>, Vec<&FieldSpec>) = fields.iter().partition(is_first);
    html! {
        form.stack.card method="post" action=(place(table)) {
            (csrf(who)) (zone.hidden())
            @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus { (wrong) } }
            @for field in first { (input(words, field, &value(field), zone, true)) }
            @if !rest.is_empty() { details { summary { (words.say("common-more")) } @for field in rest { (input(words, field, &value(field), zone, true)) } } }
            div.actions { button.primary { (words.say("records-add")) } }
        }
    }
}
