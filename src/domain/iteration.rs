//! What a run of a mission comes to: a plan, or why there is none (docs/design.md, section 6). [`super::iterations`] writes
//! it down for the user to review.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::ids::IterationId;

/// A plan with more steps is refused: nobody reviews it.
pub const MAX_STEPS: usize = 25;
/// A plan whose parameters take more than this, as JSON, is refused: every run rewrites it with the mission's record.
pub const MAX_PARAMS_BYTES: usize = 256 * 1024;

/// Characters of the texts of an iteration, so that a record can hold some of them; [`MAX_PARAMS_BYTES`] bounds the rest.
pub(super) const MAX_SUMMARY: usize = 4_000;
pub(super) const MAX_MESSAGE: usize = 2_000;
pub(super) const MAX_STEP_SUMMARY: usize = 500;
pub(super) const MAX_RATIONALE: usize = 2_000;

/// The first characters of a text.
pub(super) fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

/// A plan as the model proposed it and the reader checked it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    pub summary: String,
    pub steps: Vec<Step>,
}

/// One proposed tool call.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub summary: String,
    pub tool: String,
    pub params: Map<String, Value>,
    pub rationale: String,
}

/// Tokens that a request used, as the provider counted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub prompt: u64,
    pub completion: u64,
    pub total: u64,
}

impl std::ops::Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            prompt: self.prompt.saturating_add(other.prompt),
            completion: self.completion.saturating_add(other.completion),
            total: self.total.saturating_add(other.total),
        }
    }
}

impl Usage {
    pub fn to_json(self) -> Value {
        json!({"promptTokens": self.prompt, "completionTokens": self.completion, "totalTokens": self.total})
    }
}

/// Why the last attempt failed, as the user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDetails {
    pub name: String,
    pub message: String,
    /// Where it happened, such as `planner`.
    pub phase: String,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub enum IterationOutcome {
    Planned(Plan),
    Failed(ErrorDetails),
}

/// What an iteration says besides its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub id: IterationId,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub model: String,
    pub prompt_version: String,
    pub usage: Usage,
}
