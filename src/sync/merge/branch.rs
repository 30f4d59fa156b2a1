//! The two branches: where they part, and which edits the branch that stays already holds.

use std::collections::{BTreeSet, BinaryHeap, HashMap, HashSet};

use serde_json::Value;

use super::{Frames, GRAFT_INFO, GRAFT_ORPHAN, MergeError, graft, need};
use crate::ibgib::{Addr, IbGib};
use crate::keystone::KEYSTONE;

/// How many frames of one branch are walked at most.
pub const MAX_FRAMES: usize = 1_000_000;

/// Two branches of one timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branches {
    /// The address of the timeline's tjp.
    pub tjp: String,
    /// The nearest frame on the replayed branch that the branch that stays holds too, by `past` or
    /// by an earlier merge's `graftorphan`.
    pub common: Addr,
    /// The frames of the branch to replay, oldest first, without the common one.
    pub line: Vec<Addr>,
    /// Those of `line` whose edits an earlier merge brought to the branch that stays.
    pub present: HashSet<Addr>,
    /// What the replayed branch stands on, down to the place of the base: where the branch that
    /// stays comes to one of these, the two are one.
    pub shared: HashSet<Addr>,
    /// Which frame each frame of an earlier merge replays.
    origins: HashMap<Addr, Addr>,
}

impl Branches {
    /// The frame in which an edit was first made.
    pub fn origin<'a>(&'a self, addr: &'a Addr) -> &'a Addr {
        origin(&self.origins, addr)
    }
}

/// Finds where two tips part.
///
/// `base` is a frame that both stand on (by `past` or `graftorphan`). Frames are read down to the
/// common frame, no further, which rests on `n` growing along both relations.
pub fn split(
    frames: &dyn Frames,
    base: &Addr,
    kept: &Addr,
    replayed: &Addr,
) -> Result<Branches, MergeError> {
    let tip = need(frames, kept, "the merge")?;
    let tjp = tip.tjp_addr().ok_or_else(|| MergeError::NotATimeline(kept.clone()))?;
    if [base, kept, replayed].iter().any(|addr| addr.ib() == KEYSTONE) {
        return Err(MergeError::Keystone { tjp, kept: kept.clone(), replayed: replayed.clone() });
    }
    let mut ours = Reach::new(frames, &tjp, kept)?;
    let mut theirs = Reach::new(frames, &tjp, replayed)?;
    let base_frame = need(frames, base, "the merge")?;
    for (reach, other) in [(&mut ours, replayed), (&mut theirs, kept)] {
        reach.go_down_to(n_of(&need(frames, other, "the merge")?))?;
        if reach.seen.contains(other) {
            let newer = reach.tip.clone();
            return Err(MergeError::NotDiverged { older: other.clone(), newer });
        }
        reach.go_down_to(n_of(&base_frame))?;
        if !reach.seen.contains(base) {
            return Err(MergeError::NotReached { base: base.clone(), tip: reach.tip.clone() });
        }
    }
    let (common, line) = line_of(frames, &mut ours, base, replayed)?;
    // In one order, so that infos that contradict each other are read alike everywhere.
    let infos: BTreeSet<&Addr> = ours.infos.union(&theirs.infos).collect();
    let origins = origins(frames, infos.into_iter())?;
    let held: HashSet<&Addr> = ours.seen.iter().map(|addr| origin(&origins, addr)).collect();
    let present =
        line.iter().filter(|addr| held.contains(origin(&origins, addr))).cloned().collect();
    let shared = theirs.seen;
    Ok(Branches { tjp: tjp.clone(), common, line, present, shared, origins })
}

/// The replayed branch's own frames by `past`, oldest first, down to one that `ours` holds.
fn line_of(
    frames: &dyn Frames,
    ours: &mut Reach<'_>,
    base: &Addr,
    replayed: &Addr,
) -> Result<(Addr, Vec<Addr>), MergeError> {
    let mut line = Vec::new();
    let mut addr = replayed.clone();
    loop {
        let frame = need(frames, &addr, line.last().map_or("the merge", Addr::as_str))?;
        ours.go_down_to(n_of(&frame))?;
        if ours.seen.contains(&addr) {
            line.reverse();
            return Ok((addr, line));
        }
        if line.len() == MAX_FRAMES {
            return Err(MergeError::TooLong(replayed.clone()));
        }
        line.push(addr);
        let Some(prev) = frame.prev() else {
            return Err(MergeError::NotReached { base: base.clone(), tip: replayed.clone() });
        };
        addr = Addr::parse(prev)?;
    }
}

