//! The devices of one identity, one after the other (docs/protocol.md, section 6).
//!
//! Two sagas of one identity that run at once are a race for the same tips, which one of them
//! loses. So the answer to an evolution waits for the sagas that were established before, for a
//! while: who comes first goes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::{sleep, timeout};

use crate::ibgib::TjpAddr;

/// How long a session that is not entered keeps the next one waiting.
const ENTER: Duration = Duration::from_secs(1);
/// How long one that was entered does.
const HOLD: Duration = Duration::from_secs(3);
/// How long one waits at most; then it runs beside the others.
const MAX_WAIT: Duration = Duration::from_secs(45);

/// A queue for each identity whose devices sync at the moment.
#[derive(Debug, Default)]
pub(super) struct Queues {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queues: HashMap<TjpAddr, Arc<AsyncMutex<()>>>,
    running: HashMap<TjpAddr, Running>,
}

/// A session that others wait for.
#[derive(Debug)]
struct Running {
    _place: OwnedMutexGuard<()>,
    is_entered: bool,
}

impl Queues {
    /// Waits until the sessions of `identity` that came before have left, or long enough; then
    /// `session` is the one that others wait for, until it leaves, or for long enough.
    pub(super) async fn wait(self: &Arc<Self>, identity: &TjpAddr, session: &TjpAddr) {
        let queue = Arc::clone(self.lock().queues.entry(identity.clone()).or_default());
        let Ok(place) = timeout(MAX_WAIT, queue.lock_owned()).await else { return };
        let running = Running { _place: place, is_entered: false };
        self.lock().running.insert(session.clone(), running);
        let (queues, session) = (Arc::clone(self), session.clone());
        tokio::spawn(async move {
            sleep(ENTER).await;
            if queues.lock().running.get(&session).is_some_and(|running| running.is_entered) {
                sleep(HOLD).await;
            }
            queues.leave(&session);
        });
    }

    /// A session is over.
    pub(super) fn leave(&self, session: &TjpAddr) {
        let mut state = self.lock();
        state.running.remove(session);
        // Whoever waits or runs has a share of the queue.
        state.queues.retain(|_, queue| Arc::strong_count(queue) > 1);
    }

    /// Notes that a session is entered; it leaves when what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>, session: TjpAddr) -> QueuePlace {
        if let Some(running) = self.lock().running.get_mut(&session) {
            running.is_entered = true;
        }
        QueuePlace { queues: Arc::clone(self), session }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session that was entered, until this is dropped.
#[derive(Debug)]
pub(super) struct QueuePlace {
    queues: Arc<Queues>,
    session: TjpAddr,
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        self.queues.leave(&self.session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ibgib::System;

    fn addr(name: &str) -> TjpAddr {
        let hash = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55";
        TjpAddr::parse(&format!("{name}^{hash}")).unwrap()
    }

    #[tokio::test]
    async fn who_comes_first_goes_first_and_other_identities_do_not_wait() {
        let queues = Arc::new(Queues::default());
        queues.wait(&addr("i"), &addr("s1")).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = ["s2", "s3"]
            .map(|name| {
                let (queues, order) = (Arc::clone(&queues), Arc::clone(&order));
                tokio::spawn(async move {
                    queues.wait(&addr("i"), &addr(name)).await;
                    order.lock().unwrap().push(name);
                    queues.leave(&addr(name));
                })
            })
            .into();
        queues.wait(&addr("j"), &addr("other")).await;
        tokio::task::yield_now().await;
        assert!(order.lock().unwrap().is_empty());
        queues.leave(&addr("s1"));
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["s2", "s3"]);
        queues.leave(&addr("other"));
        assert!(queues.lock().queues.is_empty() && queues.lock().running.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_socket_that_merely_names_a_session_changes_nothing() {
        use futures_util::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::Message;

        use crate::keystone::{self, MasterSecret, presets};
        use crate::peer::wire;
        use crate::server::{Server, ServerOpts};
        use crate::sync::msg::{Msg, PROTOCOL};
        use crate::sync::{Quota, domain, establish};

        let dir = tempfile::tempdir().unwrap();
        let opts = ServerOpts::new(([127, 0, 0, 1], 0).into(), dir.path().join("server.db"));
        let server = Server::start(opts).await.unwrap();
        let secret = MasterSecret::from_raw("a".to_owned().into()).unwrap();
        let pools = presets::identity_pools(&System::new()).unwrap();
        let now = crate::ibgib::Moment::now;
        let genesis = keystone::genesis(&secret, &pools, None, &System::at(now())).unwrap();
        let domain = TjpAddr::from(genesis.addr().unwrap());
        let mut made = establish(&domain, &genesis, &secret, &System::at(now())).unwrap();
        let session = TjpAddr::from(made.session.addr().unwrap());
        {
            let space = server.shared.space(&domain).unwrap();
            let quota = Quota::default();
            domain::register(&*space, &genesis, &quota).unwrap();
            let frames = std::slice::from_ref(&made.identity);
            domain::evolve(&*space, &domain, frames, &made.session, &quota).unwrap();
            crate::server::Ledger::of(&space)
                .add_session(&session, &(&domain).into(), now().ms())
                .unwrap();
        }
        let queues = &server.shared.queues;
        let named = addr("named");
        let entered = |session: &TjpAddr| {
            queues.lock().running.get(session).map(|running| running.is_entered)
        };
        let url = server.url().replace("http", "ws") + wire::PATH_WS;
        for session in [&named, &session] {
            let (mut ws, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
            let (domain, session) = (domain.clone(), session.clone());
            // Others wait for it, however long this takes.
            let queue = Arc::new(AsyncMutex::new(()));
            let running = Running { _place: queue.lock_owned().await, is_entered: false };
            queues.lock().running.insert(session.clone(), running);
            let hello = Msg::Hello {
                protocol: PROTOCOL,
                domain,
                session: session.clone(),
                features: Default::default(),
            };
            ws.send(Message::text(wire::write(&hello))).await.unwrap();
            let said = ws.next().await.unwrap().unwrap().into_text().unwrap();
            assert_eq!(entered(&session), Some(false), "{said}");
            if let Msg::AuthChallenge { challenge_uuid, demanded_ids } = wire::read(&said).unwrap()
            {
                let proof =
                    made.signer.prove(&challenge_uuid, &demanded_ids, &System::at(now())).unwrap();
                let proof = Msg::AuthProof { keystone: proof };
                ws.send(Message::text(wire::write(&proof))).await.unwrap();
                let said = ws.next().await.unwrap().unwrap().into_text().unwrap();
                assert!(matches!(wire::read(&said).unwrap(), Msg::AuthOk { .. }), "{said}");
                while entered(&session) == Some(false) {
                    tokio::task::yield_now().await;
                }
            }
            drop(ws);
            while server.open_sockets() > 0 {
                tokio::task::yield_now().await;
            }
            let still = (session == named).then_some(false);
            assert_eq!(entered(&session), still, "once its socket is closed");
        }
        server.stop().await.unwrap();
    }
}
