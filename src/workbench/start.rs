//! From nothing to a first plan: connect a model, choose a template, see it run.

use axum::extract::{Path, State};
use jiff::Timestamp;
use maud::{Markup, html};

use super::Shared;
use super::mission::said;
use super::model_form::{self, ModelAnswered};
use super::page::{Failed, Response, button, moment, page, path, rich, shorter, to};
use super::review::inbox_path;
use super::session::{Posted, SignedIn};
use super::templates::cards;
use super::told::reason;
use crate::app::{InboxPlace, ModelWish, ViewBounds};
use crate::domain::field;
use crate::domain::ids::MissionId;
use crate::domain::standing::Standing;
use crate::runner::Explanation;
use crate::store::{Longest, RunRow};

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    shown(&shared, &who, None, &ModelAnswered::Nothing).await
}

async fn shown(shared: &Shared, who: &SignedIn, typed: Option<&ModelWish>, answered: &ModelAnswered) -> Result<Response, Failed> {
    let words = who.words;
    let model = shared.app.model();
    let is_admin = shared.app.is_admin(&who.user).await?;
    let shelf = shared.app.templates().await?;
    let name = html! { b { bdi { (shorter(&model.model, 80)) } } };
    let body = html! {
        h1 { (words.say("start-title")) }
        p.lead { (words.say("start-lead")) }
        section {
            h2 { (words.say("start-model")) }
            @if !is_admin {
                p { @if model.is_chosen { (rich(words, "start-model-chosen", [("model", name)])) } @else { (words.say("start-model-missing")) } }
            } @else {
                @if model.is_chosen { p { (rich(words, "start-model-chosen", [("model", name)])) } }
                details open[!model.is_chosen || typed.is_some()] {
                    summary { @if model.is_chosen { (words.say("start-model-change")) } @else { (words.say("start-model-connect")) } }
                    (model_form::form(shared, who, "/start/model", &words.say("start-model-save"), &model, typed, answered))
                }
            }
        }
        section #templates {
            h2 { (words.say("start-template")) }
            (cards(words, &shelf.templates))
            p { (rich(words, "start-own", [("link", html! { a href="/missions/new" { (words.say("start-own-link")) } })])) }
        }
    };
    Ok(page(who, &words.say("start-title"), &body))
}

pub(super) async fn model(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    match model_form::act(&shared, who, fields).await? {
        None => Ok(to("/start#templates")),
        Some(answered) => shown(&shared, who, Some(&model_form::wish(fields)), &answered).await,
    }
}

/// A first plan on its way; once it is there, its mission.
pub(super) async fn plan(State(shared): State<Shared>, who: SignedIn, Path(id): Path<MissionId>) -> Result<Response, Failed> {
    let fields = &[field::TITLE, field::STATE, field::NEXT_RUN_AT, field::CADENCE, field::AGENT_ID];
    let wanted = ViewBounds { fields, longest: Longest::WHOLE, skip: 0, plans: 1, before: Timestamp::MAX, runs: 1 };
    let view = shared.app.mission_view(&who.user, &id, wanted).await?;
    let place = path("missions", &id);
    match view.plans.iterations.first() {
        Some(first) if first.awaits_review() => {
            return Ok(to(&inbox_path(&InboxPlace { mission: id, plan: first.id().to_owned(), since: 0 })));
        }
        Some(_) => return Ok(to(&place)),
        None => {}
    }
    let words = who.words;
    let title = view.part.record.text(field::TITLE).unwrap_or_default();
    let body = html! {
        h1 { (words.say("start-plan")) }
        p.lead { bdi { (shorter(&title, 120)) } }
        (state(&who, view.runs.first(), &view.why, &place))
        p { a.button href=(place) { (words.say("start-mission")) } }
    };
    Ok(page(&who, &words.say("start-plan"), &body))
}

fn state(who: &SignedIn, run: Option<&RunRow>, why: &Explanation, place: &str) -> Markup {
    let words = who.words;
    // Something may keep the run from beginning, such as a model server that is away.
    let is_held = run.is_none() && !matches!(why.standing, Standing::Ready | Standing::Running);
    html! {
        div data-poll="" role="status" {
            @match run.map(|run| (run.finished.is_some(), run.run.owner.is_some(), run)) {
                None if is_held => p.health.bad { (said(words, why)) },
                None => p.health { (words.say("start-soon")) },
                Some((false, true, run)) => p.health { (rich(words, "start-asking", [("since", moment(run.claimed_at))])) },
                Some((false, false, run)) => p.health.bad {
                    (words.say("start-waits"))
                    @if let Some(at) = run.run.next_attempt_at { " " (rich(words, "start-again", [("at", moment(at))])) }
                },
                Some((true, ..)) => p.health.bad { (words.say("start-failed")) },
            }
            @if let Some(run) = run { (reason(words, run)) }
        }
        @if is_held || run.is_some_and(|run| run.run.owner.is_none()) {
            div.actions {
                (button(who, &format!("{place}/run"), &words.say("start-try-again"), &[("from", "start")], "primary"))
                a.button href="/settings#model-settings" { (words.say("start-settings")) }
            }
        }
    }
}
