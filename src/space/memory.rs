//! A space in memory, for sagas in process and for graphs that are only looked at.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use crate::ibgib::{AddrKey, TjpAddr};

use super::exclusive::Exclusive;
use super::pending::{PendingRow, Purpose};
use super::rows::{Backend, NewRow, Outline, Row, Rows, RowsMut, Stored, TimelineRow};
use super::{DomainState, RowId, SpaceCount, SpaceError, TimelineKind};

/// A space that lives as long as the value.
#[derive(Default)]
pub struct MemorySpace {
    state: Exclusive<State>,
}

impl MemorySpace {
    /// An empty space.
    pub fn new() -> MemorySpace {
        MemorySpace::default()
    }

    /// A space that holds what this one holds now, as a copy of a file would. Errors with
    /// [`SpaceError::InUse`] where this thread is putting something into it.
    #[cfg(all(feature = "client", feature = "server"))]
    pub(crate) fn copied(&self) -> Result<MemorySpace, SpaceError> {
        Ok(MemorySpace { state: Exclusive::new(self.state.lock()?.clone()) })
    }
}

impl Backend for MemorySpace {
    fn read<R>(&self, f: impl FnOnce(&dyn Rows) -> Result<R, SpaceError>) -> Result<R, SpaceError> {
        f(&*self.state.lock()?)
    }

    fn write<R>(
        &self,
        f: impl FnOnce(&mut dyn RowsMut) -> Result<R, SpaceError>,
    ) -> Result<R, SpaceError> {
        let mut state = self.state.lock()?;
        let undoing = Undoing(&mut state);
        let result = f(&mut *undoing.0)?;
        undoing.0.undo.0.clear();
        Ok(result)
    }
}

/// Undoes on drop what a write noted and did not clear, also where the write panics.
struct Undoing<'a>(&'a mut State);

impl Drop for Undoing<'_> {
    fn drop(&mut self) {
        while let Some(undo) = self.0.undo.0.pop() {
            undo(self.0);
        }
    }
}

type Undo = Box<dyn FnOnce(&mut State) + Send>;

#[derive(Clone)]
struct Held {
    row: Row,
    key: AddrKey,
    deps: Box<[RowId]>,
    text: Box<str>,
}

#[derive(Clone, Default)]
struct State {
    /// By number, which counts from one.
    rows: Vec<Held>,
    ids: HashMap<AddrKey, RowId>,
    timelines: BTreeMap<RowId, TimelineRow>,
    /// The frames on each timeline's mainline, by count.
    lines: HashMap<RowId, BTreeMap<u64, RowId>>,
    links: BTreeSet<(RowId, RowId)>,
    unreferenced: BTreeSet<RowId>,
    names: HashMap<String, TjpAddr>,
    pending: HashMap<(TjpAddr, Purpose), PendingRow>,
    count: SpaceCount,
    state: DomainState,
    /// How to undo what the write under way has done.
    undo: Undos,
}

/// Belongs to the write under way: a copy of a state begins without.
#[derive(Default)]
struct Undos(Vec<Undo>);

impl Clone for Undos {
    fn clone(&self) -> Undos {
        Undos::default()
    }
}

impl State {
    fn held(&self, id: RowId) -> Option<&Held> {
        self.rows.get(id.place()?)
    }

    /// Puts a frame on its mainline or takes it off.
    fn set_off_mainline(&mut self, id: RowId, is_off_mainline: bool) {
        let Some(held) = id.place().and_then(|at| self.rows.get_mut(at)) else { return };
        held.row.is_off_mainline = is_off_mainline;
        let Some(tjp_id) = held.row.timeline else { return };
        let line = self.lines.entry(tjp_id).or_default();
        if is_off_mainline {
            line.remove(&held.row.n);
        } else {
            line.insert(held.row.n, id);
        }
    }

    fn undo_by(&mut self, undo: impl FnOnce(&mut State) + Send + 'static) {
        self.undo.0.push(Box::new(undo));
    }

