//! How texts merge.

use proptest::prelude::*;

use crate::sync::merge::text::{is_word, merge_text, words};

#[test]
fn appends_at_both_ends_survive() {
    assert_eq!(merge_text("middle", "start middle", "middle end"), "start middle end");
    assert_eq!(merge_text("middle\n", "start\nmiddle\n", "middle\nend"), "start\nmiddle\nend");
    assert_eq!(merge_text("b", "a\nb", "b\nc"), "a\nb\nc");
    assert_eq!(merge_text("b", "b\nc", "a\nb"), "a\nb\nc");
}

#[test]
fn edits_in_different_paragraphs_survive() {
    let base = "One is here.\n\nTwo is here.\n\nThree is here.\n";
    let kept = "One is there.\n\nTwo is here.\n\nThree is here.\n";
    let replayed = "One is here.\n\nTwo is here.\n\nThree was here, and more.\n";
    assert_eq!(
        merge_text(base, kept, replayed),
        "One is there.\n\nTwo is here.\n\nThree was here, and more.\n"
    );
}

#[test]
fn where_both_insert_the_kept_words_come_first() {
    assert_eq!(merge_text("the fox", "the quick fox", "the red fox"), "the quick red fox");
    assert_eq!(merge_text("a fox", "a fox jumps", "a fox sleeps"), "a fox jumps sleeps");
    assert_eq!(merge_text("the old fox", "the quick fox", "the red fox"), "the quick red fox");
    assert_eq!(merge_text("", "hello", "world"), "hello\nworld");
    assert_eq!(merge_text("a\n", "a\nb\n", "a\nc\n"), "a\nb\nc\n");
    assert_eq!(merge_text("a", "a\nb", "a\nc"), "a\nb\nc");
}

#[test]
fn a_phrase_written_anew_by_both_is_not_interleaved() {
    assert_eq!(
        merge_text("alpha beta gamma", "one two three", "uno dos tres"),
        "one two three\nuno dos tres"
    );
}

#[test]
fn edits_of_one_line_at_different_words_survive() {
    assert_eq!(merge_text("a b c d", "A b c d", "a b c D"), "A b c D");
    assert_eq!(merge_text("one two three", "one three", "one two four"), "one four");
}

#[test]
fn a_deletion_applies_and_an_edit_of_a_deleted_line_stays() {
    let base = "one\ntwo\nthree\n";
    assert_eq!(merge_text(base, "one\nthree\n", "one\ntwo\nTHREE\n"), "one\nTHREE\n");
    assert_eq!(merge_text(base, "one\n", "one\ntwo and more\nthree\n"), "one\ntwo and more\n");
    assert_eq!(merge_text(base, "", "one\ntwo and more\nthree\n"), "two and more\n");
}

#[test]
fn what_both_did_is_there_once() {
    let (base, both) = ("one\ntwo\n", "one\nnew\ntwo\n");
    assert_eq!(merge_text(base, both, "one\nnew\ntwo\nend\n"), "one\nnew\ntwo\nend\n");
    assert_eq!(merge_text("a fox", "a red fox jumps", "a red fox sits"), "a red fox jumps sits");
}

#[test]
fn words_do_not_run_together() {
    assert_eq!(merge_text("a b c", "a x b c", "a c"), "a x c");
    assert_eq!(merge_text("a b", "a x", "a y"), "a x y");
    assert_eq!(merge_text("über", "über alles", "oh über"), "oh über alles");
}

#[test]
fn texts_too_large_for_words_merge_line_by_line() {
    let base: String = (0..60_000).map(|i| format!("line {i} of it\n")).collect();
    let kept = base.replace("line 7 of", "line seven of").replace(" it\n", " a text\n");
    let replayed = base.replace("line 59999 of it\n", "line 59999 of them\nthe end\n");
    let merged = merge_text(&base, &kept, &replayed);
    assert!(merged.contains("line seven of a text\n"));
    assert!(merged.ends_with("the end\n"));
}

/// Texts of few words, so that equal ones meet often.
fn text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "foo", "bar", "日", "né"]),
        6 => Just(" "),
        3 => Just("\n"),
        1 => prop::sample::select(vec![".", ", ", "  ", "-"]),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn words_of(text: &str) -> Vec<&str> {
    words(&[text]).into_iter().filter(|w| w.chars().any(is_word)).collect()
}

fn count(words: &[&str], word: &str) -> usize {
    words.iter().filter(|other| **other == word).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_side_that_did_nothing_changes_nothing(base in text(), side in text()) {
        prop_assert_eq!(&merge_text(&base, &side, &base), &side);
        prop_assert_eq!(&merge_text(&base, &base, &side), &side);
        prop_assert_eq!(&merge_text(&base, &side, &side), &side);
    }

    #[test]
    fn every_inserted_word_of_either_side_is_there(
        base in text(), kept in text(), replayed in text(),
    ) {
        let merged = merge_text(&base, &kept, &replayed);
        let (old, new) = (words_of(&base), words_of(&merged));
        for side in [words_of(&kept), words_of(&replayed)] {
            for word in &side {
                let inserted = count(&side, word).saturating_sub(count(&old, word));
                prop_assert!(count(&new, word) >= inserted, "{:?} is lost from {:?}", word, merged);
            }
        }
    }

    #[test]
    fn nothing_is_there_that_no_side_wrote(
        base in text(), kept in text(), replayed in text(),
    ) {
        let merged = merge_text(&base, &kept, &replayed);
        for word in words_of(&merged) {
            let known = words_of(&kept).contains(&word) || words_of(&replayed).contains(&word);
            prop_assert!(known, "{:?} came from nowhere into {:?}", word, merged);
        }
    }
}
