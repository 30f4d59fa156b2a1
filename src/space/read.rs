//! The calls of a space, told once for every implementation.

use std::collections::BTreeSet;

use crate::ibgib::{Addr, IbGib, TjpAddr};

use super::rows::{Backend, Outline, Row, Rows, TimelineRow};
use super::verified::{Verified, addr_of, hashed, verified};
use super::{
    Bound, DomainState, Node, Pending, Prepared, Purpose, PutOpts, PutReport, RowId, Snapshot,
    Space, SpaceCount, SpaceError, StateItem, Timeline, TimelineKind, Tip, pending, put, relations,
    state,
};

impl<B: Backend> Space for B {
    fn find(&self, addr: &Addr) -> Result<Option<RowId>, SpaceError> {
        self.read(|rows| Ok(rows.find(&addr.key())?.map(|row| row.id)))
    }

    fn has_many(&self, addrs: &[Addr]) -> Result<Vec<bool>, SpaceError> {
        self.read(|rows| addrs.iter().map(|addr| Ok(rows.find(&addr.key())?.is_some())).collect())
    }

    fn get_id(&self, id: RowId) -> Result<IbGib, SpaceError> {
        self.read(|rows| Ok(verified(rows, id)?.1))
    }

    fn text(&self, id: RowId) -> Result<Box<str>, SpaceError> {
        self.read(|rows| Ok(verified(rows, id)?.0.text))
    }

    fn text_to_send(&self, id: RowId) -> Result<Box<str>, SpaceError> {
        self.read(|rows| Ok(hashed(rows, id)?.text))
    }

    fn addr(&self, id: RowId) -> Result<Addr, SpaceError> {
        self.read(|rows| addr_of(rows, id))
    }

    fn node(&self, id: RowId) -> Result<Node, SpaceError> {
        self.read(|rows| {
            let (Verified { row, addr, text }, _) = verified(rows, id)?;
            let damaged = |error| rows.damaged(format!("{addr}: {error}"));
            let rel8ds = relations::rel8ds(&text).map_err(damaged)?;
            let Row { timeline, n, prev, .. } = row;
            Ok(Node { id, addr, timeline, n, prev, rel8ds })
        })
    }

    fn row(&self, id: RowId) -> Result<Row, SpaceError> {
        self.read(|rows| row_of(rows, id))
    }

    fn deps(&self, id: RowId) -> Result<Vec<RowId>, SpaceError> {
        self.read(|rows| rows.deps(id)?.ok_or(SpaceError::NoSuchId(id)))
    }

    fn outlines(&self, newest: RowId, span: u64) -> Result<Vec<Outline>, SpaceError> {
        self.read(|rows| rows.outlines(newest.lowest_of(span), newest))
    }

    fn newer(&self, than: RowId, most: u64) -> Result<Option<Vec<Outline>>, SpaceError> {
        self.read(|rows| match rows.newest()? {
            None => Ok(Some(Vec::new())),
            Some(newest) if newest <= than => Ok(Some(Vec::new())),
            Some(newest) if newest.distance(than) > most => Ok(None),
            Some(newest) => rows.outlines(than.next(), newest).map(Some),
        })
    }

    fn tip(&self, tjp: &TjpAddr) -> Result<Option<Tip>, SpaceError> {
        self.read(|rows| tip_of(rows, tjp))
    }

