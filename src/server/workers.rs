//! Places for what waits for the disk, each of which takes a thread and a connection to the file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client_addr::ClientAddr;
use super::state::LARGE;

/// Places of which one address takes no more than half at once: what it asks for beyond that waits
/// for its own, and keeps nobody else waiting.
#[derive(Debug)]
pub(super) struct Workers {
    all: Arc<Semaphore>,
    most: usize,
    each: usize,
    /// What is large is read one at a time: it takes many times its bytes of memory.
    large: Arc<Semaphore>,
    by: Mutex<HashMap<ClientAddr, Arc<Semaphore>>>,
}

/// A place, until this is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    _place: OwnedSemaphorePermit,
    _large: Option<OwnedSemaphorePermit>,
    _share: Share,
}

impl Workers {
    /// So many places.
    pub(super) fn new(most: usize) -> Arc<Workers> {
        let all = Arc::new(Semaphore::new(most));
        let (each, large) = (most.div_ceil(2), Arc::new(Semaphore::new(1)));
        Arc::new(Workers { all, most, each, large, by: Mutex::default() })
    }

    /// Waits for a place for work on input of this weight; none only where there are none any more.
    pub(super) async fn take(
        self: &Arc<Self>,
        client: ClientAddr,
        weight: usize,
    ) -> Option<Worker> {
        let mut share = self.share(client);
        share.taken = Some(Arc::clone(&share.places).acquire_owned().await.ok()?);
        // In this order: whoever waits for its own share keeps nobody else's waiting for what is large.
        let large = match weight >= LARGE {
            true => Some(Arc::clone(&self.large).acquire_owned().await.ok()?),
            false => None,
        };
        let place = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Worker { _place: place, _large: large, _share: share })
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        self.most.saturating_sub(self.all.available_permits())
    }

    fn share(self: &Arc<Self>, client: ClientAddr) -> Share {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        let places = by.entry(client).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Share { workers: Arc::clone(self), client, places: Arc::clone(places), taken: None }
    }
}

/// One who waits for, or has, one of an address's places.
#[derive(Debug)]
struct Share {
    workers: Arc<Workers>,
    client: ClientAddr,
    places: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut by = self.workers.by.lock().unwrap_or_else(PoisonError::into_inner);
        // A permit has a share of the semaphore, too.
        drop(self.taken.take());
        // The map's own, and this one's: nobody else waits or works.
        if Arc::strong_count(&self.places) == 2 {
            by.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn client(last: u8) -> ClientAddr {
        ClientAddr::of([10, 0, 0, last].into())
    }

    #[test]
    fn one_address_takes_half_and_others_are_served_meanwhile() {
        let workers = Workers::new(4);
        let at_once = |last| workers.take(client(last), 0).now_or_never();
        let one = [at_once(1), at_once(1)].map(Option::unwrap);
        assert!(at_once(1).is_none(), "more than half");
        let mut waiting = Box::pin(workers.take(client(1), 0));
        assert!(waiting.as_mut().now_or_never().is_none());
        let others = [at_once(2), at_once(3)].map(Option::unwrap);
        assert!(at_once(4).is_none(), "more than there are");
        drop(one);
        assert!(waiting.now_or_never().is_some(), "who waited is next");
        drop(others);
        assert!(workers.by.lock().unwrap().is_empty(), "all was given back");
    }
}
