//! Connections to one file that its users share.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::blocks::Blocks;
use super::{File, SqliteSpace};
use crate::space::exclusive::Exclusive;
use crate::space::{Domain, SpaceError};

/// Connections to one file, for a server: one is taken for as long as something reads or writes,
/// and given back, so that there are never more than there are users at the same time.
///
/// A connection that waits here keeps little memory; the one that writes has more for as long as
/// it does, and SQLite lets one write at a time.
///
/// Not `r2d2` or `deadpool`: the server's workers already bound how many connections are taken, so
/// that nobody waits here. `r2d2` keeps threads of its own and tells why a file does not open as a
/// text alone; `deadpool` is waited for in tasks, and a space is opened on threads.
#[derive(Debug)]
pub struct Pool {
    path: PathBuf,
    most_idle: usize,
    idle: Mutex<Vec<Arc<File>>>,
    turn: Arc<Exclusive<()>>,
    blocks: Arc<Blocks>,
}

impl Pool {
    /// Opens a file, or makes it where it is missing. Up to `most_idle` connections wait for the
    /// next user, one always. Errors as [`SqliteSpace::create_if_missing`] does.
    pub fn create_if_missing(path: &Path, most_idle: usize) -> Result<Arc<Pool>, SpaceError> {
        let turn = Arc::<Exclusive<()>>::default();
        let blocks = Arc::<Blocks>::default();
        let first = File::open(path, true, Some(Arc::clone(&turn)), Arc::clone(&blocks))?;
        let (path, idle) = (path.to_owned(), Mutex::new(vec![Arc::new(first)]));
        Ok(Arc::new(Pool { path, most_idle: most_idle.max(1), idle, turn, blocks }))
    }

    /// The space of the domain `domain`, on a connection of its own until it is dropped. Errors
    /// as [`SqliteSpace::open`] does.
    pub fn space(self: &Arc<Pool>, domain: impl Into<Domain>) -> Result<Pooled, SpaceError> {
        let waiting = self.idle().pop();
        let file = match waiting {
            Some(file) => file,
            None => {
                let (turn, blocks) = (Arc::clone(&self.turn), Arc::clone(&self.blocks));
                Arc::new(File::open(&self.path, false, Some(turn), blocks)?)
            }
        };
        Ok(Pooled { space: SqliteSpace::on(file, domain), pool: Arc::clone(self) })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Arc<File>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A space on a connection of a [`Pool`], to which it goes back when this is dropped.
#[derive(Debug)]
pub struct Pooled {
    space: SqliteSpace,
    pool: Arc<Pool>,
}

impl Deref for Pooled {
    type Target = SqliteSpace;

    fn deref(&self) -> &SqliteSpace {
        &self.space
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut idle = self.pool.idle();
        if idle.len() < self.pool.most_idle {
            idle.push(Arc::clone(&self.space.file));
        }
    }
}
