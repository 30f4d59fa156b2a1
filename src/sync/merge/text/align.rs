//! Which units of a text are those of another.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::pair::{Allowance, Bags};
use super::unit::{Doc, Level, UNKNOWN, has_word};

/// How deep stretches between anchors are searched for further anchors.
const MAX_DEPTH: usize = 32;

/// For each unit of the common text, the unit of the side that is the same or was made of it; in
/// order, so that no two cross.
pub(super) type Alignment = Vec<Option<usize>>;

/// A range of units of the common text, and the range of the side's that stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RangePair {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// Aligns a side with the common text: equal units that stand once in both are anchors (those
/// with a word in them); what lies between is aligned so that the sides share the most words.
pub(super) fn align(
    base: &Doc<'_>,
    base_ids: &[u32],
    side: &Doc<'_>,
    side_ids: &[u32],
    allowance: &mut Allowance,
) -> Alignment {
    if is_prose(base, side) {
        return vec![Some(0)];
    }
    let mut bags = Bags::default();
    let counts = |at: usize| has_word(base.units[at].content);
    anchored(base_ids, side_ids, counts, |ranges, matched| {
        let RangePair { old, new } = &ranges;
        let (olds, news) = (&base.units[old.clone()], &side.units[new.clone()]);
        let (olds, news) = (bags.of(olds), bags.of(news));
        if allowance.take(&olds, &news) {
            super::pair::fit(&ranges, &olds, &news, usize::MAX, matched);
            return;
        }
        let first = (old.start, new.start);
        for part in changed(&base_ids[old.clone()], &side_ids[new.clone()], first, matched) {
            let olds = &olds[part.old.start - first.0..part.old.end - first.0];
            let news = &news[part.new.start - first.1..part.new.end - first.1];
            let reach = if allowance.take(olds, news) { usize::MAX } else { super::pair::REACH };
            super::pair::fit(&part, olds, news, reach, matched);
        }
    })
}

/// Whether both texts are one line, and one of them of several sentences: whatever became of it, it
/// is the same line.
fn is_prose(base: &Doc<'_>, side: &Doc<'_>) -> bool {
    let is_line = |doc: &Doc<'_>| doc.level == Level::Lines && doc.units.len() == 1;
    let has_several = |doc: &Doc<'_>| Doc::sentences(doc.units[0].content).units.len() > 1;
    is_line(base) && is_line(side) && (has_several(base) || has_several(side))
}

/// Aligns two sequences by longest common subsequence, anchors first.
pub(super) fn longest(old: &[u32], new: &[u32]) -> Alignment {
    anchored(
        old,
        new,
        |_| true,
        |RangePair { old: olds, new: news }, matched| {
            changed(&old[olds.clone()], &new[news.clone()], (olds.start, news.start), matched);
        },
    )
}

/// Matches what two sequences begin and end with in common and their anchors, and gives `fit` the
/// stretches that are left, which have something on both sides.
fn anchored(
    old: &[u32],
    new: &[u32],
    counts: impl Fn(usize) -> bool,
    mut fit: impl FnMut(RangePair, &mut Alignment),
) -> Alignment {
    let mut matched = vec![None; old.len()];
    let mut occurrences = Occurrences::default();
    let mut open = vec![(RangePair { old: 0..old.len(), new: 0..new.len() }, 0)];
    while let Some((mut ranges, depth)) = open.pop() {
        trim(old, new, &mut ranges, &mut matched);
        if ranges.old.is_empty() || ranges.new.is_empty() {
            continue;
        }
        let anchors = if depth < MAX_DEPTH {
            occurrences.anchors(old, new, &ranges, &counts)
        } else {
            Vec::new()
        };
        if anchors.is_empty() {
            fit(ranges, &mut matched);
            continue;
        }
        let (mut i, mut j) = (ranges.old.start, ranges.new.start);
        for (a, b) in anchors.iter().copied().chain([(ranges.old.end, ranges.new.end)]) {
            open.push((RangePair { old: i..a, new: j..b }, depth + 1));
            if a < ranges.old.end {
                matched[a] = Some(b);
            }
            (i, j) = (a + 1, b + 1);
        }
    }
    matched
}

