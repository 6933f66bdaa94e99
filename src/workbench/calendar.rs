//! The calendar of coming runs.

use axum::extract::State;
use maud::{Markup, html};

use super::Shared;
use super::page::{Failed, Response, moment, page, path, shorter};
use super::session::SignedIn;
use super::values::day_in_words;
use crate::app::ComingRuns;

const DAYS: i64 = 14;

pub(super) async fn show(State(shared): State<Shared>, who: SignedIn) -> Result<Response, Failed> {
    let words = who.words;
    let coming = shared.app.coming_runs(&who.user, DAYS).await?;
    let body = html! {
        h1 { (words.say("runs-calendar")) }
        p.hint { (words.with("runs-calendar-hint", [("n", DAYS.into()), ("zone", shared.app.zone().iana_name().unwrap_or("UTC").into())])) }
        @if coming.is_empty() { p.empty { (words.say("overview-none-next")) } }
        @for (day, runs) in &coming {
            section {
                h2 { time datetime=(day.to_string()) { (day_in_words(words.language(), *day)) } }
                ul.plain { @for run in runs { li { (line(&who, run)) } } }
            }
        }
    };
    Ok(page(&who, &words.say("runs-calendar"), &body))
}

fn line(who: &SignedIn, ComingRuns { mission, first, runs }: &ComingRuns) -> Markup {
    html! {
        (moment(*first)) " "
        a href=(path("missions", &mission.id)) { bdi { (shorter(mission.label(), 80)) } }
        @if *runs > 1 { " " span.hint { (who.words.with("runs-times", [("n", (*runs).into())])) } }
    }
}
