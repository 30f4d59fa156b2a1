//! Three-way merge of texts by longest common subsequence.

use std::collections::HashMap;
use std::ops::Range;

use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::weave::weave;

/// How many bytes of a stretch's three texts are compared word by word.
const MAX_WORD_BYTES: usize = 1 << 20;
/// How many tokens two texts may differ in to be compared at all; more count as replaced.
const MAX_TOKENS: usize = 100_000;

/// Merges two texts that were made of one.
///
/// Both are compared with `base` line by line; where both changed the same or touching lines,
/// word by word. Then:
///
/// - what either side inserted is in the result, and what either side deleted is not;
/// - an edit of one side stands where that side made it;
/// - where both inserted at the same place, what `kept` inserted comes first, then what `replayed`
///   did; a change that both made in the same way is there once;
/// - where a side deleted whole lines that the other edited, the edited lines stay;
/// - words that would run together are parted by a space, or a line break if the second began a line.
///
/// The result depends on nothing but the three texts. Stretches of more than a mebibyte that both
/// changed are merged line by line.
pub fn merge_text(base: &str, kept: &str, replayed: &str) -> String {
    if kept == replayed || base == replayed {
        return kept.to_owned();
    }
    if base == kept {
        return replayed.to_owned();
    }
    let base = lines(base);
    let kept = Side::new(&base, lines(kept), Grain::Lines);
    let replayed = Side::new(&base, lines(replayed), Grain::Lines);
    let mut out = String::new();
    let (mut at, mut next_kept, mut next_replayed) = (0, 0, 0);
    while let Some(stretch) = Stretch::next(&kept, next_kept, &replayed, next_replayed) {
        push_lines(&mut out, &base[at..stretch.base.start]);
        merge_stretch(&mut out, &base, &kept, &replayed, &stretch);
        at = stretch.base.end;
        (next_kept, next_replayed) = (stretch.kept.end, stretch.replayed.end);
    }
    push_lines(&mut out, &base[at..]);
    out
}

/// What tokens are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grain {
    Lines,
    Words,
}

/// A place where a side differs from the base: `old` of the base became `new` of the side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

/// One side's tokens, and where they differ from the base's.
pub(super) struct Side<'a> {
    pub(super) tokens: Vec<&'a str>,
    pub(super) hunks: Vec<Hunk>,
}

impl<'a> Side<'a> {
    pub(super) fn new(base: &[&str], tokens: Vec<&'a str>, grain: Grain) -> Side<'a> {
        let mut hunks = hunks(base, &tokens);
        if grain == Grain::Words {
            join_phrases(base, &mut hunks);
        }
        Side { tokens, hunks }
    }

    /// The side's tokens that stand for a range of the base that holds these hunks of it.
    fn range(&self, hunks: &Range<usize>, base: &Range<usize>) -> Range<usize> {
        let hunks = &self.hunks[hunks.clone()];
        match (hunks.first(), hunks.last()) {
            (Some(first), Some(last)) => {
                let start = first.new.start - (first.old.start - base.start);
                start..last.new.end + (base.end - last.old.end)
            }
            _ => 0..0,
        }
    }
}

/// Where `new` differs from `old`.
fn hunks(old: &[&str], new: &[&str]) -> Vec<Hunk> {
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let suffix = old[prefix..].iter().rev().zip(new[prefix..].iter().rev());
    let suffix = suffix.take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - suffix, new.len() - suffix);
    if prefix == old_end && prefix == new_end {
        return Vec::new();
    }
    let (old, new) = (&old[prefix..old_end], &new[prefix..new_end]);
    if old.is_empty() || new.is_empty() || old.len() + new.len() > MAX_TOKENS {
        return vec![Hunk { old: prefix..old_end, new: prefix..new_end }];
    }
    let (old, new) = numbered(old, new);
    let mut hunks: Vec<Hunk> = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        let (tag, old, new) = op.as_tag_tuple();
        if tag == DiffTag::Equal {
            continue;
        }
        let old = old.start + prefix..old.end + prefix;
        let new = new.start + prefix..new.end + prefix;
        match hunks.last_mut() {
            Some(last) if last.old.end == old.start && last.new.end == new.start => {
                (last.old.end, last.new.end) = (old.end, new.end);
            }
            _ => hunks.push(Hunk { old, new }),
        }
    }
    hunks
}

/// Numbers for tokens, equal ones for equal tokens, since numbers compare faster.
fn numbered<'a>(old: &[&'a str], new: &[&'a str]) -> (Vec<u32>, Vec<u32>) {
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut number = |token: &&'a str| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(token).or_insert(next)
    };
    (old.iter().map(&mut number).collect(), new.iter().map(&mut number).collect())
}