/// A frame's place; the last possible where it carries none, so that it is passed at once.
fn n_of(frame: &IbGib) -> u64 {
    frame.n().unwrap_or(0)
}

/// Everything that a tip stands on, by `past` and `graftorphan`, read from the newest down.
struct Reach<'a> {
    frames: &'a dyn Frames,
    tjp: &'a str,
    tip: Addr,
    seen: HashSet<Addr>,
    /// The graft infos met.
    infos: HashSet<Addr>,
    /// Frames whose relations were not followed yet: place, address, what it stands on.
    open: BinaryHeap<(u64, Addr, Vec<Addr>)>,
}

impl<'a> Reach<'a> {
    fn new(frames: &'a dyn Frames, tjp: &'a str, tip: &Addr) -> Result<Reach<'a>, MergeError> {
        let (seen, infos, open) = Default::default();
        let mut reach = Reach { frames, tjp, tip: tip.clone(), seen, infos, open };
        reach.meet(tip.clone(), "the merge")?;
        Ok(reach)
    }

    /// Follows every frame behind place `n`, so that all frames from `n` on have been met.
    fn go_down_to(&mut self, n: u64) -> Result<(), MergeError> {
        while self.open.peek().is_some_and(|(place, ..)| *place > n) {
            let Some((_, addr, below)) = self.open.pop() else { break };
            for next in below {
                self.meet(next, addr.as_str())?;
            }
        }
        Ok(())
    }

    fn meet(&mut self, addr: Addr, wanted_by: &str) -> Result<(), MergeError> {
        if addr.is_primitive() || self.seen.contains(&addr) {
            return Ok(());
        }
        if self.seen.len() > MAX_FRAMES {
            return Err(MergeError::TooLong(self.tip.clone()));
        }
        let frame = need(self.frames, &addr, wanted_by)?;
        if frame.tjp_addr().as_deref() != Some(self.tjp) {
            // What is grafted from elsewhere is no part of this timeline.
            if addr != self.tip {
                return Ok(());
            }
            return Err(MergeError::OtherTimeline { addr, tjp: self.tjp.to_owned() });
        }
        for info in frame.rel8d(GRAFT_INFO) {
            self.infos.insert(Addr::parse(info)?);
        }
        let below = frame.prev().into_iter().chain(frame.rel8d(GRAFT_ORPHAN));
        let below = below.map(Addr::parse).collect::<Result<Vec<Addr>, _>>()?;
        self.seen.insert(addr.clone());
        // An uncounted frame's place is unknown, so it is followed before any other.
        self.open.push((frame.n().unwrap_or(u64::MAX), addr, below));
        Ok(())
    }
}

/// Which frame each replayed frame replays, as the graft infos tell.
fn origins<'a>(
    frames: &dyn Frames,
    infos: impl Iterator<Item = &'a Addr>,
) -> Result<HashMap<Addr, Addr>, MergeError> {
    let (mut origins, mut seen) = (HashMap::new(), HashSet::new());
    for addr in infos {
        for stone in graft::info_stones(frames, addr, &mut seen)? {
            read_origins(&stone, &mut origins);
        }
    }
    Ok(origins)
}

/// Passes over what it does not understand: a graft info made elsewhere may look otherwise.
fn read_origins(info: &IbGib, origins: &mut HashMap<Addr, Addr>) {
    let parse = |value: &Value| value.as_str().and_then(|text| Addr::parse(text).ok());
    for entry in info.datum("replayed").and_then(Value::as_array).into_iter().flatten() {
        let Some(frame) = entry.get("frame").and_then(parse) else { continue };
        for made in entry.get("as").and_then(Value::as_array).into_iter().flatten() {
            if let Some(made) = parse(made) {
                origins.entry(made).or_insert_with(|| frame.clone());
            }
        }
    }
}

/// The frame in which an edit was first made.
fn origin<'a>(origins: &'a HashMap<Addr, Addr>, addr: &'a Addr) -> &'a Addr {
    let mut addr = addr;
    // The count stops a circle, which only a forged graft info could tell of.
    for _ in 0..origins.len() {
        match origins.get(addr) {
            Some(earlier) => addr = earlier,
            None => break,
        }
    }
    addr
}
