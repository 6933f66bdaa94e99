//! The first page: what waits for its user, is it well, what runs, what comes next, and what happened.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::Timestamp;
use maud::{Markup, html};

use super::Shared;
use super::charts::{bars, timeline};
use super::inbox::first_waiting;
use super::mission_list::mission_table;
use super::page::{Failed, Response, button, moment, page, path, shorter, to};
use super::run::{Titles, kind, list_of_runs};
use super::session::SignedIn;
use crate::app::{ModelHealth, Overview};
use crate::store::{Day, MissionCard, RunRow};
use crate::text::catalog::Words;

const NEXT_TOLD: usize = 8;
const LATEST_TOLD: usize = 8;

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let words = who.words;
    let seen = shared.app.overview(&who.user).await?;
    if seen.is_new {
        return Ok(to("/start"));
    }
    let first = first_waiting(&shared, &who).await?;
    let titles: Titles = seen.of_runs.iter().map(|card| (card.id.clone(), shorter(card.label(), 80))).collect();
    let (open, ended): (Vec<RunRow>, Vec<RunRow>) = seen.runs.iter().cloned().partition(|run| run.finished.is_none());
    let (running, waiting): (Vec<RunRow>, Vec<RunRow>) = open.into_iter().partition(|run| run.run.owner.is_some());
    let is_admin = shared.app.is_admin(&who.user).await?;
    let body = html! {
        div.head { h1 { (words.say("common-overview")) } a.button.primary href="/missions/new" { (words.say("missions-new")) } }
        (health((&shared, &who), &seen, is_admin))
        div.grid {
            @match &first {
                Some(first) => section.wide {
                    h2 { (words.say("overview-waiting")) } (first)
                    @if who.waiting > 1 { p { a href="/review/all" { (words.with("review-waiting", [("n", who.waiting.into())])) } } }
                },
                None => section { h2 { (words.say("overview-waiting")) } p.empty { (words.say("overview-nothing-waits")) } },
            }
            @if !seen.blocked.is_empty() {
                section.wide {
                    h2 { (words.say("overview-blocked")) }
                    (mission_table(&who, &seen.blocked))
                    @if seen.more_blocked { p { a href="/missions?which=blocked" { (words.say("overview-all-blocked")) } } }
                }
            }
            section.wide[first.is_some()] {
                h2 { (words.say("overview-running")) }
                @if running.is_empty() { p.empty { (words.say("overview-nothing-runs")) } } @else { (list_of_runs(&who, &running, Some(&titles))) }
            }
            @if !waiting.is_empty() {
                section.wide { h2 { (words.say("overview-retries")) } (list_of_runs(&who, &waiting, Some(&titles))) }
            }
            section.wide { h2 { (words.say("overview-next")) } (due(words, seen.at, &seen.next)) @if !seen.next.is_empty() { p { a href="/calendar" { (words.say("runs-calendar")) } } } }
            section.wide { h2 { (words.say("overview-day")) } (last_day(words, seen.at, &seen.day)) p { a href="/insights" { (words.say("insights-title")) } } }
            section.wide {
                h2 { (words.say("overview-latest")) }
                (list_of_runs(&who, ended.get(..LATEST_TOLD).unwrap_or(&ended), Some(&titles)))
                @if !seen.runs.is_empty() { p { a href="/runs" { (words.say("overview-all-runs")) } } }
            }
        }
    };
    Ok(page(&who, &words.say("common-overview"), &body))
}

/// What is wrong now, or when the model last answered.
fn health((shared, who): (&Shared, &SignedIn), seen: &Overview, is_admin: bool) -> Markup {
    let words = who.words;
    let model = shared.app.model();
    let test = || {
        let asked = [("act", "test"), ("address", model.address.as_str()), ("model", model.model.as_str())];
        html! { @if is_admin { " " (button(who, "/settings/model", &words.say("overview-test"), &asked, "")) } }
    };
    html! {
        @if !seen.can_write { p.health.bad { (words.say("overview-no-writes")) } }
        @match &seen.model {
            ModelHealth::Away(outage) => p.health.bad {
                (words.say("overview-model-away")) " " bdi { (shorter(&outage.server, 100)) } ". "
                @if outage.until > seen.at { (words.say("overview-next-try")) " " (moment(outage.until)) "." }
                @else { (words.say("overview-next-plan-tries")) }
                (test())
            },
            // One answer says little; a server that is away is left alone after some.
            ModelHealth::Failing { at, error } => div.health.warm {
                (words.say("overview-model-fails")) " " (moment(*at)) "." (test())
                details { summary { (words.say("runs-details")) } p.hint lang="en" dir="auto" { (shorter(&error.text, 300)) } }
            },
            ModelHealth::Answered(at) if seen.can_write => p.health.good { (words.say("overview-well")) " " (words.say("overview-answered")) " " (moment(*at)) "." },
            ModelHealth::Untried if seen.can_write => p.health.good { (words.say("overview-well")) " " (words.say("overview-untried")) },
            _ => {}
        }
    }
}

fn due(words: Words, now: Timestamp, rows: &[MissionCard]) -> Markup {
    let times: Vec<(Timestamp, &MissionCard)> = rows.iter().filter_map(|row| Some((row.next_run_at?, row))).collect();
    let marks: Vec<Timestamp> = times.iter().map(|(at, _)| *at).collect();
    html! {
        @if times.is_empty() { p.empty { (words.say("overview-none-next")) } }
        @else {
            (timeline(words, now, &marks))
            ol.plain { @for (at, row) in times.iter().take(NEXT_TOLD) {
                li {
                    (moment(*at)) " " a href=(path("missions", &row.id)) { bdi { (shorter(row.label(), 80)) } }
                    @if *at <= now { " " span.badge.due { (words.say("overview-due")) } }
                }
            } }
        }
    }
}

/// The runs of a day, each once, and their tokens.
fn last_day(words: Words, now: Timestamp, day: &Day) -> Markup {
    let parts = |parts: &BTreeMap<String, u64>| parts.iter().map(|(outcome, n)| (kind(words, outcome), *n)).collect();
    let runs = day.runs.iter().map(|(hour, outcomes)| (*hour, parts(outcomes))).collect();
    let tokens = day.tokens.iter().map(|(hour, n)| (*hour, vec![(("tokens", words.say("insights-tokens").into_owned()), *n)])).collect();
    html! {
        div.pair {
            figure { figcaption { (words.say("overview-runs")) } (bars(words, &words.say("overview-runs"), now, &runs)) }
            figure { figcaption { (words.say("insights-tokens")) } (bars(words, &words.say("insights-tokens"), now, &tokens)) }
        }
    }
}
