//! Another process of a home edits a timeline while a sync has stated it and is not answered yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::cell::RefCell;

use common::{Device, receiver};
use serde_json::{Value, json};
use sync_gib::ibgib::{Addr, IbGib, TjpAddr};
use sync_gib::peer::link::EachFrame;
use sync_gib::peer::wire::Latest;
use sync_gib::peer::{InProcess, Observer, PeerError, ReceiverLink, Synced};
use sync_gib::space::Space;
use sync_gib::sync::msg::Msg;
use sync_gib::sync::{
    AdmitAll, Capabilities, Machine, Receiver, ReceiverOpts, Sender, SenderOpts, SyncError,
};
use tempfile::TempDir;

/// A link on whose way something is done once, right after the first turn is made.
struct Meanwhile<'a> {
    link: &'a InProcess,
    dir: std::path::PathBuf,
    deed: RefCell<Option<Box<dyn FnOnce() + 'a>>>,
}

impl ReceiverLink for Meanwhile<'_> {
    fn common(&self) -> Result<Capabilities, PeerError> {
        self.link.common()
    }

    fn register(&self, genesis: &IbGib) -> Result<(), PeerError> {
        self.link.register(genesis)
    }

    fn evolve(
        &self,
        domain: &TjpAddr,
        frames: &[&IbGib],
        session: &IbGib,
    ) -> Result<(), PeerError> {
        self.link.evolve(domain, frames, session)
    }

    fn revoke(&self, domain: &TjpAddr, frames: &[&IbGib]) -> Result<(), PeerError> {
        self.link.revoke(domain, frames)
    }

    fn identity(
        &self,
        domain: &TjpAddr,
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

    fn latest(
        &self,
        domain: &TjpAddr,
        tjp: &TjpAddr,
        token: &str,
    ) -> Result<Option<Latest>, PeerError> {
        self.link.latest(domain, tjp, token)
    }

    fn graph(
        &self,
        domain: &TjpAddr,
        addr: &Addr,
        live: bool,
        token: &str,
        each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        self.link.graph(domain, addr, live, token, each)
    }
}

/// Syncs a device, and does something once while its first turn is on its way.
fn sync_with_deed<'a>(
    device: &'a Device,
    (dir, link): (&'a TempDir, &'a InProcess),
    opts: &SenderOpts,
    deed: impl FnOnce() + 'a,
) -> Synced {
    let deed: RefCell<Option<Box<dyn FnOnce() + 'a>>> = RefCell::new(Some(Box::new(deed)));
    let meanwhile = Meanwhile { link, dir: dir.path().to_owned(), deed };
    device.sync_with(&meanwhile, opts).unwrap()
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

    let edit = || drop(one.edit(&x, json!({"here": 1})));
    let synced = sync_with_deed(&one, (&dir, &link), &one.opts(), edit);
    assert_eq!(synced.tries, 2);
    let tip = one.tip(&x);
    let of = |key: &str| tip.datum(key).and_then(Value::as_u64);
    assert_eq!((of("here"), of("there")), (Some(1), Some(1)));
    two.sync(&link).unwrap();
    assert_eq!(two.tip(&x), tip);
}

#[test]
fn a_timeline_that_is_related_to_a_new_one_after_it_was_stated_goes_up_with_it() {
    let one = Device::new();
    let (dir, link) = receiver(&one.identity.domain);
    link.register(&one.genesis).unwrap();
    let x = one.new_timeline("x", json!({"hello": "world"}));
    let opts = SenderOpts { roots: vec![x.clone().into()], ..one.opts() };

    let relate = || {
        let y = one.new_timeline("y", json!({"a": 1}));
        one.relate(&x, "linked", &y);
    };
    let synced = sync_with_deed(&one, (&dir, &link), &opts, relate);
    assert_eq!(synced.tries, 2);
    let there = link.dest().tip(&x).unwrap().unwrap().addr;
    assert_eq!(there, one.tip(&x).addr().unwrap());
}
