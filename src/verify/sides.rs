//! What is asserted of the two sides of a sync, by `check` and by every row of the phase table
//! alike. Neither side is trusted: every ibGib is parsed and hashed anew, identities are replayed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;

use super::checks::listed;
use super::side::{Held, Side};
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone::{self, VERB_SYNC};
use crate::peer::PeerError;
use crate::space::{RowId, Space, SpaceError, SpaceExt, graph_ids};
use crate::sync::SyncError;

/// How many differences an assertion lists.
const LISTED: usize = 10;

/// What is wrong where a timeline's latest addresses should be the same.
pub(super) fn latest_differs(
    tjp: &TjpAddr,
    here: &Addr,
    there: Option<&Addr>,
    far: &dyn Side,
) -> Option<String> {
    let far = far.name();
    match there {
        None => Some(format!("{far} does not have the timeline {tjp}")),
        Some(there) if there != here => Some(format!("{here} here, {there} on {far}")),
        Some(_) => None,
    }
}

/// What comparing a graph found.
pub(super) struct Compared {
    /// How many ibGibs are in the graph here.
    pub here: u64,
    /// How many the far side gave.
    pub there: u64,
    /// What differs, the first ones only.
    pub problems: Vec<String>,
}

/// Compares the graph of `there` on the far side with the one of `here` in this space, computing
/// the gib of whatever the far side gives.
pub(super) fn compare(
    space: &dyn Space,
    here: &Addr,
    far: &dyn Side,
    there: Option<&Addr>,
    live: bool,
) -> Result<Compared, PeerError> {
    let mut found = Compared { here: 0, there: 0, problems: Vec::new() };
    let mut seen = HashSet::new();
    let each = &mut |text: &str| {
        found.there += 1;
        let problem = differs(space, text, far.name(), &mut seen).map_err(SyncError::from)?;
        found.problems.extend(problem);
        found.problems.truncate(LISTED);
        Ok(())
    };
    if let Some(root) = there
        && !far.graph(root, live, each)?
    {
        found.problems.push(format!("{} does not have {root}", far.name()));
    }
    let mut only_here = || -> Result<(), SpaceError> {
        let id = space.find(here)?;
        let ids = graph_ids(space, id.as_slice(), live)?;
        found.here = ids.len() as u64;
        for id in ids.into_iter().filter(|id| !seen.contains(id)) {
            if found.problems.len() >= LISTED {
                break;
            }
            found.problems.push(format!("{} is here only", space.addr(id)?));
        }
        Ok(())
    };
    only_here().map_err(SyncError::from)?;
    Ok(found)
}

/// What is wrong with one ibGib that the far side gave.
fn differs(
    space: &dyn Space,
    text: &str,
    far: &str,
    seen: &mut HashSet<RowId>,
) -> Result<Option<String>, SpaceError> {
    let theirs = match IbGib::from_json(text).and_then(|ibgib| Ok((ibgib.validate()?, ibgib))) {
        Ok((addr, ibgib)) => (addr, ibgib.to_json()),
        Err(error) => return Ok(Some(format!("{far} sent what is not valid: {error}"))),
    };
    let (addr, text) = theirs;
    let Some(id) = space.find(&addr)? else {
        return Ok(Some(format!("{addr} is on {far} only")));
    };
    seen.insert(id);
    Ok((*space.text(id)? != *text).then(|| format!("{addr} differs")))
}

/// What is wrong with the first of a keystone's frames in this space that is wrong.
pub(super) fn replay(space: &dyn Space, tjp: &TjpAddr) -> Result<Vec<String>, PeerError> {
    let mut has = true;
    let read = Held(space).keystone(tjp, &mut |_, _| {}).map(|found| has = found);
    let rules = rules_broken(read)?;
    Ok(if has { rules } else { vec![format!("{tjp} is not here")] })
}

