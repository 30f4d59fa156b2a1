//! Sessions and tokens as a server keeps them, whatever it keeps them in (docs/protocol.md,
//! section 5): the routes and the sockets ask here, and so does the simulation.

use sha2::{Digest, Sha256};

use super::ledger::{Ledger, SessionRow};
use crate::ibgib::{Addr, Environment, IbGib, TjpAddr, random_hex};
use crate::keystone;
use crate::space::{Domain, Space, SpaceError};
use crate::sync::domain::{self, Evolution};
use crate::sync::msg::Token;
use crate::sync::{Quota, SyncError};

/// Where sessions and tokens are kept. Times are milliseconds since 1970.
pub(crate) trait Sessions {
    /// Notes an established session; whether it is new.
    fn add_session(
        &self,
        tjp: &TjpAddr,
        domain: &Domain,
        created_ms: u64,
    ) -> Result<bool, SpaceError>;
    /// Takes back an entry whose session was not stored.
    fn remove_session(&self, tjp: &TjpAddr) -> Result<(), SpaceError>;
    /// The session with this tjp.
    fn session(&self, tjp: &TjpAddr) -> Result<Option<SessionRow>, SpaceError>;
    /// Marks a session connected; false where it is unknown or was connected before.
    fn connect_session(&self, tjp: &TjpAddr, now_ms: u64) -> Result<bool, SpaceError>;
    /// Forgets the sessions that were established before a moment.
    fn purge_sessions(&self, created_before_ms: u64) -> Result<usize, SpaceError>;
    /// Keeps a token's hash.
    fn add_token(&self, hash: &[u8], domain: &Domain, expires_at_ms: u64)
    -> Result<(), SpaceError>;
    /// The domain that a token's hash opens at a moment.
    fn token_domain(&self, hash: &[u8], now_ms: u64) -> Result<Option<Domain>, SpaceError>;
    /// Forgets the tokens that have expired.
    fn purge_tokens(&self, now_ms: u64) -> Result<usize, SpaceError>;
}

impl Sessions for Ledger {
    fn add_session(
        &self,
        tjp: &TjpAddr,
        domain: &Domain,
        created_ms: u64,
    ) -> Result<bool, SpaceError> {
        Ledger::add_session(self, tjp, domain, created_ms)
    }

    fn remove_session(&self, tjp: &TjpAddr) -> Result<(), SpaceError> {
        Ledger::remove_session(self, tjp)
    }

    fn session(&self, tjp: &TjpAddr) -> Result<Option<SessionRow>, SpaceError> {
        Ledger::session(self, tjp)
    }

    fn connect_session(&self, tjp: &TjpAddr, now_ms: u64) -> Result<bool, SpaceError> {
        Ledger::connect_session(self, tjp, now_ms)
    }

    fn purge_sessions(&self, created_before_ms: u64) -> Result<usize, SpaceError> {
        Ledger::purge_sessions(self, created_before_ms)
    }

    fn add_token(
        &self,
        hash: &[u8],
        domain: &Domain,
        expires_at_ms: u64,
    ) -> Result<(), SpaceError> {
        Ledger::add_token(self, hash, domain, expires_at_ms)
    }

    fn token_domain(&self, hash: &[u8], now_ms: u64) -> Result<Option<Domain>, SpaceError> {
        Ledger::token_domain(self, hash, now_ms)
    }

    fn purge_tokens(&self, now_ms: u64) -> Result<usize, SpaceError> {
        Ledger::purge_tokens(self, now_ms)
    }
}

/// A session that an identity established.
pub(crate) struct Establishment {
    /// The session's tjp address.
    pub(crate) session: TjpAddr,
    /// Whether it was not known before.
    pub(crate) is_new: bool,
    /// Whether the identity's secret was changed by a frame that came along.
    pub(crate) renews: bool,
}

/// Takes I's new frames with the session that the last of them claims. Errors as
/// [`Evolution::check`] does.
pub(crate) fn establish(
    space: &dyn Space,
    sessions: &dyn Sessions,
    (domain, frames, session): (&TjpAddr, &[IbGib], &IbGib),
    quota: &Quota,
    now_ms: u64,
) -> Result<Establishment, SyncError> {
    let evolution = Evolution::check(space, domain, frames, session, quota)?;
    let (session, renews) = (evolution.session().clone(), evolution.renews());
    // The ledger comes first: a kill in between leaves an entry of no session, which goes with
    // time, and not a session that nobody can enter. A known session never comes back into it.
    let is_new = evolution.is_new() && sessions.add_session(&session, &domain.into(), now_ms)?;
    if let Err(error) = evolution.store(space, quota) {
        if is_new {
            sessions.remove_session(&session)?;
        }
        return Err(error);
    }
    Ok(Establishment { session, is_new, renews })
}

