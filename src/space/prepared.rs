//! An ibGib made ready for a put: validated, hashed and written once.

use std::borrow::Borrow;
use std::collections::HashSet;

use crate::ibgib::transform::is_dna;
use crate::ibgib::{Addr, AddrKey, IbGib, IbGibError, MAX_IBGIB_BYTES, Valid};

use super::{TimelineKind, relations};
use crate::keystone::KEYSTONE;

/// Up to how many addresses are compared one by one before a set is made of them.
const FEW: usize = 16;

/// One ibGib that was validated and hashed, with what a put needs of it, so that nothing is
/// parsed twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    pub(super) addr: Addr,
    /// What it is looked up by.
    pub(super) key: AddrKey,
    /// Its normal form as JSON, what a space stores.
    pub(super) text: Box<str>,
    /// `data.n` where it is a whole number of at least zero.
    pub(super) n: Option<u64>,
    /// Whether it begins a timeline.
    pub(super) is_tjp: bool,
    /// Whether it records a transform.
    pub(super) is_dna: bool,
    /// What it relates to, each once, in order, primitives left out.
    pub(super) rel8ds: Vec<AddrKey>,
    /// Whether it was validated as a keystone's frame already, against the frame before.
    pub(super) is_valid_step: bool,
    /// Which of `rel8ds` is the tjp of its timeline; none for a tjp and for a stone.
    pub(super) tjp: Option<u32>,
    /// Which of `rel8ds` it was made from: the last of `past`.
    pub(super) prev: Option<u32>,
    /// Which of `rel8ds` is the tip that it grafted: the last of `graftorphan`.
    pub(super) orphan: Option<u32>,
}

impl Prepared {
    /// Validates an ibGib and takes out what a put needs.
    ///
    /// Errors where [`IbGib::validate`] refuses it or its JSON is too large.
    pub fn new(ibgib: &IbGib) -> Result<Prepared, IbGibError> {
        Prepared::of(&Valid::check(ibgib)?)
    }

    /// Takes out what a put needs of an ibGib whose gib is known to be right.
    ///
    /// Errors where its JSON is too large.
    pub fn of<T: Borrow<IbGib>>(ibgib: &Valid<T>) -> Result<Prepared, IbGibError> {
        let addr = ibgib.addr().clone();
        let text = ibgib.to_json();
        if text.len() > MAX_IBGIB_BYTES {
            return Err(IbGibError::TooLarge(text.len()));
        }
        let mut rel8ds = Rel8ds::default();
        for rel8d in ibgib.rel8ds() {
            rel8ds.add(rel8d);
        }
        let is_tjp = ibgib.is_tjp();
        let tjp = if is_tjp { None } else { ibgib.rel8d("tjp").next_back() };
        Ok(Prepared {
            key: addr.key(),
            addr,
            text: text.into(),
            n: ibgib.n(),
            is_tjp,
            is_dna: is_dna(ibgib),
            is_valid_step: false,
            tjp: tjp.and_then(|tjp| rel8ds.index(tjp)),
            prev: ibgib.prev().and_then(|prev| rel8ds.index(prev)),
            orphan: ibgib.rel8d("graftorphan").next_back().and_then(|addr| rel8ds.index(addr)),
            rel8ds: rel8ds.keys,
        })
    }

    /// Reads an ibGib from JSON and prepares it.
    pub fn from_json(text: &str) -> Result<Prepared, IbGibError> {
        Prepared::new(&IbGib::from_json(text)?)
    }

    /// The same, of a keystone's frame that was validated against the very frame that its `past`
    /// names, or as a genesis: a put does not do it again.
    pub(crate) fn with_valid_step(mut self) -> Prepared {
        self.is_valid_step = true;
        self
    }

    /// Its address.
    pub fn addr(&self) -> &Addr {
        &self.addr
    }

    /// What it is looked up by.
    pub fn key(&self) -> AddrKey {
        self.key
    }

    /// Its normal form as JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its normal form as JSON, alone.
    pub fn into_text(self) -> Box<str> {
        self.text
    }

    /// The key of the timeline's tjp, its own where it is the tjp; none for a stone.
    pub fn tjp(&self) -> Option<AddrKey> {
        if self.is_tjp { Some(self.key) } else { self.rel8d_at(self.tjp) }
    }

