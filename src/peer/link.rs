//! What a client asks of a receiver, whatever the transport.

use std::ops::ControlFlow;

use super::PeerError;
use super::channel::MessageDirection;
use super::wire::{Latest, ServerState};
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::sync::msg::Msg;
use crate::sync::{Capabilities, Sender};

/// Sees what passes in a session.
pub trait Observer {
    /// A message passes.
    fn message(&mut self, direction: MessageDirection, msg: &Msg);
    /// The sender made a step; `(sent, received)` are bytes of payload and ibGibs so far.
    fn step(&mut self, bytes: u64, ibgibs: u64);
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn message(&mut self, _direction: MessageDirection, _msg: &Msg) {}
    fn step(&mut self, _bytes: u64, _ibgibs: u64) {}
}

/// Takes a frame of an identity; breaks where it wants no more.
pub type EachFrame<'a> = dyn FnMut(IbGib) -> Result<ControlFlow<()>, PeerError> + 'a;

/// A connection to a receiver. Every call waits for its answer.
pub trait ReceiverLink {
    /// What both sides speak. An answer that came before tells; where none did, it is asked for.
    ///
    /// Errors with [`PeerError::Version`] where that is no version of the protocol.
    fn common(&self) -> Result<Capabilities, PeerError>;

    /// Where the receiver just told that the domain stands, if it was asked; it is told once, since it
    /// may be otherwise later.
    fn told_state(&self, _domain: &TjpAddr) -> Option<ServerState> {
        None
    }

    /// Registers a domain keystone's genesis; one that is registered already is fine.
    fn register(&self, genesis: &IbGib) -> Result<(), PeerError>;

    /// Brings I's new frames, and the session that the last of them claims.
    fn evolve(&self, domain: &TjpAddr, frames: &[&IbGib], session: &IbGib)
    -> Result<(), PeerError>;

    /// As [`Self::evolve`], where the receiver has `before`, the frame that the first of these follows:
    /// they may travel as what is new in them.
    fn evolve_from(
        &self,
        domain: &TjpAddr,
        _before: &IbGib,
        frames: &[&IbGib],
        session: &IbGib,
    ) -> Result<(), PeerError> {
        self.evolve(domain, frames, session)
    }

    /// Brings the frame that revokes I, after any that the receiver lacks.
    fn revoke(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError>;

    /// Brings the frame that changes I's secret, after any that the receiver lacks.
    fn renew(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError>;

    /// Gives a page of I's frames after `after` (from the first on where the receiver does not know
    /// that one) to `each` as they arrive, oldest first, not validated, until that breaks.
    /// [`identity`](super::identity) asks for all pages and validates.
    fn identity(
        &self,
        domain: &TjpAddr,
        after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError>;

    /// Runs a session from hello to its end. No socket is open afterwards.
    fn run_session(
        &self,
        sender: &mut Sender<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(), PeerError>;

    /// A timeline's latest address; none where the receiver does not have it.
    fn latest(
        &self,
        domain: &TjpAddr,
        tjp: &TjpAddr,
        token: &str,
    ) -> Result<Option<Latest>, PeerError>;

    /// An ibGib's dependency graph, dependencies first, one JSON text after the other, not
    /// validated. Returns whether the receiver has it.
    fn graph(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        live: bool,
        token: &str,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError>;
}
