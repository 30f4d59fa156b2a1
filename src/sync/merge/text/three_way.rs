//! Puts a merged text together, unit by unit.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::align::Alignment;
use super::breaks::{Endings, is_narrower, widest};
use super::gaps::{Gaps, gaps};
use super::pair::is_made_of;
use super::unit::{Doc, Level, has_word, is_same, is_spaceless};
use super::words::run_together;

/// Merges the contents of a unit that both sides changed: of the common text, the text that stays
/// and the replayed one. None where both are to stand.
pub(super) type Merger<'m> = dyn FnMut([&str; 3]) -> Option<String> + 'm;

/// Three texts, and how two of them are aligned with the common one.
pub(super) struct Sides<'a> {
    pub(super) base: &'a Doc<'a>,
    pub(super) kept: &'a Doc<'a>,
    pub(super) replayed: &'a Doc<'a>,
    pub(super) kept_of: &'a Alignment,
    pub(super) replayed_of: &'a Alignment,
}

/// A unit of the result, and where it stands in each text that has it.
struct Piece<'a> {
    content: Cow<'a, str>,
    base: Option<usize>,
    kept: Option<usize>,
    replayed: Option<usize>,
    /// What parts it from the unit before, where that is not told by where both stand.
    before: Option<&'a str>,
}

/// Merges texts unit by unit.
pub(super) fn merge<'a>(
    sides: &Sides<'a>,
    gaps: Gaps,
    endings: Endings,
    merge: &mut Merger<'_>,
) -> String {
    let pieces = sides.pieces(gaps, merge);
    let texts = [sides.base, sides.kept, sides.replayed];
    let mut out = String::with_capacity(sides.kept.text.len() + sides.replayed.text.len() / 4);
    // A text without a unit says nothing of what stands around them.
    let around = |part: fn(&'a Doc<'a>) -> &'a str| {
        endings.merge(texts.map(|text| (!text.units.is_empty()).then(|| part(text)))).unwrap_or("")
    };
    endings.push(&mut out, around(|text| text.head));
    let mut last: Option<&Piece<'_>> = None;
    for piece in &pieces {
        if let Some(last) = last {
            let between = sides.between(last, piece, endings);
            let runs_on = between.is_empty() && run_together(&last.content, &piece.content);
            endings.push(&mut out, if runs_on { " " } else { between });
        }
        out.push_str(&piece.content);
        last = Some(piece);
    }
    if last.is_some() {
        endings.push(&mut out, around(|text| text.tail));
    }
    out
}

impl<'a> Sides<'a> {
    /// Whether one side made several units of one, or one of several, that the other changed.
    pub(super) fn is_unclear(&self) -> bool {
        let replaced = |of: &Alignment, side: &Doc<'_>, other_of: &Alignment, other: &Doc<'_>| {
            gaps(of, side.units.len()).into_iter().any(|(place, run)| {
                let gone = of[place..].iter().take_while(|unit| unit.is_none()).count();
                is_made_of(&self.base.units[place..place + gone], &side.units[run])
                    && (place..place + gone).any(|at| {
                        other_of[at].is_some_and(|unit| {
                            !is_same(self.base.units[at].content, other.units[unit].content)
                        })
                    })
            })
        };
        replaced(self.kept_of, self.kept, self.replayed_of, self.replayed)
            || replaced(self.replayed_of, self.replayed, self.kept_of, self.kept)
    }

