//! Three-way merge of relations: sets of addresses by name (docs/protocol.md, section 7).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::decide::Tips;
use super::derive::is_kept_by_frames;
use crate::ibgib::IbGib;
use crate::ibgib::json as js;

/// Addresses to add and to remove, by relation.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Links {
    pub(super) add: Map<String, Value>,
    pub(super) remove: Map<String, Value>,
}

/// What is to change on `tip` so that its relations are those that the branch's `frame` gives when
/// it is replayed; relations that are `dropped` stay. `prev` is the frame before it where `tip` has
/// all that that one gave, so that only what differs between the two is looked at.
pub(super) fn links(
    tips: Tips<'_>,
    frame: &IbGib,
    prev: Option<&IbGib>,
    tip: &IbGib,
    dropped: &HashSet<String>,
) -> Links {
    let mut links = Links::default();
    for name in names(tips, frame, prev).filter(|name| !dropped.contains(*name)) {
        let [common, kept, last] = [tips.common, tips.kept, tips.last].map(|of| set(of, name));
        let (here, now) = (set(frame, name), set(tip, name));
        let wanted = |addr: &str| {
            let was = common.contains(addr);
            let is_changed = last.contains(addr) != was && here.contains(addr) != was;
            if is_changed { here.contains(addr) } else { kept.contains(addr) }
        };
        let all = frame.rel8d(name).chain(tip.rel8d(name)).chain(tips.kept.rel8d(name));
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for addr in all.filter(|addr| seen.insert(*addr)) {
            match (wanted(addr), now.contains(addr)) {
                (true, false) => add.push(Value::from(addr)),
                (false, true) => remove.push(Value::from(addr)),
                _ => {}
            }
        }
        for (map, list) in [(&mut links.add, add), (&mut links.remove, remove)] {
            if !list.is_empty() {
                js::set(map, name, Value::Array(list));
            }
        }
    }
    links
}

/// Whether a frame's relations are those of `tip` with these changes.
pub(super) fn are_made(frame: &IbGib, tip: &IbGib, links: &Links) -> bool {
    let names = own_names(frame).chain(own_names(tip)).chain(links.add.keys().map(String::as_str));
    let names: HashSet<&str> = names.filter(|name| !is_kept_by_frames(name)).collect();
    names.into_iter().all(|name| {
        let list = |links: &'_ Map<String, Value>| -> HashSet<String> {
            let list = links.get(name).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (add, remove) = (list(&links.add), list(&links.remove));
        if add.is_empty() && remove.is_empty() {
            return frame.rel8d(name).eq(tip.rel8d(name));
        }
        let mut wanted = set(tip, name);
        wanted.extend(add.iter().map(String::as_str));
        wanted.retain(|addr| !remove.contains(*addr));
        wanted == set(frame, name)
    })
}

fn set<'a>(of: &'a IbGib, name: &str) -> HashSet<&'a str> {
    of.rel8d(name).collect()
}

fn own_names(of: &IbGib) -> impl Iterator<Item = &str> {
    of.rel8ns.iter().flat_map(Map::keys).map(String::as_str)
}

/// The relations that a frame changed of `prev`; where there is no `prev`, those that the whole
/// stretch changes or the frame does.
fn names<'a>(
    tips: Tips<'a>,
    frame: &'a IbGib,
    prev: Option<&'a IbGib>,
) -> impl Iterator<Item = &'a str> {
    let (from, to) = match prev {
        Some(prev) => (prev, vec![frame]),
        None => (tips.common, vec![tips.last, frame]),
    };
    let list = |of: &'a IbGib, name: &str| of.rel8ns.as_ref().and_then(|all| all.get(name));
    let all = own_names(from).chain(to.clone().into_iter().flat_map(own_names));
    let mut seen = HashSet::new();
    all.filter(move |name| seen.insert(*name) && !is_kept_by_frames(name))
        .filter(move |name| to.iter().any(|of| list(of, name) != list(from, name)))
}
