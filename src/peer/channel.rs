//! A session's channel as a state machine's driver sees it, whatever carries it: blocking, or step
//! by step.

#[cfg(feature = "server")]
mod steps;

#[cfg(feature = "server")]
pub(crate) use steps::DriveStop;

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc;

use super::PeerError;
use super::compression::{CompressionError, MAX_FRAME, NamedError, NamedPrefix, unpack_named};
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
    /// Whether a payload was sent: what comes after the first is like that.
    pub(super) has_sent_payload: bool,
}

impl Channel {
    /// Once the proof was accepted the short time for it no longer runs, and what follows is
    /// compressed where that was granted.
    fn trust_after(&self, msg: &Msg) {
        if let Msg::AuthOk { window, .. } = msg {
            self.control.window.store(window.unwrap_or(0), Ordering::Relaxed);
            self.control.is_trusted.store(true, Ordering::Release);
            self.control.trusts.notify_one();
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
                let written = self.written(&msg, machine)?;
                if wait(self.out.send(written)).is_err() {
                    return Err(self.final_refusal(&mut trace).unwrap_or_else(|| self.closed()));
                }
                after(machine);
            }
            if machine.is_done() {
                return Ok(());
            }
            let text = wait(self.inc.recv());
            let msg = self.read(text, machine)?;
            if let Some(trace) = &mut trace {
                trace(MessageDirection::In, &msg);
            }
            self.trust_after(&msg);
            machine.handle(msg)?;
            after(machine);
        }
    }

    fn read<M: Machine>(
        &self,
        text: Option<Result<Text, Ended>>,
        machine: &M,
    ) -> Result<Msg, PeerError> {
        let text = match text {
            Some(Ok(text)) => self.unpacked(text, machine)?,
            Some(Err(ended)) => return Err(self.ended(ended)),
            None => return Err(self.closed()),
        };
        let msg = wire::read(text.as_str())?;
        let signed = match &msg {
            Msg::AuthProof { keystone } => Some(keystone),
            Msg::Request(turn) => turn.signed_session_identity.as_ref(),
            _ => None,
        };
        if let Some(keystone) = signed {
            // The next turn's signature may come as what is new in it.
            let mut frame = self.control.frame.lock().unwrap_or_else(PoisonError::into_inner);
            *frame = Some(keystone.to_json()).filter(|text| text.len() <= MAX_FRAME);
        }
        Ok(msg)
    }

    /// A text that came as it is, or unpacked by the texts that it names.
    fn unpacked<M: Machine>(&self, text: Text, machine: &M) -> Result<Text, PeerError> {
        let Some(message) = text.named() else { return Ok(text) };
        let unpacked = unpack_named(message, |addr| machine.known_text(addr));
        let unpacked = unpacked.map_err(|error| match error {
            NamedError::Message(CompressionError::TooLong) => {
                SyncError::Limit(CompressionError::TooLong.to_string())
            }
            NamedError::Message(error) => SyncError::protocol(error.to_string()),
            NamedError::Unknown(addr) => SyncError::protocol(format!(
                "{addr}, by which a message is compressed, is not here"
            )),
            NamedError::Read(error) => error,
        })?;
        Ok(text.unpacked(unpacked))
    }

    /// A message as it is sent, with what it may be compressed by.
    fn written<M: Machine>(&mut self, msg: &Msg, machine: &M) -> Result<Written, PeerError> {
        let is_first = !matches!(msg, Msg::Payload { .. }) || !self.has_sent_payload;
        self.has_sent_payload |= matches!(msg, Msg::Payload { .. });
        let like = if is_first { machine.is_like(msg) } else { Vec::new() };
        let named = NamedPrefix::new(like, |addr| machine.known_text(addr))?;
        Ok(Written { named, ..wire::written(msg) })
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
