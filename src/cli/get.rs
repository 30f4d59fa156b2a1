//! `get`: ibGibs as JSON.

use serde_json::json;

use super::Ctx;
use super::error::CliError;
use super::target::{each, resolve};
use crate::space::Space;

/// Print ibGibs as JSON, one a line.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib get X | jq .data\n  \
    sync-gib log X --json | jq -r '.frames[].addr' | sync-gib get -")]
pub struct GetArgs {
    /// What to print; `-` reads addresses from standard input, one a line
    #[arg(value_name = "ADDR", required = true)]
    pub addrs: Vec<String>,
}

/// Prints them in the order of the arguments.
pub fn run(args: &GetArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    ctx.out.begin_list("ibGibs", json!({}))?;
    each(&args.addrs, |text| {
        let target = resolve(&space, text)?;
        ctx.out.json_line(&space.text(target.id)?)
    })?;
    ctx.out.end_list(json!({}))
}
