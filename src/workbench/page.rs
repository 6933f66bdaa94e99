//! The frame of every page, the small parts that pages share, and what a page says when it cannot be shown.

use std::sync::Arc;

use axum::Extension;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use cookie::Cookie;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use crate::app::{AppError, PeopleRefusal};
use crate::domain::ids::UserId;
use crate::domain::time;
use crate::store::StoreError;
use crate::text::catalog::{Words, text_id};
use crate::text::phrase::{Phrase, Piece};
use crate::text::printable;
use crate::turns::Busy;

pub(super) type Response = axum::response::Response;

/// Agents, and missions, on one page.
pub(super) const PAGE: u32 = 50;

/// A user who is signed in.
#[derive(Clone)]
pub(super) struct SignedIn {
    pub user: UserId,
    pub csrf: String,
    /// Names the session; it opens nothing.
    pub session: String,
    /// In the language of the user.
    pub words: Words,
    /// How many plans await review.
    pub waiting: u64,
    /// The entry of the main menu to which the page belongs.
    pub section: &'static str,
    /// The zone in which times are shown, where the user chose one.
    pub zone: Option<String>,
    /// The zone that the browser is in, where it said so.
    pub browser_zone: Option<String>,
    /// The last row of the log before the page was made: what comes after it is news for the page.
    pub seen: i64,
}

/// Why a page cannot be shown.
#[derive(Debug)]
pub(super) enum Failed {
    SignedOut,
    /// Signed in by a link that leaves the choice of the user.
    NoUser,
    /// A form that no page of this session made.
    Foreign,
    BadForm(String),
    /// What its user did wrong, outside of a form that could say so.
    Refused(AppError),
    /// The same with the id of a text that says why.
    Form(&'static str),
    NotFound,
    Busy(Busy),
    Store(StoreError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Failed::Store(error)
    }
}

impl From<AppError> for Failed {
    fn from(error: AppError) -> Self {
        match error {
            AppError::NotFound => Failed::NotFound,
            AppError::People(PeopleRefusal::NotAdmin) => Failed::NotFound,
            AppError::Store(error) => Failed::Store(error),
            refused => Failed::Refused(refused),
        }
    }
}

/// A page that says why another cannot be shown: the answer without its words, which [`explained`] adds.
#[derive(Clone)]
struct Unexplained {
    title: &'static str,
    why: Unshown,
}

#[derive(Clone)]
enum Unshown {
    Id(&'static str),
    Text(String),
    Refused(Arc<AppError>),
}

impl From<&'static str> for Unshown {
    fn from(id: &'static str) -> Self {
        Unshown::Id(id)
    }
}

impl From<Failed> for Response {
    fn from(failed: Failed) -> Self {
        failed.into_response()
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let (status, title, why) = match self {
            Failed::SignedOut => return to("/login"),
            Failed::NoUser => return to("/who"),
            Failed::Foreign => (StatusCode::FORBIDDEN, text_id("common-form-old"), text_id("common-form-old-why").into()),
            Failed::BadForm(why) => (StatusCode::BAD_REQUEST, text_id("common-form-bad"), Unshown::Text(why)),
            Failed::Refused(error) => (StatusCode::BAD_REQUEST, text_id("common-not-done"), Unshown::Refused(Arc::new(error))),
            Failed::Form(why) => (StatusCode::BAD_REQUEST, text_id("common-form-bad"), why.into()),
            Failed::NotFound => (StatusCode::NOT_FOUND, text_id("common-not-found"), text_id("common-not-found-why").into()),
            Failed::Busy(Busy) => (StatusCode::SERVICE_UNAVAILABLE, text_id("common-too-much"), text_id("common-too-much-why").into()),
            Failed::Store(error) => {
                tracing::error!(%error, "a page cannot be shown");
                let why = if error.is_passing() { text_id("common-database-busy") } else { text_id("common-database-broken") };
                (StatusCode::SERVICE_UNAVAILABLE, text_id("common-database"), why.into())
            }
        };
        (status, Extension(Unexplained { title, why })).into_response()
    }
}

/// Whether a page says why another cannot be shown, and has its words still to come.
pub(super) fn lacks_words(response: &Response) -> bool {
    response.extensions().get::<Unexplained>().is_some()
}

/// The page of a failure in the language of whoever asked; any other answer as it is. Who is signed in keeps the navigation, and
/// finds what was deleted.
pub(super) fn explained(mut response: Response, words: Words, who: Option<&SignedIn>) -> Response {
    let Some(Unexplained { title, why }) = response.extensions_mut().remove() else { return response };
    let is_gone = response.status() == StatusCode::NOT_FOUND;
    let body = html! {
        h1 { (words.say(title)) }
        p { @match why {
            Unshown::Id(id) => (words.say(id)),
            Unshown::Text(text) => (text),
            Unshown::Refused(error) => (error.refusal(words).unwrap_or_else(|| error.to_string())),
        } }
        @if is_gone && who.is_some() { p { a href="/deleted" { (words.say("common-to-deleted")) } } }
        p { a href="/" { (words.say("common-to-overview")) } }
    };
    (response.status(), Html(frame(words, who, &words.say(title), &body).into_string())).into_response()
}

/// Sends the browser to another page with a GET.
pub(super) fn to(place: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, place.to_owned())]).into_response()
}

