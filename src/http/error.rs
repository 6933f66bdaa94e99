//! Errors as clients of the HTTP surface see them: `{error: {code, message}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::ceilings::OverCeiling;
use crate::store::StoreError;
use crate::turns::Busy;

/// How every error looks.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorText,
}

#[derive(Serialize, ToSchema)]
struct ErrorText {
    /// A word for programs
    code: &'static str,
    /// A sentence for people
    message: String,
}

/// Why nothing is written where the open file is not the one at its path. It names no path, since anybody may ask.
pub(super) const MOVED: &str =
    "the database is no longer the file at its path: it was moved, removed or replaced; put it back, or restart the server";

#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Seconds after which the same request may succeed.
    retry_after: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError { status, code, message: message.into(), retry_after: None }
    }

    fn over_ceiling(ceiling: OverCeiling) -> Self {
        let retry_after = match ceiling {
            OverCeiling::RowsPerMinute { again_in, .. } => Some(again_in),
            // Time does not help.
            OverCeiling::Rows { .. } | OverCeiling::Bytes { .. } => None,
        };
        let message = format!("nothing of this push was kept: {ceiling}");
        ApiError { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "over-ceiling", message) }
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is no such route")
    }

    pub fn no_step() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "the caller has no step or iteration of this id")
    }

    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this route does not take this method")
    }

    pub fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    pub fn too_large(message: &str) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
    }

    pub fn unsupported(message: &str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported", message)
    }

    pub fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// The request is for a host that is not this server (RFC 9110, section 15.5.20).
    pub fn misdirected(host: Option<&str>) -> Self {
        let host =
            host.map_or("names no host".to_owned(), |host| format!("is for the host {:?}", host.chars().take(100).collect::<String>()));
        let message = format!(
            "the request {host}, which is not a name of this server; set MANA_AI_PUBLIC_URL to the address under which it is reached"
        );
        Self::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", message)
    }

    pub fn too_many(message: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", message)
    }

    pub fn unavailable(message: &str) -> Self {
        ApiError { retry_after: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message) }
    }

    pub fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// The cause goes to the log; it may name paths of this machine.
    pub fn internal(cause: &dyn std::error::Error) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the request failed; see the log of the server")
    }
}

/// The message for people.
impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if let StoreError::OverCeiling(ceiling) = error {
            return Self::over_ceiling(ceiling);
        }
        if matches!(error, StoreError::Moved { .. }) {
            tracing::error!(%error, "a request cannot be served");
            return Self::unavailable(MOVED);
        }
        if error.is_passing() || matches!(error, StoreError::Stopped) {
            tracing::warn!(%error, "a request cannot be served now");
            return Self::unavailable("the database cannot serve this now; try again later");
        }
        if let StoreError::Removed { .. } = &error {
            return Self::forbidden("this user was removed from the server");
        }
        // What its user wrote breaks a limit.
        if let StoreError::Refused { refusal, .. } = &error {
            return Self::bad_request(&refusal.to_string());
        }
        if let StoreError::Unfit { reason, .. } = &error {
            return Self::bad_request(&format!("the database cannot hold this: {reason}"));
        }
        Self::internal(&error)
    }
}

impl From<Busy> for ApiError {
    fn from(error: Busy) -> Self {
        Self::unavailable(&error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: ErrorText { code: self.code, message: self.message } };
        let mut response = (self.status, Json(body)).into_response();
        // RFC 9110, section 11.6.1: a refusal names the scheme.
        let bearer = (self.status == StatusCode::UNAUTHORIZED).then(|| (header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        response.headers_mut().extend(bearer);
        response.headers_mut().extend(self.retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))));
        response
    }
}
