//! Properties of JSON and gibs that hold for any ibGib.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Map, Number, Value};
use sync_gib::ibgib::transform::{Kind, transform};
use sync_gib::ibgib::{IbGib, Moment, json};

/// Any JSON value, with keys that sort differently by UTF-16 unit than by code point, with keys
/// that are array indexes, and with numbers of every kind.
fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
        (-1000i64..1000).prop_map(Number::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number.prop_map(Value::Number),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let any_key = any::<String>().prop_filter("kept", |key| key != "__proto__");
    let odd =
        prop::sample::select(vec!["0", "10", "9", "01", "4294967294", "4294967295", "｡", "😀"]);
    prop_oneof![any_key, "[a-d]{1,2}", odd.prop_map(str::to_owned)]
}

fn object(
    inner: impl Strategy<Value = Value> + 'static,
) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((key(), inner), 0..6).prop_map(|entries| entries.into_iter().collect())
}

/// The value with the keys of every object outside arrays in reverse order.
fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries = map.iter().rev().map(|(key, value)| (key.clone(), reversed(value)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

fn ibgib(data: &Value) -> IbGib {
    let text = format!(r#"{{"ib":"x","data":{}}}"#, json::stringify(data));
    IbGib::from_json(&text).unwrap()
}

/// Options as anybody may write them: known keys, values of every kind.
fn opts() -> impl Strategy<Value = Map<String, Value>> {
    let keys = [
        "destIb",
        "tjp",
        "uuid",
        "cloneRel8ns",
        "cloneData",
        "noTimestamp",
        "nCounter",
        "dna",
        "linkedRel8ns",
        "dataToAddOrPatch",
        "dataToRename",
        "dataToRemove",
        "mut8Ib",
        "srcAddr",
        "rel8nsToAddByAddr",
        "rel8nsToRemoveByAddr",
    ];
    let likely = prop_oneof![
        value(),
        Just(Value::Bool(true)),
        Just(serde_json::json!(["past", "dna", "ancestor"])),
        Just(serde_json::json!({"a": ["x^gib"], "tag": ["y^gib", "y^gib"]})),
        Just(serde_json::json!({"a": "b", "n": "a", "isTjp": ""})),
    ];
    let entry = (prop::sample::select(keys.to_vec()).prop_map(str::to_owned), likely);
    prop::collection::vec(entry, 0..6).prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    #[test]
    fn no_options_break_a_transform(data in value(), rel8ns in object(value()), opts in opts()) {
        let gib = "E975776B1A3E4468086E1D8C409116F6E098D13BEEDFE17AF668071B5D11CD55".to_owned();
        let src = IbGib { ib: "x".into(), gib, data: Some(data), rel8ns: Some(rel8ns) };
        let src = IbGib::from_json(&src.to_json()).unwrap();
        let Value::Object(opts) = json::parse(&json::stringify(&opts)).unwrap() else {
            unreachable!("an object")
        };
        for kind in [Kind::Fork, Kind::Mut8, Kind::Rel8] {
            if let Ok(made) = transform(kind, &src, &opts, Moment::default()) {
                for ibgib in made.into_all() {
                    prop_assert_eq!(ibgib.computed_gib().unwrap(), ibgib.gib.clone());
                    prop_assert_eq!(IbGib::from_json(&ibgib.to_json()).unwrap(), ibgib);
                }
            }
        }
    }

    #[test]
    fn parse_print_parse_keeps_the_gib(data in value()) {
        let first = ibgib(&data);
        let second = IbGib::from_json(&first.to_json()).unwrap();
        prop_assert_eq!(&first.gib, &second.computed_gib().unwrap());
        prop_assert_eq!(first.to_json(), second.to_json());
    }

    #[test]
    fn the_order_of_keys_outside_arrays_does_not_count(data in object(value())) {
        let data = Value::Object(data);
        prop_assert_eq!(ibgib(&data).gib, ibgib(&reversed(&data)).gib);
    }

    #[test]
    fn the_order_of_keys_inside_arrays_counts(a in value(), b in value(), k in "[a-m]", l in "[n-z]") {
        let forth = serde_json::json!({"list": [{&k: &a, &l: &b}]});
        let back = serde_json::json!({"list": [{&l: &b, &k: &a}]});
        prop_assert_ne!(ibgib(&forth).gib, ibgib(&back).gib);
    }

    #[test]
    fn any_change_of_the_data_changes_the_gib(data in value(), other in value()) {
        let (one, two) = (ibgib(&data), ibgib(&other));
        let same = json::canonical(one.data.as_ref().unwrap())
            == json::canonical(two.data.as_ref().unwrap());
        let is_empty = |ibgib: &IbGib| {
            let data = ibgib.data.as_ref();
            !json::truthy(data) || data == Some(&Value::Array(Vec::new()))
                || data == Some(&Value::Object(Map::new()))
        };
        let same = same || (is_empty(&one) && is_empty(&two));
        prop_assert_eq!(one.gib == two.gib, same);
    }

    #[test]
    fn reading_never_panics(text in any::<String>()) {
        let _ = IbGib::from_json(&text);
    }

    #[test]
    fn reading_what_looks_like_json_never_panics(text in "[\\[\\]{}:,\"0-9a-e\\\\.+-]{0,60}") {
        let _ = IbGib::from_json(&format!(r#"{{"ib":"x","data":{text}}}"#));
    }
}