    /// The key of the frame that it was made from.
    pub fn prev(&self) -> Option<AddrKey> {
        self.rel8d_at(self.prev)
    }

    /// The key of the orphaned tip that it grafted.
    pub fn orphan(&self) -> Option<AddrKey> {
        self.rel8d_at(self.orphan)
    }

    /// Whether it belongs to no timeline.
    pub fn is_stone(&self) -> bool {
        !self.is_tjp && self.tjp.is_none()
    }

    /// Which kind of timeline begins with it, were it a tjp.
    pub fn kind(&self) -> TimelineKind {
        TimelineKind::of_ib(self.addr.ib())
    }

    /// Whether its ib is that of a keystone.
    pub fn is_keystone(&self) -> bool {
        self.addr.ib() == KEYSTONE
    }

    /// The address of an entry of `rel8ds`; read from the text, for errors only.
    pub(super) fn rel8d_addr(&self, index: usize) -> Option<Addr> {
        relations::rel8ds(&self.text).ok()?.into_iter().nth(index)
    }

    fn rel8d_at(&self, index: Option<u32>) -> Option<AddrKey> {
        self.rel8ds.get(usize::try_from(index?).ok()?).copied()
    }
}

/// Collects addresses' keys, each once.
///
/// Not an `IndexMap` by text, which hashes every address: for five relations that takes 330 ns
/// instead of 80, and this is done for every ibGib that arrives.
#[derive(Default)]
struct Rel8ds<'a> {
    keys: Vec<AddrKey>,
    texts: Vec<&'a str>,
    seen: HashSet<&'a str>,
}

impl<'a> Rel8ds<'a> {
    fn add(&mut self, text: &'a str) {
        let known = if self.texts.len() < FEW {
            self.texts.contains(&text)
        } else {
            if self.seen.is_empty() {
                self.seen.extend(&self.texts);
            }
            !self.seen.insert(text)
        };
        if known {
            return;
        }
        if let Ok(addr) = Addr::parse(text)
            && !addr.is_primitive()
        {
            self.keys.push(addr.key());
            self.texts.push(text);
        }
    }

    fn index(&self, text: &str) -> Option<u32> {
        let at = self.texts.iter().rposition(|known| *known == text)?;
        u32::try_from(at).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::ibgib::Rel8ns;

    fn stone(i: u64) -> IbGib {
        IbGib::new("stone".into(), Some(json!({ "i": i })), None).unwrap()
    }

    fn address(ibgib: &IbGib) -> Value {
        Value::from(ibgib.addr().unwrap().as_str())
    }

    #[test]
    fn relations_are_told_once_and_primitives_are_left_out() {
        let (a, b) = (address(&stone(1)), address(&stone(2)));
        let mut rel8ns = Rel8ns::new();
        rel8ns.insert("ancestor".into(), json!(["fork^gib"]));
        rel8ns.insert("past".into(), json!([a, b]));
        rel8ns.insert("x".into(), json!([b, a]));
        let ibgib = IbGib::new("frame".into(), None, Some(rel8ns)).unwrap();
        let prepared = Prepared::new(&ibgib).unwrap();
        assert_eq!(prepared.rel8ds.len(), 2);
        assert_eq!(prepared.prev(), Some(stone(2).addr().unwrap().key()));
        assert!(prepared.is_dna && prepared.is_stone());
        assert_eq!(prepared.rel8d_addr(1), stone(2).addr().ok());
    }

    #[test]
    fn many_relations_are_told_once() {
        let mut list: Vec<Value> = (0..60).map(|i| address(&stone(i % 30))).collect();
        list.push(address(&stone(3)));
        let mut rel8ns: Rel8ns = Map::new();
        rel8ns.insert("past".into(), list.into());
        let ibgib = IbGib::new("frame".into(), None, Some(rel8ns)).unwrap();
        let prepared = Prepared::new(&ibgib).unwrap();
        assert_eq!(prepared.rel8ds.len(), 30);
        assert_eq!(prepared.prev(), Some(stone(3).addr().unwrap().key()));
    }

    #[test]
    fn a_false_gib_is_refused() {
        let mut ibgib = stone(1);
        ibgib.data = Some(json!({ "i": 2 }));
        assert!(matches!(Prepared::new(&ibgib), Err(IbGibError::WrongGib { .. })));
    }
}
