//! How many files a server may have open.

use super::ServerOpts;
use super::state::WORKERS;

/// What a worker may have open at the same time: a connection to the space is the file, its log
/// and the log's index.
const FILES_PER_WORKER: u64 = 3;
/// What a process has open anyway.
const OTHERS: u64 = 64;

/// How many files a server with these options has open at most. A socket that proved an identity
/// has a second one, for what it brings, and two that keep that: one is read, one is written.
pub fn files_needed(opts: &ServerOpts) -> u64 {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let sockets = count(opts.max_sockets).saturating_mul(4);
    let sockets = sockets.saturating_add(count(opts.max_unproved));
    // And what drops old sessions.
    let others = (count(WORKERS) + 1) * FILES_PER_WORKER + OTHERS;
    sockets.saturating_add(count(opts.max_connections)).saturating_add(others)
}

/// Raises this process's limit of open files to `needed`, as far as the system lets it. Returns
/// what the limit is where that is less.
#[cfg(unix)]
pub fn raise_file_limit(needed: u64) -> Result<(), u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < needed) else { return Ok(()) };
    let wanted = limit.maximum.map_or(needed, |most| most.min(needed));
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    let reached = setrlimit(Resource::Nofile, raised).map_or(current, |()| wanted);
    if reached < needed { Err(reached) } else { Ok(()) }
}

/// Nothing bounds open files here.
#[cfg(not(unix))]
pub fn raise_file_limit(_needed: u64) -> Result<(), u64> {
    Ok(())
}
