//! The workbench: pages for people, served at `/`, to see, steer and approve.
//!
//! Pages are made on the server from what the app says; what a form changes becomes a row of the log under its user's
//! name, like the push of any client. This room must not reach the store or the runner, and decides nothing.

mod access;
mod agent_form;
mod agents;
mod calendar;
mod changes;
mod charts;
mod deleted;
mod fields;
mod form_zone;
mod inbox;
mod insights;
mod install;
mod live;
mod mission;
mod mission_form;
mod mission_list;
mod missions;
mod model_form;
mod overview;
mod page;
mod people;
mod plan;
mod policy_form;
mod record_list;
mod records;
mod review;
mod run;
mod schedule_form;
mod session;
mod settings;
mod sign_in;
mod start;
mod templates;
mod told;
mod values;
mod whole_days;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use self::page::Response;
use crate::app::App;
use crate::turns::Turns;

/// The largest form, in bytes: a few texts of the size that a mission may have.
const MAX_FORM: usize = 4 * 1024 * 1024;
/// Nothing is loaded from elsewhere, nothing inline runs, nobody may frame a page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Lets the worker act for all pages, though it stands among the assets.
const SCOPE: HeaderName = HeaderName::from_static("service-worker-allowed");
/// A browser installs it anew when it differs, so it names the version of the pages that it keeps.
const WORKER: &str = concat!("// ", env!("CARGO_PKG_VERSION"), "\n", include_str!("assets/worker.js"));

/// What the pages share.
pub struct Workbench {
    pub app: Arc<App>,
    pub turns: Arc<Turns>,
    /// The port of the server, by which the cookies of two servers on one host are told apart.
    pub port: u16,
    /// Where the server is reached from outside, for links.
    pub public_url: Option<String>,
}

type Shared = Arc<Workbench>;

