//! What a session may do, by the server's ledger.

use std::sync::{Mutex, PoisonError};

use super::ledger::Ledger;
use super::sessions;
use super::sockets::SocketPlace;
use super::state::Shared;
use crate::ibgib::{Moment, System, TjpAddr};
use crate::sync::msg::Token;
use crate::sync::{SessionAuthority, SyncError};

/// Admits sessions once, in time, and hands out tokens.
pub(super) struct LedgerAuthority<'a> {
    pub(super) shared: &'a Shared,
    pub(super) ledger: Ledger,
    pub(super) domain: TjpAddr,
    pub(super) socket_place: &'a Mutex<SocketPlace>,
}

impl SessionAuthority for LedgerAuthority<'_> {
    fn admit(&self, session: &TjpAddr) -> Result<(), SyncError> {
        let times = (Moment::now().ms(), self.shared.session_ms());
        let socket_place =
            || self.socket_place.lock().unwrap_or_else(PoisonError::into_inner).prove(&self.domain);
        sessions::admit(&self.ledger, &self.domain, session, times, socket_place)
    }

    fn token(&self, since: u64) -> Result<Option<Token>, SyncError> {
        let token = u64::try_from(self.shared.opts.token_time.as_millis()).unwrap_or(u64::MAX);
        let times = (token, self.shared.session_ms());
        sessions::hand_out_token(&self.ledger, (&self.domain, since), times, &System::new())
            .map(Some)
    }

    fn window(&self) -> Option<u32> {
        self.socket_place.lock().unwrap_or_else(PoisonError::into_inner).grant_window()
    }

    fn state_token(&self, since: u64) -> Result<Option<Token>, SyncError> {
        let of = (&self.domain, since);
        sessions::hand_out_state_token(&self.ledger, of, &System::new()).map(Some)
    }
}
