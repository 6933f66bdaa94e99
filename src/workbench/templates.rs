//! Templates: the shelf, what one would create, and files in and out.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use maud::{Markup, html};
use serde_json::Value;

use super::Shared;
use super::fields::FormFields;
use super::form_zone::FormZone;
use super::insights::tool;
use super::page::{Failed, Response, csrf, page, path, refused, shorter, to};
use super::session::{Posted, SignedIn};
use super::values::amount as amount_of;
use crate::app::{AppError, bad_template};
use crate::domain::ids::AgentId;
use crate::domain::repetition::Repetition;
use crate::modules::{FieldKind, FieldRole, TableSpec};
use crate::planner::tools::Tool;
use crate::templates::{Template, TemplateModules, TemplateRecord};
use crate::text::catalog::{Words, text_id};
use crate::text::{module, schedule};

/// The name of a file that was pasted or chosen, in messages about it.
const FILE: &str = "template.json";
/// Sample records that are told of each table.
const TOLD: usize = 12;

const CATEGORIES: [(&str, &str); 7] = [
    ("health", text_id("templates-health")),
    ("home", text_id("templates-home")),
    ("learning", text_id("templates-learning")),
    ("life", text_id("templates-life")),
    ("money", text_id("templates-money")),
    ("people", text_id("templates-people")),
    ("work", text_id("templates-work")),
];

pub(super) async fn list(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let words = who.words;
    let shelf = shared.app.templates().await?;
    let body = html! {
        div.head {
            h1 { (words.say("templates-title")) }
            a.button href="/templates/import" { (words.say("templates-import")) }
        }
        p.lead { (words.say("templates-lead")) }
        (cards(words, &shelf.templates))
        @if !shelf.problems.is_empty() {
            section {
                h2 { (words.say("templates-broken")) }
                ul.plain { @for problem in &shelf.problems { li.hint { bdi { (shorter(&bad_template::told(words, problem), 300)) } } } }
            }
        }
    };
    Ok(page(&who, &words.say("templates-title"), &body))
}

/// Templates to choose from.
pub(super) fn cards(words: Words, templates: &[Template]) -> Markup {
    let language = words.language();
    html! {
        ul.cards { @for template in templates {
            li.card {
                h2 { (icon(template)) a href=(path("templates", &template.id)) { bdi { (shorter(template.name.told(language), 80)) } } }
                p dir="auto" { (shorter(template.tagline.told(language), 160)) }
                @if let Some((_, label)) = CATEGORIES.iter().find(|(category, _)| *category == template.category) { p.hint { (words.say(label)) } }
            }
        } }
    }
}

fn icon(template: &Template) -> Markup {
    // An address or a word is no icon.
    let short = template.icon.chars().count() <= 8 && !template.icon.is_ascii();
    html! { span.avatar aria-hidden="true" { @if short { (template.icon) } @else { "●" } } }
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Path(id): Path<String>) -> Result<Response, Failed> {
    let template = shared.app.template(&id).await?;
    let body = detail(&shared, &who, &template, &path("templates", &id), None);
    Ok(page(&who, template.name.told(who.words.language()), &body))
}

/// What a template would create, with the form that does it; `file` is the text of one that is not on the shelf.
fn detail(shared: &Shared, who: &SignedIn, template: &Template, action: &str, file: Option<&str>) -> Markup {
    let (words, language) = (who.words, who.words.language());
    let agent = &template.agent;
    html! {
        p { a href="/templates" { (words.say("templates-back")) } }
        h1 { (icon(template)) bdi { (shorter(template.name.told(language), 120)) } }
        @if !template.description.told(language).is_empty() { p.lead dir="auto" { (template.description.told(language)) } }
        form.actions method="post" action=(action) {
            (csrf(who))
            @if let Some(file) = file { input type="hidden" name="text" value=(file); }
            button.primary name="run" value="yes" { (words.say("templates-create-and-run")) }
            button { (words.say("templates-create")) }
        }
        h2 { (words.say("templates-creates")) }
        @let modules = works_with(shared, words, template);
        @if !modules.is_empty() { p { (words.with("templates-works-with", [("modules", modules.into())])) } }
        section {
            h3 { (words.say("templates-agent")) ": " bdi { (shorter(agent.name.told(language), 120)) } }
            p dir="auto" { (shorter(agent.role.told(language), 300)) }
            (decided(shared, words, text_id("templates-by-itself"), &agent.tools("auto")))
            (decided(shared, words, text_id("templates-asks"), &agent.tools("propose")))
            @if let Some(tokens) = agent.max_tokens_per_day { p.hint { (words.with("templates-tokens", [("count", tokens.into())])) } }
            @if !agent.system_prompt.told(language).is_empty() {
                details { summary { (words.say("templates-prompt")) } p.prose dir="auto" { (agent.system_prompt.told(language)) } }
            }
        }
        @for mission in &template.missions { section {
            h3 { (words.say("templates-mission")) ": " bdi { (shorter(mission.title.told(language), 120)) } }
            p.prose dir="auto" { (mission.objective.told(language)) }
            @if let Ok(repetition) = Repetition::read(&mission.cadence) {
                p.hint { (words.say("mission-schedule")) ": " (schedule::told(words, &repetition, zone_of(shared, &mission.cadence))) }
            }
            @if !mission.concept.told(language).is_empty() { p.prose.hint dir="auto" { (mission.concept.told(language)) } }
        } }
        @if !template.modules.is_empty() { (brought(words, &template.modules)) }
        @if !template.records.is_empty() { section {
            h3 { (words.say("templates-records")) }
            p.hint { (words.say("templates-records-hint")) }
            (samples(shared, who, template))
        } }
    }
}

