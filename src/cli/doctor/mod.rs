//! `mana-ai doctor`: looks at everything that an installation needs, and changes nothing.
//!
//! Each check answers one finding. A check that needs a setting which is wrong goes by its default, so that one mistake is
//! told once.

mod keys;
mod log;
mod machine;
mod server;
mod services;

use std::io::Write;

use serde_json::{Value, json};

use super::output::{json_lines, paints, safe, stdout};
use super::setup;
use super::{CommandResult, Failure};
use crate::config::{Config, ConfigError, GivenSettings};
use crate::grants::PrivateKey;
use crate::store::Examined;

#[derive(clap::Args)]
pub(super) struct DoctorArgs {
    /// Look at a log instead, before it moves here: a file, JSONL or Postgres CSV; - for stdin; or postgres://USER@HOST/NAME,
    /// with the password by PGPASSWORD or ~/.pgpass. Nothing is written
    #[arg(long, value_name = "FILE|-|URL")]
    database: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// How serious a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiagnosisStatus {
    Ok,
    /// It works, but not as its user may expect.
    Warn,
    Fail,
}

/// What a check found.
struct Diagnosis {
    status: DiagnosisStatus,
    found: String,
    /// What its user can do.
    fix: Option<String>,
}

impl Diagnosis {
    fn ok(found: impl Into<String>) -> Self {
        Diagnosis { status: DiagnosisStatus::Ok, found: found.into(), fix: None }
    }

    fn warn(found: impl Into<String>, fix: impl Into<String>) -> Self {
        Diagnosis { status: DiagnosisStatus::Warn, found: found.into(), fix: Some(fix.into()) }
    }

    fn fail(found: impl ToString, fix: impl Into<String>) -> Self {
        Diagnosis { status: DiagnosisStatus::Fail, found: found.to_string(), fix: Some(fix.into()) }
    }

    /// A failure with its message, which ends with the advice where it has any.
    fn failed(message: &impl ToString, advice: Option<&str>) -> Self {
        let message = message.to_string();
        let found = advice.and_then(|advice| message.strip_suffix(advice)?.strip_suffix("; ")).unwrap_or(&message);
        Diagnosis { status: DiagnosisStatus::Fail, found: found.to_owned(), fix: advice.map(str::to_owned) }
    }
}

/// The checks in their order; those of the server are for Postgres alone.
const CHECKS: [&str; 14] = [
    "config",
    "directory",
    "server",
    "role",
    "database",
    "disk",
    "clock",
    "time-zone",
    "port",
    "service-key",
    "users",
    "grant-key",
    "tools",
    "model",
];

pub(super) async fn run(raw: Result<GivenSettings, ConfigError>, args: DoctorArgs) -> CommandResult {
    if let Some(database) = args.database {
        // A log can be looked at where nothing is set up, or not well.
        let config = raw.ok().and_then(|raw| readable(raw).ok());
        let key = config.and_then(|(_, config, _)| PrivateKey::from_pem(&config.private_key_pem?).ok());
        return log::run(database, key, args.json).await;
    }
    let raw = match raw {
        Ok(raw) => raw,
        Err(error) => {
            show("config", &Diagnosis::fail(error.to_string(), "correct the file; nothing else was looked at"), args.json)?;
            return Err(Failure::Failed("1 check failed".into()));
        }
    };
    let (raw, config, wrong) = readable(raw)?;
    let mut looked = Looked::Nothing;
    let mut findings = Vec::new();
    for name in CHECKS.into_iter().filter(|name| config.database.is_some() || !["server", "role"].contains(name)) {
        if let ("server", Some(address)) = (name, &config.database) {
            looked = Looked::Server(Box::new(server::examine(address, &config).await));
        } else if name == "database" && config.database.is_none() {
            // It takes its time where there is much to read.
            looked = Looked::File(machine::examine(&config.data_dir).await);
        }
        let finding = match wrong.iter().find(|(check, _)| *check == name) {
            Some((_, error)) => Diagnosis::fail(error, "correct it"),
            None => look(name, &raw, &config, &looked).await,
        };
        show(name, &finding, args.json)?;
        findings.push(finding);
    }
    outcome(&findings)
}