/// What is wrong where, for each of these sessions, an identity should have a frame that claims it,
/// on the far side and in the space beside it (none: a space that is not looked at); and what is
/// wrong with the identity's frames on the far side.
pub(super) fn claims_differ(
    domain: &TjpAddr,
    far: &dyn Side,
    sessions: &[(&TjpAddr, Option<&dyn Space>)],
) -> Result<Vec<String>, PeerError> {
    let mut claims = HashMap::new();
    let read = far.keystone(domain, &mut |addr, frame| {
        let claimed = sessions.iter().find(|(session, _)| has_claim(frame, session));
        claims.extend(claimed.map(|(session, _)| (*session, addr.clone())));
    });
    let name = far.name();
    let rules = rules_broken(read.map(drop))?;
    let mut problems: Vec<String> = rules.iter().map(|rule| format!("on {name}: {rule}")).collect();
    for (session, space) in sessions {
        let Some(claim) = claims.get(session) else {
            problems.push(format!("no frame on {name} claims {session}"));
            continue;
        };
        let held = space.map(|space| space.get(claim)).transpose().map_err(SyncError::from)?;
        if !held.flatten().is_some_and(|frame| has_claim(&frame, session)) {
            problems.push(format!("{claim} is on {name} only"));
        }
    }
    Ok(problems)
}

pub(super) fn has_claim(frame: &IbGib, session: &TjpAddr) -> bool {
    let proof = keystone::proof_of(frame).ok().flatten();
    proof.is_some_and(|proof| {
        proof.claim.verb == VERB_SYNC && proof.claim.target == session.as_str()
    })
}

/// The rules that an identity breaks, where reading it ended at a frame that is wrong.
pub(super) fn rules_broken(read: Result<(), PeerError>) -> Result<Vec<String>, PeerError> {
    match read {
        Err(PeerError::Sync(
            error @ (SyncError::Space(SpaceError::KeystoneInvalid { .. })
            | SyncError::Content(_)
            | SyncError::Auth(_)),
        )) => Ok(vec![error.to_string()]),
        read => Ok(read.map(|()| Vec::new())?),
    }
}

/// The addresses of a graph as a side gives it. Errors where the side does not have it, where it is
/// not closed, or where an ibGib is not valid.
pub(super) fn closed_graph(side: &dyn Side, root: &Addr) -> Result<BTreeSet<Addr>, String> {
    let mut graph = BTreeSet::new();
    let mut wanted = BTreeSet::from([root.clone()]);
    let mut wrong = None;
    let has = side.graph(root, false, &mut |text| {
        match read(text) {
            Ok((addr, relations)) => {
                graph.insert(addr);
                wanted.extend(relations);
            }
            Err(error) => wrong = wrong.take().or(Some(error)),
        }
        Ok(())
    });
    if !has.map_err(message_of)? {
        return Err(format!("{root} is missing"));
    }
    match (wrong, wanted.difference(&graph).next()) {
        (Some(wrong), _) => Err(wrong),
        (None, Some(addr)) => Err(format!("{addr} is missing")),
        (None, None) => Ok(graph),
    }
}

/// The address of an ibGib, and what it relates to.
fn read(text: &str) -> Result<(Addr, Vec<Addr>), String> {
    let ibgib = IbGib::from_json(text).map_err(message_of)?;
    let addr = ibgib.validate().map_err(message_of)?;
    let mut relations = Vec::new();
    for rel8d in ibgib.rel8ds() {
        let addr = Addr::parse(rel8d).map_err(message_of)?;
        if !addr.is_primitive() {
            relations.push(addr);
        }
    }
    Ok((addr, relations))
}

