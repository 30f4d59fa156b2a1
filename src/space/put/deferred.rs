//! Items of a put that arrive before what they relate to.

use std::collections::HashMap;

use crate::ibgib::AddrKey;

use super::{Prepared, SpaceError};

/// How many bytes of items may be deferred at once.
const MAX_BYTES: usize = 64 << 20;
/// What an item takes in memory besides its text and relations.
const OVERHEAD: usize = 400;

/// Items by the first thing that each of them misses.
#[derive(Default)]
pub(super) struct Deferred {
    by_missing: HashMap<AddrKey, Vec<(usize, Prepared)>>,
    bytes: usize,
}

impl Deferred {
    /// Keeps an item until the `index`-th of its relations is there.
    pub(super) fn hold(&mut self, index: usize, item: Prepared) -> Result<(), SpaceError> {
        let Some(missing) = item.rel8ds.get(index).copied() else { return Ok(()) };
        self.bytes += size(&item);
        if self.bytes > MAX_BYTES {
            return Err(SpaceError::TooManyWaiting { limit: MAX_BYTES });
        }
        self.by_missing.entry(missing).or_default().push((index, item));
        Ok(())
    }

    /// Gives back what waited for `arrived`, each with the place of that among its relations.
    pub(super) fn release(&mut self, arrived: &AddrKey) -> Vec<(usize, Prepared)> {
        let items = self.by_missing.remove(arrived).unwrap_or_default();
        self.bytes -= items.iter().map(|(_, item)| size(item)).sum::<usize>();
        items
    }

    /// Fails where items still wait, naming an address that is missing for good.
    pub(super) fn expect_none(&self) -> Result<(), SpaceError> {
        let items = || self.by_missing.values().flatten();
        let waiting: std::collections::HashSet<AddrKey> =
            items().map(|(_, item)| item.key).collect();
        // What is missing for one item may itself wait; at least one waits for what never came.
        let wanting = items().filter(|(index, item)| !waiting.contains(&item.rel8ds[*index]));
        match wanting.min_by(|(_, a), (_, b)| a.addr.cmp(&b.addr)) {
            None => Ok(()),
            Some((index, item)) => {
                let wanted_by = item.addr.clone();
                let addr = item.rel8d_addr(*index).unwrap_or_else(|| wanted_by.clone());
                Err(SpaceError::Missing { addr, wanted_by })
            }
        }
    }
}

fn size(item: &Prepared) -> usize {
    item.text.len() + item.rel8ds.len() * size_of::<AddrKey>() + OVERHEAD
}
