//! The end of a merge: the stone that records it and the frame that relates the result to both
//! tips.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::branch::{Branches, MAX_FRAMES};
use super::derive::moment_of;
use super::replay::{ReplayResult, copy_time};
use super::{
    Frames, GRAFT_BASE, GRAFT_INFO, GRAFT_INFO_IB, GRAFT_INFO_PART_IB, GRAFT_ORPHAN, Merge,
    MergeError, Overwritten, RULES, Replayed, Unreplayed, need,
};
use crate::ibgib::json as js;
use crate::ibgib::transform::{Kind, Opts, TransformError, Transformed, transform};
use crate::ibgib::{Addr, IbGib, System};

/// The relation of a graft info to the stones that hold its lists, where they are long.
const PART: &str = "part";
/// How many bytes of entries one stone holds.
const PART_BYTES: usize = 1 << 20;

/// Makes the graft info and the graft frame.
pub(super) fn finish(
    frames: &dyn Frames,
    branches: &Branches,
    kept: &Addr,
    replayed: &Addr,
    result: ReplayResult<'_>,
) -> Result<Merge, MergeError> {
    let orphan = need(frames, replayed, "the merge")?;
    let ReplayResult { tip, mut new, made, replayed: edits, unreplayed, overwritten, .. } = result;

    let lists = chunks(branches, &edits, &unreplayed, &overwritten);
    let mut stones = info(branches, kept, replayed, lists)?;
    let graft_info = match stones.last() {
        Some(stone) => stone.validate()?,
        None => return Err(MergeError::NotATimeline(kept.clone())),
    };
    new.append(&mut stones);

    let place = place_of(frames, kept)?.saturating_add(made);
    let needed = place_of(frames, replayed)?;
    let rel8ns = [(GRAFT_BASE, kept), (GRAFT_ORPHAN, replayed), (GRAFT_INFO, &graft_info)];
    let mut graft = graft_frame(&tip, &orphan, &rel8ns)?;
    let is_counted = matches!(graft.new_ibgib.data, None | Some(Value::Object(_)));
    if needed > place && is_counted {
        // The tip is the frame with the highest n, so it must be past the orphan's too, even
        // where fewer frames were replayed than the orphan's branch has.
        set_place(&mut graft.new_ibgib, needed.saturating_add(1))?;
    }
    let tip = graft.new_ibgib.validate()?;
    new.extend(graft.into_all());
    let common = branches.common.clone();
    let new = deduplicated(new);
    Ok(Merge { tip, new, graft_info, common, replayed: edits, unreplayed, overwritten })
}

fn graft_frame(
    tip: &IbGib,
    orphan: &IbGib,
    rel8ns: &[(&str, &Addr)],
) -> Result<Transformed, MergeError> {
    let rel8ns: Map<String, Value> =
        rel8ns.iter().map(|(name, addr)| ((*name).to_owned(), json!([addr.as_str()]))).collect();
    let linked = ["past", "dna", GRAFT_BASE, GRAFT_ORPHAN, GRAFT_INFO];
    let opts =
        Opts::next_frame_on(tip).linked(&linked).set("rel8nsToAddByAddr", rel8ns.clone()).build();
    let refused = |source| MergeError::Graft { tip: format!("{}^{}", tip.ib, tip.gib), source };
    let mut made = match transform(Kind::Rel8, tip, &opts, &System::at(moment_of(orphan))) {
        Ok(made) => made,
        Err(TransformError::DataNotObject) => return by_hand(tip, &rel8ns),
        Err(error) => return Err(refused(error)),
    };
    copy_time(&mut made.new_ibgib, orphan)?;
    Ok(made)
}

/// A graft frame on a frame whose data no transform takes: it has that data, no time and no dna.
fn by_hand(tip: &IbGib, grafts: &Map<String, Value>) -> Result<Transformed, MergeError> {
    let mut rel8ns = tip.rel8ns.clone().unwrap_or_default();
    js::set(&mut rel8ns, "past", json!([format!("{}^{}", tip.ib, tip.gib)]));
    for (name, list) in grafts {
        js::set(&mut rel8ns, name, list.clone());
    }
    let new_ibgib = IbGib::new(tip.ib.clone(), tip.data.clone(), Some(rel8ns))?;
    Ok(Transformed { new_ibgib, intermediates: Vec::new(), dnas: Vec::new() })
}

