//! The schedule: a tick at once and then at every interval.

use tokio::time::{Duration, Instant, MissedTickBehavior};

use super::App;
use crate::runner::{RunReport, Tick, TickStats};
use crate::store::StoreResult;

impl App {
    /// Ticks for ever, also while runs of earlier ticks are in flight.
    pub async fn follow_schedule(&self, every: Duration) {
        let mut interval = tokio::time::interval_at(Instant::now(), every);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            match self.runner.tick().await {
                Ok(tick) => {
                    tokio::spawn(async move {
                        let (stats, _) = tick.settle().await;
                        if stats.due > 0 {
                            tracing::info!(
                                due = stats.due,
                                written = stats.written_back,
                                deferred = stats.deferred,
                                errors = stats.errors.len(),
                                "a tick settled"
                            );
                        }
                    });
                }
                Err(error) => tracing::error!(%error, "a tick failed; the next one tries again"),
            }
        }
    }

    /// Looks for due missions once, and claims those that may run.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn begin_tick(&self) -> StoreResult<Tick> {
        self.runner.tick().await
    }

    /// Looks for due missions once, and waits until their runs have settled.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn tick(&self) -> StoreResult<(TickStats, Vec<RunReport>)> {
        Ok(self.begin_tick().await?.settle().await)
    }
}
