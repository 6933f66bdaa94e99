//! Agents: the list, one with its budget and missions, and what its forms do.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::agent_form::{SHOWN, form, read};
use super::fields::shown as text_in;
use super::missions::mission_table;
use super::page::{Failed, PAGE, Response, badge, button, more, page, path, prose, refused, shorter, to};
use super::session::{Posted, SignedIn};
use crate::app::AgentView;
use crate::domain::agent::{Agent, AgentState};
use crate::domain::field;
use crate::domain::ids::AgentId;
use crate::domain::merge::Record;
use crate::store::AgentCard;

#[derive(Deserialize)]
pub(super) struct CardsAfter {
    #[serde(default)]
    pub after: String,
}

pub(super) async fn list(
    State(shared): State<Shared>,
    who: SignedIn,
    Query(CardsAfter { after }): Query<CardsAfter>,
) -> Result<Response, Failed> {
    let rows = shared.app.agents(&who.user, &after, PAGE).await?;
    let body = html! {
        div.head { h1 { "Agents" } a.button.primary href="/agents/new" { "New agent" } }
        @if rows.is_empty() { p.empty { "No agents yet. An agent has a role, a memory and a budget, and missions that it plans." } }
        ul.cards { @for row in &rows { (card(row)) } }
        @if let Some(last) = rows.last().filter(|_| rows.len() == PAGE as usize) { (more("/agents", &last.id)) }
    };
    Ok(page(&who, "Agents", &body))
}

fn card(agent: &AgentCard) -> Markup {
    html! {
        li.card {
            h2 { (avatar(&agent.avatar)) a href=(path("agents", &agent.id)) { bdi { (shorter(&agent.name, 80)) } } " " (badge(agent.state.as_str())) }
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
    let body =
        html! { h1 { "New agent" } (form(&who, "/agents", "Create agent", &Record::new(), &Record::new(), shared.app.tools(), None)) };
    page(&who, "New agent", &body)
}

pub(super) async fn create(State(shared): State<Shared>, posted: Posted) -> Result<Response, Failed> {
    let who = posted.who.clone();
    let tools = shared.app.tools();
    let record = match read(&posted.fields, &Record::new(), tools) {
        Ok(record) => record,
        Err((wrong, record)) => {
            let body = html! { h1 { "New agent" } (form(&who, "/agents", "Create agent", &record, &Record::new(), tools, Some(&wrong))) };
            return Ok(refused(&who, "New agent", &body));
        }
    };
    let id = shared.app.create_agent(&who.user, record).await?;
    Ok(to(&path("agents", &id)))
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Path(id): Path<AgentId>) -> Result<Response, Failed> {
    let record = shared.app.agent_fields(&who.user, &id, &SHOWN).await?;
    Ok(page(&who, "Agents", &body(&shared, &who, &id, &record, (&record, &record), None).await?))
}

pub(super) async fn save(State(shared): State<Shared>, Path(id): Path<AgentId>, posted: Posted) -> Result<Response, Failed> {
    let who = posted.who.clone();
    let record = shared.app.agent(&who.user, &id).await?;
    let was = posted.fields.was()?;
    match read(&posted.fields, &was, shared.app.tools()) {
        Ok(after) => {
            shared.app.save_agent(&who.user, &id, was, after).await?;
            Ok(to(&path("agents", &id)))
        }
        Err((wrong, given)) => {
            // What has no field in the form, such as an encrypted text, is still the record's.
            let mut shown = record.clone();
            shown.extend(given);
            let body = body(&shared, &who, &id, &record, (&shown, &was), Some(&wrong)).await?;
            Ok(refused(&who, "Agents", &body))
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
    let state = format!("{}/state", path("agents", id));
    let set = |to: &str, label: &str| button(who, &state, label, &[("state", to)], "");
    Ok(html! {
        div.head {
            h1 { (avatar(text_in(record, field::AVATAR))) bdi { (shorter(&agent.name, 120)) } " " (badge(agent.state.as_str())) }
            div.actions {
                @match agent.state {
                    AgentState::Active => { (set("paused", "Pause")) (set("archived", "Archive")) }
                    AgentState::Paused => { (set("active", "Resume")) (set("archived", "Archive")) }
                    AgentState::Archived => { (set("active", "Resume")) }
                }
                @if !missions.is_empty() { a.button href={ (path("agents", id)) "/template" } download { (who.words.say("templates-share")) } }
                a.button href={ (path("agents", id)) "/log" } { "Change log" }
            }
        }
        @if !agent.role.is_empty() { (prose(&agent.role)) }
        @for problem in &problems { p.wrong { "The field " b { (problem.field) } " of this agent has a wrong type, so its default is used." } }
        (budget(&agent, used))
        section {
            h2 { "Its missions" }
            @if missions.is_empty() { p.empty { "None. " a href="/missions/new" { "Give it one." } } }
            @else { (mission_table(&missions, shared.app.now())) }
        }
        section { h2 { "Edit" } (form(who, &path("agents", id), "Save", given, was, shared.app.tools(), wrong)) }
    })
}

fn budget(agent: &Agent, used: u64) -> Markup {
    html! {
        @match agent.max_tokens_per_day {
            None => p { "It used " b { (used) } " tokens in the last 24 hours and has no daily budget." },
            Some(most) => div.budget {
                label for="budget" { "It used " b { (used) } " of " (most) " tokens in the last 24 hours." }
                meter #budget min="0" max=(most.max(1)) value=(used.min(most.max(1))) high=(most / 10 * 8) { (used) " of " (most) }
                @if used >= most { p.wrong { "The budget is used up; its missions wait until there is room again." } }
            }
        }
    }
}

pub(super) async fn set_state(State(shared): State<Shared>, Path(id): Path<AgentId>, posted: Posted) -> Result<Response, Failed> {
    let state = AgentState::parse(&posted.fields.text("state"));
    let state = state.ok_or_else(|| Failed::BadForm("state must be active, paused or archived".into()))?;
    shared.app.set_agent_state(&posted.who.user, &id, state).await?;
    Ok(to(&path("agents", &id)))
}
