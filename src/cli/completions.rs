//! `mana-ai completions`

use std::io::Write;

use clap::Command;
use clap_complete::Shell;

use super::{Outcome, output};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(mut command: Command, args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "mana-ai", &mut script);
    let mut out = output::stdout();
    out.write_all(&script)?;
    Ok(out.flush()?)
}
