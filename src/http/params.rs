//! Parts of an address, with errors of the usual form.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The query of a request.
pub(super) struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = Query::try_from_uri(&parts.uri).map_err(|error| ApiError::bad_request(&error.body_text()))?;
        Ok(Params(query.0))
    }
}

/// The app that a path names.
pub(super) struct AppId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for AppId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let app = path.ok().map(|Path(app)| app).filter(|app| app.chars().count() <= 512 && !app.contains('\0'));
        app.map(AppId).ok_or_else(|| ApiError::bad_request("the app in the path must be a text of at most 512 characters"))
    }
}

/// The step or iteration that a path names.
pub(super) struct StepId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for StepId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().map(|Path(id)| id).filter(|id| id.chars().count() <= 512 && !id.contains('\0'));
        id.map(StepId).ok_or_else(|| ApiError::bad_request("the id in the path must be a text of at most 512 characters"))
    }
}
