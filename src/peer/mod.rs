//! Transports: the WebSocket's two ends, and the HTTP client. Wire types stand in one file.

#[doc(hidden)]
pub mod channel;
pub mod client;
#[doc(hidden)]
pub mod compression;
#[cfg(feature = "client")]
mod device;
#[cfg(feature = "client")]
mod endpoint;
mod fault;
#[cfg(feature = "client")]
mod http;
pub mod identity;
mod inprocess;
#[doc(hidden)]
pub mod link;
#[cfg(feature = "client")]
mod news;
pub(crate) mod pump;
#[cfg(feature = "client")]
mod remote;
mod retries;
mod signing;
mod wait;
pub mod wire;
#[cfg(feature = "client")]
#[doc(hidden)]
pub mod ws;

pub use channel::{Channel, MessageDirection};
pub use client::{Identity, Synced};
#[cfg(feature = "client")]
pub use device::Device;
#[cfg(feature = "client")]
pub use endpoint::Endpoint;
pub use fault::{BoxError, ConnectFault, TlsError, TlsFile};
#[cfg(feature = "client")]
pub use http::HttpClient;
pub use inprocess::InProcess;
pub use link::{EachFrame, NoObserver, Observer, ReceiverLink};
#[cfg(feature = "client")]
pub use news::{News, up_to_date};
pub use pump::Timeouts;
#[cfg(feature = "client")]
pub use remote::Remote;

use std::time::Duration;

use crate::ibgib::TjpAddr;
use crate::sync::capabilities::{Incompatible, Protocols};

/// Why a peer was not reached, or stopped talking.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The server URL is invalid, or not allowed.
    #[error("{0}")]
    Url(String),
    /// Plain HTTP to another machine, which nobody allowed.
    #[error(
        "{0}: plain http is for loopback only, since whoever listens could spend what an identity \
         reveals; use https"
    )]
    Plaintext(String),
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server was not reached.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
        /// What a library said, where one did.
        source: Option<BoxError>,
    },
    /// The server stopped in the middle.
    #[error("{url} stopped talking: {reason}")]
    Stopped {
        /// Where.
        url: String,
        /// How.
        reason: String,
        /// What a library said, where one did.
        source: Option<BoxError>,
    },
    /// The other side was not heard for too long, or did not hear this one.
    #[error("{url} stopped talking: {reason}")]
    Late {
        /// Where.
        url: String,
        /// Which time ran out.
        reason: String,
    },
    /// The server answered what no server of this kind answers.
    #[error("{url} answered {what}: is it a sync-gib server?")]
    UnexpectedResponse {
        /// Where.
        url: String,
        /// What it answered.
        what: String,
    },
    /// The server speaks no version of the protocol that is spoken here.
    #[error("{url} speaks {}, and this program {}", Protocols(&.versions.there), Protocols(&.versions.here))]
    Version {
        /// Where.
        url: String,
        /// What both speak.
        versions: Incompatible,
    },
    /// The server has too much to do at the moment.
    #[error("{url} is busy: {reason}")]
    Busy {
        /// Which.
        url: String,
        /// With what.
        reason: String,
        /// How long it asks to be left alone.
        after: Duration,
    },
    /// The runtime of a link has no worker threads to do its work while the caller waits.
    #[error("the runtime has no worker threads, so a blocking call cannot wait for it")]
    NoWorkers,
    /// This machine gave no thread for a link's work, or the thread ended too early.
    #[error("the work could not be run: {0}")]
    NoThread(#[source] BoxError),
    /// The server contradicts itself.
    #[error("the server contradicts itself: {0}")]
    Fault(String),
    /// The identity went on here and on the server from one frame.
    #[error(
        "the identity {0} was evolved here and on the server from one frame: one secret signed on \
         two devices without a server between them, or somebody else has the secret"
    )]
    Forked(TjpAddr),
    /// The saga failed.
    #[error(transparent)]
    Sync(#[from] crate::sync::SyncError),
}
