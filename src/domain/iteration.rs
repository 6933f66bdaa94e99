//! An iteration: what a run of a mission leaves behind for its user to review (DESIGN, section 6).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::time;

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
pub enum Outcome {
    Planned(Plan),
    Failed(ErrorDetails),
}

/// What an iteration says besides its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub id: String,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub model: String,
    pub prompt_version: String,
    pub usage: Usage,
}

/// The iteration as it goes into the mission's `iterations`.
pub fn to_json(frame: &Frame, outcome: &Outcome) -> Value {
    let (plan, summary, status) = match outcome {
        Outcome::Planned(plan) => {
            let steps: Vec<Value> = plan.steps.iter().enumerate().map(|(n, step)| step_json(&frame.id, n, step)).collect();
            // A plan without steps asks nothing of the user, so there is nothing to review.
            let status = if steps.is_empty() { "approved" } else { "awaiting-review" };
            (steps, plan.summary.clone(), status)
        }
        Outcome::Failed(details) => (Vec::new(), format!("The run failed: {}", details.message), "failed"),
    };
    let mut iteration = json!({
        "id": frame.id,
        "startedAt": time::iso_millis(frame.started_at),
        "finishedAt": time::iso_millis(frame.finished_at),
        "plan": plan,
        "summary": summary,
        "overallStatus": status,
        "source": "server",
        "model": frame.model,
        "promptVersion": frame.prompt_version,
        "usage": frame.usage.to_json(),
    });
    if let Outcome::Failed(details) = outcome {
        iteration["errorDetails"] = json!({"name": details.name, "message": details.message, "phase": details.phase});
    }
    iteration
}

fn step_json(iteration_id: &str, n: usize, step: &Step) -> Value {
    json!({
        "id": format!("{iteration_id}-{n}"),
        "summary": step.summary,
        "rationale": step.rationale,
        "intent": {"kind": "toolCall", "toolName": step.tool, "params": step.params},
        "status": "planned",
    })
}

/// Appends `new` and lets the oldest settled iterations go until at most `kept` remain. One that awaits its user's
/// review never goes, and neither does the new one, so a user who reviews nothing keeps more than `kept`.
pub fn append(mut iterations: Vec<Value>, new: Value, kept: usize) -> Vec<Value> {
    let mut surplus = (iterations.len() + 1).saturating_sub(kept);
    iterations.retain(|iteration| {
        let goes = surplus > 0 && iteration["overallStatus"] != "awaiting-review";
        surplus -= usize::from(goes);
        !goes
    });
    iterations.push(new);
    iterations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            id: "it".into(),
            started_at: "2026-04-15T08:00:00Z".parse().unwrap(),
            finished_at: "2026-04-15T08:00:02.5Z".parse().unwrap(),
            model: "m".into(),
            prompt_version: "v".into(),
            usage: Usage { prompt: 10, completion: 5, total: 15 },
        }
    }

    #[test]
    fn a_plan_awaits_review_and_an_empty_one_does_not() {
        let step = Step { summary: "s".into(), tool: "create_task".into(), params: Map::new(), rationale: "r".into() };
        let iteration = to_json(&frame(), &Outcome::Planned(Plan { summary: "do".into(), steps: vec![step] }));
        assert_eq!(
            iteration,
            json!({
                "id": "it", "startedAt": "2026-04-15T08:00:00.000Z", "finishedAt": "2026-04-15T08:00:02.500Z",
                "plan": [{"id": "it-0", "summary": "s", "rationale": "r", "status": "planned",
                          "intent": {"kind": "toolCall", "toolName": "create_task", "params": {}}}],
                "summary": "do", "overallStatus": "awaiting-review", "source": "server", "model": "m", "promptVersion": "v",
                "usage": {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15},
            })
        );
        assert_eq!(to_json(&frame(), &Outcome::Planned(Plan::default()))["overallStatus"], "approved");
    }

    #[test]
    fn a_failure_is_shown_to_the_user() {
        let details = ErrorDetails { name: "Unreachable".into(), message: "no answer".into(), phase: "planner".into() };
        let iteration = to_json(&frame(), &Outcome::Failed(details));
        assert_eq!(iteration["overallStatus"], "failed");
        assert_eq!(iteration["errorDetails"], json!({"name": "Unreachable", "message": "no answer", "phase": "planner"}));
    }

    fn check(statuses: &str, kept: usize, expected: &str) {
        let entry = |c: char| json!({"id": c, "overallStatus": if c.is_uppercase() { "awaiting-review" } else { "approved" }});
        let left = append(statuses.chars().map(entry).collect(), entry('n'), kept);
        let left: String = left.iter().map(|i| i["id"].as_str().unwrap()).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn the_oldest_settled_iterations_leave_first() {
        check("abc", 100, "abcn");
        check("abc", 3, "bcn");
        check("Abc", 3, "Acn");
        check("ABC", 3, "ABCn");
        check("aBcD", 2, "BDn");
        check("", 0, "n");
    }
}
