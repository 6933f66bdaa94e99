//! Calls of the HTTP endpoints that carry out tools of the operator (docs/design.md, section 13.2), in the form of Standard
//! Webhooks (<https://www.standardwebhooks.com>). This room must not know what a step is.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use serde::Deserialize;

use crate::web;

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// As much of an answer is kept.
const RESULT_BYTES: usize = 4 * 1024;
/// How a secret begins, as the specification has it.
const SECRET_PREFIX: &str = "whsec_";

/// How a tools file describes a webhook.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookSpec {
    pub url: String,
    /// Sent besides those of the signature.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The environment variable with the secret that signs calls; without one, they are not signed.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Whether the endpoint carries out a call once, however often it comes. Such a call is made again where nobody knows
    /// how it ended.
    #[serde(default)]
    pub idempotent: bool,
}

/// A webhook that can be called.
#[derive(Clone)]
pub struct Webhook {
    client: reqwest::Client,
    url: Url,
    headers: reqwest::header::HeaderMap,
    key: Option<hmac::Key>,
    pub idempotent: bool,
}

impl std::fmt::Debug for Webhook {
    /// Without headers and key, which are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).field("idempotent", &self.idempotent).finish_non_exhaustive()
    }
}

/// A description that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWebhook {
    #[error("its `url` must be an address that begins with http:// or https://")]
    Url,
    #[error("the header {0:?} cannot be sent")]
    Header(String),
    #[error("the variable {0}, which its `secretEnv` names, is not set")]
    NoSecret(String),
    #[error("the variable {0} must hold a secret in base64, such as whsec_… of `openssl rand -base64 32`")]
    Secret(String),
    #[error("{0}")]
    Client(String),
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// Done; the beginning of the answer.
    Done(String),
    /// The endpoint refuses it for good, and why.
    Refused(String),
    /// It may work later, and why it did not now.
    Later(String),
}

impl Webhook {
    /// Makes a description ready to be called; `secret` looks up a variable.
    ///
    /// # Errors
    /// What is wrong with the description.
    pub fn new(spec: &WebhookSpec, secret: impl Fn(&str) -> Option<String>) -> Result<Self, BadWebhook> {
        let url: Url = spec.url.parse().map_err(|_| BadWebhook::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(BadWebhook::Url);
        }
        let mut headers = reqwest::header::HeaderMap::new();
        for (name, value) in &spec.headers {
            let bad = || BadWebhook::Header(name.clone());
            let key = reqwest::header::HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let mut value = reqwest::header::HeaderValue::from_str(value).map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let key = match &spec.secret_env {
            None => None,
            Some(name) => {
                let text = secret(name).filter(|text| !text.is_empty()).ok_or_else(|| BadWebhook::NoSecret(name.clone()))?;
                let text = text.trim();
                let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text));
                let bytes = bytes.ok().filter(|bytes| !bytes.is_empty()).ok_or_else(|| BadWebhook::Secret(name.clone()))?;
                Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
            }
        };
        let client = web::client(&url, |builder| builder.timeout(TIMEOUT)).map_err(|error| BadWebhook::Client(error.to_string()))?;
        Ok(Webhook { client, url, headers, key, idempotent: spec.idempotent })
    }

    /// Calls the endpoint. The id is the same in every try, so that it can tell a repetition.
    pub async fn call(&self, id: &str, now: Timestamp, body: String) -> Called {
        let at = now.as_second();
        let mut request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", at);
        if let Some(key) = &self.key {
            request = request.header("webhook-signature", signature(key, id, at, &body));
        }
        let response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Called::Later(format!("no answer within {} seconds", TIMEOUT.as_secs())),
            Err(error) => return Called::Later(web::root_cause(&error)),
        };
        let status = response.status();
        let text = beginning(response).await;
        match status.as_u16() {
            200..=299 => Called::Done(text),
            409 | 410 | 422 => Called::Refused(told(status, &text)),
            _ => Called::Later(told(status, &text)),
        }
    }
}

fn told(status: reqwest::StatusCode, text: &str) -> String {
    if text.is_empty() { format!("the endpoint answered {status}") } else { format!("the endpoint answered {status}: {text}") }
}

/// Standard Webhooks, section "Signature scheme".
fn signature(key: &hmac::Key, id: &str, at: i64, body: &str) -> String {
    format!("v1,{}", STANDARD.encode(hmac::sign(key, format!("{id}.{at}.{body}").as_bytes())))
}

/// The beginning of an answer, whatever is wrong with the rest.
async fn beginning(mut response: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < RESULT_BYTES
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(RESULT_BYTES - bytes.len())]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    fn spec(json: serde_json::Value) -> WebhookSpec {
        serde_json::from_value(json).unwrap()
    }

    /// The example of the specification.
    #[test]
    fn a_call_is_signed_as_the_specification_has_it() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap());
        let body = r#"{"test": 2432232314}"#;
        assert_eq!(signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_description_that_cannot_be_called_says_why() {
        let secret = |name: &str| (name == "SET").then(|| "whsec_AAEC".to_owned()).or_else(|| (name == "BAD").then(|| "no!".into()));
        let check = |json| Webhook::new(&spec(json), secret).map(drop);
        assert_eq!(check(json!({"url": "http://127.0.0.1:1/hook", "secretEnv": "SET"})), Ok(()));
        assert_eq!(check(json!({"url": "ftp://x"})), Err(BadWebhook::Url));
        assert_eq!(check(json!({"url": "http://x", "headers": {"a b": "c"}})), Err(BadWebhook::Header("a b".into())));
        assert_eq!(check(json!({"url": "http://x", "secretEnv": "NONE"})), Err(BadWebhook::NoSecret("NONE".into())));
        assert_eq!(check(json!({"url": "http://x", "secretEnv": "BAD"})), Err(BadWebhook::Secret("BAD".into())));
        let shown =
            format!("{:?}", Webhook::new(&spec(json!({"url": "http://u:p@x/secret", "headers": {"k": "secret"}})), secret).unwrap());
        assert!(!shown.contains("secret") && !shown.contains(":p@"), "{shown}");
    }
}
