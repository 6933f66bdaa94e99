//! What is known of a model server that is down: the circuit breaker of this process, and a fact in the database by which
//! other processes, and `explain`, know of it.

use jiff::Timestamp;

use super::{Runner, lock};
use crate::domain::backoff::still_waits;
use crate::domain::breaker::{Limits, Permit};
use crate::domain::time;
use crate::store::{Store, StoreResult};

/// The time until which the model server is left alone, a space, and its name; empty where it is not.
const FACT: &str = "model server closed until";

/// Until when the model server of that name is left alone, as far as the processes of this database know.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn closed_until(store: &Store, provider: &str, limits: &Limits, now: Timestamp) -> StoreResult<Option<Timestamp>> {
    Ok(told(store, provider).await?.filter(|until| still_waits(*until, now, limits.cooldown)))
}

/// The same, also where that time has passed and nobody has tried since.
async fn told(store: &Store, provider: &str) -> StoreResult<Option<Timestamp>> {
    let fact = store.fact(FACT).await?.unwrap_or_default();
    Ok(fact.split_once(' ').filter(|(_, name)| *name == provider).and_then(|(until, _)| time::parse_rfc3339(until)))
}

impl Runner {
    /// Asks the breaker for leave to call the model.
    pub(super) async fn may_call(&self, now: Timestamp) -> Permit {
        let permit = lock(&self.breaker).try_acquire(now);
        self.tell_of_outage().await;
        permit
    }

    /// A call came to this, as far as it tells of the model server.
    pub(super) async fn called(&self, provider_is_down: bool) {
        {
            let mut breaker = lock(&self.breaker);
            if provider_is_down { breaker.failed(self.now()) } else { breaker.succeeded() }
        }
        self.tell_of_outage().await;
    }

    /// Takes on what another process learnt: after the cooldown, one call tries whether the server is back.
    pub(super) async fn hear_of_outage(&self) -> StoreResult<()> {
        if let Some(until) = told(&self.store, &self.planner.provider_name()).await? {
            lock(&self.breaker).close_until(until);
        }
        self.show_breaker();
        Ok(())
    }

    /// Brings the fact and the gauge up to date.
    pub(super) async fn tell_of_outage(&self) {
        self.show_breaker();
        // One at a time, so that the last state is the one that stays.
        let mut told = self.told.lock().await;
        let until = lock(&self.breaker).until();
        if *told == until {
            return;
        }
        let fact = until.map_or(String::new(), |until| format!("{} {}", time::iso_millis(until), self.planner.provider_name()));
        match self.store.set_fact(FACT, fact).await {
            Ok(()) => *told = until,
            // The next change tells it.
            Err(error) => tracing::warn!(%error, "the state of the model server could not be saved for other processes"),
        }
    }

    fn show_breaker(&self) {
        let position = lock(&self.breaker).position();
        self.metrics.breaker_state.set(position as i64);
    }
}
