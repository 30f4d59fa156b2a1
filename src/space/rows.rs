//! The few operations on rows that the rules of every space stand on.

use crate::ibgib::{Addr, AddrKey, TjpAddr};

use super::pending::{PendingRow, Purpose};
use super::{DomainState, RowId, Snapshot, SpaceCount, SpaceError, TimelineKind};

/// What is known of an ibGib without reading its JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub id: RowId,
    /// The row of its timeline's tjp, its own where it is the tjp; none for a stone.
    pub timeline: Option<RowId>,
    /// Its count.
    pub n: u64,
    /// The row that it was made from, where that is in the same timeline (or both are stones).
    pub prev: Option<RowId>,
    /// The row of the orphaned tip that it grafted, where that is in the same timeline.
    pub orphan: Option<RowId>,
    /// Whether it is a frame that `past` does not reach from its timeline's tip.
    pub is_off_mainline: bool,
    /// Whether it records a transform.
    pub is_dna: bool,
    /// Whether it relates to nothing but primitives.
    pub is_leaf: bool,
    /// Whether its ib is that of a keystone.
    pub is_keystone: bool,
}

/// What a walk through many rows needs of each; its text is not read, nor hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its number.
    pub id: RowId,
    /// The row of its timeline's tjp; none for a stone.
    pub timeline: Option<RowId>,
    /// Whether it records a transform.
    pub is_dna: bool,
    /// The rows that it relates to, each once, in order; all have smaller numbers.
    pub deps: Vec<RowId>,
    /// Bytes of its JSON.
    pub bytes: u64,
}

/// A row with its text as it stands in the file: nothing of it is hashed.
pub(super) struct Stored {
    pub(super) row: Row,
    pub(super) key: AddrKey,
    pub(super) text: Box<str>,
}

/// A row about to be stored.
pub(super) struct NewRow<'a> {
    pub(super) row: Row,
    pub(super) key: AddrKey,
    pub(super) addr: &'a Addr,
    /// The rows that it relates to, in order.
    pub(super) deps: &'a [RowId],
    pub(super) text: &'a str,
}

/// Where a timeline stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimelineRow {
    pub(super) tjp_id: RowId,
    pub(super) kind: TimelineKind,
    pub(super) tip_id: RowId,
    pub(super) tip_n: u64,
}

/// Reading one domain's rows.
pub(super) trait Rows {
    fn find(&self, key: &AddrKey) -> Result<Option<Row>, SpaceError>;
    /// A row, and what its address is looked up by.
    fn keyed(&self, id: RowId) -> Result<Option<(Row, AddrKey)>, SpaceError>;
    fn row(&self, id: RowId) -> Result<Option<Row>, SpaceError> {
        Ok(self.keyed(id)?.map(|(row, _)| row))
    }
    fn deps(&self, id: RowId) -> Result<Option<Vec<RowId>>, SpaceError>;
    /// What stands in the file. It is hashed in `verified` and nowhere else, so nothing else asks.
    fn stored(&self, id: RowId) -> Result<Option<Stored>, SpaceError>;
    /// The address of a row, where it is kept beside its text. It is that of the row's key.
    fn kept_addr(&self, _id: RowId) -> Result<Option<Addr>, SpaceError> {
        Ok(None)
    }
    /// The rows numbered from `oldest` to `newest`, descending.
    fn outlines(&self, oldest: RowId, newest: RowId) -> Result<Vec<Outline>, SpaceError>;
    /// The number of the newest row of any domain; none where there is no row.
    fn newest(&self) -> Result<Option<RowId>, SpaceError>;
    fn timeline(&self, tjp_id: RowId) -> Result<Option<TimelineRow>, SpaceError>;
    /// Ascending by `tjp_id`, above `after`.
    fn timelines(
        &self,
        kind: TimelineKind,
        after: RowId,
        limit: usize,
    ) -> Result<Vec<TimelineRow>, SpaceError>;
    /// Ascending, above `after`.
    fn unreferenced(&self, after: RowId, limit: usize) -> Result<Vec<RowId>, SpaceError>;
    /// What a timeline or stone relates to: timelines, and stones that are no leaves.
    fn links(&self, owner: RowId) -> Result<Vec<RowId>, SpaceError>;
    /// The frame on the mainline with the highest count of at most `n`.
    fn mainline_at(&self, tjp_id: RowId, n: u64) -> Result<Option<RowId>, SpaceError>;
    fn name(&self, name: &str) -> Result<Option<TjpAddr>, SpaceError>;
    fn pending(
        &self,
        identity: &TjpAddr,
        purpose: Purpose,
    ) -> Result<Option<PendingRow>, SpaceError>;
    fn count(&self) -> Result<SpaceCount, SpaceError>;
    /// Where the data stands; none where that is not kept yet.
    fn state(&self) -> Result<Option<DomainState>, SpaceError>;
    /// Bytes of the whole file that are in use, all domains'; 0 where there is no file.
    fn file_bytes(&self) -> Result<u64, SpaceError> {
        Ok(0)
    }
    /// The error for rows that contradict each other.
    fn damaged(&self, detail: String) -> SpaceError;
}

