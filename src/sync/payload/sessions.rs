//! Keystone frames in a payload: those of one's own sessions alone (docs/protocol.md, section 6).

use crate::ibgib::{Addr, IbGib, TjpAddr, Valid};
use crate::keystone::{self, Replay, StepsOnly};
use crate::space::{Space, SpaceExt, Stage};
use crate::sync::domain::{MAX_HASHES, check_valid_next, expect_session_of};
use crate::sync::error::SyncError;
use crate::sync::session::join;

/// Checks the keystone frames of a saga's payload as they arrive: the transaction that stores them
/// has no time for it.
pub(super) struct Sessions {
    domain: TjpAddr,
    /// How many hashes it took so far.
    hashes: u64,
}

impl Sessions {
    /// For the payload of a saga of `domain`.
    pub(super) fn new(domain: TjpAddr) -> Sessions {
        Sessions { domain, hashes: 0 }
    }

    /// Takes a frame of a session of this identity: data may relate to what another device's sync
    /// left. Refuses other identities, frames of this one, and frames that are not valid.
    pub(super) fn check(
        &mut self,
        space: &dyn Space,
        stage: &Stage,
        frame: Valid<IbGib>,
    ) -> Result<(), SyncError> {
        let addr = frame.addr().clone();
        if frame.is_tjp() {
            let violations = keystone::validate_valid_genesis(&frame);
            if !violations.is_empty() {
                return Err(SyncError::Content(join(&violations)));
            }
            return self.expect_own(&frame, &addr);
        }
        let find = |addr: Option<&str>| -> Result<Option<IbGib>, SyncError> {
            let Some(addr) = addr.map(Addr::parse).transpose()? else { return Ok(None) };
            match stage.get(&addr)? {
                Some(staged) => Ok(Some(staged)),
                None => Ok(space.get(&addr)?),
            }
        };
        let absent = |what: &str| SyncError::Content(format!("{addr} came without its {what}"));
        let tjp = frame.tjp_addr();
        if tjp.as_deref() == Some(self.domain.as_str()) {
            let message =
                format!("{addr} is a frame of the identity, which has a newer frame meanwhile");
            return Err(SyncError::Conflict(message));
        }
        let genesis = find(tjp.as_deref())?.ok_or_else(|| absent("genesis"))?;
        self.expect_own(&genesis, &addr)?;
        let prev = find(frame.prev())?.ok_or_else(|| absent("past"))?;
        let cost = keystone::step_cost(&prev, &frame);
        if self.hashes > 0 && self.hashes + cost > MAX_HASHES {
            let message = format!("a payload whose keystones take over {MAX_HASHES} hashes");
            return Err(SyncError::Limit(message));
        }
        self.hashes += cost;
        check_valid_next(&mut Replay::after(prev, StepsOnly), frame)
    }

    fn expect_own(&self, genesis: &IbGib, addr: &Addr) -> Result<(), SyncError> {
        expect_session_of(genesis, &self.domain).map(drop).map_err(|_| {
            let message = format!("{addr} is another identity's, which must not be in a payload");
            SyncError::Content(message)
        })
    }
}
