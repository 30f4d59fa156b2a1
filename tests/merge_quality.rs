//! Merges of random texts, judged by what each side meant (`judge_common`). Another run of seeds:
//! `SYNC_GIB_TEST_SEED=7 cargo test --test merge_quality`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod judge_common;

use judge_common::{Case, Kind, Tally, judge, run_seed, seed_of};
use sync_gib::sync::merge::merge_text;

fn check(kind: Kind, cases: usize, most_percent: f64) {
    let run = run_seed(20_261_125);
    let mut tally = Tally::new(4);
    for nth in 0..cases {
        let seed = seed_of(run, kind, nth);
        let case = Case::new(kind, seed);
        let merged = merge_text(&case.base.text(), &case.kept.text(), &case.replayed.text());
        tally.add(seed, &case, &merged);
    }
    let percent = tally.percent();
    let name = kind.name();
    eprintln!("{name}: {} of {cases} wrong ({percent:.2} %): {:#?}", tally.wrong, tally.by_rule);
    assert!(
        percent <= most_percent,
        "{name}: {percent:.2} % wrong, at most {most_percent} % may be (seed {run})\n\n{}",
        tally.shown.join("\n")
    );
}

#[test]
fn paragraphs_come_out_as_both_meant() {
    check(Kind::Paragraphs, 2_000, 1.0);
}

#[test]
fn lists_come_out_as_both_meant() {
    check(Kind::Lists, 2_000, 0.5);
}

#[test]
fn code_comes_out_as_both_meant() {
    check(Kind::Code, 1_000, 2.0);
}

#[test]
fn prose_in_one_line_comes_out_as_both_meant() {
    check(Kind::Prose, 1_000, 2.0);
}

/// A case in which only one side edits has one right result, and a judge that accepts it and
/// nothing less is no judge that accepts everything.
#[test]
fn the_judge_accepts_what_a_side_wrote_and_nothing_less() {
    for kind in Kind::ALL {
        for nth in 0..25 {
            let mut case = Case::new(kind, seed_of(1, kind, nth));
            let both = (case.kept.clone(), case.replayed.clone());
            for alone in 0..2 {
                case.kept = if alone == 0 { both.0.clone() } else { case.base.clone() };
                case.replayed = if alone == 1 { both.1.clone() } else { case.base.clone() };
                let side = if alone == 0 { &case.kept } else { &case.replayed };
                let right = side.text();
                assert!(judge(&case, &right).is_empty(), "{}", case.show(&right, &["none"]));
                if right != case.base.text() {
                    let base = case.base.text();
                    assert!(!judge(&case, &base).is_empty(), "{}", case.show(&base, &[]));
                }
                for at in 0..side.lines.len() {
                    let mut less = side.clone();
                    less.lines.remove(at);
                    assert!(!judge(&case, &less.text()).is_empty(), "{}", case.show(&right, &[]));
                    let mut twice = side.clone();
                    twice.lines.insert(at, twice.lines[at].clone());
                    assert!(!judge(&case, &twice.text()).is_empty());
                    let mut run_together = side.clone();
                    run_together.lines[at].breaks = " ".to_owned();
                    assert!(!judge(&case, &run_together.text()).is_empty());
                }
            }
        }
    }
}
