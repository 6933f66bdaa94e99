//! Records of the user's modules: quick add, edit, delete with undo, and texts in and out.

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use serde_json::Value;

use super::Shared;
use super::fields::FormFields;
use super::form_zone::FormZone;
use super::page::{Failed, Response, button, csrf, page, path, refused, shorter, to};
use super::record_list::{Part, list_body};
use super::session::{Posted, SignedIn};
use super::values::grouped;
use super::whole_days::{self, WholeDays};
use crate::app::{Heading, NamedRecord};
use crate::domain::fields::is_ciphertext;
use crate::domain::merge::Record;
use crate::domain::time;
use crate::modules::forms::{self, TextForm};
use crate::modules::{FieldKind, FieldRole, FieldSpec, TableSpec};
use crate::text::catalog::Words;
use crate::text::module;

pub(super) fn table<'a>(shared: &'a Shared, (app, name): (&str, &str)) -> Result<&'a TableSpec, Failed> {
    let found = shared.app.modules().tables().iter().find(|table| table.app == app && table.table == name && !table.hidden);
    found.ok_or(Failed::NotFound)
}

pub(super) fn place(table: &TableSpec) -> String {
    format!("{}{}", path("records", &table.app), segment(&table.table))
}

/// One more segment of a path.
fn segment(text: &str) -> String {
    path("", text).replacen("//", "/", 1)
}

pub(super) fn of_record(table: &TableSpec, id: &str) -> String {
    format!("{}/r{}", place(table), segment(id))
}

/// A record that something names, as a link where it has a page; `None`: it is not there, and is told by its id.
pub(super) fn named(shared: &Shared, words: Words, found: Option<&NamedRecord>, id: &str) -> Markup {
    let Some(NamedRecord { table, heading }) = found else { return html! { bdi { (shorter(id, 80)) } } };
    let text = match heading {
        Heading::Text(text) => shorter(text, 80),
        Heading::Encrypted => words.say("records-encrypted").into_owned(),
        Heading::Untitled => words.say("records-untitled").into_owned(),
        Heading::TooLong => shorter(id, 80),
    };
    match shared.app.modules().table(table).filter(|table| !table.hidden) {
        Some(table) => html! { a href=(of_record(table, id)) { bdi { (text) } } },
        None => html! { bdi { (text) } },
    }
}

/// Records of a table that are counted.
const COUNTED: u32 = 10_000;

/// The tables, with how much they hold and a way into each.
pub(super) async fn tables(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let words = who.words;
    let tables = shared.app.records_counts(&who.user, COUNTED).await?;
    let body = html! {
        h1 { (words.say("common-records")) }
        p { (words.say("records-lead")) " " a href="/deleted?of=records" { (words.say("records-deleted-link")) } }
        ul.cards { @for (table, count) in tables { li.card {
            h2 {
                a href=(place(table)) { (module::table(words, table)) }
                @if count > 0 { " " span.count { (grouped(words.language(), &count.to_string())) @if count == u64::from(COUNTED) { "+" } } }
            }
            p.hint { a href={ (place(table)) "/import" } { (words.with("records-import-from", [("forms", forms_of(words, table).into())])) } }
        } } }
    };
    Ok(page(&who, &words.say("common-records"), &body))
}

fn forms_of(words: Words, table: &TableSpec) -> String {
    TextForm::of(table).iter().map(|form| form.label()).collect::<Vec<_>>().join(&words.say("records-or"))
}

/// The field with the second part of the name of a person.
pub(super) const LAST_NAME: &str = "lastName";

pub(super) fn heading(words: Words, table: &TableSpec, record: &Record) -> String {
    let text = |role| table.role(role).and_then(|field| record.get(&field.name)?.as_str()).unwrap_or_default();
    match (text(FieldRole::Title), text(FieldRole::Text)) {
        (title, _) if is_ciphertext(title) => words.say("records-encrypted").into(),
        ("", text) if is_ciphertext(text) => words.say("records-encrypted").into(),
        ("", "") => words.say("records-untitled").into(),
        ("", text) => shorter(text, 80),
        // Somebody is called by both names.
        (title, _) => match record.get(LAST_NAME).and_then(Value::as_str).filter(|last| !last.is_empty() && !is_ciphertext(last)) {
            Some(last) if table.field(LAST_NAME).is_some() => shorter(&format!("{title} {last}"), 120),
            _ => shorter(title, 120),
        },
    }
}

