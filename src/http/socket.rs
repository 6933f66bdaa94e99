//! WebSocket: which tables changed; the rows are then pulled.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::ApiState;
use super::error::{ApiError, ErrorBody};
use super::params::AppId;
use super::sync::client_id;
use crate::auth::Claims;
use crate::sync::{Mailbox, TooMany};

/// A client that does not say who it is in this time is sent away.
const TIME_TO_AUTH: Duration = Duration::from_secs(10);
/// A client that does not take a message in this time is gone.
const TIME_TO_TAKE: Duration = Duration::from_secs(30);
/// The longest message of a client: a token is at most 8 KB.
const MAX_MESSAGE: usize = 16 * 1024;
/// What the library sets aside for a socket before it reads; its own default is 128 KB.
const BUFFER: usize = 4 * 1024;
/// A client that says nothing is asked for a sign of life this often, and is gone when none came until the next time.
const ALIVE_EVERY: Duration = Duration::from_secs(60);
/// Sockets that have not said who they are. One more closes the oldest of them: a client says it at once, so whoever only
/// holds places loses them to those who come.
const MAX_UNAUTHENTICATED: usize = 256;

/// RFC 6455, section 7.4.1.
const GOING_AWAY: u16 = 1001;
/// Close codes of our own (RFC 6455, section 7.4.2).
const UNAUTHORIZED: u16 = 4401;
const TOO_MANY: u16 = 4429;

/// The sockets that have not said who they are, the oldest first.
#[derive(Default)]
pub(super) struct Unauthenticated {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    places: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A place among them, which is given up when it is dropped.
struct WaitingPlace {
    number: u64,
    waiting: Arc<Mutex<Waiting>>,
    /// Resolves when somebody else takes the place.
    lost: oneshot::Receiver<()>,
}

impl Unauthenticated {
    fn enter(&self) -> WaitingPlace {
        let (lose, lost) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        if waiting.places.len() >= MAX_UNAUTHENTICATED {
            // Dropping the sender tells its socket.
            waiting.places.pop_front();
        }
        waiting.last += 1;
        let number = waiting.last;
        waiting.places.push_back((number, lose));
        WaitingPlace { number, waiting: Arc::clone(&self.waiting), lost }
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        lock(&self.waiting).places.retain(|(number, _)| *number != self.number);
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum ClientMessage {
    #[serde(rename_all = "camelCase")]
    Auth {
        token: String,
        client_id: Option<String>,
    },
    Ping,
    /// A sign of life of the protocol itself.
    #[serde(skip)]
    Alive,
    #[serde(other)]
    Else,
}

/// Notifications of all apps
///
/// The client sends `{"type":"auth","token"}` within 10 seconds and gets `{"type":"auth-ok"}`. After a push by another
/// client of this user it gets `{"type":"sync-available","appId","tables"}`; no tables means any. `ping` is answered by
/// `pong`.
#[utoipa::path(
    get, path = "/ws", tag = "sync",
    responses((status = 101, description = "The connection becomes a WebSocket"), (status = 400, description = "Not a WebSocket"),
        (status = 403, description = "A page of another origin", body = ErrorBody), (status = 426, description = "Not a WebSocket"))
)]
pub(super) async fn all(state: State<Arc<ApiState>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Result<Response, ApiError> {
    open(&state, &headers, upgrade, None)
}

/// Notifications of one app
#[utoipa::path(
    get, path = "/ws/{appId}", tag = "sync", params(("appId" = String, Path, description = "The app")),
    responses((status = 101, description = "The connection becomes a WebSocket"), (status = 400, description = "Not a WebSocket"),
        (status = 403, description = "A page of another origin", body = ErrorBody), (status = 426, description = "Not a WebSocket"))
)]
pub(super) async fn one(
    state: State<Arc<ApiState>>,
    AppId(app): AppId,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    open(&state, &headers, upgrade, Some(app))
}

fn open(shared: &Arc<ApiState>, headers: &HeaderMap, upgrade: WebSocketUpgrade, app: Option<String>) -> Result<Response, ApiError> {
    if !shared.hosts.takes_origin(headers) {
        return Err(ApiError::forbidden("pages of this origin may not open a WebSocket here; add it to CORS_ORIGINS if they should"));
    }
    let client = client_id(headers).map(str::to_owned);
    let shared = Arc::clone(shared);
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).read_buffer_size(BUFFER).write_buffer_size(0);
    Ok(upgrade.on_upgrade(move |mut socket| async move {
        let mut place = shared.unauthenticated.enter();
        let known = tokio::select! {
            known = tokio::time::timeout(TIME_TO_AUTH, introduce(&mut socket, &shared)) => known,
            () = shared.app.listeners_closed() => return close(socket, GOING_AWAY, "the server stops").await,
            _ = &mut place.lost => return close(socket, TOO_MANY, "too many unauthenticated WebSockets").await,
        };
        drop(place);
        match known {
            Ok(Some((claims, said_client))) => {
                let mailbox = shared.app.listen(&claims.user, app, said_client.or(client));
                serve(socket, mailbox, claims.expires_at.duration_since(shared.app.now())).await;
            }
            Ok(None) => {}
            Err(_) => close(socket, UNAUTHORIZED, "no token came within 10 seconds").await,
        }
    }))
}

