//! What the server's parts share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, watch};

use super::queue::Queues;
use super::{Registration, ServerOpts};
use crate::ibgib::{Addr, Moment};
use crate::space::{SpaceError, SqliteSpace};

/// How many revocations a socket may be behind with hearing of them.
const REVOKED: usize = 64;

/// What every request and socket needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) opts: ServerOpts,
    pub(super) open_sockets: AtomicUsize,
    pub(super) streams: Arc<Semaphore>,
    pub(super) queues: Arc<Queues>,
    /// Keeps the file open: else each request's connection would be the last one, and its closing
    /// would write the whole log back and remove it.
    _open: SqliteSpace,
    stopping: watch::Sender<bool>,
    revoked: broadcast::Sender<Addr>,
}

impl Shared {
    /// Checks that the file is a space, making it where it is absent.
    pub(super) fn open(opts: ServerOpts) -> Result<Shared, SpaceError> {
        let space = SqliteSpace::create_if_missing(&opts.space, "")?;
        let now = Moment::now().ms();
        space.ledger().purge_tokens(now)?;
        space.ledger().purge_sessions(now.saturating_sub(session_ms(&opts)))?;
        let streams = Arc::new(Semaphore::new(opts.max_streams));
        let (open_sockets, stopping) = (AtomicUsize::new(0), watch::Sender::new(false));
        let (queues, revoked) = (Arc::default(), broadcast::Sender::new(REVOKED));
        Ok(Shared { opts, open_sockets, streams, queues, _open: space, stopping, revoked })
    }

    /// The space of a domain.
    pub(super) fn space(&self, domain: &str) -> Result<SqliteSpace, SpaceError> {
        SqliteSpace::open(&self.opts.space, domain)
    }

    /// Where payloads are staged: beside the file, so that they are on its disk.
    pub(super) fn stage_dir(&self) -> PathBuf {
        match self.opts.space.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    /// Whether an identity may register.
    pub(super) fn may_register(&self, identity: &Addr) -> bool {
        match &self.opts.registration {
            Registration::Open => true,
            Registration::Closed(allowed) => allowed.contains(identity),
        }
    }

    /// How long an established session may wait for its socket, in milliseconds.
    pub(super) fn session_ms(&self) -> u64 {
        session_ms(&self.opts)
    }

    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Ends when the server is being stopped.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is part of this very object: waiting fails only when all is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Forgets the sessions and tokens of an identity that was revoked, and closes its sockets.
    pub(super) fn end_domain(
        &self,
        space: &SqliteSpace,
        identity: &Addr,
    ) -> Result<(), SpaceError> {
        space.ledger().forget(identity.as_str())?;
        // Nobody may be there to be told.
        let _ = self.revoked.send(identity.clone());
        Ok(())
    }

    /// Ends when the identity whose socket this is, once that is known, is revoked.
    pub(super) async fn revoked(&self, identity: &OnceLock<Addr>) {
        let mut revoked = self.revoked.subscribe();
        loop {
            match revoked.recv().await {
                Ok(addr) if identity.get() == Some(&addr) => return,
                // Each turn asks again whether the identity is revoked, so that one that is missed
                // here gets nothing either.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    /// Takes one of the places for sockets; none when all are taken.
    pub(super) fn take_socket(self: &Arc<Self>) -> Option<SocketPlace> {
        let most = self.opts.max_sockets;
        let taken = self.open_sockets.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| {
            (open < most).then_some(open + 1)
        });
        taken.ok().map(|_| SocketPlace(Arc::clone(self)))
    }
}

fn session_ms(opts: &ServerOpts) -> u64 {
    u64::try_from(opts.session_time.as_millis()).unwrap_or(u64::MAX)
}

/// A place for a socket, given back when dropped.
#[derive(Debug)]
pub(super) struct SocketPlace(Arc<Shared>);

impl Drop for SocketPlace {
    fn drop(&mut self) {
        self.0.open_sockets.fetch_sub(1, Ordering::SeqCst);
    }
}

/// How a token stands in the ledger: hashed, so that the file gives nobody access.
pub(super) fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
