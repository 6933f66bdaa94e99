//! `mana-ai init`

use std::fs::DirBuilder;
use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use dialoguer::{Input, Password};
use jiff::tz::TimeZone;

use super::{CommandResult, Context, Failure, output, setup};
use crate::auth::{LocalKey, SecretFile, ServiceKey};
use crate::config::{self, Config, ConfigError, GivenSettings, SettingSource};
use crate::durable::{write_new, write_over};
use crate::grants::PrivateKey;
use crate::planner::provider::Provider;

#[derive(clap::Args)]
pub(super) struct InitArgs {
    /// Ask nothing: take what flags and variables say, else the defaults
    #[arg(long, short)]
    yes: bool,
}

/// The private key for grants; its public half is for the clients.
const GRANT_KEY: SecretFile = SecretFile {
    what: "grant key",
    name: "grant-key.pem",
    remedy: "remove the file to have a new key made; grants for the old one are then void",
};
const GRANT_PUBLIC_KEY: &str = "grant-public.pem";

/// Settings that are written where they were given; the first four are asked for.
type Chosen = Vec<(&'static str, String)>;

pub(super) async fn run(context: Context, args: InitArgs) -> CommandResult {
    let dir = context.config.data_dir.clone();
    let file = dir.join(config::FILE_NAME);
    if file.exists() {
        return Err(Failure::Failed(format!(
            "{} is there already; edit it, or move it away to start anew. Nothing was changed",
            file.display()
        )));
    }
    let asks = !args.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let chosen = if asks { ask(&context).await? } else { given(&context.raw) };
    let elsewhere: Vec<&str> = config::SETTINGS.iter().filter(|s| is_elsewhere(&context.raw, s)).map(|s| s.variable).collect();
    let has_key = elsewhere.contains(&"MANA_AI_PRIVATE_KEY_PEM");
    let chosen = tokio::task::spawn_blocking(move || write(&dir, &file, chosen, has_key)).await.map_err(Failure::failed)??;
    tell(&context, &chosen, asks, &elsewhere)
}

/// What flags and variables say.
fn given(raw: &GivenSettings) -> Chosen {
    let kept = |s: &&config::Setting| s.key != "data_dir" && !is_elsewhere(raw, s);
    let given = |s: &config::Setting| {
        let value = raw.given(s.key)?;
        // In the file, a path would be one from there on.
        let path = Some(value.trim()).filter(|path| config::is_path(s.key, path)).and_then(|path| std::path::absolute(path).ok());
        Some((s.key, path.map_or(value.to_owned(), |path| path.display().to_string())))
    };
    config::SETTINGS.iter().filter(kept).filter_map(given).collect()
}

/// Who gives a secret by the environment keeps it out of files.
fn is_elsewhere(raw: &GivenSettings, setting: &config::Setting) -> bool {
    setting.secret && *raw.source(setting.key) == SettingSource::Environment
}

async fn ask(context: &Context) -> Result<Chosen, Failure> {
    let mut chosen = given(&context.raw);
    output::say("A few questions; Enter takes what stands in brackets. Everything can be changed later.\n");
    let url = question(&context.raw, "llm_url", "Address of the model server", None)?;
    set(&mut chosen, "llm_url", url.clone());
    if is_remote(&url) && context.raw.is_default("llm_api_key") {
        let key = Password::new().with_prompt("API key for it (not shown; empty for none)").allow_empty_password(true).interact();
        let key = key.map_err(stopped)?;
        if !key.is_empty() {
            set(&mut chosen, "llm_api_key", key);
        }
    }
    let models = models(context, &chosen).await;
    match &models {
        Ok(models) if !models.is_empty() => {
            output::say(format_args!("It has: {}", models.iter().map(|m| output::safe(m)).collect::<Vec<_>>().join(", ")))
        }
        Ok(_) => output::say("It answers, but lists no models."),
        Err(error) => output::say(format_args!("It does not tell its models now ({error}); it can be started later.")),
    }
    let usual = context.config.llm_model.clone();
    let first = models.ok().filter(|models| !models.contains(&usual)).and_then(|models| Some(output::safe(&models.into_iter().next()?)));
    let model = question(&context.raw, "llm_model", "Model", first.filter(|_| context.raw.is_default("llm_model")))?;
    set(&mut chosen, "llm_model", model);
    let here = TimeZone::system().iana_name().filter(|zone| *zone != "Etc/UTC").map(str::to_owned);
    let zone = question(&context.raw, "time_zone", "Time zone of your missions", here.filter(|_| context.raw.is_default("time_zone")))?;
    set(&mut chosen, "time_zone", zone);
    set(&mut chosen, "port", question(&context.raw, "port", "Port of the workbench", None)?);
    Ok(chosen)
}

/// Asks for one setting until the answer is one that it takes.
fn question(raw: &GivenSettings, key: &'static str, prompt: &str, suggestion: Option<String>) -> Result<String, Failure> {
    let usual = suggestion.or_else(|| raw.text(key)).unwrap_or_default();
    let check = raw.clone();
    let takes = move |answer: &String| match Config::read(&check.with(key, answer)) {
        Err(ConfigError::Wrong { key: of, allowed, .. }) if of == key => Err(format!("it must be {allowed}")),
        _ => Ok(()),
    };
    Input::new().with_prompt(prompt).default(usual).validate_with(takes).interact_text().map_err(stopped)
}

fn stopped(error: dialoguer::Error) -> Failure {
    Failure::Failed(format!("init was stopped ({error}); nothing was written"))
}

fn set(chosen: &mut Chosen, key: &'static str, value: String) {
    chosen.retain(|(k, _)| *k != key);
    chosen.push((key, value));
}

fn is_remote(url: &str) -> bool {
    let host = url.parse::<reqwest::Url>().ok().and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()));
    host.is_some_and(|host| host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

/// The models that the chosen server lists.
async fn models(context: &Context, chosen: &Chosen) -> Result<Vec<String>, String> {
    let raw = chosen.iter().fold(context.raw.clone(), |raw, (key, value)| raw.with(key, value));
    let config = Config::read(&raw).map_err(|error| error.to_string())?;
    let provider = Provider::new(setup::model_server(&config)).map_err(|error| error.to_string())?;
    provider.models().await.map_err(|error| error.to_string())
}

/// Makes the directory, the keys and at last the file, so that an installation with a file is whole.
fn write(dir: &Path, file: &Path, mut chosen: Chosen, has_key: bool) -> Result<Chosen, Failure> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Failure::Failed(format!("cannot write {path}: {error}; choose another directory with --data-dir"))
    };
    if dir.exists() && !dir.is_dir() {
        return Err(Failure::Failed(format!("{} is a file, not a directory; choose another with --data-dir", dir.display())));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
    ServiceKey::load(None, dir).map_err(Failure::failed)?;
    LocalKey::load(dir).map_err(Failure::failed)?;
    if !has_key && !chosen.iter().any(|(key, _)| *key == "private_key_pem") {
        grant_key(dir)?;
        set(&mut chosen, "private_key_pem", GRANT_KEY.name.into());
    }
    if !write_new(file, &config::template(&chosen), 0o600).map_err(failed(file))? {
        return Err(Failure::Failed(format!("{} was made by somebody else meanwhile; nothing of it was changed", file.display())));
    }
    Ok(chosen)
}