fn set_place(frame: &mut IbGib, n: u64) -> Result<(), MergeError> {
    let mut data = match frame.data.take() {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    js::set(&mut data, "n", n.into());
    *frame = IbGib::new(frame.ib.clone(), Some(Value::Object(data)), frame.rel8ns.take())?;
    Ok(())
}

/// The place of a frame in its timeline: `data.n`, or one more than the place of the frame before.
fn place_of(frames: &dyn Frames, addr: &Addr) -> Result<u64, MergeError> {
    let mut at = addr.clone();
    for steps in 0..=MAX_FRAMES as u64 {
        let frame = need(frames, &at, "a newer frame")?;
        if let Some(n) = frame.n() {
            return Ok(n.saturating_add(steps));
        }
        match frame.prev() {
            Some(prev) => at = Addr::parse(prev)?,
            None => return Ok(steps),
        }
    }
    Err(MergeError::TooLong(addr.clone()))
}

/// The graft info and, before it, the parts that hold its lists where these are long.
fn info(
    branches: &Branches,
    kept: &Addr,
    replayed: &Addr,
    mut lists: Vec<Map<String, Value>>,
) -> Result<Vec<IbGib>, MergeError> {
    let mut rel8ns = Map::new();
    rel8ns.insert("ancestor".into(), json!([format!("{GRAFT_INFO_IB}^gib")]));
    for (name, addr) in [("base", kept), ("orphan", replayed), ("common", &branches.common)] {
        rel8ns.insert(name.into(), json!([addr.as_str()]));
    }
    let mut data = Map::new();
    data.insert("rules".into(), RULES.into());
    data.insert("tjp".into(), branches.tjp.as_str().into());
    for (key, addr) in
        [("graftBase", kept), ("graftOrphan", replayed), ("commonFrame", &branches.common)]
    {
        data.insert(key.into(), addr.as_str().into());
    }
    let mut stones = Vec::new();
    if lists.len() > 1 {
        for list in lists.drain(..) {
            let ancestor = json!([format!("{GRAFT_INFO_PART_IB}^gib")]);
            let rel8ns = Map::from_iter([("ancestor".to_owned(), ancestor)]);
            let ib = GRAFT_INFO_PART_IB.to_owned();
            stones.push(IbGib::new(ib, Some(Value::Object(list)), Some(rel8ns))?);
        }
        let parts = stones.iter().map(IbGib::addr).collect::<Result<Vec<Addr>, _>>()?;
        rel8ns.insert(PART.into(), parts.iter().map(|part| Value::from(part.as_str())).collect());
    }
    data.extend(lists.pop().into_iter().flatten());
    stones.push(IbGib::new(GRAFT_INFO_IB.to_owned(), Some(Value::Object(data)), Some(rel8ns))?);
    Ok(stones)
}

/// The lists of a graft info, divided so that each piece fits a stone; one piece at least.
fn chunks(
    branches: &Branches,
    edits: &[Replayed],
    unreplayed: &[Unreplayed],
    overwritten: &[Overwritten],
) -> Vec<Map<String, Value>> {
    let empty = || -> Map<String, Value> {
        ["replayed", "unreplayed", "present", "overwritten"]
            .map(|key| (key.to_owned(), json!([])))
            .into_iter()
            .collect()
    };
    let present = branches.line.iter().filter(|addr| branches.present.contains(*addr));
    let entries = (edits.iter().map(|edit| ("replayed", replayed_entry(edit))))
        .chain(unreplayed.iter().map(|edit| ("unreplayed", unreplayed_entry(edit))))
        .chain(present.map(|addr| ("present", Value::from(addr.as_str()))))
        .chain(overwritten.iter().map(|field| ("overwritten", field.to_value())));
    let mut lists = vec![empty()];
    let mut bytes = 0;
    for (name, entry) in entries {
        let size = js::stringify(&entry).len();
        if bytes > 0 && bytes + size > PART_BYTES {
            lists.push(empty());
            bytes = 0;
        }
        bytes += size;
        if let Some(Value::Array(list)) = lists.last_mut().and_then(|map| map.get_mut(name)) {
            list.push(entry);
        }
    }
    lists
}

fn replayed_entry(edit: &Replayed) -> Value {
    let mut entry = entry(&edit.frame, edit.dna.as_ref());
    entry.insert("as".into(), edit.made.iter().map(|addr| Value::from(addr.as_str())).collect());
    Value::Object(entry)
}

fn unreplayed_entry(edit: &Unreplayed) -> Value {
    let mut entry = entry(&edit.frame, edit.dna.as_ref());
    entry.insert("reason".into(), edit.reason.as_str().into());
    Value::Object(entry)
}

fn entry(frame: &Addr, dna: Option<&Addr>) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("frame".into(), frame.as_str().into());
    if let Some(dna) = dna {
        entry.insert("dna".into(), dna.as_str().into());
    }
    entry
}

/// A graft info, and the parts that hold its lists where these are long, each once and without those
/// that `seen` holds, which takes them.
pub(super) fn info_stones(
    frames: &dyn Frames,
    info: &Addr,
    seen: &mut HashSet<Addr>,
) -> Result<Vec<IbGib>, MergeError> {
    let mut stones = Vec::new();
    // A primitive says nothing; a graft info made elsewhere may name one.
    if info.is_primitive() {
        return Ok(stones);
    }
    if !seen.insert(info.clone()) {
        return Ok(stones);
    }
    let info = need(frames, info, "a graft frame")?;
    let by = format!("{}^{}", info.ib, info.gib);
    for part in info.rel8d(PART) {
        let part = Addr::parse(part)?;
        if !part.is_primitive() && seen.insert(part.clone()) {
            stones.push(need(frames, &part, &by)?);
        }
    }
    stones.insert(0, info);
    Ok(stones)
}

/// Drops what was made twice: equal edits share one dna.
fn deduplicated(all: Vec<IbGib>) -> Vec<IbGib> {
    let mut seen = HashSet::new();
    all.into_iter().filter(|made| seen.insert((made.ib.clone(), made.gib.clone()))).collect()
}
