//! `check`: the seven assertions of docs/protocol.md, section 8.

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::secret::SecretArgs;

/// Check that both sides hold the same, trusting nothing the server says.
///
/// Fetches the graphs of X, S and I from the server, computes every gib again, and compares them
/// with the local ones. Exits with 1 where an assertion does not hold, and names the address.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib check\n  \
    sync-gib check --json | jq '.assertions[] | select(.ok | not)'")]
pub struct CheckArgs {
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Checks.
pub fn run(_: &CheckArgs, _: &mut Ctx) -> Result<(), CliError> {
    Err(CliError::new(ErrorCode::Unreachable, "this build has no sender"))
}
