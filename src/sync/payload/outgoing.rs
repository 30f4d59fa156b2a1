//! The side that provides: walks what the other may lack, asks where it cannot know, and sends
//! dependencies first.
//!
//! The frames of a timeline after the common one are lacking for certain. Whatever else they
//! relate to may be there already, brought by another timeline: its addresses are offered, and
//! what the other side has is neither sent nor walked any further, since a space holds closed
//! graphs only (docs/protocol.md, section 6).

use std::collections::{HashSet, VecDeque};

use super::chunk::Chunk;
use super::{PayloadHasher, Resumed};
use crate::space::{Prepared, RowId, Space};
use crate::sync::body::PayloadDigest;
use crate::sync::error::SyncError;
use crate::sync::msg::{Checkpoint, Msg};

/// Frames that are taken into one chunk.
const CHUNK: usize = 500;
/// Chunks that are asked about while an earlier one is sent.
const WINDOW: usize = 4;
/// Bytes of JSON in one batch.
const BATCH_BYTES: usize = 256 << 10;
/// IbGibs in one batch.
const BATCH_COUNT: usize = 1000;
/// Addresses in one offer.
const OFFER: usize = 1000;
/// Bytes of JSON that are held back at most for what the other side may have kept.
const MOST_HELD: usize = 8 << 20;
/// How far a chunk's questions look ahead at most.
const LONGEST_LOOK: usize = 2048;

/// The frames of a timeline that the other side lacks.
#[derive(Debug)]
pub struct Chain {
    /// The rows, oldest first.
    pub ids: Vec<RowId>,
    /// The frame before the first of them, which the other side has.
    pub common: Option<RowId>,
    /// The timeline's tjp, which is among them where nothing is common.
    pub tjp: RowId,
}

impl Chain {
    /// The frame that comes next.
    fn next(&self) -> Option<RowId> {
        self.ids.first().copied()
    }
}

/// A payload being provided.
///
/// It holds no space, so that one that waits keeps none open: the calls take the space that the
/// rows are of.
pub struct OutgoingPayload {
    chains: VecDeque<Chain>,
    stones: VecDeque<RowId>,
    extra: VecDeque<Prepared>,
    chunks: VecDeque<Chunk>,
    offers: VecDeque<Msg>,
    met: HashSet<RowId>,
    next_seq: u32,
    hasher: PayloadHasher,
    /// Whether the other side has no data at all, so that nothing of it is asked about.
    to_nothing: bool,
    /// Whether what came to the space later comes later.
    is_ordered: bool,
    /// Where the other side could go on, and what was walked since the last of these places.
    kept: VecDeque<Checkpoint>,
    held: VecDeque<RowId>,
    held_bytes: usize,
    resumed: Resumed,
}

impl OutgoingPayload {
    /// Provides chains, stones with all that they relate to, and last `extra`: ibGibs that are in
    /// no space yet and whose dependencies come before them.
    pub fn new(chains: Vec<Chain>, stones: Vec<RowId>, extra: Vec<Prepared>) -> OutgoingPayload {
        OutgoingPayload {
            chains: chains.into(),
            stones: stones.into(),
            extra: extra.into(),
            chunks: VecDeque::new(),
            offers: VecDeque::new(),
            met: HashSet::new(),
            next_seq: 0,
            hasher: PayloadHasher::default(),
            to_nothing: false,
            is_ordered: false,
            kept: VecDeque::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            resumed: Resumed::default(),
        }
    }

    /// The same, to a side that has no data at all where `has_nothing` is true.
    pub fn to_one_that(self, has_nothing: bool) -> OutgoingPayload {
        OutgoingPayload { to_nothing: has_nothing, ..self }
    }

    /// The same for the feature `resume`, to a side that kept this of an earlier payload: what is the
    /// same up to one of its places is not sent again (docs/protocol.md, section 6, "Resume"). What came
    /// to the space later comes later, so that a payload begins like one before it.
    pub fn resuming(mut self, kept: Vec<Checkpoint>) -> OutgoingPayload {
        self.chains.make_contiguous().sort_by_key(Chain::next);
        self.stones.make_contiguous().sort_unstable();
        OutgoingPayload { kept: kept.into(), is_ordered: true, ..self }
    }

    /// What was sent so far, or resumed.
    pub fn digest(&self) -> PayloadDigest {
        self.hasher.digest()
    }

    /// What of it the other side had kept.
    pub fn resumed(&self) -> Resumed {
        self.resumed
    }

    /// Whether everything was sent.
    pub fn is_done(&self) -> bool {
        self.chains.is_empty()
            && self.stones.is_empty()
            && self.extra.is_empty()
            && self.chunks.is_empty()
            && self.offers.is_empty()
            && self.held.is_empty()
    }

