//! Reads tool calls that a model wrote into its text, where its server did not tell them from words (docs/design.md, section 7).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::response::Call;
use super::tools::{Offered, ParamKind};
use crate::domain::json::Plain;

/// Bytes of a text that are searched.
const SEARCHED: usize = 256 * 1024;
/// Places at which a JSON value is tried to be read.
const TRIES: usize = 500;
/// Characters before a JSON object in which the name of its tool may stand.
const NAME_BEFORE: usize = 160;

/// What may stand between a tool's name and its arguments: marks, and the words of chat templates.
static BETWEEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?::\d+)?(?:[^\pL\d]|json|constrain|message|arguments?|parameters?|params|input|tool|calls?|argument|begin|sep|end|function|code)*$").ok()
});

/// A call as marked text: `<function=NAME>…</function>`, `<invoke name="NAME">…</invoke>`.
static MARKED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?s)<(?:function|invoke)(?:=|\s+name=)"?(?P<name>[\w.\-]+)"?\s*>(?P<inner>.*?)(?:</(?:function|invoke)>|$)"#).ok()
});
static MARKED_PARAMETER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?s)<parameter(?:=|\s+name=)"?(?P<name>[\w.\-]+)"?\s*>(?P<value>.*?)(?:</parameter>|$)"#).ok());

/// The calls in a text with what stands around them; `None` where there are none.
pub fn read(text: &str, offered: &[Offered<'_>]) -> Option<(Vec<Call>, String)> {
    let text = &text[..text.floor_char_boundary(SEARCHED)];
    marked(text, offered).or_else(|| in_json(text, offered))
}

/// The offered tool that a name means, also behind the namespace of a chat template.
pub fn tool_named<'a>(name: &str, offered: &[Offered<'a>]) -> Option<&'a str> {
    let find = |name: &str| offered.iter().map(|offered| offered.tool.name.as_str()).find(|known| *known == name);
    let name = name.trim();
    find(name).or_else(|| name.rsplit_once(['.', ':', '/']).and_then(|(_, last)| find(last)))
}

