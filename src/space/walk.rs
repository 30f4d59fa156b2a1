//! The walk through a dependency graph: from the highest number down, so that each row is met after
//! all that relate to it, and many are read at once where they stand together.

use super::id_set::IdSet;
use super::{Outline, RowId, Space, SpaceError};

/// How many numbers are read at once, at least and at most.
const LEAST: u64 = 4;
const MOST: u64 = 4096;

/// Gives each row of a dependency graph to `visit`, once; returns their numbers.
///
/// `live` adds, for each timeline that is met, the graph of its tip. Errors with
/// [`SpaceError::Damaged`] where a dependency is not there.
pub(super) fn walk(
    space: &dyn Space,
    roots: &[RowId],
    live: bool,
    mut visit: impl FnMut(&Outline),
) -> Result<IdSet, SpaceError> {
    let (mut found, mut to_visit) = (IdSet::default(), IdSet::default());
    let mut timelines = IdSet::default();
    fn met(id: RowId, found: &mut IdSet, to_visit: &mut IdSet) {
        if found.insert(id) {
            to_visit.insert(id);
        }
    }
    roots.iter().for_each(|root| met(*root, &mut found, &mut to_visit));
    let mut reader = Reader::new(space);
    while let Some(id) = to_visit.pop_last() {
        let Some(row) = reader.row(id)? else { return Err(gone(space, id, &found)?) };
        visit(row);
        row.deps.iter().for_each(|dep| met(*dep, &mut found, &mut to_visit));
        let timeline = row.timeline.filter(|tjp_id| live && timelines.insert(*tjp_id));
        if let Some(tjp_id) = timeline
            && let Some(timeline) = space.timeline_of(tjp_id)?
        {
            met(timeline.tip.id, &mut found, &mut to_visit);
        }
    }
    Ok(found)
}

/// Rows read ahead of the walk: more at once where those before were of use, fewer where they were not.
struct Reader<'a> {
    space: &'a dyn Space,
    rows: Vec<Outline>,
    /// Where the row that was asked for last stands.
    at: usize,
    /// How many of them were asked for.
    used: u64,
    span: u64,
}

impl<'a> Reader<'a> {
    fn new(space: &'a dyn Space) -> Reader<'a> {
        Reader { space, rows: Vec::new(), at: 0, used: 0, span: LEAST }
    }

    /// A row; none where it is gone.
    fn row(&mut self, id: RowId) -> Result<Option<&Outline>, SpaceError> {
        let is_ahead = |rows: &[Outline]| match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => (last.id..=first.id).contains(&id),
            _ => false,
        };
        if !is_ahead(self.rows.get(self.at..).unwrap_or_default()) {
            self.span = match self.used.saturating_mul(4) >= self.span {
                true => self.span.saturating_mul(2).min(MOST),
                false => (self.span / 2).max(LEAST),
            };
            self.rows = self.space.outlines(id, self.span)?;
            (self.at, self.used) = (0, 0);
        }
        while let Some(row) = self.rows.get(self.at)
            && row.id > id
        {
            self.at += 1;
        }
        self.used += 1;
        Ok(self.rows.get(self.at).filter(|row| row.id == id))
    }
}

/// The error for a row that is gone, which names its address where something relates to it.
fn gone(space: &dyn Space, id: RowId, found: &IdSet) -> Result<SpaceError, SpaceError> {
    for wanting in found.iter().filter(|wanting| *wanting > id) {
        if !space.deps(wanting)?.contains(&id) {
            continue;
        }
        let wanting = space.node(wanting)?;
        for addr in wanting.rel8ds {
            if space.find(&addr)?.is_none() {
                let detail = format!("{addr} is gone, and {} relates to it", wanting.addr);
                return Ok(space.damaged(detail));
            }
        }
    }
    Ok(SpaceError::NoSuchId(id))
}
