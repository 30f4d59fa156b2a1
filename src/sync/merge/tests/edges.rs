//! What a merge does with what it cannot replay, or does not expect.

use serde_json::{Value, json};

use super::{Bench, stone};
use crate::ibgib::transform::{Kind, Opts, transform};
use crate::ibgib::{Addr, IbGib, System};
use crate::sync::merge::*;

#[test]
fn frames_without_dna_survive() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1, "b": {"c": 1, "d": 2}, "e": {"f": 1}, "text": "x"}));
    let other = bench.put(vec![stone("other")]);
    let kept = bench.add(&base, json!({"a": 2, "text": "w x"}));
    let replayed = bench.by_hand(&base, |frame| {
        frame.ib = "doc two".into();
        frame.data.as_mut().unwrap()["b"] = json!({"c": 5});
        frame.data.as_mut().unwrap()["e"] = Value::Null;
        frame.data.as_mut().unwrap()["text"] = json!("x y");
        frame.rel8ns.as_mut().unwrap().insert("see".into(), json!([other.as_str()]));
    });
    let merged = bench.merge(&base, &kept, &replayed);
    let tip = &bench.frames[&merged.tip];
    assert_eq!(tip.ib, "doc two");
    assert_eq!(tip.datum("a"), Some(&json!(2)));
    assert_eq!(tip.datum("b"), Some(&json!({"c": 5})));
    assert_eq!(tip.datum("e"), Some(&Value::Null));
    assert_eq!(tip.datum("text"), Some(&json!("w x y")));
    assert_eq!(newest(tip, "see"), Some(other.as_str()));
    assert_eq!(merged.replayed[0].made.len(), 2);
    assert_eq!(merged.replayed[0].dna, None);
}

#[test]
fn a_frame_that_changed_nothing_is_recorded_and_makes_no_frame() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.add(&base, json!({"a": 2}));
    let replayed = bench.by_hand(&base, |_| {});
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(merged.replayed, [Replayed { frame: replayed, dna: None, made: vec![] }]);
}

#[test]
fn what_is_gone_already_is_no_loss_and_the_rest_is_replayed() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1, "b": {"c": 1}, "d": 1}));
    let kept = bench.mut8(&base, "dataToRemove", json!({"a": "", "b": ""}));
    let opts = Opts::next_frame()
        .set("dataToRename", json!({"d": "dd"}))
        .set("dataToRemove", json!({"a": "", "never": ""}))
        .set("dataToAddOrPatch", json!({"e": 1}));
    let replayed = bench.edit(&base, Kind::Mut8, opts.build());
    let merged = bench.merge(&base, &kept, &replayed);
    assert!(merged.unreplayed.is_empty() && merged.overwritten.is_empty());
    assert_eq!(merged.replayed.len(), 1);
    let own = super::fields::own(&bench, &merged.tip);
    assert_eq!(own, json!({"dd": 1, "e": 1}));
}

#[test]
fn null_takes_the_place_of_an_object_where_it_is_newer() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.add(&base, json!({"a": {"b": 1}}));
    let replayed = bench.add(&base, json!({"a": null, "c": 1}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(bench.datum(&merged.tip, "a"), Some(Value::Null));
    assert_eq!(bench.datum(&merged.tip, "c"), Some(json!(1)));
    assert_eq!(merged.overwritten[0].lost(), &Side::Whole(json!({"b": 1})));
    let merged = bench.merge(&base, &replayed, &kept);
    assert_eq!(bench.datum(&merged.tip, "a"), Some(Value::Null));
}

#[test]
fn where_nothing_can_be_replayed_the_graft_frame_is_made_and_is_the_tip() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.mut8(&base, "dataToRemove", json!({"a": ""}));
    let mut replayed = base.clone();
    for ancestor in ["one^gib", "two^gib", "three^gib"] {
        replayed = bench.by_hand(&replayed, |frame| {
            frame.rel8ns.as_mut().unwrap().insert("ancestor".into(), json!([ancestor]));
        });
    }
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(merged.unreplayed.len(), 3);
    assert!(merged.replayed.is_empty());
    let n = bench.frames[&replayed].n().unwrap();
    assert_eq!(bench.frames[&merged.tip].n(), Some(n + 1));
}

