//! The HTTP surface (DESIGN, section 9).
//!
//! This room maps requests to the runner and the store and their errors to statuses, in one place. It decides
//! nothing about missions.

mod caller;
mod error;
mod me;
mod measure;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::json;
use tokio::net::TcpListener;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::auth::{ServiceKey, Users};
use crate::domain::time;
use crate::runner::Runner;
use crate::store::StoreResult;
use caller::Service;
use error::ApiError;

/// The result of a write probe serves all health checks of this long.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What the routes share.
pub struct Api {
    pub runner: Arc<Runner>,
    pub service_key: ServiceKey,
    pub users: Users,
    pub cors_origins: Vec<String>,
}

struct Shared {
    runner: Arc<Runner>,
    service_key: ServiceKey,
    users: Users,
    probe: tokio::sync::Mutex<Option<(Instant, StoreResult<()>)>>,
}

/// The server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; choose another address with --host and --port, or stop the program that uses it")]
pub struct ListenError {
    pub address: SocketAddr,
    pub cause: std::io::Error,
}

/// Takes the address.
///
/// # Errors
/// When another program has it, or it is not one of this machine.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| ListenError { address, cause })
}

/// All routes.
pub fn router(api: Api) -> Router {
    let cors = cors(&api.cors_origins);
    let metrics = Arc::clone(api.runner.metrics());
    let Api { runner, service_key, users, .. } = api;
    let shared = Arc::new(Shared { runner, service_key, users, probe: tokio::sync::Mutex::new(None) });
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(render_metrics))
        .route("/.well-known/jwks.json", get(public_keys))
        .route("/internal/tick", post(tick))
        .route("/api/v1/me/ai-audit", get(me::audit))
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(shared)
        .layer(cors)
        .layer(axum::middleware::from_fn_with_state(metrics, measure::measure))
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()))
    };
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("x-client-id")])
        .max_age(Duration::from_secs(600))
}

async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let mut probe = shared.probe.lock().await;
    let fresh = probe.as_ref().filter(|(at, _)| at.elapsed() < PROBE_EVERY).map(|(_, outcome)| outcome.clone());
    let outcome = match fresh {
        Some(outcome) => outcome,
        None => {
            let outcome = shared.runner.store().probe().await;
            *probe = Some((Instant::now(), outcome.clone()));
            outcome
        }
    };
    drop(probe);
    let about = |status: &str, ok: bool| {
        json!({
            "status": status, "ok": ok, "service": "mana-ai", "version": env!("CARGO_PKG_VERSION"),
            "time": time::iso_millis(Timestamp::now()),
        })
    };
    match outcome {
        Ok(()) => Json(about("ok", true)).into_response(),
        Err(error) => {
            // The reason names paths of this machine, so it goes to the log and not to whoever asks.
            tracing::error!(%error, "the database cannot be written");
            let mut body = about("unavailable", false);
            body["reason"] = "the database cannot be written; see the log".into();
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

async fn render_metrics(State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    shared.runner.observe_store().await?;
    let text = shared.runner.metrics().render().map_err(|error| ApiError::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

async fn public_keys(State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    let keys = shared.users.public_keys().ok_or_else(ApiError::not_found)?;
    Ok(Json(keys).into_response())
}

async fn tick(_: Service, State(shared): State<Arc<Shared>>) -> Result<Response, ApiError> {
    let (stats, _) = shared.runner.tick().await?.settle().await;
    Ok(Json(stats.to_json()).into_response())
}
