//! The two branches as lines of frames, walked down from their tips.

use std::collections::HashMap;

use super::branch::Branches;
use super::decide::Branch;
use super::derive::{data_of, moment_of, own_dna};
use super::last_edit::{LastEdit, last_edits};
use super::path::FieldPath;
use super::rename::{Renaming, Renamings, may_rename};
use super::{Frames, MergeError, need};
use crate::ibgib::transform::transform_of_dna;
use crate::ibgib::{Addr, IbGib};

/// What was made and is in no space, before what is.
pub(super) struct Made<'a> {
    pub(super) frames: &'a dyn Frames,
    pub(super) new: &'a [IbGib],
    /// Where in `new` each stands.
    pub(super) by_addr: &'a HashMap<Addr, usize>,
}

impl Made<'_> {
    fn get(&self, addr: &Addr) -> Result<IbGib, MergeError> {
        match self.by_addr.get(addr) {
            Some(at) => Ok(self.new[*at].clone()),
            None => need(self.frames, addr, "a newer frame"),
        }
    }
}

/// Where a branch ends.
pub(super) enum BranchEnd {
    /// At the first frame that the other branch stands on too.
    Shared,
    /// At this frame.
    At(Addr),
}

/// One of the two branches.
pub(super) struct BranchFrames<'a> {
    pub(super) made: Made<'a>,
    pub(super) branches: &'a Branches,
    /// The frame that changes count from.
    pub(super) common: &'a IbGib,
    pub(super) tip: &'a IbGib,
    pub(super) end: BranchEnd,
}

impl BranchFrames<'_> {
    fn before(&self, frame: &IbGib) -> Result<Option<IbGib>, MergeError> {
        let addr = frame.addr()?;
        let is_end = match &self.end {
            BranchEnd::Shared => self.branches.shared.contains(&addr),
            BranchEnd::At(end) => addr == *end,
        };
        match frame.prev() {
            Some(prev) if !is_end => Ok(Some(self.made.get(&Addr::parse(prev)?)?)),
            _ => Ok(None),
        }
    }

    fn origin(&self, addr: &Addr) -> Addr {
        self.branches.origin(addr).clone()
    }
}

impl Branch for BranchFrames<'_> {
    fn last_edits(&self, fields: &[FieldPath]) -> Result<Vec<LastEdit>, MergeError> {
        last_edits(self.tip, fields, &|addr| self.origin(addr), |frame| self.before(frame))
    }

    fn renamings(&self) -> Result<Vec<Renaming>, MergeError> {
        let (Some(old), Some(new)) = (data_of(self.common), data_of(self.tip)) else {
            return Ok(Vec::new());
        };
        if !may_rename(&old, &new) {
            return Ok(Vec::new());
        }
        let mut steps = Vec::new();
        let mut frame = self.tip.clone();
        while let Some(prev) = self.before(&frame)? {
            if let Some(dna) = own_dna(&frame, &prev).map(Addr::parse).transpose()?
                && !dna.is_primitive()
            {
                let dna = self.made.get(&dna)?;
                if transform_of_dna(&dna).is_some_and(|(_, opts)| opts.contains_key("dataToRename"))
                {
                    let addr = frame.addr()?;
                    let (moment, origin) = (moment_of(&frame), self.origin(&addr));
                    steps.push((
                        frame,
                        prev.clone(),
                        dna,
                        LastEdit { moment, origin, frame: addr },
                    ));
                }
            }
            frame = prev;
        }
        let mut renamings = Renamings::default();
        for (frame, prev, dna, edit) in steps.iter().rev() {
            renamings.add(frame, prev, dna, edit);
        }
        Ok(renamings.between(self.common, self.tip))
    }
}
