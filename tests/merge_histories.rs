//! Merges of random edit histories: what holds whatever both sides did.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use sync_gib::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform, transform_of_dna};
use sync_gib::ibgib::{Addr, IbGib, Moment, System};
use sync_gib::sync::merge::{GRAFT_BASE, GRAFT_ORPHAN, Merge, merge};

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "0"];

/// One edit of a history. Values and words are made unique by a count.
#[derive(Debug, Clone)]
enum Edit {
    Set(usize),
    SetTwo(usize, usize),
    Nested(usize),
    Rename(usize, usize),
    Remove(usize),
    /// Relates to a stone, or no more.
    Toggle(usize),
    Prepend,
    Append,
    Paragraph,
    Replace(usize),
    Ib(usize),
    /// A change without dna, as another program might make it.
    ByHand(usize, bool),
}

fn edit() -> impl Strategy<Value = Edit> {
    let key = 0..KEYS.len();
    prop_oneof![
        3 => key.clone().prop_map(Edit::Set),
        2 => (key.clone(), key.clone()).prop_map(|(a, b)| Edit::SetTwo(a, b)),
        2 => (0..4usize).prop_map(Edit::Nested),
        1 => (key.clone(), key.clone()).prop_map(|(from, to)| Edit::Rename(from, to)),
        2 => key.clone().prop_map(Edit::Remove),
        4 => (0..4usize).prop_map(Edit::Toggle),
        1 => Just(Edit::Prepend),
        1 => Just(Edit::Append),
        1 => Just(Edit::Paragraph),
        2 => (0..6usize).prop_map(Edit::Replace),
        1 => (0..3usize).prop_map(Edit::Ib),
        2 => (key, any::<bool>()).prop_map(|(key, text)| Edit::ByHand(key, text)),
    ]
}

fn history(most: usize) -> impl Strategy<Value = Vec<(Edit, bool)>> {
    prop::collection::vec((edit(), any::<bool>()), 1..most)
}

#[derive(Default)]
struct World {
    frames: HashMap<Addr, IbGib>,
    stones: Vec<Addr>,
    count: u64,
    /// Keys that some rename touched: their values come from other keys.
    renamed: HashSet<&'static str>,
}

impl World {
    fn new() -> (World, Addr) {
        let mut world = World::default();
        for ib in ["p", "q", "r", "s"] {
            let stone = IbGib::new(ib.into(), Some(json!({"of": ib})), None).unwrap();
            let addr = world.put(vec![stone]);
            world.stones.push(addr);
        }
        let data = json!({"a": 0, "b": 0, "o": {"x": 0, "y": 0}, "text": "one two\n\nthree four"});
        let opts = FirstGen {
            ib: "doc",
            parent: &IbGib::primitive("ib"),
            data: data.as_object().cloned(),
            rel8ns: Some(serde_json::Map::from_iter([(
                "see".to_owned(),
                json!([world.stones[0].as_str(), world.stones[1].as_str()]),
            )])),
            each: Opts::next_frame().build(),
            tjp: Some(json!({"timestamp": true})),
        };
        let now = world.tick();
        let base = world.put(first_gen(&opts, &System::at(now)).unwrap().into_all());
        (world, base)
    }

    fn tick(&mut self) -> Moment {
        self.count += 1;
        Moment::from_ms(1_781_262_000_000 + self.count * 617).unwrap()
    }

    fn put(&mut self, all: Vec<IbGib>) -> Addr {
        let mut last = None;
        for made in all {
            let addr = made.validate().unwrap();
            last = Some(addr.clone());
            self.frames.insert(addr, made);
        }
        last.unwrap()
    }

