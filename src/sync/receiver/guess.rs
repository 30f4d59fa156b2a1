//! A first turn that holds what is new and commits it, where the data here stands as the sender takes
//! it to (docs/protocol.md, section 6, "One turn on a guess").

use std::collections::HashSet;

use super::{Progress, Receiver, State};
use crate::ibgib::{Addr, AddrKey, IbGib, Valid};
use crate::sync::body::{Ack, Body, Commit, Guess, Init, Move, Scope, Stated};
use crate::sync::capabilities::Feature;
use crate::sync::error::SyncError;
use crate::sync::guessed::{MAX_BYTES, MAX_IBGIBS};
use crate::sync::negotiate;
use crate::sync::payload::PayloadHasher;

impl Receiver<'_> {
    /// Whether a payload may come now that a first turn will vouch for.
    pub(super) fn may_guess(&self) -> bool {
        matches!(self.at.state, State::Connected(_))
            && self.at.turns == 0
            && self.at.features.contains(&Feature::GUESS)
    }

    /// Holds what came before the first turn: nothing is known of it yet, and nothing is stored.
    pub(super) fn hold_guessed(&mut self, ibgibs: Vec<Box<str>>) -> Result<(), SyncError> {
        let guessed = &mut self.connected()?.guessed;
        let bytes: usize = guessed.iter().chain(&ibgibs).map(|text| text.len()).sum();
        let count = guessed.len() + ibgibs.len();
        if bytes > MAX_BYTES || count > MAX_IBGIBS {
            let message = format!("{count} ibGibs of {bytes} bytes before the first turn");
            return Err(SyncError::Limit(message));
        }
        guessed.extend(ibgibs);
        Ok(())
    }

    /// Commits what was sent where the guess is right; else drops it, and the saga goes on as if
    /// nothing had been said.
    pub(super) fn guess(&mut self, init: &Init, guess: &Guess) -> Result<(), SyncError> {
        let texts = std::mem::take(&mut self.connected()?.guessed);
        let is_first = self.at.turns == 1 && self.at.features.contains(&Feature::GUESS);
        if !is_first || init.scope != Scope::All || !init.probes.is_empty() || !init.more {
            return Err(SyncError::protocol("a guess that is out of turn, or not about all"));
        }
        let is_stated =
            |(stated, moved): (&Stated, &Move)| stated.tjp == moved.tjp && stated.tip == moved.to;
        let pairs = init.timelines.iter().zip(&guess.moves);
        if init.timelines.len() != guess.moves.len() || !pairs.into_iter().all(is_stated) {
            return Err(SyncError::protocol("a guess states other tips than it moves"));
        }
        let mut hasher = PayloadHasher::default();
        texts.iter().for_each(|text| hasher.add(text));
        if hasher.digest() != guess.payload {
            let message = "what came before the first turn has another digest than it says";
            return Err(SyncError::Content(message.into()));
        }
        if !self.is_right(guess, &texts)? {
            let ack = Ack { more: true, ..Ack::default() };
            return self.respond(&Body::Ack(ack));
        }
        let bytes = texts.iter().map(|text| text.len() as u64).sum();
        self.expect_room(self.at.opts.quota.for_data(), bytes)?;
        let space = self.space;
        let open = self.connected()?;
        for addr in init.timelines.iter().map(|stated| &stated.tip).chain(&init.stones) {
            open.incoming.expect(addr)?;
        }
        open.incoming.take(space, &texts)?;
        open.incoming.close_turn(&guess.payload)?;
        open.progress = Progress::Received;
        let payload = open.incoming.total();
        self.commit(&Commit { payload, moves: guess.moves.clone() })
    }

    /// Whether the data here stands as the sender takes it to: by its digest, the tips that move, and
    /// what the payload relates to.
    fn is_right(&self, guess: &Guess, texts: &[Box<str>]) -> Result<bool, SyncError> {
        if self.space.state()?.digest != guess.state {
            return Ok(false);
        }
        for moved in &guess.moves {
            let here = negotiate::data_timeline(self.space, &moved.tjp)?.map(|(_, tip)| tip.addr);
            if here != moved.from {
                return Ok(false);
            }
        }
        let mut sent: HashSet<AddrKey> = HashSet::new();
        let mut lacking: Vec<Addr> = Vec::new();
        for text in texts {
            let ibgib = IbGib::from_json(text).and_then(Valid::check);
            let ibgib = ibgib.map_err(|error| SyncError::content(&error))?;
            sent.insert(ibgib.addr().key());
            for rel8d in ibgib.rel8ds() {
                lacking
                    .push(Addr::parse(rel8d).map_err(|error| SyncError::content(&error.into()))?);
            }
        }
        lacking.retain(|addr| !addr.is_primitive() && !sent.contains(&addr.key()));
        Ok(self.space.has_many(&lacking)?.into_iter().all(|had| had))
    }
}
