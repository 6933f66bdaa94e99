//! The command line: one file a command (docs/design.md, section 12).
//!
//! This room reads arguments, calls the rooms that do the work, and prints. Results go to stdout, everything else
//! to stderr, both through `text::Printable`. Exit codes: 0 done, 1 failed, 2 wrong usage.

mod agents;
mod backup;
mod cadence;
mod check;
mod completions;
mod config;
mod demo;
mod doctor;
mod explain;
mod export;
mod grant;
mod health;
mod import;
mod init;
mod link;
mod man;
mod missions;
mod moving;
mod output;
mod people;
mod plan;
mod restore;
mod reviews;
mod runs;
mod serve;
mod sessions;
mod setup;
mod telemetry;
mod tick;
mod token;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use telemetry::Telemetry;

use crate::app::NotFound;
use crate::config::{Config, ConfigError, GivenSettings, SETTINGS, Scope};
use crate::text;

/// Runs AI missions in the background: one binary, one SQLite file.
#[derive(Parser)]
#[command(name = "mana-ai", version, long_version = LONG_VERSION, max_term_width = 110)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage.")]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

/// What `--version` says: which source, and how it was built.
const LONG_VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), "\ncommit: ", env!("MANA_AI_BUILD_COMMIT"), "\nbuild: ", env!("MANA_AI_BUILD"));

#[derive(Subcommand)]
enum Cmd {
    /// Set up a new installation: a configuration file, keys, and what to do next
    Init(init::InitArgs),
    /// Find what keeps this installation from working, and how to fix it
    Doctor(doctor::DoctorArgs),
    /// Serve HTTP and run due missions until stopped
    Serve,
    /// Check that the running server is healthy
    Health,
    /// Show the program at work: example data and a scripted model, no setup
    Demo(demo::DemoArgs),
    /// Look for due missions once, run them, and print the statistics
    Tick(tick::TickArgs),
    /// Read changes from JSONL, or from the CSV of a Postgres COPY, into the log
    Import(import::ImportArgs),
    /// Write the log as JSONL
    Export(export::ExportArgs),
    /// List agents
    Agents(agents::AgentsArgs),
    /// List missions
    Missions(missions::MissionsArgs),
    /// List runs: attempts, tokens, outcome, reason
    Runs(runs::RunsArgs),
    /// List the plans that await review, with what each step would change
    Reviews(reviews::ReviewsArgs),
    /// Approve steps of plans
    Approve(reviews::ApproveArgs),
    /// Reject steps of plans
    Reject(reviews::RejectArgs),
    /// Take back what steps wrote, unless somebody changed it since
    Undo(reviews::UndoArgs),
    /// Explain why a mission runs or not
    Explain(explain::ExplainArgs),
    /// Plan one mission now and print the plan without saving it
    Plan(plan::PlanArgs),
    /// Compute the next times of a cadence
    Cadence(cadence::CadenceArgs),
    /// Issue and inspect the key grants of missions
    Grant(grant::GrantArgs),
    /// Make tokens for users' clients
    Token(token::TokenArgs),
    /// Print a one-time link that signs in to the workbench; without --user, whoever opens it may choose any user
    Link(link::LinkArgs),
    /// List who uses the server, and who administers it
    People(people::PeopleArgs),
    /// List the browsers that are signed in, and sign them out
    Sessions(sessions::SessionsArgs),
    /// Back up the database into a file, also while the server runs
    Backup(backup::BackupArgs),
    /// Put a backup into the data directory
    Restore(restore::RestoreArgs),
    /// Move everything into another database: a file, or one of a Postgres server
    Move(moving::MoveArgs),
    /// Verify the file, the log and the snapshots
    Check(check::CheckArgs),
    /// Show the settings in force
    Config(config::ConfigArgs),
    /// Print shell completions
    Completions(completions::CompletionsArgs),
    /// Print the manual, or write a page for each command
    Man(man::ManArgs),
}

