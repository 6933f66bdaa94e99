//! Follows the log and tells the hub of each new row, whoever wrote it: a push, the runner, or a command beside the
//! server.

use std::sync::Arc;
use std::time::Duration;

use super::Hub;
use crate::store::{Store, StoreError, StoreResult};

/// Rows of another process are noticed within this time; those of this one at once.
const POLL: Duration = Duration::from_secs(1);
/// Rows that are looked at together.
const PAGE: u32 = 1_000;

/// Follows the log from its end, until the store closes.
pub async fn follow(store: Store, hub: Arc<Hub>) {
    let mut commits = store.commits();
    let mut seen = None;
    loop {
        match tell(&store, &hub, seen).await {
            Ok(last) => seen = Some(last),
            Err(StoreError::Stopped) => return,
            Err(error) => tracing::warn!(%error, "listeners hear of new changes later"),
        }
        // Either way there is a look; a closed channel means that the store goes, which the look will say.
        let _ = tokio::time::timeout(POLL, commits.changed()).await;
    }
}

/// Tells of the rows after `seen`, at first of none, and answers the last row.
async fn tell(store: &Store, hub: &Hub, seen: Option<i64>) -> StoreResult<i64> {
    let Some(mut seen) = seen else { return store.last_seq().await };
    store.take_in_arrivals().await?;
    loop {
        let heads = store.heads_after(seen, PAGE).await?;
        for head in &heads {
            hub.publish(&head.user_id, &head.app_id, &head.table, &head.client_id);
            seen = head.seq;
        }
        if heads.len() < PAGE as usize {
            return Ok(seen);
        }
    }
}
