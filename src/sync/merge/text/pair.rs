//! Which changed unit was made of which, by the words that they share.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;

use super::align::{Alignment, RangePair};
use super::unit::{Doc, Unit, has_word, nfc, run_of_word, tokens};

/// How many comparisons of words an alignment may take before only near units are compared.
const MAX_COMPARED: usize = 1 << 23;
/// How many places apart units of a stretch too long to compare all with all may stand.
pub(super) const REACH: usize = 4;
/// How many words of a unit are compared with those of others.
const MAX_WORDS: usize = 20_000;
/// How many words of one times words of the other two units may have to be compared in order; those
/// of longer ones are compared whatever their order.
const MAX_ORDERED: usize = 1 << 14;
/// How many words a sentence has at least that tells by itself what a unit was made of.
const LEAST_WORDS: usize = 3;

/// What a unit is compared by.
pub(super) struct Bag<'a> {
    /// Its words, as numbers.
    words: Vec<u32>,
    /// The same, sorted.
    sorted: Vec<u32>,
    /// Its sentences of some words, as sorted numbers.
    sentences: Vec<u32>,
    /// Its content without the spaces around it.
    trimmed: Cow<'a, str>,
}

impl Bag<'_> {
    /// How many words both have.
    pub(super) fn shares(&self, other: &Bag<'_>) -> usize {
        shared(&self.sorted, &other.sorted)
    }
}

/// Numbers words and sentences.
#[derive(Default)]
pub(super) struct Bags<'a>(HashMap<Cow<'a, str>, u32>);

