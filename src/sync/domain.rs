//! A domain as the receiver keeps it: registering I, and taking its evolutions with the sessions
//! that they claim (docs/protocol.md, section 5).

use std::borrow::Borrow;

use serde_json::Value;

use super::error::SyncError;
pub use super::identity::{IdentityFrames, StoredFrames};
pub use super::live::{IdentityCheck, expect_live, has_lock, secret_since};
use super::live::{live_newest, newest};
use super::quota::Quota;
use super::session::join;
use crate::ibgib::{Addr, IbGib, TjpAddr, Valid};
use crate::keystone::{self, Replay, SeenIds, StepsOnly, VERB_RECOVER, VERB_SYNC, Violation};
use crate::space::{Bound, Prepared, PutOpts, Space, SpaceError, Tip};

/// How many frames one evolution may bring: the new one, and those that the receiver lacks.
pub const MAX_EVOLUTION: usize = 256;

/// How many hashes one request may cost to check; a single frame, which takes as many at most,
/// always fits.
pub const MAX_HASHES: u64 = keystone::MAX_HASHES_PER_STEP;

/// A domain keystone's genesis, checked and not stored yet.
#[derive(Debug)]
pub struct NewIdentity(Prepared);

impl NewIdentity {
    /// Validates it. Errors with [`SyncError::Auth`].
    pub fn check<T: Borrow<IbGib>>(genesis: &Valid<T>) -> Result<NewIdentity, SyncError> {
        let violations = keystone::validate_valid_genesis(genesis);
        if !violations.is_empty() {
            return Err(SyncError::Auth(join(&violations)));
        }
        Ok(NewIdentity(Prepared::of(genesis)?.with_valid_step()))
    }

    /// Stores it, within `quota`. Returns its address; one that is known already is fine.
    pub fn store(self, space: &dyn Space, quota: &Quota) -> Result<TjpAddr, SyncError> {
        let addr = TjpAddr::from(self.0.addr().clone());
        if space.find(&addr)?.is_none() {
            let opts = PutOpts { bound: quota.for_data(), ..PutOpts::default() };
            space.put(&mut std::iter::once(Ok(self.0)), &opts)?;
        }
        Ok(addr)
    }
}

/// Takes a domain keystone's genesis, within `quota`. Returns its address; one that is known already
/// is fine.
pub fn register(space: &dyn Space, genesis: &IbGib, quota: &Quota) -> Result<TjpAddr, SyncError> {
    NewIdentity::check(&Valid::check(genesis)?)?.store(space, quota)
}

/// Takes I's new frames and the genesis of the session that the last of them claims, within `quota`.
///
/// Errors as [`Evolution::check`] does.
pub fn evolve(
    space: &dyn Space,
    domain: &TjpAddr,
    frames: &[IbGib],
    session: &IbGib,
    quota: &Quota,
) -> Result<(), SyncError> {
    Evolution::check(space, domain, frames, session, quota)?.store(space, quota)
}

/// Takes the frame that revokes I, after any that are lacking here. Errors as [`evolve`] does, but
/// for a bound: it is always taken.
pub fn revoke(space: &dyn Space, domain: &TjpAddr, frames: &[IbGib]) -> Result<(), SyncError> {
    if frames.len() > MAX_EVOLUTION {
        return Err(SyncError::Limit(format!("an evolution of {} frames", frames.len())));
    }
    if !frames.last().is_some_and(keystone::is_revoked) {
        return Err(SyncError::Auth("the identity's newest frame does not revoke it".into()));
    }
    let newest = newest(space, domain)?;
    extend(space, new_frames(space, domain, newest, frames)?, Bound::default())
}

/// Takes the frame that changes I's secret, after any that are lacking here, within what `quota`
/// leaves for signing. An identity's first recovery is always taken, and later ones may use a
/// reserve of their own, so that nobody who filled the quota or the file keeps the owner out.
///
/// Returns whether anything was new: a renewal that is known ends nothing once more. Errors as
/// [`evolve`] does.
pub fn renew(
    space: &dyn Space,
    domain: &TjpAddr,
    frames: &[IbGib],
    quota: &Quota,
) -> Result<bool, SyncError> {
    if frames.len() > MAX_EVOLUTION {
        return Err(SyncError::Limit(format!("an evolution of {} frames", frames.len())));
    }
    let brings_key = |frame: &&IbGib| {
        let since = secret_since(frame);
        since > 0 && frame.n() == Some(since)
    };
    let Some(last) = frames.last().filter(brings_key) else {
        let message = "the identity's newest frame does not change its secret";
        return Err(SyncError::Auth(message.into()));
    };
    let newest = live_newest(space, domain)?;
    let proof = keystone::proof_of(last).ok().flatten();
    let bound = match proof.is_some_and(|proof| proof.claim.verb == VERB_RECOVER) {
        false => quota.for_signing(),
        true if is_first_recovery(space, domain, &newest.1)? => Bound::default(),
        true => quota.for_recovery(),
    };
    let new = new_frames(space, domain, newest, frames)?;
    let is_new = !new.is_empty();
    extend(space, new, bound)?;
    Ok(is_new)
}