    fn pieces(&self, gaps: Gaps, merge: &mut Merger<'_>) -> Vec<Piece<'a>> {
        let moves = [
            Moves::of(self.base, self.kept, self.kept_of),
            Moves::of(self.base, self.replayed, self.replayed_of),
        ];
        let mut kept_gaps = gaps.kept.into_iter().peekable();
        let mut replayed_gaps = gaps.replayed.into_iter().peekable();
        let mut pieces = Vec::with_capacity(self.kept.units.len() + self.replayed.units.len() / 4);
        for place in 0..=self.base.units.len() {
            let kept = kept_gaps.next_if(|gap| gap.0 == place).map_or(0..0, |gap| gap.1);
            let replayed = replayed_gaps.next_if(|gap| gap.0 == place).map_or(0..0, |gap| gap.1);
            self.insert(place, kept, replayed, &mut pieces);
            if place < self.base.units.len() && !self.goes_along(place, &moves) {
                self.resolve(place, merge, &mut pieces);
            }
        }
        for piece in pieces.iter_mut().filter(|piece| piece.base.is_none()) {
            let [kept, replayed] = &moves;
            let ours = piece.kept.and_then(|at| kept.from.get(&at));
            let theirs = piece.replayed.and_then(|at| replayed.from.get(&at));
            let changed = match (ours, theirs) {
                (Some(from), None) => self.replayed_of[*from].map(|at| &self.replayed.units[at]),
                (None, Some(from)) => self.kept_of[*from].map(|at| &self.kept.units[at]),
                _ => None,
            };
            if let Some(changed) = changed {
                piece.content = Cow::Borrowed(changed.content);
            }
        }
        pieces
    }

    /// Whether a unit that one side moved goes there with what the other changed of it.
    fn goes_along(&self, at: usize, [kept, replayed]: &[Moves; 2]) -> bool {
        (kept.units.contains(&at) && self.replayed_of[at].is_some())
            || (replayed.units.contains(&at) && self.kept_of[at].is_some())
    }

    /// What both sides inserted before a unit of the common text.
    fn insert(
        &self,
        place: usize,
        kept: Range<usize>,
        replayed: Range<usize>,
        pieces: &mut Vec<Piece<'a>>,
    ) {
        let (ours, theirs) = (&self.kept.units, &self.replayed.units);
        let both = kept.clone().zip(replayed.clone());
        let alike = both.take_while(|(k, r)| is_same(ours[*k].content, theirs[*r].content)).count();
        for at in kept.clone() {
            let replayed = (at - kept.start < alike).then(|| at - kept.start + replayed.start);
            let content = Cow::Borrowed(ours[at].content);
            pieces.push(Piece { content, base: None, kept: Some(at), replayed, before: None });
        }
        let parted = (kept.len() > alike && replayed.len() > alike)
            .then(|| {
                self.part(place, kept.start + alike..kept.end, replayed.start + alike..replayed.end)
            })
            .flatten();
        for (nth, at) in (replayed.start + alike..replayed.end).enumerate() {
            let before = parted.filter(|_| nth == 0);
            let content = Cow::Borrowed(self.replayed.units[at].content);
            pieces.push(Piece { content, base: None, kept: None, replayed: Some(at), before });
        }
    }

    /// What parts the units that the side that stays inserted from those that the other did.
    ///
    /// Where both put theirs closer to what comes before than the break that was there, as with
    /// lines added to a list that a paragraph follows, they stand as close to each other; and so
    /// where both put theirs closer to what follows.
    fn part(&self, place: usize, kept: Range<usize>, replayed: Range<usize>) -> Option<&'a str> {
        let (ours, theirs) = (self.kept.before(kept.start), self.replayed.before(replayed.start));
        let Some(after) = self.kept.after(kept.end - 1) else { return widest(ours, theirs) };
        let was = self.base.before(place).filter(|_| place < self.base.units.len());
        let is_closer = |between: Option<&str>| {
            between.is_some_and(|between| was.is_some_and(|was| is_narrower(between, was)))
        };
        if is_closer(ours) && is_closer(theirs) {
            return widest(ours, theirs);
        }
        let end = self.replayed.after(replayed.end - 1);
        if is_closer(Some(after)) && is_closer(end) {
            return widest(Some(after), end);
        }
        widest(Some(after), theirs)
    }

