//! What goes wrong on the way to a server, and what a person can do about it.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::peer::PeerError;

/// How long a server is believed to want to be left alone, in seconds: a day.
const MAX_RETRY_AFTER: u64 = 24 * 3600;

/// The error for what did not come whole in time.
pub(super) fn late(url: &str, what: &str, time: Duration) -> PeerError {
    let reason = format!("{what} did not come whole within {} s", time.as_secs_f64());
    PeerError::Late { url: url.to_owned(), reason }
}

pub(super) fn failed(url: &str, error: &reqwest::Error) -> PeerError {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let (url, reason) = (url.to_owned(), explained(reason.to_string()));
    match error.is_connect() || error.is_timeout() || error.is_builder() {
        true => PeerError::Unreachable { url, reason },
        false => PeerError::Stopped { url, reason },
    }
}

/// How long the server asks to be left alone, where its answer says so in seconds; a day at most.
pub(in crate::peer) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(MAX_RETRY_AFTER)))
}

/// The reason that a library gives, with what a person can do about it.
pub(in crate::peer) fn explained(reason: String) -> String {
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