/// A field of a form, with the text that it shows.
pub(super) fn input(words: Words, field: &FieldSpec, shown: &str, zone: &FormZone, is_new: bool) -> Markup {
    input_as(words, field, (&format!("f-{}", field.name), &module::field(words, field)), shown, zone, is_new)
}

/// The same with another id and label.
pub(super) fn input_as(words: Words, field: &FieldSpec, (id, label): (&str, &str), shown: &str, zone: &FormZone, is_new: bool) -> Markup {
    let required = is_new && field.is_required() && field.kind != FieldKind::Flag;
    html! {
        @match field.kind {
            FieldKind::Flag => div { label.choice for=(id) { input #(id) type="checkbox" name=(field.name) value="true" checked[shown == "true"]; (label) } },
            FieldKind::Text => { label for=(id) { (label) } textarea #(id) name=(field.name) rows="3" dir="auto" required[required] { "\n" (shown) } },
            FieldKind::Choice => { label for=(id) { (label) } select #(id) name=(field.name) {
                @if !required { option value="" selected[shown.is_empty()] { "–" } }
                @for choice in &field.choices { option value=(choice) selected[shown == choice] { (module::choice(words, choice)) } }
            } },
            FieldKind::Time => { label for=(id) { (label) (zone.beside()) } input #(id) name=(field.name) type="datetime-local" value=(shown) required[required]; },
            kind => { label for=(id) { (label) } input #(id) name=(field.name) type=(type_of(kind)) step=[step_of(kind)] value=(shown) dir="auto" required[required]; }
        }
    }
}

fn type_of(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Number | FieldKind::Amount => "number",
        FieldKind::Day => "date",
        FieldKind::Clock => "time",
        _ => "text",
    }
}

fn step_of(kind: FieldKind) -> Option<&'static str> {
    matches!(kind, FieldKind::Number | FieldKind::Amount).then_some("any")
}

/// A value as its input shows it.
pub(super) fn shown(field: &FieldSpec, value: Option<&Value>, zone: &TimeZone, whole: Option<WholeDays>) -> String {
    let in_days = whole.zip(value).map(|(whole, value)| whole.shown(&field.name, value));
    let value = in_days.as_ref().or(value);
    match (field.kind, value) {
        (_, None | Some(Value::Null)) => String::new(),
        (FieldKind::Time, Some(Value::String(text))) => match time::parse_rfc3339(text) {
            Some(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M").to_string(),
            None => text.clone(),
        },
        (FieldKind::List, Some(Value::Array(items))) => {
            items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
        }
        (_, Some(Value::String(text))) => text.clone(),
        (_, Some(other)) => other.to_string(),
    }
}

/// What an input of this name says about a field.
pub(super) fn given(field: &FieldSpec, name: &str, fields: &FormFields, zone: &TimeZone, takes_whole_days: bool) -> Value {
    let text = fields.text(name);
    if let Some(time) = whole_days::stored(field, &text, takes_whole_days, zone) {
        return time;
    }
    match field.kind {
        FieldKind::Flag => Value::Bool(text == "true"),
        FieldKind::Time => {
            let at = text.trim().parse::<DateTime>().ok().and_then(|local| local.to_zoned(zone.clone()).ok());
            at.map_or_else(|| forms::value(field, &text), |at| time::iso_millis(at.timestamp()).into())
        }
        _ => forms::value(field, &text),
    }
}

pub(super) async fn add(
    State(shared): State<Shared>,
    Path((app, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    let fields = shared.app.modules().form(table).ok_or(Failed::NotFound)?;
    let zone = FormZone::sent(&posted.fields, &posted.who, &shared.app);
    let whole = fields.iter().any(|field| whole_days::is_switch(field) && posted.fields.text(&field.name) == "true");
    let values = fields.iter().map(|field| (field, given(field, &field.name, &posted.fields, zone.zone(), whole)));
    let record = values.filter(|(field, value)| !value.is_null() && (field.kind != FieldKind::Flag || *value == true));
    let record = record.map(|(field, value)| (field.name.clone(), value)).collect();
    match shared.app.add_records(&posted.who.user, table, vec![record]).await {
        Ok(_) => Ok(to(&format!("{}?added=1", place(table)))),
        Err(error) => {
            let Some(why) = error.refusal(posted.who.words) else { return Err(error.into()) };
            let body = list_body(&shared, &posted.who, table, &Part::default(), Some(&why), &posted.fields).await?;
            Ok(refused(&posted.who, &posted.who.words.say("common-records"), &body))
        }
    }
}

pub(super) async fn show(
    State(shared): State<Shared>,
    who: SignedIn,
    Path((app, name, id)): Path<(String, String, String)>,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    let record = shared.app.record(&who.user, table, &id).await?;
    Ok(page(&who, &who.words.say("common-records"), &edit_body(&shared, &who, table, (&id, &record), None)))
}

fn is_sealed(record: &Record, field: &FieldSpec) -> bool {
    record.get(&field.name).and_then(Value::as_str).is_some_and(is_ciphertext)
}

/// The form of a record; `refused`: what is wrong with the one that was sent, and what it says, which is shown again.
fn edit_body(
    shared: &Shared,
    who: &SignedIn,
    table: &TableSpec,
    (id, record): (&str, &Record),
    refused: Option<(&str, &FormFields)>,
) -> Markup {
    let words = who.words;
    let zone = &refused.map_or_else(|| FormZone::of(who, &shared.app), |(_, sent)| FormZone::sent(sent, who, &shared.app));
    let of_form = |field: &FieldSpec, text: String| {
        let was = format!("was:{}", field.name);
        match refused.filter(|(_, sent)| sent.has(&was)) {
            // A box that is not ticked sends nothing.
            Some((_, sent)) => (sent.text(&was), sent.text(&field.name)),
            None => (text.clone(), text),
        }
    };
    let place_of = of_record(table, id);
    let whole = WholeDays::of(record.iter().map(|(name, value)| (name.as_str(), value)));
    html! {
        p { a href=(place(table)) { "← " (module::table(words, table)) } }
        div.head {
            h1 dir="auto" { (heading(words, table, record)) }
            div.actions { (button(who, &format!("{place_of}/delete"), &words.say("records-delete"), &[], "")) }
        }
        form.stack method="post" action=(place_of) {
            (csrf(who)) (zone.hidden())
            @if let Some((wrong, _)) = refused { p.wrong role="alert" tabindex="-1" autofocus { (wrong) } }
            @for field in &shared.app.modules().editable(table) {
                @if is_sealed(record, field) { p { b { (module::field(words, field)) } } p.hint { (words.say("records-encrypted-hint")) } }
                @else {
                    @let field = whole_days::in_days(field, whole.is_some());
                    @let (was, text) = of_form(&field, shown(&field, record.get(&field.name), zone.zone(), whole));
                    input type="hidden" name={ "was:" (field.name) } value=(was);
                    (input(words, &field, &text, zone, false))
                }
            }
            div.actions { button.primary { (words.say("common-save")) } }
        }
    }
}

pub(super) async fn save(
    State(shared): State<Shared>,
    Path((app, name, id)): Path<(String, String, String)>,
    posted: Posted,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    let fields = &posted.fields;
    // What stands as it was shown was not edited: another client may have changed it meanwhile.
    let was = |field: &FieldSpec| format!("was:{}", field.name);
    let editable = shared.app.modules().editable(table);
    let switch = editable.iter().find(|field| whole_days::is_switch(field));
    let whole = switch.is_some_and(|field| fields.text(&field.name) == "true");
    let is_switched = switch.is_some_and(|field| fields.has(&was(field)) && (fields.text(&was(field)) == "true") != whole);
    let is_edited = |field: &&FieldSpec| {
        let now = if field.kind == FieldKind::Flag { (fields.text(&field.name) == "true").to_string() } else { fields.text(&field.name) };
        let then = fields.text(&was(field));
        let then = if field.kind == FieldKind::Flag && then.is_empty() { "false".to_owned() } else { then };
        // What becomes whole days, or ceases to, has other times.
        let is_moved = is_switched && whole_days::is_time(field) && !now.is_empty();
        fields.has(&was(field)) && (now != then || is_moved)
    };
    let zone = FormZone::sent(fields, &posted.who, &shared.app);
    let changed = editable
        .iter()
        .filter(is_edited)
        .map(|field| (field.name.clone(), given(field, &field.name, fields, zone.zone(), whole)))
        .collect();
    match shared.app.change_record(&posted.who.user, table, &id, changed).await {
        Ok(()) => Ok(to(&of_record(table, &id))),
        Err(error) => {
            let Some(why) = error.refusal(posted.who.words) else { return Err(error.into()) };
            let record = shared.app.record(&posted.who.user, table, &id).await?;
            Ok(refused(
                &posted.who,
                &posted.who.words.say("common-records"),
                &edit_body(&shared, &posted.who, table, (&id, &record), Some((&why, fields))),
            ))
        }
    }
}

pub(super) async fn delete(
    State(shared): State<Shared>,
    Path((app, name, id)): Path<(String, String, String)>,
    posted: Posted,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    shared.app.delete_record(&posted.who.user, table, &id).await?;
    Ok(to(&format!("{}?deleted={}", place(table), segment(&id).trim_start_matches('/'))))
}

pub(super) async fn undelete(
    State(shared): State<Shared>,
    Path((app, name, id)): Path<(String, String, String)>,
    posted: Posted,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    shared.app.undelete_record(&posted.who.user, table, &id).await?;
    Ok(to(&of_record(table, &id)))
}

pub(super) async fn import_form(
    State(shared): State<Shared>,
    who: SignedIn,
    Path((app, name)): Path<(String, String)>,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    Ok(page(&who, &who.words.say("common-records"), &import_body(&who, table, "", None)))
}

fn import_body(who: &SignedIn, table: &TableSpec, text: &str, wrong: Option<&str>) -> Markup {
    let words = who.words;
    html! {
        p { a href=(place(table)) { "← " (module::table(words, table)) } }
        h1 { (words.with("records-import-into", [("table", module::table(words, table).into())])) }
        form.stack method="post" action={ (place(table)) "/import" } {
            (csrf(who))
            @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus { (words.say("records-import-failed")) " " (wrong) } }
            label for="file" { (words.say("records-import-file")) }
            input #file type="file" name="file" accept=".md,.markdown,.txt,.csv,.ics,text/*" data-into="text";
            label for="text" { (words.with("records-import-paste", [("forms", forms_of(words, table).into())])) }
            textarea #text name="text" rows="12" dir="auto" required { "\n" (text) }
            p.hint { (help(words, table)) }
            div.actions { button.primary { (words.say("records-import")) } }
        }
    }
}

/// How a text must look.
fn help(words: Words, table: &TableSpec) -> String {
    let names: Vec<String> =
        table.fields.iter().filter(|field| field.kind != FieldKind::Link).map(|field| module::field(words, field)).collect();
    let csv = words.with("records-help-csv", [("names", names.join(", ").into())]);
    match (table.is_calendar(), &table.done, table.role(FieldRole::Text)) {
        (true, ..) => format!("{} {csv}", words.say("records-help-calendar")),
        (_, Some(_), _) => format!("{} {csv}", words.say("records-help-list")),
        (_, None, Some(_)) => format!("{} {csv}", words.say("records-help-headings")),
        _ => csv,
    }
}

pub(super) async fn import(
    State(shared): State<Shared>,
    Path((app, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    let text = posted.fields.text("text");
    match shared.app.import_records(&posted.who.user, table, &text, &posted.fields.text("file")).await {
        Ok(count) => Ok(to(&format!("{}?added={count}", place(table)))),
        Err(error) => {
            let Some(why) = error.refusal(posted.who.words) else { return Err(error.into()) };
            let body = import_body(&posted.who, table, &text, Some(&why));
            Ok(refused(&posted.who, &posted.who.words.say("common-records"), &body))
        }
    }
}

pub(super) async fn export(
    State(shared): State<Shared>,
    who: SignedIn,
    Path((app, name, form)): Path<(String, String, String)>,
) -> Result<Response, Failed> {
    let table = table(&shared, (&app, &name))?;
    let form = TextForm::parse(&form).filter(|form| TextForm::of(table).contains(form)).ok_or(Failed::NotFound)?;
    let text = shared.app.export_records(&who.user, table, form).await?;
    let file = format!("attachment; filename=\"{}.{}\"", table.table, form.extension());
    let kind = match form {
        TextForm::Markdown => "text/markdown; charset=utf-8",
        TextForm::Csv => "text/csv; charset=utf-8",
        TextForm::Ics => "text/calendar; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, file)], text).into_response())
}
