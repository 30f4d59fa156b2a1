//! How new rows relate to others: which timeline or stone relates to which, and which stones are
//! unreferenced.

use std::collections::BTreeMap;

use hashlink::LruCache;

use super::{Row, RowId, RowsMut, SpaceError};
use crate::ibgib::AddrKey;
use crate::space::state::key_of;
use crate::space::{StateDigest, TimelineKind};

/// How many facts that are written already are remembered, so as not to write them again.
const REMEMBERED: usize = 65_536;

/// Whether a new row is a stone that a whole sync begins with, as long as nothing relates to it. A
/// saga's own stones are none, so that no sync takes them for data.
pub(in crate::space) fn is_unreferenced(row: &Row, kind: TimelineKind) -> bool {
    row.timeline.is_none() && !row.is_dna && kind == TimelineKind::Data
}

/// Whether a row is a stone, which is not unreferenced once something relates to it.
pub(in crate::space) fn is_related(dep: &Row) -> bool {
    dep.timeline.is_none() && !dep.is_dna
}

/// Which timelines or stones are linked where a row relates to another. A stone without relations
/// leads nowhere, so the index leaves it out.
pub(in crate::space) fn link(row: &Row, dep: &Row) -> Option<(RowId, RowId)> {
    let owner = row.timeline.unwrap_or(row.id);
    let target = dep.timeline.or(Some(dep.id).filter(|_| !dep.is_leaf));
    target.filter(|target| *target != owner).map(|target| (owner, target))
}

/// What a put notes of relations; the stones stay in memory until its end.
pub(super) struct RelationIndex {
    first_new: RowId,
    unreferenced: BTreeMap<RowId, AddrKey>,
    referenced: LruCache<RowId, ()>,
    linked: LruCache<(RowId, RowId), ()>,
    /// How the digest of the unreferenced stones changes.
    digest: StateDigest,
}

impl RelationIndex {
    /// For a put whose new rows begin at `first_new`.
    pub(super) fn new(first_new: RowId) -> RelationIndex {
        RelationIndex {
            first_new,
            unreferenced: BTreeMap::new(),
            referenced: LruCache::new(REMEMBERED),
            linked: LruCache::new(REMEMBERED),
            digest: StateDigest::default(),
        }
    }

    /// Notes a row that was stored and the rows that it relates to.
    pub(super) fn stored(
        &mut self,
        rows: &mut dyn RowsMut,
        (row, key): (&Row, &AddrKey),
        deps: &[Row],
        kind: TimelineKind,
    ) -> Result<(), SpaceError> {
        if is_unreferenced(row, kind) {
            self.unreferenced.insert(row.id, *key);
        }
        for dep in deps {
            if is_related(dep) {
                self.relate_to(rows, dep.id)?;
            }
            if let Some((owner, target)) = link(row, dep) {
                self.link(rows, owner, target)?;
            }
        }
        Ok(())
    }

    fn relate_to(&mut self, rows: &mut dyn RowsMut, stone: RowId) -> Result<(), SpaceError> {
        if self.unreferenced.remove(&stone).is_some() || stone >= self.first_new {
            return Ok(());
        }
        if self.referenced.insert(stone, ()).is_none() && rows.remove_unreferenced(stone)? {
            self.digest.subtract(&StateDigest::of_stone(&key_of(rows, stone)?));
        }
        Ok(())
    }

    fn link(
        &mut self,
        rows: &mut dyn RowsMut,
        owner: RowId,
        target: RowId,
    ) -> Result<(), SpaceError> {
        if self.linked.insert((owner, target), ()).is_none() {
            rows.add_link(owner, target)?;
        }
        Ok(())
    }

    /// Writes which new stones nothing relates to. Returns how the digest of all such stones changes.
    pub(super) fn write_unreferenced(
        &mut self,
        rows: &mut dyn RowsMut,
    ) -> Result<StateDigest, SpaceError> {
        for (id, key) in std::mem::take(&mut self.unreferenced) {
            rows.add_unreferenced(id)?;
            self.digest.add(&StateDigest::of_stone(&key));
        }
        Ok(self.digest)
    }
}
