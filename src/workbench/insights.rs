//! Insights: what was approved and rejected, what it took, and why something was rejected.

use axum::extract::{Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::charts::{BarParts, date_of, day_bars};
use super::form_zone::FormZone;
use super::page::{Failed, Response, moment, page, path, rich, shorter};
use super::plan::anchor;
use super::session::SignedIn;
use super::values::{day_in_words, grouped};
use crate::app::InsightsView;
use crate::domain::decided::StepVerdict;
use crate::domain::price::Price;
use crate::domain::time;
use crate::store::{DECISIONS_COUNTED, PlanTally, StepAgainst};
use crate::text::catalog::Words;
use crate::text::module;

/// Days that may be chosen; the first is taken where nothing is.
const DAYS: [u16; 3] = [30, 7, 90];
/// Rejected steps on one page.
const SHOWN: usize = 25;

#[derive(Deserialize)]
pub(super) struct InsightsAsked {
    #[serde(default)]
    days: i64,
    /// Steps rejected before this, microseconds.
    before: Option<i64>,
}

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn, Query(asked): Query<InsightsAsked>) -> Result<Response, Failed> {
    let words = who.words;
    let days = DAYS.into_iter().find(|days| i64::from(*days) == asked.days).unwrap_or(DAYS[0]);
    let before = asked.before.map_or(Timestamp::MAX, time::from_micros);
    let zone = FormZone::of(&who, &shared.app);
    let view = shared.app.insights(&who.user, (zone.zone(), days), before, SHOWN as u32).await?;
    let mut choices = DAYS;
    choices.sort_unstable();
    let body = html! {
        h1 { (words.say("insights-title")) }
        nav.actions aria-label=(words.say("insights-period")) {
            @for choice in choices { a.button href={ "/insights?days=" (choice) } aria-current=[(choice == days).then_some("true")] { (words.with("insights-days", [("n", choice.into())])) } }
        }
        section { (summary(words, &view)) (by_day(words, &view, days, zone.name())) }
        section { h2 { (words.say("common-agents")) } (agents(words, &view)) }
        section { h2 { (words.say("common-missions")) } (missions(words, &view)) }
        section #rejected { h2 { (words.say("insights-rejected")) } (against(&shared, words, &view, days)) }
    };
    Ok(page(&who, &words.say("insights-title"), &body))
}

fn summary(words: Words, view: &InsightsView) -> Markup {
    let all = &view.all;
    html! {
        dl.figures {
            div { dt { (words.say("insights-rate")) } dd { b { (rate(words, all)) } } dd.hint { (words.with("insights-of-decided", [("n", all.approved.into()), ("all", all.decided().into())])) } }
            div { dt { (words.say("insights-tokens")) } dd { b { (number(words, all.tokens)) } } }
            @if let Some(price) = &view.price { div { dt { (words.say("insights-cost")) } dd { b { (cost(words, price, all.tokens)) } } dd.hint { (words.with("insights-at", [("price", price_in_words(words, price).into())])) } } }
        }
        @if view.insights.has_more_decisions { p.hint { (words.with("insights-newest", [("n", DECISIONS_COUNTED.into())])) } }
    }
}

fn by_day(words: Words, view: &InsightsView, days: u16, zone: &str) -> Markup {
    let count = i64::from(days);
    let kinds = |tally: &PlanTally| {
        let approved = (("approved", words.say("insights-approved").into_owned()), tally.approved);
        let rejected = (("rejected", words.say("insights-declined").into_owned()), tally.rejected);
        [approved, rejected].into_iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>()
    };
    let decisions: BarParts =
        view.insights.days.iter().map(|(day, tally)| (*day, kinds(tally))).filter(|(_, kinds)| !kinds.is_empty()).collect();
    let used = view.insights.days.iter().filter(|(_, tally)| tally.tokens > 0);
    let tokens: BarParts =
        used.map(|(day, tally)| (*day, vec![(("tokens", words.say("insights-tokens").into_owned()), tally.tokens)])).collect();
    let (of_decisions, of_tokens) = (words.say("insights-decisions"), words.say("insights-tokens"));
    html! {
        div.pair {
            figure { figcaption { (of_decisions) } (day_bars(words, &of_decisions, view.today, count, &decisions)) }
            figure { figcaption { (of_tokens) } (day_bars(words, &of_tokens, view.today, count, &tokens)) }
        }
        @if !view.insights.days.is_empty() {
            details {
                summary { (words.say("insights-as-table")) }
                p.hint { (words.with("insights-zone", [("zone", zone.into())])) }
                table.figures {
                    thead { tr { th scope="col" { (words.say("insights-day")) } th.n scope="col" { (words.say("insights-approved")) } th.n scope="col" { (words.say("insights-declined")) } th.n scope="col" { (words.say("insights-tokens")) } } }
                    tbody { @for (day, tally) in view.insights.days.iter().rev() { tr {
                        th scope="row" { @if let Some(date) = date_of(*day) { time datetime=(date.to_string()) { (day_in_words(words.language(), date)) } } }
                        td.n { (number(words, tally.approved)) } td.n { (number(words, tally.rejected)) } td.n { (number(words, tally.tokens)) }
                    } } }
                }
            }
        }
    }
}

