//! `mana-ai check`

use serde_json::json;

use super::output::safe;
use super::{CommandResult, Context, Failure, output, setup};
use crate::store::{Check, Finding};

#[derive(clap::Args)]
pub(super) struct CheckArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Rebuild derived data that disagrees with the log; the log itself is never touched
    #[arg(long)]
    repair: bool,
}

/// Findings that are told one by one.
const TOLD: usize = 100;

pub(super) async fn run(context: Context, args: CheckArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let mut check = operator.check().await?;
    let mut repaired = Vec::new();
    // Nothing is made again out of a log that is damaged itself: what was made before may be all that is left.
    if args.repair && !check.log_in_doubt {
        (check, repaired) = operator.repair(check).await?;
    }
    tell(&args, &check, &repaired)?;
    let findings = match check.findings.len() {
        0 => return Ok(()),
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    let file = operator.path().display();
    let fixable = check.findings.iter().all(|finding| finding.fix.is_some());
    Err(Failure::Failed(if fixable && !args.repair {
        format!("{findings} in {file}, all in what is made out of the log; `mana-ai check --repair` makes it again")
    } else if context.config.database.is_some() {
        format!("{findings} in {file}; stop mana-ai, and put a copy of that database in its place that pg_dump or your archive has")
    } else {
        format!(
            "{findings} in {file}; stop mana-ai, keep a copy of the data directory, and put a backup in its place with `mana-ai restore`"
        )
    }))
}

fn tell(args: &CheckArgs, check: &Check, repaired: &[Finding]) -> CommandResult {
    let texts = |findings: &[Finding]| findings.iter().take(TOLD).map(|finding| finding.text.clone()).collect::<Vec<_>>();
    let (found, fixed) = (texts(&check.findings), texts(repaired));
    if args.json {
        let line = json!({
            "sound": check.findings.is_empty(), "rows": check.rows, "records": check.records, "findings": found, "repaired": fixed,
            "setAside": check.set_aside.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        return Ok(output::json_lines([line])?);
    }
    output::tell_set_aside(&check.set_aside);
    let rows = |texts: Vec<String>| texts.iter().map(|text| vec![safe(text)]).collect::<Vec<_>>();
    if !fixed.is_empty() {
        output::table(&["Repaired"], rows(fixed), "")?;
    }
    let sound = format!("Sound: {} rows in order, {} agents and missions as their rows say.", check.rows, check.records);
    Ok(output::table(&["Finding"], rows(found), &sound)?)
}
