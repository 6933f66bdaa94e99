//! Deleted missions, agents and records, each with a way back.

use axum::extract::{Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::page::{Failed, Response, button, moment, page, path, shorter};
use super::records::{heading, of_record};
use super::session::SignedIn;
use crate::app::{DeletedKind, DeletedThings};
use crate::domain::time;
use crate::store::DeletedRecord;
use crate::text::catalog::{Words, text_id};
use crate::text::module;

/// Things of one kind on a page.
const SHOWN: usize = 30;

#[derive(Deserialize)]
pub(super) struct DeletedAsked {
    #[serde(default)]
    of: String,
    /// Deleted before this, microseconds.
    before: Option<i64>,
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Query(asked): Query<DeletedAsked>) -> Result<Response, Failed> {
    let words = who.words;
    let kind = DeletedKind::ALL.into_iter().find(|kind| kind.as_str() == asked.of);
    let before = asked.before.map_or(Timestamp::MAX, time::from_micros);
    let things = shared.app.deleted(&who.user, kind, before, SHOWN as u32).await?;
    let is_all = |one| kind.is_none_or(|kind| kind == one);
    let body = html! {
        h1 { (words.say("records-deleted-title")) }
        p.hint { (words.say("records-deleted-lead")) }
        @for one in DeletedKind::ALL.into_iter().filter(|one| is_all(*one)) {
            section {
                h2 { (words.say(title(one))) }
                (rows(&shared, &who, one, &things))
            }
        }
        @if kind.is_some() { p { a href="/deleted" { (words.say("records-deleted-all")) } } }
    };
    Ok(page(&who, &words.say("records-deleted-title"), &body))
}

fn title(kind: DeletedKind) -> &'static str {
    match kind {
        DeletedKind::Missions => text_id("common-missions"),
        DeletedKind::Agents => text_id("common-agents"),
        DeletedKind::Records => text_id("common-records"),
    }
}

/// Something that was deleted: when, what it is called, what it is, and where it is brought back.
type Gone = (Timestamp, String, String, String);

fn rows(shared: &Shared, who: &SignedIn, kind: DeletedKind, things: &DeletedThings) -> Markup {
    let words = who.words;
    let gone: Vec<Gone> = match kind {
        DeletedKind::Missions => {
            let of = |(at, card): &(Timestamp, _)| -> Gone { mission(*at, card) };
            things.missions.iter().map(of).collect()
        }
        DeletedKind::Agents => things
            .agents
            .iter()
            .map(|(at, card)| (*at, shorter(&card.name, 100), shorter(&card.role, 100), path("agents", &card.id)))
            .collect(),
        DeletedKind::Records => things.records.iter().filter_map(|deleted| record(shared, words, deleted)).collect(),
    };
    let last = match kind {
        DeletedKind::Missions => things.missions.get(SHOWN - 1).map(|(at, _)| *at),
        DeletedKind::Agents => things.agents.get(SHOWN - 1).map(|(at, _)| *at),
        DeletedKind::Records => things.records.get(SHOWN - 1).map(|record| record.at),
    };
    html! {
        @if gone.is_empty() { p.empty { (words.say("records-deleted-none")) } }
        ul.plain.gone { @for (at, name, what, place) in &gone { li.row {
            div { bdi { (name) } @if !what.is_empty() { " " span.hint dir="auto" { (what) } } p.hint { (words.say("records-deleted-at")) " " (moment(*at)) } }
            (button(who, &format!("{place}/undelete"), &words.say("records-restore"), &[], ""))
        } } }
        @if let Some(last) = last { p { a.button href={ "/deleted?of=" (kind.as_str()) "&before=" (time::to_micros(last)) } { (words.say("common-older")) } } }
    }
}

fn mission(at: Timestamp, card: &crate::store::MissionCard) -> Gone {
    (at, shorter(card.label(), 100), shorter(&card.objective, 100), path("missions", &card.id))
}

/// A record of a table that is still described.
fn record(shared: &Shared, words: Words, deleted: &DeletedRecord) -> Option<Gone> {
    let table =
        shared.app.modules().tables().iter().find(|table| table.app == deleted.app && table.table == deleted.table && !table.hidden)?;
    Some((deleted.at, heading(words, table, &deleted.shown), module::table(words, table), of_record(table, &deleted.id)))
}
