//! A plan as it stands on a page: what it proposes, with a decision for each step, or what became of it.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::Value;

use super::Shared;
use super::form_zone::FormZone;
use super::page::{badge, csrf, moment, path, prose, shorter};
use super::records::{input_as, place, shown as shown_in_form};
use super::session::SignedIn;
use super::told::failure;
use super::values::{in_words, seconds, value};
use super::whole_days::{WholeDays, in_days};
use crate::domain::ids::{IterationId, MissionId, StepId};
use crate::domain::iterations::{Iteration, IterationStatus};
use crate::domain::review::{StepDecision, can_reopen};
use crate::domain::step::{IterationStep, StepStatus};
use crate::modules::effects::{Obstacle, Preview};
use crate::modules::{FieldKind, FieldSpec, Modules, TableSpec};
use crate::steps::Foreseen;
use crate::store::{FailedTry, RunRow};
use crate::text::catalog::{Words, text_id};
use crate::text::{module, obstacle};

/// Steps that a plan shows; a planner's plan has at most 25.
const STEPS: usize = 100;
/// Changes of a step that are seen at once; the rest is folded away.
const AT_ONCE: usize = 4;
/// Characters of a value that are seen at once.
const SHORT: usize = 140;

/// A plan, and where it is shown.
pub(super) struct PlanView<'a> {
    pub shared: &'a Shared,
    pub who: &'a SignedIn,
    pub mission: &'a MissionId,
    pub iteration: &'a Iteration,
    /// What approving each step would do, by its place.
    pub foreseen: &'a [Foreseen],
    pub tries: &'a BTreeMap<StepId, Vec<FailedTry>>,
    pub run: Option<&'a RunRow>,
    /// In the inbox, since when its mission waits.
    pub since: Option<i64>,
    /// An edit of a step that was not taken, and why.
    pub wrong: Option<(&'a StepId, &'a str)>,
}

/// The place of an iteration on its page.
pub(super) fn anchor(id: &str) -> String {
    let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(80).collect();
    format!("plan-{plain}")
}

/// One plan, with its review where it awaits one.
pub(super) fn plan(view: &PlanView<'_>) -> Markup {
    let PlanView { who, iteration, .. } = *view;
    let words = who.words;
    html! {
        article.plan #(anchor(iteration.id())) {
            header {
                h3 {
                    @match iteration.started_at() { Some(at) => (moment(at)), None => (words.say("review-no-time")) }
                    " " (status(words, iteration))
                }
                p.hint { (facts(words, iteration, view.run)) }
            }
            @let error = iteration.error();
            // A run that failed leaves the error as its summary too.
            @if error.as_ref().is_none_or(|error| !iteration.summary().ends_with(error)) { (prose(iteration.summary())) }
            @if let Some(error) = &error { (failure(words, &iteration.error_name(), error)) }
            @if iteration.awaits_review() { (pending(view)) } @else { (settled(view)) }
        }
    }
}

/// Where a plan stands. One without steps asks for nothing, and nobody approved it.
fn status(words: Words, iteration: &Iteration) -> Markup {
    let is_empty = iteration.steps().len() == 0;
    let (class, text) = match iteration.status() {
        IterationStatus::Approved | IterationStatus::AwaitingReview if is_empty => ("", words.say("review-nothing-to-do")),
        IterationStatus::AwaitingReview => ("awaiting-review", words.say("review-status-waiting")),
        IterationStatus::Approved => ("approved", words.say("review-status-approved")),
        IterationStatus::Rejected => ("rejected", words.say("review-status-rejected")),
        IterationStatus::Failed => ("failed", words.say("review-status-failed")),
        IterationStatus::Running => ("in-flight", words.say("review-status-running")),
        IterationStatus::Other("") => ("unknown", words.say("review-status-unknown")),
        IterationStatus::Other(other) => return badge(other),
    };
    html! { span class={ "badge " (class) } { (text) } }
}

