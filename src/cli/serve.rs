//! `mana-ai serve`

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Duration;

use super::{CommandResult, Context, Failure, link, setup};
use crate::app::App;
use crate::auth::ServiceKey;
use crate::config::Config;
use crate::http::{self, Api};
use crate::turns::Turns;
use crate::workbench::{self, Workbench};

pub(super) async fn run(context: Context) -> CommandResult {
    let config = context.config;
    // From here on, so that a stop that comes early is one as well.
    let stop = setup::asked_to_stop();
    let operator = setup::new_operator(&config).await?;
    let listener = http::listen(SocketAddr::new(config.host, config.port)).await.map_err(Failure::failed)?;
    let app = setup::app(&config, &operator)?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let server = Server::start(listener, &config, &app)?;
    link::tell(&operator, &config, address, std::io::stdout().is_terminal()).await?;
    tracing::info!(%address, database = %operator.path().display(), data_dir = %config.data_dir.display(), model = config.llm_model, "mana-ai listens");
    let ticking = config.tick_enabled.then(|| {
        let app = Arc::clone(&app);
        tokio::spawn(async move { app.follow_schedule(config.tick_interval).await })
    });
    if ticking.is_none() {
        tracing::info!("ticks are off (TICK_ENABLED); POST /internal/tick still works");
    }
    let calling = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.follow_outbox().await }
    });
    let removing = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.follow_removals().await }
    });
    stop.await;
    tracing::info!(grace = ?config.shutdown_grace, "stopping: plans under way may finish");
    ticking.inspect(JoinHandle::abort);
    let cut_short = app.stop(config.shutdown_grace).await?;
    // A call that is cut short has an unknown outcome.
    let _ = tokio::time::timeout(config.shutdown_grace, calling).await;
    removing.abort();
    server.stop().await;
    tracing::info!(cut_short, "stopped");
    Ok(())
}

/// The HTTP side, running in a task of its own.
pub(super) struct Server {
    app: Arc<App>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    following: JoinHandle<()>,
}

impl Server {
    pub fn start(listener: TcpListener, config: &Config, app: &Arc<App>) -> Result<Self, Failure> {
        let service_key = ServiceKey::load(config.service_key.as_deref(), &config.data_dir).map_err(Failure::failed)?;
        let turns = Arc::new(Turns::default());
        let address = listener.local_addr().map_err(Failure::failed)?;
        let pages = workbench::router(Workbench {
            app: Arc::clone(app),
            turns: Arc::clone(&turns),
            port: address.port(),
            public_url: config.public_urls.first().map(ToString::to_string),
        });
        let api = Api {
            app: Arc::clone(app),
            service_key,
            turns,
            address,
            public_urls: config.public_urls.clone(),
            max_body_bytes: config.max_body_bytes,
            cors_origins: config.cors_origins.clone(),
            pages,
            no_page: workbench::no_page,
        };
        let following = tokio::spawn(app.follow_log());
        let (stop, stopped) = oneshot::channel();
        let router = http::router(api);
        let task = tokio::spawn(async move {
            let asked = async move {
                // A dropped sender means the same.
                let _ = stopped.await;
            };
            http::serve(listener, router, asked).await;
        });
        Ok(Server { app: Arc::clone(app), stop, task, following })
    }

    /// Lets answers finish, but not for long.
    pub async fn stop(self) {
        self.following.abort();
        self.app.close_listeners();
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(Duration::from_secs(2), self.task).await;
    }
}
