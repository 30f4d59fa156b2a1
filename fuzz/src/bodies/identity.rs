//! An identity as a server gives it, page by page and line by line.

use std::cell::RefCell;
use std::collections::VecDeque;

use sync_gib::ibgib::{Addr, IbGib, TjpAddr, json as js};
use sync_gib::keystone;
use sync_gib::peer::link::EachFrame;
use sync_gib::peer::wire::Latest;
use sync_gib::peer::{Observer, PeerError, ReceiverLink, identity};
use sync_gib::space::{MemorySpace, RowId, Space, SpaceExt};
use sync_gib::sync::{Capabilities, Sender};

use super::super::edit::{edit, rehash};
use super::super::fixtures::Keystones;
use super::super::input::Input;

/// Reads an identity off a server that says anything: what is stored of it follows what is here,
/// each step as its signer made it.
pub(super) fn read(input: &mut Input<'_>) {
    let Keystones { identity: frames, .. } = Keystones::get();
    let domain = TjpAddr::from(frames[0].addr().unwrap());
    let space = MemorySpace::new();
    space.put_all(&frames[..input.below(3)]).unwrap();
    let pages = Pages::new(input);
    let _ = identity::fetch(&space, &pages, &domain);
    let held = usize::try_from(space.count().unwrap().ibgibs).unwrap();
    assert_eq!(space.tip(&domain).unwrap().is_some(), held > 0);
    for (at, id) in (1..).take(held).enumerate() {
        let frame = space.get_id(RowId::from(id)).unwrap();
        let proof = keystone::proof_of(&frame).expect("it was validated");
        let signed = keystone::proof_of(&frames[at.min(frames.len() - 1)]).unwrap();
        let values = |proof: Option<keystone::Proof>| -> Vec<String> {
            proof.into_iter().flat_map(|proof| proof.solutions).map(|one| one.value).collect()
        };
        assert_eq!(values(proof), values(signed), "a frame that nobody signed was stored");
    }
}

/// A server that knows what the input gave it.
struct Pages(RefCell<VecDeque<Vec<IbGib>>>);

impl Pages {
    /// Pages of frames, most of which are the fixture's, in whatever order and with changes.
    fn new(input: &mut Input<'_>) -> Pages {
        let Keystones { identity: frames, .. } = Keystones::get();
        let mut pages = VecDeque::new();
        for _ in 0..=input.below(4) {
            let mut page = Vec::new();
            for _ in 0..input.below(6) {
                let act = input.byte();
                let mut value = frames[usize::from(act & 3) % frames.len()].to_value();
                if act & 4 != 0 {
                    edit(&mut value, input);
                }
                if act & 8 != 0 {
                    rehash(&mut value);
                }
                page.extend(keystone::read_frame(&js::stringify(&value)));
            }
            pages.push_back(page);
        }
        Pages(RefCell::new(pages))
    }
}

fn unasked<T>() -> Result<T, PeerError> {
    Err(PeerError::Url("nobody asks for this".to_owned()))
}

impl ReceiverLink for Pages {
    fn common(&self) -> Result<Capabilities, PeerError> {
        Ok(Capabilities::default())
    }

    fn identity(
        &self,
        _domain: &TjpAddr,
        _after: Option<&Addr>,
        each: &mut EachFrame<'_>,
    ) -> Result<(), PeerError> {
        for frame in self.0.borrow_mut().pop_front().unwrap_or_default() {
            if each(frame)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn register(&self, _genesis: &IbGib) -> Result<(), PeerError> {
        unasked()
    }

    fn evolve(&self, _: &TjpAddr, _frames: &[&IbGib], _session: &IbGib) -> Result<(), PeerError> {
        unasked()
    }

    fn revoke(&self, _domain: &TjpAddr, _frames: &[&IbGib]) -> Result<(), PeerError> {
        unasked()
    }

    fn renew(&self, _domain: &TjpAddr, _frames: &[&IbGib]) -> Result<(), PeerError> {
        unasked()
    }

    fn run_session(&self, _: &mut Sender<'_>, _: &mut dyn Observer) -> Result<(), PeerError> {
        unasked()
    }

    fn latest(&self, _: &TjpAddr, _tjp: &TjpAddr, _: &str) -> Result<Option<Latest>, PeerError> {
        unasked()
    }

    fn graph(
        &self,
        _domain: &TjpAddr,
        _addr: &Addr,
        _live: bool,
        _token: &str,
        _each: &mut dyn FnMut(&str) -> Result<(), PeerError>,
    ) -> Result<bool, PeerError> {
        unasked()
    }
}
