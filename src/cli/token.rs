//! `mana-ai token`

use std::io::Write;

use clap::Subcommand;
use jiff::SignedDuration;

use super::{CommandResult, Context, Failure, output, parse_duration, setup};
use crate::domain::ids::UserId;

#[derive(clap::Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Print a token with which a user's client may call this server
    Create(Create),
}

#[derive(clap::Args)]
struct Create {
    /// Id of the user that the token speaks for
    #[arg(long)]
    user: UserId,
    /// How long it is valid, such as 12h or 30d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_duration)]
    ttl: SignedDuration,
}

pub(super) async fn run(context: Context, args: TokenArgs) -> CommandResult {
    let TokenCommand::Create(Create { user, ttl }) = args.command;
    if user.trim().is_empty() || user.len() > 256 {
        return Err(Failure::Usage("--user must be 1 to 256 characters long".into()));
    }
    if ttl < SignedDuration::from_mins(1) {
        return Err(Failure::Usage("--ttl must be at least a minute".into()));
    }
    if context.config.jwks_url.is_some() {
        return Err(Failure::Usage("JWKS_URL is set, so tokens come from that identity provider; unset it to make them here".into()));
    }
    // Makes the data directory where it is missing.
    setup::new_operator(&context.config).await?;
    let key = setup::local_key(&context.config)?;
    let token = key.issue(&user, setup::now(), ttl).map_err(Failure::failed)?;
    let mut out = output::stdout();
    writeln!(out, "{token}")?;
    Ok(out.flush()?)
}
