//! What a merge does, on a space in memory.

mod edges;
mod fields;
mod lists;
mod renames;
mod text;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::*;
use crate::ibgib::transform::{FirstGen, Kind, Opts, first_gen, transform, transform_of_dna};
use crate::ibgib::{Moment, System};

/// A space in memory with a clock that ticks at every edit.
#[derive(Default)]
struct Bench {
    frames: HashMap<Addr, IbGib>,
    now: u64,
}

impl Bench {
    fn put(&mut self, all: Vec<IbGib>) -> Addr {
        let mut last = None;
        for made in all {
            let addr = made.validate().unwrap();
            last = Some(addr.clone());
            self.frames.insert(addr, made);
        }
        last.unwrap()
    }

    fn tick(&mut self) -> Moment {
        self.now += 1_001;
        Moment::from_ms(1_781_262_000_000 + self.now).unwrap()
    }

    fn start(&mut self, data: Value) -> Addr {
        let now = self.tick();
        let opts = FirstGen {
            ib: "doc",
            parent: &IbGib::primitive("ib"),
            data: data.as_object().cloned(),
            rel8ns: None,
            each: Opts::next_frame().build(),
            tjp: Some(json!({"timestamp": true})),
        };
        let made = first_gen(&opts, &System::at(now)).unwrap().into_all();
        self.put(made)
    }

    fn edit(&mut self, tip: &Addr, kind: Kind, opts: Map<String, Value>) -> Addr {
        let now = self.tick();
        let made = transform(kind, &self.frames[tip], &opts, &System::at(now)).unwrap().into_all();
        self.put(made)
    }

    fn mut8(&mut self, tip: &Addr, option: &str, value: Value) -> Addr {
        self.edit(tip, Kind::Mut8, Opts::next_frame().set(option, value).build())
    }

    fn add(&mut self, tip: &Addr, value: Value) -> Addr {
        self.mut8(tip, "dataToAddOrPatch", value)
    }

    fn rel8(&mut self, tip: &Addr, option: &str, value: Value) -> Addr {
        self.edit(tip, Kind::Rel8, Opts::next_frame().set(option, value).build())
    }

    /// A next frame as another program might make it: any change of any part, and no dna.
    fn by_hand(&mut self, tip: &Addr, change: impl FnOnce(&mut IbGib)) -> Addr {
        let now = self.tick();
        let mut frame = self.frames[tip].clone();
        let is_tjp = frame.is_tjp();
        change(&mut frame);
        let data = frame.data.as_mut().unwrap().as_object_mut().unwrap();
        let n = data["n"].as_u64().unwrap() + 1;
        data.insert("n".into(), n.into());
        data.remove("isTjp");
        now.stamp(data);
        let rel8ns = frame.rel8ns.get_or_insert_default();
        rel8ns.insert("past".into(), json!([tip.as_str()]));
        if is_tjp {
            rel8ns.insert("tjp".into(), json!([tip.as_str()]));
        }
        let made = IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap();
        self.put(vec![made])
    }

    fn merge(&mut self, base: &Addr, kept: &Addr, replayed: &Addr) -> Merge {
        let merged = merge(&self.frames, base, kept, replayed).unwrap();
        self.check(&merged, kept, replayed);
        self.put(merged.new.clone());
        merged
    }

    /// What holds of every merge.
    fn check(&self, merged: &Merge, kept: &Addr, replayed: &Addr) {
        let mut known: HashMap<Addr, &IbGib> =
            self.frames.iter().map(|(addr, frame)| (addr.clone(), frame)).collect();
        for made in &merged.new {
            for rel8d in made.rel8ds().map(|rel8d| Addr::parse(rel8d).unwrap()) {
                assert!(rel8d.is_primitive() || known.contains_key(&rel8d), "{rel8d} comes later");
            }
            known.insert(made.validate().unwrap(), made);
        }
        let frames: Vec<&IbGib> = merged.new.iter().filter(|made| !made.is_stone()).collect();
        let (graft, edits) = frames.split_last().unwrap();
        let mut prev = &self.frames[kept];
        for frame in edits {
            assert_eq!(frame.prev(), Some(prev.addr().unwrap().as_str()));
            assert_eq!(frame.n(), prev.n().map(|n| n + 1));
            let dna = known[&Addr::parse(newest(frame, "dna").unwrap()).unwrap()];
            let (kind, opts) = transform_of_dna(dna).unwrap();
            let moment = Moment::of_data(frame.data.as_ref().unwrap().as_object().unwrap());
            assert_eq!(
                &transform(kind, prev, opts, &System::at(moment.unwrap())).unwrap().new_ibgib,
                *frame
            );
            prev = frame;
        }
        assert_eq!(graft.addr().unwrap(), merged.tip);
        assert_eq!(graft.tjp_addr(), self.frames[kept].tjp_addr());
        assert!(graft.n() > prev.n() && graft.n() > self.frames[replayed].n());
        assert_eq!(graft.datum("timestamp"), self.frames[replayed].datum("timestamp"));
        assert_eq!(graft.rel8d(GRAFT_BASE).collect::<Vec<_>>(), [kept.as_str()]);
        assert_eq!(graft.rel8d(GRAFT_ORPHAN).collect::<Vec<_>>(), [replayed.as_str()]);
        assert_eq!(graft.rel8d(GRAFT_INFO).collect::<Vec<_>>(), [merged.graft_info.as_str()]);
        assert!(known[&merged.graft_info].is_stone());
    }

