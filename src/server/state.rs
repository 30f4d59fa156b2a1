//! What the server's parts share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use axum::http::HeaderMap;
use tokio::sync::{broadcast, watch};

use super::client_addr::ClientAddr;
use super::connection::Connection;
use super::ledger::Ledger;
use super::places::Places;
use super::queue::Queues;
use super::sockets::Sockets;
use super::workers::Workers;
use super::{Registration, ServerOpts};
use crate::ibgib::{Moment, TjpAddr};
use crate::space::{Domain, KeptFolder, Pool, Pooled, SpaceError};
use crate::sync::payload::StagingQuota;

/// How much may wait for the disk at the same time.
pub(super) const WORKERS: usize = 32;
/// How many bytes of bodies are held, beyond what each may hold that is small.
const BODY_BYTES: usize = 32 << 20;
/// What is larger is read alone.
pub(super) const LARGE: usize = 384 << 10;
/// How many threads that may wait a runtime needs for a server: one whose work is done may not yet
/// be free when the next one begins.
pub const MAX_THREADS: usize = 2 * WORKERS;
/// How many connections to the file are kept while nobody needs them.
const IDLE_CONNECTIONS: usize = 8;

/// How many revocations and renewals a socket may be behind with hearing of them.
const ENDS: usize = 64;

/// What every request and socket needs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) opts: ServerOpts,
    pub(super) connections: Arc<Places<Option<ClientAddr>>>,
    pub(super) sockets: Arc<Sockets>,
    pub(super) streams: Arc<Places<ClientAddr>>,
    /// Bytes of bodies in flight.
    pub(super) bytes: Arc<Places<ClientAddr>>,
    pub(super) queues: Arc<Queues>,
    /// What all sagas share for what they stage.
    pub(super) staging: Option<StagingQuota>,
    /// Where what arrives is kept; none where the folder cannot be read.
    pub(super) keep_in: Option<KeptFolder>,
    /// Whether something failed since the file's disk was full.
    pub(super) full_disk: AtomicBool,
    /// One connection of it is always open: else the last one's closing would write the whole log
    /// back and remove it.
    spaces: Arc<Pool>,
    workers: Arc<Workers>,
    stopping: watch::Sender<bool>,
    ended: broadcast::Sender<(TjpAddr, End)>,
}

/// What ends the sessions and sockets of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The identity is revoked.
    Revoked,
    /// Its secret was changed.
    Renewed,
}

impl Shared {
    /// Checks that the file is a space, making it where it is absent.
    pub(super) fn open(opts: ServerOpts) -> Result<Shared, SpaceError> {
        let spaces = Pool::create_if_missing(&opts.space, IDLE_CONNECTIONS)?;
        let space = spaces.space(Domain::Client)?;
        let now = Moment::now().ms();
        Ledger::of(&space).purge_tokens(now)?;
        Ledger::of(&space).purge_sessions(now.saturating_sub(session_ms(&opts)))?;
        // One address takes no more than a part, so that some is left for everybody else.
        let half = |most: usize| Places::new(most, most.div_ceil(2));
        let connections = Places::new(opts.max_connections, opts.max_connections.div_ceil(4));
        let sockets = Sockets::new(opts.max_sockets, opts.max_unproved, opts.max_window_bytes);
        let (streams, bytes) = (half(opts.max_streams), half(BODY_BYTES));
        let workers = Workers::new(WORKERS);
        let staging = opts.max_staged_bytes.map(StagingQuota::new);
        let keep_in = open_kept(&opts);
        Ok(Shared {
            opts,
            keep_in,
            connections,
            sockets,
            streams,
            bytes,
            queues: Arc::default(),
            staging,
            full_disk: AtomicBool::new(false),
            spaces,
            workers,
            stopping: watch::Sender::new(false),
            ended: broadcast::Sender::new(ENDS),
        })
    }

    /// The space of a domain, on a connection that is given back when it is dropped.
    pub(super) fn space(&self, domain: impl Into<Domain>) -> Result<Pooled, SpaceError> {
        let space = self.spaces.space(domain)?;
        space.defer_checkpoints(false)?;
        Ok(space)
    }

