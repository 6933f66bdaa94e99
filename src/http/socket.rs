//! WebSocket: which tables changed; the rows are then pulled.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::{ApiError, ErrorBody};
use super::params::AppId;
use super::sync::client_id;
use crate::auth::Claims;
use crate::sync::Mailbox;

/// A client that does not say who it is in this time is sent away.
const TIME_TO_AUTH: Duration = Duration::from_secs(10);
/// A client that does not take a message in this time is gone.
const TIME_TO_TAKE: Duration = Duration::from_secs(30);
const MAX_MESSAGE: usize = 16 * 1024;
/// Sockets that have not said who they are.
pub(super) const STRANGERS: usize = 256;

/// Close codes of our own (RFC 6455, section 7.4.2).
const UNAUTHORIZED: u16 = 4401;
const TOO_MANY: u16 = 4429;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Said {
    #[serde(rename_all = "camelCase")]
    Auth {
        token: String,
        client_id: Option<String>,
    },
    Ping,
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
        (status = 426, description = "Not a WebSocket"), (status = 503, description = "Too many sockets wait to say who they are", body = ErrorBody))
)]
pub(super) async fn all(state: State<Arc<Shared>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Result<Response, ApiError> {
    open(&state, &headers, upgrade, None)
}

/// Notifications of one app
#[utoipa::path(
    get, path = "/ws/{appId}", tag = "sync", params(("appId" = String, Path, description = "The app")),
    responses((status = 101, description = "The connection becomes a WebSocket"), (status = 400, description = "Not a WebSocket"),
        (status = 426, description = "Not a WebSocket"), (status = 503, description = "Too many sockets wait to say who they are", body = ErrorBody))
)]
pub(super) async fn one(
    state: State<Arc<Shared>>,
    AppId(app): AppId,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    open(&state, &headers, upgrade, Some(app))
}

fn open(shared: &Arc<Shared>, headers: &HeaderMap, upgrade: WebSocketUpgrade, app: Option<String>) -> Result<Response, ApiError> {
    let stranger = Arc::clone(&shared.strangers).try_acquire_owned();
    let stranger = stranger.map_err(|_| ApiError::unavailable("too many sockets wait to say who they are; try again later"))?;
    let client = client_id(headers).map(str::to_owned);
    let shared = Arc::clone(shared);
    Ok(upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE).on_upgrade(move |mut socket| async move {
        let known = tokio::time::timeout(TIME_TO_AUTH, introduce(&mut socket, &shared)).await;
        drop(stranger);
        match known {
            Ok(Some((claims, said_client))) => serve(socket, &shared, claims, app, said_client.or(client)).await,
            Ok(None) => {}
            Err(_) => close(socket, UNAUTHORIZED, "no token came within 10 seconds").await,
        }
    }))
}

/// Waits for a good token.
async fn introduce(socket: &mut WebSocket, shared: &Shared) -> Option<(Claims, Option<String>)> {
    loop {
        match hear(socket).await? {
            Said::Auth { token, client_id } => match shared.users.check(&token).await {
                Ok(claims) => return Some((claims, client_id)),
                Err(refused) => {
                    let _ = tell(socket, &json!({"type": "auth-error", "message": refused.to_string()})).await;
                    let _ = socket.send(frame(UNAUTHORIZED, &refused.to_string())).await;
                    return None;
                }
            },
            Said::Ping => tell(socket, &json!({"type": "pong"})).await?,
            Said::Else => {}
        }
    }
}

/// Tells of changes until the client goes, the token expires or the program stops.
async fn serve(mut socket: WebSocket, shared: &Shared, claims: Claims, app: Option<String>, client: Option<String>) {
    let mailbox = match shared.hub.listen(&claims.user, app, client) {
        Ok(mailbox) => mailbox,
        Err(error) => return close(socket, TOO_MANY, &error.to_string()).await,
    };
    if tell(&mut socket, &json!({"type": "auth-ok"})).await.is_none() {
        return;
    }
    let left = claims.expires_at.duration_since(Timestamp::now());
    let expiry = tokio::time::sleep(Duration::try_from(left).unwrap_or_default());
    tokio::pin!(expiry);
    loop {
        tokio::select! {
            said = hear(&mut socket) => match said {
                Some(Said::Ping) => if tell(&mut socket, &json!({"type": "pong"})).await.is_none() { return },
                Some(_) => {}
                None => return,
            },
            news = pass_on(&mailbox) => match news {
                Some(messages) => for message in messages {
                    if tell(&mut socket, &message).await.is_none() { return }
                },
                None => return close(socket, 1001, "come back, and pull").await,
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
async fn hear(socket: &mut WebSocket) -> Option<Said> {
    loop {
        match socket.recv().await?.ok()? {
            Message::Text(text) if text.as_str().trim() == "ping" => return Some(Said::Ping),
            Message::Text(text) => return Some(serde_json::from_str(&text).unwrap_or(Said::Else)),
            Message::Close(_) => return None,
            // The library answers pings of the protocol.
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => {}
        }
    }
}

async fn tell(socket: &mut WebSocket, message: &Value) -> Option<()> {
    let sent = tokio::time::timeout(TIME_TO_TAKE, socket.send(Message::Text(message.to_string().into()))).await;
    sent.ok()?.ok()
}

fn frame(code: u16, reason: &str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: reason.into() }))
}

async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    // It may be gone already.
    let _ = tokio::time::timeout(TIME_TO_TAKE, socket.send(frame(code, reason))).await;
}