fn marked(text: &str, offered: &[Offered<'_>]) -> Option<(Vec<Call>, String)> {
    let (marked, parameter) = MARKED.as_ref().zip(MARKED_PARAMETER.as_ref())?;
    let mut calls = Vec::new();
    for found in marked.captures_iter(text) {
        let tool = tool_named(&found["name"], offered)?;
        let inner = found["inner"].trim();
        let params: Map<String, Value> = parameter
            .captures_iter(inner)
            .map(|p| (p["name"].to_owned(), value_of(tool, &p["name"], p["value"].trim(), offered)))
            .collect();
        let arguments = if params.is_empty() { inner.to_owned() } else { Value::Object(params).to_string() };
        calls.push(Call { tool: tool.to_owned(), arguments });
    }
    (!calls.is_empty()).then(|| (calls, without_marks(&marked.replace_all(text, " "))))
}

/// A parameter's value from its text: by the kind that the tool declares.
fn value_of(tool: &str, name: &str, text: &str, offered: &[Offered<'_>]) -> Value {
    let tool = offered.iter().find(|offered| offered.tool.name == tool).map(|offered| offered.tool);
    let kind = tool.and_then(|tool| tool.parameters.iter().find(|parameter| parameter.name == name)).map(|parameter| parameter.kind);
    match kind {
        Some(ParamKind::Number | ParamKind::Integer | ParamKind::Boolean) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        _ => text.into(),
    }
}

/// Calls as JSON values anywhere in the text: `{name, arguments}` in its many spellings, lists of them, and arguments
/// behind the name of their tool.
fn in_json(text: &str, offered: &[Offered<'_>]) -> Option<(Vec<Call>, String)> {
    let (mut calls, mut around, mut at, mut tries) = (Vec::new(), String::new(), 0, 0);
    while let Some(found) = text[at..].find(['{', '[']).filter(|_| tries < TRIES) {
        tries += 1;
        let start = at + found;
        let mut values = serde_json::Deserializer::from_str(&text[start..]).into_iter::<Plain>();
        let read = values.next().and_then(Result::ok).map(|Plain(value)| (value, start + values.byte_offset()));
        let Some((value, end)) = read else {
            around += &text[at..=start];
            at = start + 1;
            continue;
        };
        let before = &text[at..start];
        match calls_of(&value, offered).or_else(|| Some((vec![behind_name(before, &value, offered)?], true))) {
            Some((found, name_before)) => {
                calls.extend(found);
                around += if name_before { "" } else { before };
            }
            None => around += &text[at..end],
        }
        at = end;
    }
    around += &text[at..];
    (!calls.is_empty()).then(|| (calls, without_marks(&around)))
}

/// The calls that a value is.
fn calls_of(value: &Value, offered: &[Offered<'_>]) -> Option<(Vec<Call>, bool)> {
    let calls = match value {
        Value::Array(values) if !values.is_empty() => values.iter().map(|value| call_of(value, offered)).collect::<Option<Vec<_>>>()?,
        Value::Object(object) => match object.get("tool_calls").and_then(Value::as_array) {
            Some(values) if !values.is_empty() => values.iter().map(|value| call_of(value, offered)).collect::<Option<Vec<_>>>()?,
            _ => vec![call_of(value, offered)?],
        },
        _ => return None,
    };
    Some((calls, false))
}

fn call_of(value: &Value, offered: &[Offered<'_>]) -> Option<Call> {
    let object = value.as_object()?;
    if let Some(inner) = object.get("function_call").or_else(|| object.get("function")).filter(|inner| inner.is_object()) {
        return call_of(inner, offered);
    }
    let named = ["name", "tool", "tool_name", "toolName", "function", "action"].iter().find_map(|field| object.get(*field)?.as_str())?;
    let tool = tool_named(named, offered)?;
    let arguments = ["arguments", "parameters", "params", "args", "input", "action_input"].iter().find_map(|field| object.get(*field));
    let arguments = match arguments {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        // Some models say why beside the arguments.
        Some(Value::Object(arguments)) if !arguments.contains_key("rationale") && object.get("rationale").is_some_and(Value::is_string) => {
            let mut arguments = arguments.clone();
            arguments.insert("rationale".into(), object.get("rationale").cloned().unwrap_or_default());
            Value::Object(arguments).to_string()
        }
        Some(other) => other.to_string(),
    };
    Some(Call { tool: tool.to_owned(), arguments })
}

/// Arguments right behind the name of an offered tool, as in `functions.create_task:0 {…}` or `create_task({…})`.
fn behind_name(before: &str, value: &Value, offered: &[Offered<'_>]) -> Option<Call> {
    if !value.is_object() {
        return None;
    }
    let before = &before[before.floor_char_boundary(before.len().saturating_sub(NAME_BEFORE))..];
    let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let (tool, end) = offered
        .iter()
        .filter_map(|offered| {
            let name = offered.tool.name.as_str();
            let start = before.rfind(name)?;
            let end = start + name.len();
            let whole = !before[..start].ends_with(is_part_of_name) && !before[end..].starts_with(is_part_of_name);
            whole.then_some((name, end))
        })
        .max_by_key(|(_, end)| *end)?;
    BETWEEN.as_ref()?.is_match(&before[end..]).then(|| Call { tool: tool.to_owned(), arguments: value.to_string() })
}

/// The words around the calls, without the marks of templates and fences.
fn without_marks(text: &str) -> String {
    static MARKS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)```(?:json|tool_code|tool_call)?|<[|｜]?/?[\w▁:.\-]+[|｜]?>|\[/?TOOL_CALLS?\]|functions\.").ok());
    let text = MARKS.as_ref().map_or_else(|| text.into(), |marks| marks.replace_all(text, " "));
    text.split_whitespace().collect::<Vec<_>>().join(" ").trim_matches([';', ',', ' ', '`']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;
    use crate::planner::tools::Catalog;

    fn calls(text: &str) -> Option<(Vec<Call>, String)> {
        read(text, &Catalog::builtin().offered(&Policy::default()))
    }

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)], around: &str) {
        let (calls, said) = calls(text).unwrap_or_default();
        let calls: Vec<(&str, Value)> =
            calls.iter().map(|call| (call.tool.as_str(), serde_json::from_str(&call.arguments).unwrap_or_default())).collect();
        let expected: Vec<(&str, Value)> =
            expected.iter().map(|(tool, arguments)| (*tool, serde_json::from_str(arguments).unwrap())).collect();
        assert_eq!((calls, said.as_str()), (expected, around), "{text}");
    }

    #[test]
    fn calls_are_read_in_all_their_spellings() {
        let milk = r#"{"title":"Milk","rationale":"r"}"#;
        let one = &[("create_task", milk)][..];
        for text in [
            r#"{"name": "create_task", "parameters": {"title":"Milk","rationale":"r"}}"#,
            r#"{"name": "create_task", "arguments": {"title":"Milk","rationale":"r"}}"#,
            r#"{"type": "function", "function": {"name": "create_task", "arguments": {"title":"Milk","rationale":"r"}}}"#,
            r#"{"function_call": {"name": "create_task", "arguments": {"title":"Milk","rationale":"r"}}}"#,
            r#"{"tool_calls": [{"name": "create_task", "args": {"title":"Milk","rationale":"r"}}]}"#,
            r#"{"tool": "functions.create_task", "params": {"title":"Milk"}, "rationale":"r"}"#,
            r#"{"action": "create_task", "action_input": {"title":"Milk","rationale":"r"}}"#,
            r#"[{"name": "create_task", "arguments": {"title":"Milk","rationale":"r"}}]"#,
            r#"<tool_call>{"name": "create_task", "arguments": {"title":"Milk","rationale":"r"}}</tool_call>"#,
            r#"<|python_tag|>{"name": "create_task", "parameters": {"title":"Milk","rationale":"r"}}"#,
            r#"[TOOL_CALLS][{"name": "create_task", "arguments": {"title":"Milk","rationale":"r"}}]"#,
            "```json\n{\"name\": \"create_task\", \"arguments\": {\"title\":\"Milk\",\"rationale\":\"r\"}}\n```",
            r#"functions.create_task {"title":"Milk","rationale":"r"}"#,
            r#"<|tool_calls_section_begin|><|tool_call_begin|>functions.create_task:0<|tool_call_argument_begin|>{"title":"Milk","rationale":"r"}<|tool_call_end|>"#,
            r#"create_task({"title":"Milk","rationale":"r"})"#,
            r#"<function=create_task>{"title":"Milk","rationale":"r"}</function>"#,
            "<function=create_task>\n<parameter=title>\nMilk\n</parameter>\n<parameter=rationale>r</parameter>\n</function>",
            r#"<invoke name="create_task"><parameter name="title">Milk</parameter><parameter name="rationale">r</parameter></invoke>"#,
        ] {
            let (found, _) = calls(text).unwrap_or_default();
            assert_eq!(found.len(), 1, "{text}");
            let arguments: Value = serde_json::from_str(&found[0].arguments).unwrap();
            assert_eq!((found[0].tool.as_str(), arguments), ("create_task", serde_json::from_str(milk).unwrap()), "{text}");
        }
        check(
            r#"I will note two things: {"name":"create_task","arguments":{"title":"Milk","rationale":"r"}}; {"name":"stop_timer"}"#,
            &[one[0], ("stop_timer", "{}")],
            "I will note two things:",
        );
    }

    #[test]
    fn what_is_no_call_of_an_offered_tool_is_left_alone() {
        for text in [
            "",
            "{{{{[[[[",
            "I would create a task with {braces}",
            r#"{"summary": "s", "steps": []}"#,
            r#"{"name": "rm_rf", "arguments": {}}"#,
            r#"{"name": "Anna", "age": 7}"#,
            r#"create_task would be good. Here is the reason in JSON, as you like it: {"title": "Milk"}"#,
            r#"recreate_task {"title": "Milk"}"#,
        ] {
            assert_eq!(calls(text), None, "{text}");
        }
        assert_eq!(calls(&"[".repeat(1_000_000)), None);
        assert_eq!(calls(&r#"{"a":"#.repeat(100_000)), None);
    }

    #[test]
    fn a_number_in_marked_text_is_a_number_where_the_tool_says_so() {
        let text = "<function=add_transaction><parameter=type>expense</parameter><parameter=amount>12.5</parameter><parameter=description>7</parameter></function>";
        check(text, &[("add_transaction", r#"{"type":"expense","amount":12.5,"description":"7"}"#)], "");
    }
}
