//! The frame of every page, the small parts that pages share, and what a page says when it cannot be shown.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use cookie::Cookie;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use crate::app::{AppError, PeopleRefusal};
use crate::domain::ids::UserId;
use crate::domain::time;
use crate::store::StoreError;
use crate::text::catalog::Words;
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
    /// The zone in which times are shown, where the user chose one.
    pub zone: Option<String>,
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
            AppError::Parameter(what) => Failed::BadForm(what),
            AppError::People(PeopleRefusal::NotAdmin) => Failed::NotFound,
            AppError::People(refusal) => Failed::BadForm(refusal.to_string()),
            AppError::Store(error) => Failed::Store(error),
        }
    }
}

impl From<Failed> for Response {
    fn from(failed: Failed) -> Self {
        failed.into_response()
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let (status, title, text) = match self {
            Failed::SignedOut => return to("/login"),
            Failed::NoUser => return to("/who"),
            Failed::Foreign => (StatusCode::FORBIDDEN, "This form is out of date", "Go back, reload the page, and try again.".to_owned()),
            Failed::BadForm(why) => (StatusCode::BAD_REQUEST, "This form cannot be read", why),
            Failed::NotFound => {
                (StatusCode::NOT_FOUND, "There is no such page", "It may have been deleted, or belong to somebody else.".into())
            }
            Failed::Busy(busy) => (StatusCode::SERVICE_UNAVAILABLE, "Too much at once", busy.to_string()),
            Failed::Store(error) => {
                tracing::error!(%error, "a page cannot be shown");
                let passing = error.is_passing();
                let why = if passing { "The database is busy or its disk is full; try again soon." } else { "See the log of the server." };
                (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer", why.into())
            }
        };
        let body = html! { h1 { (title) } p { (text) } p { a href="/" { "Back to the overview" } } };
        (status, Html(frame(Words::ENGLISH, None, title, &body).into_string())).into_response()
    }
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
        p { "This is too large to show here: " (body.0.len() / 1_000) " kB. The change log of the record shows the start of each row." }
        p { a href="/" { "Back to the overview" } }
    };
    Html(frame(who.words, Some(who), title, &body).into_string()).into_response()
}

/// A page whose form was not taken.
pub(super) fn refused(who: &SignedIn, title: &str, body: &Markup) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, page(who, title, body)).into_response()
}

const PLACES: [(&str, &str); 5] =
    [("/", "Overview"), ("/agents", "Agents"), ("/missions", "Missions"), ("/records", "Records"), ("/audit", "Data access")];

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
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/workbench.css";
                script src="/assets/workbench.js" defer {}
            }
            body data-live=[who.and_then(|who| who.csrf.get(..16))] data-seen=[who.map(|who| who.seen)] data-zone=[who.and_then(|who| who.zone.as_deref())] {
                a.skip href="#content" { "Skip to content" }
                header {
                    a.brand href="/" { "mana-ai" }
                    @if let Some(who) = who {
                        nav aria-label="Main" {
                            @for (place, name) in PLACES {
                                a href=(place) aria-current=[(name == title).then_some("page")] { (name) }
                                @if place == "/" { (review_link(who, title)) }
                            }
                        }
                        form.account method="post" action="/logout" {
                            (csrf(who))
                            a.user href="/settings" aria-label={ (words.say("settings-title")) ": " (shorter(&who.user, 40)) } { span aria-hidden="true" { "⚙ " } bdi { (shorter(&who.user, 40)) } }
                            button.quiet { "Sign out" }
                        }
                    }
                }
                p #notice role="status" hidden {}
                main #content tabindex="-1" { (body) }
            }
        }
    }
}

/// The way to the plans that wait, with how many they are.
fn review_link(who: &SignedIn, title: &str) -> Markup {
    let name = who.words.say("review-title");
    html! {
        a href="/review" aria-current=[(name == title).then_some("page")] {
            (name)
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

/// A sentence with its times as readers have them.
pub(super) fn phrase(phrase: &Phrase) -> Markup {
    html! {
        @for piece in phrase.pieces() { @match piece {
            Piece::Text(text) => (shorter(text, 300)),
            Piece::Slot(at) => (moment(*at)),
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

fn segment(text: &str) -> PercentEncode<'_> {
    const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, UNRESERVED)
}

/// The link to what follows after a key.
pub(super) fn more(place: &str, after: &str) -> Markup {
    html! { p { a.button href={ (place) "?after=" (segment(after)) } { "More" } } }
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
            1..10_000 => p.hint { "… " (missing) " bytes more" },
            _ => p.hint { "… " (missing / 1_000) " KB more" },
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
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorter("äöü", 2), "äö…");
        assert_eq!(shorter("äöü", 3), "äöü");
    }
}
