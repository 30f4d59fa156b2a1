//! What a frame changed: the transform that its dna records, or, where it has none that leads to
//! it, one derived by comparing it with the frame before it.

use serde_json::{Map, Value, json};

use super::{GRAFT_BASE, GRAFT_INFO, GRAFT_ORPHAN, newest};
use crate::ibgib::IbGib;
use crate::ibgib::Moment;
use crate::ibgib::json as js;
use crate::ibgib::transform::{Kind, Opts, RESERVED_REL8NS, is_dna, transform, transform_of_dna};

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

/// What one frame changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Change {
    /// In the order in which they are to be replayed; none where nothing changed.
    pub(super) edits: Vec<Edit>,
    /// What no transform can express.
    pub(super) refused: Vec<String>,
    /// Whether the frame is a graft frame, whose relations to its merge are no edit.
    pub(super) is_graft: bool,
}

/// Tells what `frame` changed of `prev`. `dna` is the frame's own, where it has one.
pub(super) fn change_of(frame: &IbGib, prev: &IbGib, dna: Option<&IbGib>) -> Change {
    if GRAFTS.iter().any(|name| newest(frame, name) != newest(prev, name)) {
        return Change { is_graft: true, ..derive(frame, prev) };
    }
    if let Some(edit) = dna.and_then(|dna| recorded(frame, prev, dna)) {
        return Change { edits: vec![edit], ..Change::default() };
    }
    derive(frame, prev)
}

/// The newest dna of `frame` where `prev` does not have it too. A frame made without dna carries
/// that of the frame before on, which may well lead from one to the other and yet is no edit.
pub(super) fn own_dna<'a>(frame: &'a IbGib, prev: &IbGib) -> Option<&'a str> {
    newest(frame, "dna").filter(|dna| prev.rel8d("dna").all(|other| other != *dna))
}

/// The transform that the dna records, where it makes `frame` of `prev`.
fn recorded(frame: &IbGib, prev: &IbGib, dna: &IbGib) -> Option<Edit> {
    let (kind, opts) = transform_of_dna(dna)?;
    if kind == Kind::Fork || !is_dna(dna) {
        return None;
    }
    let made = transform(kind, prev, opts, moment_of(frame)).ok()?.new_ibgib;
    let same = made.ib == frame.ib && made.gib == frame.gib;
    same.then(|| Edit { kind, opts: opts.clone() })
}

/// The moment that a frame carries, or 1970 where it carries none.
pub(super) fn moment_of(frame: &IbGib) -> Moment {
    let data = frame.data.as_ref().and_then(Value::as_object);
    data.and_then(Moment::of_data).unwrap_or_default()
}

fn derive(frame: &IbGib, prev: &IbGib) -> Change {
    let mut change = Change::default();
    change.edits.extend(data_edit(frame, prev, &mut change.refused));
    change.edits.extend(relations_edit(frame, prev, &mut change.refused));
    change
}

fn data_edit(frame: &IbGib, prev: &IbGib, refused: &mut Vec<String>) -> Option<Edit> {
    let mut opts = Opts::next_frame();
    let mut any = false;
    if frame.ib != prev.ib {
        opts = opts.set("mut8Ib", frame.ib.as_str());
        any = true;
    }
    match (data_map(prev), data_map(frame)) {
        (Some(old), Some(new)) => {
            let mut difference = Difference::default();
            difference.compare(&old, &new, true);
            if !difference.remove.is_empty() {
                opts = opts.set("dataToRemove", difference.remove);
                any = true;
            }
            if !difference.patch.is_empty() {
                opts = opts.set("dataToAddOrPatch", difference.patch);
                any = true;
            }
        }
        _ if frame.data == prev.data => {}
        _ => refused.push("its data changed and is no object, which no transform sets".to_owned()),
    }
    any.then(|| Edit { kind: Kind::Mut8, opts: opts.build() })
}

/// The data as an object, empty where there is none; none where it is something else.
fn data_map(frame: &IbGib) -> Option<Map<String, Value>> {
    match &frame.data {
        Some(Value::Object(data)) => Some(data.clone()),
        Some(other) if js::key_count(other) > 0 => None,
        _ => Some(Map::new()),
    }
}

/// The options that make one object of another.
#[derive(Default)]
struct Difference {
    remove: Map<String, Value>,
    patch: Map<String, Value>,
}

impl Difference {
    fn compare(&mut self, old: &Map<String, Value>, new: &Map<String, Value>, top: bool) {
        let own = |key: &String| !(top && BOOKKEEPING.contains(&key.as_str()));
        for key in old.keys().filter(|key| own(key) && !new.contains_key(*key)) {
            js::set(&mut self.remove, key, json!(""));
        }
        for (key, value) in new.iter().filter(|(key, _)| own(key)) {
            match (old.get(key), value) {
                (Some(old), value) if old == value => {}
                (Some(Value::Object(old)), Value::Object(new)) => {
                    let mut inner = Difference::default();
                    inner.compare(old, new, false);
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
}

fn relations_edit(frame: &IbGib, prev: &IbGib, refused: &mut Vec<String>) -> Option<Edit> {
    if frame.rel8d("ancestor").ne(prev.rel8d("ancestor")) {
        refused.push("its relation \"ancestor\" changed, which no transform does".to_owned());
    }
    let add = missing_from(prev, frame);
    let remove = missing_from(frame, prev);
    if add.is_empty() && remove.is_empty() {
        return None;
    }
    let mut opts = Opts::next_frame();
    if !add.is_empty() {
        opts = opts.set("rel8nsToAddByAddr", add);
    }
    if !remove.is_empty() {
        opts = opts.set("rel8nsToRemoveByAddr", remove);
    }
    Some(Edit { kind: Kind::Rel8, opts: opts.build() })
}

/// The addresses, by relation, that `of` has and `from` lacks; bookkeeping is passed over.
fn missing_from(from: &IbGib, of: &IbGib) -> Map<String, Value> {
    let mut missing = Map::new();
    for name in of.rel8ns.iter().flat_map(Map::keys) {
        if RESERVED_REL8NS.contains(&name.as_str()) || GRAFTS.contains(&name.as_str()) {
            continue;
        }
        let had: std::collections::HashSet<&str> = from.rel8d(name).collect();
        let rel8ds: Vec<Value> =
            of.rel8d(name).filter(|rel8d| !had.contains(rel8d)).map(Value::from).collect();
        if !rel8ds.is_empty() {
            js::set(&mut missing, name, Value::Array(rel8ds));
        }
    }
    missing
}
