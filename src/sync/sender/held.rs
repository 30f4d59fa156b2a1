//! Sending alone: holding back what would bring a diverged timeline's branch along.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Sender;
use super::plan::{Plan, Push};
use crate::ibgib::Addr;
use crate::space::RowId;
use crate::sync::error::SyncError;

/// The branch here of a timeline that stays as it is on both sides.
pub(super) struct Branch {
    /// Its newest frame.
    pub(super) tip: RowId,
    /// The newest frame of the receiver's line that is here.
    pub(super) common: Addr,
}

/// Something that the plan sends: a timeline by its place among the pushes, or a stone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sent {
    Timeline(usize),
    Stone(RowId),
}

impl Sender<'_> {
    /// Takes out of the plan what reaches a frame of `branches`: the receiver would get the branch
    /// with it, and refuse it all (docs/protocol.md, section 6, "Directions"). So would it where it
    /// got a part of what is held back, since that moves a tip to where nobody said.
    pub(super) fn hold_back(&mut self, branches: &[Branch]) -> Result<(), SyncError> {
        if branches.is_empty() {
            return Ok(());
        }
        let _snapshot = self.space.snapshot()?;
        let held = self.held(branches)?;
        for (at, push) in std::mem::take(&mut self.plan.pushes).into_iter().enumerate() {
            match held.contains(&Sent::Timeline(at)) {
                true => self.plan.held_back.push(push.tjp.into()),
                false => self.plan.pushes.push(push),
            }
        }
        for (id, addr) in std::mem::take(&mut self.plan.push_stones) {
            match held.contains(&Sent::Stone(id)) {
                true => self.plan.held_back.push(addr),
                false => self.plan.push_stones.push((id, addr)),
            }
        }
        Ok(())
    }

    fn held(&self, branches: &[Branch]) -> Result<HashSet<Sent>, SyncError> {
        let mut spread = Vec::new();
        for branch in branches {
            spread.extend(self.frames_since(branch.tip, Some(&branch.common))?);
        }
        let mut frames = Vec::new();
        for Push { tip, common, .. } in &self.plan.pushes {
            frames.push(self.frames_since(tip.id, common.as_ref())?);
        }
        // Who relates to a row is above it.
        let lowest = spread.iter().chain(frames.iter().flatten()).min().copied();
        let users = self.users(lowest)?;
        let mut sent: HashMap<RowId, Sent> = HashMap::new();
        for (at, frames) in frames.iter().enumerate() {
            sent.extend(frames.iter().map(|id| (*id, Sent::Timeline(at))));
        }
        sent.extend(self.plan.push_stones.iter().map(|(id, _)| (*id, Sent::Stone(*id))));

        let (mut held, mut seen) = (HashSet::new(), HashSet::new());
        while let Some(id) = spread.pop() {
            if !seen.insert(id) {
                continue;
            }
            spread.extend(users.get(&id).into_iter().flatten());
            if let Some(of) = sent.get(&id)
                && held.insert(*of)
                && let Sent::Timeline(at) = of
            {
                spread.extend(&frames[*at]);
            }
        }
        Ok(held)
    }

    /// For each row that what is to be sent leads to, which of them relate to it. Rows below
    /// `lowest` are left out, and so is what lies behind a frame that the receiver has.
    fn users(&self, lowest: Option<RowId>) -> Result<HashMap<RowId, Vec<RowId>>, SyncError> {
        let mut users: HashMap<RowId, Vec<RowId>> = HashMap::new();
        let Plan { pushes, push_stones, .. } = &self.plan;
        let mut seen = HashSet::new();
        for common in pushes.iter().filter_map(|push| push.common.as_ref()) {
            seen.extend(self.space.find(common)?);
        }
        let tips = pushes.iter().map(|push| push.tip.id);
        let mut open: Vec<RowId> = tips.chain(push_stones.iter().map(|(id, _)| *id)).collect();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            for dep in self.space.deps(id)? {
                if lowest.is_some_and(|lowest| dep >= lowest) {
                    users.entry(dep).or_default().push(id);
                    open.push(dep);
                }
            }
        }
        Ok(users)
    }

    /// The frames of a timeline that `tip` stands on and `common` does not, merged ones among them.
    fn frames_since(&self, tip: RowId, common: Option<&Addr>) -> Result<Vec<RowId>, SyncError> {
        let mut since = Vec::new();
        let mut mine = BTreeSet::from([tip]);
        let mut theirs = BTreeSet::new();
        if let Some(addr) = common {
            theirs.extend(self.space.find(addr)?);
        }
        // Newest first on both lines: a frame is above what it stands on, so whoever comes to a row
        // of both comes to it before it is taken.
        while let Some(&id) = mine.last() {
            let common = theirs.last().copied().filter(|common| *common >= id);
            let row = self.space.row(common.unwrap_or(id))?;
            let behind = row.prev.into_iter().chain(row.orphan);
            match common {
                Some(common) => {
                    theirs.remove(&common);
                    mine.remove(&common);
                    theirs.extend(behind);
                }
                None => {
                    mine.remove(&id);
                    since.push(id);
                    mine.extend(behind);
                }
            }
        }
        Ok(since)
    }
}
