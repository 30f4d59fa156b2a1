//! What a world remembers: what was made, sent, signed and acknowledged, and what broke.

use super::device::Device;
use super::invariants;
use super::world::World;
use crate::ibgib::{Addr, IbGib, TjpAddr};
use crate::space::{Prepared, Purpose};
use crate::sync::msg::Msg;

/// How many old requests and sessions somebody remembers, to say them again.
const REMEMBERED: usize = 16;

impl World {
    pub(super) fn keep_request(&self, what: &str, domain: &TjpAddr, body: String) {
        let mut requests = self.requests.borrow_mut();
        if requests.len() >= REMEMBERED {
            requests.remove(0);
        }
        requests.push((what.to_owned(), domain.clone(), body));
    }

    pub(super) fn keep_session(&self, texts: Vec<String>) {
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= REMEMBERED {
            sessions.remove(0);
        }
        sessions.push(texts);
    }

    /// Notes what a device made.
    pub(super) fn note_made(&self, person: usize, ibgibs: &[IbGib]) {
        let mut made = self.made.borrow_mut();
        made[person].extend(ibgibs.iter().filter_map(|ibgib| ibgib.addr().ok()));
    }

    /// Notes what a device sends, before anybody could change it.
    pub(super) fn note_sent(&self, device: &Device, msg: &Msg) {
        if let Msg::Payload { ibgibs } = msg {
            let prepared = ibgibs.iter().filter_map(|text| Prepared::from_json(text).ok());
            self.made.borrow_mut()[device.person].extend(prepared.map(|item| item.addr().clone()));
        }
    }

    /// Notes a proof that leaves a home: the only one of its frame, unless the home was restored.
    pub(super) fn note_proof(&self, device: &Device, step: &IbGib, purpose: Purpose) {
        let prev = step.prev().and_then(|prev| Addr::parse(prev).ok());
        let (Some(on), Ok(addr)) = (prev, step.addr()) else { return };
        let purpose = match purpose {
            Purpose::Session => "session",
            Purpose::Revocation => "revocation",
            Purpose::Renewal => "renewal",
            Purpose::Recovery => "recovery",
        };
        let key = (device.name.clone(), device.restored.get(), purpose, on.clone());
        let first = self.proofs.borrow_mut().entry(key).or_insert_with(|| addr.clone()).clone();
        if first != addr {
            let detail = format!("{} signed {first} and {addr} on {on}", device.name);
            self.note_broken(invariants::ONE_PROOF, detail);
        }
        let before = (device.name.clone(), device.restored.get().wrapping_sub(1), purpose, on);
        if self.proofs.borrow().get(&before).is_some_and(|other| *other != addr) {
            self.trace.line(format_args!(
                "excepted: the restored home of {} signs a second proof of one frame",
                device.name
            ));
        }
    }

    pub(super) fn note_acknowledged(
        &self,
        domain: &TjpAddr,
        addrs: impl IntoIterator<Item = Addr>,
    ) {
        let all = addrs.into_iter().map(|addr| (domain.clone(), addr));
        self.acknowledged.borrow_mut().extend(all);
    }

    /// Notes an invariant that does not hold; the first one stays.
    pub(super) fn note_broken(&self, invariant: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        self.trace.line(format_args!("BROKEN: {invariant}: {detail}"));
        self.broken.borrow_mut().get_or_insert((invariant, detail));
    }

    pub(super) fn broken(&self) -> Option<(&'static str, String)> {
        self.broken.borrow().clone()
    }
}
