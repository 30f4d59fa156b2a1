//! What gave way in a merge, and how a graft info lists it (docs/protocol.md, section 7).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::path::FieldPath;
use super::{Frames, GRAFT_INFO, MergeError, graft, newest};
use crate::ibgib::json as js;
use crate::ibgib::{Addr, IbGib};

/// How many bytes of a value's JSON a graft info holds; the rest stands in the frame.
const MAX_VALUE_BYTES: usize = 1_000;

/// How deep a value nests that a graft info holds whole: around it there is more, and an ibGib has
/// a bound.
const MAX_VALUE_DEPTH: usize = 32;

/// Whose value a merge took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Winner {
    /// That of the branch that stays.
    Kept,
    /// That of the branch that was replayed.
    Replayed,
}

/// A field that both branches changed, of which one value gave way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overwritten {
    /// The field.
    pub path: FieldPath,
    /// Its value in the common frame.
    pub common: Side,
    /// Its value on the branch that stays.
    pub kept: Side,
    /// Its value on the branch that was replayed.
    pub replayed: Side,
    /// Whose value was taken.
    pub winner: Winner,
    /// The frame of the branch that stays that set its value.
    pub kept_frame: Addr,
    /// The frame of the replayed branch that set its value.
    pub replayed_frame: Addr,
}

/// A value of one side, as a merge records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// There is none.
    Absent,
    /// The value.
    Whole(Value),
    /// The beginning of the value's JSON, and how many bytes the whole of it has.
    Cut {
        /// The beginning.
        head: String,
        /// Bytes of the whole.
        bytes: u64,
    },
}

impl Side {
    /// A value as it is recorded: whole, or cut where its JSON is long.
    pub fn of(value: Option<&Value>) -> Side {
        let Some(value) = value else { return Side::Absent };
        let json = js::stringify(value);
        if json.len() <= MAX_VALUE_BYTES && depth(value) <= MAX_VALUE_DEPTH {
            return Side::Whole(value.clone());
        }
        let end = (0..=MAX_VALUE_BYTES).rev().find(|at| json.is_char_boundary(*at)).unwrap_or(0);
        Side::Cut { head: json[..end].to_owned(), bytes: json.len() as u64 }
    }

    fn read(entry: &Map<String, Value>, name: &str) -> Side {
        let cut = entry.get("cut").and_then(|cut| cut.get(name)).and_then(Value::as_u64);
        match (entry.get(name), cut) {
            (None, _) => Side::Absent,
            (Some(Value::String(head)), Some(bytes)) => Side::Cut { head: head.clone(), bytes },
            (Some(value), _) => Side::Whole(value.clone()),
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

impl Overwritten {
    /// The value that was taken.
    pub fn won(&self) -> &Side {
        match self.winner {
            Winner::Kept => &self.kept,
            Winner::Replayed => &self.replayed,
        }
    }

    /// The value that gave way.
    pub fn lost(&self) -> &Side {
        match self.winner {
            Winner::Kept => &self.replayed,
            Winner::Replayed => &self.kept,
        }
    }

    /// The frame that set the value that was taken.
    pub fn won_by(&self) -> &Addr {
        match self.winner {
            Winner::Kept => &self.kept_frame,
            Winner::Replayed => &self.replayed_frame,
        }
    }

    /// The frame that set the value that gave way.
    pub fn lost_by(&self) -> &Addr {
        match self.winner {
            Winner::Kept => &self.replayed_frame,
            Winner::Replayed => &self.kept_frame,
        }
    }

    /// As a graft info lists it: an absent value has no key, and `cut` tells of those that are cut.
    pub fn to_value(&self) -> Value {
        let mut entry = Map::new();
        let mut cut = Map::new();
        entry.insert("path".into(), self.path.to_string().into());
        for (name, side) in
            [("common", &self.common), ("kept", &self.kept), ("replayed", &self.replayed)]
        {
            match side {
                Side::Absent => {}
                Side::Whole(value) => drop(entry.insert(name.into(), value.clone())),
                Side::Cut { head, bytes } => {
                    entry.insert(name.into(), head.as_str().into());
                    cut.insert(name.into(), (*bytes).into());
                }
            }
        }
        entry.insert("winner".into(), json!(self.winner));
        entry.insert("keptFrame".into(), self.kept_frame.as_str().into());
        entry.insert("replayedFrame".into(), self.replayed_frame.as_str().into());
        if !cut.is_empty() {
            entry.insert("cut".into(), cut.into());
        }
        Value::Object(entry)
    }

    /// Reads an entry of a graft info; none if it cannot be understood.
    pub fn of_value(entry: &Value) -> Option<Overwritten> {
        let entry = entry.as_object()?;
        let text = |key| entry.get(key).and_then(Value::as_str);
        let winner = match text("winner")? {
            "kept" => Winner::Kept,
            "replayed" => Winner::Replayed,
            _ => return None,
        };
        Some(Overwritten {
            path: text("path")?.parse().ok()?,
            common: Side::read(entry, "common"),
            kept: Side::read(entry, "kept"),
            replayed: Side::read(entry, "replayed"),
            winner,
            kept_frame: Addr::parse(text("keptFrame")?).ok()?,
            replayed_frame: Addr::parse(text("replayedFrame")?).ok()?,
        })
    }
}

/// What gave way in the merge that a graft frame ends, as its graft info lists it; nothing where
/// the rules of its merge listed nothing. What cannot be understood is passed over: a graft info
/// made elsewhere may look otherwise.
///
/// The frames after a graft frame carry its relations on: ask for the one that brought them.
pub fn overwritten_of(
    frames: &dyn Frames,
    graft_frame: &IbGib,
) -> Result<Vec<Overwritten>, MergeError> {
    overwritten_unseen(frames, graft_frame, &mut HashSet::new())
}

/// What gave way in one of several merges: as [`overwritten_of`], without what stands in stones that
/// were read for another one. `seen` holds these, and takes what is read for this one.
///
/// Frames of a few hundred bytes may all name one graft info of megabytes: so what is read and told
/// is never more than what is stored.
pub fn overwritten_unseen(
    frames: &dyn Frames,
    graft_frame: &IbGib,
    seen: &mut HashSet<Addr>,
) -> Result<Vec<Overwritten>, MergeError> {
    let Some(info) = newest(graft_frame, GRAFT_INFO) else { return Ok(Vec::new()) };
    let stones = graft::info_stones(frames, &Addr::parse(info)?, seen)?;
    let entries = stones.iter().filter_map(|stone| stone.datum("overwritten")?.as_array());
    Ok(entries.flatten().filter_map(Overwritten::of_value).collect())
}