    /// The next message to send; none while an answer is awaited, or when all is sent.
    pub fn next_msg(&mut self, space: &dyn Space) -> Result<Option<Msg>, SyncError> {
        let _snapshot = space.snapshot()?;
        loop {
            if let Some(offer) = self.offers.pop_front() {
                return Ok(Some(offer));
            }
            let more = !self.chains.is_empty() || !self.stones.is_empty();
            if more && self.chunks.len() < WINDOW {
                self.open_chunk(space)?;
                continue;
            }
            if self.kept.is_empty() && !self.held.is_empty() {
                return Ok(Some(Msg::Payload { ibgibs: self.held_batch(space)? }));
            }
            match self.chunks.front() {
                Some(chunk) if !chunk.is_ready() => return Ok(None),
                Some(_) if !self.kept.is_empty() => {
                    if let Some(count) = self.compare(space)? {
                        return Ok(Some(Msg::Resume { count }));
                    }
                }
                Some(_) => match self.batch(space)? {
                    ibgibs if ibgibs.is_empty() => drop(self.chunks.pop_front()),
                    ibgibs => return Ok(Some(Msg::Payload { ibgibs })),
                },
                // What is in no space yet is not compared.
                None if !self.kept.is_empty() => self.kept.clear(),
                None => {
                    let ibgibs = self.extra_batch(space)?;
                    return Ok((!ibgibs.is_empty()).then_some(Msg::Payload { ibgibs }));
                }
            }
        }
    }

    /// Walks on through a chunk to the next place where the other side could go on. Returns how many
    /// ibGibs come before it, where these are what the other side kept.
    fn compare(&mut self, space: &dyn Space) -> Result<Option<u64>, SyncError> {
        while let Some(id) = self.chunks.front_mut().and_then(Chunk::next_row) {
            let text = space.text_to_send(id)?;
            self.hasher.add(&text);
            self.held.push_back(id);
            self.held_bytes += text.len();
            let Some(place) = self.kept.front() else { return Ok(None) };
            if self.hasher.count() == place.count && self.hasher.digest().digest == place.digest {
                let count = place.count;
                self.resumed = Resumed { ibgibs: count, bytes: self.hasher.bytes };
                self.kept.pop_front();
                self.held.clear();
                self.held_bytes = 0;
                return Ok(Some(count));
            }
            if self.hasher.count() >= place.count || self.held_bytes > MOST_HELD {
                self.kept.clear();
                return Ok(None);
            }
        }
        self.chunks.pop_front();
        Ok(None)
    }