    /// What becomes of a unit of the common text.
    fn resolve(&self, at: usize, merge: &mut Merger<'_>, pieces: &mut Vec<Piece<'a>>) {
        let base = self.base.units[at].content;
        let (kept, replayed) = (self.kept_of[at], self.replayed_of[at]);
        let ours = kept.map(|kept| self.kept.units[kept].content);
        let theirs = replayed.map(|replayed| self.replayed.units[replayed].content);
        let is_old = |content: &str| is_same(content, base);
        let content = match (ours, theirs) {
            (None, None) => return,
            (Some(one), None) | (None, Some(one)) if is_old(one) => return,
            (Some(one), None) | (None, Some(one)) => Cow::Borrowed(one),
            (Some(ours), Some(theirs)) if ours == base || ours == theirs => Cow::Borrowed(theirs),
            (Some(ours), Some(theirs)) if theirs == base || is_same(ours, theirs) => {
                Cow::Borrowed(ours)
            }
            (Some(ours), Some(theirs)) if is_old(ours) => Cow::Borrowed(theirs),
            (Some(ours), Some(theirs)) if is_old(theirs) => Cow::Borrowed(ours),
            (Some(ours), Some(theirs)) => match merge([base, ours, theirs]) {
                Some(merged) => Cow::Owned(merged),
                None => {
                    let content = Cow::Borrowed(ours);
                    let base = Some(at);
                    pieces.push(Piece { content, base, kept, replayed: None, before: None });
                    let content = Cow::Borrowed(theirs);
                    pieces.push(Piece {
                        content,
                        base: None,
                        kept: None,
                        replayed,
                        before: Some("\n"),
                    });
                    return;
                }
            },
        };
        pieces.push(Piece { content, base: Some(at), kept, replayed, before: None });
    }

    /// What parts two neighbours of the result.
    fn between(&self, last: &Piece<'a>, next: &Piece<'a>, endings: Endings) -> &'a str {
        if let Some(before) = next.before {
            return before;
        }
        let places = [
            (self.base, last.base, next.base),
            (self.kept, last.kept, next.kept),
            (self.replayed, last.replayed, next.replayed),
        ];
        let together = places.map(|(doc, last, next)| {
            let last = last.filter(|last| next == Some(last + 1))?;
            doc.after(last)
        });
        if let Some(between) = endings.merge(together) {
            return between;
        }
        let after = endings.merge(places.map(|(doc, last, _)| doc.after(last?)));
        let before = endings.merge(places.map(|(doc, _, next)| doc.before(next?)));
        widest(after, before).unwrap_or_else(|| self.usual(last, next))
    }

    /// What parts two units of which neither text tells.
    fn usual(&self, last: &Piece<'_>, next: &Piece<'_>) -> &'static str {
        let ends = [last.content.chars().next_back(), next.content.chars().next()];
        match self.base.level {
            Level::Lines => "\n",
            Level::Sentences if ends.into_iter().flatten().all(is_spaceless) => "",
            Level::Sentences => " ",
        }
    }
}

/// What a side moved: units of the common text that it has elsewhere, letter for letter.
struct Moves {
    units: HashSet<usize>,
    /// By the side's unit, the unit of the common text.
    from: HashMap<usize, usize>,
}

impl Moves {
    fn of(base: &Doc<'_>, side: &Doc<'_>, of: &Alignment) -> Moves {
        let mut gone: HashMap<&str, Option<usize>> = HashMap::new();
        let unmatched = (0..of.len()).filter(|at| of[*at].is_none());
        for at in unmatched.filter(|at| has_word(base.units[*at].content)) {
            let place = gone.entry(base.units[at].content);
            place.and_modify(|other| *other = None).or_insert(Some(at));
        }
        let mut come: HashMap<usize, Option<usize>> = HashMap::new();
        if !gone.is_empty() {
            for at in gaps(of, side.units.len()).into_iter().flat_map(|(_, run)| run) {
                if let Some(Some(from)) = gone.get(side.units[at].content) {
                    come.entry(*from).and_modify(|other| *other = None).or_insert(Some(at));
                }
            }
        }
        let moved = || come.iter().filter_map(|(from, at)| Some(((*at)?, *from)));
        Moves { units: moved().map(|(_, from)| from).collect(), from: moved().collect() }
    }
}
