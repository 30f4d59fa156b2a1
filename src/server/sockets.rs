//! Which sockets may be open: those that proved an identity, and apart from them those that did not
//! yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client_addr::ClientAddr;
use super::meter::Meter;
use super::places::{Holder, Place, Places};
use crate::ibgib::TjpAddr;
use crate::peer::compression::{LARGE_WINDOW, SMALL_WINDOW, compressor_bytes, decompressor_bytes};
use crate::sync::SyncError;
use crate::sync::msg::{Refusal, RefusalCode};

/// How many bytes may arrive on a socket before its proof, in whatever frames and messages: a hello
/// and a frame of S, which takes 5 KB.
const UNPROVED_BYTES: u64 = 128 << 10;

/// How many bytes of messages are held that arrive on sockets after their proof, beyond what each may
/// hold that is small.
const MESSAGE_BYTES: usize = 64 << 20;

impl Holder for TjpAddr {}

/// The places for sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    unproved: Arc<Places<ClientAddr>>,
    proved: Arc<Places<TjpAddr>>,
    /// The same places, by the addresses that they are taken from.
    proved_from: Arc<Places<ClientAddr>>,
    /// Bytes of messages that arrive, and of those that wait to be read.
    messages: Arc<Places<ClientAddr>>,
    /// Bytes of memory of the sessions' compression.
    windows: Arc<Places<ClientAddr>>,
    open: AtomicUsize,
}

impl Sockets {
    /// `proved` and `unproved` places. One address takes no more than a quarter of the unproved
    /// ones and half of the others, of which one identity takes no more than a quarter; or 64, where
    /// that is more.
    ///
    /// `window_bytes` is how much memory all sessions together may take for compression; one address
    /// takes no more than half of it.
    pub(super) fn new(proved: usize, unproved: usize, window_bytes: usize) -> Arc<Sockets> {
        let share = |most: usize| (most / 4).max(64);
        Arc::new(Sockets {
            unproved: Places::new(unproved, share(unproved)),
            proved: Places::new(proved, share(proved)),
            proved_from: Places::new(proved, proved.div_ceil(2).max(64)),
            messages: Places::new(MESSAGE_BYTES, MESSAGE_BYTES / 2),
            windows: Places::new(window_bytes, window_bytes / 2),
            open: AtomicUsize::new(0),
        })
    }

    /// How many sockets are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Takes a place for a socket that has proved nothing; none where there is none, or none will
    /// be once it has.
    pub(super) fn take(
        self: &Arc<Self>,
        client: ClientAddr,
        meter: &Arc<Meter>,
    ) -> Option<SocketPlace> {
        let unproved = self.unproved.take(&client, 1)?;
        if self.proved.is_full() {
            return None;
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        meter.bound(UNPROVED_BYTES);
        let (sockets, meter) = (Arc::clone(self), Arc::clone(meter));
        Some(SocketPlace {
            sockets,
            client,
            meter,
            unproved: Some(unproved),
            proved: None,
            window: None,
        })
    }
}

impl Sockets {
    /// Takes the memory for compressing an answer: the logarithm of the largest of these windows for
    /// which there is some; none where there is none.
    pub(super) fn window_for_answer(
        self: &Arc<Self>,
        client: ClientAddr,
        windows: &[u32],
    ) -> Option<(u32, Place<ClientAddr>)> {
        let mut place = self.windows.take(&client, 0)?;
        let fits = |window: &u32| place.grow_to(compressor_bytes(*window));
        let window = windows.iter().copied().find(fits)?;
        Some((window, place))
    }
}

/// The place of a socket; given back when dropped.
#[derive(Debug)]
pub(super) struct SocketPlace {
    sockets: Arc<Sockets>,
    client: ClientAddr,
    meter: Arc<Meter>,
    unproved: Option<Place<ClientAddr>>,
    proved: Option<(Place<TjpAddr>, Place<ClientAddr>)>,
    window: Option<Place<ClientAddr>>,
}

impl SocketPlace {
    /// Whether there was no room for a message of this socket's for too long.
    pub(super) fn is_starved(&self) -> bool {
        self.meter.is_starved()
    }

    /// Moves to a place among the sockets that proved an identity. It is counted only here: whoever
    /// merely names an identity must not use up its share.
    pub(super) fn prove(&mut self, identity: &TjpAddr) -> Result<(), SyncError> {
        let busy = || {
            let message = "too many open sessions; try again in a moment".to_owned();
            SyncError::Refused(Refusal { code: RefusalCode::Busy, message })
        };
        let from = self.sockets.proved_from.take(&self.client, 1).ok_or_else(busy)?;
        let place = self.sockets.proved.take(identity, 1).ok_or_else(busy)?;
        self.proved = Some((place, from));
        self.unproved = None;
        self.meter.share(&self.sockets.messages, self.client);
        Ok(())
    }

    /// Takes the memory for compression: the logarithm of the largest window for which there is some,
    /// for what comes; what is sent begins with a small one. None where there is none.
    pub(super) fn grant_window(&mut self) -> Option<u32> {
        let mut place = self.sockets.windows.take(&self.client, 0)?;
        let sent = compressor_bytes(SMALL_WINDOW);
        let fits = |window: &u32| place.grow_to(decompressor_bytes(*window) + sent);
        let window = [LARGE_WINDOW, SMALL_WINDOW].into_iter().find(fits)?;
        self.window = Some(place);
        Some(window)
    }

    /// Takes the memory for the large window for what is sent; false where there is none.
    pub(super) fn widen(&mut self) -> bool {
        let more = compressor_bytes(LARGE_WINDOW) - compressor_bytes(SMALL_WINDOW);
        self.window.as_mut().is_some_and(|place| place.add(more))
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        self.sockets.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(name: &str) -> TjpAddr {
        let hash = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";
        TjpAddr::parse(&format!("{name}^{hash}")).unwrap()
    }

    fn client(last: u8) -> ClientAddr {
        ClientAddr::of([10, 0, 0, last].into())
    }

    #[test]
    fn one_address_and_one_identity_have_a_share_each() {
        let sockets = Sockets::new(400, 400, 0);
        let take = |last| sockets.take(client(last), &Meter::new());
        let mut held: Vec<SocketPlace> = std::iter::from_fn(|| take(1)).collect();
        assert_eq!(held.len(), 100, "a quarter of the places before the proof");
        let mut proved = 0;
        let mut last = 2;
        loop {
            let mut socket_place = take(last).unwrap();
            last = last % 200 + 2;
            if let Err(error) = socket_place.prove(&identity("a")) {
                assert_eq!(error.refusal().code, RefusalCode::Busy);
                break;
            }
            proved += 1;
            held.push(socket_place);
        }
        assert_eq!(proved, 100, "a quarter of the places after it");
        let mut other = take(1).is_none().then(|| take(2)).flatten().unwrap();
        other.prove(&identity("b")).unwrap();
        assert_eq!(sockets.open(), held.len() + 1);
        drop((held, other));
        assert_eq!(sockets.open(), 0);
        assert!(take(1).unwrap().prove(&identity("a")).is_ok(), "all was given back");
    }
}
