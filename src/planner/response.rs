//! What a model server says, out of the bodies of its responses (docs/design.md, section 7).

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use serde_json::Value;

/// A tool call as the server tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub tool: String,
    /// What should be a JSON object.
    pub arguments: String,
}

/// Characters of a server's own words that a message repeats.
const WORDS: usize = 300;

/// The longest pause that a server is granted.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The same pause in milliseconds, as some servers tell it.
static RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// What a server complains about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Complaint {
    /// In its words, on one line and cut; empty where it says nothing.
    pub message: String,
    /// The field of the request that it is about.
    pub param: Option<String>,
    /// Its name for the kind of failure.
    pub code: Option<String>,
}

/// Reads the body of a failure: `{error: {…}}`, `{detail: {kind, message}}`, `{detail: [{loc, msg}]}`, `{message}`, a list of
/// one of these, or plain words.
pub fn complaint(body: &[u8]) -> Complaint {
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        return of_json(&value).unwrap_or_default();
    }
    let text = String::from_utf8_lossy(body);
    // A page of a proxy says nothing that a person would want to read here.
    if text.trim_start().starts_with('<') { Complaint::default() } else { Complaint { message: one_line(&text), ..Complaint::default() } }
}

/// What a body complains about, where it is about a failure at all.
pub fn of_json(value: &Value) -> Option<Complaint> {
    match value {
        Value::Array(list) => return list.iter().find_map(of_json),
        Value::String(text) if !text.trim().is_empty() => return Some(Complaint { message: one_line(text), ..Complaint::default() }),
        Value::Object(_) => {}
        _ => return None,
    }
    let held = |field: &str| value.get(field).filter(|held| !held.is_null());
    let text = |field: &str| held(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    for field in ["error", "errors"] {
        if let Some(inner) = held(field).and_then(of_json) {
            return Some(with_code(inner, value));
        }
    }
    if let Some(detail) = held("detail").filter(|detail| !detail.is_string()).and_then(of_json) {
        return Some(detail);
    }
    let message = text("message").or_else(|| text("msg")).or_else(|| text("detail")).or_else(|| text("error_description"))?;
    // A proxy keeps the words of the server behind it.
    let behind = value.pointer("/metadata/raw").and_then(Value::as_str).map(|raw| complaint(raw.as_bytes()).message);
    let message = match behind.filter(|behind| !behind.is_empty()) {
        Some(behind) => format!("{message}: {behind}"),
        None => message.to_owned(),
    };
    let place = value.get("loc").and_then(Value::as_array).and_then(|path| path.iter().rev().find_map(Value::as_str));
    let param = text("param").or(place);
    let message = match place {
        Some(place) => format!("{place}: {message}"),
        None => message,
    };
    let complaint = Complaint { message: one_line(&message), param: param.map(str::to_owned), code: None };
    Some(with_code(complaint, value))
}

/// Adds the name of the failure, and says it before the words where it is one that says something.
fn with_code(mut complaint: Complaint, value: &Value) -> Complaint {
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    if complaint.code.is_none()
        && let Some(code) = text("kind").or_else(|| text("code")).or_else(|| text("type")).or_else(|| text("status"))
    {
        complaint.message = one_line(&format!("{code}: {}", complaint.message));
        complaint.code = Some(code.to_owned());
    }
    complaint
}

fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !c.is_control()).take(WORDS).collect()
}

/// How long to wait, where the server says so, and at most an hour: seconds, also with a fraction, or a date (RFC 9110,
/// section 10.2.3), which counts from the server's own clock where that is told.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    if let Some(millis) = text(&RETRY_AFTER_MS).and_then(number) {
        return Some(pause(millis / 1_000.0));
    }
    let said = text(&RETRY_AFTER)?;
    if let Some(seconds) = number(said) {
        return Some(pause(seconds));
    }
    let date = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp());
    let server = text(&DATE).and_then(date).unwrap_or(now);
    Some(pause(date(said)?.duration_since(server).as_secs_f64().max(0.0)))
}

fn pause(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64()))
}

/// What the model answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    pub text: String,
    pub calls: Vec<Call>,
    /// What it thought aloud, in a field of its own.
    pub thoughts: String,
    /// Whether the server ended the answer, at a limit of tokens.
    pub cut: bool,
}

/// Reads the first choice of an answer; `None` where there is none.
pub fn reply(value: &Value) -> Option<Reply> {
    let choice = value.pointer("/choices/0")?;
    let message = choice.get("message")?;
    let ended = choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    Some(Reply {
        text: content(message.get("content")),
        calls: calls(message),
        thoughts: ["reasoning_content", "reasoning", "thinking"]
            .iter()
            .map(|field| content(message.get(*field)))
            .find(|t| !t.is_empty())
            .unwrap_or_default(),
        cut: ["length", "max_tokens", "model_length", "max_output_tokens"].contains(&ended.as_str()),
    })
}

/// A text, or the text parts of an array.
fn content(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect(),
        _ => String::new(),
    }
}

