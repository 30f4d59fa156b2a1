//! The `sync-gib` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    sync_gib::cli::run()
}
