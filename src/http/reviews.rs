//! The caller's plans: what awaits review, and decisions about their steps (docs/design.md, section 13).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::ApiState;
use super::caller::User;
use super::error::{ApiError, ErrorBody};
use super::params::StepId;
use crate::app::{AppError, DecidedStep, Given, StepReview, WaitingPlan};
use crate::domain::json::Plain;
use crate::domain::review::{Review, StepDecision};

/// Other values for parameters of the step.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    /// By the names of the parameters; those that are not named stay as the model proposed them
    #[serde(default)]
    #[schema(value_type = serde_json::Map<String, Value>)]
    params: BTreeMap<String, Plain>,
}

#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejection {
    /// Why; the agent sees it before its next plan
    #[serde(default)]
    feedback: Option<String>,
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::NotFound => ApiError::no_step(),
            AppError::Parameter(_)
            | AppError::Wrong(_)
            | AppError::Unfit(_)
            | AppError::Template(_)
            | AppError::Obstacle { .. }
            | AppError::Text(_)
            | AppError::Model { .. } => ApiError::bad_request(&error.to_string()),
            AppError::People(refusal) => ApiError::bad_request(&refusal.to_string()),
            AppError::Store(error) => error.into(),
        }
    }
}

/// A body that may be missing.
fn read<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, ApiError> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(&format!("the body cannot be read: {error}")))
}

/// The plans of the caller that await review: `{"reviews": [{userId, missionId, iterationId, title, steps: [{id, tool, params, status, preview}]}]}`
#[utoipa::path(
    get, path = "/api/v1/me/reviews", tag = "me", security(("token" = [])),
    responses(
        (status = 200, body = Object),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 503, description = "Come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn list(State(shared): State<Arc<ApiState>>, User(caller): User) -> Result<Json<Value>, ApiError> {
    let turn = shared.turns.take(&caller.user).await?;
    let plans = shared.app.reviews().waiting(&caller.user).await?;
    drop(turn);
    Ok(Json(json!({"reviews": plans.iter().map(WaitingPlan::to_json).collect::<Vec<_>>()})))
}

/// Approve a step; what is approved already stays so, with `"changed": false`
#[utoipa::path(
    post, path = "/api/v1/me/reviews/steps/{id}/approve", tag = "me", security(("token" = [])),
    params(("id" = String, Path, description = "The id of the step")), request_body = Option<Approval>,
    responses(
        (status = 200, description = "What became of it: {id, status, changed, error}", body = Object),
        (status = 400, description = "What is wrong with the request", body = ErrorBody),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 404, description = "The caller has no such step", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is compressed", body = ErrorBody),
        (status = 503, description = "Come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn approve(
    State(shared): State<Arc<ApiState>>,
    User(caller): User,
    StepId(id): StepId,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let Approval { params } = read(&body)?;
    let set = params.into_iter().map(|(name, Plain(value))| (name, Given::Value(value))).collect();
    let review = Review { decisions: [(id.as_str().into(), StepDecision::Approve)].into(), ..Review::default() };
    let decided = shared.app.reviews().decide_steps(&caller.user, &[id.into()], &StepReview { review, set, iteration: None }).await?;
    only(&decided)
}

/// Reject a step
#[utoipa::path(
    post, path = "/api/v1/me/reviews/steps/{id}/reject", tag = "me", security(("token" = [])),
    params(("id" = String, Path, description = "The id of the step")), request_body = Option<Rejection>,
    responses(
        (status = 200, description = "What became of it: {id, status, changed, error}", body = Object),
        (status = 400, description = "What is wrong with the request", body = ErrorBody),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 404, description = "The caller has no such step", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is compressed", body = ErrorBody),
        (status = 503, description = "Come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn reject(
    State(shared): State<Arc<ApiState>>,
    User(caller): User,
    StepId(id): StepId,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let Rejection { feedback } = read(&body)?;
    let review = Review { decisions: [(id.as_str().into(), StepDecision::Reject)].into(), feedback, ..Review::default() };
    let decided = shared.app.reviews().decide_steps(&caller.user, &[id.into()], &StepReview { review, ..StepReview::default() }).await?;
    only(&decided)
}

/// Take back what a step wrote, or all steps of an iteration; what somebody changed since stays, and is told
#[utoipa::path(
    post, path = "/api/v1/me/reviews/steps/{id}/undo", tag = "me", security(("token" = [])),
    params(("id" = String, Path, description = "The id of the step or of the iteration")),
    responses(
        (status = 200, description = "What became of it: {id, status, changed, error}; of an iteration, {steps: [...]}", body = Object),
        (status = 400, description = "What is wrong with the request", body = ErrorBody),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 404, description = "The caller has no such step", body = ErrorBody),
        (status = 413, description = "The body is too large", body = ErrorBody),
        (status = 415, description = "The body is compressed", body = ErrorBody),
        (status = 503, description = "Come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn undo(State(shared): State<Arc<ApiState>>, User(caller): User, StepId(id): StepId) -> Result<Json<Value>, ApiError> {
    let undone = shared.app.reviews().undo(&caller.user, &id, None).await?;
    match undone.as_slice() {
        [one] if one.id == id.as_str() => only(&undone),
        steps => Ok(Json(json!({"steps": steps.iter().map(DecidedStep::to_json).collect::<Vec<_>>()}))),
    }
}

fn only(decided: &[DecidedStep]) -> Result<Json<Value>, ApiError> {
    decided.first().map(|step| Json(step.to_json())).ok_or_else(ApiError::no_step)
}
