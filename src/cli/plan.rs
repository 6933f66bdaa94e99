//! `mana-ai plan`

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::output::safe;
use super::{CommandResult, Context, Failure, missions, output, setup};
use crate::domain::agent::Agent;
use crate::domain::ids::{IterationId, MissionId, UserId};
use crate::domain::mission::Mission;
use crate::inputs::{self, InputReader, Resolved};
use crate::planner::Planned;
use crate::planner::dialect::RequestForm;
use crate::planner::prompt::{Material, Prompt};
use crate::store::{Store, Table};
use crate::text::escaped;

#[derive(clap::Args)]
pub(super) struct PlanArgs {
    /// Id of the mission
    mission: MissionId,
    /// The user, where several have a mission of this id
    #[arg(long)]
    user: Option<UserId>,
    /// Leave no trace: without a row in the audit, encrypted inputs are left out
    #[arg(long)]
    dry_run: bool,
    /// Print the prompt too
    #[arg(long)]
    show_prompt: bool,
    /// Print the plan as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: PlanArgs) -> CommandResult {
    let store = setup::store(&context.config).await?;
    let snapshot = missions::find(&store, &args.mission, args.user.as_ref()).await?;
    let (mission, _) = Mission::read(&snapshot.id, &snapshot.record);
    let now = Timestamp::now();
    let agent = agent_of(&store, &snapshot.user_id, &mission).await?;
    let budget = budget_of(&store, &snapshot.user_id, agent.as_ref(), now).await?;
    let private_key = setup::private_key(&context.config)?;
    let readable = if args.dry_run { Mission { grant: None, ..mission.clone() } } else { mission.clone() };
    let iteration_id = IterationId::from(Uuid::new_v4().to_string());
    let kinds = setup::modules(&context.config)?.kinds();
    let reader = InputReader {
        user_id: &snapshot.user_id,
        mission: &readable,
        iteration_id: &iteration_id,
        private_key: private_key.as_ref(),
        kinds: &kinds,
        now,
    };
    let inputs = inputs::resolve(&store, &reader).await?;
    let planner = setup::planner(&context.config)?;
    let policy = agent.as_ref().map(|agent| agent.policy.clone()).unwrap_or_default();
    let offered = planner.offered(&policy);
    let material = Material { agent: agent.as_ref(), mission: &mission, inputs: &inputs, offered: &offered, budget, now };
    let prompt = args.show_prompt.then(|| planner.prompt(&material));
    let form = planner.form();
    if let Some(prompt) = prompt.as_ref().filter(|_| !args.json) {
        show(prompt, form)?;
    }
    let planned = planner.plan(&material).await;
    let notes = [inputs.note().into_iter().collect(), planned.notes.clone()].concat();
    if args.json {
        as_json(&planned, &notes, prompt.map(|prompt| json!({"system": prompt.system(form), "user": prompt.user})))?
    } else {
        tell(&planned, &notes, &inputs)?
    }
    match planned.outcome {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::failed(error)),
    }
}

async fn agent_of(store: &Store, user: &UserId, mission: &Mission) -> Result<Option<Agent>, Failure> {
    let Some(id) = &mission.agent_id else { return Ok(None) };
    let record = store.newest(Table::Agents, user, id).await?;
    Ok(record.map(|record| Agent::read(id, &record).0))
}

async fn budget_of(store: &Store, user: &UserId, agent: Option<&Agent>, now: Timestamp) -> Result<Option<(u64, u64)>, Failure> {
    let Some((agent, cap)) = agent.and_then(|agent| Some((agent, agent.max_tokens_per_day?))) else { return Ok(None) };
    Ok(Some((store.tokens_of(user, &agent.id, now).await?, cap)))
}

fn show(prompt: &Prompt, form: RequestForm) -> std::io::Result<()> {
    let mut out = output::stdout();
    writeln!(out, "=== system ===\n{}\n\n=== user ===\n{}\n", prompt.system(form), prompt.user)?;
    if form == RequestForm::Tools {
        writeln!(out, "(The tools go along as native functions.)\n")?;
    }
    out.flush()
}

fn tell(planned: &Planned, notes: &[String], inputs: &Resolved) -> std::io::Result<()> {
    let mut out = output::stdout();
    if let Ok(plan) = &planned.outcome {
        writeln!(out, "{}", if plan.summary.is_empty() { "(no summary)".into() } else { safe(&plan.summary) })?;
        for (n, step) in plan.steps.iter().enumerate() {
            writeln!(out, "\n{}. {} – {}", n + 1, safe(&step.summary), safe(&step.rationale))?;
            writeln!(out, "   {} {}", safe(&step.tool), escaped(&json!(step.params).to_string()))?;
        }
        if plan.steps.is_empty() {
            writeln!(out, "\nNo steps.")?;
        }
        writeln!(out)?;
    }
    for note in notes {
        writeln!(out, "Note: {}.", safe(note))?;
    }
    if planned.outcome.is_err() {
        return out.flush();
    }
    writeln!(
        out,
        "{} in {:.1} s: {}, {} linked inputs, a prompt of {} characters, {} tokens read and {} written.",
        safe(&planned.model),
        planned.latency.as_secs_f64(),
        if planned.rounds == 1 { "1 question".to_owned() } else { format!("{} questions", planned.rounds) },
        inputs.inputs.len(),
        planned.prompt_chars,
        planned.usage.prompt,
        planned.usage.completion
    )?;
    writeln!(out, "Nothing was written back: this was a look at what the mission would get.")?;
    out.flush()
}

fn as_json(planned: &Planned, notes: &[String], prompt: Option<Value>) -> std::io::Result<()> {
    let plan = planned.outcome.as_ref().ok().map(|plan| {
        let step = |step: &crate::domain::iteration::Step| json!({"summary": step.summary, "toolName": step.tool, "params": step.params, "rationale": step.rationale});
        json!({"summary": plan.summary, "steps": plan.steps.iter().map(step).collect::<Vec<_>>()})
    });
    let mut line = json!({
        "plan": plan, "error": planned.outcome.as_ref().err().map(ToString::to_string), "model": planned.model, "rounds": planned.rounds,
        "notes": notes, "promptChars": planned.prompt_chars, "usage": planned.usage.to_json(),
    });
    if let Some(prompt) = prompt {
        line["prompt"] = prompt;
    }
    output::json_lines([line])
}
