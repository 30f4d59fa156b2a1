//! The one way to what a row holds: its text is hashed, and compared with the address that it is
//! stored under, before anybody sees it (docs/protocol.md, section 8).
//!
//! Where a text is shown, built on, merged or signed on, the row's other columns are compared with it
//! too. What is sent is hashed alone: the other side looks for itself what it relates to.

use crate::ibgib::{Addr, IbGib, json, normal};
use crate::keystone::KEYSTONE;

use super::place::place;
use super::rows::{Row, Rows, Stored};
use super::{Prepared, RowId, SpaceError, TimelineKind};

/// Up to how many of a row's relations are compared with its text: a frame may list its whole past,
/// and to look at all of it with each frame would take for ever.
const LOOKED_AT: usize = 64;

/// A row whose text hashes to the address that it is stored under.
pub(super) struct Verified {
    pub(super) row: Row,
    pub(super) addr: Addr,
    pub(super) text: Box<str>,
}

impl Verified {
    /// Which kind of timeline begins with it, were it a tjp.
    pub(super) fn kind(&self) -> TimelineKind {
        TimelineKind::of_ib(self.addr.ib())
    }
}

/// A row, of which the text is hashed. Errors with [`SpaceError::Damaged`].
pub(super) fn hashed(rows: &dyn Rows, id: RowId) -> Result<Verified, SpaceError> {
    let stored = stored(rows, id)?;
    let Some(read) = normal::read(&stored.text) else {
        return read_whole(rows, stored).map(|(verified, ..)| verified);
    };
    let addr = Addr::from_parts(read.ib, read.gib);
    let addr = addr.map_err(|error| damaged(rows, &stored, &error.to_string()))?;
    let row = &stored.row;
    if addr.key() != stored.key {
        return Err(damaged(rows, &stored, &misplaced(&addr)));
    }
    let agrees = read.n.is_none_or(|n| n == row.n)
        && read.is_tjp == (row.timeline == Some(row.id))
        && read.is_stone == row.timeline.is_none()
        && row.is_keystone == (read.ib == KEYSTONE);
    if !agrees {
        return Err(damaged(rows, &stored, DISAGREES));
    }
    Ok(Verified { row: stored.row, addr, text: stored.text })
}

/// A row and the ibGib that it holds, of which everything is looked at but how its timeline stands.
/// Errors with [`SpaceError::Damaged`].
pub(super) fn verified(rows: &dyn Rows, id: RowId) -> Result<(Verified, IbGib), SpaceError> {
    let (verified, ibgib, prepared) = read_whole(rows, stored(rows, id)?)?;
    check_relations(rows, &verified, &prepared)?;
    Ok((verified, ibgib))
}

/// A row and what a put needs of it, of which the text is hashed and nothing else is looked at.
/// Errors with [`SpaceError::Damaged`].
pub(super) fn whole(rows: &dyn Rows, id: RowId) -> Result<(Verified, Prepared), SpaceError> {
    let (verified, _, prepared) = read_whole(rows, stored(rows, id)?)?;
    Ok((verified, prepared))
}

/// The address of a row: the one that it is stored under, whether or not its text still hashes to it.
/// Errors with [`SpaceError::Damaged`] where nothing tells it.
pub(super) fn addr_of(rows: &dyn Rows, id: RowId) -> Result<Addr, SpaceError> {
    if let Some(addr) = rows.kept_addr(id)? {
        return Ok(addr);
    }
    let stored = stored(rows, id)?;
    // The key is a hash of the address, so that a wrong one is told without hashing all of the text.
    match claimed_addr(&stored.text).filter(|addr| addr.key() == stored.key) {
        Some(addr) => Ok(addr),
        None => Ok(hashed(rows, id)?.addr),
    }
}

const DISAGREES: &str = "its row disagrees with its text";

fn misplaced(addr: &Addr) -> String {
    format!("it is stored under another address than {addr}, which it says it has")
}

fn stored(rows: &dyn Rows, id: RowId) -> Result<Stored, SpaceError> {
    rows.stored(id)?.ok_or(SpaceError::NoSuchId(id))
}

