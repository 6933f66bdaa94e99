//! What makes an app of the pages: a manifest, icons, and a page for when the server cannot be reached.

use axum::http::header;
use axum::response::{Html, IntoResponse};
use maud::html;
use serde_json::json;

use super::page::{Response, frame};
use crate::text::catalog::Words;

pub(super) async fn manifest(words: Words) -> Response {
    let icon = |file: &str, kind: &str, sizes: &str, purpose: &str| json!({"src": format!("/assets/{file}"), "type": kind, "sizes": sizes, "purpose": purpose});
    let manifest = json!({
        "id": "/",
        "name": "mana-ai",
        "description": words.say("common-app"),
        "lang": words.language().tag(),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#f7f6f3",
        "theme_color": "#1f5fbf",
        "icons": [
            icon("icon.svg", "image/svg+xml", "any", "any"),
            icon("icon-192.png", "image/png", "192x192", "any"),
            icon("icon-512.png", "image/png", "512x512", "any"),
            icon("icon-maskable.png", "image/png", "512x512", "maskable"),
        ],
    });
    ([(header::CONTENT_TYPE, "application/manifest+json")], manifest.to_string()).into_response()
}

pub(super) async fn offline(words: Words) -> Html<String> {
    let body = html! {
        h1 { (words.say("common-offline")) }
        p { (words.say("common-offline-hint")) }
        // Leads to the page that was asked for.
        p { a.button.primary href="" { (words.say("common-try-again")) } }
    };
    Html(frame(words, None, &words.say("common-offline"), &body).into_string())
}
