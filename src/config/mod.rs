//! What the program is told: flags, then the environment, then a TOML file, then defaults (docs/design.md, section 11).
//!
//! One table lists every setting; the command line, the file, `--help` and `mana-ai config` are made from it. This
//! room must not know what the settings are used for.

mod settings;
mod template;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use reqwest::header::{HeaderMap, HeaderName};
use tracing_subscriber::filter::Targets;
use zeroize::Zeroizing;

use crate::domain::ceilings::LogCeilings;
use crate::domain::price::Price;
use crate::domain::step::StepStatus;
use crate::domain::zone;
use crate::planner::dialect::Dialect;
pub use settings::{DATA_DIR, SETTINGS, Scope, Setting};
pub use template::template;

/// The name of the file that is read from the data directory where no other is named.
pub const FILE_NAME: &str = "mana-ai.toml";
/// The name of the file in the data directory that the page of settings writes; everything else comes before it.
pub const KEPT_NAME: &str = "workbench.toml";
/// The settings that it may have.
const KEPT: [&str; 4] = ["llm_url", "llm_api_key", "llm_model", "llm_price_per_million_tokens"];

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingSource {
    Flag,
    Environment,
    File(PathBuf),
    /// What an administrator set on the page.
    Kept(PathBuf),
    Default,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingSource::Flag => f.write_str("flag"),
            SettingSource::Environment => f.write_str("environment"),
            SettingSource::File(path) | SettingSource::Kept(path) => write!(f, "{}", path.display()),
            SettingSource::Default => f.write_str("default"),
        }
    }
}

/// A wrong setting; the message names it, its value and what is allowed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    #[error("{name} is {value:?} ({origin}), but must be {allowed}")]
    Wrong { key: &'static str, name: String, value: String, origin: String, allowed: Cow<'static, str> },
    #[error("{name} names the file {}, which cannot be read: {reason}", path.display())]
    NoFile { key: &'static str, name: String, path: PathBuf, reason: String },
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("the configuration file {} has {key:?}, which is no setting; `mana-ai config` lists them all", path.display())]
    UnknownKey { path: PathBuf, key: String },
}

impl ConfigError {
    /// The setting that it is about.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            ConfigError::Wrong { key, .. } | ConfigError::NoFile { key, .. } => Some(key),
            ConfigError::File { .. } | ConfigError::UnknownKey { .. } => None,
        }
    }
}

/// Every setting's text and where it comes from.
#[derive(Clone)]
pub struct GivenSettings {
    values: BTreeMap<&'static str, (String, SettingSource)>,
}

/// Shows what `mana-ai config` shows, since some values are secrets.
impl fmt::Debug for GivenSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.in_force().into_iter().map(|(setting, value, source)| (setting.key, (value, source)))).finish()
    }
}

impl GivenSettings {
    /// Collects the settings. `flags` holds those that the command line gave; `environment` looks a variable up.
    ///
    /// # Errors
    /// A file that cannot be read, or that has a key that is no setting.
    pub fn collect(
        flags: &HashMap<&'static str, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let given = |setting: &Setting| {
            let flag = flags.get(setting.key).map(|value| (value.clone(), SettingSource::Flag));
            // The name that the database's other programs know.
            let also = (setting.key == "database").then_some("SYNC_DATABASE_URL");
            let variables = [Some(setting.variable), also].into_iter().flatten();
            let given = || variables.filter_map(&environment).find(|value| !value.is_empty());
            flag.or_else(|| Some((given()?, SettingSource::Environment)))
        };
        let mut values: BTreeMap<_, _> = SETTINGS.iter().filter_map(|s| Some((s.key, given(s)?))).collect();
        let data_dir = values.get("data_dir").map_or(settings::DATA_DIR, |(dir, _)| dir);
        let (path, required) =
            match file.map(Path::to_owned).or_else(|| environment("MANA_AI_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)) {
                Some(path) => (path, true),
                None => (Path::new(data_dir).join(FILE_NAME), false),
            };
        if required || path.exists() {
            for (key, value) in read_file(&path)? {
                values.entry(key).or_insert((from_file(&path, key, value), SettingSource::File(path.clone())));
            }
        }
        let kept = Path::new(values.get("data_dir").map_or(settings::DATA_DIR, |(dir, _)| dir)).join(KEPT_NAME);
        if kept.exists() {
            add_kept(&mut values, &kept)?;
        }
        for setting in SETTINGS {
            if let Some(default) = setting.default {
                values.entry(setting.key).or_insert((default.to_owned(), SettingSource::Default));
            }
        }
        Ok(GivenSettings { values })
    }