/// Commands that plan, and so take all settings.
const RUNNER_COMMANDS: [&str; 9] = ["init", "doctor", "serve", "health", "demo", "tick", "plan", "link", "config"];

/// What a command knows besides its own arguments.
struct Context {
    raw: GivenSettings,
    config: Config,
}

/// Why a command ends without success.
#[derive(Debug)]
enum Failure {
    /// Wrong usage: exit code 2.
    Usage(String),
    /// It failed: exit code 1.
    Failed(String),
    /// The reader of stdout went away, which is no failure.
    NoReader,
}

impl Failure {
    fn failed(error: impl Display) -> Self {
        Failure::Failed(error.to_string())
    }
}

impl From<crate::store::StoreError> for Failure {
    fn from(error: crate::store::StoreError) -> Self {
        Failure::failed(error)
    }
}

impl From<NotFound> for Failure {
    fn from(error: NotFound) -> Self {
        match error {
            NotFound::Several { .. } => Failure::Usage(error.to_string()),
            NotFound::Nowhere(_) | NotFound::Store(_) => Failure::failed(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Failure::NoReader
        } else {
            Failure::failed(format!("cannot write the output: {error}"))
        }
    }
}

type CommandResult = Result<(), Failure>;

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches_from(std::env::args_os()) {
        Ok(matches) => matches,
        // Help and version come this way too, with the code 0.
        Err(error) => return answer(&error),
    };
    match run(&matches) {
        Ok(()) | Err(Failure::NoReader) => ExitCode::SUCCESS,
        Err(Failure::Usage(message)) => complain(&message, 2),
        Err(Failure::Failed(message)) => complain(&message, 1),
    }
}

fn complain(message: &str, code: u8) -> ExitCode {
    output::say(format_args!("mana-ai: {message}"));
    ExitCode::from(code)
}

