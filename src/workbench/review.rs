//! Plans as they stand on the page, and their review.

use axum::extract::{Path, State};
use maud::{Markup, html};
use serde_json::Value;

use super::Shared;
use super::mission::{edit_of, find};
use super::page::{Failed, Response, badge, csrf, moment, path, prose, shorter, to};
use super::session::{Posted, SignedIn};
use crate::domain::merge::Record;
use crate::domain::mission::Mission;
use crate::domain::review::{Review, Word, apply};
use crate::domain::time;
use crate::store::{RunRow, StoreError, Table};

/// Steps that a plan shows; a planner's plan has at most 25.
const STEPS: usize = 100;

/// The review of the form: a word for each step in `step:<id>`, and a button that may speak for all.
pub(super) async fn save(State(shared): State<Shared>, Path(id): Path<String>, posted: Posted) -> Result<Response, Failed> {
    find(&shared, &posted.who, &id).await?;
    let fields = &posted.fields;
    let all = Word::parse(&fields.text("all"));
    // What stands as it was shown is no word of this user: another client may have decided meanwhile.
    let words = fields.0.iter().filter_map(|(name, value)| {
        let step = name.strip_prefix("step:")?;
        let shown = fields.text(&format!("was:{step}"));
        Some((step.to_owned(), Word::parse(value).filter(|_| *value != shown)?))
    });
    let spelled = |name: &str| fields.all(name).next().map(|text| text.replace("\r\n", "\n").trim().to_owned());
    let review = Review {
        iteration_id: fields.text("iteration"),
        words: if all.is_some() { Default::default() } else { words.collect() },
        all,
        feedback: spelled("feedback").filter(|text| spelled("was-feedback").as_ref() != Some(text)),
    };
    let place = format!("{}#{}", path("missions", &id), anchor(&review.iteration_id));
    let mission_id = id.clone();
    // On the newest state: a plan that arrived meanwhile stays.
    let decide = move |before: Option<&Record>| {
        let iterations = before.map(|record| Mission::read(&mission_id, record).0.iterations).unwrap_or_default();
        let after = apply(&iterations, &review).filter(|after| *after != iterations);
        Ok(after.map(|after| Record::from_iter([("iterations".to_owned(), Value::Array(after))])).unwrap_or_default())
    };
    shared.runner.store().edit::<StoreError>(edit_of(&posted.who, Table::Missions, &id), decide).await?;
    Ok(to(&place))
}

/// The place of an iteration on its page.
fn anchor(id: &str) -> String {
    let plain: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(80).collect();
    format!("plan-{plain}")
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// One plan, with its review where it awaits one.
pub(super) fn iteration(who: &SignedIn, mission: &str, value: &Value, run: Option<&RunRow>) -> Markup {
    let status = text(value, "overallStatus");
    let open = status == "awaiting-review";
    let steps = value.get("plan").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let id = text(value, "id");
    html! {
        article.plan #(anchor(id)) {
            header {
                h3 { @match time::parse_rfc3339(text(value, "startedAt")) { Some(at) => (moment(at)), None => "At an unknown time" } " " (badge(if status.is_empty() { "unknown" } else { status })) }
                p.hint { (facts(value, run)) }
            }
            (prose(text(value, "summary")))
            @if let Some(error) = value.get("errorDetails") { p.wrong dir="auto" { (shorter(text(error, "message"), 600)) } }
            @if open {
                form.review method="post" action={ (path("missions", mission)) "/review" } {
                    (csrf(who))
                    input type="hidden" name="iteration" value=(id);
                    @for (n, step) in steps.iter().take(STEPS).enumerate() { (choice(&format!("{}-{n}", anchor(id)), step)) }
                    (feedback(value, &anchor(id)))
                    div.actions {
                        button.primary { "Save review" }
                        button name="all" value="approve" { "Approve all" }
                        button name="all" value="reject" { "Reject all" }
                    }
                }
            } @else {
                @if !steps.is_empty() { ol.steps { @for step in steps.iter().take(STEPS) { li { (told(step)) " " (badge(text(step, "status"))) } } } }
                @if !text(value, "userFeedback").is_empty() { p.hint { "You said:" } (prose(text(value, "userFeedback"))) }
            }
        }
    }
}