    /// Each setting with what is in force; secrets are masked.
    pub fn in_force(&self) -> Vec<(&'static Setting, Option<String>, SettingSource)> {
        let shown = |setting: &'static Setting| match self.values.get(setting.key) {
            None => (setting, None, SettingSource::Default),
            Some((_, source)) if setting.secret => (setting, Some("********".into()), source.clone()),
            Some((value, source)) => (setting, Some(without_credentials(value)), source.clone()),
        };
        SETTINGS.iter().map(shown).collect()
    }

    /// The same with one setting given.
    pub fn with(&self, key: &'static str, value: &str) -> Self {
        let mut values = self.values.clone();
        values.insert(key, (value.to_owned(), SettingSource::Flag));
        GivenSettings { values }
    }

    /// The same with the default of one setting.
    pub fn without(&self, key: &str) -> Self {
        let mut values = self.values.clone();
        values.retain(|name, _| *name != key);
        if let Some(setting) = SETTINGS.iter().find(|s| s.key == key)
            && let Some(default) = setting.default
        {
            values.insert(setting.key, (default.to_owned(), SettingSource::Default));
        }
        GivenSettings { values }
    }

    /// Where a setting comes from.
    pub fn source(&self, key: &str) -> &SettingSource {
        self.values.get(key).map_or(&SettingSource::Default, |(_, source)| source)
    }

    /// The text of a setting as it was given; it may be a secret.
    pub fn given(&self, key: &str) -> Option<&str> {
        self.values.get(key).filter(|(_, source)| *source != SettingSource::Default).map(|(value, _)| value.as_str())
    }

    /// Whether nobody set this.
    pub fn is_default(&self, key: &str) -> bool {
        *self.source(key) == SettingSource::Default
    }

    /// The text of a setting; it may be a secret.
    pub fn text(&self, key: &str) -> Option<String> {
        self.values.get(key).map(|(value, _)| value.clone())
    }

    fn read<T>(&self, key: &'static str, allowed: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, ConfigError> {
        let value = self.text(key).unwrap_or_default();
        read(value.trim()).ok_or_else(|| self.wrong(key, allowed))
    }

    /// The name of a setting where it was given.
    fn name(&self, key: &'static str) -> String {
        match self.source(key) {
            SettingSource::Flag => format!("--{}", key.replace('_', "-")),
            SettingSource::File(_) | SettingSource::Kept(_) => format!("`{key}`"),
            _ => SETTINGS.iter().find(|s| s.key == key).map_or(key, |s| s.variable).to_owned(),
        }
    }

    fn wrong(&self, key: &'static str, allowed: impl Into<Cow<'static, str>>) -> ConfigError {
        let setting = SETTINGS.iter().find(|s| s.key == key);
        let value = self.text(key).unwrap_or_default();
        let origin = match self.source(key) {
            SettingSource::Flag => "given on the command line".into(),
            SettingSource::File(path) | SettingSource::Kept(path) => format!("in {}", path.display()),
            _ => "from the environment".into(),
        };
        let value = if setting.is_some_and(|s| s.secret) { "********".into() } else { without_credentials(&value) };
        ConfigError::Wrong { key, name: self.name(key), value, origin, allowed: allowed.into() }
    }

    fn number<T: TryFrom<u64>>(&self, key: &'static str, least: u64, allowed: &'static str) -> Result<T, ConfigError> {
        self.read(key, allowed, |v| v.parse::<u64>().ok().filter(|n| *n >= least).and_then(|n| T::try_from(n).ok()))
    }

    /// A number of which 0 means none.
    fn ceiling(&self, key: &'static str) -> Result<Option<u64>, ConfigError> {
        Ok(Some(self.number::<u64>(key, 0, "a whole number; 0 is no limit")?).filter(|most| *most > 0))
    }

    fn millis(&self, key: &'static str, least: u64, allowed: &'static str) -> Result<Duration, ConfigError> {
        const A_YEAR: u64 = 366 * 24 * 3_600_000;
        self.read(key, allowed, |v| v.parse().ok().filter(|ms| (least..=A_YEAR).contains(ms)).map(Duration::from_millis))
    }
}

