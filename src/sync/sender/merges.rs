//! Merging what both sides edited, once the receiver's branches are here.

use super::Sender;
use super::plan::{TipChange, TipChangeKind};
use crate::ibgib::{Addr, IbGib};
use crate::space::{Overlay, Prepared};
use crate::sync::error::SyncError;
use crate::sync::merge;

impl Sender<'_> {
    /// Merges every diverged timeline: the receiver's branch stays, one's own is replayed.
    pub(super) fn merge_all(&mut self) -> Result<(), SyncError> {
        for pull in &self.plan.pulls {
            let (mut how, mut to, mut n) =
                (TipChangeKind::Pulled, pull.theirs.addr.clone(), pull.theirs.n);
            let mut unreplayed = Vec::new();
            if let (Some(base), Some(mine)) = (&pull.base, &pull.mine) {
                let frames = Overlay { stage: self.incoming.stage(), space: self.space };
                let merged = merge::merge(&frames, base, &pull.theirs.addr, &mine.addr)
                    .map_err(|error| SyncError::Merge(Box::new(error)))?;
                n = merged.new.last().and_then(|frame| frame.n()).unwrap_or(n);
                for ibgib in &merged.new {
                    self.merged.push(Prepared::new(ibgib)?);
                }
                self.incoming.expect(&merged.tip)?;
                (how, to, unreplayed) = (TipChangeKind::Merged, merged.tip, merged.unreplayed);
            }
            let from = pull.mine.as_ref().map(|tip| tip.addr.clone());
            self.summary.tips.push(TipChange {
                tjp: pull.tjp.clone(),
                how,
                from,
                to,
                n,
                unreplayed,
            });
        }
        Ok(())
    }
}

impl merge::Frames for Overlay<'_> {
    fn get(&self, addr: &Addr) -> Result<Option<IbGib>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Overlay::get(self, addr)?)
    }
}
