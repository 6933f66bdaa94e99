//! One mission: what it is, why it runs or not, and its plans.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::changes::label;
use super::form_zone::FormZone;
use super::mission_form::read;
use super::missions::editing;
use super::page::{
    Failed, LONGEST_PROSE, Response, button, clock, moment, moment_in_zone, more_bytes, page, path, phrase, phrase_with, prose_of, refused,
    rich, segment, shorter, state_badge, to,
};
use super::plan::{PlanView, plan};
use super::records::named;
use super::review::{Decided, toast};
use super::run::list_of_runs;
use super::session::{Posted, SignedIn};
use crate::app::{MissionView, NamedRecord, StepsAhead, ViewBounds};
use crate::domain::cadence::Cadence;
use crate::domain::decision::{Condition, RunCheck};
use crate::domain::field;
use crate::domain::ids::MissionId;
use crate::domain::mission::{Mission, MissionState};
use crate::domain::repetition::Repetition;
use crate::domain::standing::Standing;
use crate::domain::time;
use crate::runner::Explanation;
use crate::store::{Longest, RunRow, SomePlans};
use crate::text::catalog::Words;
use crate::text::decision::{on_page, title};
use crate::text::{cadence, module, schedule, standing};

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
    /// Whether it was to be started, and could not be.
    #[serde(default)]
    refused: bool,
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
    let words = who.words;
    let inputs = mission.inputs.get(..INPUTS).unwrap_or(&mission.inputs);
    let names = shared.app.named_inputs(&who.user, inputs).await?;
    let body = html! {
        (toast(&shared, &who, &older.decided, None).await?)
        (head(&who, &mission, &why))
        @if older.refused { p.wrong role="alert" { (words.say("mission-not-started")) " " (said(words, &why)) } }
        (status((&shared, &who), &mission, &why, runs.first()))
        @if let Err(bad) = Cadence::read(&mission.cadence) {
            p.wrong dir="auto" {
                @let told = shorter(&cadence::told(words, &bad), 300);
                (words.say("mission-bad-schedule")) " " (told) @if !told.ends_with('?') { "." } " "
                a href={ (path("missions", &id)) "/edit" } { (words.say("mission-correct-it")) }
            }
        }
        @for problem in &problems { p.wrong { (words.with("mission-wrong-type", [("field", words.marked(&label(words, problem.field)).into())])) } }
        @if !ahead.is_empty() {
            @let fields: Vec<String> = ahead.iter().take(5).map(|(field, stamp)| format!("{} ({})", label(words, field), shorter(stamp, 40))).collect();
            p.wrong { (words.with("mission-clock-ahead", [("fields", fields.join(", ").into())])) }
        }
        (about(&shared, words, &mission, &part.missing, &names))
        section { h2 { (words.say("mission-plans")) } (plans((&shared, &who), &mission, &found, &steps, &runs, older.skip)) }
        section { h2 { (words.say("mission-runs")) } (history(&who, &id, &runs)) }
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
            Ok(refused(who, &who.words.say("missions-edit"), &editing(&shared, who, &id, &shown, &was, Some(&wrong)).await?))
        }
    }
}

fn head(who: &SignedIn, mission: &Mission, why: &Explanation) -> Markup {
    let (words, place) = (who.words, path("missions", &mission.id));
    let act = |what: &str| format!("{place}/{what}");
    let set = |to: &str, label: &str| button(who, &act("state"), label, &[("state", to)], "");
    html! {
        div.head {
            h1 {
                bdi { (shorter(mission.label(), 200)) } " "
                @if why.standing.is_blocked() { span.badge.blocked { (words.say("mission-blocked")) } } @else { (state_badge(words, mission.state.as_str())) }
            }
            div.actions {
                @if why.standing == Standing::Running { (button(who, &act("cancel"), &words.say("mission-cancel-run"), &[], "")) }
                @if mission.state == MissionState::Active {
                    @if why.standing != Standing::Running { (button(who, &act("run"), &words.say("mission-run-now"), &[], "primary")) }
                    (set("paused", &words.say("mission-pause")))
                } @else { (set("active", &words.say("mission-resume"))) }
                a.button href=(act("edit")) { (words.say("mission-edit")) }
                details.menu {
                    summary.button { (words.say("mission-more")) }
                    div {
                        (button(who, &act("duplicate"), &words.say("mission-duplicate"), &[], ""))
                        @if mission.state != MissionState::Done { (set("done", &words.say("mission-mark-done"))) }
                        @if mission.state != MissionState::Archived { (set("archived", &words.say("mission-archive"))) }
                        a.button href=(act("log")) { (words.say("mission-history")) }
                        form.inline method="get" action=(act("delete")) { button { (words.say("mission-delete")) } }
                    }
                }
            }
        }
    }
}

