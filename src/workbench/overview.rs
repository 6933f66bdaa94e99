//! The first page: is it well, what runs, what comes next, what happened, and what waits for its user.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::Shared;
use super::charts::{bars, timeline};
use super::page::{Failed, Response, badge, moment, page, path, shorter};
use super::session::SignedIn;
use crate::domain::breaker::Position;
use crate::store::{Day, MissionCard, RunRow, StoreResult};

const REVIEWS: u32 = 10;
const NEXT: u32 = 50;
const NEXT_TOLD: usize = 8;
const RUNS: u32 = 30;

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let store = shared.runner.store();
    let now = Timestamp::now();
    let writes = store.probe().await;
    if writes.is_ok() {
        // What came since the last tick shows at once.
        crate::projection::refresh(store).await?;
    }
    let reviews = store.to_review(&who.user, REVIEWS + 1).await?;
    let next = store.next_missions(&who.user, NEXT).await?;
    let runs = store.runs_before(&who.user, None, Timestamp::MAX, RUNS).await?;
    let titles = titles(&shared, &who, &runs).await?;
    let day = store.day_of(&who.user, now.checked_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN)).await?;
    let none_yet = next.is_empty() && store.mission_cards(&who.user, "", 1).await?.is_empty();
    let body = html! {
        div.head { h1 { "Overview" } a.button.primary href="/missions/new" { "New mission" } }
        (health(&shared, &writes))
        @if none_yet {
            p.lead { "A mission is something long-lived that you want looked after. Describe it, give it a rhythm, and an agent proposes what to do; you decide." }
        }
        div.grid {
            section { h2 { "Waiting for your review" } (waiting(&reviews)) }
            section { h2 { "Running now" } (running(&runs, &titles)) }
            section.wide { h2 { "Due next" } (due(now, &next)) }
            section.wide { h2 { "The last 24 hours" } (last_day(now, &day)) }
            section.wide { h2 { "Latest runs" } (latest(&runs, &titles)) }
        }
    };
    Ok(page(&who, "Overview", &body))
}

/// What the missions of runs are called, as far as they are still there.
type Titles = BTreeMap<String, String>;

async fn titles(shared: &Shared, who: &SignedIn, runs: &[RunRow]) -> Result<Titles, Failed> {
    let ids: BTreeSet<String> = runs.iter().map(|run| run.run.mission_id.clone()).collect();
    let cards = shared.runner.store().mission_cards_of(&who.user, ids.into_iter().collect()).await?;
    Ok(cards.into_iter().map(|card| (card.id.clone(), label(&card))).collect())
}

/// What is wrong now, in words; `writes` is what a write that was just tried came to.
fn health(shared: &Shared, writes: &StoreResult<()>) -> Markup {
    let position = shared.runner.breaker_position();
    html! {
        @if writes.is_err() { p.health.bad { "The database cannot be written. Look at the disk, and at the log of the server." } }
        @if position != Position::Closed { p.health.bad { "The model server is out of order. Plans wait, and it is tried again by itself; the log tells more." } }
        @if writes.is_ok() && position == Position::Closed { p.health.good { "All is well: the database takes writes, and the model server gave no reason to leave it alone." } }
    }
}

fn label(card: &MissionCard) -> String {
    shorter(card.label(), 80)
}

fn waiting(rows: &[MissionCard]) -> Markup {
    html! {
        @if rows.is_empty() { p.empty { "Nothing. Plans that need a decision of yours show up here." } }
        ul.plain {
            @for row in rows.iter().take(REVIEWS as usize) {
                li { a href=(path("missions", &row.id)) { bdi { (label(row)) } } " " span.count { (row.awaiting_review) " to review" } }
            }
        }
        @if rows.len() > REVIEWS as usize { p.hint { "And more; " a href="/missions" { "all missions" } "." } }
    }
}

fn running(runs: &[RunRow], titles: &Titles) -> Markup {
    let open: Vec<&RunRow> = runs.iter().filter(|run| run.finished.is_none()).collect();
    html! {
        @if open.is_empty() { p.empty { "Nothing is being planned." } }
        ul.plain {
            @for run in open {
                li {
                    a href=(path("missions", &run.run.mission_id)) { bdi { (titles.get(&run.run.mission_id).map_or(run.run.mission_id.as_str(), String::as_str)) } } " " (badge(run.state()))
                    @if let Some(at) = run.run.next_attempt_at { " again at " (moment(at)) }
                    @if let Some(reason) = &run.run.reason { p.hint dir="auto" { (shorter(reason, 200)) } }
                }
            }
        }
    }
}

fn due(now: Timestamp, rows: &[MissionCard]) -> Markup {
    let times: Vec<(Timestamp, &MissionCard)> = rows.iter().filter_map(|row| Some((row.next_run_at?, row))).collect();
    let marks: Vec<Timestamp> = times.iter().map(|(at, _)| *at).collect();
    html! {
        @if times.is_empty() { p.empty { "No active mission has a next time." } }
        @else {
            (timeline(now, &marks))
            ol.plain { @for (at, row) in times.iter().take(NEXT_TOLD) {
                li { (moment(*at)) " " a href=(path("missions", &row.id)) { bdi { (label(row)) } } @if *at <= now { " " (badge("due")) } }
            } }
        }
    }
}

fn last_day(now: Timestamp, day: &Day) -> Markup {
    let decisions = day.decisions.iter().map(|(hour, parts)| (*hour, parts.iter().map(|(kind, n)| (kind.clone(), *n)).collect())).collect();
    let tokens = day.tokens.iter().map(|(hour, n)| (*hour, vec![("tokens".to_owned(), *n)])).collect();
    html! {
        div.pair {
            figure { figcaption { "What was decided about due missions" } (bars("Decisions", now, &decisions)) }
            figure { figcaption { "Tokens" } (bars("Tokens", now, &tokens)) }
        }
    }
}

fn latest(runs: &[RunRow], titles: &Titles) -> Markup {
    html! {
        @if runs.is_empty() { p.empty { "None yet." } }
        ul.plain { @for run in runs.iter().filter(|run| run.finished.is_some()).take(8) {
            li {
                (moment(run.claimed_at)) " " (badge(run.state())) " "
                a href=(path("missions", &run.run.mission_id)) { bdi { (titles.get(&run.run.mission_id).map_or(run.run.mission_id.as_str(), String::as_str)) } }
                @if let Some(reason) = &run.run.reason { span.hint { " " bdi { (shorter(reason, 160)) } } }
            }
        } }
    }
}
