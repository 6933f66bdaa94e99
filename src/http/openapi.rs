//! The OpenAPI document: made from the handlers as they are routed, so it cannot tell of others.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

#[derive(OpenApi)]
#[openapi(
    info(title = "mana-ai", description = "A self-hosted background runner for AI missions, and the sync server of their data."),
    tags(
        (name = "sync", description = "How local-first clients sync. A client that always continues from `syncedUntil` misses nothing."),
        (name = "me", description = "What a user may ask about themselves"),
        (name = "operation", description = "For whoever runs the server"),
    ),
    modifiers(&SecuritySchemes)
)]
pub(super) struct Document;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        components.add_security_scheme("serviceKey", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Service-Key"))));
    }
}
