//! Makes the parts that several commands need out of the configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::app::{App, AppParts, FixedParts, ModelKeeper, Operator, Outbox, Reviews, with_templates};
use crate::auth::{LocalKey, Users};
use crate::config::{self, Config, FixedModel};
use crate::domain::backoff::Backoff;
use crate::domain::breaker::Limits;
use crate::domain::decision::Ceilings;
use crate::grants::PrivateKey;
use crate::metrics::Metrics;
use crate::modules::Modules;
use crate::planner::Planner;
use crate::planner::provider;
use crate::planner::tools::{Catalog, Execute, Tool};
use crate::runner::{self, Clock, Rules, Runner, RunnerSettings};
use crate::steps::{AutoLimits, Executors};
use crate::store::{Options, Store, StoreError, StoreResult};
use crate::webhooks::Webhook;

/// Waits for SIGINT or SIGTERM; they are caught as soon as this is called.
pub(super) fn asked_to_stop() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Where this machine reaches a server that listens on an address.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    // Who listens everywhere can be reached from this machine by its own name for itself.
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    SocketAddr::new(host, address.port())
}

/// Opens the database, for those who may begin a new one.
pub(super) async fn new_operator(config: &Config) -> StoreResult<Operator> {
    open(config, Store::open).await
}

/// Opens the database; where there is none, a wrong directory is more likely than an empty world.
pub(super) async fn operator(config: &Config) -> StoreResult<Operator> {
    open(config, Store::open_existing).await
}

/// Opens the database that is moved into: of an address, or of a data directory.
pub(super) async fn operator_of(config: &Config, to: &str) -> StoreResult<Operator> {
    let (dir, server) = if is_address(to) { (config.data_dir.clone(), Some(to.to_owned())) } else { (PathBuf::from(to), None) };
    Ok(Operator::new(open_at(config, dir, server, Store::open).await?, clock()))
}

/// Whether a text is the address of a server, and no directory.
pub(super) fn is_address(to: &str) -> bool {
    to.contains("://") || to.starts_with("host=")
}

async fn open(config: &Config, open: OpenFile) -> StoreResult<Operator> {
    let store = open_at(config, config.data_dir.clone(), config.database.clone(), open).await?;
    if store.is_half_moved().await? {
        return Err(StoreError::HalfMoved { path: store.path().to_owned() });
    }
    Ok(Operator::new(store, clock()))
}

type OpenFile = fn(&Path, &Options) -> StoreResult<Store>;

async fn open_at(config: &Config, dir: PathBuf, server: Option<String>, open: OpenFile) -> StoreResult<Store> {
    let options = Options { busy_timeout: config.busy_timeout, durable: config.durable, ..Options::default() };
    let open = move || match server {
        Some(address) => Store::connect(&address, &dir, &options),
        None => open(&dir, &options),
    };
    tokio::task::spawn_blocking(open).await.map_err(|_| StoreError::Stopped)?
}

/// Refuses what is only for a database in a file.
pub(super) fn only_a_file(config: &Config, instead: &str) -> Result<(), Failure> {
    match config.database {
        None => Ok(()),
        Some(_) => Err(Failure::Failed(format!("the database is in Postgres (MANA_AI_DATABASE): {instead}; docs/postgres.md tells more"))),
    }
}

/// The clock of this machine, by which everything goes.
fn clock() -> Clock {
    Arc::new(now)
}

/// The time, for commands that need nothing else.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// The app with the configured rules, on the clock of this machine.
pub(super) fn app(config: &Config, operator: &Operator) -> Result<Arc<App>, Failure> {
    let known = known(config)?;
    let runner = runner(config, operator, &known, None)?;
    let reviews = Arc::new(reviews(config, operator, &known, Arc::clone(runner.metrics()))?);
    let parts = AppParts {
        runner,
        users: Arc::new(users(config)?),
        outbox: outbox(operator, Arc::clone(&reviews), webhooks(config)?)?,
        reviews,
        rules: rules_told(config),
        ceilings: config.log_ceilings,
        data_dir: config.data_dir.clone(),
        model: model_keeper(config),
    };
    Ok(App::new(operator.store().clone(), parts, clock()))
}

