//! `mana-ai backup`

use std::path::PathBuf;

use super::{Context, Outcome, setup};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The file to write; it must not be there yet
    file: PathBuf,
}

pub(super) async fn run(context: Context, args: Args) -> Outcome {
    let store = setup::store(&context.config).await?;
    store.backup(args.file.clone()).await?;
    eprintln!("the database as it is now is in {}", args.file.display());
    Ok(())
}
