//! `mana-ai man`

use std::io::Write;
use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;

use super::{CommandResult, Failure, output};

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this directory [default: the main page on stdout]
    dir: Option<PathBuf>,
}

pub(super) fn run(command: Command, args: ManArgs) -> CommandResult {
    let Some(dir) = args.dir else {
        let mut page = Vec::new();
        // As the pages of a directory have it.
        let mut command = command.disable_help_subcommand(true);
        command.build();
        Man::new(command).render(&mut page)?;
        let mut out = output::raw_stdout();
        out.write_all(&page)?;
        return Ok(out.flush()?);
    };
    let failed = |error: std::io::Error| Failure::Failed(format!("cannot write into {}: {error}", dir.display()));
    std::fs::create_dir_all(&dir).map_err(failed)?;
    clap_mangen::generate_to(command, &dir).map_err(failed)
}
