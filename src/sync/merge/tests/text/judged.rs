//! Random texts with random edits on both sides, and rules that each merge is held against.

use proptest::prelude::*;

use crate::sync::merge::text::{TextMerge, merge_text};

/// What kind of text is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paragraphs,
    List,
    Code,
    Prose,
}

const SCRIPTS: [&[&str]; 6] = [
    &[
        "the", "garden", "walks", "slowly", "over", "river", "stone", "a", "night", "of",
        "letters", "seven", "green", "boats", "and", "quiet", "doors", "we", "found", "bread",
        "winter", "paper", "light", "early", "morning", "salt", "road", "blue", "small", "window",
        "music", "train", "later", "heavy", "rain",
    ],
    &[
        "река",
        "дом",
        "тихо",
        "идёт",
        "вечером",
        "зелёный",
        "и",
        "книга",
        "на",
        "столе",
        "мы",
        "нашли",
    ],
    &["नदी", "घर", "शाम", "किताब", "मेज", "पर", "हम", "और", "हरा", "पत्थर", "रोटी", "धीरे"],
    &["نهر", "بيت", "مساء", "كتاب", "على", "الطاولة", "نحن", "وجدنا", "خبز", "حجر", "أخضر", "ليل"],
    &["今天", "天气", "花园", "河流", "晚上", "我们", "书", "面包", "石头", "绿色"],
    &["แม่น้ำ", "บ้าน", "เย็น", "หนังสือ", "โต๊ะ", "เรา", "ขนมปัง", "หิน", "เขียว", "กลางคืน"],
];

/// A generator of numbers from a seed.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn words(&mut self, script: usize, least: usize, most: usize) -> Vec<String> {
        let words = SCRIPTS[script];
        let ends: &[&str] = match script {
            0 => &["", "s", "ed", "er", "ing", "ly", "un"],
            1 => &["", "и", "ом", "ка", "ть", "ный"],
            _ => words,
        };
        (0..least + self.below(most - least + 1))
            .map(|_| format!("{}{}", words[self.below(words.len())], ends[self.below(ends.len())]))
            .collect()
    }
}

/// A line: what identifies it through edits, its words, and whether a blank line follows.
#[derive(Debug, Clone)]
struct Line {
    id: usize,
    indent: String,
    words: Vec<String>,
    joined: bool,
    end: &'static str,
    blank: bool,
}

impl Line {
    fn text(&self) -> String {
        format!(
            "{}{}{}",
            self.indent,
            self.words.join(if self.joined { "" } else { " " }),
            self.end
        )
    }
}

struct Maker {
    rng: Rng,
    kind: Kind,
    script: usize,
    ids: usize,
}

impl Maker {
    fn line(&mut self) -> Line {
        self.ids += 1;
        let (id, joined) = (self.ids, self.script >= 4);
        let d = &mut self.rng;
        let (indent, words, end, blank) = match self.kind {
            Kind::Paragraphs => (String::new(), d.words(self.script, 4, 14), ".", d.below(3) > 0),
            Kind::Prose => (String::new(), d.words(self.script, 4, 10), ".", false),
            Kind::List => ("- ".to_owned(), d.words(self.script, 2, 5), "", false),
            Kind::Code if d.below(3) == 0 => {
                ("    ".repeat(d.below(2)), vec!["}".to_owned()], "", d.below(3) == 0)
            }
            Kind::Code => ("    ".repeat(d.below(3)), d.words(0, 2, 4), "();", false),
        };
        Line { id, indent, words, joined, end, blank }
    }

    /// Edits lines.
    fn edit(&mut self, lines: &mut Vec<Line>) {
        let at = self.rng.below(lines.len().max(1)).min(lines.len().saturating_sub(1));
        match self.rng.below(6) {
            0 | 1 if !lines.is_empty() && lines[at].words[0] != "}" => {
                let line = &mut lines[at];
                if line.words.len() > 3 {
                    let nth = self.rng.below(line.words.len());
                    line.words[nth] = self.rng.words(self.script, 1, 1)[0].clone() + "x";
                } else {
                    line.words.push("more".to_owned());
                }
            }
            2 if lines.len() > 2 => drop(lines.remove(at)),
            3 if lines.len() > 2 => lines[at] = self.line(),
            4 => {
                let line = self.line();
                lines.push(line);
            }
            _ => {
                let line = self.line();
                lines.insert(at, line);
            }
        }
    }
}

