//! Where what arrives stands until it is put in one transaction.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ibgib::{Addr, AddrKey, IbGib};

use super::{Prepared, Space, SpaceError, SpaceExt};

/// How many bytes gather before they are written, and are read at once.
const BUFFER: usize = 256 << 10;
/// The bytes of a record before its relations: its length, its checksum, its key, flags, `n`,
/// three places of relations, and three lengths.
const HEAD: usize = 4 + 4 + 16 + 1 + 8 + 3 * 4 + 3 * 4;

const IS_TJP: u8 = 1;
const IS_DNA: u8 = 2;
const HAS_N: u8 = 4;
const IS_VALID_STEP: u8 = 8;
const NO_PLACE: u32 = u32::MAX;

/// IbGibs on their way into a space, in a temporary file that has no name: a crash leaves
/// nothing behind. In memory it keeps a key and a place of each.
pub struct Stage {
    dir: PathBuf,
    places: HashMap<AddrKey, u64>,
    bytes: u64,
    tape: Mutex<Tape>,
}

/// The file and what is not written to it yet.
struct Tape {
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
        let tape = Mutex::new(Tape { file, written: 0, pending: Vec::new() });
        Stage { dir: dir.to_owned(), places: HashMap::new(), bytes: 0, tape }
    }

    /// How many bytes of the file an ibGib takes.
    pub fn size_of(item: &Prepared) -> u64 {
        record_len(item) as u64
    }

    /// Adds an ibGib; false where it is here already.
    pub fn push(&mut self, item: Prepared) -> Result<bool, SpaceError> {
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let place = tape.end();
        if self.places.contains_key(&item.key) {
            return Ok(false);
        }
        encode(&item, place, &mut tape.pending);
        self.places.insert(item.key, place);
        self.bytes += item.text.len() as u64;
        if tape.pending.len() >= BUFFER {
            tape.flush().map_err(SpaceError::io("write a file in", &self.dir))?;
        }
        Ok(true)
    }

    /// Writes to the file what is still in memory.
    pub fn flush(&self) -> Result<(), SpaceError> {
        self.tape().flush().map_err(SpaceError::io("write a file in", &self.dir))
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

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> SpaceError {
        let error = std::io::Error::other("it no longer holds what was written to it");
        SpaceError::io("read back a file in", &self.dir)(error)
    }
}

