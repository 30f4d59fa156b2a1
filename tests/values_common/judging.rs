//! The rules that a merge of values is compared with:
//!
//! - What only one side changed stands as that side's, whatever that side set and set back between.
//! - Objects are merged key by key, lists of identified elements element by element, other lists
//!   and texts so that what either put in stands and what either took out is gone.
//! - Of two values of one field the one whose side edited that field last stands, and one entry
//!   says so, with both values, the winner, and frames that hold them. Nothing else is listed.
//! - Where keys were renamed, every value that a side wrote is somewhere: in the result, in an
//!   entry, or in an edit that was not replayed.

mod lists;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::{Map, Value};
use sync_gib::ibgib::{Addr, IbGib, Moment};
use sync_gib::sync::merge::Merge;

use super::listed::{holds, overwritten};
use super::path::{self, Path, Step, get, with};
use super::world::{BOOKKEEPING, History, World};

pub const UNLISTED: &str = "a value gave way and is not listed";
pub const WINNER: &str = "the older edit won";
pub const ONE_SIDE: &str = "what one side alone changed does not stand";
pub const BOTH_ALIKE: &str = "what both have alike does not stand";
pub const LIST: &str = "an element of a list lost, back or out of order";
pub const TEXT: &str = "a word of a text lost or back";
pub const ENTRY: &str = "an entry names the wrong winner, values or frames";
pub const NOTHING: &str = "an entry where nothing gave way";
pub const RENAMED: &str = "an edit did not follow a rename";
pub const RELATION: &str = "a relation lost or back";

/// Names the rules that a merge breaks, each with where.
pub fn judge(
    world: &World,
    kept: &History,
    replayed: &History,
    merge: &Merge,
) -> BTreeSet<(&'static str, String)> {
    let result = merge.new.last().expect("a merge makes a graft frame").clone();
    let mut judge = Judge {
        common: &world.base.1,
        sides: [kept, replayed],
        entries: overwritten(merge),
        unreplayed: merge.unreplayed.iter().map(|edit| &edit.frame).collect(),
        explained: HashSet::new(),
        wrong: BTreeSet::new(),
    };
    judge.data(&result);
    judge.ib(&result);
    judge.relations(world, &result);
    judge.spurious();
    judge.wrong
}

struct Judge<'a> {
    common: &'a IbGib,
    sides: [&'a History; 2],
    entries: Vec<Value>,
    unreplayed: HashSet<&'a Addr>,
    /// Entries that some conflict explains.
    explained: HashSet<usize>,
    wrong: BTreeSet<(&'static str, String)>,
}

/// One field in the common frame, on both sides, and in the result.
#[derive(Clone, Copy)]
struct Field<'v> {
    common: Option<&'v Value>,
    kept: Option<&'v Value>,
    replayed: Option<&'v Value>,
    result: Option<&'v Value>,
}

impl<'v> Field<'v> {
    fn at(&self, step: &Step) -> Field<'v> {
        let at = |value| get(value, std::slice::from_ref(step));
        Field {
            common: at(self.common),
            kept: at(self.kept),
            replayed: at(self.replayed),
            result: at(self.result),
        }
    }
}

