//! The table of all settings.

/// Which commands take a setting as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Every,
    /// Those that plan: `serve`, `demo`, `tick`, `plan`, and `config`, which shows them.
    Runner,
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The key in the file; with `-` for `_` also the flag.
    pub key: &'static str,
    /// The environment variable.
    pub variable: &'static str,
    pub default: Option<&'static str>,
    pub help: &'static str,
    /// A secret has no flag, since other users of the machine can read command lines, and it is never shown.
    pub secret: bool,
    pub scope: Scope,
}

/// Where the data is unless told otherwise.
pub const DATA_DIR: &str = "./mana-ai-data";

const fn setting(key: &'static str, variable: &'static str, default: &'static str, scope: Scope, help: &'static str) -> Setting {
    Setting { key, variable, default: Some(default), help, secret: false, scope }
}

const fn secret(key: &'static str, variable: &'static str, help: &'static str) -> Setting {
    Setting { key, variable, default: None, help, secret: true, scope: Scope::Runner }
}

use Scope::{Every, Runner};

/// Every setting, in the order in which they are shown.
pub static SETTINGS: &[Setting] = &[
    setting("data_dir", "MANA_AI_DATA_DIR", DATA_DIR, Every, "Directory of the database and the keys"),
    Setting {
        key: "database",
        variable: "MANA_AI_DATABASE",
        default: None,
        help: "Address of a Postgres database, such as postgres://mana@db.example/app, in place of the SQLite file; \
               `SYNC_DATABASE_URL` counts where it is missing",
        secret: true,
        scope: Every,
    },
    setting("host", "MANA_AI_HOST", "127.0.0.1", Runner, "Address to listen on"),
    setting("port", "PORT", "3067", Runner, "Port to listen on; 0 takes any free one"),
    setting(
        "public_url",
        "MANA_AI_PUBLIC_URL",
        "",
        Runner,
        "Public address of the server, such as https://mana.example.com, if it differs from the listening address; several \
         are separated by commas, and links use the first",
    ),
    setting("max_body_bytes", "MAX_BODY_BYTES", "33554432", Runner, "Largest body of a push, in bytes"),
    setting("llm_url", "MANA_LLM_URL", "http://127.0.0.1:11434", Runner, "Base address of an OpenAI-compatible model server"),
    secret("llm_api_key", "MANA_LLM_API_KEY", "Bearer token for the model server"),
    setting("llm_model", "MANA_LLM_MODEL", "llama3.1:8b", Runner, "Name of the model"),
    setting(
        "llm_price_per_million_tokens",
        "MANA_LLM_PRICE_PER_MILLION_TOKENS",
        "",
        Runner,
        "Price of a million tokens, such as 0.60 EUR, by which insights tell costs; none: no costs",
    ),
    setting("llm_timeout_ms", "MANA_LLM_TIMEOUT_MS", "120000", Runner, "Timeout of one model request"),
    setting(
        "planner",
        "MANA_AI_PLANNER",
        "auto",
        Runner,
        "How to ask for plans: tools (native tool calls), json, or auto (tools if the server supports them)",
    ),
    setting(
        "llm_context_tokens",
        "MANA_LLM_CONTEXT_TOKENS",
        "4096",
        Runner,
        "Context window of the model server, in tokens; inputs that do not fit are left out",
    ),
    setting("tools_file", "MANA_AI_TOOLS", "", Runner, "JSON file with tools of your own, which extend or replace the catalog"),
    secret("llm_headers", "MANA_LLM_HEADERS", "More headers for the model server, as a JSON object of texts"),
    secret("service_key", "MANA_SERVICE_KEY", "Key for /internal routes; without one, it is made at first start in the data directory"),
    setting(
        "jwks_url",
        "JWKS_URL",
        "",
        Runner,
        "URL of the identity provider's keys; without it, the server accepts tokens of `mana-ai token create`",
    ),
    setting(
        "jwt_audience",
        "JWT_AUDIENCE",
        "mana",
        Runner,
        "Audience (`aud`) that users' tokens must have; only those made here by older versions may lack it",
    ),
    setting("jwt_issuer", "JWT_ISSUER", "", Runner, "Issuer (`iss`) that tokens of JWKS_URL must have; none: any"),
    secret(
        "private_key_pem",
        "MANA_AI_PRIVATE_KEY_PEM",
        "RSA key that opens the grants of missions: PKCS#8 PEM, or the path of such a file",
    ),
    setting("cors_origins", "CORS_ORIGINS", "", Runner, "Web origins that may call the server, separated by commas"),
    setting(
        "otlp_endpoint",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        Runner,
        "OpenTelemetry collector (OTLP over HTTP, such as http://127.0.0.1:4318) that gets traces of ticks and runs; none: no traces",
    ),
    setting("tick_enabled", "TICK_ENABLED", "true", Runner, "Whether the server runs due missions by itself"),
    setting("tick_interval_ms", "TICK_INTERVAL_MS", "60000", Runner, "Interval between ticks, which look for due missions"),
    setting("time_zone", "MANA_AI_TIME_ZONE", "UTC", Every, "Time zone of cadences that name none"),
    setting("max_parallel_plans", "MAX_PARALLEL_PLANS", "8", Runner, "Maximum number of concurrent plans"),
    setting("max_attempts", "MAX_ATTEMPTS", "5", Runner, "Attempts before a run fails"),
    setting("max_iterations_kept", "MAX_ITERATIONS_KEPT", "100", Runner, "Maximum number of iterations in a mission's record"),
    setting(
        "step_status",
        "MANA_AI_STEP_STATUS",
        "staged",
        Runner,
        "First status of a plan's steps: staged (held until approved) or planned (for clients that review by themselves)",
    ),
    setting(
        "builtin_tools",
        "MANA_AI_BUILTIN_TOOLS",
        "log",
        Every,
        "Who carries out approved steps of built-in tools: log (this program, where it can) or client (a device)",
    ),
    setting("modules_file", "MANA_AI_MODULES", "", Every, "JSON file with modules of your own: tables, and what tools write into them"),
    setting(
        "auto_steps_per_hour",
        "MANA_AI_AUTO_STEPS_PER_HOUR",
        "20",
        Every,
        "Steps of one tool that an agent may carry out without review in an hour, where its policy says auto. 0: none",
    ),
    setting("max_unreviewed_plans", "MAX_UNREVIEWED_PLANS", "5", Every, "Unreviewed plans after which a mission waits. 0: no limit"),
    setting("user_max_calls_per_day", "USER_MAX_CALLS_PER_DAY", "10000", Every, "Model calls per user in 24 hours. 0: no limit"),
    setting("user_max_tokens_per_day", "USER_MAX_TOKENS_PER_DAY", "100000000", Every, "Tokens per user in 24 hours. 0: no limit"),
    setting("user_max_rows", "USER_MAX_ROWS", "10000000", Runner, "Log rows per user; further pushes are refused. 0: no limit"),
    setting(
        "user_max_bytes",
        "USER_MAX_BYTES",
        "21474836480",
        Runner,
        "Log bytes per user (20 GB); further pushes are refused. 0: no limit",
    ),
    setting("user_max_rows_per_minute", "USER_MAX_ROWS_PER_MINUTE", "600000", Runner, "Pushed rows per user and minute. 0: no limit"),
    setting("retry_base_ms", "RETRY_BASE_MS", "30000", Runner, "Wait after the first failed attempt; it doubles each time"),
    setting("retry_max_ms", "RETRY_MAX_MS", "3600000", Runner, "Longest wait between two attempts"),
    setting(
        "breaker_failures",
        "BREAKER_FAILURES",
        "5",
        Runner,
        "Consecutive failures after which the model server is not asked for a while",
    ),
    setting("breaker_cooldown_ms", "BREAKER_COOLDOWN_MS", "60000", Runner, "How long the model server is then not asked"),
    setting("shutdown_grace_ms", "SHUTDOWN_GRACE_MS", "20000", Runner, "How long running plans may take to finish at shutdown"),
    setting("busy_timeout_ms", "BUSY_TIMEOUT_MS", "5000", Every, "How long to wait for a database lock"),
    setting(
        "synchronous",
        "MANA_AI_SYNCHRONOUS",
        "full",
        Every,
        "full: a write survives a power cut; normal: the last ones may not, and writes are faster",
    ),
    setting(
        "log_format",
        "MANA_AI_LOG_FORMAT",
        "auto",
        Every,
        "text, json (one object per line), or auto: text if stderr is a terminal, else json",
    ),
    Setting {
        key: "log",
        variable: "MANA_AI_LOG",
        default: None,
        help: "What to log on stderr: error, warn, info, debug, trace, or directives such as mana_ai=debug [default: info for serve, else warn]",
        secret: false,
        scope: Every,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the README.
    fn table() -> String {
        let row = |setting: &Setting| {
            let default = setting.default.filter(|default| !default.is_empty()).map_or("–".into(), |default| format!("`{default}`"));
            let name = format!("`{}`{}", setting.variable, if setting.secret { " (secret)" } else { "" });
            format!("| {name} | `{}` | {default} | {} |\n", setting.key, setting.help.replace('|', "\\|"))
        };
        let rows: String = SETTINGS.iter().map(row).collect();
        format!("\n| variable | in the file | default | what |\n|---|---|---|---|\n{rows}\n")
    }

    #[test]
    fn the_readme_has_every_setting() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let start = readme.find("<!-- settings:").and_then(|at| Some(at + readme[at..].find("-->\n")? + 4)).unwrap();
        let end = readme.find("<!-- end of settings -->").unwrap();
        let expected = format!("{}{}{}", &readme[..start], table(), &readme[end..]);
        if std::env::var_os("MANA_WRITE_README").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        assert_eq!(readme, expected, "write it anew with MANA_WRITE_README=1");
    }
}