/// Model, tokens, duration and attempts.
fn facts(value: &Value, run: Option<&RunRow>) -> String {
    let mut facts = Vec::new();
    let model = text(value, "model");
    if !model.is_empty() {
        facts.push(shorter(model, 60));
    }
    if let Some(tokens) = value.pointer("/usage/totalTokens").and_then(Value::as_u64) {
        facts.push(format!("{tokens} tokens"));
    }
    if let (Some(from), Some(to)) = (time::parse_rfc3339(text(value, "startedAt")), time::parse_rfc3339(text(value, "finishedAt"))) {
        facts.push(format!("{:.1} s", to.duration_since(from).as_secs_f64()));
    }
    if let Some(run) = run.filter(|run| run.run.attempts > 0) {
        facts.push(format!("{} failed attempts", run.run.attempts));
    }
    facts.join(" · ")
}

/// A step: what, why, and the call that it stands for.
fn told(step: &Value) -> Markup {
    html! {
        b.step dir="auto" { (shorter(text(step, "summary"), 300)) }
        (reasons(step))
    }
}

/// Why a step is proposed, and the call with its parameters.
fn reasons(step: &Value) -> Markup {
    html! {
        @if !text(step, "rationale").is_empty() { (prose(text(step, "rationale"))) }
        @if let Some(intent) = step.get("intent") {
            details {
                summary { code { (shorter(text(intent, "toolName"), 300)) } }
                @if let Some(params) = intent.get("params") { (parameter(params, 0)) }
            }
        }
    }
}

/// A value as people read it; what lies deep is JSON.
fn parameter(value: &Value, depth: usize) -> Markup {
    const DEEPEST: usize = 4;
    const LONGEST: usize = 4_000;
    html! {
        @match value {
            Value::String(text) => span.value dir="auto" { (shorter(text, LONGEST)) },
            Value::Object(fields) if depth < DEEPEST => dl { @for (name, value) in fields {
                dt dir="auto" { (shorter(name, 300)) } dd { (parameter(value, depth + 1)) }
            } },
            Value::Array(items) if depth < DEEPEST => ul { @for item in items { li { (parameter(item, depth + 1)) } } },
            other => span.value { (shorter(&other.to_string(), LONGEST)) },
        }
    }
}

fn choice(id: &str, step: &Value) -> Markup {
    let status = text(step, "status");
    let name = format!("step:{}", text(step, "id"));
    let words = [
        ("approve", "Approve", status == "approved"),
        ("reject", "Reject", status == "rejected"),
        ("undecided", "Undecided", status != "approved" && status != "rejected"),
    ];
    html! {
        fieldset.step {
            legend dir="auto" { (shorter(text(step, "summary"), 300)) }
            (reasons(step))
            input type="hidden" name={ "was:" (text(step, "id")) } value=(words.iter().find(|word| word.2).map_or("", |word| word.0));
            div.words { @for (value, label, checked) in &words {
                label.choice for={ (id) "-" (value) } { input #{ (id) "-" (value) } type="radio" name=(name) value=(value) checked[*checked]; (label) }
            } }
        }
    }
}

fn feedback(value: &Value, id: &str) -> Markup {
    html! {
        input type="hidden" name="was-feedback" value=(text(value, "userFeedback"));
        label for={ (id) "-feedback" } { "Feedback" }
        textarea #{ (id) "-feedback" } name="feedback" rows="2" dir="auto" aria-describedby={ (id) "-hint" } { "\n" (text(value, "userFeedback")) }
        p.hint #{ (id) "-hint" } { "It reaches the next plan of this mission." }
    }
}
