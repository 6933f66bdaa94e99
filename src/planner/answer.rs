//! Reads a plan out of a model's answer: tool calls, or a JSON object (DESIGN, section 7).

use serde_json::{Map, Value};

use super::tools::Offered;
use crate::domain::change::Found;
use crate::domain::iteration::{MAX_STEPS, Plan, Step};

/// Why an answer is not a plan, in words that the model or a person can act on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoPlan {
    #[error("the answer holds no JSON object, neither fenced nor alone")]
    NoJson,
    #[error("the JSON of the answer cannot be read: {0}")]
    BrokenJson(String),
    #[error("the answer is {0}, but must be a JSON object with `summary` and `steps`")]
    NotAnObject(Found),
    #[error("`steps` is {0}, but must be an array")]
    NoSteps(Found),
    #[error("the plan has {0} steps, but at most {MAX_STEPS} are allowed")]
    TooMany(usize),
    #[error("{}", .0.join("; "))]
    Steps(Vec<String>),
}

/// A tool call as the server tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub tool: String,
    /// What should be a JSON object.
    pub arguments: String,
}

/// Reads tool calls. The text beside them is the summary.
///
/// # Errors
/// [`NoPlan`] says what is wrong.
pub fn read_calls(calls: &[Call], text: &str) -> Result<Plan, NoPlan> {
    if calls.len() > MAX_STEPS {
        return Err(NoPlan::TooMany(calls.len()));
    }
    let steps = all(calls.iter().map(step_of_call))?;
    let said = without_thoughts(text).trim();
    let summary = if said.is_empty() { steps.iter().map(|step| step.summary.as_str()).collect::<Vec<_>>().join("; ") } else { said.into() };
    Ok(Plan { summary, steps })
}

fn step_of_call(call: &Call) -> Result<Step, String> {
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    let arguments: Value =
        serde_json::from_str(arguments).map_err(|error| format!("the arguments of {} are no JSON: {error}", call.tool))?;
    let Value::Object(mut params) = arguments else {
        return Err(format!("the arguments of {} are {}, but must be an object", call.tool, Found::value(&arguments)));
    };
    let rationale = match params.remove("rationale") {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => return Err("`rationale` is missing".into()),
    };
    params.retain(|_, value| !value.is_null());
    let what = params.values().find_map(Value::as_str).unwrap_or_default();
    let summary = format!("{}: {what}", call.tool.replace('_', " "));
    Ok(Step { summary: summary.trim_end_matches([':', ' ']).chars().take(200).collect(), tool: call.tool.clone(), params, rationale })
}

/// All steps, or everything that is wrong with them.
fn all(steps: impl Iterator<Item = Result<Step, String>>) -> Result<Vec<Step>, NoPlan> {
    let (mut read, mut problems) = (Vec::new(), Vec::new());
    for (n, step) in steps.enumerate() {
        match step {
            Ok(step) => read.push(step),
            Err(problem) => problems.push(format!("step {}: {problem}", n + 1)),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(NoPlan::Steps(problems)) }
}

/// Without what a reasoning model thought aloud first.
fn without_thoughts(text: &str) -> &str {
    match text.trim_start().strip_prefix("<think>") {
        Some(rest) => rest.split_once("</think>").map_or("", |(_, said)| said),
        None => text,
    }
}

/// Reads a JSON object; only offered tools may be named.
///
/// # Errors
/// [`NoPlan`] says what is wrong.
pub fn read(text: &str, offered: &[Offered<'_>]) -> Result<Plan, NoPlan> {
    let json = json_part(without_thoughts(text)).ok_or(NoPlan::NoJson)?;
    let value: Value = serde_json::from_str(json).map_err(|error| NoPlan::BrokenJson(error.to_string()))?;
    let Value::Object(object) = &value else { return Err(NoPlan::NotAnObject(Found::value(&value))) };
    let steps = object.get("steps").unwrap_or(&Value::Null);
    let Value::Array(steps) = steps else { return Err(NoPlan::NoSteps(Found::value(steps))) };
    if steps.len() > MAX_STEPS {
        return Err(NoPlan::TooMany(steps.len()));
    }
    Ok(Plan {
        summary: object.get("summary").and_then(Value::as_str).unwrap_or_default().trim().to_owned(),
        steps: all(steps.iter().map(|value| step(value, offered)))?,
    })
}

/// The inside of the first fence, else the whole text where it is an object or another JSON value.
fn json_part(text: &str) -> Option<&str> {
    if let Some((_, rest)) = text.split_once("```") {
        let inside = rest.split_once("```").map_or(rest, |(inside, _)| inside);
        let start = inside.find(['{', '[', '\n']).unwrap_or(0);
        return Some(inside[start..].trim());
    }
    Some(text.trim()).filter(|text| text.starts_with('{'))
}

fn step(value: &Value, offered: &[Offered<'_>]) -> Result<Step, String> {
    let Value::Object(object) = value else { return Err(format!("it is {}, but must be an object", Found::value(value))) };
    let text = |field: &str| object.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let tool = text("toolName").ok_or("`toolName` is missing")?;
    if !offered.iter().any(|offered| offered.tool.name == tool) {
        return Err(format!("the tool {tool:?} does not exist or is not offered"));
    }
    let params = match object.get("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(other) => return Err(format!("`params` is {}, but must be an object", Found::value(other))),
    };
    Ok(Step {
        summary: text("summary").unwrap_or(tool).to_owned(),
        tool: tool.to_owned(),
        params,
        rationale: text("rationale").ok_or("`rationale` is missing")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;
    use crate::planner::tools::Catalog;
    use serde_json::json;

    fn parse(text: &str) -> Result<Plan, NoPlan> {
        read(text, &Catalog::builtin().offered(&Policy::default()))
    }

    #[test]
    fn reads_what_other_implementations_read() {
        let cases: Vec<Value> = serde_json::from_str(include_str!("../../tests/vectors/planner-responses.json")).unwrap();
        assert_eq!(cases.len(), 12);
        for case in cases {
            let plan = parse(case["text"].as_str().unwrap()).ok().map(|plan| {
                let step = |s: &Step| json!({"summary": s.summary, "toolName": s.tool, "rationale": s.rationale, "params": s.params});
                json!({"summary": plan.summary, "steps": plan.steps.iter().map(step).collect::<Vec<_>>()})
            });
            assert_eq!(plan.is_some(), case["expected"]["ok"] == true, "{}", case["id"]);
            assert_eq!(plan.unwrap_or_default(), case["expected"]["value"], "{}", case["id"]);
        }
    }

    fn refused(text: &str, expected: &str) {
        assert_eq!(parse(text).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        refused("", "the answer holds no JSON object, neither fenced nor alone");
        refused("<html></html>", "the answer holds no JSON object, neither fenced nor alone");
        refused("```\n[1]\n```", "the answer is an array, but must be a JSON object with `summary` and `steps`");
        refused(r#"{"steps": 3}"#, "`steps` is the number 3, but must be an array");
        refused(r#"{"steps": [{"toolName": "rm_rf"}]}"#, "step 1: the tool \"rm_rf\" does not exist or is not offered");
        refused(r#"{"steps": [{"toolName": "stop_timer"}]}"#, "step 1: `rationale` is missing");
        let many = json!({"steps": vec![json!({"toolName": "stop_timer", "rationale": "r"}); 26]}).to_string();
        refused(&many, "the plan has 26 steps, but at most 25 are allowed");
    }
}
