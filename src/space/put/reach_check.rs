//! Whether a put brings only what was asked for, and what that relates to.

use std::collections::BTreeSet;

use super::{Reach, RowId};
use crate::ibgib::AddrKey;
use crate::space::TipsTo;

/// Checks what a put stores.
///
/// Relations never go in circles, so everything is reached from those that nothing else of the put
/// relates to: it is enough that these were asked for.
pub(super) struct ReachCheck<'a> {
    reach: &'a Reach,
    /// New rows that were not asked for and that no newer row relates to.
    unwanted: BTreeSet<RowId>,
}

impl<'a> ReachCheck<'a> {
    pub(super) fn new(reach: &'a Reach) -> ReachCheck<'a> {
        ReachCheck { reach, unwanted: BTreeSet::new() }
    }

    /// Notes a row that was stored, and the rows that it relates to.
    pub(super) fn stored(&mut self, id: RowId, key: &AddrKey, deps: &[RowId]) {
        for dep in deps {
            self.unwanted.remove(dep);
        }
        if !self.reach.roots.contains(key) {
            self.unwanted.insert(id);
        }
    }

    /// The first row that nothing asked for reaches.
    pub(super) fn first_unwanted(&self) -> Option<RowId> {
        self.unwanted.first().copied()
    }

    /// Whether a data timeline's tip may move there.
    pub(super) fn may_move_to(&self, tip: &AddrKey) -> bool {
        match &self.reach.tips {
            TipsTo::Any => true,
            TipsTo::Roots => self.reach.roots.contains(tip),
            TipsTo::Only(tips) => tips.contains(tip),
        }
    }
}