/// The tool calls of a message, also in the older form of a single one.
fn calls(message: &Value) -> Vec<Call> {
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let older = message.get("function_call").into_iter();
    calls.iter().filter_map(|call| call.get("function")).chain(older).filter_map(call).collect()
}

fn call(function: &Value) -> Option<Call> {
    let arguments = match function.get("arguments") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        // Some servers send the object itself.
        Some(other) => other.to_string(),
    };
    Some(Call { tool: function.get("name")?.as_str()?.to_owned(), arguments })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_form_of_a_complaint_is_read() {
        for (body, message, param, code) in [
            (json!({"detail": {"kind": "capability", "message": "no tools"}}), "capability: no tools", None, Some("capability")),
            (json!({"error": {"message": "bad key", "type": "auth", "code": null}}), "auth: bad key", None, Some("auth")),
            (json!({"error": {"message": "no", "param": "temperature", "code": "x"}}), "x: no", Some("temperature"), Some("x")),
            (json!({"error": "model not found"}), "model not found", None, None),
            (json!({"message": "Unauthorized"}), "Unauthorized", None, None),
            (json!({"object": "error", "message": "too long", "type": "BadRequest"}), "BadRequest: too long", None, Some("BadRequest")),
            (
                json!([{"error": {"message": "quota", "status": "RESOURCE_EXHAUSTED"}}]),
                "RESOURCE_EXHAUSTED: quota",
                None,
                Some("RESOURCE_EXHAUSTED"),
            ),
            (
                json!({"detail": [{"loc": ["body", "temperature"], "msg": "not permitted", "type": "extra"}]}),
                "extra: temperature: not permitted",
                Some("temperature"),
                Some("extra"),
            ),
            (json!({"detail": "Not authenticated"}), "Not authenticated", None, None),
            (
                json!({"error": {"message": "Provider returned error", "metadata": {"raw": "{\"error\": \"busy\"}"}}}),
                "Provider returned error: busy",
                None,
                None,
            ),
            (json!({"errors": [{"message": "one"}, {"message": "two"}]}), "one", None, None),
            (json!({"choices": []}), "", None, None),
            (json!(7), "", None, None),
        ] {
            let expected = Complaint { message: message.into(), param: param.map(str::to_owned), code: code.map(str::to_owned) };
            assert_eq!(complaint(body.to_string().as_bytes()), expected, "{body}");
        }
        assert_eq!(complaint(b"upstream\nconnect\x1b error").message, "upstream connect error");
        assert_eq!(complaint(b"<html>oops</html>").message, "");
        assert_eq!(complaint("x".repeat(1_000).as_bytes()).message.len(), WORDS);
    }

    #[test]
    fn a_pause_is_told_in_seconds_or_as_a_date() {
        let now = "2026-04-15T08:00:00Z".parse().unwrap();
        let wait = |headers: &[(&'static str, &str)]| {
            let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
            retry_after(&headers, now).map(|pause| pause.as_millis())
        };
        assert_eq!(wait(&[("retry-after", "20")]), Some(20_000));
        assert_eq!(wait(&[("retry-after", "1.5")]), Some(1_500));
        assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "1")]), Some(250));
        assert_eq!(wait(&[("retry-after", "Wed, 15 Apr 2026 08:00:30 GMT")]), Some(30_000));
        let skewed = [("retry-after", "Wed, 15 Apr 2026 09:00:30 GMT"), ("date", "Wed, 15 Apr 2026 09:00:00 GMT")];
        assert_eq!(wait(&skewed), Some(30_000), "by the clock of the server");
        assert_eq!(wait(&[("retry-after", "Wed, 15 Apr 2020 08:00:30 GMT")]), Some(0));
        assert_eq!(wait(&[("retry-after", "1e300")]), Some(3_600_000));
        for text in ["soon", "-1", "NaN", ""] {
            assert_eq!(wait(&[("retry-after", text)]), None, "{text}");
        }
    }

    #[test]
    fn each_form_of_an_answer_is_read() {
        let read = |message: Value, reason: &str| reply(&json!({"choices": [{"message": message, "finish_reason": reason}]})).unwrap();
        assert_eq!(read(json!({"content": "hi"}), "stop"), Reply { text: "hi".into(), ..Reply::default() });
        assert_eq!(read(json!({"content": [{"type": "text", "text": "a"}, {"text": "b"}, {}]}), "").text, "ab");
        let thinking = read(json!({"content": null, "reasoning_content": "hm"}), "length");
        assert_eq!((thinking.thoughts.as_str(), thinking.cut), ("hm", true));
        let call = |message: Value| read(message, "tool_calls").calls.remove(0);
        let expected = Call { tool: "t".into(), arguments: "{\"a\":1}".into() };
        assert_eq!(call(json!({"tool_calls": [{"function": {"name": "t", "arguments": "{\"a\":1}"}}]})), expected);
        assert_eq!(call(json!({"tool_calls": [{"function": {"name": "t", "arguments": {"a": 1}}}]})), expected);
        assert_eq!(call(json!({"function_call": {"name": "t", "arguments": "{\"a\":1}"}})), expected);
        assert_eq!(reply(&json!({"choices": []})), None);
    }
}
