//! Runs: the list with its filters, and one of them as a timeline.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::form_zone::FormZone;
use super::page::{Failed, Response, moment, more_bytes, page, path, prose, segment, shorter};
use super::plan::{anchor, state as step_state};
use super::session::SignedIn;
use super::told::{note, of_attempt, reason};
use super::values;
use crate::app::{PromptView, RunFilter, RunView, TITLED};
use crate::domain::ids::{AgentId, MissionId, RunId};
use crate::domain::iterations::Iteration;
use crate::domain::round::{Round, RoundAnswer};
use crate::domain::time;
use crate::store::{Attempt, RunRow, RunsWanted, WhichRuns};
use crate::text;
use crate::text::catalog::{Words, text_id};

const SHOWN: u32 = 50;
/// Attempts on one page.
const ATTEMPTS: usize = 50;
/// Bytes of a message to the model on a page.
const MESSAGE: usize = 200_000;

/// What the missions of runs are called, as far as they are still there.
pub(super) type Titles = BTreeMap<MissionId, String>;

#[derive(Deserialize)]
pub(super) struct RunsAsked {
    /// A part of the title of their missions.
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    mission: String,
    #[serde(default)]
    agent: String,
    /// Runs that began on this day or before.
    #[serde(default)]
    until: String,
    #[serde(default)]
    sort: String,
    /// When the run was claimed after which further ones are wanted, microseconds, and its id.
    at: Option<i64>,
    #[serde(default)]
    after: RunId,
}

const STATES: [(&str, &str); 5] = [
    ("", text_id("runs-all")),
    ("open", text_id("runs-open")),
    ("planned", text_id("runs-planned")),
    ("failed", text_id("runs-failed")),
    ("dropped", text_id("runs-dropped")),
];

const SORTS: [(&str, &str); 2] = [("", text_id("runs-newest-first")), ("oldest", text_id("runs-oldest-first"))];

pub(super) async fn list(State(shared): State<Shared>, who: SignedIn, Query(asked): Query<RunsAsked>) -> Result<Response, Failed> {
    let words = who.words;
    let day_end = || {
        let next = asked.until.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
        Some(next.to_zoned(FormZone::of(&who, &shared.app).zone().clone()).ok()?.timestamp())
    };
    let oldest_first = asked.sort == "oldest";
    let wanted = RunsWanted {
        missions: Some(vec![MissionId::from(asked.mission.clone())]).filter(|_| !asked.mission.is_empty()),
        agent: Some(AgentId::from(asked.agent.clone())).filter(|id| !id.is_empty()),
        which: WhichRuns::parse(&asked.state),
        before: day_end().unwrap_or(Timestamp::MAX),
        oldest_first,
        after: asked.at.map(|at| (time::from_micros(at), asked.after.clone())),
    };
    let found = shared.app.runs_list(&who.user, RunFilter { search: asked.q.clone(), wanted }, SHOWN).await?;
    let titles: Titles = found.missions.iter().map(|card| (card.id.clone(), shorter(card.label(), 80))).collect();
    let query = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("&{name}={}", segment(value)),
    };
    let chosen = [
        ("q", &asked.q),
        ("state", &asked.state),
        ("mission", &asked.mission),
        ("agent", &asked.agent),
        ("until", &asked.until),
        ("sort", &asked.sort),
    ];
    let same = chosen.map(|(name, value)| query(name, value)).concat();
    let body = html! {
        h1 { (words.say("runs-title")) }
        form.filter method="get" action="/runs" role="search" {
            @if !asked.mission.is_empty() {
                input type="hidden" name="mission" value=(asked.mission);
                p { (words.say("runs-of")) " " a href=(path("missions", &asked.mission)) { bdi { (titles.get(&*asked.mission).map_or(asked.mission.as_str(), String::as_str)) } } " · " a href="/runs" { (words.say("runs-of-all")) } }
            }
            @else {
                div.row {
                    label.aside for="q" { (words.say("mission-search")) }
                    input #q type="search" name="q" value=(asked.q) placeholder=(words.say("mission-search")) maxlength="200" dir="auto";
                    button { (words.say("runs-filter")) }
                }
            }
            details open[[&asked.state, &asked.agent, &asked.until, &asked.sort].iter().any(|chosen| !chosen.is_empty())] {
                summary { (words.say("mission-filter")) }
                div.columns {
                    div { label for="state" { (words.say("runs-state")) } select #state name="state" {
                        @for (value, id) in STATES { option value=(value) selected[value == asked.state] { (words.say(id)) } }
                    } }
                    div { label for="agent" { (words.say("mission-agent")) } select #agent name="agent" {
                        option value="" { (words.say("runs-all")) }
                        @for agent in &found.agents { option value=(agent.id) selected[*agent.id == *asked.agent] { (shorter(&agent.name, 60)) } }
                    } }
                    div { label for="until" { (words.say("runs-until")) } input #until type="date" name="until" value=(asked.until); }
                    div { label for="sort" { (words.say("mission-sort")) } select #sort name="sort" {
                        @for (value, id) in SORTS { option value=(value) selected[value == asked.sort] { (words.say(id)) } }
                    } }
                }
                div.actions { button { (words.say("runs-filter")) } }
            }
        }
        @if found.is_cut { p.hint { (words.with("runs-cut", [("n", TITLED.into())])) } }
        (list_of_runs(&who, &found.runs, Some(&titles)))
        @if let Some(last) = found.runs.last().filter(|_| found.runs.len() == SHOWN as usize) {
            @let further = if oldest_first { text_id("runs-newer") } else { text_id("runs-older") };
            p { a.button href={ "/runs?at=" (time::to_micros(last.claimed_at)) "&after=" (segment(&last.run.id)) (same) } { (words.say(further)) } }
        }
    };
    Ok(page(&who, &words.say("runs-title"), &body))
}

