//! The HTTP surface (DESIGN, section 9).
//!
//! This room maps requests to the runner and the store and their errors to statuses, in one place. It decides
//! nothing about missions.

mod caller;
mod connections;
mod error;
mod me;
mod measure;
mod openapi;
mod operation;
mod params;
mod socket;
mod stream;
mod sync;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderName, HeaderValue, Method, header};
use tokio::sync::Semaphore;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{ServiceKey, Users};
use crate::runner::Runner;
use crate::store::StoreResult;
use crate::sync::Hub;
pub use connections::{ListenError, listen, serve};
use error::ApiError;

/// What the routes share.
pub struct Api {
    pub runner: Arc<Runner>,
    pub service_key: ServiceKey,
    pub users: Arc<Users>,
    /// Told of changes; the streams of clients listen to it.
    pub hub: Arc<Hub>,
    pub cors_origins: Vec<String>,
    /// Pages that are served beside the routes.
    pub pages: Router,
}

struct Shared {
    runner: Arc<Runner>,
    service_key: ServiceKey,
    users: Arc<Users>,
    hub: Arc<Hub>,
    /// Kilobytes of pushes that may still be taken in.
    intake: Semaphore,
    /// Sockets that may still come without having said who they are.
    strangers: Arc<Semaphore>,
    /// The last write probe and when it was made.
    probe: tokio::sync::Mutex<Option<(Instant, StoreResult<()>)>>,
    openapi: OnceLock<String>,
}

/// All routes.
pub fn router(api: Api) -> Router {
    let cors = cors(&api.cors_origins);
    let metrics = Arc::clone(api.runner.metrics());
    let shared = Arc::new(Shared {
        runner: api.runner,
        service_key: api.service_key,
        users: api.users,
        hub: api.hub,
        intake: Semaphore::new(sync::INTAKE_KB),
        strangers: Arc::new(Semaphore::new(socket::STRANGERS)),
        probe: tokio::sync::Mutex::default(),
        openapi: OnceLock::new(),
    });
    let (router, document) = routes().split_for_parts();
    // A document that cannot be written would show in a test.
    let _ = shared.openapi.set(document.to_json().unwrap_or_default());
    router
        .fallback(|| async { ApiError::not_found() })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(shared)
        .merge(api.pages)
        .layer(RequestDecompressionLayer::new())
        .layer(CompressionLayer::new())
        .layer(cors)
        .layer(axum::middleware::from_fn_with_state(metrics, measure::measure))
}

fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(operation::health))
        .routes(routes!(operation::metrics))
        .routes(routes!(operation::tick))
        .routes(routes!(operation::public_keys))
        .routes(routes!(operation::openapi))
        .routes(routes!(me::audit))
        .routes(routes!(sync::push))
        .routes(routes!(sync::pull))
        .routes(routes!(stream::stream))
        .routes(routes!(socket::all))
        .routes(routes!(socket::one))
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
