//! What a user may ask about themselves.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::caller::User;
use super::error::ApiError;
use crate::domain::time;
use crate::store::AuditRow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuditQuery {
    mission_id: Option<String>,
    limit: Option<u32>,
}

/// Every attempt to read an encrypted record of the caller, the newest first.
pub(super) async fn audit(
    State(shared): State<Arc<Shared>>,
    User(user): User,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let limit_must = "limit must be a whole number from 1 to 1000";
    let Query(query) = query.map_err(|_| ApiError::bad_request(limit_must))?;
    let limit = query.limit.unwrap_or(200);
    if !(1..=1_000).contains(&limit) {
        return Err(ApiError::bad_request(limit_must));
    }
    let mission = query.mission_id.filter(|id| !id.is_empty());
    let rows = shared.runner.store().reads_of(&user, mission.as_deref(), limit).await?;
    Ok(Json(json!({"rows": rows.iter().map(row).collect::<Vec<_>>()})))
}

fn row(row: &AuditRow) -> Value {
    json!({
        "id": row.id, "missionId": row.mission_id, "iterationId": row.iteration_id, "tableName": row.table,
        "recordId": row.record_id, "status": row.status, "reason": row.reason, "ts": time::iso_millis(row.at),
    })
}