/// The modules of its records and of the tools that its agent may use.
fn works_with(shared: &Shared, words: Words, template: &Template) -> String {
    let kinds = shared.app.modules().kinds();
    let of_record = |record: &TemplateRecord| {
        let kind = kinds.all().iter().find(|kind| record.table.split_once('/') == Some((&kind.app, &kind.table)))?;
        Some(module::module(words, kind.module()))
    };
    let of_tool = |name: &str| {
        let tool = shared.app.tools().iter().find(|tool| tool.name == name)?;
        Some(module::module(words, &tool.module))
    };
    let tools = ["auto", "propose"].into_iter().flat_map(|decision| template.agent.tools(decision));
    let names: BTreeSet<String> = template.records.iter().filter_map(of_record).chain(tools.filter_map(of_tool)).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The tables and tools that a template brings.
fn brought(words: Words, brought: &TemplateModules) -> Markup {
    let fields = |table: &TableSpec| table.fields.iter().map(|field| module::field(words, field)).collect::<Vec<_>>().join(", ");
    let names: BTreeSet<String> = brought.catalog.iter().map(|tool| module::module(words, &tool.module)).collect();
    html! {
        section {
            h3 { (words.say("templates-module")) @if !names.is_empty() { ": " bdi { (names.into_iter().collect::<Vec<_>>().join(", ")) } } }
            p.hint { (words.say("templates-module-hint")) }
            @let shown: Vec<&TableSpec> = brought.described.tables().iter().filter(|table| !table.hidden).collect();
            @if !shown.is_empty() {
                p { (words.say("templates-tables")) }
                ul { @for table in shown { li { bdi { (shorter(&module::table(words, table), 80)) } ": " bdi { (shorter(&fields(table), 300)) } } } }
            }
            @if !brought.catalog.is_empty() {
                p { (words.say("templates-tools")) }
                ul { @for tool in &brought.catalog { li dir="auto" { (module::tool(words, &tool.name, &shorter(&tool.description, 120))) } } }
            }
        }
    }
}

fn decided(shared: &Shared, words: Words, id: &'static str, tools: &[&str]) -> Markup {
    html! {
        @if !tools.is_empty() {
            p { (words.say(id)) }
            ul { @for name in tools { li { (tool(shared, words, name)) } } }
        }
    }
}

/// The zone of a schedule.
fn zone_of<'a>(shared: &'a Shared, cadence: &'a Value) -> &'a str {
    let own = cadence.get("timeZone").and_then(Value::as_str).filter(|zone| !zone.trim().is_empty());
    own.unwrap_or_else(|| shared.app.zone().iana_name().unwrap_or("UTC"))
}

fn samples(shared: &Shared, who: &SignedIn, template: &Template) -> Markup {
    let words = who.words;
    let titles = |record: &TemplateRecord| {
        let table = shared.app.modules().table(&record.table)?;
        let title = table.role(FieldRole::Title)?;
        let text = record.text(&title.name, words.language())?;
        // What a mood is called is a word that its tool knows.
        let is_word =
            |tool: &Tool| tool.parameters.iter().any(|param| param.name == title.name && param.allowed.iter().any(|one| one == text));
        let told = if shared.app.tools().iter().any(is_word) { module::choice(words, text) } else { text.to_owned() };
        let amount = table.fields.iter().find(|field| field.kind == FieldKind::Amount).and_then(|field| record.value(&field.name));
        let told = amount.map_or_else(|| told.clone(), |value| format!("{told}: {}", amount_of(words.language(), value)));
        Some((module::table(words, table), told))
    };
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    for (table, title) in template.records.iter().filter_map(titles) {
        tables.entry(table).or_default().push(title);
    }
    html! {
        dl { @for (table, titles) in &tables {
            dt { (table) }
            @for title in titles.iter().take(TOLD) { dd dir="auto" { (shorter(title, 120)) } }
            @if titles.len() > TOLD { dd { (words.with("templates-more", [("count", (titles.len() - TOLD).into())])) } }
        } }
    }
}

pub(super) async fn make(State(shared): State<Shared>, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    let template = shared.app.template(&id).await?;
    made(&shared, &posted.who, &template, &posted.fields).await
}

async fn made(shared: &Shared, who: &SignedIn, template: &Template, fields: &FormFields) -> Result<Response, Failed> {
    let made = shared.app.make_of_template(&who.user, template, who.words.language(), FormZone::own(who)).await?;
    let Some(mission) = made.missions.first() else { return Ok(to(&path("agents", &made.agent))) };
    if fields.has("run") {
        shared.app.run_mission_now(&who.user, mission).await?;
        return Ok(to(&path("start/plan", mission)));
    }
    Ok(to(&path("missions", mission)))
}

pub(super) async fn import_form(who: SignedIn) -> Response {
    page(&who, &who.words.say("templates-import"), &import_body(&who, "", None))
}

fn import_body(who: &SignedIn, text: &str, wrong: Option<&str>) -> Markup {
    let words = who.words;
    html! {
        p { a href="/templates" { (words.say("templates-back")) } }
        h1 { (words.say("templates-import")) }
        form.stack method="post" action="/templates/import" {
            (csrf(who))
            @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus dir="auto" { (shorter(wrong, 500)) } }
            label for="file" { (words.say("templates-file")) }
            input #file type="file" accept=".json,application/json" data-into="text";
            label for="text" { (words.say("templates-paste")) }
            textarea #text name="text" rows="12" dir="auto" required spellcheck="false" { "\n" (text) }
            p.hint { (words.say("templates-import-hint")) }
            button.primary { (words.say("templates-look")) }
        }
    }
}

