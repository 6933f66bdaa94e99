//! `mana-ai health`

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;

use super::{Context, Failure, Outcome, output, setup};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(context: Context) -> Outcome {
    let address = setup::reachable(SocketAddr::new(context.config.host, context.config.port));
    match ask(address).await {
        Ok((StatusCode::OK, body)) => {
            let mut out = output::stdout();
            writeln!(out, "{}", output::safe(&body))?;
            Ok(out.flush()?)
        }
        Ok((status, body)) => Err(Failure::Failed(format!("the server at {address} answers {status}: {}", output::safe(&body)))),
        Err(reason) => Err(Failure::Failed(format!("no answer from {address}: {reason}"))),
    }
}

/// Asks for the health of the server at an address.
pub(super) async fn ask(address: SocketAddr) -> Result<(StatusCode, String), String> {
    let told = |error: reqwest::Error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        cause.to_string()
    };
    // What is on this machine is not reached by a proxy.
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(told)?;
    let response = client.get(format!("http://{address}/health")).send().await.map_err(told)?;
    let status = response.status();
    Ok((status, response.text().await.map_err(told)?.chars().take(1_000).collect()))
}