/// Joins hunks that nothing but spaces and punctuation of one line parts, so that a phrase that
/// was written anew is one hunk and not a hunk for each word.
fn join_phrases(base: &[&str], hunks: &mut Vec<Hunk>) {
    hunks.dedup_by(|next, last| {
        let mut between = base[last.old.end..next.old.start].iter();
        let joins = between.all(|token| *token != "\n" && !token.chars().any(is_word));
        if joins {
            (last.old.end, last.new.end) = (next.old.end, next.new.end);
        }
        joins
    });
}

/// A range of base lines that one side changed, or both, and the hunks in it.
struct Stretch {
    base: Range<usize>,
    kept: Range<usize>,
    replayed: Range<usize>,
}

impl Stretch {
    /// The next stretch from these hunks on: hunks that touch belong together.
    fn next(kept: &Side<'_>, k: usize, replayed: &Side<'_>, r: usize) -> Option<Stretch> {
        let start = match (kept.hunks.get(k), replayed.hunks.get(r)) {
            (Some(a), Some(b)) => a.old.start.min(b.old.start),
            (Some(hunk), None) | (None, Some(hunk)) => hunk.old.start,
            (None, None) => return None,
        };
        let mut stretch = Stretch { base: start..start, kept: k..k, replayed: r..r };
        loop {
            let end = stretch.base.end;
            if let Some(hunk) = kept.hunks.get(stretch.kept.end).filter(|h| h.old.start <= end) {
                stretch.base.end = end.max(hunk.old.end);
                stretch.kept.end += 1;
            } else if let Some(hunk) =
                replayed.hunks.get(stretch.replayed.end).filter(|h| h.old.start <= end)
            {
                stretch.base.end = end.max(hunk.old.end);
                stretch.replayed.end += 1;
            } else {
                return Some(stretch);
            }
        }
    }
}

fn merge_stretch<'a>(
    out: &mut String,
    base: &[&'a str],
    kept: &Side<'a>,
    replayed: &Side<'a>,
    stretch: &Stretch,
) {
    let base = &base[stretch.base.clone()];
    let ours = &kept.tokens[kept.range(&stretch.kept, &stretch.base)];
    let theirs = &replayed.tokens[replayed.range(&stretch.replayed, &stretch.base)];
    if stretch.replayed.is_empty() || (!stretch.kept.is_empty() && ours == theirs) {
        return push_lines(out, ours);
    }
    if stretch.kept.is_empty() {
        return push_lines(out, theirs);
    }
    let inserts = |side: &Side<'_>, hunks: &Range<usize>| {
        side.hunks[hunks.clone()].iter().any(|hunk| !hunk.new.is_empty())
    };
    let both_insert = inserts(kept, &stretch.kept) && inserts(replayed, &stretch.replayed);
    let bytes: usize =
        [base, ours, theirs].iter().flat_map(|side| side.iter()).map(|l| l.len()).sum();
    let woven = if both_insert && bytes <= MAX_WORD_BYTES {
        let [base, ours, theirs] = [base, ours, theirs].map(words);
        weave(&base, ours, theirs, Grain::Words)
    } else {
        weave(base, ours.to_vec(), theirs.to_vec(), Grain::Lines)
    };
    push_lines(out, &[&woven]);
}

/// Appends lines; one that would go on where the last of a text ended without a break gets one.
fn push_lines(out: &mut String, lines: &[&str]) {
    for line in lines.iter().filter(|line| !line.is_empty()) {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(line);
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Divides lines into words, runs of spaces, single line breaks and single other characters.
/// A character of a script that is written without spaces is a word of its own.
pub(super) fn words<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let class = |c: char| match c {
        '\n' => 0,
        c if c.is_whitespace() => 1,
        c if is_word(c) && !is_wide(c) => 2,
        _ => 3,
    };
    let mut words = Vec::new();
    for line in lines {
        let mut start = 0;
        let mut last = None;
        for (at, c) in line.char_indices() {
            let class = class(c);
            if last.is_some_and(|last| last != class || class == 0 || class == 3) {
                words.push(&line[start..at]);
                start = at;
            }
            last = Some(class);
        }
        if start < line.len() {
            words.push(&line[start..]);
        }
    }
    words
}

/// Whether a character is part of a word; combining marks and emoji are.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || (!c.is_ascii() && !c.is_whitespace())
}

/// Whether a character is of a script that is written without spaces.
pub(super) fn is_wide(c: char) -> bool {
    matches!(c as u32, 0x2E80..=0xABFF | 0xF900..=0xFAFF | 0xFF00..=0xFFEF | 0x20000..=0x3FFFF)
}
