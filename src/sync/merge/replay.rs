//! Replays the edits of one branch on the tip of the other.

use serde_json::{Map, Value};

use super::branch::Branches;
use super::derive::{Change, Edit, change_of, moment_of, own_dna};
use super::fit::{asks_for_something, fit};
use super::text::merge_text;
use super::{Frames, MergeError, Replayed, Unreplayed, need};
use crate::ibgib::addr::clip;
use crate::ibgib::json as js;
use crate::ibgib::transform::{Kind, transform};
use crate::ibgib::{Addr, IbGib, MAX_IBGIB_BYTES};

/// What replaying a branch gave.
pub(super) struct Run {
    /// The newest frame: the last one made, or the tip that stays.
    pub(super) tip: IbGib,
    /// Dnas and frames, each one's dependencies before it.
    pub(super) new: Vec<IbGib>,
    /// How many frames were made.
    pub(super) made: u64,
    pub(super) replayed: Vec<Replayed>,
    pub(super) unreplayed: Vec<Unreplayed>,
}

/// Replays the frames of the branch, oldest first, on `kept`.
pub(super) fn replay(
    frames: &dyn Frames,
    branches: &Branches,
    kept: &Addr,
) -> Result<Run, MergeError> {
    let tip = need(frames, kept, "the merge")?;
    let mut prev = need(frames, &branches.common, "the merge")?;
    let texts = Texts {
        common: text_of(&prev).map(str::to_owned),
        kept: text_of(&tip).map(str::to_owned),
        by_frame: !branches.present.is_empty(),
    };
    let (new, replayed, unreplayed) = Default::default();
    let mut run = Run { tip, new, made: 0, replayed, unreplayed };
    for addr in &branches.line {
        let frame = need(frames, addr, "a newer frame")?;
        if !branches.present.contains(addr) {
            let dna = own_dna(&frame, &prev).map(Addr::parse).transpose()?;
            let recorded = match &dna {
                Some(dna) if !dna.is_primitive() => Some(need(frames, dna, addr.as_str())?),
                _ => None,
            };
            let change = change_of(&frame, &prev, recorded.as_ref());
            let step = Step { addr, frame: &frame, prev: &prev, dna };
            run.step(step, change, &texts);
        }
        prev = frame;
    }
    Ok(run)
}

/// One frame of the branch.
struct Step<'a> {
    addr: &'a Addr,
    frame: &'a IbGib,
    prev: &'a IbGib,
    dna: Option<Addr>,
}

/// What texts are merged against.
struct Texts {
    common: Option<String>,
    kept: Option<String>,
    /// Whether some frames of the branch are passed over since the branch that stays holds their
    /// edits. The whole text of a later frame would bring these back, so each frame's own change
    /// of text is merged instead.
    by_frame: bool,
}

impl Run {
    fn step(&mut self, step: Step<'_>, change: Change, texts: &Texts) {
        let before = self.unreplayed.len();
        for reason in change.refused {
            self.refuse(&step, reason);
        }
        let nothing = change.edits.is_empty();
        let mut made = Vec::new();
        for mut edit in change.edits {
            for reason in fit(&mut edit, step.prev, &self.tip) {
                self.refuse(&step, reason);
            }
            self.merge_texts(&mut edit, &step, texts);
            if asks_for_something(&edit) {
                match self.frame_of(&edit, &step) {
                    Ok(addr) => made.push(addr),
                    Err(reason) => self.refuse(&step, reason),
                }
            }
        }
        let is_bookkeeping = change.is_graft && nothing;
        let is_refused = made.is_empty() && self.unreplayed.len() > before;
        if !is_bookkeeping && !is_refused {
            let Step { addr, dna, .. } = step;
            self.replayed.push(Replayed { frame: addr.clone(), dna, made });
        }
    }

    fn refuse(&mut self, step: &Step<'_>, reason: String) {
        let (frame, dna) = (step.addr.clone(), step.dna.clone());
        self.unreplayed.push(Unreplayed { frame, dna, reason });
    }

    /// Where the frame set its text and the branch that stays has one, sets the merged text.
    fn merge_texts(&self, edit: &mut Edit, step: &Step<'_>, texts: &Texts) {
        let (Some(theirs), Kind::Mut8) = (text_of(step.frame), edit.kind) else { return };
        let patch = edit.opts.get("dataToAddOrPatch");
        let set = patch.and_then(|patch| patch.get("text")).and_then(Value::as_str);
        // A text set to what it was is no change of it, and must not undo the other side's.
        if set.is_none() && text_of(step.prev) == Some(theirs) {
            return;
        }
        let (base, kept) = if texts.by_frame {
            (text_of(step.prev), text_of(&self.tip))
        } else {
            (texts.common.as_deref(), texts.kept.as_deref())
        };
        let Some(kept) = kept else { return };
        let merged = merge_text(base.unwrap_or(""), kept, theirs);
        if set.unwrap_or(theirs) == merged {
            return;
        }
        let mut patch = patch.and_then(Value::as_object).cloned().unwrap_or_default();
        js::set(&mut patch, "text", merged.into());
        js::set(&mut edit.opts, "dataToAddOrPatch", Value::Object(patch));
    }

    /// Makes the next frame by an edit, or says why it cannot be made.
    fn frame_of(&mut self, edit: &Edit, step: &Step<'_>) -> Result<Addr, String> {
        let moment = moment_of(step.frame);
        let mut made = transform(edit.kind, &self.tip, &edit.opts, moment)
            .map_err(|error| format!("the {} is refused: {error}", edit.kind.name()))?;
        let frame = &mut made.new_ibgib;
        copy_time(frame, step.frame).map_err(|error| error.to_string())?;
        let addr = check(frame, &self.tip)?;
        for dna in made.dnas {
            check_size(&dna)?;
            self.new.push(dna);
        }
        self.new.push(made.new_ibgib.clone());
        self.tip = made.new_ibgib;
        self.made += 1;
        Ok(addr)
    }
}

/// Whether a frame that was made can stand on `tip`.
fn check(frame: &IbGib, tip: &IbGib) -> Result<Addr, String> {
    let addr = frame.validate().map_err(|error| format!("it gives no valid frame: {error}"))?;
    check_size(frame)?;
    if frame.tjp_addr() != tip.tjp_addr() {
        return Err("it would leave the timeline".to_owned());
    }
    if frame.n() != tip.n().map(|n| n + 1) {
        return Err("data.n would not grow by one".to_owned());
    }
    Ok(addr)
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

fn text_of(frame: &IbGib) -> Option<&str> {
    frame.datum("text").and_then(Value::as_str)
}
