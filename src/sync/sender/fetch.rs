//! Stage delta, from the receiver: asking for what the plan fetches.

use super::Sender;
use super::plan::Pull;
use crate::sync::body::{Delta, PAGE, PayloadDigest, Want};
use crate::sync::error::SyncError;

impl Sender<'_> {
    /// Expects what the plan fetches, of which nothing is asked for yet.
    pub(super) fn begin_fetching(&mut self) -> Result<(), SyncError> {
        self.wants = self.plan.pulls.iter().map(want).collect();
        // What was edited meanwhile comes last, so that what comes before it is still what it was.
        if self.resumes() {
            self.wants.sort_by_key(|want| want.common.is_some());
        }
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
        // New ones are at the end of both, so they end together.
        let pages = |len: usize| if self.resumes() { len.div_ceil(PAGE) } else { 0 };
        let (of_wants, of_stones) = (pages(self.wants.len()), pages(self.want_stones.len()));
        let most = |is_time: bool, len: usize| if is_time { len.min(PAGE) } else { 0 };
        let rest = self.wants.split_off(most(of_wants >= of_stones, self.wants.len()));
        let wants = std::mem::replace(&mut self.wants, rest);
        let rest = self.want_stones.split_off(most(of_stones >= of_wants, self.want_stones.len()));
        let want_stones = std::mem::replace(&mut self.want_stones, rest);
        Some(Delta { payload: PayloadDigest::default(), wants, want_stones })
    }
}

fn want(pull: &Pull) -> Want {
    Want { tjp: pull.tjp.clone(), tip: pull.theirs.addr.clone(), common: pull.common.clone() }
}