/// A zone by its name; one that is nearly right is suggested.
fn time_zone(raw: &GivenSettings) -> Result<TimeZone, ConfigError> {
    let name = raw.text("time_zone").unwrap_or_default();
    zone::find(&name).ok_or_else(|| match zone::suggest(&name) {
        Some(meant) => raw.wrong("time_zone", format!("an IANA time zone. Did you mean {meant}?")),
        None => raw.wrong("time_zone", "an IANA time zone such as Europe/Berlin"),
    })
}

/// Adds what the page of settings wrote. A key goes to no other server than the one that it was given for.
fn add_kept(values: &mut BTreeMap<&'static str, (String, SettingSource)>, path: &Path) -> Result<(), ConfigError> {
    let kept = read_file(path)?;
    let url = |kept: &[(&str, String)]| kept.iter().find(|(key, _)| *key == "llm_url").map(|(_, url)| url.clone());
    let is_other = values.get("llm_url").is_some_and(|(given, _)| url(&kept).is_some_and(|url| url != *given));
    for (key, value) in kept {
        if KEPT.contains(&key) && !(is_other && key == "llm_api_key") {
            values.entry(key).or_insert((value, SettingSource::Kept(path.to_owned())));
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Vec<(&'static str, String)>, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        // The error's own text would show the line, which may hold a secret.
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        failed(format!("line {line}: {}", error.message()))
    })?;
    let entry = |(key, value): (String, toml::Value)| {
        let setting = SETTINGS.iter().find(|s| s.key == key);
        let setting = setting.ok_or_else(|| ConfigError::UnknownKey { path: path.to_owned(), key: key.clone() })?;
        Ok((setting.key, plain(value).ok_or_else(|| failed(format!("{key} must be a text, a number, true or false, or a list of texts")))?))
    };
    table.into_iter().map(entry).collect()
}

fn plain(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Array(items) => items.into_iter().map(plain).collect::<Option<Vec<_>>>().map(|items| items.join(",")),
        _ => None,
    }
}

