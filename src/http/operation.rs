//! For whoever runs the server: health, metrics, a tick by hand, public keys and this document.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::caller::Service;
use super::error::{ApiError, ErrorBody, MOVED};
use super::{ApiState, OPENAPI};
use crate::domain::time;
use crate::store::StoreError;

/// Whether the server can do its work: answer, and write
#[utoipa::path(
    get, path = "/health", tag = "operation",
    responses((status = 200, description = "It works", body = Object), (status = 503, description = "The database cannot be written", body = Object))
)]
pub(super) async fn health(State(shared): State<Arc<ApiState>>) -> Response {
    let about = |status: &str, ok: bool| {
        json!({
            "status": status, "ok": ok, "service": "mana-ai", "version": env!("CARGO_PKG_VERSION"),
            "time": time::iso_millis(shared.app.now()),
        })
    };
    match shared.app.can_write().await {
        Ok(()) => Json(about("ok", true)).into_response(),
        Err(error) => {
            // The reason names paths of this machine, so it goes to the log and not to whoever asks.
            tracing::error!(%error, "the database cannot be written");
            let mut body = about("unavailable", false);
            let moved = matches!(error, StoreError::Moved { .. });
            body["reason"] = if moved { MOVED } else { "the database cannot be written; see the log" }.into();
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Metrics in the text form of Prometheus
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 503, description = "Come back after Retry-After", body = ErrorBody))
)]
pub(super) async fn metrics(State(shared): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    shared.app.observe().await?;
    let text = shared.app.metrics().render().map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// The public keys of the tokens that this server signs; an identity provider serves its own
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "operation",
    responses((status = 200, description = "A JSON Web Key Set", body = Object), (status = 404, description = "The keys are those of JWKS_URL", body = ErrorBody))
)]
pub(super) async fn public_keys(State(shared): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let keys = shared.app.users().public_keys().ok_or_else(ApiError::not_found)?;
    Ok(Json(keys).into_response())
}

/// Look for due missions now, and answer the statistics once their runs have settled
#[utoipa::path(
    post, path = "/internal/tick", tag = "operation", security(("serviceKey" = [])),
    responses(
        (status = 200, description = "The statistics of the pass", body = Object),
        (status = 401, description = "The service key is missing or wrong", body = ErrorBody),
        (status = 503, description = "Come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn tick(_: Service, State(shared): State<Arc<ApiState>>) -> Result<Response, ApiError> {
    let (stats, _) = shared.app.tick().await?;
    Ok(Json(stats.to_json()).into_response())
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "operation", responses((status = 200, body = Object)))]
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI.clone()).into_response()
}