    fn timelines(
        &self,
        kind: TimelineKind,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<Timeline>, SpaceError> {
        self.read(|rows| {
            let after = after.unwrap_or(RowId::BEFORE_ALL);
            let found = rows.timelines(kind, after, limit)?;
            check_ascends(rows, after, found.iter().map(|timeline| timeline.tjp_id))?;
            found.into_iter().map(|timeline| to_timeline(rows, timeline)).collect()
        })
    }

    fn timeline_of(&self, tjp_id: RowId) -> Result<Option<Timeline>, SpaceError> {
        self.read(|rows| {
            rows.timeline(tjp_id)?.map(|timeline| to_timeline(rows, timeline)).transpose()
        })
    }

    fn unreferenced_stones(
        &self,
        after: Option<RowId>,
        limit: usize,
    ) -> Result<Vec<(RowId, Addr)>, SpaceError> {
        self.read(|rows| {
            let after = after.unwrap_or(RowId::BEFORE_ALL);
            let found = rows.unreferenced(after, limit)?;
            check_ascends(rows, after, found.iter().copied())?;
            found.into_iter().map(|id| Ok((id, addr_of(rows, id)?))).collect()
        })
    }

    fn live_timelines(&self, roots: &[RowId]) -> Result<Vec<RowId>, SpaceError> {
        self.read(|rows| live_timelines(rows, roots))
    }

    fn frame_at(&self, tjp_id: RowId, n: u64) -> Result<Option<RowId>, SpaceError> {
        self.read(|rows| match rows.timeline(tjp_id)? {
            Some(_) => mainline_at(rows, tjp_id, n),
            None => Ok(None),
        })
    }

    fn extends(&self, newer: RowId, older: RowId) -> Result<bool, SpaceError> {
        self.read(|rows| extends(rows, newer, older))
    }

    fn put(
        &self,
        batch: &mut dyn Iterator<Item = Result<Prepared, SpaceError>>,
        opts: &PutOpts,
    ) -> Result<PutReport, SpaceError> {
        self.write(|rows| put::put(rows, batch, opts))
    }

    fn name(&self, name: &str) -> Result<Option<TjpAddr>, SpaceError> {
        self.read(|rows| rows.name(name))
    }

    fn set_name(&self, name: &str, tjp: &TjpAddr) -> Result<(), SpaceError> {
        self.write(|rows| rows.set_name(name, tjp))
    }

    fn pending(&self, identity: &TjpAddr, purpose: Purpose) -> Result<Option<Pending>, SpaceError> {
        self.read(|rows| pending::pending(rows, identity, purpose))
    }

    fn keep_pending(
        &self,
        identity: &TjpAddr,
        purpose: Purpose,
        made: &Pending,
    ) -> Result<Pending, SpaceError> {
        self.write(|rows| pending::keep(rows, identity, purpose, made))
    }

    fn release(&self) -> Result<(), SpaceError> {
        Backend::release(self)
    }

    fn snapshot(&self) -> Result<Snapshot<'_>, SpaceError> {
        Backend::snapshot(self)
    }

    fn state(&self) -> Result<DomainState, SpaceError> {
        if let Some(state) = self.read(|rows| rows.state())? {
            return Ok(state);
        }
        let kept = self.write(|rows| match rows.state()? {
            Some(state) => Ok(state),
            None => {
                let state = state::compute(rows)?;
                rows.set_state(&state)?;
                Ok(state)
            }
        });
        match kept {
            Err(SpaceError::ReadOnly(_) | SpaceError::Full(_)) => {
                let _snapshot = Backend::snapshot(self)?;
                self.read(state::compute)
            }
            kept => kept,
        }
    }

    fn each_state_item(&self, f: &mut dyn FnMut(StateItem)) -> Result<(), SpaceError> {
        let _snapshot = Backend::snapshot(self)?;
        self.read(|rows| state::each_item(rows, f))
    }

    fn count(&self) -> Result<SpaceCount, SpaceError> {
        self.read(|rows| rows.count())
    }

    fn check_bound(&self, bound: &Bound, more: u64) -> Result<(), SpaceError> {
        match *bound == Bound::default() {
            true => Ok(()),
            false => self.read(|rows| bound.check(rows, more)),
        }
    }

    fn damaged(&self, detail: String) -> SpaceError {
        let damaged = self.read::<()>(|rows| Err(rows.damaged(detail)));
        damaged.err().unwrap_or(SpaceError::NoSuchId(RowId::BEFORE_ALL))
    }
}

/// Errors with [`SpaceError::Damaged`] where a page of rows does not ascend from where it begins: who
/// asks for what comes after its last row would be given the same ones again and again.
fn check_ascends(
    rows: &dyn Rows,
    mut after: RowId,
    page: impl Iterator<Item = RowId>,
) -> Result<(), SpaceError> {
    for id in page {
        if id <= after {
            return Err(rows.damaged(format!("ibGib number {id} comes after number {after}")));
        }
        after = id;
    }
    Ok(())
}

