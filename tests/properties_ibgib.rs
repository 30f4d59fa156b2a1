//! Properties of JSON and gibs that hold for any ibGib.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};
use sync_gib::ibgib::transform::{Kind, transform};
use sync_gib::ibgib::{IbGib, Moment, System, json, normal};

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
            if let Ok(made) = transform(kind, &src, &opts, &System::at(Moment::default())) {
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

/// The ib and gib of an ibGib, its n, and whether it is a tjp and a stone.
type Told = (String, String, Option<u64>, bool, bool);

/// What reading and validating in the ordinary way says of a text in normal form.
fn ordinarily(text: &str) -> Option<Told> {
    let read = IbGib::from_json(text).ok()?;
    read.validate().ok()?;
    let told = (read.n(), read.is_tjp(), read.is_stone());
    (read.to_json() == text).then_some((read.ib, read.gib, told.0, told.1, told.2))
}

fn quickly(text: &str) -> Option<Told> {
    let read = normal::read(text)?;
    Some((read.ib.to_owned(), read.gib.to_owned(), read.n, read.is_tjp, read.is_stone))
}

/// A relation's name and its addresses, which any frame may have.
fn rel8ns() -> impl Strategy<Value = Value> {
    let hash = "[0-9A-F]{64}";
    let addr = prop_oneof![
        hash.prop_map(|gib| format!("x^{gib}")),
        (hash, hash).prop_map(|(gib, tjp)| format!("é y^{gib}.{tjp}")),
        Just("x^gib".to_owned()),
    ];
    let name = prop::sample::select(vec!["tjp", "past", "dna", "b", "a", "é"]);
    let list = prop::collection::vec(addr, 0..4);
    prop::collection::vec((name, list), 0..4).prop_map(|relations| {
        let relations = relations.into_iter().map(|(name, list)| (name.to_owned(), list.into()));
        Value::Object(relations.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_text_is_told_quickly_as_it_is_told_ordinarily(
        ib in "[a-zé ^\"\\\\]{1,4}", mut data in value(), rel8ns in rel8ns(), n in value(),
        is_tjp in any::<bool>(), flips in prop::collection::vec(any::<prop::sample::Index>(), 24),
    ) {
        if let Value::Object(data) = &mut data {
            data.insert("n".into(), n);
            data.insert("isTjp".into(), is_tjp.into());
        }
        let ib = json::stringify(&ib);
        let text = format!(
            r#"{{"ib":{ib},"data":{},"rel8ns":{rel8ns}}}"#, json::stringify(&data),
        );
        let Ok(made) = IbGib::from_json(&text) else { return Ok(()) };
        let text = made.to_json();
        // What is right may be left to the ordinary way, and nothing else may be called right.
        if let Some(quickly) = quickly(&text) {
            prop_assert_eq!(Some(quickly), ordinarily(&text));
        }
        for flip in flips {
            let mut bytes = text.clone().into_bytes();
            let bit = flip.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(flipped) = String::from_utf8(bytes) else { continue };
            if let Some(quickly) = quickly(&flipped) {
                prop_assert_eq!(Some(quickly), ordinarily(&flipped), "{}", flipped);
            }
        }
    }

    /// Somebody may have made a gib of a text that is not in normal form.
    #[test]
    fn a_gib_of_what_is_no_normal_form_is_not_taken(
        data in prop::sample::select(vec![
            r#"{"a":1,"a":2}"#, r#"{"a":1.0}"#, r#"{"a":-0}"#, r#"{"a":1E5}"#, r#"{"a":01}"#,
            r#"{"a":+1}"#, r#"{"a":.5}"#, r#"{"a":1e400}"#, r#"{"a":9007199254740993}"#,
            r#"{"a":"\u0041"}"#, r#"{"a":"\/"}"#, r#"{"a":"\u000A"}"#, r#"{"a":"\u000a"}"#,
            r#"{"__proto__":1}"#, r#"{"a":[{"b":1,"1":2}]}"#, r#"{"a":[{"2":1,"1":2}]}"#,
            r#"{"a":[{"1":1,"1":2}]}"#, r#"{"a": 1}"#, r#"{"a":1,}"#,
            r#"{"a":"\ud800"}"#, r#"{"a":}"#, r#"{"a":-}"#, r#"{"a":inf}"#, r#"{"a":1e5}"#,
        ]),
    ) {
        let hex = |bytes: &[u8]| -> String {
            Sha256::digest(bytes).iter().map(|byte| format!("{byte:02X}")).collect()
        };
        let gib = hex((hex(b"x") + &hex(data.as_bytes())).as_bytes());
        let text = format!(r#"{{"ib":"x","gib":"{gib}","data":{data}}}"#);
        prop_assert_eq!(quickly(&text), None, "{}", text);
    }
}

#[test]
fn an_ordinary_frame_is_told_quickly() {
    let rel8ns = r#"{"ancestor":["x^gib"],"past":["x^HASH.HASH"],"tjp":["x^HASH"]}"#;
    let rel8ns = rel8ns.replace("HASH", &"5E".repeat(32));
    let data = r#"{"text":"a\n\u0001\"é","n":7,"map":{"1":1e21,"2":[{"7":1,"10":-2.5e-7}]}}"#;
    let text = format!(r#"{{"ib":"x","data":{data},"rel8ns":{rel8ns}}}"#);
    let text = IbGib::from_json(&text).unwrap().to_json();
    assert_eq!(normal::read(&text).map(|read| (read.n, read.is_stone)), Some((Some(7), false)));
}