#[test]
fn relations_are_sets_that_both_sides_change() {
    let mut bench = Bench::default();
    let all: Vec<Addr> = ["p", "q", "r"].iter().map(|ib| bench.put(vec![stone(ib)])).collect();
    let start = bench.start(json!({}));
    let list =
        |at: &[usize]| json!({"see": at.iter().map(|i| all[*i].as_str()).collect::<Vec<_>>()});
    let base = bench.rel8(&start, "rel8nsToAddByAddr", list(&[0, 1]));
    let kept = bench.rel8(&base, "rel8nsToRemoveByAddr", list(&[0]));
    let opts = Opts::next_frame()
        .set("rel8nsToAddByAddr", list(&[2]))
        .set("rel8nsToRemoveByAddr", list(&[0, 1]));
    let replayed = bench.edit(&base, Kind::Rel8, opts.build());
    let merged = bench.merge(&base, &kept, &replayed);
    let see: Vec<&str> = bench.frames[&merged.tip].rel8d("see").collect();
    assert_eq!(see, [all[2].as_str()]);
    assert!(merged.unreplayed.is_empty());
}

#[test]
fn the_caller_is_told_of_its_mistakes() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let one = bench.add(&base, json!({"a": 2}));
    let two = bench.add(&one, json!({"a": 3}));
    let aside = bench.add(&base, json!({"a": 4}));
    let ask = |base: &Addr, kept: &Addr, replayed: &Addr| {
        merge(&bench.frames, base, kept, replayed).unwrap_err()
    };
    let undiverged = |error| matches!(error, MergeError::NotDiverged { .. });
    assert!(undiverged(ask(&base, &one, &one)));
    assert!(undiverged(ask(&base, &one, &two)));
    assert!(undiverged(ask(&base, &two, &one)));
    assert!(undiverged(ask(&base, &base, &one)));
    let error = ask(&one, &two, &aside);
    assert!(
        matches!(&error, MergeError::NotReached { base, tip } if *base == one && *tip == aside)
    );
    let nowhere = stone("nowhere").addr().unwrap();
    let error = ask(&nowhere, &two, &aside);
    assert!(matches!(&error, MergeError::Missing { addr, .. } if *addr == nowhere));
    assert!(error.to_string().contains(nowhere.as_str()));
}

#[test]
fn a_tip_that_a_merge_brought_in_already_has_not_diverged() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.add(&base, json!({"b": 2}));
    let orphan = bench.add(&base, json!({"a": 2}));
    let merged = bench.merge(&base, &kept, &orphan);
    for (one, other) in [(&merged.tip, &orphan), (&orphan, &merged.tip)] {
        let error = merge(&bench.frames, &base, one, other).unwrap_err();
        assert!(matches!(error, MergeError::NotDiverged { newer, .. } if newer == merged.tip));
    }
}

#[test]
fn stones_other_timelines_and_keystones_do_not_merge() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let tip = bench.add(&base, json!({"b": 2}));
    let elsewhere = bench.start(json!({"z": 1}));
    let error = merge(&bench.frames, &base, &tip, &elsewhere).unwrap_err();
    assert!(matches!(error, MergeError::OtherTimeline { addr, .. } if addr == elsewhere));
    let loose = bench.put(vec![stone("loose")]);
    let error = merge(&bench.frames, &base, &loose, &tip).unwrap_err();
    assert!(matches!(error, MergeError::NotATimeline(addr) if addr == loose));

    let data = json!({"isTjp": true, "n": 0, "uuid": "u"});
    let genesis = IbGib::new("keystone".into(), Some(data), None).unwrap();
    let genesis = bench.put(vec![genesis]);
    let one = bench.by_hand(&genesis, |_| {});
    let two = bench.by_hand(&genesis, |_| {});
    let error = merge(&bench.frames, &genesis, &one, &two).unwrap_err();
    assert!(matches!(error, MergeError::Keystone { .. }));
    assert!(error.to_string().contains("revoke"));
}

