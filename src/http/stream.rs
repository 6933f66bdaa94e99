//! Server-sent events: a client's tables as they change.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::budget::{Owner, Share};
use super::caller::User;
use super::error::{ApiError, ErrorBody};
use super::params::{AppId, Params};
use super::sync::{PAGE, client_id, cursor};
use crate::store::{Page, Pull};
use crate::sync::{ChangeOut, Cursor, Mailbox};
use crate::turns::Turn;

const HEARTBEAT: Duration = Duration::from_secs(30);
/// A stream looks this often whether there is room for it again.
const AGAIN: Duration = Duration::from_millis(500);
/// Rows that are held for a reader at a time.
const ROWS: usize = 500;

/// What to listen to, and from where.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Tables, separated by commas; nothing: all of the app
    collections: Option<String>,
    /// The last `syncedUntil`; nothing at first
    #[param(format = DateTime)]
    since: Option<String>,
}

/// The data of an event `changes`. An event accounts for every table of the stream up to its cursor.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changes {
    table: String,
    changes: Vec<ChangeOut>,
    /// The cursor to continue from
    synced_until: String,
    /// Whether more follows at once
    has_more: bool,
}

/// What other clients change, as it happens
#[utoipa::path(
    get, path = "/sync/{appId}/stream", tag = "sync", security(("token" = [])),
    params(
        StreamQuery, ("appId" = String, Path, description = "The app"),
        ("X-Client-Id" = Option<String>, Header, description = "Who listens; its own changes are left out"),
    ),
    responses(
        (status = 200, description = "Events `changes`, and a `heartbeat` every 30 seconds", body = Changes, content_type = "text/event-stream"),
        (status = 400, description = "What is wrong with the request", body = ErrorBody),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 429, description = "This user has too many streams open", body = ErrorBody),
    )
)]
pub(super) async fn stream(
    State(shared): State<Arc<ApiState>>,
    User(caller): User,
    AppId(app): AppId,
    Params(query): Params<StreamQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let client = client_id(&headers).map(str::to_owned);
    let since = cursor(query.since.as_deref().unwrap_or_default())?;
    let mailbox =
        shared.app.listen(&caller.user, Some(app.clone()), client.clone()).map_err(|error| ApiError::too_many(&error.to_string()))?;
    let tables = query.collections.iter().flat_map(|list| list.split(',')).map(str::trim).filter(|table| !table.is_empty());
    let pull = Pull {
        user_id: caller.user,
        app_id: app,
        tables: tables.map(str::to_owned).collect(),
        since: since.micros(),
        not_client: client,
        limit: ROWS,
    };
    let reader =
        StreamReader { shared: Arc::clone(&shared), pull, mailbox, ready: VecDeque::new(), held: None, expires_at: caller.expires_at };
    let events = unfold(reader, |mut reader| async {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).event(Event::default().event("heartbeat").data("{}"));
    Ok(Sse::new(events).keep_alive(heartbeat))
}

/// One stream. It reads the log only when its client has taken what was read before.
struct StreamReader {
    shared: Arc<ApiState>,
    pull: Pull,
    mailbox: Mailbox,
    ready: VecDeque<Event>,
    /// The share of what was read and is not taken yet. It is given back when the client asks for more: then all but the
    /// last few kilobytes are gone.
    held: Option<Share>,
    expires_at: Timestamp,
}

impl StreamReader {
    /// The next event; `None` ends the stream: the token expired, or the program stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let left = self.shared.app.now().until(self.expires_at).ok()?.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
            let left = Duration::try_from(left).ok()?;
            match self.read().await {
                Ok(true) => {}
                Ok(false) => drop(tokio::time::timeout(left, self.mailbox.news()).await.ok()??),
                Err(error) => {
                    // The client comes back, with its cursor.
                    tracing::warn!(%error, "a stream ends");
                    return None;
                }
            }
        }
    }

    /// Reads what is new; `false` where nothing is.
    async fn read(&mut self) -> Result<bool, ApiError> {
        self.held = None;
        let (turn, mut share) = self.room().await?;
        let page = self.shared.app.pull(self.pull.clone()).await?;
        self.pull.since = page.synced_until;
        let more = page.has_more;
        self.ready = events(page);
        drop(turn);
        if self.ready.is_empty() {
            share.shrink_to(0);
        }
        self.held = Some(share);
        Ok(more || !self.ready.is_empty())
    }

    /// Waits for a turn and for room for a page. What waits holds neither.
    async fn room(&self) -> Result<(Turn, Share), ApiError> {
        let user = &self.pull.user_id;
        loop {
            let turn = self.shared.turns.take(user).await?;
            let mut share = self.shared.budget.share(Owner::User(user.to_string()));
            if share.grow_to(PAGE).is_ok() {
                return Ok((turn, share));
            }
            drop(turn);
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// A page as events in the order of the log, one for each run of rows of one table, so that the cursor of each event
/// accounts for all that came before.
fn events(page: Page) -> VecDeque<Event> {
    let mut runs: Vec<Changes> = Vec::new();
    for row in page.rows {
        let synced_until = Cursor::at(row.sync_at).to_string();
        let change = ChangeOut::new(row);
        match runs.last_mut().filter(|run| run.table == change.table) {
            Some(run) => {
                run.synced_until = synced_until;
                run.changes.push(change);
            }
            None => runs.push(Changes { table: change.table.clone(), changes: vec![change], synced_until, has_more: true }),
        }
    }
    if let Some(last) = runs.last_mut() {
        last.synced_until = Cursor::at(page.synced_until).to_string();
        last.has_more = page.has_more;
    }
    runs.iter().filter_map(|run| Event::default().event("changes").json_data(run).ok()).collect()
}
