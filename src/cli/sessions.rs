//! `mana-ai sessions`

use std::io::Write;

use clap::Subcommand;
use serde_json::json;

use super::{CommandResult, Context, Failure, output, setup};
use crate::domain::browser::{BrowserName, BrowserSystem};
use crate::domain::ids::UserId;
use crate::domain::time;
use crate::store::{Session, WhichSessions};
use crate::text::browser;
use crate::text::catalog::Words;

/// Sessions that are listed at most.
const LISTED: u32 = 10_000;

#[derive(clap::Args)]
pub(super) struct SessionsArgs {
    #[command(subcommand)]
    command: SessionsCommand,
}

#[derive(Subcommand)]
enum SessionsCommand {
    /// List the browsers that are signed in to the workbench
    List(List),
    /// Sign browsers out, and take unused sign-in links back
    End(EndArgs),
}

#[derive(clap::Args)]
struct List {
    /// Only sessions of this user
    #[arg(long)]
    user: Option<UserId>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct EndArgs {
    /// Id of one session, as `sessions list` shows it
    id: Option<String>,
    /// All sessions of this user
    #[arg(long)]
    user: Option<UserId>,
    /// All sessions of everybody
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(context: Context, args: SessionsArgs) -> CommandResult {
    match args.command {
        SessionsCommand::List(args) => list(context, args).await,
        SessionsCommand::End(args) => end(context, args).await,
    }
}

async fn list(context: Context, args: List) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let sessions = operator.sessions(args.user, LISTED).await?;
    if args.json {
        return Ok(output::json_lines(sessions.iter().map(|session| {
            json!({
                "id": session.id, "userId": session.user, "signingKey": session.signing_key,
                "createdAt": time::iso_millis(session.created_at), "expiresAt": time::iso_millis(session.expires_at),
                "browser": session.browser.name.map(BrowserName::as_str), "system": session.browser.system.map(BrowserSystem::as_str),
            })
        }))?);
    }
    let row = |session: &Session| {
        let user = session.user.as_ref().map_or_else(|| "not chosen yet".into(), ToString::to_string);
        let browser = browser::named(Words::ENGLISH, session.browser);
        vec![session.id.clone(), user, browser, time::iso_millis(session.created_at), time::iso_millis(session.expires_at)]
    };
    Ok(output::table(&["Session", "User", "Browser", "Since", "Until"], sessions.iter().map(row).collect(), "Nobody is signed in.")?)
}

async fn end(context: Context, args: EndArgs) -> CommandResult {
    let which = match (args.id, args.user) {
        (Some(id), _) => WhichSessions::Id(id),
        (None, Some(user)) => WhichSessions::OfUser(user),
        (None, None) => WhichSessions::All,
    };
    let operator = setup::operator(&context.config).await?;
    let one = matches!(which, WhichSessions::Id(_));
    let ended = operator.end_sessions(which).await?;
    if one && ended == 0 {
        return Err(Failure::Failed("there is no such session; `mana-ai sessions list` shows them".into()));
    }
    let mut out = output::stdout();
    writeln!(out, "{ended} ended")?;
    Ok(out.flush()?)
}