/// The same, with a cookie.
pub(super) fn to_with(place: &str, cookie: &Cookie<'_>) -> Response {
    ([(header::SET_COOKIE, cookie.to_string())], to(place)).into_response()
}

/// The largest page, in bytes of HTML: lists and texts are cut long before, but a form shows its texts whole, and a larger one
/// could not be sent back.
const LARGEST: usize = super::MAX_FORM;

/// A page of a user.
pub(super) fn page(who: &SignedIn, title: &str, body: &Markup) -> Response {
    if body.0.len() <= LARGEST {
        return Html(frame(who.words, Some(who), title, body).into_string()).into_response();
    }
    let body = html! {
        h1 { bdi { (shorter(title, 120)) } }
        p { (who.words.with("common-too-large", [("kilobytes", (body.0.len() / 1_000).into())])) }
        p { a href="/" { (who.words.say("common-to-overview")) } }
    };
    Html(frame(who.words, Some(who), title, &body).into_string()).into_response()
}

/// A page whose form was not taken.
pub(super) fn refused(who: &SignedIn, title: &str, body: &Markup) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page(who, title, body)).into_response()
}

const PLACES: [(&str, &str); 5] = [
    ("/", text_id("common-overview")),
    ("/agents", text_id("common-agents")),
    ("/missions", text_id("common-missions")),
    ("/records", text_id("common-records")),
    ("/audit", text_id("common-access")),
];

/// The entry of the main menu to which a path belongs; empty where it belongs to none.
pub(super) fn section_of(path: &str) -> &'static str {
    match path.split('/').nth(1).unwrap_or_default() {
        "" => "/",
        "review" => "/review",
        "agents" | "insights" | "templates" => "/agents",
        "missions" | "runs" | "calendar" => "/missions",
        "records" | "deleted" => "/records",
        "audit" => "/audit",
        _ => "",
    }
}

/// The whole document; the script keeps `main` up to date where a user is signed in.
pub(super) fn frame(words: Words, who: Option<&SignedIn>, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(words.language().tag()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (shorter(&printable(title), 120)) " · mana-ai" }
                meta name="theme-color" media="(prefers-color-scheme: light)" content="#ffffff";
                meta name="theme-color" media="(prefers-color-scheme: dark)" content="#1d2228";
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="apple-touch-icon" href="/assets/apple-touch-icon.png";
                link rel="manifest" href="/assets/app.webmanifest";
                link rel="stylesheet" href="/assets/workbench.css";
                script src="/assets/workbench.js" defer {}
            }
            body data-live=[who.and_then(|who| who.csrf.get(..16))] data-seen=[who.map(|who| who.seen)] data-zone=[who.and_then(|who| who.zone.as_deref())] {
                a.skip href="#content" { (words.say("common-skip")) }
                header {
                    a.brand href="/" { "mana-ai" }
                    @if let Some(who) = who {
                        nav aria-label=(words.say("common-nav")) {
                            @for (place, id) in PLACES {
                                a href=(place) aria-current=[(place == who.section).then_some("true")] { (words.say(id)) }
                                @if place == "/" { (review_link(who)) }
                            }
                        }
                        form.account method="post" action="/logout" {
                            (csrf(who))
                            a.user href="/settings" aria-label={ (words.say("settings-title")) ": " (shorter(&who.user, 40)) } { span aria-hidden="true" { "⚙ " } bdi { (shorter(&who.user, 40)) } }
                            button.quiet { (words.say("common-sign-out")) }
                        }
                    }
                }
                p #notice role="status" hidden data-changed=(words.say("common-changed-elsewhere")) {}
                main #content tabindex="-1" { (body) }
            }
        }
    }
}

/// The way to the plans that wait, with how many they are.
fn review_link(who: &SignedIn) -> Markup {
    html! {
        a href="/review" aria-current=[(who.section == "/review").then_some("true")] {
            (who.words.say("review-title"))
            @if who.waiting > 0 { " " span.count { (who.waiting) span.aside { " " (who.words.with("review-waiting-aside", [("n", who.waiting.into())])) } } }
        }
    }
}

/// The hidden field that shows a form to be ours.
pub(super) fn csrf(who: &SignedIn) -> Markup {
    html! { input type="hidden" name="csrf" value=(who.csrf); }
}

/// A form of one button.
pub(super) fn button(who: &SignedIn, action: &str, label: &str, fields: &[(&str, &str)], class: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (csrf(who))
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button class=(class) { (label) }
        }
    }
}

