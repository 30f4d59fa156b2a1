//! The one place in a process from which a file is written.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::KeptFolder;

/// A file that this process has locked, for as long as one of its sessions has it.
#[derive(Debug)]
pub(super) struct Holder {
    at: Mutex<At>,
}

#[derive(Debug)]
struct At {
    file: File,
    bytes: u64,
    /// The number of the session that writes.
    writer: u64,
}

impl Holder {
    /// Of a file of `bytes` that is locked.
    pub(super) fn new(file: File, bytes: u64) -> Holder {
        Holder { at: Mutex::new(At { file, bytes, writer: 0 }) }
    }

    /// The number by which a session writes from now on, and nobody else.
    pub(super) fn take(&self) -> u64 {
        let mut at = self.lock();
        at.writer += 1;
        at.writer
    }

    /// How many bytes the file has.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Writes after the first `after` bytes, in place of what follows these. Returns false where there
    /// is no room, or another session writes.
    pub(super) fn write(
        &self,
        folder: &KeptFolder,
        number: u64,
        after: u64,
        lines: &[u8],
    ) -> std::io::Result<bool> {
        let mut at = self.lock();
        if at.writer != number || at.bytes < after {
            return Ok(false);
        }
        if at.bytes > after {
            at.file.set_len(after)?;
            folder.give_back(at.bytes - after);
            at.bytes = after;
        }
        if !folder.take(after, lines.len() as u64) {
            return Ok(false);
        }
        at.bytes += lines.len() as u64;
        at.file.write_all(lines)?;
        Ok(true)
    }

    /// Whether this is the session that writes.
    pub(super) fn is_written_by(&self, number: u64) -> bool {
        self.lock().writer == number
    }

    /// Removes the file, after which nobody writes to it.
    pub(super) fn remove(&self, folder: &KeptFolder, path: &Path) -> std::io::Result<()> {
        let mut at = self.lock();
        at.writer += 1;
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        folder.give_back(std::mem::take(&mut at.bytes));
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
