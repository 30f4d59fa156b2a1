//! Where in a frame a field stands, as text (docs/protocol.md, section 7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ibgib::IbGib;
use crate::ibgib::addr::clip;
use crate::ibgib::json as js;

/// How deep a path may lead.
const MAX_STEPS: usize = 128;

/// One step down into data.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// To the value of an object's key.
    Key(String),
    /// To the element of an array whose `key` is `id`, as JSON text.
    Element {
        /// `id` or `uuid`.
        key: &'static str,
        /// The element's id: the JSON of a string or a number.
        id: String,
    },
}

/// The keys by which elements of arrays are known, in the order in which they are tried.
pub const ELEMENT_KEYS: [&str; 2] = ["id", "uuid"];

/// A field of a frame: a value in its data, its ib, or one of its relations.
///
/// As text: the keys of the data joined by dots (`title`, `a.b`); a key that is empty or holds one
/// of `. [ " ] ^` or a control character as a JSON string in brackets (`["a.b"]`); an element of an
/// array by its id (`items[id="x"].done`); the ib as `^ib`; a relation as `^rel8ns.NAME`;
/// all of the data as `^data`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldPath {
    /// The ib.
    Ib,
    /// The relation of this name.
    Relation(String),
    /// A value in the data; the data itself where there is no step.
    Data(Vec<Step>),
}

/// Why a text is no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no path to a field: {reason}")]
pub struct PathError {
    text: String,
    reason: &'static str,
}

impl FieldPath {
    /// The key of the data that it stands under; none where it is no part of the data.
    pub fn top_key(&self) -> Option<&str> {
        match self {
            FieldPath::Data(steps) => match steps.first() {
                Some(Step::Key(key)) => Some(key),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value that a frame has there; none where it has none. A relation's value is the array of
    /// its addresses.
    pub fn value_in(&self, frame: &IbGib) -> Option<Value> {
        match self {
            FieldPath::Ib => Some(frame.ib.clone().into()),
            FieldPath::Relation(name) => {
                let rel8ds: Vec<Value> = frame.rel8d(name).map(Value::from).collect();
                (!rel8ds.is_empty()).then_some(Value::Array(rel8ds))
            }
            FieldPath::Data(steps) => look(frame.data.as_ref(), steps).cloned(),
        }
    }

    /// Whether two frames have the same there.
    pub fn is_same_in(&self, one: &IbGib, other: &IbGib) -> bool {
        match self {
            FieldPath::Ib => one.ib == other.ib,
            FieldPath::Relation(name) => one.rel8d(name).eq(other.rel8d(name)),
            FieldPath::Data(steps) => {
                look(one.data.as_ref(), steps) == look(other.data.as_ref(), steps)
            }
        }
    }

    /// Sets the value there, or removes it where there is none to set. Objects on the way are made;
    /// an element that is not there is appended. Errors where the way leads through something else,
    /// or where this is no path into data.
    pub fn set_in(
        &self,
        data: &mut Map<String, Value>,
        value: Option<Value>,
    ) -> Result<(), PathError> {
        let failed = |reason| PathError { text: clip(&self.to_string()), reason };
        let FieldPath::Data(steps) = self else { return Err(failed("it leads to no data")) };
        let Some((Step::Key(first), rest)) = steps.split_first() else {
            return Err(failed("it names no key"));
        };
        set_key(data, first, rest, value).map_err(failed)
    }
}

/// The value at the end of some steps.
pub(super) fn look<'a>(value: Option<&'a Value>, steps: &[Step]) -> Option<&'a Value> {
    steps.iter().try_fold(value?, |value, step| match step {
        Step::Key(key) => value.as_object()?.get(key),
        Step::Element { key, id } => {
            let is_it = |element: &&Value| element_id(element, key).as_deref() == Some(id);
            value.as_array()?.iter().find(is_it)
        }
    })
}

/// The value at the end of some steps into data; none where there is no step.
pub(super) fn look_in<'a>(data: &'a Map<String, Value>, steps: &[Step]) -> Option<&'a Value> {
    match steps.split_first() {
        Some((Step::Key(key), rest)) => look(data.get(key), rest),
        _ => None,
    }
}

/// The JSON of the id that an element of an array has under `key`.
pub(super) fn element_id(element: &Value, key: &str) -> Option<String> {
    match element.as_object()?.get(key)? {
        id @ (Value::String(_) | Value::Number(_)) => Some(js::stringify(id)),
        _ => None,
    }
}

fn set_key(
    map: &mut Map<String, Value>,
    key: &str,
    rest: &[Step],
    value: Option<Value>,
) -> Result<(), &'static str> {
    if rest.is_empty() {
        match value {
            Some(value) => js::set(map, key, value),
            None => drop(js::delete(map, key)),
        }
        return Ok(());
    }
    if !map.contains_key(key) {
        if value.is_none() {
            return Ok(());
        }
        let empty = match rest.first() {
            Some(Step::Element { .. }) => Value::Array(Vec::new()),
            _ => Value::Object(Map::new()),
        };
        js::set(map, key, empty);
    }
    match map.get_mut(key) {
        Some(inner) => set_below(inner, rest, value),
        None => Ok(()),
    }
}

