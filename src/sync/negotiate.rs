//! Comparing timelines by `n`, both halves: the receiver's answers, and what the sender makes of
//! them (docs/protocol.md, section 6).

use super::body::{Answer, Probe, Relation, SAMPLES, Sample, Stated};
use super::error::SyncError;
use crate::ibgib::{Addr, TjpAddr};
use crate::space::{RowId, Space, TimelineKind, Tip};

/// How many frames one probe is answered with.
const PROBE_SAMPLES: u64 = 16;

/// How the receiver's timeline stands to the sender's.
pub fn answer(space: &dyn Space, stated: &Stated) -> Result<Answer, SyncError> {
    let tjp = stated.tjp.clone();
    let Some((tjp_id, tip)) = data_timeline(space, &tjp)? else {
        return Ok(Answer { tjp, relation: Relation::Unknown, tip: None, samples: Vec::new() });
    };
    let sample = Some(Sample { addr: tip.addr.clone(), n: tip.n });
    if tip.addr == stated.tip {
        return Ok(Answer { tjp, relation: Relation::Equal, tip: sample, samples: Vec::new() });
    }
    if let Some(theirs) = space.find(&stated.tip)?
        && space.extends(tip.id, theirs)?
    {
        return Ok(Answer { tjp, relation: Relation::Ahead, tip: sample, samples: Vec::new() });
    }
    let samples = samples(space, tjp_id, tip.n)?;
    Ok(Answer { tjp, relation: Relation::Open, tip: sample, samples })
}

/// Frames of the mainline at distances 0, 1, 3, 7, 15, … from the tip, down to its first.
fn samples(space: &dyn Space, tjp_id: RowId, tip_n: u64) -> Result<Vec<Sample>, SyncError> {
    let mut samples = Vec::new();
    let mut distance: u64 = 0;
    loop {
        let place = tip_n.saturating_sub(distance);
        push_sample(space, tjp_id, place, &mut samples)?;
        if place == 0 || samples.len() >= SAMPLES - 1 {
            break;
        }
        distance = distance * 2 + 1;
    }
    push_sample(space, tjp_id, 0, &mut samples)?;
    Ok(samples)
}

fn push_sample(
    space: &dyn Space,
    tjp_id: RowId,
    place: u64,
    samples: &mut Vec<Sample>,
) -> Result<(), SyncError> {
    let id = match space.frame_at(tjp_id, place)? {
        Some(id) => id,
        // A line may begin above zero; its first frame is the tjp.
        None => tjp_id,
    };
    let node = space.node(id)?;
    if samples.last().is_none_or(|last: &Sample| last.n > node.n) {
        samples.push(Sample { addr: node.addr, n: node.n });
    }
    Ok(())
}

/// Frames of the mainline strictly between two places, newest first, evenly spread.
pub fn answer_probe(space: &dyn Space, probe: &Probe) -> Result<Answer, SyncError> {
    let (tjp_id, tip) = data_timeline(space, &probe.tjp)?
        .ok_or_else(|| SyncError::protocol("a probe of a timeline that is not here"))?;
    if tip.addr != probe.tip {
        return Err(SyncError::Conflict(format!("the tip of {} moved", probe.tjp)));
    }
    let mut samples: Vec<Sample> = Vec::new();
    let between = probe.below.saturating_sub(probe.above).saturating_sub(1);
    let step = between.div_ceil(PROBE_SAMPLES).max(1);
    let mut place = probe.below.saturating_sub(1);
    while place > probe.above && samples.len() < SAMPLES {
        if let Some(id) = space.frame_at(tjp_id, place)? {
            let node = space.node(id)?;
            if node.n > probe.above && samples.last().is_none_or(|last| last.n > node.n) {
                samples.push(Sample { addr: node.addr, n: node.n });
            }
        }
        place = place.saturating_sub(step);
    }
    let tip = Some(Sample { addr: tip.addr, n: tip.n });
    Ok(Answer { tjp: probe.tjp.clone(), relation: Relation::Open, tip, samples })
}

/// The tjp's row and the tip of a timeline that may be synced; none where it is not here.
pub fn data_timeline(space: &dyn Space, tjp: &TjpAddr) -> Result<Option<(RowId, Tip)>, SyncError> {
    let Some(tjp_id) = space.find(tjp)? else { return Ok(None) };
    match space.timeline_of(tjp_id)? {
        None => Ok(None),
        Some(timeline) if timeline.kind == TimelineKind::Data => Ok(Some((tjp_id, timeline.tip))),
        Some(_) => Err(SyncError::protocol(format!(
            "{tjp} is a keystone or a saga, which are not synced as data"
        ))),
    }
}

