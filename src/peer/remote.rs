//! A receiver behind HTTP and WebSocket.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::channel::MessageDirection;
use super::http::HttpClient;
use super::link::{EachFrame, Observer, ReceiverLink};
use super::wire::Latest;
use super::{Endpoint, PeerError, Timeouts, ws};
use crate::ibgib::{Addr, IbGib};
use crate::sync::msg::{Msg, Refusal, RefusalCode};
use crate::sync::{Sender, SyncError};

/// How long a socket that was closed may take to be gone.
const GONE: Duration = Duration::from_secs(4);

/// A server, as seen from a thread that may wait.
#[derive(Debug)]
pub struct Remote<'r> {
    runtime: &'r Runtime,
    http: HttpClient,
    timeouts: Timeouts,
}

impl<'r> Remote<'r> {
    /// A link to the server at `endpoint`; `runtime` does its work.
    pub fn new(
        runtime: &'r Runtime,
        endpoint: Endpoint,
        timeouts: Timeouts,
    ) -> Result<Remote<'r>, PeerError> {
        let http = HttpClient::new(endpoint, timeouts)?;
        Ok(Remote { runtime, http, timeouts })
    }

    /// One ibGib's JSON as the server has it; none where it does not. Nothing is validated here.
    pub fn ibgib(
        &self,
        domain: &Addr,
        addr: &Addr,
        token: &str,
    ) -> Result<Option<String>, PeerError> {
        self.runtime.block_on(self.http.ibgib(domain, addr, token))
    }

    /// Where the server is.
    pub fn endpoint(&self) -> &Endpoint {
        self.http.endpoint()
    }
}

impl ReceiverLink for Remote<'_> {
    fn register(&self, genesis: &IbGib) -> Result<(), PeerError> {
        self.runtime.block_on(self.http.register(genesis))
    }

    fn evolve(&self, domain: &Addr, frames: &[&IbGib], session: &IbGib) -> Result<(), PeerError> {
        self.runtime.block_on(self.http.evolve(domain, frames.to_vec(), session))
    }

    fn revoke(&self, domain: &Addr, frames: &[&IbGib]) -> Result<(), PeerError> {
        self.runtime.block_on(self.http.revoke(domain, frames.to_vec()))
    }

    fn identity(
        &self,
        domain: &Addr,
        after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError> {
        self.runtime.block_on(self.http.identity(domain, after, each))
    }

    fn run_session(
        &self,
        sender: &mut Sender<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), PeerError> {
        let opened = self.runtime.block_on(ws::open(self.http.endpoint(), self.timeouts));
        let (mut channel, pump) = opened?;
        let observer = std::cell::RefCell::new(observer);
        let mut trace =
            |direction: MessageDirection, msg: &Msg| observer.borrow_mut().message(direction, msg);
        let ended = channel.run(sender, Some(&mut trace), |sender| {
            let summary = sender.summary();
            observer.borrow_mut().step(summary.bytes(), summary.ibgibs());
        });
        drop(channel);
        self.runtime.block_on(async {
            let mut pump = pump;
            if tokio::time::timeout(GONE, &mut pump).await.is_err() {
                // A server that takes nothing any more is not waited for.
                pump.abort();
                let _ = pump.await;
            }
        });
        ended.map_err(|error| match error {
            // It heard nothing of what was sent: that is the line's fault.
            PeerError::Sync(SyncError::Refused(Refusal {
                code: RefusalCode::Timeout,
                message,
            })) => self.http.not_heard(message),
            error => error,
        })
    }

    fn latest(&self, domain: &Addr, tjp: &Addr, token: &str) -> Result<Option<Latest>, PeerError> {
        self.runtime.block_on(self.http.latest(domain, tjp, token))
    }

    fn graph(
        &self,
        domain: &Addr,
        addr: &Addr,
        live: bool,
        token: &str,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        self.runtime.block_on(self.http.graph(domain, addr, live, token, each))
    }
}
