//! What the reference implementation answers for gibs and transforms, matched bit for bit.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use sync_gib::ibgib::transform::{Kind, transform};
use sync_gib::ibgib::{IbGib, Moment, System, json};

fn cases(text: &str) -> Vec<Value> {
    match json::parse(text).unwrap() {
        Value::Array(cases) => cases,
        other => panic!("not a list: {other}"),
    }
}

#[test]
fn gibs() {
    let cases = cases(include_str!("vectors/gib.json"));
    assert_eq!(cases.len(), 25);
    for case in cases {
        let text = case["ibgib_json"].as_str().unwrap();
        let gib = IbGib::from_json(text).unwrap().computed_gib().unwrap();
        assert_eq!(gib, case["gib"].as_str().unwrap(), "{}", case["note"]);
    }
}

#[test]
fn transforms() {
    let cases = cases(include_str!("vectors/transforms.json"));
    assert_eq!(cases.len(), 17);
    for case in cases {
        let kind = Kind::from_name(case["kind"].as_str().unwrap()).unwrap();
        let now = Moment::from_ms(case["now_ms"].as_u64().unwrap()).unwrap();
        let mut opts = case["opts"].as_object().unwrap().clone();
        let src = IbGib::from_value(opts.shift_remove("src").unwrap()).unwrap();
        let made = transform(kind, &src, &opts, &System::at(now));
        if case["error"] == true {
            assert!(made.is_err(), "{}", case["note"]);
            continue;
        }
        let made = made.unwrap();
        assert_eq!(made.new_ibgib.to_value(), case["new_ibgib"], "{}", case["note"]);
        let dnas: Vec<Value> = made.dnas.iter().map(IbGib::to_value).collect();
        assert_eq!(Value::Array(dnas), case["dnas"], "{}", case["note"]);
    }
}