/// What the sender does about one timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Equal,
    /// Send the frames after the common one, or all where there is none.
    Push {
        /// The newest frame that the receiver has.
        common: Option<Addr>,
    },
    /// Fetch the frames after the common one.
    Pull {
        /// The receiver's tip.
        theirs: Sample,
        /// The newest frame that the sender has.
        common: Option<Addr>,
    },
    /// Fetch the receiver's branch and replay one's own on top of it.
    Merge {
        /// The receiver's tip.
        theirs: Sample,
        /// The newest frame of the receiver's line that the sender has.
        common: Addr,
        /// The newest frame that is on both lines.
        base: Addr,
    },
    /// Ask for more samples.
    Probe(SplitSearch),
}

/// A split that is being searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitSearch {
    /// The receiver's tip.
    pub theirs: Sample,
    /// The newest known frame of the receiver's line that the sender has.
    pub above: Sample,
    /// The `n` of the oldest known frame of the receiver's line that the sender lacks.
    pub below: u64,
}

/// What to do after the receiver's first answer about a timeline of which `mine` is the tip.
pub fn decide(
    space: &dyn Space,
    tjp_id: RowId,
    mine: &Tip,
    answer: &Answer,
) -> Result<Decision, SyncError> {
    let theirs = match (answer.relation, &answer.tip) {
        (Relation::Unknown, _) => return Ok(Decision::Push { common: None }),
        (Relation::Equal, _) => return Ok(Decision::Equal),
        (_, None) => return Err(SyncError::protocol("an answer without a tip")),
        (Relation::Ahead, Some(tip)) => {
            let (theirs, common) = (tip.clone(), Some(mine.addr.clone()));
            return Ok(Decision::Pull { theirs, common });
        }
        (Relation::Open, Some(tip)) => tip.clone(),
    };
    if let Some(id) = space.find(&theirs.addr)?
        && space.extends(mine.id, id)?
    {
        return Ok(Decision::Push { common: Some(theirs.addr) });
    }
    let none = || SyncError::protocol(format!("no sample of {} is known here", answer.tjp));
    let known = first_known(space, &answer.samples)?.ok_or_else(none)?;
    let above = answer.samples[known].clone();
    let below = match known {
        0 => above.n + 1,
        _ => answer.samples[known - 1].n,
    };
    narrow(space, tjp_id, mine, SplitSearch { theirs, above, below })
}

/// What to do after the answer to a probe.
pub fn decide_after_probe(
    space: &dyn Space,
    tjp_id: RowId,
    mine: &Tip,
    mut open: SplitSearch,
    answer: &Answer,
) -> Result<Decision, SyncError> {
    let inside = |sample: &Sample| sample.n > open.above.n && sample.n < open.below;
    if !answer.samples.iter().all(inside) || !answer.samples.is_sorted_by(|a, b| a.n > b.n) {
        return Err(SyncError::protocol("samples outside of what was asked for"));
    }
    match first_known(space, &answer.samples)? {
        Some(known) => {
            if known > 0 {
                open.below = answer.samples[known - 1].n;
            }
            open.above = answer.samples[known].clone();
        }
        // Without any frame between them the two ends are neighbours.
        None => open.below = answer.samples.last().map_or(open.above.n + 1, |sample| sample.n),
    }
    narrow(space, tjp_id, mine, open)
}

fn first_known(space: &dyn Space, samples: &[Sample]) -> Result<Option<usize>, SyncError> {
    let addrs: Vec<Addr> = samples.iter().map(|sample| sample.addr.clone()).collect();
    Ok(space.has_many(&addrs)?.into_iter().position(|known| known))
}

fn narrow(
    space: &dyn Space,
    tjp_id: RowId,
    mine: &Tip,
    open: SplitSearch,
) -> Result<Decision, SyncError> {
    if open.below > open.above.n + 1 {
        return Ok(Decision::Probe(open));
    }
    let SplitSearch { theirs, above, .. } = open;
    if above.addr == mine.addr {
        return Ok(Decision::Pull { theirs, common: Some(above.addr) });
    }
    let base = on_own_mainline(space, tjp_id, &above.addr)?;
    if base == mine.addr {
        return Ok(Decision::Pull { theirs, common: Some(above.addr) });
    }
    Ok(Decision::Merge { theirs, common: above.addr, base })
}

/// The newest frame at or before `addr` that is on the own tip's line: `addr` itself may be on a
/// branch that was grafted away here.
fn on_own_mainline(space: &dyn Space, tjp_id: RowId, addr: &Addr) -> Result<Addr, SyncError> {
    let mut at = space.find(addr)?;
    while let Some(id) = at {
        let node = space.node(id)?;
        if id == tjp_id || space.frame_at(tjp_id, node.n)? == Some(id) {
            return Ok(node.addr);
        }
        at = node.prev;
    }
    Err(SyncError::protocol(format!("{addr} is not on its timeline's mainline")))
}
