//! A sketch of a set: two sides that send each other one learn in what their sets differ, for bytes
//! that follow from how much that is and not from how much there is (docs/protocol.md, section 6,
//! "What differs").
//!
//! It is an invertible Bloom lookup table: each item is added to four cells, so that a sketch less
//! another one holds only what is in one of them. A cell with one item left tells it; taken out of its
//! other cells, it leaves further ones with one item.

use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use crate::space::StateDigest;

/// How many cells a sketch may have.
pub const SIZES: [usize; 3] = [32, 512, 2048];

/// In how many cells each item stands, one in each part of the sketch.
const PARTS: usize = 4;
/// Bytes of a cell: how many items there are, the XOR of their ids and that of their checks.
const CELL: usize = 4 + 16 + 8;
/// What is hashed before an id for its check.
const CHECK: &[u8] = b"sync-gib sketch check\n";

/// What tells one item from another: the first 16 bytes of what it adds to the digest of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub [u8; 16]);

impl ItemId {
    /// That of what adds this to the digest of the state.
    pub fn of(digest: &StateDigest) -> ItemId {
        let mut id = [0; 16];
        id.copy_from_slice(&digest.bytes()[..16]);
        ItemId(id)
    }

    /// The id that 32 lowercase hex characters are; none for other texts.
    pub fn parse(text: &str) -> Option<ItemId> {
        let mut id = [0; 16];
        let read = base16ct::lower::decode(text, &mut id).is_ok_and(|read| read.len() == 16);
        read.then_some(ItemId(id))
    }

    /// As 32 lowercase hex characters.
    pub fn to_text(self) -> String {
        base16ct::lower::encode_string(&self.0)
    }

    fn check(self) -> u64 {
        let hash = Sha256::new().chain_update(CHECK).chain_update(self.0).finalize();
        let mut check = [0; 8];
        check.copy_from_slice(&hash[..8]);
        u64::from_be_bytes(check)
    }

    /// Its cells in a sketch with so many in each part: the four bytes of it that count for a part,
    /// as a number.
    fn cells(self, in_part: usize) -> [usize; PARTS] {
        std::array::from_fn(|part| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&self.0[part * 4..part * 4 + 4]);
            let number = usize::try_from(u32::from_be_bytes(bytes)).unwrap_or_default();
            part * in_part + number % in_part
        })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cell {
    count: i32,
    ids: u128,
    checks: u64,
}

impl Cell {
    fn add(&mut self, id: ItemId, check: u64, count: i32) {
        self.count = self.count.wrapping_add(count);
        self.ids ^= u128::from_be_bytes(id.0);
        self.checks ^= check;
    }

    /// The one item that is left in it, and whether that is the first sketch's.
    fn one(&self) -> Option<(ItemId, bool)> {
        let id = ItemId(self.ids.to_be_bytes());
        let is_one = matches!(self.count, 1 | -1) && id.check() == self.checks;
        is_one.then_some((id, self.count == 1))
    }
}

/// A sketch of a set of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch(Vec<Cell>);

/// In what two sets differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// What only the first has.
    pub first: Vec<ItemId>,
    /// What only the second has.
    pub second: Vec<ItemId>,
}

impl Sketch {
    /// That of nothing, with so many cells, one of [`SIZES`].
    pub fn new(cells: usize) -> Sketch {
        Sketch(vec![Cell::default(); cells])
    }

    /// How many cells it has.
    pub fn cells(&self) -> usize {
        self.0.len()
    }

    /// Adds an item.
    pub fn add(&mut self, id: ItemId) {
        self.change(id, id.check(), 1);
    }

    fn change(&mut self, id: ItemId, check: u64, count: i32) {
        for at in id.cells((self.0.len() / PARTS).max(1)) {
            if let Some(cell) = self.0.get_mut(at) {
                cell.add(id, check, count);
            }
        }
    }

    /// How many items more the first set has than the second, and what is in one of them only, where
    /// as many cells tell it; both sketches have the same number of cells.
    pub fn compare(&self, second: &Sketch) -> (i64, Option<Differences>) {
        let cells = self.0.iter().zip(&second.0).map(|(first, second)| Cell {
            count: first.count.wrapping_sub(second.count),
            ids: first.ids ^ second.ids,
            checks: first.checks ^ second.checks,
        });
        let mut left = Sketch(cells.collect());
        let more: i64 = left.0.iter().map(|cell| i64::from(cell.count)).sum();
        (more / PARTS as i64, left.differences())
    }

    /// Takes out item after item until nothing is left; none where that does not come about.
    fn differences(&mut self) -> Option<Differences> {
        let mut found = Differences::default();
        let mut to_look_at: Vec<usize> = (0..self.0.len()).collect();
        while let Some(at) = to_look_at.pop() {
            let Some((id, is_first)) = self.0[at].one() else { continue };
            let side = if is_first { &mut found.first } else { &mut found.second };
            side.push(id);
            // Cells that nobody made from a set could go on for ever.
            if found.first.len() + found.second.len() > self.0.len() {
                return None;
            }
            self.change(id, id.check(), if is_first { -1 } else { 1 });
            to_look_at.extend(id.cells((self.0.len() / PARTS).max(1)));
        }
        let is_empty = self.0.iter().all(|cell| *cell == Cell::default());
        is_empty.then_some(found)
    }

