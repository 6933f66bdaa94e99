//! Errors as clients of the HTTP surface see them: `{error: {code, message}}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoreError;

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

#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        ApiError { status, code, message: message.into() }
    }

    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "there is no such route")
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
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
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
        if error.is_passing() || matches!(error, StoreError::Stopped) {
            tracing::warn!(%error, "a request cannot be served now");
            return Self::unavailable("the database cannot serve this now; try again later");
        }
        // What its user wrote breaks a limit.
        if let StoreError::Refused { refusal, .. } = &error {
            return Self::bad_request(&refusal.to_string());
        }
        Self::internal(&error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { error: ErrorText { code: self.code, message: self.message } };
        let mut response = (self.status, Json(body)).into_response();
        let told = match self.status {
            // RFC 9110, section 11.6.1: a refusal names the scheme.
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, HeaderValue::from_static("2"))),
            _ => None,
        };
        response.headers_mut().extend(told);
        response
    }
}
