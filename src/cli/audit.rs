//! What reading everything in a file came to, as `check --local` and `serve --check` print it.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Ctx;
use super::connection::RECEIVER;
use super::error::{CliError, ErrorCode, UNREADABLE};
use super::output::printable;
use crate::space::{Audit, Domain, SqliteSpace};

/// Reads everything in the client's space, and in the embedded receiver's where that is used.
pub fn check_client(ctx: &mut Ctx) -> Result<(), CliError> {
    let home = ctx.home()?;
    let space = ctx.open_space()?;
    let audit = space.audit()?;
    let hint = match audit.is_unreadable {
        true => UNREADABLE,
        false => "`sync-gib repair` fetches what is damaged from the server",
    };
    let receiver = home.receiver_path();
    // Where a server is configured, what is left of a receiver is of no use.
    let is_used = receiver.exists() && home.config().is_ok_and(|config| config.server.is_none());
    let theirs = match is_used {
        true => Some(SqliteSpace::open(&receiver, Domain::Client).and_then(|space| space.audit())),
        false => None,
    };
    let ours = report(&audit, space.path(), ctx)?;
    let mut fields = fields(&audit);
    let theirs = match theirs {
        None => None,
        Some(Ok(audit)) => {
            ctx.out.line(format_args!("{}:", printable(&receiver.display().to_string())))?;
            let problem = report(&audit, &receiver, ctx)?;
            fields.insert("receiver".into(), Value::Object(self::fields(&audit)));
            problem
        }
        Some(Err(error)) => Some(error.into()),
    };
    let error = match (ours, theirs) {
        (None, None) => return ctx.out.done(Value::Object(fields)),
        (Some(ours), Some(theirs)) => ours.at(theirs.message).hint(hint),
        (Some(ours), None) => ours.hint(hint),
        (None, Some(theirs)) if theirs.code == ErrorCode::Damaged => theirs.hint(RECEIVER),
        (None, Some(theirs)) => theirs,
    };
    Err(with_fields(error, fields))
}

/// Reads everything in a server's file, of all domains.
pub fn check_server(path: &Path, ctx: &mut Ctx) -> Result<(), CliError> {
    let space = SqliteSpace::open(path, Domain::Client)?;
    let audit = space.audit()?;
    match report(&audit, path, ctx)? {
        None => ctx.out.done(Value::Object(fields(&audit))),
        Some(error) => Err(with_fields(error, fields(&audit))
            .hint("restore the file from a copy, then let each person sync from every device")),
    }
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

/// Prints the assertions; returns the failure where one does not hold.
fn report(audit: &Audit, path: &Path, ctx: &mut Ctx) -> Result<Option<CliError>, CliError> {
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
    if audit.is_good() {
        return Ok(None);
    }
    let message = format!("{} is damaged: {all} problems", path.display());
    Ok(Some(CliError::new(ErrorCode::Damaged, printable(&message))))
}

/// What was read, and what must hold of it.
fn fields(audit: &Audit) -> Map<String, Value> {
    let read = &audit.read;
    let mut fields = Map::new();
    fields.insert("ibGibs".into(), read.ibgibs.into());
    fields.insert("timelines".into(), read.timelines.into());
    fields.insert("bytes".into(), read.bytes.into());
    fields.insert("assertions".into(), assertions(audit));
    fields
}

fn with_fields(error: CliError, fields: Map<String, Value>) -> CliError {
    fields.into_iter().fold(error, |error, (name, field)| error.detail(&name, field))
}

fn line(ctx: &mut Ctx, n: usize, what: &str, ok: bool) -> Result<(), CliError> {
    let verdict = if ok { "ok" } else { "FAILED" };
    ctx.out.line(format_args!("{n}  {what:<58} {verdict}"))
}