/// A moment, which the script spells in the reader's zone.
pub(super) fn moment(at: Timestamp) -> Markup {
    let iso = time::iso_millis(at);
    html! { time datetime=(iso) { (iso.get(..16).unwrap_or(&iso).replace('T', " ")) " UTC" } }
}

/// The same with the name of the zone.
pub(super) fn moment_in_zone(at: Timestamp) -> Markup {
    let iso = time::iso_millis(at);
    html! { time.zoned datetime=(iso) { (iso.get(..16).unwrap_or(&iso).replace('T', " ")) " UTC" } }
}

/// A time of day, which the script spells in the reader's zone.
pub(super) fn clock(at: Timestamp, zone: &TimeZone) -> Markup {
    html! { time.clock datetime=(time::iso_millis(at)) { (at.to_zoned(zone.clone()).strftime("%H:%M")) } }
}

/// A sentence with its times as readers have them.
pub(super) fn phrase(told: &Phrase) -> Markup {
    phrase_with(told, moment)
}

/// The same with another way to show a time.
pub(super) fn phrase_with(phrase: &Phrase, time: impl Fn(Timestamp) -> Markup) -> Markup {
    html! {
        @for piece in phrase.pieces() { @match piece {
            Piece::Text(text) => (shorter(text, 300)),
            Piece::Slot(at) => (time(*at)),
        } }
    }
}

/// A sentence with parts that are no text, such as a link or a name of others in `<bdi>`.
pub(super) fn rich<const N: usize>(words: Words, id: &'static str, parts: [(&'static str, Markup); N]) -> Markup {
    html! {
        @for piece in words.fill(id, [], parts) { @match piece {
            Piece::Text(text) => (text),
            Piece::Slot(part) => (part),
        } }
    }
}

/// A path with an id as one segment.
pub(super) fn path(of: &str, id: &str) -> String {
    format!("/{of}/{}", segment(id))
}

pub(super) fn segment(text: &str) -> PercentEncode<'_> {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, UNRESERVED)
}

/// The start of a text that may be long.
pub(super) fn shorter(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Characters of a text that are shown.
pub(super) const LONGEST_PROSE: usize = 20_000;

/// How much of a text is not shown.
pub(super) fn more_bytes(missing: u64) -> Markup {
    html! {
        @match missing {
            0 => {}
            1..10_000 => p.hint { "… + " (missing) " B" },
            _ => p.hint { "… + " (missing / 1_000) " kB" },
        }
    }
}

/// A text as its author wrote it; a long one is folded away, and a very long one cut.
pub(super) fn prose(text: &str) -> Markup {
    prose_of(text, 0)
}

/// The same for a text of which bytes are missing already.
pub(super) fn prose_of(text: &str, missing: u64) -> Markup {
    const SHOWN: usize = 600;
    let cut = text.char_indices().nth(LONGEST_PROSE).map_or(text, |(end, _)| &text[..end]);
    let missing = missing + (text.len() - cut.len()) as u64;
    html! {
        @if text.chars().nth(SHOWN).is_none() { p.prose dir="auto" { (text) } }
        @else {
            details {
                summary dir="auto" { (shorter(text, 200)) }
                p.prose dir="auto" { (cut) }
                (more_bytes(missing))
            }
        }
    }
}

/// The same as a small sign.
pub(super) fn state_badge(words: Words, state: &str) -> Markup {
    match state_text(state) {
        Some(id) => html! { span class={ "badge " (state.replace(' ', "-")) } { (words.say(id)) } },
        None => badge(state),
    }
}

fn state_text(state: &str) -> Option<&'static str> {
    Some(match state {
        "active" => text_id("common-state-active"),
        "paused" => text_id("common-state-paused"),
        "done" => text_id("common-state-done"),
        "archived" => text_id("common-state-archived"),
        "unknown" => text_id("common-state-unknown"),
        "due" => text_id("common-state-due"),
        "in flight" => text_id("common-state-running"),
        "waiting" => text_id("common-state-waiting"),
        "planned" => text_id("common-state-planned"),
        "dropped" => text_id("common-state-dropped"),
        "failed" => text_id("common-state-failed"),
        _ => return None,
    })
}

/// A state as a small sign.
pub(super) fn badge(state: &str) -> Markup {
    html! { span class={ "badge " (state.replace(' ', "-")) } { (state.replace('-', " ")) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        assert_eq!(path("missions", "a/b?c #é"), "/missions/a%2Fb%3Fc%20%23%C3%A9");
        assert_eq!(path("missions", "v1.2"), "/missions/v1.2");
    }

    #[test]
    fn a_page_belongs_to_an_entry_of_the_menu() {
        for (path, section) in [
            ("/", "/"),
            ("/missions/a/edit", "/missions"),
            ("/runs", "/missions"),
            ("/insights", "/agents"),
            ("/deleted", "/records"),
            ("/settings", ""),
        ] {
            assert_eq!(section_of(path), section, "{path}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorter("äöü", 2), "äö…");
        assert_eq!(shorter("äöü", 3), "äöü");
    }
}