/// Where it stands, in a sentence.
pub(super) fn said(words: Words, why: &Explanation) -> Markup {
    said_with(words, why, moment)
}

fn said_with(words: Words, why: &Explanation, time: fn(Timestamp) -> Markup) -> Markup {
    let agent = why.agent.as_ref().map_or_else(String::new, |(_, name)| shorter(name, 80));
    html! { span dir="auto" { (phrase_with(&standing::told(words, &why.standing, &agent), time)) } }
}

/// Who handles it, when, and where it stands.
fn status((shared, who): (&Shared, &SignedIn), mission: &Mission, why: &Explanation, last: Option<&RunRow>) -> Markup {
    let words = who.words;
    let cadence = Cadence::read(&mission.cadence).ok();
    let zone = cadence.as_ref().and_then(Cadence::zone).unwrap_or(shared.app.zone());
    // The schedule is told in its own zone; times of another one say so.
    let spell = if FormZone::is_of(who, zone) { moment } else { moment_in_zone };
    let zone = zone.iana_name().unwrap_or("UTC").to_owned();
    let is_due = why.next_run_at.is_some_and(|at| at <= why.at);
    let next = match why.standing {
        // The time of the run under way is over.
        Standing::Running if is_due => (why.then, None),
        _ => (why.next_run_at, why.then),
    };
    let is_cancelled = last.is_some_and(|run| run.finished.is_none() && Some(run.run.scheduled_for) != mission.next_run_at);
    let class = match why.standing {
        Standing::Blocked(_) | Standing::Waiting(_) | Standing::BadSchedule => "health warm",
        Standing::Inactive(_) => "health",
        _ => "health good",
    };
    html! {
        section.status aria-label=(words.say("mission-status")) {
            p class=(class) {
                @if is_cancelled { (words.say("mission-cancelled")) } @else { (said_with(words, why, spell)) }
                @match (why.standing, &why.agent) {
                    (Standing::Blocked(Condition::Review { .. }), _) => { " " a href={ "/review?mission=" (path("", &mission.id).trim_start_matches('/')) } { (words.say("mission-review-now")) } }
                    (Standing::Blocked(Condition::NotPaused(_) | Condition::NotArchived(_) | Condition::Budget { .. }), Some((id, _))) => { " " a href=(path("agents", id)) { (words.say("mission-open-agent")) } }
                    _ => {}
                }
            }
            dl.changes {
                div { dt { (words.say("mission-agent")) } dd {
                    @match &why.agent { Some((id, name)) => a href=(path("agents", id)) { bdi { (shorter(name, 80)) } }, None => (words.say("mission-no-agent")) }
                } }
                @if let Ok(repetition) = Repetition::read(&mission.cadence) {
                    div { dt { (words.say("mission-schedule")) } dd { (schedule::told(words, &repetition, &zone)) } }
                }
                div { dt { (words.say("mission-next-run")) } dd {
                    @match next.0 {
                        None => (words.say("mission-next-none")),
                        Some(at) if at <= why.at => (rich(words, "mission-due-since", [("at", moment_in_zone(at))])),
                        Some(at) => (moment_in_zone(at)),
                    }
                    // A day that was just said is not said again.
                    @let reader = FormZone::of(who, &shared.app);
                    @let day = |at: Timestamp| at.to_zoned(reader.zone().clone()).date();
                    @if let Some(then) = next.1 {
                        ", " (words.say("mission-next-then")) " "
                        @if next.0.is_some_and(|at| day(at) == day(then)) { (clock(then, reader.zone())) } @else { (spell(then)) }
                    }
                } }
            }
            details {
                summary { (words.say("mission-checks")) }
                ul.checks { @for step in &why.steps {
                    @let (class, sign) = mark(step);
                    li class=(class) {
                        b { (sign) " " (title(words, step)) } " "
                        span dir="auto" {
                            @match (step, Repetition::read(&mission.cadence)) {
                                (RunCheck::Cadence { bad: None, .. }, Ok(repetition)) => (schedule::told(words, &repetition, &zone)),
                                _ => (phrase(&on_page(words, step))),
                            }
                        }
                    }
                } }
            }
        }
    }
}

