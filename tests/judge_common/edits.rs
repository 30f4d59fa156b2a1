//! What each of two sides does with a text, at random. Every new word or line bears an id, so that
//! it can be followed, and a mark of whose it is.

use super::random::Random;
use super::scripts::{LATIN, Script};
use super::text::{Doc, Id, Kind, Line, Word, end_sentence, plain, words};

const BOTH: usize = 2;

#[derive(Clone, Copy)]
enum Edit {
    ChangeWord,
    AppendWords,
    InsertLine,
    DeleteLine,
    RewriteLine,
    AppendAtEnd,
    InsertAtStart,
    Check,
    InsertSentence,
    DeleteSentence,
}

const OF_LINES: [(usize, Edit); 8] = [
    (30, Edit::ChangeWord),
    (12, Edit::AppendWords),
    (15, Edit::InsertLine),
    (12, Edit::DeleteLine),
    (6, Edit::RewriteLine),
    (12, Edit::AppendAtEnd),
    (6, Edit::InsertAtStart),
    (7, Edit::Check),
];

const OF_PROSE: [(usize, Edit); 5] = [
    (45, Edit::ChangeWord),
    (20, Edit::AppendWords),
    (15, Edit::InsertSentence),
    (10, Edit::DeleteSentence),
    (10, Edit::InsertAtStart),
];

/// Lets two sides edit the text, one to five times each.
pub fn sides(base: &Doc, random: &mut Random) -> (Doc, Doc) {
    let mut count = 0;
    let mut docs = [base.clone(), base.clone()];
    for mark in 0..2 {
        let other = (mark == 1).then(|| docs[0].clone());
        let mut side = Side { doc: &mut docs[mark], other, mark, count: &mut count, random };
        for _ in 0..side.random.within(1, 5) {
            side.edit();
        }
        if side.random.chance(4) {
            side.flip_end();
        }
    }
    if random.chance(6) {
        change_alike(&mut docs, &mut count, random);
    }
    if base.kind != Kind::Prose && random.chance(6) {
        insert_alike(&mut docs, &mut count, random);
    }
    let [kept, replayed] = docs;
    (kept, replayed)
}

struct Side<'a> {
    doc: &'a mut Doc,
    /// What the other side made of the text, where it edited before.
    other: Option<Doc>,
    /// Which of a script's marks its words bear.
    mark: usize,
    count: &'a mut usize,
    random: &'a mut Random,
}