/// The settings with their types.
#[derive(Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    /// The address of a Postgres database, with its password; `None`: the file in the data directory.
    pub database: Option<String>,
    pub host: IpAddr,
    pub port: u16,
    /// Where the server is reached from outside; the first one stands in links.
    pub public_urls: Vec<reqwest::Url>,
    /// The largest body of a push.
    pub max_body_bytes: usize,
    pub llm_url: reqwest::Url,
    pub llm_api_key: Option<String>,
    pub llm_model: String,
    pub llm_price: Option<Price>,
    pub llm_fixed: FixedModel,
    pub llm_timeout: Duration,
    pub planner: Dialect,
    pub llm_context_tokens: u64,
    pub tools_file: Option<PathBuf>,
    pub llm_headers: HeaderMap,
    pub service_key: Option<String>,
    pub jwks_url: Option<reqwest::Url>,
    pub jwt_audience: String,
    pub jwt_issuer: Option<String>,
    /// PEM text, also where the setting names a file.
    pub private_key_pem: Option<Zeroizing<String>>,
    pub cors_origins: Vec<String>,
    pub tick_enabled: bool,
    pub tick_interval: Duration,
    pub time_zone: TimeZone,
    pub max_parallel_plans: usize,
    pub max_attempts: u32,
    pub max_iterations_kept: usize,
    pub step_status: StepStatus<'static>,
    /// Whether this program carries out approved steps of built-in tools, where it can.
    pub carries_out: bool,
    pub modules_file: Option<PathBuf>,
    pub auto_steps_per_hour: u32,
    /// 0: no limit, as for the next two.
    pub max_unreviewed_plans: u64,
    pub user_max_calls_per_day: u64,
    pub user_max_tokens_per_day: u64,
    /// What each user may put into the log.
    pub log_ceilings: LogCeilings,
    pub retry_base: Duration,
    pub retry_max: Duration,
    pub breaker_failures: u32,
    pub breaker_cooldown: Duration,
    pub shutdown_grace: Duration,
    pub busy_timeout: Duration,
    pub durable: bool,
    /// `None`: what suits the command.
    pub log: Option<Targets>,
    pub otlp_endpoint: Option<reqwest::Url>,
    pub log_format: LogFormat,
}

/// Which settings of the model are given, and where, so that the page cannot change them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FixedModel {
    pub address: Option<String>,
    pub key: Option<String>,
    pub model: Option<String>,
    pub price: Option<String>,
}

impl FixedModel {
    fn of(raw: &GivenSettings) -> Self {
        let fixed = |key: &str| match raw.source(key) {
            SettingSource::Kept(_) | SettingSource::Default => None,
            source => Some(source.to_string()),
        };
        FixedModel {
            // A key or header that is given must not be sent elsewhere.
            address: ["llm_url", "llm_api_key", "llm_headers"].into_iter().find_map(fixed),
            key: fixed("llm_api_key"),
            model: fixed("llm_model"),
            price: fixed("llm_price_per_million_tokens"),
        }
    }
}

/// How lines of the log are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Text,
    Json,
}

