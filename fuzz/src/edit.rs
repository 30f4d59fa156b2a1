//! Changes to JSON that keep it JSON, so that they reach what lies behind a parser.

use serde_json::{Map, Value, json};
use sync_gib::ibgib::IbGib;

use super::input::Input;

/// Keys that mean something somewhere.
const KEYS: [&str; 16] = [
    "ib",
    "gib",
    "data",
    "rel8ns",
    "n",
    "isTjp",
    "tjp",
    "past",
    "graftorphan",
    "proofs",
    "challengePools",
    "frameDetails",
    "revocationInfo",
    "requiredChallengeIds",
    "scope",
    "moves",
];

/// Makes up to seven changes in a value, as the input says.
pub(crate) fn edit(value: &mut Value, input: &mut Input<'_>) {
    for _ in 0..=input.below(7) {
        let spare = nth(value, input.below(count(value)));
        let mut at = input.below(count(value));
        visit(value, &mut at, &mut |place| change(place, &spare, input));
    }
}

/// Gives an ibGib's value the gib that it now has; what is no ibGib stays as it is.
pub(crate) fn rehash(value: &mut Value) {
    let Value::Object(map) = &*value else { return };
    let without: Map<String, Value> =
        map.iter().filter(|(key, _)| *key != "gib").map(|(k, v)| (k.clone(), v.clone())).collect();
    let Ok(ibgib) = IbGib::from_value(Value::Object(without)) else { return };
    value["gib"] = ibgib.gib.into();
}

fn change(place: &mut Value, spare: &Value, input: &mut Input<'_>) {
    match input.below(14) {
        0 => *place = Value::Null,
        1 => *place = (input.byte() & 1 == 1).into(),
        2 => *place = input.byte().into(),
        3 => *place = number(input),
        4 => *place = input.text().into(),
        5 => *place = json!([]),
        6 => *place = json!({}),
        7 => remove(place, input),
        8 => add(place, spare, input),
        9 => swap(place, input),
        10 | 11 => respell(place, input),
        12 => *place = spare.clone(),
        _ => repeat(place, input),
    }
}

fn number(input: &mut Input<'_>) -> Value {
    const NUMBERS: [i64; 8] =
        [-1, i64::MIN, i64::MAX, 1 << 53, (1 << 53) - 1, 1 << 32, 65_536, 10_001];
    match input.below(10) {
        8 => json!(0.5),
        9 => json!(1e300),
        at => NUMBERS[at].into(),
    }
}

fn remove(place: &mut Value, input: &mut Input<'_>) {
    match place {
        Value::Array(list) if !list.is_empty() => drop(list.remove(input.below(list.len()))),
        Value::Object(map) if !map.is_empty() => {
            if let Some(key) = map.keys().nth(input.below(map.len())).cloned() {
                map.shift_remove(&key);
            }
        }
        _ => *place = Value::Null,
    }
}

fn add(place: &mut Value, spare: &Value, input: &mut Input<'_>) {
    match place {
        Value::Array(list) => list.insert(input.below(list.len() + 1), spare.clone()),
        Value::Object(map) => {
            map.insert(KEYS[input.below(KEYS.len())].to_owned(), spare.clone());
        }
        _ => *place = json!([spare]),
    }
}

fn swap(place: &mut Value, input: &mut Input<'_>) {
    match place {
        Value::Array(list) if list.len() > 1 => {
            let (one, other) = (input.below(list.len()), input.below(list.len()));
            list.swap(one, other);
        }
        Value::Object(map) if map.len() > 1 => {
            // The order of keys is hashed inside lists.
            if let Some(key) = map.keys().nth(input.below(map.len())).cloned()
                && let Some(value) = map.shift_remove(&key)
            {
                map.insert(key, value);
            }
        }
        Value::Number(n) => *place = n.as_i64().unwrap_or(0).wrapping_add(1).into(),
        _ => {}
    }
}

/// Another character, a shorter text, a longer one.
fn respell(place: &mut Value, input: &mut Input<'_>) {
    let Value::String(text) = place else { return swap(place, input) };
    let at = input.below(text.chars().count().max(1));
    let (head, tail): (String, String) =
        (text.chars().take(at).collect(), text.chars().skip(at + 1).collect());
    *text = match input.below(4) {
        0 => head,
        1 => format!("{text}{}", input.text()),
        2 => format!("{head}{}{tail}", char::from(input.byte())),
        _ => tail,
    };
}

fn repeat(place: &mut Value, input: &mut Input<'_>) {
    let times = input.below(40);
    match place {
        Value::Array(list) if !list.is_empty() => {
            let one = list[input.below(list.len())].clone();
            list.extend(std::iter::repeat_n(one, times));
        }
        Value::String(text) if text.len() < 200 => *text = text.repeat(times),
        _ => (0..times).for_each(|_| *place = json!([place.take()])),
    }
}

/// How many values are in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Calls `act` with the value that `at` counts to, outer ones first.
fn visit(value: &mut Value, at: &mut usize, act: &mut dyn FnMut(&mut Value)) -> bool {
    if *at == 0 {
        act(value);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|inner| visit(inner, at, act)),
        Value::Object(map) => map.values_mut().any(|inner| visit(inner, at, act)),
        _ => false,
    }
}

fn nth(value: &mut Value, mut at: usize) -> Value {
    let mut found = Value::Null;
    visit(value, &mut at, &mut |place| {
        // Larger ones would double a value with each change.
        if count(place) < 200 {
            found = place.clone();
        }
    });
    found
}
