//! The history of one record: who changed what, and what it was before.

use std::collections::BTreeMap;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Shared;
use super::page::{Failed, Response, moment, moment_in_zone, more_bytes, page, path, shorter, state_badge};
use super::policy_form;
use super::session::SignedIn;
use super::values::{in_words, value};
use crate::domain::ids::AgentId;
use crate::domain::repetition::Repetition;
use crate::domain::{actor, field, time};
use crate::modules::FieldKind;
use crate::planner::tools::Tool;
use crate::store::{RowCard, SHOWN_OF_ROW, Table};
use crate::text::catalog::{Words, text_id};
use crate::text::schedule;

const SHOWN: usize = 50;
/// Further rows that are read for what a field was before.
const BEFORE: usize = 100;
/// Characters of a text before and after a change.
const LONGEST: usize = 400;

#[derive(Deserialize)]
pub(super) struct ChangesBefore {
    before: Option<i64>,
}

pub(super) async fn of_mission(
    State(shared): State<Shared>,
    who: SignedIn,
    Path(id): Path<String>,
    Query(before): Query<ChangesBefore>,
) -> Result<Response, Failed> {
    show(&shared, &who, (Table::Missions, "missions"), &id, before).await
}

pub(super) async fn of_agent(
    State(shared): State<Shared>,
    who: SignedIn,
    Path(id): Path<String>,
    Query(before): Query<ChangesBefore>,
) -> Result<Response, Failed> {
    show(&shared, &who, (Table::Agents, "agents"), &id, before).await
}

async fn show(
    shared: &Shared,
    who: &SignedIn,
    (table, place): (Table, &str),
    id: &str,
    ChangesBefore { before }: ChangesBefore,
) -> Result<Response, Failed> {
    let words = who.words;
    let rows = shared.app.history(&who.user, table, id, before.unwrap_or(i64::MAX), (SHOWN + BEFORE) as u32).await?;
    if rows.is_empty() && before.is_none() {
        return Err(Failed::NotFound);
    }
    let place = path(place, id);
    let known: Vec<Option<Map<String, Value>>> = rows.iter().map(fields).collect();
    let agent = |fields: &Map<String, Value>| fields.get(field::AGENT_ID).and_then(Value::as_str).map(AgentId::from);
    let agents = shared.app.agent_names(&who.user, known.iter().flatten().filter_map(agent).collect()).await?;
    let zone = shared.app.zone().iana_name().unwrap_or("UTC").to_owned();
    let teller = Teller { words, zone: &zone, agents: &agents, tools: shared.app.tools() };
    let body = html! {
        h1 { (words.say("history-title")) }
        p { a href=(place) { (words.say("history-back")) } " · " (words.say("history-hint")) }
        @for (n, row) in rows.iter().take(SHOWN).enumerate() {
            (teller.entry(row, &known[n..]))
        }
        @if rows.is_empty() { p.empty { (words.say("history-none-older")) } }
        @if let Some(last) = rows.get(SHOWN - 1).filter(|_| rows.len() > SHOWN) {
            p { a.button href={ (place) "/log?before=" (last.seq) } { (words.say("history-older")) } }
        }
    };
    Ok(page(who, &words.say("history-title"), &body))
}

/// The fields that a row wrote, where it was read whole.
fn fields(row: &RowCard) -> Option<Map<String, Value>> {
    (row.data.len() as u64 >= row.data_bytes).then(|| serde_json::from_str(&row.data).ok()).flatten()
}

/// Tells what rows changed.
struct Teller<'a> {
    words: Words,
    /// For schedules without a zone of their own.
    zone: &'a str,
    /// What agents are called, as far as they are still there.
    agents: &'a BTreeMap<AgentId, String>,
    tools: &'a [Tool],
}

