//! Replays the edits of one branch on the tip of the other.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::branch::Branches;
use super::branch_frames::{BranchEnd, BranchFrames, Made};
use super::decide::{Tips, decide};
use super::derive::{self, Edit, data_of, is_graft, own_dna};
use super::rebase::rebase;
use super::relation::Links;
use super::target::{Part, Target, Targets};
use super::{Frames, MergeError, Overwritten, Replayed, Unreplayed, need};
use crate::ibgib::addr::clip;
use crate::ibgib::json as js;
use crate::ibgib::transform::transform;
use crate::ibgib::{Addr, IbGib, MAX_IBGIB_BYTES, System};

/// The result of replaying a branch.
pub(super) struct ReplayResult<'a> {
    frames: &'a dyn Frames,
    branches: &'a Branches,
    /// The newest frame: the last one made, or the tip that stays.
    pub(super) tip: IbGib,
    /// Dnas and frames, each one's dependencies before it.
    pub(super) new: Vec<IbGib>,
    /// Where in `new` each stands.
    by_addr: HashMap<Addr, usize>,
    /// How many of `new` are frames.
    pub(super) made: u64,
    pub(super) replayed: Vec<Replayed>,
    pub(super) unreplayed: Vec<Unreplayed>,
    pub(super) overwritten: Vec<Overwritten>,
}

/// Replays the frames of the branch, oldest first, on `kept`: each stretch of frames that the
/// branch that stays does not hold already as a whole.
pub(super) fn replay<'a>(
    frames: &'a dyn Frames,
    branches: &'a Branches,
    kept: &Addr,
) -> Result<ReplayResult<'a>, MergeError> {
    let tip = need(frames, kept, "the merge")?;
    let (new, by_addr, replayed, unreplayed, overwritten) = Default::default();
    let made = 0;
    let mut run = ReplayResult {
        frames,
        branches,
        tip,
        new,
        by_addr,
        made,
        replayed,
        unreplayed,
        overwritten,
    };
    let mut common = &branches.common;
    let is_held = |addr: &Addr| branches.present.contains(addr);
    for stretch in branches.line.chunk_by(|a, b| is_held(a) == is_held(b)) {
        if stretch.first().is_some_and(|addr| !is_held(addr)) {
            run.stretch(common, stretch)?;
        }
        common = stretch.last().unwrap_or(common);
    }
    Ok(run)
}

/// One frame of the branch.
struct Original<'a> {
    addr: &'a Addr,
    frame: &'a IbGib,
    prev: &'a IbGib,
    /// The address of its own dna.
    dna: Option<Addr>,
    recorded: Option<IbGib>,
}

impl<'a> ReplayResult<'a> {
    /// Replays frames that follow each other; `common` is the frame before them.
    fn stretch(&mut self, common: &Addr, stretch: &[Addr]) -> Result<(), MergeError> {
        let Some(last) = stretch.last() else { return Ok(()) };
        let common = need(self.frames, common, "the merge")?;
        let last = need(self.frames, last, "the merge")?;
        let kept = self.tip.clone();
        let tips = Tips { common: &common, kept: &kept, last: &last };
        let (decided, reasons) = {
            let end = BranchEnd::At(common.addr()?);
            let ours = self.branch_frames(tips.common, tips.kept, BranchEnd::Shared);
            let theirs = self.branch_frames(tips.common, tips.last, end);
            let mut decided = decide(tips, &ours, &theirs)?;
            let reasons = rebase(&mut decided, tips, &ours, &theirs)?;
            (decided, reasons)
        };
        let mut targets = Targets::new(tips, decided);
        let mut prev = common.clone();
        let mut is_linked = true;
        for addr in stretch {
            let frame = need(self.frames, addr, "a newer frame")?;
            let dna = own_dna(&frame, &prev).map(Addr::parse).transpose()?;
            let recorded = match &dna {
                Some(dna) if !dna.is_primitive() => Some(need(self.frames, dna, addr.as_str())?),
                _ => None,
            };
            let step = Original { addr, frame: &frame, prev: &prev, dna, recorded };
            let is_last = Some(addr) == stretch.last();
            let prev_linked = Some(&prev).filter(|_| is_linked && !is_last);
            let target = targets.next(&frame, prev_linked, &self.tip, is_last);
            let reasons = if is_last { &reasons[..] } else { &[] };
            self.step(&step, &target, reasons, is_last);
            is_linked = Part::Relations.is_there(&self.tip, &self.tip, &target);
            prev = frame;
        }
        self.overwritten.append(&mut targets.into_overwritten());
        Ok(())
    }

