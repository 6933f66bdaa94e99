//! Whether the program can do its work, and its figures.

use std::time::{Duration, Instant};

use super::App;
use crate::runner::Outage;
use crate::store::StoreResult;

/// The result of a write probe serves everybody who asks for this long.
const PROBE_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// Whether the database takes writes, by one that was tried within a second.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn can_write(&self) -> StoreResult<()> {
        let mut probe = self.probe.lock().await;
        if let Some((_, outcome)) = probe.as_ref().filter(|(at, _)| at.elapsed() < PROBE_EVERY) {
            return outcome.clone();
        }
        let outcome = self.store.probe().await;
        *probe = Some((Instant::now(), outcome.clone()));
        outcome
    }

    /// What is wrong with the model server, where it is left alone.
    pub fn outage(&self) -> Option<Outage> {
        self.runner.outage()
    }

    /// Brings the metrics about the database up to date. Nobody needs a token for these, so it takes one reader at a time.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn observe(&self) -> StoreResult<()> {
        let _alone = self.scrape.lock().await;
        self.runner.observe_store().await
    }
}
