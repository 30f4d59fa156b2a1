//! Three-way merge of arrays: by the ids of their elements, or as sequences (docs/protocol.md,
//! section 7).

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::path::{ELEMENT_KEYS, Step, element_id};
use super::value::{FieldVersions, Values};
use crate::ibgib::json as js;

/// How many elements two lists may differ in to be compared at all; more count as replaced.
const MAX_ELEMENTS: usize = 20_000;

/// Merges the lists of the branch that stays and the one that is replayed.
pub(super) fn merge(values: &mut Values, versions: FieldVersions<'_>) -> Value {
    let [common, kept, replayed, last] =
        [versions.common, versions.kept, versions.replayed, versions.last].map(elements);
    for key in ELEMENT_KEYS {
        let lists = [common, kept, replayed].map(|list| Identified::new(list, key));
        if let [Some(common), Some(kept), Some(replayed)] = lists {
            let last = Identified::new(last, key).unwrap_or_default();
            return by_id(values, key, [&common, &kept, &replayed, &last]);
        }
    }
    Value::Array(as_sequences(common, kept, replayed))
}

fn elements(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A list whose elements are objects, each with an id of its own.
#[derive(Default)]
struct Identified<'a> {
    ids: Vec<String>,
    by_id: HashMap<String, &'a Value>,
}

impl<'a> Identified<'a> {
    fn new(list: &'a [Value], key: &str) -> Option<Identified<'a>> {
        let ids: Vec<String> = list.iter().map(|e| element_id(e, key)).collect::<Option<_>>()?;
        let by_id: HashMap<String, &Value> = ids.iter().cloned().zip(list).collect();
        (by_id.len() == ids.len()).then_some(Identified { ids, by_id })
    }

    fn has(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Whether those that `other` has too stand in its order.
    fn is_in_order_of(&self, other: &Identified<'_>) -> bool {
        let mine = self.ids.iter().filter(|id| other.has(id));
        let theirs = other.ids.iter().filter(|id| self.has(id));
        mine.eq(theirs)
    }
}

fn by_id(values: &mut Values, key: &'static str, lists: [&Identified<'_>; 4]) -> Value {
    let [common, kept, replayed, last] = lists;
    let order = if kept.is_in_order_of(common) && !replayed.is_in_order_of(common) {
        placed(replayed, kept, common, false)
    } else {
        placed(kept, replayed, common, true)
    };
    let mut merged = Vec::with_capacity(order.len());
    for id in order {
        let field = FieldVersions {
            common: common.by_id.get(id).copied(),
            kept: kept.by_id.get(id).copied(),
            replayed: replayed.by_id.get(id).copied(),
            last: last.by_id.get(id).copied(),
        };
        merged.extend(values.below(Step::Element { key, id: id.to_owned() }, field));
    }
    Value::Array(merged)
}

/// The ids of both lists and of those that one of them removed, in the order of `first`; the others
/// stand behind what they stand behind in their own list. Where both added at one place, what the
/// branch that stays added comes first: whether that is `first` is told.
fn placed<'a>(
    first: &'a Identified<'_>,
    second: &'a Identified<'_>,
    common: &'a Identified<'_>,
    first_is_kept: bool,
) -> Vec<&'a str> {
    let mut behind: HashMap<Option<&str>, Vec<&str>> = HashMap::new();
    let mut anchor = None;
    for id in &second.ids {
        match first.has(id) {
            true => anchor = Some(id.as_str()),
            false => behind.entry(anchor).or_default().push(id),
        }
    }
    let mut order = Vec::new();
    let mut waiting = behind.remove(&None).unwrap_or_default();
    for id in &first.ids {
        let is_added = !common.has(id) && !second.has(id);
        if !(is_added && first_is_kept) {
            order.append(&mut waiting);
        }
        order.push(id.as_str());
        let mut next = behind.remove(&Some(id.as_str())).unwrap_or_default();
        waiting.append(&mut next);
    }
    order.append(&mut waiting);
    order
}

/// Merges lists as sequences: what either deleted is gone, what either inserted is there.
fn as_sequences(common: &[Value], kept: &[Value], replayed: &[Value]) -> Vec<Value> {
    let mut numbers = HashMap::new();
    let [base, ours, theirs] = [common, kept, replayed].map(|list| numbered(list, &mut numbers));
    let [ours, theirs] = [ours, theirs].map(|side| Changes::new(&base, &side));
    let mut merged = Vec::new();
    for place in 0..=common.len() {
        let inserted = [(&ours, kept), (&theirs, replayed)]
            .map(|(side, list)| side.inserted.get(&place).map_or(&[][..], |at| &list[at.clone()]));
        let [first, second] = inserted;
        // What both began with in the same way is there once.
        let same = first.iter().zip(second).take_while(|(a, b)| a == b).count();
        merged.extend(first.iter().chain(&second[same..]).cloned());
        if let Some(element) = common.get(place)
            && !ours.deleted.contains(&place)
            && !theirs.deleted.contains(&place)
        {
            merged.push(element.clone());
        }
    }
    merged
}

/// Numbers for elements, equal ones for equal elements.
fn numbered(list: &[Value], numbers: &mut HashMap<Vec<u8>, usize>) -> Vec<usize> {
    let number = |element| {
        let next = numbers.len();
        *numbers.entry(js::canonical(element)).or_insert(next)
    };
    list.iter().map(number).collect()
}

/// What one side changed of the common list.
#[derive(Default)]
struct Changes {
    /// Places of the common list.
    deleted: HashSet<usize>,
    /// The side's own range of elements, by the place of the common list before which they stand.
    inserted: HashMap<usize, std::ops::Range<usize>>,
}

impl Changes {
    fn new(base: &[usize], side: &[usize]) -> Changes {
        let mut changes = Changes::default();
        let head = base.iter().zip(side).take_while(|(a, b)| a == b).count();
        let tail = base[head..].iter().rev().zip(side[head..].iter().rev());
        let tail = tail.take_while(|(a, b)| a == b).count();
        let (old, new) = (&base[head..base.len() - tail], &side[head..side.len() - tail]);
        if old.len() + new.len() > MAX_ELEMENTS {
            changes.replace(head..head + old.len(), head..head + new.len());
            return changes;
        }
        for op in capture_diff_slices(Algorithm::Myers, old, new) {
            let (tag, old, new) = op.as_tag_tuple();
            if tag != DiffTag::Equal {
                changes.replace(old.start + head..old.end + head, new.start + head..new.end + head);
            }
        }
        changes
    }

    fn replace(&mut self, old: std::ops::Range<usize>, new: std::ops::Range<usize>) {
        let place = old.start;
        self.deleted.extend(old);
        if !new.is_empty() {
            let range = self.inserted.entry(place).or_insert_with(|| new.clone());
            range.end = new.end;
        }
    }
}
