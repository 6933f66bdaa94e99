//! Signing in by a link or a token, choosing a user, signing out.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse};
use maud::{Markup, html};
use serde::Deserialize;

use super::Shared;
use super::page::{Failed, Response, frame, rich, shorter, to, to_with};
use super::session::{PostedByVisitor, Visitor, cookie, cookie_name, csrf};
use crate::auth::TokenRefused;
use crate::domain::browser::SignInBrowser;
use crate::store::{SignInLink, StoreError};
use crate::text::catalog::{Words, text_id};

#[derive(Deserialize)]
pub(super) struct Code {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    token: String,
}

pub(super) async fn show(State(shared): State<Shared>, words: Words) -> Response {
    sign_in(&shared, words, StatusCode::OK, None)
}

fn sign_in(shared: &Shared, words: Words, status: StatusCode, wrong: Option<&str>) -> Response {
    // With an identity provider there are no links, and its tokens alone are taken.
    let local = shared.app.users().public_keys().is_some();
    let body = html! {
        h1 { (words.say("sign-in-title")) }
        @if let Some(wrong) = wrong { p.wrong role="alert" tabindex="-1" autofocus { (wrong) } }
        @if local {
            p { (words.say("sign-in-by-link")) }
            pre { code { "mana-ai link" } }
            h2 { (words.say("sign-in-by-token")) }
        }
        form.stack method="post" action="/login" {
            label for="token" { (words.say("sign-in-token")) }
            input #token name="token" type="password" autocomplete="off" spellcheck="false" required;
            p.hint {
                @if local { (rich(words, "sign-in-token-made", [("command", html! { code { "mana-ai token create --user NAME" } })])) }
                @else { (words.say("sign-in-token-provided")) }
            }
            button.primary { (words.say("sign-in-title")) }
        }
    };
    (status, Html(frame(words, None, &words.say("sign-in-title"), &body).into_string())).into_response()
}

/// Shows what a link is for. It is used up by the form of this page alone, not by whoever only looks where it leads, such as
/// the preview of a messenger.
pub(super) async fn show_link(State(shared): State<Shared>, words: Words, Query(Code { code }): Query<Code>) -> Result<Response, Failed> {
    let link = shared.app.link(&code).await?;
    let SignInLink::Opens { user } = link else { return Ok(no_link(&shared, words, &link)) };
    let body = html! {
        h1 { (words.say("sign-in-title")) }
        form.stack method="post" action="/link" {
            p {
                @match &user {
                    Some(user) => (rich(words, "sign-in-link-of", [("user", html! { bdi { (shorter(user, 100)) } })])),
                    None => (words.say("sign-in-link")),
                }
            }
            input type="hidden" name="code" value=(code);
            button.primary autofocus { (words.say("sign-in-title")) }
        }
    };
    Ok(Html(frame(words, None, &words.say("sign-in-title"), &body).into_string()).into_response())
}

/// Redeems a link. A session begins with a key that nobody had before.
pub(super) async fn by_link(
    State(shared): State<Shared>,
    words: Words,
    headers: HeaderMap,
    Form(Code { code }): Form<Code>,
) -> Result<Response, Failed> {
    if !is_same_origin(&headers) {
        return Err(Failed::Foreign);
    }
    let (link, key) = shared.app.redeem(&code, browser(&headers)).await?;
    Ok(match &link {
        SignInLink::Opens { user } => {
            to_with(if user.is_some() { "/" } else { "/who" }, &cookie(&cookie_name(shared.port), &key, &headers))
        }
        SignInLink::Used | SignInLink::Unknown => no_link(&shared, words, &link),
    })
}

fn no_link(shared: &Shared, words: Words, link: &SignInLink) -> Response {
    let why = match link {
        SignInLink::Used => words.say("sign-in-link-used"),
        SignInLink::Opens { .. } | SignInLink::Unknown => words.say("sign-in-link-unknown"),
    };
    sign_in(shared, words, StatusCode::FORBIDDEN, Some(&why))
}

