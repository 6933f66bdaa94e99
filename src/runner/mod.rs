//! From due missions to written plans: `refresh → due → decide → claim → plan → write back` (docs/design.md, section 6).
//!
//! A tick scans and claims, and is done in milliseconds; the claimed runs are planned in parallel by tasks of their
//! own. This room must not know SQL, HTTP routes or how a prompt is worded.

mod explain;
mod lost;
mod notes;
mod outage;
mod queue;
mod recall;
mod rehearse;
mod scan;
mod standings;
mod tick;
mod told;
mod upkeep;
mod work;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, watch};

pub use explain::{Explanation, Rules, explain};
pub use recall::Recalled;
pub use standings::standings;
pub use tick::{Note, Tick, TickStats};
pub use work::{RunOutcome, RunReport};

use crate::domain::backoff::Backoff;
use crate::domain::breaker::{Breaker, Limits};
use crate::domain::decision::Ceilings;
use crate::domain::ids::RunId;
use crate::domain::record_kind::Kinds;
use crate::domain::step::StepStatus;
use crate::grants::PrivateKey;
use crate::metrics::Metrics;
use crate::planner::Planner;
use crate::planner::provider::{MAX_RETRY_AFTER, ProviderSettings};
use crate::planner::tools::Tool;
use crate::steps::Executors;
use crate::store::{Presence, PresenceError, Store, StoreResult};
use crate::text;
use crate::text::catalog::Words;
use crate::web::ClientError;
use queue::FairQueue;
use upkeep::ScanProgress;
use work::PlanJob;

/// Tells the time: the wall clock, or a fixed time for a look at another moment.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The rules of a runner, as configured.
#[derive(Debug, Clone)]
pub struct RunnerSettings {
    /// Plans that are made at the same time.
    pub max_parallel: usize,
    /// Attempts before a run fails.
    pub max_attempts: u32,
    /// Iterations that a mission's record keeps.
    pub iterations_kept: usize,
    /// How the steps of a new plan begin.
    pub first_step_status: StepStatus<'static>,
    pub backoff: Backoff,
    pub breaker: Limits,
    pub ceilings: Ceilings,
    /// For cadences without a zone of their own.
    pub zone: TimeZone,
    /// Who carries out steps that need no review.
    pub executors: Executors,
    /// Opens the grants of missions; without it, encrypted inputs are left out.
    pub private_key: Option<Arc<PrivateKey>>,
}

/// The longest time for which a run can be told to wait: by its backoff, by the model server, or by the breaker.
pub fn longest_wait(backoff: &Backoff, breaker: &Limits) -> SignedDuration {
    let asked = SignedDuration::try_from(MAX_RETRY_AFTER).unwrap_or(SignedDuration::MAX);
    backoff.max.max(breaker.cooldown).max(asked)
}

/// A model server that is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    pub server: String,
    /// Until when it is left alone; after that, the next plan tries it.
    pub until: Timestamp,
}

/// Runs missions. One per process.
pub struct Runner {
    store: Store,
    planner: Planner,
    metrics: Arc<Metrics>,
    settings: RunnerSettings,
    /// How records read to an agent.
    kinds: Kinds,
    clock: Clock,
    presence: Presence,
    breaker: Mutex<Breaker>,
    /// Until when the database says that the model server is left alone.
    told: tokio::sync::Mutex<Option<Timestamp>>,
    queue: Mutex<FairQueue<PlanJob>>,
    /// Runs that this process has claimed and not closed.
    active: Mutex<HashSet<RunId>>,
    /// Runs whose end could not be written for a reason that is this machine's.
    blameless: Mutex<HashSet<RunId>>,
    planning: Semaphore,
    /// How many plans are being made.
    busy: watch::Sender<usize>,
    stopping: AtomicBool,
    /// Held by the tick that scans; where the next one goes on.
    scanning: tokio::sync::Mutex<ScanProgress>,
}

