//! How texts merge.

mod judged;

use proptest::prelude::*;

use crate::sync::merge::text::merge_text;

#[track_caller]
fn merges(base: &str, kept: &str, replayed: &str, merged: &str) {
    assert_eq!(merge_text(base, kept, replayed), merged);
}

#[test]
fn lines_that_both_inserted_stand_whole() {
    merges(
        "Meds:\n",
        "Meds:\nAspirin 100 mg daily\n",
        "Meds:\nIbuprofen 200 mg daily\n",
        "Meds:\nAspirin 100 mg daily\nIbuprofen 200 mg daily\n",
    );
    merges("a\n", "a\nb\n", "a\nc\n", "a\nb\nc\n");
    merges("a", "a\nb", "a\nc", "a\nb\nc");
    merges("", "hello", "world", "hello\nworld");
    merges("", "hello\n", "world", "hello\nworld\n");
}

#[test]
fn a_changed_line_outlives_its_deletion_whole() {
    merges(
        "- milk\n- eggs\n- bread\n",
        "- milk 2%\n- bread\n",
        "- milk\n- eggs (12)\n- bread\n",
        "- milk 2%\n- eggs (12)\n- bread\n",
    );
    let base = "one\ntwo\nthree\n";
    merges(base, "one\nthree\n", "one\ntwo\nTHREE\n", "one\nTHREE\n");
    merges(base, "one\n", "one\ntwo and more\nthree\n", "one\ntwo and more\n");
    merges(base, "", "one\ntwo and more\nthree\n", "two and more\n");
}

/// What one side wrote anew is another line, and parts around the one that the other changed.
#[test]
fn a_changed_line_stands_where_it_stood_among_lines_written_anew() {
    let base = "one two\n\nthree four";
    let anew = "w5 w3 two\n\nw6 four w9";
    merges(base, "w11 one two\n\nthree four", anew, "w5 w3 two\n\nw11 one two\n\nw6 four w9");
    merges(base, anew, "w11 one two\n\nthree four", "w5 w3 two\n\nw11 one two\n\nw6 four w9");
    merges(base, anew, "one two\n\nthree four w7", "w5 w3 two\n\nw6 four w9\n\nthree four w7");
    // Told by the words that are left of it, not by its place alone.
    let more = "w1 w2\nw5 w3 two\nw6 four w9\nw7";
    merges(
        base.replace("\n\n", "\n").as_str(),
        more,
        "w11 one two\nthree four",
        "w1 w2\nw5 w3 two\nw11 one two\nw6 four w9\nw7",
    );
    // Where nothing is left of it, by its place.
    merges("a b\nc d\n", "x\ny\nz\n", "a b b\nc d\n", "x\na b b\ny\nz\n");
    merges("a b\nc d\n", "x\n", "a b\nc d d\n", "x\nc d d\n");
}

#[test]
fn a_paragraph_before_a_changed_one_stands_before_it() {
    merges(
        "Intro.\n\nThe plan is simple.\n",
        "Intro.\n\nOur plan is simple.\n",
        "Intro.\n\nBudget first.\n\nThe plan is simple.\n",
        "Intro.\n\nBudget first.\n\nOur plan is simple.\n",
    );
}

#[test]
fn a_line_that_one_moved_and_the_other_changed_stands_once() {
    merges(
        "- milk for us\n- eggs\n- bread\n- tea\n",
        "- eggs\n- bread\n- milk for us\n- tea\n",
        "- milk for you\n- eggs\n- bread\n- tea\n",
        "- eggs\n- bread\n- milk for you\n- tea\n",
    );
    merges("a b\nc\nd\n", "a x\nc\nd\n", "c\nd\na b\n", "c\nd\na x\n");
}

#[test]
fn a_change_of_a_line_that_one_split_or_joined_stands() {
    merges(
        "one two three four. Five six seven eight.\n",
        "one two three four.\nFive six seven eight.\n",
        "one two 3 four. Five six seven eight.\n",
        "one two 3 four.\nFive six seven eight.\n",
    );
    merges("one two\nfive six\n", "one two five six\n", "one 2\nfive six\n", "one 2 five six\n");
}

