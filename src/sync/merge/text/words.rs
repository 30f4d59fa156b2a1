//! Merges the words of a line that both sides changed.

use std::ops::Range;

use super::align::{Alignment, longest};
use super::unit::{Ids, has_word, is_spaceless, is_word, run_of_word, tokens};

/// A place where a side differs from the common text: `old` of that became `new` of the side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hunk {
    old: Range<usize>,
    new: Range<usize>,
}

/// One version of a line: its words, spaces and punctuation.
struct Line<'a> {
    tokens: Vec<&'a str>,
    ids: Vec<u32>,
    /// Which tokens are words.
    words: Vec<usize>,
}

impl<'a> Line<'a> {
    fn new(text: &'a str, ids: &mut Ids<'a>) -> Line<'a> {
        let tokens: Vec<&str> = tokens(text).map(|(_, token)| token).collect();
        let ids = tokens.iter().map(|token| ids.add(token)).collect();
        let words = (0..tokens.len()).filter(|at| has_word(tokens[*at])).collect();
        Line { tokens, ids, words }
    }

    fn word_ids(&self) -> Vec<u32> {
        self.words.iter().map(|at| self.ids[*at]).collect()
    }
}

/// Where a side differs from the common text: words are aligned by longest common subsequence;
/// between two words that are the same, spaces and punctuation are the same from the end and from
/// the start. So a word that was inserted takes the space before it along.
fn hunks(base: &Line<'_>, side: &Line<'_>) -> Vec<Hunk> {
    let mut matched = longest(&base.word_ids(), &side.word_ids());
    drop_scraps(base, side, &mut matched);
    let anchors = matched.iter().enumerate().filter_map(|(old, new)| Some((old, (*new)?)));
    let anchors = anchors.map(|(old, new)| (base.words[old], side.words[new]));
    let mut hunks = Vec::new();
    let (mut i, mut j) = (0, 0);
    for (a, b) in anchors.chain([(base.ids.len(), side.ids.len())]) {
        let (mut old, mut new) = (i..a, j..b);
        while !old.is_empty() && !new.is_empty() && base.ids[old.end - 1] == side.ids[new.end - 1] {
            (old.end, new.end) = (old.end - 1, new.end - 1);
        }
        while !old.is_empty() && !new.is_empty() && base.ids[old.start] == side.ids[new.start] {
            (old.start, new.start) = (old.start + 1, new.start + 1);
        }
        if !(old.is_empty() && new.is_empty()) {
            hunks.push(Hunk { old, new });
        }
        (i, j) = (a + 1, b + 1);
    }
    hunks
}

/// Takes characters of scripts without spaces that are the same by chance, too few in a row to make
/// a word, as different.
fn drop_scraps(base: &Line<'_>, side: &Line<'_>, matched: &mut Alignment) {
    let mut at = 0;
    while at < matched.len() {
        let start = at;
        at += 1;
        let token = base.tokens[base.words[start]];
        let (Some(first), Some(least)) = (matched[start], run_of_word(token)) else { continue };
        let goes_on = |at: usize| {
            let (old, new) = (base.words[at], side.words.get(first + at - start));
            old == base.words[start] + at - start
                && new.is_some_and(|new| *new == side.words[first] + at - start)
                && matched[at] == Some(first + at - start)
                && run_of_word(base.tokens[old]).is_some()
        };
        while at < matched.len() && goes_on(at) {
            at += 1;
        }
        let edges = [
            base.words[start] == 0 && side.words[first] == 0,
            at == matched.len() && first + at - start == side.words.len(),
        ];
        if at - start < least && !edges.contains(&true) {
            matched[start..at].fill(None);
        }
    }
}

/// A token of the result, and where it stands in each side that has it.
#[derive(Clone, Copy)]
struct Piece<'a> {
    token: &'a str,
    kept: Option<usize>,
    replayed: Option<usize>,
}

/// Merges a line word by word: the common one, the one that stays and the replayed one.
pub(super) fn merge([base, kept, replayed]: [&str; 3]) -> String {
    let mut ids = Ids::default();
    let base = Line::new(base, &mut ids);
    let (kept, replayed) = (Line::new(kept, &mut ids), Line::new(replayed, &mut ids));
    let mut merge =
        TokenMerge { base: &base, kept: &kept, replayed: &replayed, pieces: Vec::new() };
    merge.run(&hunks(&base, &kept), &hunks(&base, &replayed));
    merge.join()
}

struct TokenMerge<'w, 'a> {
    base: &'w Line<'a>,
    kept: &'w Line<'a>,
    replayed: &'w Line<'a>,
    pieces: Vec<Piece<'a>>,
}

