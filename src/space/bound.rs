//! How much a space may hold, checked in the very transaction that adds to it.

use super::SpaceError;
use super::rows::Rows;

/// How many bytes of JSON are added before the file is measured again.
const MEASURED: u64 = 1 << 20;

/// How much there may be after a put (docs/protocol.md, section 5, "Quotas"); none for any amount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound {
    /// Bytes of JSON that the domain holds, of every kind.
    pub domain: Option<u64>,
    /// Bytes of the whole file that are in use.
    pub file: Option<u64>,
}

impl Bound {
    /// Errors with [`SpaceError::OverQuota`] or [`SpaceError::FileBound`] where `more` bytes of JSON
    /// would not fit.
    pub(super) fn check(&self, rows: &dyn Rows, more: u64) -> Result<(), SpaceError> {
        if self.domain.is_some() {
            self.check_domain(rows.count()?.bytes.saturating_add(more))?;
        }
        self.check_file(rows, more)
    }

    fn check_domain(&self, bytes: u64) -> Result<(), SpaceError> {
        match self.domain {
            Some(most) if bytes > most => Err(SpaceError::OverQuota { most }),
            _ => Ok(()),
        }
    }

    fn check_file(&self, rows: &dyn Rows, more: u64) -> Result<(), SpaceError> {
        match self.file {
            Some(most) if rows.file_bytes()?.saturating_add(more) > most => {
                Err(SpaceError::FileBound { most })
            }
            _ => Ok(()),
        }
    }
}

/// A bound while a put adds to what was there before.
#[derive(Debug)]
pub(super) struct Room {
    bound: Bound,
    /// Bytes of the domain before the put.
    before: u64,
    /// What was added when the file was measured last.
    measured: u64,
}

impl Room {
    pub(super) fn new(bound: Bound, rows: &dyn Rows) -> Result<Room, SpaceError> {
        let before = if bound.domain.is_some() { rows.count()?.bytes } else { 0 };
        Ok(Room { bound, before, measured: 0 })
    }

    /// Checks after an ibGib was added; `added` are the bytes of all that the put added so far.
    pub(super) fn check(&mut self, rows: &dyn Rows, added: u64) -> Result<(), SpaceError> {
        self.bound.check_domain(self.before.saturating_add(added))?;
        if added - self.measured < MEASURED {
            return Ok(());
        }
        self.measured = added;
        self.bound.check_file(rows, 0)
    }

    /// Checks once all is added.
    pub(super) fn check_end(&self, rows: &dyn Rows) -> Result<(), SpaceError> {
        self.bound.check_file(rows, 0)
    }
}
