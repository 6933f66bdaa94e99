//! One request to an OpenAI-compatible chat endpoint, and every way it can go wrong (docs/design.md, section 7).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::dialect::{Dialect, RequestFields, RequestForm};
use super::endpoint::Endpoint;
use super::refusal::{self, RefusedParts, RequestPart, ServerRefusal};
pub use super::response::MAX_RETRY_AFTER;
use super::response::{self, Reply};
use super::tools::Offered;
use super::usage;
use crate::domain::iteration::Usage;
use crate::domain::json::{self, Plain};
use crate::domain::raw::Raw;
use crate::web::{self, ClientError, root_cause};

/// An answer longer than this, in bytes, is no plan.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Characters of a sample that are kept.
const SAMPLE: usize = 300;

/// Where the model is and how to ask it.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Base address, such as `http://127.0.0.1:11434`, or the whole endpoint.
    pub url: reqwest::Url,
    pub api_key: Option<String>,
    pub model: String,
    /// For one whole request.
    pub timeout: Duration,
    pub dialect: Dialect,
    /// Headers that the server wants besides.
    pub headers: HeaderMap,
}

/// A request for a chat completion.
#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(flatten)]
    form: RequestFields<'a>,
}

/// A part of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    pub role: &'static str,
    pub content: String,
}

/// The model's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelAnswer {
    pub reply: Reply,
    /// The form in which it was asked.
    pub form: RequestForm,
    /// Bytes of what was sent.
    pub sent: usize,
    pub usage: Usage,
    /// Whether the usage is an estimate, because the server told none that can be used.
    pub estimated: bool,
    /// As the server names it, else as it was asked for.
    pub model: String,
}

/// A first answer of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelSample {
    /// Its start.
    pub text: String,
    pub model: String,
    pub latency: Duration,
}

/// What kind of failure it was; the value of the metric label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderErrorKind {
    Unreachable,
    Timeout,
    Auth,
    RateLimited,
    Rejected,
    Server,
    /// An answer that is not of the chat API, such as an HTML page.
    Malformed,
    /// An answer of the chat API without a text.
    Empty,
    /// This machine could not even ask: no free descriptor, no memory, no free port.
    Machine,
}

impl ProviderErrorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            ProviderErrorKind::Unreachable => "unreachable",
            ProviderErrorKind::Timeout => "timeout",
            ProviderErrorKind::Auth => "auth",
            ProviderErrorKind::RateLimited => "rate-limited",
            ProviderErrorKind::Rejected => "rejected",
            ProviderErrorKind::Server => "server",
            ProviderErrorKind::Malformed => "malformed",
            ProviderErrorKind::Empty => "empty",
            ProviderErrorKind::Machine => "machine",
        }
    }

    /// Whether other missions would meet the same, so that the circuit breaker counts it.
    pub fn is_provider_down(self) -> bool {
        !matches!(self, ProviderErrorKind::Rejected | ProviderErrorKind::Empty | ProviderErrorKind::Machine)
    }
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    pub kind: ProviderErrorKind,
    /// The whole message: what happened, and what to do.
    pub message: String,
    /// What its user can do, as the message ends.
    pub advice: Option<String>,
    /// How long the server asked to be left alone.
    pub retry_after: Option<Duration>,
    refusal: ServerRefusal,
}

pub struct Provider {
    client: Client,
    settings: ProviderSettings,
    endpoint: Endpoint,
    /// What the server refused of late. Shared by all plans, which all meet the same server.
    refused: Mutex<RefusedParts>,
}

impl Provider {
    /// # Errors
    /// When the TLS side cannot be set up.
    pub fn new(settings: ProviderSettings) -> Result<Self, ClientError> {
        let client = web::client(&settings.url, |builder| {
            builder
                .timeout(settings.timeout)
                .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
                .default_headers(settings.headers.clone())
                .user_agent(concat!("mana-ai/", env!("CARGO_PKG_VERSION")))
        })?;
        let endpoint = Endpoint::new(&settings.url);
        Ok(Provider { client, settings, endpoint, refused: Mutex::default() })
    }

    /// The form that is tried first.
    pub fn form(&self) -> RequestForm {
        self.best_form(&self.left_out()).unwrap_or(RequestForm::Plain)
    }

    /// Leaves a part out of requests for a while, and tells the log when that is new.
    pub fn leave_out(&self, part: RequestPart) {
        if self.refused.lock().unwrap_or_else(PoisonError::into_inner).remember(part, Instant::now()) {
            tracing::info!(
                server = self.name(),
                part = part.as_str(),
                "the model server does not take a part of the request; it is left out for an hour"
            );
        }
    }

