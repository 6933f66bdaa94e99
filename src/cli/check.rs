//! `mana-ai check`

use serde_json::json;

use super::output::safe;
use super::{CommandResult, Context, Failure, output, setup};
use crate::projection;
use crate::store::{Check, Finding, Store, StoreError, StoreResult};

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
    let store = setup::store(&context.config).await?;
    let mut check = look(&store).await?;
    let mut repaired = Vec::new();
    // Nothing is made again out of a log that is damaged itself: what was made before may be all that is left.
    if args.repair && !check.log_in_doubt {
        (check, repaired) = repair(&store, check).await?;
    }
    tell(&args, &check, &repaired)?;
    let findings = match check.findings.len() {
        0 => return Ok(()),
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    let file = store.path().display();
    let fixable = check.findings.iter().all(|finding| finding.fix.is_some());
    Err(Failure::Failed(if fixable && !args.repair {
        format!("{findings} in {file}, all in what is made out of the log; `mana-ai check --repair` makes it again")
    } else {
        format!(
            "{findings} in {file}; stop mana-ai, keep a copy of the data directory, and put a backup in its place with `mana-ai restore`"
        )
    }))
}

/// Checks the log, and what was made out of it where it can be read.
async fn look(store: &Store) -> StoreResult<Check> {
    let check = store.check_log().await?;
    if check.log_in_doubt {
        return Ok(check);
    }
    // What no refresh has seen yet is folded in once, and not again for each record; where that fails, the check tells why.
    let _ = projection::refresh(store).await;
    store.check_projection(check).await
}

/// Fixes until nothing is left, or a round fixes nothing.
async fn repair(store: &Store, mut check: Check) -> StoreResult<(Check, Vec<Finding>)> {
    let mut repaired = Vec::new();
    while !check.findings.is_empty() {
        match store.repair(&check.findings).await {
            // What the rows themselves do not allow, no second try fixes.
            Err(StoreError::Engine { .. }) => break,
            outcome => outcome?,
        }
        let again = look(store).await?;
        let (left, gone): (Vec<_>, Vec<_>) = check.findings.into_iter().partition(|finding| again.findings.contains(finding));
        repaired.extend(gone);
        check = again;
        if check.findings == left {
            break;
        }
    }
    Ok((check, repaired))
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