#[test]
fn an_uncounted_timeline_merges_and_stays_uncounted() {
    let mut bench = Bench::default();
    let opts = |value| Opts::new().set("dna", true).set("dataToAddOrPatch", value).build();
    let fork = Opts::new().set("destIb", "doc").set("tjp", json!({"timestamp": true})).build();
    let now = bench.tick();
    let tjp =
        transform(Kind::Fork, &IbGib::primitive("ib"), &fork, &System::at(now)).unwrap().into_all();
    let base = bench.put(tjp);
    let kept = bench.edit(&base, Kind::Mut8, opts(json!({"a": 1})));
    let first = bench.edit(&base, Kind::Mut8, opts(json!({"b": 1})));
    // A next frame without dna, whose derived edit would count.
    let mut frame = bench.frames[&first].clone();
    frame.data.as_mut().unwrap()["c"] = json!(1);
    frame.rel8ns.as_mut().unwrap().insert("past".into(), json!([first.as_str()]));
    let replayed = IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap();
    let replayed = bench.put(vec![replayed]);
    let merged = merge(&bench.frames, &base, &kept, &replayed).unwrap();
    bench.put(merged.new);
    assert_eq!(bench.datum(&merged.tip, "b"), Some(json!(1)));
    assert_eq!(bench.datum(&merged.tip, "c"), Some(json!(1)));
    assert_eq!(bench.datum(&merged.tip, "n"), None);
}

#[test]
fn a_frame_without_timestamp_is_replayed_without() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.add(&base, json!({"a": 2}));
    let opts = Opts::next_frame().set("noTimestamp", true).set("dataToAddOrPatch", json!({"b": 1}));
    let mut frame = bench.frames[&base].clone();
    let data = frame.data.as_mut().unwrap().as_object_mut().unwrap();
    data.remove("timestamp");
    data.remove("timestampMs");
    // The base itself has none, so that an edit that sets none leaves none.
    let bare = IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap();
    let bare = bench.put(vec![bare]);
    let kept_on_bare = bench.add(&bare, json!({"a": 3}));
    let replayed = bench.edit(&bare, Kind::Mut8, opts.build());
    let merged = merge(&bench.frames, &bare, &kept_on_bare, &replayed).unwrap();
    bench.put(merged.new);
    assert_eq!(bench.datum(&kept, "n"), Some(json!(2)));
    for key in ["timestamp", "timestampMs"] {
        assert_eq!(bench.datum(&merged.replayed[0].made[0], key), None);
        assert_eq!(bench.datum(&merged.tip, key), None);
    }
    assert_eq!(bench.datum(&merged.tip, "a"), Some(json!(3)));
    assert_eq!(bench.datum(&merged.tip, "b"), Some(json!(1)));
}

#[test]
fn a_long_graft_info_is_divided_and_read_back() {
    let mut bench = Bench::default();
    let start = bench.start(json!({"a": 0}));
    // A long ib makes long addresses, so that few frames fill a stone.
    let base = bench.mut8(&start, "mut8Ib", json!("doc ".repeat(1_000)));
    let kept = bench.add(&base, json!({"b": 1}));
    let mut replayed = base.clone();
    for a in 1..200 {
        replayed = bench.add(&replayed, json!({"a": a}));
    }
    let merged = bench.merge(&base, &kept, &replayed);
    let info = &bench.frames[&merged.graft_info];
    assert!(info.rel8d("part").count() > 1);
    assert_eq!(info.datum("replayed"), None);
    let on = bench.add(&replayed, json!({"c": 1}));
    let again = merge(&bench.frames, &base, &on, &merged.tip).unwrap();
    assert_eq!(again.replayed.iter().map(|edit| &edit.frame).collect::<Vec<_>>(), [&kept]);
}

