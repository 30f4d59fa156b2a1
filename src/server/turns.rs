//! Whose turn it is among the devices of one identity (docs/protocol.md, section 6).
//!
//! Two sagas of one identity that run at once are a race for the same tips, which one of them
//! loses. So the answer to an evolution waits for the sagas that were established before, for a
//! while: who comes first goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};
use tokio::time::{sleep, timeout};

use crate::ibgib::Addr;

/// How long a saga keeps the next one waiting at most, from its establishing on.
const TURN: Duration = Duration::from_secs(3);
/// How long one waits at most; then it runs beside the others.
const PATIENCE: Duration = Duration::from_secs(45);

/// A queue for each identity whose devices sync at the moment.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<Addr, Arc<Queue<()>>>,
    /// By session.
    running: HashMap<Addr, OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until the sessions of `identity` that came before are done, or long enough; then it is
    /// the turn of `session`, until [`Turns::done`], or for long enough.
    pub(super) async fn wait(self: &Arc<Self>, identity: &Addr, session: &Addr) {
        let queue = Arc::clone(self.lock().queues.entry(identity.clone()).or_default());
        let Ok(turn) = timeout(PATIENCE, queue.lock_owned()).await else { return };
        self.lock().running.insert(session.clone(), turn);
        let (turns, session) = (Arc::clone(self), session.clone());
        tokio::spawn(async move {
            sleep(TURN).await;
            turns.done(&session);
        });
    }

    /// A session is over.
    pub(super) fn done(&self, session: &Addr) {
        let mut state = self.lock();
        state.running.remove(session);
        // Whoever waits or runs has a share of the queue.
        state.queues.retain(|_, queue| Arc::strong_count(queue) > 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(name: &str) -> Addr {
        let hash = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";
        Addr::parse(&format!("{name}^{hash}")).unwrap()
    }

    #[tokio::test]
    async fn who_comes_first_goes_first_and_other_identities_do_not_wait() {
        let turns = Arc::new(Turns::default());
        turns.wait(&addr("i"), &addr("s1")).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = ["s2", "s3"]
            .map(|name| {
                let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
                tokio::spawn(async move {
                    turns.wait(&addr("i"), &addr(name)).await;
                    order.lock().unwrap().push(name);
                    turns.done(&addr(name));
                })
            })
            .into();
        turns.wait(&addr("j"), &addr("other")).await;
        tokio::task::yield_now().await;
        assert!(order.lock().unwrap().is_empty());
        turns.done(&addr("s1"));
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["s2", "s3"]);
        turns.done(&addr("other"));
        assert!(turns.lock().queues.is_empty() && turns.lock().running.is_empty());
    }
}