fn read_whole(rows: &dyn Rows, stored: Stored) -> Result<(Verified, IbGib, Prepared), SpaceError> {
    let read = IbGib::from_json(&stored.text).and_then(|ibgib| {
        let prepared = Prepared::new(&ibgib)?;
        Ok((ibgib, prepared))
    });
    let (ibgib, prepared) = match read {
        Ok(read) => read,
        Err(error) => return Err(damaged(rows, &stored, &error.to_string())),
    };
    if prepared.key != stored.key {
        return Err(damaged(rows, &stored, &misplaced(&prepared.addr)));
    }
    // A field that is none of the four is dropped in reading, and hashed by nobody; a gib that is
    // not there is made.
    let head = format!("{{\"ib\":{},\"gib\":\"{}\"", json::stringify(&ibgib.ib), ibgib.gib);
    if prepared.text.len() != stored.text.len() || !stored.text.starts_with(&head) {
        return Err(damaged(rows, &stored, "its text is not that of an ibGib"));
    }
    let (row, text) = (stored.row, stored.text);
    Ok((Verified { row, addr: prepared.addr.clone(), text }, ibgib, prepared))
}

/// Holds a row's relations, and what follows from them, against its text.
fn check_relations(
    rows: &dyn Rows,
    verified: &Verified,
    prepared: &Prepared,
) -> Result<(), SpaceError> {
    let Verified { row, addr, .. } = verified;
    let deps = rows.deps(row.id)?.ok_or(SpaceError::NoSuchId(row.id))?;
    let disagrees = || rows.damaged(format!("{addr}: {DISAGREES}"));
    if deps.len() != prepared.rel8ds.len() {
        return Err(disagrees());
    }
    let special = [prepared.tjp, prepared.prev, prepared.orphan];
    let special = special.into_iter().flatten().filter_map(|at| usize::try_from(at).ok());
    let mut found: Vec<(usize, Row)> = Vec::new();
    for at in (0..deps.len().min(LOOKED_AT)).chain(special.filter(|at| *at >= LOOKED_AT)) {
        let (Some(dep), Some(key)) = (deps.get(at), prepared.rel8ds.get(at)) else {
            return Err(disagrees());
        };
        match rows.keyed(*dep)? {
            Some((row, held)) if held == *key => found.push((at, row)),
            Some(_) => return Err(disagrees()),
            None => {
                let gone = prepared.rel8d_addr(at).map_or(String::new(), |addr| addr.to_string());
                return Err(rows.damaged(format!("{gone} is gone, and {addr} relates to it")));
            }
        }
    }
    let rel8d = |index: u32| {
        let at = usize::try_from(index).ok()?;
        found.iter().find(|(of, _)| *of == at).map(|(_, row)| *row)
    };
    let expected = place(prepared, row.id, rel8d).ok();
    match expected {
        Some(expected) if (Row { is_off_mainline: row.is_off_mainline, ..expected }) == *row => {
            Ok(())
        }
        _ => Err(disagrees()),
    }
}

/// The error for a row that does not hold what it says; it names the ibGib as far as it is known.
fn damaged(rows: &dyn Rows, stored: &Stored, detail: &str) -> SpaceError {
    let addr = claimed_addr(&stored.text).filter(|addr| addr.key() == stored.key);
    let Some(addr) = addr.or_else(|| rows.kept_addr(stored.row.id).ok().flatten()) else {
        return rows.damaged(format!("ibGib number {}: {detail}", stored.row.id));
    };
    if detail.starts_with(addr.as_str()) {
        return rows.damaged(detail.to_owned());
    }
    rows.damaged(format!("{addr}: {detail}"))
}

/// The address that a text says it has, whatever else is wrong with it.
pub(super) fn claimed_addr(text: &str) -> Option<Addr> {
    let rest = text.strip_prefix("{\"ib\":\"")?;
    let (ib, rest) = rest.split_once("\",\"gib\":\"")?;
    let (gib, _) = rest.split_once('"')?;
    Addr::from_parts(ib, gib).ok()
}