impl TokenMerge<'_, '_> {
    fn run(&mut self, kept: &[Hunk], replayed: &[Hunk]) {
        let (mut k, mut r) = (0, 0);
        // The base's next token, and where the sides have it.
        let (mut at, mut ours, mut theirs) = (0, 0, 0);
        while let Some(region) = region(kept, k, replayed, r) {
            let Region { old, kept: kept_end, replayed: replayed_end } = region;
            self.unchanged(at..old.start, ours, theirs);
            ours += old.start - at;
            theirs += old.start - at;
            self.change(&kept[k..kept_end], &replayed[r..replayed_end]);
            at = old.end;
            ours = moved(&kept[k..kept_end], ours, &old);
            theirs = moved(&replayed[r..replayed_end], theirs, &old);
            (k, r) = (kept_end, replayed_end);
        }
        self.unchanged(at..self.base.tokens.len(), ours, theirs);
    }

    /// Tokens that all three have, written as a side writes them that writes them otherwise.
    fn unchanged(&mut self, base: Range<usize>, ours: usize, theirs: usize) {
        for (offset, old) in base.enumerate() {
            let (kept, replayed) = (ours + offset, theirs + offset);
            let is_old = self.kept.tokens[kept] == self.base.tokens[old];
            let token =
                if is_old { self.replayed.tokens[replayed] } else { self.kept.tokens[kept] };
            self.pieces.push(Piece { token, kept: Some(kept), replayed: Some(replayed) });
        }
    }

    /// What both sides put in one place: what the side that stays did, then what the other did; what
    /// both begin with, and what both put in the place of the same last word, is there once.
    fn change(&mut self, kept: &[Hunk], replayed: &[Hunk]) {
        let ours: Vec<usize> = kept.iter().flat_map(|hunk| hunk.new.clone()).collect();
        let theirs: Vec<usize> = replayed.iter().flat_map(|hunk| hunk.new.clone()).collect();
        let head = self.alike(&ours, &theirs);
        let replaced = |hunks: &[Hunk]| {
            hunks.last().filter(|hunk| !hunk.old.is_empty()).map(|hunk| hunk.old.end)
        };
        let tail = match (replaced(kept), replaced(replayed)) {
            (Some(ours_end), Some(theirs_end)) if ours_end == theirs_end => {
                self.alike_at_end(&ours[head..], &theirs[head..])
            }
            _ => 0,
        };
        let (ours_end, theirs_end) = (ours.len() - tail, theirs.len() - tail);
        let both = |ours: &[usize], theirs: &[usize]| -> Vec<Piece<'_>> {
            let pair = |(ours, theirs): (&usize, &usize)| Piece {
                token: self.kept.tokens[*ours],
                kept: Some(*ours),
                replayed: Some(*theirs),
            };
            ours.iter().zip(theirs).map(pair).collect()
        };
        let mut pieces = both(&ours[..head], &theirs[..head]);
        pieces.extend(ours[head..ours_end].iter().map(|at| Piece {
            token: self.kept.tokens[*at],
            kept: Some(*at),
            replayed: None,
        }));
        pieces.extend(theirs[head..theirs_end].iter().map(|at| Piece {
            token: self.replayed.tokens[*at],
            kept: None,
            replayed: Some(*at),
        }));
        pieces.extend(both(&ours[ours_end..], &theirs[theirs_end..]));
        self.pieces.extend(pieces);
    }

    /// How many tokens of two insertions are alike from the start: up to the end of a word.
    fn alike(&self, ours: &[usize], theirs: &[usize]) -> usize {
        let (kept, replayed) = (self.kept, self.replayed);
        let pairs = ours.iter().zip(theirs);
        let alike = pairs.take_while(|(k, r)| kept.ids[**k] == replayed.ids[**r]).count();
        let next = [
            ours.get(alike).map(|at| kept.tokens[*at]),
            theirs.get(alike).map(|at| replayed.tokens[*at]),
        ];
        let tokens: Vec<&str> = ours[..alike].iter().map(|at| kept.tokens[*at]).collect();
        whole_words(&tokens, next)
    }

    /// How many tokens of two insertions are alike from the end: up to the start of a word.
    fn alike_at_end(&self, ours: &[usize], theirs: &[usize]) -> usize {
        let (kept, replayed) = (self.kept, self.replayed);
        let pairs = ours.iter().rev().zip(theirs.iter().rev());
        let alike = pairs.take_while(|(k, r)| kept.ids[**k] == replayed.ids[**r]).count();
        let before = |list: &[usize], of: &Line<'_>| {
            list.len().checked_sub(alike + 1).map(|at| of.tokens[list[at]].to_owned())
        };
        let next = [before(ours, kept), before(theirs, replayed)];
        let tokens: Vec<&str> =
            ours[ours.len() - alike..].iter().rev().map(|at| kept.tokens[*at]).collect();
        whole_words(&tokens, next.each_ref().map(|token| token.as_deref()))
    }

    /// The text of the pieces: words that would run together are parted by a space, and of two
    /// spaces that come together one stands, unless a side has the two side by side.
    fn join(&self) -> String {
        let mut out = String::new();
        let mut last: Option<Piece<'_>> = None;
        for (nth, piece) in self.pieces.iter().enumerate() {
            let is_new = !last.map_or_else(|| begins(piece), |last| follows(&last, piece));
            if is_new && is_space(piece.token) {
                let before_nothing = last.is_none_or(|last| is_space(last.token));
                if before_nothing || self.closes_next(nth) {
                    continue;
                }
            }
            if is_new && last.is_some_and(|last| run_together(last.token, piece.token)) {
                out.push(' ');
            }
            out.push_str(piece.token);
            last = Some(*piece);
        }
        let ends = |piece: Piece<'_>| {
            piece.kept.is_some_and(|at| at + 1 == self.kept.tokens.len())
                || piece.replayed.is_some_and(|at| at + 1 == self.replayed.tokens.len())
        };
        if last.is_some_and(|last| is_space(last.token) && !ends(last)) {
            out.truncate(out.trim_end().len());
        }
        out
    }

    /// Whether what follows a space that came anew closes a phrase, so that no space belongs there.
    fn closes_next(&self, nth: usize) -> bool {
        self.pieces.get(nth + 1).is_none_or(|next| {
            !follows(&self.pieces[nth], next) && next.token.starts_with([',', '.', ';', ')'])
        })
    }
}

