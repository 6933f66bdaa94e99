//! Push and pull.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::IntoParams;
use uuid::Uuid;

use super::Shared;
use super::caller::User;
use super::error::{ApiError, ErrorBody};
use super::params::{AppId, Params};
use crate::domain::json;
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
    let caller = match caller {
        Ok(User(caller)) => caller,
        Err(why) => {
            // A client that is still sending does not hear that it was refused.
            let _ = Body::new(&shared.intake, 0).read(request).await;
            return Err(why);
        }
    };
    let mut body = Body::new(&shared.intake, MAX_BODY);
    body.read(request).await?;
    let store = shared.runner.store();
    if store.is_overloaded() {
        return Err(ApiError::unavailable("more waits to be written than this server takes; try again later"));
    }
    if json::would_change(&body.bytes) {
        return Err(ApiError::bad_request(json::NOT_KEPT));
    }
    let Json(push) = Json::<Push>::from_bytes(&body.bytes).map_err(|error| ApiError::bad_request(&error.body_text()))?;
    body.bytes = Vec::new();
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

/// A body in the memory, and its share of the room for all of them, which is given back when the changes are written.
struct Body<'a> {
    bytes: Vec<u8>,
    limit: usize,
    intake: &'a Semaphore,
    room: Option<SemaphorePermit<'a>>,
}

impl<'a> Body<'a> {
    fn new(intake: &'a Semaphore, limit: usize) -> Self {
        Body { bytes: Vec::new(), limit, intake, room: None }
    }

    /// Reads a request's body, uncompressed. What cannot be taken is still read and dropped for a while, since a client
    /// that is still sending does not listen to an answer.
    async fn read(&mut self, request: Request) -> Result<(), ApiError> {
        let mut body = request.into_body();
        let (mut total, mut refused) = (0, None);
        let read = async {
            while let Some(frame) = body.frame().await {
                let data =
                    frame.map_err(|_| ApiError::bad_request("the body could not be read to its end"))?.into_data().unwrap_or_default();
                total += data.len();
                if total > MAX_DRAINED {
                    break;
                }
                if refused.is_none()
                    && let Err(why) = self.keep(&data)
                {
                    (self.bytes, self.room) = (Vec::new(), None);
                    refused = Some(why);
                }
            }
            refused.map_or(Ok(()), Err)
        };
        let late = |_| ApiError::bad_request("the body took longer than a minute");
        tokio::time::timeout(BODY_TIME, read).await.map_err(late)?
    }

    fn keep(&mut self, data: &[u8]) -> Result<(), ApiError> {
        let size = self.bytes.len() + data.len();
        if size > self.limit {
            return Err(ApiError::too_large("a push takes at most 10 MB; send it in parts"));
        }
        let kilobytes = size / 1024 + 1;
        let missing = kilobytes.saturating_sub(self.room.as_ref().map_or(0, SemaphorePermit::num_permits));
        if missing > 0 {
            let more = self.intake.try_acquire_many(u32::try_from(missing).unwrap_or(u32::MAX));
            let more = more.map_err(|_| ApiError::unavailable("this server takes in as much as it can; try again later"))?;
            match &mut self.room {
                Some(room) => room.merge(more),
                room => *room = Some(more),
            }
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}
