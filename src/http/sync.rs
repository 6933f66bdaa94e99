//! Push and pull.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::ApiState;
use super::answer;
use super::body::{Received, receive};
use super::budget::{Owner, Share};
use super::caller::User;
use super::error::{ApiError, ErrorBody};
use super::params::{AppId, Params};
use super::weight;
use crate::domain::ids::UserId;
use crate::domain::json;
use crate::domain::time;
use crate::store::{EventKey, Page, Pull};
use crate::sync::{Answer, Cursor, Push, Pushed, Sender};

/// Bodies up to this size are read where they are; others would hold up whoever shares the thread.
const READ_AT_ONCE: usize = 64 * 1024;
/// A page of the log as text, before it is known how large it is.
pub(super) const PAGE: usize = 2 * 1024 * 1024;
/// What an answer takes at least.
const LEAST_ANSWER: usize = 16 * 1024;
/// Rows that answer a push, and a pull.
const PUSH_ROWS: usize = 5_000;
const PULL_ROWS: usize = 1_000;

/// Which part of the log, and from where.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct PullQuery {
    /// The table
    #[param(min_length = 1)]
    collection: String,
    /// The last `syncedUntil`; nothing at first
    #[param(format = DateTime)]
    since: Option<String>,
}

/// Take in a client's changes, all or none, and answer what others changed
#[utoipa::path(
    post, path = "/sync/{appId}", tag = "sync", security(("token" = [])), request_body = Push,
    params(("appId" = String, Path, description = "The app"), ("X-Client-Id" = Option<String>, Header, description = "Who pushes")),
    responses(
        (status = 200, description = "The changes are on disk; these are new for the client", body = Answer),
        (status = 400, description = "Nothing was kept, and why", body = ErrorBody),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 413, description = "The body is larger than MAX_BODY_BYTES, or holds too many values", body = ErrorBody),
        (status = 429, description = "Nothing was kept: the user has reached a ceiling; come back after Retry-After where there is one", body = ErrorBody),
        (status = 503, description = "Nothing was kept; come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn push(
    State(shared): State<Arc<ApiState>>,
    User(caller): User,
    AppId(app): AppId,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, ApiError> {
    let share = shared.budget.share(Owner::User(caller.user.to_string()));
    let limit = shared.max_body_bytes;
    let received = receive(&headers, request.into_body(), share, limit, limit.saturating_mul(2)).await?;
    if !shared.app.has_room() {
        return Err(ApiError::unavailable("more waits to be written than this server takes; try again later"));
    }
    let client_id = client_id(&headers).map(str::to_owned);
    let (weight, received) = apart(received.bytes.len(), move || Ok((weight::weigh(&received.bytes)?, received))).await?;
    let turn = shared.parsing.body(weight).await?;
    let sender = (caller.user.clone(), app.clone(), client_id);
    let event_key = shared.app.event_key().await?;
    let now = shared.app.now();
    let (pushed, share) = apart(received.bytes.len(), move || read(received, &sender, &event_key, now)).await?;
    let since = cursor(&pushed.since)?;
    let pull = Pull {
        user_id: caller.user,
        app_id: app,
        tables: BTreeSet::new(),
        since: since.micros(),
        not_client: Some(pushed.client_id),
        limit: PUSH_ROWS,
    };
    let has_changes = !pushed.changes.is_empty();
    let page = if has_changes { shared.app.push(pushed.changes, pull.clone()).await? } else { None };
    drop((turn, share));
    match answer(&shared, pull, page).await {
        // The changes are on disk, and a refusal would say that they are not.
        Err(why) if has_changes => {
            tracing::warn!(%why, "a push is kept; what others changed is to be pulled");
            Ok(Json(Answer::nothing_since(since)).into_response())
        }
        outcome => outcome,
    }
}

/// Reads a push. The share of its body is kept for what it became.
fn read(
    received: Received,
    (user, app, client): &(UserId, String, Option<String>),
    event_key: &EventKey,
    now: Timestamp,
) -> Result<(Pushed, Share), ApiError> {
    let Received { bytes, share } = received;
    let Json(push) =
        Json::<Push>::from_bytes(&json::with_whole_escapes(&bytes)).map_err(|error| ApiError::bad_request(&error.body_text()))?;
    drop(bytes);
    let sender = Sender { user_id: user, app_id: app, client_id: client.as_deref(), event_key: event_key.as_slice() };
    let pushed = push.read(sender, &time::iso_millis(now), Uuid::new_v4).map_err(|error| ApiError::bad_request(&error.to_string()))?;
    Ok((pushed, share))
}

/// Runs something on a thread of its own where its input is large.
async fn apart<T: Send + 'static>(size: usize, work: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
    if size <= READ_AT_ONCE {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| ApiError::internal(&error))?
}

/// A page of the log as an answer: one that was read with a push, or the one that is asked for.
async fn answer(shared: &ApiState, pull: Pull, page: Option<Page>) -> Result<Response, ApiError> {
    let mut share = shared.budget.share(Owner::User(pull.user_id.to_string()));
    // Who has no room left hears it before the log is read; turns bound what is read until its size is known.
    share.grow_to(LEAST_ANSWER)?;
    if let Some(page) = page {
        return answer::json(&Answer::new(page), share);
    }
    let turn = shared.turns.take(&pull.user_id).await?;
    let page = shared.app.pull(pull).await?;
    let size = if page.rows.is_empty() { 0 } else { PAGE };
    apart(size, move || {
        let _turn = turn;
        answer::json(&Answer::new(page), share)
    })
    .await
}

/// Lets a push in whose user is known. What a client sends that is refused is dropped as it comes, since whoever is still
/// sending does not hear that they were refused.
pub(super) async fn admit(State(shared): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match User::from_request_parts(&mut parts, &shared).await {
        Ok(user) => {
            parts.extensions.insert(user);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(why) => {
            let nothing = shared.budget.share(Owner::Others);
            let _ = receive(&parts.headers, body, nothing, 0, shared.max_body_bytes.saturating_mul(2)).await;
            why.into_response()
        }
    }
}

/// What other clients changed in one table
#[utoipa::path(
    get, path = "/sync/{appId}/pull", tag = "sync", security(("token" = [])),
    params(
        PullQuery, ("appId" = String, Path, description = "The app"),
        ("X-Client-Id" = Option<String>, Header, description = "Who asks; its own changes are left out"),
    ),
    responses(
        (status = 200, description = "At most 1,000 changes, the oldest first", body = Answer),
        (status = 400, description = "What is wrong with the request", body = ErrorBody),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 503, description = "Come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn pull(
    State(shared): State<Arc<ApiState>>,
    User(caller): User,
    AppId(app): AppId,
    Params(query): Params<PullQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if query.collection.is_empty() {
        return Err(ApiError::bad_request("`collection` must name a table"));
    }
    let pull = Pull {
        user_id: caller.user,
        app_id: app,
        tables: BTreeSet::from([query.collection]),
        since: cursor(query.since.as_deref().unwrap_or_default())?.micros(),
        not_client: client_id(&headers).map(str::to_owned),
        limit: PULL_ROWS,
    };
    answer(&shared, pull, None).await
}

pub(super) fn cursor(text: &str) -> Result<Cursor, ApiError> {
    Cursor::parse(text).ok_or_else(|| ApiError::bad_request("`since` must be the last syncedUntil, or be left out"))
}

/// The client that a request comes from.
pub(super) fn client_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-client-id").and_then(|value| value.to_str().ok()).map(str::trim).filter(|id| !id.is_empty())
}
