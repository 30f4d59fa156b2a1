//! What texts are divided into.

use std::borrow::Cow;
use std::collections::HashMap;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_segmentation::UnicodeSegmentation;

/// A part of a text, and what parts it from the next: a line without its ending, with the ending
/// and the blank lines that follow; or a sentence and the spaces that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit<'a> {
    pub(super) content: &'a str,
    /// Empty for the last unit: what follows that is the text's tail.
    pub(super) after: &'a str,
}

/// What the units of a text are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Lines,
    Sentences,
}

/// A text as its units, the blanks before the first and those after the last.
#[derive(Debug)]
pub(super) struct Doc<'a> {
    pub(super) text: &'a str,
    pub(super) level: Level,
    pub(super) head: &'a str,
    pub(super) units: Vec<Unit<'a>>,
    pub(super) tail: &'a str,
}

impl<'a> Doc<'a> {
    /// Divides a text into lines.
    pub(super) fn lines(text: &'a str) -> Doc<'a> {
        let contents = text.split_inclusive('\n').filter_map(|line| {
            let content = line.strip_suffix('\n').unwrap_or(line);
            let content =
                content.strip_suffix('\r').filter(|_| line.ends_with('\n')).unwrap_or(content);
            (!is_blank(content)).then_some(content)
        });
        Doc::of(text, contents, Level::Lines)
    }

    /// Divides a line into sentences: at the boundaries of UAX #29, and where a space follows a full
    /// stop, a question mark or an exclamation mark, whatever comes then. What has no letter, as the
    /// number of an item, begins the sentence that follows it.
    pub(super) fn sentences(line: &'a str) -> Doc<'a> {
        let (mut sentences, mut start, mut end) = (Vec::new(), 0, 0);
        for part in line.split_sentence_bounds().flat_map(at_stops) {
            end += part.len();
            if line[start..end].chars().any(char::is_alphabetic) {
                sentences.push(&line[start..end]);
                start = end;
            }
        }
        sentences.push(&line[start..]);
        let contents = sentences.into_iter().map(str::trim).filter(|part| !part.is_empty());
        Doc::of(line, contents, Level::Sentences)
    }

    /// A text with these parts of it as the contents of its units.
    fn of(text: &'a str, contents: impl Iterator<Item = &'a str>, level: Level) -> Doc<'a> {
        let start = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
        let mut units: Vec<Unit<'a>> = Vec::new();
        let (mut head, mut end) = (text, 0);
        for content in contents {
            let between = &text[end..start(content)];
            match units.last_mut() {
                Some(last) => last.after = between,
                None => head = between,
            }
            units.push(Unit { content, after: "" });
            end = start(content) + content.len();
        }
        let tail = if units.is_empty() { "" } else { &text[end..] };
        Doc { text, level, head, units, tail }
    }

    /// What parts a unit from the next; none after the last.
    pub(super) fn after(&self, at: usize) -> Option<&'a str> {
        (at + 1 < self.units.len()).then(|| self.units[at].after)
    }

    /// What parts a unit from the one before; none before the first.
    pub(super) fn before(&self, at: usize) -> Option<&'a str> {
        at.checked_sub(1).map(|last| self.units[last].after)
    }
}

fn at_stops(text: &str) -> impl Iterator<Item = &str> {
    let mut last = ' ';
    text.split_inclusive(move |c: char| {
        let is_end = c.is_whitespace() && matches!(last, '.' | '?' | '!' | '…');
        last = c;
        is_end
    })
}

fn is_blank(line: &str) -> bool {
    line.bytes().next().is_none_or(|first| !first.is_ascii_graphic()) && line.trim().is_empty()
}

/// Numbers for the contents of units, equal ones for equal contents.
#[derive(Debug, Default)]
pub(super) struct Ids<'a>(HashMap<Cow<'a, str>, u32>);

/// The number of a content that the common text does not have.
pub(super) const UNKNOWN: u32 = u32::MAX;

impl<'a> Ids<'a> {
    /// The numbers of a text's units.
    pub(super) fn of(&mut self, doc: &Doc<'a>) -> Vec<u32> {
        doc.units.iter().map(|unit| self.add(unit.content)).collect()
    }

    /// The number of a content.
    pub(super) fn add(&mut self, content: &'a str) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(UNKNOWN);
        *self.0.entry(nfc(content)).or_insert(next)
    }

    /// The numbers of a text's units, where they have one.
    pub(super) fn known(&self, doc: &Doc<'_>) -> Vec<u32> {
        let known = |content| self.0.get(nfc(content).as_ref()).copied().unwrap_or(UNKNOWN);
        doc.units.iter().map(|unit| known(unit.content)).collect()
    }
}

/// A text as it is compared: in NFC.
pub(super) fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

/// Whether two texts are one in NFC.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a == b || (!(a.is_ascii() && b.is_ascii()) && nfc(a) == nfc(b))
}

/// Divides a text into words, runs of spaces, and punctuation (UAX #29), and tells where they start.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split_word_bound_indices()
}

/// Whether a text has a word in it.
pub(super) fn has_word(text: &str) -> bool {
    text.chars().any(is_word)
}

/// Whether a character is one of a word: a letter, a digit, or a symbol that is no punctuation.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || !(c.is_ascii() || c.is_whitespace() || is_mark(c))
}

/// Whether a character beyond ASCII is punctuation.
fn is_mark(c: char) -> bool {
    matches!(
        c,
        '\u{80}'..='\u{a9}' | '\u{ab}'..='\u{b4}' | '\u{b6}'..='\u{bf}' | '×' | '÷'
            | '\u{55a}'..='\u{55f}' | '\u{589}' | '\u{58a}' | '\u{5be}' | '\u{5f3}' | '\u{5f4}'
            | '\u{60c}' | '\u{60d}' | '\u{61b}'..='\u{61f}' | '\u{66a}'..='\u{66d}' | '\u{6d4}'
            | '\u{964}' | '\u{965}' | '\u{970}' | '\u{104a}'..='\u{104f}' | '\u{1361}'..='\u{1368}'
            | '\u{17d4}'..='\u{17da}' | '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{3003}'
            | '\u{3008}'..='\u{3020}' | '\u{3030}' | '\u{30fb}' | '\u{fe10}'..='\u{fe6f}'
            | '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}'
            | '\u{ff5b}'..='\u{ff65}' | '\u{feff}' | '\u{fffd}'
    )
}

/// Whether a character is of a script that is written without spaces between words.
pub(super) fn is_spaceless(c: char) -> bool {
    is_spelled(c)
        || matches!(
            c as u32,
            0x2E80..=0xABFF | 0xF900..=0xFAFF | 0xFE10..=0xFE6F | 0xFF00..=0xFFEF
                | 0x20000..=0x3FFFF
        )
}

/// Whether a character is a letter of a script that is written without spaces between words: Thai,
/// Lao, Tibetan, Myanmar, Khmer. It takes several to make a word.
fn is_spelled(c: char) -> bool {
    matches!(c as u32, 0x0E00..=0x109F | 0x1780..=0x17FF | 0x1950..=0x19DF | 0x1A20..=0x1AAF)
}

/// How many tokens that no space parts say as much as a word does; none where one does.
pub(super) fn run_of_word(token: &str) -> Option<usize> {
    let first = token.chars().next().filter(|c| is_spaceless(*c))?;
    Some(if is_spelled(first) { 3 } else { 2 })
}
