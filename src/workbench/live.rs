//! Tells an open page that something of its user changed; the page then asks for itself anew.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;

use super::Shared;
use super::page::{Failed, Response};
use super::session::Visitor;
use crate::sync::Mailbox;

pub(super) async fn stream(State(shared): State<Shared>, visitor: Visitor) -> Result<Response, Failed> {
    let user = visitor.user.ok_or(Failed::NoUser)?;
    let Ok(mailbox) = shared.app.listen(&user, None, None) else {
        return Ok(StatusCode::TOO_MANY_REQUESTS.into_response());
    };
    // The first event tells where the log is, so that a page that was made a moment before knows whether it is stale.
    let listener = Listener { shared: Arc::clone(&shared), key: visitor.key, mailbox, is_new: true };
    let events = unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(30))).into_response())
}

struct Listener {
    shared: Shared,
    key: String,
    mailbox: Mailbox,
    is_new: bool,
}

impl Listener {
    /// Waits for news and says how far the log has come; `None` ends the stream: the program stops, or the session ended.
    async fn next(&mut self) -> Option<Event> {
        if !std::mem::take(&mut self.is_new) {
            self.mailbox.news().await?;
        }
        self.shared.app.session(&self.key).await.ok().flatten()?;
        let seq = self.shared.app.last_seq().await.ok()?;
        Some(Event::default().event("changed").data(seq.to_string()))
    }
}