    /// The cells one after the other, in base64.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(self.0.len() * CELL);
        for cell in &self.0 {
            bytes.extend_from_slice(&cell.count.to_be_bytes());
            bytes.extend_from_slice(&cell.ids.to_be_bytes());
            bytes.extend_from_slice(&cell.checks.to_be_bytes());
        }
        BASE64.encode(&bytes)
    }

    /// The sketch that a text is; none where it is no base64 of one of [`SIZES`].
    pub fn parse(text: &str) -> Option<Sketch> {
        if !SIZES.iter().any(|cells| BASE64.encode_len(cells * CELL) == text.len()) {
            return None;
        }
        let bytes = BASE64.decode(text.as_bytes()).ok()?;
        let cells = bytes.chunks(CELL).map(|cell| {
            let (count, rest) = cell.split_first_chunk::<4>()?;
            let (ids, rest) = rest.split_first_chunk::<16>()?;
            let checks = rest.first_chunk::<8>()?;
            Some(Cell {
                count: i32::from_be_bytes(*count),
                ids: u128::from_be_bytes(*ids),
                checks: u64::from_be_bytes(*checks),
            })
        });
        let cells: Vec<Cell> = cells.collect::<Option<_>>()?;
        SIZES.contains(&cells.len()).then_some(Sketch(cells))
    }
}

/// The sketches of one set in every size, made in one walk through it.
#[derive(Debug, Clone)]
pub struct Sketches(Vec<Sketch>);

impl Default for Sketches {
    fn default() -> Sketches {
        Sketches(SIZES.map(Sketch::new).to_vec())
    }
}

impl Sketches {
    /// Adds an item to each.
    pub fn add(&mut self, id: ItemId) {
        let check = id.check();
        self.0.iter_mut().for_each(|sketch| sketch.change(id, check, 1));
    }

    /// The one with so many cells; none where there is no such size.
    pub fn with(&self, cells: usize) -> Option<&Sketch> {
        self.0.iter().find(|sketch| sketch.cells() == cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> ItemId {
        let mut id = [0; 16];
        id.copy_from_slice(&Sha256::digest(number.to_be_bytes())[..16]);
        ItemId(id)
    }

    fn sketch(cells: usize, numbers: impl IntoIterator<Item = u64>) -> Sketch {
        let mut sketch = Sketch::new(cells);
        numbers.into_iter().for_each(|number| sketch.add(id(number)));
        sketch
    }

    #[test]
    fn what_differs_is_found_among_much_that_does_not() {
        let first = sketch(32, 0..10_000);
        let second = sketch(32, (3..10_000).chain([20_000]));
        let (more, found) = first.compare(&second);
        let mut found = found.unwrap();
        found.first.sort();
        let mut expected = vec![id(0), id(1), id(2)];
        expected.sort();
        assert_eq!((more, found.first, found.second), (2, expected, vec![id(20_000)]));
        assert_eq!(first.compare(&first.clone()), (0, Some(Differences::default())));
    }

    #[test]
    fn as_much_as_a_size_is_for_is_told() {
        for (cells, changed) in [(32, 4), (512, 100), (2048, 500)] {
            let told = (0..200).filter(|round| {
                let base = round * 1_000_000;
                let first = sketch(cells, base..base + changed);
                let second = sketch(cells, base + changed..base + 2 * changed);
                first.compare(&second).1.is_some_and(|found| {
                    (found.first.len(), found.second.len()) == (changed as usize, changed as usize)
                })
            });
            assert!(told.count() >= 196, "{cells} cells");
        }
    }

    #[test]
    fn too_much_is_not_told_and_by_how_much_sets_differ_in_size_is() {
        let first = sketch(32, 0..5000);
        assert_eq!(first.compare(&sketch(32, 0..1000)), (4000, None));
        assert_eq!(sketch(32, 0..1000).compare(&first).0, -4000);
    }

    #[test]
    fn a_text_reads_back_and_no_other_length_does() {
        for cells in SIZES {
            let one = sketch(cells, 0..100);
            assert_eq!(Sketch::parse(&one.to_text()), Some(one.clone()));
            assert_eq!(Sketch::parse(&one.to_text()[4..]), None);
        }
        let text = sketch(32, 0..3).to_text();
        for wrong in ["", "AAAA", &text.replace('A', "*"), &"A".repeat(1 << 20)] {
            assert_eq!(Sketch::parse(wrong), None);
        }
    }

    #[test]
    fn cells_that_are_of_no_set_come_to_an_end() {
        // The first item is in one of its four cells alone: taken out of it, it is left in the others.
        let mut forged = Sketch::new(32);
        let one = id(7);
        forged.0[one.cells(8)[0]].add(one, one.check(), 1);
        assert_eq!(forged.compare(&Sketch::new(32)).1, None);
        let mut all = Sketch::new(512);
        all.0.iter_mut().for_each(|cell| cell.add(one, one.check(), 1));
        assert_eq!(all.compare(&Sketch::new(512)).1, None);
    }

    #[test]
    fn it_stands_in_bytes_as_the_document_says() {
        let item = ItemId(std::array::from_fn(|at| at as u8));
        let mut one = Sketch::new(32);
        one.add(item);
        // 0x00010203, 0x04050607, 0x08090a0b and 0x0c0d0e0f, each modulo 8, in its part of 8 cells.
        assert_eq!(item.cells(8), [3, 8 + 7, 16 + 3, 24 + 7]);
        let bytes = BASE64.decode(one.to_text().as_bytes()).unwrap();
        let said = Sha256::digest([&b"sync-gib sketch check\n"[..], &item.0].concat());
        let cell = [&1i32.to_be_bytes()[..], &item.0, &said[..8]].concat();
        assert_eq!(bytes[3 * CELL..4 * CELL], cell);
        assert!(bytes[..3 * CELL].iter().all(|byte| *byte == 0));
    }
}
