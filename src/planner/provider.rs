//! One request to an OpenAI-compatible chat endpoint, and every way it can go wrong (DESIGN, section 7).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::answer::Call;
use super::dialect::{Dialect, Form};
use super::tools::Offered;
use crate::domain::iteration::Usage;
use crate::web::{self, ClientError, root_cause};

/// An answer longer than this, in bytes, is no plan.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Where the model is and how to ask it.
#[derive(Clone)]
pub struct Settings {
    /// Base address, such as `http://127.0.0.1:11434`.
    pub url: reqwest::Url,
    pub api_key: Option<String>,
    pub model: String,
    /// For one whole request.
    pub timeout: Duration,
    pub dialect: Dialect,
    /// Headers that the server wants besides.
    pub headers: HeaderMap,
}

/// A part of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub role: &'static str,
    pub content: String,
}

/// The model's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub text: String,
    /// Empty where the model answered in words.
    pub calls: Vec<Call>,
    pub usage: Usage,
    /// As the server names it, else as it was asked for.
    pub model: String,
}

/// What kind of failure it was; the value of the metric label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
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
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Unreachable => "unreachable",
            Kind::Timeout => "timeout",
            Kind::Auth => "auth",
            Kind::RateLimited => "rate-limited",
            Kind::Rejected => "rejected",
            Kind::Server => "server",
            Kind::Malformed => "malformed",
            Kind::Empty => "empty",
        }
    }

    /// Whether other missions would meet the same, so that the circuit breaker counts it.
    pub fn is_provider_down(self) -> bool {
        !matches!(self, Kind::Rejected | Kind::Empty)
    }
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    pub kind: Kind,
    pub message: String,
    /// How long the server asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether another form of the same request may pass.
    refuses_form: bool,
}

pub struct Provider {
    client: Client,
    settings: Settings,
    /// The first of the dialect's forms that the server does not refuse.
    form: AtomicUsize,
}

