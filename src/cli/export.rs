//! `mana-ai export`

use std::io::Write;

use super::{Context, Outcome, output, setup};
use crate::store::RowFilter;

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
}

pub(super) async fn run(context: Context, args: Args) -> Outcome {
    let store = setup::store(&context.config).await?;
    let filter = RowFilter { user: args.user, app: args.app, table: args.table };
    let mut after = 0;
    loop {
        let rows = store.rows_after(filter.clone(), after, PAGE).await?;
        let mut out = output::stdout();
        for row in &rows {
            writeln!(out, "{}", row.change.to_json())?;
        }
        out.flush()?;
        match rows.last() {
            Some(last) if rows.len() == PAGE as usize => after = last.seq,
            _ => return Ok(()),
        }
    }
}
