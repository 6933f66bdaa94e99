//! Agents: the list, one with its budget and missions, and what its forms do.

use std::borrow::Cow;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::agent_form::{SHOWN, form, read};
use super::changes::label;
use super::fields::shown as text_in;
use super::mission_list::mission_table;
use super::page::{Failed, PAGE, Response, button, moment, page, path, prose, refused, rich, segment, shorter, state_badge, to};
use super::session::{Posted, SignedIn};
use super::told::failure;
use crate::app::{AgentView, Trial, TrialRefusal};
use crate::domain::agent::{Agent, AgentState};
use crate::domain::field;
use crate::domain::ids::{AgentId, MissionId};
use crate::domain::merge::Record;
use crate::store::{AgentCard, AgentSort, AgentsWanted};
use crate::text::catalog::{Words, text_id};

#[derive(Deserialize)]
pub(super) struct AgentsAsked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    sort: String,
    /// The key in that order, and the id, after which agents are wanted.
    #[serde(default)]
    key: String,
    #[serde(default)]
    after: AgentId,
}

/// Agents that need no search.
const FEW: usize = 8;
const STATES: [(&str, &str); 4] = [
    ("", text_id("mission-any-state")),
    ("active", text_id("mission-active")),
    ("paused", text_id("mission-paused")),
    ("archived", text_id("mission-archived")),
];
const SORTS: [(&str, &str); 2] = [("", text_id("agents-by-name")), ("changed", text_id("mission-by-change"))];

