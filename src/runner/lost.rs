//! Puts back iterations that a client's write took out of a record, before it is decided what runs.

use uuid::Uuid;

use super::Runner;
use crate::domain::actor;
use crate::domain::retention::{self, RetentionBounds};
use crate::store::StoreResult;

/// Missions whose lost iterations one tick puts back; the next tick goes on.
const MISSIONS: u32 = 200;

impl Runner {
    /// Puts back what was noted as lost. A mission that cannot be written keeps its note, and holds up no other.
    pub(super) async fn restore_lost(&self) -> StoreResult<()> {
        for mission in self.store.lossy_missions(MISSIONS).await? {
            let id = mission.mission_id.clone();
            match self.store.restore_iterations(mission, Uuid::new_v4().to_string(), actor::runner(None, None), self.bounds()).await {
                Ok(0) => {}
                Ok(restored) => {
                    self.metrics.iterations_restored_total.inc_by(restored as u64);
                    tracing::info!(mission = id.as_str(), restored, "restored iterations that a client's write had removed from a mission");
                }
                Err(error) => {
                    tracing::error!(mission = id.as_str(), %error, "lost iterations cannot be put back yet; the next tick tries again")
                }
            }
        }
        Ok(())
    }

    pub(super) fn bounds(&self) -> RetentionBounds {
        RetentionBounds { iterations: self.settings.iterations_kept, bytes: retention::MAX_BYTES }
    }
}