/// Runs, the newest first, each with a link to its page; with their missions, where these are told.
pub(super) fn list_of_runs(who: &SignedIn, runs: &[RunRow], titles: Option<&Titles>) -> Markup {
    let words = who.words;
    html! {
        @if runs.is_empty() { p.empty { (words.say("runs-none")) } }
        ul.plain { @for run in runs { li {
            a href=(path("runs", &run.run.id)) { (moment(run.claimed_at)) } " " (state(words, run))
            @if let Some(titles) = titles {
                " " a href=(path("missions", &run.run.mission_id)) { bdi { (titles.get(&run.run.mission_id).map_or(run.run.mission_id.as_str(), String::as_str)) } }
            }
            @if run.tokens() > 0 { span.hint { " " (words.with("review-tokens", [("tokens", run.tokens().into())])) } }
            @if let Some(at) = run.run.next_attempt_at.filter(|_| run.finished.is_none()) { span.hint { " " (words.say("runs-again")) " " (moment(at)) } }
            (reason(words, run)) (note(words, run, false))
        } } }
    }
}

/// What the state of a run is called, and its class.
pub(super) fn kind(words: Words, state: &str) -> (&'static str, String) {
    let (class, id) = match state {
        "in flight" => ("in-flight", text_id("runs-is-running")),
        // Of those, some may wait for another attempt.
        "open" => ("in-flight", text_id("runs-is-open")),
        "waiting" => ("waiting", text_id("runs-is-waiting")),
        "planned" => ("planned", text_id("runs-is-planned")),
        "failed" => ("failed", text_id("runs-is-failed")),
        _ => ("dropped", text_id("runs-is-dropped")),
    };
    (class, words.say(id).into_owned())
}

