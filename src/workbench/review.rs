//! Plans as they stand on the page, and their review.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use maud::{Markup, html};
use serde_json::Value;

use super::Shared;
use super::page::{Failed, Response, badge, button, csrf, moment, path, prose, shorter, to};
use super::session::{Posted, SignedIn};
use crate::domain::ids::{IterationId, MissionId, StepId};
use crate::domain::iterations::Iteration;
use crate::domain::review::{Review, StepDecision};
use crate::domain::step::{IterationStep, StepStatus};
use crate::modules::effects::Preview;
use crate::steps::Foreseen;
use crate::store::{FailedTry, RunRow};
use crate::text::catalog::Words;
use crate::text::obstacle;

/// Steps that a plan shows; a planner's plan has at most 25.
const STEPS: usize = 100;

/// The review of the form: a decision for each step in `step:<id>`, and a button that may speak for all.
pub(super) async fn save(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let fields = &posted.fields;
    let all = StepDecision::parse(&fields.text("all"));
    // What stands as it was shown is no decision of this user: another client may have decided meanwhile.
    let decisions = fields.0.iter().filter_map(|(name, value)| {
        let step = name.strip_prefix("step:")?;
        let shown = fields.text(&format!("was:{step}"));
        Some((step.into(), StepDecision::parse(value).filter(|_| *value != shown)?))
    });
    let spelled = |name: &str| fields.all(name).next().map(|text| text.replace("\r\n", "\n").trim().to_owned());
    let review = Review {
        iteration_id: fields.text("iteration").into(),
        // "Reject all" means all; "Approve all" leaves alone what this form says otherwise about.
        decisions: if all == Some(StepDecision::Reject) { Default::default() } else { decisions.collect() },
        all,
        params: Default::default(),
        reasons: Default::default(),
        feedback: spelled("feedback").filter(|text| spelled("was-feedback").as_ref() != Some(text)),
    };
    let place = format!("{}#{}", path("missions", &id), anchor(&review.iteration_id));
    shared.app.reviews().decide(&posted.who.user, &id, review).await?;
    Ok(to(&place))
}

/// Takes back what a step or a whole plan wrote.
pub(super) async fn undo(State(shared): State<Shared>, Path(id): Path<MissionId>, posted: Posted) -> Result<Response, Failed> {
    let fields = &posted.fields;
    shared.app.reviews().undo(&posted.who.user, &fields.text("target"), Some(&fields.text("iteration").into())).await?;
    Ok(to(&format!("{}#{}", path("missions", &id), anchor(&fields.text("iteration")))))
}

/// The place of an iteration on its page.
fn anchor(id: &str) -> String {
    let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(80).collect();
    format!("plan-{plain}")
}

/// One plan, with its review where it awaits one.
pub(super) fn plan(
    who: &SignedIn,
    mission: &MissionId,
    iteration: &Iteration,
    foreseen: &[Foreseen],
    tries: &BTreeMap<StepId, Vec<FailedTry>>,
    run: Option<&RunRow>,
) -> Markup {
    let id = iteration.id();
    let status = iteration.status().as_str();
    html! {
        article.plan #(anchor(id)) {
            header {
                h3 { @match iteration.started_at() { Some(at) => (moment(at)), None => "At an unknown time" } " " (badge(if status.is_empty() { "unknown" } else { status })) }
                p.hint { (facts(iteration, run)) }
            }
            (prose(iteration.summary()))
            @if let Some(error) = iteration.error() { p.wrong dir="auto" { (shorter(&error, 600)) } }
            @if iteration.awaits_review() {
                @if iteration.steps().any(|step| step.status() == StepStatus::Planned) {
                    p.health { "Its steps were released before a review, so a device of yours may have carried them out already." }
                }
                form.review method="post" action={ (path("missions", mission)) "/review" } {
                    (csrf(who))
                    input type="hidden" name="iteration" value=(id);
                    @for (n, step) in iteration.steps().take(STEPS).enumerate() { (choice(&format!("{}-{n}", anchor(id)), step, foreseen.get(n), tries)) }
                    (feedback(iteration, &anchor(id)))
                    div.actions {
                        button.primary { "Save review" }
                        button name="all" value="approve" { "Approve all" }
                        button name="all" value="reject" { "Reject all" }
                    }
                }
            } @else {
                @if iteration.steps().len() > 0 { ol.steps { @for step in iteration.steps().take(STEPS) { li {
                    (told(step)) " " (badge(step.status().as_str())) (outcome(step, tries))
                    @if can_undo(step) { (undo_button(who, mission, id, step.id(), "Undo")) }
                } } } }
                @if iteration.steps().filter(|step| can_undo(step)).count() > 1 { (undo_button(who, mission, id, id, "Undo all")) }
                @if iteration.steps().any(|step| step.status() == StepStatus::Planned) {
                    p.hint { "What is planned is released: a device of yours carries it out." }
                }
                @if !iteration.feedback().is_empty() { p.hint { "You said:" } (prose(iteration.feedback())) }
            }
        }
    }
}

