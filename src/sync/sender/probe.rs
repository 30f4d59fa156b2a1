//! Stage init: finding where two timelines split, by asking for frames between two known ones.

use super::Sender;
use super::state::Stating;
use crate::ibgib::TjpAddr;
use crate::space::{RowId, Tip};
use crate::sync::body::{Answer, Init, PAGE, Probe};
use crate::sync::error::SyncError;
use crate::sync::negotiate::{self, SplitSearch};

/// How many probes one timeline takes at most: each leaves a seventeenth of the gap.
const MAX_PROBES: u32 = 24;

/// A timeline of which the split is searched for.
pub(super) struct Searched {
    pub(super) tjp_id: RowId,
    pub(super) tjp: TjpAddr,
    pub(super) mine: Tip,
    pub(super) open: SplitSearch,
    pub(super) probes: u32,
}

impl Searched {
    fn probe(&self) -> Probe {
        Probe {
            tjp: self.tjp.clone(),
            tip: self.open.theirs.addr.clone(),
            above: self.open.above.n,
            below: self.open.below,
        }
    }
}

impl Sender<'_> {
    /// A turn that asks about the next timelines of which the split is not found; none where all are.
    pub(super) fn next_probes(&self, stating: &mut Stating) -> Option<Init> {
        if stating.open.is_empty() {
            return None;
        }
        let rest = stating.open.split_off(stating.open.len().min(PAGE));
        stating.probed = std::mem::replace(&mut stating.open, rest);
        let probes = stating.probed.iter().map(Searched::probe).collect();
        Some(Init { probes, ..stating.empty_page(true) })
    }

    /// Takes the answer to a probe.
    pub(super) fn probe_answered(
        &mut self,
        stating: &mut Stating,
        searched: Searched,
        answer: &Answer,
    ) -> Result<(), SyncError> {
        let Searched { tjp_id, tjp, mine, open, probes } = searched;
        if probes >= MAX_PROBES {
            return Err(SyncError::protocol(format!("the split of {tjp} is not to be found")));
        }
        let decision = negotiate::decide_after_probe(self.space, tjp_id, &mine, open, answer)?;
        self.plan_timeline(stating, tjp_id, tjp, mine, decision, probes + 1)
    }
}
