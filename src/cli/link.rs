//! `mana-ai link`

use std::io::Write;
use std::net::SocketAddr;

use jiff::Timestamp;

use super::{Context, Failure, Outcome, output, setup};
use crate::config::Config;
use crate::store::{Store, StoreResult};
use crate::workbench;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Sign in as this user [default: the visitor chooses]
    #[arg(long)]
    user: Option<String>,
}

pub(super) async fn run(context: Context, args: Args) -> Outcome {
    let config = context.config;
    if config.jwks_url.is_some() {
        return Err(Failure::Failed("users come from JWKS_URL, so sign in with a token of that provider".into()));
    }
    let store = setup::new_store(&config).await?;
    let link = make(&store, SocketAddr::new(config.host, config.port), args.user).await?;
    let mut out = output::stdout();
    writeln!(out, "{link}")?;
    Ok(out.flush()?)
}

/// A link to the server at this address, that works once.
pub(super) async fn make(store: &Store, address: SocketAddr, user: Option<String>) -> StoreResult<String> {
    let path = workbench::new_link(store, user, Timestamp::now()).await?;
    Ok(format!("http://{}{path}", setup::reachable(address)))
}

/// Tells how to sign in, on stdout and never in the log: to whoever watches the start, and at the first start.
pub(super) async fn tell(store: &Store, config: &Config, address: SocketAddr, watched: bool) -> Outcome {
    if config.jwks_url.is_some() || (!watched && store.was_signed_in().await?) {
        return Ok(());
    }
    let mut out = output::stdout();
    match make(store, address, None).await {
        Ok(link) => writeln!(out, "Open the workbench with this link; it works once, within a day:\n  {link}")?,
        // A server that cannot write for now still serves what it can.
        Err(error) => tracing::warn!(%error, "no sign-in link could be made; `mana-ai link` makes one later"),
    }
    Ok(out.flush()?)
}