    /// As [`State::set_off_mainline`], noting how to undo it.
    fn move_off_mainline(&mut self, id: RowId, is_off_mainline: bool) {
        let was = self.held(id).is_some_and(|held| held.row.is_off_mainline);
        self.set_off_mainline(id, is_off_mainline);
        self.undo_by(move |state| state.set_off_mainline(id, was));
    }
}

impl Rows for State {
    fn find(&self, key: &AddrKey) -> Result<Option<Row>, SpaceError> {
        self.ids.get(key).map_or(Ok(None), |id| self.row(*id))
    }

    fn keyed(&self, id: RowId) -> Result<Option<(Row, AddrKey)>, SpaceError> {
        Ok(self.held(id).map(|held| (held.row, held.key)))
    }

    fn deps(&self, id: RowId) -> Result<Option<Vec<RowId>>, SpaceError> {
        Ok(self.held(id).map(|held| held.deps.to_vec()))
    }

    fn stored(&self, id: RowId) -> Result<Option<Stored>, SpaceError> {
        let held = self.held(id);
        Ok(held.map(|held| Stored { row: held.row, key: held.key, text: held.text.clone() }))
    }

    fn outlines(&self, oldest: RowId, newest: RowId) -> Result<Vec<Outline>, SpaceError> {
        let outline = |held: &Held| Outline {
            id: held.row.id,
            timeline: held.row.timeline,
            is_dna: held.row.is_dna,
            deps: held.deps.to_vec(),
            bytes: held.text.len() as u64,
        };
        let end = newest.next().place().map_or(0, |end| self.rows.len().min(end));
        let begin = oldest.place().map_or(0, |begin| begin.min(end));
        Ok(self.rows[begin..end].iter().rev().map(outline).collect())
    }

    fn newest(&self) -> Result<Option<RowId>, SpaceError> {
        Ok(self.rows.last().map(|held| held.row.id))
    }

    fn timeline(&self, tjp_id: RowId) -> Result<Option<TimelineRow>, SpaceError> {
        Ok(self.timelines.get(&tjp_id).copied())
    }

    fn timelines(
        &self,
        kind: TimelineKind,
        after: RowId,
        limit: usize,
    ) -> Result<Vec<TimelineRow>, SpaceError> {
        let above = self.timelines.range(after.next()..).map(|(_, timeline)| *timeline);
        Ok(above.filter(|timeline| timeline.kind == kind).take(limit).collect())
    }

    fn unreferenced(&self, after: RowId, limit: usize) -> Result<Vec<RowId>, SpaceError> {
        Ok(self.unreferenced.range(after.next()..).copied().take(limit).collect())
    }

    fn links(&self, owner: RowId) -> Result<Vec<RowId>, SpaceError> {
        let of_owner = self.links.range((owner, RowId::BEFORE_ALL)..=(owner, RowId::AFTER_ALL));
        Ok(of_owner.map(|(_, target)| *target).collect())
    }

    fn mainline_at(&self, tjp_id: RowId, n: u64) -> Result<Option<RowId>, SpaceError> {
        let line = self.lines.get(&tjp_id);
        Ok(line.and_then(|line| line.range(..=n).next_back()).map(|(_, id)| *id))
    }

    fn name(&self, name: &str) -> Result<Option<TjpAddr>, SpaceError> {
        Ok(self.names.get(name).cloned())
    }

    fn pending(
        &self,
        identity: &TjpAddr,
        purpose: Purpose,
    ) -> Result<Option<PendingRow>, SpaceError> {
        Ok(self.pending.get(&(identity.clone(), purpose)).cloned())
    }

    fn count(&self) -> Result<SpaceCount, SpaceError> {
        Ok(self.count)
    }

    fn state(&self) -> Result<Option<DomainState>, SpaceError> {
        Ok(Some(self.state))
    }

    fn damaged(&self, detail: String) -> SpaceError {
        SpaceError::Damaged { path: PathBuf::from("(memory)"), detail }
    }
}

impl RowsMut for State {
    fn next_id(&self) -> Result<RowId, SpaceError> {
        Ok(RowId::at(self.rows.len()))
    }

