//! Random texts, random edits of two sides, and the rules that a merge of them is compared with. It
//! knows nothing of how texts are merged: it is told what each side meant, and reads the result.
#![allow(dead_code, missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod diagnosis;
mod edits;
mod matching;
mod random;
mod rules;
mod scripts;
mod text;
mod words;

use std::collections::BTreeMap;

pub use random::Random;
pub use rules::judge;
pub use text::{Doc, Kind};

/// A text and what two sides made of it.
pub struct Case {
    pub base: Doc,
    pub kept: Doc,
    pub replayed: Doc,
}

impl Case {
    pub fn new(kind: Kind, seed: u64) -> Case {
        let mut random = Random::new(seed);
        let base = text::generate(kind, &mut random);
        let (kept, replayed) = edits::sides(&base, &mut random);
        Case { base, kept, replayed }
    }

    /// The three texts and the result, whole, with what is wrong with it.
    pub fn show(&self, merged: &str, wrong: &[&str]) -> String {
        let texts = [
            ("base", self.base.text()),
            ("kept", self.kept.text()),
            ("replayed", self.replayed.text()),
            ("merged", merged.to_owned()),
        ];
        let mut shown = format!("wrong: {}\n", wrong.join("; "));
        for (name, text) in texts {
            shown += &format!("--- {name}\n{}\n", text.replace('\r', "␍"));
        }
        shown
    }
}

/// How many of many merges were wrong, and by which rules.
#[derive(Default)]
pub struct Tally {
    pub cases: usize,
    pub wrong: usize,
    pub by_rule: BTreeMap<&'static str, usize>,
    /// The first few wrong ones, whole.
    pub shown: Vec<String>,
    most_shown: usize,
}

impl Tally {
    pub fn new(most_shown: usize) -> Tally {
        Tally { most_shown, ..Tally::default() }
    }

    /// Judges one result.
    pub fn add(&mut self, seed: u64, case: &Case, merged: &str) {
        self.cases += 1;
        let wrong = judge(case, merged);
        if wrong.is_empty() {
            return;
        }
        self.wrong += 1;
        for rule in &wrong {
            *self.by_rule.entry(rule).or_default() += 1;
        }
        if self.shown.len() < self.most_shown {
            self.shown.push(format!("case {seed}, {}", case.show(merged, &wrong)));
        }
    }

    pub fn percent(&self) -> f64 {
        100.0 * self.wrong as f64 / self.cases.max(1) as f64
    }
}

/// The seed of the nth case of a run.
pub fn seed_of(run: u64, kind: Kind, nth: usize) -> u64 {
    Random::new(run ^ ((kind as u64 + 1) << 56) ^ ((nth as u64) << 20)).next()
}

/// The seed in `SYNC_GIB_TEST_SEED`, or the one that the tests name.
pub fn run_seed(fixed: u64) -> u64 {
    match std::env::var("SYNC_GIB_TEST_SEED") {
        Ok(seed) => seed.parse().expect("SYNC_GIB_TEST_SEED is a whole number"),
        Err(_) => fixed,
    }
}