/// Model, tokens, duration and attempts.
fn facts(iteration: &Iteration, run: Option<&RunRow>) -> String {
    let mut facts = Vec::new();
    if !iteration.model().is_empty() {
        facts.push(shorter(iteration.model(), 60));
    }
    if let Some(tokens) = iteration.total_tokens() {
        facts.push(format!("{tokens} tokens"));
    }
    if let (Some(from), Some(to)) = (iteration.started_at(), iteration.finished_at()) {
        facts.push(format!("{:.1} s", to.duration_since(from).as_secs_f64()));
    }
    if let Some(run) = run.filter(|run| run.run.attempts > 0) {
        facts.push(match run.run.attempts {
            1 => "1 failed attempt".to_owned(),
            n => format!("{n} failed attempts"),
        });
    }
    facts.join(" · ")
}

/// A step: what, why, and the call that it stands for.
fn told(step: &IterationStep) -> Markup {
    html! {
        b.step dir="auto" { (shorter(step.summary(), 300)) }
        (reasons(step))
    }
}

/// Why a step is proposed, and the call with its parameters.
fn reasons(step: &IterationStep) -> Markup {
    html! {
        @if !step.rationale().is_empty() { (prose(step.rationale())) }
        @if step.has_intent() {
            details {
                summary { code { (shorter(step.tool().unwrap_or_default(), 300)) } }
                @if let Some(params) = step.params() { (parameter(params, 0)) }
            }
        }
    }
}

/// A value as people read it; what lies deep is JSON.
fn parameter(value: &Value, depth: usize) -> Markup {
    const DEEPEST: usize = 4;
    const LONGEST: usize = 4_000;
    const MOST: usize = 20;
    let more = |all: usize| html! { @if all > MOST { p.hint { "… (" (all - MOST) " more)" } } };
    html! {
        @match value {
            Value::String(text) => span.value dir="auto" { (shorter(text, LONGEST)) },
            Value::Object(fields) if depth < DEEPEST => { dl { @for (name, value) in fields.iter().take(MOST) {
                dt dir="auto" { (shorter(name, 300)) } dd { (parameter(value, depth + 1)) }
            } } (more(fields.len())) },
            Value::Array(items) if depth < DEEPEST => { ul { @for item in items.iter().take(MOST) { li { (parameter(item, depth + 1)) } } } (more(items.len())) },
            other => span.value { (shorter(&other.to_string(), LONGEST)) },
        }
    }
}

/// Whether what a step wrote can be taken back.
fn can_undo(step: &IterationStep) -> bool {
    step.status() == StepStatus::Approved && !step.written().is_empty()
}

fn undo_button(who: &SignedIn, mission: &MissionId, iteration: &IterationId, target: &str, label: &str) -> Markup {
    button(who, &format!("{}/undo", path("missions", mission)), label, &[("iteration", iteration), ("target", target)], "")
}

