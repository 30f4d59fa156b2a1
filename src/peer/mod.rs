//! Transports: the WebSocket's two ends, and the HTTP client. Wire types stand in one file.

pub mod channel;
pub mod client;
pub mod endpoint;
pub mod http;
pub mod identity;
pub mod inprocess;
pub mod link;
pub(crate) mod pump;
pub mod remote;
mod retries;
mod signing;
pub mod wire;
pub mod ws;

pub use channel::Channel;
pub use client::{Identity, Synced};
pub use endpoint::Endpoint;
pub use inprocess::InProcess;
pub use link::{NoObserver, Observer, ReceiverLink};
pub use pump::Timeouts;
pub use remote::Remote;

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::ibgib::Addr;

/// Why a peer was not reached, or stopped talking.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The address of the server is none, or one that may not be used.
    #[error("{0}")]
    Url(String),
    /// A certificate or key was not usable.
    #[error("{0}")]
    Tls(String),
    /// The server was not reached.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The server stopped in the middle.
    #[error("{url} stopped talking: {reason}")]
    Stopped {
        /// Where.
        url: String,
        /// How.
        reason: String,
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
    /// The server contradicts itself.
    #[error("the server contradicts itself: {0}")]
    Fault(String),
    /// The identity went on here and on the server from one frame.
    #[error(
        "the identity {0} was evolved here and on the server from one frame: one secret signed on \
         two devices without a server between them, or somebody else has the secret"
    )]
    Forked(Addr),
    /// The saga failed.
    #[error(transparent)]
    Sync(#[from] crate::sync::SyncError),
}

/// How long a server is believed to want to be left alone, in seconds: a day.
const MAX_RETRY_AFTER: u64 = 24 * 3600;

/// How long the server asks to be left alone, where its answer says so in seconds; a day at most.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// The reason that a library gives, with what a person can do about it.
fn explained(reason: String) -> String {
    let hints = [
        ("UnknownIssuer", "give the authority that signed it with --ca-cert"),
        ("NotValidForName", "the certificate is for another host"),
        ("InvalidContentType", "it does not speak TLS: is its URL http?"),
        ("invalid HTTP", "it does not speak plain HTTP: is its URL https?"),
        ("HTTP format error", "it does not speak plain HTTP: is its URL https?"),
    ];
    match hints.iter().find(|(sign, _)| reason.contains(sign)) {
        Some((_, hint)) => format!("{reason} ({hint})"),
        None => reason,
    }
}
