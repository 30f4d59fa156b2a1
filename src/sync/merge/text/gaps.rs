//! What a side put into a text: where, unit by unit, it stands among the units of the common text.

use std::ops::Range;

use super::align::Alignment;
use super::pair::{Allowance, Bags};
use super::three_way::Sides;
use super::unit::{Doc, is_same};

/// What a side inserted: the unit of the common text before which it stands, and the side's units.
pub(super) type Gap = (usize, Range<usize>);

/// What both sides inserted, each in the order of its places.
pub(super) struct Gaps {
    pub(super) kept: Vec<Gap>,
    pub(super) replayed: Vec<Gap>,
}

impl Gaps {
    /// The gaps of both sides. Where a side put units in the place of some of the common text, and
    /// the other changed one of those, what it put there is parted around that one.
    pub(super) fn of(sides: &Sides<'_>, allowance: &mut Allowance) -> Gaps {
        let kept = gaps(sides.kept_of, sides.kept.units.len());
        let replayed = gaps(sides.replayed_of, sides.replayed.units.len());
        let ours = OneSide { base: sides.base, side: sides.kept, of: sides.kept_of };
        let theirs = OneSide { base: sides.base, side: sides.replayed, of: sides.replayed_of };
        Gaps {
            kept: ours.part(&kept, &theirs, &replayed, allowance),
            replayed: theirs.part(&replayed, &ours, &kept, allowance),
        }
    }
}

/// A side, and how it is aligned with the common text.
struct OneSide<'a> {
    base: &'a Doc<'a>,
    side: &'a Doc<'a>,
    of: &'a Alignment,
}

impl OneSide<'_> {
    fn part(
        &self,
        gaps: &[Gap],
        other: &OneSide<'_>,
        other_gaps: &[Gap],
        allowance: &mut Allowance,
    ) -> Vec<Gap> {
        let mut parts = Vec::with_capacity(gaps.len());
        let mut other_gaps = other_gaps.iter().peekable();
        for (place, run) in gaps {
            let gone = gone(self.of, *place);
            while other_gaps.next_if(|gap| gap.0 < *place).is_some() {}
            // Where both put something there, what is alike is told by its place.
            let is_shared = other_gaps.peek().is_some_and(|gap| gap.0 < gone.end);
            let changed: Vec<usize> = if is_shared {
                Vec::new()
            } else {
                gone.clone().filter(|at| other.has_changed(*at)).collect()
            };
            let (mut place, mut from) = (*place, run.start);
            for (at, to) in changed.iter().zip(self.ends(&changed, &gone, run, allowance)) {
                if to > from {
                    parts.push((place, from..to));
                }
                (place, from) = (at + 1, to);
            }
            if run.end > from {
                parts.push((place, from..run.end));
            }
        }
        parts
    }

    fn has_changed(&self, at: usize) -> bool {
        let now = self.of[at].map(|unit| self.side.units[unit].content);
        now.is_some_and(|now| !is_same(self.base.units[at].content, now))
    }

    /// For each of some units of the common text, which are gone here: where that part of the run
    /// ends that stands before it. The part ends with the first unit that shares the most words with
    /// it; where none does, with the one that stands at its place, counted from the first one gone.
    fn ends(
        &self,
        units: &[usize],
        gone: &Range<usize>,
        run: &Range<usize>,
        allowance: &mut Allowance,
    ) -> Vec<usize> {
        let mut bags = Bags::default();
        let olds: Vec<_> = units.iter().map(|at| bags.bag(self.base.units[*at].content)).collect();
        let news =
            if olds.is_empty() { Vec::new() } else { bags.of(&self.side.units[run.clone()]) };
        let is_compared = allowance.take(&olds, &news);
        let (mut end, mut ends) = (run.start, Vec::with_capacity(units.len()));
        for (at, old) in units.iter().zip(&olds) {
            let first = end.saturating_sub(1).max(run.start);
            let shared = |unit: &usize| old.shares(&news[*unit - run.start]);
            let most = (first..run.end).filter(|_| is_compared).rev().max_by_key(shared);
            let most = most.filter(|unit| shared(unit) > 0);
            let to = most.unwrap_or(run.start + (at - gone.start)) + 1;
            end = to.clamp(end, run.end);
            ends.push(end);
        }
        ends
    }
}

/// The units of the common text, from a place on, that a side has not.
fn gone(of: &Alignment, place: usize) -> Range<usize> {
    place..place + of[place..].iter().take_while(|unit| unit.is_none()).count()
}

/// What a side inserted: the unit of the common text before which it stands, right after the one
/// that the side has before it, and the side's units.
pub(super) fn gaps(of: &Alignment, units: usize) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let (mut place, mut next) = (0, 0);
    let matched = of.iter().enumerate().filter_map(|(at, unit)| Some((at, (*unit)?)));
    for (at, unit) in matched.chain([(of.len(), units)]) {
        if unit > next {
            gaps.push((place, next..unit));
        }
        (place, next) = (at + 1, unit + 1);
    }
    gaps
}
