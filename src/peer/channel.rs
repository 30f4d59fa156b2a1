//! A session's channel as a state machine's driver sees it, whatever carries it: blocking, or step
//! by step.

#[cfg(feature = "server")]
mod steps;

#[cfg(feature = "server")]
pub(crate) use steps::DriveStop;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::PeerError;
use super::pump::{Ended, PumpControl, Text};
use super::wait::wait;
use super::wire::{self, Written};
use crate::sync::msg::Msg;
use crate::sync::{Machine, SyncError};

/// How many messages wait in either direction before the writer has to.
pub(super) const QUEUE: usize = 8;

/// Which way a traced message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageDirection {
    /// To the other side.
    Out,
    /// From the other side.
    In,
}

/// Is called for every message that passes.
pub type Tracer<'a> = &'a mut dyn FnMut(MessageDirection, &Msg);

/// One end of a session. Dropping it closes the socket.
#[derive(Debug)]
pub struct Channel {
    pub(super) url: String,
    pub(super) out: mpsc::Sender<Written>,
    pub(super) inc: mpsc::Receiver<Result<Text, Ended>>,
    pub(super) control: Arc<PumpControl>,
}

impl Channel {
    /// Once the proof was accepted the short time for it no longer runs, and what follows is
    /// compressed where that was granted.
    fn trust_after(&self, msg: &Msg) {
        if let Msg::AuthOk { window, .. } = msg {
            self.control.is_trusted.store(true, Ordering::Relaxed);
            self.control.window.store(window.unwrap_or(0), Ordering::Relaxed);
        }
    }

    fn stopped(&self, reason: String) -> PeerError {
        PeerError::Stopped { url: self.url.clone(), reason, source: None }
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
                    trace(MessageDirection::Out, &msg);
                }
                self.trust_after(&msg);
                if wait(self.out.send(wire::written(&msg))).is_err() {
                    return Err(self.final_refusal(&mut trace).unwrap_or_else(|| self.closed()));
                }
                after(machine);
            }
            if machine.is_done() {
                return Ok(());
            }
            let text = wait(self.inc.recv());
            let msg = self.read(text)?;
            if let Some(trace) = &mut trace {
                trace(MessageDirection::In, &msg);
            }
            self.trust_after(&msg);
            machine.handle(msg)?;
            after(machine);
        }
    }

    fn read(&self, text: Option<Result<Text, Ended>>) -> Result<Msg, PeerError> {
        match text {
            Some(Ok(text)) => Ok(wire::read(text.as_str())?),
            Some(Err(ended)) => Err(self.ended(ended)),
            None => Err(self.closed()),
        }
    }

    fn ended(&self, ended: Ended) -> PeerError {
        match ended {
            Ended::Broken(reason) => self.stopped(reason),
            Ended::TooMuch(reason) => SyncError::Limit(reason).into(),
            Ended::Late(reason) => PeerError::Late { url: self.url.clone(), reason },
        }
    }

    fn closed(&self) -> PeerError {
        self.stopped("the connection is closed".into())
    }

    /// What the other side said before it closed, where that is a refusal.
    fn final_refusal(&mut self, trace: &mut Option<Tracer<'_>>) -> Option<PeerError> {
        while let Ok(Ok(text)) = self.inc.try_recv() {
            if let Ok(msg) = wire::read(text.as_str()) {
                if let Some(trace) = trace {
                    trace(MessageDirection::In, &msg);
                }
                if let Msg::AuthFail(refusal) | Msg::SyncError(refusal) = msg {
                    return Some(SyncError::Refused(refusal).into());
                }
            }
        }
        None
    }
}
