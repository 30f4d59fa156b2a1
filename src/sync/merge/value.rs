//! Three-way merge of values (docs/protocol.md, section 7).

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::list;
use super::overwritten::Winner;
use super::path::Step;
use super::text::merge_text;
use crate::ibgib::json as js;

/// A field that both branches changed and that is one value or the other.
#[derive(Debug, Clone)]
pub(super) struct Conflict {
    pub(super) path: Vec<Step>,
    pub(super) common: Option<Value>,
    pub(super) kept: Option<Value>,
    pub(super) replayed: Option<Value>,
}

/// The values of one field: in the common frame, on the branch that stays, in a frame of the
/// branch that is replayed, and in the last frame of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldVersions<'a> {
    pub(super) common: Option<&'a Value>,
    pub(super) kept: Option<&'a Value>,
    pub(super) replayed: Option<&'a Value>,
    pub(super) last: Option<&'a Value>,
}

impl<'a> FieldVersions<'a> {
    fn each(self, f: impl Fn(&'a Value) -> Option<&'a Value>) -> FieldVersions<'a> {
        FieldVersions {
            common: self.common.and_then(&f),
            kept: self.kept.and_then(&f),
            replayed: self.replayed.and_then(&f),
            last: self.last.and_then(&f),
        }
    }
}

/// What an element of a list counts as.
const ELEMENT_BYTES: usize = 64;

/// Merges values field by field.
///
/// What is decided of fields that both changed is given; a field of which nothing is decided stays
/// as the branch that stays has it, and is collected.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Whose value such a field gets.
    pub(super) decided: HashMap<Vec<Step>, Winner>,
    /// Fields that count as changed by both whatever their values are: a renaming of one side
    /// meets a removal of the other.
    pub(super) contested: HashSet<Vec<Step>>,
    /// Fields of which nothing was decided.
    pub(super) open: Vec<Conflict>,
    /// How much was merged as text or as a list, about in bytes.
    pub(super) weight: usize,
    path: Vec<Step>,
}

impl Values {
    /// The merged value of the field `step` below where this stands; none where it has none.
    pub(super) fn below(&mut self, step: Step, versions: FieldVersions<'_>) -> Option<Value> {
        self.path.push(step);
        let merged = self.merge(versions);
        self.path.pop();
        merged
    }

    fn merge(&mut self, versions: FieldVersions<'_>) -> Option<Value> {
        let FieldVersions { common, kept, replayed, last } = versions;
        if let Some(winner) = self.decided.get(&self.path) {
            return match winner {
                Winner::Kept => kept.cloned(),
                Winner::Replayed => replayed.cloned(),
            };
        }
        if !self.contested.contains(&self.path) {
            // What the branch as a whole left as it was, it does not change on its way either.
            if last == common || replayed == common || kept == replayed {
                return kept.cloned();
            }
            if kept == common {
                return self.taken(versions);
            }
        }
        if let (Some(Value::String(kept)), Some(Value::String(replayed))) = (kept, replayed) {
            let common = common.and_then(Value::as_str);
            if self.is_text(common, kept, replayed) {
                self.weight = self.weight.saturating_add(replayed.len());
                return Some(merge_text(common.unwrap_or_default(), kept, replayed).into());
            }
        }
        match (kept, replayed) {
            (Some(Value::Object(_)), Some(Value::Object(_))) => Some(self.objects(versions)),
            (Some(Value::Array(_)), Some(Value::Array(list))) => {
                self.weight = self.weight.saturating_add(list.len().saturating_mul(ELEMENT_BYTES));
                Some(list::merge(self, versions))
            }
            _ => {
                self.open.push(Conflict {
                    path: self.path.clone(),
                    common: common.cloned(),
                    kept: kept.cloned(),
                    replayed: last.cloned(),
                });
                kept.cloned()
            }
        }
    }

    /// A field that the branch that stays left alone.
    fn taken(&mut self, versions: FieldVersions<'_>) -> Option<Value> {
        match versions {
            FieldVersions {
                kept: Some(Value::Object(_)),
                replayed: Some(Value::Object(_)),
                ..
            } => Some(self.objects(versions)),
            FieldVersions { replayed, .. } => replayed.cloned(),
        }
    }

    /// Which strings are texts: `data.text`, and every other that has lines.
    fn is_text(&self, common: Option<&str>, kept: &str, replayed: &str) -> bool {
        let has_lines = |text: &str| text.contains(['\n', '\r']);
        matches!(self.path.as_slice(), [Step::Key(key)] if key == "text")
            || common.is_some_and(has_lines)
            || (has_lines(kept) && has_lines(replayed))
    }

    /// Merges objects key by key.
    fn objects(&mut self, versions: FieldVersions<'_>) -> Value {
        let map = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned();
        let mut merged = map(versions.kept).unwrap_or_default();
        let sides = [versions.kept, versions.replayed].into_iter().flatten();
        let keys: HashSet<&String> =
            sides.filter_map(Value::as_object).flat_map(Map::keys).collect();
        // Sorted, so that what is listed stands in one order on every device.
        let mut keys: Vec<&String> = keys.into_iter().collect();
        keys.sort_unstable();
        for key in keys {
            let field = versions.each(|value| value.as_object()?.get(key));
            match self.below(Step::Key(key.clone()), field) {
                Some(value) => js::set(&mut merged, key, value),
                None => drop(js::delete(&mut merged, key)),
            }
        }
        Value::Object(merged)
    }
}