/// What this server knows of records and tools: what comes with the program, the configured files, and what templates add.
pub(super) struct KnownModules {
    pub modules: Modules,
    pub catalog: Catalog,
}

pub(super) fn known(config: &Config) -> Result<KnownModules, Failure> {
    let (modules, catalog) = with_templates(&config.data_dir, modules(config)?, catalog(config)?);
    Ok(KnownModules { modules, catalog })
}

/// The plans of users, and what decisions about them do.
pub(super) fn reviews(config: &Config, operator: &Operator, known: &KnownModules, metrics: Arc<Metrics>) -> Result<Reviews, Failure> {
    Ok(Reviews::new(operator.store().clone(), executors(config, known), known.catalog.clone(), metrics, clock()))
}

/// Makes the calls that decisions leave behind.
pub(super) fn outbox(operator: &Operator, reviews: Arc<Reviews>, webhooks: BTreeMap<String, Webhook>) -> Result<Outbox, Failure> {
    Outbox::new(operator.store().clone(), reviews, webhooks, clock()).map_err(Failure::failed)
}

/// Who carries out which tool.
fn executors(config: &Config, known: &KnownModules) -> Executors {
    let named = |wanted: fn(&Tool) -> bool| known.catalog.tools().iter().filter(move |tool| wanted(tool)).map(|tool| tool.name.clone());
    let by_client: Vec<String> = named(|tool| tool.execute == Some(Execute::Client)).collect();
    let called = named(|tool| matches!(tool.execute, Some(Execute::Webhook(_)))).collect();
    let limits = AutoLimits { steps: config.auto_steps_per_hour.into(), destructive: Arc::new(named(|tool| tool.destructive).collect()) };
    Executors::new(known.modules.clone().without(&by_client), called, config.time_zone.clone(), limits)
}

/// The configured webhooks, by their tools.
pub(super) fn webhooks(config: &Config) -> Result<BTreeMap<String, Webhook>, Failure> {
    let mut webhooks = BTreeMap::new();
    for tool in catalog(config)?.tools() {
        if let Some(Execute::Webhook(spec)) = &tool.execute {
            let wrong = |error| Failure::Usage(format!("the webhook of tool {:?} (MANA_AI_TOOLS) cannot be used: {error}", tool.name));
            webhooks.insert(tool.name.clone(), Webhook::new(spec, |name| std::env::var(name).ok()).map_err(wrong)?);
        }
    }
    Ok(webhooks)
}

/// The configured modules.
fn modules(config: &Config) -> Result<Modules, Failure> {
    let builtin = if config.carries_out { Modules::builtin() } else { Modules::builtin().without_tools() };
    let Some(path) = &config.modules_file else { return Ok(builtin) };
    let wrong = |what: String| Failure::Usage(format!("the modules of {} (MANA_AI_MODULES) cannot be used: {what}", path.display()));
    let file = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    builtin.with(&file).map_err(|error| wrong(error.to_string()))
}

/// A runner with the configured rules; `now` stops its clock.
pub(super) fn runner(config: &Config, operator: &Operator, known: &KnownModules, now: Option<Timestamp>) -> Result<Arc<Runner>, Failure> {
    let planner = planner(config, known.catalog.clone())?;
    let metrics = Arc::new(Metrics::new().map_err(Failure::failed)?);
    let clock: Clock = match now {
        Some(now) => Arc::new(move || now),
        None => clock(),
    };
    Runner::new(operator.store().clone(), planner, metrics, rules(config, known)?, clock).map_err(Failure::failed)
}