/// Prints help and versions, and what is wrong with arguments, which may hold somebody else's text.
fn answer(error: &clap::Error) -> ExitCode {
    let is_safe = std::env::args_os().all(|arg| arg.to_str().is_some_and(|arg| !arg.contains(text::is_unsafe)));
    if is_safe || !error.use_stderr() {
        let _ = error.print();
    } else {
        output::say(error.render().to_string().trim_end());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run(matches: &ArgMatches) -> CommandResult {
    let cli = Cli::from_arg_matches(matches).map_err(|error| Failure::Usage(error.to_string()))?;
    let given = matches.subcommand().map(|(_, given)| given);
    // These need no settings, so wrong ones do not hold them up.
    match cli.command {
        Cmd::Completions(args) => return completions::run(command(), &args),
        Cmd::Man(args) => return man::run(command(), args),
        _ => {}
    }
    let raw = settings(given);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::failed)?;
    let outcome = match cli.command {
        // It tells of wrong settings by itself.
        Cmd::Doctor(args) => runtime.block_on(doctor::run(raw, args)),
        command => {
            let wrong = |error: ConfigError| Failure::Usage(error.to_string());
            let raw = raw.map_err(wrong)?;
            let config = Config::read(&raw).map_err(wrong)?;
            let telemetry = Telemetry::start(&config, matches!(command, Cmd::Serve))?;
            let outcome = runtime.block_on(dispatch(command, Context { raw, config }));
            telemetry.end();
            outcome
        }
    };
    // Nothing of value is left; a slow model must not hold up the end.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(command: Cmd, context: Context) -> CommandResult {
    match command {
        Cmd::Init(args) => init::run(context, args).await,
        Cmd::Serve => serve::run(context).await,
        Cmd::Health => health::run(context).await,
        Cmd::Demo(args) => demo::run(context, args).await,
        Cmd::Tick(args) => tick::run(context, args).await,
        Cmd::Import(args) => import::run(context, args).await,
        Cmd::Export(args) => export::run(context, args).await,
        Cmd::Agents(args) => agents::run(context, args).await,
        Cmd::Missions(args) => missions::run(context, args).await,
        Cmd::Runs(args) => runs::run(context, args).await,
        Cmd::Reviews(args) => reviews::list(context, args).await,
        Cmd::Approve(args) => reviews::approve(context, args).await,
        Cmd::Reject(args) => reviews::reject(context, args).await,
        Cmd::Undo(args) => reviews::undo(context, args).await,
        Cmd::Explain(args) => explain::run(context, args).await,
        Cmd::Plan(args) => plan::run(context, args).await,
        Cmd::Cadence(args) => cadence::run(&context, &args),
        Cmd::Grant(args) => grant::run(&context, args),
        Cmd::Token(args) => token::run(context, args).await,
        Cmd::Link(args) => link::run(context, args).await,
        Cmd::People(args) => people::run(context, args).await,
        Cmd::Sessions(args) => sessions::run(context, args).await,
        Cmd::Backup(args) => backup::run(context, args).await,
        Cmd::Restore(args) => restore::run(context, args).await,
        Cmd::Move(args) => moving::run(context, args).await,
        Cmd::Check(args) => check::run(context, args).await,
        Cmd::Config(args) => config::run(&context, &args),
        // These are run before there is a context.
        Cmd::Doctor(_) | Cmd::Completions(_) | Cmd::Man(_) => Ok(()),
    }
}

/// The commands with the flags of the settings: some everywhere, the others where they matter.
fn command() -> Command {
    let file = Arg::new("config_file").long("config").value_name("FILE").value_parser(clap::value_parser!(PathBuf));
    let file = file.help("TOML file with settings [env: MANA_AI_CONFIG] [default: mana-ai.toml in the data directory, if there]");
    let mut command =
        Cli::command().arg(file.global(true).help_heading("Settings")).args(flags(Scope::Every).map(|flag| flag.global(true)));
    for name in RUNNER_COMMANDS {
        command = command.mut_subcommand(name, |sub| sub.args(flags(Scope::Runner)));
    }
    command
}

fn flags(scope: Scope) -> impl Iterator<Item = Arg> {
    SETTINGS.iter().filter(move |s| !s.secret && s.scope == scope).map(|setting| {
        let default = setting.default.map_or(String::new(), |d| format!(" [default: {}]", if d.is_empty() { "none" } else { d }));
        Arg::new(setting.key)
            .long(setting.key.replace('_', "-"))
            .value_name("VALUE")
            .help(format!("{} [env: {}]{default}", setting.help, setting.variable))
            .help_heading("Settings")
    })
}

/// The texts of all settings, from flags, environment and file.
fn settings(given: Option<&ArgMatches>) -> Result<GivenSettings, ConfigError> {
    let flag = |key: &str| given.and_then(|given| given.try_get_one::<String>(key).ok().flatten().cloned());
    let flags: HashMap<&'static str, String> = SETTINGS.iter().filter_map(|s| Some((s.key, flag(s.key)?))).collect();
    let file = given.and_then(|given| given.try_get_one::<PathBuf>("config_file").ok().flatten().cloned());
    let environment = |name: &str| std::env::var_os(name).map(OsString::into_string).and_then(Result::ok);
    GivenSettings::collect(&flags, environment, file.as_deref())
}

/// Reads a time argument.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    crate::domain::time::parse_rfc3339(text).ok_or_else(|| "not an RFC 3339 time such as 2026-04-15T08:00:00Z".into())
}

/// Reads a length of time; a day is 24 hours.
fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let days = SpanRelativeTo::days_are_24_hours();
    let span = text.parse::<Span>().and_then(|span| span.to_duration(days));
    span.map_err(|_| "not a length of time such as 90m, 12h or 30d".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        command().debug_assert();
    }

    fn tell(command: &mut Command, path: &str, help: &mut String) {
        for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name()).trim_start().to_owned();
            *help += &format!("\n=== {path} ===\n{}", sub.render_help());
            tell(sub, &path, help);
        }
    }

    #[test]
    fn the_help_of_every_command() {
        let mut command = command().term_width(110);
        let mut help = command.render_help().to_string();
        tell(&mut command, "", &mut help);
        insta::assert_snapshot!(help);
    }
}
