//! Stage init by a sketch: what differs is told, and nothing else is stated (docs/protocol.md, section
//! 6, "What differs").

use std::collections::HashSet;

use super::{Progress, Receiver};
use crate::space::{RowId, StateDigest, Timeline, TimelineKind};
use crate::sync::body::{Ack, Body, Differing, Init, PAGE, Scope, SketchAnswer, Stated};
use crate::sync::capabilities::Feature;
use crate::sync::error::SyncError;
use crate::sync::sketch::{Differences, ItemId, SIZES, Sketch, Sketches};

/// How many frames of a timeline that is offered are compared with what the sender has.
const LOOKED_BACK: usize = 32;

/// The sketches of what is here, and how large the last one was that came.
pub(super) struct Sketched {
    here: Sketches,
    cells: usize,
}

impl Receiver<'_> {
    /// Answers a sketch: what differs, or which size would tell it.
    pub(super) fn sketch(&mut self, init: &Init, text: &str) -> Result<(), SyncError> {
        let is_named = self.at.features.contains(&Feature::SKETCH);
        let space = self.space;
        let open = self.connected()?;
        open.incoming.expect_turn_closed()?;
        let is_alone =
            init.timelines.is_empty() && init.stones.is_empty() && init.probes.is_empty();
        let is_first = open.progress == Progress::Stating && !open.is_sketched && !open.is_listed;
        let is_all = init.scope == Scope::All
            && *open.scope.get_or_insert(Scope::All) == Scope::All
            && init.more;
        if !is_named || !is_alone || !is_first || !is_all {
            return Err(SyncError::protocol("a sketch out of turn, or beside something else"));
        }
        let malformed = || SyncError::protocol("a sketch that is none");
        let there = Sketch::parse(text).ok_or_else(malformed)?;
        let cells = there.cells();
        let sketched = match open.sketched.take() {
            Some(before) if before.cells >= cells => {
                return Err(SyncError::protocol("a sketch no larger than the one before"));
            }
            Some(before) => Sketched { cells, ..before },
            None => {
                let mut here = Sketches::default();
                space.each_state_item(&mut |item| here.add(ItemId::of(&item.digest)))?;
                Sketched { here, cells }
            }
        };
        let here = sketched.here.with(cells).ok_or_else(malformed)?;
        let (more, found) = there.compare(here);
        open.sketched = Some(sketched);
        let ack = match found.filter(fits_a_page) {
            Some(found) => self.differs(&found)?,
            None => {
                let sketch = Some(larger(cells, more.unsigned_abs()));
                Ack { sketch, more: true, ..Ack::default() }
            }
        };
        self.respond(&Body::Ack(ack))
    }

    /// What the sender has and is lacking here, and offers of the reverse.
    fn differs(&mut self, found: &Differences) -> Result<Ack, SyncError> {
        let (mut ack, mut ahead) = (Ack::default(), Vec::new());
        let there: HashSet<&ItemId> = found.first.iter().collect();
        for (row, is_stone) in rows_of(self.space, &found.second)? {
            if is_stone {
                ack.offered_stones.push(self.space.addr(row)?);
            } else if let Some(timeline) = self.space.timeline_of(row)?
                && timeline.kind == TimelineKind::Data
            {
                if self.reaches_one_of(&there, &timeline)? {
                    ahead.push(ack.offers.len());
                }
                let (tip, n) = (timeline.tip.addr, timeline.tip.n);
                ack.offers.push(Stated { tjp: timeline.tjp, tip, n });
            }
        }
        let ids = found.first.iter().map(|id| id.to_text()).collect();
        ack.sketch = Some(SketchAnswer::Differs(Differing { ids, ahead }));
        let open = self.connected()?;
        open.sketched = None;
        open.is_sketched = true;
        open.progress = Progress::Stated;
        Ok(ack)
    }

    /// Whether one of a timeline's last frames is what the sender has as its tip.
    fn reaches_one_of(
        &self,
        there: &HashSet<&ItemId>,
        timeline: &Timeline,
    ) -> Result<bool, SyncError> {
        let tjp = timeline.tjp.key();
        let mut next = self.space.row(timeline.tip.id)?.prev;
        for _ in 0..LOOKED_BACK {
            let Some(id) = next else { break };
            let frame = self.space.addr(id)?.key();
            if there.contains(&ItemId::of(&StateDigest::of_timeline(&tjp, &frame))) {
                return Ok(true);
            }
            next = self.space.row(id)?.prev;
        }
        Ok(false)
    }
}

/// The rows of those of a space's items that have one of these ids, and whether they are stones.
pub(in crate::sync) fn rows_of(
    space: &dyn crate::space::Space,
    ids: &[ItemId],
) -> Result<Vec<(RowId, bool)>, SyncError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let (ids, mut rows): (HashSet<&ItemId>, Vec<_>) = (ids.iter().collect(), Vec::new());
    space.each_state_item(&mut |item| {
        if ids.contains(&ItemId::of(&item.digest)) {
            rows.push((item.row, item.is_stone));
        }
    })?;
    Ok(rows)
}

fn fits_a_page(found: &Differences) -> bool {
    found.first.len().max(found.second.len()) <= PAGE
}

/// What is asked for where so many cells did not tell: sets that differ in size by `more` differ in at
/// least so much, and a sketch tells somewhat less than it has cells.
fn larger(cells: usize, more: u64) -> SketchAnswer {
    let fits = |size: &&usize| **size > cells && more < (**size as u64) / 2;
    match SIZES.iter().find(fits) {
        Some(size) => SketchAnswer::Cells(*size),
        None => SketchAnswer::List,
    }
}