pub(super) async fn list(State(shared): State<Shared>, who: SignedIn, Query(asked): Query<AgentsAsked>) -> Result<Response, Failed> {
    let words = who.words;
    let AgentsAsked { q, state, sort, key, after } = asked;
    let wanted = AgentsWanted {
        search: q.clone(),
        state: AgentState::parse(&state),
        sort: if sort == "changed" { AgentSort::Changed } else { AgentSort::Name },
        after: (!after.is_empty()).then(|| (key, after.clone())),
    };
    let (rows, next) = shared.app.agents(&who.user, wanted, PAGE).await?;
    let is_chosen = !state.is_empty() || !sort.is_empty();
    let is_part = !q.is_empty() || !after.is_empty() || is_chosen;
    let options = |all: &[(&'static str, &'static str)], chosen: &str| {
        html! { @for (value, id) in all { option value=(value) selected[*value == chosen] { (words.say(id)) } } }
    };
    let body = html! {
        div.head { h1 { (words.say("common-agents")) } div.actions { a.button href="/templates" { (words.say("templates-start")) } a.button href="/insights" { (words.say("insights-title")) } a.button.primary href="/agents/new" { (words.say("agents-new")) } } }
        // Who has few agents sees them all.
        @if is_part || rows.len() > FEW {
            form.filter method="get" action="/agents" role="search" {
                div.row {
                    label.aside for="q" { (words.say("agents-search")) }
                    input #q type="search" name="q" value=(q) placeholder=(words.say("agents-search")) maxlength="200" dir="auto";
                    button { (words.say("runs-filter")) }
                }
                details open[is_chosen] {
                    summary { (words.say("mission-filter")) }
                    div.columns {
                        div { label for="state" { (words.say("runs-state")) } select #state name="state" { (options(&STATES, &state)) } }
                        div { label for="sort" { (words.say("mission-sort")) } select #sort name="sort" { (options(&SORTS, &sort)) } }
                    }
                    div.actions { button { (words.say("runs-filter")) } }
                }
            }
        }
        @if rows.is_empty() {
            p.empty { @if is_part { (words.say("agents-none-found")) " " a href="/agents" { (words.say("mission-show-all")) } } @else { (words.say("agents-none")) } }
        }
        ul.cards { @for row in &rows { (card(words, row)) } }
        @if let Some((key, id)) = &next {
            @let same = [("q", &q), ("state", &state), ("sort", &sort)].map(|(name, value)| format!("&{name}={}", segment(value))).concat();
            p { a.button href={ "/agents?key=" (segment(key)) "&after=" (segment(id)) (same) } { (words.say("common-more")) } }
        }
        p { a href="/deleted?of=agents" { (words.say("records-deleted-link")) } }
    };
    Ok(page(&who, &words.say("common-agents"), &body))
}

fn card(words: Words, agent: &AgentCard) -> Markup {
    html! {
        li.card {
            h2 { (avatar(&agent.avatar)) a href=(path("agents", &agent.id)) { bdi { (shorter(&agent.name, 80)) } } " " (state_badge(words, agent.state.as_str())) }
            p dir="auto" { (shorter(&agent.role, 160)) }
        }
    }
}

/// The picture of an agent, where it is a character; an address is not loaded, since it would tell others who looks.
fn avatar(text: &str) -> Markup {
    let short = text.chars().count() <= 8 && !text.is_ascii();
    html! { span.avatar aria-hidden="true" { @if short { (text) } @else { "●" } } }
}

pub(super) async fn new(State(shared): State<Shared>, who: SignedIn) -> Response {
    let nothing = Record::new();
    let body = html! { h1 { (who.words.say("agents-new")) } (form(&who, "/agents", &nothing, &nothing, shared.app.tools(), &[], None)) };
    page(&who, &who.words.say("agents-new"), &body)
}

pub(super) async fn create(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let who = posted.who.clone();
    let tools = shared.app.tools();
    let record = match read(who.words, &posted.fields, &Record::new(), tools) {
        Ok(record) => record,
        Err((wrong, record)) => {
            let form = form(&who, "/agents", &record, &Record::new(), tools, &[], Some(&wrong));
            return Ok(refused(&who, &who.words.say("agents-new"), &html! { h1 { (who.words.say("agents-new")) } (form) }));
        }
    };
    let id = shared.app.create_agent(&who.user, record).await?;
    Ok(to(&path("agents", &id)))
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Path(id): Path<AgentId>) -> Result<Response, Failed> {
    let record = shared.app.agent_fields(&who.user, &id, &SHOWN).await?;
    Ok(page(&who, &who.words.say("common-agents"), &body(&shared, &who, &id, &record, (&record, &record), None).await?))
}

pub(super) async fn save(State(shared): State<Shared>, Path(id): Path<AgentId>, posted: Posted) -> Result<Response, Failed> {
    let who = posted.who.clone();
    let record = shared.app.agent(&who.user, &id).await?;
    let was = posted.fields.was()?;
    match read(who.words, &posted.fields, &was, shared.app.tools()) {
        Ok(after) => {
            shared.app.save_agent(&who.user, &id, was, after).await?;
            Ok(to(&path("agents", &id)))
        }
        Err((wrong, given)) => {
            // What has no field in the form, such as an encrypted text, is still the record's.
            let mut shown = record.clone();
            shown.extend(given);
            let body = body(&shared, &who, &id, &record, (&shown, &was), Some(&wrong)).await?;
            Ok(refused(&who, &who.words.say("common-agents"), &body))
        }
    }
}

/// What the model makes of a mission with the agent as the form has it, which stays as it is.
pub(super) async fn try_out(State(shared): State<Shared>, Path(id): Path<AgentId>, posted: Posted) -> Result<Response, Failed> {
    let who = posted.who.clone();
    let record = shared.app.agent(&who.user, &id).await?;
    let was = posted.fields.was()?;
    let (given, wrong) = match read(who.words, &posted.fields, &was, shared.app.tools()) {
        Ok(given) => (given, None),
        Err((wrong, given)) => (given, Some(wrong)),
    };
    let mut shown = record.clone();
    shown.extend(given);
    let trial = match wrong {
        Some(_) => None,
        None => Some(shared.app.try_agent(&who.user, &id, &shown, &MissionId::from(posted.fields.text("mission"))).await?),
    };
    let body = body(&shared, &who, &id, &record, (&shown, &was), wrong.as_deref()).await?;
    let body = html! { @if let Some(trial) = &trial { (tried(who.words, trial)) } (body) };
    Ok(page(&who, &who.words.say("common-agents"), &body))
}

fn tried(words: Words, trial: &Trial) -> Markup {
    let seconds = trial.took.as_secs_f64().ceil();
    html! {
        section role="status" {
            h2 { (rich(words, "agents-trial", [("mission", html! { bdi { (shorter(&trial.mission, 80)) } })])) }
            @match &trial.outcome {
                Ok(plan) => {
                    @if !plan.summary.is_empty() { (prose(&plan.summary)) }
                    @if plan.steps.is_empty() { p { (words.say("agents-trial-empty")) } }
                    ol { @for step in &plan.steps {
                        li dir="auto" { b { (shorter(&step.summary, 200)) } " " (shorter(&step.rationale, 400)) p.hint { (shorter(&step.tool, 80)) } }
                    } }
                }
                Err(TrialRefusal::TooMany) => p.wrong { (words.say("agents-trial-too-many")) },
                Err(TrialRefusal::UsedUp) => p.wrong { (words.say("agents-trial-used-up")) },
                Err(TrialRefusal::Away(outage)) => p.wrong { (rich(words, "agents-trial-away", [("at", moment(outage.until))])) },
                Err(TrialRefusal::Failed { name, why }) => { p { (words.say("agents-trial-failed")) } (failure(words, name, why)) },
            }
            p.hint { (words.with("agents-trial-cost", [("tokens", trial.tokens.into()), ("seconds", seconds.into())])) }
        }
    }
}

/// The page of an agent; `given` and `was` are what its form shows, and what it was made from.
async fn body(
    shared: &Shared,
    who: &SignedIn,
    id: &AgentId,
    record: &Record,
    (given, was): (&Record, &Record),
    wrong: Option<&str>,
) -> Result<Markup, Failed> {
    let (agent, problems) = Agent::read(id, &record.into());
    let AgentView { missions, used } = shared.app.agent_view(&who.user, id, PAGE).await?;
    let (words, state) = (who.words, format!("{}/state", path("agents", id)));
    let set = |to: &str, label: Cow<'_, str>| button(who, &state, &label, &[("state", to)], "");
    Ok(html! {
        div.head {
            h1 { (avatar(text_in(record, field::AVATAR))) bdi { (shorter(&agent.name, 120)) } " " (state_badge(words, agent.state.as_str())) }
            div.actions {
                @match agent.state {
                    AgentState::Active => { (set("paused", words.say("agents-pause"))) (set("archived", words.say("agents-archive"))) }
                    AgentState::Paused => { (set("active", words.say("agents-resume"))) (set("archived", words.say("agents-archive"))) }
                    AgentState::Archived => { (set("active", words.say("agents-resume"))) }
                }
                @if !missions.is_empty() { a.button href={ (path("agents", id)) "/template" } download { (words.say("templates-share")) } }
                a.button href={ (path("agents", id)) "/log" } { (words.say("records-history")) }
            }
        }
        @if !agent.role.is_empty() { (prose(&agent.role)) }
        @for problem in &problems { p.wrong { (words.with("agents-wrong-type", [("field", words.marked(&label(words, problem.field)).into())])) } }
        (budget(words, &agent, used))
        section {
            h2 { (words.say("agents-missions")) }
            @if missions.is_empty() { p.empty { (words.say("agents-missions-none")) " " a href="/missions/new" { (words.say("agents-missions-add")) } } }
            @else { (mission_table(who, &missions)) }
        }
        section { h2 { (words.say("common-edit")) } (form(who, &path("agents", id), given, was, shared.app.tools(), &missions, wrong)) }
    })
}

fn budget(words: Words, agent: &Agent, used: u64) -> Markup {
    html! {
        @match agent.max_tokens_per_day {
            None => p { (words.with("agents-used", [("used", used.into())])) },
            Some(most) => div.budget {
                label for="budget" { (words.with("agents-used-of", [("used", used.into()), ("most", most.into())])) }
                meter #budget min="0" max=(most.max(1)) value=(used.min(most.max(1))) high=(most / 10 * 8) { (used) " / " (most) }
                @if used >= most { p.wrong { (words.say("agents-used-up")) } }
            }
        }
    }
}

pub(super) async fn undelete(State(shared): State<Shared>, Path(id): Path<AgentId>, posted: Posted) -> Result<Response, Failed> {
    shared.app.undelete_agent(&posted.who.user, &id).await?;
    Ok(to(&path("agents", &id)))
}

pub(super) async fn set_state(State(shared): State<Shared>, Path(id): Path<AgentId>, posted: Posted) -> Result<Response, Failed> {
    let state = AgentState::parse(&posted.fields.text("state"));
    let state = state.ok_or(Failed::Form(text_id("common-form-old-why")))?;
    shared.app.set_agent_state(&posted.who.user, &id, state).await?;
    Ok(to(&path("agents", &id)))
}
