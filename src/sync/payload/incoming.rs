//! The side that lacks something: answers offers, checks and stages what arrives.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::keeping::{Keeping, Resumed};
use super::sessions::Sessions;
use super::{PayloadHasher, SagaHasher, StagedShare};
use crate::ibgib::{Addr, AddrKey, IbGib, IbGibError, Moment, TjpAddr, Valid};
use crate::space::{KeptFolder, Prepared, Reach, Space, Stage, TipsTo};
use crate::sync::body::{Move, PAGE, PayloadDigest};
use crate::sync::error::SyncError;
use crate::sync::msg::{Checkpoint, Context, MAX_OFFER};

/// How much one saga may bring.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of JSON.
    pub bytes: u64,
    /// IbGibs.
    pub ibgibs: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 16 << 30, ibgibs: 10_000_000 }
    }
}

/// What arrives in a saga, and the control ibGibs of its turns, staged until the commit.
pub struct IncomingPayload {
    stage: Stage,
    turn: PayloadHasher,
    saga: SagaHasher,
    offered: u64,
    limits: Limits,
    /// What it takes of what all sagas may stage at once; none where that is not bounded.
    share: Option<StagedShare>,
    /// What is kept of it for the next session; none where nothing is.
    keeping: Option<Keeping>,
    /// Whether something may arrive.
    is_expecting: bool,
    /// What was asked for.
    roots: HashSet<AddrKey>,
    /// Of graft frames that arrived on a root as their orphan, the newest.
    grafts: HashMap<AddrKey, AddrKey>,
    sessions: Sessions,
}

impl IncomingPayload {
    /// Nothing staged yet for `domain`; what will be lies in a file in `dir` that has no name.
    pub fn new(domain: TjpAddr, dir: &Path, limits: Limits) -> Result<IncomingPayload, SyncError> {
        let stage = Stage::new(dir)?;
        Ok(IncomingPayload {
            stage,
            turn: PayloadHasher::default(),
            saga: SagaHasher::default(),
            offered: 0,
            limits,
            share: None,
            keeping: None,
            is_expecting: false,
            roots: HashSet::new(),
            grafts: HashMap::new(),
            sessions: Sessions::new(domain),
        })
    }

    /// The same, staging no more than it can take of what all sagas share.
    pub fn sharing(self, share: Option<StagedShare>) -> IncomingPayload {
        IncomingPayload { share, ..self }
    }

    /// The same, keeping what arrives in the file of `domain` until it is committed, so that another
    /// session may go on where this one was cut.
    pub fn keeping(
        self,
        folder: Option<KeptFolder>,
        domain: &TjpAddr,
        now: Moment,
    ) -> IncomingPayload {
        let keeping = folder.map(|folder| Keeping::new(folder, domain.clone(), now));
        IncomingPayload { keeping, ..self }
    }

    /// What an earlier session kept of the turn that comes next, by the places where the other side may
    /// go on; empty for nothing.
    pub fn offer_kept(&mut self) -> Vec<Checkpoint> {
        let keeping = self.keeping.as_mut().filter(|_| self.is_expecting);
        keeping.map(Keeping::offer).unwrap_or_default()
    }

    /// How many bytes of JSON a resumption up to `count` ibGibs brings. Errors where that place was
    /// not offered, or something else came in this turn.
    pub fn resumable(&self, count: u64) -> Result<u64, SyncError> {
        match &self.keeping {
            Some(keeping) => keeping.up_to(count, &self.turn),
            None => Err(SyncError::protocol("nothing is kept here")),
        }
    }

    /// Takes what was kept up to `count` ibGibs as if it came now. Returns how much that was.
    pub fn resume(&mut self, space: &dyn Space, count: u64) -> Result<Resumed, SyncError> {
        self.resumable(count)?;
        let changed = || SyncError::Conflict("what was kept of an earlier payload changed".into());
        let (before, bytes) = (self.turn.count, self.turn.bytes);
        while self.turn.count < count
            && let Some(keeping) = &mut self.keeping
        {
            let texts = keeping.read(count - self.turn.count)?;
            let staged = self.check_and_stage(space, &texts);
            staged.map_err(|error| match error {
                SyncError::Content(_) => changed(),
                error => error,
            })?;
        }
        let digest = self.turn.digest().digest;
        if !self.keeping.as_ref().is_some_and(|keeping| keeping.is_place(count, &digest)) {
            return Err(changed());
        }
        Ok(Resumed { ibgibs: self.turn.count - before, bytes: self.turn.bytes - bytes })
    }

    /// Keeps nothing.
    pub fn keep_nothing(&mut self) {
        self.keeping = None;
    }

