//! Another process of a home edits a timeline while a sync has stated it and is not answered yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::cell::RefCell;

use common::{Device, receiver};
use serde_json::{Value, json};
use sync_gib::ibgib::{Addr, IbGib};
use sync_gib::peer::link::EachFrame;
use sync_gib::peer::wire::Latest;
use sync_gib::peer::{InProcess, Link, Observer, PeerError};
use sync_gib::sync::msg::Msg;
use sync_gib::sync::{AdmitAll, Machine, Receiver, ReceiverOpts, Sender, SyncError};

/// A link on whose way something is done once, right after the first turn is made.
struct Meanwhile<'a> {
    link: &'a InProcess,
    dir: std::path::PathBuf,
    deed: RefCell<Option<Box<dyn FnOnce() + 'a>>>,
}

impl Link for Meanwhile<'_> {
    fn register(&self, genesis: &IbGib) -> Result<(), PeerError> {
        self.link.register(genesis)
    }

    fn evolve(&self, domain: &Addr, frames: &[&IbGib], session: &IbGib) -> Result<(), PeerError> {
        self.link.evolve(domain, frames, session)
    }

    fn revoke(&self, domain: &Addr, frames: &[&IbGib]) -> Result<(), PeerError> {
        self.link.revoke(domain, frames)
    }

    fn identity(
        &self,
        domain: &Addr,
        after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError> {
        self.link.identity(domain, after, each)
    }

    fn run_session(
        &self,
        sender: &mut Sender<'_>,
        _observer: &mut dyn Observer,
    ) -> Result<(), PeerError> {
        let opts = ReceiverOpts::new(self.dir.clone());
        let domain = sender.domain().clone();
        let mut receiver = Receiver::new(self.link.dest(), domain, &AdmitAll, opts);
        let refused = |error: SyncError| SyncError::Refused(error.refusal());
        while !sender.is_done() {
            while let Some(msg) = sender.next()? {
                if matches!(msg, Msg::Request(_))
                    && let Some(deed) = self.deed.borrow_mut().take()
                {
                    deed();
                }
                receiver.handle(msg).map_err(refused)?;
            }
            if let Some(msg) = receiver.next().map_err(refused)? {
                sender.handle(msg)?;
            }
        }
        Ok(())
    }

    fn latest(&self, domain: &Addr, tjp: &Addr, token: &str) -> Result<Option<Latest>, PeerError> {
        self.link.latest(domain, tjp, token)
    }

    fn graph(
        &self,
        domain: &Addr,
        addr: &Addr,
        live: bool,
        token: &str,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        self.link.graph(domain, addr, live, token, each)
    }
}

#[test]
fn an_edit_while_the_receiver_answers_that_it_is_ahead_is_merged() {
    let one = Device::new();
    let (dir, link) = receiver(&one.identity.domain);
    link.register(&one.genesis).unwrap();
    let x = one.new_timeline("x", json!({"hello": "world"}));
    one.sync(&link).unwrap();
    let two = Device::with(one.genesis.clone());
    two.sync(&link).unwrap();
    two.edit(&x, json!({"there": 1}));
    two.sync(&link).unwrap();

    let deed = || drop(one.edit(&x, json!({"here": 1})));
    let deed: RefCell<Option<Box<dyn FnOnce()>>> = RefCell::new(Some(Box::new(deed)));
    let meanwhile = Meanwhile { link: &link, dir: dir.path().to_owned(), deed };
    let synced = one.sync(&meanwhile).unwrap();
    assert_eq!(synced.tries, 2);
    let tip = one.tip(&x);
    let of = |key: &str| tip.datum(key).and_then(Value::as_u64);
    assert_eq!((of("here"), of("there")), (Some(1), Some(1)));
    two.sync(&link).unwrap();
    assert_eq!(two.tip(&x), tip);
}