/// All pages.
pub fn router(workbench: Workbench) -> Router {
    let workbench = Arc::new(workbench);
    let pages = Router::new()
        .route("/", get(overview::show))
        .route("/login", get(sign_in::show).post(sign_in::by_token))
        .route("/logout", post(sign_in::sign_out))
        .route("/agents", get(agents::list).post(agents::create))
        .route("/agents/new", get(agents::new))
        .route("/agents/{id}", get(agents::show).post(agents::save))
        .route("/agents/{id}/state", post(agents::set_state))
        .route("/agents/{id}/undelete", post(agents::undelete))
        .route("/agents/{id}/try", post(agents::try_out))
        .route("/missions", get(mission_list::list).post(missions::create))
        .route("/missions/new", get(missions::new))
        .route("/missions/next-times", get(schedule_form::next_times))
        .route("/missions/{id}", get(mission::show).post(mission::save))
        .route("/missions/{id}/edit", get(missions::edit))
        .route("/missions/{id}/state", post(missions::set_state))
        .route("/missions/{id}/run", post(missions::run))
        .route("/missions/{id}/cancel", post(missions::cancel))
        .route("/missions/{id}/duplicate", post(missions::duplicate))
        .route("/missions/{id}/delete", get(missions::ask).post(missions::delete))
        .route("/missions/{id}/undelete", post(missions::undelete))
        .route("/missions/{id}/review", post(review::save))
        .route("/missions/{id}/reconsider", post(review::reconsider))
        .route("/calendar", get(calendar::show))
        .route("/insights", get(insights::show))
        .route("/deleted", get(deleted::show))
        .route("/runs", get(run::list))
        .route("/runs/{id}", get(run::show))
        .route("/runs/{id}/prompts/{n}", get(run::prompt))
        .route("/review", get(inbox::show))
        .route("/review/all", get(inbox::list).post(inbox::decide))
        .route("/missions/{id}/log", get(changes::of_mission))
        .route("/records", get(records::tables))
        .route("/records/{app}/{table}", get(record_list::list).post(records::add))
        .route("/records/{app}/{table}/import", get(records::import_form).post(records::import))
        .route("/records/{app}/{table}/export/{form}", get(records::export))
        .route("/records/{app}/{table}/r/{id}", get(records::show).post(records::save))
        .route("/records/{app}/{table}/r/{id}/delete", post(records::delete))
        .route("/records/{app}/{table}/r/{id}/undelete", post(records::undelete))
        .route("/agents/{id}/log", get(changes::of_agent))
        .route("/agents/{id}/template", get(templates::export))
        .route("/templates", get(templates::list))
        .route("/templates/import", get(templates::import_form).post(templates::import))
        .route("/templates/import/create", post(templates::make_imported))
        .route("/templates/{id}", get(templates::show).post(templates::make))
        .route("/start", get(start::show))
        .route("/start/model", post(start::model))
        .route("/start/plan/{id}", get(start::plan))
        .route("/settings", get(settings::show).post(settings::save))
        .route("/settings/model", post(settings::model))
        .route("/settings/sessions/end", post(settings::end_session))
        .route("/settings/tokens", post(settings::make_token))
        .route("/settings/backup", post(settings::back_up))
        .route("/settings/people", get(people::list).post(people::invite))
        .route("/settings/people/link", post(people::link))
        .route("/settings/people/remove", get(people::ask).post(people::remove))
        .route("/settings/people/role", post(people::set_role))
        .route("/settings/people/sign-out", post(people::sign_out))
        .route("/settings/people/uninvite", post(people::uninvite))
        .route("/audit", get(access::show))
        .route("/live", get(live::stream));
    // Users of an identity provider come with its tokens only.
    let pages = if workbench.app.users().public_keys().is_some() {
        pages.route("/link", get(sign_in::show_link).post(sign_in::by_link)).route("/who", get(sign_in::who).post(sign_in::choose))
    } else {
        pages
    };
    let set = |name, value: &'static str| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    pages
        .method_not_allowed_fallback(to_parent)
        .route_layer(from_fn_with_state(Arc::clone(&workbench), session::admit))
        .layer(set(header::CACHE_CONTROL, "no-store"))
        .route("/assets/workbench.css", get(|| async { asset("text/css; charset=utf-8", include_str!("assets/workbench.css")) }))
        .route("/assets/workbench.js", get(|| async { asset("text/javascript; charset=utf-8", include_str!("assets/workbench.js")) }))
        .route("/assets/live.js", get(|| async { asset("text/javascript; charset=utf-8", include_str!("assets/live.js")) }))
        .route("/assets/worker.js", get(|| async { ([(SCOPE, "/")], asset("text/javascript; charset=utf-8", WORKER)) }))
        .route("/assets/app.webmanifest", get(install::manifest))
        .route("/assets/icon.svg", get(|| async { asset("image/svg+xml", include_str!("assets/icon.svg")) }))
        .route("/assets/icon-192.png", get(|| async { asset("image/png", &include_bytes!("assets/icon-192.png")[..]) }))
        .route("/assets/icon-512.png", get(|| async { asset("image/png", &include_bytes!("assets/icon-512.png")[..]) }))
        .route("/assets/icon-maskable.png", get(|| async { asset("image/png", &include_bytes!("assets/icon-maskable.png")[..]) }))
        .route("/assets/apple-touch-icon.png", get(|| async { asset("image/png", &include_bytes!("assets/apple-touch-icon.png")[..]) }))
        .route("/offline", get(install::offline))
        .layer((map_response(async |response| guarded(response)), DefaultBodyLimit::max(MAX_FORM)))
        .with_state(workbench)
}

fn asset(kind: &'static str, content: impl IntoResponse) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], content)
}

/// A form was answered under this address, and somebody asks for it again: a reload, or a browser that brings its tabs back.
async fn to_parent(method: Method, uri: Uri) -> Response {
    if method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let of_settings = |path: &str| path.starts_with("/settings/") && !path.starts_with("/settings/people/");
    page::to(match uri.path().rsplit_once('/') {
        Some(_) if of_settings(uri.path()) => "/settings",
        Some((parent, _)) if !parent.is_empty() => parent,
        _ => "/",
    })
}

/// What a browser is told of an address that nobody knows.
pub fn no_page(headers: &HeaderMap) -> Response {
    let mut response = page::explained(page::Failed::NotFound.into(), session::words(headers), None);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    guarded(response)
}

/// Tells the browser what to beware of.
fn guarded(mut response: Response) -> Response {
    for (name, value) in
        [(header::CONTENT_SECURITY_POLICY, POLICY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "same-origin")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
