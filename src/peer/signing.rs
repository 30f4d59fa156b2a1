//! Signing for an identity: one proof from one frame, whatever the other side answers
//! (docs/protocol.md, section 5).

use super::PeerError;
use super::client::{Identity, catch_up, is_conflict, store};
use super::link::ReceiverLink;
use super::retries::Retries;
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone;
use crate::space::{Pending, Purpose, Space, SpaceError};
use crate::sync::{Established, Features, SyncError, establish};

/// A session that the receiver accepted.
#[derive(Debug)]
pub(super) struct AcceptedSession {
    pub(super) made: Established,
    /// Whether it was made by an earlier run or by another process of this home, which may have
    /// connected it.
    pub(super) is_resumed: bool,
    /// What both sides speak beyond the protocol.
    pub(super) features: Features,
}

/// Makes a session, has the receiver accept it, and stores I′ and S here.
///
/// I's newest frames are fetched first, validated, and signed upon. What is signed is kept before
/// it is sent; what was kept before is sent again as it is, until the receiver takes it or shows a
/// newer frame. Conflicts, and a receiver that is busy, are tried again within `retries`.
pub(super) fn open_session<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    retries: &mut Retries,
) -> Result<AcceptedSession, PeerError> {
    let Identity { domain, secret } = identity;
    let mut refused_on = None;
    loop {
        let missing = match catch_up(space, link, domain) {
            Err(error @ PeerError::Busy { .. }) => {
                retries.again(error)?;
                continue;
            }
            other => other?,
        };
        // Known by the answer that just came, and before anything is signed.
        let features = link.common()?.features;
        if let Some(made) = accepted_without_answer(space, identity)? {
            return Ok(AcceptedSession { made, is_resumed: true, features });
        }
        let tip = signable_tip(space, identity)?;
        let on = tip.addr().map_err(SyncError::from)?;
        let step = match pending_on(space, domain, Purpose::Session, &on)? {
            Some(step) => step,
            None => {
                let made = establish(domain, &tip, secret, &*retries.env)?;
                let (evolved, session) = (made.identity, Some(made.session));
                Pending { on: on.clone(), evolved, session, is_shared: false }
            }
        };
        let Some(step) = keep(space, domain, Purpose::Session, &step)? else { continue };
        let is_resumed = step.is_shared;
        let Some((step, session)) = with_session(step) else { continue };
        let frames: Vec<&IbGib> = missing.iter().chain([&step]).collect();
        match link.evolve(domain, &frames, &session) {
            Ok(()) => {
                // Another process may have heard of it first, and have stored and connected S.
                let is_resumed = store(space, &[&step, &session])?.new == 0 || is_resumed;
                let made = Established::resume(step, session, secret)?;
                return Ok(AcceptedSession { made, is_resumed, features });
            }
            Err(error) if is_conflict(&error) => {
                newer_since(&mut refused_on, on, &error)?;
                retries.again(error)?;
            }
            Err(error @ PeerError::Busy { .. }) => retries.again(error)?,
            Err(error) => return Err(error),
        }
    }
}

/// Revokes the identity, on the receiver and here. Nothing can be signed with it afterwards.
///
/// A step that was signed on the newest frame goes first; where it is not taken, the revocation is
/// signed on the same frame anyway, so that nobody can keep an identity from being revoked.
///
/// Errors with [`PeerError::Forked`] where the receiver has valid frames that follow another
/// successor than the one here: it takes nothing that is signed on the frames of this space.
pub(super) fn revoke<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    reason: &str,
    retries: &mut Retries,
) -> Result<Addr, PeerError> {
    let Identity { domain, secret } = identity;
    let (mut refused_on, mut tried_on) = (None, None);
    loop {
        let missing = match catch_up(space, link, domain) {
            Err(error @ PeerError::Busy { .. }) => {
                retries.again(error)?;
                continue;
            }
            // Whatever it gives out instead of the identity, it may take its end.
            Err(error @ PeerError::Sync(_)) => {
                tracing::info!(%error, "the identity's newest frame is not known");
                Vec::new()
            }
            other => other?,
        };
        link.common()?;
        let tip = signable_tip(space, identity)?;
        let on = tip.addr().map_err(SyncError::from)?;
        if tried_on.as_ref() != Some(&on)
            && let Some((step, session)) =
                pending_on(space, domain, Purpose::Session, &on)?.and_then(with_session)
        {
            tried_on = Some(on);
            let frames: Vec<&IbGib> = missing.iter().chain([&step]).collect();
            match link.evolve(domain, &frames, &session) {
                Ok(()) => drop(store(space, &[&step, &session])?),
                Err(error) => tracing::info!(%error, "the previous step was not accepted"),
            }
            continue;
        }
        let step = match pending_on(space, domain, Purpose::Revocation, &on)? {
            Some(step) => step,
            None => {
                let evolved = keystone::revoke(&tip, secret, reason, &*retries.env)
                    .map_err(SyncError::from)?;
                Pending { on: on.clone(), evolved, session: None, is_shared: false }
            }
        };
        let kept = keep(space, domain, Purpose::Revocation, &step)?;
        let Some(Pending { evolved, .. }) = kept else { continue };
        let frames: Vec<&IbGib> = missing.iter().chain([&evolved]).collect();
        match link.revoke(domain, &frames) {
            Ok(()) => {
                store(space, &[&evolved])?;
                return Ok(evolved.addr().map_err(SyncError::from)?);
            }
            Err(error) if is_conflict(&error) => {
                newer_since(&mut refused_on, on, &error)?;
                retries.again(error)?;
            }
            Err(error @ PeerError::Busy { .. }) => retries.again(error)?,
            Err(error) => return Err(error),
        }
    }
}

