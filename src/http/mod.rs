//! The HTTP surface (docs/design.md, section 9).
//!
//! This room maps requests to the app and its errors to statuses, in one place. It must not reach the store or the runner,
//! and decides nothing.

mod answer;
mod body;
mod budget;
mod caller;
mod connections;
mod error;
mod hosts;
mod me;
mod measure;
mod openapi;
mod operation;
mod params;
mod reviews;
mod socket;
mod stream;
mod sync;
mod weight;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use budget::Budget;
use hosts::Hosts;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::ServiceKey;
use crate::turns::Turns;
pub use connections::{ListenError, listen, serve};
use error::ApiError;

/// What the routes share.
pub struct Api {
    pub app: Arc<App>,
    pub service_key: ServiceKey,
    pub turns: Arc<Turns>,
    /// Where the server listens.
    pub address: SocketAddr,
    /// Where it is reached from outside.
    pub public_urls: Vec<reqwest::Url>,
    /// The largest body of a push.
    pub max_body_bytes: usize,
    pub cors_origins: Vec<String>,
    /// Pages that are served beside the routes.
    pub pages: Router,
    /// What a browser is told of an address that nobody knows.
    pub no_page: fn(&HeaderMap) -> Response,
}

struct ApiState {
    app: Arc<App>,
    service_key: ServiceKey,
    turns: Arc<Turns>,
    hosts: Arc<Hosts>,
    budget: Arc<Budget>,
    parsing: weight::Parsing,
    max_body_bytes: usize,
    unauthenticated: socket::Unauthenticated,
}

/// All routes.
pub fn router(api: Api) -> Router {
    let cors = cors(&api.cors_origins);
    let metrics = Arc::clone(api.app.metrics());
    let hosts = Arc::new(Hosts::new(api.address, &api.public_urls, &api.cors_origins));
    let budget = Arc::new(Budget::default());
    let shared = Arc::new(ApiState {
        app: api.app,
        service_key: api.service_key,
        turns: api.turns,
        hosts: Arc::clone(&hosts),
        budget: Arc::clone(&budget),
        parsing: weight::Parsing::default(),
        max_body_bytes: api.max_body_bytes,
        unauthenticated: socket::Unauthenticated::default(),
    });
    // Whoever pushes is known before anything of the body is read; only then it is unpacked.
    let push = push_route()
        .route_layer(RequestDecompressionLayer::new())
        .route_layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), sync::admit));
    let no_page = api.no_page;
    let pages = api.pages.layer(axum::middleware::from_fn_with_state(Arc::clone(&budget), body::small));
    let decisions = decision_routes().route_layer(axum::middleware::from_fn_with_state(Arc::clone(&budget), body::small));
    let (router, _) = routes().merge(push).merge(decisions).split_for_parts();
    router
        .fallback(async move |headers: HeaderMap| match answer::is_for_browser(&headers) {
            true => no_page(&headers),
            false => ApiError::not_found().into_response(),
        })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(shared)
        .merge(pages)
        // The first is the outermost. Each call of `layer` wraps every route anew, so there is one.
        .layer((
            axum::middleware::from_fn_with_state(metrics, measure::measure),
            axum::middleware::from_fn_with_state(hosts, hosts::check),
            cors,
            CompressionLayer::new(),
            axum::middleware::from_fn_with_state(budget, answer::count),
        ))
}

/// The description of all routes for programs, which is made when the first one asks.
static OPENAPI: LazyLock<Bytes> = LazyLock::new(|| {
    // A document that cannot be written would show in a test.
    routes().merge(push_route()).merge(decision_routes()).split_for_parts().1.to_json().unwrap_or_default().into()
});

fn routes() -> OpenApiRouter<Arc<ApiState>> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(operation::health))
        .routes(routes!(operation::metrics))
        .routes(routes!(operation::tick))
        .routes(routes!(operation::public_keys))
        .routes(routes!(operation::openapi))
        .routes(routes!(me::audit))
        .routes(routes!(reviews::list))
        .routes(routes!(sync::pull))
        .routes(routes!(stream::stream))
        .routes(routes!(socket::all))
        .routes(routes!(socket::one))
}

/// The one route whose body may be large and compressed.
fn push_route() -> OpenApiRouter<Arc<ApiState>> {
    OpenApiRouter::new().routes(routes!(sync::push))
}

/// Routes with a small body.
fn decision_routes() -> OpenApiRouter<Arc<ApiState>> {
    OpenApiRouter::new().routes(routes!(reviews::approve)).routes(routes!(reviews::reject)).routes(routes!(reviews::undo))
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