/// The class and the sign of a check.
fn mark(check: &RunCheck) -> (&'static str, &'static str) {
    match check {
        RunCheck::Cadence { bad: Some(_), .. } => ("failed", "✗"),
        // It waits for no time: somebody starts it, or its schedule is about to name one.
        RunCheck::Due { at: None, .. } => ("", "–"),
        check if check.passes() => ("passed", "✓"),
        _ => ("failed", "✗"),
    }
}

/// What it is about; `missing` are the bytes of its fields that were not read, `names` what its linked records are called.
fn about(shared: &Shared, words: Words, mission: &Mission, missing: &BTreeMap<String, u64>, names: &[Option<NamedRecord>]) -> Markup {
    let table = |found: &Option<NamedRecord>| shared.app.modules().table(&found.as_ref()?.table).map(|table| module::table(words, table));
    let text = |field: &str, text: &str| prose_of(text, missing.get(field).copied().unwrap_or(0));
    html! {
        @if mission.title.chars().nth(200).is_some() { details { summary { (words.say("mission-whole-title")) } (text(field::TITLE, &mission.title)) } }
        @if !mission.objective.is_empty() { (text(field::OBJECTIVE, &mission.objective)) }
        @if !mission.concept_markdown.is_empty() { details { summary { (words.say("mission-background")) } (text(field::CONCEPT, &mission.concept_markdown)) } }
        @if let Some(missing) = missing.get(field::INPUTS) { p.hint { (words.say("mission-can-read")) } (more_bytes(*missing)) }
        @if let Some(missing) = missing.get(field::CADENCE) { p.hint { (words.say("mission-schedule")) } (more_bytes(*missing)) }
        @if !missing.is_empty() && missing.values().sum::<u64>() < LARGEST_IN_FORM {
            p.hint { (words.say("mission-form-whole")) " " a href={ (path("missions", &mission.id)) "/edit" } { (words.say("mission-edit-whole")) } }
        }
        @if !mission.inputs.is_empty() {
            details { summary { (words.with("mission-can-read-n", [("n", mission.inputs.len().into())])) } ul { @for (input, name) in mission.inputs.iter().zip(names) {
                li dir="auto" { (table(name).unwrap_or_else(|| shorter(&input.module, 40))) ": " (named(shared, words, name.as_ref(), &input.id)) }
            } }
            @if mission.inputs.len() > INPUTS { p.hint { (words.with("review-more", [("n", (mission.inputs.len() - INPUTS).into())])) } } }
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
        @if found.all == 0 { p.empty { (who.words.say("mission-no-plans")) } }
        @for plan in &shown { (plan) }
        @if found.all > next { p { a.button href={ (place) "?skip=" (next) } { (who.words.say("mission-older-plans")) } } }
    }
}

/// Its runs, the newest first.
fn history(who: &SignedIn, id: &MissionId, runs: &[RunRow]) -> Markup {
    html! {
        (list_of_runs(who, runs, None))
        @if !runs.is_empty() { p { a href={ "/runs?mission=" (segment(id)) } { (who.words.say("runs-search")) } } }
        @if let Some(last) = runs.last().filter(|_| runs.len() == RUNS as usize) {
            p { a.button href={ (path("missions", id)) "?before=" (time::to_micros(last.claimed_at)) } { (who.words.say("runs-older")) } }
        }
    }
}
