//! Logs to standard error, structured, for `-v` and for the server.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// The environment variable with a filter in the form of `tracing` (`info,sync_gib=debug`).
pub const ENV: &str = "SYNC_GIB_LOG";

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object
    Json,
}

/// Starts logging: `verbose` levels above `quietest`, unless [`ENV`] says otherwise. Only the
/// first call has an effect.
pub fn start(quietest: tracing::Level, verbose: u8, format: LogFormat) {
    use tracing::Level;
    const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let base = LEVELS.iter().position(|level| *level == quietest).unwrap_or(0);
    let level = LEVELS[(base + usize::from(verbose)).min(LEVELS.len() - 1)];
    let default = || EnvFilter::new(format!("warn,sync_gib={level}"));
    let filter = EnvFilter::try_from_env(ENV).unwrap_or_else(|_| default());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_span_events(FmtSpan::NONE);
    let _ = match format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}
