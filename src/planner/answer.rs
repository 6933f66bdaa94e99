//! Reads a plan out of a model's answer: tool calls, or a JSON object (docs/design.md, section 7).

use serde_json::{Map, Value};

use super::check::{StepFault, StepProblem};
use super::response::{Call, Reply};
use super::tools::Offered;
use super::{text_calls, thoughts};
use crate::domain::change::Found;
use crate::domain::iteration::{MAX_STEPS, Plan, Step};
use crate::domain::json::{self, Plain};
use crate::domain::limits::{MAX_PARAMS_DEPTH, nests_deeper};
use crate::domain::round::{RoundFault, RoundProblem};

/// How often arguments may be encoded over again.
const ENCODED: usize = 3;

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
    #[error("the plan has more than {MAX_STEPS} steps; keep those that matter most")]
    TooMany,
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Steps(Vec<StepProblem>),
    #[error(
        "the answer was cut off at the server's limit of tokens, so its plan is not whole; answer shorter, or raise that limit \
         (max_tokens, num_predict, or the context window) in the model server"
    )]
    Cut,
    #[error("the answer holds only thoughts and no plan; say the plan after thinking, or turn thinking off in the model server")]
    OnlyThoughts,
}

/// Reads the plan of an answer, however the server told it: as tool calls, as calls in its text, as a JSON object, or, where
/// there is nothing else, in its thoughts.
///
/// # Errors
/// [`NoPlan`] says what is wrong.
pub fn plan(reply: &Reply, offered: &[Offered<'_>]) -> Result<Plan, NoPlan> {
    let thoughts::Parts { said, thought } = thoughts::divide(&reply.text);
    if !reply.calls.is_empty() {
        return of_calls(&reply.calls, &said, reply.cut, offered);
    }
    if !said.is_empty() {
        return of_text(&said, reply.cut, offered);
    }
    let thought = if reply.thoughts.is_empty() { thought } else { thoughts::divide(&reply.thoughts).said };
    match of_text(&thought, reply.cut, offered) {
        Ok(plan) if !plan.steps.is_empty() => Ok(plan),
        _ if reply.cut => Err(NoPlan::Cut),
        _ => Err(NoPlan::OnlyThoughts),
    }
}

fn of_text(text: &str, cut: bool, offered: &[Offered<'_>]) -> Result<Plan, NoPlan> {
    let plan = read(text, offered);
    let is_no_plan = matches!(plan, Err(NoPlan::NoJson | NoPlan::BrokenJson(_) | NoPlan::NotAnObject(_) | NoPlan::NoSteps(_)));
    if is_no_plan && let Some((calls, around)) = text_calls::read(text, offered) {
        return of_calls(&calls, &around, cut, offered);
    }
    // A whole JSON object was not cut, wherever the words after it end.
    if cut && is_no_plan { Err(NoPlan::Cut) } else { plan }
}

/// A list of calls that was cut may lack some, and nothing tells.
fn of_calls(calls: &[Call], said: &str, cut: bool, offered: &[Offered<'_>]) -> Result<Plan, NoPlan> {
    if cut { Err(NoPlan::Cut) } else { read_calls(calls, said, offered) }
}

/// Reads tool calls. What was said beside them is the summary.
///
/// # Errors
/// [`NoPlan`] says what is wrong.
pub fn read_calls(calls: &[Call], said: &str, offered: &[Offered<'_>]) -> Result<Plan, NoPlan> {
    let steps = all(calls.iter().map(|call| step_of_call(call, offered)))?;
    let summary = if said.is_empty() { steps.iter().map(|step| step.summary.as_str()).collect::<Vec<_>>().join("; ") } else { said.into() };
    Ok(Plan { summary, steps })
}

impl NoPlan {
    /// The same one by one, without a word of the answer.
    pub fn told(&self) -> Vec<RoundProblem> {
        let kind = match self {
            NoPlan::Steps(problems) => return problems.iter().map(StepProblem::told).collect(),
            NoPlan::NoJson => RoundFault::NoJson,
            NoPlan::BrokenJson(_) => RoundFault::BrokenJson,
            NoPlan::NotAnObject(_) | NoPlan::NoSteps(_) => RoundFault::WrongForm,
            NoPlan::TooMany => RoundFault::TooManySteps,
            NoPlan::Cut => RoundFault::CutOff,
            NoPlan::OnlyThoughts => RoundFault::OnlyThoughts,
        };
        vec![RoundProblem { step: None, kind, param: None }]
    }
}

fn step_of_call(call: &Call, offered: &[Offered<'_>]) -> Result<Step, StepFault> {
    let tool = text_calls::tool_named(&call.tool, offered).unwrap_or(&call.tool);
    let broken = |error: serde_json::Error| StepFault::BrokenArguments { tool: tool.to_owned(), error: error.to_string() };
    let params = arguments(&call.arguments).map_err(broken)?;
    let Value::Object(mut params) = params else {
        let what = format!("the arguments of {tool}");
        return Err(StepFault::WrongArguments { what, verb: "are", found: Found::value(&params) });
    };
    let rationale = match params.remove("rationale") {
        Some(Value::String(text)) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => return Err(StepFault::NoRationale),
    };
    params.retain(|_, value| !value.is_null());
    let params = shallow(params, &format!("the arguments of {}", call.tool))?;
    let what = params.values().find_map(Value::as_str).unwrap_or_default();
    let summary = format!("{}: {what}", tool.replace('_', " "));
    Ok(Step { summary: summary.trim_end_matches([':', ' ']).chars().take(200).collect(), tool: tool.to_owned(), params, rationale })
}

/// Parameters that nest no deeper than the log takes them.
fn shallow(params: Map<String, Value>, what: &str) -> Result<Map<String, Value>, StepFault> {
    let is_deep = params.values().any(|value| nests_deeper(value, MAX_PARAMS_DEPTH - 1));
    if is_deep { Err(StepFault::TooDeep { what: what.to_owned() }) } else { Ok(params) }
}

/// Arguments as JSON, also where they were encoded more than once.
fn arguments(text: &str) -> Result<Value, serde_json::Error> {
    let text = text.trim();
    let Plain(mut value) = json::read(if text.is_empty() { "{}" } else { text }.as_bytes())?;
    for _ in 0..ENCODED {
        let Value::String(inner) = &value else { break };
        Plain(value) = json::read(inner.trim().as_bytes())?;
    }
    Ok(value)
}

/// All steps, or everything that is wrong with them. Exact copies of a call are one step.
fn all(steps: impl Iterator<Item = Result<Step, StepFault>>) -> Result<Vec<Step>, NoPlan> {
    let (mut read, mut problems) = (Vec::<Step>::new(), Vec::new());
    for (at, step) in steps.enumerate() {
        match step {
            Ok(step) if read.iter().any(|other| other.tool == step.tool && other.params == step.params) => {}
            Ok(step) => read.push(step),
            Err(what) => problems.push(StepProblem { at, what }),
        }
        if read.len() + problems.len() > MAX_STEPS {
            return Err(NoPlan::TooMany);
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(NoPlan::Steps(problems)) }
}

/// Reads a JSON object; only offered tools may be named.
///
/// # Errors
/// [`NoPlan`] says what is wrong.
pub fn read(text: &str, offered: &[Offered<'_>]) -> Result<Plan, NoPlan> {
    let json = json_part(text).ok_or(NoPlan::NoJson)?;
    let Plain(value) = json::read(json.as_bytes()).map_err(|error| NoPlan::BrokenJson(error.to_string()))?;
    let Value::Object(object) = &value else { return Err(NoPlan::NotAnObject(Found::value(&value))) };
    let steps = object.get("steps").unwrap_or(&Value::Null);
    let Value::Array(steps) = steps else { return Err(NoPlan::NoSteps(Found::value(steps))) };
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

fn step(value: &Value, offered: &[Offered<'_>]) -> Result<Step, StepFault> {
    let Value::Object(object) = value else { return Err(StepFault::NoObject(Found::value(value))) };
    let text = |field: &str| object.get(field).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
    let tool = text("toolName").ok_or(StepFault::NoTool)?;
    if !offered.iter().any(|offered| offered.tool.name == tool) {
        return Err(StepFault::UnknownTool(tool.to_owned()));
    }
    let params = match object.get("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params.clone(),
        Some(other) => {
            return Err(StepFault::WrongArguments { what: "`params`".into(), verb: "is", found: Found::value(other) });
        }
    };
    Ok(Step {
        summary: text("summary").unwrap_or(tool).to_owned(),
        tool: tool.to_owned(),
        params: shallow(params, "`params`")?,
        rationale: text("rationale").ok_or(StepFault::NoRationale)?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::Policy;
    use crate::planner::tools::Catalog;
    use serde_json::json;

    fn parse(text: &str) -> Result<Plan, NoPlan> {
        read(&thoughts::divide(text).said, &Catalog::builtin().offered(&Policy::default()))
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
        let task = |n: usize| json!({"toolName": "create_task", "params": {"title": n.to_string()}, "rationale": "r"});
        let many = json!({"steps": (0..26).map(task).collect::<Vec<_>>()}).to_string();
        refused(&many, "the plan has more than 25 steps; keep those that matter most");
    }
}
