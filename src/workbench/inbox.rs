//! The review inbox: one plan after the other, and all of them in a list.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::page::{Failed, Response, csrf, moment, page, path, shorter, to};
use super::plan::{PlanView, pending, plan};
use super::review::{Decided, inbox_path, toast};
use super::session::{Posted, SignedIn};
use crate::app::{InboxPlace, InboxPlan, WaitingMission};
use crate::domain::ids::{IterationId, MissionId};
use crate::domain::review::{Review, StepDecision};
use crate::text::catalog::text_id;

/// Missions on one page of the list.
const MISSIONS: u32 = 30;
/// Plans that are decided together.
const TOGETHER: usize = 300;

#[derive(Deserialize)]
pub(super) struct InboxQuery {
    mission: Option<MissionId>,
    plan: Option<IterationId>,
    #[serde(default)]
    since: i64,
    #[serde(flatten)]
    decided: Decided,
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Query(asked): Query<InboxQuery>) -> Result<Response, Failed> {
    let named = match (asked.mission, asked.plan) {
        (Some(mission), Some(plan)) => Some(InboxPlace { mission, plan, since: asked.since }),
        (Some(mission), None) => shared.app.next_plan(&who.user, &InboxPlace { mission, ..InboxPlace::default() }).await?,
        _ => None,
    };
    let found = match named {
        None => None,
        Some(place) => shared.app.inbox_plan(&who.user, &place.mission, &place.plan).await?.map(|found| (place, found)),
    };
    let found = match found {
        None => first(&shared, &who).await?,
        found => found,
    };
    let words = who.words;
    let since = found.as_ref().map(|(place, _)| place.since);
    let toast = toast(&shared, &who, &asked.decided, since).await?;
    let Some((place, found)) = found else {
        let body = html! {
            (toast)
            h1 { (words.say("review-all-done")) }
            p { (words.say("review-nothing-waits")) }
            p { a.button href="/" { (words.say("review-to-overview")) } }
        };
        return Ok(page(&who, &words.say("review-title"), &body));
    };
    let next = shared.app.next_plan(&who.user, &place).await?;
    let body = html! {
        (toast)
        (head(&who, &found, next.as_ref()))
        (one(&shared, &who, &found, place.since))
        (keys(&who))
    };
    Ok(page(&who, &words.say("review-title"), &body))
}

async fn first(shared: &Shared, who: &SignedIn) -> Result<Option<(InboxPlace, InboxPlan)>, Failed> {
    let Some(place) = shared.app.first_plan(&who.user).await? else { return Ok(None) };
    let found = shared.app.inbox_plan(&who.user, &place.mission, &place.plan).await?;
    Ok(found.map(|found| (place, found)))
}

/// The first plan that waits, for the overview.
pub(super) async fn first_waiting(shared: &Shared, who: &SignedIn) -> Result<Option<Markup>, Failed> {
    let Some((place, found)) = first(shared, who).await? else { return Ok(None) };
    let title = html! { p { b { a href=(path("missions", &place.mission)) { bdi { (shorter(found.mission.label(), 120)) } } } } };
    Ok(Some(html! { (title) (one(shared, who, &found, place.since)) (keys(who)) }))
}

fn head(who: &SignedIn, found: &InboxPlan, next: Option<&InboxPlace>) -> Markup {
    let words = who.words;
    html! {
        div.head {
            h1 { a href=(path("missions", &found.mission.id)) { bdi { (shorter(found.mission.label(), 120)) } } }
            div.actions {
                a href="/review/all" { (words.with("review-waiting", [("n", who.waiting.into())])) }
                @if let Some(next) = next {
                    a.button href=(inbox_path(next)) { @if found.iteration.awaits_review() { (words.say("review-later")) } @else { (words.say("review-next")) } }
                }
            }
        }
    }
}

/// One plan, by itself.
fn one(shared: &Shared, who: &SignedIn, found: &InboxPlan, since: i64) -> Markup {
    let InboxPlan { mission, agent, iteration, foreseen, tries } = found;
    let place = InboxPlace { mission: mission.id.clone(), plan: iteration.id().clone(), since };
    let view = PlanView { shared, who, mission: &mission.id, iteration, foreseen, tries, run: None, since: Some(since), wrong: None };
    html! {
        @if iteration.awaits_review() {
            article.plan.inbox data-place=(inbox_path(&place)) {
                p.hint {
                    @if let Some((id, name)) = agent { a href=(path("agents", id)) { bdi { (shorter(name, 60)) } } " · " }
                    @if let Some(at) = iteration.started_at() { (moment(at)) }
                }
                @if !iteration.summary().is_empty() { p.summary dir="auto" { (shorter(iteration.summary(), 400)) } }
                (pending(&view))
            }
        } @else { (plan(&view)) }
    }
}