/// The key for grants, made where it is missing, with its public half beside it.
fn grant_key(dir: &Path) -> Result<(), Failure> {
    let pem = GRANT_KEY.load(dir, PrivateKey::make).map_err(Failure::failed)?;
    let public = PrivateKey::public_pem(&pem).map_err(|error| Failure::failed(GRANT_KEY.unusable(dir, format!("it is {error}"))))?;
    let path = dir.join(GRANT_PUBLIC_KEY);
    // It follows from the private key, whatever a file of that name says.
    write_over(&path, &public, 0o644).map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))
}

fn tell(context: &Context, chosen: &Chosen, asked: bool, elsewhere: &[&str]) -> CommandResult {
    let config = &context.config;
    let value = |key: &str| chosen.iter().find(|(k, _)| *k == key).map(|(_, value)| value.as_str());
    let (program, dir) = (output::quoted(&setup::program()), config.data_dir.display());
    let at = match config.data_dir.to_str() {
        Some(config::DATA_DIR) | None => String::new(),
        Some(dir) => format!(" --data-dir {}", output::quoted(dir)),
    };
    let mut out = output::stdout();
    if !asked {
        let Config { llm_model, llm_url, port, time_zone, .. } = config;
        let zone = time_zone.iana_name().unwrap_or("UTC");
        writeln!(out, "Nothing was asked: model {llm_model} at {llm_url}, port {port}, time zone {zone}.")?;
    }
    if !elsewhere.is_empty() {
        writeln!(out, "Left in the environment, and needed there: {}.", elsewhere.join(", "))?;
    }
    writeln!(out, "Written: {dir}/{}, with every setting explained, and the keys beside it.", config::FILE_NAME)?;
    if value("private_key_pem").is_some_and(|path| path.ends_with(GRANT_KEY.name)) {
        writeln!(out, "Clients that encrypt need {dir}/{GRANT_PUBLIC_KEY}.")?;
    }
    writeln!(out, "\nNext:\n  {program} doctor{at}\n  {program} serve{at}")?;
    Ok(out.flush()?)
}
