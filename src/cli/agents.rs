//! `mana-ai agents`

use serde::Serialize;

use super::{CommandResult, Context, output, setup};
use crate::domain::agent::Agent;
use crate::domain::ids::UserId;
use crate::domain::merge::Stamps;
use crate::domain::raw::RawRecord;
use crate::store::{Projectable, Snapshot};

#[derive(clap::Args)]
pub(super) struct AgentsArgs {
    /// Only agents of this user
    #[arg(long)]
    user: Option<UserId>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: AgentsArgs) -> CommandResult {
    let agents = setup::operator(&context.config).await?.agents(args.user).await?;
    if args.json {
        return Ok(output::json_lines(agents.iter().map(SnapshotLine::of))?);
    }
    let row = |snapshot: &Snapshot<Agent>| {
        let agent = snapshot.read();
        vec![
            snapshot.user_id.to_string(),
            agent.id.into(),
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SnapshotLine<'a> {
    user_id: &'a UserId,
    id: &'a str,
    record: &'a RawRecord,
    field_meta: &'a Stamps,
}

impl<'a> SnapshotLine<'a> {
    pub fn of<T: Projectable>(snapshot: &'a Snapshot<T>) -> Self {
        let Snapshot { user_id, id, record, field_meta } = snapshot;
        SnapshotLine { user_id, id, record, field_meta }
    }
}
