//! Connections as they are accepted.

use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;

use axum::Extension;
use axum::middleware::AddExtension;
use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tower_layer::Layer;

/// What a request's handlers know of its connection.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    local: SocketAddr,
}

impl Connection {
    /// Whether it came in on a loopback address.
    pub(super) fn on_loopback(&self) -> bool {
        self.local.ip().to_canonical().is_loopback()
    }
}

/// Takes connections in.
#[derive(Debug, Clone)]
pub(super) struct Door;

impl<S> Accept<TcpStream, S> for Door {
    type Stream = TcpStream;
    type Service = AddExtension<S, Connection>;
    type Future = Ready<io::Result<(TcpStream, Self::Service)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let enter = || {
            stream.set_nodelay(true)?;
            Ok(Connection { local: stream.local_addr()? })
        };
        ready(enter().map(|connection| (stream, Extension(connection).layer(service))))
    }
}