/// Model, tokens, duration and attempts.
fn facts(words: Words, iteration: &Iteration, run: Option<&RunRow>) -> String {
    let mut facts = Vec::new();
    if !iteration.model().is_empty() {
        facts.push(shorter(iteration.model(), 60));
    }
    if let Some(tokens) = iteration.total_tokens() {
        facts.push(words.with("review-tokens", [("tokens", tokens.into())]));
    }
    if let (Some(from), Some(to)) = (iteration.started_at(), iteration.finished_at()) {
        let took = seconds(words.language(), to.duration_since(from).as_secs_f64());
        facts.extend(Some(took).filter(|took| !took.is_empty()));
    }
    if let Some(run) = run.filter(|run| run.run.attempts > 0) {
        facts.push(words.with("review-failed-attempts", [("n", run.run.attempts.into())]));
    }
    facts.join(" · ")
}

/// The steps of a plan that awaits review, each with its decision.
pub(super) fn pending(view: &PlanView<'_>) -> Markup {
    let PlanView { who, iteration, .. } = *view;
    let words = who.words;
    let decisions: Vec<_> = iteration.steps().take(STEPS).map(StepDecision::of).collect();
    let open = decisions.iter().filter(|decision| **decision == Some(StepDecision::Undecided)).count();
    html! {
        @if iteration.steps().any(|step| step.status() == StepStatus::Planned) {
            p.health { (words.say("review-released-before")) }
        }
        @if iteration.steps().len() == 0 {
            form.inline method="post" action=(action(view, "review")) data-swap { (hidden(view)) button name="all" value="approve" { (words.say("review-dismiss")) } }
        }
        @if open > 1 {
            form.all method="post" action=(action(view, "review")) data-swap {
                (hidden(view))
                button.primary name="all" value="approve" {
                    @if open == decisions.len() { (words.with("review-approve-all", [("n", open.into())])) }
                    @else { (words.with("review-approve-rest", [("n", open.into())])) }
                }
                button name="all" value="reject" { (words.say("review-reject-all")) }
            }
        }
        @for (n, step) in iteration.steps().take(STEPS).enumerate() { (choice(view, n, step)) }
        details.more {
            summary { (words.say("review-say")) }
            (feedback(view))
        }
    }
}

fn action(view: &PlanView<'_>, what: &str) -> String {
    format!("{}/{what}", path("missions", view.mission))
}

/// What every form of a plan carries.
fn hidden(view: &PlanView<'_>) -> Markup {
    html! {
        (csrf(view.who))
        input type="hidden" name="iteration" value=(view.iteration.id());
        @if let Some(since) = view.since { input type="hidden" name="since" value=(since); }
    }
}

/// A step with its decision: first what it does, then what can be decided, then why it is proposed.
fn choice(view: &PlanView<'_>, n: usize, step: &IterationStep) -> Markup {
    let words = view.who.words;
    let id = format!("{}-{n}", anchor(view.iteration.id()));
    let decided = StepDecision::of(step);
    let is_open = |step: &IterationStep| StepDecision::of(step) == Some(StepDecision::Undecided);
    let is_first = view.since.is_some() && view.iteration.steps().position(is_open) == Some(n);
    let class = match decided {
        _ if is_first => "step open first",
        Some(StepDecision::Undecided) => "step open",
        _ => "step",
    };
    html! {
        div #(id) class=(class) role="group" aria-labelledby={ (id) "-what" } tabindex="-1" {
            p.what { b #{ (id) "-what" } dir="auto" { (shorter(step.summary(), 300)) } @if decided != Some(StepDecision::Undecided) { " " (state(words, step)) } }
            @if let Some(StepDecision::Undecided) = decided {
                @let all = shown(view, step, view.foreseen.get(n));
                (all.at_once)
                (decide(view, &id, step, matches!(view.foreseen.get(n), Some(Foreseen::Fails(_)))))
                @if !step.rationale().is_empty() { (prose(step.rationale())) }
                (all.rest)
            } @else {
                @if !step.reason().is_empty() { p.hint { (words.say("review-you-said")) " " span dir="auto" { (shorter(&step.reason(), 600)) } } }
                (outcome(words, step, view.tries))
                @if can_reopen(view.iteration, step) { (take_back(view, n, &words.say(if is_over(step) { text_id("review-again") } else { text_id("review-undo") }))) }
            }
        }
    }
}