fn set_below(at: &mut Value, steps: &[Step], value: Option<Value>) -> Result<(), &'static str> {
    match (steps.split_first(), at) {
        (Some((Step::Key(key), rest)), Value::Object(map)) => set_key(map, key, rest, value),
        (Some((Step::Element { key, id }, rest)), Value::Array(list)) => {
            let place = list.iter().position(|e| element_id(e, key).as_deref() == Some(id));
            match (place, value) {
                (Some(place), None) if rest.is_empty() => drop(list.remove(place)),
                (Some(place), Some(value)) if rest.is_empty() => list[place] = value,
                (None, Some(value)) if rest.is_empty() => list.push(value),
                (Some(place), value) => return set_below(&mut list[place], rest, value),
                (None, None) => {}
                (None, Some(_)) => return Err("the list has no such element"),
            }
            Ok(())
        }
        _ => Err("something else stands on the way"),
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && !key.contains(|c: char| ".[\"]^".contains(c) || c.is_control())
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &str, first: bool) -> fmt::Result {
    match (is_plain(key), first) {
        (true, true) => f.write_str(key),
        (true, false) => write!(f, ".{key}"),
        (false, _) => write!(f, "[{}]", js::stringify(key)),
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldPath::Ib => f.write_str("^ib"),
            FieldPath::Relation(name) => {
                f.write_str("^rel8ns")?;
                write_key(f, name, false)
            }
            FieldPath::Data(steps) if steps.is_empty() => f.write_str("^data"),
            FieldPath::Data(steps) => {
                for (at, step) in steps.iter().enumerate() {
                    match step {
                        Step::Key(key) => write_key(f, key, at == 0)?,
                        Step::Element { key, id } => write!(f, "[{key}={id}]")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl FromStr for FieldPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<FieldPath, PathError> {
        let failed = |reason| PathError { text: clip(text), reason };
        match text {
            "^ib" => return Ok(FieldPath::Ib),
            "^data" => return Ok(FieldPath::Data(Vec::new())),
            _ => {}
        }
        if let Some(rest) = text.strip_prefix("^rel8ns") {
            return match steps(rest, false).map_err(failed)?.as_slice() {
                [Step::Key(name)] => Ok(FieldPath::Relation(name.clone())),
                _ => Err(failed("a relation has one name")),
            };
        }
        match steps(text, true).map_err(failed)? {
            steps if matches!(steps.first(), Some(Step::Key(_))) => Ok(FieldPath::Data(steps)),
            _ => Err(failed("it names no key")),
        }
    }
}

/// Reads steps: `key`, `.key`, `["key"]`, `[id="x"]`; `first` tells whether a bare key may begin.
fn steps(mut text: &str, mut first: bool) -> Result<Vec<Step>, &'static str> {
    let mut steps = Vec::new();
    while !text.is_empty() {
        if steps.len() == MAX_STEPS {
            return Err("it leads too deep");
        }
        if let Some(inside) = text.strip_prefix('[') {
            let (step, rest) = bracketed(inside)?;
            steps.push(step);
            text = rest;
        } else {
            let rest = match (first, text.strip_prefix('.')) {
                (true, _) => text,
                (false, Some(rest)) => rest,
                (false, None) => return Err("a dot or a bracket is missing"),
            };
            let (key, rest) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
            if !is_plain(key) {
                return Err("a key like this stands as [\"…\"]");
            }
            steps.push(Step::Key(key.to_owned()));
            text = rest;
        }
        first = false;
    }
    Ok(steps)
}

/// Reads what stands in brackets, and gives what follows them.
fn bracketed(text: &str) -> Result<(Step, &str), &'static str> {
    let key = ELEMENT_KEYS.into_iter().find_map(|key| {
        text.strip_prefix(key).and_then(|rest| rest.strip_prefix('=')).map(|rest| (key, rest))
    });
    let json = key.map_or(text, |(_, rest)| rest);
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<Value>();
    let value = values.next().and_then(Result::ok).ok_or("what stands in brackets is no JSON")?;
    let rest = json.get(values.byte_offset()..).and_then(|rest| rest.strip_prefix(']'));
    let rest = rest.ok_or("a bracket is not closed")?;
    match (key, value) {
        (None, Value::String(key)) => Ok((Step::Key(key), rest)),
        (Some((key, _)), mut id @ (Value::String(_) | Value::Number(_))) => {
            js::normalise(&mut id, 0).map_err(|_| "the id is no number of an ibGib")?;
            Ok((Step::Element { key, id: js::stringify(&id) }, rest))
        }
        _ => Err("in brackets stands a JSON string, or id= or uuid= and a string or a number"),
    }
}

impl Serialize for FieldPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<FieldPath, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
