//! Validating a whole keystone, frame by frame.

use super::violation::Violation;
use super::{check_step, validate_genesis};
use crate::ibgib::IbGib;
use crate::ibgib::addr::clip;
use crate::keystone::frame::pools;
use crate::keystone::pools::UsedIds;

/// Validates a keystone's frames, fed from its genesis on, and sees what a single step cannot:
/// a challenge id that comes back after many frames.
#[derive(Debug, Default)]
pub struct TimelineValidator {
    tip: Option<IbGib>,
    ids: UsedIds,
}

impl TimelineValidator {
    /// A validator that waits for a genesis.
    pub fn new() -> TimelineValidator {
        TimelineValidator::default()
    }

    /// The last frame that was found valid.
    pub fn tip(&self) -> Option<&IbGib> {
        self.tip.as_ref()
    }

    /// Checks the next frame; none is broken where the list is empty. A frame that breaks a rule
    /// is not built on: the next one is held against the last valid one.
    pub fn push(&mut self, frame: &IbGib) -> Vec<Violation> {
        let (violations, fresh) = match &self.tip {
            None => {
                let ids = pools(frame).into_iter().flatten();
                let ids = ids.flat_map(|pool| pool.ids().map(str::to_owned).collect::<Vec<_>>());
                (validate_genesis(frame), ids.collect())
            }
            Some(prev) => self.check_against(prev, frame),
        };
        if violations.is_empty() {
            for id in &fresh {
                self.ids.add(id);
            }
            self.tip = Some(frame.clone());
        }
        violations
    }

    fn check_against(&self, prev: &IbGib, frame: &IbGib) -> (Vec<Violation>, Vec<String>) {
        let checked = check_step(prev, frame);
        let mut violations = checked.violations;
        let returns = violations.iter().any(|found| {
            matches!(found, Violation::RevealedReturns { .. } | Violation::IdSeenBefore { .. })
        });
        if let Some(id) = checked.fresh.iter().find(|id| !returns && self.ids.contains(id)) {
            let pool = clip(&checked.pool);
            violations.push(Violation::IdSeenBefore { pool, id: clip(id) });
        }
        (violations, checked.fresh)
    }
}
