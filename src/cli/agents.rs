//! `mana-ai agents`

use serde_json::json;

use super::{CommandResult, Context, output, setup};
use crate::domain::agent::Agent;
use crate::projection;
use crate::store::{Snapshot, Table};

#[derive(clap::Args)]
pub(super) struct AgentsArgs {
    /// Only agents of this user
    #[arg(long)]
    user: Option<String>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: AgentsArgs) -> CommandResult {
    let store = setup::store(&context.config).await?;
    projection::refresh(&store).await?;
    let agents = store.snapshots(Table::Agents, args.user).await?;
    if args.json {
        return Ok(output::json_lines(agents.iter().map(line))?);
    }
    let row = |snapshot: &Snapshot| {
        let (agent, _) = Agent::read(&snapshot.id, &snapshot.record);
        vec![
            snapshot.user_id.clone(),
            agent.id,
            agent.name,
            agent.role,
            agent.state.as_str().to_owned(),
            agent.max_concurrent_missions.to_string(),
            agent.max_tokens_per_day.map_or_else(|| "no cap".into(), |cap| cap.to_string()),
        ]
    };
    let header = ["User", "Agent", "Name", "Role", "State", "At once", "Tokens a day"];
    Ok(output::table(&header, agents.iter().map(row).collect(), "There are no agents.")?)
}

/// A snapshot as `--json` prints it.
pub(super) fn line(snapshot: &Snapshot) -> serde_json::Value {
    json!({"userId": snapshot.user_id, "id": snapshot.id, "record": snapshot.record, "fieldMeta": snapshot.field_meta})
}
