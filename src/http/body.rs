//! Reading the bodies of requests: within limits of size and time, and counted in the budget of the server.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::budget::{Budget, Owner, Share, UsedUp};
use super::error::ApiError;

/// The largest form of somebody who is not known yet, and of most pages, in bytes.
const MAX_SMALL: usize = 64 * 1024;
/// The largest form that carries the texts of a record, of somebody with a session: encoded, a text takes up to three times
/// its bytes.
const MAX_OF_RECORD: usize = 2 * 1024 * 1024;
/// What a body may take at least, and at most for each byte of it: a slow line moves more.
const LEAST_TIME: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: usize = 16 * 1024;
/// A body from which nothing comes in this time is not waited for.
const SILENCE: Duration = Duration::from_secs(30);

/// A body in memory, and its share of the budget.
pub(super) struct Received {
    pub bytes: Vec<u8>,
    pub share: Share,
}

/// Reads a body of at most `limit` bytes. What cannot be taken is still read and dropped up to `drained` bytes, since a
/// client that is still sending does not listen to an answer.
pub(super) async fn receive(headers: &HeaderMap, mut body: Body, share: Share, limit: usize, drained: usize) -> Result<Received, ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let mut received = Received { bytes: Vec::new(), share };
    let (mut total, mut refused) = (0_usize, None);
    let started = Instant::now();
    loop {
        let allowed = LEAST_TIME + Duration::from_secs((total / BYTES_PER_SECOND) as u64);
        let deadline = (started + allowed).min(Instant::now() + SILENCE);
        let late = |_| ApiError::bad_request("the body came too slowly");
        let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(late)? else { break };
        let data = frame.map_err(|_| ApiError::bad_request("the body could not be read to its end"))?.into_data().unwrap_or_default();
        total = total.saturating_add(data.len());
        // A body that unpacks from what is here already must not keep the thread to itself.
        tokio::task::consume_budget().await;
        if refused.is_none()
            && let Err(why) = received.keep(&data, limit, announced)
        {
            received.bytes = Vec::new();
            received.share.shrink_to(0);
            refused = Some(why);
        }
        if refused.is_some() && total > drained {
            break;
        }
    }
    match refused {
        Some(why) => Err(why),
        None => Ok(received),
    }
}

impl Received {
    fn keep(&mut self, data: &[u8], limit: usize, announced: Option<usize>) -> Result<(), ApiError> {
        let size = self.bytes.len().saturating_add(data.len());
        if size > limit {
            return Err(ApiError::too_large(&format!("a body of at most {limit} bytes is taken here; send it in parts")));
        }
        self.share.grow_to(size)?;
        if self.bytes.is_empty() {
            // Room that is announced and not used takes no memory.
            self.bytes.reserve_exact(announced.unwrap_or(data.len()).min(limit));
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

impl From<UsedUp> for ApiError {
    fn from(error: UsedUp) -> Self {
        ApiError::unavailable(&error.to_string())
    }
}

/// Reads the body of a form before its page sees it, so that a slow or large one holds up nothing but itself.
pub(super) async fn small(State(budget): State<Arc<Budget>>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    if is_encoded(request.headers()) {
        return ApiError::unsupported("this route takes no compressed body; send it as it is").into_response();
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let of_record =
        parts.headers.contains_key(header::COOKIE) && ["/missions", "/agents", "/records"].iter().any(|of| path.starts_with(of));
    let limit = if of_record { MAX_OF_RECORD } else { MAX_SMALL };
    match receive(&parts.headers, body, budget.share(Owner::Others), limit, limit.saturating_mul(2)).await {
        Ok(Received { bytes, share }) => next.run(Request::from_parts(parts, Body::from(share.hold(bytes)))).await,
        Err(why) => why.into_response(),
    }
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity")
}
