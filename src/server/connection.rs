//! Connections as they are accepted.

use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tower_layer::Layer;

use super::client_addr::{ClientAddr, TrustedProxy, is_proxy};
use super::meter::Meter;
use super::places::{Place, Places};

/// How often it is looked whether there is room again.
const LOOK: Duration = Duration::from_millis(10);
/// How long a stream may wait for room.
const BUDGET_WAIT: Duration = Duration::from_secs(10);

/// What a request's handlers know of its connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    local: SocketAddr,
    peer: IpAddr,
    meter: Arc<Meter>,
    place: Arc<Mutex<Option<Place<Option<ClientAddr>>>>>,
}

impl Connection {
    /// Whether it came in on a loopback address.
    pub(super) fn on_loopback(&self) -> bool {
        self.local.ip().to_canonical().is_loopback()
    }

    /// Whom it came from.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// What may still arrive on it.
    pub(super) fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Gives its place back: as a WebSocket it takes another kind.
    pub(super) fn give_place_back(&self) {
        drop(self.place.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Accepts connections.
#[derive(Debug, Clone)]
pub(super) struct Acceptor {
    /// Places for connections; those of a trusted proxy have no share.
    pub(super) places: Arc<Places<Option<ClientAddr>>>,
    /// Proxies that many clients come through.
    pub(super) trusted: Arc<[TrustedProxy]>,
    /// How long the other side may take nothing of what is sent.
    pub(super) timeouts: Duration,
}

impl<S> Accept<TcpStream, S> for Acceptor {
    type Stream = Stream;
    type Service = AddExtension<S, Connection>;
    type Future = Ready<io::Result<(Stream, Self::Service)>>;

    fn accept(&self, tcp: TcpStream, service: S) -> Self::Future {
        let enter = || {
            tcp.set_nodelay(true)?;
            let (local, peer) = (tcp.local_addr()?, tcp.peer_addr()?.ip());
            let who = (!is_proxy(peer, &self.trusted)).then(|| ClientAddr::of(peer));
            let full = || io::Error::other("too many connections");
            let place = self.places.take(&who, 1).ok_or_else(full)?;
            let meter = Meter::new();
            Ok(Connection { local, peer, meter, place: Arc::new(Mutex::new(Some(place))) })
        };
        ready(enter().map(|connection| {
            let (timeouts, connected) = (self.timeouts, connection.clone());
            let stream = Stream { tcp, timeouts, stalled: None, budget_wait: None, connected };
            (stream, Extension(connection).layer(service))
        }))
    }
}

/// A connection's stream. Writing fails where the other side takes nothing for too long: whoever
/// does not read would keep an answer, and its place, for ever.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    timeouts: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    budget_wait: Option<BudgetWait>,
    connected: Connection,
}

/// A stream that waits for room in the budget of message bytes.
#[derive(Debug)]
struct BudgetWait {
    since: Instant,
    look: Pin<Box<Sleep>>,
}

impl Stream {
    /// Watches over what a write came to.
    fn watch<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timeouts = self.timeouts;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeouts)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Stream {
    /// Waits until there is room for more of a message: its sender is slowed meanwhile. An error
    /// where there is none for too long.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let meter = &self.connected.meter;
        while !meter.has_room() {
            let begun = || BudgetWait { since: Instant::now(), look: Box::pin(sleep(LOOK)) };
            let budget_wait = self.budget_wait.get_or_insert_with(begun);
            ready!(budget_wait.look.as_mut().poll(cx));
            if budget_wait.since.elapsed() > BUDGET_WAIT {
                meter.starve();
                return Poll::Ready(Err(io::Error::other("there is no room for its message")));
            }
            budget_wait.look.as_mut().reset(Instant::now() + LOOK);
        }
        self.budget_wait = None;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_room(cx))?;
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        Poll::Ready(self.connected.meter.count(buf.filled().len() - before))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
