//! One mission: what it is, why it runs or not, and its plans.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::mission_form::read;
use super::missions::editing;
use super::page::{Failed, LONGEST_PROSE, Response, badge, button, moment, more_bytes, page, path, phrase, prose_of, refused, shorter, to};
use super::plan::{PlanView, plan};
use super::review::{Decided, toast};
use super::session::{Posted, SignedIn};
use crate::app::{MissionView, StepsAhead, ViewBounds};
use crate::domain::cadence::Cadence;
use crate::domain::field;
use crate::domain::ids::MissionId;
use crate::domain::mission::{Mission, MissionState};
use crate::domain::time;
use crate::runner::Explanation;
use crate::store::{Longest, RunRow, SomePlans};
use crate::text::decision::{explained, title};

/// Plans and runs on one page.
const PLANS: usize = 10;
/// Bytes of HTML after which no further plan begins; one alone may be as large.
const PLANS_BYTES: usize = 300_000;
/// The fields that the page of a mission shows, besides its plans.
const SHOWN: [&str; 9] = [
    field::TITLE,
    field::OBJECTIVE,
    field::CONCEPT,
    field::STATE,
    field::NEXT_RUN_AT,
    field::INPUTS,
    field::CADENCE,
    field::ITERATIONS,
    field::AGENT_ID,
];
/// The largest list of linked records that is looked into, in bytes.
const LARGEST_VALUE: u32 = 1_000_000;
/// Bytes beyond what the page shows that the form has room for.
const LARGEST_IN_FORM: u64 = 1_000_000;
/// Linked records that are named.
const INPUTS: usize = 100;
const RUNS: u32 = 20;

#[derive(Deserialize)]
pub(super) struct PlansAndRuns {
    /// Plans of the record to pass over.
    #[serde(default)]
    skip: usize,
    /// Runs claimed before this, microseconds.
    before: Option<i64>,
    #[serde(flatten)]
    decided: Decided,
}

pub(super) async fn show(
    State(shared): State<Shared>,
    who: SignedIn,
    Path(id): Path<MissionId>,
    Query(older): Query<PlansAndRuns>,
) -> Result<Response, Failed> {
    let wanted = ViewBounds {
        fields: &SHOWN,
        longest: Longest { chars: LONGEST_PROSE as u32, bytes: LARGEST_VALUE },
        skip: older.skip,
        plans: PLANS,
        before: older.before.map_or(Timestamp::MAX, time::from_micros),
        runs: RUNS,
    };
    let MissionView { part, plans: found, steps, why, ahead, runs } = shared.app.mission_view(&who.user, &id, wanted).await?;
    let (mission, problems) = Mission::read(&id, &part.record);
    let body = html! {
        (toast(&shared, &who, &older.decided, None).await?)
        (head(&who, &mission))
        @if let Err(bad) = Cadence::read(&mission.cadence) {
            p.wrong dir="auto" { "Its schedule cannot be followed: " (shorter(&bad.to_string(), 300)) ". " a href={ (path("missions", &id)) "/edit" } { "Correct it" } }
        }
        @for problem in &problems { p.wrong { "The field " b { (problem.field) } " of this mission has a wrong type, so its default is used." } }
        @if !ahead.is_empty() {
            p.wrong { "A device whose clock was ahead edited " @for (n, (field, stamp)) in ahead.iter().take(5).enumerate() { @if n > 0 { ", " } b { (shorter(field, 80)) } " (" (shorter(stamp, 40)) ")" } ". Until those times, later edits of the same fields lose to these." }
        }
        (about(&mission, &part.missing))
        section { h2 { "Schedule status" } (explanation(&who, &why)) }
        section { h2 { "Plans" } (plans((&shared, &who), &mission, &found, &steps, &runs, older.skip)) }
        section { h2 { "Runs" } (history(&id, &runs)) }
    };
    Ok(page(&who, &shorter(mission.label(), 60), &body))
}

pub(super) async fn save(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let who = &posted.who;
    let record = shared.app.mission(&who.user, &id).await?;
    let was = posted.fields.was()?;
    match read(who.words, &posted.fields, Some(&was), shared.app.now(), shared.app.zone()) {
        Ok(after) => {
            shared.app.save_mission(&who.user, &id, &was, after).await?;
            Ok(to(&path("missions", &id)))
        }
        Err((wrong, given)) => {
            let mut shown = record;
            shown.extend(given);
            Ok(refused(who, "Edit mission", &editing(&shared, who, &id, &shown, &was, Some(&wrong)).await?))
        }
    }
}

fn head(who: &SignedIn, mission: &Mission) -> Markup {
    let place = path("missions", &mission.id);
    let act = |what: &str| format!("{place}/{what}");
    let set = |to: &str, label: &str| button(who, &act("state"), label, &[("state", to)], "");
    html! {
        div.head {
            h1 { bdi { (shorter(mission.label(), 200)) } " " (badge(mission.state.as_str())) }
            div.actions {
                @if mission.state == MissionState::Active { (button(who, &act("run"), "Run now", &[], "primary")) (set("paused", "Pause")) }
                @else { (set("active", "Resume")) }
                a.button href=(act("edit")) { "Edit" }
                a.button href=(act("log")) { "Change log" }
                form.inline method="get" action=(act("delete")) { button { "Delete" } }
            }
        }
    }
}