pub(super) fn row_of(rows: &dyn Rows, id: RowId) -> Result<Row, SpaceError> {
    rows.row(id)?.ok_or(SpaceError::NoSuchId(id))
}

/// The newest frame of the timeline that an address names.
pub(super) fn tip_of(rows: &dyn Rows, tjp: &TjpAddr) -> Result<Option<Tip>, SpaceError> {
    let Some(row) = rows.find(&tjp.key())? else { return Ok(None) };
    let Some(timeline) = rows.timeline(row.id)? else { return Ok(None) };
    tip(rows, timeline).map(Some)
}

fn tip(rows: &dyn Rows, timeline: TimelineRow) -> Result<Tip, SpaceError> {
    let TimelineRow { tjp_id, tip_id, tip_n, .. } = timeline;
    let missing = || rows.damaged(format!("the tip of the timeline of ibGib number {tjp_id}"));
    let row = rows.row(tip_id)?.ok_or_else(missing)?;
    if row.timeline != Some(tjp_id) || row.n != tip_n || row.is_off_mainline {
        return Err(missing());
    }
    Ok(Tip { id: tip_id, addr: addr_of(rows, tip_id)?, n: tip_n })
}

/// The frame on the mainline with the highest count of at most `n`.
pub(super) fn mainline_at(
    rows: &dyn Rows,
    tjp_id: RowId,
    n: u64,
) -> Result<Option<RowId>, SpaceError> {
    let Some(id) = rows.mainline_at(tjp_id, n)? else { return Ok(None) };
    match rows.row(id)? {
        Some(row) if row.timeline == Some(tjp_id) && row.n <= n && !row.is_off_mainline => {
            Ok(Some(id))
        }
        _ => Err(rows.damaged(format!("the line of the timeline of ibGib number {tjp_id}"))),
    }
}

fn to_timeline(rows: &dyn Rows, timeline: TimelineRow) -> Result<Timeline, SpaceError> {
    let TimelineRow { tjp_id, kind, .. } = timeline;
    let tjp = TjpAddr::from(addr_of(rows, tjp_id)?);
    if TimelineKind::of_ib(tjp.ib()) != kind {
        return Err(rows.damaged(format!("the kind of the timeline {tjp}")));
    }
    Ok(Timeline { tjp_id, tjp, tip: tip(rows, timeline)?, kind })
}

fn live_timelines(rows: &dyn Rows, roots: &[RowId]) -> Result<Vec<RowId>, SpaceError> {
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut to_visit = Vec::new();
    for root in roots {
        let row = row_of(rows, *root)?;
        if row.timeline.is_none() {
            found.insert(row.id);
        }
        to_visit.push(row.timeline.unwrap_or(row.id));
    }
    while let Some(owner) = to_visit.pop() {
        if !seen.insert(owner) {
            continue;
        }
        if rows.timeline(owner)?.is_some_and(|timeline| timeline.kind == TimelineKind::Data) {
            found.insert(owner);
        }
        to_visit.extend(rows.links(owner)?);
    }
    Ok(found.into_iter().collect())
}

fn extends(rows: &dyn Rows, newer: RowId, older: RowId) -> Result<bool, SpaceError> {
    let (newer, older) = (row_of(rows, newer)?, row_of(rows, older)?);
    if newer.id == older.id {
        return Ok(true);
    }
    if newer.timeline.is_none() || newer.timeline != older.timeline || newer.n <= older.n {
        return Ok(false);
    }
    let mut seen = BTreeSet::new();
    let mut to_visit = vec![newer.id];
    while let Some(id) = to_visit.pop() {
        let row = row_of(rows, id)?;
        // The line is one chain, so on it the counts tell who comes first.
        let both_on_mainline = !row.is_off_mainline && !older.is_off_mainline;
        if row.id == older.id || (both_on_mainline && row.n >= older.n) {
            return Ok(true);
        }
        if row.n > older.n {
            to_visit
                .extend([row.orphan, row.prev].into_iter().flatten().filter(|id| seen.insert(*id)));
        }
    }
    Ok(false)
}
