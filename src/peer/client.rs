//! The client's whole way through a sync: establish, connect, saga, and again where another
//! device was faster.

use std::path::Path;
use std::time::Duration;

use super::PeerError;
use super::link::{Link, Watch};
use crate::ibgib::{Addr, IbGib, Moment};
use crate::keystone::{self, MasterSecret};
use crate::space::{Id, Prepared, PutOpts, Space, SpaceError, SpaceExt, chain};
use crate::sync::msg::{Refusal, RefusalCode, Token};
use crate::sync::{Established, Plan, Sender, SenderOpts, Summary, SyncError, domain, establish};

/// How often a session is established anew while other devices sign in between.
const ESTABLISH_TRIES: u32 = 12;
/// How often a saga is run anew while others commit in between.
const SAGA_TRIES: u32 = 8;

/// Who syncs: an identity's domain, and its secret.
#[derive(Debug)]
pub struct Identity {
    /// The tjp address of I.
    pub domain: Addr,
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
    /// The tjp address of S.
    pub session: Addr,
    /// How often it was tried.
    pub tries: u32,
}

/// Syncs a space with a receiver.
pub fn sync<L: Link>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    opts: &SenderOpts,
    watch: &mut dyn Watch,
) -> Result<Synced, PeerError> {
    let mut tries = 1;
    loop {
        match sync_once(space, link, identity, opts, watch) {
            Ok(synced) => return Ok(Synced { tries, ..synced }),
            Err(error) if tries < SAGA_TRIES && lost_race(&error) => {
                tracing::info!(%error, "somebody else was faster; once more");
                pause(tries);
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

fn sync_once<L: Link>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    opts: &SenderOpts,
    watch: &mut dyn Watch,
) -> Result<Synced, PeerError> {
    let Established { saga_id, session, signer, .. } = open_session(space, link, identity)?;
    let session = session.addr().map_err(SyncError::from)?;
    let domain = identity.domain.clone();
    let mut sender = Sender::new(space, domain, saga_id, signer, opts.clone())?;
    link.converse(&mut sender, watch)?;
    let (summary, plan) = (sender.summary().clone(), sender.plan().clone());
    Ok(Synced { summary, plan, token: sender.token().cloned(), session, tries: 1 })
}

/// Opens a session and closes it again: proves the secret, and brings a token for reading.
pub fn connect<L: Link>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    stage_dir: &Path,
    watch: &mut dyn Watch,
) -> Result<Option<Token>, PeerError> {
    let opts = SenderOpts { connect_only: true, ..SenderOpts::new(stage_dir.to_owned()) };
    Ok(sync_once(space, link, identity, &opts, watch)?.token)
}

/// Makes a session, has the receiver accept it, and stores I′ and S here.
///
/// Where I moved on elsewhere, its newer frames are fetched, validated and signed upon.
pub fn open_session<L: Link>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
) -> Result<Established, PeerError> {
    let Identity { domain, secret } = identity;
    let made = sign_on_newest(
        space,
        link,
        identity,
        |tip| establish(domain, tip, secret, Moment::now()),
        |missing, made| {
            let frames: Vec<&IbGib> = missing.iter().chain([&made.identity]).collect();
            link.evolve(domain, &frames, &made.session)
        },
    )?;
    store(space, &[&made.identity, &made.session])?;
    Ok(made)
}

/// Revokes the identity, on the receiver and here. Nothing can be signed with it afterwards.
pub fn revoke<L: Link>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    reason: &str,
) -> Result<Addr, PeerError> {
    let Identity { domain, secret } = identity;
    let last = sign_on_newest(
        space,
        link,
        identity,
        |tip| Ok(keystone::revoke(tip, secret, reason, Moment::now())?),
        |missing, last| {
            let frames: Vec<&IbGib> = missing.iter().chain([last]).collect();
            link.revoke(domain, &frames)
        },
    )?;
    store(space, &[&last])?;
    Ok(last.addr().map_err(SyncError::from)?)
}