impl Config {
    /// Reads the texts.
    ///
    /// # Errors
    /// The first setting that has a wrong value.
    pub fn read(raw: &GivenSettings) -> Result<Self, ConfigError> {
        const MILLIS: &str = "a whole number of milliseconds, at least 1 and at most a year";
        Ok(Config {
            data_dir: PathBuf::from(raw.text("data_dir").unwrap_or_default()),
            database: raw.text("database").filter(|address| !address.is_empty()),
            host: raw.read("host", "an IP address such as 127.0.0.1", |v| v.parse().ok())?,
            port: raw.number("port", 0, "a port number from 0 to 65535")?,
            public_urls: raw.read("public_url", "http or https addresses such as https://mana.example.com, separated by commas", |v| {
                v.split(',').map(str::trim).filter(|url| !url.is_empty()).map(web_address).collect()
            })?,
            max_body_bytes: raw.read("max_body_bytes", "a whole number of bytes from 65536 (64 KB) to 47185920 (45 MB)", |v| {
                v.parse().ok().filter(|bytes| (65_536..=47_185_920).contains(bytes))
            })?,
            llm_url: raw.read("llm_url", "an http or https address such as http://127.0.0.1:11434", web_address)?,
            llm_api_key: raw.text("llm_api_key"),
            llm_model: raw.read("llm_model", "the name of a model", |v| Some(v.to_owned()).filter(|v| !v.is_empty()))?,
            llm_price: raw.read("llm_price_per_million_tokens", "a number and, if you like, a currency, such as 0.60 EUR", Price::parse)?,
            llm_fixed: FixedModel::of(raw),
            llm_timeout: raw.millis("llm_timeout_ms", 1, MILLIS)?,
            planner: raw.read("planner", "auto, tools or json", Dialect::parse)?,
            llm_context_tokens: raw.number("llm_context_tokens", 1_024, "a whole number of at least 1024")?,
            tools_file: raw.text("tools_file").filter(|path| !path.is_empty()).map(PathBuf::from),
            llm_headers: match raw.text("llm_headers") {
                None => HeaderMap::new(),
                Some(text) => headers(&text).ok_or_else(|| raw.wrong("llm_headers", "a JSON object of header names and texts"))?,
            },
            service_key: match raw.text("service_key") {
                Some(key) if key.trim().len() < 16 => return Err(raw.wrong("service_key", "at least 16 characters long")),
                key => key.map(|key| key.trim().to_owned()),
            },
            jwks_url: raw.read("jwks_url", "an http or https address such as https://auth.example.com/jwks", optional_address)?,
            jwt_audience: raw.read("jwt_audience", "the name of an audience", |v| Some(v.to_owned()).filter(|v| !v.is_empty()))?,
            jwt_issuer: raw.text("jwt_issuer").map(|issuer| issuer.trim().to_owned()).filter(|issuer| !issuer.is_empty()),
            otlp_endpoint: raw.read("otlp_endpoint", "an http or https address such as http://127.0.0.1:4318", optional_address)?,
            private_key_pem: raw.text("private_key_pem").map(|text| private_key(raw, &text)).transpose()?,
            cors_origins: raw.read("cors_origins", "* or origins such as https://app.example.com, separated by commas", origins)?,
            tick_enabled: raw.read("tick_enabled", "true or false", |v| match v {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            })?,
            tick_interval: raw.millis("tick_interval_ms", 10, "a whole number of milliseconds, at least 10 and at most a year")?,
            time_zone: time_zone(raw)?,
            max_parallel_plans: raw.number::<u16>("max_parallel_plans", 1, "a whole number from 1 to 65535")?.into(),
            max_attempts: raw.number::<u16>("max_attempts", 1, "a whole number from 1 to 65535")?.into(),
            max_iterations_kept: raw.number::<u16>("max_iterations_kept", 1, "a whole number from 1 to 65535")?.into(),
            carries_out: raw.read("builtin_tools", "log or client", |v| match v {
                "log" => Some(true),
                "client" => Some(false),
                _ => None,
            })?,
            modules_file: raw.text("modules_file").filter(|path| !path.is_empty()).map(PathBuf::from),
            auto_steps_per_hour: raw.number("auto_steps_per_hour", 0, "a whole number")?,
            step_status: raw.read("step_status", "staged or planned", |v| match v {
                "staged" => Some(StepStatus::Staged),
                "planned" => Some(StepStatus::Planned),
                _ => None,
            })?,
            max_unreviewed_plans: raw.number("max_unreviewed_plans", 0, "a whole number; 0 is no limit")?,
            user_max_calls_per_day: raw.number("user_max_calls_per_day", 0, "a whole number; 0 is no limit")?,
            user_max_tokens_per_day: raw.number("user_max_tokens_per_day", 0, "a whole number; 0 is no limit")?,
            log_ceilings: LogCeilings {
                rows: raw.ceiling("user_max_rows")?,
                bytes: raw.ceiling("user_max_bytes")?,
                rows_per_minute: raw.ceiling("user_max_rows_per_minute")?,
            },
            retry_base: raw.millis("retry_base_ms", 1, MILLIS)?,
            retry_max: raw.millis("retry_max_ms", 1, MILLIS)?,
            breaker_failures: raw.number::<u16>("breaker_failures", 1, "a whole number from 1 to 65535")?.into(),
            breaker_cooldown: raw.millis("breaker_cooldown_ms", 1, MILLIS)?,
            shutdown_grace: raw.millis("shutdown_grace_ms", 0, "a whole number of milliseconds, at most a year")?,
            busy_timeout: raw.millis("busy_timeout_ms", 0, "a whole number of milliseconds, at most a year")?,
            durable: raw.read("synchronous", "full or normal", |v| match v.to_ascii_lowercase().as_str() {
                "full" => Some(true),
                "normal" => Some(false),
                _ => None,
            })?,
            log: match raw.text("log").map(|directives| directives.parse()) {
                None => None,
                Some(Ok(targets)) => Some(targets),
                Some(Err(_)) => return Err(raw.wrong("log", "error, warn, info, debug, trace, or directives such as mana_ai=debug")),
            },
            log_format: raw.read("log_format", "auto, text or json", |v| match v {
                "auto" => Some(LogFormat::Auto),
                "text" => Some(LogFormat::Text),
                "json" => Some(LogFormat::Json),
                _ => None,
            })?,
        })
    }
}