/// How many of some tokens make whole words; `next` is what follows them on either side.
fn whole_words(tokens: &[&str], next: [Option<&str>; 2]) -> usize {
    let is_run = |token: &str| run_of_word(token).is_some();
    let mut count = tokens.len();
    // A character of a script without spaces is a part of what it touches.
    if next.into_iter().flatten().any(is_run) {
        while count > 0 && is_run(tokens[count - 1]) {
            count -= 1;
        }
    }
    let is_whole = count == tokens.len() && next.contains(&None);
    while !is_whole && count > 0 && !has_word(tokens[count - 1]) {
        count -= 1;
    }
    count
}

/// Hunks of both sides that belong together.
struct Region {
    old: Range<usize>,
    /// The first hunk of the side that stays after them.
    kept: usize,
    replayed: usize,
}

/// The next hunk from these on, with those that overlap it.
fn region(kept: &[Hunk], k: usize, replayed: &[Hunk], r: usize) -> Option<Region> {
    let key = |hunk: &&Hunk| (hunk.old.start, hunk.old.end);
    let first = [kept.get(k), replayed.get(r)].into_iter().flatten().min_by_key(key)?;
    let mut region = Region { old: first.old.clone(), kept: k, replayed: r };
    loop {
        let old = region.old.clone();
        let belongs = |hunk: &&Hunk| {
            hunk.old == old || (hunk.old.start < old.end && hunk.old.end > old.start)
        };
        if let Some(hunk) = kept.get(region.kept).filter(belongs) {
            region.old.end = old.end.max(hunk.old.end);
            region.kept += 1;
        } else if let Some(hunk) = replayed.get(region.replayed).filter(belongs) {
            region.old.end = old.end.max(hunk.old.end);
            region.replayed += 1;
        } else {
            return Some(region);
        }
    }
}

/// Where a side stands after a region.
fn moved(hunks: &[Hunk], at: usize, old: &Range<usize>) -> usize {
    match hunks.last() {
        Some(last) => last.new.end + (old.end - last.old.end),
        None => at + old.len(),
    }
}

/// Whether two neighbours of the result are neighbours in either side.
fn follows(last: &Piece<'_>, next: &Piece<'_>) -> bool {
    let adjacent = |a: Option<usize>, b: Option<usize>| a.is_some() && a.map(|a| a + 1) == b;
    adjacent(last.kept, next.kept) || adjacent(last.replayed, next.replayed)
}

/// Whether a side begins with this.
fn begins(piece: &Piece<'_>) -> bool {
    piece.kept == Some(0) || piece.replayed == Some(0)
}

fn is_space(token: &str) -> bool {
    token.chars().all(char::is_whitespace)
}

/// Whether two texts want a space between them: a word or the end of a phrase, and a word.
pub(super) fn run_together(last: &str, next: &str) -> bool {
    let (Some(a), Some(b)) = (last.chars().next_back(), next.chars().next()) else { return false };
    is_word(b) && !(is_spaceless(a) || is_spaceless(b)) && (is_word(a) || ".,;:!?…)]}".contains(a))
}
