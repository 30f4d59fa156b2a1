//! One ibGib in a stage's file: a length, a checksum, and what postcard writes.

use std::mem;

use postcard::ser_flavors::{ExtendFlavor, Flavor, Size};
use postcard::{Deserializer, Serializer};
use serde::{Deserialize, Serialize};

use crate::ibgib::{Addr, AddrKey};
use crate::space::Prepared;

/// The bytes before what postcard writes: the record's length and its checksum.
pub(super) const HEAD: usize = 4 + 4;

/// What a record says of an ibGib.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Prepared")]
struct Record {
    addr: Addr,
    #[serde(with = "keys")]
    rel8ds: Vec<AddrKey>,
    #[serde(with = "Key")]
    key: AddrKey,
    text: Box<str>,
    n: Option<u64>,
    is_tjp: bool,
    is_dna: bool,
    is_valid_step: bool,
    tjp: Option<u32>,
    prev: Option<u32>,
    orphan: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AddrKey")]
struct Key([u8; 16]);

/// Keys as their bytes: byte by byte takes five times as long.
mod keys {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ibgib::AddrKey;

    pub(super) fn serialize<S: Serializer>(keys: &[AddrKey], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&keys.iter().flat_map(|key| key.0).collect::<Vec<u8>>())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<AddrKey>, D::Error> {
        let (keys, _) = <&[u8]>::deserialize(from)?.as_chunks();
        Ok(keys.iter().copied().map(AddrKey).collect())
    }
}

/// What a record says after its length and checksum, and where it stands, as a number: an error of
/// the disk is noticed by it. It keeps nobody out, nor need it: the file has no name.
fn checksum(place: u64, bytes: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

fn write<F: Flavor>(item: &Prepared, output: F) -> postcard::Result<F::Output> {
    let mut serializer = Serializer { output };
    Record::serialize(item, &mut serializer)?;
    serializer.output.finalize()
}

pub(super) fn record_len(item: &Prepared) -> usize {
    // What could not be written would fit nowhere.
    write(item, Size::default()).map_or(usize::MAX, |len| HEAD + len)
}

pub(super) fn encode(item: &Prepared, place: u64, out: &mut Vec<u8>) -> postcard::Result<()> {
    let from = out.len();
    out.extend([0; HEAD]);
    *out = write(item, ExtendFlavor::new(mem::take(out)))?;
    // It fits: an ibGib has at most `MAX_IBGIB_BYTES` bytes.
    let len = (out.len() - from) as u32;
    let checksum = checksum(place, &out[from + HEAD..]);
    out[from..from + 4].copy_from_slice(&len.to_le_bytes());
    out[from + 4..from + HEAD].copy_from_slice(&checksum);
    Ok(())
}

/// How long the record is that these bytes begin, by what it says; none where they are too few.
pub(super) fn declared_len(begin: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*begin.first_chunk()?)).ok()
}

/// Reads the record at a place; none where it is not what was written there.
pub(super) fn decode(record: &[u8], place: u64) -> Option<Prepared> {
    let (head, bytes) = record.split_at_checked(HEAD)?;
    if head[4..] != checksum(place, bytes) {
        return None;
    }
    Record::deserialize(&mut Deserializer::from_bytes(bytes)).ok()
}