    /// Fills a batch with what was held back and is not at the other side after all.
    fn held_batch(&mut self, space: &dyn Space) -> Result<Vec<Box<str>>, SyncError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_COUNT
            && bytes < BATCH_BYTES
            && let Some(id) = self.held.pop_front()
        {
            let text = space.text_to_send(id)?;
            bytes += text.len();
            batch.push(text);
        }
        Ok(batch)
    }

    /// Fills a batch with the next rows of a chunk; with none where it has no more.
    fn batch(&mut self, space: &dyn Space) -> Result<Vec<Box<str>>, SyncError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_COUNT
            && bytes < BATCH_BYTES
            && let Some(id) = self.chunks.front_mut().and_then(Chunk::next_row)
        {
            let text = space.text_to_send(id)?;
            bytes += text.len();
            self.hasher.add(&text);
            batch.push(text);
        }
        Ok(batch)
    }

    /// Takes the answer to an offer.
    pub fn answered(
        &mut self,
        space: &dyn Space,
        seq: u32,
        lacks: &[bool],
    ) -> Result<(), SyncError> {
        let _snapshot = space.snapshot()?;
        let at = self.chunks.iter().position(|chunk| chunk.asks(seq));
        let Some(mut chunk) = at.and_then(|at| self.chunks.remove(at)) else {
            return Err(SyncError::protocol("an answer to no offer"));
        };
        if let Some(lacking) = chunk.answered(seq, lacks)? {
            let ahead = self.look_ahead(space, &mut chunk, lacking)?;
            self.ask(space, &mut chunk, ahead)?;
        }
        self.chunks.insert(at.unwrap_or(0), chunk);
        Ok(())
    }

    /// Takes the next frames of a chain, or stones, and asks about what they relate to.
    fn open_chunk(&mut self, space: &dyn Space) -> Result<(), SyncError> {
        let mut chunk = Chunk::default();
        let is_chain_next = match (self.chains.front(), self.stones.front()) {
            (Some(chain), Some(stone)) if self.is_ordered => chain.next() < Some(*stone),
            (chain, _) => chain.is_some(),
        };
        let chain = if is_chain_next { self.chains.pop_front() } else { None };
        let open = match chain {
            Some(chain) => self.take_frames(space, chain, &mut chunk)?,
            None => self.take_stones(),
        };
        let open = if self.to_nothing { self.take_all(space, open, &mut chunk)? } else { open };
        self.ask(space, &mut chunk, open)?;
        self.chunks.push_back(chunk);
        Ok(())
    }

    fn take_frames(
        &mut self,
        space: &dyn Space,
        mut chain: Chain,
        chunk: &mut Chunk,
    ) -> Result<Vec<RowId>, SyncError> {
        let rest = chain.ids.split_off(chain.ids.len().min(CHUNK));
        let mut open = Vec::new();
        for id in std::mem::replace(&mut chain.ids, rest) {
            if self.met.insert(id) {
                chunk.add_certain(id);
                let known = |dep: &RowId| Some(*dep) == chain.common || *dep == chain.tjp;
                let deps = space.deps(id)?;
                open.extend(deps.into_iter().filter(|dep| !known(dep) && self.met.insert(*dep)));
            }
            chain.common = Some(id);
        }
        if !chain.ids.is_empty() {
            self.chains.push_front(chain);
        }
        Ok(open)
    }

    /// Adds rows and all that they relate to, where the other side has none of it; returns those that it
    /// may have all the same, since identities go other ways.
    fn take_all(
        &mut self,
        space: &dyn Space,
        mut open: Vec<RowId>,
        chunk: &mut Chunk,
    ) -> Result<Vec<RowId>, SyncError> {
        let mut asked = Vec::new();
        while let Some(id) = open.pop() {
            if space.row(id)?.is_keystone {
                asked.push(id);
                continue;
            }
            chunk.add_certain(id);
            open.extend(space.deps(id)?.into_iter().filter(|dep| self.met.insert(*dep)));
        }
        Ok(asked)
    }

    /// A stone that is wanted is offered like any other, and sent where it is lacking.
    fn take_stones(&mut self) -> Vec<RowId> {
        let until = self.chains.front().filter(|_| self.is_ordered).and_then(Chain::next);
        let is_before = |id: &RowId| until.is_none_or(|until| *id < until);
        let mut open = Vec::new();
        while open.len() < CHUNK
            && self.stones.front().is_some_and(is_before)
            && let Some(id) = self.stones.pop_front()
        {
            if self.met.insert(id) {
                open.push(id);
            }
        }
        open
    }

    /// What the lacking rows relate to, and what that relates to, as far as the chunk looks: four
    /// times as far with each question, so that a long way is few questions and a short way is
    /// not overshot by much.
    fn look_ahead(
        &mut self,
        space: &dyn Space,
        chunk: &mut Chunk,
        lacking: Vec<RowId>,
    ) -> Result<Vec<RowId>, SyncError> {
        let mut budget = chunk.widen(LONGEST_LOOK);
        let mut ahead = Vec::new();
        let mut queue = VecDeque::from(lacking);
        while let Some(id) = queue.pop_front() {
            if !chunk.look_behind(id) {
                continue;
            }
            for dep in space.deps(id)? {
                if self.met.insert(dep) {
                    ahead.push(dep);
                    if budget > 0 {
                        budget -= 1;
                        queue.push_back(dep);
                    }
                }
            }
        }
        Ok(ahead)
    }

    fn ask(
        &mut self,
        space: &dyn Space,
        chunk: &mut Chunk,
        open: Vec<RowId>,
    ) -> Result<(), SyncError> {
        for part in open.chunks(OFFER) {
            let seq = self.next_seq;
            self.next_seq = seq.wrapping_add(1);
            let mut addrs = Vec::with_capacity(part.len());
            for id in part {
                addrs.push(space.addr(*id)?);
            }
            chunk.ask(seq, part.to_vec());
            self.offers.push_back(Msg::Offer { seq, addrs });
        }
        if open.is_empty() {
            chunk.fix_order();
        }
        Ok(())
    }

    /// Fills a batch with what is in no space yet.
    fn extra_batch(&mut self, space: &dyn Space) -> Result<Vec<Box<str>>, SyncError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_COUNT
            && bytes < BATCH_BYTES
            && let Some(prepared) = self.extra.pop_front()
        {
            // A replayed edit may share its dna with the original, which went before.
            if space.find(prepared.addr())?.is_some_and(|id| self.met.contains(&id)) {
                continue;
            }
            bytes += prepared.text().len();
            self.hasher.add(prepared.text());
            batch.push(prepared.into_text());
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests;
