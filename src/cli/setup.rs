//! Makes the parts that several commands need out of the configuration.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Failure;
use crate::config::Config;
use crate::domain::backoff::Backoff;
use crate::domain::breaker::Limits;
use crate::metrics::Metrics;
use crate::planner::Planner;
use crate::planner::provider;
use crate::planner::tools::Catalog;
use crate::runner::{Clock, Runner, Settings};
use crate::store::{Options, Store, StoreResult};

/// Opens the store on a blocking thread.
pub(super) async fn store(config: &Config) -> StoreResult<Store> {
    let options = Options { busy_timeout: config.busy_timeout, durable: config.durable, ..Options::default() };
    let dir = config.data_dir.clone();
    tokio::task::spawn_blocking(move || Store::open(&dir, &options)).await.map_err(|_| crate::store::StoreError::Stopped)?
}

/// A runner with the configured rules; `now` stops its clock.
pub(super) fn runner(config: &Config, store: Store, now: Option<Timestamp>) -> Result<Arc<Runner>, Failure> {
    let settings = provider::Settings {
        url: config.llm_url.clone(),
        api_key: config.llm_api_key.clone(),
        model: config.llm_model.clone(),
        timeout: config.llm_timeout,
    };
    let planner = Planner::new(settings, Catalog::builtin()).map_err(Failure::failed)?;
    let metrics = Arc::new(Metrics::new().map_err(Failure::failed)?);
    let clock: Clock = match now {
        Some(now) => Arc::new(move || now),
        None => Arc::new(Timestamp::now),
    };
    let dir: &Path = &config.data_dir;
    Runner::new(store, planner, metrics, rules(config), clock, dir).map_err(Failure::failed)
}

fn rules(config: &Config) -> Settings {
    let signed = |duration: std::time::Duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    Settings {
        max_parallel: config.max_parallel_plans,
        max_attempts: config.max_attempts,
        iterations_kept: config.max_iterations_kept,
        backoff: Backoff { base: signed(config.retry_base), max: signed(config.retry_max) },
        breaker: Limits { failures: config.breaker_failures, cooldown: signed(config.breaker_cooldown) },
        zone: config.time_zone.clone(),
    }
}