/// Whether another process of this home has taken up a step that was made here, and may have
/// connected its session.
pub(super) fn is_shared(
    space: &dyn Space,
    domain: &TjpAddr,
    step: &IbGib,
) -> Result<bool, SyncError> {
    let kept = space.pending(domain, Purpose::Session)?;
    Ok(kept.is_none_or(|kept| kept.is_shared || kept.evolved != *step))
}

/// The session of a step that the receiver took without its answer having come here: I's frames
/// show the step, and S is not here yet. It is stored, and may still be connected.
fn accepted_without_answer(
    space: &dyn Space,
    identity: &Identity,
) -> Result<Option<Established>, SyncError> {
    let kept = space.pending(&identity.domain, Purpose::Session)?;
    let Some((step, session)) = kept.and_then(with_session) else { return Ok(None) };
    if space.find(&step.addr()?)?.is_none() || space.find(&session.addr()?)?.is_some() {
        return Ok(None);
    }
    if store(space, &[&session])?.new == 0 {
        return Ok(None);
    }
    tracing::info!("an earlier step was accepted after all");
    Ok(Some(Established::resume(step, session, &identity.secret)?))
}

/// I's newest frame, where this secret can sign on it.
fn signable_tip(space: &dyn Space, identity: &Identity) -> Result<IbGib, SyncError> {
    let absent =
        || SyncError::Auth(format!("the identity {} is not in this space", identity.domain));
    let tip = space.tip(&identity.domain)?.ok_or_else(absent)?;
    let tip = space.get_id(tip.id)?;
    if keystone::is_revoked(&tip) {
        return Err(SpaceError::Revoked(identity.domain.clone()).into());
    }
    if !keystone::knows(&identity.secret, &tip) {
        return Err(SyncError::Auth("the secret is not this identity's".into()));
    }
    Ok(tip)
}

fn pending_on(
    space: &dyn Space,
    domain: &TjpAddr,
    purpose: Purpose,
    on: &Addr,
) -> Result<Option<Pending>, SyncError> {
    Ok(space.pending(domain, purpose)?.filter(|step| step.on == *on))
}

/// Keeps a step, or takes up what another process kept first; none where I moved on meanwhile.
fn keep(
    space: &dyn Space,
    domain: &TjpAddr,
    purpose: Purpose,
    step: &Pending,
) -> Result<Option<Pending>, SyncError> {
    match space.keep_pending(domain, purpose, step) {
        Ok(kept) => Ok(Some(kept)),
        Err(SpaceError::TipMoved { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn with_session(step: Pending) -> Option<(IbGib, IbGib)> {
    Some((step.evolved, step.session?))
}

/// Notes on which frame a step was refused for a newer one; an error where it was before, since
/// then there is none.
fn newer_since(
    refused_on: &mut Option<Addr>,
    on: Addr,
    error: &PeerError,
) -> Result<(), PeerError> {
    if refused_on.as_ref() == Some(&on) {
        return Err(PeerError::Fault(format!(
            "it refuses the identity's next step as one that comes too late ({error}), and shows \
             no newer frame than {on}; the step is kept, and no other is made on this frame"
        )));
    }
    *refused_on = Some(on);
    Ok(())
}
