//! What a session may do, by the server's ledger.

use std::sync::{Mutex, PoisonError};

use super::sockets::SocketPlace;
use super::state::{Shared, token_hash};
use crate::ibgib::addr::lower_hex;
use crate::ibgib::{Addr, Environment, Moment, System};
use crate::space::Ledger;
use crate::sync::msg::Token;
use crate::sync::{SessionAuthority, SyncError};

/// Admits sessions once, in time, and hands out tokens.
pub(super) struct LedgerAuthority<'a> {
    pub(super) shared: &'a Shared,
    pub(super) ledger: Ledger,
    pub(super) domain: Addr,
    pub(super) socket_place: &'a Mutex<SocketPlace>,
}

impl SessionAuthority for LedgerAuthority<'_> {
    fn admit(&self, session: &Addr) -> Result<(), SyncError> {
        let refused = |why: &str| SyncError::Auth(format!("the session {why}"));
        let now = Moment::now().ms();
        let row = self.ledger.session(session)?.ok_or_else(|| refused("is not known"))?;
        if row.domain != self.domain.as_str() {
            return Err(refused("is another identity's"));
        }
        let age = u128::from(now.saturating_sub(row.created_ms));
        if age > self.shared.opts.session_time.as_millis() {
            return Err(refused("has expired"));
        }
        // Before the session counts as connected: without a place it comes again.
        self.socket_place.lock().unwrap_or_else(PoisonError::into_inner).prove(&self.domain)?;
        if !self.ledger.connect_session(session, now)? {
            return Err(refused("was connected before"));
        }
        Ok(())
    }

    fn token(&self) -> Result<Option<Token>, SyncError> {
        let mut bytes = [0u8; 32];
        System::new().fill(&mut bytes)?;
        let value = lower_hex(&bytes);
        let now = Moment::now().ms();
        let time = u64::try_from(self.shared.opts.token_time.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = now.saturating_add(time).min(i64::MAX as u64);
        self.ledger.purge_tokens(now)?;
        self.ledger.purge_sessions(now.saturating_sub(self.shared.session_ms()))?;
        self.ledger.add_token(&token_hash(&value), self.domain.as_str(), expires_ms)?;
        Ok(Some(Token { value, expires_ms }))
    }
}
