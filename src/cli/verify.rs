//! `verify`: the phase table of docs/protocol.md, section 9, run against this build.

use std::path::PathBuf;

use super::Ctx;
use super::error::{CliError, ErrorCode};

/// The phases, as typed; `4` stands for all of 4.1 to 4.10.
pub const PHASES: [&str; 14] =
    ["1", "2", "3", "4", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "4.8", "4.9", "4.10"];

/// Run the phases of the protocol against this build and show what holds.
///
/// Each phase runs two ways: A in process, B over a WebSocket on this host. Touches no home: all
/// state is in a temporary folder.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib verify\n  \
    sync-gib verify 4.7 --way b --keep /tmp/merge\n  \
    sync-gib --home /tmp/merge/sender graph X")]
pub struct VerifyArgs {
    /// The phases to run; else all
    #[arg(value_name = "PHASE", value_parser = PHASES)]
    pub phases: Vec<String>,
    /// Which way to run them
    #[arg(long, value_enum, default_value = "both")]
    pub way: Way,
    /// Leave the spaces behind in DIR, for `graph` and `check` to look at
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// Which way a phase runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// In process: two spaces, no network
    A,
    /// Over a real WebSocket
    B,
    /// One after the other
    Both,
}

/// Runs the phases.
pub fn run(_: &VerifyArgs, _: &mut Ctx) -> Result<(), CliError> {
    Err(CliError::new(ErrorCode::Unreachable, "this build has no sender and no receiver"))
}
