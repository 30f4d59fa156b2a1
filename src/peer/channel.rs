//! A session's channel as a state machine's driver sees it, whatever carries it: blocking, or step
//! by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use super::pump::{Ended, Text};
use super::{PeerError, wire};
use crate::sync::Machine;
use crate::sync::msg::Msg;

/// How many messages wait in either direction before the writer has to.
pub(super) const QUEUE: usize = 8;

/// How long a state machine is driven on while there is always a next message.
const SLICE: Duration = Duration::from_millis(100);

/// Why a state machine went no further.
#[derive(Debug)]
pub(crate) enum DriveStop {
    /// It is through.
    Done,
    /// It wants the next message.
    Idle,
    /// The channel is full; this text is next.
    Full(String),
    /// This came next, and is large.
    Large(Text),
}

/// Which way a traced message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageDirection {
    /// To the other side.
    Out,
    /// From the other side.
    In,
}

/// Is told of every message that passes.
pub type Tracer<'a> = &'a mut dyn FnMut(MessageDirection, &Msg);

/// One end of a session. Dropping it closes the socket.
#[derive(Debug)]
pub struct Channel {
    pub(super) url: String,
    pub(super) out: mpsc::Sender<String>,
    pub(super) inc: mpsc::Receiver<Result<Text, Ended>>,
    pub(super) trusted: Arc<AtomicBool>,
}

impl Channel {
    /// Sends a message; waits while the socket is full.
    pub fn send(&self, msg: &Msg) -> Result<(), PeerError> {
        self.out.blocking_send(wire::write(msg)).map_err(|_| self.closed())
    }

    /// The next message.
    pub fn receive(&mut self) -> Result<Msg, PeerError> {
        let text = self.inc.blocking_recv();
        self.read(text)
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
                    trace(MessageDirection::Out, &msg);
                }
                self.trust_after(&msg);
                if let Err(closed) = self.send(&msg) {
                    return Err(self.final_refusal(&mut trace).unwrap_or(closed));
                }
                after(machine);
            }
            if machine.is_done() {
                return Ok(());
            }
            let msg = self.receive()?;
            if let Some(trace) = &mut trace {
                trace(MessageDirection::In, &msg);
            }
            self.trust_after(&msg);
            machine.handle(msg)?;
            after(machine);
        }
    }

    /// Drives a state machine, which `said` is for, as far as it goes without waiting for the
    /// other side, and without reading a message of `large` bytes.
    pub(crate) fn drive<M: Machine>(
        &mut self,
        machine: &mut M,
        mut said: Option<Msg>,
        large: usize,
    ) -> Result<DriveStop, PeerError> {
        let began = Instant::now();
        loop {
            if let Some(msg) = said.take() {
                machine.handle(msg)?;
            }
            while let Some(msg) = machine.next()? {
                self.trust_after(&msg);
                match self.out.try_send(wire::write(&msg)) {
                    Ok(()) => {}
                    Err(TrySendError::Full(text)) => return Ok(DriveStop::Full(text)),
                    Err(TrySendError::Closed(_)) => return Err(self.closed()),
                }
            }
            if machine.is_done() {
                return Ok(DriveStop::Done);
            }
            if began.elapsed() > SLICE {
                return Ok(DriveStop::Idle);
            }
            said = match self.inc.try_recv() {
                Ok(Ok(text)) if text.len() >= large => return Ok(DriveStop::Large(text)),
                Ok(text) => Some(self.read(Some(text))?),
                Err(TryRecvError::Empty) => return Ok(DriveStop::Idle),
                Err(TryRecvError::Disconnected) => return Err(self.closed()),
            };
        }
    }

    /// The next message's text, without holding a thread until it comes.
    pub(crate) async fn listen(&mut self) -> Result<Text, PeerError> {
        match self.inc.recv().await {
            Some(text) => text.map_err(|ended| self.ended(ended)),
            None => Err(self.closed()),
        }
    }

    /// Sends a text, without holding a thread while the socket is full.
    pub(crate) async fn send_text(&self, text: String) -> Result<(), PeerError> {
        self.out.send(text).await.map_err(|_| self.closed())
    }

    fn read(&self, text: Option<Result<Text, Ended>>) -> Result<Msg, PeerError> {
        match text {
            Some(Ok(text)) => Ok(text.read()?),
            Some(Err(ended)) => Err(self.ended(ended)),
            None => Err(self.closed()),
        }
    }

    fn ended(&self, ended: Ended) -> PeerError {
        match ended {
            Ended::Broken(reason) => self.stopped(reason),
            Ended::Late(reason) => PeerError::Late { url: self.url.clone(), reason },
        }
    }

    fn closed(&self) -> PeerError {
        self.stopped("the connection is closed".into())
    }

    /// What the other side said before it closed, where that is a refusal.
    fn final_refusal(&mut self, trace: &mut Option<Tracer<'_>>) -> Option<PeerError> {
        while let Ok(Ok(text)) = self.inc.try_recv() {
            if let Ok(msg) = text.read() {
                if let Some(trace) = trace {
                    trace(MessageDirection::In, &msg);
                }
                if let Msg::AuthFail(refusal) | Msg::SyncError(refusal) = msg {
                    return Some(crate::sync::SyncError::Refused(refusal).into());
                }
            }
        }
        None
    }
}
