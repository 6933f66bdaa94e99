//! `mana-ai explain`

use std::io::Write;

use jiff::Timestamp;

use super::output::safe;
use super::{CommandResult, Context, output, parse_time, runs, setup};
use crate::domain::ids::{MissionId, UserId};
use crate::grants::{Grant, Skip};
use crate::runner::Explanation;
use crate::text::catalog::Words;
use crate::text::decision::{explained, name};

#[derive(clap::Args)]
pub(super) struct ExplainArgs {
    /// Id of the mission
    mission: MissionId,
    /// The user, where several have a mission of this id
    #[arg(long)]
    user: Option<UserId>,
    /// The time to explain [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: ExplainArgs) -> CommandResult {
    let operator = setup::operator(&context.config).await?;
    let (now, rules) = (args.now.unwrap_or_else(|| operator.now()), setup::rules_told(&context.config));
    let explanation = operator.explain(&args.mission, args.user.as_ref(), now, &rules).await?;
    if args.json { Ok(output::json_lines([explanation.to_json()])?) } else { Ok(print(&explanation)?) }
}

fn print(explanation: &Explanation) -> std::io::Result<()> {
    let mut out = output::stdout();
    writeln!(out, "{} ({} of {})", safe(&explanation.title), safe(&explanation.mission_id), safe(&explanation.user_id))?;
    match explanation.obstacle() {
        None => writeln!(out, "It would run in a tick at {}.", output::when(Some(explanation.at)))?,
        Some(step) => writeln!(
            out,
            "It would not run at {}, because of: {}.",
            output::when(Some(explanation.at)),
            safe(&explained(Words::ENGLISH, step).to_string())
        )?,
    }
    writeln!(out)?;
    for step in &explanation.steps {
        writeln!(
            out,
            "  {} {:<18} {}",
            if step.passes() { "✓" } else { "✗" },
            name(step),
            safe(&explained(Words::ENGLISH, step).to_string())
        )?;
    }
    writeln!(out)?;
    match (explanation.next_run_at, explanation.then) {
        (None, _) => writeln!(out, "Next run: none by itself.")?,
        (at, None) => writeln!(out, "Next run: {}, then none by itself.", output::when(at))?,
        (at, then) => writeln!(out, "Next run: {}, then {}.", output::when(at), output::when(then))?,
    }
    if let Some(grant) = &explanation.grant {
        writeln!(out, "Grant: {}", safe(&granted(grant)))?;
    }
    writeln!(out, "Latest runs:")?;
    out.flush()?;
    drop(out);
    runs::table(&explanation.runs)
}

/// What a grant opens, and what it does not.
fn granted(grant: &Result<Grant, Skip>) -> String {
    const SHOWN: usize = 5;
    let grant = match grant {
        Ok(grant) => grant,
        Err(skip) => return format!("not usable, since {skip}; encrypted inputs are left out."),
    };
    let records = &grant.derivation.record_ids;
    let more = if records.len() > SHOWN { format!(" and {} more", records.len() - SHOWN) } else { String::new() };
    let named = records.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "until {}, for {named}{more}. It opens what was sealed with the mission's key, and nothing that a client sealed with its user's \
         master key (docs/privacy.md).",
        output::when(Some(grant.expires_at))
    )
}
