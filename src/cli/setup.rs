//! `setup`: the identity, its registration, and a first timeline X.

use std::path::PathBuf;

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::secret::SecretArgs;
use crate::ibgib::Addr;

/// Make the identity, register it with the server, and make a first timeline X.
///
/// Says what is there already and does the rest, so that a rerun finishes a job that failed half
/// way. Without --server, the receiver embedded in this program takes the server's part, with its
/// own space beside the client's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib setup --server https://gib.example.org\n  \
    echo '{\"title\":\"notes\"}' | sync-gib setup --data - --secret-file ~/secret\n  \
    sync-gib setup --server https://gib.example.org --join 'keystone^E887FC…'   # second device")]
pub struct SetupArgs {
    /// The server's base URL; it is remembered
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Trust the authority in this PEM file for the server's certificate
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Speak plain http and ws to other hosts than this one: whoever listens can read everything
    #[arg(long)]
    pub allow_plaintext: bool,
    /// Make X of this JSON object, from FILE or standard input (`-`); else a test object
    #[arg(long, value_name = "FILE|-", conflicts_with = "join")]
    pub data: Option<PathBuf>,
    /// Take over the identity with this address from the server, with the same secret
    #[arg(long, value_name = "I", requires = "server")]
    pub join: Option<Addr>,
    /// Use the secret as it is, for an identity made elsewhere; else it is stretched (Argon2id)
    #[arg(long)]
    pub raw_secret: bool,
    /// Make a new identity though one is there; the old one stays in the space, under its address
    #[arg(long, conflicts_with = "join")]
    pub force: bool,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Sets the home up.
pub fn run(_: &SetupArgs, _: &mut Ctx) -> Result<(), CliError> {
    Err(CliError::new(ErrorCode::Unreachable, "this build has no sender"))
}
