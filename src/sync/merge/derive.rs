//! What a frame changed: the transform that its dna records, or, where it has none that leads to
//! it, one derived by comparing it with the frame before it.

use serde_json::{Map, Value, json};

use super::{GRAFT_BASE, GRAFT_INFO, GRAFT_ORPHAN, newest};
use crate::ibgib::IbGib;
use crate::ibgib::Moment;
use crate::ibgib::json as js;
use crate::ibgib::transform::{Kind, Opts, RESERVED_REL8NS, transform_of_dna};

/// Data that the transforms and the merge keep themselves.
const BOOKKEEPING: [&str; 4] = ["n", "isTjp", "timestamp", "timestampMs"];
/// Relations that a merge keeps itself.
const GRAFTS: [&str; 3] = [GRAFT_BASE, GRAFT_ORPHAN, GRAFT_INFO];

/// One transform, as its options.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edit {
    pub(super) kind: Kind,
    pub(super) opts: Map<String, Value>,
}

/// The newest dna of `frame` where `prev` does not have it too. A frame made without dna carries
/// that of the frame before on, which may well lead from one to the other and yet is no edit.
pub(super) fn own_dna<'a>(frame: &'a IbGib, prev: &IbGib) -> Option<&'a str> {
    newest(frame, "dna").filter(|dna| prev.rel8d("dna").all(|other| other != *dna))
}

/// The transform that a dna records, fitted to a frame on which it may be made again; none where
/// it makes no next frame.
pub(super) fn recorded(dna: &IbGib, on: &IbGib) -> Option<Edit> {
    let (kind, opts) = transform_of_dna(dna)?;
    if kind == Kind::Fork {
        return None;
    }
    let mut opts = opts.clone();
    // A timeline that is not counted must not start at zero in its middle.
    if on.datum("n").is_none() {
        js::delete(&mut opts, "nCounter");
    }
    Some(Edit { kind, opts })
}

/// Whether a frame is a graft frame: it relates to a merge to which the frame before does not.
pub(super) fn is_graft(frame: &IbGib, prev: &IbGib) -> bool {
    GRAFTS.iter().any(|name| newest(frame, name) != newest(prev, name))
}

/// The moment that a frame carries, or 1970 where it carries none.
pub(super) fn moment_of(frame: &IbGib) -> Moment {
    let data = frame.data.as_ref().and_then(Value::as_object);
    data.and_then(Moment::of_data).unwrap_or_default()
}

/// Whether data of this key, at the top, is kept by the transforms themselves.
pub fn is_bookkeeping(key: &str) -> bool {
    BOOKKEEPING.contains(&key)
}

/// Whether a relation is kept by the transforms or by merges themselves.
pub fn is_kept_by_frames(relation: &str) -> bool {
    RESERVED_REL8NS.contains(&relation) || GRAFTS.contains(&relation)
}

/// The data as an object without bookkeeping, empty where there is none; none where it is
/// something else.
pub(super) fn data_of(frame: &IbGib) -> Option<Map<String, Value>> {
    match &frame.data {
        Some(Value::Object(data)) => {
            let own = data.iter().filter(|(key, _)| !is_bookkeeping(key));
            Some(own.map(|(key, value)| (key.clone(), value.clone())).collect())
        }
        Some(other) if js::key_count(other) > 0 => None,
        _ => Some(Map::new()),
    }
}

/// The mut8s that may give a frame this ib and this data: the second takes every field that
/// differs away first, for what a patch alone does not reach.
pub(super) fn mut8s(from: &IbGib, ib: &str, data: &Map<String, Value>) -> Vec<Edit> {
    let Some(old) = data_of(from) else { return Vec::new() };
    let mut fine = Difference::default();
    fine.compare(&old, data);
    let mut blunt = Difference::default();
    for (key, _) in old.iter().filter(|(key, value)| data.get(*key) != Some(value)) {
        js::set(&mut blunt.remove, key, json!(""));
    }
    for (key, value) in data.iter().filter(|(key, value)| old.get(*key) != Some(value)) {
        js::set(&mut blunt.patch, key, value.clone());
    }
    let ib = (from.ib != ib).then_some(ib);
    [fine, blunt].into_iter().filter_map(|difference| difference.edit(from, ib)).collect()
}

/// The rel8 that adds and removes these addresses, by relation; none where there are none.
pub(super) fn rel8(
    from: &IbGib,
    add: Map<String, Value>,
    remove: Map<String, Value>,
) -> Option<Edit> {
    if add.is_empty() && remove.is_empty() {
        return None;
    }
    let mut opts = Opts::next_frame_on(from);
    if !add.is_empty() {
        opts = opts.set("rel8nsToAddByAddr", add);
    }
    if !remove.is_empty() {
        opts = opts.set("rel8nsToRemoveByAddr", remove);
    }
    Some(Edit { kind: Kind::Rel8, opts: opts.build() })
}

/// The options that make one object of another.
#[derive(Default)]
struct Difference {
    remove: Map<String, Value>,
    patch: Map<String, Value>,
}

impl Difference {
    fn compare(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            js::set(&mut self.remove, key, json!(""));
        }
        for (key, value) in new {
            match (old.get(key), value) {
                (Some(old), value) if old == value => {}
                (Some(Value::Object(old)), Value::Object(new)) => {
                    let mut inner = Difference::default();
                    inner.compare(old, new);
                    if !inner.remove.is_empty() {
                        js::set(&mut self.remove, key, Value::Object(inner.remove));
                    }
                    if !inner.patch.is_empty() {
                        js::set(&mut self.patch, key, Value::Object(inner.patch));
                    }
                }
                (old, value) => {
                    // A patch cannot put null in the place of an object, but where it is gone.
                    if value.is_null() && old.is_some_and(Value::is_object) {
                        js::set(&mut self.remove, key, json!(""));
                    }
                    js::set(&mut self.patch, key, value.clone());
                }
            }
        }
    }

    fn edit(self, from: &IbGib, ib: Option<&str>) -> Option<Edit> {
        if self.remove.is_empty() && self.patch.is_empty() && ib.is_none() {
            return None;
        }
        let mut opts = Opts::next_frame_on(from);
        if let Some(ib) = ib {
            opts = opts.set("mut8Ib", ib);
        }
        if !self.remove.is_empty() {
            opts = opts.set("dataToRemove", self.remove);
        }
        if !self.patch.is_empty() {
            opts = opts.set("dataToAddOrPatch", self.patch);
        }
        Some(Edit { kind: Kind::Mut8, opts: opts.build() })
    }
}
