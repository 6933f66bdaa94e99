//! `mana-ai restore`

use std::path::PathBuf;

use super::{CommandResult, Context, Failure, output, setup};
use crate::store;

#[derive(clap::Args)]
pub(super) struct RestoreArgs {
    /// A file that `backup` wrote
    file: PathBuf,
    /// Put it in the place of the database that is there; that one is kept beside it
    #[arg(long)]
    replace: bool,
}

pub(super) async fn run(context: Context, args: RestoreArgs) -> CommandResult {
    setup::only_a_file(&context.config, "pg_restore puts a copy that pg_dump made into a new database")?;
    let dir = context.config.data_dir;
    let (bar, progress, _) = output::progress("copied");
    let (to, from) = (dir.clone(), args.file.clone());
    let restoring = move || store::restore(&to, &from, args.replace, setup::now(), progress);
    let outcome = tokio::task::spawn_blocking(restoring).await.map_err(Failure::failed)?;
    bar.finish_and_clear();
    let restored = outcome?;
    let until = restored.last.map_or(String::new(), |last| format!(", the last taken in at {last:.0}"));
    output::say(format_args!("the database in {} is now that of {}: {} rows{until}", dir.display(), args.file.display(), restored.rows));
    output::tell_set_aside(&restored.set_aside);
    if let Some(kept) = restored.kept {
        output::say(format_args!("the one that was there is kept as {}; delete it when you do not need it any more", kept.display()));
    }
    output::say("everyone has to sign in again; `mana-ai serve` goes on from here");
    Ok(())
}
