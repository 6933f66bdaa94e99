//! The raw change log of one record.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Shared;
use super::page::{Failed, Response, moment, more_bytes, page, path, rich, shorter};
use super::session::SignedIn;
use crate::domain::actor;
use crate::store::{RowCard, SHOWN_OF_ROW, Table};
use crate::text::catalog::Words;

const SHOWN: u32 = 50;

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
    let rows = shared.app.history(&who.user, table, id, before.unwrap_or(i64::MAX), SHOWN).await?;
    if rows.is_empty() && before.is_none() {
        return Err(Failed::NotFound);
    }
    let (words, place) = (who.words, path(place, id));
    let body = html! {
        h1 { (rich(words, "records-history-of", [("id", html! { bdi { (shorter(id, 80)) } })])) }
        p { a href=(place) { (words.say("records-back")) } " · " (words.say("records-history-hint")) }
        @for row in &rows { (entry(words, row)) }
        @if rows.is_empty() { p.empty { (words.say("records-history-end")) } }
        @if let Some(last) = rows.last().filter(|_| rows.len() == SHOWN as usize) {
            p { a.button href={ (place) "/log?before=" (last.seq) } { (words.say("common-older")) } }
        }
    };
    Ok(page(who, &words.say("records-history"), &body))
}

fn entry(words: Words, row: &RowCard) -> Markup {
    let by = actor::normalise(row.actor.as_ref());
    let name = by.get("displayName").and_then(Value::as_str).map_or(words.say("records-somebody"), Into::into);
    let name = html! { bdi { (shorter(&name, 80)) } };
    let more = row.data_bytes.saturating_sub(row.data.len() as u64);
    let whole: Option<Map<String, Value>> = if more == 0 { serde_json::from_str(&row.data).ok() } else { None };
    let fields: Vec<&str> = match &whole {
        Some(data) => data.keys().map(String::as_str).collect(),
        None => row.fields.iter().map(String::as_str).collect(),
    };
    let text = whole.as_ref().and_then(|data| serde_json::to_string_pretty(data).ok()).unwrap_or_else(|| row.data.clone());
    html! {
        article.entry {
            h2 {
                @match row.op.as_str() {
                    "insert" => (rich(words, "records-made-by", [("name", name)])),
                    "delete" => (rich(words, "records-deleted-by", [("name", name)])),
                    _ => (rich(words, "records-changed-by", [("name", name)])),
                }
            }
            p.hint { (moment(row.sync_at)) " · " (rich(words, "records-from", [("client", html! { bdi { (shorter(&row.client_id, 60)) } })])) " · #" (row.seq) }
            @if !row.data.is_empty() {
                details {
                    summary dir="auto" { @if fields.is_empty() { (words.say("records-data")) } @else { (shorter(&fields.join(", "), 200)) } }
                    pre dir="auto" { (shorter(&text, SHOWN_OF_ROW)) }
                    @if more > 0 { (more_bytes(more)) }
                }
            }
        }
    }
}