    fn insert(&mut self, new: &NewRow<'_>) -> Result<(), SpaceError> {
        let id = new.row.id;
        let (row, key) = (new.row, new.key);
        self.rows.push(Held { row, key, deps: new.deps.into(), text: new.text.into() });
        self.ids.insert(new.key, id);
        if row.timeline.is_some() && !row.is_off_mainline {
            self.set_off_mainline(id, false);
        }
        self.undo_by(|state: &mut State| {
            let Some(held) = state.rows.pop() else { return };
            state.ids.remove(&held.key);
            if let Some(line) = held.row.timeline.and_then(|tjp_id| state.lines.get_mut(&tjp_id))
                && !held.row.is_off_mainline
            {
                line.remove(&held.row.n);
            }
        });
        Ok(())
    }

    fn set_timeline(&mut self, timeline: &TimelineRow) -> Result<(), SpaceError> {
        let tjp_id = timeline.tjp_id;
        let before = self.timelines.insert(tjp_id, *timeline);
        self.undo_by(move |state| match before {
            Some(before) => drop(state.timelines.insert(tjp_id, before)),
            None => drop(state.timelines.remove(&tjp_id)),
        });
        Ok(())
    }

    fn add_link(&mut self, owner: RowId, target: RowId) -> Result<(), SpaceError> {
        if self.links.insert((owner, target)) {
            self.undo_by(move |state| {
                state.links.remove(&(owner, target));
            });
        }
        Ok(())
    }

    fn add_unreferenced(&mut self, stone: RowId) -> Result<(), SpaceError> {
        if self.unreferenced.insert(stone) {
            self.undo_by(move |state| {
                state.unreferenced.remove(&stone);
            });
        }
        Ok(())
    }

    fn remove_unreferenced(&mut self, stone: RowId) -> Result<bool, SpaceError> {
        let was_there = self.unreferenced.remove(&stone);
        if was_there {
            self.undo_by(move |state| {
                state.unreferenced.insert(stone);
            });
        }
        Ok(was_there)
    }

    fn clear_mainline(&mut self, tjp_id: RowId, n: u64) -> Result<(), SpaceError> {
        let line = self.lines.get(&tjp_id);
        let above = line.into_iter().flat_map(|line| line.range(n.saturating_add(1)..));
        let above: Vec<RowId> = above.map(|(_, id)| *id).collect();
        above.into_iter().for_each(|id| self.move_off_mainline(id, true));
        Ok(())
    }

    fn set_on_mainline(&mut self, id: RowId) -> Result<(), SpaceError> {
        self.move_off_mainline(id, false);
        Ok(())
    }

    fn set_name(&mut self, name: &str, tjp: &TjpAddr) -> Result<(), SpaceError> {
        let name = name.to_owned();
        let before = self.names.insert(name.clone(), tjp.clone());
        self.undo_by(move |state| match before {
            Some(before) => drop(state.names.insert(name, before)),
            None => drop(state.names.remove(&name)),
        });
        Ok(())
    }

    fn set_pending(
        &mut self,
        identity: &TjpAddr,
        purpose: Purpose,
        row: &PendingRow,
    ) -> Result<(), SpaceError> {
        let key = (identity.clone(), purpose);
        let before = self.pending.insert(key.clone(), row.clone());
        self.undo_by(move |state| match before {
            Some(before) => drop(state.pending.insert(key, before)),
            None => drop(state.pending.remove(&key)),
        });
        Ok(())
    }

    fn add_count(&mut self, more: &SpaceCount) -> Result<(), SpaceError> {
        let before = self.count;
        self.count.ibgibs += more.ibgibs;
        self.count.timelines += more.timelines;
        self.count.bytes += more.bytes;
        self.undo_by(move |state| state.count = before);
        Ok(())
    }

    fn set_state(&mut self, state: &DomainState) -> Result<(), SpaceError> {
        let before = std::mem::replace(&mut self.state, *state);
        self.undo_by(move |state| state.state = before);
        Ok(())
    }
}
