//! How arrays merge.

use serde_json::{Value, json};

use super::Bench;
use super::fields::own;
use crate::sync::merge::*;

fn merged(common: Value, kept: Value, replayed: Value) -> (Value, Vec<(String, Winner)>) {
    let mut bench = Bench::default();
    let base = bench.start(json!({"items": common}));
    let kept = bench.add(&base, json!({"items": kept}));
    let replayed = bench.add(&base, json!({"items": replayed}));
    let merged = bench.merge(&base, &kept, &replayed);
    let lost = merged.overwritten.iter().map(|o| (o.path.to_string(), o.winner));
    (own(&bench, &merged.tip)["items"].clone(), lost.collect())
}

#[test]
fn insertions_of_both_are_kept_and_deletions_of_either_apply() {
    for (common, kept, replayed, expected) in [
        (
            json!(["milk"]),
            json!(["milk", "eggs"]),
            json!(["milk", "ham"]),
            json!(["milk", "eggs", "ham"]),
        ),
        (json!([1, 2, 3]), json!([1, 3]), json!([1, 2, 3, 4]), json!([1, 3, 4])),
        (json!([1, 2, 3]), json!([0, 1, 2, 3]), json!([1, 2]), json!([0, 1, 2])),
        (json!([1, 2]), json!([1, "x", 2]), json!([1, "x", "y", 2]), json!([1, "x", "y", 2])),
        (json!([10, 20]), json!([15, 20]), json!([10, 30]), json!([15, 30])),
        (json!([]), json!(["a"]), json!(["b"]), json!(["a", "b"])),
        (json!(1), json!(["a"]), json!(["b"]), json!(["a", "b"])),
        (
            json!([{"x": 1}]),
            json!([{"x": 1}, {"x": 2}]),
            json!([{"x": 0}, {"x": 1}]),
            json!([{"x": 0}, {"x": 1}, {"x": 2}]),
        ),
    ] {
        assert_eq!(merged(common, kept, replayed), (expected, vec![]));
    }
}

#[test]
fn elements_with_ids_merge_field_by_field() {
    let (items, lost) = merged(
        json!([{"id": "a", "t": "x", "done": false}, {"id": "b", "t": "y"}, {"id": "c"}]),
        json!([{"id": "a", "t": "x", "done": true}, {"id": "n", "t": "new"}, {"id": "b", "t": "y1"}]),
        json!([{"id": "z"}, {"id": "a", "t": "x2", "done": false}, {"id": "b", "t": "y2"}, {"id": "m"}, {"id": "c"}]),
    );
    assert_eq!(
        items,
        json!([
            {"id": "z"}, {"id": "a", "t": "x2", "done": true}, {"id": "n", "t": "new"},
            {"id": "b", "t": "y2"}, {"id": "m"},
        ])
    );
    assert_eq!(lost, [("items[id=\"b\"].t".to_owned(), Winner::Replayed)]);
}

#[test]
fn an_element_that_one_removed_and_the_other_changed_goes_to_the_newer_edit() {
    let (items, lost) = merged(
        json!([{"uuid": 1, "t": "x"}, {"uuid": 2}]),
        json!([{"uuid": 2}]),
        json!([{"uuid": 1, "t": "changed"}, {"uuid": 2}]),
    );
    assert_eq!(items, json!([{"uuid": 1, "t": "changed"}, {"uuid": 2}]));
    assert_eq!(lost, [("items[uuid=1]".to_owned(), Winner::Replayed)]);
    let (items, lost) = merged(
        json!([{"uuid": 1, "t": "x"}, {"uuid": 2}]),
        json!([{"uuid": 1, "t": "changed"}, {"uuid": 2}]),
        json!([{"uuid": 2}]),
    );
    assert_eq!(items, json!([{"uuid": 2}]));
    assert_eq!(lost, [("items[uuid=1]".to_owned(), Winner::Replayed)]);
}

#[test]
fn the_order_that_one_side_gave_stands_with_what_the_other_added() {
    let list = |ids: &[&str]| -> Value { ids.iter().map(|id| json!({"id": id})).collect() };
    let (base, moved) = (list(&["a", "b", "c"]), list(&["c", "a", "b"]));
    let added = list(&["a", "n", "b", "c"]);
    let expected = list(&["c", "a", "n", "b"]);
    assert_eq!(merged(base.clone(), moved.clone(), added.clone()).0, expected);
    assert_eq!(merged(base, added, moved).0, expected);
}

#[test]
fn ids_that_repeat_make_a_sequence() {
    let twice = json!([{"id": 1}, {"id": 1}]);
    let (items, lost) = merged(twice, json!([{"id": 1}, {"id": 1}, {"id": 2}]), json!([{"id": 1}]));
    assert_eq!(items, json!([{"id": 1}, {"id": 2}]));
    assert!(lost.is_empty());
}
