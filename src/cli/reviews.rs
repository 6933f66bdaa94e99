//! `mana-ai reviews`, `mana-ai approve`, `mana-ai reject` and `mana-ai undo`

use std::sync::Arc;

use super::{CommandResult, Context, Failure, output, setup};
use crate::app::{AppError, DecidedStep, Given, Operator, Reviews, StepReview, WaitingPlan};
use crate::domain::ids::{IterationId, StepId, UserId};
use crate::domain::review::{Review, StepDecision};
use crate::metrics::Metrics;
use crate::modules::effects::Preview;
use crate::steps::Foreseen;
use crate::text;

/// Users whose plans are listed.
const USERS: u32 = 10_000;

#[derive(clap::Args)]
pub(super) struct ReviewsArgs {
    /// Only plans of this user
    #[arg(long)]
    user: Option<UserId>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct ApproveArgs {
    /// Ids of steps, as `mana-ai reviews` shows them
    #[arg(required = true, value_name = "STEP")]
    steps: Vec<StepId>,
    /// Whose steps they are
    #[arg(long)]
    user: UserId,
    /// The iteration of the steps, which may then be named by their place in it: 0 is the first
    #[arg(long, value_name = "ID")]
    iteration: Option<IterationId>,
    /// Give a parameter another value; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    set: Vec<(String, String)>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct RejectArgs {
    /// Ids of steps, as `mana-ai reviews` shows them
    #[arg(required = true, value_name = "STEP")]
    steps: Vec<StepId>,
    /// Whose steps they are
    #[arg(long)]
    user: UserId,
    /// The iteration of the steps, which may then be named by their place in it: 0 is the first
    #[arg(long, value_name = "ID")]
    iteration: Option<IterationId>,
    /// Why; the agent sees it before its next plan
    #[arg(long, value_name = "TEXT")]
    feedback: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct UndoArgs {
    /// Id of a step or of an iteration
    #[arg(value_name = "STEP|ITERATION")]
    id: String,
    /// Whose it is
    #[arg(long)]
    user: UserId,
    /// The iteration of the step, where several have a step of this id
    #[arg(long, value_name = "ID")]
    iteration: Option<IterationId>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// The ids of steps; a number is a place in the iteration.
fn ids(steps: Vec<StepId>, iteration: Option<&IterationId>) -> Vec<StepId> {
    let id = |step: StepId| match iteration {
        Some(iteration) if step.parse::<u32>().is_ok() => format!("{iteration}-{step}").into(),
        _ => step,
    };
    steps.into_iter().map(id).collect()
}

pub(super) async fn list(context: Context, args: ReviewsArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let users = match args.user {
        Some(user) => vec![user],
        None => operator.users(USERS).await?,
    };
    let reviews = reviews(&context, &operator)?;
    let mut plans = Vec::new();
    for user in users {
        plans.extend(reviews.waiting(&user).await?);
    }
    if args.json {
        return Ok(output::json_lines(plans.iter().map(WaitingPlan::to_json))?);
    }
    let rows = plans.iter().flat_map(|plan| {
        plan.iteration.steps().zip(&plan.foreseen).map(|(step, foreseen)| {
            let status = step.status().as_str().to_owned();
            vec![plan.user_id.to_string(), plan.title.clone(), step.id().to_string(), status, step.summary().to_owned(), told(foreseen)]
        })
    });
    Ok(output::table(&["User", "Mission", "Step", "Status", "What", "Changes"], rows.collect(), "No plan awaits review.")?)
}

/// What approving a step would do, in a line.
fn told(foreseen: &Foreseen) -> String {
    let one = |preview: &Preview| match &preview.record_id {
        None => format!("new in {}", preview.label),
        Some(id) if preview.is_deleted => format!("deletes {id} of {}", preview.label),
        Some(id) => format!("{} of {id}", preview.fields.iter().map(|change| change.field.as_str()).collect::<Vec<_>>().join(", ")),
    };
    match foreseen {
        Foreseen::ByDevice => "carried out by a device".into(),
        Foreseen::ByEndpoint => "calls a webhook".into(),
        Foreseen::Fails(obstacle) => text::obstacle::for_programs(obstacle),
        Foreseen::Writes(previews) => previews.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

pub(super) async fn approve(context: Context, args: ApproveArgs) -> CommandResult {
    let steps = ids(args.steps, args.iteration.as_ref());
    let review = StepReview {
        set: args.set.into_iter().map(|(name, text)| (name, Given::Text(text))).collect(),
        ..of(&steps, StepDecision::Approve, None, args.iteration)
    };
    decide(&context, &args.user, &steps, &review, args.json).await
}

pub(super) async fn reject(context: Context, args: RejectArgs) -> CommandResult {
    let steps = ids(args.steps, args.iteration.as_ref());
    let review = of(&steps, StepDecision::Reject, args.feedback, args.iteration);
    decide(&context, &args.user, &steps, &review, args.json).await
}

pub(super) async fn undo(context: Context, args: UndoArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let undone = reviews(&context, &operator)?.undo(&args.user, &args.id, args.iteration.as_ref()).await;
    let undone = undone.map_err(|error| failure(error, &args.user, &args.id))?;
    tell(&undone, args.json)?;
    let left = undone.iter().filter(|step| step.status == "approved" && !step.error.is_empty()).count();
    if left > 0 { Err(Failure::Failed("not everything was undone".into())) } else { Ok(()) }
}

fn of(steps: &[StepId], decision: StepDecision, feedback: Option<String>, iteration: Option<IterationId>) -> StepReview {
    let decisions = steps.iter().map(|step| (step.clone(), decision)).collect();
    StepReview { review: Review { decisions, feedback, ..Review::default() }, set: Vec::new(), iteration }
}

fn reviews(context: &Context, operator: &Operator) -> Result<Arc<Reviews>, Failure> {
    let metrics = Arc::new(Metrics::new().map_err(Failure::failed)?);
    let known = setup::known(&context.config)?;
    Ok(Arc::new(setup::reviews(&context.config, operator, &known, metrics)?))
}

async fn decide(context: &Context, user: &UserId, steps: &[StepId], review: &StepReview, json: bool) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let reviews = reviews(context, &operator)?;
    let decided = reviews.decide_steps(user, steps, review).await.map_err(|error| failure(error, user, &named(steps)))?;
    // Where a server runs, it makes the call, or finds that it was made.
    let webhooks = setup::webhooks(&context.config)?;
    if !webhooks.is_empty() {
        setup::outbox(&operator, Arc::clone(&reviews), webhooks)?.deliver().await?;
    }
    let decided =
        reviews.as_they_are(user, decided, review.iteration.as_ref()).await.map_err(|error| failure(error, user, &named(steps)))?;
    tell(&decided, json)
}

fn failure(error: AppError, user: &UserId, ids: &str) -> Failure {
    match error {
        AppError::NotFound => {
            Failure::Failed(format!("user {user} has no step or iteration of this id: {ids}; `mana-ai reviews` lists the steps that wait"))
        }
        AppError::Parameter(_)
        | AppError::Wrong(_)
        | AppError::Unfit(_)
        | AppError::Template(_)
        | AppError::Obstacle { .. }
        | AppError::Text(_)
        | AppError::Model { .. } => Failure::Usage(error.to_string()),
        AppError::People(refusal) => Failure::Failed(refusal.to_string()),
        AppError::Store(error) => error.into(),
    }
}

fn named(steps: &[StepId]) -> String {
    steps.iter().map(StepId::as_str).collect::<Vec<_>>().join(", ")
}

fn tell(decided: &[DecidedStep], as_json: bool) -> CommandResult {
    if as_json {
        return Ok(output::json_lines(decided.iter().map(DecidedStep::to_json))?);
    }
    let rows = decided.iter().map(|step| {
        let change = if step.changed { "" } else { "nothing was changed" };
        vec![
            step.id.to_string(),
            step.status.clone(),
            [change, step.error.as_str()].iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>().join("; "),
        ]
    });
    Ok(output::table(&["Step", "Status", ""], rows.collect(), "")?)
}
