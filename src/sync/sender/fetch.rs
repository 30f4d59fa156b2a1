//! Stage delta, from the receiver: asking for what the plan fetches.

use super::Sender;
use super::plan::Pull;
use crate::sync::body::{Delta, PAGE, PayloadDigest, Want};
use crate::sync::error::SyncError;

impl Sender<'_> {
    /// Expects what the plan fetches, of which nothing is asked for yet.
    pub(super) fn begin_fetching(&mut self) -> Result<(), SyncError> {
        self.wants = self.plan.pulls.iter().map(want).collect();
        self.want_stones.clone_from(&self.plan.pull_stones);
        let tips = self.plan.pulls.iter().map(|pull| &pull.theirs.addr);
        for addr in tips.chain(&self.plan.pull_stones) {
            self.incoming.expect(addr)?;
        }
        Ok(())
    }

    /// A turn that asks for the next page of what is wanted; none where all was asked for.
    pub(super) fn next_wants(&mut self) -> Option<Delta> {
        if self.wants.is_empty() && self.want_stones.is_empty() {
            return None;
        }
        let rest = self.wants.split_off(self.wants.len().min(PAGE));
        let wants = std::mem::replace(&mut self.wants, rest);
        let rest = self.want_stones.split_off(self.want_stones.len().min(PAGE));
        let want_stones = std::mem::replace(&mut self.want_stones, rest);
        Some(Delta { payload: PayloadDigest::default(), wants, want_stones })
    }
}

fn want(pull: &Pull) -> Want {
    Want { tjp: pull.tjp.clone(), tip: pull.theirs.addr.clone(), common: pull.common.clone() }
}
