//! `mana-ai move`

use super::{CommandResult, Context, Failure, output, setup};
use crate::store::{self, StoreError};

#[derive(clap::Args)]
pub(super) struct MoveArgs {
    /// Where to: the address of a Postgres database such as postgres://mana@db.example/app, or the data directory of a new file.
    /// The password of an address that has none is PGPASSWORD
    #[arg(long, value_name = "URL|DIR")]
    to: String,
}

pub(super) async fn run(context: Context, args: MoveArgs) -> CommandResult {
    let config = &context.config;
    if config.database.is_none() && store::is_open(&config.data_dir) {
        return Err(StoreError::InUse { path: config.data_dir.clone() }.into());
    }
    let stop = setup::asked_to_stop();
    let from = setup::operator(config).await?;
    let to = setup::operator_of(config, &args.to).await?;
    if from.path() == to.path() {
        return Err(Failure::Usage(format!("{} is the database that is in use already; name another one with --to", args.to)));
    }
    let bar = output::bar("{spinner} {pos} rows moved, {per_sec}", None);
    let (shown, go_on) = (bar.clone(), output::CancelToken::default());
    let stopped = go_on.clone();
    let mut moving = std::pin::pin!(from.move_into(&to, move |moved| {
        shown.set_position(moved.rows);
        !stopped.is_stopped()
    }));
    let outcome = tokio::select! {
        outcome = &mut moving => outcome,
        () = stop => {
            go_on.stop();
            moving.await
        }
    };
    bar.finish_and_clear();
    let moved = match outcome {
        Err(StoreError::Stopped) => {
            return Err(Failure::Failed("stopped before all was moved; run the command again, and it goes on from there".into()));
        }
        outcome => outcome?,
    };
    output::say(format_args!(
        "{} now has all of {}, {} changes among it, and both were compared",
        to.path().display(),
        from.path().display(),
        moved.log
    ));
    if moved.set_aside > 0 {
        output::say(format_args!(
            "{} changes stayed behind that break a limit or are damaged; `mana-ai check --json` lists them",
            moved.set_aside
        ));
    }
    let next = if setup::is_address(&args.to) {
        "set MANA_AI_DATABASE to its address; the data directory keeps the keys".to_owned()
    } else {
        format!("copy the keys of {} there and use it as --data-dir, without MANA_AI_DATABASE", config.data_dir.display())
    };
    output::say(format_args!("{next}; the old database is as it was"));
    Ok(())
}
