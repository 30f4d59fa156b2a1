//! Renamed keys: what one side changed of a field follows it to the name that the other gave it
//! (docs/protocol.md, section 7).

use serde_json::{Map, Value};

use super::last_edit::LastEdit;
use super::path::{Step, look};
use crate::ibgib::IbGib;
use crate::ibgib::json as js;
use crate::ibgib::transform::transform_of_dna;

/// A field that a branch knows by another name than the common frame does.
#[derive(Debug, Clone)]
pub(super) struct Renaming {
    /// Its name in the common frame.
    pub(super) from: Vec<Step>,
    /// Its name on the branch.
    pub(super) to: Vec<Step>,
    /// The frame that gave it that name.
    pub(super) edit: LastEdit,
}

/// Whether any object of `old` both lost and gained keys, without which nothing was renamed.
pub(super) fn may_rename(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    let lost = old.keys().any(|key| !new.contains_key(key));
    let gained = new.keys().any(|key| !old.contains_key(key));
    let below = |(key, value): (&String, &Value)| match (value, new.get(key)) {
        (Value::Object(old), Some(Value::Object(new))) => may_rename(old, new),
        _ => false,
    };
    (lost && gained) || old.iter().any(below)
}

/// What the frames of a branch renamed, one frame after the other.
#[derive(Debug, Default)]
pub(super) struct Renamings(Vec<Renaming>);

impl Renamings {
    /// Takes in what `dna` says that `frame` renamed of `prev`, where the two bear that out.
    pub(super) fn add(&mut self, frame: &IbGib, prev: &IbGib, dna: &IbGib, edit: &LastEdit) {
        let info = transform_of_dna(dna).and_then(|(_, opts)| opts.get("dataToRename"));
        let mut asked = Vec::new();
        asked_for(info, &mut Vec::new(), &mut asked);
        for (from, to) in asked {
            let has = |frame: &IbGib, steps: &[Step]| look(frame.data.as_ref(), steps).is_some();
            if has(prev, &from) && has(frame, &to) && !has(frame, &from) {
                let known = self.0.iter().position(|known| known.to == from);
                let first = known.map_or(from, |at| self.0.remove(at).from);
                self.0.retain(|known| known.to != to);
                self.0.push(Renaming { from: first, to, edit: edit.clone() });
            }
        }
    }

    /// Those that hold between the common frame and the branch's tip.
    pub(super) fn between(self, common: &IbGib, tip: &IbGib) -> Vec<Renaming> {
        let has = |frame: &IbGib, steps: &[Step]| look(frame.data.as_ref(), steps).is_some();
        let holds = |r: &Renaming| {
            has(common, &r.from) && !has(common, &r.to) && has(tip, &r.to) && !has(tip, &r.from)
        };
        self.0.into_iter().filter(holds).collect()
    }
}

/// The renamings that the options of a mut8 ask for, as paths.
fn asked_for(info: Option<&Value>, path: &mut Vec<Step>, found: &mut Vec<(Vec<Step>, Vec<Step>)>) {
    for (key, to) in info.and_then(Value::as_object).into_iter().flatten() {
        path.push(Step::Key(key.clone()));
        match to {
            Value::String(to) => {
                let mut renamed = path.clone();
                renamed.pop();
                renamed.push(Step::Key(to.clone()));
                found.push((path.clone(), renamed));
            }
            Value::Object(_) => asked_for(Some(to), path, found),
            _ => {}
        }
        path.pop();
    }
}

/// One field's name on one side, and its name in the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) own: Vec<Step>,
    pub(super) merged: Vec<Step>,
}

/// The names of fields on each side where they are not those of the result.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) common: Vec<Pair>,
    pub(super) kept: Vec<Pair>,
    pub(super) replayed: Vec<Pair>,
    /// Of the replayed branch, before it renamed a field.
    pub(super) earlier: Vec<Pair>,
}

impl Names {
    /// The data of a frame of the replayed branch under the names of the result, and how to give
    /// the result the names that fields have as long as the branch did not rename them.
    pub(super) fn on_the_way(
        &self,
        mut data: Map<String, Value>,
    ) -> (Map<String, Value>, Vec<Pair>) {
        for pair in &self.replayed {
            rename(&mut data, &pair.own, &pair.merged);
        }
        let mut back = Vec::new();
        for pair in &self.earlier {
            if rename(&mut data, &pair.own, &pair.merged) {
                let kept = self.kept.iter().find(|kept| kept.merged == pair.merged);
                back.extend(kept.cloned());
            }
        }
        (data, back)
    }
}

/// The data with its fields under the names that they have in the result.
pub(super) fn under_merged_names(data: &Map<String, Value>, pairs: &[Pair]) -> Map<String, Value> {
    let mut data = data.clone();
    for pair in pairs {
        rename(&mut data, &pair.own, &pair.merged);
    }
    data
}

/// A field's name on a side; its name in the result where the side calls it the same.
pub(super) fn own_name(merged: &[Step], pairs: &[Pair]) -> Vec<Step> {
    for pair in pairs {
        if let Some(rest) = merged.strip_prefix(pair.merged.as_slice()) {
            return [pair.own.as_slice(), rest].concat();
        }
    }
    merged.to_vec()
}

/// Gives a field another name, where it is there and the name is free.
pub(super) fn rename(data: &mut Map<String, Value>, from: &[Step], to: &[Step]) -> bool {
    let (Some((Step::Key(from_key), above)), Some((Step::Key(to_key), _))) =
        (from.split_last(), to.split_last())
    else {
        return false;
    };
    let mut at = data;
    for step in above {
        let Step::Key(key) = step else { return false };
        match at.get_mut(key) {
            Some(Value::Object(inner)) => at = inner,
            _ => return false,
        }
    }
    if at.contains_key(to_key) {
        return false;
    }
    match js::delete(at, from_key) {
        Some(value) => {
            js::set(at, to_key, value);
            true
        }
        None => false,
    }
}