impl Provider {
    /// # Errors
    /// When the TLS side cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let client = web::client(&settings.url, |builder| {
            builder
                .timeout(settings.timeout)
                .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
                .default_headers(settings.headers.clone())
                .user_agent(concat!("mana-ai/", env!("CARGO_PKG_VERSION")))
        })?;
        Ok(Provider { client, settings, form: AtomicUsize::new(0) })
    }

    /// The form that is tried first.
    pub fn form(&self) -> Form {
        let forms = self.settings.dialect.forms();
        forms.get(self.form.load(Ordering::Relaxed)).copied().unwrap_or(Form::Plain)
    }

    /// The model that is asked for.
    pub fn model(&self) -> &str {
        &self.settings.model
    }

    /// Host and port of the server: the value of the metric label `provider`.
    pub fn name(&self) -> String {
        let host = self.settings.url.host_str().unwrap_or("unknown");
        self.settings.url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Asks for an answer, in the best form that the server takes; what it takes is remembered.
    ///
    /// # Errors
    /// [`ProviderError`] says what happened and what its user can do.
    pub async fn ask(&self, messages: impl Fn(Form) -> Vec<Message>, offered: &[Offered<'_>]) -> Result<Answer, ProviderError> {
        let forms = self.settings.dialect.forms();
        let first = self.form.load(Ordering::Relaxed);
        let mut refused = None;
        for (at, &form) in forms.iter().enumerate().skip(first) {
            match self.request(&messages(form), form, offered).await {
                // Only where the same request passes in another form was the form the reason.
                Err(error) if error.refuses_form && at + 1 < forms.len() => refused = refused.or(Some(error)),
                // The first refusal tells more than that of a poorer form.
                Err(error) if error.refuses_form => return Err(refused.unwrap_or(error)),
                Err(error) => return Err(error),
                Ok(answer) => {
                    self.form.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
            }
        }
        Err(refused.unwrap_or_else(|| self.error(Kind::Rejected, "takes no form of request that this program knows")))
    }

    /// The models that the server lists.
    ///
    /// # Errors
    /// When it lists none, as servers of one model may.
    pub async fn models(&self) -> Result<Vec<String>, ProviderError> {
        let bytes = self.send(self.client.get(self.endpoint("models"))).await?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let models = value.get("data").and_then(Value::as_array).ok_or_else(|| self.error(Kind::Malformed, "lists no models"))?;
        Ok(models.iter().filter_map(|model| model.get("id")?.as_str().map(str::to_owned)).collect())
    }

    async fn request(&self, messages: &[Message], form: Form, offered: &[Offered<'_>]) -> Result<Answer, ProviderError> {
        let messages: Vec<Value> = messages.iter().map(|message| json!({"role": message.role, "content": message.content})).collect();
        let mut body = json!({"model": self.settings.model, "temperature": 0.3, "stream": false, "messages": messages});
        if let Some(object) = body.as_object_mut() {
            object.extend(form.fields(offered));
        }
        let bytes = self.send(self.client.post(self.endpoint("chat/completions")).json(&body)).await?;
        self.read(&bytes)
    }

    /// Sends a request, and reads an answer that is none of a failure.
    async fn send(&self, mut request: RequestBuilder) -> Result<Vec<u8>, ProviderError> {
        if let Some(key) = &self.settings.api_key {
            request = request.bearer_auth(key);
        }
        let mut response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let streams = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.no_answer(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(self.error(Kind::Malformed, "answered more than 4 MB"));
            }
        }
        if !status.is_success() {
            return Err(ProviderError { retry_after, ..self.refused(status, &bytes) });
        }
        if streams || bytes.starts_with(b"data:") {
            return Err(
                self.error(Kind::Malformed, "answered with a stream, which was not asked for; turn streaming off in that server or proxy")
            );
        }
        Ok(bytes)
    }

    fn endpoint(&self, path: &str) -> String {
        let base = self.settings.url.as_str().trim_end_matches('/');
        format!("{}/v1/{path}", base.strip_suffix("/v1").unwrap_or(base))
    }

    fn read(&self, bytes: &[u8]) -> Result<Answer, ProviderError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| {
            let what = if bytes.trim_ascii().is_empty() { "answered nothing" } else { "answered something that is not JSON" };
            self.error(Kind::Malformed, &format!("{what}; check that MANA_LLM_URL is the base address of an OpenAI-compatible server"))
        })?;
        if let Some(message) = error_message(&value) {
            return Err(self.error(Kind::Server, &format!("answered with an error: {message}")));
        }
        let message = value.pointer("/choices/0/message").ok_or_else(|| {
            self.error(Kind::Malformed, "answered JSON without `choices`; check that MANA_LLM_URL is an OpenAI-compatible server")
        })?;
        let (text, calls) = (content(message), calls(message));
        if text.trim().is_empty() && calls.is_empty() {
            return Err(self.error(Kind::Empty, &format!("gave an empty answer; the model {} may not suit", self.settings.model)));
        }
        let count = |field: &str| value.pointer(&format!("/usage/{field}")).and_then(Value::as_u64).unwrap_or(0);
        let (prompt, completion) = (count("prompt_tokens"), count("completion_tokens"));
        Ok(Answer {
            text,
            calls,
            usage: Usage { prompt, completion, total: count("total_tokens").max(prompt.saturating_add(completion)) },
            model: value.get("model").and_then(Value::as_str).filter(|m| !m.is_empty()).unwrap_or(&self.settings.model).to_owned(),
        })
    }

    fn refused(&self, status: StatusCode, bytes: &[u8]) -> ProviderError {
        let said = serde_json::from_slice(bytes).ok().and_then(|value| error_message(&value)).unwrap_or_default();
        let (kind, advice) = match status.as_u16() {
            401 | 403 => (Kind::Auth, "check MANA_LLM_API_KEY"),
            404 if said.contains("model") => (Kind::Rejected, "load that model in the server, or set MANA_LLM_MODEL to one that it has"),
            404 => (Kind::Rejected, "check that MANA_LLM_URL is the base address of an OpenAI-compatible server, and MANA_LLM_MODEL"),
            408 | 504 => (Kind::Timeout, "the server gave up waiting"),
            429 => (Kind::RateLimited, "the server asks for fewer requests"),
            300..=499 => (Kind::Rejected, "the server refused the request"),
            _ => (Kind::Server, "see the log of that server"),
        };
        // Some servers have no better word for a field that they do not know than that they failed.
        let of_form = ["tool", "jinja", "response_format", "json_schema", "grammar"].iter().any(|word| said.contains(word));
        let refuses_form = matches!(status.as_u16(), 400 | 422 | 501) || (status.as_u16() == 500 && of_form);
        let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
        ProviderError { refuses_form, ..self.error(kind, &format!("answered {status}{said}; {advice}")) }
    }

    fn no_answer(&self, error: &reqwest::Error) -> ProviderError {
        if error.is_timeout() {
            let seconds = self.settings.timeout.as_secs_f64();
            return self
                .error(Kind::Timeout, &format!("did not answer within {seconds} s; raise MANA_LLM_TIMEOUT_MS or use a faster model"));
        }
        let cause = root_cause(error);
        let (kind, what) = if error.is_connect() {
            (Kind::Unreachable, format!("cannot be reached ({cause}); check that it runs and that MANA_LLM_URL is right"))
        } else if cause.contains("parsed") || cause.contains("invalid") {
            (Kind::Malformed, format!("does not speak HTTP ({cause}); check that MANA_LLM_URL is the address of a model server"))
        } else {
            (Kind::Server, format!("broke off its answer ({cause}); see the log of that server"))
        };
        self.error(kind, &what)
    }

    fn error(&self, kind: Kind, what: &str) -> ProviderError {
        let mut message = format!("the model server {} {what}", self.name());
        // A server may repeat what it was sent.
        let headers = self.settings.headers.values().filter_map(|value| value.to_str().ok());
        for secret in self.settings.api_key.as_deref().into_iter().chain(headers).filter(|secret| secret.len() >= 4) {
            message = message.replace(secret, "***");
        }
        ProviderError { kind, message, retry_after: None, refuses_form: false }
    }
}