impl Teller<'_> {
    /// A row; `known` has its fields, then those of the rows before it, the newest first.
    fn entry(&self, row: &RowCard, known: &[Option<Map<String, Value>>]) -> Markup {
        let words = self.words;
        let name = who_wrote(words, row.actor.as_ref());
        let was = |field: &str| known.iter().skip(1).flatten().find_map(|fields| fields.get(field));
        let written = known.first().and_then(Option::as_ref);
        let is_deleted = |fields: &Map<String, Value>| fields.get(field::DELETED_AT).is_some_and(|at| !at.is_null());
        let what = match row.op.as_str() {
            "insert" => text_id("history-made"),
            "delete" => text_id("history-deleted"),
            _ if written.is_some_and(is_deleted) => text_id("history-deleted"),
            _ if written.is_some_and(|fields| fields.contains_key(field::DELETED_AT)) => text_id("history-restored"),
            _ => text_id("history-changed"),
        };
        html! {
            article.entry {
                h2 { bdi { (name) } " " (words.say(what)) }
                p.hint { (moment(row.sync_at)) " · " bdi { (shorter(&row.client_id, 60)) } }
                @match written {
                    Some(written) => dl.changes { @for (name, after) in written {
                        @let before = was(name);
                        @if !is_technical(name) && before != Some(after) { (self.changed(name, before, after)) }
                    } },
                    None => @if !row.fields.is_empty() {
                        p { @for (n, name) in row.fields.iter().filter(|name| !is_technical(name)).enumerate() { @if n > 0 { ", " } (label(words, name)) } }
                    },
                }
                @if !row.data.is_empty() {
                    details {
                        summary { (words.say("history-raw")) }
                        pre dir="auto" { (shorter(&row.data, SHOWN_OF_ROW)) }
                        (more_bytes(row.data_bytes.saturating_sub(row.data.len() as u64)))
                    }
                }
            }
        }
    }

    fn changed(&self, name: &str, before: Option<&Value>, after: &Value) -> Markup {
        html! {
            div {
                dt { (label(self.words, name)) }
                dd {
                    @if let Some(before) = before.filter(|before| !before.is_null()) { del { (self.told(name, before)) } " → " }
                    ins { (self.told(name, after)) }
                }
            }
        }
    }

    /// A value of a field as people read it.
    fn told(&self, name: &str, of: &Value) -> Markup {
        let words = self.words;
        match (name, of) {
            (field::STATE, Value::String(state)) => state_badge(words, state),
            (field::POLICY, Value::Object(_)) => html! { (policy_form::told(words, of, self.tools)) },
            (field::AGENT_ID, Value::String(id)) => match self.agents.get(id.as_str()) {
                Some(name) => html! { a href=(path("agents", id)) { bdi { (shorter(name, 80)) } } },
                None => html! { bdi { (shorter(id, 80)) } },
            },
            (field::CADENCE, cadence) if Repetition::read(cadence).is_ok() => {
                let own = cadence.get("timeZone").and_then(Value::as_str).filter(|zone| !zone.trim().is_empty());
                html! { @if let Ok(repetition) = Repetition::read(cadence) { (schedule::told(words, &repetition, own.unwrap_or(self.zone))) } }
            }
            (field::NEXT_RUN_AT, Value::String(at)) => match time::parse_rfc3339(at) {
                Some(at) => moment_in_zone(at),
                None => value(words, Some(FieldKind::Line), of),
            },
            (field::ITERATIONS | field::INPUTS, Value::Array(items)) => {
                html! { (words.with("history-entries", [("n", items.len().into())])) }
            }
            (_, Value::String(text)) => value(words, None, &shorter(text, LONGEST).into()),
            _ => value(words, None, of),
        }
    }
}

/// Who wrote a row. Rows that do not say so have had names put in their place, in the language of older clients.
fn who_wrote(words: Words, by: Option<&Value>) -> String {
    let text = |field: &str| by.and_then(|by| by.get(field)?.as_str()).filter(|text| !text.is_empty());
    let named = text("displayName").filter(|name| !actor::is_stand_in(name));
    match (text("kind"), text("principalId")) {
        (Some("system"), id) if id == Some("system:mission-runner") || text("source") == Some("mission-runner") => "mana-ai".into(),
        (Some("system"), _) => words.say("history-system").into(),
        (_, id) => match named.or(id.filter(|id| !id.starts_with("legacy:"))) {
            Some(name) => shorter(name, 80),
            None => words.say("history-somebody").into(),
        },
    }
}

