//! The first page: is it well, what runs, what comes next, what happened, and what waits for its user.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};

use super::Shared;
use super::charts::{bars, timeline};
use super::inbox::first_waiting;
use super::page::{Failed, Response, badge, moment, page, path, shorter, to};
use super::session::SignedIn;
use crate::app::Overview;
use crate::domain::ids::MissionId;
use crate::runner::Outage;
use crate::store::{Day, MissionCard, RunRow};
use crate::text::catalog::Words;

const NEXT_TOLD: usize = 8;

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let seen = shared.app.overview(&who.user).await?;
    if seen.is_new {
        return Ok(to("/start"));
    }
    let first = first_waiting(&shared, &who).await?;
    let titles = seen.of_runs.iter().map(|card| (card.id.clone(), label(card))).collect();
    let body = html! {
        div.head { h1 { "Overview" } a.button.primary href="/missions/new" { "New mission" } }
        (health(&seen, shared.app.outage().as_ref()))
        div.grid {
            @match &first {
                Some(first) => section.wide { h2 { "Waiting for your review" } (first) (others(&who)) },
                None => section { h2 { "Waiting for your review" } p.empty { "Nothing. Plans that need a decision of yours show up here." } },
            }
            section { h2 { "Running now" } (running(&seen.runs, &titles)) }
            section.wide { h2 { "Due next" } (due(who.words, seen.at, &seen.next)) }
            section.wide { h2 { "The last 24 hours" } (last_day(who.words, seen.at, &seen.day)) }
            section.wide { h2 { "Latest runs" } (latest(&seen.runs, &titles)) }
        }
    };
    Ok(page(&who, "Overview", &body))
}

/// What the missions of runs are called, as far as they are still there.
type Titles = BTreeMap<MissionId, String>;

/// What is wrong now, in words.
fn health(seen: &Overview, outage: Option<&Outage>) -> Markup {
    html! {
        @if !seen.can_write { p.health.bad { "The database can't be written. Check the disk and the server's log." } }
        @if let Some(outage) = outage {
            p.health.bad { "Can't reach the model at " bdi { (shorter(&outage.server, 100)) } ". "
                @if outage.until > seen.at { "Next try at " (moment(outage.until)) "." } @else { "The next plan tries again." }
            }
        }
        @if seen.can_write && outage.is_none() { p.health.good { "Running normally." } }
    }
}

fn label(card: &MissionCard) -> String {
    shorter(card.label(), 80)
}

/// The way to the other plans that wait.
fn others(who: &SignedIn) -> Markup {
    html! { @if who.waiting > 1 { p { a href="/review/all" { (who.words.with("review-waiting", [("n", who.waiting.into())])) } } } }
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

fn due(words: Words, now: Timestamp, rows: &[MissionCard]) -> Markup {
    let times: Vec<(Timestamp, &MissionCard)> = rows.iter().filter_map(|row| Some((row.next_run_at?, row))).collect();
    let marks: Vec<Timestamp> = times.iter().map(|(at, _)| *at).collect();
    html! {
        @if times.is_empty() { p.empty { "No active mission has a next time." } }
        @else {
            (timeline(words, now, &marks))
            ol.plain { @for (at, row) in times.iter().take(NEXT_TOLD) {
                li { (moment(*at)) " " a href=(path("missions", &row.id)) { bdi { (label(row)) } } @if *at <= now { " " (badge("due")) } }
            } }
        }
    }
}

fn last_day(words: Words, now: Timestamp, day: &Day) -> Markup {
    let decisions = day.decisions.iter().map(|(hour, parts)| (*hour, parts.iter().map(|(kind, n)| (kind.clone(), *n)).collect())).collect();
    let tokens = day.tokens.iter().map(|(hour, n)| (*hour, vec![("tokens".to_owned(), *n)])).collect();
    html! {
        div.pair {
            figure { figcaption { "Runs" } (bars(words, "Decisions", now, &decisions)) }
            figure { figcaption { "Tokens" } (bars(words, "Tokens", now, &tokens)) }
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
