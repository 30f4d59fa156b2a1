//! A session's channel as a state machine's driver sees it: blocking, whatever carries it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::{PeerError, wire};
use crate::sync::Machine;
use crate::sync::msg::Msg;

/// How many messages wait in either direction before the writer has to.
pub(super) const QUEUE: usize = 8;

/// Which way a traced message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the other side.
    Out,
    /// From the other side.
    In,
}

/// Is told of every message that passes.
pub type Tracer<'a> = &'a mut dyn FnMut(Way, &Msg);

/// One end of a session. Dropping it closes the socket.
#[derive(Debug)]
pub struct Channel {
    pub(super) url: String,
    pub(super) out: mpsc::Sender<String>,
    pub(super) inc: mpsc::Receiver<Result<String, String>>,
    pub(super) trusted: Arc<AtomicBool>,
}

impl Channel {
    /// Sends a message; waits while the socket is full.
    pub fn send(&self, msg: &Msg) -> Result<(), PeerError> {
        let stopped = |_| self.stopped("the connection is closed".into());
        self.out.blocking_send(wire::write(msg)).map_err(stopped)
    }

    /// The next message.
    pub fn receive(&mut self) -> Result<Msg, PeerError> {
        match self.inc.blocking_recv() {
            Some(Ok(text)) => Ok(wire::read(&text)?),
            Some(Err(reason)) => Err(self.stopped(reason)),
            None => Err(self.stopped("the connection is closed".into())),
        }
    }

    /// Once the proof was accepted the short time for it no longer runs.
    fn trust_after(&self, msg: &Msg) {
        if matches!(msg, Msg::AuthOk { .. }) {
            self.trusted.store(true, Ordering::Relaxed);
        }
    }

    fn stopped(&self, reason: String) -> PeerError {
        PeerError::Stopped { url: self.url.clone(), reason }
    }

    /// Runs a state machine over the channel until it is through. `after` is called after every
    /// step, for progress.
    pub fn run<M: Machine>(
        &mut self,
        machine: &mut M,
        mut trace: Option<Tracer<'_>>,
        mut after: impl FnMut(&M),
    ) -> Result<(), PeerError> {
        loop {
            while let Some(msg) = machine.next()? {
                if let Some(trace) = &mut trace {
                    trace(Way::Out, &msg);
                }
                self.trust_after(&msg);
                if let Err(closed) = self.send(&msg) {
                    return Err(self.last_words(&mut trace).unwrap_or(closed));
                }
                after(machine);
            }
            if machine.is_done() {
                return Ok(());
            }
            let msg = self.receive()?;
            if let Some(trace) = &mut trace {
                trace(Way::In, &msg);
            }
            self.trust_after(&msg);
            machine.handle(msg)?;
            after(machine);
        }
    }

    /// What the other side said before it closed, where that is a refusal.
    fn last_words(&mut self, trace: &mut Option<Tracer<'_>>) -> Option<PeerError> {
        while let Ok(Ok(text)) = self.inc.try_recv() {
            if let Ok(msg) = wire::read(&text) {
                if let Some(trace) = trace {
                    trace(Way::In, &msg);
                }
                if let Msg::AuthFail(refusal) | Msg::SyncError(refusal) = msg {
                    return Some(crate::sync::SyncError::Refused(refusal).into());
                }
            }
        }
        None
    }
}