fn render(kind: Kind, lines: &[Line], ending: &str) -> String {
    let mut out = String::new();
    for (nth, line) in lines.iter().enumerate() {
        out.push_str(&line.text());
        if nth + 1 < lines.len() {
            let joined = line.joined && line.end == ".";
            out.push_str(match (kind, line.blank) {
                (Kind::Prose, _) if joined => " ",
                (Kind::Prose, _) => " ",
                (_, true) => "\n\n",
                _ => "\n",
            });
        }
    }
    if kind != Kind::Prose {
        out.push('\n');
    }
    out.replace('\n', ending)
}

/// Which of many brackets was meant cannot be told from the texts.
fn is_told(text: &str) -> bool {
    text.trim() != "}"
}

/// The lines of a merged text, or its sentences.
fn told(kind: Kind, merged: &str) -> Vec<String> {
    let parts: Vec<&str> = match kind {
        Kind::Prose => merged.split_inclusive('.').map(str::trim).collect(),
        _ => merged.lines().map(str::trim_end).collect(),
    };
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .filter(|part| is_told(part))
        .map(str::to_owned)
        .collect()
}

/// What is wrong with a merge, where something is.
fn judge(kind: Kind, lines: [&[Line]; 3], merged: &str) -> Option<String> {
    let [base, kept, replayed] = lines;
    let merged_lines = told(kind, merged);
    let count = |text: &str| merged_lines.iter().filter(|l| *l == text).count();
    let find = |side: &[Line], id: usize| side.iter().find(|l| l.id == id).cloned();
    let (mut wanted, mut survivors) = (Vec::new(), Vec::new());
    // Whether more may stand than is wanted: where both changed one line.
    let mut both = false;
    for line in base {
        let old = line.text();
        let (k, r) = (find(kept, line.id), find(replayed, line.id));
        let combined = k.as_ref().zip(r.as_ref()).and_then(|(k, r)| combined(line, k, r));
        let stands = match (k.as_ref().map(Line::text), r.as_ref().map(Line::text)) {
            (Some(k), Some(r)) if k == old || k == r => r,
            (Some(k), Some(r)) if r == old => k,
            (Some(_), Some(_)) => {
                both |= combined.is_none();
                let Some(line) = combined else { continue };
                line
            }
            (Some(one), None) | (None, Some(one)) if one != old => one,
            _ => continue,
        };
        survivors.push(stands.clone());
        wanted.push(stands);
    }
    survivors.retain(|text| is_told(text));
    wanted.retain(|text| is_told(text));
    for side in [kept, replayed] {
        wanted.extend(
            side.iter()
                .filter(|l| base.iter().all(|b| b.id != l.id))
                .map(Line::text)
                .filter(|text| is_told(text)),
        );
    }
    for text in &wanted {
        let times = wanted.iter().filter(|other| *other == text).count();
        if count(text) < times {
            return Some(format!("{text:?} should stand {times} times"));
        }
        if !both && count(text) > times {
            return Some(format!("{text:?} should stand only {times} times"));
        }
    }
    if !both && merged_lines.len() != wanted.len() {
        return Some(format!("{} lines, not {}", merged_lines.len(), wanted.len()));
    }
    let mut rest = merged_lines.iter();
    if let Some(lost) = survivors.iter().find(|text| !rest.any(|line| line == *text)) {
        return Some(format!("{lost:?} is out of order"));
    }
    order(base, kept, replayed, &merged_lines)
        .or_else(|| breaks(kind, base, kept, replayed, merged))
}

/// A line of which both changed words, not the same ones.
fn combined(base: &Line, kept: &Line, replayed: &Line) -> Option<String> {
    let lines = [base, kept, replayed];
    if lines.iter().any(|line| line.words.len() != base.words.len()) {
        return None;
    }
    let mut merged = base.clone();
    let mut last = None;
    for (at, old) in base.words.iter().enumerate() {
        let side = match (&kept.words[at], &replayed.words[at]) {
            (k, r) if k == old && r == old => continue,
            (k, r) if k != old && r != old => return None,
            (k, _) if k != old => 0,
            _ => 1,
        };
        if last.is_some_and(|(before, other)| before + 2 > at && other != side) {
            return None;
        }
        last = Some((at, side));
        merged.words[at] = lines[side + 1].words[at].clone();
    }
    Some(merged.text())
}

/// What stands in a side in some order stands in it in the result.
fn order(base: &[Line], kept: &[Line], replayed: &[Line], merged: &[String]) -> Option<String> {
    let all = || base.iter().chain(kept).chain(replayed);
    let is_clear =
        |line: &&Line| !all().any(|other| other.id != line.id && other.text() == line.text());
    for side in [kept, replayed] {
        let places = side.iter().filter(is_clear).filter_map(|line| {
            let text = line.text();
            let place = merged.iter().position(|other| *other == text)?;
            Some((place, text))
        });
        let places: Vec<_> = places.collect();
        if let Some(pair) = places.windows(2).find(|pair| pair[0].0 > pair[1].0) {
            return Some(format!("{:?} stands before {:?}", pair[1].1, pair[0].1));
        }
    }
    None
}

