//! The raw change log of one record.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::Shared;
use super::page::{Failed, Response, moment, page, path, shorter};
use super::session::SignedIn;
use crate::domain::actor;
use crate::domain::time;
use crate::store::{LogRow, Table};

const SHOWN: u32 = 50;
/// Characters of a row's data that stand on the page at once.
const TEXT: usize = 4_000;

#[derive(Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
}

pub(super) async fn of_mission(
    State(shared): State<Shared>,
    who: SignedIn,
    Path(id): Path<String>,
    Query(before): Query<Before>,
) -> Result<Response, Failed> {
    show(&shared, &who, (Table::Missions, "missions"), &id, before).await
}

pub(super) async fn of_agent(
    State(shared): State<Shared>,
    who: SignedIn,
    Path(id): Path<String>,
    Query(before): Query<Before>,
) -> Result<Response, Failed> {
    show(&shared, &who, (Table::Agents, "agents"), &id, before).await
}

async fn show(
    shared: &Shared,
    who: &SignedIn,
    (table, place): (Table, &str),
    id: &str,
    Before { before }: Before,
) -> Result<Response, Failed> {
    let rows = shared.runner.store().rows_of(&who.user, table, id, before.unwrap_or(i64::MAX), SHOWN).await?;
    if rows.is_empty() && before.is_none() {
        return Err(Failed::NotFound);
    }
    let place = path(place, id);
    let body = html! {
        h1 { "Change log of " bdi { (shorter(id, 80)) } }
        p { a href=(place) { "Back" } " · Each line is one change of one record; nothing here is ever altered." }
        @for row in &rows { (entry(row)) }
        @if rows.is_empty() { p.empty { "No older changes." } }
        @if let Some(last) = rows.last().filter(|_| rows.len() == SHOWN as usize) {
            p { a.button href={ (place) "/log?before=" (last.seq) } { "Older" } }
        }
    };
    Ok(page(who, "Change log", &body))
}

fn entry(row: &LogRow) -> Markup {
    let change = &row.change;
    let by = actor::normalise(change.actor.as_ref());
    let name = by.get("displayName").and_then(Value::as_str).unwrap_or("somebody");
    let data = change.data.as_ref().map(|data| serde_json::to_string_pretty(data).unwrap_or_default()).unwrap_or_default();
    html! {
        article.entry {
            h2 { "#" (row.seq) " " (change.op.as_str()) " by " bdi { (shorter(name, 80)) } }
            p.hint { (moment(time::from_micros(row.sync_at))) " · from " bdi { (shorter(&change.client_id, 60)) } }
            @if !data.is_empty() {
                details { summary { (fields(change.data.as_ref())) } pre dir="auto" { (shorter(&data, TEXT)) } }
            }
        }
    }
}

fn fields(data: Option<&serde_json::Map<String, Value>>) -> String {
    shorter(&data.map(|data| data.keys().map(String::as_str).collect::<Vec<_>>().join(", ")).unwrap_or_default(), 200)
}
