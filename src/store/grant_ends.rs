//! When the keys of grants end, by user (docs/design.md, section 8).

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::writer::Tx;
use super::{Store, StoreResult};
use crate::domain::{grant, time};

/// Notes an expiry of a key; the earliest stays.
pub(super) fn note_grant_end(tx: &Tx<'_>, user: &str, wrapped_key: &[u8], at: Timestamp) -> StoreResult<()> {
    let upsert = "INSERT INTO grant_ends (user_id, wrapped_key, ends_at) VALUES (?1, ?2, ?3) \
                  ON CONFLICT DO UPDATE SET ends_at = min(ends_at, ?3)";
    tx.sql(|c| c.prepare_cached(upsert)?.execute(params![user, wrapped_key, time::to_micros(at)]).map(drop))
}

impl Store {
    /// The earliest expiry that the key of a grant ever had in the log of its user, as far as that is folded.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn grant_end(&self, user: &str, grant: &Value) -> StoreResult<Option<Timestamp>> {
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
