//! Changes to data: rename, remove, add or patch, and the counter.

use serde_json::{Map, Value};

use super::TransformError;
use crate::ibgib::json;

/// Whether keys are renamed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyChange {
    Rename,
    Remove,
}

/// The keys that cannot be renamed, renamed to, or removed.
const FORBIDDEN: &str = "timestamp";

/// Renames or removes what `info` names: a text stands for the key itself (its new name, or
/// anything to remove it), an object leads down into the key's value. Unknown keys are passed over.
pub(super) fn rename_or_remove(
    data: &mut Map<String, Value>,
    info: &Value,
    change: KeyChange,
) -> Result<(), TransformError> {
    let info = match info {
        Value::Object(info) => info,
        Value::Array(list) if list.is_empty() => return Ok(()),
        Value::Bool(_) | Value::Number(_) => return Ok(()),
        _ => return Err(TransformError::opts("what to rename or remove is no object")),
    };
    for (key, to) in info {
        if key == FORBIDDEN {
            return Err(TransformError::opts("the key \"timestamp\" stays as it is"));
        }
        if !data.contains_key(key) {
            continue;
        }
        match to {
            Value::String(to) => {
                if to == FORBIDDEN {
                    return Err(TransformError::opts("nothing can be renamed to \"timestamp\""));
                }
                if change == KeyChange::Rename
                    && let Some(value) = data.get(key).cloned()
                {
                    json::set(data, to, value);
                }
                json::delete(data, key);
            }
            deeper => match data.get_mut(key) {
                Some(Value::Object(inner)) => rename_or_remove(inner, deeper, change)?,
                Some(_) if json::key_count(deeper) == 0 && !deeper.is_null() => {}
                _ => {
                    let message = format!("the value of {key:?} is no object to look into");
                    return Err(TransformError::opts(message));
                }
            },
        }
    }
    Ok(())
}

/// Sets what `patch` holds: objects are patched key by key, everything else is replaced.
pub(super) fn patch(data: &mut Map<String, Value>, patch: &Value) -> Result<(), TransformError> {
    let patch = match patch {
        Value::Object(patch) => patch,
        Value::Array(list) if list.is_empty() => return Ok(()),
        Value::Bool(_) | Value::Number(_) => return Ok(()),
        _ => return Err(TransformError::opts("the data to add or patch is no object")),
    };
    for (key, new) in patch {
        match (data.get_mut(key), new) {
            (Some(Value::Object(old)), Value::Object(_)) => self::patch(old, new)?,
            (Some(Value::Object(_)), Value::Null) => {
                let message = format!("{key:?} holds an object, which null cannot patch");
                return Err(TransformError::opts(message));
            }
            _ => json::set(data, key, new.clone()),
        }
    }
    Ok(())
}

/// Counts `data.n` on: from where it stands, or from zero where the options ask for a counter.
pub(super) fn count(data: &mut Map<String, Value>, wanted: bool) -> Result<(), TransformError> {
    let next = match data.get("n") {
        None if !wanted => return Ok(()),
        None => 0.0,
        Some(Value::Number(n)) => match n.as_f64() {
            Some(n) if n.fract() != 0.0 => return Err(TransformError::BadCounter),
            Some(n) if n >= 0.0 => n + 1.0,
            Some(_) => 0.0,
            None => return Err(TransformError::BadCounter),
        },
        Some(_) => return Err(TransformError::BadCounter),
    };
    let mut next = serde_json::Number::from_f64(next).map_or(Value::Null, Value::Number);
    // A whole double is held as an integer, as everywhere in this JSON model.
    let _ = json::normalise(&mut next, 0);
    json::set(data, "n", next);
    Ok(())
}