/// Writing one domain's rows, inside a transaction.
pub(super) trait RowsMut: Rows {
    /// The number that the next new row gets.
    fn next_id(&self) -> Result<RowId, SpaceError>;
    fn insert(&mut self, new: &NewRow<'_>) -> Result<(), SpaceError>;
    /// Adds a timeline, or replaces where it stands.
    fn set_timeline(&mut self, timeline: &TimelineRow) -> Result<(), SpaceError>;
    fn add_link(&mut self, owner: RowId, target: RowId) -> Result<(), SpaceError>;
    fn add_unreferenced(&mut self, stone: RowId) -> Result<(), SpaceError>;
    /// Whether it was among them.
    fn remove_unreferenced(&mut self, stone: RowId) -> Result<bool, SpaceError>;
    /// Takes all frames that count above `n` off a timeline's mainline.
    fn clear_mainline(&mut self, tjp_id: RowId, n: u64) -> Result<(), SpaceError>;
    /// Puts a frame on its timeline's mainline.
    fn set_on_mainline(&mut self, id: RowId) -> Result<(), SpaceError>;
    fn set_name(&mut self, name: &str, tjp: &TjpAddr) -> Result<(), SpaceError>;
    /// Keeps an identity's pending step in the place of the one before.
    fn set_pending(
        &mut self,
        identity: &TjpAddr,
        purpose: Purpose,
        row: &PendingRow,
    ) -> Result<(), SpaceError>;
    fn add_count(&mut self, more: &SpaceCount) -> Result<(), SpaceError>;
    /// Keeps where the data stands.
    fn set_state(&mut self, state: &DomainState) -> Result<(), SpaceError>;
    /// Writes what is held back until there is more of it.
    fn flush(&mut self) -> Result<(), SpaceError> {
        Ok(())
    }
}

/// How an implementation of a space gives access to its rows.
pub(super) trait Backend: Send + Sync {
    /// Gives back memory that is held for speed alone.
    fn release(&self) -> Result<(), SpaceError> {
        Ok(())
    }

    /// Lets what is read be seen as it stands now, until what is returned is dropped.
    fn snapshot(&self) -> Result<Snapshot<'_>, SpaceError> {
        Ok(Snapshot::ended_by(|| {}))
    }

    /// Runs `f` on the rows as they stand.
    fn read<R>(&self, f: impl FnOnce(&dyn Rows) -> Result<R, SpaceError>) -> Result<R, SpaceError>;

    /// Runs `f` in a transaction, which an error undoes.
    fn write<R>(
        &self,
        f: impl FnOnce(&mut dyn RowsMut) -> Result<R, SpaceError>,
    ) -> Result<R, SpaceError>;
}
