//! Keeps a merged frame within the size of an ibGib: the field that grew most stays as the branch
//! that stays has it (docs/protocol.md, section 7).

use serde_json::{Map, Value};

use super::MergeError;
use super::decide::{Branch, Decided, Tips};
use super::overwritten::Winner;
use super::path::{FieldPath, Step, look};
use super::relation::links;
use super::value::Conflict;
use crate::ibgib::json as js;
use crate::ibgib::{MAX_IBGIB_BYTES, addr::clip};

/// What a frame holds beside its data and the relations that are not kept by frames themselves.
const REST_BYTES: usize = 16 << 10;

/// Takes fields out of what is replayed until the result fits an ibGib; returns what was taken out
/// and why, for a person.
pub(super) fn fit(
    decided: &mut Decided,
    tips: Tips<'_>,
    kept: &dyn Branch,
    replayed: &dyn Branch,
) -> Result<Vec<String>, MergeError> {
    let mut reasons = Vec::new();
    loop {
        let Some(data) = &decided.data else { return Ok(reasons) };
        let merged = data.merged(&mut decided.values);
        let links = links(tips, tips.last, None, tips.kept, &decided.dropped);
        let bytes = js::stringify(&merged).len()
            + js::stringify(&tips.kept.rel8ns).len()
            + js::stringify(&links.add).len()
            + REST_BYTES;
        if bytes <= MAX_IBGIB_BYTES {
            return Ok(reasons);
        }
        let mut most = Growth { bytes: 0, field: None };
        most.of_map(&mut Vec::new(), &data.kept, &merged);
        for (name, list) in &links.add {
            most.meet(js::stringify(list).len(), || FieldPath::Relation(name.clone()));
        }
        let Some(field) = most.field else { return Ok(reasons) };
        reasons.push(format!(
            "{} stays as it is on the branch that stays: the frame would be {bytes} bytes, over the \
             limit of {MAX_IBGIB_BYTES}",
            clip(&field.to_string())
        ));
        leave(decided, field, tips, kept, replayed)?;
    }
}

/// Leaves a field as the branch that stays has it, and lists it.
fn leave(
    decided: &mut Decided,
    field: FieldPath,
    tips: Tips<'_>,
    kept: &dyn Branch,
    replayed: &dyn Branch,
) -> Result<(), MergeError> {
    let mut conflict = Conflict { path: Vec::new(), common: None, kept: None, replayed: None };
    match (&field, &decided.data) {
        (FieldPath::Data(steps), Some(data)) => {
            let value = |map: &Map<String, Value>| match steps.split_first() {
                Some((Step::Key(key), rest)) => look(map.get(key), rest).cloned(),
                _ => None,
            };
            conflict = Conflict {
                path: steps.clone(),
                common: value(&data.common),
                kept: value(&data.kept),
                replayed: value(&data.last),
            };
            decided.values.decided.insert(steps.clone(), Winner::Kept);
        }
        (FieldPath::Relation(name), _) => {
            conflict.common = field.value_in(tips.common);
            conflict.kept = field.value_in(tips.kept);
            conflict.replayed = field.value_in(tips.last);
            decided.dropped.insert(name.clone());
        }
        _ => {}
    }
    let fields = [(field, conflict)];
    let (mut ours, mut theirs) = decided.edits(&fields, kept, replayed)?;
    let [(field, conflict)] = fields;
    if let (Some(kept), Some(replayed)) = (ours.pop(), theirs.pop()) {
        decided.overwritten.retain(|listed| listed.path != field);
        decided.list(field, &conflict, Winner::Kept, (kept, replayed));
    }
    Ok(())
}

/// The field that grew most.
struct Growth {
    bytes: usize,
    field: Option<FieldPath>,
}

impl Growth {
    fn of_map(&mut self, path: &mut Vec<Step>, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (key, value) in new {
            path.push(Step::Key(key.clone()));
            match (old.get(key), value) {
                (Some(old), new) if old == new => {}
                (Some(Value::Object(old)), Value::Object(new)) => self.of_map(path, old, new),
                (old, new) => {
                    let before = old.map_or(0, |old| js::stringify(old).len());
                    let bytes = js::stringify(new).len().saturating_sub(before);
                    self.meet(bytes, || FieldPath::Data(path.clone()));
                }
            }
            path.pop();
        }
    }

    fn meet(&mut self, bytes: usize, field: impl FnOnce() -> FieldPath) {
        if bytes > self.bytes {
            *self = Growth { bytes, field: Some(field()) };
        }
    }
}
