//! Which sockets may be open: those that proved an identity, and apart from them those that did not
//! yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::Meter;
use super::places::{Place, Places, Who};
use super::whence::Whence;
use crate::ibgib::Addr;
use crate::sync::SyncError;
use crate::sync::msg::{Refusal, RefusalCode};

/// How many bytes may arrive on a socket before its proof, in whatever frames and messages: a hello
/// and a frame of S, which takes 5 KB.
const UNPROVED_BYTES: u64 = 128 << 10;

impl Who for Addr {}

/// The places for sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    unproved: Arc<Places<Whence>>,
    proved: Arc<Places<Addr>>,
    open: AtomicUsize,
}

impl Sockets {
    /// `proved` and `unproved` places. One address takes no more than a quarter of the unproved
    /// ones, and one identity no more than a quarter of the others; or 64, where that is more.
    pub(super) fn new(proved: usize, unproved: usize) -> Arc<Sockets> {
        let share = |most: usize| (most / 4).max(64);
        Arc::new(Sockets {
            unproved: Places::new(unproved, share(unproved)),
            proved: Places::new(proved, share(proved)),
            open: AtomicUsize::new(0),
        })
    }

    /// How many sockets are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Takes a place for a socket that has proved nothing; none where there is none, or none will
    /// be once it has.
    pub(super) fn take(self: &Arc<Self>, whence: Whence, meter: &Arc<Meter>) -> Option<Seat> {
        let unproved = self.unproved.take(&whence, 1)?;
        if self.proved.is_full() {
            return None;
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        meter.bound(UNPROVED_BYTES);
        let (sockets, meter) = (Arc::clone(self), Arc::clone(meter));
        Some(Seat { sockets, meter, unproved: Some(unproved), proved: None })
    }
}

/// A socket's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    sockets: Arc<Sockets>,
    meter: Arc<Meter>,
    unproved: Option<Place<Whence>>,
    proved: Option<Place<Addr>>,
}

impl Seat {
    /// Moves to a place among the sockets that proved an identity. It is counted only here: whoever
    /// merely names an identity must not use up its share.
    pub(super) fn prove(&mut self, identity: &Addr) -> Result<(), SyncError> {
        let busy = || {
            let message = "too many open sessions; try again in a moment".to_owned();
            SyncError::Refused(Refusal { code: RefusalCode::Busy, message })
        };
        self.proved = Some(self.sockets.proved.take(identity, 1).ok_or_else(busy)?);
        self.unproved = None;
        self.meter.lift();
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.sockets.open.fetch_sub(1, Ordering::SeqCst);
    }
}
