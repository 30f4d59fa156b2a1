//! Many rows at once, for walks through a graph.

use super::rows::{DNA, SqlRows};
use super::{deps, unsigned};
use crate::space::rows::{Outline, Rows};
use crate::space::{RowId, SpaceError};

/// A packed row's text is empty, so that its length is that of what stands in the block.
const OUTLINES: &str = "SELECT id, timeline, flags, deps, octet_length(json) + coalesce(length, 0) \
     FROM ibgib NOT INDEXED WHERE id BETWEEN ?2 AND ?3 AND domain = ?1 ORDER BY id DESC";
/// The same in a file whose format has no blocks.
const PLAIN_OUTLINES: &str = "SELECT id, timeline, flags, deps, octet_length(json) \
     FROM ibgib NOT INDEXED WHERE id BETWEEN ?2 AND ?3 AND domain = ?1 ORDER BY id DESC";

impl SqlRows<'_> {
    /// The rows numbered from `oldest` to `newest`, descending.
    pub(super) fn outlines_between(
        &self,
        oldest: RowId,
        newest: RowId,
    ) -> Result<Vec<Outline>, SpaceError> {
        let sql = if self.blocks.is_some() { OUTLINES } else { PLAIN_OUTLINES };
        let mut undecoded = None;
        let read = |row: &rusqlite::Row<'_>| {
            let id: RowId = row.get(0)?;
            let deps = deps::decode(id, row.get_ref(3)?.as_blob()?).unwrap_or_else(|| {
                undecoded = Some(id);
                Vec::new()
            });
            let (timeline, flags): (_, i64) = (row.get(1)?, row.get(2)?);
            let (is_dna, bytes) = (flags & DNA != 0, unsigned(row, 4)?);
            Ok(Outline { id, timeline, is_dna, deps, bytes })
        };
        let found = self.all(sql, (self.domain, oldest, newest), read)?;
        match undecoded {
            Some(id) => Err(self.damaged(format!("the relations of ibGib number {id}"))),
            None => Ok(found),
        }
    }
}
