//! Missions: the list, and what forms and buttons do to one.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Shared;
use super::agents::{PAGE, more};
use super::fields::{created, differing};
use super::mission::{edit_of, fields_of, find};
use super::mission_form::{SHOWN, TEMPLATES, choices, form, from_template, read};
use super::page::{Failed, Response, badge, button, moment, page, path, refused, shorter, to};
use super::session::{Posted, SignedIn};
use crate::domain::cadence::Cadence;
use crate::domain::merge::Record;
use crate::domain::mission::{Mission, MissionState};
use crate::domain::time;
use crate::store::{MissionCard, StoreError, Table};

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
    let store = shared.runner.store();
    crate::projection::refresh(store).await?;
    let rows = store.mission_cards(&who.user, &after, PAGE).await?;
    let body = html! {
        div.head { h1 { "Missions" } a.button.primary href="/missions/new" { "New mission" } }
        @if let Some(id) = &deleted {
            div.health { "The mission is deleted. " (button(&who, &format!("{}/undelete", path("missions", id)), "Bring it back", &[], "")) }
        }
        @if rows.is_empty() { p.empty { "No missions yet." } }
        @else { (mission_table(&rows, Timestamp::now())) }
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
                        None => "Runs when you say so",
                        Some(at) if at <= now => { "Due since " (moment(at)) }
                        Some(at) => { "Next " (moment(at)) }
                    }
                    @if mission.awaiting_review > 0 { " · " b { (mission.awaiting_review) " to review" } }
                }
            }
        } }
    }
}

#[derive(Deserialize)]
pub(super) struct Start {
    template: Option<String>,
}

pub(super) async fn new(State(shared): State<Shared>, who: SignedIn, Query(start): Query<Start>) -> Result<Response, Failed> {
    let record = from_template(start.template.as_deref().unwrap_or_default());
    let choices = choices(&shared, &who, &record).await?;
    let body = html! {
        h1 { "New mission" }
        nav.templates aria-label="Start from" {
            span { "Start from" }
            @for template in &TEMPLATES { a.button href={ "/missions/new?template=" (template.id) } { (template.title) } }
        }
        (form(&who, "/missions", "Create mission", (&record, &Record::new()), &choices, &shared.zone, None))
    };
    Ok(page(&who, "New mission", &body))
}

pub(super) async fn create(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let who = &posted.who;
    match read(&posted.fields, None, Timestamp::now(), &shared.zone) {
        Ok(record) => {
            let id = Uuid::new_v4().to_string();
            let record = created(record, &who.user, Timestamp::now());
            shared.runner.store().edit::<StoreError>(edit_of(who, Table::Missions, &id), move |_| Ok(record)).await?;
            Ok(to(&path("missions", &id)))
        }
        Err((wrong, record)) => {
            let choices = choices(&shared, who, &record).await?;
            let form = form(who, "/missions", "Create mission", (&record, &Record::new()), &choices, &shared.zone, Some(&wrong));
            Ok(refused(who, "New mission", &html! { h1 { "New mission" } (form) }))
        }
    }
}

pub(super) async fn edit(State(shared): State<Shared>, who: SignedIn, Path(id): Path<String>) -> Result<Response, Failed> {
    let record = fields_of(&shared, &who, Table::Missions, &id, &SHOWN).await?;
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
        p { a href=(place) { "Back without a change" } }
        (form(who, &place, "Save", (record, was), &choices, &shared.zone, wrong))
    })
}

/// Writes fields into a mission that is there.
async fn write(
    shared: &Shared,
    posted: &Posted,
    id: &str,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) -> Result<Response, Failed> {
    find(shared, &posted.who, id).await?;
    let fields = Record::from_iter(fields.into_iter().map(|(field, value)| (field.to_owned(), value)));
    let edit = edit_of(&posted.who, Table::Missions, id);
    shared.runner.store().edit::<StoreError>(edit, move |before| Ok(differing(before, fields))).await?;
    Ok(to(&path("missions", id)))
}

pub(super) async fn set_state(State(shared): State<Shared>, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    let state = posted.fields.text("state");
    if !["active", "paused", "done"].contains(&state.as_str()) {
        return Err(Failed::BadForm("state must be active, paused or done".into()));
    }
    let record = find(&shared, &posted.who, &id).await?;
    let mut fields = vec![("state", json!(state))];
    // As clients do it: a mission that goes on starts from now, and one that is done waits for nothing.
    match state.as_str() {
        "active" => {
            let cadence = Cadence::read(record.get("cadence").unwrap_or(&Value::Null)).ok();
            let next = cadence.and_then(|cadence| cadence.next(Timestamp::now(), &shared.zone));
            fields.push(("nextRunAt", next.map_or(Value::Null, |at| time::iso_millis(at).into())));
        }
        "done" => fields.push(("nextRunAt", Value::Null)),
        _ => {}
    }
    write(&shared, &posted, &id, fields).await
}

/// Makes the mission due and looks for due missions at once.
pub(super) async fn run(State(shared): State<Shared>, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    let under_way = shared.runner.store().open_run(&posted.who.user, &id).await?.filter(|run| run.owner.is_some());
    if under_way.is_some() {
        let body = html! {
            h1 { "A run is under way" }
            p { "This mission is being planned right now. Its plan appears on its page when it is done." }
            div.actions { a.button.primary href=(path("missions", &id)) { "Back to the mission" } }
        };
        return Ok(page(&posted.who, "A run is under way", &body));
    }
    let now = json!(time::iso_millis(Timestamp::now()));
    let answer = write(&shared, &posted, &id, [("nextRunAt", now)]).await?;
    let runner = Arc::clone(&shared.runner);
    tokio::spawn(async move {
        match runner.tick().await {
            Ok(tick) => drop(tick.settle().await),
            Err(error) => tracing::error!(%error, "a mission was to run now, but the tick failed; the next one tries again"),
        }
    });
    Ok(answer)
}

pub(super) async fn ask(State(shared): State<Shared>, who: SignedIn, Path(id): Path<String>) -> Result<Response, Failed> {
    let record = fields_of(&shared, &who, Table::Missions, &id, &["title"]).await?;
    let (mission, _) = Mission::read(&id, &record);
    let place = path("missions", &id);
    let body = html! {
        h1 { "Delete " bdi { (shorter(mission.label(), 80)) } "?" }
        p { "It disappears on all your devices, with its plans. The log keeps what was written, so it can be brought back." }
        div.actions { (button(&who, &format!("{place}/delete"), "Yes, delete it", &[], "danger")) a.button href=(place) { "Keep it" } }
    };
    Ok(page(&who, "Delete mission", &body))
}

pub(super) async fn delete(State(shared): State<Shared>, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    let now = json!(time::iso_millis(Timestamp::now()));
    write(&shared, &posted, &id, [("deletedAt", now)]).await?;
    Ok(to(&format!("/missions?deleted={}", path("", &id).trim_start_matches('/'))))
}

/// Brings a deleted mission back.
pub(super) async fn undelete(State(shared): State<Shared>, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    shared.runner.store().undelete(edit_of(&posted.who, Table::Missions, &id)).await?;
    Ok(to(&path("missions", &id)))
}
