//! Driving two state machines, over any channel or against each other.

use super::error::SyncError;
use super::msg::Msg;
use crate::ibgib::Addr;

/// One side of a session: takes messages, gives messages, knows no transport.
pub trait Machine {
    /// Takes a message of the other side's. An error ends the session.
    fn handle(&mut self, msg: Msg) -> Result<(), SyncError>;
    /// The next message to send; none while one is awaited.
    fn next(&mut self) -> Result<Option<Msg>, SyncError>;
    /// Whether this side is through and has nothing more to send.
    fn is_done(&self) -> bool;
    /// The text of an ibGib by which the other side may compress a message at this time; none where
    /// it may not, or this side does not have it (docs/protocol.md, section 5, "Compression").
    fn known_text(&self, _addr: &Addr) -> Result<Option<String>, SyncError> {
        Ok(None)
    }
    /// What a message to be sent is like, of what the other side has: where it may be compressed by
    /// that.
    fn is_like(&self, _msg: &Msg) -> Vec<Addr> {
        Vec::new()
    }
}

/// Runs a sender against a receiver in one process. Errors are the sender's view: what the
/// receiver refuses arrives as the refusal that it would have sent.
pub fn run_pair(sender: &mut dyn Machine, receiver: &mut dyn Machine) -> Result<(), SyncError> {
    loop {
        let mut moved = false;
        while let Some(msg) = sender.next()? {
            moved = true;
            receiver.handle(msg).map_err(|error| SyncError::Refused(error.refusal()))?;
        }
        if sender.is_done() {
            return Ok(());
        }
        if let Some(msg) = receiver.next().map_err(|error| SyncError::Refused(error.refusal()))? {
            moved = true;
            sender.handle(msg)?;
        }
        if !moved {
            return Err(SyncError::protocol("both sides wait for each other"));
        }
    }
}
