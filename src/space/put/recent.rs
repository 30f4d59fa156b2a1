//! The rows that a put met last, so that most lookups ask the space nothing.

use std::collections::HashMap;
use std::mem;

use crate::ibgib::AddrKey;

use super::Row;

/// How many rows one generation keeps.
const GENERATION: usize = 32_768;

/// Two generations of rows: what is met stays, what is not met for long goes.
#[derive(Default)]
pub(super) struct Recent {
    young: HashMap<AddrKey, Row>,
    old: HashMap<AddrKey, Row>,
}

impl Recent {
    pub(super) fn get(&mut self, key: &AddrKey) -> Option<Row> {
        if let Some(row) = self.young.get(key) {
            return Some(*row);
        }
        let row = self.old.remove(key)?;
        self.add(*key, row);
        Some(row)
    }

    pub(super) fn add(&mut self, key: AddrKey, row: Row) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: usize) -> AddrKey {
        AddrKey((i as u128).to_be_bytes())
    }

    fn row(i: usize) -> Row {
        Row {
            id: i as i64,
            timeline: None,
            n: 0,
            prev: None,
            orphan: None,
            is_off_mainline: false,
            is_dna: false,
            is_leaf: true,
            is_keystone: false,
        }
    }

    #[test]
    fn what_is_met_stays_and_the_rest_goes() {
        let mut recent = Recent::default();
        for i in 0..GENERATION * 3 {
            recent.add(key(i), row(i));
            assert_eq!(recent.get(&key(0)), Some(row(0)));
        }
        assert_eq!(recent.get(&key(1)), None);
        assert!(recent.young.len() + recent.old.len() <= 2 * GENERATION);
    }
}
