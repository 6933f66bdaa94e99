//! `mana-ai tick`

use std::sync::Arc;

use jiff::Timestamp;

use super::{CommandResult, Context, Failure, output, parse_time, setup};
use crate::runner::TickStats;

#[derive(clap::Args)]
pub(super) struct TickArgs {
    /// Tick as if it were this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    now: Option<Timestamp>,
    /// Print the statistics as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: Context, args: TickArgs) -> CommandResult {
    let operator = setup::new_operator(&context.config).await?;
    let known = setup::known(&context.config)?;
    let runner = setup::runner(&context.config, &operator, &known, args.now)?;
    let tick = runner.tick().await?;
    let settled = tokio::select! {
        settled = tick.settle() => Some(settled),
        () = setup::asked_to_stop() => None,
    };
    let cut_short = runner.stop(context.config.shutdown_grace).await?;
    let Some((stats, _)) = settled else {
        return Err(Failure::Failed(format!("stopped; {cut_short} plans under way were given back")));
    };
    // Where no server runs, steps that go ahead without review and calls that failed before have nobody else.
    let webhooks = setup::webhooks(&context.config)?;
    if !webhooks.is_empty() {
        let reviews = setup::reviews(&context.config, &operator, &known, Arc::clone(runner.metrics()))?;
        setup::outbox(&operator, Arc::new(reviews), webhooks)?.deliver().await?;
    }
    if args.json {
        output::json_lines([stats.to_json()])?
    } else {
        print(&stats)?
    }
    match stats.errors.len() {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 mission had an error; it is tried again, see `mana-ai runs`".into())),
        n => Err(Failure::Failed(format!("{n} missions had an error; they are tried again, see `mana-ai runs`"))),
    }
}

fn print(stats: &TickStats) -> std::io::Result<()> {
    let mut rows = vec![
        vec!["Due missions".to_owned(), stats.due.to_string()],
        vec!["Plans produced".to_owned(), stats.produced.to_string()],
        vec!["Plans written back".to_owned(), stats.written_back.to_string()],
        vec!["Parse failures".to_owned(), stats.parse_failures.to_string()],
    ];
    rows.extend(stats.decisions.iter().map(|(decision, count)| vec![decision.as_str().to_owned(), count.to_string()]));
    rows.push(vec!["Deferred".to_owned(), stats.deferred.to_string()]);
    rows.push(vec!["In flight since before".to_owned(), stats.in_flight.to_string()]);
    rows.extend(stats.errors.iter().map(|error| vec!["Error".to_owned(), error.clone()]));
    output::table(&["Tick", &output::when(Some(stats.scanned_at))], rows, "")
}
