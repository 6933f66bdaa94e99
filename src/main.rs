//! The command `mana-ai`; see `mana_ai::cli`.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![deny(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    mana_ai::memory::return_what_is_free();
    mana_ai::cli::main()
}
