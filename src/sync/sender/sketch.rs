//! Stage init by a sketch of what is here, in place of a list of it.

use super::Sender;
use super::commit::NAME_SAGA;
use super::state::Stating;
use crate::ibgib::Addr;
use crate::space::{RowId, Tip};
use crate::sync::body::{PAGE, Sample, SketchAnswer};
use crate::sync::capabilities::Feature;
use crate::sync::error::SyncError;
use crate::sync::negotiate::Decision;
use crate::sync::receiver::sketch::rows_of;
use crate::sync::sketch::{ItemId, SIZES, Sketches};

/// What is here, and the size of the sketch that goes out next or is to be answered.
pub(super) struct Sketching {
    here: Sketches,
    cells: usize,
    /// How many timelines and stones are here.
    items: u64,
}

impl Sketching {
    /// The sketch that goes out next.
    pub(super) fn text(&self) -> String {
        self.here.with(self.cells).map(|sketch| sketch.to_text()).unwrap_or_default()
    }
}

impl Sender<'_> {
    /// Sketches of what is here, where that is much and the receiver is likely to have most of it.
    pub(super) fn begin_sketching(&self) -> Result<Option<Sketching>, SyncError> {
        if !self.opts.features.contains(&Feature::SKETCH) || self.space.name(NAME_SAGA)?.is_none() {
            return Ok(None);
        }
        let few = usize::try_from(self.opts.listed).unwrap_or(usize::MAX);
        let stones = self.space.unreferenced_stones(None, few.saturating_add(1))?.len() as u64;
        if self.space.state()?.timelines + stones <= self.opts.listed {
            return Ok(None);
        }
        let (mut here, mut items) = (Sketches::default(), 0);
        self.space.each_state_item(&mut |item| {
            here.add(ItemId::of(&item.digest));
            items += 1;
        })?;
        Ok(Some(Sketching { here, cells: SIZES[0], items }))
    }

    /// What is to be done about a timeline that differs, where that is known without stating it: the
    /// receiver's tip is here, and the commit says how that moves, or the receiver's reaches what is
    /// here.
    pub(super) fn told(
        &self,
        stating: &Stating,
        (tjp_id, mine): (RowId, &Tip),
        (theirs, n): (Addr, u64),
        is_ahead: bool,
    ) -> Result<Option<Decision>, SyncError> {
        // What was edited here meanwhile is not among what the sketch told.
        if !stating.is_told || !stating.listed.contains(&tjp_id) {
            return Ok(None);
        }
        if let Some(id) = self.space.find(&theirs)? {
            let is_behind = self.space.extends(mine.id, id)?;
            return Ok(is_behind.then_some(Decision::Push { common: Some(theirs) }));
        }
        let common = Some(mine.addr.clone());
        Ok(is_ahead.then_some(Decision::Pull { theirs: Sample { addr: theirs, n }, common }))
    }

    /// Goes on as the answer to a sketch says: what differs is stated, a larger sketch is sent, or
    /// everything is listed after all.
    pub(super) fn take_sketch_answer(
        &mut self,
        stating: &mut Stating,
        answer: Option<&SketchAnswer>,
    ) -> Result<(), SyncError> {
        let (mut sketching, answer) = match (stating.sketching.take(), answer) {
            (Some(sketching), Some(answer)) => (sketching, answer),
            (None, None) => return Ok(()),
            _ => return Err(SyncError::protocol("a sketch and its answer do not go together")),
        };
        match answer {
            SketchAnswer::List => {}
            SketchAnswer::Cells(cells) if *cells > sketching.cells && SIZES.contains(cells) => {
                sketching.cells = *cells;
                stating.sketching = Some(sketching);
            }
            SketchAnswer::Cells(cells) => {
                let message = format!("a sketch of {cells} cells is asked for");
                return Err(SyncError::protocol(message));
            }
            SketchAnswer::Differs(told) => {
                stating.is_told = told.ids.len() < PAGE;
                stating.ahead = told.ahead.iter().copied().collect();
                let no_id = || SyncError::protocol("what differs is named by no ids");
                let ids: Option<Vec<ItemId>> =
                    told.ids.iter().map(|id| ItemId::parse(id)).collect();
                let ids = ids.ok_or_else(no_id)?;
                let rows = rows_of(self.space, &ids)?;
                if rows.len() < ids.len() {
                    // The sketch was of what was here then: what replaced it is told of by the next one.
                    let message = "what differs was edited here meanwhile".to_owned();
                    return Err(SyncError::Conflict(message));
                }
                self.plan.equal += sketching.items.saturating_sub(rows.len() as u64);
                for (row, is_stone) in rows {
                    if is_stone {
                        stating.listed_stones.push_back((row, self.space.addr(row)?));
                    } else {
                        stating.listed.insert(row);
                    }
                }
                (stating.timelines_done, stating.stones_done) = (true, true);
                stating.offers_done = true;
            }
        }
        Ok(())
    }
}
