//! `mana-ai missions`

use jiff::Timestamp;

use super::{CommandResult, Context, Failure, agents::SnapshotLine, output, parse_time, setup};
use crate::domain::ids::UserId;
use crate::domain::mission::{Mission, MissionState};
use crate::projection;
use crate::store::{Snapshot, Store, Table};

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
    let store = setup::store(&context.config).await?;
    projection::refresh(&store).await?;
    let now = args.now.unwrap_or_else(Timestamp::now);
    let read = |snapshot: Snapshot| {
        let (mission, _) = Mission::read(&snapshot.id, &snapshot.record);
        (snapshot, mission)
    };
    let due = |mission: &Mission| mission.state == MissionState::Active && mission.next_run_at.is_some_and(|at| at <= now);
    let missions = store.snapshots(Table::Missions, args.user).await?.into_iter().map(read);
    let missions: Vec<_> = missions.filter(|(_, mission)| !args.due || due(mission)).collect();
    if args.json {
        return Ok(output::json_lines(missions.iter().map(|(snapshot, _)| SnapshotLine::of(snapshot)))?);
    }
    let row = |(snapshot, mission): &(Snapshot, Mission)| {
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

/// The one mission of this id, as it stands now.
pub(super) async fn find(store: &Store, id: &str, user: Option<&UserId>) -> Result<Snapshot, Failure> {
    projection::refresh(store).await?;
    let mut found = store.missions_with_id(id).await?;
    found.retain(|snapshot| user.is_none_or(|user| *user == snapshot.user_id));
    if found.len() > 1 {
        let users: Vec<&str> = found.iter().map(|snapshot| snapshot.user_id.as_str()).collect();
        return Err(Failure::Usage(format!("several users have a mission {id:?}; choose with --user: {}", users.join(", "))));
    }
    found.pop().ok_or_else(|| Failure::Failed(format!("there is no mission {id:?}, or it is deleted; `mana-ai missions` lists all")))
}