/// The configured model server.
pub(super) fn model_server(config: &Config) -> provider::ProviderSettings {
    provider::ProviderSettings {
        url: config.llm_url.clone(),
        api_key: config.llm_api_key.clone(),
        model: config.llm_model.clone(),
        timeout: config.llm_timeout,
        dialect: config.planner,
        headers: config.llm_headers.clone(),
    }
}

/// The model server with what the page may change of it.
fn model_keeper(config: &Config) -> ModelKeeper {
    let FixedModel { address, key, model, price } = config.llm_fixed.clone();
    let fixed = FixedParts { address, key, model, price };
    ModelKeeper::new(model_server(config), config.llm_price.clone(), fixed, config.data_dir.join(config::KEPT_NAME))
}

/// The configured tools.
pub(super) fn catalog(config: &Config) -> Result<Catalog, Failure> {
    Ok(match &config.tools_file {
        None => Catalog::builtin(),
        Some(path) => {
            let wrong = |what: String| Failure::Usage(format!("the tools of {} (MANA_AI_TOOLS) cannot be used: {what}", path.display()));
            let file = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
            Catalog::builtin().with(&file).map_err(|error| wrong(error.to_string()))?
        }
    })
}

/// A planner with the configured model server and some tools.
pub(super) fn planner(config: &Config, catalog: Catalog) -> Result<Planner, Failure> {
    Planner::new(model_server(config), catalog, config.llm_context_tokens).map_err(Failure::failed)
}

/// How the user calls this program, so that what is printed can be copied.
pub(super) fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "mana-ai".into())
}

/// Those who check users' tokens: with the keys of an identity provider, else with our own.
pub(super) fn users(config: &Config) -> Result<Users, Failure> {
    match &config.jwks_url {
        Some(url) => Users::remote(url.clone(), config.jwt_audience.clone(), config.jwt_issuer.clone()).map_err(Failure::failed),
        None => Ok(Users::local(local_key(config)?)),
    }
}

/// The key of local mode, which is made where it is missing.
pub(super) fn local_key(config: &Config) -> Result<LocalKey, Failure> {
    Ok(LocalKey::load(&config.data_dir).map_err(Failure::failed)?.for_audience(&config.jwt_audience))
}

/// The key that opens grants, where one is configured.
pub(super) fn private_key(config: &Config) -> Result<Option<PrivateKey>, Failure> {
    let key = config.private_key_pem.as_ref().map(|pem| PrivateKey::from_pem(pem)).transpose();
    key.map_err(|error| Failure::Usage(format!("MANA_AI_PRIVATE_KEY_PEM is {error}")))
}

/// The rules by which missions run, for those who explain them.
pub(super) fn rules_told(config: &Config) -> Rules {
    Rules {
        zone: config.time_zone.clone(),
        ceilings: ceilings(config),
        breaker: breaker(config),
        provider: provider::name_of(&config.llm_url),
    }
}

fn ceilings(config: &Config) -> Ceilings {
    Ceilings {
        unreviewed_plans: config.max_unreviewed_plans,
        calls_per_day: config.user_max_calls_per_day,
        tokens_per_day: config.user_max_tokens_per_day,
        longest_wait: runner::longest_wait(&backoff(config), &breaker(config)),
    }
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

fn backoff(config: &Config) -> Backoff {
    Backoff { base: signed(config.retry_base), max: signed(config.retry_max) }
}

fn breaker(config: &Config) -> Limits {
    Limits { failures: config.breaker_failures, cooldown: signed(config.breaker_cooldown) }
}

fn rules(config: &Config, known: &KnownModules) -> Result<RunnerSettings, Failure> {
    Ok(RunnerSettings {
        max_parallel: config.max_parallel_plans,
        max_attempts: config.max_attempts,
        iterations_kept: config.max_iterations_kept,
        first_step_status: config.step_status,
        backoff: backoff(config),
        breaker: breaker(config),
        ceilings: ceilings(config),
        zone: config.time_zone.clone(),
        executors: executors(config, known),
        private_key: private_key(config)?.map(Arc::new),
    })
}
