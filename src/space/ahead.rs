//! Preparing what is put on another thread than the one that stores it.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, JoinHandle};

/// How many items, and how many bytes of them, are handed over at once.
const HANDED: (usize, usize) = (64, 256 << 10);
/// How many of these wait for whoever takes them.
const WAITING: usize = 2;

/// Makes items on a thread of its own, a little ahead of whoever takes them: with two cores texts are
/// parsed and hashed beside the put that stores them. `bytes` tells an item's size, which bounds how
/// many are made ahead.
///
/// Where this is dropped before the end, the thread ends with the item that it makes. A panic of
/// `make` is one of whoever takes the next item: nothing ends early without an error. Errors where no
/// thread can be had.
pub fn ahead<T: Send + 'static>(
    make: impl Iterator<Item = T> + Send + 'static,
    bytes: fn(&T) -> usize,
) -> std::io::Result<Ahead<T>> {
    let (to, made) = sync_channel(WAITING);
    let thread = Builder::new().name("prepare".into()).spawn(move || {
        let (mut items, mut sum) = (Vec::new(), 0);
        for item in make {
            sum += bytes(&item);
            items.push(item);
            let (most_items, most_bytes) = HANDED;
            if items.len() >= most_items || sum >= most_bytes {
                sum = 0;
                if to.send(std::mem::take(&mut items)).is_err() {
                    return;
                }
            }
        }
        // Whoever would take it is gone where this fails.
        let _ = to.send(items);
    })?;
    Ok(Ahead { items: Vec::new().into_iter(), made, thread: Some(thread) })
}

/// Items that another thread makes; see [`ahead`].
#[derive(Debug)]
pub struct Ahead<T> {
    items: std::vec::IntoIter<T>,
    made: Receiver<Vec<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T> Iterator for Ahead<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            match self.made.recv() {
                Ok(items) => self.items = items.into_iter(),
                Err(_) => {
                    if let Err(panicked) = self.thread.take()?.join() {
                        resume_unwind(panicked);
                    }
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_comes_in_its_order_to_the_end() {
        for count in [0, 1, 63, 64, 65, 1000] {
            let made: Vec<usize> = ahead(0..count, |_| 1).unwrap().collect();
            assert_eq!(made, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn no_more_is_made_ahead_than_may_wait() {
        let (made, seen) = std::sync::mpsc::channel();
        let make = std::iter::repeat_with(move || made.send(()).unwrap());
        let mut items = ahead(make, |()| 100 << 10).unwrap();
        items.next().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        // Three for 256 KiB, as many times as wait, are taken from, and are about to be handed over.
        assert!(seen.try_iter().count() <= 3 * (WAITING + 2));
    }

    #[test]
    #[should_panic(expected = "the seventh")]
    fn a_panic_is_no_end() {
        let make = (0..10).inspect(|i| assert!(*i != 7, "the seventh"));
        ahead(make, |_| 1 << 20).unwrap().for_each(drop);
    }
}
