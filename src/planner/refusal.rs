//! Which part of a request a model server refuses, and for how long that is remembered (docs/design.md, section 7).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::dialect::RequestForm;
use super::response::Complaint;

/// A refused part is tried again after this time: servers are updated, and models are exchanged.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// A part of a request that a server may not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestPart {
    Temperature,
    Stream,
    /// A message of the role `system`; without it, its text goes before the first message of the user.
    SystemRole,
    Tools,
    /// `response_format` with a JSON schema.
    Schema,
    /// `response_format` with any JSON object.
    JsonObject,
}

impl RequestPart {
    /// As requests name it.
    pub fn as_str(self) -> &'static str {
        match self {
            RequestPart::Temperature => "temperature",
            RequestPart::Stream => "stream",
            RequestPart::SystemRole => "the role system",
            RequestPart::Tools => "tools",
            RequestPart::Schema => "response_format json_schema",
            RequestPart::JsonObject => "response_format json_object",
        }
    }

    /// The part by which a form is asked for; the plain form needs none.
    pub fn of(form: RequestForm) -> Option<RequestPart> {
        match form {
            RequestForm::Tools => Some(RequestPart::Tools),
            RequestForm::Schema => Some(RequestPart::Schema),
            RequestForm::Object => Some(RequestPart::JsonObject),
            RequestForm::Plain => None,
        }
    }
}

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerRefusal {
    /// Not of a part: another form of the request would meet the same.
    Whole,
    /// Of a part, named.
    Part(RequestPart),
    /// Perhaps of the form; whether it was shows when another form passes.
    Unnamed,
    /// Of what the model itself said just now. Another form may help this time, and says nothing about the next.
    ThisAnswer,
}

/// Reads a refusal of a request that was sent in a form.
pub fn read(status: u16, complaint: &Complaint, form: RequestForm) -> ServerRefusal {
    let said = complaint.message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let code = complaint.code.as_deref().unwrap_or_default();
    if is_too_long(complaint) {
        return ServerRefusal::Whole;
    }
    if code == "tool_use_failed"
        || has(&["tool_use_failed", "failed to call a function", "failed_generation", "tool call validation failed"])
    {
        return ServerRefusal::ThisAnswer;
    }
    if !matches!(status, 400 | 404 | 422 | 500 | 501) {
        return ServerRefusal::Whole;
    }
    let named = part_of_param(complaint.param.as_deref().unwrap_or_default(), &said, form).or_else(|| part_of_words(&said, form));
    match (named, status) {
        // Some servers have no better word for a part that they do not know than that they failed or found nothing.
        (Some(part), 404) if has(&["support"]) => ServerRefusal::Part(part),
        (_, 404) => ServerRefusal::Whole,
        (Some(part), _) => ServerRefusal::Part(part),
        (None, 500) => ServerRefusal::Whole,
        (None, _) => ServerRefusal::Unnamed,
    }
}

/// Whether the request was larger than what the model reads.
pub fn is_too_long(complaint: &Complaint) -> bool {
    let said = complaint.message.to_lowercase();
    complaint.code.as_deref() == Some("context_length_exceeded")
        || [
            "context length",
            "context window",
            "context size",
            "maximum context",
            "too many tokens",
            "prompt is too long",
            "exceeds the available",
        ]
        .iter()
        .any(|words| said.contains(words))
}

/// The part that a server names by its field.
fn part_of_param(param: &str, said: &str, form: RequestForm) -> Option<RequestPart> {
    match param.split(['.', '[']).next().unwrap_or_default() {
        "temperature" => Some(RequestPart::Temperature),
        "stream" => Some(RequestPart::Stream),
        "tools" | "tool_choice" | "functions" => Some(RequestPart::Tools),
        "response_format" => RequestPart::of(form).filter(|part| *part != RequestPart::Tools),
        "messages" if said.contains("system") || said.contains("role") => Some(RequestPart::SystemRole),
        _ => None,
    }
}

