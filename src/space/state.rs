//! What a domain's data stands at, in one number: two sides that have the same one have the same data
//! (docs/protocol.md, section 5, "Nothing new").

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::rows::Rows;
use super::{RowId, SpaceError, TimelineKind};
use crate::ibgib::AddrKey;
use crate::ibgib::addr::lower_hex;

/// What is hashed before a timeline's tjp and tip.
const TIMELINE: &[u8] = b"sync-gib state timeline\n";
/// What is hashed before a stone.
const STONE: &[u8] = b"sync-gib state stone\n";
/// How many timelines or stones are read at a time.
const PAGE: usize = 1000;

/// The sum, modulo 2^256, of a hash over each data timeline's tjp and tip and of one over each stone
/// that nothing relates to: what a sync of everything states. It follows from what is there alone, so
/// an older file that is put back has its older digest.
///
/// As text it is 64 lowercase hex characters, the highest byte first.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct StateDigest([u8; 32]);

impl StateDigest {
    /// That of one timeline with this tjp and this tip.
    pub fn of_timeline(tjp: &AddrKey, tip: &AddrKey) -> StateDigest {
        let hash = Sha256::new().chain_update(TIMELINE).chain_update(tjp.0).chain_update(tip.0);
        StateDigest(hash.finalize().into())
    }

    /// That of one stone.
    pub fn of_stone(stone: &AddrKey) -> StateDigest {
        let hash = Sha256::new().chain_update(STONE).chain_update(stone.0);
        StateDigest(hash.finalize().into())
    }

    /// Adds what came.
    pub fn add(&mut self, other: &StateDigest) {
        let mut carry = 0;
        for (byte, other) in self.0.iter_mut().zip(&other.0).rev() {
            let sum = u16::from(*byte) + u16::from(*other) + carry;
            *byte = sum.to_be_bytes()[1];
            carry = sum >> 8;
        }
    }

    /// Takes away what is there no more.
    pub fn subtract(&mut self, other: &StateDigest) {
        // 2^256 less a number is its complement and one.
        let mut negative = StateDigest(other.0.map(|byte| !byte));
        let mut one = [0; 32];
        one[31] = 1;
        negative.add(&StateDigest(one));
        self.add(&negative);
    }

    /// Its bytes, the highest first.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest with these bytes.
    pub(super) fn from_bytes(bytes: [u8; 32]) -> StateDigest {
        StateDigest(bytes)
    }

    /// The digest that a text is; none for any other text.
    pub fn parse(text: &str) -> Option<StateDigest> {
        let mut bytes = [0; 32];
        let read = base16ct::lower::decode(text, &mut bytes).is_ok_and(|read| read.len() == 32);
        read.then_some(StateDigest(bytes))
    }
}

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lower_hex(&self.0))
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateDigest({self})")
    }
}

impl serde::Serialize for StateDigest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for StateDigest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<StateDigest, D::Error> {
        let text = String::deserialize(d)?;
        StateDigest::parse(&text).ok_or_else(|| serde::de::Error::custom("not a digest"))
    }
}

/// Where a domain's data stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DomainState {
    /// The digest of all of it.
    pub digest: StateDigest,
    /// How many timelines of data there are.
    pub timelines: u64,
}

impl DomainState {
    /// What follows from a change that a put made.
    pub(super) fn changed_by(mut self, change: &DomainState) -> DomainState {
        self.digest.add(&change.digest);
        self.timelines += change.timelines;
        self
    }
}

/// One of what a domain's digest is the sum of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateItem {
    /// What it adds to the sum.
    pub digest: StateDigest,
    /// The tjp of a data timeline, or a stone that nothing relates to.
    pub row: RowId,
    /// Whether it is a stone.
    pub is_stone: bool,
}

/// Works a domain's state out from its timelines and stones.
pub(super) fn compute(rows: &dyn Rows) -> Result<DomainState, SpaceError> {
    let mut state = DomainState::default();
    each_item(rows, &mut |item| {
        state.digest.add(&item.digest);
        state.timelines += u64::from(!item.is_stone);
    })?;
    Ok(state)
}

