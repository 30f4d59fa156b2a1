//! `put`: ibGibs from NDJSON into the space, all or none.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Ctx;
use super::error::CliError;
use super::input::{at, stdin_texts};
use super::output::size;
use super::progress::Progress;
use crate::ibgib::{Addr, AddrKey, IbGibError};
use crate::space::{Ahead, Prepared, PutOpts, Space, SpaceError, ahead};

/// Import ibGibs (NDJSON on standard input), all or none.
///
/// Every ibGib is hashed again, and the space must still be closed afterwards: nothing may relate
/// to a missing ibGib. Input is best ordered dependencies first, as `graph --format ndjson` prints
/// it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sync-gib graph X --format ndjson | sync-gib --home /other put\n  \
    zcat backup.ndjson.gz | sync-gib put --json")]
pub struct PutArgs {}

/// Puts what standard input holds. Errors name the line and the address, where one is to blame.
pub fn run(_: &PutArgs, ctx: &mut Ctx) -> Result<(), CliError> {
    put(ctx).map_err(|error| error.or_detail("line", Value::Null))
}

fn put(ctx: &mut Ctx) -> Result<(), CliError> {
    let space = ctx.create_space(None)?;
    let progress = Progress::new(&ctx.out, "put", None);
    let texts =
        stdin_texts().map(|text| text.map(|text| (text.line, Prepared::from_json(&text.text))));
    let size_of = |text: &Text| match text {
        Ok((_, Ok(item))) => item.text().len(),
        _ => 0,
    };
    // What reads may wait for more when the put has failed already, and is not waited for then.
    let texts =
        ahead(texts, size_of).map_err(|error| CliError::io("cannot start a thread", &error))?;
    let mut reading = Reading::new(texts, progress);
    let put = space.put(&mut reading, &PutOpts::default());
    let Reading { lines, failed, .. } = reading;
    if let Some(error) = failed {
        return Err(error);
    }
    let report = put.map_err(|error| placed(error, &lines))?;
    let stored = size(report.bytes);
    ctx.out.line(format_args!("{} new ({stored}), {} known", report.new, report.known))?;
    ctx.out.done(json!({"new": report.new, "known": report.known, "bytes": report.bytes}))
}

/// A line and what was parsed and hashed there, or why nothing more can be read.
type Text = Result<(u64, Result<Prepared, IbGibError>), CliError>;

/// The batch: what another thread parses and hashes.
struct Reading {
    texts: Ahead<Text>,
    /// The line of each ibGib, for errors that come later.
    lines: HashMap<AddrKey, u64>,
    /// What ended the reading early.
    failed: Option<CliError>,
    bytes: u64,
    progress: Progress,
}

impl Reading {
    fn new(texts: Ahead<Text>, progress: Progress) -> Reading {
        Reading { texts, lines: HashMap::new(), failed: None, bytes: 0, progress }
    }

    fn read(&mut self) -> Option<Result<Prepared, CliError>> {
        let (line, prepared) = match self.texts.next()? {
            Ok(text) => text,
            Err(error) => return Some(Err(error)),
        };
        let failed = |error| CliError::from(error).at(at(line)).detail("line", line);
        Some(prepared.map_err(failed).inspect(|item| {
            self.lines.insert(item.key(), line);
            self.bytes += item.text().len() as u64;
            self.progress.at(self.bytes, self.lines.len() as u64);
        }))
    }
}

impl Iterator for Reading {
    type Item = Result<Prepared, SpaceError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.read()?.map_err(|error| {
            self.failed = Some(error);
            // Only ends the put; what is told is `failed`.
            SpaceError::IbGib(IbGibError::Shape("it could not be read"))
        }))
    }
}

/// The error with the line of the ibGib that it is about, where that came from the input.
fn placed(error: SpaceError, lines: &HashMap<AddrKey, u64>) -> CliError {
    let line = culprit(&error).and_then(|addr| lines.get(&addr.key())).copied();
    let error = CliError::from(error);
    match line {
        Some(line) => error.at(at(line)).detail("line", line),
        None => error,
    }
}

fn culprit(error: &SpaceError) -> Option<&Addr> {
    match error {
        SpaceError::Missing { wanted_by: addr, .. }
        | SpaceError::Diverged { frame: addr, .. }
        | SpaceError::KeystoneFork { frame: addr, .. }
        | SpaceError::KeystoneInvalid { addr, .. }
        | SpaceError::NDoesNotGrow { addr, .. }
        | SpaceError::NotATjp { addr, .. }
        | SpaceError::NoPast { addr, .. } => Some(addr),
        _ => None,
    }
}