/// The part that a server names in words, of those that were sent.
fn part_of_words(said: &str, form: RequestForm) -> Option<RequestPart> {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["temperature"]) {
        return Some(RequestPart::Temperature);
    }
    if has(&["roles must alternate"])
        || (said.contains("system") && has(&["role", "system message", "system prompt", "system instruction"]))
    {
        return Some(RequestPart::SystemRole);
    }
    match form {
        RequestForm::Tools if has(&["tool", "function call", "jinja"]) => return Some(RequestPart::Tools),
        RequestForm::Schema | RequestForm::Object
            if has(&[
                "response_format",
                "json_schema",
                "json schema",
                "json_object",
                "json mode",
                "structured output",
                "grammar",
                "guided",
            ]) =>
        {
            return RequestPart::of(form);
        }
        _ => {}
    }
    has(&["`stream`", "'stream'", "\"stream\"", "field stream", "stream:"]).then_some(RequestPart::Stream)
}

/// The parts that a server refused of late.
#[derive(Debug, Default)]
pub struct RefusedParts {
    until: BTreeMap<RequestPart, Instant>,
}

impl RefusedParts {
    /// What is left out of a request at `now`.
    pub fn at(&self, now: Instant) -> BTreeSet<RequestPart> {
        self.until.iter().filter(|(_, until)| **until > now).map(|(part, _)| *part).collect()
    }

    /// Leaves a part out from now on; answers whether that is news.
    pub fn remember(&mut self, part: RequestPart, now: Instant) -> bool {
        let before = self.until.insert(part, now + REMEMBERED);
        before.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, param: Option<&str>, code: Option<&str>, message: &str, form: RequestForm, expected: ServerRefusal) {
        let complaint = Complaint { message: message.into(), param: param.map(str::to_owned), code: code.map(str::to_owned) };
        assert_eq!(read(status, &complaint, form), expected, "{status} {message}");
    }

    #[test]
    fn the_refused_part_is_told_from_its_field_or_from_words() {
        use RequestForm::{Object, Plain, Schema, Tools};
        use ServerRefusal::{Part as Of, ThisAnswer, Unnamed, Whole};
        let unsupported = "Unsupported value: 'temperature' does not support 0.3 with this model.";
        check(400, Some("temperature"), Some("unsupported_value"), unsupported, Tools, Of(RequestPart::Temperature));
        check(422, Some("temperature"), None, "Extra inputs are not permitted", Plain, Of(RequestPart::Temperature));
        check(400, None, None, "System role not supported", Schema, Of(RequestPart::SystemRole));
        check(400, Some("messages[0].role"), None, "Unknown role", Tools, Of(RequestPart::SystemRole));
        check(500, None, None, "Conversation roles must alternate user/assistant/user/assistant/...", Plain, Of(RequestPart::SystemRole));
        check(400, None, None, "registry.ollama.ai/library/llama2 does not support tools", Tools, Of(RequestPart::Tools));
        check(500, None, None, "tools param requires --jinja flag", Tools, Of(RequestPart::Tools));
        check(404, None, None, "No endpoints found that support tool use.", Tools, Of(RequestPart::Tools));
        check(404, None, None, "model 'tool-master' not found", Tools, Whole);
        check(422, None, None, "response_format is not supported", Schema, Of(RequestPart::Schema));
        check(400, Some("response_format.type"), None, "must be text or json_object", Schema, Of(RequestPart::Schema));
        check(400, Some("response_format"), None, "no", Object, Of(RequestPart::JsonObject));
        check(400, None, None, "unknown field `stream`", Plain, Of(RequestPart::Stream));
        check(400, None, Some("tool_use_failed"), "Failed to call a function. Please adjust your prompt.", Tools, ThisAnswer);
        check(400, None, None, "no", Tools, Unnamed);
        check(500, None, None, "oops", Tools, Whole);
        check(401, None, None, "no tools for you", Tools, Whole);
        let long = "This model's maximum context length is 4096 tokens, but your tools and messages took 9000";
        check(400, None, Some("context_length_exceeded"), long, Tools, Whole);
    }

    #[test]
    fn a_refusal_is_forgotten_after_a_while() {
        let (mut refused, now) = (RefusedParts::default(), Instant::now());
        assert!(refused.remember(RequestPart::Tools, now));
        assert!(!refused.remember(RequestPart::Tools, now), "it is told once");
        assert_eq!(refused.at(now), BTreeSet::from([RequestPart::Tools]));
        assert!(refused.at(now + REMEMBERED).is_empty());
        assert!(refused.remember(RequestPart::Tools, now + REMEMBERED * 2));
    }
}
