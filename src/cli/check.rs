//! `check`: the seven assertions of docs/protocol.md, section 8.

use serde_json::json;

use super::Ctx;
use super::audit;
use super::connection::{self, Connection, NAME_X};
use super::error::{CliError, ErrorCode};
use super::identity;
use super::output::printable;
use super::secret::SecretArgs;
use crate::ibgib::TjpAddr;
use crate::space::Space;
use crate::sync::sender::{NAME_SAGA, NAME_SESSION};
use crate::verify::{Report, Timelines};

/// Check that both sides hold the same, without trusting the server.
///
/// Fetches the graphs of X, S and I from the server, computes every gib again, and compares them
/// with the local ones. If an assertion does not hold, it names the address and exits with 1. A server
/// drops old sessions: that S is not there any more is told, and is no difference. Frames of the identity
/// that an earlier check found valid on both sides are hashed, but not validated again without --full.
///
/// With --local it needs neither a server nor the secret: it reads and hashes everything in the
/// space and checks it for consistency. It exits with 4 if anything is damaged.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib check\n  \
    sync-gib check --full\n  \
    sync-gib check --local\n  \
    sync-gib check --json | jq '.assertions[] | select(.ok | not)'")]
pub struct CheckArgs {
    /// Check everything in the local space for consistency, without a server
    #[arg(long)]
    pub local: bool,
    /// Also validate again what an earlier check found valid
    #[arg(long, conflicts_with = "local")]
    pub full: bool,
    /// Where the secret comes from.
    #[command(flatten)]
    pub secret: SecretArgs,
}

/// Checks.
pub fn run(args: &CheckArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    if args.local {
        return audit::check_client(ctx);
    }
    let home = ctx.home()?;
    let space = ctx.open_space()?;
    let named = |name: &str, hint: &str| -> Result<TjpAddr, CliError> {
        let absent = || CliError::new(ErrorCode::NotFound, format!("the space has no {name} yet"));
        space.name(name)?.ok_or_else(|| absent().hint(hint))
    };
    let domain = identity::domain_of(&space)?;
    let x = named(NAME_X, "run `sync-gib setup`, or `sync-gib sync` on a device that joined")?;
    let session = named(NAME_SESSION, "run `sync-gib sync` first")?;
    let saga = named(NAME_SAGA, "run `sync-gib sync` first")?;
    let connection = Connection::open(&home, &connection::config(&home, Some(&space))?)?;
    let link = connection.link()?;
    let token = connection::token(&home, &connection, &link, &space, &args.secret)?;

    let timelines = Timelines { domain: &domain, x: &x, session: &session, saga: &saga };
    let checked =
        crate::verify::check(&space, &link, &token, &timelines, args.full).map_err(CliError::from);
    print(&checked.map_err(|error| connection.name_damaged_file(error))?, connection.name(), ctx)
}

fn print(report: &Report, server: &str, ctx: &mut Ctx) -> Result<(), CliError> {
    let Report { assertions, frames, validated } = report;
    let failed = assertions.iter().filter(|assertion| !assertion.problems.is_empty()).count();
    let mut entries = Vec::new();
    for (at, assertion) in assertions.iter().enumerate() {
        let ok = assertion.problems.is_empty();
        let verdict = match (ok, &assertion.unseen) {
            (false, _) => "FAILED",
            (true, Some(_)) => "not there",
            (true, None) => "ok",
        };
        ctx.out.line(format_args!("{}  {:<58} {verdict}", at + 1, assertion.what))?;
        for told in assertion.problems.iter().chain(&assertion.unseen) {
            ctx.out.line(format_args!("     {}", printable(told)))?;
        }
        let mut entry = json!({
            "n": at + 1, "what": assertion.what, "ok": ok, "problems": assertion.problems,
        });
        if let Some(unseen) = &assertion.unseen {
            entry["unseen"] = unseen.as_str().into();
        }
        entries.push(entry);
    }
    let known = frames.saturating_sub(*validated);
    let identity = json!({ "frames": frames, "validated": validated });
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    ctx.out.line(format_args!(
        "{}  {:<58} {verdict}",
        assertions.len() + 1,
        "all of these hold"
    ))?;
    if failed > 0 {
        let message = format!("{failed} of {} assertions failed", assertions.len());
        return Err(CliError::new(ErrorCode::Different, message)
            .hint("run `sync-gib sync`, then check again; if it fails again, the sides differ")
            .detail("server", server)
            .detail("identity", identity)
            .detail("assertions", entries));
    }
    if known > 0 {
        ctx.out.line(format_args!(
            "I: {known} of {frames} frames were validated before, and hashed now (--full: all)"
        ))?;
    }
    ctx.out.line(match assertions.iter().any(|assertion| assertion.unseen.is_some()) {
        true => "NOTHING DIFFERS",
        false => "ALL PHASE 3B CHECKS PASSED",
    })?;
    ctx.out.done(json!({ "server": server, "identity": identity, "assertions": entries }))
}