/// An address as it may be shown: name, password and query may be secrets.
fn without_credentials(value: &str) -> String {
    match value.parse::<reqwest::Url>() {
        Ok(mut url) if !url.cannot_be_a_base() && (!url.username().is_empty() || url.password().is_some() || url.query().is_some()) => {
            if !url.username().is_empty() || url.password().is_some() {
                // Neither fails for an address with a host.
                let _ = url.set_username("********");
                let _ = url.set_password(None);
            }
            if url.query().is_some() {
                url.set_query(Some("********"));
            }
            url.to_string()
        }
        _ => value.to_owned(),
    }
}

fn headers(text: &str) -> Option<HeaderMap> {
    let object: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    object.into_iter().map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?))).collect()
}

fn web_address(text: &str) -> Option<reqwest::Url> {
    text.parse::<reqwest::Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn optional_address(text: &str) -> Option<Option<reqwest::Url>> {
    if text.is_empty() { Some(None) } else { web_address(text).map(Some) }
}

/// Whether the value of a setting is the path of a file.
pub fn is_path(key: &str, value: &str) -> bool {
    match key {
        "tools_file" => !value.is_empty(),
        // Anything else may be the key itself, which is never shown.
        "private_key_pem" => {
            let value = value.trim();
            let named = value.starts_with(['/', '.']) || [".pem", ".key"].iter().any(|end| value.ends_with(end));
            named && !value.contains(char::is_whitespace)
        }
        _ => false,
    }
}

/// A path in a file is one from that file on, so that a directory can be moved with its file.
fn from_file(file: &Path, key: &str, value: String) -> String {
    match file.parent().filter(|dir| is_path(key, &value) && !dir.as_os_str().is_empty()) {
        Some(dir) => dir.join(value.trim()).to_string_lossy().into_owned(),
        None => value,
    }
}

fn private_key(raw: &GivenSettings, text: &str) -> Result<Zeroizing<String>, ConfigError> {
    const KEY: &str = "private_key_pem";
    let path = text.trim();
    pem(text).ok_or_else(|| match std::fs::read_to_string(path) {
        // A path is no secret, and without it nobody finds the mistake.
        Err(error) if is_path(KEY, path) => {
            ConfigError::NoFile { key: KEY, name: raw.name(KEY), path: path.into(), reason: error.to_string() }
        }
        _ => raw.wrong(KEY, "a private key in PEM form (\"-----BEGIN PRIVATE KEY-----\"), or the path of a file that holds one"),
    })
}

/// A key given by value, where environments often spell line ends as `\n`, or by the path of a file.
fn pem(text: &str) -> Option<Zeroizing<String>> {
    let is_pem = |text: &str| text.contains("-----BEGIN ");
    if is_pem(text) {
        return Some(Zeroizing::new(text.replace("\\n", "\n")));
    }
    let file = std::fs::read_to_string(text.trim()).map(Zeroizing::new).ok()?;
    is_pem(&file).then_some(file)
}

fn origins(text: &str) -> Option<Vec<String>> {
    let origin = |origin: &str| {
        let sound =
            origin == "*" || origin.parse::<reqwest::Url>().is_ok_and(|url| url.has_host() && url.origin().ascii_serialization() == origin);
        sound.then(|| origin.to_owned())
    };
    text.split(',').map(str::trim).filter(|o| !o.is_empty()).map(|o| origin(o.trim_end_matches('/'))).collect()
}

#[cfg(test)]
mod tests;
