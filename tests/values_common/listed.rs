//! What a merge says it did: the entries of its graft info, and the edits that it did not replay.

use std::collections::HashMap;

use serde_json::Value;
use sync_gib::ibgib::{Addr, IbGib};
use sync_gib::sync::merge::Merge;

/// How much of a value an entry holds.
const MOST: usize = 1000;

/// The entries at `overwritten`, in the graft info and its parts.
pub fn overwritten(merge: &Merge) -> Vec<Value> {
    let new: HashMap<Addr, &IbGib> =
        merge.new.iter().map(|made| (made.addr().unwrap(), made)).collect();
    let info = new[&merge.graft_info];
    let parts = info.rel8d("part").map(|part| new[&Addr::parse(part).unwrap()]);
    let entries = |stone: &IbGib| {
        stone.datum("overwritten").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    std::iter::once(info).chain(parts).flat_map(entries).collect()
}

/// Whether an entry holds this value of a side, whole, or cut where it is long.
pub fn holds(entry: &Value, side: &str, value: Option<&Value>) -> bool {
    let there = entry.get(side);
    let Some(value) = value else { return there.is_none() };
    let json = value.to_string();
    if json.len() <= MOST {
        return there == Some(value);
    }
    let cut = entry.get("cut").and_then(|cut| cut.get(side)).and_then(Value::as_u64);
    let begins = |text: &str| json.starts_with(text) && text.len() + 4 > MOST && text.len() <= MOST;
    cut == Some(json.len() as u64) && there.and_then(Value::as_str).is_some_and(begins)
}
