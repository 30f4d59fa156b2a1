//! `sync`: both sides to the same state.

use std::path::PathBuf;

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::secret::SecretArgs;

/// Bring the local space and the server to the same state.
///
/// Sends what the server lacks, fetches what is lacking here, and merges timelines that were
/// changed on both sides. Interrupted at any point, each side has the old state or the new one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib sync\n  \
    sync-gib sync X --dry-run\n  \
    sync-gib sync --json --secret-file ~/secret | jq .summary")]
pub struct SyncArgs {
    /// What to sync, each with its live graph; else everything in the space
    #[arg(value_name = "ADDR")]
    pub addrs: Vec<String>,
    /// Fetch only: send nothing
    #[arg(long, conflicts_with = "push_only")]
    pub pull_only: bool,
    /// Send only: change nothing here
    #[arg(long)]
    pub push_only: bool,
    /// Print what would move, and move nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write every message, both ways, to FILE as NDJSON; no secret is in it
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Syncs.
pub fn run(_: &SyncArgs, _: &mut Ctx) -> Result<(), CliError> {
    Err(CliError::new(ErrorCode::Unreachable, "this build has no sender"))
}
