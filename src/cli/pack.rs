//! `pack`: every text of a space's file into blocks, and what that leaves given back to the disk.

use std::path::PathBuf;

use serde_json::json;

use super::error::CliError;
use super::output::{printable, size};
use super::{Ctx, open};
use crate::space::Packed;

/// Pack the space's file and give the disk back what it does not need.
///
/// Texts are packed without this command as they come: a large put at once, small ones when there is
/// enough of them. It packs the rest, such as what an older version stored, and writes the file anew,
/// which needs room for a copy of it. Whoever writes to the file waits meanwhile. It may be stopped
/// at any time. Prints what it saved.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib pack\n  \
    sync-gib pack --space server.db --json")]
pub struct PackArgs {
    /// Another file than the home's, such as a server's
    #[arg(long, value_name = "FILE")]
    pub space: Option<PathBuf>,
}

/// Packs a file.
pub fn run(args: &PackArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = match &args.space {
        Some(path) => open(path)?,
        None => ctx.open_space()?,
    };
    let Packed { ibgibs, bytes, before, after } = space.pack()?;
    let path = printable(&space.path().display().to_string());
    let (text, was, is) = (size(bytes), size(before), size(after));
    ctx.out.line(format_args!("{ibgibs} ibGibs packed ({text}); {path} has {is}, {was} before"))?;
    ctx.out.done(json!({
        "packed": ibgibs, "bytes": bytes, "fileBefore": before, "fileAfter": after,
        "saved": before.saturating_sub(after),
    }))
}
