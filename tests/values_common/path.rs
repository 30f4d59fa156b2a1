//! Paths to fields, and their text (docs/protocol.md, section 7).

use serde_json::Value;

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    Key(String),
    /// The element of an array whose `id` or `uuid` is this.
    Element(&'static str, Value),
}

pub type Path = Vec<Step>;

pub fn with(path: &[Step], step: Step) -> Path {
    let mut path = path.to_vec();
    path.push(step);
    path
}

/// The value at a path; none where it leads nowhere.
pub fn get<'a>(value: Option<&'a Value>, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(value?, |value, step| match step {
        Step::Key(key) => value.as_object()?.get(key),
        Step::Element(by, id) => {
            value.as_array()?.iter().find(|element| element.get(*by) == Some(id))
        }
    })
}

/// The path as text: `o.x`, `items[id="a"].done`, `["odd.key"]`.
pub fn text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) => {
                let is_odd = |c: char| ".[\"]^".contains(c) || c.is_control();
                if key.is_empty() || key.contains(is_odd) {
                    text += &format!("[{}]", Value::from(key.as_str()));
                } else {
                    if !text.is_empty() {
                        text += ".";
                    }
                    text += key;
                }
            }
            Step::Element(by, id) => text += &format!("[{by}={id}]"),
        }
    }
    text
}

/// By which key the elements of these arrays are told apart, where they are.
pub fn identity(arrays: &[&[Value]]) -> Option<&'static str> {
    ["id", "uuid"].into_iter().find(|by| arrays.iter().all(|array| is_told_apart(array, by)))
}

/// Whether every element is an object with a text or number under this key, each another.
pub fn is_told_apart(array: &[Value], by: &str) -> bool {
    let ids: Vec<&Value> = array.iter().filter_map(|element| element.get(by)).collect();
    ids.len() == array.len()
        && ids.iter().all(|id| id.is_string() || id.is_number())
        && (0..ids.len()).all(|at| !ids[..at].contains(&ids[at]))
}
