//! A receiver behind HTTP and WebSocket.

use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime, RuntimeFlavor};

use super::channel::MessageDirection;
use super::http::HttpClient;
use super::link::{EachFrame, Observer, ReceiverLink};
use super::wait::wait;
use super::wire::{self, Latest, ServerState};
use super::{Endpoint, PeerError, Timeouts, ws};
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::sync::capabilities::Feature;
use crate::sync::msg::{Msg, Refusal, RefusalCode};
use crate::sync::{Capabilities, Machine, Sender, SyncError};

/// How long a socket that was closed may take to be gone.
const GONE: Duration = Duration::from_secs(4);

/// A server, as seen from a thread that may wait. Its calls hold the thread that they are made on,
/// also where that is one of a runtime's; [`Device`](super::Device) has calls that do not.
#[derive(Debug)]
pub struct Remote<'r> {
    runtime: Handle,
    outlived_by: PhantomData<&'r Runtime>,
    http: HttpClient,
    timeouts: Timeouts,
    /// What the server told last of where a domain stands, until that was used.
    told: Mutex<Option<(TjpAddr, ServerState)>>,
}

impl<'r> Remote<'r> {
    /// A link to the server at `endpoint`; `runtime`, which must be one with worker threads, does its
    /// work. Errors with [`PeerError::NoWorkers`] where it has none.
    pub fn new(
        runtime: &'r Runtime,
        endpoint: Endpoint,
        timeouts: Timeouts,
    ) -> Result<Remote<'r>, PeerError> {
        Remote::with_capabilities(Capabilities::default(), runtime, endpoint, timeouts)
    }

    /// A link of a client that speaks this.
    pub fn with_capabilities(
        speaks: Capabilities,
        runtime: &'r Runtime,
        endpoint: Endpoint,
        timeouts: Timeouts,
    ) -> Result<Remote<'r>, PeerError> {
        if runtime.handle().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Err(PeerError::NoWorkers);
        }
        Remote::on(speaks, runtime.handle().clone(), endpoint, timeouts)
    }

    /// A link whose work a runtime does that other threads drive meanwhile.
    pub(super) fn on(
        speaks: Capabilities,
        runtime: Handle,
        endpoint: Endpoint,
        timeouts: Timeouts,
    ) -> Result<Remote<'r>, PeerError> {
        let http = HttpClient::new(endpoint, speaks, timeouts)?;
        Ok(Remote { runtime, outlived_by: PhantomData, http, timeouts, told: Mutex::default() })
    }

    fn wait<F: Future>(&self, work: F) -> F::Output {
        let _entered = self.runtime.enter();
        wait(work)
    }

    /// One ibGib's JSON as the server has it; none where it does not. Nothing is validated here.
    pub fn ibgib(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        token: &str,
    ) -> Result<Option<String>, PeerError> {
        self.wait(self.http.ibgib(domain, addr, token))
    }

    /// Where the domain's data stands on the server, by a token that is for this alone.
    pub fn state(&self, domain: &TjpAddr, token: &str) -> Result<ServerState, PeerError> {
        let state = self.wait(self.http.state(domain, token))?;
        *self.told() = Some((domain.clone(), state.clone()));
        Ok(state)
    }

    fn told(&self) -> MutexGuard<'_, Option<(TjpAddr, ServerState)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session's `hello`, where the server takes it with the upgrade.
    fn early_hello(&self, sender: &mut Sender<'_>) -> Result<Option<Msg>, PeerError> {
        let Some(common) = self.http.known() else { return Ok(None) };
        if !(sender.features() & &common.features).contains(&Feature::ONE_TURN) {
            return Ok(None);
        }
        sender.keep_features(&common.features);
        Ok(sender.next()?)
    }

    /// Where the server is.
    pub fn endpoint(&self) -> &Endpoint {
        self.http.endpoint()
    }
}

impl ReceiverLink for Remote<'_> {
    fn common(&self) -> Result<Capabilities, PeerError> {
        self.wait(self.http.common())
    }

    fn told_state(&self, domain: &TjpAddr) -> Option<ServerState> {
        self.told().take().filter(|(of, _)| of == domain).map(|(_, state)| state)
    }

    fn register(&self, genesis: &IbGib) -> Result<(), PeerError> {
        self.wait(self.http.register(genesis))
    }

    fn evolve(
        &self,
        domain: &TjpAddr,
        frames: &[&IbGib],
        session: &IbGib,
    ) -> Result<(), PeerError> {
        self.wait(self.http.evolve(domain, None, frames.to_vec(), session))
    }

    fn evolve_from(
        &self,
        domain: &TjpAddr,
        before: &IbGib,
        frames: &[&IbGib],
        session: &IbGib,
    ) -> Result<(), PeerError> {
        self.wait(self.http.evolve(domain, Some(before), frames.to_vec(), session))
    }

    fn revoke(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError> {
        self.wait(self.http.revoke(domain, frames.to_vec()))
    }

    fn renew(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError> {
        self.wait(self.http.renew(domain, frames.to_vec()))
    }

    fn identity(
        &self,
        domain: &TjpAddr,
        after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError> {
        self.wait(self.http.identity(domain, after, each))
    }

    fn run_session(
        &self,
        sender: &mut Sender<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), PeerError> {
        let hello = self.early_hello(sender)?;
        if let Some(hello) = &hello {
            observer.message(MessageDirection::Out, hello);
        }
        let text = hello.as_ref().map(wire::write);
        let opened = self.wait(ws::open_on(&self.http, self.timeouts, text.as_deref()));
        let (mut channel, pump, common) = opened?;
        match &hello {
            None => sender.keep_features(&common.features),
            Some(_) if sender.features().is_subset(&common.features) => {}
            Some(_) => {
                let reason = "it does not speak what it did a moment ago".to_owned();
                let url = self.http.endpoint().url().to_owned();
                return Err(PeerError::Stopped { url, reason, source: None });
            }
        }
        let observer = std::cell::RefCell::new(observer);
        let mut trace =
            |direction: MessageDirection, msg: &Msg| observer.borrow_mut().message(direction, msg);
        let ended = channel.run(sender, Some(&mut trace), |sender| {
            let summary = sender.summary();
            observer.borrow_mut().step(summary.bytes(), summary.ibgibs());
        });
        drop(channel);
        self.wait(async {
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

    fn latest(
        &self,
        domain: &TjpAddr,
        tjp: &TjpAddr,
        token: &str,
    ) -> Result<Option<Latest>, PeerError> {
        self.wait(self.http.latest(domain, tjp, token))
    }

    fn graph(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        live: bool,
        token: &str,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        self.wait(self.http.graph(domain, addr, live, token, each))
    }
}