/// What is decided about a step; `fails`: it would come to nothing.
fn decide(view: &PlanView<'_>, id: &str, step: &IterationStep, fails: bool) -> Markup {
    let words = view.who.words;
    let name = format!("step:{}", step.id());
    let wrong = view.wrong.filter(|(wrong, _)| *wrong == step.id()).map(|(_, why)| why);
    let fields = view.shared.app.reviews().editable(step);
    html! {
        div.decide {
            form.inline method="post" action=(action(view, "review")) data-swap {
                (hidden(view)) button.primary[!fails] data-key="a" name=(name) value="approve" { (words.say("review-approve")) }
            }
            // One at a time is open; an open edit takes the place of the plain approval, which would drop it.
            details.folded data-key="r" name={ (id) "-folded" } {
                summary.button { (words.say("review-reject")) }
                form method="post" action=(action(view, "review")) data-swap {
                    (hidden(view))
                    label for={ (id) "-reason" } { (words.say("review-reason")) }
                    div.row {
                        input #{ (id) "-reason" } name="reason" maxlength="1000" dir="auto" autocomplete="off";
                        button.danger name=(name) value="reject" { (words.say("review-reject")) }
                    }
                }
            }
            @if !fields.is_empty() {
                details.folded data-key="e" name={ (id) "-folded" } open[wrong.is_some()] {
                    summary.button { (words.say("review-edit")) }
                    form method="post" action=(action(view, "review")) data-swap {
                        (hidden(view)) (FormZone::of(view.who, &view.shared.app).hidden())
                        @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus { (wrong) } }
                        @let whole = WholeDays::of(fields.iter().filter_map(|(field, value)| Some((field.name.as_str(), value.as_ref()?))));
                        @for (field, value) in &fields { (edited(view, id, &in_days(field, whole.is_some()), value.as_ref(), whole)) }
                        div.actions { button.primary name="edit" value=(step.id()) { (words.say("review-approve-edited")) } }
                    }
                }
            }
        }
    }
}

fn edited(view: &PlanView<'_>, id: &str, field: &FieldSpec, value: Option<&Value>, whole: Option<WholeDays>) -> Markup {
    let zone = FormZone::of(view.who, &view.shared.app);
    let named = FieldSpec { name: format!("param:{}", field.name), ..field.clone() };
    let (words, id) = (view.who.words, format!("{id}-{}", field.name));
    let label = module::param(words, &field.name, &in_words(&field.name));
    input_as(words, &named, (&id, &label), &shown_in_form(field, value, zone.zone(), whole), &zone, true)
}

/// What a step does: what is seen at once, and the rest.
struct Shown {
    at_once: Markup,
    rest: Markup,
}

/// A line of what a step does.
#[derive(PartialEq)]
struct ShownField {
    label: String,
    kind: Option<FieldKind>,
    before: Option<Value>,
    after: Value,
}