    /// Drops what was kept: it was committed, or its disk is full.
    pub fn forget_kept(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.forget();
        }
    }

    /// Notes what may arrive, with all that it relates to. Returns whether it was not noted before.
    pub fn expect(&mut self, addr: &Addr) -> Result<bool, SyncError> {
        self.is_expecting = true;
        let is_new = self.roots.insert(addr.key());
        if self.roots.len() as u64 > self.limits.ibgibs {
            return Err(SyncError::Limit(format!("{} roots in one saga", self.roots.len())));
        }
        Ok(is_new)
    }

    /// For each address offered whether it is lacking.
    pub fn lacks(&mut self, space: &dyn Space, addrs: &[Addr]) -> Result<Vec<bool>, SyncError> {
        if addrs.is_empty() || addrs.len() > MAX_OFFER {
            return Err(SyncError::Limit(format!("an offer of {} addresses", addrs.len())));
        }
        self.offered += addrs.len() as u64;
        if self.offered > self.limits.ibgibs {
            return Err(SyncError::Limit(format!("{} addresses were offered", self.offered)));
        }
        let _snapshot = space.snapshot()?;
        let had = space.has_many(addrs)?;
        let lacks = addrs.iter().zip(had);
        Ok(lacks.map(|(addr, had)| !had && !self.stage.contains(&addr.key())).collect())
    }

    /// Checks and stages ibGibs, and keeps them.
    pub fn take(&mut self, space: &dyn Space, ibgibs: &[Box<str>]) -> Result<(), SyncError> {
        self.check_and_stage(space, ibgibs)?;
        if let Some(keeping) = &mut self.keeping {
            keeping.took(ibgibs);
        }
        Ok(())
    }

    fn check_and_stage(&mut self, space: &dyn Space, ibgibs: &[Box<str>]) -> Result<(), SyncError> {
        for text in ibgibs {
            self.turn.add(text);
            let count = self.saga.count + self.turn.count;
            let bytes = self.saga.bytes + self.turn.bytes;
            if count > self.limits.ibgibs || bytes > self.limits.bytes {
                return Err(SyncError::TooMuch { count, bytes, most: self.limits.bytes });
            }
            let refused = |error: IbGibError| SyncError::content(&error);
            let ibgib = IbGib::from_json(text).and_then(Valid::check).map_err(refused)?;
            let mut prepared = Prepared::of(&ibgib).map_err(refused)?;
            if prepared.is_keystone() {
                self.sessions.check(space, &self.stage, ibgib)?;
                prepared = prepared.with_valid_step();
            }
            if let Some(orphan) = prepared.orphan()
                && self.roots.contains(&orphan)
            {
                self.grafts.insert(orphan, prepared.key());
            }
            self.take_room_for(&prepared)?;
            let is_new = self.stage.push(prepared)?;
            // What comes twice takes no room in the stage, and none here.
            if let Some(keeping) = self.keeping.as_mut().filter(|_| !is_new) {
                keeping.stop();
            }
        }
        Ok(())
    }

    /// Takes the room that an ibGib needs of what all sagas share.
    fn take_room_for(&mut self, item: &Prepared) -> Result<(), SyncError> {
        match &mut self.share {
            Some(share) if !self.stage.contains(&item.key()) => share.take(Stage::size_of(item)),
            _ => Ok(()),
        }
    }

    /// Stages the control ibGibs of a turn, one's own or a checked one, each after what it relates
    /// to; `signed` is the session's frame that signs it. They are on the disk and not in memory,
    /// since a saga may have many turns.
    pub fn keep<T: Borrow<IbGib>>(
        &mut self,
        turn: &Context<Valid<T>>,
        signed: Option<Prepared>,
    ) -> Result<(), SyncError> {
        for ibgib in [&turn.saga_frame_msg, &turn.saga_frame, &turn.context] {
            self.keep_one(Prepared::of(ibgib)?)?;
        }
        signed.into_iter().try_for_each(|signed| self.keep_one(signed))
    }

    /// Stages one ibGib that was made here, or that was checked as a part of the session.
    pub fn keep_one(&mut self, prepared: Prepared) -> Result<(), SyncError> {
        self.roots.insert(prepared.key());
        self.take_room_for(&prepared)?;
        self.stage.push(prepared)?;
        let (count, bytes) = (self.stage.len() as u64, self.stage.bytes());
        if bytes > self.limits.bytes {
            return Err(SyncError::TooMuch { count, bytes, most: self.limits.bytes });
        }
        Ok(())
    }

    /// Ends a turn: what arrived must be what the digest in the turn's frame says.
    pub fn close_turn(&mut self, declared: &PayloadDigest) -> Result<(), SyncError> {
        let found = std::mem::take(&mut self.turn).digest();
        if found != *declared {
            return Err(SyncError::Content(format!(
                "the payload held {} ibGibs of {} bytes, but its frame declares {} of {}",
                found.count, found.bytes, declared.count, declared.bytes
            )));
        }
        self.saga.add(declared);
        if let Some(keeping) = &mut self.keeping {
            keeping.end_turn(declared.count > 0);
        }
        Ok(())
    }

    /// Refuses to go on where something arrived that no turn declared.
    pub fn expect_turn_closed(&self) -> Result<(), SyncError> {
        match self.turn.is_empty() {
            true => Ok(()),
            false => Err(SyncError::protocol("a payload without a digest in a signed turn")),
        }
    }

    /// What a put of the stage may bring: what was expected, what belongs to the session itself,
    /// and where `moves` lead. Takes that out of here.
    ///
    /// Data's tips move where `moves` say and nowhere else. Where these are as many as a commit
    /// lists, the others are tips that were expected, or graft frames on such.
    pub fn reach_of(&mut self, moves: &[Move]) -> Reach {
        let mut roots = std::mem::take(&mut self.roots);
        let tips: HashSet<AddrKey> = moves.iter().map(|moved| moved.to.key()).collect();
        if moves.len() < PAGE {
            roots.extend(&tips);
            return Reach { roots, tips: TipsTo::Only(tips) };
        }
        roots.extend(self.grafts.values().chain(&tips));
        Reach { roots, tips: TipsTo::Roots }
    }

    /// What a put of the stage may bring where nobody lists the moves: what was expected, and what
    /// belongs to the session itself. Takes that out of here.
    pub fn reach(&mut self) -> Reach {
        Reach { roots: std::mem::take(&mut self.roots), tips: TipsTo::Any }
    }

    /// What arrived in the whole saga.
    pub fn total(&self) -> PayloadDigest {
        self.saga.digest()
    }

    /// Whether any payload arrived.
    pub fn has_payload(&self) -> bool {
        self.saga.count + self.turn.count > 0
    }

    /// What is staged.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }
}
