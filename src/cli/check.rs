//! `mana-ai check`

use serde_json::json;

use super::output::safe;
use super::{Context, Failure, Outcome, output, setup};
use crate::projection;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: Args) -> Outcome {
    let store = setup::store(&context.config).await?;
    // What no refresh has seen yet is folded in once, and not again for each record.
    projection::refresh(&store).await?;
    let check = store.check().await?;
    if args.json {
        let sound = check.findings.is_empty();
        output::json_lines([json!({"sound": sound, "rows": check.rows, "records": check.records, "findings": check.findings})])?;
    } else {
        let rows: Vec<Vec<String>> = check.findings.iter().map(|finding| vec![safe(finding)]).collect();
        let sound = format!("Sound: {} rows in order, {} agents and missions as their rows say.", check.rows, check.records);
        output::table(&["Finding"], rows, &sound)?;
    }
    let findings = match check.findings.len() {
        0 => return Ok(()),
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    let file = store.path().display();
    Err(Failure::Failed(format!("{findings} in {file}; stop mana-ai and keep a copy of the data directory before you go on")))
}