/// Signs on I's newest frame and posts what was made with the frames that the receiver lacks; once
/// more, on a newer frame, where another device signed first.
fn sign_on_newest<T, L: Link>(
    space: &dyn Space,
    link: &L,
    identity: &Identity,
    make: impl Fn(&IbGib) -> Result<T, SyncError>,
    post: impl Fn(&[IbGib], &T) -> Result<(), PeerError>,
) -> Result<T, PeerError> {
    let mut missing: Vec<IbGib> = Vec::new();
    for tries in 1..=ESTABLISH_TRIES {
        let tip = identity_tip(space, &identity.domain)?;
        check_identity(&tip, identity)?;
        let made = make(&tip)?;
        match post(&missing, &made) {
            Ok(()) => return Ok(made),
            Err(error) if is_conflict(&error) && tries < ESTABLISH_TRIES => {
                missing = catch_up(space, link, &identity.domain)?;
                if tries > 1 {
                    pause(tries);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Err(SyncError::Conflict("other devices sign with this identity all the time".into()).into())
}

fn identity_tip(space: &dyn Space, domain: &Addr) -> Result<IbGib, SyncError> {
    let absent = || SyncError::Auth(format!("the identity {domain} is not in this space"));
    let tip = space.tip(domain)?.ok_or_else(absent)?;
    Ok(space.get_id(tip.id)?)
}

fn check_identity(tip: &IbGib, identity: &Identity) -> Result<(), SyncError> {
    if keystone::is_revoked(tip) {
        return Err(SyncError::Auth("the identity is revoked: it signs nothing any more".into()));
    }
    if !keystone::knows(&identity.secret, tip) {
        return Err(SyncError::Auth("the secret is not this identity's".into()));
    }
    Ok(())
}

/// Fetches what the receiver has of I and is lacking here. Returns what the receiver lacks of it.
pub fn catch_up<L: Link>(
    space: &dyn Space,
    link: &L,
    domain: &Addr,
) -> Result<Vec<IbGib>, PeerError> {
    let tip = space.tip(domain).map_err(SyncError::from)?;
    let tip = tip.ok_or_else(|| SyncError::Auth("the identity is not in this space".into()))?;
    let theirs = link.identity(domain, Some(&tip.addr))?;
    if theirs.iter().any(|frame| frame.tjp_addr().as_deref() != Some(domain.as_str())) {
        return Err(SyncError::protocol("it gave something else than the identity's frames").into());
    }
    let refs: Vec<&IbGib> = theirs.iter().collect();
    match store(space, &refs) {
        Err(SyncError::Space(SpaceError::KeystoneFork { .. } | SpaceError::Diverged { .. })) => {
            return Err(SyncError::Auth(format!(
                "the identity {domain} was evolved here and on the server from one frame: one \
                 secret signed on two devices without a server between them, or somebody else has \
                 the secret. Find out which; if it was not you, revoke the identity with `sync-gib \
                 keystone revoke`"
            ))
            .into());
        }
        other => other?,
    }
    // The receiver may be behind: then it is brought what it lacks.
    let Some(last) = theirs.last() else { return Ok(Vec::new()) };
    let last = last.addr().map_err(SyncError::from)?;
    let newest = space.tip(domain).map_err(SyncError::from)?;
    let (Some(newest), Some(stop)) = (newest, space.find(&last).map_err(SyncError::from)?) else {
        return Ok(Vec::new());
    };
    let ids = chain(space, newest.id, |row| row.id == stop).map_err(SyncError::from)?;
    bring(space, link, domain, &ids)
}

/// Brings the receiver I's frames in portions, each with the session that its last frame claims,
/// but for the newest ones, which are returned: they go with the next session.
fn bring<L: Link>(
    space: &dyn Space,
    link: &L,
    domain: &Addr,
    ids: &[Id],
) -> Result<Vec<IbGib>, PeerError> {
    let mut rest = ids;
    while rest.len() >= domain::MAX_EVOLUTION {
        let mut portion = rest[..domain::MAX_EVOLUTION - 1].to_vec();
        let session = loop {
            let Some(last) = portion.last() else {
                return Err(SyncError::Limit(format!(
                    "the server lacks {} frames of the identity, and no session of theirs is here",
                    rest.len()
                ))
                .into());
            };
            match claimed_session(space, *last)? {
                Some(session) => break session,
                None => portion.pop(),
            };
        };
        let frames = read(space, &portion)?;
        let frames: Vec<&IbGib> = frames.iter().collect();
        link.evolve(domain, &frames, &session)?;
        rest = &rest[portion.len()..];
    }
    Ok(read(space, rest)?)
}

/// The genesis of the session that a frame of I claims, where it is here.
fn claimed_session(space: &dyn Space, id: Id) -> Result<Option<IbGib>, SyncError> {
    let proof = keystone::proof_of(&space.get_id(id)?).ok().flatten();
    let target = proof.and_then(|proof| Addr::parse(&proof.claim.target).ok());
    Ok(target.map(|target| space.get(&target)).transpose()?.flatten())
}

fn read(space: &dyn Space, ids: &[Id]) -> Result<Vec<IbGib>, SyncError> {
    Ok(ids.iter().map(|id| space.get_id(*id)).collect::<Result<_, _>>()?)
}

fn store(space: &dyn Space, frames: &[&IbGib]) -> Result<(), SyncError> {
    let prepared: Vec<Prepared> =
        frames.iter().map(|frame| Prepared::new(frame)).collect::<Result<_, _>>()?;
    space.put(&mut prepared.into_iter().map(Ok), &PutOpts::default())?;
    Ok(())
}

fn is_conflict(error: &PeerError) -> bool {
    matches!(
        error,
        PeerError::Sync(SyncError::Refused(Refusal { code: RefusalCode::Conflict, .. }))
    )
}

/// Whether a saga failed since somebody else committed first, there or here.
fn lost_race(error: &PeerError) -> bool {
    is_conflict(error)
        || matches!(
            error,
            PeerError::Sync(
                SyncError::Conflict(_)
                    | SyncError::Space(SpaceError::TipMoved { .. } | SpaceError::Diverged { .. })
            )
        )
}

/// Waits a little, longer with every try, and not as long as another device does.
fn pause(tries: u32) {
    let random = getrandom::u32().unwrap_or(0) % 100;
    let ms = u64::from(tries.min(10)) * 30 + u64::from(random);
    std::thread::sleep(Duration::from_millis(ms));
}
