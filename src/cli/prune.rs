//! `prune`: old sessions dropped from a space, and the room that they took given back.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::age::Age;
use super::error::CliError;
use super::output::{printable, size};
use super::{Ctx, open};
use crate::ibgib::Moment;
use crate::server::{Pruned, prune_sessions};

/// Drop the records of old syncs from the space.
///
/// Every sync that moved something left a session on both sides: the keystone that signed its turns,
/// and what was said. Those that ended before --keep are dropped on this side, and the file gives the
/// space back; one that an older version made does so at the next `pack`. Data stays, and so do the
/// frames of your identity, sessions of the last six hours, the last one that synced, and whatever
/// something else relates to. It may be stopped at any time.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib prune --sessions\n  \
    sync-gib prune --sessions --keep 7d\n  \
    sync-gib prune --sessions --space server.db --json")]
pub struct PruneArgs {
    /// Drop old sessions, with what was said in them
    #[arg(long, required = true)]
    pub sessions: bool,
    /// How long they are kept: a number of days (d), hours (h), minutes (m) or seconds (s)
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub keep: Age,
    /// Another file than the home's, such as a server's
    #[arg(long, value_name = "FILE")]
    pub space: Option<PathBuf>,
}

/// Prunes a file.
pub fn run(args: &PruneArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = match &args.space {
        Some(path) => open(path)?,
        None => ctx.open_space()?,
    };
    let before = space.file_len()?;
    let keep = args.keep.0.unwrap_or(Duration::MAX);
    let Pruned { sessions, ibgibs, bytes, kept } =
        prune_sessions(&space, keep, Moment::now(), &|| true)?;
    let after = space.file_len()?;
    let path = printable(&space.path().display().to_string());
    let (text, was, is) = (size(bytes), size(before), size(after));
    ctx.out.line(format_args!(
        "{sessions} sessions dropped ({ibgibs} ibGibs, {text}); {path} has {is}, {was} before"
    ))?;
    if kept > 0 {
        ctx.out
            .line(format_args!("{kept} stay: something leads to them, or they may be in use"))?;
    }
    if sessions > 0 && !space.gives_back()? {
        ctx.out.note(format_args!("the file keeps its size until `sync-gib pack`"));
    }
    ctx.out.done(json!({
        "sessions": sessions, "ibGibs": ibgibs, "bytes": bytes, "kept": kept,
        "fileBefore": before, "fileAfter": after, "saved": before.saturating_sub(after),
    }))
}
