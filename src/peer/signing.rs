//! Signing for an identity: one proof from one frame, whatever the other side answers
//! (docs/protocol.md, section 5).

use super::PeerError;
use super::client::{Identity, catch_up, is_conflict, store};
use super::link::ReceiverLink;
use super::retries::Retries;
use crate::ibgib::{Addr, Environment, IbGib, TjpAddr};
use crate::keystone::{self, KeystoneError, MasterSecret, RecoveryCode, Renewal};
use crate::space::{Pending, Purpose, Space, SpaceError};
use crate::sync::capabilities::Feature;
use crate::sync::{Established, Features, SyncError, domain, establish};

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
        let tip = live_tip(space, domain)?;
        // Known by the answer that just came, and before anything is signed.
        let features = expect_features(link, &tip)?;
        if let Some(made) = accepted_without_answer(space, identity)? {
            return Ok(AcceptedSession { made, is_resumed: true, features });
        }
        let tip = live_tip(space, domain)?;
        expect_known(secret, &tip)?;
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
        let evolved = match missing.is_empty() {
            true => link.evolve_from(domain, &tip, &frames, &session),
            false => link.evolve(domain, &frames, &session),
        };
        match evolved {
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

/// Gives the code that a recovery brings in. It is asked for only where a frame is made, before that is
/// kept or sent, so whoever gives it hands it out first.
pub type NextCode<'a> = &'a dyn Fn() -> Result<RecoveryCode, KeystoneError>;

/// What ends or changes an identity's secret.
pub(super) enum Ending<'a> {
    /// The secret revokes the identity, for this reason.
    Revocation(&'a MasterSecret, &'a str),
    /// The secret is changed by itself.
    Rotation(&'a MasterSecret, &'a Renewal<'a>),
    /// The secret is changed by the recovery code; the second gives the next one.
    Recovery(&'a RecoveryCode, NextCode<'a>, &'a Renewal<'a>),
}

impl Ending<'_> {
    fn purpose(&self) -> Purpose {
        match self {
            Ending::Revocation(..) => Purpose::Revocation,
            Ending::Rotation(..) => Purpose::Renewal,
            // Apart, so that a rotation which somebody left here is not sent in its place.
            Ending::Recovery(..) => Purpose::Recovery,
        }
    }

    fn is_revocation(&self) -> bool {
        matches!(self, Ending::Revocation(..))
    }

    /// Errors where nothing of it can be signed on I's newest frame.
    fn check(&self, tip: &IbGib) -> Result<(), SyncError> {
        match self {
            Ending::Revocation(secret, _) | Ending::Rotation(secret, _) => {
                expect_known(secret, tip)
            }
            Ending::Recovery(code, ..) => Ok(keystone::expect_recovers(code, tip)?),
        }
    }

    fn sign(&self, tip: &IbGib, env: &dyn Environment) -> Result<IbGib, KeystoneError> {
        match self {
            Ending::Revocation(secret, reason) => keystone::revoke(tip, secret, reason, env),
            Ending::Rotation(secret, renewal) => keystone::rotate(tip, secret, renewal),
            Ending::Recovery(code, next, renewal) => {
                keystone::recover(tip, code, &next()?, renewal)
            }
        }
    }

    fn send<L: ReceiverLink>(
        &self,
        link: &L,
        domain: &TjpAddr,
        frames: &[&IbGib],
    ) -> Result<(), PeerError> {
        match self.is_revocation() {
            true => link.revoke(domain, frames),
            false => link.renew(domain, frames),
        }
    }
}

/// Revokes an identity or changes its secret, on the receiver and here. Returns the frame that does
/// it: one that an earlier run kept on the same frame is sent as it is.
///
/// A step that was signed on the newest frame goes first; where it is not taken, this one is signed
/// on the same frame anyway, so that nobody can keep an identity from being revoked or recovered.
///
/// Errors with [`PeerError::Forked`] where the receiver has valid frames that follow another
/// successor than the one here: it takes nothing that is signed on the frames of this space.
pub(super) fn end<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    domain: &TjpAddr,
    ending: &Ending<'_>,
    retries: &mut Retries,
) -> Result<IbGib, PeerError> {
    let purpose = ending.purpose();
    let (mut refused_on, mut tried_on) = (None, None);
    loop {
        let missing = match catch_up(space, link, domain) {
            Err(error @ PeerError::Busy { .. }) => {
                retries.again(error)?;
                continue;
            }
            // Whatever it gives out instead of the identity, it may take its end.
            Err(error @ PeerError::Sync(_)) if ending.is_revocation() => {
                tracing::info!(%error, "the identity's newest frame is not known");
                Vec::new()
            }
            other => other?,
        };
        let tip = live_tip(space, domain)?;
        match ending.is_revocation() {
            true => drop(link.common()?),
            false => drop(expect_features(link, &tip)?),
        }
        if let Err(error) = ending.check(&tip) {
            // An earlier run may have been taken without its answer having come here.
            let kept = space.pending(domain, purpose).map_err(SyncError::from)?;
            let kept = kept.filter(|kept| !ending.is_revocation() && kept.evolved == tip);
            return kept.map(|kept| kept.evolved).ok_or_else(|| error.into());
        }
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
        let step = match pending_on(space, domain, purpose, &on)? {
            Some(step) => step,
            None => {
                let evolved = ending.sign(&tip, &*retries.env).map_err(SyncError::from)?;
                Pending { on: on.clone(), evolved, session: None, is_shared: false }
            }
        };
        let Some(Pending { evolved, .. }) = keep(space, domain, purpose, &step)? else { continue };
        let frames: Vec<&IbGib> = missing.iter().chain([&evolved]).collect();
        match ending.send(link, domain, &frames) {
            Ok(()) => {
                store(space, &[&evolved])?;
                return Ok(evolved);
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

/// I's newest frame, where I is not revoked.
fn live_tip(space: &dyn Space, domain: &TjpAddr) -> Result<IbGib, SyncError> {
    let absent = || SyncError::Auth(format!("the identity {domain} is not in this space"));
    let tip = space.tip(domain)?.ok_or_else(absent)?;
    let tip = space.get_id(tip.id)?;
    match keystone::is_revoked(&tip) {
        true => Err(SpaceError::Revoked(domain.clone()).into()),
        false => Ok(tip),
    }
}

/// Errors where the secret cannot sign on I's newest frame.
fn expect_known(secret: &MasterSecret, tip: &IbGib) -> Result<(), SyncError> {
    if keystone::knows(secret, tip) {
        return Ok(());
    }
    Err(match domain::secret_since(tip) {
        0 => SyncError::Auth("the secret is not this identity's".into()),
        n => SyncError::SecretChanged { n },
    })
}

/// Errors where the receiver is too old for an identity: before anything of it is signed or sent.
pub(super) fn expect_features<L: ReceiverLink + ?Sized>(
    link: &L,
    frame: &IbGib,
) -> Result<Features, PeerError> {
    let features = link.common()?.features;
    match keystone::lock_of(frame).is_none() || features.contains(&Feature::SIGNING_KEYS) {
        true => Ok(features),
        false => Err(SyncError::NeedsFeature(Feature::SIGNING_KEYS).into()),
    }
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
