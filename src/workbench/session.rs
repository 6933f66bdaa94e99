//! Who is looking: a session by cookie, and the proof that a form is one of ours.

use std::convert::Infallible;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use cookie::time::Duration;
use cookie::{Cookie, SameSite};

use super::Shared;
use super::fields::FormFields;
use super::form_zone::of_browser;
pub(super) use super::page::SignedIn;
use super::page::{Failed, Response, explained, lacks_words, section_of};
use crate::app::App;
use crate::auth::secret::{hash, hex};
use crate::domain::ids::UserId;
use crate::domain::language::Language;
use crate::store::SESSION_HOURS;
use crate::text::catalog::Words;
use crate::turns::AnswerFor;

/// A session, whose user may still have to be chosen.
#[derive(Clone)]
pub(super) struct Visitor {
    pub key: String,
    pub user: Option<UserId>,
}

impl Visitor {
    async fn signed_in(self, app: &App, headers: &HeaderMap, path: &str) -> Result<SignedIn, Failed> {
        let user = self.user.ok_or(Failed::NoUser)?;
        let waiting = app.plans_waiting(&user).await?;
        let preferences = app.preferences(&user).await?;
        let chosen = preferences.language.as_deref().and_then(Language::parse);
        let words = chosen.map_or_else(|| words(headers), Words::of);
        Ok(SignedIn {
            user,
            csrf: csrf(&self.key),
            session: hex(&hash(&self.key)),
            words,
            waiting,
            section: section_of(path),
            zone: preferences.zone,
            browser_zone: of_browser(headers),
            seen: app.last_seq().await?,
        })
    }
}

/// In which language a request is answered.
pub(super) fn words(headers: &HeaderMap) -> Words {
    let wished = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Words::of(wished.map(Language::accepted).unwrap_or_default())
}

impl<S: Sync> FromRequestParts<S> for Words {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(words(&parts.headers))
    }
}

/// A form that a user sent from one of our pages.
pub(super) struct Posted {
    pub who: SignedIn,
    pub fields: FormFields,
}

/// The same of a visitor without a user.
pub(super) struct PostedByVisitor {
    pub visitor: Visitor,
    pub fields: FormFields,
}

/// What a form of this session carries: nobody who cannot read our pages knows it.
pub(super) fn csrf(key: &str) -> String {
    hex(&hash(&format!("form of {key}")))
}

/// The name of the cookie. Browsers send cookies to every port of a host, so the port keeps two servers apart.
pub(super) fn cookie_name(port: u16) -> String {
    format!("mana_session_{port}")
}

/// The cookie of a session, or the one that takes it away where the key is empty.
pub(super) fn cookie(name: &str, key: &str, headers: &HeaderMap) -> Cookie<'static> {
    let hours = if key.is_empty() { 0 } else { SESSION_HOURS };
    // Behind a proxy that speaks TLS, the cookie stays within it.
    let secure = headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let cookie = Cookie::build((name.to_owned(), key.to_owned()));
    cookie.path("/").http_only(true).same_site(SameSite::Lax).max_age(Duration::hours(hours)).secure(secure).build()
}

fn key_of(name: &str, headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let found = lines.flat_map(Cookie::split_parse).flatten().find(|cookie| cookie.name() == name)?;
    Some(found.value().to_owned()).filter(|key| key.len() == 64)
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Response> {
        parts.extensions.get::<Visitor>().cloned().ok_or_else(|| Failed::SignedOut.into())
    }
}

/// Finds the session of a request, says in its language why a page cannot be shown, and lets its user have a turn with their pages.
pub(super) async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
    let response = admitted(&shared, request, next).await;
    // Where there is no room, or no database, nothing more is asked for.
    let who = match lacks_words(&response) && response.status().is_client_error() {
        true => signed_in(&shared, &headers, &path).await,
        false => None,
    };
    explained(response, who.as_ref().map_or_else(|| words(&headers), |who| who.words), who.as_ref())
}

/// Who sends a request, where that can be told.
async fn signed_in(shared: &Shared, headers: &HeaderMap, path: &str) -> Option<SignedIn> {
    visitor(shared, headers).await.ok()??.signed_in(&shared.app, headers, path).await.ok()
}

async fn admitted(shared: &Shared, mut request: Request, next: Next) -> Response {
    let visitor = match visitor(shared, request.headers()).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return next.run(request).await,
        Err(failed) => return failed.into(),
    };
    let user = visitor.user.clone();
    request.extensions_mut().insert(visitor);
    let Some(user) = user else { return next.run(request).await };
    match shared.turns.take(&user).await {
        Ok(_turn) => {
            let mut response = next.run(request).await;
            response.extensions_mut().insert(AnswerFor(user.into()));
            response
        }
        Err(busy) => Failed::Busy(busy).into(),
    }
}

async fn visitor(shared: &Shared, headers: &HeaderMap) -> Result<Option<Visitor>, Failed> {
    let Some(key) = key_of(&cookie_name(shared.port), headers) else { return Ok(None) };
    let session = shared.app.session(&key).await?;
    Ok(session.map(|session| Visitor { key, user: session.user }))
}

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, shared).await?;
        Ok(visitor.signed_in(&shared.app, &parts.headers, parts.uri.path()).await?)
    }
}

impl FromRequest<Shared> for PostedByVisitor {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, shared).await?;
        let form = Form::<Vec<(String, String)>>::from_request(Request::from_parts(parts, body), shared).await;
        let fields = FormFields(form.map_err(|error| Failed::BadForm(error.body_text()))?.0);
        match verify_slices_are_equal(fields.text("csrf").as_bytes(), csrf(&visitor.key).as_bytes()) {
            Ok(()) => Ok(PostedByVisitor { visitor, fields }),
            Err(_) => Err(Failed::Foreign.into()),
        }
    }
}

impl FromRequest<Shared> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Response> {
        let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
        let PostedByVisitor { visitor, fields } = PostedByVisitor::from_request(request, shared).await?;
        Ok(Posted { who: visitor.signed_in(&shared.app, &headers, &path).await?, fields })
    }
}