/// Waits for a good token.
async fn introduce(socket: &mut WebSocket, shared: &ApiState) -> Option<(Claims, Option<String>)> {
    loop {
        match hear(socket).await? {
            ClientMessage::Auth { token, client_id } => match shared.app.users().check(&token).await {
                Ok(claims) => return Some((claims, client_id)),
                Err(refused) => {
                    let _ = tell(socket, &json!({"type": "auth-error", "message": refused.to_string()})).await;
                    let _ = tokio::time::timeout(TIME_TO_TAKE, socket.send(frame(UNAUTHORIZED, &refused.to_string()))).await;
                    return None;
                }
            },
            ClientMessage::Ping => tell(socket, &json!({"type": "pong"})).await?,
            ClientMessage::Else | ClientMessage::Alive => {}
        }
    }
}

/// Tells of changes until the client goes, its token expires or the program stops.
async fn serve(mut socket: WebSocket, mailbox: Result<Mailbox, TooMany>, left: SignedDuration) {
    let mailbox = match mailbox {
        Ok(mailbox) => mailbox,
        Err(error) => return close(socket, TOO_MANY, &error.to_string()).await,
    };
    if tell(&mut socket, &json!({"type": "auth-ok"})).await.is_none() {
        return;
    }
    let expiry = tokio::time::sleep(Duration::try_from(left).unwrap_or_default());
    tokio::pin!(expiry);
    let mut look = tokio::time::interval_at(tokio::time::Instant::now() + ALIVE_EVERY, ALIVE_EVERY);
    let mut heard = true;
    loop {
        tokio::select! {
            said = hear(&mut socket) => {
                heard = true;
                match said {
                    Some(ClientMessage::Ping) => if tell(&mut socket, &json!({"type": "pong"})).await.is_none() { return },
                    Some(_) => {}
                    None => return,
                }
            },
            _ = look.tick() => {
                if !std::mem::take(&mut heard) {
                    return close(socket, GOING_AWAY, "no sign of life came").await;
                }
                if send(&mut socket, Message::Ping(Bytes::new())).await.is_none() { return }
            },
            news = pass_on(&mailbox) => match news {
                Some(messages) => for message in messages {
                    if tell(&mut socket, &message).await.is_none() { return }
                },
                None => return close(socket, GOING_AWAY, "come back, and pull").await,
            },
            () = &mut expiry => return close(socket, UNAUTHORIZED, "the token has expired").await,
        }
    }
}

async fn pass_on(mailbox: &Mailbox) -> Option<Vec<Value>> {
    let news = mailbox.news().await?;
    Some(news.into_iter().map(|(app, tables)| json!({"type": "sync-available", "appId": app, "tables": tables})).collect())
}

/// What the client says next; `None` once it is gone.
async fn hear(socket: &mut WebSocket) -> Option<ClientMessage> {
    match socket.recv().await?.ok()? {
        Message::Text(text) if text.as_str().trim() == "ping" => Some(ClientMessage::Ping),
        Message::Text(text) => Some(serde_json::from_str(&text).unwrap_or(ClientMessage::Else)),
        Message::Close(_) => None,
        // The library answers pings of the protocol.
        Message::Ping(_) | Message::Pong(_) => Some(ClientMessage::Alive),
        Message::Binary(_) => Some(ClientMessage::Else),
    }
}

async fn tell(socket: &mut WebSocket, message: &Value) -> Option<()> {
    send(socket, Message::Text(message.to_string().into())).await
}

async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    tokio::time::timeout(TIME_TO_TAKE, socket.send(message)).await.ok()?.ok()
}

fn frame(code: u16, reason: &str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    // It may be gone already.
    let _ = tokio::time::timeout(TIME_TO_TAKE, socket.send(frame(code, reason))).await;
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use futures_util::StreamExt;
    use tokio::time::{Instant, timeout};
    use tokio_tungstenite::connect_async;
    use tokio_tungstenite::tungstenite::Message as Heard;

    use super::*;
    use crate::http::connections;
    use crate::sync::Hub;

    /// Where sockets of one user are served whose token holds for a day.
    async fn address() -> String {
        let listener = connections::listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = format!("ws://{}/", listener.local_addr().unwrap());
        let hub = Arc::new(Hub::default());
        let socket = |upgrade: WebSocketUpgrade| async move {
            upgrade.on_upgrade(move |socket| async move {
                serve(socket, hub.listen(&"ada".into(), None, None), SignedDuration::from_hours(24)).await;
            })
        };
        tokio::spawn(connections::serve(listener, Router::new().route("/", get(socket)), std::future::pending()));
        address
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_without_a_sign_of_life_is_closed_and_one_with_it_stays() {
        let address = address().await;
        let (mut silent, _) = connect_async(&address).await.unwrap();
        let (mut alive, _) = connect_async(&address).await.unwrap();
        assert!(alive.next().await.unwrap().unwrap().is_text(), "auth-ok");
        // Whoever reads answers pings; nobody reads the other socket.
        let reads = timeout(10 * ALIVE_EVERY, async {
            loop {
                assert!(alive.next().await.unwrap().unwrap().is_ping(), "it stays open");
            }
        });
        assert!(reads.await.is_err());
        let said: Vec<_> = silent.by_ref().filter_map(|heard| async { heard.ok() }).collect().await;
        assert!(
            matches!(said.as_slice(), [Heard::Text(_), Heard::Ping(_), Heard::Close(Some(close))] if u16::from(close.code) == 1001),
            "{said:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn pings_that_nobody_reads_the_answers_of_do_not_keep_a_socket() {
        let (mut socket, _) = connect_async(&address().await).await.unwrap();
        let started = Instant::now();
        let asks = async {
            use futures_util::SinkExt;
            while socket.send(Heard::text("ping")).await.is_ok() {}
        };
        assert!(timeout(10 * TIME_TO_TAKE, asks).await.is_ok(), "it is closed");
        assert!(started.elapsed() >= TIME_TO_TAKE);
    }
}
