//! The decrypt audit, in words.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::agent_form::select;
use super::page::{Failed, Response, moment, page, path, rich, segment, shorter};
use super::records;
use super::session::SignedIn;
use crate::app::{Heading, NamedRecord, ReadsView};
use crate::domain::ids::MissionId;
use crate::store::{AuditRow, ReadStatus};
use crate::text::catalog::{Words, text_id};
use crate::text::module;

const SHOWN: usize = 100;

#[derive(Deserialize)]
pub(super) struct AuditPage {
    #[serde(default)]
    mission: String,
    #[serde(default)]
    table: String,
    before: Option<i64>,
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Query(of): Query<AuditPage>) -> Result<Response, Failed> {
    let mission = Some(MissionId::from(of.mission.as_str())).filter(|_| !of.mission.is_empty());
    let table = Some(of.table.as_str()).filter(|table| !table.is_empty());
    let found = shared.app.reads_view(&who.user, (mission.as_ref(), table), of.before, SHOWN).await?;
    let words = who.words;
    let records = found.rows.iter().map(|row| (row.table.as_str(), &*row.record_id)).collect();
    let names = shared.app.named_records(&who.user, records).await?;
    let is_filtered = mission.is_some() || table.is_some();
    let body = html! {
        h1 { (words.say("common-access")) }
        p.lead { (words.say("access-lead")) }
        @if is_filtered || !found.rows.is_empty() { (filters(&shared, words, &of, &found)) }
        @if found.rows.is_empty() { p.empty { @if is_filtered { (words.say("access-none-chosen")) } @else { (words.say("access-none")) } } }
        ul.log { @for (row, name) in found.rows.iter().zip(&names) { (line(&shared, words, row, name.as_ref(), &found)) } }
        @if let Some(next) = found.next {
            p { a.button href={ "/audit?mission=" (segment(&of.mission)) "&table=" (segment(&of.table)) "&before=" (next) } { (words.say("common-older")) } }
        }
    };
    Ok(page(&who, &words.say("common-access"), &body))
}

/// What one may choose: everything that the lines are of, and what was chosen.
fn filters(shared: &Shared, words: Words, of: &AuditPage, found: &ReadsView) -> Markup {
    let all = words.say("access-all");
    let mut missions: Vec<(&str, String)> = vec![("", all.to_string())];
    missions.extend(found.missions.iter().map(|card| (card.id.as_str(), shorter(card.label(), 60))));
    if !missions.iter().any(|(id, _)| *id == of.mission) {
        missions.push((of.mission.as_str(), shorter(&of.mission, 60)));
    }
    let mut tables: Vec<(&str, String)> = vec![("", all.to_string())];
    tables.extend(found.tables.iter().map(|table| (table.as_str(), table_in_words(shared, words, table))));
    if !tables.iter().any(|(name, _)| *name == of.table) {
        tables.push((of.table.as_str(), table_in_words(shared, words, &of.table)));
    }
    html! {
        form.filter method="get" action="/audit" {
            div.columns.narrow {
                div { label for="mission" { (words.say("access-mission")) } (select("mission", "mission", &missions, &of.mission)) }
                div { label for="table" { (words.say("access-table")) } (select("table", "table", &tables, &of.table)) }
                div.go { button { (words.say("access-filter")) } }
            }
        }
    }
}

fn table_in_words(shared: &Shared, words: Words, name: &str) -> String {
    let table = shared.app.modules().tables().iter().find(|table| table.table == name);
    table.map_or_else(|| shorter(name, 60), |table| module::table(words, table))
}

/// One read, `named` being its record, where it is still there. What is encrypted is told apart by its id.
fn line(shared: &Shared, words: Words, row: &AuditRow, named: Option<&NamedRecord>, found: &ReadsView) -> Markup {
    let by_id = named.map(|found| match &found.heading {
        Heading::Encrypted | Heading::Untitled => NamedRecord { heading: Heading::TooLong, ..found.clone() },
        _ => found.clone(),
    });
    let record = html! { b dir="auto" { (records::named(shared, words, by_id.as_ref(), &row.record_id)) } };
    let card = found.missions.iter().find(|card| card.id == row.mission_id);
    let name = card.map_or_else(|| shorter(&row.mission_id, 60), |card| shorter(card.label(), 60));
    let mission = html! { a href=(path("missions", &row.mission_id)) { bdi { (name) } } };
    let table = html! { bdi { (table_in_words(shared, words, &row.table)) } };
    let was_read = row.status == ReadStatus::Ok.as_str();
    html! {
        li class=(if was_read { "good" } else { "bad" }) {
            (moment(row.at)) " "
            @if was_read { (rich(words, "access-read", [("record", record), ("table", table), ("mission", mission)])) }
            @else {
                (rich(words, "access-closed", [("record", record), ("table", table), ("mission", mission)])) " " (words.say(why(row)))
            }
        }
    }
}

/// Why a record stayed closed.
fn why(row: &AuditRow) -> &'static str {
    if row.status == ReadStatus::ScopeViolation.as_str() {
        return text_id("access-outside");
    }
    match row.reason.as_deref() {
        Some("not-configured") => text_id("access-not-configured"),
        Some("malformed") => text_id("access-malformed"),
        Some("expired") => text_id("access-expired"),
        Some("wrong-mission") => text_id("access-wrong-mission"),
        Some("wrap-rejected") => text_id("access-wrap-rejected"),
        Some("not-authentic") => text_id("access-not-authentic"),
        _ => text_id("access-damaged"),
    }
}
