//! Texts as lines of words, so that what became of each line and each word can be followed.

use super::random::Random;
use super::scripts::{self, LATIN, Script};

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Paragraphs,
    Lists,
    Code,
    Prose,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Paragraphs, Kind::Lists, Kind::Code, Kind::Prose];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Paragraphs => "paragraphs",
            Kind::Lists => "lists",
            Kind::Code => "code",
            Kind::Prose => "prose in one line",
        }
    }
}

/// A line or a word: one of the common text, by its place there, or one that a side put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Id {
    Base(usize),
    New(usize),
}

#[derive(Clone)]
pub struct Word {
    /// Words that one edit put in side by side share an id.
    pub id: Id,
    pub text: String,
    /// What follows, where another word does.
    pub glue: &'static str,
}

#[derive(Clone)]
pub struct Line {
    pub id: Id,
    /// Indentation, a bullet, a checkbox.
    pub prefix: String,
    pub words: Vec<Word>,
    /// The line break after it with the blank lines that follow; what ends the text, for the last.
    pub breaks: String,
}

impl Line {
    pub fn text(&self) -> String {
        self.prefix.clone() + &joined(&self.words)
    }
}

/// Words with what stands between them.
pub fn joined(words: &[Word]) -> String {
    let mut text = String::new();
    for (at, word) in words.iter().enumerate() {
        text += &word.text;
        if at + 1 < words.len() {
            text += word.glue;
        }
    }
    text
}

#[derive(Clone)]
pub struct Doc {
    pub kind: Kind,
    pub script: &'static Script,
    /// `\n` or `\r\n`.
    pub newline: &'static str,
    /// How many line breaks stand between two paragraphs, lines or items as a rule.
    pub usual: usize,
    pub lines: Vec<Line>,
}

impl Doc {
    pub fn text(&self) -> String {
        self.lines.iter().map(|line| line.text() + &line.breaks).collect()
    }

    pub fn breaks(&self, count: usize) -> String {
        self.newline.repeat(count)
    }
}

/// A text of some kind, in some script, with some line ending.
pub fn generate(kind: Kind, random: &mut Random) -> Doc {
    let script = match kind {
        Kind::Code => &LATIN,
        _ => random.weighted(&scripts::ALL),
    };
    let newline = if random.chance(12) { "\r\n" } else { "\n" };
    let usual = if kind == Kind::Paragraphs { 2 } else { 1 };
    let mut doc = Doc { kind, script, newline, usual, lines: Vec::new() };
    match kind {
        Kind::Paragraphs => paragraphs(&mut doc, random),
        Kind::Lists => list(&mut doc, random),
        Kind::Code => code(&mut doc, random),
        Kind::Prose => {
            let sentences = random.within(3, 7);
            let words = (0..sentences).flat_map(|_| sentence(script, random, 4, 9)).collect();
            push(&mut doc, "", words, 1);
        }
    }
    // Of two equal lines side by side nobody can say which one went.
    doc.lines.dedup_by(|line, before| line.text() == before.text());
    let end = usize::from(random.chance(70));
    let end = doc.breaks(end);
    if let Some(last) = doc.lines.last_mut() {
        last.breaks = end;
    }
    for (at, line) in doc.lines.iter_mut().enumerate() {
        line.id = Id::Base(at);
        for (at, word) in line.words.iter_mut().enumerate() {
            word.id = Id::Base(at);
        }
    }
    doc
}

fn push(doc: &mut Doc, prefix: &str, words: Vec<Word>, breaks: usize) {
    let breaks = doc.breaks(breaks);
    doc.lines.push(Line { id: Id::Base(0), prefix: prefix.to_owned(), words, breaks });
}

fn paragraphs(doc: &mut Doc, random: &mut Random) {
    let wrapped = random.chance(15);
    for _ in 0..random.within(4, 12) {
        let lines = if wrapped { random.within(1, 3) } else { 1 };
        for line in 1..=lines {
            let sentences = random.within(1, 2);
            let words = (0..sentences).flat_map(|_| sentence(doc.script, random, 4, 9)).collect();
            let breaks = match line == lines {
                true if random.chance(6) => 3,
                true => 2,
                false => 1,
            };
            push(doc, "", words, breaks);
        }
    }
}

