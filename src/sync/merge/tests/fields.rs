//! How fields that both sides changed merge.

use serde_json::{Value, json};

use super::{Bench, stone};
use crate::ibgib::transform::{Kind, Opts};
use crate::ibgib::{Addr, MAX_IBGIB_BYTES};
use crate::sync::merge::*;

/// A frame's data without what the frames keep themselves.
pub(super) fn own(bench: &Bench, addr: &Addr) -> Value {
    let mut data = bench.frames[addr].data.clone().unwrap();
    for key in ["n", "isTjp", "timestamp", "timestampMs"] {
        data.as_object_mut().unwrap().remove(key);
    }
    data
}

/// What merging two edits of `data` gives: the sides' patches, the kept one first.
fn merged(data: Value, kept: Value, replayed: Value) -> (Value, Vec<Overwritten>) {
    let mut bench = Bench::default();
    let base = bench.start(data);
    let kept = bench.add(&base, kept);
    let replayed = bench.add(&base, replayed);
    let merged = bench.merge(&base, &kept, &replayed);
    assert!(merged.unreplayed.is_empty());
    (own(&bench, &merged.tip), merged.overwritten)
}

#[test]
fn a_form_saved_whole_changes_what_it_changed() {
    let (data, lost) = merged(
        json!({"title": "Old", "note": "n", "done": false}),
        json!({"title": "New", "done": true}),
        json!({"title": "Old", "note": "other", "done": false}),
    );
    assert_eq!(data, json!({"title": "New", "note": "other", "done": true}));
    assert!(lost.is_empty());
}

#[test]
fn what_a_branch_set_and_set_back_is_no_edit() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1, "b": 1}));
    let kept = bench.add(&base, json!({"a": 2}));
    let set = bench.add(&base, json!({"a": 3}));
    let back = bench.add(&set, json!({"a": 1}));
    let replayed = bench.add(&back, json!({"b": 2}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(own(&bench, &merged.tip), json!({"a": 2, "b": 2}));
    assert!(merged.overwritten.is_empty());
    let made: Vec<usize> = merged.replayed.iter().map(|edit| edit.made.len()).collect();
    assert_eq!(made, [0, 0, 1]);
}

#[test]
fn five_newer_edits_are_not_taken_back_by_who_syncs_last() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"title": "a", "note": ""}));
    let replayed = bench.add(&base, json!({"title": "DESKTOP", "note": "mine"}));
    let mut kept = base.clone();
    for n in 1..=5 {
        kept = bench.add(&kept, json!({"title": format!("LAPTOP {n}")}));
    }
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(own(&bench, &merged.tip), json!({"title": "LAPTOP 5", "note": "mine"}));
    let [lost] = &merged.overwritten[..] else { panic!("{:?}", merged.overwritten) };
    assert_eq!(lost.path.to_string(), "title");
    assert_eq!(lost.winner, Winner::Kept);
    assert_eq!(lost.common, Side::Whole(json!("a")));
    assert_eq!(lost.kept, Side::Whole(json!("LAPTOP 5")));
    assert_eq!(lost.replayed, Side::Whole(json!("DESKTOP")));
    assert_eq!((&lost.kept_frame, &lost.replayed_frame), (&kept, &replayed));
}

#[test]
fn at_equal_times_the_greater_address_wins() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 0}));
    let now = bench.now;
    let at = |bench: &mut Bench, value: u64| {
        bench.now = now;
        bench.add(&base, json!({"a": value}))
    };
    for (one, other) in [(1, 2), (3, 4), (5, 6), (7, 8)] {
        let (one_at, other_at) = (at(&mut bench, one), at(&mut bench, other));
        let winner = if one_at > other_at { one } else { other };
        for (kept, replayed) in [(&one_at, &other_at), (&other_at, &one_at)] {
            let merged = bench.merge(&base, kept, replayed);
            assert_eq!(own(&bench, &merged.tip), json!({"a": winner}));
        }
    }
}

#[test]
fn a_replayed_edit_keeps_its_time_in_later_merges() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 0, "b": 0}));
    let old = bench.add(&base, json!({"a": 1}));
    let newer = bench.add(&base, json!({"a": 2}));
    let kept = bench.add(&base, json!({"b": 1}));
    // The old edit is replayed, later by the count of frames but not by time.
    let first = bench.merge(&base, &kept, &old);
    let second = bench.merge(&base, &first.tip, &newer);
    assert_eq!(own(&bench, &second.tip), json!({"a": 2, "b": 1}));
    let second = bench.merge(&base, &newer, &first.tip);
    assert_eq!(own(&bench, &second.tip), json!({"a": 2, "b": 1}));
}

