//! A set of rows' numbers, of which most stand close together.

use std::collections::BTreeMap;

use super::RowId;

/// How many numbers share an entry of the map.
const CHUNK: i64 = 4096;
const BITS: i64 = 64;

type Chunk = [u64; (CHUNK / BITS) as usize];

/// Numbers of rows: a bit each, where they are dense.
#[derive(Default)]
pub(super) struct IdSet(BTreeMap<i64, Box<Chunk>>);

/// The entry, the word in it and the bit in that of a number.
fn place(id: RowId) -> (i64, usize, u64) {
    let within = id.0.rem_euclid(CHUNK);
    let word = usize::try_from(within / BITS).unwrap_or_default();
    (id.0.div_euclid(CHUNK), word, 1 << (within % BITS))
}

fn id(chunk: i64, word: usize, bit: u32) -> RowId {
    let word = i64::try_from(word).unwrap_or_default();
    RowId(chunk * CHUNK + word * BITS + i64::from(bit))
}

impl IdSet {
    /// Whether it is new to the set.
    pub(super) fn insert(&mut self, id: RowId) -> bool {
        let (chunk, word, bit) = place(id);
        let chunk = self.0.entry(chunk).or_insert_with(|| Box::new([0; _]));
        let is_new = chunk[word] & bit == 0;
        chunk[word] |= bit;
        is_new
    }

    /// Takes the highest number out.
    pub(super) fn pop_last(&mut self) -> Option<RowId> {
        loop {
            let mut entry = self.0.last_entry()?;
            let number = *entry.key();
            let words = entry.get_mut();
            let Some(word) = words.iter().rposition(|word| *word != 0) else {
                entry.remove();
                continue;
            };
            let bit = words[word].ilog2();
            words[word] &= !(1 << bit);
            return Some(id(number, word, bit));
        }
    }

    /// All of them, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = RowId> {
        self.0.iter().flat_map(|(number, words)| {
            words.iter().enumerate().flat_map(move |(word, bits)| {
                let set = (0..u64::BITS).filter(move |bit| bits >> bit & 1 == 1);
                set.map(move |bit| id(*number, word, bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_out_in_order_and_once() {
        let mut set = IdSet::default();
        let numbers = [1, 63, 64, 4095, 4096, 4097, 1 << 40, i64::MAX, 0];
        for number in numbers {
            assert!(set.insert(RowId(number)), "{number}");
            assert!(!set.insert(RowId(number)), "{number}");
        }
        let mut sorted = numbers.map(RowId);
        sorted.sort_unstable();
        assert_eq!(set.iter().collect::<Vec<_>>(), sorted);
        let popped: Vec<_> = std::iter::from_fn(|| set.pop_last()).collect();
        sorted.reverse();
        assert_eq!(popped, sorted);
    }
}
