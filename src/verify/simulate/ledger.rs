//! The server's sessions and tokens, and what a loss of power takes back of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ibgib::TjpAddr;
use crate::server::SessionRow;
use crate::server::sessions::Sessions;
use crate::space::{Domain, KillSwitch, SpaceError};

/// Sessions and tokens in memory. They are written without waiting for the disk: a loss of power
/// takes back what was written since the last commit of a space.
pub(super) struct MemoryLedger(RefCell<State>);

struct State {
    now: Rows,
    /// What is on the disk for certain, as of the commit with this number.
    synced: Rows,
    commits: u64,
    switch: Arc<KillSwitch>,
}

#[derive(Clone, Default)]
struct Rows {
    sessions: BTreeMap<TjpAddr, SessionRow>,
    tokens: BTreeMap<Vec<u8>, (Domain, u64)>,
}

impl MemoryLedger {
    pub(super) fn new(switch: Arc<KillSwitch>) -> MemoryLedger {
        let (now, synced) = (Rows::default(), Rows::default());
        MemoryLedger(RefCell::new(State { now, synced, commits: 0, switch }))
    }

    /// A new process has the file open; with `power_lost` what was not synced is gone.
    pub(super) fn reopen(&self, switch: Arc<KillSwitch>, power_lost: bool) {
        let mut state = self.0.borrow_mut();
        state.notice_commits();
        if power_lost {
            state.now = state.synced.clone();
        }
        (state.commits, state.switch) = (0, switch);
    }

    /// Forgets all sessions and tokens of a domain.
    pub(super) fn forget(&self, domain: &Domain) {
        self.write(|rows| {
            rows.sessions.retain(|_, session| session.domain != *domain);
            rows.tokens.retain(|_, (of, _)| of != domain);
        });
    }

    fn write<T>(&self, f: impl FnOnce(&mut Rows) -> T) -> T {
        let mut state = self.0.borrow_mut();
        state.notice_commits();
        f(&mut state.now)
    }
}

impl State {
    fn notice_commits(&mut self) {
        let commits = self.switch.commits();
        if commits != self.commits {
            self.synced = self.now.clone();
            self.commits = commits;
        }
    }
}

impl Sessions for MemoryLedger {
    fn add_session(
        &self,
        tjp: &TjpAddr,
        domain: &Domain,
        created_ms: u64,
    ) -> Result<bool, SpaceError> {
        let row = SessionRow { domain: domain.clone(), created_ms, connected_ms: None };
        Ok(self.write(|rows| match rows.sessions.contains_key(tjp) {
            true => false,
            false => rows.sessions.insert(tjp.clone(), row).is_none(),
        }))
    }

    fn remove_session(&self, tjp: &TjpAddr) -> Result<(), SpaceError> {
        self.write(|rows| rows.sessions.remove(tjp));
        Ok(())
    }

    fn session(&self, tjp: &TjpAddr) -> Result<Option<SessionRow>, SpaceError> {
        Ok(self.0.borrow().now.sessions.get(tjp).cloned())
    }

    fn connect_session(&self, tjp: &TjpAddr, now_ms: u64) -> Result<bool, SpaceError> {
        Ok(self.write(|rows| match rows.sessions.get_mut(tjp) {
            Some(row) if row.connected_ms.is_none() => {
                row.connected_ms = Some(now_ms);
                true
            }
            _ => false,
        }))
    }

    fn purge_sessions(&self, created_before_ms: u64) -> Result<usize, SpaceError> {
        Ok(self.write(|rows| {
            let before = rows.sessions.len();
            rows.sessions.retain(|_, session| session.created_ms >= created_before_ms);
            before - rows.sessions.len()
        }))
    }

    fn add_token(
        &self,
        hash: &[u8],
        domain: &Domain,
        expires_at_ms: u64,
    ) -> Result<(), SpaceError> {
        self.write(|rows| rows.tokens.insert(hash.to_vec(), (domain.clone(), expires_at_ms)));
        Ok(())
    }

    fn token_domain(&self, hash: &[u8], now_ms: u64) -> Result<Option<Domain>, SpaceError> {
        let state = self.0.borrow();
        let found = state.now.tokens.get(hash).filter(|(_, expires_ms)| *expires_ms > now_ms);
        Ok(found.map(|(domain, _)| domain.clone()))
    }

    fn purge_tokens(&self, now_ms: u64) -> Result<usize, SpaceError> {
        Ok(self.write(|rows| {
            let before = rows.tokens.len();
            rows.tokens.retain(|_, (_, expires_ms)| *expires_ms > now_ms);
            before - rows.tokens.len()
        }))
    }
}