    fn datum(&self, addr: &Addr, key: &str) -> Option<Value> {
        self.frames[addr].datum(key).cloned()
    }

    /// Everything of the timeline that a tip stands on.
    fn reach(&self, tip: &Addr) -> HashSet<Addr> {
        let mut seen = HashSet::new();
        let mut open = vec![tip.clone()];
        while let Some(addr) = open.pop() {
            let frame = &self.frames[&addr];
            let below = frame.prev().into_iter().chain(frame.rel8d(GRAFT_ORPHAN));
            open.extend(below.map(|addr| Addr::parse(addr).unwrap()));
            seen.insert(addr);
        }
        seen
    }
}

fn stone(ib: &str) -> IbGib {
    IbGib::new(ib.into(), Some(json!({"x": 1})), None).unwrap()
}

#[test]
fn edits_of_different_fields_survive() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1, "b": 1}));
    let kept = bench.add(&base, json!({"a": 2}));
    let replayed = bench.add(&base, json!({"b": 3, "c": {"d": null}}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(bench.datum(&merged.tip, "a"), Some(json!(2)));
    assert_eq!(bench.datum(&merged.tip, "b"), Some(json!(3)));
    assert_eq!(bench.datum(&merged.tip, "c"), Some(json!({"d": null})));
    assert_eq!(merged.replayed.len(), 1);
    assert!(merged.unreplayed.is_empty());
    let replay = &bench.frames[&merged.replayed[0].made[0]];
    for key in ["timestamp", "timestampMs"] {
        assert_eq!(replay.datum(key), bench.frames[&replayed].datum(key));
    }
    // The edit was replayed as it was, so it has the dna that it had.
    assert_eq!(newest(replay, "dna"), newest(&bench.frames[&replayed], "dna"));
}

#[test]
fn the_graft_info_records_the_merge() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.mut8(&base, "dataToRemove", json!({"a": "gone"}));
    let first = bench.add(&base, json!({"b": 1}));
    let replayed = bench.by_hand(&first, |frame| {
        frame.data.as_mut().unwrap()["a"] = json!(2);
        frame.rel8ns.as_mut().unwrap().insert("ancestor".into(), json!(["other^gib"]));
    });
    let merged = bench.merge(&base, &kept, &replayed);
    let info = &bench.frames[&merged.graft_info];
    let data = info.data.as_ref().unwrap();
    assert_eq!(info.ib, GRAFT_INFO_IB);
    assert_eq!(data["graftBase"], kept.as_str());
    assert_eq!(data["graftOrphan"], replayed.as_str());
    assert_eq!(data["commonFrame"], base.as_str());
    assert_eq!(data["tjp"], bench.frames[&base].tjp_addr().unwrap());
    assert_eq!(data["replayed"][0]["frame"], first.as_str());
    assert_eq!(data["replayed"][0]["as"], json!([merged.replayed[0].made[0].as_str()]));
    let dna = newest(&bench.frames[&first], "dna").unwrap();
    assert_eq!(data["replayed"][0]["dna"], dna);
    assert_eq!(data["unreplayed"][0]["frame"], replayed.as_str());
    let reason = data["unreplayed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("ancestor"), "{reason}");
    assert_eq!(data["rules"], RULES);
    let lost = json!({
        "path": "a", "common": 1, "replayed": 2, "winner": "replayed",
        "keptFrame": kept.as_str(), "replayedFrame": replayed.as_str(),
    });
    assert_eq!(data["overwritten"], json!([lost]));
    assert_eq!(
        overwritten_of(&bench.frames, &bench.frames[&merged.tip]).unwrap(),
        merged.overwritten
    );
    for (name, addr) in [("base", &kept), ("orphan", &replayed), ("common", &base)] {
        assert_eq!(newest(info, name), Some(addr.as_str()));
    }
}

#[test]
fn the_newer_edit_wins_on_either_side() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1, "o": {"x": 1, "y": 1}}));
    let kept = bench.add(&base, json!({"a": 2, "o": {"x": 2}}));
    let replayed = bench.add(&base, json!({"a": 3, "o": {"y": 3}}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(bench.datum(&merged.tip, "a"), Some(json!(3)));
    assert_eq!(bench.datum(&merged.tip, "o"), Some(json!({"x": 2, "y": 3})));
    assert_eq!(merged.overwritten[0].lost(), &Side::Whole(json!(2)));
    let merged = bench.merge(&base, &replayed, &kept);
    assert_eq!(bench.datum(&merged.tip, "a"), Some(json!(3)));
    assert_eq!(bench.datum(&merged.tip, "o"), Some(json!({"x": 2, "y": 3})));
    assert_eq!(merged.overwritten[0].lost(), &Side::Whole(json!(2)));
}

#[test]
fn texts_merge_frame_by_frame() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"text": "one\n\ntwo"}));
    let kept = bench.add(&base, json!({"text": "start\n\none\n\ntwo"}));
    let first = bench.add(&base, json!({"text": "one\n\ntwo\n\nthree"}));
    let replayed = bench.add(&first, json!({"text": "one\n\n2\n\nthree", "a": 1}));
    let merged = bench.merge(&base, &kept, &replayed);
    let texts: Vec<Value> = (merged.replayed.iter().flat_map(|edit| &edit.made))
        .map(|addr| bench.datum(addr, "text").unwrap())
        .collect();
    assert_eq!(texts, ["start\n\none\n\ntwo\n\nthree", "start\n\none\n\n2\n\nthree"]);
    assert_eq!(bench.datum(&merged.tip, "a"), Some(json!(1)));
}

