//! Counting a graph that streams by: nothing of it is stored.

use std::collections::HashSet;

use crate::ibgib::{Addr, AddrKey};

use super::{GraphStats, Prepared};

/// Counts ibGibs that come one after another, each after what it relates to. In memory it keeps a key
/// of each.
#[derive(Debug, Default)]
pub struct GraphTally {
    stats: GraphStats,
    seen: HashSet<AddrKey>,
    timelines: HashSet<AddrKey>,
}

impl GraphTally {
    /// Counts an ibGib. Errors with what is wrong where it came before, or relates to what did not.
    pub fn add(&mut self, item: &Prepared) -> Result<(), String> {
        for (at, key) in item.rel8ds.iter().enumerate() {
            if !self.seen.contains(key) {
                let missing = item.rel8d_addr(at).map_or(String::new(), |addr| addr.to_string());
                return Err(format!("{} relates to {missing}, which did not come", item.addr));
            }
        }
        if !self.seen.insert(item.key) {
            return Err(format!("{} came twice", item.addr));
        }
        self.stats.nodes += 1;
        self.stats.edges += item.rel8ds.len() as u64;
        self.stats.bytes += item.text.len() as u64;
        match item.tjp() {
            Some(tjp) => {
                self.stats.frames += 1;
                self.stats.timelines += u64::from(self.timelines.insert(tjp));
            }
            None if item.is_dna => self.stats.dnas += 1,
            None => self.stats.stones += 1,
        }
        Ok(())
    }

    /// Whether an ibGib came.
    pub fn has(&self, addr: &Addr) -> bool {
        self.seen.contains(&addr.key())
    }

    /// What came.
    pub fn stats(&self) -> GraphStats {
        self.stats
    }
}