/// Whether I was never recovered: its recovery key is still the one that it was made with.
fn is_first_recovery(
    space: &dyn Space,
    domain: &TjpAddr,
    newest: &IbGib,
) -> Result<bool, SyncError> {
    let genesis = space.find(domain)?.map(|id| space.get_id(id)).transpose()?;
    let made = genesis.as_ref().and_then(keystone::lock_of);
    Ok(made.zip(keystone::lock_of(newest)).is_some_and(|(made, now)| made.has_same_recovery(&now)))
}

/// I's new frames and a session that the last of them claims, checked and not stored yet.
#[derive(Debug)]
pub struct Evolution {
    session: TjpAddr,
    is_new: bool,
    renews: bool,
    batch: Vec<Prepared>,
}

impl Evolution {
    /// Validates all of it, before any transaction: that takes time.
    ///
    /// `frames` go on from a frame that the space holds. What is held already is passed over, so
    /// that a repeated post succeeds. Errors: [`SyncError::Conflict`] where I moved on differently,
    /// [`SyncError::Limit`] where it takes too many hashes to check, [`SpaceError::Revoked`], and as
    /// a put does where no room is left in `quota`.
    pub fn check(
        space: &dyn Space,
        domain: &TjpAddr,
        frames: &[IbGib],
        session: &IbGib,
        quota: &Quota,
    ) -> Result<Evolution, SyncError> {
        if frames.is_empty() || frames.len() > MAX_EVOLUTION {
            return Err(SyncError::Limit(format!("an evolution of {} frames", frames.len())));
        }
        let session = &Valid::check(session)?;
        let prepared = Prepared::of(session)?;
        let violations = keystone::validate_valid_genesis(session);
        if !violations.is_empty() {
            return Err(SyncError::Auth(join(&violations)));
        }
        expect_session_of(session, domain)?;
        let is_locked = |frame: &IbGib| keystone::lock_of(frame).is_some();
        if frames.last().is_some_and(is_locked) && !is_locked(session) {
            let message = "the identity's frames are signed, and its session's would not be";
            return Err(SyncError::Auth(message.into()));
        }
        let addr = TjpAddr::from(prepared.addr().clone());
        check_claim(frames, &addr)?;
        let newest = live_newest(space, domain)?;
        let is_new = space.find(&addr)?.is_none();
        if is_new {
            expect_new(space, frames)?;
            space.check_bound(&quota.for_signing(), 1)?;
        }
        let before = secret_since(&newest.1);
        let renews = frames.last().is_some_and(|last| secret_since(last) > before);
        let mut batch = new_frames(space, domain, newest, frames)?;
        batch.push(prepared.with_valid_step());
        Ok(Evolution { session: addr, is_new, renews, batch })
    }

    /// The tjp address of the session.
    pub fn session(&self) -> &TjpAddr {
        &self.session
    }

    /// Whether the session was not known before: one that was is never opened again.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether a frame among those that were lacking here changes I's secret.
    pub fn renews(&self) -> bool {
        self.renews
    }

    /// Stores it in one transaction, within `quota`. Errors: [`SyncError::Conflict`] where I moved
    /// on meanwhile.
    pub fn store(self, space: &dyn Space, quota: &Quota) -> Result<(), SyncError> {
        extend(space, self.batch, quota.for_signing())
    }
}

/// The frames that the space lacks, validated; the first must go on from I's newest one here.
fn new_frames(
    space: &dyn Space,
    domain: &TjpAddr,
    (tip, newest): (Tip, IbGib),
    frames: &[IbGib],
) -> Result<Vec<Prepared>, SyncError> {
    let mut prev = None;
    let mut new = Vec::new();
    for frame in frames {
        let frame = Valid::check(frame)?;
        let prepared = Prepared::of(&frame)?;
        if frame.tjp_addr().as_deref() != Some(domain.as_str()) {
            return Err(SyncError::Auth(format!("{} is no frame of {domain}", frame.addr())));
        }
        match space.find(frame.addr())? {
            Some(id) => prev = Some(id),
            None => new.push((frame, prepared)),
        }
    }
    if let Some((first, _)) = new.first() {
        let follows_tip = first.prev() == Some(tip.addr.as_str());
        if !follows_tip || prev.is_some_and(|prev| prev != tip.id) {
            return Err(SyncError::Conflict(format!(
                "the identity's newest frame here is {} (n {})",
                tip.addr, tip.n
            )));
        }
    }
    valid_steps(newest, new)
}