pub(super) async fn by_token(
    State(shared): State<Shared>,
    words: Words,
    headers: HeaderMap,
    Form(Token { token }): Form<Token>,
) -> Result<Response, Failed> {
    if !is_same_origin(&headers) {
        return Err(Failed::Foreign);
    }
    let claims = match shared.app.users().check(token.trim()).await {
        Ok(claims) => claims,
        Err(refused) => return Ok(sign_in(&shared, words, StatusCode::UNAUTHORIZED, Some(&token_refused(words, &refused)))),
    };
    let key = match shared.app.open_session(claims, browser(&headers)).await {
        Ok(key) => key,
        Err(StoreError::Removed { .. }) => return Ok(sign_in(&shared, words, StatusCode::FORBIDDEN, Some(&words.say("sign-in-removed")))),
        Err(error) => return Err(error.into()),
    };
    Ok(to_with("/", &cookie(&cookie_name(shared.port), &key, &headers)))
}

/// Why a token is not taken.
fn token_refused(words: Words, why: &TokenRefused) -> String {
    let id = match why {
        TokenRefused::Audience(wanted) => return words.with("sign-in-token-audience", [("wanted", words.quoted(wanted).into())]),
        TokenRefused::Issuer(wanted) => return words.with("sign-in-token-issuer", [("wanted", words.quoted(wanted).into())]),
        TokenRefused::TooLong => text_id("sign-in-token-too-long"),
        TokenRefused::Malformed => text_id("sign-in-token-malformed"),
        TokenRefused::Algorithm => text_id("sign-in-token-algorithm"),
        TokenRefused::UnknownKey => text_id("sign-in-token-unknown-key"),
        TokenRefused::Signature => text_id("sign-in-token-signature"),
        TokenRefused::NoExpiry => text_id("sign-in-token-no-expiry"),
        TokenRefused::Expired => text_id("sign-in-token-expired"),
        TokenRefused::NotYetValid => text_id("sign-in-token-not-yet"),
        TokenRefused::NoSubject => text_id("sign-in-token-no-user"),
        TokenRefused::Unavailable => text_id("sign-in-token-unavailable"),
    };
    words.say(id).into_owned()
}

fn browser(headers: &HeaderMap) -> SignInBrowser {
    let told = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    SignInBrowser::of(told.unwrap_or_default())
}

/// There is no session yet whose forms could be told from others, so the browser's word has to do.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    // A proxy may change the host, but not what the browser says of itself (Fetch Metadata).
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    let (origin, host) = (text(header::ORIGIN), text(header::HOST));
    origin.is_none_or(|origin| origin.split_once("://").map(|(_, rest)| rest) == host)
}

pub(super) async fn who(State(shared): State<Shared>, words: Words, visitor: Visitor) -> Result<Response, Failed> {
    if visitor.user.is_some() {
        return Ok(to("/"));
    }
    let users = shared.app.known_users().await?;
    let token = csrf(&visitor.key);
    let hidden = html! { input type="hidden" name="csrf" value=(token); };
    let body: Markup = html! {
        h1 { (words.say("sign-in-who")) }
        @if !users.is_empty() {
            p { (words.say("sign-in-who-known")) }
            form.row method="post" action="/who" {
                (hidden)
                @for user in &users { button name="user" value=(user) { bdi { (user) } } }
            }
        }
        form.stack method="post" action="/who" {
            (hidden)
            label for="user" { @if users.is_empty() { (words.say("sign-in-who-name")) } @else { (words.say("sign-in-who-other")) } }
            input #user name="user" autocomplete="username" maxlength="200" required;
            p.hint { (words.say("sign-in-who-hint")) }
            button.primary { (words.say("sign-in-continue")) }
        }
    };
    Ok(Html(frame(words, None, &words.say("sign-in-who"), &body).into_string()).into_response())
}

pub(super) async fn choose(State(shared): State<Shared>, posted: PostedByVisitor) -> Result<Response, Failed> {
    let chosen = shared.app.choose_user(&posted.visitor.key, &posted.fields.text("user")).await?;
    Ok(to(if chosen { "/" } else { "/who" }))
}

pub(super) async fn sign_out(State(shared): State<Shared>, headers: HeaderMap, posted: PostedByVisitor) -> Result<Response, Failed> {
    shared.app.end_session(&posted.visitor.key).await?;
    Ok(to_with("/login", &cookie(&cookie_name(shared.port), "", &headers)))
}
