//! What reading everything in a file came to, as `check --local` and `serve --check` print it.

use std::path::Path;

use serde_json::{Value, json};

use super::Ctx;
use super::error::{CliError, ErrorCode};
use super::output::printable;
use crate::space::{Audit, SqliteSpace};

/// Reads everything in the client's space.
pub fn check_client(ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.open_space()?;
    print(&space.audit()?, space.path(), ctx)
        .map_err(|error| error.hint("`sync-gib repair` fetches what is damaged from the server"))
}

/// Reads everything in a server's file, of all domains.
pub fn check_server(path: &Path, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = SqliteSpace::open(path, "")?;
    print(&space.audit()?, path, ctx).map_err(|error| {
        error.hint("restore the file from a copy, then let each person sync from every device")
    })
}

/// The assertions in JSON.
pub fn assertions(audit: &Audit) -> Value {
    let entries = audit.findings.iter().enumerate().map(|(at, finding)| {
        let ok = finding.count == 0;
        let (what, count, problems) = (finding.what, finding.count, &finding.first);
        json!({ "n": at + 1, "what": what, "ok": ok, "count": count, "problems": problems })
    });
    entries.collect()
}

/// Prints the assertions; an error where one does not hold.
fn print(audit: &Audit, path: &Path, ctx: &mut Ctx) -> Result<(), CliError> {
    let mut all = 0;
    for (at, finding) in audit.findings.iter().enumerate() {
        line(ctx, at + 1, finding.what, finding.count == 0)?;
        for problem in &finding.first {
            ctx.out.line(format_args!("     {}", printable(problem)))?;
        }
        let more = finding.count - finding.first.len() as u64;
        if more > 0 {
            ctx.out.line(format_args!("     and {more} more"))?;
        }
        all += finding.count;
    }
    line(ctx, audit.findings.len() + 1, "all of these hold", audit.is_good())?;
    let read = &audit.read;
    let fields = json!({
        "ibGibs": read.ibgibs, "timelines": read.timelines, "bytes": read.bytes,
        "assertions": assertions(audit),
    });
    if audit.is_good() {
        return ctx.out.done(fields);
    }
    let message = format!("{} is damaged: {all} problems", path.display());
    let mut error = CliError::new(ErrorCode::Damaged, printable(&message));
    if let Value::Object(fields) = fields {
        for (name, field) in fields {
            error = error.detail(&name, field);
        }
    }
    Err(error)
}

fn line(ctx: &mut Ctx, n: usize, what: &str, ok: bool) -> Result<(), CliError> {
    let verdict = if ok { "ok" } else { "FAILED" };
    ctx.out.line(format_args!("{n}  {what:<58} {verdict}"))
}
