//! What all sagas of a receiver have staged at once, and who holds how much of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ibgib::TjpAddr;
use crate::sync::error::SyncError;

/// A bound on everything that is staged at once (docs/protocol.md, section 5, "Quotas").
///
/// An identity holds at most as much as it leaves free. So a single one holds half of it at most,
/// and whoever comes next finds a part of the rest.
#[derive(Debug, Clone)]
pub struct StagingQuota {
    most: u64,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    all: u64,
    by: HashMap<TjpAddr, Arc<AtomicU64>>,
}

impl StagingQuota {
    /// Nothing staged yet, of `most` bytes.
    pub fn new(most: u64) -> StagingQuota {
        StagingQuota { most, held: Arc::default() }
    }

    /// How many bytes are staged.
    pub fn bytes(&self) -> u64 {
        self.lock().all
    }

    /// The share of a saga of `identity`, nothing yet.
    pub fn share(&self, identity: &TjpAddr) -> StagedShare {
        let of_identity = Arc::clone(self.lock().by.entry(identity.clone()).or_default());
        StagedShare { staging: self.clone(), identity: identity.clone(), of_identity, bytes: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one saga has staged; given back when dropped.
#[derive(Debug)]
pub struct StagedShare {
    staging: StagingQuota,
    identity: TjpAddr,
    /// What all sagas of the identity have staged; changes under the lock only.
    of_identity: Arc<AtomicU64>,
    bytes: u64,
}

impl StagedShare {
    /// Takes more. Errors with [`SyncError::Staged`] where others hold what it needs, and with
    /// [`SyncError::OwnStaged`] where the saga would never get as much.
    pub fn take(&mut self, bytes: u64) -> Result<(), SyncError> {
        let most = self.staging.most;
        if self.bytes.saturating_add(bytes) > most / 2 {
            return Err(SyncError::OwnStaged { most: most / 2 });
        }
        let mut held = self.staging.lock();
        let mine = self.of_identity.load(Ordering::Relaxed) + bytes;
        let all = held.all + bytes;
        if all > most || mine > most - all {
            return Err(SyncError::Staged { most });
        }
        held.all = all;
        self.of_identity.store(mine, Ordering::Relaxed);
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for StagedShare {
    fn drop(&mut self) {
        let mut held = self.staging.lock();
        held.all = held.all.saturating_sub(self.bytes);
        self.of_identity.fetch_sub(self.bytes, Ordering::Relaxed);
        // The map's own, and this one.
        if Arc::strong_count(&self.of_identity) == 2 {
            held.by.remove(&self.identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(name: &str) -> TjpAddr {
        let hash = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";
        TjpAddr::parse(&format!("{name}^{hash}")).unwrap()
    }

    #[test]
    fn an_identity_holds_at_most_what_it_leaves_free() {
        let staging = StagingQuota::new(1000);
        let (mut first, mut again) = (staging.share(&addr("a")), staging.share(&addr("a")));
        first.take(300).unwrap();
        again.take(200).unwrap();
        for share in [&mut first, &mut again] {
            assert!(matches!(share.take(1), Err(SyncError::Staged { most: 1000 })));
        }
        let mut others: Vec<StagedShare> = Vec::new();
        for (name, most) in [("b", 250), ("c", 125), ("d", 62)] {
            let mut share = staging.share(&addr(name));
            share.take(most).unwrap();
            assert!(share.take(1).is_err(), "{name}");
            others.push(share);
        }
        assert_eq!(staging.bytes(), 937);
        drop(others);
        drop(again);
        assert_eq!(staging.bytes(), 300);
        first.take(200).unwrap();
        assert!(
            matches!(first.take(1), Err(SyncError::OwnStaged { most: 500 })),
            "it alone is too large"
        );
        drop(first);
        assert_eq!(staging.bytes(), 0);
        assert!(staging.lock().by.is_empty());
    }
}