/// Fields that say nothing to a person.
fn is_technical(name: &str) -> bool {
    [field::ID, field::UPDATED_AT, field::CREATED_AT, field::SPACE_ID, field::AUTHOR_ID, field::VISIBILITY, field::DELETED_AT]
        .contains(&name)
}

/// What a field of a mission or an agent is called.
pub(super) fn label(words: Words, name: &str) -> String {
    let id = match name {
        field::TITLE => text_id("history-title-of"),
        field::OBJECTIVE => text_id("history-goal"),
        field::CONCEPT => text_id("mission-background"),
        field::STATE => text_id("runs-state"),
        field::CADENCE => text_id("mission-schedule"),
        field::NEXT_RUN_AT => text_id("mission-next-run"),
        field::ITERATIONS => text_id("mission-plans"),
        field::INPUTS => text_id("mission-can-read"),
        field::AGENT_ID => text_id("mission-agent"),
        field::NAME => text_id("agents-name"),
        field::AVATAR => text_id("agents-avatar"),
        field::ROLE => text_id("agents-role"),
        field::SYSTEM_PROMPT => text_id("agents-prompt"),
        field::MEMORY => text_id("agents-memory"),
        field::POLICY => text_id("agents-policy"),
        field::MAX_TOKENS_PER_DAY => text_id("agents-tokens"),
        field::MAX_CONCURRENT_MISSIONS => text_id("agents-parallel"),
        other => return shorter(&in_words(other), 80),
    };
    words.say(id).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::language::Language;
    use serde_json::json;

    #[test]
    fn who_wrote_a_row_has_a_name_in_the_language_of_the_page() {
        const GERMAN: Words = Words::of(Language::German);
        for (actor, english, german) in [
            (json!({"kind": "user", "principalId": "anna", "displayName": "Anna"}), "Anna", "Anna"),
            (json!({"kind": "user", "principalId": "anna"}), "anna", "anna"),
            (json!({"kind": "user", "principalId": "legacy:user", "displayName": "Unbekannt"}), "Somebody", "Jemand"),
            (json!({"kind": "user", "principalId": "legacy:user", "displayName": "Du"}), "Somebody", "Jemand"),
            (json!(null), "Somebody", "Jemand"),
            (actor::system("mission-runner"), "mana-ai", "mana-ai"),
            (actor::system("rule"), "The system", "Das System"),
        ] {
            assert_eq!(
                (who_wrote(Words::ENGLISH, Some(&actor)), who_wrote(GERMAN, Some(&actor))),
                (english.into(), german.into()),
                "{actor}"
            );
        }
        assert_eq!(who_wrote(Words::ENGLISH, None), "Somebody");
    }

    #[test]
    fn what_changed_of_an_agent_is_told_in_words() {
        let agents = BTreeMap::from([(AgentId::from("a"), "Greta".to_owned())]);
        let tools = mana_tools();
        let teller = Teller { words: Words::of(Language::German), zone: "UTC", agents: &agents, tools: &tools };
        let check = |name: &str, value: Value, expected: &str| {
            let shown = teller.changed(name, None, &value).into_string();
            assert!(shown.contains(expected), "{expected}: {shown}");
        };
        check("systemPrompt", json!("Be kind."), "<dt>Systemprompt");
        check("state", json!("active"), "aktiv");
        check("agentId", json!("a"), "<bdi>Greta</bdi>");
        check("agentId", json!("gone"), "<bdi>gone</bdi>");
        check("policy", json!({"defaultForAi": "propose", "tools": {}}), "Fragt immer");
        check("policy", json!({"defaultForAi": "propose", "tools": {(tools[0].name.clone()): "deny"}}), "Verbieten: 1");
    }

    fn mana_tools() -> Vec<Tool> {
        crate::planner::tools::Catalog::builtin().tools().to_vec()
    }
}