/// The frames of a timeline, oldest first, from its tip down through `past`.
pub(super) fn frames(space: &dyn Space, tjp: &TjpAddr) -> Result<Vec<IbGib>, String> {
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

/// What was found, for an assertion that nothing is wrong.
pub(super) fn none_of(problems: Result<Vec<String>, PeerError>) -> Result<(), String> {
    match problems {
        Ok(problems) if problems.is_empty() => Ok(()),
        Ok(problems) => Err(listed(problems)),
        Err(error) => Err(message_of(error)),
    }
}

/// An error as an assertion shows it.
pub(super) fn message_of(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::space::MemorySpace;

    /// A space with these stones, and a root that relates to them.
    fn space(of: &[u64]) -> (MemorySpace, Addr) {
        let space = MemorySpace::new();
        let stone = |a: &u64| IbGib::new("s".into(), Some(json!({ "a": a })), None).unwrap();
        let mut all: Vec<IbGib> = of.iter().map(stone).collect();
        let addrs: Vec<Addr> = all.iter().map(|stone| stone.addr().unwrap()).collect();
        let rel8ns = json!({ "of": addrs }).as_object().cloned();
        let root = IbGib::new("root".into(), None, rel8ns).unwrap();
        all.push(root.clone());
        space.put_all(&all).unwrap();
        (space, root.addr().unwrap())
    }

    #[test]
    fn graphs_that_differ_are_told_apart_both_ways() {
        let ((one, root_one), (two, root_two)) = (space(&[1, 2]), space(&[1]));
        let compare = |a: &dyn Space, root_a, b: &dyn Space, root_b| {
            compare(a, root_a, &Held(b), Some(root_b), false).unwrap()
        };
        let same = compare(&one, &root_one, &one, &root_one);
        assert_eq!((same.here, same.there, same.problems), (3, 3, vec![]));
        let (more, less) =
            (compare(&one, &root_one, &two, &root_two), compare(&two, &root_two, &one, &root_one));
        assert_eq!((more.here, more.there), (3, 2));
        let only = |found: &Compared, place: &str| {
            found.problems.iter().filter(|problem| problem.ends_with(place)).count()
        };
        assert_eq!((only(&more, "here only"), only(&more, "on the receiver only")), (2, 1));
        assert_eq!((only(&less, "here only"), only(&less, "on the receiver only")), (1, 2));
    }

    #[test]
    fn a_graph_is_read_whole_or_not_at_all() {
        let (space, root) = space(&[1, 2]);
        assert_eq!(closed_graph(&Held(&space), &root).unwrap().len(), 3);
        let absent = IbGib::new("s".into(), Some(json!({"a": 3})), None).unwrap().addr().unwrap();
        assert!(closed_graph(&Held(&space), &absent).unwrap_err().contains("missing"));
    }

    #[test]
    fn a_side_that_gives_less_or_something_else_is_found() {
        /// Gives these texts whatever is asked for.
        struct Gives(Vec<String>);
        impl Side for Gives {
            fn name(&self) -> &'static str {
                "it"
            }
            fn latest(&self, _: &TjpAddr) -> Result<Option<Addr>, PeerError> {
                Ok(None)
            }
            fn graph(
                &self,
                _: &Addr,
                _: bool,
                each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
            ) -> Result<bool, PeerError> {
                self.0.iter().try_for_each(|text| each(text)).map(|()| true)
            }
            fn keystone(
                &self,
                _: &TjpAddr,
                _: &mut dyn FnMut(&Addr, &IbGib),
            ) -> Result<bool, PeerError> {
                Ok(true)
            }
        }
        let (space, root) = space(&[1]);
        let text = space.text(space.find(&root).unwrap().unwrap()).unwrap().into_string();
        let alone = Gives(vec![text.clone()]);
        assert!(closed_graph(&alone, &root).unwrap_err().contains("is missing"));
        let changed = Gives(vec![text.replace("root", "toor")]);
        assert!(closed_graph(&changed, &root).is_err());
        let found = compare(&space, &root, &changed, Some(&root), false).unwrap();
        assert!(found.problems[0].starts_with("it sent what is not valid"), "{:?}", found.problems);
        assert_eq!((found.here, found.there, found.problems.len()), (2, 1, 3));
        let tjp = TjpAddr::from(root.clone());
        let claims = claims_differ(&tjp, &alone, &[(&tjp, Some(&space))]).unwrap();
        assert_eq!(claims, [format!("no frame on it claims {root}")]);
    }

    #[test]
    fn what_is_no_keystone_does_not_replay() {
        let (space, root) = space(&[1]);
        assert_eq!(replay(&space, &root.clone().into()).unwrap(), [format!("{root} is not here")]);
    }
}