fn shown(view: &PlanView<'_>, step: &IterationStep, foreseen: Option<&Foreseen>) -> Shown {
    let words = view.who.words;
    let of_params = || -> Vec<ShownField> {
        let params = step.params().and_then(Value::as_object);
        let whole = params.and_then(|params| WholeDays::of(params.iter().map(|(name, value)| (name.as_str(), value))));
        let line = |(name, value): (&String, &Value)| ShownField {
            label: module::param(words, name, &in_words(name)),
            kind: None,
            before: None,
            after: whole.map_or_else(|| value.clone(), |whole| whole.shown(name, value)),
        };
        params.map(|params| params.iter().map(line).collect()).unwrap_or_default()
    };
    let (heading, lines) = match foreseen {
        None => (html! {}, of_params()),
        Some(Foreseen::ByDevice) => (html! { p.hint { (words.say("review-by-device")) } }, of_params()),
        Some(Foreseen::ByEndpoint) => (html! { p.hint { (words.say("review-by-webhook")) } }, of_params()),
        Some(Foreseen::Fails(why)) => (
            html! { p.wrong dir="auto" { (words.say("review-would-fail")) " " (obstacle::told(words, why)) (place_to_begin(view, why)) } },
            of_params(),
        ),
        Some(Foreseen::Writes(previews)) => {
            let modules = view.shared.app.modules();
            let heading = html! { @if let Some((preview, _)) = apart(modules, previews) { p.hint { (does(words, preview)) } } };
            (heading, of_previews(words, modules, previews))
        }
    };
    let is_long = |line: &ShownField| line.after.as_str().is_some_and(|text| text.chars().nth(SHORT).is_some()) || line.after.is_object();
    let folds = lines.len() > AT_ONCE || lines.iter().any(is_long);
    Shown {
        at_once: html! { (heading) dl.changes { @for line in lines.iter().take(AT_ONCE) { (changed(words, line, true)) } } },
        rest: html! {
            @if folds || step.has_intent() {
                details {
                    summary { (words.say("review-details")) }
                    @if folds { dl.changes { @for line in &lines { (changed(words, line, false)) } } }
                    @if let Some(tool) = step.tool() { p.hint { (words.say("review-tool")) " " code { (shorter(tool, 300)) } } }
                }
            }
        },
    }
}

/// The way to the table that has nothing to choose from yet.
fn place_to_begin(view: &PlanView<'_>, why: &Obstacle) -> Markup {
    let Obstacle::NothingToChoose { table: name } = why else { return html! {} };
    let table = view.shared.app.modules().tables().iter().find(|table| table.table == *name && !table.hidden);
    html! { @if let Some(table) = table { " " a href=(place(table)) { (module::table(view.who.words, table)) } } }
}

fn table_of<'m>(modules: &'m Modules, preview: &Preview) -> Option<&'m TableSpec> {
    modules.table(&format!("{}/{}", preview.app, preview.table))
}

/// The record that a step is about, which is the last that is no part of another one; and the others, the last first.
fn apart<'p>(modules: &Modules, previews: &'p [Preview]) -> Option<(&'p Preview, Vec<&'p Preview>)> {
    let is_whole = |preview: &Preview| table_of(modules, preview).is_none_or(|table| !table.hidden);
    let place = previews.iter().rposition(is_whole).or(previews.len().checked_sub(1))?;
    Some((previews.get(place)?, previews.iter().enumerate().filter(|(n, _)| *n != place).map(|(_, preview)| preview).rev().collect()))
}

/// The lines of everything that a step writes. What belongs to its record, such as the times of an event, comes next to what
/// the record is called; of another record, only what was not told.
fn of_previews(words: Words, modules: &Modules, previews: &[Preview]) -> Vec<ShownField> {
    let Some((main, others)) = apart(modules, previews) else { return Vec::new() };
    let mut lines: Vec<ShownField> = of_preview(words, table_of(modules, main), main).map(|(_, line)| line).collect();
    for other in others {
        let told = of_preview(words, table_of(modules, other), other);
        let path = format!("{}/{}", other.app, other.table);
        match table_of(modules, main).and_then(|main| main.owns.iter().find(|owned| owned.table == path)) {
            Some(owned) => {
                let place = 1.min(lines.len());
                let shown: Vec<ShownField> =
                    told.filter(|(field, _)| owned.shown.iter().any(|name| name == field)).map(|(_, line)| line).collect();
                lines.splice(place..place, shown);
            }
            None if other.table == main.table => lines.extend(told.map(|(_, line)| line)),
            None => {
                let more: Vec<ShownField> = told.map(|(_, line)| line).filter(|line| !lines.contains(line)).collect();
                lines.extend(more);
            }
        }
    }
    lines
}

