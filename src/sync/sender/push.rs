//! Stage delta, to the receiver: providing what the plan sends.

use super::{Direction, Sender};
use crate::ibgib::{Addr, TjpAddr};
use crate::space::{RowId, chain};
use crate::sync::body::{Body, Delta};
use crate::sync::capabilities::Feature;
use crate::sync::error::SyncError;
use crate::sync::payload::{Chain, OutgoingPayload};

impl Sender<'_> {
    /// What the plan sends, and what was merged; none where that is nothing.
    pub(super) fn begin_push(&mut self) -> Result<Option<OutgoingPayload>, SyncError> {
        let mut chains = Vec::new();
        for push in &self.plan.pushes {
            chains.push(self.chain(&push.tjp, push.tip.id, push.common.as_ref())?);
            self.summary.tips.push(push.change());
        }
        let pushes = self.opts.direction != Direction::PullOnly;
        if pushes {
            for pull in self.plan.pulls.iter().filter(|pull| pull.base.is_some()) {
                if let Some(mine) = &pull.mine {
                    chains.push(self.chain(&pull.tjp, mine.id, pull.base.as_ref())?);
                }
            }
        }
        let stones: Vec<_> = self.plan.push_stones.iter().map(|(id, _)| *id).collect();
        if chains.is_empty() && stones.is_empty() {
            return Ok(None);
        }
        let extra = if pushes { self.merged.clone() } else { Vec::new() };
        let payload = OutgoingPayload::new(chains, stones, extra);
        let is_used = self.opts.features.contains(&Feature::ONE_TURN);
        let payload = payload.to_one_that(is_used && self.is_empty_there);
        Ok(Some(match self.resumes() {
            true => payload.resuming(std::mem::take(&mut self.kept_there)),
            false => payload,
        }))
    }

    fn chain(
        &self,
        tjp: &TjpAddr,
        newer: RowId,
        common: Option<&Addr>,
    ) -> Result<Chain, SyncError> {
        let gone = |addr: &Addr| SyncError::Conflict(format!("{addr} is gone from this space"));
        let tjp = self.space.find(tjp)?.ok_or_else(|| gone(tjp))?;
        let common = match common {
            Some(common) => Some(self.space.find(common)?.ok_or_else(|| gone(common))?),
            None => None,
        };
        let _snapshot = self.space.snapshot()?;
        let ids = chain(self.space, newer, |row| Some(row.id) == common)?;
        Ok(Chain { ids, common, tjp })
    }

    /// The turn that ends a payload: it states the digest of what went before it.
    pub(super) fn close_push(&mut self, outgoing: &OutgoingPayload) -> Result<(), SyncError> {
        let payload = outgoing.digest();
        self.pushed.add(&payload);
        self.summary.count_resumed(outgoing.resumed());
        self.request(&Body::Delta(Delta { payload, ..Delta::default() }))
    }
}
