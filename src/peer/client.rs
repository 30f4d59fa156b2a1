//! The client's whole way through a sync: establish, connect, saga, and again where another
//! device was faster.

use std::path::Path;
use std::sync::Arc;

use super::link::{Observer, ReceiverLink};
use super::retries::Retries;
pub use super::signing::NextCode;
use super::signing::{self, AcceptedSession, Ending};
use super::{PeerError, identity};
use crate::ibgib::{Addr, Environment, IbGib, System, TjpAddr};
use crate::keystone::{self, MasterSecret, RecoveryCode, Renewal};
use crate::space::{PutOpts, PutReport, RowId, Space, SpaceError, SpaceExt, chain};
use crate::sync::msg::{RefusalCode, Token};
use crate::sync::{Established, Plan, RETRY_FOR, Sender, SenderOpts, Summary, SyncError, domain};

/// Who syncs: an identity's domain, and its secret.
#[derive(Debug)]
pub struct Identity {
    /// The tjp address of I.
    pub domain: TjpAddr,
    /// What signs for it.
    pub secret: MasterSecret,
}

/// What a sync came to.
#[derive(Debug)]
pub struct Synced {
    /// What was moved.
    pub summary: Summary,
    /// What was to be moved.
    pub plan: Plan,
    /// For reading the domain's data.
    pub token: Option<Token>,
    /// For asking whether anything is new, where one was wanted.
    pub state_token: Option<Token>,
    /// The tjp address of S.
    pub session: TjpAddr,
    /// How often it was tried.
    pub tries: u32,
}

/// Syncs a space with a receiver.
///
/// Where another device was faster, or the receiver is busy, it begins anew with a session of its
/// own, within `opts.retry_for`.
pub fn sync<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    opts: &SenderOpts,
    observer: &mut dyn Observer,
) -> Result<Synced, PeerError> {
    let mut retries = Retries::new(opts.retry_for, Arc::clone(&opts.env));
    let mut planned = None;
    let mut opts = opts.clone();
    loop {
        let (error, plan) = match sync_once(space, link, identity, &opts, observer, &mut retries)? {
            Ok(synced) => return Ok(synced),
            Err(failed) => failed,
        };
        if !matches!(error, PeerError::Busy { .. }) && !lost_race(&error) {
            return Err(error);
        }
        // A conflict that comes before all is compared says nothing of where the timelines are.
        if is_conflict(&error) && !plan.is_empty() && planned.as_ref() == Some(&plan) {
            return Err(PeerError::Fault(format!(
                "it refuses a commit since a timeline moved ({error}), and then shows it where it \
                 was"
            )));
        }
        planned = Some(plan);
        // What was told before says nothing of what it is now.
        opts.told = None;
        retries.again(error)?;
    }
}

/// One saga, from the opening of its session on. The outer error is of a session that did not come
/// about, the inner one of the saga, with what it was about to do.
fn sync_once<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    opts: &SenderOpts,
    observer: &mut dyn Observer,
    retries: &mut Retries,
) -> Result<Result<Synced, (PeerError, Plan)>, PeerError> {
    let mut is_renewed = false;
    loop {
        let AcceptedSession { made, is_resumed, features } =
            signing::open_session(space, link, identity, retries)?;
        let Established { saga_id, session, identity: step, signer } = made;
        let session = session.addr().map_err(SyncError::from)?.into();
        let domain = identity.domain.clone();
        let opts = SenderOpts { features, ..opts.clone() };
        let mut sender = Sender::new(space, domain, saga_id, signer, opts)?;
        let ended = link.run_session(&mut sender, observer);
        let plan = sender.plan().clone();
        let Err(error) = ended else {
            let (summary, token) = (sender.summary().clone(), sender.token().cloned());
            let (state_token, tries) = (sender.state_token().cloned(), retries.tries());
            return Ok(Ok(Synced { summary, plan, token, state_token, session, tries }));
        };
        let refused = !sender.is_connected() && has_code(&error, RefusalCode::Auth);
        // A session is entered once. Where somebody else of this home may have entered it, or the
        // receiver was killed before it noted it, the next one is signed on top of it. That much is
        // no race, and takes none of the time for those.
        if refused && (is_resumed || signing::is_shared(space, &identity.domain, &step)?) {
            if is_renewed {
                retries.again(error)?;
            }
            is_renewed = true;
            continue;
        }
        return Ok(Err((error, plan)));
    }
}