#[test]
fn breaks_merge_apart_from_what_they_part() {
    merges(
        "one\n\ntwo",
        "one\n\ntwo\n\nthree\n\nfour",
        "one\n\ntwo off",
        "one\n\ntwo off\n\nthree\n\nfour",
    );
    merges("one\n\ntwo", "one\n\ntwo\n\nk", "one\n\ntwo\n\nr", "one\n\ntwo\n\nk\n\nr");
    merges("one\n\ntwo\n", "one\n\ntwo\n\nk\n", "one\n\ntwo\n\nr\n", "one\n\ntwo\n\nk\n\nr\n");
    merges("one\n\ntwo\n", "one\ntwo\n", "one\n\ntwo 2\n", "one\ntwo 2\n");
    merges("one\ntwo\n", "one\n\ntwo\n", "one\ntwo 2", "one\n\ntwo 2");
    merges("\n\none\n", "\none\n", "\n\none\ntwo\n", "\none\ntwo\n");
    // A list with a paragraph after it: what both add to it stays together.
    merges(
        "- a\n- b\n\nEnd\n",
        "- a\n- b\n- k\n\nEnd\n",
        "- a\n- b\n- r\n\nEnd\n",
        "- a\n- b\n- k\n- r\n\nEnd\n",
    );
    merges("a\n\nb\n\nc\n\nd\n", "a\n\nc\n\nd\n", "a\n\nb\n\nd\n", "a\n\nd\n");
    merges(
        "T\n\n- x\n- y\n- z\n\nE\n",
        "T\n\n- y\n- z\n\nE\n",
        "T\n\n- x\n- z\n\nE\n",
        "T\n\n- z\n\nE\n",
    );
}

#[test]
fn line_endings_are_those_of_the_text() {
    merges("a\r\nb\r\n", "a\r\nk\r\nb\r\n", "a\r\nb\r\nr\r\n", "a\r\nk\r\nb\r\nr\r\n");
    merges("a\r\nb", "a\r\nb\r\nk", "a\r\nb\r\nr", "a\r\nb\r\nk\r\nr");
    // One side changes nothing but the endings, the other edits.
    merges(
        "a\nb\n\nc\n",
        "a\r\nb\r\n\r\nc\r\n",
        "a\nb 2\n\nnew\nc\n",
        "a\r\nb 2\r\n\r\nnew\r\nc\r\n",
    );
    merges(
        "a\nb\n\nc\n",
        "a\nb 2\n\nnew\nc\n",
        "a\r\nb\r\n\r\nc\r\n",
        "a\r\nb 2\r\n\r\nnew\r\nc\r\n",
    );
    // Mixed endings stay as they were written.
    merges(
        "a\r\nb\nc\r\nd\n",
        "a\r\nb\nc\r\nd 2\n",
        "a\r\nx\nb\nc\r\nd\n",
        "a\r\nx\nb\nc\r\nd 2\n",
    );
}

#[test]
fn appends_at_both_ends_survive() {
    merges("middle", "start middle", "middle end", "start middle end");
    merges("middle\n", "start\nmiddle\n", "middle\nend", "start\nmiddle\nend");
    merges("b", "a\nb", "b\nc", "a\nb\nc");
    merges("b", "b\nc", "a\nb", "a\nb\nc");
}

#[test]
fn where_both_insert_the_kept_words_come_first() {
    merges("the fox", "the quick fox", "the red fox", "the quick red fox");
    merges("a fox", "a fox jumps", "a fox sleeps", "a fox jumps sleeps");
    merges("the old fox", "the quick fox", "the red fox", "the quick red fox");
    merges("foo(bar)", "foo(bar, baz)", "foo(qux)", "foo(qux, baz)");
    merges("bread", "bread, milk", "eggs, bread", "eggs, bread, milk");
    merges("bread", "bread, milk", "bread, ham", "bread, milk, ham");
}

#[test]
fn a_line_written_anew_by_both_stands_in_both_ways() {
    merges("alpha beta gamma", "one two three", "uno dos tres", "one two three\nuno dos tres");
}

#[test]
fn edits_of_one_line_at_different_words_survive() {
    merges("a b c d", "A b c d", "a b c D", "A b c D");
    merges("one two three", "one three", "one two four", "one four");
    merges("a b c d e", "a x b c d e", "a b c", "a x b c");
}

#[test]
fn sentences_of_one_line_merge_as_lines_do() {
    let base = "The cat sat. The dog ran home. It was late.";
    merges(
        base,
        "The cat sat. The dog ran far away. It was late.",
        "The cat slept. The dog ran home. It was late. All was well.",
        "The cat slept. The dog ran far away. It was late. All was well.",
    );
    merges(
        base,
        &format!("{base} The cow came."),
        &format!("{base} The hen flew."),
        &format!("{base} The cow came. The hen flew."),
    );
    // Deleted against changed: the sentence stays whole.
    merges(
        base,
        "The cat sat. It was late.",
        "The cat sat. The dog ran to town. It was late.",
        "The cat sat. The dog ran to town. It was late.",
    );
}

#[test]
fn words_are_what_unicode_says() {
    // Neither a script without spaces nor one of joined characters doubles.
    merges("今天天气很好。", "明天天气很好。", "今天天气不好。", "明天天气不好。");
    merges("ฉันรักแมว", "ฉันรักแมวดำ", "เธอรักแมว", "เธอรักแมวดำ");
    merges("a 👨‍👩‍👧 b", "a 👨‍👩‍👦 b", "a 👨‍👩‍👧 c", "a 👨‍👩‍👦 c");
    merges("über", "über alles", "oh über", "oh über alles");
    // NFC and NFD of one word are one word, and it is written as a side wrote it.
    merges("caf\u{e9} one two", "cafe\u{301} 1 two", "caf\u{e9} one three", "cafe\u{301} 1 three");
    merges("caf\u{e9}\nx\n", "cafe\u{301}\nx\n", "caf\u{e9}\ny\n", "cafe\u{301}\ny\n");
}

