//! When the keys of grants end, by user (docs/design.md, section 8).

use jiff::Timestamp;
use serde_json::Value;

use super::{Store, StoreResult};
use crate::domain::ids::UserId;
use crate::domain::{grant, time};
use crate::store::db::{OptionalExtension, params};

impl Store {
    /// The earliest expiry that the key of a grant ever had in the log of its user, as far as that is folded.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn grant_end(&self, user: &UserId, grant: &Value) -> StoreResult<Option<Timestamp>> {
        let Some(wrapped_key) = grant::wrapped_key(grant) else { return Ok(None) };
        let user = user.to_owned();
        self.read(move |c| {
            let query = "SELECT ends_at FROM grant_ends WHERE user_id = ?1 AND wrapped_key = ?2";
            let at: Option<i64> = c.prepare_cached(query)?.query_row(params![user, wrapped_key], |row| row.get(0)).optional()?;
            Ok(at.map(time::from_micros))
        })
        .await
    }
}
