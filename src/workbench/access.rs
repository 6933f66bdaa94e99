//! The decrypt audit, in words.

use axum::extract::{Query, State};
use maud::html;
use serde::Deserialize;

use super::Shared;
use super::page::{Failed, Response, moment, page, path, shorter};
use super::session::SignedIn;
use crate::domain::ids::MissionId;
use crate::store::{AuditRow, ReadStatus};

const SHOWN: u32 = 100;

#[derive(Deserialize)]
pub(super) struct AuditPage {
    mission: Option<MissionId>,
    before: Option<i64>,
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Query(of): Query<AuditPage>) -> Result<Response, Failed> {
    let rows = shared.app.reads_of(&who.user, of.mission.as_ref(), of.before, SHOWN).await?;
    let body = html! {
        h1 { "Data access" }
        p.lead {
            "Your encrypted records are read only under a grant that your own client made for one mission. Every attempt is noted here \
             before the record is used; nobody can change or remove a line."
        }
        @if rows.is_empty() { p.empty { "No encrypted data was accessed." } }
        @else {
            ul.log { @for row in &rows { (line(row)) } }
            @if let Some(last) = rows.last().filter(|_| rows.len() == SHOWN as usize) {
                p { a.button href={ "/audit?before=" (last.id) } { "Older" } }
            }
        }
    };
    Ok(page(&who, "Data access", &body))
}

fn line(row: &AuditRow) -> maud::Markup {
    let outside = row.status == ReadStatus::ScopeViolation.as_str();
    let (class, verb, why) = match row.status.as_str() {
        "ok" => ("good", "was read", None),
        _ if outside => ("bad", "was left alone", Some("the grant does not name it")),
        _ => ("bad", "could not be read", row.reason.as_deref()),
    };
    html! {
        li class=(class) {
            (moment(row.at)) " "
            span { "Record " b dir="auto" { (shorter(&row.record_id, 80)) } " of " (shorter(&row.table, 80)) " " (verb) }
            " for " a href=(path("missions", &row.mission_id)) { "mission " bdi { (shorter(&row.mission_id, 60)) } }
            @if let Some(why) = why { ": " (why) }
            "."
        }
    }
}