#[test]
fn what_both_did_is_there_once() {
    let (base, both) = ("one\ntwo\n", "one\nnew\ntwo\n");
    merges(base, both, "one\nnew\ntwo\nend\n", "one\nnew\ntwo\nend\n");
    merges("a fox", "a red fox jumps", "a red fox sits", "a red fox jumps sits");
    merges("a\nz\n", "a\nx\nk\nz\n", "a\nx\nr\nz\n", "a\nx\nk\nr\nz\n");
}

#[test]
fn words_do_not_run_together() {
    merges("a b c", "a x b c", "a c", "a x c");
    merges("a b", "a x", "a y", "a x y");
    merges("a b", "a x b", "a", "a x");
}

#[test]
fn code_merges_by_what_stands_in_it() {
    let base = "fn a() {\n    one();\n}\n\nfn b() {\n    two();\n}\n";
    let kept = "fn a() {\n    one();\n}\n\nfn k() {\n    kept();\n}\n\nfn b() {\n    two();\n}\n";
    let replayed =
        "fn a() {\n    one();\n    more();\n}\n\nfn b() {\n    if x {\n        two();\n    }\n}\n";
    merges(
        base,
        kept,
        replayed,
        "fn a() {\n    one();\n    more();\n}\n\nfn k() {\n    kept();\n}\n\nfn b() {\n    if x {\n        \
         two();\n    }\n}\n",
    );
    // One indents, the other edits.
    merges(
        "if a {\nfoo(b);\n}\n",
        "if a {\n    foo(b);\n}\n",
        "if a {\nfoo(c, b);\n}\n",
        "if a {\n    foo(c, b);\n}\n",
    );
}

#[test]
fn what_is_too_long_for_words_stands_in_both_ways() {
    let base = "word ".repeat(1 << 17);
    let (kept, replayed) = (format!("kept {base}"), format!("{base}replayed"));
    let merged = merge_text(&base, &kept, &replayed);
    assert_eq!(merged, format!("{kept}\n{replayed}"));
}

#[test]
fn texts_of_many_lines_merge() {
    let base: String = (0..60_000).map(|i| format!("line {i} of it\n")).collect();
    let kept = base.replace("line 7 of", "line seven of").replace(" it\n", " a text\n");
    let replayed = base.replace("line 59999 of it\n", "line 59999 of them\nthe end\n");
    let merged = merge_text(&base, &kept, &replayed);
    assert!(merged.contains("line seven of a text\n"));
    assert!(merged.ends_with("the end\n"));
    for pathological in ["\n", "x\n", "a\nb\n", " "] {
        let base = pathological.repeat(100_000);
        let merged = merge_text(&base, &format!("kept\n{base}"), &format!("{base}\nreplayed"));
        assert!(merged.contains("kept\n") && merged.contains("\nreplayed"));
    }
}

/// Texts of few words, so that equal ones meet often.
fn text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        8 => prop::sample::select(vec!["a", "b", "foo", "bar", "日", "né", "ne\u{301}", "👩‍🚀", "ก"]),
        6 => Just(" "),
        3 => Just("\n"),
        1 => prop::sample::select(vec![".", ", ", "  ", "-", "\r\n", "\r", "\u{2028}", ". B", "\t"]),
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

fn words_of(text: &str) -> Vec<String> {
    use unicode_normalization::UnicodeNormalization;
    use unicode_segmentation::UnicodeSegmentation;
    // A full stop between two words makes one of them.
    let nfc: String = text.replace('.', " ").nfc().collect();
    nfc.split_word_bounds()
        .filter(|word| word.chars().any(|c| c.is_alphanumeric() || c > '\u{3000}'))
        .map(str::to_owned)
        .collect()
}

fn count(words: &[String], word: &str) -> usize {
    words.iter().filter(|other| *other == word).count()
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

#[test]
fn within_a_line_only_whole_words_count_as_alike() {
    // Thai letters, which no spaces part: both insertions stand whole.
    assert_eq!(merge_text("กขค", "กขคฌฬ", "กขคฌฆ"), "กขคฌฬฌฆ");
    assert_eq!(merge_text("the fox", "the fox ab", "the fox ac"), "the fox ab ac");
    assert_eq!(
        merge_text("it was evening water", "it was Kx Bx", "it was evening Bx"),
        "it was Kx Bx"
    );
}

#[test]
fn the_number_of_an_item_is_no_sentence() {
    assert_eq!(merge_text("a\n5. on\nb", "a\n5. Kx\nb", "a\n5. on Rx Ry\nb"), "a\n5. Kx Rx Ry\nb");
}
