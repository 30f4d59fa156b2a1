//! JSON as JavaScript reads and writes it, and the canonical form that gibs are hashes of.
//!
//! A parsed value keeps JavaScript's property order (array-index keys first, ascending, then the
//! order of arrival) and JavaScript's numbers (doubles). What JavaScript would read in a way that
//! cannot be kept is refused, never read as something else (docs/protocol.md, section 1).

use std::cmp::Ordering;
use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 100;

/// Why a text was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is no JSON, or holds what no double and no string can (a lone surrogate, 1e400).
    #[error("not readable as JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// Arrays and objects nest deeper than [`MAX_DEPTH`].
    #[error("JSON nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A key that JavaScript takes for an object's prototype: it would be lost from the hash.
    #[error("the key \"__proto__\" cannot be kept: JavaScript takes it for the object's prototype")]
    Proto,
    /// It may hold more values than are taken.
    #[error("JSON of more than {0} values")]
    TooManyValues(usize),
}

/// Reads JSON as `JSON.parse` does.
///
/// Numbers become doubles (an integral one of at most 2^53 is kept as an integer, so `1.0` is
/// `1`), the last of equal keys wins, index keys come first.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    let mut value: Value = serde_json::from_str(text)?;
    normalise(&mut value, 0)?;
    Ok(value)
}

/// Reads JSON as [`parse`] does, where it holds at most `most` values.
///
/// A value takes some 100 bytes of memory and may be two bytes of text, so that the length of a
/// text does not bound what reading it takes.
pub fn parse_few(text: &str, most: usize) -> Result<Value, JsonError> {
    // Most texts are below it even with what stands in strings, which is quicker to count.
    if begun_values(text) >= most && begun_outside_strings(text) >= most {
        return Err(JsonError::TooManyValues(most));
    }
    parse(text)
}

/// How many values begin in a text at most, besides the first.
pub(crate) fn begun_values(text: &str) -> usize {
    text.bytes().filter(|byte| begins(*byte)).count()
}

fn begins(byte: u8) -> bool {
    matches!(byte, b',' | b'[' | b'{')
}

/// The same, without what stands in strings.
fn begun_outside_strings(text: &str) -> usize {
    let (mut count, mut bytes, mut in_string) = (0, text.bytes(), false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => drop(bytes.next()),
            _ => count += usize::from(!in_string && begins(byte)),
        }
    }
    count
}

/// Gives a value that another parser made JavaScript's numbers and property order.
pub fn normalise(value: &mut Value, depth: usize) -> Result<(), JsonError> {
    if depth > MAX_DEPTH {
        return Err(JsonError::TooDeep);
    }
    match value {
        Value::Number(number) => {
            if let Some(js) = js_number(number) {
                *number = js;
            }
        }
        Value::Array(items) => {
            for item in items {
                normalise(item, depth + 1)?;
            }
        }
        Value::Object(map) => {
            let mut indexed = false;
            for (key, item) in map.iter_mut() {
                if key == "__proto__" {
                    return Err(JsonError::Proto);
                }
                indexed |= array_index(key).is_some();
                normalise(item, depth + 1)?;
            }
            if indexed {
                index_keys_first(map);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
    Ok(())
}

/// The number as JavaScript holds it; none where it already is that.
fn js_number(number: &Number) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(int) = number.as_i64()
        && int.unsigned_abs() <= 1 << 53
    {
        return None;
    }
    let double = number.as_f64()?;
    if double.fract() == 0.0 && double.abs() <= EXACT {
        return Some(Number::from(double as i64));
    }
    Number::from_f64(double)
}

/// The key as an array index (`"0"` to `"4294967294"`, no leading zero), as JavaScript sees it.
pub(super) fn array_index(key: &str) -> Option<u32> {
    let bytes = key.as_bytes();
    if bytes.is_empty() || bytes.len() > 10 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if bytes[0] == b'0' && bytes.len() > 1 {
        return None;
    }
    key.parse().ok().filter(|index| *index < u32::MAX)
}

fn index_keys_first(map: &mut Map<String, Value>) {
    let mut entries: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
    entries.sort_by(|(a, _), (b, _)| match (array_index(a), array_index(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    map.extend(entries);
}

/// Sets a property as JavaScript does: an existing one keeps its place, a new index key goes
/// among the index keys, any other to the end.
pub fn set(map: &mut Map<String, Value>, key: &str, value: Value) {
    let is_new = map.insert(key.to_owned(), value).is_none();
    if is_new && array_index(key).is_some() {
        index_keys_first(map);
    }
}

/// Deletes a property; the others keep their order.
pub fn delete(map: &mut Map<String, Value>, key: &str) -> Option<Value> {
    map.shift_remove(key)
}

/// Whether JavaScript takes the value for true.
pub fn truthy(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(b)) => *b,
        Some(Value::Number(n)) => n.as_f64().is_some_and(|n| n != 0.0),
        Some(Value::String(s)) => !s.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// How many own keys `Object.keys` would list for a value (characters for a string).
pub fn key_count(value: &Value) -> usize {
    match value {
        Value::Object(map) => map.len(),
        Value::Array(items) => items.len(),
        Value::String(s) => s.encode_utf16().count(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Writes JSON as `JSON.stringify` does, in the order the value holds.
///
/// # Panics
///
/// Where the value is no JSON, since it holds a map whose keys are no strings.
pub fn stringify<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::with_capacity(256);
    write(&mut out, value);
    match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => unreachable!("JSON was written that is no UTF-8: {error}"),
    }
}

/// Appends what [`stringify()`] gives, and panics as it does.
pub fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let mut serializer = serde_json::Serializer::with_formatter(out, JsFormatter(CompactFormatter));
    // Writing into memory fails only for what is no JSON: a map whose keys are no strings.
    if let Err(error) = value.serialize(&mut serializer) {
        unreachable!("what is written as JSON is no JSON: {error}");
    }
}

/// The canonical form: keys sorted by UTF-16 unit down through objects, arrays left as they are.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(&mut out, &Sorted(value));
    out
}

/// The canonical form of an object.
pub fn canonical_map(map: &Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write(&mut out, &SortedMap(map));
    out
}

/// A value that is written in its canonical form.
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => SortedMap(map).serialize(serializer),
            other => other.serialize(serializer),
        }
    }
}

/// An object that is written in its canonical form.
struct SortedMap<'a>(&'a Map<String, Value>);

