//! The rules that a result is compared with:
//!
//! - A line that nobody touched stands, once, in its order; one that one side changed stands as
//!   changed; one that a side deleted is gone, unless the other changed it: then the changed stands.
//! - In a line that both changed stand the words of both, and those of the common text that both
//!   left, once each, in one line. Where a side left less than half of it, both may stand whole.
//! - What a side inserted stands whole, once, between the lines where that side has it; where both
//!   inserted at one place, the kept side's comes first; what both inserted alike stands once.
//! - Between two lines stands what stands between them on a side, or what one side made of it.

use std::collections::HashMap;

use super::Case;
use super::diagnosis;
use super::matching::{From, Part, Rules, is_woven};
use super::text::{Doc, Id, Line, joined};
use super::words::{is_both_changed, is_close};

/// Names the rules that a result breaks; none where it is right.
pub fn judge(case: &Case, merged: &str) -> Vec<&'static str> {
    let result = Lines::read(merged);
    let expected = Expected::all(case);
    if expected.iter().any(|expected| expected.accepts(&result, true)) {
        return Vec::new();
    }
    if result.head.is_empty() && expected.iter().any(|expected| expected.accepts(&result, false)) {
        return vec![diagnosis::breaks(case, &result)];
    }
    diagnosis::name(case, &result)
}

/// A result as lines, each with the breaks after it.
pub struct Lines {
    /// Breaks that stand before the first line.
    pub head: String,
    pub lines: Vec<(String, String)>,
}

impl Lines {
    fn read(text: &str) -> Lines {
        let is_break = |c: char| c == '\n' || c == '\r';
        let rest = text.trim_start_matches(is_break);
        let head = text[..text.len() - rest.len()].to_owned();
        let mut lines = Vec::new();
        let mut rest = rest;
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.find(is_break).unwrap_or(rest.len()));
            let next = after.trim_start_matches(is_break);
            lines.push((line.to_owned(), after[..after.len() - next.len()].to_owned()));
            rest = next;
        }
        Lines { head, lines }
    }
}

/// What one version says of each of its lines.
struct Version<'a> {
    lines: HashMap<Id, (usize, &'a Line)>,
    order: Vec<Id>,
    end: &'a str,
}

impl<'a> Version<'a> {
    fn new(doc: &'a Doc) -> Version<'a> {
        let lines = doc.lines.iter().enumerate().map(|(at, line)| (line.id, (at, line))).collect();
        let order = doc.lines.iter().map(|line| line.id).collect();
        Version { lines, order, end: doc.lines.last().map_or("", |line| &line.breaks) }
    }

    fn line(&self, id: Id) -> Option<&'a Line> {
        self.lines.get(&id).map(|(_, line)| *line)
    }

    fn is_adjacent(&self, one: Id, two: Id) -> bool {
        match (self.lines.get(&one), self.lines.get(&two)) {
            (Some((one, _)), Some((two, _))) => one + 1 == *two,
            _ => false,
        }
    }

    /// The breaks after a line, where another follows.
    fn after(&self, id: Id) -> Option<&'a str> {
        let (at, line) = self.lines.get(&id)?;
        (at + 1 < self.order.len()).then_some(&line.breaks)
    }

    /// The breaks before a line, where it is not the first.
    fn before(&self, id: Id) -> Option<&'a str> {
        let (at, _) = self.lines.get(&id)?;
        at.checked_sub(1).and_then(|at| self.line(self.order[at])).map(|line| &*line.breaks)
    }

    /// The common lines that a side's own line stands between, by place: after and before which.
    fn gap(&self, id: Id, common: usize) -> Option<(Option<usize>, usize)> {
        let (at, _) = self.lines.get(&id)?;
        let base = |id: &Id| match id {
            Id::Base(place) => Some(*place),
            Id::New(_) => None,
        };
        let after = self.order[..*at].iter().rev().find_map(base);
        let before = self.order[at + 1..].iter().find_map(base).unwrap_or(common);
        (after.map_or(0, |after| after + 1) == before).then_some((after, before))
    }
}

/// One way in which the merge may have come out: some lines that both changed stand in one line,
/// others, of which a side left less than half, stand twice.
struct Expected<'a> {
    base: Version<'a>,
    kept: Version<'a>,
    replayed: Version<'a>,
    of_kept: Vec<Id>,
    of_replayed: Vec<Id>,
    /// Common lines that were changed too much to say where a line beside them stands.
    rewritten: Vec<Id>,
    /// Lines that stand twice, as each side has them.
    twice: Vec<Id>,
}

