//! `mana-ai health`

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::{CommandResult, Context, Failure, output, setup};
use crate::web;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(context: Context) -> CommandResult {
    let address = setup::reachable(SocketAddr::new(context.config.host, context.config.port));
    match ask(address).await {
        Ok((StatusCode::OK, body)) if is_well(&body) => {
            let mut out = output::stdout();
            writeln!(out, "{}", output::safe(&body))?;
            Ok(out.flush()?)
        }
        Ok((StatusCode::OK, body)) => Err(Failure::Failed(format!(
            "another program answers at {address}: {}; set PORT to that of mana-ai",
            output::safe(&body.chars().take(200).collect::<String>())
        ))),
        Ok((status, body)) => Err(Failure::Failed(format!("the server at {address} answers {status}: {}", output::safe(&body)))),
        Err(reason) => Err(Failure::Failed(format!(
            "no answer from {address}: {reason}; start `mana-ai serve`, or set PORT and MANA_AI_HOST as the server has them"
        ))),
    }
}

fn is_well(body: &str) -> bool {
    serde_json::from_str::<Value>(body).is_ok_and(|about| about["service"] == "mana-ai" && about["ok"] == true)
}

/// Asks for the health of the server at an address.
pub(super) async fn ask(address: SocketAddr) -> Result<(StatusCode, String), String> {
    let told = |error: reqwest::Error| web::root_cause(&error);
    let url = format!("http://{address}/health").parse().map_err(|_| "it is no address".to_owned())?;
    // What is on this machine is not reached by a proxy.
    let client = web::client(&url, |builder| builder.timeout(TIMEOUT).no_proxy()).map_err(|error| error.to_string())?;
    let response = client.get(url).send().await.map_err(told)?;
    let status = response.status();
    Ok((status, response.text().await.map_err(told)?.chars().take(1_000).collect()))
}
