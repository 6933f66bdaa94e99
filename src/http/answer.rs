//! Answers that are counted in the budget for as long as they wait to be taken.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;

use super::budget::{Budget, Owner, Share};
use super::error::ApiError;
use crate::turns::AnswerFor;

/// Answers up to this size are not counted: the socket takes them at once.
const SMALL: u64 = 4 * 1024;

/// Says that an answer has its share already.
#[derive(Clone)]
struct Counted;

/// Whether a person reads the answer, as a browser shows it.
pub(super) fn is_for_browser(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

/// JSON that holds its share.
pub(super) fn json(value: &impl Serialize, mut share: Share) -> Result<Response, ApiError> {
    let bytes = serde_json::to_vec(value).map_err(|error| ApiError::internal(&error))?;
    share.grow_to(bytes.len())?;
    let mut response = ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], share.hold(bytes)).into_response();
    response.extensions_mut().insert(Counted);
    Ok(response)
}

/// Counts every other answer that is in memory as a whole.
pub(super) async fn count(State(budget): State<Arc<Budget>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let size = response.body().size_hint().exact().filter(|size| *size > SMALL);
    let Some(size) = size.filter(|_| response.extensions().get::<Counted>().is_none()) else { return response };
    let owner = response.extensions().get::<AnswerFor>().map_or(Owner::Others, |AnswerFor(user)| Owner::User(user.clone()));
    let mut share = budget.share(owner);
    if let Err(why) = share.grow_to(usize::try_from(size).unwrap_or(usize::MAX)) {
        return ApiError::from(why).into_response();
    }
    let (parts, body) = response.into_parts();
    match body.collect().await {
        Ok(whole) => {
            let bytes: Bytes = whole.to_bytes();
            Response::from_parts(parts, Body::from(share.hold(bytes)))
        }
        Err(error) => ApiError::internal(&error).into_response(),
    }
}