/// Matches what a stretch begins and ends with in common, and takes it off.
fn trim(old: &[u32], new: &[u32], ranges: &mut RangePair, matched: &mut Alignment) {
    let is_open = |ranges: &RangePair| !ranges.old.is_empty() && !ranges.new.is_empty();
    while is_open(ranges) && old[ranges.old.start] == new[ranges.new.start] {
        matched[ranges.old.start] = Some(ranges.new.start);
        ranges.old.start += 1;
        ranges.new.start += 1;
    }
    while is_open(ranges) && old[ranges.old.end - 1] == new[ranges.new.end - 1] {
        ranges.old.end -= 1;
        ranges.new.end -= 1;
        matched[ranges.old.end] = Some(ranges.new.end);
    }
}

/// How often each number stands in a stretch, and where.
#[derive(Default)]
struct Occurrences(Vec<Occurrence>);

#[derive(Clone, Copy, Default)]
struct Occurrence {
    olds: u32,
    news: u32,
    old: usize,
    new: usize,
}

impl Occurrences {
    /// What stands once in both sides of a stretch, as far as the order is the same: the longest
    /// such sequence.
    fn anchors(
        &mut self,
        old: &[u32],
        new: &[u32],
        ranges: &RangePair,
        counts: &impl Fn(usize) -> bool,
    ) -> Vec<(usize, usize)> {
        let most = ranges.old.clone().map(|at| old[at] as usize + 1).max().unwrap_or(0);
        if self.0.len() < most {
            self.0.resize(most, Occurrence::default());
        }
        for at in ranges.old.clone() {
            let occurrence = &mut self.0[old[at] as usize];
            (occurrence.olds, occurrence.old) = (occurrence.olds + 1, at);
        }
        for at in ranges.new.clone().filter(|at| new[*at] != UNKNOWN) {
            if let Some(occurrence) = self.0.get_mut(new[at] as usize) {
                (occurrence.news, occurrence.new) = (occurrence.news + 1, at);
            }
        }
        let mut once = Vec::new();
        for at in ranges.old.clone() {
            let occurrence = self.0[old[at] as usize];
            if occurrence.olds == 1 && occurrence.news == 1 && counts(at) {
                once.push((at, occurrence.new));
            }
        }
        for number in old[ranges.old.clone()].iter().chain(&new[ranges.new.clone()]) {
            if let Some(occurrence) = self.0.get_mut(*number as usize) {
                *occurrence = Occurrence::default();
            }
        }
        rising(&once)
    }
}

/// The longest part of pairs, ascending in the first, that ascends in the second too.
fn rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // For each length, the pair with the least second that ends such a part.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; pairs.len()];
    for (at, (_, second)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < *second);
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut part = Vec::with_capacity(ends.len());
    let mut at = ends.last().copied();
    while let Some(end) = at {
        part.push(pairs[end]);
        at = before[end];
    }
    part.reverse();
    part
}

/// Matches equal numbers of two slices that begin at `first`, and tells the stretches between that
/// have something on both sides.
fn changed(
    old: &[u32],
    new: &[u32],
    first: (usize, usize),
    matched: &mut Alignment,
) -> Vec<RangePair> {
    let mut parts: Vec<RangePair> = Vec::new();
    let (mut i, mut j) = (0, 0);
    let mut part = |old: Range<usize>, new: Range<usize>| {
        if !old.is_empty() && !new.is_empty() {
            let old = old.start + first.0..old.end + first.0;
            parts.push(RangePair { old, new: new.start + first.1..new.end + first.1 });
        }
    };
    for op in capture_diff_slices(Algorithm::Myers, old, new) {
        if let DiffOp::Equal { old_index, new_index, len } = op {
            part(i..old_index, j..new_index);
            for offset in 0..len {
                matched[old_index + offset + first.0] = Some(new_index + offset + first.1);
            }
            (i, j) = (old_index + len, new_index + len);
        }
    }
    part(i..old.len(), j..new.len());
    parts
}