/// Validates frames that go on from `newest`, within the hashes that one request may cost.
fn valid_steps(
    newest: IbGib,
    frames: Vec<(Valid<&IbGib>, Prepared)>,
) -> Result<Vec<Prepared>, SyncError> {
    let mut replay = Replay::after(newest, StepsOnly);
    let (mut valid, mut hashes) = (Vec::with_capacity(frames.len()), 0);
    for (frame, prepared) in frames {
        hashes += replay.tip().map_or(0, |prev| keystone::step_cost(prev, &frame));
        if hashes > MAX_HASHES && !valid.is_empty() {
            let message =
                format!("frames that take more than {MAX_HASHES} hashes to check: send fewer");
            return Err(SyncError::Limit(message));
        }
        check_valid_next(&mut replay, frame.cloned())?;
        valid.push(prepared.with_valid_step());
    }
    Ok(valid)
}

fn extend(space: &dyn Space, new: Vec<Prepared>, bound: Bound) -> Result<(), SyncError> {
    let opts = PutOpts { bound, ..PutOpts::default() };
    match space.put(&mut new.into_iter().map(Ok), &opts) {
        Err(SpaceError::KeystoneFork { .. }) => {
            Err(SyncError::Conflict("the identity's frame already has a successor".into()))
        }
        other => Ok(other.map(drop)?),
    }
}

/// The saga that a session of an identity was made for, by what its genesis says. Errors where it
/// is another identity's, or of no saga.
pub fn expect_session_of<'a>(genesis: &'a IbGib, domain: &TjpAddr) -> Result<&'a str, SyncError> {
    let details = genesis.datum("frameDetails");
    let names = details.and_then(|d| d.get("domainIdentity")).and_then(Value::as_str);
    if names != Some(domain.as_str()) {
        return Err(SyncError::Auth("the session was made for another identity".into()));
    }
    match details.and_then(|d| d.get("sagaId")).and_then(Value::as_str) {
        Some(id) if !id.is_empty() && id.len() <= 128 => Ok(id),
        _ => Err(SyncError::Auth("the session names no saga".into())),
    }
}

/// Errors where the frame that claims a new session came without it before. The secret that signed
/// it may have been changed since, and a session that is stored now would count as the new one's.
fn expect_new(space: &dyn Space, frames: &[IbGib]) -> Result<(), SyncError> {
    let known = frames.last().map(|frame| space.find(&frame.addr()?).map_err(SyncError::from));
    match known.transpose()?.flatten() {
        None => Ok(()),
        Some(_) => {
            let message =
                "the identity's frame is here already, without the session that it claims";
            Err(SyncError::Conflict(message.into()))
        }
    }
}

fn check_claim(frames: &[IbGib], session: &TjpAddr) -> Result<(), SyncError> {
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

/// Holds a frame against those before it. Errors with [`SpaceError::KeystoneInvalid`].
pub fn check_next<S: SeenIds>(
    replay: &mut Replay<S>,
    frame: IbGib,
    addr: &Addr,
) -> Result<(), SyncError>
where
    SpaceError: From<S::Error>,
{
    expect_none(replay.push(frame).map_err(SpaceError::from)?, addr)
}

/// As [`check_next`], of a frame whose gib is known to be right.
pub fn check_valid_next<S: SeenIds>(
    replay: &mut Replay<S>,
    frame: Valid<IbGib>,
) -> Result<(), SyncError>
where
    SpaceError: From<S::Error>,
{
    let addr = frame.addr().clone();
    expect_none(replay.push_valid(frame).map_err(SpaceError::from)?, &addr)
}

fn expect_none(violations: Vec<Violation>, addr: &Addr) -> Result<(), SyncError> {
    match violations.is_empty() {
        true => Ok(()),
        false => Err(invalid(addr, &violations)),
    }
}

pub(super) fn invalid(addr: &Addr, violations: &[Violation]) -> SyncError {
    let violations = violations.iter().map(ToString::to_string).collect();
    SpaceError::KeystoneInvalid { addr: addr.clone(), violations }.into()
}

/// The session's frame that the space has as its tip, where it is still unconnected.
pub fn unconnected(space: &dyn Space, session: &TjpAddr) -> Result<IbGib, SyncError> {
    let tip = space
        .tip(session)?
        .ok_or_else(|| SyncError::Auth("the session is not established here".into()))?;
    if tip.n != 0 {
        return Err(SyncError::Auth("the session was connected before".into()));
    }
    Ok(space.get_id(tip.id)?)
}
