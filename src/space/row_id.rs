//! The number of a row.

use std::fmt;

/// The number of a row inside one space file: it tells which of two rows came first, and nothing
/// is computed with it outside this room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(pub(super) i64);

impl RowId {
    /// Below every row's number.
    pub(super) const BEFORE_ALL: RowId = RowId(0);
    /// The first row's number.
    pub(super) const FIRST: RowId = RowId(1);
    /// Above every row's number.
    pub(super) const AFTER_ALL: RowId = RowId(i64::MAX);

    /// The number of the row after this one.
    pub(super) fn next(self) -> RowId {
        RowId(self.0.saturating_add(1))
    }

    /// The number of the row that stands at a place of a list of all rows.
    pub(super) fn at(place: usize) -> RowId {
        RowId(i64::try_from(place).unwrap_or(i64::MAX)).next()
    }

    /// The row's place in a list of all rows; none where it is no row's number.
    pub(super) fn place(self) -> Option<usize> {
        usize::try_from(self.0).ok()?.checked_sub(1)
    }

    /// The lowest of the `span` numbers that end with this one.
    pub(super) fn lowest_of(self, span: u64) -> RowId {
        let lowest = self.0.saturating_sub_unsigned(span).saturating_add(1);
        RowId(lowest).max(RowId::FIRST)
    }

    /// How far apart two rows are.
    pub(super) fn distance(self, other: RowId) -> u64 {
        self.0.abs_diff(other.0)
    }

    /// The row that is so far below this one; none where there is none, or it is not below.
    pub(super) fn below(self, distance: u64) -> Option<RowId> {
        let below = RowId(self.0.checked_sub_unsigned(distance)?);
        (RowId::FIRST..self).contains(&below).then_some(below)
    }
}

/// A number that came from elsewhere, which may be no row's: a call with it then errors with
/// [`SpaceError::NoSuchId`](super::SpaceError::NoSuchId).
impl From<i64> for RowId {
    fn from(number: i64) -> RowId {
        RowId(number)
    }
}

impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