#[test]
fn set_against_remove_and_object_against_value_go_to_the_newer_edit() {
    let (gone, object) = (json!({"a": ""}), json!({"a": {"x": 1}}));
    for kept_is_newer in [false, true] {
        let mut bench = Bench::default();
        let base = bench.start(json!({"a": 1}));
        let [mut kept, mut replayed] = [base.clone(), base.clone()];
        let sides =
            if kept_is_newer { [&mut replayed, &mut kept] } else { [&mut kept, &mut replayed] };
        *sides[0] = bench.add(&base, object.clone());
        *sides[1] = bench.mut8(&base, "dataToRemove", gone.clone());
        let merged = bench.merge(&base, &kept, &replayed);
        assert_eq!(own(&bench, &merged.tip), json!({}));
        let [lost] = &merged.overwritten[..] else { panic!("{:?}", merged.overwritten) };
        assert_eq!(lost.lost(), &Side::Whole(json!({"x": 1})));
        assert_eq!(lost.winner == Winner::Kept, kept_is_newer);
    }
    let (data, lost) =
        merged(json!({"a": {"x": 1, "y": 1}}), json!({"a": {"x": 2}}), json!({"a": 5}));
    assert_eq!(data, json!({"a": 5}));
    assert_eq!(lost[0].lost(), &Side::Whole(json!({"x": 2, "y": 1})));
}

#[test]
fn fields_merge_at_any_depth_and_are_named_by_their_path() {
    let (data, lost) = merged(
        json!({"o": {"p": {"q": 1, "r.s": 1, "same": 1}}}),
        json!({"o": {"p": {"q": 2, "r.s": 2, "k": 1}}}),
        json!({"o": {"p": {"q": 3, "r.s": 3, "same": 2}}}),
    );
    assert_eq!(data, json!({"o": {"p": {"q": 3, "r.s": 3, "same": 2, "k": 1}}}));
    let paths: Vec<String> = lost.iter().map(|field| field.path.to_string()).collect();
    assert_eq!(paths, ["o.p.q", "o.p[\"r.s\"]"]);
}

#[test]
fn strings_with_lines_are_texts_and_others_are_values() {
    let (data, lost) = merged(
        json!({"body": "one\ntwo\n", "title": "x", "new": {}}),
        json!({"body": "one\ntwo\nthree\n", "title": "x y", "new": {"t": "a\nb"}}),
        json!({"body": "zero\none\ntwo\n", "title": "w x", "new": {"t": "c\nd"}}),
    );
    assert_eq!(data["body"], "zero\none\ntwo\nthree\n");
    assert_eq!(data["title"], "w x");
    assert_eq!(data["new"]["t"], "a\nb\nc\nd");
    let paths: Vec<String> = lost.iter().map(|field| field.path.to_string()).collect();
    assert_eq!(paths, ["title"]);
}

#[test]
fn the_ib_is_a_field() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let replayed = bench.mut8(&base, "mut8Ib", json!("desktop"));
    let kept = bench.mut8(&base, "mut8Ib", json!("laptop"));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(merged.tip.ib(), "laptop");
    assert_eq!(merged.overwritten[0].path, FieldPath::Ib);
    assert_eq!(merged.overwritten[0].lost(), &Side::Whole(json!("desktop")));
}

