//! One ibGib in a stage's file.

use crate::ibgib::{Addr, AddrKey};
use crate::space::Prepared;

/// The bytes of a record before its relations: its length, its checksum, its key, flags, `n`,
/// three places of relations, and three lengths.
pub(super) const HEAD: usize = 4 + 4 + 16 + 1 + 8 + 3 * 4 + 3 * 4;

const IS_TJP: u8 = 1;
const IS_DNA: u8 = 2;
const HAS_N: u8 = 4;
const IS_VALID_STEP: u8 = 8;
const NO_PLACE: u32 = u32::MAX;

/// What a record says after its length and checksum, and where it stands, as a number: an error of
/// the disk is noticed by it. It keeps nobody out, nor need it: the file has no name.
fn checksum(place: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

pub(super) fn record_len(item: &Prepared) -> usize {
    HEAD + item.rel8ds.len() * 16 + item.addr.as_str().len() + item.text.len()
}

pub(super) fn encode(item: &Prepared, place: u64, out: &mut Vec<u8>) {
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

/// How long the record is that these bytes begin, by what it says; none where they are too few.
pub(super) fn declared_len(begin: &[u8]) -> Option<usize> {
    Fields(begin).len()
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
pub(super) fn decode(record: &[u8], place: u64) -> Option<Prepared> {
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