impl Serialize for SortedMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries: Vec<(&String, &Value)> = self.0.iter().collect();
        entries.sort_unstable_by(|(a, _), (b, _)| key_order(a, b));
        serializer.collect_map(entries.into_iter().map(|(key, value)| (key, Sorted(value))))
    }
}

/// The order of keys in the canonical form.
pub(super) fn key_order(a: &str, b: &str) -> Ordering {
    match (array_index(a), array_index(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) if a.is_ascii() && b.is_ascii() => a.cmp(b),
        (None, None) => a.encode_utf16().cmp(b.encode_utf16()),
    }
}

/// Prints doubles as ECMAScript does.
struct JsFormatter(CompactFormatter);

impl Formatter for JsFormatter {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let mut buffer = ryu_js::Buffer::new();
        writer.write_all(buffer.format(value).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> String {
        stringify(&parse(text).unwrap())
    }

    #[test]
    fn numbers_are_doubles_and_print_as_ecmascript_prints_them() {
        assert_eq!(
            round("[1.0,-0,-0.0,1e21,1e-7,123456789012345680000,9007199254740993,0.1,1.5e300]"),
            "[1,0,0,1e+21,1e-7,123456789012345680000,9007199254740992,0.1,1.5e+300]"
        );
        assert_eq!(round("18446744073709551615"), "18446744073709552000");
        assert_eq!(round("5e-324"), "5e-324");
    }

    #[test]
    fn the_last_of_equal_keys_wins_in_the_first_ones_place() {
        assert_eq!(round(r#"{"a":1,"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn index_keys_come_first_ascending() {
        assert_eq!(
            round(r#"[{"b":1,"10":1,"9":1,"01":1,"4294967294":1,"4294967295":1}]"#),
            r#"[{"9":1,"10":1,"4294967294":1,"b":1,"01":1,"4294967295":1}]"#
        );
    }

    #[test]
    fn a_new_index_key_goes_among_the_index_keys() {
        let Value::Object(mut map) = parse(r#"{"5":1,"z":1}"#).unwrap() else { unreachable!() };
        set(&mut map, "3", Value::Null);
        set(&mut map, "a", Value::Null);
        assert_eq!(stringify(&map), r#"{"3":null,"5":1,"z":1,"a":null}"#);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(matches!(parse(r#""\ud800""#), Err(JsonError::Syntax(_))));
        assert!(matches!(parse("1e400"), Err(JsonError::Syntax(_))));
        assert!(matches!(parse(r#"{"__proto__":1}"#), Err(JsonError::Proto)));
        let deep = format!("{}{}", "[".repeat(110), "]".repeat(110));
        assert!(matches!(parse(&deep), Err(JsonError::TooDeep)));
        let deeper = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(parse(&deeper).is_err());
    }

    #[test]
    fn sorting_goes_through_objects_and_stops_at_arrays() {
        let value = parse(r#"{"b":{"d":1,"c":2},"a":[{"z":1,"y":2}]}"#).unwrap();
        assert_eq!(canonical(&value), br#"{"a":[{"z":1,"y":2}],"b":{"c":2,"d":1}}"#);
    }
}
