//! Keeps a merged frame within the size of an ibGib: the field that grew most stays as the branch
//! that stays has it (docs/protocol.md, section 7).

use serde_json::{Map, Value};

use super::MergeError;
use super::decide::{Branch, Decided, Tips};
use super::overwritten::Winner;
use super::path::{FieldPath, Step, look_in};
use super::relation::links;
use super::value::Conflict;
use crate::ibgib::json as js;
use crate::ibgib::{MAX_IBGIB_BYTES, addr::clip};

/// How many fields are left one by one; where that is not enough, all of the data is.
const MAX_FIELDS: usize = 64;
/// What a frame holds beside its data and the relations that are not kept by frames themselves.
const REST_BYTES: usize = 16 << 10;

/// Takes fields out of what is replayed until the result fits an ibGib; returns what was taken out
/// and why, for a person.
pub(super) fn rebase(
    decided: &mut Decided,
    tips: Tips<'_>,
    kept: &dyn Branch,
    replayed: &dyn Branch,
) -> Result<Vec<String>, MergeError> {
    let mut reasons = Vec::new();
    for round in 0.. {
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
        let field = match most.field {
            Some(_) if round == MAX_FIELDS => FieldPath::Data(Vec::new()),
            Some(field) if round < MAX_FIELDS => field,
            _ => return Ok(reasons),
        };
        reasons.push(format!(
            "{} stays as it is on the branch that stays: the frame would be {bytes} bytes, over the \
             limit of {MAX_IBGIB_BYTES}",
            clip(&field.to_string())
        ));
        leave(decided, field, tips, kept, replayed)?;
    }
    Ok(reasons)
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
            let value = |map: &Map<String, Value>| match steps.is_empty() {
                true => Some(Value::Object(map.clone())),
                false => look_in(map, steps).cloned(),
            };
            conflict = Conflict {
                path: steps.clone(),
                common: value(&data.common),
                kept: value(&data.kept),
                replayed: value(&data.last),
            };
            match steps.is_empty() {
                false => drop(decided.values.decided.insert(steps.clone(), Winner::Kept)),
                // All of the data stays: key by key, since that is how it is merged.
                true => {
                    let keys = data.common.keys().chain(data.kept.keys()).chain(data.last.keys());
                    let decisions = keys.map(|key| (vec![Step::Key(key.clone())], Winner::Kept));
                    decided.values.decided.extend(decisions);
                }
            }
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
        if bytes == 0 || bytes < self.bytes {
            return;
        }
        let field = field();
        // Of two that grew alike the one whose name comes first, in whatever order they are met.
        let is_first = |other: &FieldPath| field.to_string() < other.to_string();
        if bytes > self.bytes || self.field.as_ref().is_none_or(is_first) {
            *self = Growth { bytes, field: Some(field) };
        }
    }
}