/// Lets a session of `domain` connect, once, within `session_ms` of its evolution; `prove` takes
/// its place. Errors with [`SyncError::Auth`], and as `prove` does.
pub(crate) fn admit(
    sessions: &dyn Sessions,
    domain: &TjpAddr,
    session: &TjpAddr,
    (now_ms, session_ms): (u64, u64),
    prove: impl FnOnce() -> Result<(), SyncError>,
) -> Result<(), SyncError> {
    let refused = |why: &str| SyncError::Auth(format!("the session {why}"));
    let row = sessions.session(session)?.ok_or_else(|| refused("is not known"))?;
    if row.domain != Domain::from(domain) {
        return Err(refused("is another identity's"));
    }
    if now_ms.saturating_sub(row.created_ms) > session_ms {
        return Err(refused("has expired"));
    }
    // Before the session counts as connected: without a place it comes again.
    prove()?;
    if !sessions.connect_session(session, now_ms)? {
        return Err(refused("was connected before"));
    }
    Ok(())
}

/// A new token for reading `domain`, good for `token_ms` and as long as its secret is the one from
/// its frame `since`. What has expired is forgotten, of sessions what is older than `session_ms`.
pub(crate) fn hand_out_token(
    sessions: &dyn Sessions,
    (domain, since): (&TjpAddr, u64),
    (token_ms, session_ms): (u64, u64),
    env: &dyn Environment,
) -> Result<Token, SyncError> {
    let value = random_hex(env, 32)?;
    let now = env.now().ms();
    let expires_ms = now.saturating_add(token_ms).min(i64::MAX as u64);
    sessions.purge_tokens(now)?;
    sessions.purge_sessions(now.saturating_sub(session_ms))?;
    sessions.add_token(&token_hash(&value, since), &domain.into(), expires_ms)?;
    Ok(Token { value, expires_ms })
}

/// How long a token for asking where a domain's data stands is good, in milliseconds.
const STATE_TOKEN_MS: u64 = 90 * 24 * 60 * 60 * 1000;
/// How many of them one domain has. A device has one, and asks for another a month before it ends.
pub(super) const MAX_STATE_TOKENS: u32 = 64;

/// A new token for asking where `domain`'s data stands, and for nothing else, good as long as the
/// domain's secret is the one from its frame `since`.
pub(super) fn hand_out_state_token(
    ledger: &Ledger,
    (domain, since): (&TjpAddr, u64),
    env: &dyn Environment,
) -> Result<Token, SyncError> {
    let value = random_hex(env, 32)?;
    let now = env.now().ms();
    let times = (now, now.saturating_add(STATE_TOKEN_MS));
    let hash = state_token_hash(&value, since);
    ledger.add_state_token(&hash, &domain.into(), times, MAX_STATE_TOKENS)?;
    Ok(Token { value, expires_ms: times.1 })
}

/// The newest frame of `domain`'s identity, where a token may ask where the domain's data stands.
/// Errors with [`SpaceError::Revoked`] where the token is good and the identity is revoked.
pub(super) fn may_ask_state(
    space: &dyn Space,
    ledger: &Ledger,
    domain: &TjpAddr,
    token: &str,
    now_ms: u64,
) -> Result<Option<Addr>, SyncError> {
    let Some(tip) = space.tip(domain)? else { return Ok(None) };
    let newest = space.get_id(tip.id)?;
    let hash = state_token_hash(token, domain::secret_since(&newest));
    if ledger.state_token_domain(&hash, now_ms)? != Some(domain.into()) {
        return Ok(None);
    }
    match keystone::is_revoked(&newest) {
        true => Err(SpaceError::Revoked(domain.clone()).into()),
        false => Ok(Some(tip.addr)),
    }
}

/// Whether a token opens `domain` for reading. Errors with [`SpaceError::Revoked`] where the token
/// is good and the identity is revoked.
pub(crate) fn may_read(
    space: &dyn Space,
    sessions: &dyn Sessions,
    domain: &TjpAddr,
    token: &str,
    now_ms: u64,
) -> Result<bool, SyncError> {
    // Of a domain that is not here there is no token either.
    let since = match space.tip(domain)? {
        Some(tip) => domain::secret_since(&space.get_id(tip.id)?),
        None => return Ok(false),
    };
    let opens = sessions.token_domain(&token_hash(token, since), now_ms)?;
    if opens != Some(domain.into()) {
        return Ok(false);
    }
    domain::expect_live(space, domain)?;
    Ok(true)
}

/// How a token stands in the ledger: hashed, so that the file gives nobody access, and with the
/// count of the frame that the identity's secret was from, where that was ever changed: so a token
/// ends with the secret.
pub(crate) fn token_hash(token: &str, since: u64) -> [u8; 32] {
    hash_with(Sha256::new(), token, since)
}

/// The same for a token that asks where a domain's data stands: neither is good in the other's place.
fn state_token_hash(token: &str, since: u64) -> [u8; 32] {
    hash_with(Sha256::new().chain_update("sync-gib state token\n"), token, since)
}

fn hash_with(begun: Sha256, token: &str, since: u64) -> [u8; 32] {
    let hash = begun.chain_update(token);
    match since {
        0 => hash.finalize().into(),
        since => hash.chain_update(since.to_be_bytes()).finalize().into(),
    }
}
