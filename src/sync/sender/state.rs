//! Stage init: stating what is here, page by page.

use std::collections::{HashSet, VecDeque};

use indexmap::IndexSet;

use super::Sender;
use super::held::Branch;
use super::probe::Searched;
use super::sketch::Sketching;
use crate::ibgib::{Addr, AddrKey};
use crate::space::{RowId, TimelineKind};
use crate::sync::body::{Init, PAGE, Scope, Stated};
use crate::sync::error::SyncError;

/// Where the stating stands.
pub(super) struct Stating {
    pub(super) scope: Scope,
    /// Rows of timelines to be stated, where they are listed and not paged.
    pub(super) listed: IndexSet<RowId>,
    /// How many of them were taken.
    taken: usize,
    after_timeline: Option<RowId>,
    pub(super) timelines_done: bool,
    after_stone: Option<RowId>,
    pub(super) stones_done: bool,
    /// Stones still to be stated, where they are listed and not paged.
    pub(super) listed_stones: VecDeque<(RowId, Addr)>,
    /// Stones of the page that is to be answered.
    pub(super) stones: Vec<(RowId, Addr)>,
    /// Timelines of the page that is to be answered.
    pub(super) stated: Vec<(RowId, Stated)>,
    /// Timelines that were asked about in the turn that is to be answered.
    pub(super) probed: Vec<Searched>,
    /// Timelines of which the split is still to be found.
    pub(super) open: Vec<Searched>,
    /// Branches here of the timelines that the plan leaves as diverged.
    pub(super) branches: Vec<Branch>,
    /// What the receiver has offered.
    pub(super) offered: HashSet<AddrKey>,
    /// Whether the receiver has nothing more to offer.
    pub(super) offers_done: bool,
    /// How what differs is asked by sketches; none where all is listed.
    pub(super) sketching: Option<Sketching>,
    /// Whether a sketch told what differs, and that is so little that the commit lists every move.
    pub(super) is_told: bool,
    /// Which of the offers beside that reach what is here.
    pub(super) ahead: HashSet<usize>,
}

impl Stating {
    fn new() -> Stating {
        Stating {
            scope: Scope::All,
            listed: IndexSet::new(),
            taken: 0,
            after_timeline: None,
            timelines_done: false,
            after_stone: None,
            stones_done: false,
            listed_stones: VecDeque::new(),
            stones: Vec::new(),
            stated: Vec::new(),
            probed: Vec::new(),
            open: Vec::new(),
            branches: Vec::new(),
            offered: HashSet::new(),
            offers_done: false,
            sketching: None,
            is_told: false,
            ahead: HashSet::new(),
        }
    }

    /// Whether everything that is in scope was stated.
    pub(super) fn is_all_stated(&self) -> bool {
        let is_listed = self.taken < self.listed.len() || !self.listed_stones.is_empty();
        self.timelines_done && self.stones_done && !is_listed
    }

    /// A page that states nothing yet.
    pub(super) fn empty_page(&self, more: bool) -> Init {
        Init::of(self.scope.clone(), more)
    }
}

impl Sender<'_> {
    /// What is in scope, of which nothing is stated yet.
    pub(super) fn begin_stating(&self) -> Result<Stating, SyncError> {
        let mut stating = Stating::new();
        if self.opts.roots.is_empty() {
            stating.sketching = self.begin_sketching()?;
            return Ok(stating);
        }
        let (mut ids, mut seen) = (Vec::new(), HashSet::new());
        let mut roots = self.opts.roots.clone();
        roots.retain(|root| seen.insert(root.key()));
        for root in &roots {
            if let Some(id) = self.space.find(root)? {
                ids.push(id);
                if self.space.node(id)?.timeline.is_none() {
                    stating.listed_stones.push_back((id, root.clone()));
                }
            }
        }
        stating.timelines_done = true;
        stating.stones_done = true;
        stating.scope = Scope::Roots(roots);
        self.list(&mut stating, ids)?;
        Ok(stating)
    }

    /// Lists timelines; of roots with all that they lead to, where all is in scope it is paged anyway.
    pub(super) fn list(&self, stating: &mut Stating, mut ids: Vec<RowId>) -> Result<(), SyncError> {
        if let Scope::Roots(_) = stating.scope {
            ids = self.space.live_timelines(&ids)?;
        }
        stating.listed.extend(ids);
        Ok(())
    }

    /// The next page of what is here; none where all of it was stated, and the receiver has offered
    /// all that it has.
    pub(super) fn next_page(&self, stating: &mut Stating) -> Result<Option<Init>, SyncError> {
        if let Some(sketching) = &stating.sketching {
            let sketch = Some(sketching.text());
            return Ok(Some(Init { sketch, ..stating.empty_page(true) }));
        }
        let timelines = self.next_timelines(stating)?;
        let stones = self.next_stones(stating)?;
        if timelines.is_empty() && stones.is_empty() && stating.offers_done {
            return Ok(None);
        }
        let init = Init {
            timelines: timelines.iter().map(|(_, stated)| stated.clone()).collect(),
            stones: stones.iter().map(|(_, addr)| addr.clone()).collect(),
            ..stating.empty_page(!stating.is_all_stated())
        };
        stating.stated = timelines;
        stating.stones = stones;
        Ok(Some(init))
    }

    fn next_timelines(&self, stating: &mut Stating) -> Result<Vec<(RowId, Stated)>, SyncError> {
        let mut page = Vec::new();
        while page.len() < PAGE
            && let Some(&id) = stating.listed.get_index(stating.taken)
        {
            stating.taken += 1;
            if let Some(timeline) = self.space.timeline_of(id)?
                && timeline.kind == TimelineKind::Data
            {
                let (tip, n) = (timeline.tip.addr, timeline.tip.n);
                page.push((id, Stated { tjp: timeline.tjp, tip, n }));
            }
        }
        if page.is_empty() && !stating.timelines_done {
            let found = self.space.timelines(TimelineKind::Data, stating.after_timeline, PAGE)?;
            stating.timelines_done = found.len() < PAGE;
            for timeline in found {
                stating.after_timeline = Some(timeline.tjp_id);
                let (tip, n) = (timeline.tip.addr, timeline.tip.n);
                page.push((timeline.tjp_id, Stated { tjp: timeline.tjp, tip, n }));
            }
        }
        Ok(page)
    }

    fn next_stones(&self, stating: &mut Stating) -> Result<Vec<(RowId, Addr)>, SyncError> {
        if stating.stones_done {
            let page = stating.listed_stones.len().min(PAGE);
            return Ok(stating.listed_stones.drain(..page).collect());
        }
        let found = self.space.unreferenced_stones(stating.after_stone, PAGE)?;
        stating.stones_done = found.len() < PAGE;
        stating.after_stone = found.last().map(|(id, _)| *id).or(stating.after_stone);
        Ok(found)
    }
}
