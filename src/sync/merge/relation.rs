//! Three-way merge of relations: sets of addresses by name (docs/protocol.md, section 7).

use std::collections::{HashMap, HashSet};

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
/// it is replayed; relations that are `dropped` stay.
pub(super) fn links(
    tips: Tips<'_>,
    frame: &IbGib,
    tip: &IbGib,
    dropped: &HashSet<String>,
) -> Links {
    let mut links = Links::default();
    for name in names(tips.common, tips.last, frame).filter(|name| !dropped.contains(*name)) {
        let has =
            |of: &'_ IbGib| -> HashSet<String> { of.rel8d(name).map(str::to_owned).collect() };
        let [common, kept, last] = [tips.common, tips.kept, tips.last].map(has);
        let (here, now) = (has(frame), has(tip));
        let wanted = |addr: &str| {
            let was = common.contains(addr);
            let is_changed = last.contains(addr) != was && here.contains(addr) != was;
            if is_changed { here.contains(addr) } else { kept.contains(addr) }
        };
        let all = frame.rel8d(name).chain(tip.rel8d(name)).chain(tips.kept.rel8d(name));
        let mut lists: HashMap<bool, Vec<Value>> = HashMap::new();
        let mut seen = HashSet::new();
        for addr in all.filter(|addr| seen.insert(*addr)) {
            let (wanted, there) = (wanted(addr), now.contains(addr));
            if wanted != there {
                lists.entry(wanted).or_default().push(addr.into());
            }
        }
        for (map, is_added) in [(&mut links.add, true), (&mut links.remove, false)] {
            if let Some(list) = lists.remove(&is_added) {
                js::set(map, name, Value::Array(list));
            }
        }
    }
    links
}

/// The relations that a stretch changes, or that one of its frames does.
fn names<'a>(
    common: &'a IbGib,
    last: &'a IbGib,
    frame: &'a IbGib,
) -> impl Iterator<Item = &'a str> {
    let own = |of: &'a IbGib| of.rel8ns.iter().flat_map(Map::keys);
    let changed = move |name: &&String| {
        !is_kept_by_frames(name)
            && [last, frame].iter().any(|of| {
                let list =
                    |of: &'a IbGib| of.rel8ns.as_ref().and_then(|all| all.get(name.as_str()));
                list(of) != list(common)
            })
    };
    let mut seen = HashSet::new();
    let all = own(common).chain(own(last)).chain(own(frame));
    all.filter(move |name| seen.insert(name.as_str())).filter(changed).map(String::as_str)
}
