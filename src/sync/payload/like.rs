//! What a payload is like, of what the other side has.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;

use crate::ibgib::Addr;

/// What is read of an ibGib.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    ib: Cow<'a, str>,
    #[serde(borrow)]
    gib: Cow<'a, str>,
    #[serde(default)]
    rel8ns: Relations,
}

#[derive(Default, Deserialize)]
struct Relations {
    #[serde(default)]
    past: Vec<String>,
}

/// The frames that those of a session's first payload follow and that are not among them, of the
/// longest one first. The other side has them: dependencies come first, and its space is closed.
pub fn frames_before(ibgibs: &[Box<str>]) -> Vec<Addr> {
    let mut own = HashSet::new();
    let mut befores: Vec<(usize, Addr)> = Vec::new();
    for text in ibgibs {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else { continue };
        own.insert(format!("{}^{}", frame.ib, frame.gib));
        let before = frame.rel8ns.past.last().and_then(|addr| Addr::parse(addr).ok());
        befores.extend(before.map(|addr| (text.len(), addr)));
    }
    befores.retain(|(_, addr)| !own.contains(addr.as_str()));
    befores.sort_by_key(|(len, _)| std::cmp::Reverse(*len));
    let mut seen = HashSet::new();
    befores.into_iter().map(|(_, addr)| addr).filter(|addr| seen.insert(addr.key())).collect()
}
