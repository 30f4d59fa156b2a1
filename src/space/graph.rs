//! Dependency graphs: streamed, counted and compared (docs/protocol.md, section 3).

use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::ibgib::Addr;

use super::id_set::IdSet;
use super::walk::walk;
use super::{Node, Row, RowId, Space, SpaceError};

/// How many addresses of each kind a comparison lists.
const LISTED: usize = 100;

/// Gives every node of a dependency graph to `visit`, each once and after all that it relates
/// to.
///
/// `live` adds, for each timeline that is met, the graph of its tip. `visit` ends the walk with
/// [`ControlFlow::Break`]. Memory holds the graph's row numbers only. Errors with
/// [`SpaceError::Damaged`] where a dependency is not there.
pub fn dependency_graph<E: From<SpaceError>>(
    space: &dyn Space,
    roots: &[RowId],
    live: bool,
    visit: &mut dyn FnMut(&Node) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    for id in graph_ids(space, roots, live)? {
        if visit(&space.node(id)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// The rows of a dependency graph, ascending, which is a dependency-first order.
///
/// `live` and the errors are as in [`dependency_graph`].
pub fn graph_ids(space: &dyn Space, roots: &[RowId], live: bool) -> Result<Vec<RowId>, SpaceError> {
    let found = walk(space, roots, live, |_| {})?;
    Ok(found.iter().collect())
}

/// What a graph consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GraphStats {
    /// All ibGibs.
    pub nodes: u64,
    /// IbGibs of timelines.
    pub frames: u64,
    /// Timelines that have frames in the graph.
    pub timelines: u64,
    /// IbGibs of no timeline, dna left out.
    pub stones: u64,
    /// Recorded transforms.
    pub dnas: u64,
    /// Relations between nodes, each pair once.
    pub edges: u64,
    /// Bytes of JSON.
    pub bytes: u64,
}

/// Counts a graph; `live` and the errors are as in [`dependency_graph`]. No text is read for it.
pub fn graph_stats(
    space: &dyn Space,
    roots: &[RowId],
    live: bool,
) -> Result<GraphStats, SpaceError> {
    let mut stats = GraphStats::default();
    let mut timelines = IdSet::default();
    walk(space, roots, live, |row| {
        stats.nodes += 1;
        stats.edges += row.deps.len() as u64;
        stats.bytes += row.bytes;
        match row.timeline {
            Some(tjp_id) => {
                stats.frames += 1;
                stats.timelines += u64::from(timelines.insert(tjp_id));
            }
            None if row.is_dna => stats.dnas += 1,
            None => stats.stones += 1,
        }
    })?;
    Ok(stats)
}

/// Where two graphs differ; lists are cut after 100 addresses, counts are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphDiff {
    /// Nodes of the first graph.
    pub nodes_a: u64,
    /// Nodes of the second graph.
    pub nodes_b: u64,
    /// In the first graph only.
    pub only_a: Addrs,
    /// In the second graph only.
    pub only_b: Addrs,
    /// In both, with texts that differ.
    pub differing: Addrs,
}

impl GraphDiff {
    /// Whether both graphs are the same.
    pub fn is_same(&self) -> bool {
        self.only_a.count == 0 && self.only_b.count == 0 && self.differing.count == 0
    }
}

/// Addresses, of which the first are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addrs {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Addr>,
}

impl Addrs {
    fn add(&mut self, addr: Addr) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(addr);
        }
    }
}

/// Compares two dependency graphs, address by address and byte by byte.
pub fn compare_graphs(
    space_a: &dyn Space,
    roots_a: &[RowId],
    space_b: &dyn Space,
    roots_b: &[RowId],
) -> Result<GraphDiff, SpaceError> {
    let ids_a = graph_ids(space_a, roots_a, false)?;
    let mut only_b: HashSet<RowId> = graph_ids(space_b, roots_b, false)?.into_iter().collect();
    let mut diff = GraphDiff {
        nodes_a: ids_a.len() as u64,
        nodes_b: only_b.len() as u64,
        ..GraphDiff::default()
    };
    for id_a in ids_a {
        let addr = space_a.addr(id_a)?;
        match space_b.find(&addr)?.filter(|id_b| only_b.remove(id_b)) {
            None => diff.only_a.add(addr),
            Some(id_b) if space_a.text(id_a)? != space_b.text(id_b)? => diff.differing.add(addr),
            Some(_) => {}
        }
    }
    let mut only_b: Vec<RowId> = only_b.into_iter().collect();
    only_b.sort_unstable();
    for id_b in only_b {
        diff.only_b.add(space_b.addr(id_b)?);
    }
    Ok(diff)
}

/// The frames from `newer` down through `past`, oldest first, `newer` included.
///
/// It ends before the first row for which `stop` is true, or at the first frame of the timeline.
/// Errors with [`SpaceError::Damaged`] where it leads out of the timeline.
pub fn chain(
    space: &dyn Space,
    newer: RowId,
    stop: impl Fn(&Row) -> bool,
) -> Result<Vec<RowId>, SpaceError> {
    let mut ids = Vec::new();
    let mut next = Some(newer);
    let mut after: Option<Row> = None;
    while let Some(id) = next {
        let row = space.row(id)?;
        let goes_on = |after: Row| {
            after.timeline == row.timeline && (after.n > row.n || row.timeline.is_none())
        };
        if !after.is_none_or(goes_on) {
            return Err(space.damaged(format!("the past of {}", space.addr(newer)?)));
        }
        after = Some(row);
        if stop(&row) {
            break;
        }
        ids.push(id);
        next = row.prev;
    }
    ids.reverse();
    Ok(ids)
}
