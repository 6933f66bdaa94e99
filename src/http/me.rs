//! What a user may ask about themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::caller::User;
use super::error::{ApiError, ErrorBody};
use super::params::Params;
use crate::domain::ids::{IterationId, MissionId};
use crate::domain::time;
use crate::store::AuditRow;

/// Which attempts.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only those of this mission
    #[param(value_type = Option<String>)]
    mission_id: Option<MissionId>,
    /// How many at most: 1 to 1000, else 200
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Audit {
    rows: Vec<AuditEntry>,
}

/// One attempt to read an encrypted record.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditEntry {
    id: i64,
    #[schema(value_type = String)]
    mission_id: MissionId,
    #[schema(value_type = String)]
    iteration_id: IterationId,
    table_name: String,
    record_id: String,
    /// ok, failed or scope-violation
    status: String,
    reason: Option<String>,
    ts: String,
}

/// Every attempt to read an encrypted record of the caller, the newest first
#[utoipa::path(
    get, path = "/api/v1/me/ai-audit", tag = "me", security(("token" = [])), params(AuditQuery),
    responses(
        (status = 200, body = Audit),
        (status = 400, description = "What is wrong with the request", body = ErrorBody),
        (status = 401, description = "The token is missing or not taken", body = ErrorBody),
        (status = 503, description = "Come back after Retry-After", body = ErrorBody),
    )
)]
pub(super) async fn audit(
    State(shared): State<Arc<ApiState>>,
    User(caller): User,
    Params(query): Params<AuditQuery>,
) -> Result<Json<Audit>, ApiError> {
    let limit = query.limit.unwrap_or(200);
    if !(1..=1_000).contains(&limit) {
        return Err(ApiError::bad_request("`limit` must be a whole number from 1 to 1000"));
    }
    let mission = query.mission_id.filter(|id| !id.is_empty());
    let rows = shared.app.reads_of(&caller.user, mission.as_ref(), None, limit).await?;
    Ok(Json(Audit { rows: rows.into_iter().map(AuditEntry::from).collect() }))
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        AuditEntry {
            id: row.id,
            mission_id: row.mission_id,
            iteration_id: row.iteration_id,
            table_name: row.table,
            record_id: row.record_id,
            status: row.status,
            reason: row.reason,
            ts: time::iso_millis(row.at),
        }
    }
}