    fn branch_frames<'l>(
        &'l self,
        common: &'l IbGib,
        tip: &'l IbGib,
        end: BranchEnd,
    ) -> BranchFrames<'l> {
        let made = Made { frames: self.frames, new: &self.new, by_addr: &self.by_addr };
        BranchFrames { made, branches: self.branches, common, tip, end }
    }

    /// Makes the frames that bring the tip to the target. Where one cannot be made, what it was to
    /// hold goes into a later one; what the last cannot hold is named.
    fn step(&mut self, step: &Original<'_>, target: &Target, reasons: &[String], is_last: bool) {
        let mut refused: Vec<String> = reasons.to_vec();
        refused.extend(no_transform(step, target));
        let mut made = Vec::new();
        for part in [Part::Data, Part::Relations] {
            match self.part(part, step, target) {
                Ok(addr) => made.extend(addr),
                Err(reason) if is_last => refused.push(reason),
                Err(_) => {}
            }
        }
        let is_bookkeeping = is_graft(step.frame, step.prev) && made.is_empty();
        let is_refused = made.is_empty() && !refused.is_empty();
        if !is_bookkeeping && !is_refused {
            let (frame, dna) = (step.addr.clone(), step.dna.clone());
            self.replayed.push(Replayed { frame, dna, made });
        }
        for reason in refused {
            let (frame, dna) = (step.addr.clone(), step.dna.clone());
            self.unreplayed.push(Unreplayed { frame, dna, reason });
        }
    }

    /// Makes one frame, where one is to be made: by the transform that the dna records, where that
    /// gives what is wanted, else by one that is derived.
    fn part(
        &mut self,
        part: Part,
        step: &Original<'_>,
        target: &Target,
    ) -> Result<Option<Addr>, String> {
        let is_there = |frame: &IbGib| part.is_there(frame, &self.tip, target);
        if is_there(&self.tip) {
            return Ok(None);
        }
        let recorded = step.recorded.as_ref().and_then(|dna| derive::recorded(dna, &self.tip));
        let recorded = recorded.filter(|edit| edit.kind == part.kind());
        let derived = match part {
            Part::Data => {
                target.data.iter().flat_map(|d| derive::mut8s(&self.tip, &target.ib, d)).collect()
            }
            Part::Relations => {
                let Links { add, remove } = &target.links;
                derive::rel8(&self.tip, add.clone(), remove.clone()).into_iter().collect::<Vec<_>>()
            }
        };
        let mut failed = "no transform makes it".to_owned();
        for edit in recorded.into_iter().chain(derived) {
            match self.made(&edit, step) {
                Ok((frame, dnas)) if is_there(&frame) => return self.take(frame, dnas).map(Some),
                Ok(_) => {}
                Err(reason) => failed = reason,
            }
        }
        Err(failed)
    }

    /// Makes the next frame by an edit, or says why it cannot be made.
    ///
    /// The graft info stores the reason, so the wording of the errors that it quotes belongs to the
    /// rules of the merge (docs/upgrades.md, "Merge rules").
    fn made(&self, edit: &Edit, step: &Original<'_>) -> Result<(IbGib, Vec<IbGib>), String> {
        let moment = derive::moment_of(step.frame);
        let mut made = transform(edit.kind, &self.tip, &edit.opts, &System::at(moment))
            .map_err(|error| format!("the {} is refused: {error}", edit.kind.name()))?;
        let frame = &mut made.new_ibgib;
        copy_time(frame, step.frame).map_err(|error| error.to_string())?;
        check(frame, &self.tip)?;
        made.dnas.iter().try_for_each(check_size)?;
        Ok((made.new_ibgib, made.dnas))
    }

    fn take(&mut self, frame: IbGib, dnas: Vec<IbGib>) -> Result<Addr, String> {
        let addr = frame.addr().map_err(|error| error.to_string())?;
        for made in dnas.into_iter().chain([frame.clone()]) {
            let addr = made.addr().map_err(|error| error.to_string())?;
            self.by_addr.insert(addr, self.new.len());
            self.new.push(made);
        }
        self.tip = frame;
        self.made += 1;
        Ok(addr)
    }
}

/// What a frame changed that no transform expresses.
fn no_transform(step: &Original<'_>, target: &Target) -> Vec<String> {
    let mut refused = Vec::new();
    if target.data.is_none() && data_of(step.frame) != data_of(step.prev) {
        let reason =
            "its data changed, and data of the branches is no object, which no transform sets";
        refused.push(reason.to_owned());
    } else if target.data.is_none() && step.frame.data != step.prev.data {
        refused.push("its data changed and is no object, which no transform sets".to_owned());
    }
    if step.frame.rel8d("ancestor").ne(step.prev.rel8d("ancestor")) {
        refused.push("its relation \"ancestor\" changed, which no transform does".to_owned());
    }
    refused
}

/// Whether a frame that was made can stand on `tip`.
fn check(frame: &IbGib, tip: &IbGib) -> Result<(), String> {
    frame.validate().map_err(|error| format!("it gives no valid frame: {error}"))?;
    check_size(frame)?;
    if frame.tjp_addr() != tip.tjp_addr() || frame.is_tjp() {
        return Err("it would leave the timeline".to_owned());
    }
    if frame.n() != tip.n().map(|n| n + 1) {
        return Err("data.n would not grow by one".to_owned());
    }
    Ok(())
}

fn check_size(ibgib: &IbGib) -> Result<(), String> {
    let bytes = ibgib.to_json().len();
    if bytes > MAX_IBGIB_BYTES {
        let ib = clip(&ibgib.ib);
        return Err(format!("{ib} would be {bytes} bytes, over the limit of {MAX_IBGIB_BYTES}"));
    }
    Ok(())
}

/// Gives a frame the timestamp of another, or none where that has none.
pub(super) fn copy_time(frame: &mut IbGib, from: &IbGib) -> Result<(), crate::ibgib::IbGibError> {
    if ["timestamp", "timestampMs"].iter().all(|key| frame.datum(key) == from.datum(key)) {
        return Ok(());
    }
    let mut data = match frame.data.take() {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    for key in ["timestamp", "timestampMs"] {
        match from.datum(key) {
            Some(value) => js::set(&mut data, key, value.clone()),
            None => drop(js::delete(&mut data, key)),
        }
    }
    let (ib, rel8ns) = (std::mem::take(&mut frame.ib), frame.rel8ns.take());
    *frame = IbGib::new(ib, Some(Value::Object(data)), rel8ns)?;
    Ok(())
}
