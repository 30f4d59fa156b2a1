//! The receiver as a server: HTTP and WebSocket on one port, over one SQLite file.

mod authority;
mod body;
mod client_addr;
mod connection;
mod failure;
mod files;
mod http1;
mod ledger;
mod meter;
mod newcomers;
mod origin;
mod places;
mod prune;
mod queue;
mod refusals;
mod routes;
pub(crate) mod sessions;
mod socket;
mod sockets;
mod state;
mod stream;
mod tls;
mod versions;
mod workers;

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum_server::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::ibgib::TjpAddr;
use crate::peer::{Timeouts, TlsError};
use crate::space::SpaceError;
use crate::sync::payload::{Limits, StagingQuota};
use crate::sync::{Capabilities, Features, Quota};
pub use client_addr::TrustedProxy;
use connection::Acceptor;
pub use files::{files_needed, raise_file_limit};
use http1::Http1;
#[doc(hidden)]
pub use ledger::{Ledger, SessionRow};
pub use origin::{HostName, Origin};
pub use prune::{LONGEST_SESSION, Pruned, prune_sessions};
pub use state::MAX_THREADS;
use state::Shared;

/// Who may register an identity.
#[derive(Debug, Clone)]
pub enum Registration {
    /// Anybody.
    Open,
    /// Only the identities with these tjp addresses.
    Closed(HashSet<TjpAddr>),
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How a server is run.
#[derive(Debug, Clone)]
pub struct ServerOpts {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Its SQLite file, made where it is absent.
    pub space: PathBuf,
    /// Who may register.
    pub registration: Registration,
    /// TLS; none for plain text.
    pub tls: Option<TlsFiles>,
    /// The origins of the web pages that may ask.
    pub allow_origins: Vec<Origin>,
    /// The names, besides loopback's own, under which it may be asked on loopback.
    pub allow_hosts: Vec<HostName>,
    /// Proxies whose word counts for where a request comes from.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// How many connections may be open at once that are no WebSockets.
    pub max_connections: usize,
    /// How many WebSockets may be open at once that proved an identity.
    pub max_sockets: usize,
    /// How many may be that did not yet.
    pub max_unproved: usize,
    /// How much one saga may bring.
    pub limits: Limits,
    /// How many bytes all sagas together may stage at once; none for any amount.
    pub max_staged_bytes: Option<u64>,
    /// How much is kept for one identity, and in all.
    pub quota: Quota,
    /// How many identities may be new from one address in a day, where anybody may register; none
    /// for any number.
    pub max_new_identities: Option<u32>,
    /// How many turns one session may take.
    pub max_turns: u64,
    /// How many answers may be streamed at once.
    pub max_streams: usize,
    /// How many bytes of memory all sessions together may take for compression. Where there are
    /// none left, a session goes on with a smaller window, or without.
    pub max_window_bytes: usize,
    /// How long an established session may wait for its connection.
    pub session_time: Duration,
    /// How long a token is good.
    pub token_time: Duration,
    /// How long a session waits for the client's next message, whatever pongs come meanwhile. For
    /// the first one after the proof it waits three times as long as for that at most.
    pub turn_time: Duration,
    /// How long a stop waits at most for what is being written.
    pub stop_time: Duration,
    /// How patient its sockets are; `idle` also limits how long the body of a request
    /// and the reading of an answer's next piece may take.
    pub timeouts: Timeouts,
    /// How long sessions are kept after they ended; none for ever.
    pub keep_sessions: Option<Duration>,
    /// What it speaks beyond the protocol.
    pub features: Features,
}

impl ServerOpts {
    /// The defaults, on loopback: for whoever runs it, with nothing that bounds strangers.
    pub fn new(listen: SocketAddr, space: PathBuf) -> ServerOpts {
        ServerOpts {
            listen,
            space,
            registration: Registration::Open,
            tls: None,
            allow_origins: Vec::new(),
            allow_hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            max_connections: 1024,
            max_sockets: 256,
            max_unproved: 512,
            limits: Limits::default(),
            max_staged_bytes: None,
            quota: Quota::default(),
            max_new_identities: None,
            max_turns: 10_000,
            max_streams: 64,
            max_window_bytes: 64 << 20,
            session_time: Duration::from_secs(600),
            token_time: Duration::from_secs(900),
            turn_time: Duration::from_secs(600),
            stop_time: Duration::from_secs(30),
            timeouts: Timeouts::default(),
            keep_sessions: None,
            features: Capabilities::default().features,
        }
    }
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The certificate or the key is not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The file is not usable.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// It stopped by itself.
    #[error("the server failed: {0}")]
    Failed(#[source] std::io::Error),
}

/// How long the head of a request may take at most, the silence before it included.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How often a stop looks whether all is done.
const LOOK: Duration = Duration::from_millis(20);
/// How long a stop waits for answers that are being sent.
const LAST_ANSWERS: Duration = Duration::from_secs(10);
/// How many bytes of a request, and of an answer, a connection holds; so long may a head be.
const BUFFER: usize = 64 << 10;

/// Closes connections that say nothing for too long, before their first request and after, and
/// bounds what they hold.
fn bound_silence<Acceptor>(
    server: axum_server::Server<SocketAddr, Acceptor>,
    silence: Duration,
) -> axum_server::Server<SocketAddr, Http1<Acceptor>> {
    let mut server = server.map(Http1);
    let silence = silence.min(HEAD_TIME);
    server.http_builder().http1().header_read_timeout(silence).max_buf_size(BUFFER);
    server.first_request_timeout(silence)
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    secure: bool,
    handle: Handle<SocketAddr>,
    shared: Arc<Shared>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Opens the space, listens and serves until [`Server::stop`].
    pub async fn start(opts: ServerOpts) -> Result<Server, ServerError> {
        let listen = opts.listen;
        let failed = |source| ServerError::Listen { listen, source };
        let silence = opts.timeouts.idle;
        let tls = opts.tls.as_ref().map(tls::config).transpose()?;
        let shared = Arc::new(Shared::open(opts)?);
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let handle = Handle::new();
        let acceptor = Acceptor {
            places: Arc::clone(&shared.connections),
            trusted: shared.opts.trusted_proxies.clone().into(),
            timeouts: silence,
        };
        let service = routes::router(Arc::clone(&shared)).into_make_service();
        let secure = tls.is_some();
        let task = match tls {
            None => {
                let server =
                    axum_server::from_tcp(listener).map_err(failed)?.acceptor(acceptor.clone());
                let server = bound_silence(server, silence);
                tokio::spawn(server.handle(handle.clone()).serve(service))
            }
            Some(tls) => {
                let server = axum_server::from_tcp_rustls(listener, tls).map_err(failed)?;
                let server = server.map(|tls| tls.acceptor(acceptor));
                let server = bound_silence(server, silence);
                tokio::spawn(server.handle(handle.clone()).serve(service))
            }
        };
        prune::start(&shared);
        Ok(Server { addr, secure, handle, shared, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// How many WebSockets are open.
    pub fn open_sockets(&self) -> usize {
        self.shared.sockets.open()
    }

    /// How many bytes are staged; none where that is not bounded.
    pub fn staged_bytes(&self) -> Option<u64> {
        self.shared.staging.as_ref().map(StagingQuota::bytes)
    }

    /// Whether something failed here since the disk of the file was full.
    pub fn met_full_disk(&self) -> bool {
        self.shared.full_disk.load(Ordering::Relaxed)
    }

    /// How many requests and sessions are at the disk, or wait for it.
    pub fn working(&self) -> usize {
        self.shared.working()
    }

    /// Stops: takes nothing new, closes the sockets, and lets commits that are being made finish, for
    /// at most [`ServerOpts::stop_time`] (docs/protocol.md, section 5, "Teardown"). Errors where the
    /// server had stopped by itself.
    pub async fn stop(self) -> Result<(), ServerError> {
        let stop_time = self.shared.opts.stop_time;
        let until = Instant::now() + stop_time;
        self.shared.stop();
        self.handle.graceful_shutdown(Some(stop_time.min(LAST_ANSWERS)));
        let ended = self.task.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        // A commit is one transaction: it is done or it is not, but it is not cut off for haste.
        while self.shared.sockets.open() + self.shared.working() > 0 {
            if Instant::now() >= until {
                tracing::warn!("gave up waiting for writes in progress");
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        ended.map_err(ServerError::Failed)
    }
}
