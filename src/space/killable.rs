//! A space as a process sees it that may be killed at any write.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::rows::{Backend, Rows, RowsMut};
use super::{MemorySpace, SpaceError};

/// Tells whether a process lives, and at which of its next writes it is killed.
#[derive(Debug, Default)]
pub struct KillSwitch {
    is_dead: AtomicBool,
    /// Transactions until the kill, each with a half before its commit and one after; 0 for none.
    halves: AtomicU64,
    commits: AtomicU64,
}

impl KillSwitch {
    /// How many transactions it committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Whether the process was killed.
    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Kills it now.
    pub fn kill(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// Kills it at its `writes`-th next transaction: before the commit, or right after it.
    pub fn kill_at_write(&self, writes: u64, after_commit: bool) {
        self.halves.store(writes.max(1) * 2 - u64::from(!after_commit), Ordering::Relaxed);
    }

    /// One half of a transaction passes; whether the process is dead then.
    fn pass(&self) -> bool {
        match self.halves.load(Ordering::Relaxed) {
            0 => {}
            1 => {
                self.halves.store(0, Ordering::Relaxed);
                self.kill();
            }
            left => self.halves.store(left - 1, Ordering::Relaxed),
        }
        self.is_dead()
    }
}

/// A space in memory that stands for a file on a disk, as one process has it open. What was
/// committed outlives the process, what was not is gone with it; after its kill every call errors.
///
/// For simulations: what a kill leaves of a SQLite file is for SQLite, and is tried by killing
/// processes.
#[derive(Clone)]
pub struct KillableSpace {
    disk: Arc<MemorySpace>,
    switch: Arc<KillSwitch>,
}

impl KillableSpace {
    /// The space of `disk`, for a process that `switch` tells of.
    pub fn new(disk: Arc<MemorySpace>, switch: Arc<KillSwitch>) -> KillableSpace {
        KillableSpace { disk, switch }
    }
}

fn killed() -> SpaceError {
    let source = std::io::Error::other("the process was killed");
    SpaceError::Io { what: "use", path: PathBuf::from("(memory)"), source }
}

impl Backend for KillableSpace {
    fn read<R>(&self, f: impl FnOnce(&dyn Rows) -> Result<R, SpaceError>) -> Result<R, SpaceError> {
        match self.switch.is_dead() {
            true => Err(killed()),
            false => self.disk.read(f),
        }
    }

    fn write<R>(
        &self,
        f: impl FnOnce(&mut dyn RowsMut) -> Result<R, SpaceError>,
    ) -> Result<R, SpaceError> {
        if self.switch.is_dead() {
            return Err(killed());
        }
        let written = self.disk.write(|rows| {
            let done = f(rows)?;
            match self.switch.pass() {
                true => Err(killed()),
                false => Ok(done),
            }
        })?;
        self.switch.commits.fetch_add(1, Ordering::Relaxed);
        match self.switch.pass() {
            true => Err(killed()),
            false => Ok(written),
        }
    }
}
