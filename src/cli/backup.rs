//! `mana-ai backup`

use std::path::PathBuf;

use super::{CommandResult, Context, Failure, output, setup};
use crate::store::StoreError;

#[derive(clap::Args)]
pub(super) struct BackupArgs {
    /// The file to write; it must not be there yet
    file: PathBuf,
}

pub(super) async fn run(context: Context, args: BackupArgs) -> CommandResult {
    setup::only_a_file(&context.config, "pg_dump --format=custom, or the archive of your server, copies it")?;
    let stop = setup::asked_to_stop();
    let operator = setup::operator(&context.config).await?;
    let (bar, progress, go_on) = output::progress("written");
    let mut writing = std::pin::pin!(operator.backup(args.file.clone(), progress));
    let outcome = tokio::select! {
        outcome = &mut writing => outcome,
        () = stop => {
            go_on.stop();
            // It clears away what it wrote, or was done by then.
            writing.await
        }
    };
    bar.finish_and_clear();
    match outcome {
        Err(StoreError::Stopped) => {
            return Err(Failure::Failed(format!("the backup was stopped; there is no {}", args.file.display())));
        }
        outcome => outcome?,
    }
    output::say(format_args!("the database as it is now is in {}", args.file.display()));
    output::say(format_args!("the keys beside it are not: keep a copy of {} too, in a safe place", context.config.data_dir.display()));
    Ok(())
}
