//! What forms and buttons do to missions.

use axum::extract::{Path, State};
use maud::{Markup, html};

use super::Shared;
use super::mission_form::{SHOWN, choices, form, read};
use super::page::{Failed, Response, button, page, path, refused, rich, shorter, to};
use super::session::{Posted, SignedIn};
use crate::app::RunNow;
use crate::domain::field;
use crate::domain::ids::MissionId;
use crate::domain::merge::Record;
use crate::domain::mission::{Mission, MissionState};
use crate::text::catalog::text_id;

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
        (form(who, &place, &who.words.say("common-save"), (record, was), &choices, &shared.app, wrong))
    })
}

pub(super) async fn set_state(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let state = match posted.fields.text("state").as_str() {
        "active" => MissionState::Active,
        "paused" => MissionState::Paused,
        "done" => MissionState::Done,
        "archived" => MissionState::Archived,
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
        RunNow::NotNow(_) => Ok(to(&format!("{place}?refused=true"))),
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

pub(super) async fn cancel(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    shared.app.cancel_run(&posted.who.user, &id).await?;
    Ok(to(&path("missions", &id)))
}

pub(super) async fn duplicate(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let words = posted.who.words;
    let title = |title: &str| words.with("mission-copy-of", [("title", title.into())]);
    let copy = shared.app.duplicate_mission(&posted.who.user, &id, title).await?;
    Ok(to(&format!("{}/edit", path("missions", &copy))))
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
