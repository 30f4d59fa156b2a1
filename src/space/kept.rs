//! What arrived of a payload that was cut, kept on disk for the session that comes next
//! (docs/protocol.md, section 6, "Resume").

mod folder;
mod holder;

pub use folder::KeptFolder;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use super::SpaceError;
use crate::ibgib::MAX_IBGIB_BYTES;
use holder::Holder;

/// Texts in their order of arrival, one a line, in a file that belongs to one domain; an empty line
/// ends a turn. A session goes through it from its beginning: what it does not name is dropped once
/// something else comes. One session at a time writes to it; it is taken over from one that still
/// seems to go on by another that names what is in it. Nothing in it is trusted: a text that is
/// read back is to be hashed like one that just came.
#[derive(Debug)]
pub struct Kept {
    reader: File,
    path: PathBuf,
    folder: KeptFolder,
    /// How many of its bytes were named by this session, or came in it.
    named: u64,
    place: Place,
    /// Whether something that came is not here, so that nothing may follow.
    is_ended: bool,
}

/// How a session stands to the file.
#[derive(Debug)]
enum Place {
    /// It only reads so far.
    Reads,
    /// It writes, under this number.
    Writes(Arc<Holder>, u64),
    /// Another session does, from which it is not taken over.
    Left,
}

impl Kept {
    /// The texts of the turn that comes next, which end where one of them is torn, too long or no
    /// text.
    pub fn texts(&self) -> Result<impl Iterator<Item = Result<Box<str>, SpaceError>>, SpaceError> {
        let mut file = &self.reader;
        file.seek(SeekFrom::Start(self.named)).map_err(self.failed("read"))?;
        let mut reader = BufReader::with_capacity(256 << 10, file);
        let line = move || line(&mut reader).map_err(self.failed("read")).transpose();
        Ok(std::iter::from_fn(line).take_while(|text| !matches!(text, Ok(text) if text.is_empty())))
    }

    /// Names texts that were read from here, which stay for the session after this one.
    pub fn name(&mut self, texts: &[Box<str>]) {
        self.named += texts.iter().map(|text| text.len() as u64 + 1).sum::<u64>();
        // Where it cannot be written to, it is read all the same.
        if matches!(self.place, Place::Reads) && self.take_place(true).is_err() {
            self.place = Place::Left;
        }
    }

    /// Adds texts and ends of turns, each a line, that came after what was named, in place of what is
    /// here beyond that. Returns false where they or earlier ones had no room, or another session
    /// writes: what is kept stays a beginning of what arrived.
    pub fn append(&mut self, lines: &str) -> Result<bool, SpaceError> {
        if matches!(self.place, Place::Reads) {
            self.take_place(self.named > 0)?;
        }
        let Place::Writes(holder, number) = &self.place else { return Ok(false) };
        if self.is_ended {
            return Ok(false);
        }
        let written = holder.write(&self.folder, *number, self.named, lines.as_bytes());
        self.is_ended = !written.map_err(self.failed("write"))?;
        if !self.is_ended {
            self.named += lines.len() as u64;
        }
        Ok(!self.is_ended)
    }

    /// How many bytes of it were named, or came.
    pub fn named(&self) -> u64 {
        self.named
    }

    /// Names the end of a turn, where one follows what was named. Returns whether it does.
    pub fn name_end(&mut self) -> Result<bool, SpaceError> {
        let mut next = [0];
        let mut file = &self.reader;
        file.seek(SeekFrom::Start(self.named)).map_err(self.failed("read"))?;
        let is_end = file.read(&mut next).map_err(self.failed("read"))? == 1 && next == *b"\n";
        self.named += u64::from(is_end);
        Ok(is_end)
    }

    /// Removes the file where this session is the one that writes to it.
    pub fn remove(self) -> Result<(), SpaceError> {
        let Place::Writes(holder, number) = &self.place else { return Ok(()) };
        if !holder.is_written_by(*number) {
            return Ok(());
        }
        self.folder.let_go(&self.path);
        holder.remove(&self.folder, &self.path).map_err(self.failed("remove"))
    }

    fn take_place(&mut self, takes_over: bool) -> Result<(), SpaceError> {
        let holder = self.folder.holder(&self.path, takes_over)?;
        self.place = holder.map_or(Place::Left, |(holder, number)| Place::Writes(holder, number));
        Ok(())
    }

    fn failed(&self, what: &'static str) -> impl Fn(std::io::Error) -> SpaceError + use<> {
        SpaceError::io(what, &self.path)
    }
}

/// The next line without its end; none at the end, and where it is too long or no text.
fn line(reader: &mut impl BufRead) -> std::io::Result<Option<Box<str>>> {
    let mut line = Vec::new();
    reader.take(MAX_IBGIB_BYTES as u64 + 1).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    Ok(String::from_utf8(line).ok().map(String::into_boxed_str))
}

#[cfg(test)]
mod tests;