#[test]
fn what_no_transform_expresses_is_reported() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.add(&base, json!({"a": 2}));
    let replayed = bench.by_hand(&base, |frame| {
        frame.rel8ns.as_mut().unwrap().insert("ancestor".into(), json!(["other^gib"]));
    });
    let merged = bench.merge(&base, &kept, &replayed);
    assert!(merged.replayed.is_empty());
    assert_eq!(merged.unreplayed[0].frame, replayed);
    assert!(merged.unreplayed[0].reason.contains("ancestor"));
}

#[test]
fn a_text_set_to_what_it_was_undoes_nothing() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"text": "one"}));
    let kept = bench.add(&base, json!({"text": "one two"}));
    let replayed = bench.add(&base, json!({"text": "one", "b": 1}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(bench.datum(&merged.tip, "text"), Some(json!("one two")));
    assert_eq!(bench.datum(&merged.tip, "b"), Some(json!(1)));
}

#[test]
fn edits_of_data_that_the_other_side_made_no_object_are_named() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let replayed = bench.add(&base, json!({"a": 2}));
    let mut frame = bench.frames[&base].clone();
    frame.data = Some(json!([1, 2]));
    frame.rel8ns.as_mut().unwrap().insert("past".into(), json!([base.as_str()]));
    let kept = IbGib::new(frame.ib, frame.data, frame.rel8ns).unwrap();
    let kept = bench.put(vec![kept]);
    let merged = merge(&bench.frames, &base, &kept, &replayed).unwrap();
    assert_eq!(merged.unreplayed[0].frame, replayed);
    assert!(merged.unreplayed[0].reason.contains("no object"));
    let graft = merged.new.last().unwrap();
    assert_eq!(graft.data, Some(json!([1, 2])));
    assert_eq!(graft.prev(), Some(kept.as_str()));
    assert_eq!(newest(graft, GRAFT_ORPHAN), Some(replayed.as_str()));
    assert_eq!(graft.tjp_addr(), bench.frames[&base].tjp_addr());
    graft.validate().unwrap();
}

#[test]
fn very_many_fields_that_do_not_fit_leave_the_data_as_it_is_in_few_steps() {
    let mut bench = Bench::default();
    let many = |side: &str| -> Value {
        let fields = (0..3_000).map(|at| (format!("{side}{at}"), json!("word ".repeat(170))));
        fields.collect::<serde_json::Map<_, _>>().into()
    };
    let base = bench.start(json!({"a": 1}));
    let kept = bench.add(&base, many("kept"));
    let replayed = bench.add(&base, many("replayed"));
    let merged = bench.merge(&base, &kept, &replayed);
    let last = merged.overwritten.last().unwrap();
    assert_eq!((last.path.to_string().as_str(), last.winner), ("^data", Winner::Kept));
    assert_eq!(merged.overwritten.len(), 65);
    assert_eq!(super::fields::own(&bench, &merged.tip), super::fields::own(&bench, &kept));
}

#[test]
fn values_that_nest_to_the_bound_are_listed_so_that_the_graft_info_reads_back() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let deep = (0..98).fold(json!(1), |inner, _| json!([inner]));
    let kept = bench.add(&base, json!({"a": deep}));
    let replayed = bench.add(&base, json!({"a": 2}));
    let merged = bench.merge(&base, &kept, &replayed);
    for made in &merged.new {
        IbGib::from_json(&made.to_json()).unwrap();
    }
    assert!(matches!(merged.overwritten[0].kept, Side::Cut { .. }));
}

#[test]
fn relations_of_merges_that_lead_nowhere_are_passed_over() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let aside = bench.put(vec![stone("aside")]);
    let kept = bench.by_hand(&base, |frame| {
        let rel8ns = frame.rel8ns.as_mut().unwrap();
        rel8ns.insert(GRAFT_INFO.into(), json!(["x^gib"]));
        rel8ns.insert(GRAFT_ORPHAN.into(), json!([aside.as_str()]));
    });
    assert!(overwritten_of(&bench.frames, &bench.frames[&kept]).unwrap().is_empty());
    let replayed = bench.add(&base, json!({"b": 2}));
    let merged = merge(&bench.frames, &base, &kept, &replayed).unwrap();
    assert_eq!(merged.new.last().unwrap().datum("b"), Some(&json!(2)));
}
