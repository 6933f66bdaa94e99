//! Missions: the list, and what forms and buttons do to one.

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::mission_form::{SHOWN, choices, form, read};
use super::page::{Failed, PAGE, Response, button, moment, more, page, path, refused, rich, shorter, state_badge, to};
use super::session::{Posted, SignedIn};
use crate::app::RunNow;
use crate::domain::field;
use crate::domain::ids::MissionId;
use crate::domain::merge::Record;
use crate::domain::mission::{Mission, MissionState};
use crate::store::MissionCard;
use crate::text::catalog::{Words, text_id};

#[derive(Deserialize)]
pub(super) struct Listed {
    /// Missions after this id.
    #[serde(default)]
    after: String,
    /// The mission that was just deleted.
    deleted: Option<String>,
}

pub(super) async fn list(
    State(shared): State<Shared>,
    who: SignedIn,
    Query(Listed { after, deleted }): Query<Listed>,
) -> Result<Response, Failed> {
    let words = who.words;
    let rows = shared.app.missions(&who.user, &after, PAGE).await?;
    let body = html! {
        div.head { h1 { (words.say("common-missions")) } a.button.primary href="/missions/new" { (words.say("missions-new")) } }
        @if let Some(id) = &deleted {
            div.health { (words.say("missions-deleted")) " " (button(&who, &format!("{}/undelete", path("missions", id)), &words.say("missions-undelete"), &[], "")) }
        }
        @if rows.is_empty() { p.empty { (words.say("missions-none")) } }
        @else { (mission_table(words, &rows, shared.app.now())) }
        @if let Some(last) = rows.last().filter(|_| rows.len() == PAGE as usize) { (more(words, "/missions", &last.id)) }
    };
    Ok(page(&who, &words.say("common-missions"), &body))
}

/// Missions as a list with state, next time, and what waits.
pub(super) fn mission_table(words: Words, rows: &[MissionCard], now: Timestamp) -> Markup {
    html! {
        ul.cards { @for mission in rows {
            li.card {
                h2 { a href=(path("missions", &mission.id)) { bdi { (shorter(mission.label(), 80)) } } " " (state_badge(words, mission.state.as_str())) }
                p dir="auto" { (shorter(&mission.objective, 160)) }
                p.hint {
                    @match mission.next_run_at.filter(|_| mission.state == MissionState::Active) {
                        None if mission.state != MissionState::Active => (words.say("missions-off")),
                        None => (words.say("missions-manual")),
                        Some(at) if at <= now => (rich(words, "missions-due", [("at", moment(at))])),
                        Some(at) => (rich(words, "missions-next", [("at", moment(at))])),
                    }
                    @if mission.awaiting_review > 0 { " · " b { (words.with("missions-to-review", [("count", mission.awaiting_review.into())])) } }
                }
            }
        } }
    }
}

pub(super) async fn new(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let words = who.words;
    let record = Record::new();
    let choices = choices(&shared, &who, &record).await?;
    let body = html! {
        div.head { h1 { (words.say("missions-new")) } a.button href="/templates" { (words.say("templates-start")) } }
        (form(&who, "/missions", &words.say("missions-create"), (&record, &Record::new()), &choices, &shared.app, None))
    };
    Ok(page(&who, &words.say("missions-new"), &body))
}

pub(super) async fn create(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let who = &posted.who;
    let words = who.words;
    match read(words, &posted.fields, None, shared.app.now(), shared.app.zone()) {
        Ok(record) => {
            let id = shared.app.create_mission(&who.user, record).await?;
            Ok(to(&path("missions", &id)))
        }
        Err((wrong, record)) => {
            let choices = choices(&shared, who, &record).await?;
            let form =
                form(who, "/missions", &words.say("missions-create"), (&record, &Record::new()), &choices, &shared.app, Some(&wrong));
            Ok(refused(who, &words.say("missions-new"), &html! { h1 { (words.say("missions-new")) } (form) }))
        }
    }
}

pub(super) async fn edit(State(shared): State<Shared>, who: SignedIn, Path(id): Path<MissionId>) -> Result<Response, Failed> {
    let record = shared.app.mission_fields(&who.user, &id, &SHOWN).await?;
    Ok(page(&who, &who.words.say("missions-edit"), &editing(&shared, &who, &id, &record, &record, None).await?))
}

pub(super) async fn editing(
    shared: &Shared,
    who: &SignedIn,
    id: &str,
    record: &Record,
    was: &Record,
    wrong: Option<&str>,
) -> Result<Markup, Failed> {
    let choices = choices(shared, who, record).await?;
    let place = path("missions", id);
    Ok(html! {
        h1 { (who.words.say("missions-edit")) }
        p { a href=(place) { (who.words.say("common-cancel")) } }
        (form(who, &place, &who.words.say("common-save"), (record, was), &choices, &shared.app, wrong))
    })
}

pub(super) async fn set_state(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let state = match posted.fields.text("state").as_str() {
        "active" => MissionState::Active,
        "paused" => MissionState::Paused,
        "done" => MissionState::Done,
        _ => return Err(Failed::Form(text_id("common-form-old-why"))),
    };
    shared.app.set_mission_state(&posted.who.user, &id, state).await?;
    Ok(to(&path("missions", &id)))
}

pub(super) async fn run(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let place = path("missions", &id);
    match shared.app.run_mission_now(&posted.who.user, &id).await? {
        RunNow::Due if posted.fields.text("from") == "start" => Ok(to(&path("start/plan", &id))),
        RunNow::Due => Ok(to(&place)),
        RunNow::UnderWay => {
            let words = posted.who.words;
            let body = html! {
                h1 { (words.say("missions-under-way")) }
                p { (words.say("missions-under-way-hint")) }
                div.actions { a.button.primary href=(place) { (words.say("missions-back")) } }
            };
            Ok(page(&posted.who, &words.say("missions-under-way"), &body))
        }
    }
}

pub(super) async fn ask(State(shared): State<Shared>, who: SignedIn, Path(id): Path<MissionId>) -> Result<Response, Failed> {
    let record = shared.app.mission_fields(&who.user, &id, &[field::TITLE]).await?;
    let (mission, _) = Mission::read(&id, &record.into());
    let (words, place) = (who.words, path("missions", &id));
    let body = html! {
        h1 { (rich(words, "missions-delete-title", [("mission", html! { bdi { (shorter(mission.label(), 80)) } })])) }
        p { (words.say("missions-delete-hint")) }
        div.actions { (button(&who, &format!("{place}/delete"), &words.say("missions-delete-yes"), &[], "danger")) a.button href=(place) { (words.say("missions-delete-no")) } }
    };
    Ok(page(&who, &words.say("missions-delete-title-short"), &body))
}

pub(super) async fn delete(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    shared.app.delete_mission(&posted.who.user, &id).await?;
    Ok(to(&format!("/missions?deleted={}", path("", &id).trim_start_matches('/'))))
}

/// Brings a deleted mission back.
pub(super) async fn undelete(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    shared.app.undelete_mission(&posted.who.user, &id).await?;
    Ok(to(&path("missions", &id)))
}