impl<'a> Bags<'a> {
    /// The words of units.
    pub(super) fn of(&mut self, units: &[Unit<'a>]) -> Vec<Bag<'a>> {
        units.iter().map(|unit| self.bag(unit.content)).collect()
    }

    /// The words of one unit.
    pub(super) fn bag(&mut self, content: &'a str) -> Bag<'a> {
        let tokens: Vec<(usize, &str)> = words_of(content).take(MAX_WORDS).collect();
        let mut words: Vec<u32> = Vec::with_capacity(tokens.len());
        for (at, (start, token)) in tokens.iter().enumerate() {
            // Where no spaces part words, neighbours say more than a character does.
            let run = run_of_word(token).map_or(1, |run| run_of(&tokens[at..], run));
            let (last, word) = tokens[at + run - 1];
            let is_rest = at > 0 && run_of_word(token).is_some_and(|whole| run < whole) && {
                let (before, other) = tokens[at - 1];
                before + other.len() == *start && run_of_word(other).is_some()
            };
            if !is_rest {
                words.push(self.number(&content[*start..last + word.len()]));
            }
        }
        let mut sorted = words.clone();
        sorted.sort_unstable();
        let mut sentences: Vec<u32> = if words.len() < LEAST_WORDS {
            Vec::new()
        } else {
            let sentences = Doc::sentences(content).units.into_iter().map(|unit| unit.content);
            let long = sentences.filter(|text| words_of(text).nth(LEAST_WORDS - 1).is_some());
            long.map(|text| self.number(text)).collect()
        };
        sentences.sort_unstable();
        Bag { words, sorted, sentences, trimmed: nfc(content.trim()) }
    }

    fn number(&mut self, text: &'a str) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(nfc(text)).or_insert(next)
    }
}

/// The words of a text, and where they start.
fn words_of(text: &str) -> impl Iterator<Item = (usize, &str)> {
    tokens(text).filter(|(_, token)| has_word(token))
}

/// How many of the first tokens, this many at most, are of scripts without spaces and touch.
fn run_of(tokens: &[(usize, &str)], most: usize) -> usize {
    let touch = |pair: &&[(usize, &str)]| {
        pair[0].0 + pair[0].1.len() == pair[1].0 && run_of_word(pair[1].1).is_some()
    };
    1 + tokens.windows(2).take(most - 1).take_while(touch).count()
}

/// Whether half or more of the words of some units stand in others.
pub(super) fn is_made_of(olds: &[Unit<'_>], news: &[Unit<'_>]) -> bool {
    let mut bags = Bags::default();
    let [old, new] = [olds, news].map(|units| {
        let mut words: Vec<u32> = bags.of(units).into_iter().flat_map(|bag| bag.words).collect();
        words.sort_unstable();
        words
    });
    !old.is_empty() && 2 * shared(&old, &new) >= old.len()
}

/// How much may still be compared.
pub(super) struct Allowance(usize);

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance(MAX_COMPARED)
    }
}

impl Allowance {
    /// Whether all of these may be compared with all of those; if so, it is taken off.
    pub(super) fn take(&mut self, olds: &[Bag<'_>], news: &[Bag<'_>]) -> bool {
        let words = |bags: &[Bag<'_>]| bags.iter().map(|bag| bag.words.len() + 2).sum::<usize>();
        let old = words(olds).saturating_mul(news.len());
        let new = words(news).saturating_mul(olds.len());
        let left = self.0.checked_sub(old.saturating_add(new));
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// What it is worth to take one unit for the other; none where they are not alike: they share half
/// of the words of the longer, all of the shorter, or a sentence.
fn worth(old: &Bag<'_>, new: &Bag<'_>) -> Option<u32> {
    let most = old.words.len().max(new.words.len());
    let least = old.words.len().min(new.words.len());
    let is_half = |shared: usize| shared > 0 && (2 * shared >= most || shared == least);
    let mut words = shared(&old.sorted, &new.sorted);
    let mut is_alike = is_half(words);
    if is_alike && most * least <= MAX_ORDERED {
        words = shared_in_order(&old.words, &new.words);
        is_alike = is_half(words);
    }
    let is_same = old.trimmed == new.trimmed;
    if !is_alike && !is_same && shared(&old.sentences, &new.sentences) == 0 {
        return None;
    }
    let worth = u32::try_from(words).unwrap_or(u32::MAX / 4);
    Some(worth.saturating_mul(2).saturating_add(u32::from(is_same)).max(1))
}

/// How long the longest common subsequence of two sequences of words is.
fn shared_in_order(old: &[u32], new: &[u32]) -> usize {
    let mut lengths = vec![0; new.len() + 1];
    for word in old {
        let mut corner = 0;
        for (at, other) in new.iter().enumerate() {
            let above = lengths[at + 1];
            lengths[at + 1] = if word == other { corner + 1 } else { above.max(lengths[at]) };
            corner = above;
        }
    }
    lengths[new.len()]
}

/// How many words two sorted bags share.
fn shared(old: &[u32], new: &[u32]) -> usize {
    let (mut i, mut j, mut shared) = (0, 0, 0);
    while let (Some(a), Some(b)) = (old.get(i), new.get(j)) {
        match a.cmp(b) {
            Ordering::Less => i += 1,
            Ordering::Greater => j += 1,
            Ordering::Equal => (i, j, shared) = (i + 1, j + 1, shared + 1),
        }
    }
    shared
}

/// Aligns a stretch so that the most words are shared, comparing units no more than `reach` places
/// apart (from where they would stand if the stretch were stretched evenly).
pub(super) fn fit(
    ranges: &RangePair,
    olds: &[Bag<'_>],
    news: &[Bag<'_>],
    reach: usize,
    matched: &mut Alignment,
) {
    let rows = rows(olds.len(), news.len(), reach);
    let higher = higher(&rows);
    // For each unit of the common text, the best sum of it and those after it with the news from
    // each on.
    let mut best: Vec<Vec<u32>> = vec![Vec::new(); olds.len() + 1];
    let mut worths: Vec<Vec<u32>> = vec![Vec::new(); olds.len()];
    let sum = |best: &[Vec<u32>], i: usize, j: usize| -> u32 {
        let i = if rows.get(i).is_some_and(|row| j >= row.end) { higher[i] } else { i };
        let Some(row) = rows.get(i) else { return 0 };
        best[i].get(j.saturating_sub(row.start)).copied().unwrap_or(0)
    };
    for i in (0..olds.len()).rev() {
        let row = rows[i].clone();
        let worth_of = |j: usize| worth(&olds[i], &news[j]).unwrap_or(0);
        worths[i] = row.clone().map(worth_of).collect();
        let mut sums = vec![0; row.len()];
        for j in row.clone().rev() {
            let right = sums.get(j + 1 - row.start).copied();
            let right = right.unwrap_or_else(|| sum(&best, i + 1, j + 1));
            let worth = worths[i][j - row.start];
            let pair = if worth > 0 { worth.saturating_add(sum(&best, i + 1, j + 1)) } else { 0 };
            sums[j - row.start] = pair.max(right).max(sum(&best, i + 1, j));
        }
        best[i] = sums;
    }
    let (mut i, mut j) = (0, 0);
    while i < olds.len() && j < news.len() {
        let row = &rows[i];
        if j < row.start {
            j = row.start;
            continue;
        }
        if j >= row.end {
            i += 1;
            continue;
        }
        let (here, worth) = (sum(&best, i, j), worths[i][j - row.start]);
        if worth > 0 && here == worth.saturating_add(sum(&best, i + 1, j + 1)) {
            matched[ranges.old.start + i] = Some(ranges.new.start + j);
            (i, j) = (i + 1, j + 1);
        } else if here == sum(&best, i + 1, j) {
            i += 1;
        } else {
            j += 1;
        }
    }
}

/// Which of the new units each old one is compared with.
fn rows(olds: usize, news: usize, reach: usize) -> Vec<std::ops::Range<usize>> {
    let row = |old: usize| {
        if reach == usize::MAX {
            return 0..news;
        }
        let place = old * news / olds;
        place.saturating_sub(reach).min(news)..(place + reach + 1).min(news)
    };
    (0..olds).map(row).collect()
}

/// For each row, the next one that ends later.
fn higher(rows: &[std::ops::Range<usize>]) -> Vec<usize> {
    let mut higher = vec![rows.len(); rows.len()];
    for i in (1..rows.len()).rev() {
        let is_later = rows[i].end > rows[i - 1].end;
        higher[i - 1] = if is_later { i } else { higher[i] };
    }
    higher
}
