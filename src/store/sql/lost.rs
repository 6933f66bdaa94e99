//! Missions that lost iterations to a client's write.

use super::Store;
use crate::store::db::Row;
use crate::store::{Lossy, StoreResult};

impl Store {
    /// Missions with lost iterations, at most `limit`. One that is deleted may come back, and keeps its notes until then.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn lossy_missions(&self, limit: u32) -> StoreResult<Vec<Lossy>> {
        self.read(move |c| {
            let mission = |row: &Row<'_>| Ok(Lossy { user_id: row.get(0)?, mission_id: row.get(1)? });
            let query = "SELECT DISTINCT l.user_id, l.mission_id FROM lost_iterations l \
                         JOIN mission_snapshots m ON m.user_id = l.user_id AND m.mission_id = l.mission_id \
                         WHERE m.liveness <> 'deleted' LIMIT ?1";
            c.prepare_cached(query)?.query_map([limit], mission)?.collect()
        })
        .await
    }
}
