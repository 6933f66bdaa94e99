//! The calendar of coming runs.

use axum::extract::State;
use maud::{Markup, html};

use super::Shared;
use super::form_zone::FormZone;
use super::page::{Failed, Response, clock, page, path, shorter};
use super::session::SignedIn;
use super::values::day_in_words;
use crate::app::{ComingRuns, ListedMission};

const DAYS: i64 = 14;

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let words = who.words;
    let zone = FormZone::of(&who, &shared.app);
    let coming = shared.app.coming_runs(&who.user, DAYS, zone.zone()).await?;
    let body = html! {
        h1 { (words.say("runs-calendar")) }
        p.hint { (words.with("runs-calendar-hint", [("n", DAYS.into()), ("zone", zone.name().into())])) }
        @if coming.is_empty() { p.empty { (words.say("overview-none-next")) } }
        @for (day, runs) in &coming {
            section {
                h2 { time datetime=(day.to_string()) { (day_in_words(words.language(), *day)) } }
                ul.plain { @for run in runs { li { (line(&who, &zone, run)) } } }
            }
        }
    };
    Ok(page(&who, &words.say("runs-calendar"), &body))
}

fn line(
    who: &SignedIn,
    zone: &FormZone,
    ComingRuns { mission: ListedMission { card, standing, .. }, first, runs, is_due }: &ComingRuns,
) -> Markup {
    let words = who.words;
    html! {
        @if *is_due { span.badge.due { (words.say("overview-due")) } } @else { (clock(*first, zone.zone())) } " "
        a href=(path("missions", &card.id)) { bdi { (shorter(card.label(), 80)) } }
        @if standing.is_blocked() { " " span.badge.blocked { (words.say("mission-blocked")) } }
        @if *runs > 1 { " " span.hint { (words.with("runs-times", [("n", (*runs).into())])) } }
    }
}
