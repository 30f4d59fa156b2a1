//! `serve`: the receiver as a process of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::logging::LogFormat;
use crate::ibgib::Addr;

/// Run the server that other spaces sync with.
///
/// One port for HTTP and WebSocket, one SQLite file for all identities, each of which sees its own
/// only. Ends at SIGINT or SIGTERM, after the open sagas have ended or been dropped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib serve --listen 127.0.0.1:8787 --space server.db\n  \
    sync-gib serve --listen 0.0.0.0:8787 --tls-cert cert.pem --tls-key key.pem \\\n    \
    --registration closed --allow 'keystone^E887FC…'")]
pub struct ServeArgs {
    /// The address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// The server's space, made where it is absent; else server.db in the home folder
    #[arg(long, value_name = "FILE")]
    pub space: Option<PathBuf>,
    /// Who may register an identity
    #[arg(long, value_enum, default_value = "open")]
    pub registration: Registration,
    /// An identity (its tjp address) that may register where registration is closed; repeatable
    #[arg(long, value_name = "I")]
    pub allow: Vec<Addr>,
    /// More of them, one a line
    #[arg(long, value_name = "FILE")]
    pub allow_file: Option<PathBuf>,
    /// The certificate chain (PEM), to speak https and wss
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// What one peer may take up.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// The form of the log on standard error
    #[arg(long, value_enum, default_value = "text")]
    pub log_format: LogFormat,
}

/// Who may register an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// Anybody
    Open,
    /// Only those given by --allow and --allow-file
    Closed,
}

/// What one peer may take up.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Largest WebSocket message and HTTP body, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20,
          value_parser = clap::value_parser!(u32).range(65_536..=67_108_864))]
    pub max_message: u32,
    /// Most sockets open at a time
    #[arg(long, value_name = "N", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub max_sockets: u32,
    /// Most requests on one socket
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_requests: u32,
    /// Seconds that a socket may stay unauthenticated
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub auth_timeout: u32,
    /// Seconds that a socket may stay silent
    #[arg(long, value_name = "SECONDS", default_value_t = 120,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub idle_timeout: u32,
    /// Seconds that a session may last
    #[arg(long, value_name = "SECONDS", default_value_t = 3600,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub session_ttl: u32,
    /// Seconds that a token for reading is good
    #[arg(long, value_name = "SECONDS", default_value_t = 900,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub token_ttl: u32,
}

/// Serves until a signal ends it.
pub fn run(_: &ServeArgs, _: &mut Ctx) -> Result<(), CliError> {
    Err(CliError::new(ErrorCode::Unreachable, "this build has no receiver"))
}