/// The lines of one record, with the names of their fields. The id of another record says nothing to a person, nor does what
/// a new record has as a matter of course.
fn of_preview<'a>(words: Words, table: Option<&'a TableSpec>, preview: &'a Preview) -> impl Iterator<Item = (&'a str, ShownField)> {
    let is_new = preview.record_id.is_none();
    let whole = WholeDays::of(preview.fields.iter().map(|change| (change.field.as_str(), &change.after)));
    preview.fields.iter().filter_map(move |change| {
        let field = table.and_then(|table| table.field(&change.field));
        let is_default = field.is_some_and(|field| field.default.as_ref() == Some(&change.after));
        let is_link = field.is_some_and(|field| field.kind == FieldKind::Link);
        let line = || ShownField {
            label: field.map_or_else(|| in_words(&change.field), |field| module::field(words, field)),
            kind: field.map(|field| in_days(field, whole.is_some()).kind),
            before: Some(change.before.clone()).filter(|before| !is_new && !before.is_null()),
            after: whole.map_or_else(|| change.after.clone(), |whole| whole.shown(&change.field, &change.after)),
        };
        (!(is_link || is_new && (is_default || change.after.is_null()))).then(|| (change.field.as_str(), line()))
    })
}

fn does(words: Words, preview: &Preview) -> Markup {
    let id = match (&preview.record_id, preview.is_deleted) {
        (None, _) => text_id("review-adds"),
        (_, true) => text_id("review-deletes"),
        (_, false) => text_id("review-changes"),
    };
    html! { (words.say(id)) " " b { (module::table_called(words, &preview.table, &preview.label)) } @if !preview.title.is_empty() { ": " bdi { (shorter(&preview.title, 120)) } } }
}

fn changed(words: Words, line: &ShownField, is_short: bool) -> Markup {
    let cut = |of: &Value| match of {
        Value::String(text) if is_short => value(words, line.kind, &shorter(text, SHORT).into()),
        Value::Object(_) if is_short => html! { "…" },
        of => value(words, line.kind, of),
    };
    html! {
        div {
            dt dir="auto" { (shorter(&line.label, 300)) }
            dd { @if let Some(before) = &line.before { del { (cut(before)) } " → " } ins { (cut(&line.after)) } }
        }
    }
}

/// The steps of a plan that is decided.
fn settled(view: &PlanView<'_>) -> Markup {
    let PlanView { who, iteration, tries, .. } = *view;
    let words = who.words;
    html! {
        @if iteration.steps().len() > 0 { ol.steps { @for (n, step) in iteration.steps().take(STEPS).enumerate() { li {
            b.step dir="auto" { (shorter(step.summary(), 300)) }
            " " (state(words, step))
            @if !step.reason().is_empty() { p.hint { (words.say("review-you-said")) " " span dir="auto" { (shorter(&step.reason(), 600)) } } }
            @if !step.rationale().is_empty() { (prose(step.rationale())) }
            (outcome(words, step, tries))
            (shown(view, step, None).rest)
            @if can_undo(step) { (take_back(view, n, &words.say("review-undo"))) }
            @else if can_reopen(iteration, step) { (take_back(view, n, &words.say("review-again"))) }
        } } } }
        @if iteration.steps().filter(|step| can_undo(step)).count() > 1 { (undo_all(view)) }
        @if iteration.steps().any(|step| step.status() == StepStatus::Planned) { p.hint { (words.say("review-released")) } }
        @if !iteration.feedback().is_empty() { p.hint { (words.say("review-you-said")) } (prose(iteration.feedback())) }
    }
}

