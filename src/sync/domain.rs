//! A domain as the receiver keeps it: registering I, and taking its evolutions with the sessions
//! that they claim (docs/protocol.md, section 5).

use serde_json::Value;

use super::error::SyncError;
use super::session::join;
use crate::ibgib::{Addr, IbGib};
use crate::keystone::{self, VERB_SYNC};
use crate::space::{Id, Prepared, PutOpts, Space, SpaceError, SpaceExt, chain};

/// How many frames one evolution may bring: the new one, and those that the receiver lacks.
pub const MAX_EVOLUTION: usize = 256;

/// Takes a domain keystone's genesis. Returns its address; one that is known already is fine.
pub fn register(space: &dyn Space, genesis: &IbGib) -> Result<Addr, SyncError> {
    let addr = genesis.validate()?;
    let violations = keystone::validate_genesis(genesis);
    if !violations.is_empty() {
        return Err(SyncError::Auth(join(&violations)));
    }
    if space.find(&addr)?.is_none() {
        put(space, &[genesis])?;
    }
    Ok(addr)
}

/// Takes I's new frames and the genesis of the session that the last of them claims.
///
/// `frames` go on from a frame that the space holds. What is held already is passed over, so that
/// a repeated post succeeds. Errors: [`SyncError::Conflict`] where I moved on differently.
pub fn evolve(
    space: &dyn Space,
    domain: &Addr,
    frames: &[IbGib],
    session: &IbGib,
) -> Result<(), SyncError> {
    if frames.is_empty() || frames.len() > MAX_EVOLUTION {
        return Err(SyncError::Limit(format!("an evolution of {} frames", frames.len())));
    }
    let session_addr = session.validate()?;
    let violations = keystone::validate_genesis(session);
    if !violations.is_empty() {
        return Err(SyncError::Auth(join(&violations)));
    }
    check_session_details(session, domain)?;
    check_claim(frames, &session_addr)?;

    let mut new = new_frames(space, domain, frames)?;
    new.push(session);
    extend(space, &new)
}

/// Takes the frame that revokes I, after any that are lacking here. Errors as [`evolve`] does.
pub fn revoke(space: &dyn Space, domain: &Addr, frames: &[IbGib]) -> Result<(), SyncError> {
    if frames.len() > MAX_EVOLUTION {
        return Err(SyncError::Limit(format!("an evolution of {} frames", frames.len())));
    }
    if !frames.last().is_some_and(keystone::is_revoked) {
        return Err(SyncError::Auth("the identity's newest frame does not revoke it".into()));
    }
    extend(space, &new_frames(space, domain, frames)?)
}

/// The frames that the space lacks, the first of which must go on from I's newest one here.
fn new_frames<'a>(
    space: &dyn Space,
    domain: &Addr,
    frames: &'a [IbGib],
) -> Result<Vec<&'a IbGib>, SyncError> {
    let tip = space
        .tip(domain)?
        .ok_or_else(|| SyncError::Auth(format!("the identity {domain} is not registered here")))?;
    let mut prev = None;
    let mut new = Vec::new();
    for frame in frames {
        let addr = frame.validate()?;
        if frame.tjp_addr().as_deref() != Some(domain.as_str()) {
            return Err(SyncError::Auth(format!("{addr} is no frame of {domain}")));
        }
        match space.find(&addr)? {
            Some(id) => prev = Some(id),
            None => new.push(frame),
        }
    }
    if let Some(first) = new.first() {
        let follows_tip = first.prev() == Some(tip.addr.as_str());
        if !follows_tip || prev.is_some_and(|prev| prev != tip.id) {
            return Err(SyncError::Conflict(format!(
                "the identity's newest frame here is {} (n {})",
                tip.addr, tip.n
            )));
        }
    }
    Ok(new)
}

fn extend(space: &dyn Space, new: &[&IbGib]) -> Result<(), SyncError> {
    match put(space, new) {
        Err(SyncError::Space(SpaceError::KeystoneFork { .. })) => {
            Err(SyncError::Conflict("the identity's frame already has a successor".into()))
        }
        other => other,
    }
}

fn check_session_details(session: &IbGib, domain: &Addr) -> Result<(), SyncError> {
    let details = session.datum("frameDetails");
    let names = details.and_then(|d| d.get("domainIdentity")).and_then(Value::as_str);
    if names != Some(domain.as_str()) {
        return Err(SyncError::Auth("the session was made for another identity".into()));
    }
    match details.and_then(|d| d.get("sagaId")).and_then(Value::as_str) {
        Some(id) if !id.is_empty() && id.len() <= 128 => Ok(()),
        _ => Err(SyncError::Auth("the session names no saga".into())),
    }
}

fn check_claim(frames: &[IbGib], session: &Addr) -> Result<(), SyncError> {
    let proof = frames.last().and_then(|frame| keystone::proof_of(frame).ok().flatten());
    let claim = proof.map(|proof| proof.claim);
    match claim {
        Some(claim) if claim.verb == VERB_SYNC && claim.target == session.as_str() => Ok(()),
        _ => Err(SyncError::Auth("the identity's newest frame does not claim this session".into())),
    }
}

/// The saga that a session was made for.
pub fn saga_of_session(session: &IbGib) -> Option<String> {
    session.datum("frameDetails")?.get("sagaId")?.as_str().map(str::to_owned)
}

/// The rows of I's frames after `after` (or all of them), oldest first, at most `most`.
pub fn identity_ids(
    space: &dyn Space,
    domain: &Addr,
    after: Option<&Addr>,
    most: usize,
) -> Result<Vec<Id>, SyncError> {
    let Some(tip) = space.tip(domain)? else { return Ok(Vec::new()) };
    let stop = match after {
        Some(after) => space.find(after)?,
        None => None,
    };
    let mut ids = chain(space, tip.id, |row| Some(row.id) == stop)?;
    ids.truncate(most);
    Ok(ids)
}

/// Puts ibGibs in one transaction.
pub fn put(space: &dyn Space, ibgibs: &[&IbGib]) -> Result<(), SyncError> {
    let prepared: Vec<Prepared> =
        ibgibs.iter().map(|ibgib| Prepared::new(ibgib)).collect::<Result<_, _>>()?;
    space.put(&mut prepared.into_iter().map(Ok), &PutOpts::default())?;
    Ok(())
}

/// The session's frame that the space has as its tip, where it is still unconnected.
pub fn unconnected(space: &dyn Space, session: &Addr) -> Result<IbGib, SyncError> {
    let tip = space
        .tip(session)?
        .ok_or_else(|| SyncError::Auth("the session is not established here".into()))?;
    if tip.n != 0 {
        return Err(SyncError::Auth("the session was connected before".into()));
    }
    Ok(space.get_id(tip.id)?)
}