#[test]
fn a_field_that_would_make_the_frame_too_large_stays_and_is_listed() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"text": "start\n", "a": 1}));
    let long = |word: &str| word.repeat(MAX_IBGIB_BYTES / 2 / word.len()) + "\n";
    let kept = bench.add(&base, json!({"text": format!("start\n{}", long("kept "))}));
    let replayed =
        bench.add(&base, json!({"text": format!("{}start\n", long("replayed ")), "a": 2}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(bench.datum(&merged.tip, "a"), Some(json!(2)));
    assert_eq!(bench.datum(&merged.tip, "text"), bench.datum(&kept, "text"));
    let [lost] = &merged.overwritten[..] else { panic!("not listed") };
    assert_eq!((lost.path.to_string().as_str(), lost.winner), ("text", Winner::Kept));
    let Side::Cut { head, bytes } = &lost.replayed else { panic!("not cut") };
    assert!(head.starts_with("\"replayed replayed ") && *bytes > 2_000_000);
    assert!(merged.unreplayed[0].reason.contains("over the limit"));
}

#[test]
fn what_is_decided_is_bounded() {
    let mut bench = Bench::default();
    let many = |value: usize| -> Value {
        (0..12_000)
            .map(|at| (format!("k{at}"), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let long = "k".repeat(5_000);
    let base = bench.start(json!({"many": many(0), "deep": {&long: {"x": 0}}, &long: 0}));
    let kept = bench.add(&base, json!({"deep": {&long: {"x": 1}}, &long: 1}));
    let replayed = bench.add(&base, json!({"deep": {&long: {"x": 2}}, &long: 2}));
    let merged = bench.merge(&base, &kept, &replayed);
    let paths: Vec<String> = merged.overwritten.iter().map(|o| o.path.to_string()).collect();
    assert_eq!(paths, ["deep", "^data"]);
    let kept = bench.add(&base, json!({"many": many(1)}));
    let replayed = bench.add(&base, json!({"many": many(2)}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(bench.datum(&merged.tip, "many"), Some(many(2)));
    assert_eq!(merged.overwritten.len(), 1);
    assert_eq!(merged.overwritten[0].path.to_string(), "many");
}

#[test]
fn data_of_any_form_is_reached_from_any_other() {
    let other = json!({
        "o": null, "l": {"a": 1}, "v": {}, "n": 3, "d": {"timestamp": 1, "e": 2}, "x": "y",
    });
    let mut bench = Bench::default();
    let base = bench.start(json!({"o": {"p": 1}, "l": [1], "v": 1, "d": {"timestamp": 1, "e": 1}}));
    let kept = bench.add(&base, json!({"z": 1}));
    let replayed = bench.by_hand(&base, |frame| {
        let data = frame.data.as_mut().unwrap().as_object_mut().unwrap();
        for (key, value) in other.as_object().unwrap().iter().filter(|(key, _)| *key != "n") {
            data.insert(key.clone(), value.clone());
        }
        data["d"] = json!({"e": 2});
    });
    let merged = bench.merge(&base, &kept, &replayed);
    assert!(merged.unreplayed.is_empty(), "{:?}", merged.unreplayed);
    assert_eq!(
        own(&bench, &merged.tip),
        json!({"o": null, "l": {"a": 1}, "v": {}, "d": {"e": 2}, "x": "y", "z": 1})
    );
}

#[test]
fn relations_of_both_sides_are_kept() {
    let mut bench = Bench::default();
    let all: Vec<Addr> = ["p", "q", "r"].iter().map(|ib| bench.put(vec![stone(ib)])).collect();
    let base = bench.start(json!({"a": 1}));
    let see = |at: usize| json!({"see": [all[at].as_str()]});
    let kept = bench.rel8(&base, "rel8nsToAddByAddr", see(0));
    let opts = Opts::next_frame().set("rel8nsToAddByAddr", see(1)).build();
    let added = bench.edit(&base, Kind::Rel8, opts);
    let gone = bench.rel8(&added, "rel8nsToRemoveByAddr", see(1));
    let replayed = bench.rel8(&gone, "rel8nsToAddByAddr", see(2));
    let merged = bench.merge(&base, &kept, &replayed);
    let linked: Vec<&str> = bench.frames[&merged.tip].rel8d("see").collect();
    assert_eq!(linked, [all[0].as_str(), all[2].as_str()]);
    assert!(merged.unreplayed.is_empty());
}

#[test]
fn a_long_list_that_was_merged_often_is_merged_again_with_the_last_frame() {
    let list = |first: usize, last: usize| -> Value { (first..last).map(Value::from).collect() };
    let mut bench = Bench::default();
    let base = bench.start(json!({"list": list(1, 20_000)}));
    let kept = bench.add(&base, json!({"list": list(0, 20_000)}));
    let mut replayed = base.clone();
    for count in 1..=16 {
        replayed = bench.add(&replayed, json!({"list": list(1, 20_000 + count)}));
    }
    let last_list = replayed.clone();
    replayed = bench.add(&replayed, json!({"a": 1}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(own(&bench, &merged.tip), json!({"list": list(0, 20_016), "a": 1}));
    let made: Vec<usize> = merged.replayed.iter().map(|edit| edit.made.len()).collect();
    assert_eq!((made[0], made[15], made[16]), (1, 0, 1));
    assert_eq!(merged.replayed[15].frame, last_list);
    let again = merge(&bench.frames, &base, &kept, &replayed).unwrap();
    let json =
        |merge: &Merge| merge.new.iter().map(crate::ibgib::IbGib::to_json).collect::<Vec<_>>();
    assert!(json(&again) == json(&merged));
}
