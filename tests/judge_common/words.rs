//! Within a line: what both made of its words, and how many words two versions share.

use std::collections::{HashMap, HashSet};

use super::matching::{Part, Rules, is_woven};
use super::text::{Id, Line, Word};

/// Whether a line holds what both sides made of it, word by word.
pub fn is_both_changed(base: Option<&Line>, kept: &Line, replayed: &Line, text: &str) -> bool {
    let Some(base) = base else { return false };
    let prefix = if kept.prefix == base.prefix { &replayed.prefix } else { &kept.prefix };
    let Some(rest) = text.strip_prefix(prefix.as_str()) else { return false };
    let (of_kept, of_replayed) = (runs(&kept.words), runs(&replayed.words));
    let beside = |runs: &[(Id, String, &str)]| -> Vec<(Id, Id)> {
        runs.windows(2).map(|two| (two[0].0, two[1].0)).collect()
    };
    let beside = [runs(&base.words), of_kept.clone(), of_replayed.clone()]
        .iter()
        .flat_map(|runs| beside(runs))
        .collect();
    let stays = |runs: &[(Id, String, &str)], other: &[(Id, String, &str)]| -> Vec<Id> {
        let is_left = |id: &Id| matches!(id, Id::New(_)) || other.iter().any(|(o, ..)| o == id);
        runs.iter().map(|(id, ..)| *id).filter(is_left).collect()
    };
    let (kept, replayed) = (stays(&of_kept, &of_replayed), stays(&of_replayed, &of_kept));
    let words = of_kept.into_iter().chain(of_replayed).map(|(id, text, glue)| (id, (text, glue)));
    is_woven(&kept, &replayed, &WordRules { words: words.collect(), beside, rest })
}

/// The words of a line, those that one edit put in as one.
fn runs(words: &[Word]) -> Vec<(Id, String, &str)> {
    let mut runs: Vec<(Id, String, &str)> = Vec::new();
    for word in words {
        match runs.last_mut() {
            Some((id, text, glue)) if *id == word.id && matches!(id, Id::New(_)) => {
                *text += glue;
                *text += &word.text;
                *glue = word.glue;
            }
            _ => runs.push((word.id, word.text.clone(), word.glue)),
        }
    }
    runs
}

struct WordRules<'a> {
    words: HashMap<Id, (String, &'a str)>,
    /// Words that stand side by side in some version.
    beside: HashSet<(Id, Id)>,
    rest: &'a str,
}

impl Rules for WordRules<'_> {
    fn step(&self, at: usize, prev: Option<Part>, (id, _): Part) -> Option<usize> {
        let rest = &self.rest[at..];
        let word = self.words[&id].0.as_str();
        let Some((prev, _)) = prev else {
            return rest.strip_prefix(word).map(|rest| self.rest.len() - rest.len());
        };
        let (before, glue) = &self.words[&prev];
        let follows = |glue: &str| rest.strip_prefix(glue)?.strip_prefix(word);
        let rest = match self.beside.contains(&(prev, id)) {
            true => follows(glue)?,
            // They met in the merge alone: a space may part them, and must, where they are words of
            // a script that parts words.
            false if parts(before.chars().last()) && parts(word.chars().next()) => follows(" ")?,
            false => follows(glue).or_else(|| follows(" ")).or_else(|| follows(""))?,
        };
        Some(self.rest.len() - rest.len())
    }

    fn ends(&self, at: usize, _: Option<Part>) -> bool {
        at == self.rest.len()
    }

    fn waits(&self, _: Id, _: Id) -> bool {
        false
    }

    fn may_part(&self, _: Id) -> bool {
        false
    }
}

/// Whether two versions of a line share half of their words or more, however words are told apart.
pub fn is_close(one: &str, two: &str) -> bool {
    [by_space, small_words].into_iter().all(|words| {
        let (one, two) = (words(one), words(two));
        2 * shared(&one, &two) >= one.len().max(two.len())
    })
}

fn by_space(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Whether it is a letter or digit of a script that parts words by spaces.
fn parts(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() && !stands_alone(c))
}

fn stands_alone(c: char) -> bool {
    matches!(u32::from(c), 0x0E00..=0x0E7F | 0x3000..=0x30FF | 0x4E00..=0x9FFF)
}

/// Letters and digits that stand together, and in scripts that part no words each sign alone.
fn small_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut goes_on = false;
    for c in text.chars() {
        let alone = stands_alone(c);
        match words.last_mut() {
            Some(word) if goes_on && !alone && c.is_alphanumeric() => word.push(c),
            _ if c.is_alphanumeric() || alone => words.push(c.to_string()),
            _ => {}
        }
        goes_on = c.is_alphanumeric() && !alone;
    }
    words
}

/// How many words stand in both, in one order.
fn shared(one: &[String], two: &[String]) -> usize {
    let mut row = vec![0; two.len() + 1];
    for word in one {
        let mut diagonal = 0;
        for (at, other) in two.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word == other { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[two.len()]
}
