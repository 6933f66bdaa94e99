//! `mana-ai cadence`

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{CommandResult, Context, Failure, output, parse_time};
use crate::domain::cadence::Cadence;
use crate::domain::time;

#[derive(clap::Args)]
pub(super) struct CadenceArgs {
    /// The cadence, such as '{"kind":"daily","atHour":8}'
    #[arg(long, value_name = "JSON")]
    cadence: String,
    /// The time after which to look
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    from: Timestamp,
    /// How many times
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &CadenceArgs) -> CommandResult {
    let value: Value = serde_json::from_str(&args.cadence).map_err(|error| Failure::Usage(format!("--cadence is not JSON: {error}")))?;
    let times = match Cadence::read(&value) {
        Ok(cadence) => times(&cadence, args, &context.config.time_zone),
        Err(bad) => {
            output::say(format_args!("mana-ai: {bad}; it counts as manual"));
            vec![None]
        }
    };
    if args.json {
        return Ok(output::json_lines(times.into_iter().map(|next| json!({"next": next.map(time::iso_millis)})))?);
    }
    let mut out = output::stdout();
    for next in times {
        use std::io::Write;
        writeln!(out, "{}", next.map_or_else(|| "none: it runs only when its user starts it".into(), time::iso_millis))?;
    }
    Ok(std::io::Write::flush(&mut out)?)
}

/// The next times; a cadence that ends closes with `None`.
fn times(cadence: &Cadence, args: &CadenceArgs, zone: &TimeZone) -> Vec<Option<Timestamp>> {
    let mut times = Vec::new();
    let mut from = Some(args.from);
    while let Some(at) = from.filter(|_| times.len() < args.count as usize) {
        from = cadence.next(at, zone);
        times.push(from);
    }
    times
}
