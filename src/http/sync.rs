//! Push and pull.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::SemaphorePermit;
use utoipa::IntoParams;
use uuid::Uuid;

use super::Shared;
use super::caller::User;
use super::error::{ApiError, ErrorBody};
use super::params::{AppId, Params};
use crate::domain::time;
use crate::store::Pull;
use crate::sync::{Answer, Cursor, Push, Sender};

/// The largest body of a push, in bytes.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// Bytes beyond which the rest of a body is not even read.
const MAX_DRAINED: usize = 4 * MAX_BODY;
/// All bodies that are read and written at the same time, in KB: what pushes may take of the memory.
pub(super) const INTAKE_KB: usize = 64 * 1024;
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(60);
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
        (status = 413, description = "The body is larger than 10 MB", body = ErrorBody),
        (status = 503, description = "Nothing was kept; come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn push(
    State(shared): State<Arc<Shared>>,
    caller: Result<User, ApiError>,
    AppId(app): AppId,
    headers: HeaderMap,
    request: Request,
) -> Result<Json<Answer>, ApiError> {
    let admitted = caller.and_then(|User(caller)| Ok((caller, room_for(&shared, &request)?)));
    let (caller, _room) = match admitted {
        Ok(admitted) => admitted,
        Err(why) => return Err(refuse(request, why).await),
    };
    let body = read_body(request, MAX_BODY).await?;
    let store = shared.runner.store();
    if store.is_overloaded() {
        return Err(ApiError::unavailable("more waits to be written than this server takes; try again later"));
    }
    let Json(push) = Json::<Push>::from_bytes(&body).map_err(|error| ApiError::bad_request(&error.body_text()))?;
    drop(body);
    let client_id = client_id(&headers);
    let sender = Sender { user_id: &caller.user, app_id: &app, client_id };
    let now = time::iso_millis(Timestamp::now());
    let pushed = push.read(sender, &now, Uuid::new_v4).map_err(|error| ApiError::bad_request(&error.to_string()))?;
    let since = cursor(&pushed.since)?;
    if !pushed.changes.is_empty() {
        store.push(pushed.changes).await?;
    }
    let pull = Pull {
        user_id: caller.user,
        app_id: app,
        tables: BTreeSet::new(),
        since: since.micros(),
        not_client: Some(pushed.client_id),
        limit: PUSH_ROWS,
    };
    Ok(Json(Answer::new(store.pull(pull).await?)))
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
    State(shared): State<Arc<Shared>>,
    User(caller): User,
    AppId(app): AppId,
    Params(query): Params<PullQuery>,
    headers: HeaderMap,
) -> Result<Json<Answer>, ApiError> {
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
    Ok(Json(Answer::new(shared.runner.store().pull(pull).await?)))
}

pub(super) fn cursor(text: &str) -> Result<Cursor, ApiError> {
    Cursor::parse(text).ok_or_else(|| ApiError::bad_request("`since` must be the last syncedUntil, or be left out"))
}

/// The client that a request comes from.
pub(super) fn client_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-client-id").and_then(|value| value.to_str().ok()).map(str::trim).filter(|id| !id.is_empty())
}

/// Room for a body in the memory, its size unread. It is given back when the changes are written.
fn room_for<'a>(shared: &'a Shared, request: &Request) -> Result<SemaphorePermit<'a>, ApiError> {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    // What is compressed, or comes without a length, may become as large as any.
    let plain = headers.get(header::CONTENT_ENCODING).is_none();
    let bytes = length.filter(|_| plain).unwrap_or(MAX_BODY);
    let kilobytes = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
    let room = shared.intake.try_acquire_many(kilobytes);
    room.map_err(|_| ApiError::unavailable("this server takes in as much as it can; try again later"))
}

fn too_large() -> ApiError {
    ApiError::too_large("a push takes at most 10 MB; send it in parts")
}

/// Reads a body of at most `limit` bytes. What comes beyond is read and dropped for a while, since a client that is still
/// sending does not listen to an answer.
async fn read_body(request: Request, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    let mut total = 0;
    let read = async {
        while let Some(frame) = body.frame().await {
            let data = frame.map_err(|_| ApiError::bad_request("the body could not be read to its end"))?.into_data().unwrap_or_default();
            total += data.len();
            match total {
                fits if fits <= limit => bytes.extend_from_slice(&data),
                over if over <= MAX_DRAINED => bytes = Vec::new(),
                _ => break,
            }
        }
        if total > limit { Err(too_large()) } else { Ok(bytes) }
    };
    let late = || ApiError::bad_request("the body took longer than a minute");
    tokio::time::timeout(BODY_TIME, read).await.map_err(|_| late())?
}

/// Lets a client finish its sending before it hears that it was refused.
async fn refuse(request: Request, why: ApiError) -> ApiError {
    // Whatever comes of the body, the answer is the refusal.
    let _ = read_body(request, 0).await;
    why
}
