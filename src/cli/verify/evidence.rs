//! What a space or a receiver holds, read without trusting it: every ibGib is parsed and hashed
//! anew, relations are followed by address, identities are replayed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use crate::ibgib::{Addr, IbGib};
use crate::keystone::TimelineValidator;
use crate::peer::ReceiverLink;
use crate::space::{Space, SpaceExt};

/// A graph: the JSON of each ibGib by its address.
pub(super) type Graph = BTreeMap<Addr, String>;

/// Reads the graph of `root` out of a space. Errors where it is not closed or an ibGib is not what
/// its address says.
pub(super) fn read_graph(space: &dyn Space, root: &Addr) -> Result<Graph, String> {
    let mut graph = Graph::new();
    let mut to_visit = vec![root.clone()];
    while let Some(addr) = to_visit.pop() {
        if graph.contains_key(&addr) {
            continue;
        }
        let id =
            space.find(&addr).map_err(message_of)?.ok_or_else(|| format!("{addr} is missing"))?;
        let text = space.text(id).map_err(message_of)?;
        let ibgib = IbGib::from_json(&text).map_err(message_of)?;
        let found = ibgib.validate().map_err(message_of)?;
        if found != addr {
            return Err(format!("{addr} holds {found}"));
        }
        to_visit.extend(relations(&ibgib)?);
        graph.insert(addr, text.into());
    }
    Ok(graph)
}

/// Fetches the graph of `root` from a receiver. Errors where it is absent, not closed, or where an
/// ibGib's gib is not its hash.
pub(super) fn fetch_graph<L: ReceiverLink>(
    link: &L,
    domain: &Addr,
    root: &Addr,
    token: &str,
) -> Result<Graph, String> {
    let mut lines = Vec::new();
    let has = link.graph(domain, root, false, token, &mut |line| {
        lines.push(line.to_owned());
        Ok(())
    });
    if !has.map_err(message_of)? {
        return Err(format!("the receiver does not have {root}"));
    }
    let mut graph = Graph::new();
    let mut wanted = BTreeSet::from([root.clone()]);
    for line in lines {
        let ibgib = IbGib::from_json(&line).map_err(message_of)?;
        let addr = ibgib.validate().map_err(message_of)?;
        wanted.extend(relations(&ibgib)?);
        graph.insert(addr, line);
    }
    match wanted.iter().find(|addr| !graph.contains_key(addr)) {
        Some(addr) => Err(format!("{addr} is missing")),
        None => Ok(graph),
    }
}

fn relations(ibgib: &IbGib) -> Result<Vec<Addr>, String> {
    let mut addrs = Vec::new();
    for rel8d in ibgib.rel8ds() {
        let addr = Addr::parse(rel8d).map_err(message_of)?;
        if !addr.is_primitive() {
            addrs.push(addr);
        }
    }
    Ok(addrs)
}

/// Whether two graphs hold the same; the error names the first address that differs.
pub(super) fn same(here: &Graph, there: &Graph) -> Result<(), String> {
    for (addr, text) in here {
        match there.get(addr) {
            None => return Err(format!("{addr} is on this side only")),
            Some(other) if other != text => return Err(format!("{addr} differs")),
            Some(_) => {}
        }
    }
    match there.keys().find(|addr| !here.contains_key(addr)) {
        Some(addr) => Err(format!("{addr} is on the other side only")),
        None => Ok(()),
    }
}

/// The frames of a timeline, oldest first, from its tip down through `past`.
pub(super) fn frames(space: &dyn Space, tjp: &Addr) -> Result<Vec<IbGib>, String> {
    let tip = space.tip(tjp).map_err(message_of)?.ok_or_else(|| format!("{tjp} is missing"))?;
    let mut next = Some(tip.addr);
    let mut frames = Vec::new();
    while let Some(addr) = next {
        let frame = space.get(&addr).map_err(message_of)?;
        let frame = frame.ok_or_else(|| format!("{addr} is missing"))?;
        next = frame.prev().map(Addr::parse).transpose().map_err(message_of)?;
        frames.push(frame);
    }
    frames.reverse();
    Ok(frames)
}

/// Replays a keystone from its genesis to its tip; the error lists each broken rule.
pub(super) fn replay(frames: &[IbGib]) -> Result<(), String> {
    let mut validator = TimelineValidator::new();
    for (at, frame) in frames.iter().enumerate() {
        frame.validate().map_err(message_of)?;
        let violations = validator.push(frame);
        if !violations.is_empty() {
            return Err(format!("frame {at}: {}", super::checks::listed(violations)));
        }
        if frame.n() != Some(at as u64) {
            return Err(format!("frame {at} counts {:?}", frame.n()));
        }
    }
    if frames.is_empty() { Err("no frames".to_owned()) } else { Ok(()) }
}

/// An error as an assertion shows it.
pub(super) fn message_of(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn graph(entries: &[(&str, &str)]) -> Graph {
        let gib = "A".repeat(64);
        let entry =
            |(ib, text): &(&str, &str)| (Addr::from_parts(ib, &gib).unwrap(), (*text).to_owned());
        entries.iter().map(entry).collect()
    }

    #[test]
    fn graphs_that_differ_are_told_apart_both_ways() {
        let one = graph(&[("a", "1"), ("b", "2")]);
        assert_eq!(same(&one, &one), Ok(()));
        assert!(same(&one, &graph(&[("a", "1")])).unwrap_err().contains("this side only"));
        assert!(same(&graph(&[("a", "1")]), &one).unwrap_err().contains("other side only"));
        let other = graph(&[("a", "1"), ("b", "3")]);
        assert!(same(&one, &other).unwrap_err().contains("differs"));
    }

    #[test]
    fn a_space_is_read_by_address() {
        let space = crate::space::MemorySpace::new();
        let stone = IbGib::new("s".into(), Some(json!({"a": 1})), None).unwrap();
        let addr = stone.addr().unwrap();
        space.put_all(std::slice::from_ref(&stone)).unwrap();
        assert_eq!(read_graph(&space, &addr).unwrap()[&addr], stone.to_json());
        let absent = IbGib::new("s".into(), Some(json!({"a": 2})), None).unwrap().addr().unwrap();
        assert!(read_graph(&space, &absent).unwrap_err().contains("missing"));
        assert!(replay(&[]).is_err());
        assert!(replay(&[stone]).is_err());
    }
}
