//! What each frame of the replayed branch gives on the branch that stays.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value};

use super::decide::{Decided, Tips};
use super::derive::{data_of, is_bookkeeping};
use super::overwritten::{Overwritten, Winner};
use super::path::Step;
use super::relation::{Links, are_made, links};
use super::rename::rename;
use crate::ibgib::IbGib;
use crate::ibgib::json as js;
use crate::ibgib::transform::Kind;

/// How much of texts and lists a stretch merges frame by frame, about in bytes; what is beyond it is
/// merged with its last frame.
const MAX_WEIGHT: usize = 16 << 20;

/// What the next frame is to hold.
pub(super) struct Target {
    pub(super) ib: String,
    /// Its data without bookkeeping; none where that is not merged.
    pub(super) data: Option<Map<String, Value>>,
    /// What is to change in its relations.
    pub(super) links: Links,
}

/// The targets of a stretch, one frame after the other: each is the merge of the tip that stays
/// with that frame, by what was decided on the last of them.
pub(super) struct Targets<'t> {
    tips: Tips<'t>,
    decided: Decided,
    /// The data of the frame before, and of its target, under the names of the result.
    before: Map<String, Value>,
    merged: Map<String, Value>,
    /// Keys that the next frame gives a value whether it changed them or not; sorted, so that every
    /// device comes to the same.
    contested: BTreeSet<String>,
    /// Keys whose value holds merged texts or lists.
    heavy: HashSet<String>,
}

impl<'t> Targets<'t> {
    pub(super) fn new(tips: Tips<'t>, decided: Decided) -> Targets<'t> {
        let (before, merged) = match &decided.data {
            Some(data) => (data.common.clone(), data.kept.clone()),
            None => Default::default(),
        };
        let keys = decided.values.contested.iter().filter_map(|path| match path.first() {
            Some(Step::Key(key)) => Some(key.clone()),
            _ => None,
        });
        let contested = keys.collect();
        Targets { tips, decided, before, merged, contested, heavy: HashSet::new() }
    }

    /// The target of the next frame. `tip` is what it is to be made on; `prev` is the frame before it,
    /// where `tip` has all the relations that that one gave.
    pub(super) fn next(
        &mut self,
        frame: &IbGib,
        prev: Option<&IbGib>,
        tip: &IbGib,
        is_last: bool,
    ) -> Target {
        Target {
            ib: self.ib(frame).to_owned(),
            data: self.data(frame, is_last),
            links: links(self.tips, frame, prev, tip, &self.decided.dropped),
        }
    }

    pub(super) fn into_overwritten(self) -> Vec<Overwritten> {
        self.decided.overwritten
    }

    fn ib<'a>(&'a self, frame: &'a IbGib) -> &'a str {
        let Tips { common, kept, last } = self.tips;
        let is_untouched = last.ib == common.ib || frame.ib == common.ib;
        match self.decided.ib {
            Some(Winner::Kept) => &kept.ib,
            _ if is_untouched => &kept.ib,
            _ => &frame.ib,
        }
    }

    /// Merges the keys that the frame changed of the one before it. What was merged often enough is
    /// merged again with the last frame only.
    fn data(&mut self, frame: &IbGib, is_last: bool) -> Option<Map<String, Value>> {
        let data = self.decided.data.as_ref()?;
        let (own, back) = self.decided.names.on_the_way(data_of(frame)?);
        let mut changed = std::mem::take(&mut self.contested);
        let keys = own.keys().chain(self.before.keys());
        changed.extend(keys.filter(|key| own.get(*key) != self.before.get(*key)).cloned());
        for key in &changed {
            let values = &mut self.decided.values;
            if !is_last && values.weight > MAX_WEIGHT && self.heavy.contains(key) {
                self.contested.insert(key.clone());
                continue;
            }
            let (versions, before) = (data.versions(key, own.get(key)), values.weight);
            let merged = values.below(Step::Key(key.clone()), versions);
            if values.weight > before {
                self.heavy.insert(key.clone());
            }
            match merged {
                Some(value) => js::set(&mut self.merged, key, value),
                None => drop(js::delete(&mut self.merged, key)),
            }
        }
        self.decided.values.open.clear();
        self.before = own;
        let mut merged = self.merged.clone();
        for pair in back {
            rename(&mut merged, &pair.merged, &pair.own);
        }
        Some(merged)
    }
}

/// What of a frame one transform makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The ib and the data, by mut8.
    Data,
    /// The relations, by rel8.
    Relations,
}

impl Part {
    pub(super) fn kind(self) -> Kind {
        match self {
            Part::Data => Kind::Mut8,
            Part::Relations => Kind::Rel8,
        }
    }

    /// Whether this part of `frame`, which is `tip` or made of it, is what the target asks for.
    pub(super) fn is_there(self, frame: &IbGib, tip: &IbGib, target: &Target) -> bool {
        match self {
            Part::Data => {
                let holds = |data| holds(frame, data);
                frame.ib == target.ib && target.data.as_ref().is_none_or(holds)
            }
            Part::Relations => are_made(frame, tip, &target.links),
        }
    }
}

/// Whether a frame's data is this, but for bookkeeping.
fn holds(frame: &IbGib, data: &Map<String, Value>) -> bool {
    let own = match &frame.data {
        Some(Value::Object(own)) => own,
        Some(other) if js::key_count(other) > 0 => return false,
        _ => return data.is_empty(),
    };
    let mut count = 0;
    let mut own = own.iter().filter(|(key, _)| !is_bookkeeping(key));
    let all = own.all(|(key, value)| {
        count += 1;
        data.get(key) == Some(value)
    });
    all && count == data.len()
}
