//! Places, of which there are so many in all and so many for each of those who take them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Something that holds places.
pub(super) trait Holder: Clone + Eq + Hash {
    /// Whether it is so many at once that it is not held to one's share.
    fn is_many(&self) -> bool {
        false
    }
}

/// Places for sockets, answers, bytes of bodies.
///
/// Not tokio's `Semaphore`, as for the workers: nobody waits for these, and besides the one for all
/// it would take one for each taker, kept in the same map and dropped by the same care.
#[derive(Debug)]
pub(super) struct Places<K: Holder> {
    most: usize,
    each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    all: usize,
    by: HashMap<K, usize>,
}

impl<K: Holder> Taken<K> {
    fn give_back(&mut self, who: &K, count: usize) {
        self.all -= count;
        let own = self.by.get(who).copied().unwrap_or(0);
        if own > count {
            self.by.insert(who.clone(), own - count);
        } else {
            self.by.remove(who);
        }
    }
}

impl<K: Holder> Places<K> {
    /// So many places, of which one may take so many.
    pub(super) fn new(most: usize, each: usize) -> Arc<Places<K>> {
        let taken = Taken { all: 0, by: HashMap::new() };
        Arc::new(Places { most, each, taken: Mutex::new(taken) })
    }

    /// Takes `count` places; none where there are not so many left, in all or for `who`.
    pub(super) fn take(self: &Arc<Self>, who: &K, count: usize) -> Option<Place<K>> {
        let mut place = Place { places: Arc::clone(self), who: who.clone(), count: 0 };
        place.add(count).then_some(place)
    }

    /// Whether all are taken.
    pub(super) fn is_full(&self) -> bool {
        self.lock().all >= self.most
    }

    fn lock(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places that were taken, until this is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Holder> {
    places: Arc<Places<K>>,
    who: K,
    count: usize,
}

impl<K: Holder> Place<K> {
    /// Holds `count` of them at least; false where there are not so many left.
    pub(super) fn grow_to(&mut self, count: usize) -> bool {
        self.add(count.saturating_sub(self.count))
    }

    /// Gives back all but `count` of them.
    pub(super) fn shrink_to(&mut self, count: usize) {
        let mut taken = self.places.lock();
        taken.give_back(&self.who, self.count.saturating_sub(count));
        self.count = self.count.min(count);
    }

    /// Takes more of them; false where there are not so many left.
    pub(super) fn add(&mut self, more: usize) -> bool {
        let mut taken = self.places.lock();
        let own = taken.by.get(&self.who).copied().unwrap_or(0);
        let has_share = self.who.is_many() || own + more <= self.places.each;
        if !has_share || taken.all + more > self.places.most {
            return false;
        }
        if more > 0 {
            taken.all += more;
            taken.by.insert(self.who.clone(), own + more);
            self.count += more;
        }
        true
    }
}

impl<K: Holder> Drop for Place<K> {
    fn drop(&mut self) {
        self.places.lock().give_back(&self.who, self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Holder for &str {}

    #[test]
    fn nobody_takes_more_than_a_share_and_all_is_given_back() {
        let places = Places::new(5, 3);
        let mut one = places.take(&"a", 2).unwrap();
        assert!(one.add(1));
        assert!(!one.add(1), "more than a share");
        assert!(places.take(&"a", 1).is_none());
        let two = places.take(&"b", 2).unwrap();
        assert!(places.take(&"c", 1).is_none(), "more than there are");
        assert!(places.is_full());
        drop(one);
        assert!(places.take(&"a", 3).is_some());
        drop(two);
        let taken = places.lock();
        assert_eq!((taken.all, taken.by.len()), (0, 0));
    }
}
