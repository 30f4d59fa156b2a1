//! Where what arrives stands until it is put in one transaction.

mod record;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ibgib::{Addr, AddrKey, IbGib};

use super::{Prepared, Space, SpaceError, SpaceExt};
use record::{HEAD, declared_len, decode, encode, record_len};

/// How many bytes gather before they are written, and are read at once.
const BUFFER: usize = 256 << 10;

/// IbGibs on their way into a space, in a temporary file that has no name: a crash leaves
/// nothing behind. In memory it keeps a key and a place of each.
pub struct Stage {
    dir: PathBuf,
    places: HashMap<AddrKey, u64>,
    bytes: u64,
    spool: Mutex<Spool>,
}

/// The file and what is not written to it yet.
struct Spool {
    file: File,
    written: u64,
    pending: Vec<u8>,
}

impl Stage {
    /// An empty stage whose file lies in `dir`.
    pub fn new(dir: &Path) -> Result<Stage, SpaceError> {
        let file = tempfile::tempfile_in(dir).map_err(SpaceError::io("make a file in", dir))?;
        Ok(Stage::in_file(file, dir))
    }

    /// An empty stage in a file that is empty; errors name `dir` as its folder.
    pub fn in_file(file: File, dir: &Path) -> Stage {
        let spool = Mutex::new(Spool { file, written: 0, pending: Vec::new() });
        Stage { dir: dir.to_owned(), places: HashMap::new(), bytes: 0, spool }
    }

    /// How many bytes of the file an ibGib takes.
    pub fn size_of(item: &Prepared) -> u64 {
        record_len(item) as u64
    }

    /// Adds an ibGib; false where it is here already.
    pub fn push(&mut self, item: Prepared) -> Result<bool, SpaceError> {
        let mut spool = self.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let place = spool.end();
        if self.places.contains_key(&item.key) {
            return Ok(false);
        }
        let written = encode(&item, place, &mut spool.pending).map_err(std::io::Error::other);
        written.map_err(SpaceError::io("write a file in", &self.dir))?;
        self.places.insert(item.key, place);
        self.bytes += item.text.len() as u64;
        if spool.pending.len() >= BUFFER {
            spool.flush().map_err(SpaceError::io("write a file in", &self.dir))?;
        }
        Ok(true)
    }

    /// Writes to the file what is still in memory.
    pub fn flush(&self) -> Result<(), SpaceError> {
        self.spool().flush().map_err(SpaceError::io("write a file in", &self.dir))
    }

    /// How many ibGibs are here.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether nothing is here.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many bytes of JSON are here.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether an ibGib is here.
    pub fn contains(&self, key: &AddrKey) -> bool {
        self.places.contains_key(key)
    }

    /// The ibGib with an address; none where it is not here. Errors where the file no longer
    /// holds what was pushed.
    pub fn get(&self, addr: &Addr) -> Result<Option<IbGib>, SpaceError> {
        let Some(place) = self.places.get(&addr.key()) else { return Ok(None) };
        let mut reader = Reader::at(self, *place, 4 << 10);
        match reader.next().transpose()? {
            Some(item) => Ok(Some(IbGib::from_json(&item.text)?)),
            None => Err(self.changed()),
        }
    }

    /// Everything in the order of arrival, ready for [`Space::put`]; an error where the file no
    /// longer holds what was pushed.
    pub fn iter(&self) -> impl Iterator<Item = Result<Prepared, SpaceError>> + use<'_> {
        Reader::at(self, 0, BUFFER)
    }

    fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> SpaceError {
        let error = std::io::Error::other("it no longer holds what was written to it");
        SpaceError::io("read back a file in", &self.dir)(error)
    }
}

impl Spool {
    /// Where the next record goes.
    fn end(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(self.written))?;
        self.file.write_all(&self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Appends up to `most` bytes from `place` to `out`; nothing at the end.
    fn read(&mut self, place: u64, most: usize, out: &mut Vec<u8>) -> std::io::Result<()> {
        if place < self.written {
            self.file.seek(SeekFrom::Start(place))?;
            let most = (self.written - place).min(most as u64);
            (&mut self.file).take(most).read_to_end(out)?;
            return Ok(());
        }
        let from = usize::try_from(place - self.written).unwrap_or(usize::MAX);
        let rest = self.pending.get(from..).unwrap_or_default();
        out.extend_from_slice(&rest[..rest.len().min(most)]);
        Ok(())
    }
}

/// Reads records one after another.
struct Reader<'a> {
    stage: &'a Stage,
    /// Where the bytes after the buffer begin.
    next: u64,
    /// Where the next record begins.
    place: u64,
    buffer: Vec<u8>,
    /// How much of the buffer was given out.
    used: usize,
    chunk: usize,
}

impl<'a> Reader<'a> {
    fn at(stage: &'a Stage, place: u64, chunk: usize) -> Reader<'a> {
        Reader { stage, next: place, place, buffer: Vec::new(), used: 0, chunk }
    }

    /// Whether `len` unused bytes are in the buffer, after reading more.
    fn fill(&mut self, len: usize) -> Result<bool, SpaceError> {
        if self.buffer.len() - self.used >= len {
            return Ok(true);
        }
        self.buffer.drain(..self.used);
        self.used = 0;
        let mut spool = self.stage.spool();
        while self.buffer.len() < len {
            let before = self.buffer.len();
            let most = self.chunk.max(len - before);
            let read = spool.read(self.next, most, &mut self.buffer);
            read.map_err(SpaceError::io("read back a file in", &self.stage.dir))?;
            let read = self.buffer.len() - before;
            if read == 0 {
                return Ok(false);
            }
            self.next += read as u64;
        }
        Ok(true)
    }

    fn read(&mut self) -> Result<Option<Prepared>, SpaceError> {
        if self.place == self.stage.spool().end() {
            return Ok(None);
        }
        let changed = || self.stage.changed();
        if !self.fill(4)? {
            return Err(changed());
        }
        let len = declared_len(&self.buffer[self.used..]).unwrap_or(0);
        if len < HEAD || len as u64 > self.stage.spool().end() - self.place || !self.fill(len)? {
            return Err(changed());
        }
        let record = &self.buffer[self.used..self.used + len];
        let item = decode(record, self.place).ok_or_else(changed)?;
        self.used += len;
        self.place += len as u64;
        Ok(Some(item))
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Prepared, SpaceError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// A space with what is staged laid over it: what the space would hold after the put.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    /// What is to be put.
    pub stage: &'a Stage,
    /// What is there.
    pub space: &'a dyn Space,
}

impl Overlay<'_> {
    /// The ibGib with an address, from the stage or else from the space.
    pub fn get(&self, addr: &Addr) -> Result<Option<IbGib>, SpaceError> {
        match self.stage.get(addr)? {
            Some(ibgib) => Ok(Some(ibgib)),
            None => self.space.get(addr),
        }
    }

    /// Whether stage or space hold an address.
    pub fn has(&self, addr: &Addr) -> Result<bool, SpaceError> {
        Ok(self.stage.contains(&addr.key()) || self.space.find(addr)?.is_some())
    }
}

#[cfg(test)]
mod tests;