/// Where a run stands, as a small sign.
fn state(words: Words, run: &RunRow) -> Markup {
    let (class, name) = kind(words, run.state());
    html! { span class={ "badge " (class) } { (name) } }
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Path(id): Path<RunId>) -> Result<Response, Failed> {
    let words = who.words;
    let view = shared.app.run_view(&who.user, &id).await?;
    let RunView { run, iteration, mission, agent, reads } = &view;
    let title = mission.as_ref().map_or_else(|| run.run.mission_id.to_string(), |card| shorter(card.label(), 120));
    let body = html! {
        h1 { (words.say("runs-run-of")) " " a href=(path("missions", &run.run.mission_id)) { bdi { (title) } } }
        p { (state(words, run)) " " span.hint {
            (words.with("review-tokens", [("tokens", run.tokens().into())]))
            @if let Some(finished) = &run.finished { (seconds(words, run.claimed_at, finished.at)) }
        } }
        ol.timeline {
            li {
                b { (words.say("runs-due")) } " " (moment(run.run.scheduled_for))
                @if run.missed_times > 0 { p.hint { (words.with("runs-missed", [("n", run.missed_times.into())])) } }
            }
            li {
                b { (words.say("runs-started")) } " " (moment(run.claimed_at))
                p.hint {
                    (words.say("runs-gates-passed"))
                    @if let Some(agent) = agent { " " a href=(path("agents", &agent.id)) { bdi { (shorter(&agent.name, 80)) } } }
                }
                @if run.interruptions > 0 { p.hint { (words.with("runs-interrupted", [("n", run.interruptions.into())])) } }
            }
            @let inputs = run.attempts.iter().rev().find_map(|attempt| attempt.inputs).unwrap_or(0);
            @if inputs > 0 || !reads.is_empty() {
                li {
                    b { (words.say("runs-inputs")) }
                    @if inputs > 0 { p.hint { (words.with("runs-read", [("n", inputs.into())])) } }
                    @if !reads.is_empty() { p.hint { a href={ "/audit?mission=" (path("", &run.run.mission_id).trim_start_matches('/')) } { (words.with("runs-decrypted", [("n", reads.len().into())])) } } }
                }
            }
            @for (n, attempt) in run.attempts.iter().take(ATTEMPTS).enumerate() { (attempted(words, &run.run.id, n + 1, attempt)) }
            @if let Some(iteration) = iteration.as_ref().filter(|iteration| iteration.error().is_none()) { (answered(words, run, iteration)) }
            (ended(words, run))
        }
    };
    Ok(page(&who, &words.say("runs-run"), &body))
}

/// What stands after another fact: how long it took.
fn seconds(words: Words, from: Timestamp, to: Timestamp) -> Markup {
    let took = values::seconds(words.language(), to.duration_since(from).as_secs_f64());
    html! { @if !took.is_empty() { " · " (took) } }
}

/// One attempt, with the rounds that it took.
fn attempted(words: Words, run: &RunId, n: usize, attempt: &Attempt) -> Markup {
    html! {
        li {
            b { (words.with("runs-attempt", [("n", n.into())])) } " " (moment(attempt.started_at))
            p.hint {
                bdi { (shorter(&attempt.model, 80)) } (seconds(words, attempt.started_at, attempt.finished_at))
                " · " (words.with("runs-rounds", [("n", attempt.calls.into())]))
                " · " (words.with("runs-tokens", [("prompt", attempt.usage.prompt.into()), ("answer", attempt.usage.completion.into())]))
            }
            @if attempt.log_seq.is_some() { p { a href={ (path("runs", run)) "/prompts/" (n) } { (words.with("runs-show-prompt", [("n", attempt.prompt_chars.into())])) } } }
            @if !attempt.rounds.is_empty() {
                ol.rounds { @for (n, round) in attempt.rounds.iter().enumerate() { li { (asked(words, n + 1, round)) } } }
            }
            @match &attempt.error {
                Some(error) => (of_attempt(words, error)),
                None if attempt.rounds.is_empty() => p.hint { (words.say("runs-answered")) },
                None => {}
            }
        }
    }
}

/// One question to the model: what came back, and what the check said of it.
fn asked(words: Words, n: usize, round: &Round) -> Markup {
    let took = values::seconds(words.language(), Duration::from_millis(round.latency_ms).as_secs_f64());
    html! {
        b { (words.with("runs-round", [("n", n.into())])) } " "
        span.hint {
            @if round.as_functions { (words.say("runs-asked-tools")) } @else { (words.say("runs-asked-json")) }
            @if !took.is_empty() { " · " (took) }
            " · " (words.with("runs-tokens", [("prompt", round.prompt_tokens.into()), ("answer", round.completion_tokens.into())]))
        }
        @match &round.answer {
            None => p.hint { (words.say("runs-no-answer")) },
            Some(RoundAnswer { chars, tools, problems }) => {
                p.hint {
                    (words.with("runs-answer", [("chars", (*chars).into()), ("calls", tools.len().into())]))
                    @for (n, tool) in tools.iter().enumerate() {
                        @if n == 0 { ": " } @else { ", " }
                        @match tool { Some(tool) => code { (tool) }, None => (words.say("runs-unknown-tool")) }
                    }
                }
                @if problems.is_empty() { p.hint { (words.say("runs-checked")) } }
                @else {
                    p.hint { (words.with("runs-found", [("n", problems.len().into())])) }
                    ul { @for problem in problems { li { (text::run::problem(words, problem)) } } }
                }
            }
        }
    }
}

