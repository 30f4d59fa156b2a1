//! Where an ibGib stands among those that it relates to.

use super::rows::Row;
use super::{Prepared, RowId};

/// The row of an item with the number `id`, as if it were on its timeline's mainline; `rel8d` gives
/// the rows of its relations by their places.
///
/// Errors with the row that it names as its tjp, where that begins no timeline.
pub(super) fn place(
    item: &Prepared,
    id: RowId,
    rel8d: impl Fn(u32) -> Option<Row>,
) -> Result<Row, Row> {
    let rel8d = |index: Option<u32>| rel8d(index?);
    let timeline = match rel8d(item.tjp) {
        _ if item.is_tjp => Some(id),
        Some(tjp) if tjp.timeline == Some(tjp.id) => Some(tjp.id),
        Some(tjp) => return Err(tjp),
        None => None,
    };
    let in_timeline = |row: &Row| row.timeline == timeline;
    let prev = rel8d(item.prev).filter(in_timeline).filter(|_| !item.is_tjp);
    let orphan = rel8d(item.orphan).filter(in_timeline).filter(|_| timeline.is_some());
    Ok(Row {
        id,
        timeline,
        n: item.n.unwrap_or_else(|| prev.map_or(0, |prev| prev.n.saturating_add(1))),
        prev: prev.map(|prev| prev.id),
        orphan: orphan.map(|orphan| orphan.id),
        is_off_mainline: false,
        is_dna: item.is_dna,
        is_leaf: item.rel8ds.is_empty(),
        is_keystone: item.is_keystone(),
    })
}
