//! A model server that answers from a script, so that the demo needs no model.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{DemoError, fixture};
use crate::planner::prompt;

/// The name under which the script answers.
pub const MODEL: &str = "scripted-demo";

/// A model takes its time.
const THINKING: Duration = Duration::from_millis(400);

/// What the script says about missions with a title.
#[derive(Debug, Clone, Deserialize)]
struct ScriptPart {
    title: String,
    /// One after the other; the last one stays.
    answers: Vec<ScriptedAnswer>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum ScriptedAnswer {
    Error { status: u16, body: Value },
    Plan { plan: Value, tokens: [u64; 2] },
}

struct Script {
    parts: Vec<ScriptPart>,
    asked: Mutex<HashMap<String, usize>>,
}

/// Starts the server on a free port of the loopback and answers its address. It ends with the process.
///
/// # Errors
/// When no port can be had, or the script cannot be read.
pub async fn start() -> Result<SocketAddr, DemoError> {
    let parts = serde_json::from_str(fixture("answers.json")).map_err(|error| DemoError::Model(error.to_string()))?;
    let script = Arc::new(Script { parts, asked: Mutex::default() });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| DemoError::Model(error.to_string()))?;
    let address = listener.local_addr().map_err(|error| DemoError::Model(error.to_string()))?;
    let app = Router::new().route("/v1/chat/completions", post(answer)).with_state(script);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn answer(State(script): State<Arc<Script>>, Json(request): Json<Value>) -> Response {
    tokio::time::sleep(THINKING).await;
    let prompt = request.pointer("/messages/1/content").and_then(Value::as_str).unwrap_or_default();
    match script.next(prompt) {
        Some(ScriptedAnswer::Error { status, body }) => {
            (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(body)).into_response()
        }
        Some(ScriptedAnswer::Plan { plan, tokens: [prompt, completion] }) => completed(&plan, prompt, completion),
        None => completed(&json!({"summary": "The script has no plan for this mission.", "steps": []}), 200, 20),
    }
}

fn completed(plan: &Value, prompt: u64, completion: u64) -> Response {
    Json(json!({
        "model": MODEL,
        "choices": [{"message": {"role": "assistant", "content": plan.to_string()}}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
    }))
    .into_response()
}

impl Script {
    fn next(&self, prompt: &str) -> Option<ScriptedAnswer> {
        let title = prompt::title(prompt)?;
        let part = self.parts.iter().find(|part| title.contains(&part.title))?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = asked.entry(part.title.clone()).or_default();
        let answer = part.answers.get(*count).or_else(|| part.answers.last()).cloned();
        *count += 1;
        answer
    }
}