/// What it is about; `missing` are the bytes of its fields that were not read.
fn about(mission: &Mission, missing: &BTreeMap<String, u64>) -> Markup {
    let text = |field: &str, text: &str| prose_of(text, missing.get(field).copied().unwrap_or(0));
    html! {
        @if mission.title.chars().nth(200).is_some() { details { summary { "The whole title" } (text(field::TITLE, &mission.title)) } }
        @if !mission.objective.is_empty() { (text(field::OBJECTIVE, &mission.objective)) }
        @if !mission.concept_markdown.is_empty() { details { summary { "Background" } (text(field::CONCEPT, &mission.concept_markdown)) } }
        @if let Some(missing) = missing.get(field::INPUTS) { p.hint { "What it can read" } (more_bytes(*missing)) }
        @if let Some(missing) = missing.get(field::CADENCE) { p.hint { "Schedule" } (more_bytes(*missing)) }
        @if !missing.is_empty() && missing.values().sum::<u64>() < LARGEST_IN_FORM {
            p.hint { "The form shows texts whole: " a href={ (path("missions", &mission.id)) "/edit" } { "Edit the mission" } "." }
        }
        @if !mission.inputs.is_empty() {
            details { summary { "What it can read (" (mission.inputs.len()) ")" } ul { @for input in mission.inputs.iter().take(INPUTS) {
                li dir="auto" { (shorter(&input.module, 40)) ": " (shorter(&input.id, 80)) }
            } }
            @if mission.inputs.len() > INPUTS { p.hint { "… (" (mission.inputs.len() - INPUTS) " more)" } } }
        }
    }
}

fn explanation(who: &SignedIn, why: &Explanation) -> Markup {
    html! {
        @match why.obstacle() {
            None => p.health.good { "Ready; starts within a minute." },
            // Nothing is wrong with a mission that has no schedule.
            Some(_) if why.needs_start => p.health.good { "Runs only when you start it." },
            Some(step) => p.health { "Waiting: " span dir="auto" { (phrase(&explained(who.words, step))) } "." },
        }
        p {
            @match (why.next_run_at, why.then) {
                (None, _) => "No next run is set.",
                (Some(at), None) => { "Next: " (moment(at)) ", then only when you start it." }
                (Some(at), Some(then)) => { "Next: " (moment(at)) ", then " (moment(then)) "." }
            }
        }
        details {
            summary { "Every check, with the values compared" }
            ul.checks { @for step in &why.steps {
                li class={ @if step.passes() { "passed" } @else { "failed" } } {
                    b { @if step.passes() { "✓ " } @else { "✗ " } (title(who.words, step)) } " " span dir="auto" { (phrase(&explained(who.words, step))) }
                }
            } }
        }
    }
}

fn plans(
    (shared, who): (&Shared, &SignedIn),
    mission: &Mission,
    found: &SomePlans,
    steps: &StepsAhead,
    runs: &[RunRow],
    skip: usize,
) -> Markup {
    let place = path("missions", &mission.id);
    let mut shown: Vec<Markup> = Vec::new();
    for iteration in &found.iterations {
        let run = runs.iter().find(|run| *iteration.id() == run.iteration_id);
        let foreseen = steps.foreseen.get(iteration.id()).map_or(&[][..], Vec::as_slice);
        let (mission, tries) = (&mission.id, &steps.tries);
        shown.push(plan(&PlanView { shared, who, mission, iteration, foreseen, tries, run, since: None, wrong: None }));
        if shown.iter().map(|plan| plan.0.len()).sum::<usize>() >= PLANS_BYTES {
            break;
        }
    }
    let next = skip.saturating_add(shown.len());
    html! {
        @if found.all == 0 { p.empty { "No plan yet." } }
        @for plan in &shown { (plan) }
        @if found.all > next { p { a.button href={ (place) "?skip=" (next) } { "Older plans" } } }
    }
}

fn history(id: &str, runs: &[RunRow]) -> Markup {
    html! {
        @if runs.is_empty() { p.empty { "It has not run." } }
        ul.plain { @for run in runs { li {
            (moment(run.claimed_at)) " " (badge(run.state()))
            @if !run.attempts.is_empty() {
                span.hint { " " (run.attempts.len()) @if run.attempts.len() == 1 { " request, " } @else { " requests, " } (run.tokens()) " tokens" }
            }
            @if run.superseded_at.is_some() { span.hint { ", its plan left the record, which keeps the newest" } }
            @else if run.restored > 0 { span.hint { ", its plan was put back after a device had overwritten it" } }
            @if run.missed_times > 0 { span.hint { ", catches up " (run.missed_times) @if run.missed_times == 1 { " missed run" } @else { " missed runs" } } }
            @for text in run.run.reason.iter().chain(&run.note) { p.hint dir="auto" { (shorter(text, 400)) } }
        } } }
        @if let Some(last) = runs.last().filter(|_| runs.len() == RUNS as usize) {
            p { a.button href={ (path("missions", id)) "?before=" (time::to_micros(last.claimed_at)) } { "Older runs" } }
        }
    }
}