/// Opens a session and closes it again: proves the secret, and brings a token for reading.
pub fn connect<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    stage_dir: &Path,
    observer: &mut dyn Observer,
) -> Result<Option<Token>, PeerError> {
    let opts = SenderOpts { connect_only: true, ..SenderOpts::new(stage_dir.to_owned()) };
    Ok(sync(space, link, identity, &opts, observer)?.token)
}

/// Makes a session, has the receiver accept it, and stores I′ and S here (docs/protocol.md,
/// section 5).
///
/// From one frame of I one proof is made, whatever is answered and however often this is called.
pub fn open_session<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
) -> Result<Established, PeerError> {
    let mut retries = Retries::new(RETRY_FOR, Arc::new(System::new()));
    Ok(signing::open_session(space, link, identity, &mut retries)?.made)
}

/// Revokes the identity, on the receiver and here. Nothing can be signed with it afterwards.
pub fn revoke<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    reason: &str,
) -> Result<Addr, PeerError> {
    revoke_with(space, link, identity, reason, Arc::new(System::new()))
}

/// As [`revoke`], with time and random bytes from `env`.
pub fn revoke_with<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    reason: &str,
    env: Arc<dyn Environment>,
) -> Result<Addr, PeerError> {
    let ending = Ending::Revocation(&identity.secret, reason);
    let mut retries = Retries::new(RETRY_FOR, env);
    let revoked = signing::end(space, link, &identity.domain, &ending, &mut retries)?;
    Ok(revoked.addr().map_err(SyncError::from)?)
}

/// Changes the identity's secret by the old one, on the receiver and here; the recovery code stays.
/// Returns the frame that does it, which an earlier run may have made, of another new secret.
///
/// Errors where the identity has no signing key, or the receiver is too old for one.
pub fn rotate<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    renewal: &Renewal<'_>,
    env: Arc<dyn Environment>,
) -> Result<IbGib, PeerError> {
    let ending = Ending::Rotation(&identity.secret, renewal);
    signing::end(space, link, &identity.domain, &ending, &mut Retries::new(RETRY_FOR, env))
}

/// Changes the secret of an identity by its recovery code, on the receiver and here, whoever made its
/// newest frame; the second code is the next one. Returns the frame that does it, which an earlier
/// run may have made, of another new secret and next code.
///
/// Errors where the identity was made without a recovery code, or with another.
pub fn recover<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    domain: &TjpAddr,
    codes: [&RecoveryCode; 2],
    renewal: &Renewal<'_>,
    env: Arc<dyn Environment>,
) -> Result<IbGib, PeerError> {
    let [code, next] = codes;
    recover_with(space, link, domain, (code, &|| Ok(next.clone())), renewal, env)
}

/// As [`recover`], with the next code from a function that is called only where a frame is made: what
/// an earlier run kept or sent is completed without.
pub fn recover_with<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    domain: &TjpAddr,
    (code, next): (&RecoveryCode, NextCode<'_>),
    renewal: &Renewal<'_>,
    env: Arc<dyn Environment>,
) -> Result<IbGib, PeerError> {
    let ending = Ending::Recovery(code, next, renewal);
    signing::end(space, link, domain, &ending, &mut Retries::new(RETRY_FOR, env))
}

/// Registers an identity's genesis; one that is registered already is fine. Errors where the
/// receiver is too old for an identity with a signing key.
pub fn register<L: ReceiverLink>(link: &L, genesis: &IbGib) -> Result<(), PeerError> {
    signing::expect_features(link, genesis)?;
    link.register(genesis)
}

