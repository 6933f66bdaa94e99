//! `mana-ai import`

use std::fs::File;
use std::io::{BufReader, Read};

use indicatif::ProgressBar;

use super::output::{self, bar};
use super::{CommandResult, Context, Failure, setup};
use crate::app::Operator;
use crate::exchange::{self, ImportError, Reading};
use crate::store::Staging;

/// Bad lines that are told one by one.
const TOLD: u64 = 20;

#[derive(clap::Args)]
pub(super) struct ImportArgs {
    /// The file, JSONL or Postgres CSV, either also as .gz or .zst; - reads stdin
    file: String,
    /// Keep the good lines of a file that has bad ones
    #[arg(long)]
    skip_bad: bool,
}

pub(super) async fn run(context: Context, args: ImportArgs) -> CommandResult {
    let (file, progress) = open(&args.file)?;
    let operator = setup::new_operator(&context.config).await?;
    let failed = |error: ImportError| Failure::Failed(format!("{}: {error}", args.file));
    let (to, shown, skip_bad) = (operator.clone(), progress.clone(), args.skip_bad);
    // The input may take its time: only when all of it is there does the writer hear of it.
    let staged = tokio::task::spawn_blocking(move || stage(&to, file, &shown, skip_bad)).await.map_err(Failure::failed)?;
    progress.finish_and_clear();
    let (staging, bad) = staged.map_err(failed)?;
    let (rows, replaced) = (staging.rows(), staging.replaced());
    let writing = bar("{bar:40} {pos} of {len} changes written", Some(rows));
    let written = writing.clone();
    let appended = operator.import(staging, move |rows| written.set_position(rows)).await;
    writing.finish_and_clear();
    let appended = appended.map_err(|error| failed(error.into()))?;
    let skipped = if skip_bad { format!(", {bad} bad lines skipped") } else { String::new() };
    output::say(format_args!("{} changes imported, {} known already{skipped}", appended.added, appended.known));
    if replaced > 0 {
        output::say(format_args!("in {replaced} texts, U+0000 or half of a surrogate pair became U+FFFD"));
    }
    Ok(())
}

/// Reads the whole input, and counts its bad lines where they are skipped.
fn stage(operator: &Operator, file: Box<dyn Read + Send>, progress: &ProgressBar, skip_bad: bool) -> Result<(Staging, u64), ImportError> {
    let mut staging = operator.stage()?;
    let Reading { changes, unknown } = exchange::read(Box::new(BufReader::with_capacity(256 * 1024, file)))?;
    if !unknown.is_empty() {
        progress
            .suspend(|| output::say(format_args!("not kept, since the log has no such columns: {}", output::safe(&unknown.join(", ")))));
    }
    let mut bad = 0;
    for change in changes {
        match change {
            Err(ImportError::Line(line)) if skip_bad => {
                bad += 1;
                if bad <= TOLD {
                    progress.suspend(|| output::say(format_args!("skipped {line}")));
                }
            }
            change => staging.add(&change?)?,
        }
    }
    Ok((staging, bad))
}

/// Opens a file or stdin, with a bar of how much of it was read.
pub(super) fn open(name: &str) -> Result<(Box<dyn Read + Send>, ProgressBar), Failure> {
    if name == "-" {
        let progress = bar("{spinner} {bytes} read, {bytes_per_sec}", None);
        return Ok((Box::new(progress.wrap_read(std::io::stdin())), progress));
    }
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot open {name}: {error}"));
    let file = File::open(name).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(Failure::Failed(format!("cannot open {name}: it is a directory")));
    }
    let progress = bar("{bar:40} {bytes} of {total_bytes}, {eta} left", Some(about.len()));
    Ok((Box::new(progress.wrap_read(file)), progress))
}
