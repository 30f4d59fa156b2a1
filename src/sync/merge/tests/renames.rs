//! How renamed keys merge.

use serde_json::{Value, json};

use super::Bench;
use super::fields::own;
use crate::ibgib::Addr;
use crate::sync::merge::*;

/// What each of two orders of the same two edits of `data` gives: who is kept, who is newer.
fn each(
    data: Value,
    one: impl Fn(&mut Bench, &Addr) -> Addr,
    other: impl Fn(&mut Bench, &Addr) -> Addr,
    check: impl Fn(Value, &Merge, bool),
) {
    for one_is_newer in [false, true] {
        for one_is_kept in [false, true] {
            let mut bench = Bench::default();
            let base = bench.start(data.clone());
            let (a, b);
            if one_is_newer {
                b = other(&mut bench, &base);
                a = one(&mut bench, &base);
            } else {
                a = one(&mut bench, &base);
                b = other(&mut bench, &base);
            }
            let (kept, replayed) = if one_is_kept { (&a, &b) } else { (&b, &a) };
            let merged = bench.merge(&base, kept, replayed);
            assert!(merged.unreplayed.is_empty(), "{:?}", merged.unreplayed);
            check(own(&bench, &merged.tip), &merged, one_is_newer);
        }
    }
}

fn rename(from: &'static str, to: &'static str) -> impl Fn(&mut Bench, &Addr) -> Addr {
    move |bench, tip| bench.mut8(tip, "dataToRename", json!({from: to}))
}

fn set(value: Value) -> impl Fn(&mut Bench, &Addr) -> Addr {
    move |bench, tip| bench.add(tip, value.clone())
}

fn paths(merged: &Merge) -> Vec<String> {
    merged.overwritten.iter().map(|field| field.path.to_string()).collect()
}

#[test]
fn an_edit_follows_a_rename() {
    each(json!({"a": 1, "b": 1}), rename("a", "z"), set(json!({"a": 2})), |data, merged, _| {
        assert_eq!(data, json!({"z": 2, "b": 1}));
        assert!(merged.overwritten.is_empty());
    });
    each(
        json!({"o": {"a": {"x": 1, "y": 1}}}),
        |bench, tip| {
            let tip = bench.mut8(tip, "dataToRename", json!({"o": {"a": "z"}}));
            bench.add(&tip, json!({"o": {"z": {"y": 2}}}))
        },
        set(json!({"o": {"a": {"x": 2}}})),
        |data, _, _| assert_eq!(data, json!({"o": {"z": {"x": 2, "y": 2}}})),
    );
}

#[test]
fn a_rename_is_replayed_as_a_rename() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1}));
    let kept = bench.add(&base, json!({"a": 2}));
    let first = bench.add(&base, json!({"b": 1}));
    let replayed = bench.mut8(&first, "dataToRename", json!({"a": "z"}));
    let merged = bench.merge(&base, &kept, &replayed);
    let made = &bench.frames[&merged.replayed[1].made[0]];
    assert_eq!(newest(made, "dna"), newest(&bench.frames[&replayed], "dna"));
    assert_eq!(own(&bench, &merged.replayed[0].made[0]), json!({"a": 2, "b": 1}));
    assert_eq!(own(&bench, &merged.tip), json!({"z": 2, "b": 1}));
}

#[test]
fn both_renaming_alike_is_one_rename() {
    each(json!({"a": 1}), rename("a", "z"), rename("a", "z"), |data, merged, _| {
        assert_eq!(data, json!({"z": 1}));
        assert!(merged.overwritten.is_empty());
    });
    let edited = |bench: &mut Bench, tip: &Addr| {
        let tip = bench.add(tip, json!({"a": 2}));
        bench.mut8(&tip, "dataToRename", json!({"a": "z"}))
    };
    each(json!({"a": 1}), rename("a", "z"), edited, |data, merged, _| {
        assert_eq!(data, json!({"z": 2}));
        assert!(merged.overwritten.is_empty());
    });
}

#[test]
fn of_two_names_the_newer_one_is_taken_and_the_other_listed() {
    let named = |to: &'static str, value: u64| {
        move |bench: &mut Bench, tip: &Addr| {
            let tip = bench.mut8(tip, "dataToRename", json!({"a": to}));
            bench.add(&tip, json!({"o": {to: value}}))
        }
    };
    each(json!({"a": 1, "o": {}}), named("y", 1), named("z", 2), |data, merged, y_is_newer| {
        let (name, other) = if y_is_newer { ("y", "z") } else { ("z", "y") };
        assert_eq!(data, json!({name: 1, "o": {"y": 1, "z": 2}}));
        assert_eq!(paths(merged), [other]);
        assert_eq!(merged.overwritten[0].lost(), &Side::Whole(json!(1)));
    });
}

#[test]
fn a_rename_onto_a_key_that_the_other_added_is_two_values_of_that_key() {
    each(
        json!({"a": 1}),
        rename("a", "z"),
        set(json!({"z": 5})),
        |data, merged, rename_is_newer| {
            assert_eq!(data, json!({"z": if rename_is_newer { 1 } else { 5 }}));
            assert_eq!(paths(merged), ["z"]);
        },
    );
}

#[test]
fn a_rename_against_a_removal_goes_to_the_newer_edit() {
    let remove = |bench: &mut Bench, tip: &Addr| bench.mut8(tip, "dataToRemove", json!({"a": ""}));
    each(json!({"a": 1}), rename("a", "z"), remove, |data, merged, rename_is_newer| {
        assert_eq!(data, if rename_is_newer { json!({"z": 1}) } else { json!({}) });
        assert_eq!(paths(merged), ["z"]);
    });
}

#[test]
fn renames_are_looked_for_in_what_the_merge_itself_made() {
    let mut bench = Bench::default();
    let base = bench.start(json!({"a": 1, "b": 1}));
    let k1 = bench.add(&base, json!({"b": 2}));
    let k2 = bench.mut8(&k1, "dataToRemove", json!({"a": ""}));
    let kept = bench.add(&k2, json!({"e": 1, "b": 3}));
    // Saved whole, so that its replay has a dna that no other frame has.
    let s1 = bench.add(&base, json!({"a": 1, "b": 1, "c": 1}));
    let first = bench.merge(&base, &s1, &k1);
    let replayed = bench.add(&first.tip, json!({"d": 1}));
    let merged = bench.merge(&base, &kept, &replayed);
    assert_eq!(own(&bench, &merged.tip), json!({"b": 3, "c": 1, "d": 1, "e": 1}));
}