impl Tape {
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
        let mut tape = self.stage.tape();
        while self.buffer.len() < len {
            let before = self.buffer.len();
            let most = self.chunk.max(len - before);
            let read = tape.read(self.next, most, &mut self.buffer);
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
        if self.place == self.stage.tape().end() {
            return Ok(None);
        }
        let changed = || self.stage.changed();
        if !self.fill(4)? {
            return Err(changed());
        }
        let len = Fields(&self.buffer[self.used..]).len().unwrap_or(0);
        if len < HEAD || len as u64 > self.stage.tape().end() - self.place || !self.fill(len)? {
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

/// What a record says after its length and checksum, and where it stands, as a number: an error of
/// the disk is noticed by it. It keeps nobody out, nor need it: the file has no name.
fn checksum(place: u64, said: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(said);
    hasher.finalize()
}

fn record_len(item: &Prepared) -> usize {
    HEAD + item.rel8ds.len() * 16 + item.addr.as_str().len() + item.text.len()
}

fn encode(item: &Prepared, place: u64, out: &mut Vec<u8>) {
    let addr = item.addr.as_str();
    let len = record_len(item);
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    // Lengths fit: an ibGib has at most `MAX_IBGIB_BYTES` bytes.
    let word = |len: usize| (len as u32).to_le_bytes();
    out.reserve(len);
    let from = out.len();
    out.extend(word(len));
    out.extend([0; 4]);
    out.extend(item.key.0);
    out.push(
        flag(item.is_tjp, IS_TJP)
            | flag(item.is_dna, IS_DNA)
            | flag(item.n.is_some(), HAS_N)
            | flag(item.is_valid_step, IS_VALID_STEP),
    );
    out.extend(item.n.unwrap_or(0).to_le_bytes());
    for place in [item.tjp, item.prev, item.orphan] {
        out.extend(place.unwrap_or(NO_PLACE).to_le_bytes());
    }
    out.extend(word(item.rel8ds.len()));
    out.extend(word(addr.len()));
    out.extend(word(item.text.len()));
    for key in &item.rel8ds {
        out.extend(key.0);
    }
    out.extend(addr.as_bytes());
    out.extend(item.text.as_bytes());
    let checksum = checksum(place, &out[from + 8..]);
    out[from + 4..from + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// Bytes that are taken off from the front.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn len(&mut self) -> Option<usize> {
        usize::try_from(self.word()?).ok()
    }

    fn text(&mut self, len: usize) -> Option<&'a str> {
        std::str::from_utf8(self.bytes(len)?).ok()
    }
}

/// Reads the record at a place; none where it is not what was written there.
fn decode(record: &[u8], place: u64) -> Option<Prepared> {
    let mut fields = Fields(record);
    fields.len()?;
    if fields.array().map(u32::from_le_bytes)? != checksum(place, fields.0) {
        return None;
    }
    let key = AddrKey(fields.array()?);
    let [flags] = fields.array()?;
    let n = fields.array().map(u64::from_le_bytes)?;
    let mut place = || fields.word().map(|place| Some(place).filter(|place| *place != NO_PLACE));
    let (tjp, prev, orphan) = (place()?, place()?, place()?);
    let (rel8ds_len, addr_len, text_len) = (fields.len()?, fields.len()?, fields.len()?);
    let (keys, _) = fields.bytes(rel8ds_len.checked_mul(16)?)?.as_chunks::<16>();
    Some(Prepared {
        key,
        n: Some(n).filter(|_| flags & HAS_N != 0),
        is_tjp: flags & IS_TJP != 0,
        is_dna: flags & IS_DNA != 0,
        is_valid_step: flags & IS_VALID_STEP != 0,
        rel8ds: keys.iter().copied().map(AddrKey).collect(),
        tjp,
        prev,
        orphan,
        addr: Addr::parse(fields.text(addr_len)?).ok()?,
        text: fields.text(text_len)?.into(),
    })
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::space::MemorySpace;
    use crate::space::tests::world::World;

    fn stage() -> (tempfile::TempDir, Stage) {
        let dir = tempfile::tempdir().unwrap();
        let stage = Stage::new(dir.path()).unwrap();
        (dir, stage)
    }

    #[test]
    fn what_was_pushed_comes_back_as_it_was() {
        let (dir, mut stage) = stage();
        let mut world = World::default();
        let timeline = world.timeline("x");
        for i in 0..300 {
            world.edit(timeline, json!({ "text": "a".repeat(i * 20), "i": i }));
        }
        let items: Vec<Prepared> =
            world.all().iter().map(|ibgib| Prepared::new(ibgib).unwrap()).collect();
        for item in &items {
            assert!(stage.push(item.clone()).unwrap());
            assert!(!stage.push(item.clone()).unwrap(), "it is there already");
        }
        assert!(stage.bytes() > BUFFER as u64, "enough for the file to be used");
        let back: Vec<Prepared> = stage.iter().map(Result::unwrap).collect();
        assert_eq!(back, items);
        for ibgib in world.all() {
            assert_eq!(stage.get(&ibgib.addr().unwrap()).unwrap().as_ref(), Some(ibgib));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn a_file_that_was_changed_gives_what_was_pushed_or_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut world = World::default();
        let timeline = world.timeline("x");
        world.edit(timeline, json!({ "text": "a" }));
        let items: Vec<Prepared> =
            world.all().iter().map(|ibgib| Prepared::new(ibgib).unwrap()).collect();
        let mut file = tempfile::tempfile_in(dir.path()).unwrap();
        let mut stage = Stage::in_file(file.try_clone().unwrap(), dir.path());
        for item in &items {
            stage.push(item.clone()).unwrap();
        }
        stage.flush().unwrap();
        let mut written = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut written).unwrap();
        let mut write = |bytes: &[u8]| {
            file.set_len(0).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.write_all(bytes).unwrap();
        };
        for at in 0..written.len() {
            let mut changed = written.clone();
            changed[at] ^= 1;
            write(&changed);
            let read: Vec<_> = stage.iter().take_while(Result::is_ok).map(Result::unwrap).collect();
            assert!(read.len() < items.len(), "byte {at}: nobody is told");
            assert_eq!(read, items[..read.len()], "byte {at}: what comes before is right");
        }
        for len in 0..written.len() {
            write(&written[..len]);
            assert!(stage.iter().any(|item| item.is_err()), "{len} bytes: nobody is told");
        }
        write(&written);
        assert_eq!(stage.iter().map(Result::unwrap).collect::<Vec<_>>(), items);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_as_that() {
        let dir = tempfile::tempdir().unwrap();
        let full = File::options().read(true).write(true).open("/dev/full").unwrap();
        let mut stage = Stage::in_file(full, dir.path());
        stage.push(Prepared::new(&World::default().stone("a")).unwrap()).unwrap();
        let error = stage.flush().unwrap_err();
        assert!(matches!(error, SpaceError::Full(_)), "{error:?}");
    }

    #[test]
    fn an_overlay_shows_both() {
        let (_dir, mut stage) = stage();
        let mut world = World::default();
        let (here, staged, nowhere) = (world.stone("a"), world.stone("b"), world.stone("c"));
        let space = MemorySpace::new();
        space.put_all(std::slice::from_ref(&here)).unwrap();
        stage.push(Prepared::new(&staged).unwrap()).unwrap();
        let overlay = Overlay { stage: &stage, space: &space };
        for ibgib in [here, staged] {
            let addr = ibgib.addr().unwrap();
            assert!(overlay.has(&addr).unwrap());
            assert_eq!(overlay.get(&addr).unwrap(), Some(ibgib));
        }
        assert!(!overlay.has(&nowhere.addr().unwrap()).unwrap());
    }
}
