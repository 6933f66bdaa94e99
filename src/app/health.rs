//! Whether the program can do its work, and its figures.

use std::time::{Duration, Instant};

use super::App;
use crate::runner::Outage;
use crate::store::StoreResult;

/// Who asks for metrics does not wait longer for the database.
const LOOK: Duration = Duration::from_secs(3);
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

    /// Brings the metrics about the database up to date. Nobody needs a token for these, so it takes one reader at a time. A
    /// database that cannot be read now is a figure as well.
    ///
    /// # Errors
    /// When the database cannot be read, and time will not help.
    pub async fn observe(&self) -> StoreResult<()> {
        let _alone = self.scrape.lock().await;
        let (metrics, asked) = (self.metrics(), Instant::now());
        let looked = tokio::time::timeout(LOOK, self.runner.observe_store()).await;
        metrics.database_answer_seconds.set(asked.elapsed().as_secs_f64());
        metrics.database_up.set(i64::from(matches!(looked, Ok(Ok(())))));
        match looked {
            Ok(Err(error)) if !error.is_passing() => Err(error),
            _ => Ok(()),
        }
    }
}
