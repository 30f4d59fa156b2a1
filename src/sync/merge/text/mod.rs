//! Three-way merge of texts: lines first, sentences of a line second, words last.

mod align;
mod breaks;
mod gaps;
mod pair;
mod three_way;
mod unit;
mod words;

use align::{Alignment, align};
use breaks::Endings;
use gaps::Gaps;
use pair::Allowance;
use unit::{Doc, Ids};

/// How many bytes the three versions of a line may have together for their words to be merged; of
/// longer ones that both changed, both stand.
const MAX_WORD_BYTES: usize = 1 << 20;

/// Merges two texts that were made of one.
///
/// A text is a sequence of lines, each with the blank lines after it. Both texts are aligned with
/// `base` line by line, and lines that were changed with what they were changed to:
///
/// - a line that one side changed, inserted or deleted is changed, inserted or deleted, whole;
/// - a line that both changed merges sentence by sentence, and a sentence that both changed word by
///   word;
/// - a line that one side deleted and the other changed stays as changed;
/// - where both inserted at one place, what `kept` inserted comes first, then what `replayed` did;
///   what both inserted alike at the head of one place is there once;
/// - what parts two lines (a line break, blank lines) merges on its own.
///
/// The result depends on nothing but the three texts (docs/protocol.md, section 7, **Texts**).
/// The cost is bounded: of a line that both changed and whose versions have more than a mebibyte
/// together, both stand; of very many changed lines only those that stand near each other are
/// compared, and one that is not found again counts as deleted, and another as inserted.
pub fn merge_text(base: &str, kept: &str, replayed: &str) -> String {
    TextMerge::new(base, kept).merge(replayed)
}

/// A common text and the text of the branch that stays, aligned once for all the versions of the
/// text that are replayed.
pub(super) struct TextMerge<'a> {
    texts: [&'a str; 2],
    base: Doc<'a>,
    kept: Doc<'a>,
    ids: Ids<'a>,
    base_ids: Vec<u32>,
    kept_alignment: Alignment,
}

impl<'a> TextMerge<'a> {
    /// Aligns the text of the branch that stays with the common text.
    pub(super) fn new(base_text: &'a str, kept_text: &'a str) -> TextMerge<'a> {
        let (base, kept) = (Doc::lines(base_text), Doc::lines(kept_text));
        let mut ids = Ids::default();
        let base_ids = ids.of(&base);
        let kept_ids = ids.known(&kept);
        let mut allowance = Allowance::default();
        let kept_alignment = align(&base, &base_ids, &kept, &kept_ids, &mut allowance);
        TextMerge { texts: [base_text, kept_text], base, kept, ids, base_ids, kept_alignment }
    }

    /// Merges a replayed version into the text of the branch that stays, as [`merge_text`] does.
    pub(super) fn merge(&self, replayed: &str) -> String {
        let [base, kept] = self.texts;
        if kept == replayed || base == replayed {
            return kept.to_owned();
        }
        if base == kept {
            return replayed.to_owned();
        }
        let replayed = Doc::lines(replayed);
        let ids = self.ids.known(&replayed);
        let mut allowance = Allowance::default();
        let alignment = align(&self.base, &self.base_ids, &replayed, &ids, &mut allowance);
        let sides = three_way::Sides {
            base: &self.base,
            kept: &self.kept,
            replayed: &replayed,
            kept_of: &self.kept_alignment,
            replayed_of: &alignment,
        };
        let endings = Endings::of([base, kept, replayed.text]);
        let gaps = Gaps::of(&sides, &mut allowance);
        three_way::merge(&sides, gaps, endings, &mut |texts| merge_line(texts, &mut allowance))
    }
}

/// Merges the three versions of a line that both changed; none where they are too long.
fn merge_line(texts: [&str; 3], allowance: &mut Allowance) -> Option<String> {
    if texts.iter().map(|text| text.len()).sum::<usize>() > MAX_WORD_BYTES {
        return None;
    }
    Some(by_sentences(texts, allowance).unwrap_or_else(|| words::merge(texts)))
}

/// Merges a line sentence by sentence; none where it is one sentence, or where a sentence that one
/// side changed cannot be told from what the other made of it.
fn by_sentences(texts: [&str; 3], allowance: &mut Allowance) -> Option<String> {
    let [base, kept, replayed] = texts.map(Doc::sentences);
    if [&base, &kept, &replayed].iter().all(|doc| doc.units.len() < 2) {
        return None;
    }
    let mut ids = Ids::default();
    let base_ids = ids.of(&base);
    let (kept_ids, replayed_ids) = (ids.known(&kept), ids.known(&replayed));
    let kept_of = align(&base, &base_ids, &kept, &kept_ids, allowance);
    let replayed_of = align(&base, &base_ids, &replayed, &replayed_ids, allowance);
    let sides = three_way::Sides {
        base: &base,
        kept: &kept,
        replayed: &replayed,
        kept_of: &kept_of,
        replayed_of: &replayed_of,
    };
    if sides.is_unclear() {
        return None;
    }
    let gaps = Gaps::of(&sides, allowance);
    Some(three_way::merge(&sides, gaps, Endings::AsWritten, &mut |texts| Some(words::merge(texts))))
}
