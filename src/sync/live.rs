//! Whether an identity is live: not revoked, and with the secret that it had (docs/protocol.md,
//! section 5, "Revocation and sessions").

use super::error::SyncError;
use crate::ibgib::{IbGib, TjpAddr};
use crate::keystone;
use crate::space::{RowId, Space, SpaceError, Tip};

/// Refuses an identity that is revoked, or not here: nothing of it is taken or given out any more
/// but its own frames (docs/protocol.md, section 5).
///
/// Returns the count of the frame that its secret is from, as [`secret_since`] does.
pub fn expect_live(space: &dyn Space, domain: &TjpAddr) -> Result<u64, SyncError> {
    live_newest(space, domain).map(|(_, newest)| secret_since(&newest))
}

/// Whether I has a signing key; not where I is not here.
pub fn has_lock(space: &dyn Space, domain: &TjpAddr) -> Result<bool, SyncError> {
    let genesis = space.find(domain)?.map(|id| space.get_id(id)).transpose()?;
    Ok(genesis.as_ref().and_then(keystone::lock_of).is_some())
}

/// The count of the frame that I's secret is from, as its newest frame says: 0 where it was never
/// changed.
pub fn secret_since(newest: &IbGib) -> u64 {
    keystone::lock_of(newest).map_or(0, |lock| lock.since())
}

/// I's newest frame where I is not revoked.
pub(super) fn live_newest(space: &dyn Space, domain: &TjpAddr) -> Result<(Tip, IbGib), SyncError> {
    let newest = newest(space, domain)?;
    match keystone::is_revoked(&newest.1) {
        true => Err(SpaceError::Revoked(domain.clone()).into()),
        false => Ok(newest),
    }
}

/// I's newest frame.
pub(super) fn newest(space: &dyn Space, domain: &TjpAddr) -> Result<(Tip, IbGib), SyncError> {
    let tip = tip_of(space, domain)?;
    let frame = space.get_id(tip.id)?;
    Ok((tip, frame))
}

fn tip_of(space: &dyn Space, domain: &TjpAddr) -> Result<Tip, SyncError> {
    let absent = || SyncError::Auth(format!("the identity {domain} is not registered here"));
    space.tip(domain)?.ok_or_else(absent)
}

/// Watches that I is not revoked and keeps its secret, by its tip: a frame is read only where that
/// moved.
#[derive(Debug, Default)]
pub struct IdentityCheck {
    /// I's tip, and since which frame it has its secret.
    seen: Option<(RowId, u64)>,
}

impl IdentityCheck {
    /// Since which frame I has its secret, as the last check found it.
    pub fn since(&self) -> u64 {
        self.seen.map_or(0, |(_, since)| since)
    }

    /// Errors where I is revoked or not here, or its secret was changed since the first call.
    pub fn check(&mut self, space: &dyn Space, domain: &TjpAddr) -> Result<(), SyncError> {
        let tip = tip_of(space, domain)?;
        if self.seen.is_some_and(|(id, _)| id == tip.id) {
            return Ok(());
        }
        let (tip, newest) = live_newest(space, domain)?;
        let since = secret_since(&newest);
        if self.seen.is_some_and(|(_, before)| before != since) {
            return Err(SpaceError::Renewed(domain.clone()).into());
        }
        self.seen = Some((tip.id, since));
        Ok(())
    }

    /// As [`Self::check`], and errors where the secret was changed after `session` was stored here.
    pub fn check_session(
        &mut self,
        space: &dyn Space,
        domain: &TjpAddr,
        session: &TjpAddr,
    ) -> Result<(), SyncError> {
        self.check(space, domain)?;
        let since = self.since();
        if since == 0 {
            return Ok(());
        }
        // One that is not here was never established.
        let Some(session) = space.find(session)? else { return Ok(()) };
        let genesis = space.find(domain)?;
        let frame = genesis.map(|id| space.frame_at(id, since)).transpose()?.flatten();
        // Rows are numbered as they come.
        match frame.is_some_and(|frame| session > frame) {
            true => Ok(()),
            false => Err(SpaceError::Renewed(domain.clone()).into()),
        }
    }
}
