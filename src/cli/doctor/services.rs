//! What is asked over the network: our own port, and the model.

use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::super::{Failure, health, setup};
use super::Diagnosis;
use crate::config::Config;
use crate::domain::mission::Mission;
use crate::domain::policy::Policy;
use crate::domain::raw::Raw;
use crate::http::{self, ListenError};
use crate::inputs::{Input, Resolved};
use crate::planner::prompt::Material;
use crate::planner::provider::ProviderErrorKind;
use crate::planner::{PlanError, Planned, PromptCut};
use crate::store;

pub(super) async fn port(config: &Config) -> Diagnosis {
    let address = SocketAddr::new(config.host, config.port);
    match http::listen(address).await {
        Ok(_) if !address.ip().is_loopback() => Diagnosis::warn(
            format!("{address} is free, and reachable from other machines without encryption"),
            "put a proxy with TLS in front, or listen on 127.0.0.1",
        ),
        Ok(_) => Diagnosis::ok(format!("{address} is free")),
        Err(error) if error.cause.kind() == ErrorKind::AddrInUse => taken(config, address).await,
        Err(error) => Diagnosis::failed(&error, Some(ListenError::ADVICE)),
    }
}

/// Who is it that listens there already?
async fn taken(config: &Config, address: SocketAddr) -> Diagnosis {
    let said = health::ask(setup::reachable(address)).await;
    let about: Option<Value> = said.as_ref().ok().and_then(|(_, body)| serde_json::from_str(body).ok());
    match about {
        Some(about) if about["service"] == "mana-ai" && config.database.is_none() && !store::is_open(&config.data_dir) => Diagnosis::fail(
            format!("the mana-ai of another data directory listens on {address}"),
            "choose another port with PORT, or stop that one",
        ),
        Some(about) if about["service"] == "mana-ai" && about["ok"] == true => {
            Diagnosis::ok(format!("mana-ai {} answers at {address}", about["version"].as_str().unwrap_or("of some version")))
        }
        Some(about) if about["service"] == "mana-ai" => Diagnosis::fail(
            format!("mana-ai runs at {address} and is not well: {}", about["reason"].as_str().unwrap_or("it does not say why")),
            "see its log",
        ),
        _ => Diagnosis::fail(format!("another program listens on {address}"), "stop it, or choose another port with PORT"),
    }
}

pub(super) fn tools(config: &Config) -> Diagnosis {
    match setup::catalog(config) {
        Ok(catalog) => Diagnosis::ok(format!("{} tools for plans", catalog.tools().len())),
        Err(Failure::Usage(reason) | Failure::Failed(reason)) => {
            Diagnosis::fail(reason, "correct that file; the README shows one under \"Tune\"")
        }
        Err(Failure::NoReader) => Diagnosis::ok("not looked at"),
    }
}

/// The longest prompt that is tried: some servers are paid by the token.
const MOST_TOKENS: u64 = 32_768;

/// Has the model plan a small mission, and then one with all tools and as many notes as its window is said to hold: a server
/// that reads less of a prompt says so to nobody.
pub(super) async fn model(config: &Config) -> Diagnosis {
    // Tools that cannot be read are told of by their own check.
    let usable = if setup::catalog(config).is_ok() { config.clone() } else { Config { tools_file: None, ..config.clone() } };
    let planner = match setup::catalog(&usable).and_then(|catalog| setup::planner(&usable, catalog)) {
        Ok(planner) => planner,
        Err(Failure::Usage(reason) | Failure::Failed(reason)) => return Diagnosis::fail(reason, "correct the setting that it names"),
        Err(Failure::NoReader) => return Diagnosis::ok("not looked at"),
    };
    let record = json!({"title": "Check of the set-up", "objective": "Propose one task with the title: it works."});
    let (mission, _) = Mission::read("doctor", &Raw::from(record).object().unwrap_or_default());
    let mut offered = planner.offered(&Policy::default());
    offered.sort_by_key(|offered| offered.tool.name != "create_task");
    let tokens = usable.llm_context_tokens.min(MOST_TOKENS);
    let (small, large) = (Resolved::default(), notes(tokens));
    // One tool is enough to see whether it is called.
    let one = offered.get(..1).unwrap_or_default();
    let material = Material { agent: None, mission: &mission, inputs: &small, offered: one, budget: None, now: setup::now() };
    let planned = planner.plan(&material).await;
    let took = seconds(&planned);
    let corrected = if planned.calls() > 1 { ", once it was corrected" } else { "" };
    let found = match planned.outcome {
        Ok(plan) => {
            let steps = if plan.steps.len() == 1 { "1 step".to_owned() } else { format!("{} steps", plan.steps.len()) };
            format!("{} at {} gave a plan of {steps} {took}{corrected}", planned.model, planner.provider_name())
        }
        Err(PlanError::Parse(reasons)) => {
            return Diagnosis::warn(
                format!("{} answers {took}, but not with a plan: {}", planned.model, reasons.join("; ")),
                "try MANA_AI_PLANNER=json, or a larger model",
            );
        }
        Err(PlanError::Provider(error)) if matches!(error.kind, ProviderErrorKind::Empty) => {
            return Diagnosis::fail(error.message, "try another model with MANA_LLM_MODEL");
        }
        Err(PlanError::Provider(error)) => return Diagnosis::failed(&error, error.advice.as_deref()),
    };
    let planned = planner.plan(&Material { inputs: &large, offered: &offered, ..material }).await;
    full(&found, planned, tokens)
}

/// What came of a prompt that fills the window.
fn full(found: &str, planned: Planned, tokens: u64) -> Diagnosis {
    let took = seconds(&planned);
    if let Some(cut) = planned.read_less {
        return Diagnosis::warn(format!("{found}, but {}", cut.found()), PromptCut::ADVICE);
    }
    match planned.outcome {
        Ok(_) => Diagnosis::ok(format!("{found}, and another with a prompt of up to {tokens} tokens {took}")),
        Err(error) => Diagnosis::warn(
            format!("{found}, but none with a prompt of up to {tokens} tokens: {error}"),
            "set MANA_LLM_CONTEXT_TOKENS to what the model reads in good time, or try a larger model",
        ),
    }
}

fn seconds(planned: &Planned) -> String {
    format!("in {:.1} s", planned.latency.as_secs_f64())
}

/// Notes that fill a window of so many tokens, and a little more.
fn notes(tokens: u64) -> Resolved {
    const NOTE: &str = "Nothing is to be done about this note. It is here to see how much of a prompt the model reads. ";
    let note = |n: u64| Input {
        module: "notes".into(),
        id: format!("doctor-{n}"),
        title: format!("Note {n}"),
        content: NOTE.repeat(20),
        updated_at: None,
    };
    // Each takes some 500 tokens.
    Resolved { inputs: (0..=tokens / 400).map(note).collect(), ..Resolved::default() }
}
