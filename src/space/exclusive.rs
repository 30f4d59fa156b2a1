//! A lock that a thread cannot wait for while it holds it itself.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::SpaceError;

/// The number of no thread.
const NOBODY: u64 = 0;

/// What one thread uses at a time. Others wait for it; one that has it and asks for it again, as a
/// batch does that reads the space it is put into, gets an error where a mutex would wait forever.
#[derive(Debug)]
pub(super) struct Exclusive<T> {
    value: Mutex<T>,
    holder: AtomicU64,
}

impl<T> Exclusive<T> {
    pub fn new(value: T) -> Exclusive<T> {
        Exclusive { value: Mutex::new(value), holder: AtomicU64::new(NOBODY) }
    }

    /// Waits for the value. Errors with [`SpaceError::InUse`] where this thread has it.
    pub fn lock(&self) -> Result<Locked<'_, T>, SpaceError> {
        let me = this_thread();
        // Only this thread ever writes its number there, and takes it away again before it lets go.
        if self.holder.load(Ordering::Relaxed) == me {
            return Err(SpaceError::InUse);
        }
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        self.holder.store(me, Ordering::Relaxed);
        Ok(Locked { value, holder: &self.holder })
    }
}

impl<T: Default> Default for Exclusive<T> {
    fn default() -> Exclusive<T> {
        Exclusive::new(T::default())
    }
}

/// The value of an [`Exclusive`], for as long as this lives.
pub(super) struct Locked<'a, T> {
    value: MutexGuard<'a, T>,
    holder: &'a AtomicU64,
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        self.holder.store(NOBODY, Ordering::Relaxed);
    }
}

/// This thread's number in this process.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(NOBODY + 1);
    thread_local!(static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed));
    NUMBER.with(|number| *number)
}
