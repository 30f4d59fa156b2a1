//! A sketch of what the other side has.

use data_encoding::BASE64;
use sync_gib::sync::sketch::{ItemId, SIZES, Sketch};

/// Bytes of a cell.
const CELL: usize = 28;

/// Whatever cells a sketch has, comparing it comes to an end; and what is said to differ makes the one
/// sketch of the other.
pub fn sketch(data: &[u8]) {
    if let Ok(text) = str::from_utf8(data)
        && let Some(read) = Sketch::parse(text)
    {
        assert_eq!(read.to_text(), text);
    }
    let Some((first, cells)) = data.split_first() else { return };
    let size = SIZES[usize::from(*first) % SIZES.len()];
    let mut here = Sketch::new(size);
    let numbers = 0..u32::from(first >> 2);
    numbers.for_each(|number| {
        here.add(ItemId([(number * 37).to_be_bytes(); 4].concat().try_into().unwrap()))
    });
    // The bytes change some of its cells.
    let mut bytes = BASE64.decode(here.to_text().as_bytes()).unwrap();
    for (at, byte) in cells.iter().take(size * CELL).enumerate() {
        bytes[at] ^= byte;
    }
    let there = Sketch::parse(&BASE64.encode(&bytes)).unwrap();
    let (more, found) = there.compare(&here);
    let Some(found) = found else { return };
    assert_eq!(more, found.first.len() as i64 - found.second.len() as i64);
    assert!(found.first.len() + found.second.len() <= size);
    let (mut one, mut other) = (there, here);
    found.second.iter().for_each(|id| one.add(*id));
    found.first.iter().for_each(|id| other.add(*id));
    assert_eq!(one, other);
}