impl Side<'_> {
    fn edit(&mut self) {
        let edit = match self.doc.kind {
            Kind::Prose => self.random.weighted(&OF_PROSE),
            _ => self.random.weighted(&OF_LINES),
        };
        let lines = self.doc.lines.len();
        let at = self.random.below(lines);
        match edit {
            Edit::ChangeWord => self.change_word(at),
            Edit::AppendWords => {
                let end = self.doc.lines[at].words.len();
                self.insert_words(at, end);
            }
            Edit::InsertLine => self.insert_lines(Some(at)),
            Edit::AppendAtEnd => self.insert_lines(Some(lines - 1)),
            Edit::InsertAtStart if self.doc.kind == Kind::Prose => self.insert_words(at, 0),
            Edit::InsertAtStart => self.insert_lines(None),
            Edit::DeleteLine => self.delete_line(at),
            Edit::RewriteLine => {
                let new = self.new_line(self.doc.lines[at].prefix.clone());
                let old = &mut self.doc.lines[at];
                *old = Line { breaks: old.breaks.clone(), ..new };
            }
            Edit::Check => {
                let prefix = &mut self.doc.lines[at].prefix;
                *prefix = prefix.replace("[ ]", "[x]");
            }
            Edit::InsertSentence => {
                let starts = self.sentences(at);
                let place = *self.random.pick(&starts);
                self.insert_words(at, place);
            }
            Edit::DeleteSentence => self.delete_sentence(at),
        }
    }

    fn script(&self) -> &'static Script {
        if self.doc.kind == Kind::Code { &LATIN } else { self.doc.script }
    }

    fn next(&mut self) -> usize {
        *self.count += 1;
        *self.count
    }

    fn unique(&mut self) -> String {
        let count = self.next();
        self.script().unique(self.mark, count)
    }

    fn change_word(&mut self, at: usize) {
        let line = &self.doc.lines[at];
        let may = |place: &usize| {
            let word = &line.words[*place];
            is_word(word, self.doc.script) && self.other_has(&line.words[*place..=*place])
        };
        let places: Vec<usize> = (0..line.words.len()).filter(may).collect();
        if places.is_empty() {
            return;
        }
        let place = *self.random.pick(&places);
        let (text, new) = (self.unique(), Id::New(self.next()));
        let word = &mut self.doc.lines[at].words[place];
        let id = if matches!(word.id, Id::New(_)) { word.id } else { new };
        *word = Word { id, text, glue: word.glue };
    }

    /// One to three words, of which each is new, or a sentence that begins with a new one.
    fn new_words(&mut self) -> Vec<Word> {
        let script = self.script();
        let mut new = Vec::new();
        let id = Id::New(self.next());
        for _ in 0..self.random.within(1, 3) {
            new.push(Word { id, text: self.unique(), glue: script.joiner });
        }
        if self.random.chance(30) {
            new.extend(words(script, self.random, 1, new.len()));
        }
        new.iter_mut().for_each(|word| word.id = id);
        new
    }

    /// Inserts words before the word at `place`: a sentence where the text has sentences.
    fn insert_words(&mut self, at: usize, place: usize) {
        let mut new = self.new_words();
        match self.doc.kind {
            Kind::Paragraphs | Kind::Prose => end_sentence(self.doc.script, &mut new),
            Kind::Lists => {}
            Kind::Code => {
                let id = new[0].id;
                new.insert(0, Word { id, text: "//".to_owned(), glue: " " });
            }
        }
        self.doc.lines[at].words.splice(place..place, new);
    }

    /// Where the sentences of a line begin.
    fn sentences(&self, at: usize) -> Vec<usize> {
        let line = &self.doc.lines[at];
        let ends = |word: &Word| match self.doc.script.stop {
            "" => word.glue == self.doc.script.gap,
            stop => word.text == stop,
        };
        let after = |place: &usize| *place == 0 || ends(&line.words[place - 1]);
        (0..line.words.len()).filter(after).collect()
    }

    /// Whether the other side left these words of one line of prose. What becomes of a sentence that
    /// one side deletes and the other changes is no rule of lines, and none that a judge knows.
    fn other_has(&self, words: &[Word]) -> bool {
        let Some(other) = &self.other else { return true };
        let left = |word: &Word| other.lines[0].words.iter().any(|other| other.id == word.id);
        self.doc.kind != Kind::Prose
            || words.iter().all(|word| matches!(word.id, Id::New(_)) || left(word))
    }

    fn delete_sentence(&mut self, at: usize) {
        let mut starts = self.sentences(at);
        if starts.len() < 2 {
            return;
        }
        let which = self.random.below(starts.len());
        starts.push(self.doc.lines[at].words.len());
        let sentence = starts[which]..starts[which + 1];
        if self.other_has(&self.doc.lines[at].words[sentence.clone()]) {
            self.doc.lines[at].words.drain(sentence);
        }
    }

    fn new_line(&mut self, prefix: String) -> Line {
        let words = match self.doc.kind {
            Kind::Code => {
                let (to, from) = (self.unique(), self.unique());
                plain(&format!("let {to} = {from};"))
            }
            Kind::Lists => self.new_words(),
            _ => {
                let sentences = self.random.within(1, 2);
                let mut all = Vec::new();
                for _ in 0..sentences {
                    let mut new = self.new_words();
                    end_sentence(self.doc.script, &mut new);
                    all.extend(new);
                }
                all
            }
        };
        Line { id: Id::New(self.next()), prefix, words, breaks: String::new() }
    }

    fn insert_lines(&mut self, after: Option<usize>) {
        let beside = &self.doc.lines[after.unwrap_or(0)];
        let mut prefix = beside.prefix.replace("[x]", "[ ]").replace("// ", "");
        if self.doc.kind == Kind::Code && beside.text().ends_with('{') && after.is_some() {
            prefix += "    ";
        }
        let mut after = after;
        let joins = self.random.chance(50);
        for _ in 0..self.random.within(1, 2) {
            let line = self.new_line(prefix.clone());
            insert(self.doc, after, line, joins);
            after = Some(after.map_or(0, |at| at + 1));
        }
    }

    fn delete_line(&mut self, at: usize) {
        if self.doc.lines.len() < 2 {
            return;
        }
        let gone = self.doc.lines.remove(at);
        let is_last = at == self.doc.lines.len();
        if let Some(before) = at.checked_sub(1) {
            let before = &mut self.doc.lines[before];
            // Blank lines that stood below it stay.
            if is_last || gone.breaks.len() > before.breaks.len() {
                before.breaks = gone.breaks;
            }
        }
    }

    fn flip_end(&mut self) {
        let newline = self.doc.newline;
        if let Some(last) = self.doc.lines.last_mut() {
            last.breaks = if last.breaks.is_empty() { newline.to_owned() } else { String::new() };
        }
    }
}

