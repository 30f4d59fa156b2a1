//! What `check` need not validate again: I's frames up to one that an earlier check found on both sides
//! (docs/protocol.md, section 8).

use super::sides::{has_claim, rules_broken};
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone::{Replay, StepsOnly};
use crate::peer::{PeerError, ReceiverLink, identity};
use crate::space::{RowId, Space, SpaceExt, chain};
use crate::sync::SyncError;
use crate::sync::domain::IdentityFrames;

/// The name under which a client's space keeps the newest frame of I that a check found valid, and the
/// same on the server.
pub(super) const NAME_CHECKED: &str = "CHECKED";
/// After how many frames memory is given back that is held for speed alone.
const RELEASE_EVERY: usize = 256;

/// What a check found of I from a known frame on.
pub(super) struct Found {
    /// What is wrong.
    pub(super) problems: Vec<String>,
    /// How many frames were validated here.
    pub(super) validated: u64,
}

/// Checks I where the frame `known` was found valid on both sides: up to it the frames here are hashed;
/// what follows it is validated, here and there. None where that says too little: `known` is no frame
/// of I, or the server does not go on from it.
pub(super) fn check_after<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    (domain, known, session): (&TjpAddr, &Addr, &TjpAddr),
) -> Result<Option<Found>, PeerError> {
    let Some(before) = frames_to(space, domain, known).map_err(SyncError::from)? else {
        return Ok(None);
    };
    let last = space.get(known).map_err(SyncError::from)?;
    let Some(last) = last else { return Ok(None) };
    let Some(claim_there) = claim_there(link, last, (domain, session))? else { return Ok(None) };
    let (mut validated, mut claim) = (0, None);
    let read = after(space, domain, known, &mut |addr, frame| {
        validated += 1;
        if has_claim(frame, session) {
            claim = Some(addr);
        }
    });
    let mut problems = rules_broken(read)?;
    let is_known = claim.is_none() && was_claimed(space, &before, session)?;
    match (claim, claim_there) {
        (None, _) if is_known => {}
        (Some(here), Some(there)) if here == there => {}
        (_, None) => problems.push(format!("no frame on the server claims {session}")),
        (_, Some(there)) => problems.push(format!("{there} is on the server only")),
    }
    Ok(Some(Found { problems, validated }))
}

/// I's frames up to one, each hashed; none where it is no frame of I.
fn frames_to(
    space: &dyn Space,
    domain: &TjpAddr,
    known: &Addr,
) -> Result<Option<Vec<RowId>>, crate::space::SpaceError> {
    let (Some(tjp_id), Some(id)) = (space.find(domain)?, space.find(known)?) else {
        return Ok(None);
    };
    let row = space.row(id)?;
    if row.timeline != Some(tjp_id) || row.is_off_mainline {
        return Ok(None);
    }
    let frames = chain(space, id, |_| false)?;
    for (at, id) in frames.iter().enumerate() {
        space.text_to_send(*id)?;
        if at % RELEASE_EVERY == RELEASE_EVERY - 1 {
            space.release()?;
        }
    }
    Ok(Some(frames).filter(|frames| frames.first() == Some(&tjp_id)))
}

/// Gives `each` the frames here after a known one, each validated.
fn after(
    space: &dyn Space,
    domain: &TjpAddr,
    known: &Addr,
    each: &mut dyn FnMut(Addr, &IbGib),
) -> Result<(), PeerError> {
    let frames = IdentityFrames::after(space, domain, Some(known), StepsOnly)?;
    let Some(mut frames) = frames else { return Ok(()) };
    while let Some((addr, text)) = frames.next(space)? {
        each(addr, &IbGib::from_json(&text).map_err(SyncError::from)?);
    }
    Ok(())
}

/// The frame on the server, after the known one, that claims a session, if any; none where what the
/// server has does not go on from the known one: then it may not have that.
fn claim_there<L: ReceiverLink>(
    link: &L,
    known: IbGib,
    (domain, session): (&TjpAddr, &TjpAddr),
) -> Result<Option<Option<Addr>>, PeerError> {
    let mut claim = None;
    let mut replay = Replay::after(known, StepsOnly);
    let read = identity::follow(link, domain, &mut replay, &mut |frame| {
        if has_claim(frame, session) {
            claim = Some(frame.addr().clone());
        }
        Ok(())
    });
    Ok(rules_broken(read)?.is_empty().then_some(claim))
}

/// Whether one of these frames claims a session; the newest are looked at first.
fn was_claimed(space: &dyn Space, frames: &[RowId], session: &TjpAddr) -> Result<bool, PeerError> {
    for id in frames.iter().rev() {
        if has_claim(&space.get_id(*id).map_err(SyncError::from)?, session) {
            return Ok(true);
        }
    }
    Ok(false)
}