    fn text(&self, tip: &Addr) -> String {
        self.frames[tip].datum("text").and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn apply(&mut self, tip: &Addr, history: &[(Edit, bool)]) -> Addr {
        history.iter().fold(tip.clone(), |tip, (edit, linked)| self.edit(&tip, edit, *linked))
    }

    fn edit(&mut self, tip: &Addr, edit: &Edit, linked: bool) -> Addr {
        let now = self.tick();
        let unique = self.count;
        let (kind, option, value) = match edit {
            Edit::ByHand(key, with_text) => return self.by_hand(tip, KEYS[*key], *with_text, now),
            Edit::Set(key) => (Kind::Mut8, "dataToAddOrPatch", json!({KEYS[*key]: unique})),
            Edit::SetTwo(one, two) => {
                let value = json!({KEYS[*one]: unique, KEYS[*two]: format!("v{unique}")});
                (Kind::Mut8, "dataToAddOrPatch", value)
            }
            Edit::Nested(key) => {
                let key = ["x", "y", "z", "0"][*key];
                (Kind::Mut8, "dataToAddOrPatch", json!({"o": {key: unique}}))
            }
            Edit::Rename(from, to) => {
                self.renamed.extend([KEYS[*from], KEYS[*to]]);
                (Kind::Mut8, "dataToRename", json!({KEYS[*from]: KEYS[*to]}))
            }
            Edit::Remove(key) => (Kind::Mut8, "dataToRemove", json!({KEYS[*key]: ""})),
            Edit::Toggle(i) => {
                let stone = self.stones[*i].as_str();
                let there = self.frames[tip].rel8d("see").any(|rel8d| rel8d == stone);
                let option = if there { "rel8nsToRemoveByAddr" } else { "rel8nsToAddByAddr" };
                (Kind::Rel8, option, json!({"see": [self.stones[*i].as_str()]}))
            }
            Edit::Prepend | Edit::Append | Edit::Paragraph | Edit::Replace(_) => {
                let text = written(&self.text(tip), edit, unique);
                (Kind::Mut8, "dataToAddOrPatch", json!({"text": text}))
            }
            Edit::Ib(ib) => (Kind::Mut8, "mut8Ib", json!(["doc", "doc two", "doc three"][*ib])),
        };
        let opts = if linked { Opts::next_frame() } else { Opts::new().set("dna", true) };
        // Through text and back, so that keys stand in JavaScript's order.
        let opts =
            opts.set(option, sync_gib::ibgib::json::parse(&value.to_string()).unwrap()).build();
        self.put(transform(kind, &self.frames[tip], &opts, &System::at(now)).unwrap().into_all())
    }

    fn by_hand(&mut self, tip: &Addr, key: &str, with_text: bool, now: Moment) -> Addr {
        let unique = self.count;
        let mut frame = self.frames[tip].clone();
        let data = frame.data.as_mut().unwrap().as_object_mut().unwrap();
        data.insert(key.to_owned(), json!(format!("h{unique}")));
        if with_text {
            let text = data["text"].as_str().unwrap();
            let text = written(text, &Edit::Paragraph, unique);
            data.insert("text".to_owned(), text.into());
        }
        let n = data["n"].as_u64().unwrap();
        data.insert("n".into(), (n + 1).into());
        now.stamp(data);
        frame.rel8ns.as_mut().unwrap().insert("past".into(), json!([tip.as_str()]));
        let made = IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap();
        self.put(vec![IbGib::from_json(&made.to_json()).unwrap()])
    }

    /// The frames by `past` from above `base` up to `tip`.
    fn line(&self, base: &Addr, tip: &Addr) -> Vec<&IbGib> {
        let mut line = Vec::new();
        let mut at = tip.clone();
        while at != *base {
            let frame = &self.frames[&at];
            line.push(frame);
            at = Addr::parse(frame.prev().unwrap()).unwrap();
        }
        line.reverse();
        line
    }

    /// When and in which frame a branch last changed the value of a key.
    fn last_edit(&self, base: &Addr, tip: &Addr, key: &str) -> Option<(Moment, Addr)> {
        let mut prev = &self.frames[base];
        let mut last = None;
        for frame in self.line(base, tip) {
            if frame.datum(key) != prev.datum(key) {
                let data = frame.data.as_ref().unwrap().as_object().unwrap();
                last = Some((Moment::of_data(data).unwrap(), frame.addr().unwrap()));
            }
            prev = frame;
        }
        last
    }

    /// The tip whose value of a key stands: that of the side that alone changed it, or of the one
    /// that changed it later.
    fn winner<'a>(&self, base: &Addr, kept: &'a Addr, replayed: &'a Addr, key: &str) -> &'a Addr {
        let at = |addr: &Addr| self.frames[addr].datum(key).cloned();
        match (at(kept) == at(base), at(replayed) == at(base)) {
            (true, _) => replayed,
            (false, true) => kept,
            _ if self.last_edit(base, replayed, key) > self.last_edit(base, kept, key) => replayed,
            _ => kept,
        }
    }

    /// Merges, checks what holds of every merge, and takes the result in.
    fn merge(&mut self, base: &Addr, kept: &Addr, replayed: &Addr) -> Merge {
        let merged = merge(&self.frames, base, kept, replayed).unwrap();
        let again = merge(&self.frames, base, kept, replayed).unwrap();
        let bytes = |merge: &Merge| merge.new.iter().map(IbGib::to_json).collect::<Vec<_>>();
        assert_eq!(bytes(&merged), bytes(&again));
        for made in &merged.new {
            let addr = made.validate().unwrap();
            for rel8d in made.rel8ds().map(|rel8d| Addr::parse(rel8d).unwrap()) {
                assert!(rel8d.is_primitive() || self.frames.contains_key(&rel8d));
            }
            let read = IbGib::from_json(&made.to_json()).unwrap();
            assert_eq!(read.to_json(), made.to_json(), "its own text is its normal form");
            self.frames.insert(addr, made.clone());
        }
        self.check_line(&merged, kept, replayed);
        let new = self.text(&merged.tip);
        for (tip, other) in [(kept, replayed), (replayed, kept)] {
            // What the other side once had and has no more it deleted.
            let had: Vec<String> = self.reach(other).iter().map(|addr| self.text(addr)).collect();
            for word in self.text(tip).split_whitespace() {
                let is_in = |text: &String| text.split_whitespace().any(|other| other == word);
                assert!(had.iter().any(is_in) || is_in(&new), "{word} not in {new:?}");
            }
        }
        merged
    }

    /// Merges two branches that stand on one frame, and checks where their words stand too. Where
    /// one branch went on from below an earlier merge, that merge's frames are replayed one by one
    /// beside the edits that it held, and what stood at one place may change its order.
    fn merge_in_order(&mut self, base: &Addr, kept: &Addr, replayed: &Addr) -> Merge {
        let merged = self.merge(base, kept, replayed);
        for tip in [kept, replayed] {
            check_order(&self.text(tip), &self.text(&merged.tip));
        }
        merged
    }

    /// The new frames stand on each other and on `kept`, and their dna replays.
    fn check_line(&self, merged: &Merge, kept: &Addr, replayed: &Addr) {
        let line = self.line(kept, &merged.tip);
        let (graft, edits) = line.split_last().unwrap();
        let mut prev = &self.frames[kept];
        for frame in edits {
            assert_eq!(frame.n(), prev.n().map(|n| n + 1));
            let dna = Addr::parse(frame.rel8d("dna").next_back().unwrap()).unwrap();
            let (kind, opts) = transform_of_dna(&self.frames[&dna]).unwrap();
            let now = Moment::of_data(frame.data.as_ref().unwrap().as_object().unwrap()).unwrap();
            let made = transform(kind, prev, opts, &System::at(now)).unwrap().new_ibgib;
            assert_eq!(made.addr().unwrap(), frame.addr().unwrap());
            prev = frame;
        }
        assert!(graft.n() > prev.n() && graft.n() > self.frames[replayed].n());
        assert_eq!(graft.rel8d(GRAFT_BASE).collect::<Vec<_>>(), [kept.as_str()]);
        assert_eq!(graft.rel8d(GRAFT_ORPHAN).collect::<Vec<_>>(), [replayed.as_str()]);
        let reported: HashSet<&Addr> = (merged.replayed.iter().map(|edit| &edit.frame))
            .chain(merged.unreplayed.iter().map(|edit| &edit.frame))
            .collect();
        let made: usize = merged.replayed.iter().map(|edit| edit.made.len()).sum();
        assert_eq!(made, edits.len());
        assert!(reported.iter().all(|frame| self.frames.contains_key(*frame)));
    }

    fn reach(&self, tip: &Addr) -> HashSet<Addr> {
        let mut seen = HashSet::new();
        let mut open = vec![tip.clone()];
        while let Some(addr) = open.pop() {
            if seen.insert(addr.clone()) {
                let frame = &self.frames[&addr];
                let below = frame.prev().into_iter().chain(frame.rel8d(GRAFT_ORPHAN));
                open.extend(below.map(|addr| Addr::parse(addr).unwrap()));
            }
        }
        seen
    }
}

/// What of a side's words is in the result stands there in that side's order, and in paragraphs
/// where that side has paragraphs. Only words that one edit wrote, and no other, can be followed.
fn check_order(side: &str, merged: &str) {
    let once = |text: &str, word: &str| text.split_whitespace().filter(|w| *w == word).count() == 1;
    let is_of_one = |word: &&str| {
        let count = word.strip_prefix('w').unwrap_or_default();
        let is_new = !count.is_empty() && count.chars().all(|c| c.is_ascii_digit());
        is_new || ["one", "two", "three", "four"].contains(word)
    };
    let words = side.split_whitespace().filter(is_of_one);
    let words = words.filter(|word| once(side, word) && once(merged, word));
    let place = |text: &str, word: &str| {
        let before = |at: &usize| text[..*at].chars().next_back().is_none_or(char::is_whitespace);
        let after =
            |at: &usize| text[at + word.len()..].chars().next().is_none_or(char::is_whitespace);
        let mut found = text.match_indices(word).map(|(at, _)| at);
        found.find(|at| before(at) && after(at)).unwrap()
    };
    for (one, two) in words.clone().zip(words.skip(1)) {
        let between = |text: &str| {
            let (first, second) = (place(text, one), place(text, two));
            assert!(first < second, "{one:?} stands after {two:?} in {merged:?}, not in {side:?}");
            text[first..second].contains("\n\n")
        };
        let (in_side, in_merged) = (between(side), between(merged));
        assert_eq!(
            in_merged, in_side,
            "a break between {one:?} and {two:?}: {merged:?} of {side:?}"
        );
    }
}

fn written(text: &str, edit: &Edit, unique: u64) -> String {
    match edit {
        Edit::Prepend => format!("w{unique} {text}"),
        Edit::Append => format!("{text} w{unique}"),
        Edit::Paragraph => format!("{text}\n\nw{unique} in a paragraph"),
        Edit::Replace(nth) => {
            let word = text.split_whitespace().nth(*nth).unwrap_or("one");
            text.replacen(word, &format!("w{unique}"), 1)
        }
        _ => text.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_one_side_edited_survives_and_the_newer_edit_wins(
        before in history(4), ours in history(8), theirs in history(8), replayed_first in any::<bool>(),
    ) {
        let (mut world, start) = World::new();
        let base = world.apply(&start, &before);
        // The clock runs on, so the side that edits second has the newer edits.
        let (kept, replayed) = if replayed_first {
            let replayed = world.apply(&base, &theirs);
            (world.apply(&base, &ours), replayed)
        } else {
            let kept = world.apply(&base, &ours);
            (kept, world.apply(&base, &theirs))
        };
        let merged = world.merge_in_order(&base, &kept, &replayed);
        prop_assert_eq!(&merged.common, &base);

        for key in KEYS.iter().filter(|key| !world.renamed.contains(**key)) {
            let expected = world.frames[world.winner(&base, &kept, &replayed, key)].datum(key);
            prop_assert_eq!(world.frames[&merged.tip].datum(key), expected, "key {}", key);
        }
        for stone in &world.stones {
            let has = |tip: &Addr| world.frames[tip].rel8d("see").any(|a| a == stone.as_str());
            let tip = if has(&kept) == has(&base) { &replayed } else { &kept };
            prop_assert_eq!(has(&merged.tip), has(tip), "stone {}", stone);
        }
        let reported = merged.replayed.iter().map(|edit| &edit.frame)
            .chain(merged.unreplayed.iter().map(|edit| &edit.frame)).collect::<HashSet<_>>();
        for frame in world.line(&base, &replayed) {
            prop_assert!(reported.contains(&frame.addr().unwrap()), "an edit was dropped");
        }
        let from_start = merge(&world.frames, &start, &kept, &replayed).unwrap();
        prop_assert_eq!(from_start, merged, "the tips alone decide, not which common frame is named");
    }

    #[test]
    fn merges_of_merges_hold_everything(
        ours in history(4), theirs in history(4), ours_later in history(4), theirs_later in history(4),
        again in history(3),
    ) {
        let (mut world, base) = World::new();
        let kept = world.apply(&base, &ours);
        let replayed = world.apply(&base, &theirs);
        let first = world.merge_in_order(&base, &kept, &replayed);

        // Both go on from the merge, and the roles change.
        let one = world.apply(&first.tip, &ours_later);
        let two = world.apply(&first.tip, &theirs_later);
        let second = world.merge_in_order(&first.tip, &two, &one);
        let reached = world.reach(&second.tip);
        for tip in [&kept, &replayed, &first.tip, &one, &two] {
            prop_assert!(reached.contains(tip), "{} is lost", tip);
        }

        // One side went on from its own tip before it heard of the merge.
        let late = world.apply(&replayed, &again);
        for (stays, moves) in [(&second.tip, &late), (&late, &second.tip)] {
            let third = world.merge(&base, stays, moves);
            let reached = world.reach(&third.tip);
            for tip in [&kept, &replayed, &first.tip, &one, &two, &second.tip, &late] {
                prop_assert!(reached.contains(tip), "{} is lost", tip);
            }
            let edits = third.replayed.iter().map(|edit| &edit.frame);
            let known: HashSet<Addr> = world.reach(stays);
            prop_assert!(edits.into_iter().all(|frame| !known.contains(frame)));
        }
    }
}
