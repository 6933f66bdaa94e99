//! Decisions about a plan, as the forms of its page send them.

use axum::extract::{Path, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::fields::FormFields;
use super::form_zone::FormZone;
use super::page::{Failed, Response, csrf, path, refused, shorter, to};
use super::plan::{PlanView, anchor, can_undo, pending};
use super::records::{given, shown};
use super::session::{Posted, SignedIn};
use super::whole_days::{self, WholeDays};
use crate::app::{AppError, Given, InboxPlace, InboxPlan, Reopens};
use crate::domain::ids::{IterationId, MissionId, StepId};
use crate::domain::review::{Review, StepDecision, can_reopen};
use crate::domain::step::{IterationStep, StepStatus};
use crate::modules::FieldSpec;
use crate::text::catalog::text_id;

/// A decision that was just made: its plan, and the places of the steps in it, between dots.
#[derive(Deserialize, Default)]
pub(super) struct Decided {
    #[serde(default)]
    did: String,
    /// The mission and the iteration.
    #[serde(default)]
    of: MissionId,
    #[serde(default)]
    was: IterationId,
}

/// Places of steps.
fn places(text: &str) -> Vec<usize> {
    text.split('.').filter_map(|place| place.parse().ok()).take(200).collect()
}

/// The review of a form: a decision in `step:<id>`, one for `all`, an `edit` of a step, or `feedback`.
pub(super) async fn save(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    let spelled = |name: &str| fields.all(name).next().map(|text| text.replace("\r\n", "\n").trim().to_owned());
    let iteration_id: IterationId = fields.text("iteration").into();
    let decisions = fields.0.iter().filter_map(|(name, value)| Some((name.strip_prefix("step:")?.into(), StepDecision::parse(value)?)));
    let mut review = Review {
        decisions: decisions.collect(),
        all: StepDecision::parse(&fields.text("all")),
        feedback: spelled("feedback").filter(|text| spelled("was-feedback").as_ref() != Some(text)),
        iteration_id: iteration_id.clone(),
        ..Review::default()
    };
    if let Some(reason) = spelled("reason").filter(|reason| !reason.is_empty()) {
        review.reasons = review.decisions.keys().map(|step| (step.clone(), reason.clone())).collect();
    }
    let edited = spelled("edit").map(StepId::from);
    let set = match &edited {
        None => None,
        Some(step) => {
            review.decisions.insert(step.clone(), StepDecision::Approve);
            let plan = shared.app.plan(&who.user, &id, &iteration_id).await?.ok_or(Failed::NotFound)?;
            let step = plan.steps().find(|known| known.id() == step).ok_or(Failed::NotFound)?;
            Some((step.id().clone(), edits(&shared, who, step, fields)))
        }
    };
    let decided = match shared.app.reviews().decide_plan(&who.user, &id, review, set).await {
        Ok(decided) => decided,
        Err(error @ (AppError::Parameter(_) | AppError::Unfit(_))) => {
            let why = error.refusal(who.words).unwrap_or_default();
            return not_taken(&shared, who, &id, &iteration_id, edited.as_ref(), &why).await;
        }
        Err(error) => return Err(error.into()),
    };
    let did: Vec<String> = decided.changed.iter().map(usize::to_string).collect();
    after(&shared, &posted, &id, &iteration_id, decided.awaits_review, &did.join(".")).await
}

/// What a form says about the parameters of a step, as far as it differs from what stands there.
fn edits(shared: &Shared, who: &SignedIn, step: &IterationStep, fields: &FormFields) -> Vec<(String, Given)> {
    let of_form = FormZone::sent(fields, who, &shared.app);
    let zone = of_form.zone();
    let editable = shared.app.reviews().editable(step);
    let param = |field: &FieldSpec| format!("param:{}", field.name);
    let was_days = WholeDays::of(editable.iter().filter_map(|(field, value)| Some((field.name.as_str(), value.as_ref()?))));
    let was_whole = was_days.is_some();
    let switch = editable.iter().map(|(field, _)| field).find(|field| whole_days::is_switch(field));
    let whole = switch.map_or(was_whole, |field| fields.text(&param(field)) == "true");
    let edit = |(field, value): (FieldSpec, Option<serde_json::Value>)| {
        let (name, text) = (param(&field), fields.text(&param(&field)));
        let was = shown(&whole_days::in_days(&field, was_whole), value.as_ref(), zone, was_days).replace("\r\n", "\n");
        let is_moved = was_whole != whole && whole_days::is_time(&field) && !text.is_empty();
        // A box that is not ticked sends nothing.
        let is_same = !is_moved && (text == was || (text.is_empty() && was == "false"));
        let given = match given(&field, &name, fields, zone, whole) {
            serde_json::Value::Null => Given::Nothing,
            value => Given::Value(value),
        };
        (!is_same).then_some((field.name, given))
    };
    editable.iter().cloned().filter_map(edit).collect()
}

/// Takes decisions back.
pub(super) async fn reconsider(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let iteration: IterationId = posted.fields.text("iteration").into();
    // Whoever takes back what they just decided looks at it again.
    let reopens = if posted.fields.text("open").is_empty() { Reopens::WhatWroteNothing } else { Reopens::All };
    shared.app.reviews().reconsider(&posted.who.user, &id, &iteration, &places(&posted.fields.text("steps")), reopens).await?;
    let plan = shared.app.plan(&posted.who.user, &id, &iteration).await?;
    // It is looked at again, wherever the inbox has gone meanwhile.
    after(&shared, &posted, &id, &iteration, plan.is_some_and(|plan| plan.awaits_review()), "").await
}

/// Where a decision leads: to the next step or plan of the inbox, or back to the mission.
async fn after(
    shared: &Shared,
    posted: &Posted,
    mission: &MissionId,
    iteration: &IterationId,
    awaits_review: bool,
    did: &str,
) -> Result<Response, Failed> {
    let segment = |text: &str| path("", text).trim_start_matches('/').to_owned();
    let told = match did {
        "" => String::new(),
        did => format!("did={}&of={}&was={}", segment(did), segment(mission), segment(iteration)),
    };
    let Ok(since) = posted.fields.text("since").parse::<i64>() else {
        return Ok(to(&format!("{}?{told}#{}", path("missions", mission), anchor(iteration))));
    };
    let place = InboxPlace { mission: mission.clone(), plan: iteration.clone(), since };
    let next = if awaits_review { Some(place) } else { shared.app.next_plan(&posted.who.user, &place).await? };
    Ok(to(&match next {
        Some(next) => format!("{}&{told}", inbox_path(&next)),
        None => format!("/review?{told}"),
    }))
}

/// The page of a plan in the inbox.
pub(super) fn inbox_path(place: &InboxPlace) -> String {
    let segment = |text: &str| path("", text).trim_start_matches('/').to_owned();
    format!("/review?mission={}&plan={}&since={}", segment(&place.mission), segment(&place.plan), place.since)
}

/// The plan again, with what is wrong with an edit of a step.
async fn not_taken(
    shared: &Shared,
    who: &SignedIn,
    mission: &MissionId,
    iteration: &IterationId,
    step: Option<&StepId>,
    why: &str,
) -> Result<Response, Failed> {
    let InboxPlan { mission: card, iteration, foreseen, tries, .. } =
        shared.app.inbox_plan(&who.user, mission, iteration).await?.ok_or(Failed::NotFound)?;
    let view = PlanView {
        shared,
        who,
        mission,
        iteration: &iteration,
        foreseen: &foreseen,
        tries: &tries,
        run: None,
        since: Some(card.waiting_since.unwrap_or(0)),
        wrong: step.map(|step| (step, why)),
    };
    let body = html! {
        h1 { a href=(path("missions", mission)) { bdi { (shorter(card.label(), 120)) } } }
        article.plan.card { (pending(&view)) }
    };
    Ok(refused(who, &who.words.say("review-title"), &body))
}

/// Says what a decision came to, with a button that takes it back.
pub(super) async fn toast(shared: &Shared, who: &SignedIn, decided: &Decided, since: Option<i64>) -> Result<Markup, Failed> {
    let places = places(&decided.did);
    if places.is_empty() {
        return Ok(html! {});
    }
    let Some(plan) = shared.app.plan(&who.user, &decided.of, &decided.was).await? else { return Ok(html! {}) };
    let words = who.words;
    let steps: Vec<(usize, &IterationStep)> = plan.steps().enumerate().filter(|(n, _)| places.contains(n)).collect();
    let undo: Vec<String> =
        steps.iter().filter(|(_, step)| can_undo(step) || can_reopen(&plan, step)).map(|(n, _)| n.to_string()).collect();
    let failed = steps.iter().find(|(_, step)| step.status() == StepStatus::Failed);
    let rejected = steps.iter().all(|(_, step)| step.status() == StepStatus::Rejected);
    let said = match (&steps[..], failed) {
        ([], _) => return Ok(html! {}),
        (_, Some((_, step))) => html! { (words.say("review-did-fail")) " " bdi { (shorter(&step.error(), 200)) } },
        ([(_, step)], None) => {
            let id = match step.status() {
                _ if step.undone().is_some() => text_id("review-did-undo"),
                StepStatus::Rejected => text_id("review-did-reject"),
                StepStatus::Staged if !step.is_approved_in_advance() && !step.is_called() => return Ok(html! {}),
                _ => text_id("review-did-approve"),
            };
            html! { (words.say(id)) " " bdi { (shorter(step.summary(), 60)) } }
        }
        (several, None) if rejected => html! { (words.with("review-did-reject-several", [("n", several.len().into())])) },
        (several, None) => html! { (words.with("review-did-approve-several", [("n", several.len().into())])) },
    };
    Ok(html! {
        div.toast.health.bad[failed.is_some()] role="status" {
            span { (said) }
            @if !undo.is_empty() { (undo_form(who, decided, &undo.join("."), since)) }
        }
    })
}

fn undo_form(who: &SignedIn, decided: &Decided, steps: &str, since: Option<i64>) -> Markup {
    html! {
        form.inline method="post" action={ (path("missions", &decided.of)) "/reconsider" } data-swap data-key="u" {
            (csrf(who))
            input type="hidden" name="iteration" value=(decided.was);
            input type="hidden" name="steps" value=(steps);
            input type="hidden" name="open" value="yes";
            @if let Some(since) = since { input type="hidden" name="since" value=(since); }
            button { (who.words.say("review-undo")) }
        }
    }
}