impl Judge<'_> {
    fn wrong(&mut self, rule: &'static str, path: &[Step]) {
        self.wrong.insert((rule, path::text(path)));
    }

    fn data(&mut self, result: &IbGib) {
        let [kept, replayed] = self.sides.map(|side| side.tip().1.data.as_ref());
        let all = Field {
            common: self.common.data.as_ref(),
            kept,
            replayed,
            result: result.data.as_ref(),
        };
        let renames: Vec<&(String, String)> =
            self.sides.iter().flat_map(|side| &side.renames).collect();
        let renamed: HashSet<&String> = renames.iter().flat_map(|(from, to)| [from, to]).collect();
        for key in keys(&[all.common, all.kept, all.replayed, all.result]) {
            if !BOOKKEEPING.contains(&&*key) && !renamed.contains(&key) {
                let step = Step::Key(key);
                self.field(&vec![step.clone()], all.at(&step));
            }
        }
        if let [(from, to)] = renames[..] {
            let (from, to) = (from.clone(), to.clone());
            self.follows(&Step::Key(from), &Step::Key(to), &all);
        }
        for key in renamed.into_iter().cloned().collect::<Vec<String>>() {
            self.somewhere(&key, &all);
        }
    }

    fn field(&mut self, path: &Path, field: Field<'_>) {
        let Field { common, kept, replayed, result } = field;
        if kept == replayed {
            if result != kept {
                self.wrong(BOTH_ALIKE, path);
            }
            return;
        }
        if kept == common || replayed == common {
            let changed = if kept == common { replayed } else { kept };
            if result != changed {
                self.wrong(ONE_SIDE, path);
            }
            return;
        }
        match (kept, replayed) {
            (Some(Value::String(kept)), Some(Value::String(replayed)))
                if is_text(path, common, kept, replayed) =>
            {
                self.text(path, common, [kept, replayed], result);
            }
            (Some(Value::Object(_)), Some(Value::Object(_))) => {
                if !result.is_some_and(Value::is_object) {
                    return self.wrong(UNLISTED, path);
                }
                for key in keys(&[common, kept, replayed, result]) {
                    let step = Step::Key(key);
                    self.field(&with(path, step.clone()), field.at(&step));
                }
            }
            (Some(Value::Array(one)), Some(Value::Array(two))) => {
                self.array(path, field, [one, two]);
            }
            _ => self.conflict(path, field),
        }
    }

    fn text(
        &mut self,
        path: &Path,
        common: Option<&Value>,
        sides: [&str; 2],
        result: Option<&Value>,
    ) {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let common: HashSet<String> = words(common.and_then(Value::as_str).unwrap_or_default());
        let [kept, replayed]: [HashSet<String>; 2] = sides.map(words);
        let result: HashSet<String> = words(result.and_then(Value::as_str).unwrap_or_default());
        for word in kept.union(&replayed).chain(&common).filter(|word| is_unique(word)) {
            let has = (kept.contains(word), replayed.contains(word));
            let stands = match (common.contains(word), has) {
                (_, (true, true)) => Some(true),
                (false, (kept, replayed)) => Some(kept || replayed),
                (true, (false, false)) => Some(false),
                // Whether its line was taken out or changed is for the judge of texts.
                (true, _) => None,
            };
            if stands.is_some_and(|stands| stands != result.contains(word)) {
                self.wrong(TEXT, path);
            }
        }
    }

    /// The frame in which a side last changed a field.
    fn last_edit(&self, side: usize, value: &dyn Fn(&IbGib) -> Option<Value>) -> (Moment, &Addr) {
        let mut before = value(self.common);
        let mut last = None;
        for (addr, frame) in &self.sides[side].frames {
            let now = value(frame);
            if now != before {
                let data = frame.data.as_ref().and_then(Value::as_object);
                last = Some((data.and_then(Moment::of_data).unwrap_or_default(), addr));
            }
            before = now;
        }
        last.expect("a side that changed a field has a frame that did")
    }

    fn conflict(&mut self, path: &Path, field: Field<'_>) {
        let value = |frame: &IbGib| get(frame.data.as_ref(), path).cloned();
        let Field { common, kept, replayed, result } = field;
        self.gave_way(&path::text(path), &value, [common, kept, replayed, result]);
    }

    fn gave_way(
        &mut self,
        path: &str,
        value: &dyn Fn(&IbGib) -> Option<Value>,
        [common, kept, replayed, result]: [Option<&Value>; 4],
    ) {
        let (of_kept, of_replayed) = (self.last_edit(0, value), self.last_edit(1, value));
        let is_replayed = match of_kept.0.cmp(&of_replayed.0) {
            std::cmp::Ordering::Equal => of_replayed.1.as_str() > of_kept.1.as_str(),
            order => order.is_lt(),
        };
        let (winner, name) = if is_replayed { (replayed, "replayed") } else { (kept, "kept") };
        if result != winner {
            self.wrong.insert((WINNER, path.to_owned()));
        }
        let entries = self.entries.iter().enumerate();
        let found: Vec<usize> = entries
            .filter(|(_, entry)| entry.get("path").and_then(Value::as_str) == Some(path))
            .map(|(at, _)| at)
            .collect();
        let [at] = found[..] else {
            let rule = if found.is_empty() { UNLISTED } else { ENTRY };
            self.wrong.insert((rule, path.to_owned()));
            self.explained.extend(found);
            return;
        };
        self.explained.insert(at);
        let entry = &self.entries[at];
        let values = [("common", common), ("kept", kept), ("replayed", replayed)];
        let are_held = values.into_iter().all(|(side, value)| holds(entry, side, value));
        let has = |side: usize, key: &str, wanted: Option<&Value>| {
            let addr = entry.get(key).and_then(Value::as_str).unwrap_or_default();
            let frame = self.sides[side].frames.iter().find(|(frame, _)| frame.as_str() == addr);
            frame.is_some_and(|(_, frame)| value(frame).as_ref() == wanted)
        };
        let names_winner = entry.get("winner").and_then(Value::as_str) == Some(name);
        let names_frames = has(0, "keptFrame", kept) && has(1, "replayedFrame", replayed);
        if !(are_held && names_winner && names_frames) {
            self.wrong.insert((ENTRY, path.to_owned()));
        }
    }

    fn ib(&mut self, result: &IbGib) {
        let ib = |frame: &IbGib| Some(Value::from(frame.ib.as_str()));
        let [kept, replayed] = self.sides.map(|side| ib(&side.tip().1));
        let (common, got) = (ib(self.common), ib(result));
        if kept != replayed && kept != common && replayed != common {
            let all = [common.as_ref(), kept.as_ref(), replayed.as_ref(), got.as_ref()];
            self.gave_way("^ib", &ib, all);
        } else if got != if kept == common { replayed } else { kept } {
            self.wrong.insert((ONE_SIDE, "^ib".to_owned()));
        }
    }

    fn relations(&mut self, world: &World, result: &IbGib) {
        for stone in &world.stones {
            let has = |frame: &IbGib| frame.rel8d("see").any(|addr| addr == stone.as_str());
            let [kept, replayed] = self.sides.map(|side| has(&side.tip().1));
            let stands = if kept == has(self.common) { replayed } else { kept };
            if has(result) != stands {
                self.wrong.insert((RELATION, stone.as_str().to_owned()));
            }
        }
    }

    /// Where one side renamed a key and did no more with it, and the other side has the old key
    /// alone, what the other side made of it stands at the new one.
    fn follows(&mut self, from: &Step, to: &Step, all: &Field<'_>) {
        let (old, new) = (all.at(from), all.at(to));
        let sides = [(old.kept, new.kept), (old.replayed, new.replayed)];
        for (at, renaming) in sides.into_iter().enumerate() {
            let other = sides[1 - at];
            let is_renamed = old.common.is_some()
                && new.common.is_none()
                && renaming == (None, old.common)
                && !self.sides[at].renames.is_empty();
            let is_alone = other.0.is_some() && other.1.is_none();
            if is_renamed && is_alone && (old.result, new.result) != (None, other.0) {
                self.wrong(RENAMED, std::slice::from_ref(to));
            }
        }
    }

    /// Whatever a side wrote under a key that was renamed is in the result, listed, or in an edit
    /// that was not replayed.
    fn somewhere(&mut self, key: &str, all: &Field<'_>) {
        let step = Step::Key(key.to_owned());
        let field = all.at(&step);
        let result = words(all.result);
        let listed: HashSet<String> = self
            .entries
            .iter()
            .flat_map(|entry| [entry.get("kept"), entry.get("replayed")])
            .flat_map(words)
            .chain(self.cut_words())
            .collect();
        for (side, value) in [field.kept, field.replayed].into_iter().enumerate() {
            for word in words(value) {
                let wrote = |frame: &IbGib| words(frame.data.as_ref()).contains(&word);
                let writer = self.sides[side].frames.iter().find(|(_, frame)| wrote(frame));
                let is_unreplayed = writer.is_some_and(|(addr, _)| self.unreplayed.contains(addr));
                if !result.contains(&word) && !listed.contains(&word) && !is_unreplayed {
                    self.wrong.insert((UNLISTED, format!("{key}: {word}")));
                }
            }
        }
    }

    /// The words of values that entries hold the beginning of: all of them stand in the frames that
    /// the entries name.
    fn cut_words(&self) -> HashSet<String> {
        let mut found = HashSet::new();
        for entry in &self.entries {
            let key = entry.get("path").and_then(Value::as_str).unwrap_or_default();
            let key = key.split(['.', '[']).next().unwrap_or_default();
            for (side, (name, addr)) in
                [("kept", "keptFrame"), ("replayed", "replayedFrame")].into_iter().enumerate()
            {
                let is_cut = entry.get("cut").is_some_and(|cut| cut.get(name).is_some());
                let addr = entry.get(addr).and_then(Value::as_str).unwrap_or_default();
                let mut frames = self.sides[side].frames.iter();
                if is_cut && let Some((_, frame)) = frames.find(|(at, _)| at.as_str() == addr) {
                    found.extend(words(frame.data.as_ref().and_then(|data| data.get(key))));
                }
            }
        }
        found
    }

    /// Entries that no conflict explains, but for those of renamed keys.
    fn spurious(&mut self) {
        let renamed: HashSet<&String> =
            self.sides.iter().flat_map(|side| &side.renames).flat_map(|(a, b)| [a, b]).collect();
        for (at, entry) in self.entries.iter().enumerate() {
            let path = entry.get("path").and_then(Value::as_str).unwrap_or_default();
            let key = path.split(['.', '[']).next().unwrap_or_default();
            if !self.explained.contains(&at) && !renamed.contains(&key.to_owned()) {
                self.wrong.insert((NOTHING, path.to_owned()));
            }
        }
    }
}

/// The keys of all that are objects, each once.
fn keys(values: &[Option<&Value>]) -> Vec<String> {
    let maps = values.iter().filter_map(|value| value.and_then(Value::as_object));
    let keys: BTreeMap<&String, ()> = maps.flat_map(Map::keys).map(|key| (key, ())).collect();
    keys.into_keys().cloned().collect()
}

/// Whether two strings of one field are merged as texts.
fn is_text(path: &Path, common: Option<&Value>, kept: &str, replayed: &str) -> bool {
    *path == [Step::Key("text".to_owned())]
        || common.and_then(Value::as_str).is_some_and(|text| text.contains('\n'))
        || (kept.contains('\n') && replayed.contains('\n'))
}

/// The words that stand nowhere but where a side wrote them.
fn words(value: Option<&Value>) -> HashSet<String> {
    let json = value.map(Value::to_string).unwrap_or_default().replace("\\n", " ");
    let words = json.split(|c: char| !c.is_alphanumeric()).filter(|word| is_unique(word));
    words.map(str::to_owned).collect()
}

fn is_unique(word: &str) -> bool {
    let digits = word.trim_start_matches('w');
    digits.len() >= 4 && digits.chars().all(|c| c.is_ascii_digit())
}
