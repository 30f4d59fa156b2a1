//! The side that lacks something: answers offers, checks and stages what arrives.

use std::path::Path;

use super::{Sealing, Totalling};
use crate::ibgib::{Addr, IbGib};
use crate::space::{Prepared, Space, Stage};
use crate::sync::body::Seal;
use crate::sync::error::SyncError;
use crate::sync::msg::{Context, MAX_OFFER};

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
pub struct Inflow {
    stage: Stage,
    turn: Sealing,
    saga: Totalling,
    offered: u64,
    limits: Limits,
}

impl Inflow {
    /// Nothing staged yet; what will be lies in a file in `dir` that has no name.
    pub fn new(dir: &Path, limits: Limits) -> Result<Inflow, SyncError> {
        let stage = Stage::new(dir)?;
        Ok(Inflow {
            stage,
            turn: Sealing::default(),
            saga: Totalling::default(),
            offered: 0,
            limits,
        })
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
        let had = space.has_many(addrs)?;
        let lacks = addrs.iter().zip(had);
        Ok(lacks.map(|(addr, had)| !had && !self.stage.contains(&addr.key())).collect())
    }

    /// Checks and stages ibGibs.
    pub fn take(&mut self, ibgibs: &[Box<str>]) -> Result<(), SyncError> {
        for text in ibgibs {
            self.turn.add(text);
            let count = self.saga.count + self.turn.count;
            let bytes = self.saga.bytes + self.turn.bytes;
            if count > self.limits.ibgibs || bytes > self.limits.bytes {
                return Err(SyncError::Limit(format!(
                    "a saga of {count} ibGibs and {bytes} bytes is more than is taken here at once"
                )));
            }
            let prepared =
                Prepared::from_json(text).map_err(|error| SyncError::Content(error.to_string()))?;
            self.stage.push(prepared)?;
        }
        Ok(())
    }

    /// Stages the control ibGibs of a turn, one's own or a checked one, each after what it relates
    /// to. They are on the disk and not in memory, since a saga may have many turns.
    pub fn keep(&mut self, turn: &Context) -> Result<(), SyncError> {
        turn.control().try_for_each(|ibgib| self.keep_one(ibgib))
    }

    /// Stages one ibGib that was made here.
    pub fn keep_one(&mut self, ibgib: &IbGib) -> Result<(), SyncError> {
        self.stage.push(Prepared::new(ibgib)?)?;
        if self.stage.bytes() > self.limits.bytes {
            return Err(SyncError::Limit(format!("a saga of {} bytes", self.stage.bytes())));
        }
        Ok(())
    }

    /// Ends a turn: what arrived must be what the turn's frame seals.
    pub fn close_turn(&mut self, sealed: &Seal) -> Result<(), SyncError> {
        let found = std::mem::take(&mut self.turn).seal();
        if found != *sealed {
            return Err(SyncError::Content(format!(
                "the payload held {} ibGibs of {} bytes, its frame seals {} of {}",
                found.count, found.bytes, sealed.count, sealed.bytes
            )));
        }
        self.saga.add(sealed);
        Ok(())
    }

    /// What arrived in the whole saga.
    pub fn total(&self) -> Seal {
        self.saga.seal()
    }

    /// What is staged.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }
}
