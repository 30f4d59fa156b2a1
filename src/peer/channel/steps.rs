//! A session's channel without a thread of its own: a state machine is driven as far as it goes,
//! and put aside until the next message comes.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::error::{TryRecvError, TrySendError};

use super::Channel;
use crate::peer::PeerError;
use crate::peer::pump::Text;
use crate::peer::wire::{self, Written};
use crate::sync::Machine;
use crate::sync::msg::Msg;

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
    Full(Written),
    /// This came next, and is large.
    Large(Text),
}

impl Channel {
    /// The code of the closing frame that ends the channel.
    pub(crate) fn close_with(&self, code: u16) {
        self.control.close_code.store(code, Ordering::Relaxed);
    }

    /// Drives a state machine, which `received` is for, as far as it goes without waiting for the
    /// other side, and without reading a message of which [`wire::weight`] is `large`, but for
    /// `received`, where that was weighed.
    pub(crate) fn drive<M: Machine>(
        &mut self,
        machine: &mut M,
        received: Option<Text>,
        large: usize,
    ) -> Result<DriveStop, PeerError> {
        let began = Instant::now();
        let mut next = match received {
            Some(text) if text.named().is_none() => Some(self.read(Some(Ok(text)), machine)?),
            Some(text) => match self.light(text, machine, large)? {
                Ok(msg) => Some(msg),
                Err(text) => return Ok(DriveStop::Large(text)),
            },
            None => None,
        };
        loop {
            if let Some(msg) = next.take() {
                machine.handle(msg)?;
            }
            while let Some(msg) = machine.next()? {
                self.trust_after(&msg);
                let written = self.written(&msg, machine)?;
                match self.out.try_send(written) {
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
            next = match self.inc.try_recv() {
                Ok(Ok(text)) => match self.light(text, machine, large)? {
                    Ok(msg) => Some(msg),
                    Err(text) => return Ok(DriveStop::Large(text)),
                },
                Ok(ended) => Some(self.read(Some(ended), machine)?),
                Err(TryRecvError::Empty) => return Ok(DriveStop::Idle),
                Err(TryRecvError::Disconnected) => return Err(self.closed()),
            };
        }
    }

    /// Reads a message that is not large, else gives its text back.
    fn light<M: Machine>(
        &self,
        text: Text,
        machine: &M,
        large: usize,
    ) -> Result<Result<Msg, Text>, PeerError> {
        let text = self.unpacked(text, machine)?;
        match wire::weight(text.as_str()) >= large {
            true => Ok(Err(text)),
            false => Ok(Ok(self.read(Some(Ok(text)), machine)?)),
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
    pub(crate) async fn send_text(&self, text: Written) -> Result<(), PeerError> {
        self.out.send(text).await.map_err(|_| self.closed())
    }
}
