//! `mana-ai missions`

use jiff::Timestamp;

use super::{CommandResult, Context, agents::SnapshotLine, output, parse_time, setup};
use crate::domain::ids::UserId;
use crate::domain::mission::Mission;
use crate::store::Snapshot;

#[derive(clap::Args)]
pub(super) struct MissionsArgs {
    /// Only missions of this user
    #[arg(long)]
    user: Option<UserId>,
    /// Only missions that are due
    #[arg(long)]
    due: bool,
    /// The time for --due [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: MissionsArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let due_at = args.due.then(|| args.now.unwrap_or_else(|| operator.now()));
    let missions = operator.missions(args.user, due_at).await?;
    if args.json {
        return Ok(output::json_lines(missions.iter().map(|(snapshot, _)| SnapshotLine::of(snapshot)))?);
    }
    let row = |(snapshot, mission): &(Snapshot<Mission>, Mission)| {
        let awaiting = mission.awaiting_review();
        vec![
            snapshot.user_id.to_string(),
            mission.id.to_string(),
            mission.title.clone(),
            mission.state.as_str().to_owned(),
            mission.agent_id.as_ref().map_or_else(|| "-".into(), ToString::to_string),
            output::when(mission.next_run_at),
            mission.iterations.len().to_string(),
            awaiting.to_string(),
        ]
    };
    let header = ["User", "Mission", "Title", "State", "Agent", "Next run", "Iterations", "To review"];
    let none = if args.due { "No mission is due." } else { "There are no missions." };
    Ok(output::table(&header, missions.iter().map(row).collect(), none)?)
}