/// Failed where a check did.
fn outcome<'a>(findings: impl IntoIterator<Item = &'a Diagnosis>) -> CommandResult {
    match findings.into_iter().filter(|finding| finding.status == DiagnosisStatus::Fail).count() {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 check failed".into())),
        n => Err(Failure::Failed(format!("{n} checks failed"))),
    }
}

/// The database that was looked at.
enum Looked {
    Nothing,
    File(machine::Database),
    Server(Box<server::ServerLook>),
}

impl Looked {
    /// What is known of the log.
    fn examined(&self) -> Option<&Examined> {
        match self {
            Looked::Nothing => None,
            Looked::File(found) => found.as_ref().ok()?.as_ref(),
            Looked::Server(server) => (**server).as_ref().ok()?.found.as_ref(),
        }
    }
}

async fn look(check: &str, raw: &GivenSettings, config: &Config, looked: &Looked) -> Diagnosis {
    match check {
        "config" => machine::config_file(raw, config),
        "directory" => machine::directory(&config.data_dir),
        "server" | "role" | "database" => match looked {
            Looked::Nothing => Diagnosis::ok("not looked at"),
            Looked::File(found) => machine::database(found),
            Looked::Server(server) => server::told(check, server),
        },
        "disk" => machine::disk(&config.data_dir),
        "clock" => machine::clock(looked.examined(), setup::now()),
        "time-zone" => machine::time_zone(raw, config, setup::now()),
        "port" => services::port(config).await,
        "service-key" => keys::service_key(config),
        "users" => keys::users(config).await,
        "grant-key" => keys::grant_key(raw, config),
        "tools" => services::tools(config),
        _ => services::model(config).await,
    }
}

/// Settings that are wrong: the check that tells of each, and what is wrong.
type Wrong = Vec<(&'static str, String)>;

/// The settings with the defaults of those that are wrong.
fn readable(mut raw: GivenSettings) -> Result<(GivenSettings, Config, Wrong), Failure> {
    let mut wrong = Vec::new();
    loop {
        match Config::read(&raw) {
            Ok(config) => return Ok((raw, config, wrong)),
            Err(error) => {
                // A default that is wrong would be met again for ever.
                let Some(key) = error.key().filter(|key| !raw.is_default(key)) else { return Err(Failure::failed(error)) };
                raw = raw.without(key);
                wrong.push((check_of(key), error.to_string()));
            }
        }
    }
}

/// The check that looks at what a setting is about.
fn check_of(key: &str) -> &'static str {
    match key {
        "data_dir" => "directory",
        "host" | "port" => "port",
        "time_zone" => "time-zone",
        "service_key" => "service-key",
        "jwks_url" => "users",
        "private_key_pem" => "grant-key",
        "tools_file" => "tools",
        "llm_url"
        | "llm_api_key"
        | "llm_model"
        | "llm_price_per_million_tokens"
        | "llm_timeout_ms"
        | "llm_headers"
        | "llm_context_tokens"
        | "planner" => "model",
        _ => "config",
    }
}

fn show(name: &str, finding: &Diagnosis, as_json: bool) -> std::io::Result<()> {
    let (word, color) = match finding.status {
        DiagnosisStatus::Ok => ("ok", 32),
        DiagnosisStatus::Warn => ("warn", 33),
        DiagnosisStatus::Fail => ("fail", 31),
    };
    if as_json {
        let fix = finding.fix.as_ref().map_or(Value::Null, |fix| json!(fix));
        return json_lines([json!({"check": name, "status": word, "found": finding.found, "mend": fix})]);
    }
    let mut out = stdout();
    let word = format!("{word:<4}");
    if paints(&std::io::stdout()) {
        out.paint(color, &word)?;
    } else {
        write!(out, "{word}")?;
    }
    let fix = finding.fix.as_ref().map_or(String::new(), |fix| format!("\n                   -> {}", safe(fix)));
    writeln!(out, " {name:<13} {}{fix}", safe(&finding.found))?;
    // Each is seen as soon as it is known: a slow model takes its time.
    out.flush()
}
