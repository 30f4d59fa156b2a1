//! A domain as the receiver keeps it: registering I, and taking its evolutions with the sessions
//! that they claim (docs/protocol.md, section 5).

use serde_json::Value;

use super::error::SyncError;
use super::session::join;
use crate::ibgib::{Addr, IbGib};
use crate::keystone::{self, Replay, SeenIds, VERB_SYNC};
use crate::space::{Id, Prepared, PutOpts, Space, SpaceError, SpaceExt};

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

/// I's frames as a space holds them, oldest first, each validated as it is read: of those before it
/// holds the last one alone.
#[derive(Debug)]
pub struct IdentityFrames<S> {
    tjp_id: Id,
    next_n: u64,
    replay: Replay<S>,
}

impl<S: SeenIds> IdentityFrames<S>
where
    SpaceError: From<S::Error>,
{
    /// I's frames after `after`, or all where that is none of them; none where I is not here.
    pub fn after(
        space: &dyn Space,
        domain: &Addr,
        after: Option<&Addr>,
        ids: S,
    ) -> Result<Option<IdentityFrames<S>>, SyncError> {
        let Some(tjp_id) = space.find(domain)? else { return Ok(None) };
        if space.timeline_of(tjp_id)?.is_none() {
            return Ok(None);
        }
        let known = after.map(|after| space.find(after)).transpose()?.flatten();
        let row = known.map(|id| space.row(id)).transpose()?;
        let (next_n, replay) = match row.filter(|row| row.timeline == Some(tjp_id)) {
            Some(row) => {
                let frame = space.get_id(row.id)?;
                frame.validate()?;
                (row.n + 1, Replay::after(frame, ids))
            }
            None => (0, Replay::new(ids)),
        };
        Ok(Some(IdentityFrames { tjp_id, next_n, replay }))
    }

    /// The next frame's address and text; none at the tip. Errors where it does not validate: the
    /// space is damaged, and nothing after it is read.
    pub fn next(&mut self, space: &dyn Space) -> Result<Option<(Addr, Box<str>)>, SyncError> {
        let Some(id) = space.frame_at(self.tjp_id, self.next_n)? else { return Ok(None) };
        if space.row(id)?.n < self.next_n {
            return Ok(None);
        }
        let text = space.text(id)?;
        let frame = IbGib::from_json(&text)?;
        let addr = frame.addr()?;
        check_next(&mut self.replay, frame, &addr)?;
        self.next_n += 1;
        Ok(Some((addr, text)))
    }
}

/// Holds a frame against those before it. Errors with [`SpaceError::KeystoneInvalid`].
pub fn check_next<S: SeenIds>(
    replay: &mut Replay<S>,
    frame: IbGib,
    addr: &Addr,
) -> Result<(), SyncError>
where
    SpaceError: From<S::Error>,
{
    let violations = replay.push(frame).map_err(SpaceError::from)?;
    if violations.is_empty() {
        return Ok(());
    }
    let violations = violations.iter().map(ToString::to_string).collect();
    Err(SpaceError::KeystoneInvalid { addr: addr.clone(), violations }.into())
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
