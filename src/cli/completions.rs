//! `mana-ai completions`

use std::io::Write;

use clap::Command;
use clap_complete::Shell;

use super::{CommandResult, output};

#[derive(clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(mut command: Command, args: &CompletionsArgs) -> CommandResult {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "mana-ai", &mut script);
    // For bash it spells a name with a hyphen in two ways, and finds no command after it (clap-rs/clap#6421).
    let script = String::from_utf8_lossy(&script).replace("mana__subcmd__ai", "mana__ai");
    let mut out = output::raw_stdout();
    out.write_all(script.as_bytes())?;
    Ok(out.flush()?)
}