impl Runner {
    /// A runner that shows its presence, so that its claims are taken over when it dies.
    ///
    /// # Errors
    /// When the presence cannot be shown.
    pub fn new(
        store: Store,
        planner: Planner,
        metrics: Arc<Metrics>,
        settings: RunnerSettings,
        clock: Clock,
    ) -> Result<Arc<Self>, PresenceError> {
        Ok(Arc::new(Runner {
            presence: store.show_presence()?,
            kinds: settings.executors.modules().kinds(),
            breaker: Mutex::new(Breaker::new(settings.breaker)),
            queue: Mutex::default(),
            active: Mutex::default(),
            blameless: Mutex::default(),
            told: tokio::sync::Mutex::default(),
            planning: Semaphore::new(settings.max_parallel.max(1)),
            busy: watch::Sender::new(0),
            stopping: AtomicBool::new(false),
            scanning: tokio::sync::Mutex::default(),
            store,
            planner,
            metrics,
            settings,
            clock,
        }))
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Starts nothing new, waits up to `grace` for the plans under way, and gives every claim back.
    /// Answers how many plans were cut short.
    ///
    /// # Errors
    /// When the claims cannot be given back; they are taken over once this process is gone.
    pub async fn stop(&self, grace: Duration) -> StoreResult<usize> {
        self.stopping.store(true, Ordering::SeqCst);
        self.planning.close();
        let _scan = self.scanning.lock().await;
        let mut busy = self.busy.subscribe();
        let cut_short = match tokio::time::timeout(grace, busy.wait_for(|busy| *busy == 0)).await {
            Ok(_) => 0,
            Err(_) => *self.busy.borrow(),
        };
        self.give_strays_back(self.now()).await?;
        let owner = self.presence.owner();
        self.store.give_all_back(owner.to_owned(), text::run::server_stopped(Words::ENGLISH)).await?;
        self.presence.end();
        Ok(cut_short)
    }

    /// The tools that plans may use.
    pub fn tools(&self) -> &[Tool] {
        self.planner.tools()
    }

    /// The model server's name, as metrics and `explain` know it.
    pub fn provider_name(&self) -> String {
        self.planner.provider_name()
    }

    /// Plans from now on with another model server, of which nothing bad is known yet.
    ///
    /// # Errors
    /// When the TLS side cannot be set up.
    pub async fn use_provider(&self, settings: ProviderSettings) -> Result<(), ClientError> {
        self.planner.use_provider(settings)?;
        *lock(&self.breaker) = Breaker::new(self.settings.breaker);
        self.tell_of_outage().await;
        Ok(())
    }

    /// What is wrong with the model server, where it is left alone.
    pub fn outage(&self) -> Option<Outage> {
        Some(Outage { server: self.planner.provider_name(), until: lock(&self.breaker).until()? })
    }

    /// Brings the gauges about the database up to date.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn observe_store(&self) -> StoreResult<()> {
        let stats = self.store.stats().await?;
        let metrics = &self.metrics;
        for (state, missions) in &stats.missions {
            metrics.missions.with_label_values(&[state.as_str()]).set(*missions as f64);
        }
        metrics.runs_in_flight.set(stats.in_flight);
        metrics.runs_waiting.set(stats.waiting);
        let age = stats.first_due.map_or(0.0, |due| self.now().duration_since(due).as_secs_f64());
        metrics.oldest_due_age_seconds.set(age.max(0.0));
        metrics.writer_queue.set(i64::try_from(self.store.queued_writes()).unwrap_or(i64::MAX));
        metrics.log_rows.set(stats.log_rows);
        // Nobody else counts it up.
        metrics.texts_replaced_total.inc_by(self.store.replaced_texts().saturating_sub(metrics.texts_replaced_total.get()));
        metrics.future_stamps_total.inc_by(self.store.future_stamps().saturating_sub(metrics.future_stamps_total.get()));
        metrics.foreign_rows_waiting.set(stats.arrivals);
        metrics.database_bytes.set(stats.database_bytes);
        metrics.wal_bytes.set(stats.wal_bytes);
        Ok(())
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// Locks a mutex whose data stays sound whatever a panicking holder did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number as traces have it.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
