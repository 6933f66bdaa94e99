//! `mana-ai import`

use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::ProgressBar;

use super::output::{self, bar};
use super::{Context, Failure, Outcome, setup};
use crate::domain::change::Change;
use crate::exchange::{self, ImportError, Reading};
use crate::store::Appended;

/// Bad lines that are told one by one.
const TOLD: u64 = 20;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file, JSONL or Postgres CSV; - reads stdin
    file: String,
    /// Keep the good lines of a file that has bad ones
    #[arg(long)]
    skip_bad: bool,
}

pub(super) async fn run(context: Context, args: Args) -> Outcome {
    let (file, progress) = open(&args.file)?;
    let store = setup::new_store(&context.config).await?;
    let bad = Arc::new(AtomicU64::new(0));
    let skip_bad = args.skip_bad;
    let told = Arc::clone(&bad);
    let reading = exchange::read(Box::new(BufReader::with_capacity(256 * 1024, file)));
    let outcome: Result<Appended, ImportError> = match reading {
        Err(error) => Err(error),
        Ok(Reading { changes, unknown }) => {
            if !unknown.is_empty() {
                progress.suspend(|| {
                    output::say(format_args!("not kept, since the log has no such columns: {}", output::safe(&unknown.join(", "))))
                });
            }
            store.append(changes.filter(move |change| keep(change, skip_bad, &told))).await
        }
    };
    progress.finish_and_clear();
    let appended = outcome.map_err(|error| Failure::Failed(format!("{}: {error}", args.file)))?;
    let bad = bad.load(Ordering::Relaxed);
    let skipped = if skip_bad { format!(", {bad} bad lines skipped") } else { String::new() };
    output::say(format_args!("{} changes imported, {} known already{skipped}", appended.added, appended.known));
    Ok(())
}

/// Whether an item goes on to the store: a bad line only where it has to stop the import.
fn keep(change: &Result<Change, ImportError>, skip_bad: bool, bad: &AtomicU64) -> bool {
    let Err(ImportError::Line(line)) = change else { return true };
    if skip_bad && bad.fetch_add(1, Ordering::Relaxed) < TOLD {
        output::say(format_args!("skipped {}", output::safe(&line.to_string())));
    }
    !skip_bad
}

fn open(name: &str) -> Result<(Box<dyn Read + Send>, ProgressBar), Failure> {
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