/// The text of a message: a string, or the text parts of an array.
fn content(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect(),
        _ => String::new(),
    }
}

/// The tool calls of a message; arguments that come as an object instead of a text are taken as well.
fn calls(message: &Value) -> Vec<Call> {
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let call = |call: &Value| {
        let function = call.get("function")?;
        let arguments = match function.get("arguments") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        Some(Call { tool: function.get("name")?.as_str()?.to_owned(), arguments })
    };
    calls.iter().filter_map(call).collect()
}

/// The longest pause that a server is granted.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// How long to wait, where the server says so in seconds (RFC 9110, section 10.2.3), and at most an hour.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// What an error body says: `{detail: {kind, message}}`, `{error: {…}}`, or either as a text.
fn error_message(value: &Value) -> Option<String> {
    let body = value.get("detail").or_else(|| value.get("error")).filter(|body| !body.is_null())?;
    let field = |name: &str| body.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let kind = field("kind").or_else(|| field("code")).or_else(|| field("type"));
    let text = body.as_str().or_else(|| field("message"));
    let said = match (kind, text) {
        (Some(kind), Some(text)) => format!("{kind}: {text}"),
        (one, other) => one.or(other).unwrap_or("no reason given").to_owned(),
    };
    Some(said.chars().filter(|c| !c.is_control()).take(300).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(url: &str) -> Provider {
        let url = url.parse().unwrap();
        let settings = Settings {
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
    fn the_address_may_end_in_v1() {
        for url in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"] {
            assert_eq!(provider(url).endpoint("chat/completions"), "http://h:1/v1/chat/completions");
        }
    }

    #[test]
    fn both_forms_of_errors_are_read() {
        let said = |body: Value| error_message(&body).unwrap_or_default();
        assert_eq!(said(json!({"detail": {"kind": "capability", "message": "no tools"}})), "capability: no tools");
        assert_eq!(said(json!({"error": {"message": "bad key", "type": "auth", "code": null}})), "auth: bad key");
        assert_eq!(said(json!({"error": "model not found"})), "model not found");
        assert_eq!(said(json!({"choices": []})), "");
    }

    #[test]
    fn every_status_says_what_to_do_and_never_repeats_the_key() {
        let body = br#"{"error": {"message": "your key sk-secret is wrong"}}"#;
        let message = |status: u16| provider("http://h").refused(StatusCode::from_u16(status).unwrap(), body);
        assert_eq!(message(401).message, "the model server h answered 401 Unauthorized (your key *** is wrong); check MANA_LLM_API_KEY");
        for (status, kind) in [
            (400, Kind::Rejected),
            (404, Kind::Rejected),
            (429, Kind::RateLimited),
            (500, Kind::Server),
            (503, Kind::Server),
            (504, Kind::Timeout),
            (302, Kind::Rejected),
        ] {
            assert_eq!(message(status).kind, kind, "{status}");
        }
    }

    #[test]
    fn answers_are_read_or_named() {
        let read = |body: &str| provider("http://h").read(body.as_bytes());
        let answer =
            read(r#"{"model": "big", "choices": [{"message": {"content": "hi"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}"#)
                .unwrap();
        assert_eq!((answer.text.as_str(), answer.model.as_str(), answer.usage.total), ("hi", "big", 7));
        for (body, kind) in [
            ("", Kind::Malformed),
            ("<html>", Kind::Malformed),
            ("{}", Kind::Malformed),
            (r#"{"choices": [{"message": {"content": ""}}]}"#, Kind::Empty),
            (r#"{"error": "overloaded"}"#, Kind::Server),
        ] {
            assert_eq!(read(body).unwrap_err().kind, kind, "{body}");
        }
    }
}
