//! `mana-ai demo`

use std::io::Write;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::time::{Duration, MissedTickBehavior};

use super::serve::Server;
use super::{CommandResult, Context, Failure, link, output, setup};
use crate::config::{Config, FixedModel, GivenSettings};
use crate::demo::{self, model, narrator::Narrator, reviewer::Reviewer};
use crate::http;

#[derive(clap::Args)]
pub(super) struct DemoArgs {
    /// End after this many ticks [default: go on until stopped]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    ticks: Option<u32>,
}

/// What fixes the model here.
const DEMO: &str = "demo";

pub(super) async fn run(context: Context, args: DemoArgs) -> CommandResult {
    let mut config = quicker(context.config, &context.raw);
    let operator = setup::new_operator(&config).await?;
    demo::load(operator.store()).await.map_err(Failure::failed)?;
    let model = model::start().await.map_err(Failure::failed)?;
    config.llm_url = format!("http://{model}").parse().map_err(Failure::failed)?;
    config.llm_model = model::MODEL.into();
    config.llm_api_key = None;
    config.llm_fixed = FixedModel { address: Some(DEMO.into()), key: Some(DEMO.into()), model: Some(DEMO.into()), price: None };
    config.private_key_pem = Some(demo::private_key_pem());
    config.jwks_url = None;
    let listener = listen(&config, &context.raw).await?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let app = setup::app(&config, &operator)?;
    let server = Server::start(listener, &config, &app)?;
    let place = match config.database {
        None => output::quoted(&config.data_dir.to_string_lossy()),
        Some(_) => operator.path().display().to_string(),
    };
    welcome(&config, address, &place)?;
    link::tell(&operator, &config, address, true).await?;
    say(&[String::new()])?;
    let mut narrator = Narrator::default();
    let mut reviewer = Reviewer::default();
    let mut interval = tokio::time::interval(config.tick_interval);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut left = args.ticks.unwrap_or(u32::MAX);
    // One for all rounds: a signal that comes while plans are made counts too.
    let mut stop = std::pin::pin!(setup::asked_to_stop());
    while left > 0 {
        tokio::select! {
            _ = interval.tick() => {}
            () = &mut stop => break,
        }
        let tick = app.begin_tick().await?;
        let notes = tick.notes.clone();
        let (stats, settled) = tokio::select! {
            settled = tick.settle() => settled,
            () = &mut stop => break,
        };
        say(&narrator.tell(&operator, &stats, &notes, &settled).await?)?;
        say(&reviewer.act(app.reviews()).await.map_err(Failure::failed)?)?;
        left -= u32::from(args.ticks.is_some());
    }
    app.stop(Duration::from_secs(2)).await?;
    server.stop().await;
    goodbye(&config, &place)
}

/// A demo does not wait a minute, unless it is told to.
fn quicker(mut config: Config, raw: &GivenSettings) -> Config {
    if raw.is_default("tick_interval_ms") {
        config.tick_interval = Duration::from_secs(3);
    }
    if raw.is_default("retry_base_ms") {
        config.retry_base = Duration::from_secs(2);
    }
    config
}

/// The configured port, or any other where that was not asked for and is taken.
async fn listen(config: &Config, raw: &GivenSettings) -> Result<TcpListener, Failure> {
    match http::listen(SocketAddr::new(config.host, config.port)).await {
        Err(_) if raw.is_default("port") => http::listen(SocketAddr::new(config.host, 0)).await,
        outcome => outcome,
    }
    .map_err(Failure::failed)
}

fn say(lines: &[String]) -> CommandResult {
    let mut out = output::stdout();
    for line in lines {
        writeln!(out, "{}", output::safe(line))?;
    }
    Ok(out.flush()?)
}

fn welcome(config: &Config, address: SocketAddr, place: &str) -> CommandResult {
    let (program, dir) = (output::quoted(&setup::program()), output::quoted(&config.data_dir.to_string_lossy()));
    say(&[
        "mana-ai demo: two people, five agents, ten missions, and a scripted model behind a real HTTP server.".into(),
        format!("Data in {place}; metrics at http://{address}/metrics. In another terminal, look around with:"),
        format!("  {program} missions --data-dir {dir}"),
        format!("  {program} explain mission-news --data-dir {dir}"),
        format!("  {program} export --data-dir {dir} | tail -1"),
        "Ben sees what was read of his encrypted notes with a token of his own:".into(),
        format!(
            "  curl -H \"Authorization: Bearer $({program} token create --user ben --data-dir {dir})\" http://{address}/api/v1/me/ai-audit"
        ),
        "Ctrl-C stops it.".into(),
    ])
}

fn goodbye(config: &Config, place: &str) -> CommandResult {
    let (program, dir) = (output::quoted(&setup::program()), output::quoted(&config.data_dir.to_string_lossy()));
    say(&[
        String::new(),
        format!("Stopped. The plans are in {place}: `{program} runs --data-dir {dir}` lists them. Delete it to start over."),
    ])
}
