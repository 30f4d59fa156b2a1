//! How many bytes may arrive on a connection, so that whatever a library gathers of them before it
//! hands them out is bounded as well.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::client_addr::ClientAddr;
use super::places::{Place, Places};

/// How much of a message arrives whether or not the budget has any left.
const SMALL: usize = 64 << 10;

/// What may arrive on a connection.
#[derive(Debug)]
pub(super) struct Meter {
    state: Mutex<State>,
    is_starved: AtomicBool,
    is_exceeded: AtomicBool,
}

#[derive(Debug)]
enum State {
    /// Any number of bytes: what takes them bounds them itself.
    Free,
    /// So many more.
    Bounded(u64),
    /// Messages, within a budget that all sockets share.
    Budgeted(Message),
}

/// What arrived of a message.
#[derive(Debug)]
struct Message {
    budget: Arc<Places<ClientAddr>>,
    who: ClientAddr,
    bytes: usize,
    place: Option<Place<ClientAddr>>,
}

impl Meter {
    /// Any number may arrive.
    pub(super) fn new() -> Arc<Meter> {
        let (is_starved, is_exceeded) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Meter { state: Mutex::new(State::Free), is_starved, is_exceeded })
    }

    /// From now on so many may arrive.
    pub(super) fn bound(&self, bytes: u64) {
        *self.state() = State::Bounded(bytes);
    }

    /// From now on messages may arrive for which `budget` has room.
    pub(super) fn share(&self, budget: &Arc<Places<ClientAddr>>, who: ClientAddr) {
        let budget = Arc::clone(budget);
        *self.state() = State::Budgeted(Message { budget, who, bytes: 0, place: None });
    }

    /// Whether more may arrive now; where not, it may before long.
    pub(super) fn has_room(&self) -> bool {
        match &mut *self.state() {
            State::Free | State::Bounded(_) => true,
            State::Budgeted(message) => message.has_room(),
        }
    }

    /// Takes room for a message that takes so many bytes of memory; false where there is none now.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        match &mut *self.state() {
            State::Free | State::Bounded(_) => true,
            State::Budgeted(message) => message.hold(bytes),
        }
    }

    /// Counts what arrived; an error where it is too much.
    pub(super) fn count(&self, bytes: usize) -> io::Result<()> {
        match &mut *self.state() {
            State::Free => {}
            State::Bounded(left) => {
                let Some(rest) = left.checked_sub(bytes as u64) else {
                    self.is_exceeded.store(true, Ordering::Relaxed);
                    return Err(io::Error::other("too many bytes before an identity was proved"));
                };
                *left = rest;
            }
            State::Budgeted(message) => message.bytes += bytes,
        }
        Ok(())
    }

    /// A message of `len` bytes is whole: what it holds of the budget, until that is dropped.
    pub(super) fn finish(&self, len: usize) -> Option<Place<ClientAddr>> {
        let State::Budgeted(message) = &mut *self.state() else { return None };
        message.bytes = 0;
        let mut place = message.place.take()?;
        place.shrink_to(len.saturating_sub(SMALL));
        Some(place)
    }

    /// Notes that there was no room for too long.
    pub(super) fn starve(&self) {
        self.is_starved.store(true, Ordering::Relaxed);
    }

    /// Whether there was no room for too long.
    pub(super) fn is_starved(&self) -> bool {
        self.is_starved.load(Ordering::Relaxed)
    }

    /// Whether more came than may.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    fn has_room(&mut self) -> bool {
        // What grows holds up to twice its bytes.
        self.hold(self.bytes * 2)
    }

    fn hold(&mut self, bytes: usize) -> bool {
        let needed = bytes.saturating_sub(SMALL);
        if needed == 0 {
            return true;
        }
        if self.place.is_none() {
            self.place = self.budget.take(&self.who, 0);
        }
        self.place.as_mut().is_some_and(|place| place.grow_to(needed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_always_has_room_and_what_is_large_as_far_as_the_budget_goes() {
        let who = ClientAddr::of([10, 0, 0, 1].into());
        let budget = Places::new(1 << 20, 1 << 20);
        let meters = [Meter::new(), Meter::new()];
        for meter in &meters {
            meter.share(&budget, who);
            meter.count(SMALL / 2).unwrap();
            assert!(meter.has_room());
        }
        let [one, two] = meters;
        one.count(1 << 19).unwrap();
        assert!(one.has_room());
        two.count(1 << 19).unwrap();
        assert!(!two.has_room());
        // A message that is whole and waits holds its bytes once.
        let waits = one.finish((1 << 19) + SMALL / 2);
        assert!(one.has_room() && !two.has_room());
        drop(waits);
        assert!(two.has_room());
        drop(two);
        assert!(budget.take(&who, 1 << 20).is_some(), "all was given back");
    }

    #[test]
    fn before_a_proof_so_many_bytes_arrive_and_no_more() {
        let meter = Meter::new();
        meter.bound(10);
        meter.count(10).unwrap();
        assert!(!meter.is_exceeded());
        assert!(meter.count(1).is_err() && meter.is_exceeded());
    }
}
