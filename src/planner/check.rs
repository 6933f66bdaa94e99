//! Whether each step of a plan can be carried out as it stands (docs/design.md, section 7).

use serde_json::{Map, Value};

use super::tools::{Offered, ParamKind, Parameter, Tool};
use crate::domain::change::Found;
use crate::domain::iteration::{MAX_PARAMS_BYTES, Plan};
use crate::domain::iterations::Iteration;
use crate::domain::limits::MAX_PARAMS_DEPTH;
use crate::domain::round::{RoundFault, RoundProblem};
use crate::domain::step::StepStatus;

/// A step that its user rejected before.
pub type Rejected<'a> = (&'a str, &'a Map<String, Value>);

/// What is wrong with a step of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct StepProblem {
    /// Which step, from 0.
    pub at: usize,
    pub what: StepFault,
}

impl StepProblem {
    /// Whether the step is sound in itself, and only repeats what was rejected.
    pub fn repeats(&self) -> bool {
        self.what == StepFault::Rejected
    }

    /// The same without a word of the answer.
    pub fn told(&self) -> RoundProblem {
        let (kind, param) = self.what.kind();
        RoundProblem { step: Some(self.at as u64 + 1), kind, param }
    }
}

impl std::fmt::Display for StepProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}: {}", self.at + 1, self.what)
    }
}

/// The same in words for the model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StepFault {
    #[error("it is {0}, but must be an object")]
    NoObject(Found),
    #[error("`toolName` is missing")]
    NoTool,
    #[error("the tool {0:?} does not exist or is not offered")]
    UnknownTool(String),
    /// What the reader says.
    #[error("the arguments of {tool} are no JSON: {error}")]
    BrokenArguments { tool: String, error: String },
    #[error("{what} {verb} {found}, but must be an object")]
    WrongArguments { what: String, verb: &'static str, found: Found },
    #[error("{what} nest more than {MAX_PARAMS_DEPTH} levels deep")]
    TooDeep { what: String },
    #[error("`rationale` is missing")]
    NoRationale,
    #[error("from here on, the parameters of the plan are longer than {MAX_PARAMS_BYTES} bytes")]
    TooLong,
    #[error(transparent)]
    Unfit(#[from] UnfitParam),
    #[error("{0} may be used once in a plan")]
    Twice(String),
    #[error("the user rejected this very step before; change it or leave it out")]
    Rejected,
}

impl StepFault {
    /// Its kind, and the parameter that it is about.
    fn kind(&self) -> (RoundFault, Option<String>) {
        let kind = match self {
            StepFault::NoObject(_) | StepFault::NoTool | StepFault::BrokenArguments { .. } | StepFault::WrongArguments { .. } => {
                RoundFault::WrongForm
            }
            StepFault::UnknownTool(_) => RoundFault::UnknownTool,
            StepFault::NoRationale => RoundFault::NoRationale,
            StepFault::TooDeep { .. } | StepFault::TooLong => RoundFault::TooLarge,
            StepFault::Twice(_) => RoundFault::Twice,
            StepFault::Rejected => RoundFault::Rejected,
            StepFault::Unfit(unfit) => {
                let kind = match unfit.fault {
                    ParamFault::Missing | ParamFault::Empty => RoundFault::Missing,
                    ParamFault::Kind { .. } => RoundFault::WrongType,
                    ParamFault::Choice { .. } => RoundFault::NoChoice,
                };
                return (kind, Some(unfit.param.clone()));
            }
        };
        (kind, None)
    }
}

/// Everything that is wrong.
pub fn check(plan: &Plan, offered: &[Offered<'_>], rejected: &[Rejected<'_>]) -> Vec<StepProblem> {
    let mut problems = Vec::new();
    let mut bytes = 0;
    for (at, step) in plan.steps.iter().enumerate() {
        let mut found = |what: StepFault| problems.push(StepProblem { at, what });
        let Some(offer) = offered.iter().find(|offered| offered.tool.name == step.tool) else {
            found(StepFault::UnknownTool(step.tool.clone()));
            continue;
        };
        let before = bytes;
        bytes += step.params.iter().map(|(name, value)| name.len() + value.to_string().len()).sum::<usize>();
        if bytes > MAX_PARAMS_BYTES && before <= MAX_PARAMS_BYTES {
            found(StepFault::TooLong);
        }
        unfit(offer.tool, &step.params).into_iter().for_each(|unfit| found(unfit.into()));
        if offer.tool.once && plan.steps[..at].iter().any(|other| other.tool == step.tool) {
            found(StepFault::Twice(step.tool.clone()));
        }
        if rejected.iter().any(|(tool, params)| *tool == step.tool && **params == step.params) {
            found(StepFault::Rejected);
        }
    }
    problems
}

/// What is wrong with the parameters of a call.
pub fn unfit(tool: &Tool, params: &Map<String, Value>) -> Vec<UnfitParam> {
    tool.parameters.iter().filter_map(|parameter| wrong(&tool.name, params, parameter)).collect()
}

/// A parameter of a call that its tool does not take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the parameter `{param}` of {tool} is {fault}")]
pub struct UnfitParam {
    pub tool: String,
    pub param: String,
    pub fault: ParamFault,
}

/// What is wrong with a parameter.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParamFault {
    #[error("missing")]
    Missing,
    #[error("empty")]
    Empty,
    #[error("{found}, but must be a {}", kind.as_str())]
    Kind { found: Found, kind: ParamKind },
    #[error("{found}, but must be one of {}", allowed.join(", "))]
    Choice { found: Found, allowed: Vec<String> },
}