/// Whether it is a word, not a sign beside words.
fn is_word(word: &Word, script: &Script) -> bool {
    word.text != script.stop && word.text.chars().any(|c| !c.is_ascii_punctuation())
}

/// Inserts a line. Where blank lines follow the line before it, it `joins` that line's block, or
/// begins the next one.
fn insert(doc: &mut Doc, after: Option<usize>, mut line: Line, joins: bool) {
    let usual = doc.breaks(doc.usual);
    let last = doc.lines.len() - 1;
    let Some(at) = after else {
        line.breaks = usual;
        doc.lines.insert(0, line);
        return;
    };
    let before = &mut doc.lines[at];
    if at == last || (joins && before.breaks.len() > usual.len()) {
        line.breaks = std::mem::replace(&mut before.breaks, usual);
    } else {
        line.breaks = before.breaks.clone().min(usual);
    }
    doc.lines.insert(at + 1, line);
}

/// Both put one and the same word in the place of another.
fn change_alike(docs: &mut [Doc; 2], count: &mut usize, random: &mut Random) {
    let mut places = Vec::new();
    for (kept, line) in docs[0].lines.iter().enumerate() {
        let Some(replayed) = docs[1].lines.iter().position(|other| other.id == line.id) else {
            continue;
        };
        for (at, word) in line.words.iter().enumerate() {
            let is_word = is_word(word, docs[0].script);
            let other = docs[1].lines[replayed].words.iter().position(|other| other.id == word.id);
            if let (Some(other), Id::Base(_), true) = (other, word.id, is_word) {
                places.push([(kept, at), (replayed, other)]);
            }
        }
    }
    if places.is_empty() {
        return;
    }
    let places = random.pick(&places);
    *count += 1;
    for (doc, (line, word)) in docs.iter_mut().zip(places) {
        let script = if doc.kind == Kind::Code { &LATIN } else { doc.script };
        let (text, id) = (script.unique(BOTH, *count), Id::New(*count));
        let word = &mut doc.lines[*line].words[*word];
        *word = Word { id, text, glue: word.glue };
    }
}

/// Both put one and the same line after a line that both left.
fn insert_alike(docs: &mut [Doc; 2], count: &mut usize, random: &mut Random) {
    let common = |line: &&Line| docs[1].lines.iter().any(|other| other.id == line.id);
    let common: Vec<Id> = docs[0].lines.iter().filter(common).map(|line| line.id).collect();
    if common.is_empty() {
        return;
    }
    let id = *random.pick(&common);
    let mut made = None;
    for doc in docs.iter_mut() {
        let at = doc.lines.iter().position(|line| line.id == id).expect("both left the line");
        let made = made.get_or_insert_with(|| {
            let prefix = doc.lines[at].prefix.replace("// ", "");
            Side { doc: &mut doc.clone(), other: None, mark: BOTH, count, random }.new_line(prefix)
        });
        insert(doc, Some(at), made.clone(), true);
    }
}
