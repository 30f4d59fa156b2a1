//! A domain as the receiver keeps it: registering I, and taking its evolutions with the sessions
//! that they claim (docs/protocol.md, section 5).

use serde_json::Value;

use super::error::SyncError;
pub use super::identity::{IdentityFrames, StoredFrames};
use super::quota::Quota;
use super::session::join;
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::keystone::{self, Replay, SeenIds, StepsOnly, VERB_SYNC, Violation};
use crate::space::{Bound, Prepared, PutOpts, RowId, Space, SpaceError, Tip};

/// How many frames one evolution may bring: the new one, and those that the receiver lacks.
pub const MAX_EVOLUTION: usize = 256;

/// How many hashes one request may cost to check; a single frame, which takes as many at most,
/// always fits.
pub const MAX_HASHES: u64 = keystone::MAX_HASHES_PER_STEP;

/// Checks a domain keystone's genesis. Returns its address.
pub fn check_genesis(genesis: &IbGib) -> Result<TjpAddr, SyncError> {
    let addr = genesis.validate()?;
    let violations = keystone::validate_genesis(genesis);
    if !violations.is_empty() {
        return Err(SyncError::Auth(join(&violations)));
    }
    Ok(addr.into())
}

/// Takes a domain keystone's genesis, within `quota`. Returns its address; one that is known already
/// is fine.
pub fn register(space: &dyn Space, genesis: &IbGib, quota: &Quota) -> Result<TjpAddr, SyncError> {
    let addr = check_genesis(genesis)?;
    if space.find(&addr)?.is_none() {
        let genesis = Prepared::new(genesis)?.with_valid_step();
        let opts = PutOpts { bound: quota.for_data(), ..PutOpts::default() };
        space.put(&mut std::iter::once(Ok(genesis)), &opts)?;
    }
    Ok(addr)
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
    extend(space, new_frames(space, domain, frames)?, Bound::default())
}

/// Refuses an identity that is revoked, or not here: nothing of it is taken or given out any more
/// but its own frames (docs/protocol.md, section 5).
pub fn expect_live(space: &dyn Space, domain: &TjpAddr) -> Result<(), SyncError> {
    live_tip(space, domain).map(drop)
}

/// I's newest frame where I is not revoked.
fn live_tip(space: &dyn Space, domain: &TjpAddr) -> Result<Tip, SyncError> {
    let tip = tip_of(space, domain)?;
    match keystone::is_revoked(&space.get_id(tip.id)?) {
        true => Err(SpaceError::Revoked(domain.clone()).into()),
        false => Ok(tip),
    }
}

fn tip_of(space: &dyn Space, domain: &TjpAddr) -> Result<Tip, SyncError> {
    let absent = || SyncError::Auth(format!("the identity {domain} is not registered here"));
    space.tip(domain)?.ok_or_else(absent)
}

/// Watches that I is not revoked, by its tip: a frame is read only where that moved.
#[derive(Debug, Default)]
pub struct RevocationCheck(Option<RowId>);

impl RevocationCheck {
    /// Errors where I is revoked, or not here.
    pub fn check(&mut self, space: &dyn Space, domain: &TjpAddr) -> Result<(), SyncError> {
        if self.0.is_none() || self.0 != Some(tip_of(space, domain)?.id) {
            self.0 = Some(live_tip(space, domain)?.id);
        }
        Ok(())
    }
}

/// I's new frames and a session that the last of them claims, checked and not stored yet.
#[derive(Debug)]
pub struct Evolution {
    session: TjpAddr,
    is_new: bool,
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
        let prepared = Prepared::new(session)?;
        let violations = keystone::validate_genesis(session);
        if !violations.is_empty() {
            return Err(SyncError::Auth(join(&violations)));
        }
        expect_session_of(session, domain)?;
        let addr = TjpAddr::from(prepared.addr.clone());
        check_claim(frames, &addr)?;
        expect_live(space, domain)?;
        let is_new = space.find(&addr)?.is_none();
        if is_new {
            space.check_bound(&quota.for_signing(), 1)?;
        }
        let mut batch = new_frames(space, domain, frames)?;
        batch.push(prepared.with_valid_step());
        Ok(Evolution { session: addr, is_new, batch })
    }

    /// The tjp address of the session.
    pub fn session(&self) -> &TjpAddr {
        &self.session
    }

    /// Whether the session was not known before: one that was is never opened again.
    pub fn is_new(&self) -> bool {
        self.is_new
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
    frames: &[IbGib],
) -> Result<Vec<Prepared>, SyncError> {
    let tip = tip_of(space, domain)?;
    let mut prev = None;
    let mut new = Vec::new();
    for frame in frames {
        let prepared = Prepared::new(frame)?;
        if frame.tjp_addr().as_deref() != Some(domain.as_str()) {
            return Err(SyncError::Auth(format!("{} is no frame of {domain}", prepared.addr)));
        }
        match space.find(&prepared.addr)? {
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
    valid_steps(space, &tip, new)
}

/// Validates frames that go on from `tip`, within the hashes that one request may cost.
fn valid_steps(
    space: &dyn Space,
    tip: &Tip,
    frames: Vec<(&IbGib, Prepared)>,
) -> Result<Vec<Prepared>, SyncError> {
    if frames.is_empty() {
        return Ok(Vec::new());
    }
    let mut replay = Replay::after(space.get_id(tip.id)?, StepsOnly);
    let (mut valid, mut hashes) = (Vec::with_capacity(frames.len()), 0);
    for (frame, prepared) in frames {
        hashes += replay.tip().map_or(0, |prev| keystone::step_cost(prev, frame));
        if hashes > MAX_HASHES && !valid.is_empty() {
            let message =
                format!("frames that take more than {MAX_HASHES} hashes to check: send fewer");
            return Err(SyncError::Limit(message));
        }
        check_next(&mut replay, frame.clone(), &prepared.addr)?;
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
    let violations = replay.push(frame).map_err(SpaceError::from)?;
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