fn wrong(tool: &str, params: &Map<String, Value>, parameter: &Parameter) -> Option<UnfitParam> {
    let name = &parameter.name;
    let unfit = |fault| UnfitParam { tool: tool.to_owned(), param: name.clone(), fault };
    let value = match params.get(name) {
        None | Some(Value::Null) => return parameter.required.then(|| unfit(ParamFault::Missing)),
        Some(value) => value,
    };
    let fits = match parameter.kind {
        ParamKind::String => value.is_string(),
        ParamKind::Number => value.is_number(),
        ParamKind::Integer => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        ParamKind::Boolean => value.is_boolean(),
    };
    if !fits {
        return Some(unfit(ParamFault::Kind { found: Found::value(value), kind: parameter.kind }));
    }
    let text = value.as_str()?;
    if parameter.required && text.trim().is_empty() {
        return Some(unfit(ParamFault::Empty));
    }
    let unknown = !parameter.allowed.is_empty() && !parameter.allowed.iter().any(|allowed| allowed == text);
    unknown.then(|| unfit(ParamFault::Choice { found: Found::value(value), allowed: parameter.allowed.clone() }))
}

/// The steps of earlier iterations that the user rejected.
pub fn rejected(iterations: &[Iteration]) -> Vec<Rejected<'_>> {
    let rejected = iterations.iter().flat_map(Iteration::steps).filter(|step| step.status() == StepStatus::Rejected);
    rejected.filter_map(|step| Some((step.tool()?, step.params()?.as_object()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::iteration::Step;
    use crate::domain::policy::Policy;
    use crate::planner::tools::Catalog;
    use serde_json::json;

    fn problems(steps: &[(&str, Value)], rejected: &[Rejected<'_>]) -> Vec<String> {
        let step = |(tool, params): &(&str, Value)| Step {
            summary: String::new(),
            tool: (*tool).into(),
            params: params.as_object().unwrap().clone(),
            rationale: "r".into(),
        };
        let plan = Plan { summary: String::new(), steps: steps.iter().map(step).collect() };
        check(&plan, &Catalog::builtin().offered(&Policy::default()), rejected).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn parameters_are_held_to_their_tool() {
        for (tool, params, expected) in [
            ("create_task", json!({"title": "x", "priority": "low", "dueDate": null, "more": 1}), ""),
            ("create_task", json!({}), "step 1: the parameter `title` of create_task is missing"),
            ("create_task", json!({"title": null}), "step 1: the parameter `title` of create_task is missing"),
            ("create_task", json!({"title": "  "}), "step 1: the parameter `title` of create_task is empty"),
            ("create_task", json!({"title": 7}), "step 1: the parameter `title` of create_task is the number 7, but must be a string"),
            (
                "create_task",
                json!({"title": "x", "priority": "urgent"}),
                "step 1: the parameter `priority` of create_task is \"urgent\", but must be one of low, medium, high",
            ),
            (
                "add_transaction",
                json!({"type": "income", "amount": "12", "description": "x"}),
                "step 1: the parameter `amount` of add_transaction is \"12\", but must be a number",
            ),
            ("rm_rf", json!({}), "step 1: the tool \"rm_rf\" does not exist or is not offered"),
        ] {
            assert_eq!(problems(&[(tool, params)], &[]).join("; "), expected);
        }
    }

    #[test]
    fn a_plan_of_endless_parameters_is_refused() {
        let long = |n: usize| ("create_task", json!({"title": format!("{n}{}", "t".repeat(100_000))}));
        assert!(problems(&[long(1), long(2)], &[]).is_empty());
        let found = problems(&[long(1), long(2), long(3), long(4)], &[]);
        assert_eq!(found, ["step 3: from here on, the parameters of the plan are longer than 262144 bytes"]);
    }

    #[test]
    fn a_step_comes_once_and_not_again_after_it_was_rejected() {
        let task = json!({"title": "x"});
        let timers = [("start_timer", json!({"description": "a"})), ("start_timer", json!({"description": "b"}))];
        assert_eq!(problems(&timers, &[]), ["step 2: start_timer may be used once in a plan"]);
        let before = json!([{"plan": [{"status": "rejected", "intent": {"toolName": "create_task", "params": {"title": "x"}}}, {"status": "planned"}]}]);
        let before = [Iteration::from(before[0].clone())];
        let rejected = rejected(&before);
        assert_eq!(rejected.len(), 1);
        assert!(problems(&[("create_task", task)], &rejected)[0].contains("rejected this very step"));
        assert!(problems(&[("create_task", json!({"title": "y"}))], &rejected).is_empty());
    }
}
