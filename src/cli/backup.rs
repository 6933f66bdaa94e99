//! `mana-ai backup`

use std::path::PathBuf;

use super::{Context, Outcome, output, setup};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file to write; it must not be there yet
    file: PathBuf,
}

pub(super) async fn run(context: Context, args: Args) -> Outcome {
    let store = setup::store(&context.config).await?;
    let (bar, progress) = output::progress("written");
    let outcome = store.backup(args.file.clone(), progress).await;
    bar.finish_and_clear();
    outcome?;
    eprintln!("the database as it is now is in {}", args.file.display());
    eprintln!("the keys beside it are not: keep a copy of {} too, in a safe place", context.config.data_dir.display());
    Ok(())
}
