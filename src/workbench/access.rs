//! The decrypt audit, in words.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::page::{Failed, Response, moment, page, path, rich, shorter};
use super::session::SignedIn;
use crate::domain::ids::MissionId;
use crate::store::{AuditRow, ReadStatus};
use crate::text::catalog::{Words, text_id};

const SHOWN: u32 = 100;

#[derive(Deserialize)]
pub(super) struct AuditPage {
    mission: Option<MissionId>,
    before: Option<i64>,
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Query(of): Query<AuditPage>) -> Result<Response, Failed> {
    let rows = shared.app.reads_of(&who.user, of.mission.as_ref(), of.before, SHOWN).await?;
    let words = who.words;
    let body = html! {
        h1 { (words.say("common-access")) }
        p.lead { (words.say("access-lead")) }
        @if rows.is_empty() { p.empty { (words.say("access-none")) } }
        @else {
            ul.log { @for row in &rows { (line(words, row)) } }
            @if let Some(last) = rows.last().filter(|_| rows.len() == SHOWN as usize) {
                p { a.button href={ "/audit?before=" (last.id) } { (words.say("common-older")) } }
            }
        }
    };
    Ok(page(&who, &words.say("common-access"), &body))
}

fn line(words: Words, row: &AuditRow) -> Markup {
    let record = html! { b dir="auto" { (shorter(&row.record_id, 80)) } };
    let mission = html! { a href=(path("missions", &row.mission_id)) { bdi { (shorter(&row.mission_id, 60)) } } };
    let table = html! { (shorter(&row.table, 80)) };
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
