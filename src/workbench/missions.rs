//! Missions: the list, and what forms and buttons do to one.

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::mission_form::{SHOWN, choices, form, read};
use super::page::{Failed, PAGE, Response, badge, button, moment, more, page, path, refused, shorter, to};
use super::session::{Posted, SignedIn};
use crate::app::RunNow;
use crate::domain::field;
use crate::domain::ids::MissionId;
use crate::domain::merge::Record;
use crate::domain::mission::{Mission, MissionState};
use crate::store::MissionCard;

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
    let rows = shared.app.missions(&who.user, &after, PAGE).await?;
    let body = html! {
        div.head { h1 { "Missions" } a.button.primary href="/missions/new" { "New mission" } }
        @if let Some(id) = &deleted {
            div.health { "The mission is deleted. " (button(&who, &format!("{}/undelete", path("missions", id)), "Bring it back", &[], "")) }
        }
        @if rows.is_empty() { p.empty { "No missions yet." } }
        @else { (mission_table(&rows, shared.app.now())) }
        @if let Some(last) = rows.last().filter(|_| rows.len() == PAGE as usize) { (more("/missions", &last.id)) }
    };
    Ok(page(&who, "Missions", &body))
}

/// Missions as a list with state, next time, and what waits.
pub(super) fn mission_table(rows: &[MissionCard], now: Timestamp) -> Markup {
    html! {
        ul.cards { @for mission in rows {
            li.card {
                h2 { a href=(path("missions", &mission.id)) { bdi { (shorter(mission.label(), 80)) } } " " (badge(mission.state.as_str())) }
                p dir="auto" { (shorter(&mission.objective, 160)) }
                p.hint {
                    @match mission.next_run_at.filter(|_| mission.state == MissionState::Active) {
                        None if mission.state != MissionState::Active => "Does not run",
                        None => "Runs only when you start it",
                        Some(at) if at <= now => { "Due since " (moment(at)) }
                        Some(at) => { "Next " (moment(at)) }
                    }
                    @if mission.awaiting_review > 0 { " · " b { (mission.awaiting_review) " to review" } }
                }
            }
        } }
    }
}

pub(super) async fn new(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let record = Record::new();
    let choices = choices(&shared, &who, &record).await?;
    let body = html! {
        div.head { h1 { "New mission" } a.button href="/templates" { (who.words.say("templates-start")) } }
        (form(&who, "/missions", "Create mission", (&record, &Record::new()), &choices, &shared.app, None))
    };
    Ok(page(&who, "New mission", &body))
}

pub(super) async fn create(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let who = &posted.who;
    match read(&posted.fields, None, shared.app.now(), shared.app.zone()) {
        Ok(record) => {
            let id = shared.app.create_mission(&who.user, record).await?;
            Ok(to(&path("missions", &id)))
        }
        Err((wrong, record)) => {
            let choices = choices(&shared, who, &record).await?;
            let form = form(who, "/missions", "Create mission", (&record, &Record::new()), &choices, &shared.app, Some(&wrong));
            Ok(refused(who, "New mission", &html! { h1 { "New mission" } (form) }))
        }
    }
}

pub(super) async fn edit(State(shared): State<Shared>, who: SignedIn, Path(id): Path<MissionId>) -> Result<Response, Failed> {
    let record = shared.app.mission_fields(&who.user, &id, &SHOWN).await?;
    Ok(page(&who, "Edit mission", &editing(&shared, &who, &id, &record, &record, None).await?))
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
        h1 { "Edit mission" }
        p { a href=(place) { "Cancel" } }
        (form(who, &place, "Save", (record, was), &choices, &shared.app, wrong))
    })
}

pub(super) async fn set_state(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let state = match posted.fields.text("state").as_str() {
        "active" => MissionState::Active,
        "paused" => MissionState::Paused,
        "done" => MissionState::Done,
        _ => return Err(Failed::BadForm("state must be active, paused or done".into())),
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
            let body = html! {
                h1 { "A run is under way" }
                p { "This mission is being planned right now. Its plan appears on its page when it is done." }
                div.actions { a.button.primary href=(place) { "Back to the mission" } }
            };
            Ok(page(&posted.who, "A run is under way", &body))
        }
    }
}

pub(super) async fn ask(State(shared): State<Shared>, who: SignedIn, Path(id): Path<MissionId>) -> Result<Response, Failed> {
    let record = shared.app.mission_fields(&who.user, &id, &[field::TITLE]).await?;
    let (mission, _) = Mission::read(&id, &record.into());
    let place = path("missions", &id);
    let body = html! {
        h1 { "Delete " bdi { (shorter(mission.label(), 80)) } "?" }
        p { "It disappears on all your devices, with its plans. The log keeps what was written, so it can be brought back." }
        div.actions { (button(&who, &format!("{place}/delete"), "Yes, delete it", &[], "danger")) a.button href=(place) { "Keep it" } }
    };
    Ok(page(&who, "Delete mission", &body))
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