/// The keys that the script knows.
fn keys(who: &SignedIn) -> Markup {
    let words = who.words;
    let keys = [
        ("j", words.say("review-key-next")),
        ("k", words.say("review-key-previous")),
        ("a", words.say("review-key-approve")),
        ("r", words.say("review-key-reject")),
        ("e", words.say("review-key-edit")),
        ("u", words.say("review-key-undo")),
        ("?", words.say("review-key-help")),
    ];
    html! {
        details.keys data-key="?" {
            summary { (words.say("review-keys")) }
            dl.changes { @for (key, what) in keys { div { dt { kbd { (key) } } dd { (what) } } } }
        }
    }
}

#[derive(Deserialize)]
pub(super) struct WaitingPart {
    #[serde(default)]
    since: Option<i64>,
    #[serde(default)]
    after: MissionId,
    /// How many plans were just approved, rejected, and could not be.
    #[serde(default)]
    approved: usize,
    #[serde(default)]
    rejected: usize,
    #[serde(default)]
    failed: usize,
}

/// All plans that wait, to be decided together.
pub(super) async fn list(State(shared): State<Shared>, who: SignedIn, Query(part): Query<WaitingPart>) -> Result<Response, Failed> {
    let words = who.words;
    let after = part.since.map(|since| (since, part.after.clone()));
    let waiting = shared.app.waiting_missions(&who.user, after, MISSIONS).await?;
    let body = html! {
        @for (n, id) in [(part.approved, text_id("review-plans-approved")), (part.rejected, text_id("review-plans-rejected"))] {
            @if n > 0 { p.health.good role="status" { (words.with(id, [("n", n.into())])) } }
        }
        @if part.failed > 0 { p.health.bad role="status" { (words.with("review-plans-failed", [("n", part.failed.into())])) } }
        h1 { (words.say("review-list")) }
        @if waiting.is_empty() { p.empty { (words.say("review-nothing-waits")) } }
        @else {
            form method="post" action="/review/all" {
                (csrf(&who))
                p { a href="/review" { (words.say("review-one-by-one")) } }
                @for one in &waiting { (of_mission(&who, one)) }
                div.together {
                    label for="reason" { (words.say("review-reason")) }
                    div.row {
                        input #reason name="reason" maxlength="1000" dir="auto" autocomplete="off";
                        button.primary name="all" value="approve" { (words.say("review-approve-checked")) }
                        button name="all" value="reject" { (words.say("review-reject-checked")) }
                    }
                }
            }
        }
        @if let Some(last) = waiting.last().filter(|_| waiting.len() == MISSIONS as usize) {
            p { a.button href={ "/review/all?since=" (last.mission.waiting_since.unwrap_or(0)) "&after=" (path("", &last.mission.id).trim_start_matches('/')) } { (words.say("review-more-missions")) } }
        }
    };
    Ok(page(&who, &words.say("review-title"), &body))
}

fn of_mission(who: &SignedIn, WaitingMission { mission, plans }: &WaitingMission) -> Markup {
    let words = who.words;
    html! {
        fieldset {
            legend { bdi { (shorter(mission.label(), 120)) } }
            @for plan in plans {
                @let place = InboxPlace { mission: mission.id.clone(), plan: plan.id.clone(), since: mission.waiting_since.unwrap_or(0) };
                @let id = format!("p-{}", inbox_path(&place));
                div.row {
                    label.choice for=(id) {
                        input #(id) type="checkbox" name="plan" value=(serde_json::json!([mission.id, plan.id]));
                        span dir="auto" { @if plan.summary.is_empty() { (words.say("review-no-summary")) } @else { (shorter(&plan.summary, 200)) } }
                    }
                    span.hint {
                        (words.with("review-steps", [("n", plan.steps.into())]))
                        @if let Some(at) = plan.started_at { " · " (moment(at)) }
                        " · " a href=(inbox_path(&place)) { (words.say("review-look")) }
                    }
                }
            }
        }
    }
}

/// Decides about all plans that are checked. A plan that was decided meanwhile stays as it is.
pub(super) async fn decide(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let (who, fields) = (&posted.who, &posted.fields);
    let decision = StepDecision::parse(&fields.text("all")).ok_or_else(|| Failed::BadForm("all must be approve or reject".into()))?;
    let reason = fields.text("reason").trim().to_owned();
    let (mut done, mut failed) = (0, 0);
    for (mission, plan) in fields.all("plan").take(TOGETHER).filter_map(|plan| serde_json::from_str::<(MissionId, IterationId)>(plan).ok())
    {
        let review = Review { iteration_id: plan, all: Some(decision), ..Review::default() };
        let review = match (decision, reason.is_empty()) {
            (StepDecision::Reject, false) => Review { feedback: Some(reason.clone()), ..review },
            _ => review,
        };
        match shared.app.reviews().decide_plan(&who.user, &mission, review, None).await {
            Ok(decided) if decided.changed.is_empty() => {}
            Ok(_) => done += 1,
            Err(error) => {
                tracing::warn!(?error, "a plan that was to be decided with others was not");
                failed += 1;
            }
        }
    }
    let what = if decision == StepDecision::Approve { "approved" } else { "rejected" };
    Ok(to(&format!("/review/all?{what}={done}&failed={failed}")))
}
