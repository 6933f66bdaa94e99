//! Who calls: a route that takes one of these is closed to everybody else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::ApiState;
use super::error::ApiError;
use crate::auth::{Claims, TokenRefused};

/// The user that a bearer token speaks for (RFC 6750).
#[derive(Clone)]
pub(super) struct User(pub Claims);

/// A caller with the service key.
pub(super) struct Service;

impl FromRequestParts<Arc<ApiState>> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<ApiState>) -> Result<Self, ApiError> {
        if let Some(known) = parts.extensions.get::<User>() {
            return Ok(known.clone());
        }
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            return Err(ApiError::unauthorized("this route requires the header Authorization: Bearer with a token"));
        };
        match shared.app.users().check(token.trim()).await {
            Ok(claims) => Ok(User(claims)),
            Err(TokenRefused::Unavailable) => Err(ApiError::unavailable(&TokenRefused::Unavailable.to_string())),
            Err(refused) => {
                tracing::debug!(%refused, "refused a caller");
                Err(ApiError::unauthorized(&refused.to_string()))
            }
        }
    }
}

impl FromRequestParts<Arc<ApiState>> for Service {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<ApiState>) -> Result<Self, ApiError> {
        let given = parts.headers.get("x-service-key").map(HeaderValue::as_bytes);
        match given.is_some_and(|given| shared.service_key.verify(given)) {
            true => Ok(Service),
            false => Err(ApiError::unauthorized("the header X-Service-Key is missing or wrong")),
        }
    }
}
