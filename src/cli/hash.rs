//! `hash`: the address of an ibGib, whatever gib it carries.

use serde_json::json;

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::input::{at, stdin_texts};
use super::output::printable;
use crate::ibgib::IbGib;

/// Print the addresses of ibGibs read as JSON.
///
/// Reads one ibGib, or several as NDJSON, from standard input and prints the address of each: its
/// ib, and the gib that its ib, data and rel8ns have, whatever gib it carries.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    echo '{\"ib\":\"hello\",\"data\":{\"x\":1}}' | sync-gib hash\n  \
    sync-gib get X | sync-gib hash")]
pub struct HashArgs {}

/// Hashes what standard input holds. Errors name the line.
pub fn run(_: &HashArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    ctx.out.begin_list("addrs", json!({}))?;
    let mut any = false;
    for text in stdin_texts() {
        let text = text?;
        let addr = address(&text.text).map_err(|error| error.at(at(text.line)))?;
        ctx.out.item(printable(&addr), || addr.as_str().into())?;
        any = true;
    }
    if !any {
        return Err(CliError::new(ErrorCode::BadInput, "no ibGib on standard input"));
    }
    ctx.out.end_list(json!({}))
}

fn address(text: &str) -> Result<String, CliError> {
    let ibgib = IbGib::from_json(text)?;
    let gib = ibgib
        .computed_gib()
        .map_err(|error| CliError::new(ErrorCode::BadInput, error.to_string()))?;
    Ok(format!("{}^{gib}", ibgib.ib))
}
