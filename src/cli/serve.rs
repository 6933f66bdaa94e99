//! `mana-ai serve`

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, MissedTickBehavior};

use super::{Context, Failure, Outcome, link, setup};
use crate::auth::ServiceKey;
use crate::config::Config;
use crate::http::{self, Api};
use crate::runner::Runner;
use crate::sync::{self, Hub};
use crate::turns::Turns;
use crate::workbench::{self, Workbench};

pub(super) async fn run(context: Context) -> Outcome {
    let config = context.config;
    // From here on, so that a stop that comes early is one as well.
    let stop = setup::asked_to_stop();
    let store = setup::new_store(&config).await?;
    let listener = http::listen(SocketAddr::new(config.host, config.port)).await.map_err(Failure::failed)?;
    let runner = setup::runner(&config, store, None)?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let server = Server::start(listener, &config, &runner)?;
    link::tell(runner.store(), &config, address, std::io::stdout().is_terminal()).await?;
    tracing::info!(%address, data_dir = %config.data_dir.display(), model = config.llm_model, "mana-ai listens");
    let ticking = tokio::spawn(tick_forever(Arc::clone(&runner), config.clone()));
    stop.await;
    tracing::info!(grace = ?config.shutdown_grace, "stopping: plans under way may finish");
    ticking.abort();
    let cut_short = runner.stop(config.shutdown_grace).await?;
    server.stop().await;
    tracing::info!(cut_short, "stopped");
    Ok(())
}

/// The HTTP side, running in a task of its own.
pub(super) struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    hub: Arc<Hub>,
    following: JoinHandle<()>,
}

impl Server {
    pub fn start(listener: TcpListener, config: &Config, runner: &Arc<Runner>) -> Result<Self, Failure> {
        let service_key = ServiceKey::load(config.service_key.as_deref(), &config.data_dir).map_err(Failure::failed)?;
        let users = Arc::new(setup::users(config)?);
        let turns = Arc::new(Turns::default());
        let hub = Arc::new(Hub::default());
        let following = tokio::spawn(sync::follow(runner.store().clone(), Arc::clone(&hub)));
        let address = listener.local_addr().map_err(Failure::failed)?;
        let pages = workbench::router(Workbench {
            runner: Arc::clone(runner),
            users: Arc::clone(&users),
            turns: Arc::clone(&turns),
            hub: Arc::clone(&hub),
            port: address.port(),
            zone: config.time_zone.clone(),
            rules: setup::rules_told(config),
        });
        let api = Api {
            runner: Arc::clone(runner),
            service_key,
            users,
            turns,
            hub: Arc::clone(&hub),
            address,
            public_urls: config.public_urls.clone(),
            max_body_bytes: config.max_body_bytes,
            ceilings: config.log_ceilings,
            cors_origins: config.cors_origins.clone(),
            pages,
        };
        let (stop, stopped) = oneshot::channel();
        let app = http::router(api);
        let task = tokio::spawn(async move {
            let asked = async move {
                // A dropped sender means the same.
                let _ = stopped.await;
            };
            http::serve(listener, app, asked).await;
        });
        Ok(Server { stop, task, hub, following })
    }

    /// Lets answers finish, but not for long.
    pub async fn stop(self) {
        self.following.abort();
        self.hub.close();
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(Duration::from_secs(2), self.task).await;
    }
}

/// Ticks at once and then at every interval, also while runs of earlier ticks are in flight.
async fn tick_forever(runner: Arc<Runner>, config: Config) {
    if !config.tick_enabled {
        tracing::info!("ticks are off (TICK_ENABLED); POST /internal/tick still works");
        return;
    }
    let mut interval = tokio::time::interval_at(Instant::now(), config.tick_interval);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        match runner.tick().await {
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