/// Where a step stands, in a word.
pub(super) fn state(words: Words, step: &IterationStep) -> Markup {
    let (class, id) = match step.status() {
        _ if step.undone().is_some() && step.kept().is_empty() => ("", text_id("review-step-undone")),
        StepStatus::Approved => ("approved", text_id("review-step-done")),
        StepStatus::Planned => ("planned", text_id("review-step-released")),
        StepStatus::Rejected => ("rejected", text_id("review-step-rejected")),
        StepStatus::Failed => ("failed", text_id("review-step-failed")),
        StepStatus::Skipped => ("", text_id("review-step-skipped")),
        StepStatus::Staged if step.is_called() => ("staged", text_id("review-step-called")),
        StepStatus::Staged if step.is_approved_in_advance() => ("approved", text_id("review-step-approved")),
        StepStatus::Staged => ("staged", text_id("review-step-open")),
        StepStatus::Other(other) => return badge(if other.is_empty() { "unknown" } else { other }),
    };
    html! { span class={ "badge " (class) } { (words.say(id)) } }
}

/// Whether something came of a step, and nothing is left of it.
fn is_over(step: &IterationStep) -> bool {
    step.undone().is_some() || step.status() == StepStatus::Failed
}

/// Whether what a step wrote can be taken back.
pub(super) fn can_undo(step: &IterationStep) -> bool {
    step.status() == StepStatus::Approved && !step.written().is_empty()
}

/// The button that takes the decision on a step back.
fn take_back(view: &PlanView<'_>, n: usize, label: &str) -> Markup {
    html! {
        form.inline method="post" action=(action(view, "reconsider")) data-swap {
            (hidden(view)) input type="hidden" name="steps" value=(n);
            button { (label) }
        }
    }
}

fn undo_all(view: &PlanView<'_>) -> Markup {
    let (iteration, id): (&Iteration, &IterationId) = (view.iteration, view.iteration.id());
    let steps: Vec<String> = iteration.steps().enumerate().filter(|(_, step)| can_undo(step)).map(|(n, _)| n.to_string()).collect();
    html! {
        form.inline method="post" action=(action(view, "reconsider")) data-swap {
            (hidden(view)) input type="hidden" name="steps" value=(steps.join("."));
            button aria-describedby=(anchor(id)) { (view.who.words.say("review-undo-all")) }
        }
    }
}

/// What came of a step, and of taking it back.
fn outcome(words: Words, step: &IterationStep, tries: &BTreeMap<StepId, Vec<FailedTry>>) -> Markup {
    let failed = tries.get(step.id()).map_or(&[][..], Vec::as_slice);
    let kept = step.kept();
    html! {
        @if !failed.is_empty() {
            details { summary { (words.with("review-tried", [("n", failed.len().into())])) } ul { @for one in failed {
                li { (one.at) ": " span dir="auto" { (shorter(&one.error, 300)) } }
            } } }
        }
        @if step.is_automatic() { p.hint { (words.say("review-automatic")) } }
        @if step.status() == StepStatus::Failed { p.wrong dir="auto" { (shorter(&step.outcome(), 600)) } }
        @else if !step.outcome().is_empty() && step.outcome() != "Done" { p.hint dir="auto" { (shorter(&step.outcome(), 600)) } }
        @if !kept.is_empty() { p.wrong { (words.say("review-not-undone")) " " (obstacle::kept(words, &kept)) } }
    }
}

fn feedback(view: &PlanView<'_>) -> Markup {
    let (words, id, iteration) = (view.who.words, anchor(view.iteration.id()), view.iteration);
    html! {
        form method="post" action=(action(view, "review")) data-swap {
            (hidden(view))
            input type="hidden" name="was-feedback" value=(iteration.feedback());
            label for={ (id) "-feedback" } { (words.say("review-feedback")) }
            textarea #{ (id) "-feedback" } name="feedback" rows="2" dir="auto" aria-describedby={ (id) "-hint" } { "\n" (iteration.feedback()) }
            p.hint #{ (id) "-hint" } { (words.say("review-feedback-hint")) }
            div.actions { button { (words.say("review-feedback-save")) } }
        }
    }
}
