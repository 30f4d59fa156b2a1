//! What of a frame people change: its ib, its data and its relations, without what the frames and
//! merges keep themselves (docs/protocol.md, section 7).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::derive::{self, Edit, data_of, is_bookkeeping, is_kept_by_frames};
use super::path::{FieldPath, PathError};
use crate::ibgib::transform::{TransformError, transform};
use crate::ibgib::{IbGib, Moment, System};

/// The content of a frame. Two are equal where their relations hold the same addresses, in
/// whatever order.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    ib: String,
    /// None where it is no object.
    data: Option<Map<String, Value>>,
    rel8ns: BTreeMap<String, BTreeSet<String>>,
}

/// Why a content was not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The data is no object.
    #[error("the data is no object, which no transform sets")]
    NotAnObject,
    /// A field is not one that people set.
    #[error("{0} is kept by the frames and merges themselves")]
    Kept(FieldPath),
    /// A transform failed.
    #[error(transparent)]
    Transform(#[from] TransformError),
    /// A field cannot be set.
    #[error(transparent)]
    Path(#[from] PathError),
    /// No transform leads there.
    #[error("no transform makes it")]
    OutOfReach,
}

impl Content {
    /// That of a frame.
    pub fn of(frame: &IbGib) -> Content {
        let names = frame.rel8ns.iter().flat_map(Map::keys);
        let names = names.filter(|name| !is_kept_by_frames(name));
        let list =
            |name: &String| -> BTreeSet<String> { frame.rel8d(name).map(str::to_owned).collect() };
        let lists = names.map(|name| (name.clone(), list(name)));
        Content {
            ib: frame.ib.clone(),
            data: data_of(frame),
            rel8ns: lists.filter(|(_, list)| !list.is_empty()).collect(),
        }
    }

    /// Gives one field the value that another frame has there, or removes it where that has none.
    /// Errors where the field is kept by the frames or merges themselves, or cannot be set.
    pub fn take(&mut self, field: &FieldPath, from: &IbGib) -> Result<(), ContentError> {
        let is_kept = match field {
            FieldPath::Relation(name) => is_kept_by_frames(name),
            other => other.top_key().is_some_and(is_bookkeeping),
        };
        if is_kept {
            return Err(ContentError::Kept(field.clone()));
        }
        match field {
            FieldPath::Ib => self.ib.clone_from(&from.ib),
            FieldPath::Relation(name) => {
                let list: BTreeSet<String> = from.rel8d(name).map(str::to_owned).collect();
                match list.is_empty() {
                    true => drop(self.rel8ns.remove(name)),
                    false => drop(self.rel8ns.insert(name.clone(), list)),
                }
            }
            FieldPath::Data(steps) if steps.is_empty() => self.data = data_of(from),
            FieldPath::Data(_) => {
                let data = self.data.as_mut().ok_or(ContentError::NotAnObject)?;
                field.set_in(data, field.value_in(from))?;
            }
        }
        Ok(())
    }

    /// Makes the frames that bring `tip` to this content: none where it has it, one mut8 for the ib
    /// and the data, one rel8 for the relations. Returns everything made, each one's dependencies
    /// before it; the new tip is the last.
    pub fn reach(&self, tip: &IbGib, now: Moment) -> Result<Vec<IbGib>, ContentError> {
        let mut made = Vec::new();
        let mut at = tip.clone();
        if Content::of(&at).data != self.data || at.ib != self.ib {
            let data = self.data.as_ref().ok_or(ContentError::NotAnObject)?;
            let is_there = |of: &Content| of.data == self.data && of.ib == self.ib;
            step(&mut at, derive::mut8s(tip, &self.ib, data), is_there, now, &mut made)?;
        }
        if Content::of(&at).rel8ns != self.rel8ns {
            let here = Content::of(&at).rel8ns;
            let (add, remove) = (missing(&self.rel8ns, &here), missing(&here, &self.rel8ns));
            let edits = derive::rel8(&at, add, remove).into_iter().collect();
            step(&mut at, edits, |of| of == self, now, &mut made)?;
        }
        Ok(made)
    }
}

/// Makes the next frame by the first of some edits that leads there.
fn step(
    at: &mut IbGib,
    edits: Vec<Edit>,
    is_there: impl Fn(&Content) -> bool,
    now: Moment,
    made: &mut Vec<IbGib>,
) -> Result<(), ContentError> {
    let mut failed = ContentError::OutOfReach;
    for edit in edits {
        match transform(edit.kind, at, &edit.opts, &System::at(now)) {
            Ok(next) if is_there(&Content::of(&next.new_ibgib)) => {
                *at = next.new_ibgib.clone();
                made.extend(next.into_all());
                return Ok(());
            }
            Ok(_) => {}
            Err(error) => failed = error.into(),
        }
    }
    Err(failed)
}

/// The addresses that one has and the other lacks, by relation.
fn missing(
    of: &BTreeMap<String, BTreeSet<String>>,
    from: &BTreeMap<String, BTreeSet<String>>,
) -> Map<String, Value> {
    let mut missing = Map::new();
    for (name, list) in of {
        let there = |addr: &&String| !from.get(name).is_some_and(|list| list.contains(*addr));
        let lacking: Vec<&String> = list.iter().filter(there).collect();
        if !lacking.is_empty() {
            missing.insert(name.clone(), json!(lacking));
        }
    }
    missing
}