/// Fetches what the receiver has of I and is lacking here. Returns what the receiver lacks of it.
pub fn catch_up<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    domain: &TjpAddr,
) -> Result<Vec<IbGib>, PeerError> {
    if let Some(told) = link.told_state(domain) {
        let newest = space.tip(domain).map_err(SyncError::from)?;
        if newest.is_some_and(|newest| newest.addr == told.identity) {
            return Ok(Vec::new());
        }
    }
    let known = identity::fetch(space, link, domain).map_err(|error| {
        if !has_code(&error, RefusalCode::NotFound) {
            return error;
        }
        SyncError::NotRegistered(domain.clone()).into()
    })?;
    // The receiver may be behind: then it is brought what it lacks.
    let Some(last) = known else { return Ok(Vec::new()) };
    let newest = space.tip(domain).map_err(SyncError::from)?;
    let (Some(newest), Some(stop)) = (newest, space.find(&last).map_err(SyncError::from)?) else {
        return Ok(Vec::new());
    };
    let ids = chain(space, newest.id, |row| row.id == stop).map_err(SyncError::from)?;
    bring(space, link, domain, &ids)
}

/// Brings the receiver I's frames in portions, each with the session that its last frame claims,
/// but for the newest ones, which are returned: they go with the next step. A portion has no more
/// frames, and costs no more hashes to check, than one evolution may.
fn bring<L: ReceiverLink>(
    space: &dyn Space,
    link: &L,
    domain: &TjpAddr,
    ids: &[RowId],
) -> Result<Vec<IbGib>, PeerError> {
    let mut rest = ids;
    loop {
        let (mut frames, fit_with_the_next) = next_portion(space, rest)?;
        if fit_with_the_next && frames.len() == rest.len() {
            return Ok(frames);
        }
        let session = loop {
            let Some(last) = frames.last() else {
                return Err(SyncError::Limit(format!(
                    "the server lacks {} frames of the identity, and no session of theirs is here",
                    rest.len()
                ))
                .into());
            };
            match claimed_session(space, last)? {
                Some(session) => break session,
                None => frames.pop(),
            };
        };
        link.evolve(domain, &frames.iter().collect::<Vec<_>>(), &session)?;
        rest = &rest[frames.len()..];
    }
}

/// The first of some frames, as many as one evolution takes, and whether it would take one more
/// that is signed on the last.
fn next_portion(space: &dyn Space, ids: &[RowId]) -> Result<(Vec<IbGib>, bool), SyncError> {
    let before = ids.first().map(|first| space.row(*first)).transpose()?.and_then(|row| row.prev);
    let mut prev = before.map(|prev| space.get_id(prev)).transpose()?;
    let (mut frames, mut hashes) = (Vec::new(), 0);
    for id in ids.iter().take(domain::MAX_EVOLUTION - 1) {
        let frame = space.get_id(*id)?;
        hashes += prev.as_ref().map_or(0, |prev| keystone::step_cost(prev, &frame));
        if hashes > domain::MAX_HASHES && !frames.is_empty() {
            break;
        }
        frames.push(frame.clone());
        prev = Some(frame);
    }
    let next = prev.map_or(0, |last| keystone::next_step_cost(&last));
    let fits = frames.is_empty() || hashes + next <= domain::MAX_HASHES;
    Ok((frames, fits))
}

/// The genesis of the session that a frame of I claims, where it is here.
fn claimed_session(space: &dyn Space, frame: &IbGib) -> Result<Option<IbGib>, SyncError> {
    let proof = keystone::proof_of(frame).ok().flatten();
    let target = proof.and_then(|proof| Addr::parse(&proof.claim.target).ok());
    Ok(target.map(|target| space.get(&target)).transpose()?.flatten())
}

pub(super) fn store(space: &dyn Space, frames: &[&IbGib]) -> Result<PutReport, SyncError> {
    Ok(space.put_with(frames.iter().copied(), &PutOpts::default())?)
}

pub(super) fn is_conflict(error: &PeerError) -> bool {
    has_code(error, RefusalCode::Conflict)
}

fn has_code(error: &PeerError, code: RefusalCode) -> bool {
    matches!(error, PeerError::Sync(SyncError::Refused(refusal)) if refusal.code == code)
}

/// Whether a saga failed since somebody else committed first, there or here, or is about to.
fn lost_race(error: &PeerError) -> bool {
    is_conflict(error)
        || has_code(error, RefusalCode::Busy)
        || has_code(error, RefusalCode::Staged)
        || matches!(
            error,
            PeerError::Sync(
                SyncError::Conflict(_)
                    | SyncError::Space(SpaceError::TipMoved { .. } | SpaceError::Diverged { .. })
            )
        )
}