/// The prompt of an attempt, for whoever asks.
pub(super) async fn prompt(State(shared): State<Shared>, who: SignedIn, Path((id, n)): Path<(RunId, usize)>) -> Result<Response, Failed> {
    let words = who.words;
    let PromptView { attempt, prompt } = shared.app.run_prompt(&who.user, &id, n).await?;
    let body = html! {
        h1 { (words.with("runs-prompt-title", [("n", n.into())])) }
        p { a href=(path("runs", &id)) { (words.say("runs-back")) } }
        @match &prompt {
            None => p { (words.say("runs-prompt-gone")) },
            Some(prompt) => {
                p.hint { (words.say("runs-prompt-again")) " " (moment(attempt.started_at)) }
                @if prompt.sealed > 0 { p { (words.with("runs-prompt-sealed", [("n", prompt.sealed.into())])) } }
                @if prompt.prompt_version != attempt.prompt_version { p { (words.say("runs-prompt-reworded")) } }
                @else if prompt.chars != attempt.prompt_chars {
                    p { (words.with("runs-prompt-differs", [("sent", attempt.prompt_chars.into()), ("now", prompt.chars.into())])) }
                }
                @else { p.hint { (words.with("runs-prompt-same", [("n", prompt.chars.into())])) } }
                h2 { (words.say("runs-prompt-system")) } (message(&prompt.system))
                @if !prompt.functions.is_empty() {
                    p.hint { (words.with("runs-prompt-functions", [("n", prompt.functions.len().into())])) ": " @for (n, tool) in prompt.functions.iter().enumerate() { @if n > 0 { ", " } code { (tool) } } }
                }
                h2 { (words.say("runs-prompt-user")) } (message(&prompt.user))
            }
        }
    };
    Ok(page(&who, &words.with("runs-prompt-title", [("n", n.into())]), &body))
}

/// A message to the model, as it went out; a very long one is cut.
fn message(text: &str) -> Markup {
    let shown = &text[..text.floor_char_boundary(MESSAGE)];
    html! { pre dir="auto" { (shown) } (more_bytes((text.len() - shown.len()) as u64)) }
}

fn answered(words: Words, run: &RunRow, iteration: &Iteration) -> Markup {
    let steps = iteration.steps().len();
    html! {
        li {
            b { (words.say("runs-plan")) } " "
            span.hint { @if steps == 0 { (words.say("review-nothing-to-do")) } @else { (words.with("review-steps", [("n", steps.into())])) } }
            (prose(iteration.summary()))
            @if steps > 0 { ul { @for step in iteration.steps().take(25) { li dir="auto" { (shorter(step.summary(), 200)) " " (step_state(words, step)) } } } }
            p { a href={ (path("missions", &run.run.mission_id)) "#" (anchor(iteration.id())) } { (words.say("runs-to-plan")) } }
        }
    }
}

/// How it ended, and what became of what it wrote.
fn ended(words: Words, run: &RunRow) -> Markup {
    let id = match run.state() {
        "in flight" => text_id("runs-end-running"),
        "waiting" => text_id("runs-end-waiting"),
        "planned" => text_id("runs-end-planned"),
        "failed" => text_id("runs-end-failed"),
        _ => text_id("runs-end-dropped"),
    };
    html! {
        li {
            b { (words.say(id)) }
            @if let Some(finished) = &run.finished { " " (moment(finished.at)) }
            @else if let Some(at) = run.run.next_attempt_at { " " (moment(at)) }
            (reason(words, run)) (note(words, run, true))
            @if let Some(at) = run.superseded_at { p.hint { (words.say("runs-superseded")) " " (moment(at)) } }
            @if run.restored > 0 { p.hint { (words.say("runs-restored")) } }
        }
    }
}
