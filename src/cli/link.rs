//! `mana-ai link`

use std::io::Write;
use std::net::SocketAddr;

use super::{CommandResult, Context, Failure, output, setup};
use crate::app::Operator;
use crate::config::Config;
use crate::domain::ids::UserId;

#[derive(clap::Args)]
pub(super) struct LinkArgs {
    /// Sign in as this user [default: the visitor chooses]
    #[arg(long)]
    user: Option<UserId>,
}

pub(super) async fn run(context: Context, args: LinkArgs) -> CommandResult {
    let config = context.config;
    if config.jwks_url.is_some() {
        return Err(Failure::Failed("users come from JWKS_URL, so sign in with a token of that provider".into()));
    }
    let operator = setup::new_operator(&config).await?;
    // A server may listen elsewhere than the settings of this command say.
    let given = !(context.raw.is_default("host") && context.raw.is_default("port"));
    let listens = operator.listens_at().await?.filter(|_| !given);
    let address = listens.unwrap_or(SocketAddr::new(config.host, config.port));
    let link = make(&operator, &config, address, args.user).await?;
    let mut out = output::stdout();
    writeln!(out, "{link}")?;
    Ok(out.flush()?)
}

/// A link that works once: to the public address of the server, else to the one where it listens.
async fn make(operator: &Operator, config: &Config, address: SocketAddr, user: Option<UserId>) -> Result<String, Failure> {
    let path = operator.link(user, &setup::local_key(config)?).await?;
    let base = config.public_urls.first().map(|url| url.as_str().trim_end_matches('/').to_owned());
    Ok(format!("{}{path}", base.unwrap_or_else(|| format!("http://{}", setup::reachable(address)))))
}

/// Tells how to sign in, on stdout and never in the log: to whoever watches the start, and at the first start.
pub(super) async fn tell(operator: &Operator, config: &Config, address: SocketAddr, watched: bool) -> CommandResult {
    // Commands beside the server print links to it.
    if let Err(error) = operator.listen_at(address).await {
        tracing::debug!(%error, "the server's address could not be saved");
    }
    if config.jwks_url.is_some() || (!watched && operator.was_signed_in().await?) {
        return Ok(());
    }
    let mut out = output::stdout();
    match make(operator, config, address, None).await {
        Ok(link) => writeln!(out, "Open the workbench with this link; it works once, within a day:\n  {link}")?,
        // A server that cannot write for now still serves what it can.
        Err(Failure::Failed(error) | Failure::Usage(error)) => {
            tracing::warn!(error, "no sign-in link could be made; `mana-ai link` makes one later");
        }
        Err(Failure::NoReader) => {}
    }
    Ok(out.flush()?)
}
