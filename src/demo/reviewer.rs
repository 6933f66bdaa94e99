//! Somebody who reviews in the demo: approves a step, and takes it back at the next tick.

use crate::app::{AppError, Reviews, StepReview};
use crate::domain::ids::StepId;
use crate::domain::review::{Review, StepDecision};

const USER: &str = "anna";
const MISSION: &str = "mission-garden";
const TOOL: &str = "create_task";

/// Where the review stands.
#[derive(Debug, Default)]
pub enum Reviewer {
    /// No plan has come yet.
    #[default]
    Looking,
    Approved {
        step: StepId,
        title: String,
    },
    Done,
}

impl Reviewer {
    /// Lines about what was decided after a tick; none where nothing was.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub async fn act(&mut self, reviews: &Reviews) -> Result<Vec<String>, AppError> {
        match std::mem::replace(self, Reviewer::Done) {
            Reviewer::Done => Ok(Vec::new()),
            Reviewer::Looking => {
                let plans = reviews.waiting(&USER.into()).await?;
                let plan = plans.iter().find(|plan| plan.mission_id == MISSION);
                let Some(step) = plan.and_then(|plan| plan.iteration.steps().find(|step| step.tool() == Some(TOOL))) else {
                    *self = Reviewer::Looking;
                    return Ok(Vec::new());
                };
                let id = step.id().to_owned();
                let title = step.params().and_then(|params| params.get("title")?.as_str()).unwrap_or_default().to_owned();
                let decisions = [(id.clone(), StepDecision::Approve)].into();
                let review = StepReview { review: Review { decisions, ..Review::default() }, ..StepReview::default() };
                reviews.decide_steps(&USER.into(), std::slice::from_ref(&id), &review).await?;
                let lines = vec![
                    format!("  Anna approves “{}” – done at once: her tasks have “{title}”.", step.summary()),
                    "  Every step that she approves is carried out in the same moment, or not at all.".into(),
                ];
                *self = Reviewer::Approved { step: id, title };
                Ok(lines)
            }
            Reviewer::Approved { step, title } => {
                reviews.undo(&USER.into(), &step, None).await?;
                Ok(vec![format!("  Anna changes her mind – undone: “{title}” is gone, and the agent hears of it.")])
            }
        }
    }
}
