//! One question to the model and what came of it, as a run keeps it (docs/design.md, section 7).

use serde::{Deserialize, Serialize};

use super::iteration::MAX_STEPS;

/// Characters of a tool's name, which the model may have made up.
const NAME: usize = 64;
/// Characters of a problem: as many as the model is told.
const PROBLEM: usize = 500;

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

/// What the model answered. Its words are not kept: they may tell what was encrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundAnswer {
    /// Characters of its text.
    pub chars: u64,
    /// Tools that it called, or that its plan names, in its order.
    pub tools: Vec<String>,
    /// What was wrong with it, as the model was told; none: it is the plan.
    pub problems: Vec<String>,
}

impl RoundAnswer {
    /// An answer of which no more is kept than a page shows.
    pub fn new<'a>(chars: usize, tools: impl Iterator<Item = &'a str>, problems: &[String]) -> Self {
        let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
        RoundAnswer {
            chars: chars as u64,
            tools: tools.take(MAX_STEPS).map(|name| cut(name, NAME)).collect(),
            problems: problems.iter().take(MAX_STEPS).map(|problem| cut(problem, PROBLEM)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_of_an_answer_is_kept_than_a_page_shows() {
        let long = "ä".repeat(10_000);
        let answer = RoundAnswer::new(7, std::iter::repeat_n(long.as_str(), 100), &vec![long.clone(); 100]);
        assert_eq!((answer.chars, answer.tools.len(), answer.problems.len()), (7, MAX_STEPS, MAX_STEPS));
        assert_eq!((answer.tools[0].chars().count(), answer.problems[0].chars().count()), (NAME, PROBLEM));
    }
}