impl<'a> Expected<'a> {
    fn all(case: &'a Case) -> Vec<Expected<'a>> {
        let twice: Vec<Id> = case.base.lines.iter().map(|line| line.id).collect();
        let first = Expected::new(case, &[]);
        let open: Vec<Id> = twice.into_iter().filter(|id| first.may_stand_twice(*id)).collect();
        let ways = 0..1usize << open.len().min(6);
        let chosen = |way: usize| {
            let bit = |(at, id): (usize, &Id)| (way >> at & 1 == 1).then_some(*id);
            open.iter().enumerate().filter_map(bit).collect::<Vec<Id>>()
        };
        ways.map(|way| Expected::new(case, &chosen(way))).collect()
    }

    fn new(case: &'a Case, twice: &[Id]) -> Expected<'a> {
        let [base, kept, replayed] = [&case.base, &case.kept, &case.replayed].map(Version::new);
        let (of_kept, of_replayed, rewritten) = Default::default();
        let twice = twice.to_vec();
        let mut expected =
            Expected { base, kept, replayed, of_kept, of_replayed, rewritten, twice };
        for id in expected.base.order.clone() {
            let changes = [&expected.kept, &expected.replayed].map(|side| side.line(id));
            let common = expected.base.line(id);
            let is_much = |side: Option<&Line>| {
                let (Some(common), Some(side)) = (common, side) else { return true };
                !is_close(&joined(&common.words), &joined(&side.words))
            };
            if changes.into_iter().any(is_much) {
                expected.rewritten.push(id);
            }
        }
        expected.of_kept = expected.survivors(true);
        expected.of_replayed = expected.survivors(false);
        expected
    }

    fn is_changed(&self, side: &Version<'_>, id: Id) -> bool {
        match (side.line(id), self.base.line(id)) {
            (Some(line), Some(common)) => line.text() != common.text(),
            _ => false,
        }
    }

    /// Whether both changed a line, and one of them so much that both versions may stand.
    fn may_stand_twice(&self, id: Id) -> bool {
        self.is_changed(&self.kept, id)
            && self.is_changed(&self.replayed, id)
            && self.rewritten.contains(&id)
    }

    /// What of a side's lines stands in the result, in order.
    fn survivors(&self, is_kept: bool) -> Vec<Id> {
        let (side, other) = match is_kept {
            true => (&self.kept, &self.replayed),
            false => (&self.replayed, &self.kept),
        };
        let stands = |id: &&Id| {
            if matches!(id, Id::New(_)) || self.twice.contains(id) {
                return true;
            }
            let much = self.rewritten.contains(id);
            match (self.is_changed(side, **id), other.line(**id).is_some()) {
                (true, _) => true,
                (false, false) => false,
                // The other side's change stands in its place, wherever that is.
                (false, true) => !(much && self.is_changed(other, **id)),
            }
        };
        side.order.iter().filter(stands).copied().collect()
    }

    fn accepts(&self, result: &Lines, minds_breaks: bool) -> bool {
        let against = Against { expected: self, result, minds_breaks };
        (result.head.is_empty() || !minds_breaks)
            && is_woven(&self.of_kept, &self.of_replayed, &against)
    }

    /// Whether a line of the result is what the part should be.
    fn is_line(&self, text: &str, (id, from): Part) -> bool {
        let (kept, replayed) = (self.kept.line(id), self.replayed.line(id));
        match (from, kept, replayed) {
            (From::Kept, Some(line), _) | (From::Replayed, _, Some(line)) => line.text() == text,
            (From::Both, Some(kept), Some(replayed)) => {
                match (self.is_changed(&self.kept, id), self.is_changed(&self.replayed, id)) {
                    (_, false) => kept.text() == text,
                    (false, true) => replayed.text() == text,
                    (true, true) => is_both_changed(self.base.line(id), kept, replayed, text),
                }
            }
            _ => false,
        }
    }

    /// Whether these breaks may stand between two lines.
    fn may_part_lines(&self, one: Id, two: Id, breaks: &str) -> bool {
        let versions = [&self.base, &self.kept, &self.replayed];
        let beside = versions.map(|version| match version.is_adjacent(one, two) {
            true => version.after(one),
            false => None,
        });
        match beside {
            [_, Some(kept), Some(replayed)] if kept == replayed => breaks == kept,
            [Some(base), Some(kept), Some(replayed)] if kept == base => breaks == replayed,
            [Some(base), Some(kept), Some(replayed)] if replayed == base => breaks == kept,
            [None, None, None] => {
                let near = |version: &&Version<'_>| {
                    version.after(one) == Some(breaks) || version.before(two) == Some(breaks)
                };
                versions.iter().any(near)
            }
            any => any.contains(&Some(breaks)),
        }
    }

    /// Whether the text may end in this. Where the sides end otherwise, either has it right.
    fn may_end(&self, breaks: &str) -> bool {
        let (base, kept, replayed) = (self.base.end, self.kept.end, self.replayed.end);
        breaks == kept && kept != base || breaks == replayed && (replayed != base || kept == base)
    }
}

impl Expected<'_> {
    /// Whether both sides put these lines at one place, and the common lines at both ends of it are
    /// still there to tell.
    fn is_one_place(&self, kept: Id, replayed: Id) -> bool {
        let common = self.base.order.len();
        let gap = self.kept.gap(kept, common);
        let is_firm = |place: usize| !self.rewritten.contains(&Id::Base(place));
        gap == self.replayed.gap(replayed, common)
            && gap.is_some_and(|(after, before)| after.is_none_or(is_firm) && is_firm(before))
    }
}

struct Against<'e> {
    expected: &'e Expected<'e>,
    result: &'e Lines,
    minds_breaks: bool,
}

impl Rules for Against<'_> {
    fn step(&self, at: usize, prev: Option<Part>, part: Part) -> Option<usize> {
        let lines = &self.result.lines;
        if !self.expected.is_line(&lines.get(at)?.0, part) {
            return None;
        }
        let stands = match prev {
            Some((prev, _)) if self.minds_breaks && prev != part.0 => {
                self.expected.may_part_lines(prev, part.0, &lines[at - 1].1)
            }
            _ => true,
        };
        stands.then_some(at + 1)
    }

    fn ends(&self, at: usize, prev: Option<Part>) -> bool {
        at == self.result.lines.len()
            && match (prev, self.result.lines.last()) {
                (Some(_), Some((_, breaks))) if self.minds_breaks => self.expected.may_end(breaks),
                _ => true,
            }
    }

    fn waits(&self, kept: Id, replayed: Id) -> bool {
        let is_new = |id: Id| matches!(id, Id::New(_));
        is_new(kept) && is_new(replayed) && self.expected.is_one_place(kept, replayed)
    }

    fn may_part(&self, both: Id) -> bool {
        match both {
            Id::Base(_) => self.expected.twice.contains(&both),
            Id::New(_) => !self.expected.is_one_place(both, both),
        }
    }
}