    /// Runs what waits for the disk, and reads input of this weight (`wire::weight`), on a thread
    /// where waiting is fine, once there is a place for it and `client` has not half of all; none where it panicked. It
    /// runs to its end, even where nobody waits for it any more.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        client: ClientAddr,
        weight: usize,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let place = self.workers.take(client, weight).await?;
        let run = move || {
            let done = f();
            drop(place);
            done
        };
        tokio::task::spawn_blocking(run).await.ok()
    }

    /// How much is at the disk, or waits for it.
    pub(super) fn working(&self) -> usize {
        self.workers.taken()
    }

    /// Gives the disk back what was kept of payloads: it is full.
    pub(super) fn clear_kept(&self) {
        if let Some(Err(error)) = self.keep_in.as_ref().map(KeptFolder::clear) {
            tracing::warn!(%error, "what was kept of payloads stays on a full disk");
        }
    }

    /// Where payloads are staged: beside the file, so that they are on its disk.
    pub(super) fn stage_dir(&self) -> PathBuf {
        stage_dir(&self.opts)
    }

    /// Whether an identity may register.
    pub(super) fn may_register(&self, identity: &TjpAddr) -> bool {
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

    /// Whether the server is being stopped.
    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Ends when the server is being stopped.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender is part of this very object: waiting fails only when all is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Forgets the sessions and tokens of an identity that was revoked or whose secret was changed,
    /// and closes its sockets.
    pub(super) fn end_domain(
        &self,
        space: &Pooled,
        identity: &TjpAddr,
        end: End,
    ) -> Result<(), SpaceError> {
        Ledger::of(space).forget(&identity.into())?;
        self.end_sockets(identity, end);
        Ok(())
    }

    /// Closes an identity's sockets.
    pub(super) fn end_sockets(&self, identity: &TjpAddr, end: End) {
        // Nobody may be there to be told.
        let _ = self.ended.send((identity.clone(), end));
    }

    /// Tells of each identity that is revoked, or gets another secret, from now on.
    pub(super) fn ends(&self) -> broadcast::Receiver<(TjpAddr, End)> {
        self.ended.subscribe()
    }

    /// Of whom a request is.
    pub(super) fn client(&self, connection: &Connection, headers: &HeaderMap) -> ClientAddr {
        ClientAddr::of_request(connection.peer(), headers, &self.opts.trusted_proxies)
    }
}

fn session_ms(opts: &ServerOpts) -> u64 {
    u64::try_from(opts.session_time.as_millis()).unwrap_or(u64::MAX)
}

fn stage_dir(opts: &ServerOpts) -> PathBuf {
    match opts.space.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Where payloads are kept that are cut: beside the file, half as much as may be staged.
fn open_kept(opts: &ServerOpts) -> Option<KeptFolder> {
    let most = opts.max_staged_bytes.map_or(u64::MAX, |most| most / 2);
    let folder = KeptFolder::open(stage_dir(opts), "push", most, SystemTime::now());
    let failed = |error: &SpaceError| tracing::warn!(%error, "payloads that are cut are not kept");
    folder.inspect_err(failed).ok()
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_large_and_waits_for_its_own_share_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), dir.path().join("server.db"));
        let shared = Shared::open(opts).unwrap();
        let [busy, other] = [1, 2].map(|last| ClientAddr::of([10, 0, 0, last].into()));
        let mut held = Vec::new();
        while let Some(place) = tokio::select! {
            biased;
            place = shared.workers.take(busy, 0) => place,
            () = ready(()) => None,
        } {
            held.push(place);
        }
        let large = |client| shared.work(client, LARGE, || ());
        let mut waiting = Box::pin(large(busy));
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("more than its share"),
            () = ready(()) => {}
        }
        let others = timeout(Duration::from_secs(10), large(other)).await;
        others.expect("it does not wait for the other one's share").unwrap();
        drop(held);
        waiting.await.unwrap();
    }
}
