//! The floor: the least that storing the same ibGibs takes.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sync_gib::space::{Prepared, PutOpts, Space, SqliteSpace};

use crate::Result;
use crate::process;

/// The argument by which the bench runs itself as the floor's process.
pub const FLAG: &str = "--floor-process";

/// Reads NDJSON, hashes every ibGib and puts all in one transaction, streaming.
pub fn run(ndjson: &Path, space: &Path) -> Result<()> {
    let space = SqliteSpace::create_if_missing(space, "")?;
    let lines = BufReader::with_capacity(256 << 10, File::open(ndjson)?).lines();
    let mut failed = None;
    let mut batch = lines
        .map_while(|line| line.map_err(|error| failed = Some(error)).ok())
        .map(|line| Ok(Prepared::from_json(&line)?));
    space.put(&mut batch, &PutOpts::default())?;
    drop(batch);
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// How long a process of its own takes for that, and its peak memory.
pub fn measure(ndjson: &Path, dir: &Path) -> Result<(Duration, u64)> {
    let space = dir.join("floor.db");
    let mut command = Command::new(std::env::current_exe()?);
    let ran = process::run(command.arg(FLAG).arg(ndjson).arg(&space), true)?;
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(dir.join(format!("floor.db{end}")));
    }
    Ok((ran.time, ran.peak))
}
