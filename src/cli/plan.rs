//! `mana-ai plan`

use std::io::Write;

use serde_json::{Value, json};

use super::output::safe;
use super::{CommandResult, Context, Failure, output, setup};
use crate::app::PlanPreview;
use crate::domain::ids::{MissionId, UserId};
use crate::inputs::Resolved;
use crate::planner::Planned;
use crate::planner::dialect::RequestForm;
use crate::planner::prompt::{Material, Prompt};
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
    let operator = setup::operator(&context.config).await?;
    let snapshot = operator.mission(&args.mission, args.user.as_ref()).await?;
    let (now, private_key) = (operator.now(), setup::private_key(&context.config)?);
    let known = setup::known(&context.config)?;
    let kinds = known.modules.kinds();
    let preview = operator.preview(&snapshot, (private_key.as_ref(), args.dry_run), &kinds, now).await?;
    let PlanPreview { mission, agent, inputs, budget } = preview;
    let planner = setup::planner(&context.config, known.catalog)?;
    let policy = agent.as_ref().map(|agent| agent.policy.clone()).unwrap_or_default();
    let offered = planner.offered(&policy);
    let material = Material { agent: agent.as_ref(), mission: &mission, inputs: &inputs, offered: &offered, budget, now };
    let prompt = args.show_prompt.then(|| planner.prompt(&material));
    let form = planner.form();
    if let Some(prompt) = prompt.as_ref().filter(|_| !args.json) {
        show(prompt, form)?;
    }
    let planned = planner.plan(&material).await;
    let notes: Vec<String> = inputs.note().into_iter().chain(planned.notes.iter().map(|note| note.text.clone())).collect();
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
        if planned.calls() == 1 { "1 question".to_owned() } else { format!("{} questions", planned.calls()) },
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
        "plan": plan, "error": planned.outcome.as_ref().err().map(ToString::to_string), "model": planned.model, "rounds": planned.calls(),
        "notes": notes, "promptChars": planned.prompt_chars, "usage": planned.usage.to_json(),
    });
    if let Some(prompt) = prompt {
        line["prompt"] = prompt;
    }
    output::json_lines([line])
}
