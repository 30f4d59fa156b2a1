//! Texts kept packed: many of one domain in one compressed block, each found by its place in it
//! (docs/architecture.md, "The space file").
//!
//! A block only grows: what is added goes to its end, in the transaction that adds it, so that a
//! place holds for good and one that is unpacked already can be read in from any snapshot. No
//! number of a block is used twice.

mod addr_bytes;
mod codec;
mod pack;
mod packer;
mod stored;
#[cfg(test)]
mod tests;

pub(super) use addr_bytes::{decode as decode_addr, encode as encode_addr};
pub use codec::unpack;
pub use pack::Packed;
pub(super) use packer::Packer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LinkedHashMap;
use rusqlite::{Connection, OptionalExtension, params};

use codec::{MAX_BODY, MAX_UNPACKED};

/// With so many bytes of text a block is full, however few texts it holds.
const FULL: usize = 4 << 20;
/// With so many bytes of text, and so many texts, a block is full: one of short texts does not get
/// smaller by being longer, and takes less to unpack.
const FULL_OF_SHORT: (usize, u64) = (512 << 10, 256);
/// Once a domain has so many bytes of text that stand unpacked they are packed.
const FRESH: u64 = 256 << 10;
/// Up to how many bytes of unpacked blocks are kept.
const KEPT: usize = 8 << 20;

const BODY: &str = "SELECT size, CASE WHEN length(body) <= ?3 THEN body END FROM block \
     WHERE id = ?1 AND domain = ?2";

/// Where a text stands: in which block, from which byte on, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: i64,
    pub(super) start: i64,
    pub(super) length: i64,
}

impl Place {
    /// The text in a block that is unpacked; none where the block does not reach so far.
    pub(super) fn of<'a>(&self, texts: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::try_from(self.start).ok()?;
        texts.get(start..start.checked_add(usize::try_from(self.length).ok()?)?)
    }
}

/// Whether a block that holds so much takes no more.
fn is_full(bytes: usize, texts: u64) -> bool {
    let (short_bytes, short_texts) = FULL_OF_SHORT;
    bytes >= FULL || bytes >= short_bytes && texts >= short_texts
}

/// The blocks of a file that were unpacked last, within a bound of bytes; for all connections of a
/// pool the same.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    kept: Mutex<Kept>,
    /// Held while a block is unpacked: however many ask, one is at a time.
    unpacking: Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    unpacked: LinkedHashMap<i64, Unpacked>,
    bytes: usize,
}

/// A block's texts, as far as it could be unpacked.
#[derive(Debug, Clone)]
struct Unpacked {
    texts: Arc<Vec<u8>>,
    /// The size that the file tells.
    size: i64,
}

/// What keeping a block takes beside its texts.
const ENTRY: usize = 256;

impl Unpacked {
    /// What keeping it takes.
    fn bytes(&self) -> usize {
        self.texts.capacity() + ENTRY
    }
}

impl Blocks {
    /// The text at a place; none where there is no such block, or it cannot be unpacked so far.
    /// Where `keeps` is false the block is of a transaction that may be undone.
    pub(super) fn text(
        &self,
        connection: &Connection,
        domain: i64,
        place: &Place,
        keeps: bool,
    ) -> rusqlite::Result<Option<Vec<u8>>> {
        if let Some(text) = self.kept_text(place) {
            return Ok(Some(text));
        }
        let _one = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        // Another one may have unpacked it meanwhile.
        let kept = self.kept().unpacked.to_back(&place.block).cloned();
        if let Some(text) = kept.as_ref().and_then(|kept| place.of(&kept.texts)) {
            return Ok(Some(text.to_vec()));
        }
        let size = "SELECT size FROM block WHERE id = ?1 AND domain = ?2";
        let mut size = connection.prepare_cached(size)?;
        let size = size.query_row([place.block, domain], |row| row.get(0)).optional()?;
        // What cannot be unpacked to its end is not tried again for each of its texts.
        if kept.is_some_and(|kept| Some(kept.size) == size) {
            return Ok(None);
        }
        let Some(read) = read(connection, domain, place.block)? else { return Ok(None) };
        let text = place.of(&read.texts).map(<[u8]>::to_vec);
        if keeps {
            self.kept().keep(place.block, read);
        }
        Ok(text)
    }

    fn kept_text(&self, place: &Place) -> Option<Vec<u8>> {
        let kept = self.kept().unpacked.to_back(&place.block).cloned()?;
        place.of(&kept.texts).map(<[u8]>::to_vec)
    }

    /// Gives back the memory.
    pub(super) fn release(&self) {
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, block: i64, unpacked: Unpacked) {
        self.bytes += unpacked.bytes();
        if let Some(before) = self.unpacked.insert(block, unpacked) {
            self.bytes -= before.bytes();
        }
        while self.bytes > KEPT && self.unpacked.len() > 1 {
            let Some((_, oldest)) = self.unpacked.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }
}

/// Reads and unpacks a block, whatever it holds; none where there is none.
fn read(connection: &Connection, domain: i64, block: i64) -> rusqlite::Result<Option<Unpacked>> {
    let mut body = connection.prepare_cached(BODY)?;
    let body = body.query_row(params![block, domain, MAX_BODY as i64], |row| {
        let size: i64 = row.get(0)?;
        let most = usize::try_from(size).unwrap_or(MAX_UNPACKED);
        // One that is too large to be a block holds nothing.
        // One byte more, so that a block that is longer than the file says is told.
        let most = most.saturating_add(1);
        let texts = unpack(row.get_ref(1)?.as_blob_or_null()?.unwrap_or_default(), most);
        Ok(Unpacked { texts: Arc::new(texts), size })
    });
    body.optional()
}