#[test]
fn a_text_that_one_side_removed_is_the_newer_edits_to_say() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"text": "one"}));
    let gone = bench.mut8(&base, "dataToRemove", json!({"text": ""}));
    let edited = bench.add(&base, json!({"text": "one two"}));
    let merged = bench.merge(&base, &gone, &edited);
    assert_eq!(bench.datum(&merged.tip, "text"), Some(json!("one two")));
    let merged = bench.merge(&base, &edited, &gone);
    assert_eq!(bench.datum(&merged.tip, "text"), Some(json!("one two")), "the newer edit");
    assert_eq!(merged.overwritten[0].lost(), &Side::Absent);
}

#[test]
fn a_key_renamed_to_text_merges_as_text() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"body": "mine"}));
    let kept = bench.add(&base, json!({"text": "theirs"}));
    let replayed = bench.mut8(&base, "dataToRename", json!({"body": "text"}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(bench.datum(&merged.tip, "text"), Some(json!("theirs\nmine")));
    assert_eq!(bench.datum(&merged.tip, "body"), None);
}

#[test]
fn a_merge_of_a_merge_replays_no_edit_twice() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"text": "x", "a": 0}));
    let k1 = bench.add(&base, json!({"text": "k1 x", "k": 1}));
    let r1 = bench.add(&base, json!({"text": "x r1", "a": 1}));
    let m1 = bench.merge(&base, &k1, &r1);
    // The device of r1 went on before it heard of the merge.
    let r2 = bench.add(&r1, json!({"text": "x r1 r2", "a": 2}));
    let m2 = bench.merge(&base, &m1.tip, &r2);
    assert_eq!(m2.common, r1);
    assert_eq!(bench.datum(&m2.tip, "text"), Some(json!("k1 x r1 r2")));
    assert_eq!(bench.datum(&m2.tip, "a"), Some(json!(2)));
    // The other way round: the merge is replayed on r2.
    let m3 = bench.merge(&base, &r2, &m1.tip);
    assert_eq!(m3.common, base);
    assert_eq!(m3.replayed.iter().map(|edit| &edit.frame).collect::<Vec<_>>(), [&k1]);
    assert_eq!(bench.datum(&m3.tip, "text"), Some(json!("k1 x r1 r2")));
    assert_eq!(bench.datum(&m3.tip, "a"), Some(json!(2)));
    assert_eq!(bench.datum(&m3.tip, "k"), Some(json!(1)));
    // Two merges of the same tips in different roles hold the same edits already.
    let swapped = bench.merge(&base, &r1, &k1);
    let m4 = bench.merge(&base, &m1.tip, &swapped.tip);
    assert!(m4.replayed.is_empty() && m4.unreplayed.is_empty());
    let reached = bench.reach(&m4.tip);
    assert!([&k1, &r1, &m1.tip, &swapped.tip].iter().all(|tip| reached.contains(*tip)));
}
