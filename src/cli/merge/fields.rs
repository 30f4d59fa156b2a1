//! Which fields two frames differ in.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::ibgib::IbGib;
use crate::sync::merge::{FieldPath, Step, is_bookkeeping, is_kept_by_frames};

/// Adds the fields in which `frame` differs from `other`, by their text: objects are looked into,
/// everything else is one field.
pub(super) fn differing(frame: &IbGib, other: &IbGib, fields: &mut BTreeMap<String, FieldPath>) {
    let mut add = |path: FieldPath| drop(fields.insert(path.to_string(), path));
    if frame.ib != other.ib {
        add(FieldPath::Ib);
    }
    let empty = Map::new();
    let data = |of: &'_ IbGib| of.data.as_ref().and_then(Value::as_object).cloned();
    match (data(frame), data(other)) {
        (Some(one), Some(two)) => objects(&one, &two, &mut Vec::new(), &mut add),
        (Some(one), None) => objects(&one, &empty, &mut Vec::new(), &mut add),
        (None, Some(two)) => objects(&two, &empty, &mut Vec::new(), &mut add),
        (None, None) if frame.data != other.data => add(FieldPath::Data(Vec::new())),
        (None, None) => {}
    }
    let own = |of: &'_ IbGib| of.rel8ns.clone().unwrap_or_default();
    for name in own(frame).keys().chain(own(other).keys()) {
        if !is_kept_by_frames(name) && frame.rel8d(name).ne(other.rel8d(name)) {
            add(FieldPath::Relation(name.clone()));
        }
    }
}

fn objects(
    one: &Map<String, Value>,
    two: &Map<String, Value>,
    path: &mut Vec<Step>,
    add: &mut impl FnMut(FieldPath),
) {
    let keys = one.keys().chain(two.keys().filter(|key| !one.contains_key(*key)));
    let is_top = path.is_empty();
    for key in keys.filter(|key| !is_top || !is_bookkeeping(key)) {
        let (a, b) = (one.get(key), two.get(key));
        if a == b {
            continue;
        }
        path.push(Step::Key(key.clone()));
        match (a, b) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => objects(a, b, path, add),
            _ => add(FieldPath::Data(path.clone())),
        }
        path.pop();
    }
}
