//! One question to the model and what came of it, as a run keeps it (docs/design.md, section 7).

use serde::{Deserialize, Serialize};

use super::iteration::MAX_STEPS;

/// A question to the model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// Whether the tools went out as native functions; else the answer was to be JSON.
    pub as_functions: bool,
    pub latency_ms: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// `None`: the model server gave none.
    pub answer: Option<RoundAnswer>,
}

/// What the model answered, without a word of it: it may tell what was encrypted, and would outlive the grant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundAnswer {
    /// Characters of its text.
    pub chars: u64,
    /// Tools that it called, or that its plan names, in its order; `None`: one that was not offered.
    pub tools: Vec<Option<String>>,
    /// What was wrong with it; none: it is the plan.
    pub problems: Vec<RoundProblem>,
}

impl RoundAnswer {
    /// An answer of which no more is kept than a page shows.
    pub fn new(chars: usize, mut tools: Vec<Option<String>>, mut problems: Vec<RoundProblem>) -> Self {
        tools.truncate(MAX_STEPS);
        problems.truncate(MAX_STEPS);
        RoundAnswer { chars: chars as u64, tools, problems }
    }
}

/// What was wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundProblem {
    /// Which step, from 1; `None`: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    pub kind: RoundFault,
    /// The parameter of an offered tool that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundFault {
    NoJson,
    BrokenJson,
    /// JSON of another form than that of a plan, or of a step.
    WrongForm,
    TooManySteps,
    CutOff,
    OnlyThoughts,
    UnknownTool,
    NoRationale,
    /// A parameter that is missing or empty.
    Missing,
    WrongType,
    NoChoice,
    /// Parameters that are too long or nest too deep.
    TooLarge,
    /// A tool that a plan may use once.
    Twice,
    /// A step that the user rejected before.
    Rejected,
}
