//! `mana-ai runs`

use super::{CommandResult, Context, output, setup};
use crate::domain::ids::{MissionId, UserId};
use crate::store::RunRow;

#[derive(clap::Args)]
pub(super) struct RunsArgs {
    /// Only runs of this mission
    #[arg(long)]
    mission: Option<MissionId>,
    /// Only runs of this user
    #[arg(long)]
    user: Option<UserId>,
    /// How many, the newest first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: RunsArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let runs = operator.runs(args.user, args.mission, args.limit).await?;
    if args.json {
        return Ok(output::json_lines(runs.iter().map(RunRow::to_json))?);
    }
    Ok(table(&runs)?)
}

/// What became of its plan in the mission's record.
fn plan_note(run: &RunRow) -> Option<&'static str> {
    match (run.superseded_at, run.restored) {
        (Some(_), _) => Some("its plan left the mission's record, which keeps the newest"),
        (None, 0) => None,
        (None, _) => Some("a device that did not know its plan overwrote it; the plan was put back"),
    }
}

/// Prints runs for people.
pub(super) fn table(runs: &[RunRow]) -> std::io::Result<()> {
    let row = |run: &RunRow| {
        let last = run.attempts.last();
        vec![
            output::when(Some(run.run.scheduled_for)),
            run.run.user_id.to_string(),
            run.run.mission_id.to_string(),
            run.state().to_owned(),
            run.attempts.len().to_string(),
            last.map_or_else(|| "-".into(), |a| format!("{:.1} s", a.latency_ms as f64 / 1_000.0)),
            run.tokens().to_string(),
            last.map_or_else(|| "-".into(), |a| a.model.clone()),
            [run.run.reason.as_deref(), run.note.as_deref(), plan_note(run)].into_iter().flatten().collect::<Vec<_>>().join("; "),
        ]
    };
    let header = ["Due", "User", "Mission", "State", "Attempts", "Took", "Tokens", "Model", "Why"];
    output::table(&header, runs.iter().map(row).collect(), "There are no runs.")
}