/// Gives everything to `f` that a domain's digest is the sum of.
pub(super) fn each_item(rows: &dyn Rows, f: &mut dyn FnMut(StateItem)) -> Result<(), SpaceError> {
    let mut after = RowId::BEFORE_ALL;
    loop {
        let page = rows.timelines(TimelineKind::Data, after, PAGE)?;
        for timeline in &page {
            let (tjp, tip) = (key_of(rows, timeline.tjp_id)?, key_of(rows, timeline.tip_id)?);
            let digest = StateDigest::of_timeline(&tjp, &tip);
            f(StateItem { digest, row: timeline.tjp_id, is_stone: false });
        }
        match page.last() {
            Some(last) => after = next(rows, after, last.tjp_id)?,
            None => break,
        }
    }
    after = RowId::BEFORE_ALL;
    loop {
        let page = rows.unreferenced(after, PAGE)?;
        for stone in &page {
            let digest = StateDigest::of_stone(&key_of(rows, *stone)?);
            f(StateItem { digest, row: *stone, is_stone: true });
        }
        match page.last() {
            Some(last) => after = next(rows, after, *last)?,
            None => return Ok(()),
        }
    }
}

/// Where the next page begins; a damaged file may give rows in no order, again and again.
fn next(rows: &dyn Rows, after: RowId, last: RowId) -> Result<RowId, SpaceError> {
    match last > after {
        true => Ok(last),
        false => Err(rows.damaged(format!("ibGib number {last} comes after number {after}"))),
    }
}

/// What the address in a row is looked up by.
pub(super) fn key_of(rows: &dyn Rows, id: RowId) -> Result<AddrKey, SpaceError> {
    rows.keyed(id)?.map(|(_, key)| key).ok_or(SpaceError::NoSuchId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[(usize, u8)]) -> StateDigest {
        let mut all = [0; 32];
        for (at, byte) in bytes {
            all[*at] = *byte;
        }
        StateDigest(all)
    }

    #[test]
    fn sums_carry_and_wrap() {
        let mut sum = digest(&[(31, 255), (30, 255)]);
        sum.add(&digest(&[(31, 1)]));
        assert_eq!(sum, digest(&[(29, 1)]));
        let mut most = StateDigest([255; 32]);
        most.add(&digest(&[(31, 2)]));
        assert_eq!(most, digest(&[(31, 1)]));
        most.subtract(&digest(&[(31, 2)]));
        assert_eq!(most, StateDigest([255; 32]));
    }

    #[test]
    fn what_is_added_and_taken_away_in_any_order_leaves_nothing() {
        let keys = [AddrKey([1; 16]), AddrKey([2; 16])];
        let (a, b) =
            (StateDigest::of_timeline(&keys[0], &keys[1]), StateDigest::of_stone(&keys[0]));
        let mut sum = StateDigest::default();
        sum.subtract(&a);
        sum.add(&b);
        sum.add(&a);
        assert_eq!(sum, b);
        sum.subtract(&b);
        assert_eq!(sum, StateDigest::default());
        sum.subtract(&StateDigest::default());
        assert_eq!(sum, StateDigest::default());
    }

    #[test]
    fn a_timeline_is_no_stone_and_its_ends_do_not_change_places() {
        let (a, b) = (AddrKey([1; 16]), AddrKey([2; 16]));
        assert_ne!(StateDigest::of_timeline(&a, &b), StateDigest::of_timeline(&b, &a));
        assert_ne!(StateDigest::of_timeline(&a, &a), StateDigest::of_stone(&a));
    }

    #[test]
    fn its_text_reads_back_and_no_other_text_does() {
        let one = StateDigest::of_stone(&AddrKey([7; 16]));
        let text = one.to_string();
        assert_eq!(StateDigest::parse(&text), Some(one));
        for wrong in
            ["", "00", &text[1..], &text.to_uppercase(), &format!("{text}0"), &"g".repeat(64)]
        {
            assert_eq!(StateDigest::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_what_the_document_says() {
        let digest = StateDigest::of_stone(&AddrKey([0; 16]));
        let said = Sha256::digest([&b"sync-gib state stone\n"[..], &[0; 16]].concat());
        assert_eq!(digest.bytes()[..], said[..]);
    }
}
