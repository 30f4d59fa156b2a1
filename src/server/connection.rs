//! Connections as they are accepted.

use std::future::{Ready, ready};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use axum::extract::Request;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};
use tower_layer::Layer;

/// What a request's handlers know of its connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    local: SocketAddr,
    peer: SocketAddr,
}

impl Connection {
    /// Whether it came in on a loopback address.
    pub(super) fn on_loopback(&self) -> bool {
        self.local.ip().to_canonical().is_loopback()
    }
}

/// The address that a request comes from; none where its connection is not known.
pub(super) fn client_address(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<Connection>().map(|connection| connection.peer.ip())
}

/// Takes connections in.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// How long the other side may take nothing of what is sent.
    pub(super) patience: Duration,
}

impl<S> Accept<TcpStream, S> for Door {
    type Stream = Stream;
    type Service = AddExtension<S, Connection>;
    type Future = Ready<io::Result<(Stream, Self::Service)>>;

    fn accept(&self, tcp: TcpStream, service: S) -> Self::Future {
        let enter = || {
            tcp.set_nodelay(true)?;
            Ok(Connection { local: tcp.local_addr()?, peer: tcp.peer_addr()? })
        };
        ready(enter().map(|connection| {
            let stream = Stream { tcp, patience: self.patience, stalled: None };
            (stream, Extension(connection).layer(service))
        }))
    }
}

/// A connection's stream. Writing fails where the other side takes nothing for too long: whoever
/// does not read would keep an answer, and its place, for ever.
#[derive(Debug)]
pub(super) struct Stream {
    tcp: TcpStream,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
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
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
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