/// What came of a step, and of taking it back.
fn outcome(step: &IterationStep, tries: &BTreeMap<StepId, Vec<FailedTry>>) -> Markup {
    let failed = tries.get(step.id()).map_or(&[][..], Vec::as_slice);
    let undone = step.undone();
    let kept = step.kept();
    html! {
        @if step.is_called() { p.hint { "Its webhook is being called." } }
        @if !failed.is_empty() {
            details { summary { "Not taken yet, and tried again (" (failed.len()) ")" } ul { @for one in failed {
                li { (one.at) ": " span dir="auto" { (shorter(&one.error, 300)) } }
            } } }
        }
        @if step.is_automatic() { p.hint { "Done without review." } }
        @if step.status() == StepStatus::Failed { p.wrong dir="auto" { (shorter(&step.outcome(), 600)) } }
        @else if !step.outcome().is_empty() && step.outcome() != "Done" { p.hint dir="auto" { (shorter(&step.outcome(), 600)) } }
        @if !kept.is_empty() { p.wrong { "Not undone: " (obstacle::kept(Words::ENGLISH, &kept)) "." } }
        @else if undone.is_some() { p.hint { "Undone." } }
    }
}

/// What approving a step would do: each field before and after.
fn foresight(foreseen: &Foreseen) -> Markup {
    html! {
        @match foreseen {
            Foreseen::ByDevice => p.hint { "A device of yours carries it out." },
            Foreseen::ByEndpoint => p.hint { "It calls a webhook of this server." },
            Foreseen::Fails(why) => p.wrong dir="auto" { "It would fail: " (obstacle::told(Words::ENGLISH, why)) },
            Foreseen::Writes(previews) => @for preview in previews {
                p.hint { (changes(preview)) ": " b { (preview.label) } }
                dl.changes { @for change in &preview.fields {
                    dt { (change.field) }
                    dd { @if preview.record_id.is_some() && !change.before.is_null() { del { (parameter(&change.before, 1)) } " " } ins { (parameter(&change.after, 1)) } }
                } }
            },
        }
    }
}

fn changes(preview: &Preview) -> &'static str {
    match (&preview.record_id, preview.is_deleted) {
        (None, _) => "Adds to",
        (_, true) => "Deletes from",
        (_, false) => "Changes in",
    }
}

fn choice(id: &str, step: &IterationStep, foreseen: Option<&Foreseen>, tries: &BTreeMap<StepId, Vec<FailedTry>>) -> Markup {
    let Some(decided) = StepDecision::of(step) else {
        return html! { div.step { (told(step)) " " (badge(step.status().as_str())) (outcome(step, tries)) } };
    };
    let name = format!("step:{}", step.id());
    let decisions = [(StepDecision::Approve, "Approve"), (StepDecision::Reject, "Reject"), (StepDecision::Undecided, "Decide later")];
    html! {
        fieldset.step {
            legend dir="auto" { (shorter(step.summary(), 300)) }
            (reasons(step))
            @if let Some(foreseen) = foreseen { details { summary { "What it would do" } (foresight(foreseen)) } }
            input type="hidden" name={ "was:" (step.id()) } value=(decided.as_str());
            div.words { @for (decision, label) in decisions {
                @let place = format!("{id}-{}", decision.as_str());
                label.choice for=(place) { input #(place) type="radio" name=(name) value=(decision.as_str()) checked[decision == decided]; (label) }
            } }
        }
    }
}

fn feedback(iteration: &Iteration, id: &str) -> Markup {
    html! {
        input type="hidden" name="was-feedback" value=(iteration.feedback());
        label for={ (id) "-feedback" } { "Feedback" }
        textarea #{ (id) "-feedback" } name="feedback" rows="2" dir="auto" aria-describedby={ (id) "-hint" } { "\n" (iteration.feedback()) }
        p.hint #{ (id) "-hint" } { "The agent sees this before its next plan." }
    }
}