fn agents(words: Words, view: &InsightsView) -> Markup {
    let named = |id: &str| {
        let card = view.agents.iter().find(|card| *card.id == *id);
        html! {
            @if id.is_empty() { (words.say("missions-no-agent")) }
            @else if let Some(card) = card { a href=(path("agents", id)) { bdi { (shorter(&card.name, 60)) } } }
            @else { bdi { (shorter(id, 40)) } " " span.hint { (words.say("insights-gone")) } }
        }
    };
    tallies(words, view.price.as_ref(), &words.say("missions-agent"), view.insights.agents.iter().map(|(id, tally)| (named(id), tally)))
}

fn missions(words: Words, view: &InsightsView) -> Markup {
    let named = view.insights.missions.iter().map(|(id, tally)| (mission(words, view, id), tally));
    tallies(words, view.price.as_ref(), &words.say("access-mission"), named)
}

/// The name of a mission, as far as it is still there.
fn mission(words: Words, view: &InsightsView, id: &str) -> Markup {
    let card = view.missions.iter().find(|card| *card.id == *id);
    html! {
        @if let Some(card) = card { a href=(path("missions", id)) { bdi { (shorter(card.label(), 60)) } } }
        @else { bdi { (shorter(id, 40)) } " " span.hint { (words.say("insights-gone")) } }
    }
}

fn tallies<'t>(words: Words, price: Option<&Price>, of: &str, rows: impl ExactSizeIterator<Item = (Markup, &'t PlanTally)>) -> Markup {
    html! {
        @if rows.len() == 0 { p.empty { (words.say("insights-none")) } }
        @else {
            table.figures {
                thead { tr {
                    th scope="col" { (of) } th.n scope="col" { (words.say("insights-rate")) } th.n scope="col" { (words.say("insights-tokens")) }
                    @if price.is_some() { th.n scope="col" { (words.say("insights-cost")) } }
                } }
                tbody { @for (name, tally) in rows { tr {
                    th scope="row" { (name) }
                    td.n { (rate(words, tally)) @if tally.decided() > 0 { " " span.hint { (number(words, tally.approved)) "/" (number(words, tally.decided())) } } }
                    td.n { (number(words, tally.tokens)) }
                    @if let Some(price) = price { td.n { (cost(words, price, tally.tokens)) } }
                } } }
            }
        }
    }
}

fn against(shared: &Shared, words: Words, view: &InsightsView, days: u16) -> Markup {
    html! {
        @if view.against.is_empty() { p.empty { (words.say("insights-none-rejected")) } }
        ul.plain.against { @for step in &view.against { li {
            p.hint { (moment(step.at)) " · " (mission(words, view, &step.mission_id)) " · " (to_plan(words, step)) }
            p dir="auto" { (shorter(&step.step.summary, 200)) " " span.hint { (tool(shared, words, &step.step.tool)) } }
            @if step.step.verdict == StepVerdict::TakenBack { p { span.badge { (words.say("insights-taken-back")) } } }
            @if step.step.reason.is_empty() { p.hint { (words.say("insights-no-reason")) } }
            @else { p { (rich(words, "insights-reason", [("text", html! { bdi { (shorter(&step.step.reason, 400)) } })])) } }
        } } }
        @if let Some(last) = view.against.last().filter(|_| view.against.len() == SHOWN) {
            p { a.button href={ "/insights?days=" (days) "&before=" (time::to_micros(last.at)) "#rejected" } { (words.say("common-older")) } }
        }
    }
}

/// The way to the plan of a step: its run, or its mission where a device made it.
fn to_plan(words: Words, step: &StepAgainst) -> Markup {
    let place = match &step.run_id {
        Some(run) => path("runs", run),
        None => format!("{}#{}", path("missions", &step.mission_id), anchor(&step.iteration_id)),
    };
    html! { a href=(place) { (words.say("insights-plan")) } }
}

/// What a tool does.
pub(super) fn tool(shared: &Shared, words: Words, name: &str) -> String {
    let tool = shared.app.tools().iter().find(|tool| tool.name == name);
    tool.map_or_else(|| shorter(name, 60), |tool| module::tool(words, name, &shorter(&tool.description, 80)))
}

fn number(words: Words, n: u64) -> String {
    grouped(words.language(), &n.to_string())
}

fn rate(words: Words, tally: &PlanTally) -> String {
    match tally.decided() {
        0 => "–".to_owned(),
        all => words.with("insights-percent", [("n", ((tally.approved.saturating_mul(200) + all) / (2 * all)).into())]),
    }
}

fn cost(words: Words, price: &Price, tokens: u64) -> String {
    let cents = price.of(tokens);
    let amount = grouped(words.language(), &format!("{}.{:02}", cents / 100, cents % 100));
    let amount = if cents == 0 && tokens > 0 { format!("< {}", grouped(words.language(), "0.01")) } else { amount };
    if price.currency.is_empty() { amount } else { format!("{amount}\u{a0}{}", price.currency) }
}

fn price_in_words(words: Words, price: &Price) -> String {
    let text = price.to_string();
    let (number, currency) = text.split_once(' ').unwrap_or((&text, ""));
    format!("{}\u{a0}{currency}", grouped(words.language(), number)).trim_end_matches('\u{a0}').to_owned()
}