/// Shows what a file would create; nothing is written yet.
pub(super) async fn import(State(shared): State<Shared>, posted: Posted) -> Response {
    let (who, text) = (&posted.who, posted.fields.text("text"));
    match shared.app.read_template(FILE, &text) {
        Ok(template) => {
            let body = detail(&shared, who, &template, "/templates/import/create", Some(&text));
            page(who, template.name.told(who.words.language()), &body)
        }
        Err(error) => not_imported(who, &text, error),
    }
}

fn not_imported(who: &SignedIn, text: &str, error: AppError) -> Response {
    match error.refusal(who.words) {
        Some(why) => refused(who, &who.words.say("templates-import"), &import_body(who, text, Some(&why))),
        None => Failed::from(error).into(),
    }
}

pub(super) async fn make_imported(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let (who, text) = (&posted.who, posted.fields.text("text"));
    match shared.app.read_template(FILE, &text) {
        Ok(template) => match made(&shared, who, &template, &posted.fields).await {
            Err(Failed::Refused(error)) => Ok(not_imported(who, &text, error)),
            made => made,
        },
        Err(error) => Ok(not_imported(who, &text, error)),
    }
}

/// The file of an agent, for others.
pub(super) async fn export(State(shared): State<Shared>, who: SignedIn, Path(id): Path<AgentId>) -> Result<Response, Failed> {
    let file = shared.app.export_template(&who.user, &id).await?;
    let name = serde_json::from_str::<Value>(&file).ok().and_then(|file| file.get("name")?.as_str().map(file_name)).unwrap_or_default();
    let kind = "application/json; charset=utf-8".to_owned();
    let file_name = format!("attachment; filename=\"{name}.json\"");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, file_name)], file).into_response())
}

/// A name in letters and digits, for any file system.
fn file_name(name: &str) -> String {
    let kept: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<&str> = kept.split('-').filter(|part| !part.is_empty()).collect();
    let name: String = parts.join("-").chars().take(60).collect();
    if name.is_empty() { "agent".into() } else { name }
}
