//! What the server's parts share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, broadcast, watch};

use super::queue::Queues;
use super::{Registration, ServerOpts};
use crate::ibgib::{Addr, Moment};
use crate::space::{Pool, Pooled, SpaceError};
use crate::sync::flow::Staging;

/// How much may wait for the disk at the same time.
const WORKERS: usize = 32;
/// How many connections to the file are kept while nobody needs them.
const IDLE_CONNECTIONS: usize = 8;

/// How many revocations a socket may be behind with hearing of them.
const REVOKED: usize = 64;

/// What every request and socket needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) opts: ServerOpts,
    pub(super) open_sockets: AtomicUsize,
    pub(super) streams: Arc<Semaphore>,
    pub(super) queues: Arc<Queues>,
    /// What all sagas share for what they stage.
    pub(super) staging: Option<Staging>,
    /// One connection of it is always open: else the last one's closing would write the whole log
    /// back and remove it.
    spaces: Arc<Pool>,
    /// Places for what waits for the disk, each of which takes a thread and a connection.
    workers: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    revoked: broadcast::Sender<Addr>,
}

impl Shared {
    /// Checks that the file is a space, making it where it is absent.
    pub(super) fn open(opts: ServerOpts) -> Result<Shared, SpaceError> {
        let spaces = Pool::create_if_missing(&opts.space, IDLE_CONNECTIONS)?;
        let space = spaces.space("")?;
        let now = Moment::now().ms();
        space.ledger().purge_tokens(now)?;
        space.ledger().purge_sessions(now.saturating_sub(session_ms(&opts)))?;
        let streams = Arc::new(Semaphore::new(opts.max_streams));
        let (open_sockets, stopping) = (AtomicUsize::new(0), watch::Sender::new(false));
        let (queues, revoked) = (Arc::default(), broadcast::Sender::new(REVOKED));
        let workers = Arc::new(Semaphore::new(WORKERS));
        let staging = opts.max_staged_bytes.map(Staging::new);
        let shared = Shared {
            opts,
            open_sockets,
            streams,
            queues,
            staging,
            spaces,
            workers,
            stopping,
            revoked,
        };
        Ok(shared)
    }

    /// The space of a domain, on a connection that is given back when it is dropped.
    pub(super) fn space(&self, domain: &str) -> Result<Pooled, SpaceError> {
        let space = self.spaces.space(domain)?;
        space.defer_checkpoints(false)?;
        Ok(space)
    }

    /// Runs what waits for the disk on a thread where waiting is fine, once there is a place for
    /// it; none where it panicked. It runs to its end, even where nobody waits for it any more.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = Arc::clone(&self.workers).acquire_owned().await.ok()?;
        let run = move || {
            let done = f();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(run).await.ok()
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
    pub(super) fn end_domain(&self, space: &Pooled, identity: &Addr) -> Result<(), SpaceError> {
        space.ledger().forget(identity.as_str())?;
        // Nobody may be there to be told.
        let _ = self.revoked.send(identity.clone());
        Ok(())
    }

    /// Tells of each identity that is revoked from now on.
    pub(super) fn revocations(&self) -> broadcast::Receiver<Addr> {
        self.revoked.subscribe()
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
