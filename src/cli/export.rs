//! `mana-ai export`

use std::io::Write;

use clap::ValueEnum;

use super::{Context, Outcome, output, setup};
use crate::exchange;
use crate::store::RowFilter;
use crate::text::escaped;

/// Rows that are held in memory at a time; no reader of the database stays open for longer than one page takes.
const PAGE: u32 = 1_000;

#[derive(clap::Args)]
pub(super) struct Args {
    /// Only changes of this user
    #[arg(long)]
    user: Option<String>,
    /// Only changes of this app
    #[arg(long)]
    app: Option<String>,
    /// Only changes of this table
    #[arg(long)]
    table: Option<String>,
    /// jsonl, or csv that Postgres takes with COPY … FROM … (FORMAT csv, HEADER)
    #[arg(long, value_enum, default_value_t = Format::Jsonl, hide_possible_values = true)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

pub(super) async fn run(context: Context, args: Args) -> Outcome {
    let store = setup::store(&context.config).await?;
    let filter = RowFilter { user: args.user, app: args.app, table: args.table };
    let mut after = 0;
    if args.format == Format::Csv {
        let mut out = output::raw_stdout();
        writeln!(out, "{}", exchange::header())?;
        out.flush()?;
    }
    loop {
        let rows = match args.format {
            Format::Jsonl => store.export_after(filter.clone(), after, PAGE).await?,
            Format::Csv => store.export_verbatim_after(filter.clone(), after, PAGE).await?,
        };
        if rows.is_empty() {
            return Ok(());
        }
        let mut out = output::raw_stdout();
        for row in &rows {
            after = row.as_ref().map_or_else(|set_aside| set_aside.seq, |row| row.seq);
            match (row, args.format) {
                (Ok(row), Format::Jsonl) => writeln!(out, "{}", escaped(&row.change.to_json().to_string()))?,
                (Ok(row), Format::Csv) => writeln!(out, "{}", exchange::row(&row.change))?,
                // An import would refuse it.
                (Err(set_aside), _) => output::say(format_args!("not exported: {set_aside}")),
            }
        }
        out.flush()?;
    }
}
