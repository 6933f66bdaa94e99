//! Tells an open page that something of its user changed; the page then asks for itself anew.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;

use super::Shared;
use super::page::Response;
use super::session::SignedIn;

pub(super) async fn stream(State(shared): State<Shared>, who: SignedIn) -> Response {
    let Ok(mailbox) = shared.hub.listen(&who.user, None, None) else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    let events = unfold(mailbox, |mailbox| async move {
        mailbox.news().await?;
        Some((Ok::<_, Infallible>(Event::default().event("changed").data("{}")), mailbox))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(30))).into_response()
}
