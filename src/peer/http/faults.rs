//! What goes wrong on the way to a server.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::peer::{PeerError, fault};

/// How long a server is believed to want to be left alone, in seconds: a day.
const MAX_RETRY_AFTER: u64 = 24 * 3600;

/// The error for what did not come whole in time.
pub(super) fn late(url: &str, what: &str, time: Duration) -> PeerError {
    let reason = format!("{what} did not come whole within {} s", time.as_secs_f64());
    PeerError::Late { url: url.to_owned(), reason }
}

pub(super) fn failed(url: &str, error: reqwest::Error) -> PeerError {
    let (url, reason) = (url.to_owned(), fault::explained(fault::innermost(&error), &error));
    match error.is_connect() || error.is_timeout() || error.is_builder() {
        true => PeerError::Unreachable { url, reason, source: Some(error.into()) },
        false => PeerError::Stopped { url, reason, source: Some(error.into()) },
    }
}

/// How long the server asks to be left alone, where its answer says so in seconds; a day at most.
pub(in crate::peer) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}
