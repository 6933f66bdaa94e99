//! The list of missions, with search, filters and order.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::page::{Failed, PAGE, Response, button, page, path, phrase, shorter, state_badge};
use super::session::SignedIn;
use crate::app::{ListedMission, MissionFilter};
use crate::domain::decision::Condition;
use crate::domain::ids::{AgentId, MissionId};
use crate::domain::mission::MissionState;
use crate::domain::standing::Standing;
use crate::store::{MissionSort, WhichMissions};
use crate::text::catalog::text_id;
use crate::text::standing;

#[derive(Deserialize)]
pub(super) struct MissionsAsked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    agent: AgentId,
    #[serde(default)]
    which: String,
    #[serde(default)]
    sort: String,
    /// The key in that order, and the id, after which missions are wanted.
    #[serde(default)]
    key: String,
    #[serde(default)]
    after: MissionId,
    /// The mission that was just deleted.
    deleted: Option<MissionId>,
}

const STATES: [(&str, &str); 5] = [
    ("", text_id("mission-any-state")),
    ("active", text_id("mission-active")),
    ("paused", text_id("mission-paused")),
    ("done", text_id("mission-done")),
    ("archived", text_id("mission-archived")),
];
const WHICH: [(&str, &str); 3] =
    [("", text_id("mission-which-all")), ("review", text_id("mission-which-review")), ("blocked", text_id("mission-which-blocked"))];
const SORTS: [(&str, &str); 3] =
    [("", text_id("mission-by-title")), ("next", text_id("mission-by-next")), ("changed", text_id("mission-by-change"))];

pub(super) async fn list(State(shared): State<Shared>, who: SignedIn, Query(asked): Query<MissionsAsked>) -> Result<Response, Failed> {
    let words = who.words;
    let filter = MissionFilter {
        search: asked.q.clone(),
        state: MissionState::ALL.into_iter().find(|state| state.as_str() == asked.state),
        agent: Some(asked.agent.clone()).filter(|id| !id.is_empty()),
        which: match asked.which.as_str() {
            "review" => WhichMissions::ToReview,
            "blocked" => WhichMissions::Blocked,
            _ => WhichMissions::All,
        },
        sort: match asked.sort.as_str() {
            "next" => MissionSort::Next,
            "changed" => MissionSort::Changed,
            _ => MissionSort::Title,
        },
        after: (!asked.key.is_empty()).then(|| (asked.key.clone(), asked.after.clone())),
    };
    let found = shared.app.mission_list(&who.user, filter, PAGE).await?;
    let query = [("q", asked.q.as_str()), ("state", &asked.state), ("agent", &asked.agent), ("which", &asked.which), ("sort", &asked.sort)];
    let segment = |text: &str| path("", text).trim_start_matches('/').to_owned();
    let same: String =
        query.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("&{name}={}", segment(value))).collect();
    let is_filtered = query[..4].iter().any(|(_, value)| !value.is_empty());
    let is_first_page = asked.key.is_empty();
    let options = |all: &[(&'static str, &'static str)], chosen: &str| {
        html! { @for (value, id) in all { option value=(value) selected[*value == chosen] { (words.say(id)) } } }
    };
    let body = html! {
        div.head { h1 { (words.say("common-missions")) } a.button.primary href="/missions/new" { (words.say("missions-new")) } }
        @if let Some(id) = &asked.deleted {
            div.health { (words.say("mission-deleted")) " " (button(&who, &format!("{}/undelete", path("missions", id)), &words.say("mission-undelete"), &[], "")) }
        }
        @let has_none = found.rows.is_empty() && !is_filtered && is_first_page;
        @if !has_none { form.filter method="get" action="/missions" role="search" {
            div.row {
                label.aside for="q" { (words.say("mission-search")) }
                input #q type="search" name="q" value=(asked.q) placeholder=(words.say("mission-search")) maxlength="200" dir="auto";
                button { (words.say("runs-filter")) }
            }
            details open[is_filtered || !asked.sort.is_empty()] {
                summary { (words.say("mission-filter")) }
                div.columns {
                    div { label for="which" { (words.say("mission-which")) } select #which name="which" { (options(&WHICH, &asked.which)) } }
                    div { label for="state" { (words.say("runs-state")) } select #state name="state" { (options(&STATES, &asked.state)) } }
                    div { label for="agent" { (words.say("mission-agent")) } select #agent name="agent" {
                        option value="" { (words.say("mission-any-agent")) }
                        @for agent in &found.agents { option value=(agent.id) selected[agent.id == asked.agent] { (shorter(&agent.name, 60)) } }
                    } }
                    div { label for="sort" { (words.say("mission-sort")) } select #sort name="sort" { (options(&SORTS, &asked.sort)) } }
                }
                div.actions { button { (words.say("runs-filter")) } }
            }
        } }
        @if found.rows.is_empty() {
            p.empty { @if is_filtered { (words.say("mission-none-found")) " " a href="/missions" { (words.say("mission-show-all")) } } @else { (words.say("mission-none")) } }
            @if has_none { p { a.button href="/templates" { (words.say("templates-start")) } } }
        } @else { (mission_table(&who, &found.rows)) }
        @if let Some((key, id)) = &found.next {
            p { a.button href={ "/missions?key=" (segment(key)) "&after=" (segment(id)) (same) } { (words.say("mission-next-page")) } }
        }
        p { a href="/deleted?of=missions" { (words.say("records-deleted-link")) } }
    };
    Ok(page(&who, &words.say("common-missions"), &body))
}

/// Missions as a list: where each stands, and what waits.
pub(super) fn mission_table(who: &SignedIn, rows: &[ListedMission]) -> Markup {
    let words = who.words;
    html! {
        ul.cards { @for ListedMission { card, agent, standing } in rows {
            li.card {
                h2 {
                    a href=(path("missions", &card.id)) { bdi { (shorter(card.label(), 80)) } } " "
                    @if standing.is_blocked() { span.badge.blocked { (words.say("mission-blocked")) } } @else { (state_badge(words, card.state.as_str())) }
                }
                p dir="auto" { (shorter(&card.objective, 160)) }
                p.hint {
                    @let name = agent.as_ref().map_or_else(String::new, |agent| shorter(&agent.name, 60));
                    @let said = phrase(&standing::told(words, standing, &name));
                    @let review = format!("/review?mission={}", path("", &card.id).trim_start_matches('/'));
                    @if let Standing::Blocked(Condition::Review { .. }) = standing { a href=(review) { (said) } }
                    @else {
                        span dir="auto" { (said) }
                        @if card.awaiting_review > 0 { " · " a href=(review) { (words.with("mission-to-review", [("n", card.awaiting_review.into())])) } }
                    }
                    @if let Some(agent) = agent { " · " a href=(path("agents", &agent.id)) { bdi { (name) } } }
                }
            }
        } }
    }
}
