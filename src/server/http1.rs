//! HTTP/1 alone: in HTTP/2 one connection holds many requests and sets its own pace, and none of the
//! bounds on connections is for that.
//!
//! The server's library finds out itself which of the two a connection speaks, and where it is told
//! to speak one alone it opens no WebSockets. So what begins with HTTP/2 is cut off here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum_server::accept::Accept;
use futures_util::TryFutureExt;
use futures_util::future::MapOk;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What every connection of HTTP/2 begins with and no request of HTTP/1 does (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI ";

/// Accepts connections as another acceptor does, and fails to read those that begin with HTTP/2.
#[derive(Debug, Clone)]
pub(super) struct Http1<A>(pub(super) A);

/// A stream and its service, as an acceptor gives them, with the stream watched.
type Wrap<T, S> = fn((T, S)) -> (PrefaceCheck<T>, S);

impl<I, S, A: Accept<I, S>> Accept<I, S> for Http1<A> {
    type Stream = PrefaceCheck<A::Stream>;
    type Service = A::Service;
    type Future = MapOk<A::Future, Wrap<A::Stream, A::Service>>;

    fn accept(&self, stream: I, service: S) -> Self::Future {
        let wrap: Wrap<_, _> =
            |(stream, service)| (PrefaceCheck { stream, same: Some(0) }, service);
        self.0.accept(stream, service).map_ok(wrap)
    }
}

/// A stream whose first bytes are watched.
#[derive(Debug)]
pub(super) struct PrefaceCheck<T> {
    stream: T,
    /// How many bytes so far are the preface's; none once one was not.
    same: Option<usize>,
}

impl<T> PrefaceCheck<T> {
    fn watch(&mut self, read: &[u8]) -> io::Result<()> {
        let Some(same) = self.same else { return Ok(()) };
        let left = PREFACE.get(same..).unwrap_or_default();
        let common = left.iter().zip(read).take_while(|(one, other)| one == other).count();
        if common == left.len() {
            return Err(io::Error::other("HTTP/2 is not supported here"));
        }
        self.same = (common == read.len()).then_some(same + common);
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for PrefaceCheck<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.watch(buf.filled().get(before..).unwrap_or_default()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for PrefaceCheck<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_known_in_whatever_pieces() {
        let refused = |pieces: &[&[u8]]| {
            let mut check = PrefaceCheck { stream: (), same: Some(0) };
            pieces.iter().any(|piece| check.watch(piece).is_err())
        };
        assert!(refused(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]));
        assert!(refused(&[b"P", b"R", b"", b"I", b" "]));
        assert!(!refused(&[b"PR", b"O", b"PRI * HTTP/2.0"]));
        assert!(!refused(&[b"GET /health HTTP/1.1\r\n\r\n", b"PRI "]));
    }
}
