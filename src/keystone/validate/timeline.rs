//! Validating a whole keystone, frame by frame.

use std::convert::Infallible;

use super::violation::Violation;
use super::{Gib, check_step, genesis_violations};
use crate::ibgib::addr::clip;
use crate::ibgib::{IbGib, Valid};
use crate::keystone::frame::pools;
use crate::keystone::pools::{UsedIds, number};

/// The challenge ids that a replay has met. An id is 64 bits.
///
/// They are as many as the identity is long, so where they are kept is the caller's to choose.
pub trait SeenIds {
    /// Why ids could not be kept.
    type Error;
    /// Whether an id was added before.
    fn contains(&mut self, id: u64) -> Result<bool, Self::Error>;
    /// Adds an id.
    fn add(&mut self, id: u64) -> Result<(), Self::Error>;
}

impl SeenIds for UsedIds {
    type Error = Infallible;

    fn contains(&mut self, id: u64) -> Result<bool, Infallible> {
        Ok(self.0.contains(&id))
    }

    fn add(&mut self, id: u64) -> Result<(), Infallible> {
        self.0.insert(id);
        Ok(())
    }
}

/// Keeps no ids: each frame is compared with the one before alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepsOnly;

impl SeenIds for StepsOnly {
    type Error = Infallible;

    fn contains(&mut self, _id: u64) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn add(&mut self, _id: u64) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Validates a keystone's frames one after the other, of which it holds the last, and sees what a
/// single step cannot: a challenge id that comes back after many frames.
#[derive(Debug)]
pub struct Replay<S> {
    tip: Option<IbGib>,
    ids: S,
}

impl<S: SeenIds> Replay<S> {
    /// A replay that waits for a genesis.
    pub fn new(ids: S) -> Replay<S> {
        Replay { tip: None, ids }
    }

    /// A replay that goes on from a frame that was validated before.
    pub fn after(tip: IbGib, ids: S) -> Replay<S> {
        Replay { tip: Some(tip), ids }
    }

    /// The last frame that was found valid.
    pub fn tip(&self) -> Option<&IbGib> {
        self.tip.as_ref()
    }

    /// Checks the next frame; none is broken where the list is empty. A frame that breaks a rule
    /// is not built on: the next one is compared with the last valid one.
    pub fn push(&mut self, frame: IbGib) -> Result<Vec<Violation>, S::Error> {
        self.check_next(frame, Gib::Unchecked)
    }

    /// As [`Replay::push`], of a frame whose gib is known to be right.
    pub fn push_valid(&mut self, frame: Valid<IbGib>) -> Result<Vec<Violation>, S::Error> {
        self.check_next(frame.into_inner(), Gib::Checked)
    }

    fn check_next(&mut self, frame: IbGib, gib: Gib) -> Result<Vec<Violation>, S::Error> {
        let (violations, fresh) = match &self.tip {
            None => {
                let ids = pools(&frame).into_iter().flatten();
                let ids = ids.flat_map(|pool| pool.ids().map(str::to_owned).collect::<Vec<_>>());
                (genesis_violations(&frame, gib), ids.collect())
            }
            Some(prev) => check_against(prev, &frame, gib, &mut self.ids)?,
        };
        if violations.is_empty() {
            for id in fresh.iter().filter_map(|id| number(id)) {
                self.ids.add(id)?;
            }
            self.tip = Some(frame);
        }
        Ok(violations)
    }
}

fn check_against<S: SeenIds>(
    prev: &IbGib,
    frame: &IbGib,
    gib: Gib,
    ids: &mut S,
) -> Result<(Vec<Violation>, Vec<String>), S::Error> {
    let checked = check_step(prev, frame, gib);
    let mut violations = checked.violations;
    let returns = violations.iter().any(|found| {
        matches!(found, Violation::RevealedReturns { .. } | Violation::IdSeenBefore { .. })
    });
    for id in checked.fresh.iter().filter(|_| !returns) {
        if let Some(number) = number(id)
            && ids.contains(number)?
        {
            let pool = clip(&checked.pool);
            violations.push(Violation::IdSeenBefore { pool, id: clip(id) });
            break;
        }
    }
    Ok((violations, checked.fresh))
}

/// A [`Replay`] from the genesis on that keeps all ids in memory.
#[derive(Debug)]
pub struct TimelineValidator(Replay<UsedIds>);

impl Default for TimelineValidator {
    fn default() -> TimelineValidator {
        TimelineValidator::new()
    }
}

impl TimelineValidator {
    /// A validator that waits for a genesis.
    pub fn new() -> TimelineValidator {
        TimelineValidator(Replay::new(UsedIds::default()))
    }

    /// The last frame that was found valid.
    pub fn tip(&self) -> Option<&IbGib> {
        self.0.tip()
    }

    /// Checks the next frame as [`Replay::push`] does.
    pub fn push(&mut self, frame: &IbGib) -> Vec<Violation> {
        match self.0.push(frame.clone()) {
            Ok(violations) => violations,
            Err(never) => match never {},
        }
    }
}