    fn left_out(&self) -> BTreeSet<RequestPart> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).at(Instant::now())
    }

    /// The best of the dialect's forms that needs nothing of what is left out.
    fn best_form(&self, left_out: &BTreeSet<RequestPart>) -> Option<RequestForm> {
        let forms = self.settings.dialect.forms();
        forms.iter().copied().find(|form| RequestPart::of(*form).is_none_or(|part| !left_out.contains(&part)))
    }

    /// Whether a server that answers tools with words may be asked for JSON.
    pub fn may_answer_in_json(&self) -> bool {
        self.settings.dialect == Dialect::Auto
    }

    /// The model that is asked for.
    pub fn model(&self) -> &str {
        &self.settings.model
    }

    /// Host and port of the server: the value of the metric label `provider`.
    pub fn name(&self) -> String {
        name_of(&self.settings.url)
    }

    /// Asks for an answer, in the best form that the server takes, without what it refuses; both are remembered for a while.
    /// `without` is left out besides.
    ///
    /// # Errors
    /// [`ProviderError`] says what happened and what its user can do.
    pub async fn ask(
        &self,
        messages: impl Fn(RequestForm) -> Vec<Message>,
        offered: &[Offered<'_>],
        without: Option<RequestPart>,
    ) -> Result<ModelAnswer, ProviderError> {
        let mut left_out = self.left_out();
        left_out.extend(without);
        let (mut news, mut first) = (Vec::new(), None);
        // Each round leaves one part more out, so there is an end.
        while let Some(form) = self.best_form(&left_out) {
            let error = match self.request(&messages(form), form, offered, &left_out).await {
                Ok(answer) => {
                    // Only where the same request passes without it was the part the reason.
                    news.into_iter().for_each(|part| self.leave_out(part));
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let (part, lasts) = match error.refusal {
                ServerRefusal::Whole => return Err(error),
                ServerRefusal::Part(part) if !left_out.contains(&part) => (Some(part), true),
                ServerRefusal::Part(_) | ServerRefusal::Unnamed => (RequestPart::of(form), true),
                ServerRefusal::ThisAnswer => (RequestPart::of(form), false),
            };
            // The first refusal tells more than that of a poorer form.
            let error = first.get_or_insert(error);
            let Some(part) = part else { return Err(error.clone()) };
            left_out.insert(part);
            news.extend(lasts.then_some(part));
        }
        Err(first.unwrap_or_else(|| {
            self.error(
                ProviderErrorKind::Rejected,
                "refuses tools, which MANA_AI_PLANNER=tools asks for",
                "set it to auto, or use a model that takes tools",
            )
        }))
    }

    /// The models that the server lists.
    ///
    /// # Errors
    /// When it lists none, as servers of one model may.
    pub async fn models(&self) -> Result<Vec<String>, ProviderError> {
        let bytes = self.send(self.client.get(self.endpoint.models.clone()), RequestForm::Plain).await?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let models =
            value.get("data").and_then(Value::as_array).ok_or_else(|| self.error(ProviderErrorKind::Malformed, "lists no models", ""))?;
        Ok(models.iter().filter_map(|model| model.get("id")?.as_str().map(str::to_owned)).collect())
    }

    /// Asks for a short answer, to see whether the model can be had.
    ///
    /// # Errors
    /// [`ProviderError`] says what happened and what its user can do.
    pub async fn sample(&self) -> Result<ModelSample, ProviderError> {
        let started = Instant::now();
        let content = "Answer with one short, friendly sentence that names the model you are.".to_owned();
        let asked = vec![Message { role: "user", content }];
        let answer = self.ask(|_| asked.clone(), &[], None).await?;
        let text = if answer.reply.text.trim().is_empty() { answer.reply.thoughts } else { answer.reply.text };
        Ok(ModelSample { text: text.trim().chars().take(SAMPLE).collect(), model: answer.model, latency: started.elapsed() })
    }

    async fn request(
        &self,
        messages: &[Message],
        form: RequestForm,
        offered: &[Offered<'_>],
        left_out: &BTreeSet<RequestPart>,
    ) -> Result<ModelAnswer, ProviderError> {
        let merged;
        let messages = if left_out.contains(&RequestPart::SystemRole) {
            merged = without_system(messages);
            &merged
        } else {
            messages
        };
        let body = Body {
            model: &self.settings.model,
            messages,
            temperature: (!left_out.contains(&RequestPart::Temperature)).then_some(0.3),
            stream: (!left_out.contains(&RequestPart::Stream)).then_some(false),
            form: form.fields(offered),
        };
        let body = Raw::of(&body).to_string().into_bytes();
        let sent = body.len();
        let request = self.client.post(self.endpoint.chat.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let bytes = self.send(request, form).await?;
        self.read(&bytes, form, sent)
    }

    /// Sends a request, and reads an answer that is none of a failure.
    async fn send(&self, mut request: RequestBuilder, form: RequestForm) -> Result<Vec<u8>, ProviderError> {
        if let Some(key) = &self.settings.api_key {
            request = request.bearer_auth(key);
        }
        let mut response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let status = response.status();
        let retry_after = response::retry_after(response.headers(), Timestamp::now());
        let streams = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(self.error(ProviderErrorKind::Malformed, "answered more than 4 MB", ""));
            }
        }
        if !status.is_success() {
            return Err(ProviderError { retry_after, ..self.refused(status, &bytes, form) });
        }
        if streams || bytes.starts_with(b"data:") {
            return Err(self.error(
                ProviderErrorKind::Malformed,
                "answered with a stream, which was not asked for",
                "turn streaming off in that server or proxy",
            ));
        }
        Ok(bytes)
    }

    /// Reads the answer to a request of `sent` bytes.
    fn read(&self, bytes: &[u8], form: RequestForm, sent: usize) -> Result<ModelAnswer, ProviderError> {
        let Plain(value) = json::read(bytes).map_err(|error| {
            let what = match error.to_string() {
                _ if bytes.trim_ascii().is_empty() => "answered nothing",
                said if said.starts_with("recursion limit") => "answered JSON that nests too deep to be read",
                _ => "answered something that is not JSON",
            };
            self.error(ProviderErrorKind::Malformed, what, "check that MANA_LLM_URL is the base address of an OpenAI-compatible server")
        })?;
        let failure = value.get("error").or_else(|| value.pointer("/choices/0/error")).and_then(response::of_json);
        if let Some(complaint) = failure {
            return Err(self.error(ProviderErrorKind::Server, &format!("answered with an error: {}", complaint.message), ""));
        }
        let Some(reply) = response::reply(&value) else {
            let said = response::of_json(&value).map(|complaint| format!(" ({})", complaint.message)).unwrap_or_default();
            let what = format!("answered JSON without `choices`{said}");
            return Err(self.error(ProviderErrorKind::Malformed, &what, "check that MANA_LLM_URL is an OpenAI-compatible server"));
        };
        let says_nothing = reply.text.trim().is_empty() && reply.calls.is_empty();
        if says_nothing && reply.cut {
            let what = "reached its limit of tokens before it said anything (finish_reason length)";
            let advice = "raise that limit in the model server (max_tokens, num_predict, or the context window), or turn thinking off";
            return Err(self.error(ProviderErrorKind::Empty, what, advice));
        }
        if says_nothing && reply.thoughts.trim().is_empty() {
            let advice = format!("the model {} may not suit", self.settings.model);
            return Err(self.error(ProviderErrorKind::Empty, "gave an empty answer", &advice));
        }
        let told = usage::told(&value);
        let calls = reply.calls.iter().map(|call| call.tool.len() + call.arguments.len());
        let received = reply.text.len() + reply.thoughts.len() + calls.sum::<usize>();
        Ok(ModelAnswer {
            usage: told.unwrap_or_else(|| usage::estimated(sent, received)),
            estimated: told.is_none(),
            reply,
            form,
            sent,
            model: value.get("model").and_then(Value::as_str).filter(|m| !m.is_empty()).unwrap_or(&self.settings.model).to_owned(),
        })
    }

    fn refused(&self, status: StatusCode, bytes: &[u8], form: RequestForm) -> ProviderError {
        let complaint = response::complaint(bytes);
        let said = &complaint.message;
        let (kind, advice) = match status.as_u16() {
            400 | 413 | 422 | 500 if refusal::is_too_long(&complaint) => (
                ProviderErrorKind::Rejected,
                "the prompt is longer than the model reads: set MANA_LLM_CONTEXT_TOKENS to its context window",
            ),
            401 | 403 => (ProviderErrorKind::Auth, "check MANA_LLM_API_KEY"),
            402 => (ProviderErrorKind::Rejected, "the account at that server has no credit left"),
            404 if said.contains("model") => {
                (ProviderErrorKind::Rejected, "load that model in the server, or set MANA_LLM_MODEL to one that it has")
            }
            404 | 405 => (
                ProviderErrorKind::Rejected,
                "check that MANA_LLM_URL is the base address of an OpenAI-compatible server, and MANA_LLM_MODEL",
            ),
            408 | 504 => (ProviderErrorKind::Timeout, "the server gave up waiting"),
            429 => (ProviderErrorKind::RateLimited, "the server asks for fewer requests"),
            300..=399 => (ProviderErrorKind::Rejected, "the server sends elsewhere; set MANA_LLM_URL to the address that it leads to"),
            400..=499 => (ProviderErrorKind::Rejected, "the server refused the request"),
            _ => (ProviderErrorKind::Server, "see the log of that server"),
        };
        let words = if said.is_empty() { String::new() } else { format!(" ({said})") };
        let error = self.error(kind, &format!("answered {status}{words}"), advice);
        ProviderError { refusal: refusal::read(status.as_u16(), &complaint, form), ..error }
    }

    fn no_answer(&self, error: &reqwest::Error) -> ProviderError {
        if error.is_timeout() {
            let what = format!("did not answer within {} s", self.settings.timeout.as_secs_f64());
            return self.error(ProviderErrorKind::Timeout, &what, "raise MANA_LLM_TIMEOUT_MS or use a faster model");
        }
        let cause = root_cause(error);
        if error.is_connect() && web::is_of_machine(error) {
            let what = format!("was not asked: this machine has no free descriptor, port or memory ({cause})");
            return self.error(ProviderErrorKind::Machine, &what, "raise its limits, or lower its load");
        }
        let (kind, what, advice) = if error.is_connect() {
            (ProviderErrorKind::Unreachable, "cannot be reached", "check that it runs and that MANA_LLM_URL is right")
        } else if cause.contains("parsed") || cause.contains("invalid") {
            (ProviderErrorKind::Malformed, "does not speak HTTP", "check that MANA_LLM_URL is the address of a model server")
        } else {
            (ProviderErrorKind::Server, "broke off its answer", "see the log of that server")
        };
        self.error(kind, &format!("{what} ({cause})"), advice)
    }

    /// `advice` may be empty.
    fn error(&self, kind: ProviderErrorKind, what: &str, advice: &str) -> ProviderError {
        let advice = Some(advice.to_owned()).filter(|advice| !advice.is_empty());
        let told = advice.as_ref().map_or(String::new(), |advice| format!("; {advice}"));
        let mut message = format!("the model server {} {what}{told}", self.name());
        // A server may repeat what it was sent.
        let headers = self.settings.headers.values().filter_map(|value| value.to_str().ok());
        for secret in self.settings.api_key.as_deref().into_iter().chain(headers).filter(|secret| secret.len() >= 4) {
            message = message.replace(secret, "***");
        }
        ProviderError { kind, message, advice, retry_after: None, refusal: ServerRefusal::Whole }
    }
}

/// Host and port of a server.
pub fn name_of(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or("unknown");
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

/// The same messages for a server that has no role `system`: its text goes before the first message of the user.
fn without_system(messages: &[Message]) -> Vec<Message> {
    let system: Vec<&str> = messages.iter().filter(|message| message.role == "system").map(|message| message.content.as_str()).collect();
    let mut rest: Vec<Message> = messages.iter().filter(|message| message.role != "system").cloned().collect();
    if let Some(first) = rest.iter_mut().find(|message| message.role == "user") {
        first.content = format!("{}\n\n{}", system.join("\n\n"), first.content);
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(url: &str) -> Provider {
        let url = url.parse().unwrap();
        let settings = ProviderSettings {
            url,
            api_key: Some("sk-secret".into()),
            model: "m".into(),
            timeout: Duration::from_secs(1),
            dialect: Dialect::Auto,
            headers: HeaderMap::new(),
        };
        Provider::new(settings).unwrap()
    }

    #[test]
    fn every_status_says_what_to_do_and_never_repeats_the_key() {
        let body = br#"{"error": {"message": "your key sk-secret is wrong"}}"#;
        let message = |status: u16| provider("http://h").refused(StatusCode::from_u16(status).unwrap(), body, RequestForm::Plain);
        assert_eq!(message(401).message, "the model server h answered 401 Unauthorized (your key *** is wrong); check MANA_LLM_API_KEY");
        for (status, kind) in [
            (400, ProviderErrorKind::Rejected),
            (404, ProviderErrorKind::Rejected),
            (429, ProviderErrorKind::RateLimited),
            (500, ProviderErrorKind::Server),
            (503, ProviderErrorKind::Server),
            (504, ProviderErrorKind::Timeout),
            (302, ProviderErrorKind::Rejected),
        ] {
            assert_eq!(message(status).kind, kind, "{status}");
        }
    }

    #[test]
    fn answers_are_read_or_named() {
        let read = |body: &str| provider("http://h").read(body.as_bytes(), RequestForm::Tools, 400);
        let answer =
            read(r#"{"model": "big", "choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}"#)
                .unwrap();
        assert_eq!((answer.reply.text.as_str(), answer.model.as_str(), answer.usage.total), ("hi", "big", 7));
        for (body, kind) in [
            ("", ProviderErrorKind::Malformed),
            ("<html>", ProviderErrorKind::Malformed),
            ("{}", ProviderErrorKind::Malformed),
            (r#"{"choices": [{"message": {"content": ""}}]}"#, ProviderErrorKind::Empty),
            (r#"{"error": "overloaded"}"#, ProviderErrorKind::Server),
        ] {
            assert_eq!(read(body).unwrap_err().kind, kind, "{body}");
        }
    }
}