fn list(doc: &mut Doc, random: &mut Random) {
    let mark = *random.pick(&["- ", "* ", "- [ ] ", "1. ", ""]);
    if random.chance(30) {
        let title = words(doc.script, random, 1, 2);
        let breaks = if random.chance(40) { 2 } else { 1 };
        push(doc, "", title, breaks);
    }
    for nth in 1..=random.within(5, 20) {
        let prefix = match mark {
            "1. " => format!("{nth}. "),
            "- [ ] " if random.chance(30) => "- [x] ".to_owned(),
            mark => mark.to_owned(),
        };
        let item = words(doc.script, random, 1, 5);
        push(doc, &prefix, item, 1);
    }
}

/// Functions with blocks, so that `}`, `else` and blank lines stand many times.
fn code(doc: &mut Doc, random: &mut Random) {
    for _ in 0..random.within(1, 4) {
        if random.chance(40) {
            let script = random.weighted(&scripts::ALL);
            let comment = words(script, random, 2, 5);
            push(doc, "// ", comment, 1);
        }
        let head = plain(&format!("fn {}({}) {{", random.pick(LATIN.words), name(random)));
        push(doc, "", head, 1);
        for _ in 0..random.within(1, 3) {
            let words = statement(random);
            let breaks = if random.chance(15) { 2 } else { 1 };
            push(doc, "    ", words, breaks);
            if random.chance(45) {
                let head = plain(&format!("if {} > {} {{", name(random), random.below(9)));
                push(doc, "    ", head, 1);
                for _ in 0..random.within(1, 2) {
                    let words = statement(random);
                    push(doc, "        ", words, 1);
                }
                let breaks = if random.chance(15) { 2 } else { 1 };
                push(doc, "    ", plain("}"), breaks);
            }
        }
        if random.chance(50) {
            push(doc, "    ", plain("return result;"), 1);
        }
        push(doc, "", plain("}"), 2);
    }
}

const NAMES: [&str; 7] = ["count", "total", "item", "left", "right", "size", "path"];

fn name(random: &mut Random) -> &'static str {
    random.pick::<&str>(&NAMES)
}

fn statement(random: &mut Random) -> Vec<Word> {
    let (to, from) = (name(random), name(random));
    match random.below(4) {
        0 => plain(&format!("let {to} = {}({from});", random.pick(LATIN.words))),
        1 => plain(&format!("{to} = {from} + {};", random.below(9))),
        2 => plain(&format!("print({to}, {from});")),
        _ => plain("result += 1;"),
    }
}

/// Words parted by spaces, and the signs before, between and after them.
pub fn plain(text: &str) -> Vec<Word> {
    let is_sign = |c: char| c.is_ascii_punctuation() && c != '\'' && c != '-';
    let mut words: Vec<Word> = Vec::new();
    for part in text.split(' ') {
        let mut was_sign = None;
        for c in part.chars() {
            match words.last_mut() {
                Some(word) if was_sign == Some(is_sign(c)) => word.text.push(c),
                _ => words.push(Word { id: Id::Base(0), text: c.into(), glue: "" }),
            }
            was_sign = Some(is_sign(c));
        }
        if let Some(word) = words.last_mut() {
            word.glue = " ";
        }
    }
    words
}

pub fn words(script: &'static Script, random: &mut Random, first: usize, last: usize) -> Vec<Word> {
    let one = |random: &mut Random| Word {
        id: Id::Base(0),
        text: (*random.pick(script.words)).to_owned(),
        glue: script.joiner,
    };
    (0..random.within(first, last)).map(|_| one(random)).collect()
}

fn sentence(script: &'static Script, random: &mut Random, first: usize, last: usize) -> Vec<Word> {
    let mut words = words(script, random, first, last);
    end_sentence(script, &mut words);
    words
}

/// Ends a sentence after the last word, by a stop that is a word of its own.
pub fn end_sentence(script: &'static Script, words: &mut Vec<Word>) {
    let Some(last) = words.last_mut() else { return };
    if script.stop.is_empty() {
        last.glue = script.gap;
        return;
    }
    last.glue = "";
    let id = last.id;
    words.push(Word { id, text: script.stop.to_owned(), glue: script.gap });
}