/// Breaks: two lines that stand side by side in both sides, and one of them as it was, are parted as
/// in the sides.
fn breaks(
    kind: Kind,
    base: &[Line],
    kept: &[Line],
    replayed: &[Line],
    merged: &str,
) -> Option<String> {
    if kind == Kind::Prose {
        return merged.contains("  ").then(|| "two spaces".to_owned());
    }
    let merged = merged.replace("\r\n", "\n");
    if kind == Kind::Code {
        return None;
    }
    for side in [kept, replayed] {
        for pair in side.windows(2) {
            let (a, b) = (pair[0].text(), pair[1].text());
            let is_joined = merged.contains(&format!("{a}\n{b}\n"));
            let is_parted = merged.contains(&format!("{a}\n\n{b}\n"));
            let ambiguous = [base, kept, replayed]
                .iter()
                .any(|s| s.iter().filter(|l| l.text() == a || l.text() == b).count() > 2);
            if !ambiguous && pair[0].blank && is_joined {
                return Some(format!("the break between {a:?} and {b:?} is lost"));
            }
            if !ambiguous && !pair[0].blank && is_parted {
                return Some(format!("a break came between {a:?} and {b:?}"));
            }
        }
    }
    None
}

/// Makes texts of a seed, merges them, and judges. Tells what is wrong and the texts.
fn case(kind: Kind, seed: u64) -> Option<String> {
    let mut maker = Maker { rng: Rng(seed), kind, script: 0, ids: 0 };
    maker.script =
        if kind == Kind::Code { 0 } else { maker.rng.below(SCRIPTS.len() + 4).saturating_sub(4) };
    let base: Vec<Line> = (0..3 + maker.rng.below(12)).map(|_| maker.line()).collect();
    let (mut kept, mut replayed) = (base.clone(), base.clone());
    for side in [&mut kept, &mut replayed] {
        for _ in 0..1 + maker.rng.below(4) {
            maker.edit(side);
        }
    }
    let ending = if maker.rng.below(8) == 0 { "\r\n" } else { "\n" };
    let texts = [&base, &kept, &replayed].map(|lines| render(kind, lines, ending));
    let merged = merge_text(&texts[0], &texts[1], &texts[2]);
    let wrong = judge(kind, [&base, &kept, &replayed], &merged)?;
    let [base, kept, replayed] = texts;
    Some(format!(
        "{kind:?} {seed}: {wrong}\n--- base\n{base}\n--- kept\n{kept}\n--- replayed\n{replayed}\n--- merged\n{merged}\n"
    ))
}

/// Judges many; no more than these in a thousand may be wrong.
fn judged(kind: Kind, from: u64, per_mille: usize) {
    let all = 2000;
    let wrong: Vec<String> = (from..from + all).filter_map(|seed| case(kind, seed)).collect();
    let allowed = all as usize * per_mille / 1000;
    assert!(
        wrong.len() <= allowed,
        "{} of {all} are wrong\n{}",
        wrong.len(),
        wrong.iter().take(6).cloned().collect::<String>()
    );
}

#[test]
fn paragraphs_merge_as_a_person_would() {
    judged(Kind::Paragraphs, 10_000, 10);
}

#[test]
fn lists_merge_as_a_person_would() {
    judged(Kind::List, 20_000, 5);
}

#[test]
fn code_merges_as_a_person_would() {
    judged(Kind::Code, 30_000, 10);
}

#[test]
fn prose_in_one_line_merges_as_a_person_would() {
    judged(Kind::Prose, 40_000, 10);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn versions_of_a_branch_merge_as_each_alone(seed in any::<u64>()) {
        let mut maker = Maker { rng: Rng(seed), kind: Kind::Paragraphs, script: 0, ids: 0 };
        let base: Vec<Line> = (0..8).map(|_| maker.line()).collect();
        let (mut kept, mut replayed) = (base.clone(), base.clone());
        (0..4).for_each(|_| maker.edit(&mut kept));
        let [base, kept] = [&base, &kept].map(|lines| render(maker.kind, lines, "\n"));
        let aligned = TextMerge::new(&base, &kept);
        for _ in 0..5 {
            maker.edit(&mut replayed);
            let replayed = render(maker.kind, &replayed, "\n");
            prop_assert_eq!(aligned.merge(&replayed), merge_text(&base, &kept, &replayed));
        }
    }
}
